"""The side of judo-rai in planner_peer.py; runs in its environment, with nothing of ours.

Reads lines of JSON: the model, how many candidates, steps and knots, how many threads and plans.
Answers each with the seconds that the plans took.
"""

import json
import sys
import time

import mujoco
import numpy as np
from judo.controller.controller import Controller, ControllerConfig
from judo.optimizers.mppi import MPPI, MPPIConfig
from judo.tasks.base import Task, TaskConfig
from judo.utils.mj_rollout_backend import MJRolloutBackend
from mujoco.rollout import Rollout


class AnyTask(Task):
    """A task of a model that is given; its rewards are those of ours, term by term."""

    config_t = TaskConfig

    def __init__(self, model: mujoco.MjModel, reward: str) -> None:  # no download of meshes
        self.config = TaskConfig()
        self.model = self.sim_model = model
        self.data = mujoco.MjData(model)
        mujoco.mj_resetDataKeyframe(model, self.data, 0)
        self._reward = {"cart_pole": cart_pole, "go1": go1}[reward]

    def reset(self) -> None:
        """Return to the key frame."""
        mujoco.mj_resetDataKeyframe(self.model, self.data, 0)
        mujoco.mj_forward(self.model, self.data)

    def optimizer_warm_start(self) -> np.ndarray:
        """Return the command of the key frame."""
        return self.model.key_ctrl[0]

    def reward(self, states, sensors, controls, system_metadata=None):
        """Return the rewards of rollouts, (N,)."""
        return self._reward(states, controls)


def cart_pole(states: np.ndarray, controls: np.ndarray) -> np.ndarray:
    """Return what ours has: pole, cart, calm, control."""
    pole = np.cos(states[..., 1]) - 1
    rest = 0.1 * states[..., 0] ** 2 + 0.002 * states[..., 3] ** 2
    return (pole - rest - 0.01 * (controls**2).sum(-1)).mean(-1)


def go1(states: np.ndarray, controls: np.ndarray) -> np.ndarray:
    """Return what ours has without the gait: height, upright, velocity, turn."""
    w, x, y, z = (states[..., place] for place in range(3, 7))
    vx, vy, vz = (states[..., place] for place in range(19, 22))
    ahead = (1 - 2 * (y * y + z * z)) * vx + 2 * (x * y + w * z) * vy + 2 * (x * z - w * y) * vz
    aside = 2 * (x * y - w * z) * vx + (1 - 2 * (x * x + z * z)) * vy + 2 * (y * z + w * x) * vz
    upright = 1 - 2 * (x * x + y * y)
    velocity = (ahead - 0.8) ** 2 + aside**2
    total = -30 * (states[..., 2] - 0.29) ** 2 + 4 * (upright - 1) - 3 * velocity
    return (total - states[..., 24] ** 2).mean(-1)


class FewThreads(MJRolloutBackend):
    """The peer's backend on a pool of a few threads in place of one for each rollout."""

    def __init__(self, model: mujoco.MjModel, num_threads: int, pool: int) -> None:
        super().__init__(model, num_threads)
        self._rollout_obj.close()
        self._rollout_obj = Rollout(nthread=pool)
        self._few = [mujoco.MjData(model) for _ in range(pool)]

    def rollout(self, x0, controls, last_policy_output=None):
        """Return states, sensors and None."""
        whole = np.tile(np.concatenate([[time.time()], x0]), (self.num_threads, 1))
        models = [model for model, _ in self._model_data_pairs]
        states, sensors = self._rollout_obj.rollout(models, self._few, whole, controls)
        return np.array(states)[..., 1:], np.array(sensors), None


def controller_of(request: dict) -> Controller:
    """Return the peer's controller."""
    model = mujoco.MjModel.from_xml_string(request["mjcf"])
    for name, value in request["options"].items():
        setattr(model.opt, name, value)
    task = AnyTask(model, request["reward"])
    optimizer = MPPI(
        MPPIConfig(
            num_rollouts=request["rollouts"], num_nodes=request["knots"], sigma=request["sigma"]
        ),
        model.nu,
    )
    config = ControllerConfig(
        horizon=request["steps"] * model.opt.timestep,
        spline_order="cubic",
        max_opt_iters=request["iterations"],
    )
    made = Controller(config, task, optimizer)
    if request["threads"]:
        made.rollout_backend = FewThreads(model, request["rollouts"], request["threads"])
    return made


def main() -> None:
    """Answer every line."""
    made: dict[str, Controller] = {}
    for line in sys.stdin:
        request = json.loads(line)
        name = request["name"]
        if name not in made:
            made[name] = controller_of(request)
            made[name].update_action()
        begin = time.perf_counter()
        for _ in range(request["plans"]):
            made[name].time += 0.02
            made[name].update_action()
        sys.stdout.write(f"{time.perf_counter() - begin}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

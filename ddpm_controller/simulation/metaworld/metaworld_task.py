"""A task of MetaWorld (Yu et al. 2019, Farama's version 3), led by the place of the hand.

The physics, the start and what success is are MetaWorld's, which is imported when a task is made
and not before. Its own actions move the target of the hand by steps; here the target itself is
given, for any whole number of steps of the physics.
"""

import pickle
import warnings
from typing import Any

import mujoco
import numpy as np

from ddpm_controller.simulation.metaworld.metaworld_description import OPEN_M

_HAND = slice(0, 3)
_FINGERS = 3


class MetaWorldTask:
    """One episode after another of a published task.

    Args:
        name: MetaWorld's, such as ``drawer-open-v3``.
        slide: Joint of what is to be moved.

    Attributes:
        model: Model of this task alone, as MetaWorld moves bodies in it.
        observed: (18,) Without noise, what MetaWorld's policies take: hand, opening, two objects.
        success: Whether the goal is reached at this moment, as MetaWorld judges.

    Raises:
        RuntimeError: MetaWorld is not installed; the text has the remedy.
    """

    def __init__(self, name: str, slide: str) -> None:
        environments, self._task_type = _metaworld()
        self._name = name
        self._env = environments[name]()
        self.model: mujoco.MjModel = self._env.model
        self._state: mujoco.MjData = self._env.data
        self._hand = self.model.body("hand").id
        self._slide = self.model.joint(slide)
        self._fingers = [self.model.joint(f"{side}_close").dofadr[0] for side in "lr"]

    def begin(self, random: np.random.Generator) -> None:
        """Begin an episode at a random start out of MetaWorld's range."""
        space = self._env._random_reset_space
        chosen = {
            "env_cls": type(self._env),
            "rand_vec": random.uniform(space.low, space.high),
            "partially_observable": True,
        }
        self._env.set_task(self._task_type(env_name=self._name, data=pickle.dumps(chosen)))
        self._env.reset()
        self.look()

    def lead(self, place: np.ndarray, opening: float) -> None:
        """Lead the hand to ``place`` (3,), m, from now on.

        The fingers press or open the harder, the more ``opening``, m, is from the middle: 0 is
        MetaWorld's effort 1, and ``OPEN_M`` is -1.
        """
        effort = 1.0 - 2.0 * opening / OPEN_M
        self._state.mocap_pos[0] = place
        self._state.mocap_quat[0] = (1.0, 0.0, 1.0, 0.0)
        self._state.ctrl[:] = (effort, -effort)

    def advance(self, count: int) -> None:
        """Advance by so many steps of the physics; ``look`` shows the result."""
        mujoco.mj_step(self.model, self._state, nstep=count)

    def look(self) -> None:
        """Look at what there is now: ``observed`` and ``success``."""
        mujoco.mj_forward(self.model, self._state)
        self.observed = self._env._get_curr_obs_combined_no_goal()
        _, told = self._env.evaluate_state(self.observed, np.zeros(4, np.float32))
        self.success = bool(told["success"])

    def draw(self, position: float) -> None:
        """Put what is to be moved at ``position``, m, on its slide, against any resistance."""
        self._state.qpos[self._slide.qposadr[0]] = position
        self._state.qvel[self._slide.dofadr[0]] = 0.0

    @property
    def place(self) -> np.ndarray:
        """Of the hand, (3,), m."""
        return self.observed[_HAND].copy()

    @property
    def opening(self) -> float:
        """Between the fingers, m."""
        return float(self.observed[_FINGERS]) * OPEN_M

    @property
    def velocity(self) -> np.ndarray:
        """Of the hand and of the opening, (4,), m/s."""
        turn_and_move = np.zeros(6)
        kind = mujoco.mjtObj.mjOBJ_XBODY
        mujoco.mj_objectVelocity(self.model, self._state, kind, self._hand, turn_and_move, 0)
        left, right = self._state.qvel[self._fingers]
        return np.append(turn_and_move[3:], left - right)

    @property
    def moved(self) -> float:
        """Position of what is to be moved, m, on its own slide."""
        return float(self._state.qpos[self._slide.qposadr[0]])

    def close(self) -> None:
        """Free what MetaWorld holds."""
        self._env.close()


class MetaWorldPolicy:
    """MetaWorld's own scripted policy for a task: observation in, action out.

    Args:
        name: MetaWorld's name of the task.
    """

    def __init__(self, name: str) -> None:
        _metaworld()
        from metaworld.policies import ENV_POLICY_MAP

        self._policy = ENV_POLICY_MAP[name]()

    def action(self, observed: np.ndarray) -> np.ndarray:
        """Return the action (4,) within [-1, 1]: velocity of the hand, and effort."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it would go beyond; the cut is meant
            return np.clip(self._policy.get_action(observed), -1.0, 1.0).astype(np.float64)


def _metaworld() -> tuple[dict[str, Any], Any]:
    """Return MetaWorld's tasks by name, and its type of a chosen start."""
    try:
        from metaworld.env_dict import ALL_V3_ENVIRONMENTS
        from metaworld.types import Task
    except ImportError as error:
        raise RuntimeError(
            f'this world needs MetaWorld ({error}): pip install "ddpm_controller[metaworld]"'
        ) from error
    return ALL_V3_ENVIRONMENTS, Task

"""Batched rollouts of a MuJoCo model, on threads that live as long as the object."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np
from mujoco import rollout

from ddpm_controller.dynamics.solver import steps_of_tick

FASTEST = 100.0
"""Speed, rad/s or m/s, above which a rollout has diverged. A diverging state stays finite for
long (1e23), so its size is looked at."""
_FULL = mujoco.mjtState.mjSTATE_FULLPHYSICS.value
_CONTROL = mujoco.mjtState.mjSTATE_CTRL.value


@dataclass(frozen=True, eq=False)
class Rolled:
    """What became of N rollouts, at the end of each of H ticks.

    Attributes:
        qpos: (N, H, nq).
        qvel: (N, H, nv).
        bad: (N,) bool: diverged or frozen; their states mean nothing.
    """

    qpos: np.ndarray
    qvel: np.ndarray
    bad: np.ndarray


class Rollouts:
    """Steps copies of a model under open-loop actions. Same inputs, same states, bit for bit.

    Args:
        models: Models of the same shape, all with ``SolverSettings.applied``: the nominal one, or
            perturbed copies of it.
        tick_s: Time for which one action acts.
        num_threads: Threads of the pool; 0: the thread that calls.

    Attributes:
        model: The first model.
        num_models: How many there are.
        state_size: Length of a state: time, qpos, qvel and what else the model has.

    Raises:
        ValueError: The models differ in their shapes, or a step does not divide the tick.
    """

    def __init__(
        self, models: Sequence[mujoco.MjModel], tick_s: float, num_threads: int = 0
    ) -> None:
        self.model, self.num_models = models[0], len(models)
        shapes = {(each.nq, each.nv, each.nu, each.na) for each in models}
        if len(shapes) != 1:
            raise ValueError(f"models must have one (nq, nv, nu, na), got {sorted(shapes)}")
        self.tick_s, self._models = tick_s, list(models)
        self._substeps = steps_of_tick(self.model, tick_s)
        self._pool = rollout.Rollout(nthread=num_threads)
        self._states_of_threads = [mujoco.MjData(self.model) for _ in range(max(num_threads, 1))]
        self.state_size = mujoco.mj_stateSize(self.model, _FULL)
        self._begin = np.empty(self.state_size)
        mujoco.mj_getState(self.model, self._states_of_threads[0], self._begin, _FULL)

    def close(self) -> None:
        """End the threads."""
        self._pool.close()

    def state_of(self, qpos: np.ndarray, qvel: np.ndarray, act: np.ndarray) -> np.ndarray:
        """Return a state (state_size,) of qpos (nq,), qvel (nv,) and act (na,) at time 0."""
        state = self._begin.copy()
        nq, nv = self.model.nq, self.model.nv
        state[1 : 1 + nq], state[1 + nq : 1 + nq + nv] = qpos, qvel
        state[1 + nq + nv : 1 + nq + nv + self.model.na] = act
        return state

    def run(self, state: np.ndarray, actions: np.ndarray) -> Rolled:
        """Roll out from one state (state_size,), or one each, under actions (N, H, nu).

        With R models, rollout n is of the model n % R.
        """
        rows = self._rows(state, actions)
        nq, nv = self.model.nq, self.model.nv
        speeds = rows[:, :, 1 + nq : 1 + nq + nv]
        # NaN is not below the bound either; a frozen rollout's time does not advance.
        calm = np.abs(speeds).max(axis=(1, 2)) < FASTEST
        begun_s = state[0] if state.ndim == 1 else state[:, 0]
        passed_s = actions.shape[1] * self.tick_s
        advanced = np.abs(rows[:, -1, 0] - begun_s - passed_s) < self.tick_s / 4
        ticks = rows[:, self._substeps - 1 :: self._substeps]
        return Rolled(
            ticks[:, :, 1 : 1 + nq], ticks[:, :, 1 + nq : 1 + nq + nv], ~(calm & advanced)
        )

    def ahead(self, state: np.ndarray, actions: np.ndarray) -> np.ndarray | None:
        """Return the state (state_size,) after actions (H, nu), at time 0; None: it diverged."""
        if not len(actions):
            return state
        rows = self._rows(state, actions[None])[0]
        nq, nv = self.model.nq, self.model.nv
        if not np.abs(rows[:, 1 + nq : 1 + nq + nv]).max() < FASTEST:
            return None
        last: np.ndarray = rows[-1].copy()
        last[0] = 0.0
        return last

    def step(self, state: np.ndarray, action: np.ndarray) -> np.ndarray:
        """Return the states (N, state_size) one tick after states under actions (N, nu)."""
        last: np.ndarray = self._rows(state, action[:, None])[:, -1]
        return last

    def _rows(self, state: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Return the states after every step of the physics, (N, H * substeps, state_size)."""
        count, ticks = actions.shape[:2]
        steps = ticks * self._substeps
        begin = np.empty((count, self.state_size))
        begin[:] = state
        control = np.repeat(actions, self._substeps, axis=1)
        found = np.empty((count, steps, self.state_size))
        sensed = np.empty((count, steps, self.model.nsensordata))
        models = list(itertools.islice(itertools.cycle(self._models), count))
        threads = self._states_of_threads
        # MuJoCo writes a line to stderr and to a file in the working folder for each divergence.
        mujoco.set_mju_user_warning(_unheard)
        try:
            self._pool.rollout_.rollout(
                models, threads, steps, _CONTROL, begin, None, control, found, sensed, None
            )
        finally:
            mujoco.set_mju_user_warning(None)
        return found


def _unheard(text: str) -> None: ...

"""What candidates are worth: rolled out from one state, rewarded tick by tick."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ddpm_controller.dynamics.rollouts import Rollouts
from ddpm_controller.rewards.motion import motion_of
from ddpm_controller.rewards.terms import Reward


@dataclass(frozen=True, eq=False)
class ActionRange:
    """Where the numbers -1 and 1 of a plan lie among commands.

    Attributes:
        centre: (nu,), the command of 0.
        scale: (nu,), from there to the command of 1.
        low: (nu,), the least command that an actuator takes.
        high: (nu,), the most.
    """

    centre: np.ndarray
    scale: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def commands(self, rows: np.ndarray) -> np.ndarray:
        """Return the commands (..., nu) of rows in [-1, 1]."""
        found = rows * self.scale
        found += self.centre
        return np.clip(found, self.low, self.high, out=found)

    def rows(self, commands: np.ndarray) -> np.ndarray:
        """Return the rows (..., nu) of commands, the nearest in [-1, 1]."""
        return np.clip((commands - self.centre) / self.scale, -1.0, 1.0)


@dataclass(frozen=True, eq=False)
class Risk:
    """What counts of R models.

    Attributes:
        kind: ``mean``, ``worst`` or ``cvar``.
        worst_share: Share of the models of which ``cvar`` takes the mean.
    """

    kind: str
    worst_share: float

    def of(self, rewards: np.ndarray) -> np.ndarray:
        """Return what candidates (N, R) are worth, (N,)."""
        if self.kind == "mean" or rewards.shape[1] == 1:
            return np.asarray(rewards.mean(axis=1))
        if self.kind == "worst":
            return np.asarray(rewards.min(axis=1))
        count = max(1, int(np.ceil(self.worst_share * rewards.shape[1])))
        return np.asarray(np.sort(rewards, axis=1)[:, :count].mean(axis=1))


@dataclass(frozen=True, eq=False)
class Objective:
    """Rewards of candidates from one state on.

    Attributes:
        rollouts: Models.
        reward: Reward of their motions.
        matrix: (H, K), from knots to ticks.
        offset: (H, nu), to which splines are added.
        action: Range of the actions.
        risk: What counts of several models.
        state: (state_size,), where they begin.
        turns: (H,) periods of the gait that have passed at the end of each tick.
        requests: As of a ``Motion``.
    """

    rollouts: Rollouts
    reward: Reward
    matrix: np.ndarray
    offset: np.ndarray
    action: ActionRange
    risk: Risk
    state: np.ndarray
    turns: np.ndarray
    requests: Mapping[str, np.ndarray | float]

    def __call__(self, knots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return rewards (N,), the mean over the ticks, and which are good, (N,)."""
        rows = self.matrix @ knots
        rows += self.offset
        commands = self.action.commands(np.clip(rows, -1.0, 1.0, out=rows))
        models = self.rollouts.num_models
        if models > 1:
            commands = np.repeat(commands, models, axis=0)
        rolled = self.rollouts.run(self.state, commands)
        motion = motion_of(rolled.qpos, rolled.qvel, commands, self.turns, self.requests)
        with np.errstate(all="ignore"):  # of diverged states, which do not count
            ticks = self.reward(motion).mean(axis=1)
        good = ~rolled.bad.reshape(-1, models).any(axis=1) & np.isfinite(
            ticks.reshape(-1, models)
        ).all(axis=1)
        ticks[~np.isfinite(ticks)] = 0.0
        return self.risk.of(ticks.reshape(-1, models)), good

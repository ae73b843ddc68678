"""What happens where one chunk takes over from another: steps in motion, and changes of mind."""

from dataclasses import dataclass, field

import numpy as np

from ddpm_controller.control.command import Command
from ddpm_controller.simulation.world import ForkedWorld, World


@dataclass(frozen=True)
class Seams:
    """The takeovers of a trial but the first, in order.

    A step is the largest change of any joint from one tick to the next, in the commands that
    were sent: what the robot got, with all smoothing.

    Attributes:
        stamps_s: (M,) of the takeovers, from the start of the trial.
        velocity_steps: (M,) rad/s or m/s.
        acceleration_steps: (M,) rad/s² or m/s².
        mode_changes: Plans that chose another way than the plan before them did; None where the
            world does not distinguish ways.
        reaction_s: Time from a push to the first plan that goes the way which the push left;
            inf where none came, None where nothing was pushed.
    """

    stamps_s: np.ndarray
    velocity_steps: np.ndarray
    acceleration_steps: np.ndarray
    mode_changes: int | None = None
    reaction_s: float | None = None


@dataclass
class SeamRecorder:
    """Notes the commands of one trial.

    Attributes:
        world: World that may know which way a chunk goes.
    """

    world: World
    _stamps_s: list[float] = field(default_factory=list)
    _sent: list[np.ndarray] = field(default_factory=list)
    _taken: list[int] = field(default_factory=list)
    _modes: list[tuple[float, int]] = field(default_factory=list)

    def note(self, command: Command, now_s: float) -> None:
        """Note what is sent at ``now_s`` from the start of the trial."""
        if command.position is None:
            return
        if command.takeover is not None:
            self._taken.append(len(self._sent))
            if isinstance(self.world, ForkedWorld):
                mode = self.world.mode_of(command.takeover.plan.chunk.actions)
                self._modes.append((now_s, mode))
        self._stamps_s.append(now_s)
        self._sent.append(command.position)

    def result(self) -> Seams:
        """Return what was noted."""
        stamps_s = np.array(self._stamps_s)
        taken = self._whole()
        velocity, acceleration = _steps(np.array(self._sent), stamps_s, taken)
        changes = reaction_s = None
        if isinstance(self.world, ForkedWorld):
            chosen = [mode for _, mode in self._modes if mode]
            changes = int(np.count_nonzero(np.diff(chosen)))
            reaction_s = _reaction_s(self._modes, self.world.pushed)
        return Seams(stamps_s[taken], velocity, acceleration, changes, reaction_s)

    def _whole(self) -> np.ndarray:
        """Return the ticks of takeovers with two commands before them and two behind."""
        last = len(self._sent) - 3
        return np.array([each for each in self._taken[1:] if 2 <= each <= last], int)


def _steps(
    sent: np.ndarray, stamps_s: np.ndarray, taken: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the steps of velocity and acceleration at ticks (M,) of ``sent`` (N, Da)."""
    if not len(taken):
        return np.zeros(0), np.zeros(0)
    period_s = (stamps_s[-1] - stamps_s[0]) / (len(stamps_s) - 1)
    acceleration = np.diff(sent, n=2, axis=0) / period_s**2  # entry i is around tick i + 1
    # The command of the takeover lies on both curves: the bend is around it.
    velocity_step = np.abs(acceleration[taken - 1]).max(1) * period_s
    acceleration_step = np.abs(acceleration[taken] - acceleration[taken - 2]).max(1)
    return velocity_step, acceleration_step


def _reaction_s(modes: list[tuple[float, int]], pushed: tuple[float, int] | None) -> float | None:
    if pushed is None:
        return None
    at_s, side = pushed
    answers = [now_s - at_s for now_s, mode in modes if now_s >= at_s and mode == side]
    return min(answers, default=float("inf"))

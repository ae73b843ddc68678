"""What a policy remembers from plan to plan: taken on, kept over a swap, started afresh."""

import numpy as np

from ddpm_controller.policy import EXPECTED_DELAY, memory_difference
from ddpm_controller.types import Memory

STEPS = "num_inference_steps"
"""In a policy's memory: denoising steps of the next plan; 0: as it was restored."""


class PlanMemory:
    """The memory of a run; a plan counts by the epoch in which it was asked for.

    Attributes:
        now: Memory of the plan that is followed; None while there is no policy.
        resets: Times that it started afresh within a run, where there was something to forget.
        reset_text: Why it did the last time.
    """

    def __init__(self) -> None:
        self.now: Memory | None = None
        self.resets, self.reset_text = 0, ""
        self._initial: Memory | None = None
        self._epoch = self._oldest = 0

    def begin(self, initial: Memory | None) -> None:
        """Begin a run with the policy's initial memory."""
        self._initial = self.now = initial

    def forget(self, epoch: int, why: str = "") -> None:
        """Start afresh: plans from before ``epoch`` leave nothing behind; report ``why``."""
        self._epoch = self._oldest = epoch
        if why and self._has_state:
            self.note_reset(why)
        self.now = self._initial

    def note_reset(self, why: str) -> None:
        """Count a fresh start."""
        self.resets += 1
        self.reset_text = why

    def hand_over(self, initial: Memory, epoch: int, *, keeps: bool) -> None:
        """Serve a policy whose initial memory is ``initial`` from ``epoch`` on.

        Where it ``keeps`` what the one before remembered it continues from that, and so it does
        from a plan of that one which is still to be followed.
        """
        if not keeps:
            self.forget(epoch, "another checkpoint came, which remembers in another way")
        kept = self.now if keeps else None
        self._initial, self._epoch = initial, epoch
        self.now = _handed_over(initial, kept or {})

    def take(self, memory: Memory, epoch: int) -> None:
        """Remember a plan that is followed from now on, unless it is from before a beginning."""
        if epoch < self._oldest:
            return
        handed_over = epoch != self._epoch
        self.now = _handed_over(self._initial or {}, memory) if handed_over else memory

    def asked(
        self, memory: Memory, plan_number: int, num_steps: int | None, delay_s: float
    ) -> Memory:
        """Return ``memory`` with the numbers of the plan to make, where the policy keeps them.

        A failed plan returns no memory, and another policy begins with its own: the plan's
        number, from which the noise is drawn, must advance all the same.
        """
        memory = _with(memory, "plan_number", plan_number)
        memory = _with(memory, EXPECTED_DELAY, delay_s)
        return memory if num_steps is None else _with(memory, STEPS, num_steps)

    @property
    def _has_state(self) -> bool:
        if self.now is None or self._initial is None:
            return False
        return bool(memory_difference(self._initial, self.now))


def _handed_over(initial: Memory, kept: Memory) -> Memory:
    """Return a memory of one policy for another, whose delay may be a setting."""
    own = {k: v for k, v in kept.items() if k != EXPECTED_DELAY or k in initial}
    return {**initial, **own}


def _with(memory: Memory, name: str, value: float) -> Memory:
    return {**memory, name: np.full_like(memory[name], value)} if name in memory else memory

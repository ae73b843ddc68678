"""What a plan is made from, and a plan that is followed."""

import math
from dataclasses import dataclass

from ddpm_controller.policy import EXPECTED_DELAY
from ddpm_controller.types import ActionChunk, Memory, Observation, Plan


@dataclass(frozen=True)
class PlanRequest:
    """What a plan is to be made from.

    Attributes:
        window: Observations, oldest first; the last one is of the tick of the request.
        memory: What the policy remembers.
        plan_number: Counts from 0 since the run began, failed plans included.
        epoch: An answer to a request of an older epoch is dropped.
        requested_s: The tick.
        num_inference_steps: Denoising steps that were chosen for it, also in ``memory``; None: as
            the policy does.
    """

    window: tuple[Observation, ...]
    memory: Memory
    plan_number: int
    epoch: int
    requested_s: float
    num_inference_steps: int | None = None

    @property
    def expected_delay_s(self) -> float | None:
        """Time that it was told to take; None: as the policy was told."""
        delay_s = self.memory.get(EXPECTED_DELAY)
        return None if delay_s is None else float(delay_s)


@dataclass(frozen=True)
class Takeover:
    """A plan that is followed from now on, and what it was made from.

    Attributes:
        plan: Its chunk is followed.
        request: What it was made from.
        is_approach: The chunk is not the policy's but leads slowly to its first action.
        taken_s: The tick.
        before: What was followed until then; None where nothing was.
    """

    plan: Plan
    request: PlanRequest
    is_approach: bool = False
    taken_s: float = math.nan
    before: ActionChunk | None = None

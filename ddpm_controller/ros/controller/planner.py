"""Plans are made here, on a thread that nothing waits for in real time."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from ddpm_controller.control.plan_request import PlanRequest
from ddpm_controller.ros.controller.latest_worker import LatestWorker
from ddpm_controller.ros.controller.policy_loader import LoadedPolicy
from ddpm_controller.types import Plan

_Job = tuple[LoadedPolicy, PlanRequest]


@dataclass(frozen=True)
class PlanAnswer:
    """What came of a request.

    Attributes:
        request: As it was submitted.
        used: The policy that was asked.
        plan: None when it failed.
        error: Why it failed.
        inference_time_s: Wall time.
        relative_cost: Of it, to that of a plan that goes on from the one before.
    """

    request: PlanRequest
    used: LoadedPolicy
    plan: Plan | None
    error: str
    inference_time_s: float
    relative_cost: float = 1.0


class Planner:
    """One worker thread; a newer request replaces one that has not been begun.

    Args:
        on_answer: Called on the worker when an answer is there to be collected.
    """

    def __init__(self, on_answer: Callable[[], None]) -> None:
        self._on_answer = on_answer
        self._answers: deque[PlanAnswer] = deque()
        self._worker: LatestWorker[_Job] = LatestWorker("planner", self._plan)

    def submit(self, loaded: LoadedPolicy, request: PlanRequest) -> None:
        """Ask for a plan; returns at once."""
        self._worker.submit((loaded, request))

    def collect(self) -> PlanAnswer | None:
        """Return the oldest answer that has not been collected, or None."""
        return self._answers.popleft() if self._answers else None

    def close(self) -> None:
        """End the thread after the plan that is being made, if that takes no longer than usual."""
        self._worker.close()

    def _plan(self, job: _Job) -> None:
        self._answers.append(_answer(*job))
        self._on_answer()


def _answer(loaded: LoadedPolicy, request: PlanRequest) -> PlanAnswer:
    began_s, given = time.monotonic(), (request.window, request.memory)
    try:
        plan = loaded.policy.plan(*given)
        took_s = time.monotonic() - began_s
        cost = loaded.policy.facts.relative_cost(*given)
        return PlanAnswer(request, loaded, plan, "", took_s, cost)
    except Exception as failure:  # whatever a policy does wrong, the robot is held and says why
        error = f"{type(failure).__name__}: {failure}"
        return PlanAnswer(request, loaded, None, error, time.monotonic() - began_s)

"""Plans are made here, on a thread that nothing waits for in real time."""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from ddpm_controller.control.plan_schedule import PlanRequest
from ddpm_controller.ros.policy_loader import LoadedPolicy
from ddpm_controller.types import Plan

_PATIENCE_S = 10.0


@dataclass(frozen=True)
class PlanAnswer:
    """What came of a request.

    Attributes:
        request: As it was submitted.
        used: The policy that was asked.
        plan: None when it failed.
        error: Why it failed.
        inference_time_s: Wall time.
    """

    request: PlanRequest
    used: LoadedPolicy
    plan: Plan | None
    error: str
    inference_time_s: float


class Planner:
    """One worker thread; a newer request replaces one that has not been begun.

    Args:
        on_answer: Called on the worker when an answer is there to be collected.
    """

    def __init__(self, on_answer: Callable[[], None]) -> None:
        self._on_answer = on_answer
        self._changed = threading.Condition()
        self._job: tuple[LoadedPolicy, PlanRequest] | None = None
        self._answers: deque[PlanAnswer] = deque()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="planner", daemon=True)
        self._thread.start()

    def submit(self, loaded: LoadedPolicy, request: PlanRequest) -> None:
        """Ask for a plan; returns at once."""
        with self._changed:
            self._job = (loaded, request)
            self._changed.notify()

    def collect(self) -> PlanAnswer | None:
        """Return the oldest answer that has not been collected, or None."""
        return self._answers.popleft() if self._answers else None

    def close(self) -> None:
        """End the thread after the plan that is being made, if that takes no longer than usual."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(_PATIENCE_S)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._job is not None)
                if self._closed or self._job is None:
                    return
                loaded, request = self._job
                self._job = None
            self._answers.append(_answer(loaded, request))
            self._on_answer()


def _answer(loaded: LoadedPolicy, request: PlanRequest) -> PlanAnswer:
    began_s = time.monotonic()
    try:
        plan, error = loaded.policy.plan(request.window, request.memory), ""
    except Exception as failure:  # whatever a policy does wrong, the robot is held and says why
        plan, error = None, f"{type(failure).__name__}: {failure}"
    return PlanAnswer(request, loaded, plan, error, time.monotonic() - began_s)

"""The recorded commands in order, and with which of them the controller began a run."""

import bisect
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ddpm_controller.control.states import Reason, State
from ddpm_controller.replay.recorded_run import RecordedCommand, RecordedRun


def run_ticks(run: RecordedRun) -> Iterator[tuple[RecordedCommand, bool]]:
    """Yield every command, and whether the controller began a run with it."""
    begins_s = _begins_s(run)
    previous_s = -np.inf
    for command in run.commands:
        between = (
            bisect.bisect_right(begins_s, previous_s),
            bisect.bisect_right(begins_s, command.stamp_s),
        )
        went_back = command.stamp_s < previous_s
        yield command, bool(np.isinf(previous_s) or went_back or between[0] < between[1])
        previous_s = command.stamp_s


def split_at_first_status(run: RecordedRun) -> tuple[list[RecordedCommand], RecordedRun]:
    """Return the commands before the first status, and the run without them.

    On a busy machine a recorder finds one topic seconds before another. What the controller did
    before its first status that is in the bag is not known: it had sent commands, but why?
    """
    first_s = min(status.stamp_s for status in run.statuses)
    before = [each for each in run.commands if each.stamp_s < first_s]
    since = [each for each in run.commands if each.stamp_s >= first_s]
    return before, replace(run, commands=since)


def _begins_s(run: RecordedRun) -> list[float]:
    """Return moments after which the next command is the first of a run.

    Either nothing was commanded before; or a robot that did not follow begins again; or plans were
    counted from 0 again: then the run began when it reported that it had no plan, at the latest
    when it took the first one over.
    """
    begins_s = [
        status.stamp_s
        for status in run.statuses
        if status.verdict.state in (State.INACTIVE, State.WAITING)
    ]
    begins_s += [
        status.stamp_s
        for before, status in zip(run.statuses, run.statuses[1:], strict=False)
        if (before.verdict.reason, status.verdict.reason) == (Reason.NOT_FOLLOWED, Reason.NO_PLAN)
    ]
    for previous, chunk in zip(run.chunks, run.chunks[1:], strict=False):
        span = (previous.takeover_s, chunk.takeover_s)
        if chunk.plan_number > previous.plan_number and chunk.seed == previous.seed:
            continue
        if any(span[0] < begin_s <= span[1] for begin_s in begins_s):
            continue
        without_plan_s = [
            status.stamp_s
            for status in run.statuses
            if span[0] < status.stamp_s <= span[1] and status.verdict.reason == Reason.NO_PLAN
        ]
        begins_s.append(min(without_plan_s, default=chunk.takeover_s))
    return sorted(begins_s)

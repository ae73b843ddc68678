"""What a recording lacks, as far as it shows: then a difference need not be the replay's."""

from collections.abc import Iterator

from ddpm_controller.replay.recorded_run import RecordedRun

_MOST_PLANS = 3


def recording_faults(run: RecordedRun) -> Iterator[str]:
    """Yield one sentence a fault."""
    for topic, count in sorted(run.lost.items()):
        yield f"{count} messages of {topic} were lost while recording"
    missing = _plans_in_force(run) - {chunk.plan_number for chunk in run.chunks}
    for number in sorted(missing)[:_MOST_PLANS]:
        yield f"plan {number} was in force and is not in the bag"
    if len(missing) > _MOST_PLANS:
        yield f"{len(missing) - _MOST_PLANS} more plans were in force and are not in the bag"
    if not run.is_whole:
        yield "its recorder did not finish it: the end may be missing"


def _plans_in_force(run: RecordedRun) -> set[int]:
    """Return the numbers of the plans that were followed since the first one in the bag.

    A status without a plan has the number 0.
    """
    since_s = min(chunk.takeover_s for chunk in run.chunks)
    return {each.plan_number for each in run.statuses if each.stamp_s > since_s} - {0}

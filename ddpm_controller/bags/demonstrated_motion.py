"""Actions of recordings without commands: where the joints, or those of a leader, were.

A robot that takes ``latency_s`` from a command to the motion repeats what was measured at a moment
when that is commanded ``latency_s`` before it. A leader was ahead of the robot already, by the
delay with which the robot followed it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ddpm_controller.bags.files import BagError
from ddpm_controller.data.following_delay import following_delay_s
from ddpm_controller.data.measured_track import MeasuredTrack
from ddpm_controller.robots.outputs import RobotOutput
from ddpm_controller.types import Episode

DEMONSTRATED = "demonstrated"
"""Key of a checkpoint's provenance: output -> what its actions are where they are no commands."""


def lead_s(
    output: RobotOutput,
    shown: tuple[np.ndarray, np.ndarray],
    track: MeasuredTrack | None,
    period_s: float,
) -> float:
    """Return by how much earlier positions count as actions than they were measured, s.

    Args:
        output: Whose actions they are.
        shown: Stamps (N,) in ns and positions (N, D) of what is learned as its actions.
        track: Where its joints were measured; None: nowhere.
        period_s: Period of the policy: where the latency of the robot is not known, the next
            measured position is the action. Without a latency a leader counts as commands do.

    Raises:
        BagError: The delay is not given, and the robot does not follow its leader.
    """
    if output.recorded_source == "measured":
        return output.latency_s or period_s
    if not output.latency_s:
        return 0.0
    delay_s = output.recorded_delay_s
    if delay_s is None:
        delay_s = _delay_s(shown, track)
    if delay_s is None:
        raise BagError(
            f"the joints of {output.name!r} do not follow their leader on "
            f"{output.recorded_topic}: correct recorded in the robot file, or give its delay_s"
        )
    return output.latency_s - delay_s


def _delay_s(shown: tuple[np.ndarray, np.ndarray], track: MeasuredTrack | None) -> float | None:
    stamps_ns, rows = shown
    if track is None or not len(track.stamps_ns) or not len(stamps_ns):
        return None
    zero_ns = track.stamps_ns[0]
    shown_s, measured_s = (stamps_ns - zero_ns) * 1e-9, (track.stamps_ns - zero_ns) * 1e-9
    return following_delay_s(shown_s, rows, measured_s, track.rows)


def demonstrated(
    outputs: Sequence[RobotOutput], episodes: Sequence[Episode]
) -> dict[str, Mapping[str, Any]]:
    """Return what a checkpoint records of actions that are no commands; empty: all are."""
    found: dict[str, Mapping[str, Any]] = {}
    for output in outputs:
        leads_s = [each.leads_s[output.name] for each in episodes if output.name in each.leads_s]
        if leads_s:
            found[output.name] = {
                "source": output.recorded_source,
                "topic": output.recorded_topic,
                "lead_s": [min(leads_s), max(leads_s)],
            }
    return found

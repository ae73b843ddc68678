"""What must not be learned of a recording: glitches, other clocks, parts without commands."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ddpm_controller.bags.files import BagError
from ddpm_controller.control.observing.plausible_joints import BEYOND
from ddpm_controller.data.glitches import Glitch, glitches
from ddpm_controller.data.measured_track import MeasuredTrack
from ddpm_controller.data.uncommanded import Uncommanded, uncommanded
from ddpm_controller.robots.commanded_limits import FOLLOW_M, FOLLOW_RAD
from ddpm_controller.robots.outputs import RobotOutput
from ddpm_controller.robots.robot import Robot

_MOST_LAG_S = 5.0
"""A stamp that is further behind its recording is of another clock, as of a simulation."""


def plausible_rows(
    bag: Path,
    robot: Robot,
    names: tuple[str, Sequence[str], Sequence[str]],
    stamps_ns: np.ndarray,
    rows: np.ndarray,
    *,
    may_jump: bool = False,
) -> np.ndarray:
    """Return which rows (N, D) hold no glitch, (N,).

    Args:
        bag: For messages.
        robot: Its rules, and its joints that turn without end.
        names: What the rows are, and name and unit of each column.
        stamps_ns: Stamps of the rows, (N,).
        rows: Numbers; NaN: none.
        may_jump: Whether all may jump, as speeds and forces do and positions of joints do not.

    Raises:
        BagError: There is a glitch and the robot file does not leave it out; with the first one.
    """
    what, columns, units = names
    wraps = {name for stream in robot.streams for name in stream.spec.wraps}
    free = [
        i
        for i, (name, unit) in enumerate(zip(columns, units, strict=True))
        if may_jump or name in wraps or unit not in BEYOND
    ]
    found = glitches(stamps_ns * 1e-9, rows, free)
    plausible = np.ones(len(rows), dtype=bool)
    plausible[[each.row for each in found]] = False
    if not found:
        return plausible
    text = f"bag {bag}, {what}: {_named(found[0], robot, columns, stamps_ns)}"
    more = int((~plausible).sum()) - 1
    text += f", and {more} more such messages" if more else ""
    if robot.recordings.glitches == "refuse":
        raise BagError(
            f"{text}: correct the recording, or set recordings: {{glitches: leave_out}} in the "
            "robot file"
        )
    warnings.warn(f"{text}: left out", stacklevel=2)
    return plausible


def _named(glitch: Glitch, robot: Robot, names: Sequence[str], stamps_ns: np.ndarray) -> str:
    name = names[glitch.column]
    given = robot.given_limits.get(name)
    limits = f", its limits are {given.range_text}" if given else ""
    after_s = (stamps_ns[glitch.row] - stamps_ns[0]) * 1e-9
    return (
        f"at {stamps_ns[glitch.row] * 1e-9:.3f} s, {after_s:.3f} s after the first message, joint "
        f"{name!r} is {glitch.value:.6g}, but no motion leads beyond {glitch.lowest:.3g} to "
        f"{glitch.highest:.3g} there{limits}"
    )


def refuse_other_clocks(bag: Path, robot: Robot, leads_ns: Mapping[str, Sequence[int]]) -> None:
    """Raise where a stream is stamped by another clock than the commands.

    A recording that was recorded again has old stamps everywhere: what counts is that streams and
    commands fit together.

    Args:
        bag: For messages.
        robot: An offset beyond the age at which a stream is stale is one of clocks, as live.
        leads_ns: Stream -> stamps minus times of recording; of the commands under no name.

    Raises:
        BagError: With the offset.
    """
    medians_s = {name: float(np.median(each)) * 1e-9 for name, each in leads_ns.items()}
    for name, lead_s in other_clocks(robot, medians_s).items():
        side = "ahead of" if lead_s > 0 else "behind"
        command_s = medians_s.get("", 0.0)
        raise BagError(
            f"bag {bag}: the stamps of {name} are {abs(lead_s):.3f} s {side} the time at which "
            f"they were recorded, those of the commands {command_s:+.3f} s; max_age_s "
            f"is {robot.max_ages_s[name]}: set the clocks (chrony) and record again, or correct "
            "the stamps"
        )


def other_clocks(robot: Robot, leads_s: Mapping[str, float]) -> dict[str, float]:
    """Return stream -> how far its stamps are ahead, s, where they are of another clock.

    Args:
        robot: An offset beyond the age at which a stream is stale is one of clocks, as live.
        leads_s: Stream -> stamps minus times of arrival; of the commands under no name.
    """
    command_s = leads_s.get("", 0.0)
    return {
        name: lead_s
        for name, lead_s in leads_s.items()
        if name and min(abs(lead_s), abs(lead_s - command_s)) > robot.max_ages_s[name]
    }


def refuse_arrivals(bag: Path, robot: Robot, leads_ns: Mapping[str, Sequence[int]]) -> None:
    """Raise where messages without a stamp would count by another clock than the stamps.

    Args:
        bag: For messages.
        robot: Its streams.
        leads_ns: As ``refuse_other_clocks``.

    Raises:
        BagError: With the offset.
    """
    arrival = sorted({each.topic for each in robot.streams if each.counts_from_arrival})
    stamped = [each.spec.name for each in robot.streams if each.is_stamped]
    leads_s = [float(np.median(leads_ns[name])) * 1e-9 for name in stamped if name in leads_ns]
    if arrival and leads_s and (offset_s := min(leads_s, key=abs)) < -_MOST_LAG_S:
        raise BagError(
            f"bag {bag}: {arrival} have no stamps and count from when they were recorded, which "
            f"is {-offset_s:.0f} s later than the stamps of the others: record with the clock of "
            "the stamps (ros2 bag record --use-sim-time)"
        )


def uncommanded_parts(
    bag: Path,
    robot: Robot,
    output: RobotOutput,
    pauses: Sequence[tuple[int, int, np.ndarray]],
    track: MeasuredTrack,
) -> list[tuple[int, int]]:
    """Return where the joints of an output move without a command, ns; a warning names each part.

    Args:
        bag: For messages.
        robot: Its rules and limits.
        output: What was commanded.
        pauses: As ``CommandedMotion.pauses``.
        track: Where its joints are measured.

    Raises:
        BagError: There is such a part and the robot file refuses it.
    """
    if not pauses or not len(track.stamps_ns):
        return []
    zero_ns = int(track.stamps_ns[0])
    times_ns = np.array([(begin_ns, end_ns) for begin_ns, end_ns, _ in pauses]) - zero_ns
    held = np.stack([position for _, _, position in pauses])
    since_s = (track.stamps_ns - zero_ns) * 1e-9
    tolerance = follow_tolerances(robot, output)
    found = uncommanded(times_ns * 1e-9, held, since_s, track.rows, tolerance)
    for part in found:
        text = f"bag {bag}: {_called(part, output, zero_ns)}"
        if robot.recordings.uncommanded == "refuse":
            raise BagError(
                f"{text}: record without such a part, or set recordings in the robot file"
            )
        becomes = {"leave_out": "left out", "measured": "what is measured is learned there"}
        warnings.warn(f"{text}: {becomes[robot.recordings.uncommanded]}", stacklevel=2)
    return [
        (zero_ns + round(part.begin_s * 1e9), zero_ns + round(part.end_s * 1e9)) for part in found
    ]


def _called(part: Uncommanded, output: RobotOutput, zero_ns: int) -> str:
    name, unit = output.names[part.joint], output.units[part.joint]
    return (
        f"no command on {output.topic} from {zero_ns * 1e-9 + part.begin_s:.3f} s on, for "
        f"{part.end_s - part.begin_s:.2f} s, while joint {name!r} went {part.distance:.3g} {unit} "
        "away from the last one"
    )


def follow_tolerances(robot: Robot, output: RobotOutput) -> np.ndarray:
    """Return how far each joint may be from a command that it follows, (D,)."""
    wraps = {name for stream in robot.streams for name in stream.spec.wraps}
    found = []
    for name, unit in zip(output.names, output.units, strict=True):
        given = robot.given_limits.get(name)
        usual = FOLLOW_RAD if unit == "rad" else FOLLOW_M
        own = given.follow_tolerance if given is not None else None
        # A joint within one turn jumps by it: that is no way.
        found.append(np.inf if name in wraps else usual if own is None else own)
    return np.array(found)

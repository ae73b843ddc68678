"""What must not be learned of a recording: glitches, other clocks, parts without commands."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ddpm_controller.bags.files import BagError
from ddpm_controller.data.glitches import Glitch, glitches
from ddpm_controller.data.uncommanded import Uncommanded, uncommanded
from ddpm_controller.robots.commanded_limits import FOLLOW_M, FOLLOW_RAD
from ddpm_controller.robots.robot import Robot


def plausible_rows(
    bag: Path,
    robot: Robot,
    what: str,
    names: Sequence[str],
    stamps_ns: np.ndarray,
    rows: np.ndarray,
    *,
    are_positions: bool = True,
) -> np.ndarray:
    """Return which rows (N, D) hold no glitch, (N,).

    Args:
        bag: For messages.
        robot: Its rules, and its joints that turn without end.
        what: What the rows are, for messages.
        names: One per column.
        stamps_ns: Stamps of the rows, (N,).
        rows: Numbers; NaN: none.
        are_positions: Whether they are positions of joints, which cannot jump.

    Raises:
        BagError: There is a glitch and the robot file does not leave it out; with the first one.
    """
    wraps = {name for stream in robot.streams for name in stream.spec.wraps}
    free = [i for i, name in enumerate(names) if name in wraps or not are_positions]
    found = glitches(stamps_ns * 1e-9, rows, free)
    plausible = np.ones(len(rows), dtype=bool)
    plausible[[each.row for each in found]] = False
    if not found:
        return plausible
    text = f"bag {bag}, {what}: {_named(found[0], robot, names, stamps_ns)}"
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


def refuse_other_clocks(
    bag: Path, max_ages_s: Mapping[str, float], leads_s: Mapping[str, float], command_s: float
) -> None:
    """Raise where a stream is stamped by another clock than the commands.

    A recording that was recorded again has old stamps everywhere: what counts is that streams and
    commands fit together.

    Args:
        bag: For messages.
        max_ages_s: Stream -> age at which it is stale, to the robot as here.
        leads_s: Stream -> median of stamp minus time of recording, s.
        command_s: The same of the commands.

    Raises:
        BagError: With the offset.
    """
    for name, lead_s in leads_s.items():
        if min(abs(lead_s), abs(lead_s - command_s)) <= max_ages_s[name]:
            continue
        side = "ahead of" if lead_s > 0 else "behind"
        raise BagError(
            f"bag {bag}: the stamps of {name} are {abs(lead_s):.3f} s {side} the time at which "
            f"they were recorded, those of the commands {command_s:+.3f} s; max_age_s is "
            f"{max_ages_s[name]}: set the clocks (chrony) and record again, or correct the stamps"
        )


def uncommanded_parts(
    bag: Path,
    robot: Robot,
    pauses: Sequence[tuple[int, int, np.ndarray]],
    stamps_ns: np.ndarray,
    measured: np.ndarray,
) -> list[tuple[int, int]]:
    """Return where the joints move without a command, ns; a warning names each part.

    Args:
        bag: For messages.
        robot: Its joints and rules.
        pauses: As ``CommandedMotion.pauses``.
        stamps_ns: Stamps of what is measured, (N,).
        measured: Where the joints are, (N, Da).

    Raises:
        BagError: There is such a part and the robot file refuses it.
    """
    if not pauses:
        return []
    zero_ns = int(stamps_ns[0])
    times_s = np.array([(begin_ns, end_ns) for begin_ns, end_ns, _ in pauses]) - zero_ns
    held = np.stack([position for _, _, position in pauses])
    since_s = (stamps_ns - zero_ns) * 1e-9
    found = uncommanded(times_s * 1e-9, held, since_s, measured, _tolerance(robot))
    for part in found:
        text = f"bag {bag}: {_called(part, robot, zero_ns)}"
        if robot.recordings.uncommanded == "refuse":
            raise BagError(
                f"{text}: record without such a part, or set recordings in the robot file"
            )
        becomes = {"leave_out": "left out", "measured": "what is measured is learned there"}
        warnings.warn(f"{text}: {becomes[robot.recordings.uncommanded]}", stacklevel=2)
    return [
        (zero_ns + round(part.begin_s * 1e9), zero_ns + round(part.end_s * 1e9)) for part in found
    ]


def _called(part: Uncommanded, robot: Robot, zero_ns: int) -> str:
    name, unit = robot.action_spec.joint_names[part.joint], robot.action_spec.units[part.joint]
    return (
        f"no command from {zero_ns * 1e-9 + part.begin_s:.3f} s on, for "
        f"{part.end_s - part.begin_s:.2f} s, while joint {name!r} went {part.distance:.3g} {unit} "
        "away from the last one"
    )


def _tolerance(robot: Robot) -> np.ndarray:
    """Return how far each joint may be from a command that it follows, (Da,)."""
    wraps = {name for stream in robot.streams for name in stream.spec.wraps}
    spec, found = robot.action_spec, []
    for name, unit in zip(spec.joint_names, spec.units, strict=True):
        given = robot.given_limits.get(name)
        if given is not None and given.follow_tolerance is not None:
            found.append(given.follow_tolerance)
        else:
            found.append(FOLLOW_RAD if unit == "rad" else FOLLOW_M)
        if name in wraps:
            found[-1] = np.inf  # a whole turn is no way
    return np.array(found)

"""Stamps that are missing, or of another clock than the recording."""

from collections.abc import Iterator

import numpy as np

from ddpm_controller.lint.finding import Finding, Severity
from ddpm_controller.lint.recording import Pictures, Recording, Track
from ddpm_controller.robots.robot import Robot

_LONG_AGO_NS = 1_000_000_000 * 10**9
"""A moment of 2001; a clock of today that is before it counts from when a machine started."""
_AHEAD_S = 0.01
"""No message is recorded before it was made; clocks of one machine differ by less."""
_JUMP_S = 0.5
_AT_ONCE_NS = 100_000_000
"""What a recorder finds when it begins is recorded within this time."""
_BACK_S = 0.001
_DRIFT_S = 0.1
_CLOCKS = "set the clocks of all machines (chrony) and record again, or correct the stamps"
_DRIVER = "have the driver stamp each message when its numbers are acquired"


def check_stamps(recording: Recording, robot: Robot) -> Iterator[Finding]:
    """Yield streams and commands whose stamps cannot be those of the recording's clock."""
    commands = [each for each in recording.commands if each.is_stamped and _are_known(each)]
    command_s = [float(np.median(_leads_s(each))) for each in commands]
    every: list[Track | Pictures] = [*recording.tracks, *recording.pictures]
    for each in every:
        if not len(each.log_ns) or (isinstance(each, Track) and not each.is_stamped):
            continue
        is_command = isinstance(each, Track) and each.output is not None
        yield from _zeros(recording, each, is_command=is_command)
        if not _are_known(each):
            continue
        found = [*_jumps(recording, each), *_since_boot(recording, each)]
        yield from found
        if not found:
            max_age_s = np.inf if is_command else robot.max_ages_s.get(each.name, np.inf)
            yield from _ahead(recording, each, max_age_s, [0.0, *command_s])
            yield from _drift(recording, each)
        yield from _back(recording, each)


def _are_known(each: Track | Pictures) -> bool:
    return int((each.stamps_ns > 0).sum()) > 1


def _leads_s(each: Track | Pictures) -> np.ndarray:
    """Return stamps minus times of recording, of what has a stamp."""
    known = each.stamps_ns > 0
    return (each.stamps_ns[known] - each.log_ns[known]) * 1e-9


def _zeros(recording: Recording, each: Track | Pictures, *, is_command: bool) -> Iterator[Finding]:
    share = float((each.stamps_ns == 0).mean())
    if share == 0 or (is_command and share == 1):  # a command without a stamp counts at once
        return
    text = f"{share:.0%} of the messages of {each.name} have no stamp and count from their arrival"
    yield Finding("zero_stamps", "doubtful", recording.name, text, _DRIVER)


def _since_boot(recording: Recording, each: Track | Pictures) -> Iterator[Finding]:
    stamp_ns, log_ns = int(np.median(each.stamps_ns)), int(np.median(each.log_ns))
    if 0 < stamp_ns < _LONG_AGO_NS < log_ns:
        text = f"stamps of {each.name} are {stamp_ns * 1e-9:.0f} s: time since a machine started?"
        others = [o for o in (*recording.states, *recording.commands) if _are_known(o)]
        is_alone = any(abs(o.shift_ns - (log_ns - stamp_ns)) > 10**9 for o in others)
        how: Severity = "wrong" if is_alone else "doubtful"
        yield Finding("stamps_since_boot", how, recording.name, text, _DRIVER)


def _jumps(recording: Recording, each: Track | Pictures) -> Iterator[Finding]:
    """Yield where the stamps jump and the recording does not, as when two clocks take turns."""
    known = each.stamps_ns > 0
    passed_s = np.diff(each.stamps_ns[known]) * 1e-9
    recorded_s = np.diff(each.log_ns[known]) * 1e-9
    usual_s = float(np.median(np.abs(recorded_s))) if len(recorded_s) else 0.0
    jumps = np.abs(passed_s - recorded_s) > _JUMP_S
    # A recorder that stood still has a hole in its own times; then nothing is known of the stamps.
    pauses = recorded_s >= max(_JUMP_S, 3 * usual_s)
    jumps &= ~pauses
    # What had waited is written at once then: stamps that pass as usual are no jump.
    jumps &= (passed_s < 0) | (passed_s > _JUMP_S)
    jumps &= ~((passed_s > 0) & _held(each.stamps_ns[known], each.log_ns[known], pauses)[:-1])
    if jumps.any():
        worst_s = float(passed_s[jumps][np.argmax(np.abs(passed_s[jumps]))])
        text = f"stamps of {each.name} jump {int(jumps.sum())} times, by {worst_s:+.3f} s"
        text += " while the recording does not: two clocks, or one that was set"
        yield Finding("two_clocks", "wrong", recording.name, text, _CLOCKS)


def _held(stamps_ns: np.ndarray, log_ns: np.ndarray, pauses: np.ndarray) -> np.ndarray:
    """Return which messages may have been true for a while before they were recorded, (N,).

    So are goals: one that holds is recorded when the recording begins, with the stamp of when it
    was sent, and one after a pause may have waited in it. Neither shows a second clock.

    Args:
        stamps_ns: Stamps in the order of recording, (N,).
        log_ns: Times of recording, (N,).
        pauses: Before which messages but the first nothing came for long, (N - 1,).
    """
    since_begin_ns = log_ns - log_ns[0]
    before_ns = np.diff(log_ns, prepend=log_ns[0])
    late_ns = log_ns - stamps_ns
    at_begin = (since_begin_ns <= _AT_ONCE_NS) & (stamps_ns > _LONG_AGO_NS)
    after_pause = np.append(False, pauses) & (late_ns <= before_ns)
    held: np.ndarray = (late_ns > 0) & (at_begin | after_pause)
    return held


def _ahead(
    recording: Recording, each: Track | Pictures, max_age_s: float, own_s: list[float]
) -> Iterator[Finding]:
    lead_s = float(np.median(_leads_s(each)))
    apart_s = min(abs(lead_s - other_s) for other_s in own_s)
    is_wrong = apart_s > max_age_s
    if not (is_wrong or lead_s > _AHEAD_S):
        return
    how: Severity = "wrong" if is_wrong else "doubtful"
    side = "ahead of" if lead_s > 0 else "behind"
    text = f"stamps of {each.name} are {abs(lead_s):.3f} s {side} their times of recording"
    yield Finding(
        "stamps_ahead" if lead_s > 0 else "two_clocks", how, recording.name, text, _CLOCKS
    )


def _drift(recording: Recording, each: Track | Pictures) -> Iterator[Finding]:
    leads_s = _leads_s(each)
    n = len(leads_s) // 4
    if n < 5:
        return
    # Delays only ever make a message late, so the least late ones show the clocks.
    begin_s, end_s = np.percentile(leads_s[:n], 90), np.percentile(leads_s[-n:], 90)
    if abs(end_s - begin_s) > _DRIFT_S:
        text = f"stamps of {each.name} drift by {end_s - begin_s:+.3f} s against the recording"
        yield Finding("two_clocks", "doubtful", recording.name, text, _CLOCKS)


def _back(recording: Recording, each: Track | Pictures) -> Iterator[Finding]:
    stamps_ns = each.stamps_ns[each.stamps_ns > 0]
    if isinstance(each, Track) and each.output is None:
        known = np.isfinite(each.rows[each.stamps_ns > 0])
        whole = known.all(axis=1)
        stamps_ns = stamps_ns[whole] if whole.any() else stamps_ns  # parts have their own order
    back_s = -np.diff(stamps_ns) * 1e-9
    if (back_s > _BACK_S).any():
        text = f"stamps of {each.name} go back {int((back_s > _BACK_S).sum())} times, by up to "
        text += f"{back_s.max():.3f} s; such messages are not used"
        yield Finding("stamps_go_back", "doubtful", recording.name, text, _DRIVER)

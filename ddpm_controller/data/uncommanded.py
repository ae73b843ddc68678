"""Parts of a recording in which a robot moves that nothing commands, as when guided by hand."""

from dataclasses import dataclass

import numpy as np

SHORTEST_S = 0.5
"""A shorter pause between two commands is one of the publisher."""


@dataclass(frozen=True)
class Uncommanded:
    """A part without a command in which the joints leave the last one.

    Attributes:
        begin_s: When what was commanded ended.
        end_s: When the next command came, or the recording ended.
        joint: Column of the joint that went furthest.
        distance: How far it went away, rad or m.
    """

    begin_s: float
    end_s: float
    joint: int
    distance: float


def uncommanded(
    pauses_s: np.ndarray,
    held: np.ndarray,
    stamps_s: np.ndarray,
    measured: np.ndarray,
    tolerance: np.ndarray,
) -> list[Uncommanded]:
    """Return the pauses in which a joint goes away from where the last command has it.

    To stand still without commands is fine, and so is to come nearer: a slow robot does so long
    after a command.

    Args:
        pauses_s: Beginning and end of each time without a command, (P, 2).
        held: Position that is commanded in each, (P, Da).
        stamps_s: Stamps of what is measured, (N,), rising.
        measured: Where the joints are, (N, Da).
        tolerance: How far each may go away, (Da,).
    """
    found = []
    for (begin_s, end_s), position in zip(pauses_s.tolist(), held, strict=True):
        first, last = np.searchsorted(stamps_s, [begin_s, end_s])
        if end_s - begin_s < SHORTEST_S or last - first < 2:
            continue
        away = np.abs(measured[first:last] - position)  # (M, Da)
        gone = (away - np.minimum.accumulate(away)).max(axis=0)
        if (gone > tolerance).any():
            joint = int(np.argmax(gone / tolerance))
            found.append(Uncommanded(begin_s, end_s, joint, float(gone[joint])))
    return found

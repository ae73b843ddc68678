"""Images that stand still while the robot moves, and cameras that were exchanged."""

from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise

import numpy as np

from ddpm_controller.lint.finding import Finding
from ddpm_controller.lint.recording import Pictures, Recording, Track
from ddpm_controller.robots.robot import Robot

_FEWEST = 4
_LEAST_S = 0.4
_SURE_S = 1.0
_MOVES = {"rad": 0.1, "m": 0.02}
_BETTER = 0.5
"""The other camera fits this much better where two are exchanged."""
_LEAST_APART = 8.0
"""Cameras whose pictures differ by less, of 255, cannot be distinguished."""
_FEWEST_SHOWN = 2


def check_frozen(recording: Recording, robot: Robot) -> Iterator[Finding]:
    """Yield cameras that send the same image again and again while joints move."""
    for pictures in recording.pictures:
        changes = np.flatnonzero(np.diff(pictures.digests)) + 1
        edges = [0, *changes.tolist(), len(pictures.digests)]
        runs = [
            (begin, end)
            for begin, end in pairwise(edges)
            if end - begin >= _FEWEST and _moves(recording, pictures.log_ns[[begin, end - 1]])
        ]
        if not runs:
            continue
        spans_s = [float(np.ptp(pictures.log_ns[[b, e - 1]])) * 1e-9 for b, e in runs]
        longest_s = max(spans_s)
        begin, end = runs[int(np.argmax(spans_s))]
        if longest_s < _LEAST_S:
            continue
        # A camera that never changes may be simulated, or look at a wall.
        is_sure = longest_s >= _SURE_S and len(edges) > 2 + len(runs)
        since_s = (pictures.log_ns[begin] - pictures.log_ns[0]) * 1e-9
        yield Finding(
            "frozen_images",
            "wrong" if is_sure else "doubtful",
            recording.name,
            f"{pictures.name} has the same image {end - begin} times in {longest_s:.2f} s, from "
            f"{since_s:.2f} s on, while joints move",
            "look for the camera's cable and driver, and record again",
            part_ns=(int(pictures.log_ns[begin]), int(pictures.log_ns[end - 1])),
        )


def _moves(recording: Recording, ends_ns: np.ndarray) -> bool:
    return any(_moves_in(track, *ends_ns.tolist()) for track in recording.states)


def _moves_in(track: Track, begin_ns: int, end_ns: int) -> bool:
    inside = (track.times_ns >= begin_ns) & (track.times_ns <= end_ns)
    return bool(inside.sum() > 1) and any(
        float(np.ptp(np.nanpercentile(track.rows[inside, column], [5, 95])))
        > _MOVES[track.units[column]]
        for column in track.positions
        if not np.isnan(track.rows[inside, column]).all()
    )


def check_exchanged(recordings: Sequence[Recording], robot: Robot) -> Iterator[Finding]:
    """Yield recordings in which two cameras show what the other one shows elsewhere."""
    recordings = [each for each in recordings if each.pictures]
    names = [each.name for each in recordings[0].pictures] if recordings else []
    for one, other in combinations(range(len(names)), 2):
        usual = [_usual(recordings, i) for i in (one, other)]
        if usual[0] is None or usual[1] is None:
            continue
        if float(np.abs(usual[0] - usual[1]).mean()) < _LEAST_APART:
            continue
        for each in recordings:
            pair = each.pictures[one], each.pictures[other]
            votes = [_looks_like(pair[0], usual[0], usual[1]), _looks_like(pair[1], *usual[::-1])]
            if all(vote.sum() >= _FEWEST_SHOWN and vote.mean() > 0.05 for vote in votes):
                share = min(float(vote.mean()) for vote in votes)
                yield Finding(
                    "swapped_images",
                    "wrong",
                    each.name,
                    f"{names[one]} and {names[other]} show each what the other one shows "
                    f"elsewhere, in {share:.0%} of the images",
                    "correct the topics of the cameras and record again",
                )


def _usual(recordings: Sequence[Recording], at: int) -> np.ndarray | None:
    """Return the median thumbnail of a camera over all recordings; None: there is none."""
    medians = [
        np.median(each.pictures[at].thumbnails, axis=0)
        for each in recordings
        if len(each.pictures[at].thumbnails)
    ]
    if len(medians) == 1:
        alone = next(e.pictures[at] for e in recordings if len(e.pictures[at].thumbnails))
        return np.asarray(np.median(alone.thumbnails, axis=0))
    return np.asarray(np.median(medians, axis=0)) if medians else None


def _looks_like(pictures: Pictures, own: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return which thumbnails are much nearer to the other camera, (M,)."""
    to_own = np.abs(pictures.thumbnails - own).mean(axis=(1, 2, 3))
    to_other = np.abs(pictures.thumbnails - other).mean(axis=(1, 2, 3))
    return np.asarray(to_other < _BETTER * to_own)

"""Images that stand still while the robot moves, and cameras that were exchanged."""

from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise

import numpy as np

from ddpm_controller.lint.finding import Finding
from ddpm_controller.lint.recording import Recording, Track
from ddpm_controller.robots.robot import Robot

_FEWEST = 4
_LEAST_S = 0.4
_SURE_S = 1.0
_MOVES = {"rad": 0.1, "m": 0.02}
_BETTER = 0.7
"""The other camera fits this much better where two are exchanged."""
_LEAST_APART = 8.0
"""Images that are nearer to those of their own camera, of 255 for both, are where they belong."""
_FEWEST_SHOWN = 2
_MOST_KNOWN = 200


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
    """Yield recordings in which two cameras show what the other one shows elsewhere.

    Each image is compared with the nearest one of either camera in the other recordings; both
    cameras together decide, for one of them may show nearly the same.
    """
    recordings = [each for each in recordings if each.pictures]
    names = [each.name for each in recordings[0].pictures] if recordings else []
    for one, other in combinations(range(len(names)), 2):
        for each in recordings:
            shown = [each.pictures[i].thumbnails for i in (one, other)]
            known = [_of_others(recordings, each, i) for i in (one, other)]
            count = min(map(len, shown))
            if count == 0 or min(map(len, known)) == 0:
                continue
            own, exchanged = (
                _nearest(shown[0][:count], known[i]) + _nearest(shown[1][:count], known[1 - i])
                for i in (0, 1)
            )
            votes = (exchanged < _BETTER * own) & (own > _LEAST_APART)
            if votes.sum() >= _FEWEST_SHOWN:
                yield Finding(
                    "swapped_images",
                    "wrong",
                    each.name,
                    f"{names[one]} and {names[other]} show each what the other one shows "
                    f"elsewhere, in {votes.mean():.0%} of the images",
                    "correct the topics of the cameras and record again",
                )


def _of_others(recordings: Sequence[Recording], own: Recording, at: int) -> np.ndarray:
    """Return thumbnails of a camera in the other recordings, a few of all, (K, 8, 8, 3)."""
    found = [each.pictures[at].thumbnails for each in recordings if each is not own]
    joined = np.concatenate(found) if found else np.zeros((0, 8, 8, 3), np.float32)
    return joined[:: max(len(joined) // _MOST_KNOWN, 1)]


def _nearest(thumbnails: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return how far each thumbnail is from the nearest known one, (M,), 0 to 255."""
    return np.array([np.abs(known - each).mean(axis=(1, 2, 3)).min() for each in thumbnails])

"""Episodes beside each other: those unlike all others, and those nearly the same."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ddpm_controller.lint.finding import Finding
from ddpm_controller.lint.recording import Recording
from ddpm_controller.robots.robot import Robot

_POINTS = 32
_FEWEST = 6
_WIDER = 1.5
_APART = 6.0
_LEAST_RATIO = 3.0
_LEAST_SPREAD = 0.15
"""Share of the middle, or difference of logarithms, by which episodes differ anyway."""
_SAME = 0.002
"""Share of the usual range by which two nearly equal episodes differ at most, on average."""
_SAME_LENGTH = 0.02
_STOOD = 0.05
"""Share of what a joint moves at least by which one that stands may seem to move."""
_LEAST_RANGE = {"rad": 0.1, "m": 0.02}
"""A joint that usually moves less is compared as if it moved this far."""


@dataclass(frozen=True)
class _Shape:
    """How one episode moves: ``_POINTS`` positions of all joints, (P, D), and how long.

    What a joint moves at least where it is compared is (D,), and which joints are commanded.
    ``success`` is its mark; None: it has none.
    """

    recording: Recording
    number: int
    begin_ns: int
    end_ns: int
    way: np.ndarray
    least: np.ndarray
    are_commanded: np.ndarray
    duration_s: float
    success: bool | None = None


def check_among(recordings: Sequence[Recording], robot: Robot) -> Iterator[Finding]:
    """Yield episodes that are far from all others, and those that repeat an earlier one.

    An episode is the way of its joints at 32 moments, each joint by the usual range of the set.
    How far it is from the nearest other one is compared with how far the others are; by its
    commanded joints, where they are measured: where other things are is meant to differ.
    """
    commanded = set(robot.action_spec.joint_names)
    shapes = [shape for each in recordings for shape in _shapes(each, commanded)]
    if len(shapes) < 2 or len({each.way.shape for each in shapes}) > 1:
        return
    ways = np.stack([each.way for each in shapes])  # (E, P, D)
    low, high = np.percentile(ways, [20, 80], axis=(0, 1))  # which few episodes do not widen
    ways = ways / np.maximum(_WIDER * (high - low), shapes[0].least)
    durations = np.array([each.duration_s for each in shapes])
    yield from _repeated(shapes, _apart(ways), durations)
    if len(shapes) >= _FEWEST:
        own = shapes[0].are_commanded
        apart = _apart(ways[..., own] if own.any() else ways)
        np.fill_diagonal(apart, np.inf)
        yield from _unlike(shapes, apart.min(axis=1), durations)


def _apart(ways: np.ndarray) -> np.ndarray:
    """Return how far episodes (E, P, D) are from each other, (E, E)."""
    flat = ways.reshape(len(ways), -1)
    return np.stack([np.sqrt(((flat - each) ** 2).mean(axis=1)) for each in flat])


def _repeated(
    shapes: Sequence[_Shape], apart: np.ndarray, durations: np.ndarray
) -> Iterator[Finding]:
    for i in range(1, len(shapes)):
        same = np.abs(durations[:i] - durations[i]) <= _SAME_LENGTH * durations[i]
        j = int(np.argmin(np.where(same, apart[i, :i], np.inf)))
        if not (same[j] and apart[i, j] < _SAME):
            continue
        first = shapes[j]
        if {first.success, shapes[i].success} == {True, False}:
            text = f"is marked as {_mark(shapes[i])} and moves as {first.recording.name}"
            text += f"#{first.number} does, which is marked as {_mark(first)}"
            yield _mislabelled(shapes[i], text)
        yield Finding(
            "near_duplicate",
            "doubtful",
            shapes[i].recording.name,
            f"moves as {first.recording.name}#{first.number} does, within {apart[i, j]:.2g} of "
            "the range of its joints",
            "leave one of them out: what is there twice counts twice, and may be held out too",
            shapes[i].number,
            _stamps(shapes[i]),
            is_surplus=True,
        )


def check_marks(recordings: Sequence[Recording], robot: Robot) -> Iterator[Finding]:
    """Yield episodes that are marked as successes and in which nothing moves, where others do."""
    commanded = set(robot.action_spec.joint_names)
    shapes = [shape for each in recordings for shape in _shapes(each, commanded)]
    stood = [bool((np.ptp(each.way, axis=0) < _STOOD * each.least).all()) for each in shapes]
    if len(shapes) < 2 or 2 * sum(stood) > len(shapes):
        return
    for shape, is_still in zip(shapes, stood, strict=True):
        if is_still and shape.success:
            yield _mislabelled(shape, "is marked as a success, and no joint moves in it")


def _mislabelled(shape: _Shape, text: str) -> Finding:
    remedy = "look at it; mark it again, or leave it out"
    where = shape.recording.name, text, remedy, shape.number, _stamps(shape)
    return Finding("mislabelled", "doubtful", *where)


def _mark(shape: _Shape) -> str:
    return "a success" if shape.success else "failed"


def _unlike(
    shapes: Sequence[_Shape], nearest: np.ndarray, durations: np.ndarray
) -> Iterator[Finding]:
    for what, values in (("way of its joints", nearest), ("duration", np.log(durations))):
        middle = float(np.median(values))
        is_way = values is nearest
        least = _LEAST_SPREAD * (middle if is_way else 1.0)
        spread = max(1.4826 * float(np.median(np.abs(values - middle))), least)
        for shape, value in zip(shapes, values.tolist(), strict=True):
            off = value - middle if is_way else abs(value - middle)
            if off < _APART * spread or (is_way and value < _LEAST_RATIO * middle):
                continue
            figure = (
                f"{value:.2g} ranges from the nearest other one, others {middle:.2g}"
                if is_way
                else f"{np.exp(value):.3g} s, others {np.exp(middle):.3g} s"
            )
            yield Finding(
                "outlier_episode",
                "doubtful",
                shape.recording.name,
                f"{what}: {figure}",
                "look at it: another task, a failure, or a case that needs more demonstrations",
                shape.number,
                _stamps(shape),
            )


def _stamps(shape: _Shape) -> tuple[int, int]:
    return shape.recording.shift_of(shape.begin_ns), shape.recording.shift_of(shape.end_ns)


def _shapes(recording: Recording, commanded: set[str]) -> Iterator[_Shape]:
    for part in recording.parts:
        begin_ns = max(part.begin_ns, recording.ends_ns[0])
        end_ns = min(part.end_ns, recording.ends_ns[1])
        if end_ns <= begin_ns:
            continue
        moments = np.linspace(begin_ns, end_ns, _POINTS)
        columns, least, own = [], [], []
        for track in recording.states:
            for column in track.positions:
                known = np.isfinite(track.rows[:, column])
                order = np.argsort(track.times_ns[known], kind="stable")
                if len(order):
                    times_ns, values = track.times_ns[known][order], track.rows[known, column]
                    columns.append(np.interp(moments, times_ns, values[order]))
                    least.append(_LEAST_RANGE[track.units[column]])
                    own.append(track.names[column] in commanded)
        if columns:
            way, lasts_s = np.stack(columns, axis=1), (end_ns - begin_ns) * 1e-9
            ends_ns = begin_ns, end_ns
            chosen = np.array(least), np.array(own)
            yield _Shape(recording, part.number, *ends_ns, way, *chosen, lasts_s, part.success)

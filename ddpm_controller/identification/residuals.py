"""What a recording has beside the motion: residuals against commands or against a smooth fit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Against = Literal["command", "smooth"]
Field = Literal["position", "force", "velocity"]


class ResidualError(ValueError):
    """A recording that gives no residual; the text names it, the reason and the remedy."""


@dataclass(frozen=True)
class ResidualChoice:
    """Which residual is taken.

    Attributes:
        against: The command, or a smooth fit of the measurement itself.
        lag: Rows by which the robot follows its command late.
        window: Rows of the smooth fit, odd.
        stream: Stream of a robot file; empty: the one that measures the commanded joints.
        joints: Elements that are kept; empty: all.
        field: Field of the MATLAB file.
        every: Keep every so many rows of the MATLAB file.
    """

    against: Against = "command"
    lag: int = 0
    window: int = 31
    stream: str = ""
    joints: tuple[str, ...] = ()
    field: Field = "position"
    every: int = 7


@dataclass(frozen=True)
class Residuals:
    """The noise of one recording.

    Attributes:
        values: (N, D) float64, in ``units``.
        names: One per column.
        units: One per column.
        period_s: Time between rows.
        source: Where it came from.
    """

    values: np.ndarray
    names: tuple[str, ...]
    units: tuple[str, ...]
    period_s: float
    source: str

    def __post_init__(self) -> None:
        columns = len(self.names)
        if self.values.ndim != 2 or self.values.shape[1] != columns or columns != len(self.units):
            raise ResidualError(
                f"{self.source}: values of shape {self.values.shape} need {columns} columns and "
                f"units, one per name; got {len(self.units)} units"
            )
        refuse_not_finite(self.values, self.source)
        if not self.period_s > 0:
            raise ResidualError(
                f"{self.source}: period_s must be above 0, got {self.period_s}: give the time "
                "between two rows"
            )


def against_command(measured: np.ndarray, commanded: np.ndarray, lag: int = 0) -> np.ndarray:
    """Return measured minus commanded, (N - lag, D).

    Args:
        measured: (N, D).
        commanded: (N, D), the command in force at each row.
        lag: Rows by which the robot follows late: row i is compared with command i - lag.

    Raises:
        ResidualError: If the shapes differ or the lag leaves nothing.
    """
    if measured.shape != commanded.shape:
        raise ResidualError(
            f"measured {measured.shape} and commanded {commanded.shape} must have one shape; "
            "choose the stream that measures the commanded joints"
        )
    if not 0 <= lag < len(measured):
        raise ResidualError(f"lag must be between 0 and {len(measured) - 1} rows, got {lag}")
    return measured[lag:] - commanded[: len(commanded) - lag]


def against_smooth(values: np.ndarray, window: int) -> np.ndarray:
    """Return values minus a parabola fitted around each of them, (N, D).

    Savitzky & Golay 1964: least squares over ``window`` rows, of which the middle is taken; near
    the ends the first and last window's whole parabola. What is slower than the window counts as
    motion, so the residual has the faster noise only.

    Args:
        values: (N, D).
        window: Rows of a fit, odd, at least 5.

    Raises:
        ResidualError: If the window is too short or longer than the recording.
    """
    return values - smooth_fit(values, window)


def smooth_fit(values: np.ndarray, window: int) -> np.ndarray:
    """Return the parabola fitted around each row, (N, D). As ``against_smooth``."""
    projection = _projection(values, window)
    half = window // 2
    weights = projection[half][::-1]  # np.convolve turns them round
    middle = [np.convolve(column, weights, mode="valid") for column in values.T]
    first = projection[:half] @ values[:window]
    last = projection[half + 1 :] @ values[-window:]
    return np.concatenate([first, np.stack(middle, axis=1), last])


def against_derivative(velocity: np.ndarray, position: np.ndarray, window: int) -> np.ndarray:
    """Return velocity minus the best multiple of the smooth slope of position, (N, D).

    The multiple, one for all columns, is the rate that a recording without time stamps lacks.

    Args:
        velocity: (N, D).
        position: (N, D), recorded with it.
        window: As ``against_smooth``.

    Raises:
        ResidualError: As ``against_smooth``, or if the shapes differ or nothing moves.
    """
    if velocity.shape != position.shape:
        raise ResidualError(
            f"velocity {velocity.shape} and position {position.shape} must have one shape"
        )
    slope = np.gradient(smooth_fit(position, window), axis=0)  # per row
    power = float((slope * slope).sum())
    if power == 0.0:
        raise ResidualError("the position never changes, so its derivative shows nothing")
    return velocity - slope * ((slope * velocity).sum() / power)


def thinned(values: np.ndarray, every: int) -> np.ndarray:
    """Return every ``every``-th row of (N, D): the noise as a slower reader sees it.

    Raises:
        ResidualError: If ``every`` is below 1.
    """
    if every < 1:
        raise ResidualError(f"every must be at least 1 row, got {every}")
    return values[::every]


def chunks_of(residuals: Sequence[Residuals], num_rows: int, hop: int) -> np.ndarray:
    """Return chunks (M, num_rows, D), ``hop`` rows apart, none of them over two recordings.

    Raises:
        ResidualError: If no recording is as long as a chunk, or columns differ.
    """
    if num_rows < 1 or hop < 1:
        raise ResidualError(f"num_rows and hop must be at least 1, got {num_rows} and {hop}")
    names = {each.names for each in residuals}
    if len(names) != 1:
        raise ResidualError(f"recordings have different columns: {sorted(names)}")
    parts = [
        np.lib.stride_tricks.sliding_window_view(each.values, num_rows, axis=0)[::hop]
        for each in residuals
        if len(each.values) >= num_rows
    ]
    if not parts:
        longest = max(len(each.values) for each in residuals)
        raise ResidualError(
            f"no recording has the {num_rows} rows of a chunk: the longest of {len(residuals)} "
            f"has {longest}; record longer or ask for shorter chunks"
        )
    return np.concatenate(parts).transpose(0, 2, 1).copy()


def hold_out(
    residuals: Sequence[Residuals], fraction: float, num_rows: int
) -> tuple[list[Residuals], list[Residuals]]:
    """Return the recordings to fit and those to judge by, never interleaved.

    Whole recordings are held out where there are two or more, the last ones in order; of a single
    one its last part. Neighbouring rows are too alike to be judged by each other.

    Args:
        residuals: In order of recording.
        fraction: Share of the recordings, or of the one, that is held out.
        num_rows: Rows of a chunk; each part must have as many.

    Raises:
        ResidualError: If a part would be shorter than a chunk.
    """
    if not 0 < fraction < 1:
        raise ResidualError(f"the held-out fraction must lie between 0 and 1, got {fraction}")
    usable = [each for each in residuals if len(each.values) >= num_rows]
    if len(usable) >= 2:
        count = min(max(round(fraction * len(usable)), 1), len(usable) - 1)
        return usable[:-count], usable[-count:]
    if not usable:
        raise ResidualError(
            f"none of {len(residuals)} recordings has the {num_rows} rows of a chunk; record "
            "longer or ask for shorter chunks"
        )
    return _split(usable[0], fraction, num_rows)


def _split(
    whole: Residuals, fraction: float, num_rows: int
) -> tuple[list[Residuals], list[Residuals]]:
    cut = len(whole.values) - max(round(fraction * len(whole.values)), 1)
    if min(cut, len(whole.values) - cut) < num_rows:
        raise ResidualError(
            f"{whole.source}: {len(whole.values)} rows make two parts of {cut} and "
            f"{len(whole.values) - cut}, less than the {num_rows} rows of a chunk; record more"
        )
    names, units, period_s = whole.names, whole.units, whole.period_s
    return (
        [Residuals(whole.values[:cut], names, units, period_s, f"{whole.source}, first part")],
        [Residuals(whole.values[cut:], names, units, period_s, f"{whole.source}, last part")],
    )


def refuse_not_finite(values: np.ndarray, source: str) -> None:
    """Raise when a value is not finite, with the first place.

    Raises:
        ResidualError: With row and column.
    """
    places = np.argwhere(~np.isfinite(values))
    if len(places):
        row, column = places[0]
        raise ResidualError(
            f"{source}: {values[row, column]} in row {row}, column {column} (and "
            f"{len(places) - 1} more); values must be finite: leave this recording out"
        )


def _projection(values: np.ndarray, window: int) -> np.ndarray:
    """Return the (window, window) matrix that fits a parabola to a window."""
    if window < 5 or window % 2 == 0:
        raise ResidualError(f"window must be odd and at least 5 rows, got {window}")
    if len(values) < window:
        raise ResidualError(
            f"a recording of {len(values)} rows is shorter than the smooth fit's window of "
            f"{window}; record longer or choose a shorter window"
        )
    powers = np.vander(np.linspace(-1.0, 1.0, window), 3)
    return powers @ np.linalg.pinv(powers)


def row_period(position: np.ndarray, velocity: np.ndarray, window: int) -> float:
    """Return the time between two rows that a recording without stamps must have had, s.

    It is the ratio of the smoothed position's slope per row to the smoothed velocity.

    Raises:
        ResidualError: As ``against_smooth``, or if nothing moves.
    """
    slope = np.gradient(smooth_fit(position, window), axis=0)
    smooth = smooth_fit(velocity, window)
    power = float((smooth * smooth).sum())
    period_s = float((slope * smooth).sum()) / power if power else 0.0
    if not period_s > 0:
        raise ResidualError(
            "position and velocity do not move together, so the time between rows cannot be "
            "found: give it"
        )
    return period_s

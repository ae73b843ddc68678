"""By how much one recorded motion is behind another one, as a robot behind its leader."""

import numpy as np

LONGEST_S = 1.0
"""A robot that is further behind was not led."""
_STEP_S = 0.005
_LEAST_MOTION = 1e-3
_LEAST_FIT = 0.5


def following_delay_s(
    leader_s: np.ndarray, leader: np.ndarray, follower_s: np.ndarray, follower: np.ndarray
) -> float | None:
    """Return the time by which a motion follows another one; None: it does not follow.

    It is where the speeds of both correlate most, over delays from 0 to ``LONGEST_S``, with a
    parabola through the best three. Offsets of calibration and different scales do not matter.

    Args:
        leader_s: Stamps (N,), rising.
        leader: Positions (N, D).
        follower_s: Stamps (M,), rising.
        follower: Positions (M, D), of the same joints.
    """
    begin = max(leader_s[0], follower_s[0] - LONGEST_S) + LONGEST_S
    end = min(leader_s[-1], follower_s[-1])
    if end - begin < 2 * LONGEST_S:
        return None
    moments = np.arange(begin, end, _STEP_S)
    speed = _speeds(follower_s, follower, moments)
    moves = np.abs(speed).max(axis=0) > _LEAST_MOTION
    if not moves.any():
        return None
    delays = np.arange(0.0, LONGEST_S, _STEP_S)
    earlier = np.arange(begin - LONGEST_S, end, _STEP_S)
    led = _speeds(leader_s, leader, earlier)
    ahead = len(earlier) - len(moments)
    fits = np.array(
        [
            _fit(led[ahead - k : ahead - k + len(moments), moves], speed[:, moves])
            for k in range(len(delays))
        ]
    )
    best = int(np.argmax(fits))
    if fits[best] < _LEAST_FIT:
        return None
    return float(delays[best] + _STEP_S * _vertex(fits, best))


def _speeds(stamps_s: np.ndarray, rows: np.ndarray, moments: np.ndarray) -> np.ndarray:
    """Return differences over ten steps around moments, which a noisy encoder leaves smooth."""
    half_s = 5 * _STEP_S
    after, before = moments + half_s, moments - half_s
    columns = [np.interp(after, stamps_s, c) - np.interp(before, stamps_s, c) for c in rows.T]
    return np.stack(columns, axis=1)


def _fit(one: np.ndarray, other: np.ndarray) -> float:
    """Return the correlation over all joints, each by its own size."""
    size = np.maximum(np.abs(other).max(axis=0), _LEAST_MOTION)
    a, b = (one / size).ravel(), (other / size).ravel()
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / norm if norm > 0 else 0.0


def _vertex(fits: np.ndarray, best: int) -> float:
    """Return where the parabola through three neighbours is highest, in steps from the middle."""
    if not 0 < best < len(fits) - 1:
        return 0.0
    left, middle, right = fits[best - 1 : best + 2]
    bend = left - 2 * middle + right
    return float((left - right) / (2 * bend)) if bend < 0 else 0.0

"""What distinguishes two sets of noise: memory, spectrum, tails, and one test."""

import numpy as np


def autocorrelation(chunks: np.ndarray) -> np.ndarray:
    """Return the autocorrelation over the rows of chunks (M, Tp, D), shape (Tp, D).

    The mean over all rows is taken out; every lag is divided by the pairs that it has.
    """
    centred = chunks - chunks.mean(axis=(0, 1))
    num_rows = chunks.shape[1]
    covariance = [
        (centred[:, : num_rows - lag] * centred[:, lag:]).mean(axis=(0, 1))
        for lag in range(num_rows)
    ]
    return np.stack(covariance) / covariance[0]


def excess_kurtosis(chunks: np.ndarray) -> np.ndarray:
    """Return the excess kurtosis of each column of (M, Tp, D), (D,): 0 for a Gaussian."""
    centred = chunks - chunks.mean(axis=(0, 1))
    return (centred**4).mean(axis=(0, 1)) / (centred**2).mean(axis=(0, 1)) ** 2 - 3.0


def spectrum(chunks: np.ndarray, period_s: float) -> tuple[np.ndarray, np.ndarray]:
    """Return frequencies (F,), Hz, and the mean power density of chunks (M, Tp, D), (F, D).

    Welch 1967 with a Hann window; the unit is that of the values, squared, per Hz.
    """
    centred = chunks - chunks.mean(axis=(0, 1))
    window = np.hanning(chunks.shape[1] + 2)[1:-1, None]
    amplitudes = np.fft.rfft(centred * window, axis=1)
    power = (np.abs(amplitudes) ** 2).mean(axis=0) * period_s / (window**2).sum()
    power[1:] *= 2  # frequencies below 0 have the same
    return np.fft.rfftfreq(chunks.shape[1], period_s), power


def energy_test(
    first: np.ndarray, second: np.ndarray, num_permutations: int = 200, seed: int = 0
) -> tuple[float, float]:
    """Return the energy distance of two samples and how often chance gives as much.

    Szekely & Rizzo 2004: twice the mean distance between the samples less those within. Under
    permutation of the samples it is as large or larger with the frequency returned, so that a
    value near 0 means that the two differ; distances are of columns divided by their deviation in
    ``first``. Chunks must not overlap; neighbours of one recording are still somewhat alike,
    which makes the test too strict.

    Args:
        first: (M, ...).
        second: (N, ...), columns alike.
        num_permutations: How many are drawn.
        seed: Seed of the permutations.

    Raises:
        ValueError: If a sample has fewer than 2 or the columns differ.
    """
    if min(len(first), len(second)) < 2 or first.shape[1:] != second.shape[1:]:
        raise ValueError(
            f"two samples of at least 2 with equal columns are needed, got {first.shape} and "
            f"{second.shape}"
        )
    deviation = first.reshape(-1, first.shape[-1]).std(axis=0)
    pooled = np.concatenate([first / deviation, second / deviation])
    pooled = pooled.reshape(len(pooled), -1)
    squares = (pooled**2).sum(axis=1)
    distances = np.sqrt(np.clip(squares[:, None] + squares - 2 * pooled @ pooled.T, 0.0, None))
    labels = np.arange(len(pooled)) < len(first)
    found = _energy(distances, labels)
    generator = np.random.default_rng(seed)
    chance = [_energy(distances, generator.permutation(labels)) for _ in range(num_permutations)]
    as_large = sum(value >= found for value in chance)
    return found, (as_large + 1) / (num_permutations + 1)


def _energy(distances: np.ndarray, labels: np.ndarray) -> float:
    inside, outside = labels / labels.sum(), ~labels / (~labels).sum()
    between = inside @ distances @ outside
    return float(2 * between - inside @ distances @ inside - outside @ distances @ outside)

"""A cost of 20 numbers with many valleys, of which one is the deepest: who finds it?

Used by planners.py. Wide noise sees through the ripples but stays away from the bottom, narrow
noise sees the next valley only; noise that shrinks does both (DIAL-MPC, fig. 4).
"""

from collections.abc import Mapping

import numpy as np

from ddpm_controller.planners.cem import Cem
from ddpm_controller.planners.dial_mpc import DialMpc
from ddpm_controller.planners.method import Method
from ddpm_controller.planners.mppi import Mppi
from ddpm_controller.planners.sampling import search

SHAPE = (5, 4)
"""Knots and actions."""
RIPPLE = 0.25
"""Distance of two valleys."""
ROLLOUTS, ITERATIONS = 256, 24
_TEMPERATURE = 0.5
METHODS: Mapping[str, Method] = {
    "DIAL-MPC, 0.4 x 0.88^i": DialMpc(0.4, _TEMPERATURE, 1.0, 0.88),
    "MPPI, sigma 0.4": Mppi(0.4, _TEMPERATURE),
    "MPPI, sigma 0.2": Mppi(0.2, _TEMPERATURE),
    "MPPI, sigma 0.1": Mppi(0.1, _TEMPERATURE),
    "MPPI, sigma 0.05": Mppi(0.05, _TEMPERATURE),
    "CEM, sigma 0.4": Cem(0.4, 0.1, 0.01),
}


def cost(places: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """Return the cost of places (N, 5, 4), (N,): a bowl with ripples in each number."""
    away = places - bottom
    rippled = away**2 + 0.03 * (1 - np.cos(2 * np.pi * away / RIPPLE))
    found: np.ndarray = rippled.sum(axis=(1, 2))
    return found


def distance_of(method: Method, seed: int) -> float:
    """Return the largest distance of a number from the bottom after a search."""
    random = np.random.default_rng([seed, 5])
    bottom, begin = random.uniform(-0.5, 0.5, SHAPE), random.uniform(-0.9, 0.9, SHAPE)
    found = search(
        method,
        lambda knots: (-cost(knots, bottom), np.ones(len(knots), bool)),
        begin,
        [],
        ROLLOUTS,
        ITERATIONS,
        np.random.default_rng(seed),
    )
    return float(np.abs(found.knots - bottom).max())


def in_the_valley(method: Method, trials: int) -> tuple[int, float]:
    """Return in how many trials every number ends in the deepest valley, and how far from it.

    The distance is the median over the trials of the largest of the 20 numbers.
    """
    distances = [distance_of(method, seed) for seed in range(trials)]
    return sum(each < RIPPLE / 2 for each in distances), float(np.median(distances))

"""The T of PushT: its corners, wherever it lies. No simulator.

Lengths are metres at one millimetre per pixel of the published task (Florence et al. 2021, Chi et
al. 2023): the board is 0.512 m wide. x points right and y down in the picture.
"""

import numpy as np

METRES_PER_PIXEL = 1e-3
PUSHER_NAMES = ("pusher_x", "pusher_y")
"""The joints of the pusher."""
CORNERS = (
    np.array(
        [(-60, 0), (60, 0), (60, 30), (15, 30), (15, 120), (-15, 120), (-15, 30), (-60, 30)], float
    )
    * METRES_PER_PIXEL
)
"""(8, 2) outline of the T in its own frame, m, in order around it."""
CORNER_NAMES = tuple(f"corner{number}_{axis}" for number in range(8) for axis in "xy")
"""Names of the 16 numbers of ``block_corners``, in their order."""


def block_corners(x: float, y: float, angle: float) -> np.ndarray:
    """Return the corners of a T whose frame lies at (x, y), m, turned by ``angle``, rad; (16,).

    The corners and not the angle are what a policy sees: they do not jump at a full turn.
    """
    cosine, sine = np.cos(angle), np.sin(angle)
    turned = CORNERS @ np.array([[cosine, sine], [-sine, cosine]])
    return (turned + np.array([x, y])).ravel()

"""No wish is further from where the robot is measured than it may be."""

import numpy as np

from ddpm_controller.control.moving.interpolation import Motion


def within_step(
    wish: Motion, measured: np.ndarray | None, step: np.ndarray
) -> tuple[Motion, bool]:
    """Return ``wish`` drawn towards ``measured``, and whether that changed it; both (Da,).

    Before the governor, so that what is sent stays inside all limits. A joint that is drawn is
    asked to rest there. A command may still be further away where the robot is thrown off its way
    faster than the limits let the command follow.
    """
    if measured is None or np.isposinf(step).all():
        return wish, False
    near = np.minimum(np.maximum(wish.position, measured - step), measured + step)
    drawn = (near != wish.position) & np.isfinite(wish.position)  # the governor refuses NaN
    if not drawn.any():
        return wish, False
    position = np.where(drawn, near, wish.position)
    velocity = np.where(drawn, 0.0, wish.velocity)
    return Motion(position, velocity, np.where(drawn, 0.0, wish.acceleration)), True

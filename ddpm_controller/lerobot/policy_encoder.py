"""Weights of the encoder of pictures that a policy of LeRobot has, by the names of ours."""

from collections.abc import Mapping

import numpy as np

from ddpm_controller.lerobot.libraries import LeRobotError

ENCODER = "diffusion.rgb_encoder."
_RENAMED = {"pool.nets.": "nets."}
_LEFT_OUT = "pool.pos_grid"
"""Places of the pixels, which follow from the size."""


def encoder_of(
    weights: Mapping[str, np.ndarray], number: int, ends: tuple[np.ndarray, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return the weights of one picture's encoder, with what the colours go through first.

    Args:
        weights: All of the policy.
        number: Place of the picture among the pictures; all may share one encoder.
        ends: Brightness of each colour, 0 to 1, that becomes -1 and 1, (3,) each.

    Raises:
        LeRobotError: There is none.
    """
    own = f"{ENCODER}{number}."
    is_shared = f"{ENCODER}out.weight" in weights
    prefix = ENCODER if is_shared else own
    found = {
        name.removeprefix(prefix): each
        for name, each in weights.items()
        if name.startswith(prefix) and not name.endswith(_LEFT_OUT)
    }
    if not found:
        raise LeRobotError(f"the weights of picture {number}, {prefix}, are missing: copy again")
    for theirs, ours in _RENAMED.items():
        found = {name.replace(theirs, ours): each for name, each in found.items()}
    centre, half = (ends[0] + ends[1]) / 2, (ends[1] - ends[0]) / 2
    # Pictures come in [-1, 1]: brightness = (picture + 1) / 2.
    found["scale"] = (0.5 / half).astype(np.float32)[:, None, None]
    found["offset"] = ((0.5 - centre) / half).astype(np.float32)[:, None, None]
    return found

"""Features of images that are found once, where the encoders of a training do not learn.

Images are the dear part of whole episodes: with their features at hand, a recurrent policy trains
as fast as one that has no camera.
"""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import nn

from ddpm_controller.data.windows import WindowDataset
from ddpm_controller.networks.image_encoder import IMAGES_AT_ONCE, image_features
from ddpm_controller.training.material import Material


def with_features(material: Material, encoders: Mapping[str, nn.Module]) -> Material:
    """Return the material with the features of these streams in place of their images.

    Args:
        material: With images.
        encoders: Encoder of each stream, with the weights that it keeps.
    """
    windows, validation = material.windows, material.validation
    for name, encoder in encoders.items():
        windows = _encoded(windows, name, encoder)
        validation = None if validation is None else _encoded(validation, name, encoder)
    return replace(material, windows=windows, validation=validation)


@torch.no_grad()
def _encoded(windows: WindowDataset, name: str, encoder: nn.Module) -> WindowDataset:
    device = next(encoder.parameters()).device
    parts = []
    for begin in range(0, len(windows), IMAGES_AT_ONCE):  # all of them may not fit into memory
        images = windows.moments(name, begin, min(begin + IMAGES_AT_ONCE, len(windows)))
        parts.append(image_features(encoder, torch.from_numpy(images).to(device)).cpu())
    return windows.with_moments(name, torch.cat(parts).numpy())

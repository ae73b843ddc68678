"""How likely the clean sample is, given what the last step back says of it: the term L_0."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

Decoder = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(x0 (B, ...), mean (B, ...), variance that broadcasts to them) -> nats (B, ...)."""


def gaussian_decoder(x0: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    """Return -log N(x0; mean, variance), nats per element: a density, so it may be negative.

    For continuous values, in place of the 1/255 bins of Ho et al. 2020, Eq. 13.
    """
    return 0.5 * ((x0 - mean).square() / variance + (2 * math.pi * variance).log())


def gaussian_decoder_of(variance: Tensor) -> Decoder:
    """Return the Gaussian decoder that has this variance whatever the process says.

    For a good denoiser beta_0 is near the best; the fixed variances have beta~_1 there, which is
    about half of it.

    Raises:
        ValueError: If a variance is not above 0.
    """
    if not bool((variance > 0).all()):
        raise ValueError(f"variance must be above 0, got {float(variance.min())}")

    def decode(x0: Tensor, mean: Tensor, given: Tensor) -> Tensor:
        return gaussian_decoder(x0, mean, variance.to(given))

    return decode


def tick_decoder(tick: Tensor | float) -> Decoder:
    """Return the decoder of values that were read from an encoder: -log P(this very count).

    The probability of the bin of one count around x0 under the Gaussian. It has no unit, so the
    bound is comparable across normalizations, in bits per tick when divided by log 2; a
    normalizer's ``log_scale`` must not be added to it.

    Args:
        tick: Width of one count in the units of x0 (half range 1 where actions are normalized),
            one number or one per joint.

    Raises:
        ValueError: If a tick is not above 0.
    """
    width = torch.as_tensor(tick, dtype=torch.float64)
    if not bool((width > 0).all()):
        raise ValueError(f"tick must be above 0, got {tick}")

    def decode(x0: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        scale = variance.double().sqrt()
        half = 0.5 * width.to(x0.device) / scale
        # The side of the bell does not matter: on the left one the distribution function does
        # not saturate at 1, so that far counts keep a finite number of nats.
        centre = -(x0 - mean).double().abs() / scale
        upper = torch.special.log_ndtr(centre + half)
        lower = torch.special.log_ndtr(centre - half)
        nats: Tensor = -upper - torch.log(-torch.expm1(lower - upper))
        return nats.to(x0)

    return decode

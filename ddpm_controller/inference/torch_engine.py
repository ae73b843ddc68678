"""Torch itself as an engine: what every other one is compared with."""

from ddpm_controller.inference.engine import TOLERANCE, Answer, Served


class TorchEngine:
    """The U-Net as it is; it serves every network, with gradients and on every device."""

    name, distribution, extra = "torch", "torch", ""
    tolerance = TOLERANCE

    def bind(self, served: Served) -> Answer:
        """Return the U-Net's own method."""
        return served.unet.denoise_modulated

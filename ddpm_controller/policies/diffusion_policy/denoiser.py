"""A trained network as the denoiser of one batch of plans; what can be is computed once."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from ddpm_controller.diffusion.chain import PredictX0
from ddpm_controller.diffusion.forward_process import ForwardProcess
from ddpm_controller.diffusion.guidance import clipped, dynamically_thresholded
from ddpm_controller.diffusion.targets import x0_from
from ddpm_controller.diffusion.variances import Variance
from ddpm_controller.inference.engine import Answer
from ddpm_controller.policies.diffusion_policy.config import DiffusionPolicyConfig
from ddpm_controller.policies.diffusion_policy.prefix import Given, network_input

AlongChain = Callable[[Tensor, int, Tensor], Tensor]
"""(what a U-Net sees of xt (B, Tp, ...), t, modulation (B, M)) -> its answer."""


def split_answer(answer: Tensor, variance: Variance) -> tuple[Tensor, Tensor | None]:
    """Return prediction and fraction of the variance, each (B, Tp, Da), of a U-Net's answer.

    The fraction, Nichol & Dhariwal 2021, Eq. 15, is None unless the variance is learned.
    """
    if variance != "learned_range":
        return answer, None
    prediction, fraction = answer.chunk(2, dim=2)
    return prediction, (fraction + 1) / 2


class Denoiser:
    """Predictions of a U-Net, bound to an observation and to its forward process.

    Args:
        unet: In evaluation mode; has the methods of ``ConditionalUnet1d``.
        config: What it predicts, and how its estimates are held in range.
        process: Process of ``cond``.
        cond: (B, Dc).
        time_modulation: (T, M), the timesteps' part of the U-Net's modulation; None computes it.
        along_chain: Answers in place of ``unet.denoise_modulated`` where it is asked along the
            chains of one sampling only, so that it may use what it found a step before.
        answer: An engine's, in place of ``unet.denoise_modulated``; None: that itself.
        given: Rows that are known; they are in every estimate, exactly. Only where the config has
            ``prefix_rows``.
    """

    def __init__(
        self,
        unet: Any,
        config: DiffusionPolicyConfig,
        process: ForwardProcess,
        cond: Tensor,
        time_modulation: Tensor | None = None,
        along_chain: AlongChain | None = None,
        answer: Answer | None = None,
        given: Given | None = None,
    ) -> None:
        self._unet, self._config, self._process = unet, config, process
        self._along, self._ask = along_chain, answer or unet.denoise_modulated
        self._given = given
        self._of_cond = unet.cond_modulation(cond)  # once per plan
        self._of_time = time_modulation
        self._asked: tuple[Tensor, int] | None = None
        self._answer: tuple[Tensor, Tensor | None] | None = None

    def predict_x0(self, xt: Tensor, t: Tensor) -> Tensor:
        """Return x0, (B, Tp, Da), clipped or thresholded as in the config."""
        # Not kept: what refers to itself stays in memory, with its network, until it is collected.
        x0 = self.in_range(self.predict_plain_x0)(xt, t)
        return x0 if self._given is None else self._given.put_into(x0)

    def predict_fraction(self, xt: Tensor, t: Tensor) -> Tensor:
        """Return where the variance lies between its ends, (B, ...); for "learned_range"."""
        fraction = self._answers(xt, t)[1]
        if fraction is None:
            raise ValueError("a variance that was not learned has no fraction; see the config")
        return fraction

    def in_range(self, predict_x0: PredictX0) -> PredictX0:
        """Return a denoiser that keeps to the range as in the config."""
        config = self._config
        if config.threshold_quantile:
            return dynamically_thresholded(predict_x0, config.threshold_quantile)
        return clipped(predict_x0) if config.clip_x0 else predict_x0

    def predict_plain_x0(self, xt: Tensor, t: Tensor) -> Tensor:
        """Return x0, (B, Tp, Da), neither clipped nor thresholded."""
        answer, _ = self._answers(xt, t)
        return x0_from(self._process, answer, xt, t, self._config.prediction)

    def _answers(self, xt: Tensor, t: Tensor) -> tuple[Tensor, Tensor | None]:
        """Ask the network; both answers come from one evaluation at the same x_t."""
        asked = (xt, int(t[0]))
        if self._answer is None or self._asked is None or not _same(asked, self._asked):
            modulation = self._of_cond + self._time_modulation(t, asked[1])
            seen = network_input(xt, self._given) if self._config.prefix_rows else xt
            if self._along is None:
                raw = self._ask(seen, modulation)
            else:
                raw = self._along(seen, asked[1], modulation)
            self._asked, self._answer = asked, split_answer(raw, self._config.variance)
        return self._answer

    def _time_modulation(self, t: Tensor, first: int) -> Tensor:
        """(B,) timesteps, and the first of them -> (B, M)."""
        if self._of_time is None:
            found: Tensor = self._unet.time_modulation(t)
            return found
        return self._of_time[first : first + 1] if t.shape == (1,) else self._of_time[t]


def _same(one: tuple[Tensor, int], other: tuple[Tensor, int]) -> bool:
    return one[0] is other[0] and one[1] == other[1]

"""Add a sampler: a function, one line in SAMPLERS, and every system can plan with it.

python examples/add_a_sampler.py

In the package the function belongs into ddpm_controller/diffusion/samplers.py, its line into
SAMPLERS at the end of that file, and its faults into test/diffusion/faults.yaml.
"""

import torch
from torch import Tensor

from ddpm_controller.diffusion.chain import Chain, PredictX0
from ddpm_controller.diffusion.forward_process import ForwardProcess
from ddpm_controller.diffusion.gaussian import GaussianProcess
from ddpm_controller.diffusion.noise import Generators
from ddpm_controller.diffusion.samplers import SAMPLERS
from ddpm_controller.diffusion.schedules import SCHEDULES


def sample_adams_bashforth(
    process: ForwardProcess,
    predict_x0: PredictX0,
    shape: tuple[int, ...],
    generator: Generators,
    timesteps: Tensor | None = None,
) -> Tensor:
    """Step with x_0 extrapolated by half of its last change. Returns (B, ...). Order 2."""
    chain = Chain.of(process, shape, timesteps)
    xt = chain.start(shape, generator)
    before: Tensor | None = None
    for index in reversed(range(len(chain))):
        x0 = chain.ask(predict_x0, xt, index)
        ahead = x0 if before is None or index == 0 else x0 + (x0 - before) / 2
        # Written through `step`, which finds the noise of xt, it serves every forward process.
        xt, before = chain.step(xt, ahead, index), x0
    return xt


def exact_denoiser(process: GaussianProcess, mean: float, deviation: float) -> PredictX0:
    """Return E[x0 | xt] of data from N(mean, deviation^2): nothing has to be trained."""

    def predict_x0(xt: Tensor, t: Tensor) -> Tensor:
        signal, spread = process.scales(t, xt)
        gain = signal * deviation**2 / (signal**2 * deviation**2 + spread**2)
        return mean + gain * (xt - signal * mean)

    return predict_x0


SAMPLERS["adams_bashforth"] = sample_adams_bashforth
process = GaussianProcess(SCHEDULES["cosine"](50))
denoiser = exact_denoiser(process, mean=0.3, deviation=0.2)
steps = torch.arange(0, 50, 7)  # 8 of the 50 timesteps
for name in ("ddim", "adams_bashforth"):
    generator = torch.Generator().manual_seed(0)
    sample = SAMPLERS[name](process, denoiser, (20_000, 1), generator, steps)
    print(f"{name}: mean {sample.mean():.4f}, deviation {sample.std():.4f}")

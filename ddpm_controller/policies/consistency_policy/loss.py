"""What a consistency distillation minimises: a jump from x_t agrees with one a step later.

The consistency function f(x_t, t) is the clean chunk at the end of the teacher's way from x_t.
Below the least noisy timestep there is the clean chunk itself, where f is the identity; ``target``
takes it from the teacher. For timesteps above, f of prediction "v" is signal x_t - spread v: the
scalings of Song et al. 2023, Eq. 5, of data of deviation 1 for a process that preserves variance.
"""

import torch
from torch import Tensor

from ddpm_controller.diffusion.chain import PredictX0
from ddpm_controller.diffusion.forward_process import ForwardProcess
from ddpm_controller.diffusion.losses import masked_mean


@torch.no_grad()
def consistency_target(
    process: ForwardProcess,
    teacher: PredictX0,
    target: PredictX0,
    xt: Tensor,
    t: Tensor,
    stride: int,
) -> Tensor:
    """Return what f should be at ``t`` (B,): f one step of the teacher's DDIM later. (B, ...).

    Song et al. 2023 (Consistency Models), Algorithm 2, with the solver of Song et al. 2021 (DDIM),
    Eq. 12. A step that leads below t = 0 leads to the teacher's clean chunk.

    Args:
        process: The teacher's.
        teacher: Its denoiser.
        target: f, of an average of the student.
        xt: (B, ...).
        t: (B,).
        stride: Timesteps that a step leads down.
    """
    x0 = teacher(xt, t)
    later = t - stride
    inside = later.clamp(min=0)
    stepped = process.sample(x0, inside, process.noise_from(xt, x0, t))
    is_clean = (later < 0).reshape(-1, *[1] * (xt.ndim - 1))
    return torch.where(is_clean, x0, target(stepped, inside))


def consistency_loss(answer: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return the mean squared distance of f (B, Tp, Da) to its target where rows exist. Scalar.

    Args:
        answer: f of the student, not clipped, so that there is a gradient beyond the range too.
        target: From ``consistency_target``, normalized.
        mask: (B, Tp) bool, False where a row is padding; None when none is.
    """
    return masked_mean((answer - target).square(), mask)

"""Recorded noise fitted by maximum likelihood, beside the Gaussians that it must beat."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from ddpm_controller.diffusion.recorded.colouring import Colouring
from ddpm_controller.diffusion.recorded.element_maps import ElementMap, ScaleMixture, SinhArcsinh
from ddpm_controller.diffusion.recorded.noise_map import NoiseMap

Tails = Literal["sinh_arcsinh", "scale_mixture"]
OnProgress = Callable[[int, int], None]
"""Called with the fits done and the fits in all."""

_LBFGS_STEPS = 150
_NUM_SCALES = 3
_WIDEST = 5.0  # log scales and log tails stay within +-: a repeated value must not win by a spike
_RIDGE = 1e-9  # share of the mean variance, so that a covariance of few chunks has a factor


@dataclass(frozen=True)
class NoiseShape:
    """Which noise is fitted.

    Attributes:
        order: Rows that the noise remembers.
        tails: Family of the elementwise map.
        shapes_innovations: Whether the innovations have the tails, see ``NoiseMap``.
        correlated: Whether joints may move together.
    """

    order: int = 3
    tails: Tails = "scale_mixture"
    shapes_innovations: bool = True
    correlated: bool = True

    def __post_init__(self) -> None:
        if self.order < 0:
            raise ValueError(f"order must be 0 or more, got {self.order}")
        if self.tails not in get_args(Tails):
            raise ValueError(f"tails must be one of {list(get_args(Tails))}, got {self.tails!r}")

    def __str__(self) -> str:
        """As a table names it."""
        place = "L S(eps)" if self.shapes_innovations else "S(L eps)"
        return f"AR({self.order}), {self.tails}, {place}"


@dataclass(frozen=True, eq=False)
class FittedNoise:
    """Amounts and map of a fit: residual = mean + scale * map(noise).

    Attributes:
        mean: (Da,) float64.
        scale: (Da,) float64.
        noise_map: Map of variance 1.
        shape: What was fitted.
    """

    mean: Tensor
    scale: Tensor
    noise_map: NoiseMap
    shape: NoiseShape

    def log_density(self, chunks: Tensor) -> Tensor:
        """Return the log density of chunks (B, Tp, Da), (B,) nats."""
        return self.noise_map.log_density_of(chunks, self.mean, self.scale)


@dataclass(frozen=True, eq=False)
class GaussianNoise:
    """A Gaussian over whole chunks: white or with any covariance.

    Attributes:
        mean: (Tp, Da).
        factor: (Tp * Da, Tp * Da) Cholesky factor of the covariance of a flattened chunk.
    """

    mean: Tensor
    factor: Tensor

    def log_density(self, chunks: Tensor) -> Tensor:
        """Return the log density of chunks (B, Tp, Da), (B,) nats."""
        flat = (chunks - self.mean).flatten(1)
        gaussian = torch.distributions.MultivariateNormal(
            torch.zeros_like(flat[0]), scale_tril=self.factor
        )
        density: Tensor = gaussian.log_prob(flat)  # type: ignore[no-untyped-call]
        return density

    def transformed(self, noise: Tensor) -> Tensor:
        """Return noise like the recorded of N(0, I) noise, both (B, Tp, Da)."""
        return self.mean + (noise.flatten(1) @ self.factor.mT).reshape(noise.shape)


def nats_per_number(density: Callable[[Tensor], Tensor], chunks: Tensor) -> float:
    """Return the mean negative log likelihood of chunks (B, Tp, Da), nats per number."""
    return float(-density(chunks).mean() / chunks[0].numel())


def fit_white(chunks: Tensor) -> GaussianNoise:
    """Return independent Gaussians, one mean and deviation for each column of (B, Tp, Da)."""
    _refuse_unusable(chunks)
    rows = chunks.flatten(0, 1)
    deviation = rows.std(0, correction=0).expand(chunks.shape[1:])
    return GaussianNoise(rows.mean(0).expand(chunks.shape[1:]), deviation.flatten().diag())


def fit_full_covariance(chunks: Tensor) -> GaussianNoise:
    """Return the Gaussian with the covariance of all numbers of a chunk (B, Tp, Da)."""
    _refuse_unusable(chunks)
    mean = chunks.flatten(0, 1).mean(0).expand(chunks.shape[1:])
    flat = (chunks - mean).flatten(1)
    variances = chunks.flatten(0, 1).var(0).repeat(chunks.shape[1])
    covariance = flat.mT @ flat / len(flat) + _RIDGE * variances.diag()
    return GaussianNoise(mean, torch.linalg.cholesky(covariance))


def fit_noise(chunks: Tensor, shape: NoiseShape) -> FittedNoise:
    """Fit amounts, memory and tails together by maximum likelihood. Deterministic.

    The exact density of a stationary start is used, so that short chunks do not bias the memory.

    Args:
        chunks: (B, Tp, Da) float64 residuals.
        shape: What to fit.

    Raises:
        ValueError: If the chunks are not finite, a column never changes, the memory is as long
            as a chunk, or the fit has diverged.
    """
    _refuse_unusable(chunks)
    if shape.order >= chunks.shape[1]:
        raise ValueError(
            f"order must be below the rows of a chunk, got {shape.order} and {chunks.shape[1]}"
        )
    rows = chunks.flatten(0, 1)
    centre, spread = rows.mean(0), rows.std(0, correction=0)
    standardized = (chunks - centre) / spread
    parameters = _first_guess(standardized, shape)
    optimizer = torch.optim.LBFGS(
        list(parameters.values()), max_iter=_LBFGS_STEPS, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = -_model(parameters, shape).log_density(standardized).mean() / chunks[0].numel()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    fixed = {name: each.detach() for name, each in parameters.items()}
    if not all(bool(torch.isfinite(each).all()) for each in fixed.values()):
        raise ValueError(f"the fit of {shape} diverged: use a lower order or more recordings")
    model = _model(fixed, shape)
    return FittedNoise(centre + spread * model.mean, spread * model.scale, model.noise_map, shape)


def choose_shape(
    fitting: Tensor,
    judging: Tensor,
    shapes: Sequence[NoiseShape],
    on_progress: OnProgress = lambda done, total: None,
) -> tuple[NoiseShape, dict[NoiseShape, float]]:
    """Return the shape that fits best where it was not fitted, and all scores in nats per number.

    Args:
        fitting: (B, Tp, Da) chunks to fit each shape on.
        judging: (B, Tp, Da) chunks to compare them on; another part of the training recordings.
        shapes: At least one.
        on_progress: Told after each fit.
    """
    if not shapes:
        raise ValueError("shapes must name at least one noise to fit, got none")
    scores = {}
    for number, shape in enumerate(shapes, start=1):
        scores[shape] = nats_per_number(fit_noise(fitting, shape).log_density, judging)
        on_progress(number, len(shapes))
    return min(scores, key=lambda shape: scores[shape]), scores


def _model(parameters: dict[str, Tensor], shape: NoiseShape) -> FittedNoise:
    """Return the noise of unconstrained parameters."""
    joints = parameters["mean"].shape[0]
    factor = torch.eye(joints, dtype=torch.float64)
    if "mixing" in parameters:
        factor = factor + parameters["mixing"].tril(-1)
        factor = factor / factor.norm(dim=1, keepdim=True)
    colouring = Colouring(parameters["memory"].tanh() * 0.9999, factor @ factor.mT)
    elements: ElementMap
    if shape.tails == "sinh_arcsinh":
        tail = (1.5 * parameters["log_tail"].tanh()).exp()
        elements = SinhArcsinh(parameters["skew"], tail)
    else:
        scales = (_WIDEST * (parameters["log_scales"] / _WIDEST).tanh()).exp()
        elements = ScaleMixture(parameters["logits"].softmax(0), scales)
    noise_map = NoiseMap(colouring, elements, shape.shapes_innovations)
    return FittedNoise(parameters["mean"], parameters["log_scale"].exp(), noise_map, shape)


def _first_guess(standardized: Tensor, shape: NoiseShape) -> dict[str, Tensor]:
    """Return parameters that begin at the recorded memory and at mildly heavy tails."""
    joints = standardized.shape[-1]
    memory = partial_autocorrelations(standardized, shape.order)
    guess = {
        "mean": torch.zeros(joints),
        "log_scale": torch.zeros(joints),
        "memory": memory.clamp(-0.98, 0.98).atanh(),
    }
    if shape.correlated and joints > 1:
        guess["mixing"] = torch.zeros(joints, joints)
    if shape.tails == "sinh_arcsinh":
        guess |= {"skew": torch.zeros(joints), "log_tail": torch.full((joints,), -0.2)}
    else:
        steps = torch.linspace(-1.0, 1.0, _NUM_SCALES)
        guess["log_scales"] = steps[:, None].repeat(1, joints)
        guess["logits"] = -steps[:, None].repeat(1, joints)
    return {name: each.double().requires_grad_() for name, each in guess.items()}


def partial_autocorrelations(chunks: Tensor, order: int) -> Tensor:
    """Return the reflection coefficients (p, Da) of chunks (B, Tp, Da) of mean 0.

    Burg's recursion over all chunks (Kay 1988, Sec. 7.5): always between -1 and 1.
    """
    forward = backward = chunks
    found = []
    for _ in range(order):
        late, early = forward[:, 1:], backward[:, :-1]
        power = (late.square() + early.square()).sum((0, 1))
        reflection = 2 * (late * early).sum((0, 1)) / power.clamp(min=1e-30)
        found.append(reflection)
        forward, backward = late - reflection * early, early - reflection * late
    return torch.stack(found) if found else chunks.new_zeros((0, chunks.shape[-1]))


def _refuse_unusable(chunks: Tensor) -> None:
    if chunks.ndim != 3 or chunks.dtype != torch.float64 or len(chunks) < 2:
        raise ValueError(
            f"chunks must be (B, Tp, Da) float64 with at least 2 of them, got "
            f"{tuple(chunks.shape)} {chunks.dtype}"
        )
    if not bool(torch.isfinite(chunks).all()):
        raise ValueError(f"{int((~torch.isfinite(chunks)).sum())} residuals are not finite")
    still = torch.nonzero(chunks.flatten(0, 1).std(0) == 0).flatten().tolist()
    if still:
        raise ValueError(f"columns {still} never change: leave them out, they have no noise")

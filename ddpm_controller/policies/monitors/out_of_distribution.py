"""How far what a policy sees is from what it was trained on, by its own features of it.

The Mahalanobis distance of the condition of the denoiser (Lee et al. 2018, "A simple unified
framework for detecting out-of-distribution samples and adversarial attacks", Eq. 2, of one
class). It costs a product with one matrix, needs no noise and so changes no plan.

Measured beside it (benchmarks/out_of_distribution.py), the denoising residual of the planned
chunk and the spread of two samples notice black or recoloured cameras at the best, and a tenth of
a joint's range not at all: a denoiser explains its own chunk well, whatever it was shown.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ddpm_controller.checkpoint import OUT_OF_DISTRIBUTION_NAME, CheckpointError, write_atomically

SHRINKAGE = 1e-3
"""Of the mean variance, added to every direction: one that never varied in training is held to
this, and not to rounding."""


@dataclass(frozen=True, eq=False)
class FeatureDistance:
    """A Gaussian that was fitted to the features of training.

    Attributes:
        mean: (Dc,) float64.
        whitening: (Dc, Dc) float64; takes features less their mean to unit variance.
        limit: Distance above which something is out of distribution.
        quantile: Quantile of the distances known to be good, that the limit is.
    """

    mean: Tensor
    whitening: Tensor
    limit: float
    quantile: float

    def of(self, features: Tensor) -> Tensor:
        """Return the distances (B,) of features (B, Dc): about 1 where training was."""
        white = (features.to(self.mean) - self.mean) @ self.whitening.T
        return white.square().mean(dim=1).sqrt()


def fit_feature_distance(
    trained: Tensor, held_out: Tensor, quantile: float = 0.999
) -> FeatureDistance:
    """Fit to the features of training (N, Dc); set the limit by those and held-out ones (M, Dc).

    The limit is the higher of both quantiles: few episodes held out show little of one window in
    a thousand, and what training has seen is not out of its distribution.

    Raises:
        ValueError: If there are fewer than two windows of training or none held out, or the
            quantile is not in (0, 1].
    """
    if len(trained) < 2 or len(held_out) < 1 or not 0 < quantile <= 1:
        raise ValueError(
            f"need 2 windows of training, 1 held out and a quantile in (0, 1], got {len(trained)}"
            f", {len(held_out)} and {quantile}"
        )
    trained = trained.double()
    mean, covariance = trained.mean(dim=0), torch.cov(trained.T)
    identity = torch.eye(len(mean), dtype=torch.float64)
    floor = SHRINKAGE * covariance.diagonal().mean().clamp(min=1e-12)
    precision = torch.linalg.inv(covariance + floor * identity)
    whitening = torch.linalg.cholesky((precision + precision.T) / 2).T.contiguous()
    fitted = FeatureDistance(mean, whitening, 0.0, quantile)
    limits = [float(torch.quantile(fitted.of(each), quantile)) for each in (trained, held_out)]
    return FeatureDistance(mean, whitening, max(limits), quantile)


def save_feature_distance(folder: Path, checkpoint_hash: str, distance: FeatureDistance) -> None:
    """Write the file beside the manifest of the checkpoint with ``checkpoint_hash``.

    The checkpoint keeps its hash: that names what decides on commands, and this file changes none
    of them. So the file names the checkpoint that it belongs to, and carries its own digest.

    Raises:
        OSError: It cannot be written; what was there stays.
    """
    tensors = {
        "mean": distance.mean,
        "whitening": distance.whitening,
        "limit": torch.tensor([distance.limit, distance.quantile], dtype=torch.float64),
    }
    facts = {"checkpoint_sha256": checkpoint_hash, "sha256": _digest(tensors)}
    write_atomically(folder / OUT_OF_DISTRIBUTION_NAME, save(tensors, facts))


def load_feature_distance(
    folder: Path, checkpoint_hash: str, feature_dim: int
) -> FeatureDistance | None:
    """Return what was fitted for this checkpoint; None when nothing was.

    Raises:
        CheckpointError: The file is damaged, or of another checkpoint.
    """
    path = folder / OUT_OF_DISTRIBUTION_NAME
    remedy = "remove it, or make it again with `ddpm fit-out-of-distribution`"
    if not path.exists():
        return None
    if not path.is_file():
        raise CheckpointError(f"{path}: it is not a regular file; {remedy}")
    try:
        with safe_open(path, framework="pt") as file:
            facts = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in ("mean", "whitening", "limit")}
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path}: cannot be read ({error}); {remedy}") from error
    if facts.get("checkpoint_sha256") != checkpoint_hash:
        raise CheckpointError(
            f"{path}: is for checkpoint {facts.get('checkpoint_sha256', '')[:12]}, this one is "
            f"{checkpoint_hash[:12]}; {remedy}"
        )
    if facts.get("sha256") != _digest(tensors) or tensors["mean"].shape != (feature_dim,):
        raise CheckpointError(f"{path}: was damaged or changed; {remedy}")
    limit, quantile = tensors["limit"].tolist()
    return FeatureDistance(tensors["mean"], tensors["whitening"], limit, quantile)


def _digest(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()

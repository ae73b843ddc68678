"""Which moments of a recorded run teach a recurrent policy, and what had been executed by then."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Taught:
    """K moments of each of B runs.

    Attributes:
        rows: (B, K), moments as rows of the history.
        values: {stream: (B * K, To, ...)}, what a policy without a state sees then.
        actions: (B * K, Tp, Da), SI units; row ``To - 1`` is for the moment.
        mask: (B * K, Tp) bool, False beyond the episode, and everywhere for a moment before it.
    """

    rows: Tensor
    values: dict[str, Tensor]
    actions: Tensor
    mask: Tensor


def taught_moments(
    batch: Mapping[str, Any],
    n_obs_steps: int,
    horizon: int,
    count: int,
    generator: torch.Generator,
) -> Taught:
    """Return the end of each history, and ``count - 1`` moments spread over the horizon before.

    Every moment of an episode is the end of one history, so all are taught equally often but for
    the last ``horizon``, which lie before fewer ends. Moments drawn from all of each history would
    all but leave out the second half of the episodes.

    Args:
        batch: ``values`` {stream: (B, L, ...)}, ``actions`` and ``mask`` of L + Tp - 1 rows.
        n_obs_steps: To.
        horizon: Tp.
        count: K.
        generator: Source of the moments.
    """
    mask, rows = batch["mask"], len(batch["mask"])
    newest = mask.shape[1] - horizon
    moments = (newest - _back(rows, horizon, count, generator)).to(mask.device)  # (B, K)
    lived = mask.gather(1, moments.clamp(min=0)) & (moments >= 0)
    first = (moments - n_obs_steps + 1)[:, :, None]
    seen = (first + torch.arange(n_obs_steps, device=mask.device)).clamp(min=0)
    wanted = first + torch.arange(horizon, device=mask.device)  # (B, K, Tp)
    run = torch.arange(rows, device=mask.device)[:, None, None]
    exists = mask[run, wanted.clamp(min=0)] & (wanted >= 0) & lived[:, :, None]
    return Taught(
        rows=moments.clamp(min=0),
        values={name: value[run, seen].flatten(0, 1) for name, value in batch["values"].items()},
        actions=batch["actions"][run, wanted.clamp(min=0)].flatten(0, 1),
        mask=exists.flatten(0, 1),
    )


def _back(rows: int, horizon: int, count: int, generator: torch.Generator) -> Tensor:
    """Return how far the moments lie before the end, (B, K): 0, and one in each equal part."""
    end = torch.zeros(rows, 1, dtype=torch.int64)
    if count == 1:
        return end
    place = torch.arange(count - 1) + torch.rand(rows, count - 1, generator=generator)
    back = 1 + (place * (horizon - 1) / (count - 1)).long()
    return torch.cat([end, back.clamp(max=horizon - 1)], dim=1)  # rounding can reach horizon


def without_the_time_before(batch: Mapping[str, Any], horizon: int) -> dict[str, Any]:
    """Return the batch without the rows from before the first of its episodes had begun."""
    length = batch["mask"].shape[1] - horizon + 1
    begun = batch["mask"][:, :length].any(dim=0)
    first = int(begun.int().argmax())
    return {
        "values": {name: value[:, first:] for name, value in batch["values"].items()},
        "actions": batch["actions"][:, first:],
        "mask": batch["mask"][:, first:],
    }


def executed_before(
    actions: Tensor, valid: Tensor, noise: float, generator: torch.Generator
) -> Tensor:
    """Return the action of the tick before each row, (B, L, Da); NaN where an episode begins.

    Args:
        actions: (B, >= L, Da), normalized.
        valid: (B, L) bool.
        noise: Standard deviation of what is added, so that small errors of a policy's own
            commands are nothing new to it.
        generator: Source of the noise.
    """
    length = valid.shape[1]
    unknown = torch.full_like(actions[:, :1], float("nan"))
    before = torch.cat([unknown, actions[:, : length - 1]], dim=1)
    known = torch.cat([torch.zeros_like(valid[:, :1]), valid[:, :-1]], dim=1)
    if noise:
        drawn = torch.randn(before.shape, generator=generator)
        before = before + noise * drawn.to(before.device)
    return torch.where(known[:, :, None], before, unknown)

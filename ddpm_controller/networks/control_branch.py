"""A frozen U-Net and a trained copy of its way down, Zhang et al. 2023 (ControlNet).

As in Diff-Control (Liu et al. 2024), where the branch is given the chunk before, but with every
way from the branch to the base closed by zeros at birth.
"""

from copy import deepcopy

import torch
from torch import Tensor, nn

from ddpm_controller.networks.recalled_chunk import RecalledChunk, recalled_chunk, recalled_dim
from ddpm_controller.networks.unet1d import ConditionalUnet1d, Encoding, encoding_of, joined_levels


class ControlBranch(nn.Module):
    """The copy: the base's way down and middle, with what modulates them.

    Args:
        base: What is copied.
        prior_dim: Columns of a row of the chunk before, with validity and age; 0: its rows are
            added to the noisy chunk as they are, and nothing else is given.
        closed_skips: Whether each skip goes through a layer of zeros, as the middle always does.
    """

    def __init__(self, base: ConditionalUnet1d, prior_dim: int, closed_skips: bool) -> None:
        super().__init__()
        self.down, self.shorten = deepcopy(base.down), deepcopy(base.shorten)
        self.middle, self.embedding = deepcopy(base.middle), deepcopy(base.embedding)
        self.cond_encoder = deepcopy(base.cond_encoder)
        self.modulation_sizes = base.modulation_sizes[: len(base.down) + 1]
        size = sum(self.modulation_sizes)
        self.from_time = nn.Linear(base.from_time.in_features, size)
        self.from_cond = nn.Linear(base.from_cond.in_features, size, bias=False)
        *widths, bottom = (size // 4 for size in self.modulation_sizes)
        self.form = base.form
        self.hint = _closed(prior_dim, widths[0]) if prior_dim else None
        joined = joined_levels(widths, self.form) if closed_skips else []
        closed = [_closed(width, width) for width in joined]
        self.of_skips, self.of_middle = nn.ModuleList(closed), _closed(bottom, bottom)
        self.activation = nn.Mish()
        self.copy(base)

    @torch.no_grad()
    def copy(self, base: ConditionalUnet1d) -> None:
        """Take over the base's weights as they are now."""
        for name in ("down", "shorten", "middle", "embedding", "cond_encoder"):
            getattr(self, name).load_state_dict(getattr(base, name).state_dict())
        size = sum(self.modulation_sizes)
        for mine, theirs in ((self.from_time, base.from_time), (self.from_cond, base.from_cond)):
            mine.weight.copy_(theirs.weight[:size])
        self.from_time.bias.copy_(base.from_time.bias[:size])

    def time_modulation(self, t: Tensor) -> Tensor:
        """(B,) timesteps -> (B, Mb)."""
        part: Tensor = self.from_time(self.activation(self.embedding(t)))
        return part

    def cond_modulation(self, cond: Tensor) -> Tensor:
        """(B, Dc) -> (B, Mb)."""
        part: Tensor = self.from_cond(self.activation(self.cond_encoder(cond)))
        return part

    def forward(self, xt: Tensor, modulation: Tensor, recalled: RecalledChunk) -> Encoding:
        """Return what is added to the base's way down: (B, Tp, Da), (B, Mb) and the prior."""
        hint, features = None, xt
        if self.hint is None:
            features = xt + recalled.rows
        else:
            # Behind the first block: added to the noisy chunk itself it would drown in the noise.
            age = recalled.age[:, None].expand_as(recalled.valid)
            hint = self.hint(torch.cat([recalled.rows, recalled.valid, age], dim=2))
        parts = torch.split(modulation, self.modulation_sizes, dim=1)
        found = encoding_of(self.down, self.shorten, self.middle, features, parts, self.form, hint)
        skips = found.skips
        if self.of_skips:
            skips = tuple(each(s) for each, s in zip(self.of_skips, skips, strict=True))
        return Encoding(self.of_middle(found.middle), skips)


class ControlledUnet1d(nn.Module):
    """A base that is not trained and what a branch adds to it, given the chunk before.

    The condition is the base's and behind it the columns of ``recalled_chunk``. What comes from
    the branch is added to the base's skips and middle, each through a layer of its own that is 0
    at birth; the answer is base + w (controlled - base).

    Planning (``denoise_modulated``) takes the base's answer, bit for bit, where there is no chunk
    before; training (``forward``) lets the branch learn from such rows as from any other.

    Args:
        base: The U-Net; its weights are held from here on.
        horizon: Tp of the chunk before.
        told: Whether the branch is given a mask of that chunk's rows, and its age.
        as_released: The released code of the paper: the prior is added to the noisy chunk and the
            skips are open, so that the base is another one from the first update on. There they
            are added to the way up; here, where widths differ, to the base's skips.

    Attributes:
        branch: What is trained.
    """

    def __init__(
        self,
        base: ConditionalUnet1d,
        *,
        horizon: int,
        told: bool = True,
        as_released: bool = False,
    ) -> None:
        super().__init__()
        action_dim = base.action_dim
        self.horizon, self.action_dim, self.told = horizon, action_dim, told
        self.seen_dim = base.cond_dim
        self.branch = ControlBranch(
            base, 0 if as_released else action_dim + 2, closed_skips=not as_released
        )
        self.base = base.requires_grad_(False)
        self.sizes = [
            sum(base.modulation_sizes),
            sum(self.branch.modulation_sizes),
            recalled_dim(horizon, action_dim),
        ]

    def copy_base(self) -> None:
        """Begin the branch with the base's weights as they are now."""
        self.branch.copy(self.base)

    def time_modulation(self, t: Tensor) -> Tensor:
        """(B,) timesteps -> (B, M), the timestep's part of both modulations."""
        parts = [self.base.time_modulation(t), self.branch.time_modulation(t)]
        parts.append(parts[0].new_zeros(len(t), self.sizes[2]))
        return torch.cat(parts, dim=1)

    def cond_modulation(self, cond: Tensor) -> Tensor:
        """(B, Dc) -> (B, M), the condition's part of both, and the chunk before as it is."""
        seen, columns = cond[:, : self.seen_dim], cond[:, self.seen_dim :]
        parts = [self.base.cond_modulation(seen), self.branch.cond_modulation(seen), columns]
        return torch.cat(parts, dim=1)

    def forward(self, xt: Tensor, t: Tensor, cond: Tensor) -> Tensor:
        """Return what training sees: the controlled answer, (B, Tp, answers * Da)."""
        modulation = self.time_modulation(t) + self.cond_modulation(cond)
        of_base, of_branch, recalled = self._parts(modulation)
        return self._controlled(xt, of_base, self.branch(xt, of_branch, self._told(recalled)))

    def denoise_modulated(self, xt: Tensor, modulation: Tensor) -> Tensor:
        """Noisy chunk (B, Tp, Da), both parts added (B, M) -> (B, Tp, answers * Da)."""
        return self.asked(xt, modulation, 1.0)[0]

    def asked(
        self, xt: Tensor, modulation: Tensor, transition_scale: float
    ) -> tuple[Tensor, Encoding | None, Tensor | None]:
        """Return the answer, with the branch asked, and what can be added at the next steps.

        To the base's way down, or where the transition has a scale of its own to its answer. A
        scale w of 1 costs one controlled pass, 0 the base alone.
        """
        added = None if transition_scale == 0.0 else self.added(xt, modulation)
        if added is None or transition_scale == 1.0:
            return self.answer(xt, modulation, added), added, None
        plain, transition = self.apart(xt, modulation, added)
        return plain + transition_scale * transition, None, transition

    def added(self, xt: Tensor, modulation: Tensor) -> Encoding | None:
        """Return what the branch adds to the base's way down; None where it adds nothing."""
        _, of_branch, recalled = self._parts(modulation)
        exists = recalled.exists
        if not bool(exists.any()):
            return None
        added = self.branch(xt, of_branch, self._told(recalled))
        kept = exists[:, None, None].to(xt)
        return Encoding(added.middle * kept, tuple(each * kept for each in added.skips))

    def answer(self, xt: Tensor, modulation: Tensor, added: Encoding | None) -> Tensor:
        """Return the base's answer with this added to its way down, (B, Tp, answers * Da)."""
        of_base = modulation[:, : self.sizes[0]]
        if added is None:
            return self.base.denoise_modulated(xt, of_base)
        return self._controlled(xt, of_base, added)

    def apart(self, xt: Tensor, modulation: Tensor, added: Encoding) -> tuple[Tensor, Tensor]:
        """Return the base's answer and what the controlled one has over it, each as ``answer``."""
        of_encoder, of_decoder = self.base.split_modulation(modulation[:, : self.sizes[0]])
        own = self.base.encoded(xt, of_encoder)
        plain = self.base.decoded(own, of_decoder)
        return plain, self.base.decoded(_sum(own, added), of_decoder) - plain

    def _parts(self, modulation: Tensor) -> tuple[Tensor, Tensor, RecalledChunk]:
        of_base, of_branch, columns = modulation.split(self.sizes, dim=1)
        return of_base, of_branch, recalled_chunk(columns, self.horizon, self.action_dim)

    def _told(self, recalled: RecalledChunk) -> RecalledChunk:
        if self.told:
            return recalled
        valid, age = torch.zeros_like(recalled.valid), torch.zeros_like(recalled.age)
        return RecalledChunk(recalled.rows, valid, age)

    def _controlled(self, xt: Tensor, modulation: Tensor, added: Encoding) -> Tensor:
        of_encoder, of_decoder = self.base.split_modulation(modulation)
        return self.base.decoded(_sum(self.base.encoded(xt, of_encoder), added), of_decoder)


class BranchAlongChain:
    """A controlled U-Net along one chain of denoising steps, asking the branch at every k-th only.

    From one step to the next a noisy chunk changes little, and what the branch adds to it changes
    less than the base: in between, its last answer is added again. With a scale other
    than 1 that is what it made of the answer, so that the way up is computed twice only where the
    branch is asked.

    Args:
        unet: In evaluation mode.
        transition_scale: w: the answer is base + w (controlled - base).
        branch_every: Steps for which the branch is asked once, k.
    """

    def __init__(self, unet: ControlledUnet1d, transition_scale: float, branch_every: int) -> None:
        self._unet, self._scale, self._every = unet, transition_scale, branch_every
        self._last: int | None = None  # timestep that was asked for last
        self._steps = 0  # since the branch was asked
        self._added: Encoding | None = None
        self._transition: Tensor | None = None

    def __call__(self, xt: Tensor, t: int, modulation: Tensor) -> Tensor:
        """Noisy chunk (B, Tp, Da) at ``t``, modulation (B, M) -> (B, Tp, answers * Da)."""
        begins = self._last is None or t >= self._last  # another chain of the same plan
        if begins or self._steps >= self._every:
            self._steps = 0
            answer = self._asking(xt, modulation)
        else:
            answer = self._unet.answer(xt, modulation, self._added)
            if self._transition is not None:
                answer = answer + self._scale * self._transition
        self._last, self._steps = t, self._steps + 1
        return answer

    def _asking(self, xt: Tensor, modulation: Tensor) -> Tensor:
        """Ask the branch; keep its answer, without its graph."""
        answer, added, transition = self._unet.asked(xt, modulation, self._scale)
        self._added = None if added is None else _detached(added)
        self._transition = None if transition is None else transition.detach()
        return answer


def _sum(one: Encoding, other: Encoding) -> Encoding:
    skips = zip(one.skips, other.skips, strict=True)
    return Encoding(one.middle + other.middle, tuple(a + b for a, b in skips))


def _detached(encoding: Encoding) -> Encoding:
    return Encoding(encoding.middle.detach(), tuple(each.detach() for each in encoding.skips))


def _closed(inputs: int, outputs: int) -> nn.Linear:
    """Return a layer that is 0 at birth and learns all the same, for its inputs are not."""
    layer = nn.Linear(inputs, outputs)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer

"""Conditional 1-D U-Net over time, Janner et al. 2022 and Chi et al. 2023 (Diffusion Policy)."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from ddpm_controller.networks.embeddings import TimestepEmbedding
from ddpm_controller.networks.mish import Mish
from ddpm_controller.networks.time_convolution import TimeConvolution

_SEES_INPUT = ("down.0.first.first.convolution.linear.weight", "down.0.first.residual.weight")
"""Ends of the names of weights that act on a U-Net's input."""
UnetForm = Literal["standard", "released"]
"""standard: on the way up a level is doubled in time and then joined with the way down at its new
length, Ronneberger et al. 2015, Fig. 1; released: as the code that Janner et al. and Chi et al.
released, and LeRobot, it is joined with its own level of the way down and doubled afterwards, so
that what the first level has found goes down only. Its timestep features reach down to a
frequency of 1 / 10000, and its last group normalization always has eight groups."""
RELEASED_LAST_GROUPS = 8


def check_unet_sizes(
    horizon: int,
    channels: Sequence[int],
    kernel_size: int,
    groups: int,
    form: UnetForm = "standard",
) -> None:
    """Refuse sizes that the U-Net cannot have, with the number that would fit.

    Raises:
        ValueError: Naming the value, the rule and the remedy.
    """
    if len(channels) < 2:
        raise ValueError(f"channels {tuple(channels)}: the U-Net needs at least two levels")
    factor = 2 ** (len(channels) - 1)
    if horizon < factor or horizon % factor:
        nearest = max(factor, round(horizon / factor) * factor)
        raise ValueError(
            f"horizon {horizon} must be divisible by {factor} = 2 ** (levels - 1) for "
            f"{len(channels)} levels of channels {tuple(channels)}: {nearest} would fit"
        )
    if kernel_size < 1 or kernel_size % 2 == 0:
        raise ValueError(f"kernel_size must be odd to keep the length, got {kernel_size}")
    wrong = [width for width in channels if width < 1 or width % groups]
    if wrong:
        raise ValueError(f"channels {wrong} must be divisible by num_groups = {groups}")
    if form == "released" and channels[0] % RELEASED_LAST_GROUPS:
        raise ValueError(
            f"channels begin with {channels[0]}, which must be divisible by "
            f"{RELEASED_LAST_GROUPS} with unet_form 'released'"
        )


class Convolution1d(nn.Module):
    """Convolution over time of (B, L, C), zero-padded, as one matrix product.

    On a CPU and for the short, wide maps of a plan this takes a third of the time of
    ``nn.Conv1d``, which unfolds per example and sees a tall thin product.
    """

    def __init__(self, inputs: int, outputs: int, kernel_size: int, stride: int = 1) -> None:
        super().__init__()
        self.kernel_size, self.stride = kernel_size, stride
        self.linear = nn.Linear(kernel_size * inputs, outputs)

    def forward(self, features: Tensor) -> Tensor:
        """(B, L, inputs) -> (B, L / stride, outputs)."""
        weight, bias = self.linear.weight, self.linear.bias
        if _learns_quickly(features, weight):
            learned: Tensor = TimeConvolution.apply(
                features, weight, bias, self.kernel_size, self.stride
            )
            return learned
        margin = self.kernel_size // 2
        padded = nn.functional.pad(features, (0, 0, margin, margin))
        last = features.shape[1]  # of the shifted copies; not unfold, whose gradient is slow
        shifted = [padded[:, k : k + last : self.stride] for k in range(self.kernel_size)]
        windows = torch.cat(shifted, dim=2)  # (B, L / stride, k * C)
        # Two dimensions: the product adds the bias itself.
        out: Tensor = self.linear(windows.flatten(0, 1))
        return out.unflatten(0, windows.shape[:2])


def _learns_quickly(features: Tensor, weight: Tensor) -> bool:
    """Whether it learns where many small products are quick: on a CPU, in float32."""
    learns = torch.is_grad_enabled() and weight.requires_grad
    return learns and features.device.type == "cpu" and not torch.is_autocast_enabled("cpu")


class Doubling1d(nn.Module):
    """Twice as many steps: sub-pixel convolution, Shi et al. 2016, over time."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convolution = Convolution1d(width, 2 * width, 3)

    def forward(self, features: Tensor) -> Tensor:
        """(B, L, C) -> (B, 2 * L, C)."""
        batch, length, width = features.shape
        out: Tensor = self.convolution(features)
        return out.reshape(batch, 2 * length, width)


class ConvBlock1d(nn.Module):
    """Convolution, group normalization, Mish."""

    def __init__(self, inputs: int, outputs: int, kernel_size: int, groups: int) -> None:
        super().__init__()
        self.convolution = Convolution1d(inputs, outputs, kernel_size)
        self.norm = nn.GroupNorm(groups, outputs)
        self.activation = Mish()

    def forward(self, features: Tensor) -> Tensor:
        """(B, L, inputs) -> (B, L, outputs)."""
        # As (B, C, 1, L) with channels last in memory, which group norm takes without a copy.
        maps = self.convolution(features).transpose(1, 2).unsqueeze(2)
        out: Tensor = self.activation(self.norm(maps).squeeze(2).transpose(1, 2))
        return out


class ResidualBlock1d(nn.Module):
    """Two convolutions with FiLM (Perez et al. 2018) between them and a residual connection."""

    def __init__(self, inputs: int, outputs: int, kernel_size: int, groups: int) -> None:
        super().__init__()
        self.modulation_size = 2 * outputs
        self.first = ConvBlock1d(inputs, outputs, kernel_size, groups)
        self.second = ConvBlock1d(outputs, outputs, kernel_size, groups)
        same = inputs == outputs
        self.residual = nn.Identity() if same else nn.Linear(inputs, outputs)

    def forward(self, features: Tensor, modulation: Tensor) -> Tensor:
        """(B, L, inputs) and (B, 2 * outputs) -> (B, L, outputs)."""
        scale, bias = modulation[:, None].chunk(2, dim=2)
        # 1 + scale: an untrained modulation lets the features through.
        modulated = torch.addcmul(bias, self.first(features), 1 + scale)
        out: Tensor = self.second(modulated) + self.residual(features)
        return out


class ResidualPair1d(nn.Module):
    """Two residual blocks, one after the other: what every level of the U-Net has."""

    def __init__(self, inputs: int, outputs: int, kernel_size: int, groups: int) -> None:
        super().__init__()
        self.first = ResidualBlock1d(inputs, outputs, kernel_size, groups)
        self.second = ResidualBlock1d(outputs, outputs, kernel_size, groups)
        self.modulation_size = self.first.modulation_size + self.second.modulation_size

    def forward(self, features: Tensor, modulation: Tensor, hint: Tensor | None = None) -> Tensor:
        """(B, L, inputs), (B, 4 * outputs) and a (B, L, outputs) to add between -> as the hint."""
        of_first, of_second = modulation.chunk(2, dim=1)
        between = self.first(features, of_first)
        out: Tensor = self.second(between if hint is None else between + hint, of_second)
        return out


class Encoding(NamedTuple):
    """What goes down a U-Net and comes up again.

    Attributes:
        middle: (B, L / 2 ** (levels - 1), C) of the last level.
        skips: (B, L / 2 ** level, C) of the levels that the way up is joined with: all but the
            last, or as released all but the first.
    """

    middle: Tensor
    skips: tuple[Tensor, ...]


class ConditionalUnet1d(nn.Module):
    """Denoiser of action chunks, conditioned on the timestep and on one vector.

    The scales and biases of all blocks come from one linear layer. It acts on timestep and
    condition separately and the two parts add up, so that sampling computes the condition's part
    once per plan and the timestep's part once per checkpoint (``denoise_modulated``).

    ``cond_hidden`` puts two layers of this width before that linear layer: where the condition is
    a state and not the output of an encoder, a linear layer alone sees too little in it.
    ``answers`` is the number of values that are predicted for each number of the chunk, and
    ``input_dim`` the columns that go in; 0: those of the chunk.

    Attributes:
        form: Where the ways down and up are joined.
        action_dim: Da.
        cond_dim: Dc.
        input_dim: Columns that go in.
    """

    def __init__(
        self,
        *,
        action_dim: int,
        cond_dim: int,
        channels: Sequence[int],
        kernel_size: int,
        num_groups: int,
        timestep_dim: int,
        cond_hidden: int = 0,
        answers: int = 1,
        input_dim: int = 0,
        form: UnetForm = "standard",
    ) -> None:
        super().__init__()
        released = form == "released"

        def pair(inputs: int, outputs: int) -> ResidualPair1d:
            return ResidualPair1d(inputs, outputs, kernel_size, num_groups)

        self.action_dim, self.cond_dim = action_dim, cond_dim
        self.input_dim, self.form = input_dim or action_dim, form
        widths = list(zip((self.input_dim, *channels[:-1]), channels, strict=True))
        down = [pair(before, width) for before, width in widths]
        middle = pair(channels[-1], channels[-1])
        joined = [(width + (width if released else before), before) for before, width in widths]
        up = [pair(*each) for each in reversed(joined[1:])]
        self.down, self.middle, self.up = nn.ModuleList(down), middle, nn.ModuleList(up)
        self.shorten = nn.ModuleList(_halving(width) for width in channels[:-1])
        doubled = channels[-2::-1] if released else channels[:0:-1]
        self.lengthen = nn.ModuleList(Doubling1d(width) for width in doubled)
        groups = RELEASED_LAST_GROUPS if released else num_groups
        self.last = ConvBlock1d(channels[0], channels[0], kernel_size, groups)
        self.out = nn.Linear(channels[0], answers * action_dim)
        self.modulation_sizes = [each.modulation_size for each in (*down, middle, *up)]
        self.embedding = TimestepEmbedding(timestep_dim, to_end=released)
        self.from_time = nn.Linear(timestep_dim, sum(self.modulation_sizes))
        self.cond_encoder = _cond_encoder(cond_dim, cond_hidden)
        self.from_cond = nn.Linear(cond_hidden or cond_dim, sum(self.modulation_sizes), bias=False)
        self.activation = nn.Mish()

    @property
    def sizes(self) -> dict[str, Any]:
        """Arguments that make a network of this size again."""
        down: list[Any] = list(self.down)
        first, norms = down[0], [pair.second.second.norm for pair in down]
        return {
            "action_dim": self.action_dim,
            "cond_dim": self.cond_dim,
            "channels": [norm.num_channels for norm in norms],
            "kernel_size": first.first.first.convolution.kernel_size,
            "num_groups": norms[0].num_groups,
            "timestep_dim": self.from_time.in_features,
            "cond_hidden": len(self.cond_encoder.state_dict()) and self.from_cond.in_features,
            "answers": self.out.out_features // self.action_dim,
            "input_dim": self.input_dim,
            "form": self.form,
        }

    def time_modulation(self, t: Tensor) -> Tensor:
        """(B,) timesteps -> (B, M), the timestep's part of all scales and biases."""
        part: Tensor = self.from_time(self.activation(self.embedding(t)))
        return part

    def cond_modulation(self, cond: Tensor) -> Tensor:
        """(B, Dc) -> (B, M), the condition's part of all scales and biases."""
        part: Tensor = self.from_cond(self.activation(self.cond_encoder(cond)))
        return part

    def forward(self, xt: Tensor, t: Tensor, cond: Tensor) -> Tensor:
        """Noisy chunk (B, Tp, Da), t (B,), cond (B, Dc) -> (B, Tp, answers * Da)."""
        return self.denoise_modulated(xt, self.time_modulation(t) + self.cond_modulation(cond))

    def denoise_modulated(self, xt: Tensor, modulation: Tensor) -> Tensor:
        """Noisy chunk (B, Tp, Da), both parts added (B, M) -> (B, Tp, answers * Da)."""
        of_encoder, of_decoder = self.split_modulation(modulation)
        return self.decoded(self.encoded(xt, of_encoder), of_decoder)

    def split_modulation(self, modulation: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """(B, M) -> the parts of the way down with the middle, and of the way up."""
        parts = list(torch.split(modulation, self.modulation_sizes, dim=1))
        return parts[: len(self.down) + 1], parts[len(self.down) + 1 :]

    def encoded(self, xt: Tensor, parts: Sequence[Tensor]) -> Encoding:
        """Noisy chunk (B, Tp, Da) and the first parts of the modulation -> the way down."""
        return encoding_of(self.down, self.shorten, self.middle, xt, parts, self.form)

    def decoded(self, encoding: Encoding, parts: Sequence[Tensor]) -> Tensor:
        """The way down and the last parts of the modulation -> (B, Tp, answers * Da)."""
        features, skips = encoding.middle, list(encoding.skips)
        for lengthen, pair, part in zip(self.lengthen, self.up, parts, strict=True):
            if self.form == "released":
                features = lengthen(pair(torch.cat([features, skips.pop()], dim=2), part))
            else:
                features = pair(torch.cat([lengthen(features), skips.pop()], dim=2), part)
        prediction: Tensor = self.out(self.last(features))
        return prediction


def encoding_of(
    down: nn.ModuleList,
    shorten: nn.ModuleList,
    middle: nn.Module,
    features: Tensor,
    parts: Sequence[Tensor],
    form: UnetForm = "standard",
    hint: Tensor | None = None,
) -> Encoding:
    """Return the way down through these layers.

    Args:
        down: A pair per level.
        shorten: Between them.
        middle: The last pair.
        features: (B, Tp, inputs).
        parts: Parts of the modulation, one per pair.
        form: Form of the U-Net.
        hint: (B, Tp, C), added behind the first block of the first pair.
    """
    skips = []
    for level, (pair, part) in enumerate(zip(down, parts[:-1], strict=True)):
        features = pair(features, part, hint if level == 0 else None)
        skips.append(features)
        if level < len(shorten):
            features = shorten[level](features)
    return Encoding(middle(features, parts[-1]), tuple(joined_levels(skips, form)))


def joined_levels(levels: Sequence[Any], form: UnetForm) -> list[Any]:
    """Return what belongs to the levels of the way down that the way up is joined with."""
    return list(levels[1:] if form == "released" else levels[:-1])


def with_last_column(
    weights: Mapping[str, Tensor], wider: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Return weights of U-Nets for one more input column, the last, which counts nothing.

    Args:
        weights: By name; those that are wide enough stay as they are.
        wider: By name, of the networks that have the column.
    """
    found = dict(weights)
    for name, weight in weights.items():
        if not name.endswith(_SEES_INPUT) or name not in wider:
            continue
        taps = wider[name].shape[1] - weight.shape[1]  # each sees one more column
        if taps > 0 and weight.shape[1] % taps == 0:
            found[name] = nn.functional.pad(weight.unflatten(1, (taps, -1)), (0, 1)).flatten(1)
    return found


def _halving(width: int) -> Convolution1d:
    return Convolution1d(width, width, 3, stride=2)


def _cond_encoder(cond_dim: int, hidden: int) -> nn.Module:
    if not hidden:
        return nn.Identity()
    return nn.Sequential(nn.Linear(cond_dim, hidden), nn.Mish(), nn.Linear(hidden, hidden))

"""Forward processes whose schedule is learned: one for all (level 1), one per element (level 2).

Both start as a fixed schedule, exactly, and stay monotone whatever is learned. Train them on the
full bound (``bound.variational_bound``): the denoising error alone falls when noise is left out.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ddpm_controller.diffusion.gaussian import GaussianProcess

START_BOUNDS = (-13.3, 1.0)
"""Where gamma at t = 0 may go. Kingma et al. 2021 stop at -13.3 too: noise of 0.0013, which is
about what float32 still resolves in a chunk of order 1."""
END_BOUNDS = (2.0, 24.0)
"""Where gamma at T - 1 may go: from a share of signal of 0.1 to that of a zero-terminal-SNR."""
LEAST_RATE = 1e-4
"""Of the fixed schedule's steps in gamma; a step of 0 would be a beta of 0."""
LARGEST_LOG_RATE = 6.0
LARGEST_COEFFICIENT = 4.0


class ScalarSchedule(nn.Module):
    """Level 1: gamma(t) = -log SNR, one for all elements, Kingma et al. 2021 (VDM), Sec. 4.

    gamma climbs as the fixed schedule's, each step times exp(sum_j w_j cos(pi j u)), between two
    learned and bounded ends: monotone by construction, and w = 0 is the fixed schedule. Without
    terms only the ends are learned, VDM's gamma = w t + b.
    """

    gamma: Tensor
    waves: Tensor

    def __init__(self, betas: Tensor, terms: int = 8) -> None:
        super().__init__()
        self.register_buffer("gamma", _fixed_gamma(betas))
        if terms < 0:
            raise ValueError(f"terms must not be below 0, got {terms}")
        order = torch.arange(1, terms + 1, dtype=torch.float64)
        self.register_buffer("waves", torch.cos(torch.pi * order * _places(len(betas))[:, None]))
        self.weights = nn.Parameter(torch.zeros(terms))
        self.ends = nn.Parameter(torch.zeros(2))

    def forward(self, cond: Tensor | None = None) -> GaussianProcess:
        """Return the process, betas (T,) float64, differentiable. ``cond`` changes nothing."""
        log_rate = self.waves @ self.weights.double()
        log_rate = LARGEST_LOG_RATE * torch.tanh(log_rate / LARGEST_LOG_RATE)
        ends = self.ends.double()
        return _process(_climb(self.gamma, log_rate.exp(), ends[0], ends[1]))


class ElementSchedule(nn.Module):
    """Level 2: gamma(t | cond) for every row and joint of a chunk.

    The polynomial of Sahoo et al. 2024 (MuLAN), gamma' ~ (a u^2 + b u + 1)^2, times the fixed
    schedule's gamma'; a, b and the bounded ends are a table plus a small network of the
    observation. The observation is known on the way back too, so unlike MuLAN's latent it costs
    no term in the bound. Both at 0 are the fixed schedule.

    Args:
        betas: The fixed schedule to start from, (T,) float64.
        shape: (Tp, Da) of a chunk.
        cond_dim: Dc; 0 for one schedule per element that every observation shares.
        hidden: Width of the network.
    """

    gamma: Tensor
    places: Tensor

    def __init__(
        self, betas: Tensor, shape: Sequence[int], cond_dim: int = 0, hidden: int = 32
    ) -> None:
        super().__init__()
        self.shape = tuple(shape)
        self.cond_dim = cond_dim
        self.register_buffer("gamma", _fixed_gamma(betas))
        self.register_buffer("places", 2 * _places(len(betas)) - 1)
        self.ends = nn.Parameter(torch.zeros(2, *self.shape))
        self.bends = nn.Parameter(torch.zeros(2, *self.shape))
        self.net = None
        if cond_dim:
            last = nn.Linear(hidden, 2 * self.ends.numel())
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
            self.net = nn.Sequential(nn.Linear(cond_dim, hidden), nn.Mish(), last)

    def forward(self, cond: Tensor | None = None) -> GaussianProcess:
        """Observations (B, Dc) -> the process of these rows, betas (T, B, Tp, Da) float64.

        Differentiable. Without a network betas are (T, 1, Tp, Da), for any number of rows.

        Raises:
            ValueError: If ``cond`` is missing or has another width than the network takes.
        """
        start, end, linear, quadratic = self._coefficients(cond).double().unbind(1)  # (B, Tp, Da)
        place = self.places.reshape(-1, *[1] * quadratic.ndim)  # (T - 1, 1, ...)
        root = 1 + _bounded(linear) * place + _bounded(quadratic) * place.square()
        rate = (root.square() + LEAST_RATE) / (1 + LEAST_RATE)
        return _process(_climb(self.gamma, rate, start, end))

    def _coefficients(self, cond: Tensor | None) -> Tensor:
        """(B or 1, 4, Tp, Da): by how much the two ends have moved, b and a."""
        table = torch.cat([self.ends, self.bends])
        if self.net is None:
            return table[None]
        if cond is None or cond.ndim != 2 or cond.shape[1] != self.cond_dim:
            shape = None if cond is None else tuple(cond.shape)
            raise ValueError(f"cond must be (B, {self.cond_dim}), got {shape}")
        answer: Tensor = self.net(cond)
        return table + answer.reshape(len(cond), *table.shape)


def _fixed_gamma(betas: Tensor) -> Tensor:
    """(T,) -log SNR of the schedule to start from, whose ends must lie within the bounds."""
    if betas.ndim != 1 or len(betas) < 2:
        raise ValueError(f"betas must be (T,) with T of 2 or more, got {tuple(betas.shape)}")
    alpha_bar = GaussianProcess(betas).alpha_bar
    gamma = torch.log1p(-alpha_bar) - alpha_bar.log()
    ends = (("start", gamma[0], START_BOUNDS), ("end", gamma[-1], END_BOUNDS))
    for name, value, (low, high) in ends:
        if not low < value < high:
            raise ValueError(
                f"the schedule's -log SNR must {name} between {low} and {high}, got "
                f"{float(value):.3g}: change the number of timesteps or the schedule"
            )
    return gamma


def _places(num_timesteps: int) -> Tensor:
    """(T - 1,) middles of the steps from 0 to T - 1, as shares of the way."""
    steps = torch.arange(num_timesteps - 1, dtype=torch.float64)
    return (steps + 0.5) / (num_timesteps - 1)


def _bounded(coefficient: Tensor) -> Tensor:
    return LARGEST_COEFFICIENT * torch.tanh(coefficient / LARGEST_COEFFICIENT)


def _climb(fixed: Tensor, rate: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """Return gamma (T, ...): the fixed steps times ``rate`` (T - 1, ...), fitted to the ends."""
    first = _moved(fixed[0], start, START_BOUNDS)
    last = _moved(fixed[-1], end, END_BOUNDS)
    steps = fixed.diff().reshape(-1, *[1] * (rate.ndim - 1)) * rate
    climbed = torch.cat([torch.zeros_like(steps[:1]), steps.cumsum(0)])
    return first + (last - first) * climbed / climbed[-1]


def _moved(fixed: Tensor, by: Tensor, bounds: tuple[float, float]) -> Tensor:
    """Return ``fixed`` moved towards one of the bounds, which it never reaches."""
    low, high = bounds
    return low + (high - low) * torch.sigmoid(torch.logit((fixed - low) / (high - low)) + by)


def _process(gamma: Tensor) -> GaussianProcess:
    """alpha_bar = sigmoid(-gamma), without the cancellation of 1 - alpha_bar at low noise."""
    log_signal = nn.functional.logsigmoid(-gamma)
    before = torch.cat([torch.zeros_like(log_signal[:1]), log_signal[:-1]])
    return GaussianProcess(-torch.expm1(log_signal - before))

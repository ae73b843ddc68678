"""What a forward process leaves at its end, for people: every checkpoint says it."""

from dataclasses import dataclass

import torch

from ddpm_controller.diffusion.bound_terms import prior_term
from ddpm_controller.diffusion.forward_process import ForwardProcess
from ddpm_controller.diffusion.schedules import SIGNAL_WARNING, signal_left


@dataclass(frozen=True)
class TerminalFacts:
    """The noisiest timestep of a process.

    Attributes:
        alpha_bar: Largest share of signal at T - 1.
        prior_nats: L_T of a value at the edge of its range, nats per number: the most that the
            start from N(0, I) costs in the bound.
    """

    alpha_bar: float
    prior_nats: float

    def __str__(self) -> str:
        left, nats = f"{self.alpha_bar:.2g}", f"{self.prior_nats:.2g}"
        return f"alpha_bar_T = {left}, L_T at most {nats} nats per number"

    @property
    def warning(self) -> str:
        """What is wrong with it; empty when nothing is."""
        if self.alpha_bar <= SIGNAL_WARNING:
            return ""
        return (
            f"the schedule leaves {100 * self.alpha_bar:.2g} % of the signal at T - 1 (L_T up to "
            f"{self.prior_nats:.2g} nats per number), so sampling starts from what training has "
            "never seen: use another schedule, more timesteps or zero_terminal_snr"
        )


def terminal_facts(process: ForwardProcess, chunk_shape: tuple[int, int]) -> TerminalFacts:
    """Return the facts of a process that is bound to one row, for chunks of (Tp, Da)."""
    edge = torch.ones(1, *chunk_shape, dtype=torch.float64)
    nats = prior_term(process, edge, torch.Generator().manual_seed(0))
    return TerminalFacts(signal_left(process), float(nats.mean()))

"""What parity and convergence do not show: steps by hand, and where a solver may be used."""

import math

import pytest
import torch

from ddpm_controller.diffusion.gaussian import GaussianProcess
from ddpm_controller.diffusion.samplers import SAMPLERS, sample_ddim
from ddpm_controller.diffusion.schedules import cosine_betas, zero_terminal_snr
from ddpm_controller.diffusion.timesteps import spaced_timesteps

# signal / spread of 1, 2, 8: lambda in steps of log 4 and log 2; alpha_bar from clean to noisy.
RATIOS = torch.tensor([8.0, 2.0, 1.0]).double()
PROCESS = GaussianProcess.from_alpha_bar(RATIOS**2 / (1 + RATIOS**2))
ANSWERS = {2: 0.1, 1: 0.3, 0: -0.2}


def states_of(name):
    """What the denoiser is shown when its answer depends on t alone, and the sample."""
    seen = []

    def predict_x0(xt, t):
        seen.append(xt)
        return torch.full_like(xt, ANSWERS[t[0].item()])

    sample = SAMPLERS[name](PROCESS, predict_x0, (2, 1), torch.Generator().manual_seed(0))
    return [*seen, sample]


def moved(xt, x0, before, after):
    """Signal and spread by hand: x / spread grows by x_0 times the growth of signal / spread."""
    spreads = [1 / math.sqrt(1 + ratio**2) for ratio in (before, after)]
    return spreads[1] * (xt / spreads[0] + (after - before) * x0)


def test_ddim_continues_along_the_noise_that_was_predicted_where_x0_is_clipped():
    """Signal times the clipped x_0 and spread times the noise beside the plain one.

    With the clipped one it is ``moved(xt, 0.1, 1, 2)``.
    """
    seen = []

    def plain(xt, t):
        seen.append(xt)
        return torch.full_like(xt, 3 * ANSWERS[t[0].item()])

    def clipped(xt, t):
        return torch.full_like(xt, ANSWERS[t[0].item()])

    generator = torch.Generator().manual_seed(0)
    sample = sample_ddim(PROCESS, clipped, (2, 1), generator, predict_plain_x0=plain)
    signals, spreads = RATIOS / (1 + RATIOS**2).sqrt(), 1 / (1 + RATIOS**2).sqrt()
    for later, t in zip(seen[1:], (2, 1), strict=False):
        xt = seen[2 - t]
        noise = (xt - signals[t] * 3 * ANSWERS[t]) / spreads[t]
        by_hand = signals[t - 1] * ANSWERS[t] + spreads[t - 1] * noise
        torch.testing.assert_close(later, by_hand.to(later))
    assert sample.tolist() == [[pytest.approx(-0.2)]] * 2


def test_two_steps_of_dpm_solver_by_hand():
    """The second step is twice as long in lambda as the first: x_0 goes on by its whole change."""
    start, second, third, sample = states_of("dpm_solver_pp_2m")
    torch.testing.assert_close(second, moved(start, 0.1, 1, 2))
    torch.testing.assert_close(third, moved(second, 0.3 + (0.3 - 0.1), 2, 8))
    assert sample.tolist() == [[pytest.approx(-0.2)]] * 2


def test_the_first_correction_of_unipc_by_hand():
    """The first step is made again with the mean of the answers at both ends."""
    start, second, third, sample = states_of("unipc")
    torch.testing.assert_close(second, moved(start, 0.1, 1, 2))
    corrected = moved(start, (0.1 + 0.3) / 2, 1, 2)
    torch.testing.assert_close(third, moved(corrected, 0.5, 2, 8))
    assert sample.tolist() == [[pytest.approx(-0.2)]] * 2


def test_a_step_of_heuns_method_by_hand():
    start, ahead, second, further, last, _ = (*states_of("heun"),)
    torch.testing.assert_close(ahead, moved(start, 0.1, 1, 2))
    torch.testing.assert_close(second, moved(start, 0.2, 1, 2))
    torch.testing.assert_close(further, moved(second, 0.3, 2, 8))
    torch.testing.assert_close(last, moved(second, 0.05, 2, 8))


def test_a_step_of_edm_by_hand():
    """Karras et al. 2022, Alg. 1 in y = x / signal: dy / dsigma = (y - x_0) / sigma."""
    start, ahead, second, *_ = states_of("edm")
    before, after = 1.0, 0.5  # sigma
    scaled = start * math.sqrt(2)
    slope = (scaled - 0.1) / before
    guess = scaled + (after - before) * slope
    torch.testing.assert_close(ahead, guess * math.sqrt(0.8))
    slope = (slope + (guess - 0.3) / after) / 2
    torch.testing.assert_close(second, (scaled + (after - before) * slope) * math.sqrt(0.8))


@pytest.mark.parametrize("betas_of", [cosine_betas, lambda T: zero_terminal_snr(cosine_betas(T))])
def test_where_a_schedule_ends_in_hardly_any_signal_only_edm_goes_astray(betas_of):
    """Its documented limit: sigma falls from 2000, or 1e5, to 7 in the first step here."""
    process = GaussianProcess(betas_of(100))
    timesteps = spaced_timesteps(100, 10, "trailing")

    def predict_x0(xt, t):  # exact for N(0, 0.6^2)
        signal, noise = process.scales(t, xt)
        return signal * 0.36 / (signal**2 * 0.36 + noise**2) * xt

    spreads = {}
    for name in ("ddpm", "ddim", "dpm_solver_pp_2m", "unipc", "heun", "edm"):
        generator = torch.Generator().manual_seed(0)
        sample = SAMPLERS[name](process, predict_x0, (2000, 1), generator, timesteps)
        spreads[name] = sample.std().item() / 0.6
    assert spreads.pop("edm") > 2.0
    # Ten steps lose up to a fifth, 2000 draws are good for 2 %.
    assert all(0.75 < each < 1.1 for each in spreads.values()), spreads

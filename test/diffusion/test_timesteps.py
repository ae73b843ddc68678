import pytest
import torch

from ddpm_controller.diffusion.gaussian import GaussianProcess
from ddpm_controller.diffusion.schedules import SCHEDULES, cosine_betas, linear_betas
from ddpm_controller.diffusion.timesteps import spaced_timesteps, timesteps_for

SPACINGS = ["leading", "trailing", "linspace", "karras", "signal"]


def test_spaced_timesteps_by_hand():
    assert spaced_timesteps(100, 10).tolist() == [0, 10, 20, 30, 40, 50, 60, 70, 80, 90]
    assert spaced_timesteps(100, 4, "trailing").tolist() == [24, 49, 74, 99]
    assert spaced_timesteps(100, 3).tolist() == [0, 33, 66]
    assert spaced_timesteps(100, 4, "linspace").tolist() == [0, 33, 66, 99]
    assert spaced_timesteps(10, 3, "linspace").tolist() == [0, 4, 9]
    assert spaced_timesteps(100, 1, "trailing").tolist() == [99]
    assert spaced_timesteps(100, 1, "linspace").tolist() == [99]


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("schedule", sorted(SCHEDULES))
def test_every_choice_ascends_within_the_chain(spacing, schedule):
    for num_timesteps in (1, 2, 7, 50, 100):
        process = GaussianProcess(SCHEDULES[schedule](num_timesteps))
        for steps in {1, 2, 3, 5, 10, 33, num_timesteps - 1, num_timesteps}:
            if not 1 <= steps <= num_timesteps:
                continue
            chosen = timesteps_for(process, steps, spacing)
            assert chosen.dtype == torch.int64
            assert chosen.shape == (steps,)
            assert (chosen.diff() > 0).all()
            assert chosen[0] >= 0
            assert chosen[-1] < num_timesteps


@pytest.mark.parametrize("spacing", SPACINGS)
def test_as_many_steps_as_the_chain_has_are_all_of_them(spacing):
    process = GaussianProcess(cosine_betas(37))
    assert timesteps_for(process, 37, spacing).tolist() == list(range(37))


def test_karras_spacing_is_even_in_the_seventh_root_of_sigma():
    """Karras et al. 2022, Eq. 5, from the definition; T is large, so the nearest t is near."""
    process = GaussianProcess(linear_betas(4000))
    chosen = timesteps_for(process, 8, "karras")
    alpha_bar = process.alpha_bar[chosen]
    root = ((1 - alpha_bar) / alpha_bar) ** (0.5 / 7)
    even = torch.linspace(root[0].item(), root[-1].item(), 8).double()
    assert chosen[[0, -1]].tolist() == [0, 3999]
    # Half a timestep, where they are sparsest, is 0.004 of the root.
    torch.testing.assert_close(root, even, rtol=0, atol=4e-3)
    assert timesteps_for(process, 1, "karras").tolist() == [3999]


def test_karras_spacing_goes_to_the_nearest_timestep_by_hand():
    """Sigma 1, 2, 4, 100; the middle of 1 and 100 in the seventh root is 16.4: 4, by logarithm."""
    sigma = torch.tensor([1.0, 2.0, 4.0, 100.0]).double()
    process = GaussianProcess.from_alpha_bar(1 / (1 + sigma**2))
    assert timesteps_for(process, 3, "karras").tolist() == [0, 2, 3]
    # Of four nodes 1, 5.74, 27.5 and 100 two are nearest to 4, one moves down.
    assert timesteps_for(process, 4, "karras").tolist() == [0, 1, 2, 3]


def test_karras_spacing_of_a_schedule_per_element_goes_by_the_mean_log_snr():
    one, other = linear_betas(100), cosine_betas(100)
    both = GaussianProcess(torch.stack([one, other], dim=1)[:, None])
    log_snr = [(a / (1 - a)).log() for a in (GaussianProcess(b).alpha_bar for b in (one, other))]
    mean = GaussianProcess.from_alpha_bar(torch.sigmoid(sum(log_snr) / 2))
    chosen = timesteps_for(both, 9, "karras").tolist()
    assert chosen == timesteps_for(mean, 9, "karras").tolist()
    assert chosen != timesteps_for(GaussianProcess(other), 9, "karras").tolist()


def test_signal_spacing_starts_where_a_tenth_of_the_signal_is_left_by_hand():
    """sqrt(alpha_bar) = cos((t + 1 + .8) / 100.8 pi / 2) passes 0.1 between t = 92 and 93."""
    process = GaussianProcess(cosine_betas(100))
    assert timesteps_for(process, 1, "signal").tolist() == [92]
    assert timesteps_for(process, 3, "signal").tolist() == [30, 61, 92]
    assert process.alpha_bar[92].sqrt() > 0.1 > process.alpha_bar[93].sqrt()
    # A schedule that leaves more than that is visited to its end.
    short = GaussianProcess(linear_betas(1000).clamp(max=1e-4))
    assert timesteps_for(short, 2, "signal").tolist() == [499, 999]


def test_spacings_by_noise_are_refused_where_only_the_number_is_known():
    for spacing in ("karras", "signal"):
        with pytest.raises(ValueError, match=f"'{spacing}' needs the noise levels"):
            spaced_timesteps(100, 3, spacing)


@pytest.mark.parametrize("steps", [0, -1, 101])
@pytest.mark.parametrize("spacing", SPACINGS)
def test_more_inference_than_training_steps_are_refused(steps, spacing):
    with pytest.raises(ValueError, match=f"between 1 and .*100, got {steps}"):
        timesteps_for(GaussianProcess(cosine_betas(100)), steps, spacing)


def test_unknown_spacings_are_refused():
    with pytest.raises(ValueError, match="spacing 'even' is unknown: use one of .*'karras'"):
        spaced_timesteps(100, 10, "even")
    with pytest.raises(ValueError, match="'karras' needs the noise levels: use timesteps_for"):
        spaced_timesteps(100, 10, "karras")

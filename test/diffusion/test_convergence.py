"""How fast the error of each deterministic sampler falls, on data whose denoiser is exact."""

import itertools
import math

import pytest
import torch
from mixtures import one_dimensional

from ddpm_controller.diffusion.gaussian import GaussianProcess
from ddpm_controller.diffusion.samplers import SAMPLERS
from ddpm_controller.diffusion.timesteps import spaced_timesteps

# What their papers claim. UniPC-2 claims 3: its corrector adds one to the predictor's 2.
ORDERS = {"ddim": 1, "dpm_solver_pp_2m": 2, "heun": 2, "edm": 2, "unipc": 3}
DATA = one_dimensional([-0.6, 0.5], [0.3, 0.2], [0.25, 0.75])
STARTS = 40


@pytest.fixture(autouse=True)
def in_float64():
    """The errors of order 3 are below what float32 can show."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture(scope="module")
def process():
    """Even steps in log(signal / spread), so that twice the steps are half the step anywhere."""
    log_snr = torch.linspace(3.0, -2.5, 1025, dtype=torch.float64)
    return GaussianProcess.from_alpha_bar(torch.sigmoid(2 * log_snr))


def ends(process, name, steps):
    timesteps = spaced_timesteps(1025, steps + 1, "linspace")
    generator = torch.Generator().manual_seed(0)
    return SAMPLERS[name](process, DATA.predict_x0(process), (STARTS, 1), generator, timesteps)


def orders(process, name, steps, reference):
    errors = [
        (ends(process, name, count) - reference).square().mean().sqrt().item() for count in steps
    ]
    return [math.log2(few / more) for few, more in itertools.pairwise(errors)]


@pytest.fixture(scope="module")
def reference(process):
    torch.set_default_dtype(torch.float64)
    return ends(process, "unipc", 1024)


@pytest.mark.parametrize("name", sorted(ORDERS))
def test_the_error_falls_with_the_claimed_order(process, reference, name):
    """Twice the steps divide it by 2 to the order."""
    steps = (64, 128, 256) if name == "ddim" else (32, 64, 128)
    found = orders(process, name, steps, reference)
    assert found == pytest.approx([ORDERS[name]] * 2, abs=0.3), found


def test_the_reference_is_what_other_samplers_go_to(process, reference):
    """Or all would be measured against a common error."""
    other = ends(process, "heun", 1024)
    # 1024 steps of order 2: the error at 32 steps is 1e-3, that here a thousandth of it.
    assert (other - reference).abs().max() < 1e-5

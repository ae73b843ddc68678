"""The same numbers as diffusers 0.42, whose own code is run in float64.

Its tables are float32 (and its multistep solvers round every sample to it), which hides any error
below 1e-7. So ``float32`` means float64 while a scheduler is built and stepped here; not a formula
of it is changed.
"""

import types

import numpy as np
import pytest
import torch

from ddpm_controller.diffusion.gaussian import GaussianProcess
from ddpm_controller.diffusion.guidance import clipped, dynamically_thresholded
from ddpm_controller.diffusion.samplers import (
    sample_ddim,
    sample_ddpm,
    sample_dpm_solver_pp_2m,
    sample_edm,
    sample_unipc,
)
from ddpm_controller.diffusion.schedules import (
    cosine_betas,
    linear_betas,
    linear_unscaled_betas,
    scaled_linear_betas,
    sigmoid_betas,
    zero_terminal_snr,
)
from ddpm_controller.diffusion.timesteps import spaced_timesteps, timesteps_for

pytest.importorskip("diffusers")
from diffusers.schedulers import (
    scheduling_ddim,
    scheduling_ddpm,
    scheduling_dpmsolver_multistep,
    scheduling_heun_discrete,
    scheduling_unipc_multistep,
)

MODULES = (
    scheduling_ddim,
    scheduling_ddpm,
    scheduling_dpmsolver_multistep,
    scheduling_heun_discrete,
    scheduling_unipc_multistep,
)
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
SHAPE = (4, 3, 5)
# Ten to fifty steps of a few roundings of 1e-16 each, most enlarged where the spread is 0.01.
TOLERANCE = {"rtol": 1e-10, "atol": 1e-10}
BOTH = pytest.mark.parametrize("betas_of", [linear_betas, cosine_betas])


def renamed(module, double):
    """The module with another meaning of float32."""
    copy = types.SimpleNamespace(**{name: getattr(module, name) for name in dir(module)})
    copy.float32 = double
    return copy


@pytest.fixture(autouse=True)
def in_float64(monkeypatch):
    torch.set_default_dtype(torch.float64)
    torch_double, numpy_double = renamed(torch, torch.float64), renamed(np, np.float64)
    for module in MODULES:
        monkeypatch.setattr(module, "torch", torch_double)
        monkeypatch.setattr(module, "np", numpy_double)
    yield
    torch.set_default_dtype(torch.float32)


def seeded():
    return torch.Generator().manual_seed(7)


def bent(xt, t):
    """A curved answer that reaches beyond [-1, 1] and depends on every element of a row."""
    level = (t.reshape(-1, 1, 1) + 1) / 100
    return 1.3 * torch.tanh(2 * xt + xt.mean(2, keepdim=True)) + 0.2 * torch.sin(level)


def ours(sampler, process, denoise, **options):
    """The states that the denoiser saw, and the sample."""
    seen = []

    def predict_x0(xt, t):
        seen.append(xt)
        return denoise(xt, t)

    sample = sampler(process, predict_x0, SHAPE, seeded(), **options)
    return [*seen, sample]


def theirs(scheduler, denoise, steps, learned=None, **options):
    """The same of a scheduler of diffusers, which is shown x_0."""
    generator = seeded()
    scheduler.set_timesteps(steps)
    xt = torch.randn(SHAPE, generator=generator)
    states = []
    for t in scheduler.timesteps:
        states.append(xt)
        at = t.long().expand(SHAPE[0])
        answer = denoise(xt, at)
        if learned is not None:
            answer = torch.cat([answer, learned(xt, at)], dim=1)
        xt = scheduler.step(answer, int(t), xt, **options, **generator_for(scheduler, generator))
        xt = xt.prev_sample
    return [*states, xt]


def generator_for(scheduler, generator):
    noisy = isinstance(scheduler, scheduling_ddpm.DDPMScheduler | scheduling_ddim.DDIMScheduler)
    return {"generator": generator} if noisy else {}


def scheduler_of(kind, betas, **options):
    return kind(
        num_train_timesteps=len(betas),
        trained_betas=betas.numpy(),
        prediction_type="sample",
        **options,
    )


def assert_same_states(mine, other):
    assert len(mine) == len(other)
    for step, (each, expected) in enumerate(zip(mine, other, strict=True)):
        assert each.dtype == torch.float64
        torch.testing.assert_close(each, expected, **TOLERANCE, msg=f"state {step} differs")


@pytest.mark.parametrize(
    ("betas_of", "options"),
    [
        (linear_unscaled_betas, {"beta_schedule": "linear"}),
        (cosine_betas, {"beta_schedule": "squaredcos_cap_v2"}),
        (
            scaled_linear_betas,
            {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012},
        ),
        (linear_betas, {"beta_schedule": "linear"}),
        (sigmoid_betas, {"beta_schedule": "sigmoid"}),
    ],
)
@pytest.mark.parametrize("num_timesteps", [50, 1000])
def test_schedules_are_those_of_diffusers(betas_of, options, num_timesteps):
    """Ours are rescaled to fewer timesteps than 1000, as theirs is when told other ends."""
    scale = 1000 / num_timesteps
    if betas_of not in (linear_unscaled_betas, cosine_betas):
        ends = (options.get("beta_start", 1e-4), options.get("beta_end", 0.02))
        options = {**options, "beta_start": ends[0] * scale, "beta_end": ends[1] * scale}
    expected = scheduling_ddpm.DDPMScheduler(num_train_timesteps=num_timesteps, **options).betas
    assert expected.dtype == torch.float64
    torch.testing.assert_close(betas_of(num_timesteps), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("betas_of", [linear_betas, scaled_linear_betas])
def test_betas_without_signal_at_the_end_are_those_of_diffusers(betas_of):
    betas = zero_terminal_snr(betas_of(1000))
    expected = scheduling_ddim.rescale_zero_terminal_snr(betas_of(1000))
    assert expected[-1] == 1.0  # a process needs less, hence all but the last
    torch.testing.assert_close(betas[:-1], expected[:-1], rtol=1e-12, atol=1e-12)


@BOTH
@pytest.mark.parametrize("steps", [10, 100])
@pytest.mark.parametrize("variance", ["fixed_small", "fixed_large", "learned_range"])
def test_ddpm_is_step_by_step_that_of_diffusers(betas_of, steps, variance):
    betas = betas_of(100)
    learned = None if variance != "learned_range" else lambda xt, t: torch.cos(xt)
    options = {"variance": variance}
    if learned is not None:  # ours is a fraction, theirs lies between -1 and 1
        options["predict_fraction"] = lambda xt, t: (learned(xt, t) + 1) / 2
    mine = ours(
        sample_ddpm,
        GaussianProcess(betas),
        clipped(bent),
        timesteps=spaced_timesteps(100, steps),
        **options,
    )
    scheduler = scheduler_of(scheduling_ddpm.DDPMScheduler, betas, variance_type=variance)
    assert_same_states(mine, theirs(scheduler, bent, steps, learned))


@BOTH
@pytest.mark.parametrize("spacing", ["leading", "trailing"])
@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
def test_ddim_is_step_by_step_that_of_diffusers(betas_of, spacing, eta):
    betas = betas_of(100)
    timesteps = spaced_timesteps(100, 20, spacing)
    mine = ours(sample_ddim, GaussianProcess(betas), clipped(bent), timesteps=timesteps, eta=eta)
    kind = scheduling_ddim.DDIMScheduler
    scheduler = scheduler_of(kind, betas, timestep_spacing=spacing)
    # Ours takes the noise of the clipped x_0, as GLIDE does.
    other = theirs(scheduler, bent, 20, eta=eta, use_clipped_model_output=True)
    assert_same_states(mine, other)


def test_dynamic_thresholding_is_that_of_diffusers():
    betas = cosine_betas(100)
    timesteps = spaced_timesteps(100, 10)
    denoise = dynamically_thresholded(bent, 0.8)
    mine = ours(sample_ddim, GaussianProcess(betas), denoise, timesteps=timesteps)
    scheduler = scheduler_of(
        scheduling_ddim.DDIMScheduler,
        betas,
        thresholding=True,
        dynamic_thresholding_ratio=0.8,
        sample_max_value=100.0,
    )
    assert_same_states(mine, theirs(scheduler, bent, 10, use_clipped_model_output=True))


@BOTH
@pytest.mark.parametrize("steps", [1, 2, 10, 20])
@pytest.mark.parametrize(
    ("sampler", "kind"),
    [
        (sample_dpm_solver_pp_2m, scheduling_dpmsolver_multistep.DPMSolverMultistepScheduler),
        (sample_unipc, scheduling_unipc_multistep.UniPCMultistepScheduler),
    ],
)
def test_solvers_of_order_two_are_step_by_step_those_of_diffusers(betas_of, steps, sampler, kind):
    """Both end with an Euler step to sigma = 0, which is x_0, below and above 15 steps."""
    betas = betas_of(100)
    timesteps = spaced_timesteps(100, steps, "trailing")
    mine = ours(sampler, GaussianProcess(betas), bent, timesteps=timesteps)
    scheduler = scheduler_of(kind, betas, timestep_spacing="trailing", solver_order=2)
    assert_same_states(mine, theirs(scheduler, bent, steps))


def test_heuns_method_in_sigma_is_that_of_diffusers():
    """Theirs lives in x / signal, where the noise has the standard deviation sigma."""
    betas = linear_betas(100)
    process = GaussianProcess(betas)
    timesteps = spaced_timesteps(100, 10, "linspace")
    mine = ours(sample_edm, process, bent, timesteps=timesteps)
    scheduler = scheduler_of(
        scheduling_heun_discrete.HeunDiscreteScheduler, betas, timestep_spacing="linspace"
    )
    scheduler.set_timesteps(10)
    scaled = torch.randn(SHAPE, generator=seeded()) / process.alpha_bar[-1].sqrt()
    states = []
    for t in scheduler.timesteps:
        xt = scheduler.scale_model_input(scaled, t)
        states.append(xt)
        answer = bent(xt, t.long().expand(SHAPE[0]))
        scaled = scheduler.step(answer, t, scaled).prev_sample
    assert_same_states(mine, [*states, scaled])


@pytest.mark.parametrize("spacing", ["leading", "trailing", "linspace"])
@pytest.mark.parametrize(("num_timesteps", "steps"), [(100, 10), (1000, 25), (1000, 8), (64, 64)])
def test_spacings_are_those_of_diffusers(spacing, num_timesteps, steps):
    """Where T is a multiple of K; elsewhere their ``leading`` leaves out more of the noisy end."""
    scheduler = scheduling_ddim.DDIMScheduler(num_timesteps, timestep_spacing=spacing)
    scheduler.set_timesteps(steps)
    chosen = spaced_timesteps(num_timesteps, steps, spacing)
    assert chosen.tolist() == scheduler.timesteps.flip(0).tolist()


def test_karras_spacing_is_that_of_diffusers():
    betas = linear_betas(1000)
    scheduler = scheduler_of(
        scheduling_dpmsolver_multistep.DPMSolverMultistepScheduler, betas, use_karras_sigmas=True
    )
    scheduler.set_timesteps(12)
    chosen = timesteps_for(GaussianProcess(betas), 12, "karras")
    # Theirs rounds an interpolated index; ours takes the nearest sigma that there is.
    assert (chosen - scheduler.timesteps.flip(0)).abs().max() <= 1

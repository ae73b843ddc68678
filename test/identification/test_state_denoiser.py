import numpy as np
import pytest
import torch

from ddpm_controller.checkpoint import CheckpointError, load_checkpoint
from ddpm_controller.identification.state_denoiser import (
    StateDenoiser,
    StateDenoiserConfig,
    load_state_denoiser,
    save_state_denoiser,
)
from ddpm_controller.identification.state_denoiser_network import StateDenoiserNetwork
from ddpm_controller.identification.state_denoising import train_state_denoiser
from ddpm_controller.systems import restore
from ddpm_controller.types import ActionSpec, StreamSpec

STATE = StreamSpec("joint_state", "vector", (2,), 50.0, ("lift", "grip"), ("rad", "m"))
ACTION = ActionSpec(("lift", "grip"), ("rad", "m"), 0.1)
CONFIG = StateDenoiserConfig(4, 0.1, 8, (0.5, 0.01), "hash of the noise")


def trained(seed=0, num_steps=300):
    """Constant states, white noise of deviation 1: the best estimate is the mean of the rows."""
    clean = torch.zeros(1, 4, 2)

    def draw(count, generator):
        return torch.randn(count, 4, 2, generator=generator)

    return train_state_denoiser(clean, draw, num_steps=num_steps, width=8, seed=seed)


@pytest.fixture
def folder(tmp_path):
    save_state_denoiser(tmp_path / "denoiser", trained(), CONFIG, STATE, ACTION, {})
    return tmp_path / "denoiser"


def test_it_takes_noise_out_in_the_units_of_the_stream(folder):
    denoiser = load_state_denoiser(folder, (STATE,))
    noise = np.random.default_rng(0).normal(size=(400, 4, 2)) * np.array([0.5, 0.01])
    error = np.array([denoiser(3.0 + each) - 3.0 for each in noise]).std(axis=0)
    raw = noise[:, -1].std(axis=0)
    # Four rows: at best half of the noise is left; 300 updates do not reach that.
    assert (error < 0.85 * raw).all(), error / raw
    assert (error > 0.4 * raw).all(), error / raw


def test_an_untrained_network_changes_nothing_and_a_pose_does_not_matter(tmp_path):
    history = torch.randn(3, 4, 2, generator=torch.Generator().manual_seed(0))
    untrained = StateDenoiserNetwork(4, 2, 8)
    assert torch.equal(untrained(history), history)
    network = trained(num_steps=20)
    # Rounding of float32 at 100.
    torch.testing.assert_close(network(history + 100) - 100, network(history), atol=1e-4, rtol=0)


def test_the_same_seed_trains_the_same_network():
    first, same, other = (trained(seed, 5).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not torch.equal(first["layers.0.weight"], other["layers.0.weight"])


def test_a_robot_that_it_does_not_fit_is_refused_with_both_lists(folder):
    turned = StreamSpec("joint_state", "vector", (2,), 50.0, ("grip", "lift"), ("m", "rad"))
    with pytest.raises(
        CheckpointError, match=r"\['lift', 'grip'\], the robot has \['grip', 'lift'\]"
    ):
        load_state_denoiser(folder, (turned,))
    with pytest.raises(CheckpointError, match=r"the robot has only \['wrist'\]"):
        load_state_denoiser(folder, (StreamSpec("wrist", "image", (4, 4, 3), 10.0),))


def test_other_checkpoints_are_refused_and_it_is_no_policy(folder, tmp_path):
    with pytest.raises(CheckpointError, match="kind 'state_denoiser' is unknown"):
        restore(folder)
    with pytest.raises(CheckpointError, match="no checkpoint here"):
        load_state_denoiser(tmp_path / "nowhere", (STATE,))
    wide = StateDenoiserConfig(4, 0.1, 9, (0.5, 0.01), "")
    save_state_denoiser(tmp_path / "wide", trained(num_steps=1), wide, STATE, ACTION, {})
    with pytest.raises(CheckpointError, match="not a state denoiser"):
        StateDenoiser(load_checkpoint(tmp_path / "wide"))


def test_configs_and_histories_that_break_a_rule_are_refused():
    with pytest.raises(ValueError, match="num_rows must be 2 or more"):
        StateDenoiserConfig(1, 0.1, 8, (1.0,), "")
    with pytest.raises(ValueError, match="scale must be above 0"):
        StateDenoiserConfig(4, 0.1, 8, (0.0,), "")
    with pytest.raises(ValueError, match="clean must be finite"):
        train_state_denoiser(torch.full((1, 4, 2), float("nan")), lambda count, source: None)

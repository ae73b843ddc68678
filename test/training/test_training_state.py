import os

import pytest
import torch
from torch import nn

from ddpm_controller.training.config import TrainingError
from ddpm_controller.training.ema import Ema
from ddpm_controller.training.state import (
    TrainingState,
    load_state,
    save_state,
    write_atomically,
)

FINGERPRINT = {"seed": 1, "betas": (0.9, 0.99)}


def new_state(seed: int) -> TrainingState:
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Conv2d(2, 4, 3), nn.Flatten(), nn.Linear(16, 2))
    network.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.1, fused=True)
    return TrainingState(network, Ema(network, 0.75, 0.999), optimizer)


def do_update(state: TrainingState) -> None:
    state.optimizer.zero_grad()
    images = torch.arange(2 * 2 * 4 * 4).reshape(2, 2, 4, 4).float()
    state.network(images.contiguous(memory_format=torch.channels_last)).square().sum().backward()
    state.optimizer.step()
    state.ema.update(state.network, state.step)
    state.step += 1


def weights(state: TrainingState) -> dict[str, torch.Tensor]:
    return {**state.network.state_dict(), **{
        f"average {k}": v for k, v in state.ema.network.state_dict().items()
    }}  # fmt: skip


def assert_equal(one: TrainingState, two: TrainingState) -> None:
    for name, value in weights(one).items():
        assert torch.equal(value, weights(two)[name]), name


def test_a_loaded_state_goes_on_with_the_same_bits_also_in_channels_last(tmp_path):
    one, two = new_state(0), new_state(1)
    do_update(one)
    one.best_validation_loss = 0.1 + 0.2
    save_state(one, tmp_path / "state", FINGERPRINT)
    assert load_state(two, tmp_path / "state", FINGERPRINT)
    assert (two.step, two.best_validation_loss) == (1, 0.1 + 0.2)
    for _ in range(3):
        do_update(one)
        do_update(two)
    assert_equal(one, two)


@pytest.mark.parametrize("other", ["shape", "name", "missing", "moment"])
def test_a_state_of_a_release_with_other_weights_is_refused_in_one_line(tmp_path, other):
    one, path = new_state(0), tmp_path / "run" / "resume" / "state.safetensors"
    do_update(one)
    if other == "shape":
        one.network[0] = nn.Conv2d(2, 4, (3, 1))
    elif other == "name":
        one.network.add_module("more", nn.Linear(2, 2))
    elif other == "missing":
        del one.network[2]
    else:
        moments = one.optimizer.state[one.network[0].weight]
        moments["exp_avg"] = moments["exp_avg"].flatten()
    save_state(one, path, FINGERPRINT)
    here = new_state(0)
    before = {name: value.clone() for name, value in weights(here).items()}
    with pytest.raises(TrainingError, match="of another release.*more differ; choose") as caught:
        load_state(here, path, FINGERPRINT)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(f"--initial-checkpoint {tmp_path}/run/checkpoints/last")
    assert all(torch.equal(value, before[name]) for name, value in weights(here).items())


def test_without_a_file_the_state_stays_as_it_is(tmp_path):
    state, same = new_state(0), new_state(0)
    assert not load_state(state, tmp_path / "state", FINGERPRINT)
    assert_equal(state, same)


def test_infinity_before_the_first_validation_survives(tmp_path):
    save_state(new_state(0), tmp_path / "state", FINGERPRINT)
    state = new_state(1)
    state.best_validation_loss = 0.0
    load_state(state, tmp_path / "state", FINGERPRINT)
    assert state.best_validation_loss == float("inf")


def test_a_failed_write_leaves_the_old_content_and_no_remains(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]

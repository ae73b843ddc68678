"""A checkpoint whose config describes another network than its weights are of."""

from dataclasses import asdict, replace

import pytest
import small_diff_control
import small_policy
import torch
from random_checkpoint import CONFIG, save_random_checkpoint

from ddpm_controller.checkpoint import CheckpointError, load_checkpoint
from ddpm_controller.policies.bc_lstm.policy import BcLstmConfig, BcLstmNetwork
from ddpm_controller.policies.diffusion_policy.config import MOST_ROWS, MOST_TIMESTEPS
from ddpm_controller.policies.restored import NoMoreWeights
from ddpm_controller.systems import restore

MADE = {
    "diffusion_policy": small_policy.network,
    "element": lambda: small_policy.network(forward_process="element"),
    **{
        state: lambda state=state: small_diff_control.network(state, trained=False)
        for state in (*small_diff_control.CHUNK_STATES, "belief")
    },
    "bc_lstm": lambda: BcLstmNetwork(
        BcLstmConfig(), small_policy.ACTION_SPEC, small_policy.STREAMS, small_policy.STATISTICS
    ),
}


@pytest.mark.parametrize("kind", MADE)
def test_a_network_of_every_kind_takes_no_more_weights_than_its_file_has(kind):
    weights = MADE[kind]().state_dict()
    with NoMoreWeights(sum(each.numel() for each in weights.values())):
        again = MADE[kind]()
    assert again.state_dict().keys() == weights.keys()


def test_one_weight_more_is_refused_before_it_is_there():
    with NoMoreWeights(9):
        torch.nn.Linear(2, 3)
    refused = pytest.raises(ValueError, match="at least 9 weights, the file has 8")
    with NoMoreWeights(8), refused:
        torch.nn.Linear(2, 3)


def test_a_config_that_describes_a_larger_network_is_refused_with_both_figures(tmp_path):
    save_random_checkpoint(tmp_path)
    good = load_checkpoint(tmp_path)
    wider = asdict(replace(CONFIG, channels=(16, 64)))
    larger = replace(good, manifest=good.manifest.model_copy(update={"config": wider}))
    count = sum(each.numel() for each in good.weights.values())
    with pytest.raises(CheckpointError, match=rf"at least \d+ weights, the file has {count}"):
        restore(larger)
    assert restore(good)


@pytest.mark.parametrize(
    ("name", "most"), [("num_train_timesteps", MOST_TIMESTEPS), ("horizon", MOST_ROWS)]
)
def test_what_takes_memory_without_weights_is_bounded(name, most):
    replace(CONFIG, **{name: most})
    with pytest.raises(ValueError, match=f"{name} must be {most} at the most, got"):
        replace(CONFIG, **{name: 2 * most})

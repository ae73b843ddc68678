from dataclasses import replace

import pytest
import torch

from ddpm_controller.checkpoint import load_checkpoint
from ddpm_controller.training.config import TrainingError


def from_checkpoint(tiny, folder, **changes):
    return replace(tiny.CONFIG, initial_checkpoint=str(folder), **changes)


def inside(episodes):
    """Smaller circles, within the ranges of the others."""
    return [
        replace(
            each,
            values={**each.values, "joint_state": 0.9 * each.values["joint_state"]},
            actions=0.9 * each.actions,
        )
        for each in episodes
    ]


def test_a_training_begins_with_the_weights_and_statistics_of_the_checkpoint(
    tiny, uninterrupted, tmp_path
):
    base = load_checkpoint(uninterrupted / "checkpoints" / "last")
    # So slow that one update changes a weight by less than the tolerance.
    config = from_checkpoint(tiny, base.folder, num_steps=1, learning_rate=1e-9, seed=3)
    tiny.train(inside(tiny.episodes(seed=9)), tiny.SPEC, tiny.STREAMS, config, tmp_path)
    trained = load_checkpoint(tmp_path / "checkpoints" / "last")
    for name, weight in base.weights.items():
        assert torch.allclose(trained.weights[name], weight, atol=1e-6), name
    assert trained.manifest.statistics == base.manifest.statistics
    assert trained.manifest.provenance["initial_checkpoint"] == base.hash


def test_another_initial_checkpoint_in_the_same_folder_is_refused(tiny, uninterrupted, tmp_path):
    config = from_checkpoint(tiny, uninterrupted / "checkpoints" / "last", num_steps=1)
    tiny.train_tiny(tmp_path, config)
    with pytest.raises(TrainingError, match="initial_checkpoint: [0-9a-f]{64} there,  here"):
        tiny.train_tiny(tmp_path, replace(config, initial_checkpoint=""))


def test_a_checkpoint_of_other_sizes_is_refused_with_what_does_not_fit(
    tiny, uninterrupted, tmp_path
):
    policy = replace(tiny.POLICY, channels=(16, 16))
    config = from_checkpoint(tiny, uninterrupted / "checkpoints" / "last", policy=policy)
    with pytest.raises(TrainingError, match=r"not of this network.*policy sizes"):
        tiny.train_tiny(tmp_path, config)


def test_a_checkpoint_for_other_joints_is_refused_with_both_lists(tiny, uninterrupted, tmp_path):
    spec = replace(tiny.SPEC, joint_names=("shoulder", "wrist"))
    config = from_checkpoint(tiny, uninterrupted / "checkpoints" / "last")
    with pytest.raises(TrainingError, match="shoulder.*elbow.*\n.*shoulder.*wrist"):
        tiny.train(tiny.episodes(), spec, tiny.STREAMS, config, tmp_path)


def test_a_missing_initial_checkpoint_is_refused(tiny, tmp_path):
    with pytest.raises(TrainingError, match="no checkpoint here"):
        tiny.train_tiny(tmp_path, from_checkpoint(tiny, tmp_path / "none"))

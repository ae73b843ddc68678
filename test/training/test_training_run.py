import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.image import imread

from ddpm_controller.checkpoint import load_checkpoint
from ddpm_controller.systems import restore
from ddpm_controller.training import run
from ddpm_controller.training.config import TrainingError
from ddpm_controller.training.log import read_log
from ddpm_controller.training.material import material_from
from ddpm_controller.training.updates import validation_loss


def test_training_lowers_the_loss_of_held_out_episodes(tiny, tmp_path):
    config = replace(
        tiny.CONFIG, num_steps=150, validation_every=50, log_every=10, checkpoint_every=150
    )
    result = tiny.train_tiny(tmp_path, config)
    measured = [line.validation_loss for line in read_log(tmp_path)]
    measured = [loss for loss in measured if not math.isnan(loss)]
    assert len(measured) == 3
    assert measured[-1] < 0.6  # noise alone has a mean square of 1
    assert result.validation_loss == min(measured)


def test_the_folder_has_everything_that_was_promised(uninterrupted):
    assert sorted(path.name for path in uninterrupted.iterdir()) == [
        "checkpoints",
        "config.json",
        "curves.png",
        "log.jsonl",
        "resume",
        "samples.png",
        "tensorboard",
    ]
    assert list((uninterrupted / "tensorboard").iterdir())
    for name in ("curves.png", "samples.png"):
        assert imread(uninterrupted / name)[..., :3].std() > 0.01, f"{name} is blank"


def test_the_checkpoint_says_where_it_comes_from(tiny, tmp_path):
    result = tiny.train_tiny(tmp_path, provenance={"bags": [{"name": "b", "sha256": "0"}]})
    manifest = load_checkpoint(result.last_checkpoint).manifest
    assert manifest.provenance["bags"] == [{"name": "b", "sha256": "0"}]
    assert manifest.provenance["step"] == 12
    assert manifest.provenance["training"]["batch_size"] == 8
    assert manifest.provenance["num_episodes"] == 3
    (held_out,) = manifest.provenance["held_out"]
    assert held_out.startswith("circle")
    assert manifest.action_spec == tiny.SPEC
    assert manifest.streams == tiny.STREAMS


def test_statistics_come_from_the_training_episodes_alone(tiny, uninterrupted):
    manifest = load_checkpoint(uninterrupted / "checkpoints" / "last").manifest
    kept = [e for e in tiny.episodes() if e.source not in manifest.provenance["held_out"]]
    highest = np.concatenate([episode.actions for episode in kept]).max(axis=0)
    assert manifest.statistics["action"]["max"] == highest.tolist()


def test_a_checkpoint_plans_as_the_averaged_network_does(tiny, uninterrupted):
    policy = restore(uninterrupted / "checkpoints" / "last")
    assert policy.action_spec == tiny.SPEC
    state = (uninterrupted / "resume" / "state.safetensors").read_bytes()
    from safetensors.torch import load

    average = {k.removeprefix("average."): v for k, v in load(state).items() if "average." in k}
    saved = load_checkpoint(uninterrupted / "checkpoints" / "last").weights
    assert saved.keys() == average.keys()
    assert all(torch.equal(saved[name], average[name]) for name in saved)


def test_the_best_checkpoint_is_the_one_with_the_lowest_validation_loss(tiny, uninterrupted):
    lines = [x for x in read_log(uninterrupted) if not math.isnan(x.validation_loss)]
    lowest = min(lines, key=lambda line: line.validation_loss)
    provenance = load_checkpoint(uninterrupted / "checkpoints" / "best").manifest.provenance
    assert provenance["step"] == lowest.step
    assert provenance["validation_loss"] == lowest.validation_loss


def test_validation_is_the_same_each_time_and_changes_no_random_state(tiny, uninterrupted):
    material = material_from(tiny.episodes(), tiny.SPEC, tiny.STREAMS, tiny.CONFIG, {})
    network = restore(uninterrupted / "checkpoints" / "last").network
    cpu = torch.device("cpu")
    before = torch.get_rng_state()
    losses = {validation_loss(network, material.validation, tiny.CONFIG, cpu) for _ in range(2)}
    assert len(losses) == 1
    assert torch.equal(torch.get_rng_state(), before)


def test_a_training_changes_neither_torch_threads_nor_the_global_generator(tiny, tmp_path):
    before = torch.get_rng_state()
    tiny.train_tiny(tmp_path, replace(tiny.CONFIG, num_steps=1, torch_num_threads=2))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == 1


def test_another_seed_is_another_training(tiny, uninterrupted, tmp_path):
    tiny.train_tiny(tmp_path, replace(tiny.CONFIG, seed=1))
    assert read_log(tmp_path)[-1].loss != read_log(uninterrupted)[-1].loss


def test_without_held_out_episodes_there_is_no_best_checkpoint(tiny, tmp_path):
    result = tiny.train_tiny(tmp_path, replace(tiny.CONFIG, validation_fraction=0.0))
    assert result.best_checkpoint is None
    assert result.validation_loss == math.inf
    assert result.last_checkpoint is not None
    manifest = load_checkpoint(result.last_checkpoint).manifest
    assert manifest.provenance["validation_loss"] is None


def test_progress_is_told_after_every_update(tiny, tmp_path):
    seen = []
    tiny.train_tiny(tmp_path, on_progress=seen.append)
    assert [progress.step for progress in seen] == list(range(1, 13))
    assert all(progress.num_steps == 12 for progress in seen)
    assert math.isnan(seen[2].validation_loss)
    assert seen[3].validation_loss == read_log(tmp_path)[3].validation_loss


def test_a_loss_that_is_not_finite_ends_with_the_last_good_state(tiny, tmp_path):
    with pytest.raises(TrainingError, match="must be finite; lower learning_rate = 1e"):
        tiny.train_tiny(
            tmp_path,
            replace(tiny.CONFIG, learning_rate=1e30, num_steps=100, max_gradient_norm=0.0),
        )
    facts = json.loads((tmp_path / "config.json").read_text())
    assert facts["learning_rate"] == 1e30


def test_episodes_that_do_not_fit_are_refused_before_anything_is_written(tiny, tmp_path):
    output = tmp_path / "run"
    with pytest.raises(TrainingError, match="circle 0: has streams"):
        run.train(tiny.episodes(), tiny.SPEC, tiny.STREAMS[:1], tiny.CONFIG, output)
    assert not output.exists()

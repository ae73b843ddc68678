import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.image import imread
from safetensors.torch import load

from ddpm_controller.checkpoint import load_checkpoint
from ddpm_controller.data.windows import split_episodes
from ddpm_controller.systems import restore
from ddpm_controller.training import run
from ddpm_controller.training.batches import generator_for
from ddpm_controller.training.config import TrainingError
from ddpm_controller.training.log import read_log
from ddpm_controller.training.material import material_from
from ddpm_controller.training.updates import validation_loss


def test_training_lowers_the_loss_of_held_out_episodes(tiny, tmp_path):
    config = replace(
        tiny.CONFIG, num_steps=80, validation_every=40, log_every=10, checkpoint_every=80
    )
    result = tiny.train_tiny(tmp_path, config)
    measured = [line.validation_loss for line in read_log(tmp_path)]
    measured = [loss for loss in measured if not math.isnan(loss)]
    assert len(measured) == 2
    assert measured[-1] < 0.7  # noise alone has a mean square of 1
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


def test_statistics_come_from_the_training_episodes_alone(tiny, tmp_path):
    episodes = tiny.episodes()
    _, (held_out,) = split_episodes(episodes, tiny.CONFIG.validation_fraction, tiny.CONFIG.seed)
    episodes[held_out] = replace(episodes[held_out], actions=2 * episodes[held_out].actions)
    config = replace(tiny.CONFIG, num_steps=1)
    result = run.train(episodes, tiny.SPEC, tiny.STREAMS, config, tmp_path)
    highest = load_checkpoint(result.last_checkpoint).manifest.statistics["action"]["max"]
    assert max(highest) <= 1.0 < episodes[held_out].actions.max()


def test_a_checkpoint_plans_as_the_averaged_network_does(tiny, uninterrupted):
    policy = restore(uninterrupted / "checkpoints" / "last")
    assert policy.facts.action_spec == tiny.SPEC
    state = (uninterrupted / "resume" / "state.safetensors").read_bytes()
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


def test_a_worse_validation_leaves_the_best_checkpoint(tiny, tmp_path, monkeypatch):
    losses = iter([0.5, 0.3, 0.4])
    monkeypatch.setattr(run, "validation_loss", lambda *arguments: next(losses))
    result = tiny.train_tiny(tmp_path)
    assert result.validation_loss == 0.3
    assert load_checkpoint(result.best_checkpoint).manifest.provenance["step"] == 8
    assert load_checkpoint(result.last_checkpoint).manifest.provenance["step"] == 12


def test_validation_is_the_same_each_time_and_changes_no_random_state(tiny, uninterrupted):
    material = material_from(tiny.episodes(), tiny.SPEC, tiny.STREAMS, tiny.CONFIG, {})
    network = restore(uninterrupted / "checkpoints" / "last").network
    cpu = torch.device("cpu")
    before = torch.get_rng_state()
    losses = {validation_loss(network, material.validation, tiny.CONFIG, cpu) for _ in range(2)}
    assert len(losses) == 1
    assert torch.equal(torch.get_rng_state(), before)


def test_the_averaged_weights_are_what_is_validated(tiny, uninterrupted):
    material = material_from(tiny.episodes(), tiny.SPEC, tiny.STREAMS, tiny.CONFIG, {})
    network = restore(uninterrupted / "checkpoints" / "last").network
    measured = validation_loss(network, material.validation, tiny.CONFIG, torch.device("cpu"))
    assert measured == read_log(uninterrupted)[-1].validation_loss


def test_a_training_changes_neither_torch_threads_nor_the_global_generator(tiny, tmp_path):
    before = torch.get_rng_state()
    tiny.train_tiny(tmp_path, replace(tiny.CONFIG, num_steps=1, torch_num_threads=2))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == 1


def test_a_line_of_the_log_is_a_mean_also_over_a_stop(tiny, uninterrupted, tmp_path):
    config = replace(tiny.CONFIG, log_every=3, validation_every=12)
    seen = []
    tiny.train_tiny(tmp_path, config, on_progress=seen.append, should_stop=lambda: len(seen) == 5)
    tiny.train_tiny(tmp_path, config)
    single = read_log(uninterrupted)
    for number, line in enumerate(read_log(tmp_path)):
        three = single[3 * number : 3 * number + 3]
        assert line.step == three[-1].step
        assert line.loss == pytest.approx(np.mean([x.loss for x in three]))
        assert line.gradient_norm == pytest.approx(np.mean([x.gradient_norm for x in three]))


def test_every_shard_of_every_update_has_noise_of_its_own(tiny, tmp_path, monkeypatch):
    seeds = []

    def noted(*key: int) -> torch.Generator:
        generator = generator_for(*key)
        seeds.append(generator.initial_seed())
        return generator

    monkeypatch.setattr("ddpm_controller.training.updates.generator_for", noted)
    tiny.train_tiny(
        tmp_path, replace(tiny.CONFIG, num_shards=2, num_steps=3, validation_fraction=0.0)
    )
    assert len(seeds) == len(set(seeds)) == 6


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


def test_a_recipe_may_observe_fewer_streams_than_the_robot_has(tiny, tmp_path):
    result = tiny.train_tiny(tmp_path, replace(tiny.CONFIG, streams=("joint_state",)))
    assert load_checkpoint(result.last_checkpoint).manifest.streams == tiny.STREAMS[:1]
    with pytest.raises(TrainingError, match=r"\['camera_2'\] are not the robot's, which has"):
        tiny.train_tiny(tmp_path, replace(tiny.CONFIG, streams=("camera_2",)))


def test_episodes_that_do_not_fit_are_refused_before_anything_is_written(tiny, tmp_path):
    output = tmp_path / "run"
    with pytest.raises(TrainingError, match="circle 0: has streams"):
        run.train(tiny.episodes(), tiny.SPEC, tiny.STREAMS[:1], tiny.CONFIG, output)
    assert not output.exists()


@pytest.mark.parametrize("stays", [True, False])
def test_to_stay_behind_the_end_is_learned_where_the_recipe_says_and_never_judged(tiny, stays):
    config = replace(tiny.CONFIG, stay_at_end=stays)
    material = material_from(tiny.episodes(), tiny.SPEC, tiny.STREAMS, config, {})
    for windows, learned in ((material.windows, stays), (material.validation, False)):
        last = windows.gather(np.array([len(windows) - 1])).mask[0]
        assert last.tolist() == [True, True, *[learned] * (len(last) - 2)]

"""A base, and a control branch on it: through the same trainer, resumed as any other."""

from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
import yaml

from ddpm_controller.checkpoint import load_checkpoint
from ddpm_controller.policies.diff_control.config import DiffControlConfig
from ddpm_controller.policy import PlanSettings
from ddpm_controller.systems import restore
from ddpm_controller.training.config import TrainingError, read_training_config
from ddpm_controller.types import Observation


def recipe(tiny, folder, state="controlnet", **changes):
    policy = DiffControlConfig(
        **{"policy": tiny.POLICY, "state": state, "own_chunks_from": 0.5, **changes}
    )
    return replace(tiny.CONFIG, kind="diff_control", policy=policy, initial_checkpoint=str(folder))


@pytest.fixture(scope="module")
def base(uninterrupted):
    """The last checkpoint of a diffusion policy."""
    return uninterrupted / "checkpoints" / "last"


@pytest.fixture(scope="module")
def branch(tiny, base, tmp_path_factory):
    """Output of a branch's training that nothing has disturbed."""
    output = tmp_path_factory.mktemp("branch")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("draw_curves", "draw_samples"):
            patch.setattr(f"ddpm_controller.training.run.{name}", lambda *arguments: None)
        tiny.train_tiny(output, recipe(tiny, base))
    return output


def window(episode, moment=6):
    return [
        Observation(episode.stamps_s[at], {k: v[at] for k, v in episode.values.items()})
        for at in (moment - 1, moment)
    ]


def test_the_branch_is_trained_and_the_base_stays_as_it_was_bit_for_bit(base, branch):
    before, after = load_checkpoint(base), load_checkpoint(branch / "checkpoints" / "last")
    for name, weight in before.weights.items():
        mine = f"denoiser.{name}".replace(".unet.", ".unet.base.")
        assert torch.equal(after.weights[mine], weight), name
    closed = after.weights["denoiser.unet.branch.of_middle.weight"]
    assert closed.abs().max() > 0
    down = "down.0.first.first.convolution.linear.weight"
    copied = after.weights[f"denoiser.unet.branch.{down}"]
    assert 0 < (copied - before.weights[f"unet.{down}"]).abs().max() < 0.1
    assert after.manifest.statistics == before.manifest.statistics


def test_the_bases_hash_is_in_the_config_and_the_provenance(base, branch):
    manifest, expected = (
        load_checkpoint(branch / "checkpoints" / "best").manifest,
        load_checkpoint(base).hash,
    )
    assert manifest.config["base_hash"] == expected
    assert manifest.provenance["initial_checkpoint"] == expected
    assert manifest.provenance["training"]["policy"]["base_hash"] == expected


def test_the_two_stages_run_and_the_first_plan_is_that_of_the_base(tiny, base, branch):
    stateful = restore(branch / "checkpoints" / "last")
    plain = restore(base, PlanSettings())
    seen = window(tiny.episodes()[0])
    first = stateful.plan(seen, stateful.initial_memory(0))
    expected = plain.plan(seen, plain.initial_memory(0))
    assert np.array_equal(first.chunk.actions, expected.chunk.actions)
    assert np.isfinite(stateful.plan(seen, first.memory).chunk.actions).all()


@pytest.mark.parametrize(("state", "last"), [("controlnet", 8), ("chunk_prior", 5)])
def test_a_stopped_training_ends_with_the_same_bits(tiny, base, branch, tmp_path, state, last):
    """Also behind the half of the training from which on it samples chunks of its own."""
    config, expected = recipe(tiny, base, state), branch
    if state == "chunk_prior":
        config, expected = replace(config, initial_checkpoint=""), tmp_path / "whole"
        tiny.train_tiny(expected, config)
    steps = []
    output = tmp_path / "stopped"
    tiny.train_tiny(
        output,
        config,
        on_progress=lambda progress: steps.append(progress.step),
        should_stop=lambda: len(steps) == last,
    )
    assert len(steps) == last
    assert tiny.train_tiny(output, config).finished
    assert tiny.trace(output) == tiny.trace(expected)


def test_its_own_chunks_change_the_training(tiny, base, branch, tmp_path):
    """Else what is resumed above would not have been there."""
    tiny.train_tiny(tmp_path, recipe(tiny, base, own_chunks_share=0.0))
    mine = load_checkpoint(tmp_path / "checkpoints" / "last").weights
    other = load_checkpoint(branch / "checkpoints" / "last").weights
    name = "denoiser.unet.branch.of_middle.weight"
    assert not torch.equal(mine[name], other[name])


def another_base(tiny, folder):
    tiny.train_tiny(folder, replace(tiny.CONFIG, num_steps=1))
    return folder / "checkpoints" / "last"


def test_going_on_with_another_base_is_refused_with_both_hashes(tiny, base, branch, tmp_path):
    other = another_base(tiny, tmp_path)
    there, here = load_checkpoint(base).hash, load_checkpoint(other).hash
    with pytest.raises(TrainingError, match=f"initial_checkpoint: {there} there, {here} here"):
        tiny.train_tiny(branch, recipe(tiny, other))


def test_a_base_of_another_hash_than_the_recipes_is_refused_with_both(tiny, base, tmp_path):
    found = load_checkpoint(base).hash
    with pytest.raises(TrainingError, match=f"the base is {found}, .* base_hash is {'ab' * 32}"):
        tiny.train_tiny(tmp_path, recipe(tiny, base, base_hash="ab" * 32))
    tiny.train_tiny(
        tmp_path, replace(recipe(tiny, base, base_hash=found), num_steps=1, validation_every=1)
    )


def test_a_branch_goes_on_from_another_branch_of_the_same_base_only(tiny, base, branch, tmp_path):
    found = load_checkpoint(branch / "checkpoints" / "last")
    config = recipe(tiny, found.folder, base_hash=load_checkpoint(base).hash)
    once = replace(config, num_steps=1, learning_rate=1e-9)
    tiny.train_tiny(tmp_path / "on", once)
    trained = load_checkpoint(tmp_path / "on" / "checkpoints" / "last")
    for name, weight in found.weights.items():
        assert torch.allclose(trained.weights[name], weight, atol=1e-6), name
    with pytest.raises(TrainingError, match=f"the base is {load_checkpoint(base).hash}"):
        tiny.train_tiny(tmp_path / "other", recipe(tiny, found.folder, base_hash="ab" * 32))


def test_a_base_that_was_another_policy_is_refused_with_the_fields_that_differ(
    tiny, base, tmp_path
):
    policy = replace(tiny.POLICY, prediction="v", channels=(8, 8), num_inference_steps=5)
    with pytest.raises(
        TrainingError,
        match=r"prediction: epsilon there, v here; channels: \(8, 16\) there, \(8, 8\) here$",
    ):
        tiny.train_tiny(tmp_path, recipe(tiny, base, policy=policy))
    deployed = replace(tiny.POLICY, num_inference_steps=5, n_action_steps=2)
    config = replace(recipe(tiny, base, policy=deployed), num_steps=1)
    assert tiny.train_tiny(tmp_path, config).finished


def test_a_branch_without_a_base_is_refused(tiny, tmp_path):
    with pytest.raises(TrainingError, match="'controlnet' is trained on a frozen base"):
        tiny.train_tiny(tmp_path, recipe(tiny, ""))


def test_what_is_trained_from_scratch_refuses_a_base(tiny, base, branch, tmp_path):
    with pytest.raises(TrainingError, match="'chunk_prior' is trained from scratch"):
        tiny.train_tiny(tmp_path, recipe(tiny, base, "chunk_prior"))
    with pytest.raises(TrainingError, match="not of this network"):
        tiny.train_tiny(tmp_path, recipe(tiny, branch / "checkpoints" / "last", "chunk_prior"))
    found = load_checkpoint(branch / "checkpoints" / "last")
    plain = replace(tiny.CONFIG, initial_checkpoint=str(found.folder))
    with pytest.raises(TrainingError, match="not of this network"):
        tiny.train_tiny(tmp_path, plain)


def test_a_recipe_is_read_with_the_policy_inside(tiny, base, tmp_path):
    given = {
        "kind": "diff_control",
        "initial_checkpoint": str(base),
        "policy": {"state": "controlnet", "policy": {"channels": [8, 16], "horizon": 24}},
    }
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(given))
    config = read_training_config(path)
    assert config.policy.policy.channels == (8, 16)
    assert asdict(config)["policy"]["policy"]["horizon"] == 24
    given["policy"]["policy"]["horizons"] = 8
    path.write_text(yaml.safe_dump(given))
    with pytest.raises(TrainingError, match=r"(?s)recipe.yaml.*horizons"):
        read_training_config(path)

"""Encoders that do not learn: the features of every image are found once, before the training."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ddpm_controller.checkpoint import load_checkpoint
from ddpm_controller.networks import image_encoder
from ddpm_controller.policies.diff_control.config import DiffControlConfig
from ddpm_controller.systems import restore
from ddpm_controller.training.config import TrainingError
from ddpm_controller.types import Observation


def recipe(tiny, base, state="belief", policy=None, **changes):
    of = replace(tiny.POLICY, **{"image_shift_pixels": 0, **(policy or {})})
    small = {"own_chunks_from": 0.5}
    if state == "belief":
        small = {"belief_size": 6, "history_steps": 4, "episode_steps": 16, "image_rows": 0}
        small |= {"targets_per_episode": 2, "frozen_encoders": True}
    stateful = DiffControlConfig(of, state, **{**small, **changes})
    few = {"num_steps": 4, "batch_size": 4, "validation_every": 2, "checkpoint_every": 2}
    return replace(
        tiny.CONFIG, kind="diff_control", policy=stateful, initial_checkpoint=str(base), **few
    )


@pytest.fixture(scope="module")
def base(uninterrupted):
    """The last checkpoint of a diffusion policy."""
    return uninterrupted / "checkpoints" / "last"


@pytest.fixture
def encoded(monkeypatch):
    """Sizes of the batches of images that were encoded."""
    counts, plain = [], image_encoder.ImageEncoder.forward

    def counted(self, images):
        counts.append(len(images))
        return plain(self, images)

    monkeypatch.setattr(image_encoder.ImageEncoder, "forward", counted)
    return counts


@pytest.mark.parametrize("state", ["belief", "controlnet"])
def test_every_image_is_encoded_once_and_the_encoders_stay_as_they_were(
    tiny, base, tmp_path, encoded, state
):
    tiny.train_tiny(tmp_path, recipe(tiny, base, state))
    assert sum(encoded) == sum(len(episode) for episode in tiny.episodes())
    before = load_checkpoint(base).weights
    after = load_checkpoint(tmp_path / "checkpoints" / "last").weights
    names = [name for name in before if name.startswith("encoders.")]
    assert names
    for name in names:
        assert torch.equal(after[f"denoiser.{name}"], before[name]), name


def test_images_that_move_are_encoded_at_every_update(tiny, base, tmp_path, encoded):
    tiny.train_tiny(tmp_path, recipe(tiny, base, "controlnet", {"image_shift_pixels": 1}))
    assert sum(encoded) > 2 * sum(len(episode) for episode in tiny.episodes())


@pytest.mark.parametrize("state", ["belief", "controlnet"])
def test_what_is_learned_from_features_is_what_is_learned_from_images(
    tiny, base, tmp_path, monkeypatch, state
):
    """Up to the rounding of other batches; the noise and the moments are the same."""
    config = recipe(tiny, base, state)
    tiny.train_tiny(tmp_path / "features", config)
    monkeypatch.setattr(
        "ddpm_controller.training.run.with_features", lambda material, encoders: material
    )
    tiny.train_tiny(tmp_path / "images", config)
    found, expected = (
        load_checkpoint(tmp_path / name / "checkpoints" / "last").weights
        for name in ("features", "images")
    )
    for name, weight in expected.items():
        torch.testing.assert_close(found[name], weight, rtol=1e-3, atol=1e-4, msg=name)


def test_a_training_that_was_stopped_ends_with_the_same_bits_and_plans_from_images(
    tiny, base, tmp_path
):
    config = recipe(tiny, base)
    whole = tiny.train_tiny(tmp_path / "whole", config)
    tiny.train_in_parts(tmp_path / "parts", config)
    assert tiny.trace(tmp_path / "whole") == tiny.trace(tmp_path / "parts")
    policy = restore(whole.last_checkpoint)

    def chunk(brightness):
        seen = {
            "joint_state": np.zeros(2),
            "camera": np.tile(np.arange(8, dtype=np.uint8)[:, None, None], (1, 8, 3)) * brightness,
        }
        window = [Observation(0.1 * step, seen) for step in range(policy.facts.n_obs_steps)]
        return policy.plan(window, policy.initial_memory(0)).chunk.actions

    assert np.isfinite(chunk(1)).all()
    assert not np.array_equal(chunk(1), chunk(30))


def test_where_the_encoders_are_from_is_kept_and_another_is_refused(tiny, base, tmp_path):
    found = load_checkpoint(base).hash
    tiny.train_tiny(tmp_path / "one", recipe(tiny, base))
    trained = tmp_path / "one" / "checkpoints" / "last"
    assert load_checkpoint(trained).manifest.config["base_hash"] == found
    # On from a belief: its encoders, and so its base, stay.
    tiny.train_tiny(tmp_path / "on", recipe(tiny, trained))
    on = load_checkpoint(tmp_path / "on" / "checkpoints" / "last")
    assert on.manifest.config["base_hash"] == found
    with pytest.raises(TrainingError, match=f"the base is {found}, .* base_hash is {'ab' * 32}"):
        tiny.train_tiny(tmp_path / "other", recipe(tiny, base, base_hash="ab" * 32))


def test_a_belief_that_has_learned_to_see_goes_on_with_its_encoders(tiny, base, tmp_path):
    seeing = replace(recipe(tiny, base, frozen_encoders=False), initial_checkpoint="")
    tiny.train_tiny(tmp_path / "seeing", seeing)
    seen = load_checkpoint(tmp_path / "seeing" / "checkpoints" / "last")
    tiny.train_tiny(tmp_path / "on", recipe(tiny, seen.folder))
    on = load_checkpoint(tmp_path / "on" / "checkpoints" / "last")
    assert on.manifest.config["base_hash"] == seen.hash
    changed = {
        name for name in seen.weights if not torch.equal(on.weights[name], seen.weights[name])
    }
    assert changed
    assert not any("encoders." in name for name in changed)


def test_what_cannot_be_is_refused(tiny, base, tmp_path):
    with pytest.raises(TrainingError, match="frozen_encoders are those of another checkpoint"):
        tiny.train_tiny(tmp_path, replace(recipe(tiny, base), initial_checkpoint=""))
    with pytest.raises(TrainingError, match="num_keypoints: 4 there, 2 here$"):
        tiny.train_tiny(tmp_path, recipe(tiny, base, policy={"num_keypoints": 2}))
    with pytest.raises(ValueError, match="needs image_shift_pixels 0, not 1:"):
        recipe(tiny, base, policy={"image_shift_pixels": 1})
    with pytest.raises(ValueError, match="is for a belief, not for state 'controlnet'"):
        recipe(tiny, base, "controlnet", frozen_encoders=True)


def test_encoders_are_taken_from_what_has_no_other_state(tiny, base, tmp_path):
    tiny.train_tiny(tmp_path / "branch", recipe(tiny, base, "controlnet"))
    tiny.train_tiny(tmp_path / "belief", recipe(tiny, base))
    branch, belief = (tmp_path / n / "checkpoints" / "last" for n in ("branch", "belief"))
    for state, other, its in (("belief", branch, "controlnet"), ("controlnet", belief, "belief")):
        message = f"one with state '{state}', got 'diff_control' with state '{its}'"
        with pytest.raises(TrainingError, match=message):
            tiny.train_tiny(tmp_path / "refused", recipe(tiny, other, state))


def test_a_belief_that_goes_on_keeps_what_its_weights_mean(tiny, base, tmp_path):
    """From a policy that is no belief only the encoders are taken, so the rest is free."""
    other = {"prediction": "v"}
    config = replace(recipe(tiny, base, policy=other), validation_fraction=0.0)
    tiny.train_tiny(tmp_path / "one", config)
    trained = tmp_path / "one" / "checkpoints" / "last"
    with pytest.raises(TrainingError, match="prediction: v there, epsilon here$"):
        tiny.train_tiny(tmp_path / "on", recipe(tiny, trained))

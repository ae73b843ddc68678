import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from ddpm_controller.training.config import (
    TrainingConfig,
    TrainingError,
    learning_rate_at,
    read_training_config,
    training_config_from,
)

RECIPES = sorted((Path(__file__).parents[2] / "config" / "training").glob("*.yaml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_shipped_recipes_are_valid(path):
    assert isinstance(read_training_config(path), TrainingConfig)


def test_a_recipe_survives_json(tiny):
    assert training_config_from(json.loads(json.dumps(asdict(tiny.CONFIG)))) == tiny.CONFIG


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("learning_rat: 1", r"unknown \['learning_rat'\]; known are"),
        ("policy: {horizons: 8}", r"policy: unknown \['horizons'\]"),
        ("policy: {horizon: 9}", "9"),
        ("kind: diffusion", "kind is one of .*'diffusion_policy'.*, got 'diffusion'"),
        ("batch_size: 0", "batch_size must be above 0, got 0"),
        ("batch_size: many", "valid integer"),
        ("num_shards: 3", "batch_size must be a multiple of num_shards = 3, got 64"),
        ("validation_fraction: 1.0", r"validation_fraction must be in \[0, 1\), got 1.0"),
        ("checkpoint_every: 7", "checkpoint_every must be a multiple of log_every = 50, got 7"),
        ("precision: float16", "float32"),
        ("[1, 2]", "keys and values at the top"),
        ("a: [", "cannot be read"),
    ],
)
def test_a_wrong_recipe_is_refused_with_value_and_rule(tmp_path, text, message):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(TrainingError, match=message) as error:
        read_training_config(path)
    assert str(path) in str(error.value)


def test_a_missing_recipe_is_refused(tmp_path):
    with pytest.raises(TrainingError, match="cannot be read"):
        read_training_config(tmp_path / "none.yaml")


def test_the_learning_rate_rises_in_a_line_and_falls_along_half_a_cosine(tiny):
    config = replace(tiny.CONFIG, learning_rate=1.0, warmup_steps=10, num_steps=110)
    assert learning_rate_at(0, config) == pytest.approx(0.1)
    assert learning_rate_at(9, config) == learning_rate_at(10, config) == 1.0
    assert learning_rate_at(35, config) == pytest.approx(0.853553, abs=1e-6)
    assert learning_rate_at(60, config) == pytest.approx(0.5)
    assert learning_rate_at(110, config) == pytest.approx(0.0)

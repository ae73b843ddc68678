"""`evaluate --perturbation`: it reaches the trials; one that a world lacks is refused."""

import json

import numpy as np
import pytest

from ddpm_controller.cli.evaluate import EvaluateOptions, evaluate


@pytest.fixture(scope="module")
def trials(tmp_path_factory):
    """One trial of the drum under each perturbation; what is written about it beside."""
    found = {}
    for name in ("nominal", "pushed", "longer"):
        folder = tmp_path_factory.mktemp(name)
        options = EvaluateOptions(
            world="drum",
            trials=1,
            seed=3,
            perturbation=name,
            overrides=("num_inference_steps=2",),
            output=folder,
        )
        told = []
        evaluate(options, lambda number, count, trial, told=told: told.append(trial))
        found[name] = told[0], json.loads((folder / "results.json").read_text())["facts"]
    return found


def test_a_pushed_trial_goes_another_way(trials):
    (plain, _), (pushed, _) = trials["nominal"], trials["pushed"]
    rows = min(len(plain.positions), len(pushed.positions))
    assert np.abs(plain.positions[:rows] - pushed.positions[:rows]).max() > 0.01


def test_a_longer_trial_may_last_twice_the_time(trials):
    plain, longer = (trials[name][0].duration_s for name in ("nominal", "longer"))
    assert longer > 1.2 * plain


def test_the_results_say_how_the_trials_were_disturbed(trials):
    assert {name: facts["perturbation"] for name, (_, facts) in trials.items()} == {
        name: name for name in trials
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"world": "reach", "perturbation": "pushed"}, "'pushed': in the world reach in process"),
        ({"world": "drum", "perturbation": "pulled_back"}, "nominal, pushed, occluded, longer"),
        (
            {"world": "drum", "perturbation": "pushed", "over_ros": True},
            "over ROS there is",
        ),
    ],
)
def test_a_perturbation_that_is_not_there_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        EvaluateOptions(**options)

import json

import numpy as np
import pytest
from small_planner import (
    CART_POLE,
    FILES,
    SPEC,
    STREAMS,
    cart_pole_config,
    cart_pole_planner,
)

from ddpm_controller.checkpoint import CheckpointError, load_checkpoint
from ddpm_controller.planners.budget import RolloutCost, measured_cost
from ddpm_controller.planners.config import SearchSettings
from ddpm_controller.planners.saved import (
    MODEL_NAME,
    TASK_NAME,
    PlannerFiles,
    model_from,
    save_planner,
)
from ddpm_controller.planners.settings_file import planner_config_of
from ddpm_controller.policy import PlanSettings
from ddpm_controller.systems import restore

SETTINGS = """
preset: cem
search: {rollouts: 8, horizon: 12, iterations: 2}
solver: {step_s: 0.01, euler_damping: "off"}
state: {joint_positions: places, joint_velocities: [speeds/slider, ""]}
scale: 0
"""


@pytest.fixture
def saved(tmp_path):
    save_planner(tmp_path / "it", FILES, cart_pole_config(), SPEC, STREAMS, {})
    return tmp_path / "it"


def test_a_planner_is_a_checkpoint_and_plans_the_same_again(saved):
    planner, unsaved = restore(saved), cart_pole_planner()
    window, memory = planner.facts.warm_up_window, planner.initial_memory(7)
    first = planner.plan(window, memory)
    np.testing.assert_array_equal(
        first.chunk.actions, unsaved.plan(unsaved.facts.warm_up_window, memory).chunk.actions
    )
    manifest = load_checkpoint(saved).manifest
    assert (manifest.kind, manifest.weights_file) == ("dial_mpc", "")
    assert manifest.config["search"]["method"] == "mppi"
    assert [stream.name for stream in manifest.streams] == ["places", "speeds"]  # what it reads
    assert planner.facts.checkpoint_hash == manifest.manifest_sha256
    assert planner.facts.num_inference_steps == 2
    assert "2 iterations of 8 rollouts over 12 ticks" in planner.facts.text


def test_settings_and_weights_are_overridden_by_name(saved):
    changed = {"rollouts": "6", "method": "cem", "weight_control": "0.5", "pinned": "false"}
    planner = restore(saved, PlanSettings(overrides=changed))
    assert planner.facts.settings["rollouts"] == 6
    assert planner.facts.settings["weight_control"] == 0.5
    assert restore(saved).facts.settings["weight_control"] == 0.01
    plan = planner.plan(planner.facts.warm_up_window, planner.initial_memory(0))
    assert plan.traces["rollouts"] == 6
    again = restore(saved, PlanSettings(overrides=planner.facts.settings))  # as a replay does
    np.testing.assert_array_equal(
        plan.chunk.actions,
        again.plan(planner.facts.warm_up_window, planner.initial_memory(0)).chunk.actions,
    )
    few = restore(saved, PlanSettings(n_action_steps=4))
    assert len(few.plan(few.facts.warm_up_window, few.initial_memory(0)).chunk.actions) == 4


def test_iterations_are_those_that_are_asked_for_in_the_memory(saved):
    planner = restore(saved)
    memory = {**planner.initial_memory(0), "num_inference_steps": np.array(1, np.int64)}
    plan = planner.plan(planner.facts.warm_up_window, memory)
    assert plan.traces["iterations"] == 1
    assert plan.memory["num_inference_steps"] == 0


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"speed": "1"}, "overrides ['speed'] are unknown to a planner, which has ['method'"),
        ({"rollouts": "3"}, "rollouts must be from 4 to 65536, got 3"),
        ({"rollouts": "many"}, "rollouts: "),
        (
            {"weight_gait": "1"},
            "weights ['gait'] are of no term; the task has ['pole', 'control']",
        ),
        ({"weight_pole": "-1"}, "weight must be a number from 0 on, got -1.0"),
        ({"weight_pole": "much"}, "a weight is a number, got 'much'"),
        ({"gait": "trot"}, "the task has no gait"),
    ],
)
def test_overrides_that_cannot_be_are_refused_with_what_there_is(saved, settings, text):
    with pytest.raises(ValueError) as caught:
        restore(saved, PlanSettings(overrides=settings))
    assert text in str(caught.value)
    with pytest.raises(ValueError, match="n_action_steps must be from 1 to the horizon of 12"):
        restore(saved, PlanSettings(n_action_steps=13))


@pytest.mark.parametrize("name", [MODEL_NAME, TASK_NAME])
def test_a_file_that_was_changed_or_is_missing_is_refused(saved, name):
    path = saved / name
    content = path.read_text()
    path.write_text(content + "\n")
    with pytest.raises(CheckpointError, match=f"{name}: was changed"):
        restore(saved)
    path.unlink()
    with pytest.raises(CheckpointError, match=f"{name}: cannot be read"):
        restore(saved)
    path.mkdir()
    with pytest.raises(CheckpointError, match=f"{name}: cannot be read"):
        restore(saved)


def test_a_config_that_no_planner_has_is_refused(saved):
    from ddpm_controller.checkpoint import save_checkpoint

    manifest = load_checkpoint(saved).manifest
    config = json.loads(json.dumps(manifest.config))
    for part, text in (({"search": {"rollouts": 1}}, "rollouts"), ({"magic": 1}, "magic")):
        save_checkpoint(
            saved,
            kind="dial_mpc",
            config={**config, **part},
            action_spec=SPEC,
            streams=STREAMS,
            statistics={},
            provenance={},
            weights=None,
        )
        with pytest.raises(CheckpointError, match=text):
            restore(saved)


@pytest.mark.parametrize(
    ("mjcf", "text"),
    [
        ("<mujoco>", "the model cannot be used"),
        (CART_POLE.replace("<worldbody>", '<include file="x.xml"/><worldbody>'), "'<include'"),
        (
            CART_POLE.replace("<worldbody>", '<asset><mesh file="a.stl"/></asset><worldbody>'),
            "'file='",
        ),
    ],
)
def test_a_model_that_is_none_or_names_other_files_is_refused(mjcf, text):
    with pytest.raises(ValueError, match=text):
        model_from(mjcf)


def test_nothing_is_written_of_what_does_not_fit(tmp_path):
    files = PlannerFiles(CART_POLE, "terms: {upright: 1}")
    with pytest.raises(ValueError, match="the first joint of the model must float"):
        save_planner(tmp_path / "it", files, cart_pole_config(), SPEC, STREAMS, {})
    assert not (tmp_path / "it").exists()


def test_a_file_describes_a_planner():
    config = planner_config_of(SETTINGS, model_from(CART_POLE), STREAMS, {"rollouts": "16"})
    assert (config.search.method, config.search.rollouts, config.search.sigma) == ("cem", 16, 0.3)
    assert config.state.joint_positions == ("places/slider", "places/hinge")
    assert config.state.joint_velocities == ("speeds/slider", "")
    assert (config.solver.step_s, config.solver.euler_damping) == (0.01, "off")
    other = planner_config_of(SETTINGS, model_from(CART_POLE), STREAMS, {}, "mppi")
    assert (other.search.method, other.search.rollouts) == ("mppi", 16)  # the preset's own


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- 1", "a planner's file has the keys"),
        ("speed: 1", "keys ['speed'] are unknown"),
        ("preset: best", "preset 'best' is unknown; there are ['mppi'"),
        ("search: {speed: 1}", "search: ['speed'] are unknown"),
        ("search: {rollouts: 1}", "rollouts must be from 4"),
        ("state: {places: 1}", "state: ['places'] are unknown"),
        ("state: {joint_positions: legs}", "no stream 'legs'; there are"),
        ("state: {joint_positions: unused}", "the model has the joint 'slider', the stream"),
        ("solver: {step_s: fast}", "solver.step_s"),
        ("acceleration: {forward: 0}", "accelerations must be above 0"),
    ],
)
def test_a_planners_file_that_cannot_be_is_refused(text, message):
    with pytest.raises(ValueError) as caught:
        planner_config_of(text, model_from(CART_POLE), STREAMS, {})
    assert message in str(caught.value)


def test_as_many_rollouts_are_chosen_as_fit_into_the_time():
    """Of a clock that shows what plans cost: 2 ms and 0.1 ms a rollout."""
    now = [0.0]

    def plan(search):
        def make():
            now[0] += 2e-3 + 1e-4 * search.rollouts * search.iterations

        return make

    settings = SearchSettings(rollouts=500, iterations=4)
    cost = measured_cost(plan, settings, lambda: now[0])
    assert cost.fixed_s == pytest.approx(2e-3)
    assert cost.rollout_s == pytest.approx(1e-4)
    for deadline_s, fits in ((0.02, (40, 4)), (0.0054, (9, 3)), (0.0028, (5, 1))):
        found = cost.fitted(settings, deadline_s)
        assert (found.rollouts, found.iterations) == fits
        assert cost.plan_s(found) <= 0.9 * deadline_s + 1e-9
    with pytest.raises(ValueError, match="the fewest, takes 2.4 ms, more than 90 % of"):
        cost.fitted(settings, 0.0025)
    assert RolloutCost(0.0, 1e-4).plan_s(settings) == pytest.approx(0.2)

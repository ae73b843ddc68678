from dataclasses import replace

import numpy as np
import pytest
from small_planner import (
    FILES,
    LEGGED,
    SPEC,
    STREAMS,
    cart_pole_config,
    cart_pole_planner,
)

from ddpm_controller.dynamics.perturbed import PerturbedModels
from ddpm_controller.dynamics.rollouts import Rollouts
from ddpm_controller.planners.config import PlannerConfig, StateSource, preset
from ddpm_controller.planners.objective import Risk
from ddpm_controller.planners.planner import Planner
from ddpm_controller.planners.rehearsal import rehearsed
from ddpm_controller.planners.saved import PlannerFiles, model_from, unsaved_planner
from ddpm_controller.policy import EXPECTED_DELAY, memory_difference
from ddpm_controller.rewards.task import task_from
from ddpm_controller.types import ActionSpec, Observation, StreamSpec

LEGS = ("right_hip", "right_knee", "left_hip", "left_knee")
TRUNK = (
    *("r11", "r21", "r31", "r12", "r22", "r32", "wx", "wy", "wz", "vx", "vy", "vz", "z"),
    *("ask_x", "ask_turn"),
)


def seen(stamp_s, cart=0.0, pole=3.0, cart_speed=0.0, pole_speed=0.0):
    values = {"places": np.array([cart, pole]), "speeds": np.array([cart_speed, pole_speed])}
    return Observation(stamp_s, {**values, "unused": np.zeros(1)})


def with_delay(memory, delay_s):
    return {**memory, EXPECTED_DELAY: np.array(delay_s)}


def legged_planner(**changes):
    robot = (
        StreamSpec("joints", "vector", (4,), 50.0, LEGS[::-1], ("rad",) * 4),
        StreamSpec("speeds", "vector", (4,), 50.0, LEGS, ("rad/s",) * 4),
        StreamSpec("trunk", "vector", (15,), 50.0, TRUNK, ("1",) * 15),
    )
    source = StateSource(
        base_position=("", "", "trunk/z"),
        orientation=tuple(f"trunk/{name}" for name in TRUNK[:6]),
        base_velocity=tuple(f"trunk/{name}" for name in TRUNK[9:12]),
        angular_velocity=tuple(f"trunk/{name}" for name in TRUNK[6:9]),
        joint_positions=tuple(f"joints/{name}" for name in LEGS),
        joint_velocities=tuple(f"speeds/{name}" for name in LEGS),
    )
    config = PlannerConfig(
        preset("mppi", {"rollouts": 4, "iterations": 1, "horizon": 6, "knots": 4}),
        *("", ""),
        source,
        requests={"forward": "trunk/ask_x", "turn": "trunk/ask_turn"},
        acceleration={"forward": 0.5},
    )
    spec = ActionSpec(LEGS[::-1], ("rad",) * 4, 0.02)  # another order than the model's
    task = "gait: {duty: 0.5, cadence_hz: 4, height_m: 0.1, phases: [0, 0.5]}\nfeet: [R, L]\n"
    files = PlannerFiles(LEGGED, task + "terms: {gait: 1, velocity: 1, turn: 1, upright: 1}")
    return unsaved_planner(files, replace(config, **changes), spec, robot)


def test_a_plan_is_a_pure_function_of_window_and_memory():
    planner = cart_pole_planner()
    memory = planner.initial_memory(3)
    first, again = (planner.plan([seen(1.0)], memory) for _ in range(2))
    np.testing.assert_array_equal(first.chunk.actions, again.chunk.actions)
    assert not memory_difference(first.memory, again.memory)
    other = cart_pole_planner().plan([seen(1.0)], memory)  # nothing is kept in the object
    np.testing.assert_array_equal(first.chunk.actions, other.chunk.actions)
    threaded = cart_pole_planner(threads=2).plan([seen(1.0)], memory)
    np.testing.assert_array_equal(first.chunk.actions, threaded.chunk.actions)
    assert not np.array_equal(
        first.chunk.actions, planner.plan([seen(1.0)], planner.initial_memory(4)).chunk.actions
    )
    assert not np.array_equal(
        first.chunk.actions, planner.plan([seen(1.0)], first.memory).chunk.actions
    )


def test_what_is_in_flight_stays_until_the_plan_takes_over():
    planner = cart_pole_planner()
    before = planner.plan([seen(1.0)], planner.initial_memory(0))
    plan = planner.plan([seen(1.04)], with_delay(before.memory, 0.05))  # three ticks
    assert plan.chunk.start_s == 1.04
    np.testing.assert_allclose(plan.chunk.actions[:3], before.chunk.actions[2:5], atol=1e-12)
    assert not np.allclose(plan.chunk.actions[3:6], before.chunk.actions[5:8])
    assert len(plan.chunk.actions) == 3 + 12
    assert plan.traces["frozen_ticks"] == 3
    assert plan.traces["plan_age_s"] == pytest.approx(0.04)


def test_a_plan_begins_with_the_state_that_is_predicted_for_its_take_over():
    planner = cart_pole_planner()
    before = planner.plan([seen(1.0)], planner.initial_memory(0))
    memory = with_delay(before.memory, 0.04)
    searched = planner.searched(seen(1.04, cart_speed=0.5), memory)
    model = planner.model
    plant = Rollouts([model], 0.02)
    now = plant.state_of(np.array([0.0, 3.0]), np.array([0.5, 0.0]), np.zeros(0))
    expected = plant.ahead(now, before.chunk.actions[2:4])
    np.testing.assert_allclose(searched.objective.state, expected, atol=1e-12)
    blind = cart_pole_planner(predicts=False).searched(seen(1.04, cart_speed=0.5), memory)
    np.testing.assert_allclose(blind.objective.state[1:], now[1:])


def test_a_planner_swings_a_pole_up():
    planner = cart_pole_planner("cem", horizon=40, knots=6, rollouts=16, sigma=0.5)
    plant = Rollouts([planner.model], 0.02)
    run = [each.qpos for each in rehearsed(planner, plant, 130, 0, {})]
    heights = np.cos([qpos[1] for qpos in run])
    assert heights[0] < -0.99
    assert heights[-20:].min() > 0.8


@pytest.mark.parametrize(
    ("observation", "delay_s", "text"),
    [
        (seen(1.0, pole=np.nan), 0.0, "the observed state is not finite"),
        (seen(1.0, cart_speed=np.inf), 0.0, "the observed state is not finite"),
        (seen(1.0), 0.25, "longer than the horizon of 12 ticks"),
    ],
)
def test_no_plan_is_made_from_what_cannot_be(observation, delay_s, text):
    planner = cart_pole_planner()
    with pytest.raises(ValueError, match=text):
        planner.plan([observation], with_delay(planner.initial_memory(0), delay_s))


@pytest.mark.parametrize(
    ("changes", "spec", "text"),
    [
        ({"keyframe": "sitting"}, SPEC, "no key frame 'sitting'"),
        ({}, ActionSpec(("pull",), ("1",), 0.02), "the model has ['push'], the action ['pull']"),
        ({}, replace(SPEC, period_s=0.03), "0.02 s must divide the tick of 0.03 s"),
        ({"state": StateSource()}, SPEC, "but there are {'base_position': 0"),
        (
            {"state": StateSource(joint_positions=("a/b", ""), joint_velocities=("", ""))},
            SPEC,
            "'a/b' must be <stream>/<element> of {'places': ['slider', 'hinge']",
        ),
        ({"requests": {"jump": "places/slider"}}, SPEC, "requests ['jump'] are unknown"),
    ],
)
def test_what_does_not_fit_is_refused_with_both_sides(changes, spec, text):
    with pytest.raises(ValueError) as caught:
        unsaved_planner(FILES, replace(cart_pole_config(), **changes), spec, STREAMS)
    assert text in str(caught.value)


def test_a_floating_body_is_read_from_streams_and_shown_in_them():
    planner = legged_planner()
    random = np.random.default_rng(0)
    qpos, qvel = planner.rest.qpos.copy(), random.standard_normal(10)
    qpos[2:] = random.standard_normal(9)
    qpos[3:7] /= np.linalg.norm(qpos[3:7])
    shown = planner.observation_of(qpos, qvel)
    found = planner.searched(shown, planner.initial_memory(0)).objective.state
    sign = np.sign(found[4] * qpos[3])
    np.testing.assert_allclose(found[4:8] * sign, qpos[3:7], atol=1e-9)
    np.testing.assert_allclose(found[8:12], qpos[7:], atol=1e-12)
    np.testing.assert_allclose(found[12:], qvel, atol=1e-9)
    lying = {**shown.values, "trunk": np.zeros(15)}
    with pytest.raises(ValueError, match=r"orientation .* is none"):
        planner.plan([Observation(0.0, lying)], planner.initial_memory(0))


def test_chunks_are_in_the_order_of_the_robot_and_rollouts_in_that_of_the_model():
    planner = legged_planner()
    chunk = planner.plan(planner.facts.warm_up_window, planner.initial_memory(0)).chunk
    assert chunk.joint_names == LEGS[::-1]
    np.testing.assert_allclose(chunk.actions.mean(axis=0), [-0.2, 0.1, -0.2, 0.1], atol=0.3)
    row = np.array([[1.0, 2.0, 3.0, 4.0]])
    np.testing.assert_array_equal(planner.commands_of(row), row[:, ::-1])


def test_requests_are_followed_as_fast_as_they_may_change_and_the_gait_goes_on():
    planner = legged_planner()
    rest = planner.facts.warm_up_window[0].values
    ask = {**rest, "trunk": np.concatenate([rest["trunk"][:13], [1.0, 0.7]])}
    first = planner.searched(Observation(2.0, ask), planner.initial_memory(0))
    np.testing.assert_allclose(first.objective.requests["forward"], 0.01 * np.arange(1, 7))
    np.testing.assert_allclose(first.objective.requests["turn"], 0.7)  # at once
    np.testing.assert_allclose(first.objective.turns, 0.08 * np.arange(1, 7))
    later = planner.searched(Observation(2.1, ask), first.plan.memory)
    np.testing.assert_allclose(later.objective.requests["forward"], 0.05 + 0.01 * np.arange(1, 7))
    np.testing.assert_allclose(later.objective.turns, 0.4 + 0.08 * np.arange(1, 7))
    silent = {**rest, "trunk": np.concatenate([rest["trunk"][:13], [np.nan, np.nan]])}
    none = planner.searched(Observation(2.1, silent), first.plan.memory)
    np.testing.assert_allclose(none.objective.requests["forward"], 0.0)
    assert planner.facts.maskable == ("trunk",)


def test_perturbed_models_count_by_their_risk():
    rewards = np.array([[0.0, 4.0, 2.0, 6.0], [1.0, 1.0, 1.0, 1.0]])
    assert Risk("mean", 0.5).of(rewards).tolist() == [3.0, 1.0]
    assert Risk("worst", 0.5).of(rewards).tolist() == [0.0, 1.0]
    assert Risk("cvar", 0.5).of(rewards).tolist() == [1.0, 1.0]
    perturbed = PerturbedModels(copies=2, mass=0.3)
    config = cart_pole_config()
    planners = {
        risk: cart_pole_planner(
            config=replace(config, perturbed=perturbed, search=replace(config.search, risk=risk))
        )
        for risk in ("mean", "worst")
    }
    scores = {}
    for risk, planner in planners.items():
        objective = planner.searched(seen(0.0), planner.initial_memory(0)).objective
        scores[risk], good = objective(0.5 * np.ones((3, 5, 1)))
        assert good.tolist() == [True] * 3
    assert (scores["worst"] < scores["mean"]).all()


class Proposes:
    """A policy of one action, with a memory that counts."""

    def __init__(self, rows, action=0.7):
        self.rows, self.action, self.asked = rows, action, []
        self.facts = replace(cart_pole_planner().facts, checkpoint_hash="abc", warm_up=())

    def initial_memory(self, seed):
        return {"count": np.array(seed)}

    def plan(self, window, memory):
        from ddpm_controller.types import ActionChunk, Plan

        self.asked.append(window[-1])
        rows = np.full((self.rows, 1), self.action)
        chunk = ActionChunk(window[-1].stamp_s, 0.02, ("push",), rows)
        return Plan(chunk, {"count": memory["count"] + 1})


@pytest.mark.parametrize("rows", [1, 30])
def test_a_plan_can_begin_with_what_a_policy_proposes(rows):
    """A chunk of one row is followed in rollouts, a long one is taken as it is."""
    policy = Proposes(rows)
    planner = cart_pole_planner(nominal=policy)
    memory = planner.initial_memory(5)
    searched = planner.searched(seen(1.0), memory)
    np.testing.assert_allclose(searched.objective.offset, 0.7)
    np.testing.assert_array_equal(searched.begin, 0.0)
    rewards, _ = searched.objective(np.zeros((1, 5, 1)))
    alone = cart_pole_planner()
    objective = alone.searched(seen(1.0), alone.initial_memory(0)).objective
    np.testing.assert_allclose(rewards, objective(np.full((1, 5, 1), 0.7))[0], rtol=1e-9)
    assert searched.plan.memory["nominal/count"] == 6  # once for the robot
    assert len(policy.asked) == (1 if rows == 30 else 13)
    if rows == 1:
        plant = Rollouts([planner.model], 0.02)
        begin = plant.state_of(np.array([0.0, 3.0]), np.zeros(2), np.zeros(0))
        expected = plant.ahead(begin, np.full((3, 1), 0.7))[1:3]
        np.testing.assert_allclose(policy.asked[4].values["places"], expected, atol=1e-6)
    before = planner.searched(seen(1.02), searched.plan.memory, keep=True)
    assert np.abs(before.found.candidates[0].knots[1]).max() > 0  # the plan before is tried too


def test_a_gait_with_a_longer_period_than_is_kept_is_refused():
    task = task_from("gait: {duty: 0.5, cadence_hz: 0.5, height_m: 0, phases: [0]}\n" + FILES.task)
    with pytest.raises(ValueError, match="at least 1 periods a second, got 0.5"):
        Planner(cart_pole_config(), model_from(FILES.model), task, SPEC, STREAMS)

import numpy as np
import pytest
import torch

from ddpm_controller.policies.mlp_policy.config import MlpPolicyConfig, config_from, input_sizes
from ddpm_controller.policies.mlp_policy.network import MlpPolicyNetwork
from ddpm_controller.policies.mlp_policy.policy import MlpPolicy, gravity_in
from ddpm_controller.policy import PlanSettings
from ddpm_controller.share import share_path
from ddpm_controller.systems import restore
from ddpm_controller.types import ActionSpec, Observation, StreamSpec

SPEC = ActionSpec(("hip", "knee"), ("rad", "rad"), 0.02)
STREAMS = (
    StreamSpec("joint_state", "vector", (2,), 50.0, SPEC.joint_names, SPEC.units),
    StreamSpec("imu", "vector", (6,), 50.0, tuple("abcdef"), ("1",) * 6),
    StreamSpec("cmd_vel", "vector", (1,), 50.0, ("speed",), ("m/s",)),
)
INPUTS = ("gravity:imu", "from_rest:joint_state", "last_action", "value:cmd_vel")


def config(**changes) -> MlpPolicyConfig:
    given = {"inputs": INPUTS, "rest": (0.1, -0.2), "action_scale": 0.5, "hidden": (4,)}
    return MlpPolicyConfig(**{**given, "absent": {"cmd_vel": (0.0,)}, **changes})


def policy(**settings) -> MlpPolicy:
    torch.manual_seed(0)
    return MlpPolicy(MlpPolicyNetwork(config(), SPEC, STREAMS, {}), PlanSettings(**settings))


def seen(speed=0.5, stamp_s=3.0) -> Observation:
    upright = np.array([1.0, 0, 0, 0, 1, 0])
    values = {"joint_state": np.array([0.3, 0.3]), "imu": upright, "cmd_vel": np.array([speed])}
    return Observation(stamp_s, values)


def test_the_observation_has_its_parts_in_the_order_of_the_inputs():
    found = policy().observation(seen(), np.array([7.0, 8.0]))
    np.testing.assert_allclose(found, [0, 0, -1, 0.2, 0.5, 7, 8, 0.5])


def test_gravity_is_seen_where_a_tilted_body_has_its_ground():
    """Nose down by 90 degrees about y: the ground is in front, along x of the body."""
    turn = np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])  # body to world
    np.testing.assert_allclose(gravity_in(turn[:, :2].T.ravel()), [1, 0, 0], atol=1e-12)
    roll = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # left side up
    np.testing.assert_allclose(gravity_in(roll[:, :2].T.ravel()), [0, -1, 0], atol=1e-12)


def test_every_row_is_the_answer_and_the_memory_has_it():
    mine = policy(n_action_steps=3)
    plan = mine.plan([seen()], mine.initial_memory(5))
    answer = plan.memory["last_action"]
    assert plan.chunk.start_s == 3.0
    assert plan.chunk.actions.shape == (3, 2)
    for row in plan.chunk.actions:
        np.testing.assert_array_equal(row, np.array([0.1, -0.2]) + 0.5 * answer)
    again = mine.plan([seen()], plan.memory)
    assert (again.chunk.actions != plan.chunk.actions).any(), "the last action is an input"
    assert (int(again.memory["plan_number"]), int(again.memory["seed"])) == (2, 5)


def test_one_layer_by_hand():
    network = MlpPolicyNetwork(config(), SPEC, STREAMS, {})
    with torch.no_grad():
        for layer in network.layers:
            layer.weight.zero_()
            layer.bias.zero_()
        network.layers[0].weight[0, 7] = 2.0  # of the request
        network.layers[1].weight[1, 0] = 1.0
        network.observation_mean[7] = 0.25
        network.observation_inverse_deviation[7] = 4.0
    found = network(torch.tensor([[0.0] * 7 + [0.5]]))
    x = 2.0 * (0.5 - 0.25) * 4.0
    swish = x / (1 + np.exp(-x))
    np.testing.assert_allclose(found.detach().numpy(), [[0.0, np.tanh(swish)]], rtol=1e-6)


def test_a_masked_request_is_what_stands_in_for_it():
    mine, masked = policy(), seen(np.nan).without(("cmd_vel",))
    memory = mine.initial_memory(0)
    still = mine.plan([seen(0.0)], memory)
    np.testing.assert_array_equal(mine.plan([masked], memory).chunk.actions, still.chunk.actions)
    assert mine.facts.maskable == ("cmd_vel",)
    with pytest.raises(ValueError, match="'cmd_vel' must be there and finite"):
        mine.plan([seen(np.nan)], memory)


def test_it_asks_for_a_plan_at_every_tick_of_its_clock():
    assert policy().facts.replan_period_s == SPEC.period_s


def test_the_shipped_policy_answers_as_the_network_that_it_came_from():
    """Made with the tensors of its source in numpy, by hand in float64."""
    mine = restore(share_path("models/go1_walk"))
    names = [each.name for each in mine.facts.streams]
    rows = {
        "joint_state": [0.12, 0.85, -1.7] * 4,
        "joint_velocity": [0.3, -0.6, 0.9] * 4,
        "orientation": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
        "angular_velocity": [0.1, -0.2, 0.3],
        "base_velocity": [0.4, 0.05, -0.02],
        "cmd_vel": [0.8, 0.1, -0.5],
    }
    values = {name: np.array(rows[name]) for name in names}
    plan = mine.plan([Observation(1.0, values)], mine.initial_memory(0))
    np.testing.assert_allclose(plan.memory["last_action"], EXPECTED, atol=2e-5)  # float32


EXPECTED = [
    0.218658, 0.013753, 0.076525, 0.21469, 0.335662, 0.362318,
    0.127712, 0.030427, 0.611642, -0.125496, 0.071893, 0.254306,
]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"inputs": ()}, "inputs must be unique and not empty"),
        ({"inputs": ("joint_state",)}, "'joint_state' must be last_action, value:STREAM"),
        ({"rest": (np.nan, 0.0)}, "rest must be finite"),
        ({"action_scale": 0.0}, "action_scale must be above 0"),
        ({"hidden": (0,)}, "hidden must be widths of at least 1"),
        ({"n_action_steps": 0}, "n_action_steps must be from 1 to 50"),
        ({"absent": {"imu2": (0.0,)}}, r"absent is for \['imu2'\]"),
        ({"absent": {"cmd_vel": (np.inf,)}}, "absent must have finite numbers"),
    ],
)
def test_a_wrong_config_is_refused_with_value_and_rule(given, message):
    with pytest.raises(ValueError, match=message):
        config(**given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"rest": (0.0,)}, "rest has 1 numbers, the action has 2"),
        ({"inputs": ("value:imu", "last_action"), "absent": {}}, "the streams"),
        ({"inputs": (*INPUTS[:-1], "from_rest:cmd_vel")}, "the stream has"),
        ({"inputs": (*INPUTS[:-1], "gravity:cmd_vel")}, "an orientation is six numbers"),
        ({"absent": {"cmd_vel": (0.0, 1.0)}}, "absent has 2 numbers"),
    ],
)
def test_a_config_that_does_not_fit_the_streams_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        input_sizes(config(**given), SPEC, STREAMS)


def test_a_config_of_a_manifest_with_an_unknown_field_is_refused():
    with pytest.raises(ValueError, match="unknown fields"):
        config_from({"inputs": INPUTS, "rest": (0.0,), "action_scale": 1.0, "more": 1})


@pytest.mark.parametrize("count", [0, 2])
def test_another_window_is_refused(count):
    mine = policy()
    with pytest.raises(ValueError, match=f"a window has 1 observation, got {count}"):
        mine.plan([seen()] * count, mine.initial_memory(0))


def test_the_memory_of_another_robot_is_refused():
    mine = policy()
    memory = {**mine.initial_memory(0), "last_action": np.zeros(3)}
    with pytest.raises(ValueError, match=r"the memory must have last_action \(2,\)"):
        mine.plan([seen()], memory)


def test_a_longer_hold_and_an_unknown_setting_are_refused():
    with pytest.raises(ValueError, match="n_action_steps must be from 1 to 3"):
        policy(n_action_steps=4)
    with pytest.raises(ValueError, match="unknown to this policy"):
        policy(overrides={"sampler": "ddim"})

"""The life of a state in a real controller: told, recorded, begun anew, kept over a swap."""

import numpy as np
import pytest
from controller_driver import FakeRobot, client, process_of
from ddpm_msgs.srv import LoadCheckpoint
from meanwhile import recorded
from random_checkpoint import SIM_ARM, save_random_diff_control
from rcl_interfaces.msg import Log
from std_srvs.srv import Trigger

from ddpm_controller.bags.conversions import seconds
from ddpm_controller.bags.memory_messages import memory_from
from ddpm_controller.replay.plans import Policies, compare_plans
from ddpm_controller.replay.recorded_run import read_run
from ddpm_controller.robots.robot import load_robot

LIMIT = 1200.0
"""Where the robot begins its gripper is 250 units from the first chunk: 2 % of half its range."""
PARAMETERS = {
    "monitor.reset_state_above": LIMIT,
    "policy.replan_period_s": 0.2,
    "policy.overrides": ["transition_scale=0.5"],
    "stop.max_age_s": 5.0,  # a busy machine shall not drop the state
    "stop.silence_s": 5.0,
    "monitor.stop_not_followed": False,  # it is pushed on purpose
}


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """Two policies with memories of one kind, and one that remembers longer chunks."""
    folder = tmp_path_factory.mktemp("checkpoints")
    for seed, (name, horizon) in enumerate((("first", 16), ("second", 16), ("other", 20))):
        save_random_diff_control(folder / name, seed, horizon)
    return folder


def pushed(message):
    """Half a radian away, and 0.09 m of the gripper, which are 2160 of its units."""
    away = {"gripper": 0.09}
    pairs = zip(message.name, message.position, strict=True)
    message.position = [position + away.get(name, 0.5) for name, position in pairs]
    return message


def is_new(memory):
    """Whether a plan was made from nothing."""
    return bool(np.isnan(memory_from(memory)["state_since_s"]))


def push_until_the_state_is_reset(node, robot):
    memories, resets = node.heard["controller/memory"], node.status.state_resets
    begin = len(memories)
    robot.messages["joint_state"] = pushed
    status = node.until(lambda: node.status.state_resets > resets and node.status)
    assert "usual departures, limit 1200.0" in status.state_reset_text
    robot.messages.clear()
    node.until(lambda: any(map(is_new, memories[begin:])))


def swap_and_be_reset(node, checkpoints):
    """Kept, begun anew by the service without another load, and lost to another kind."""
    memories, chunks = node.heard["controller/memory"], node.heard["controller/action_chunk"]
    node.until(
        lambda: (
            not is_new(memories[-1])
            and seconds(node.status.header.stamp) > seconds(memories[-1].header.stamp)
        )
    )
    resets = node.status.state_resets
    answer = node.call(LoadCheckpoint, path=str(checkpoints / "second"))
    used = answer.checkpoint_hash
    first = node.until(lambda: [each for each in chunks if each.checkpoint_hash == used])[0]
    number = first.plan_number
    made_from = node.until(lambda: [each for each in memories if each.plan_number == number])[0]
    assert not is_new(made_from)
    assert node.status.state_resets == resets
    begin = len(memories)
    assert node.call(Trigger).success
    node.until(lambda: any(map(is_new, memories[begin:])))
    text = "asked for by the service reset"
    assert node.until(lambda: node.status.state_reset_text == text and node.status).state_resets
    node.until(lambda: node.status.state_age_s > 0)
    assert node.status.checkpoint_hash == used
    begin = len(memories)
    assert node.call(LoadCheckpoint, path=str(checkpoints / "other")).success
    node.until(lambda: any(map(is_new, memories[begin:])))
    node.until(lambda: memories[-1].memory_kind.startswith("chunk:20:"))
    node.until(lambda: len([each for each in node.heard["log"] if "is reset" in each.msg]))
    said = [each.msg for each in node.heard["log"] if each.msg.startswith("the state ")]
    assert [each.split(":")[0] for each in said] == ["the state is kept", "the state is reset"]
    assert "'chunk:16:" in said[1]
    assert "'chunk:20:" in said[1]
    assert len([each for each in node.heard["log"] if each.msg.startswith("loading ")]) == 2


def test_a_state_is_told_begun_anew_kept_over_a_swap_and_all_of_it_is_replayed(
    checkpoints, tmp_path
):
    parameters = {"checkpoint": checkpoints / "first", **PARAMETERS}
    with client() as node, process_of("controller", **parameters):
        node.create_subscription(Log, "/rosout", node.heard["log"].append, 100)
        robot = FakeRobot(node)
        with recorded(tmp_path / "bag"):
            node.bring_up()
            node.until_running(3)
            memories = node.heard["controller/memory"]
            chunks = node.heard["controller/action_chunk"]
            node.until(lambda: not all(map(is_new, memories)))
            assert is_new(memories[0])  # and those asked for before it was followed
            node.until(lambda: len(chunks) >= len(memories))
            keys = [
                [(each.header.stamp, each.plan_number) for each in e] for e in (memories, chunks)
            ]
            assert keys[0][:2] == keys[1][:2]
            assert {each.override_names[-1] for each in chunks} == {"transition_scale"}
            assert {each.override_values[-1] for each in chunks} == {"0.5"}
            status = node.until(
                lambda: np.isfinite(node.status.prior_disagreement) and node.status
            )
            assert status.state_age_s > 0
            assert status.departure_limit == LIMIT
            push_until_the_state_is_reset(node, robot)
            swap_and_be_reset(node, checkpoints)
    robot_file = load_robot(SIM_ARM)
    run = read_run(tmp_path / "bag", robot_file)
    policies = Policies(run, [checkpoints / name for name in ("first", "second", "other")], "cpu")
    plans = compare_plans(run, policies)
    assert (plans.num_equal, plans.first) == (plans.count, None)
    memories = [run.memory(chunk) for chunk in run.chunks]
    if memories[-1] is None:  # the recorder ended between the two messages
        memories.pop()
    goes_on = [not np.isnan(memory["state_since_s"]) for memory in memories]
    del run.chunks[: goes_on.index(True)]  # the bag begins within the run
    plans = compare_plans(run, policies)
    assert (plans.num_equal, plans.first) == (plans.count, None)
    assert plans.num_resumed >= 1

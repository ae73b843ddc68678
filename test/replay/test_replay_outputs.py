"""Runs of a robot with several command topics are made again, and so is what each was sent."""

import numpy as np
import pytest
from random_checkpoint import save_random_checkpoint
from recorded_runs import Scenario, record_run
from robot_files import gripper_robot

from ddpm_controller.replay.commands import compare_commands
from ddpm_controller.replay.recorded_run import read_run
from ddpm_controller.robots.robot import load_robot

NUMBER = {"type": "std_msgs/msg/Float64", "topic": "gripper/command", "rate_hz": None}
STATE = {"type": "sensor_msgs/msg/JointState", "topic": "gripper/target", "dead_band": 0.0}
BINARY = {"open": 0.04, "closed": 0.0, "close_above": 0.6, "open_below": 0.4}
STREAM = {"stream": "rest_ended", "plan_ticks": 2, "ticks": 120}
RUNS = {
    "a number with a dead band": (NUMBER, STREAM),
    "each command, at its rate": (STATE | {"rate_hz": 20.0}, STREAM),
    "a binary gripper": (NUMBER | {"dead_band": 0.0, "binary": BINARY}, STREAM),
    "single points": (NUMBER, {"ticks": 60}),
    "ticks between two points": (
        STATE | {"rate_hz": None},
        STREAM | {"rate_hz": 500.0, "plan_ticks": 20, "ticks": 700, "noise": 1e-4},
    ),
}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A tiny policy with random weights."""
    folder = tmp_path_factory.mktemp("checkpoints") / "first"
    save_random_checkpoint(folder)
    return folder


@pytest.mark.parametrize(("gripper", "changes"), RUNS.values(), ids=RUNS)
def test_what_each_output_was_sent_is_what_the_replayed_commands_give(
    tmp_path, checkpoint, gripper, changes
):
    file = gripper_robot(tmp_path, **gripper)
    bag = record_run(tmp_path / "bag", Scenario((checkpoint,), file=file, **changes))
    run = read_run(bag, load_robot(file))
    found = compare_commands(run)
    assert found.first is None
    assert found.num_equal == found.count > 40
    assert set(found.outputs) == {"arm", "gripper"}
    for each in found.outputs.values():
        assert each.num_equal == each.count > 0


def test_a_message_that_the_commands_do_not_give_is_noticed(tmp_path, checkpoint):
    file = gripper_robot(tmp_path, **STATE, rate_hz=None)
    bag = record_run(tmp_path / "bag", Scenario((checkpoint,), file=file, **STREAM))
    run = read_run(bag, load_robot(file))
    stamp_s, row = run.outputs.numbers["gripper"][20]
    run.outputs.numbers["gripper"][20] = stamp_s, np.nextafter(row, 1.0)
    key, rows = run.outputs.trajectories["arm"][5]
    run.outputs.trajectories["arm"][5] = key, np.nextafter(rows, 1.0)
    found = compare_commands(run)
    assert found.num_equal == found.count
    for each in found.outputs.values():
        assert each.count - each.num_equal == 1


def test_a_robot_whose_only_output_has_all_columns_is_compared_once(tmp_path, checkpoint):
    run = read_run(record_run(tmp_path / "bag", Scenario((checkpoint,))), Scenario(()).robot)
    assert compare_commands(run).outputs == {}

"""A run whose joint has turned through the seam of what its driver reports is made again."""

import math
import shutil
from dataclasses import replace

import numpy as np
import pytest
from random_checkpoint import CONFIG, SIM_ARM, save_random_network
from recorded_runs import Scenario, record_run

from ddpm_controller.replay.commands import compare_commands
from ddpm_controller.replay.plans import Policies, compare_plans
from ddpm_controller.replay.recorded_run import read_run
from ddpm_controller.robots.robot import joint_limits, load_robot
from ddpm_controller.simulation.arm.robot_description import robot_description

COLUMN = 5  # wrist_roll


@pytest.fixture(scope="module")
def robot_file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("robot")
    text = SIM_ARM.read_text()
    assert "max_age_s" in text
    begin = text.index("joint_state:")
    at = text.index("units:", begin)
    text = f"{text[:at]}wraps: [wrist_roll]\n    {text[at:]}"
    shutil.copytree(SIM_ARM.parent / "limits", folder / "limits")
    (folder / "robot.yaml").write_text(text)
    return folder / "robot.yaml"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory, robot_file):
    """Random weights whose plans move the joint about pi, 0.3 rad to either side."""
    robot = load_robot(robot_file)
    limits = joint_limits(robot_description(), robot.action_spec.joint_names)
    middle, half = (limits.lower + limits.upper) / 2, 0.05 * (limits.upper - limits.lower)
    middle[COLUMN], half[COLUMN] = math.pi, 0.3
    action = {"min": (middle - half).tolist(), "max": (middle + half).tolist()}
    image = {"min": [0.0], "max": [255.0]}
    statistics = {s.name: action if s.names else image for s in robot.stream_specs}
    folder = tmp_path_factory.mktemp("checkpoint")
    save_random_network(folder, CONFIG, robot, {**statistics, "action": action})
    return folder


@pytest.mark.parametrize("is_apart", [False, True], ids=["together", "apart"])
@pytest.mark.parametrize("cut", [0, 70], ids=["from its beginning", "from within the run"])
def test_plans_and_commands_of_a_turning_joint_are_made_again_bit_for_bit(
    tmp_path, robot_file, checkpoint, cut, is_apart
):
    scenario = Scenario((checkpoint,), 140, cut=cut, file=robot_file, is_apart=is_apart)
    run = read_run(record_run(tmp_path / "bag", scenario), load_robot(robot_file))
    turned = np.array([each.position[COLUMN] for each in run.commands])
    crossings = np.diff(turned > math.pi).sum()
    assert crossings > 0
    plans = compare_plans(run, Policies(run, [checkpoint], "cpu"))
    assert (plans.num_equal, plans.skipped) == (plans.count, ())
    assert plans.count > 3
    without = replace(run, turns={})
    assert compare_plans(without, Policies(run, [checkpoint], "cpu")).num_equal < plans.count
    if not cut:
        commands = compare_commands(run)
        assert (commands.first, commands.num_equal) == (None, commands.count)

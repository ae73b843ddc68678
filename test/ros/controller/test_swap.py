"""A real controller swaps checkpoints while it moves the real simulation in real time."""

from collections.abc import Iterator

import numpy as np
import pytest
import yaml
from broken_checkpoints import edit, rename_joints, truncate
from controller_driver import Client, client, process_of
from ddpm_msgs.srv import LoadCheckpoint
from random_checkpoint import SIM_ARM, save_random_checkpoint

from ddpm_controller.control.states import State
from ddpm_controller.robots.robot import joint_limits
from ddpm_controller.simulation.arm.arm import JOINT_NAMES
from ddpm_controller.simulation.arm.robot_description import robot_description

LIMITS = joint_limits(robot_description(), JOINT_NAMES)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory) -> dict[str, str]:
    """Two good ones and three bad ones."""
    folder = tmp_path_factory.mktemp("checkpoints")
    for seed, name in enumerate(("first", "second", "truncated", "edited", "other_joints")):
        save_random_checkpoint(folder / name, seed)
    truncate(folder / "truncated")
    edit(folder / "edited")
    rename_joints(folder / "other_joints")
    return {path.name: str(path) for path in folder.iterdir()}


@pytest.fixture(scope="module")
def robot_file(tmp_path_factory) -> str:
    """The simulated arm, whose camera may miss a motion of the wrist: it has no noise."""
    content = yaml.safe_load(SIM_ARM.read_text())
    content["joint_limits"] = str(SIM_ARM.parent / content["joint_limits"])
    for camera in ("camera_fixed", "camera_wrist"):
        content["streams"][camera]["frozen_after_s"] = 0.0
    path = tmp_path_factory.mktemp("robot") / "robot.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return str(path)


@pytest.fixture(scope="module")
def node(checkpoints, robot_file) -> Iterator[Client]:
    with (
        client() as each,
        process_of("simulation", world="reach", mode="real_time"),
        process_of("controller", checkpoint=checkpoints["first"], robot=robot_file),
    ):
        each.bring_up()
        each.until_running()
        yield each


def load(node: Client, folder: str) -> LoadCheckpoint.Response:
    return node.call(LoadCheckpoint, path=folder)


BAD = {
    "truncated": "truncated or changed",
    "edited": "changed after training",
    "other_joints": "other_shoulder_pan",
}


def test_ten_swaps_while_it_moves_three_of_them_bad(node, checkpoints):
    first = len(node.commands()[0])
    known = len(node.heard["controller/status"])
    chunks = node.heard["controller/action_chunk"]
    hashes = set()
    in_use = checkpoints["first"]
    order = ["second", "first", "truncated", "second", "edited"]
    for name in [*order, "first", "other_joints", "second", "first", "second"]:
        answer = load(node, checkpoints[name])
        assert answer.success == (name not in BAD)
        if name in BAD:
            assert BAD[name] in answer.message
            node.until(lambda name=name: BAD[name] in node.status.checkpoint_error, BAD[name])
        else:
            in_use = checkpoints[name]
            hashes.add(answer.checkpoint_hash)
        assert node.get("checkpoint") == in_use
        begin = len(chunks)
        node.until(lambda begin=begin: len(chunks) > begin + 1, "a chunk after the swap")
        assert chunks[-1].checkpoint_hash == answer.checkpoint_hash
    assert len(hashes) == 2
    _, positions = node.commands()
    points = [point for each in node.heard["simulation/set_points"] for point in each.points]
    for name, limit in (("velocities", LIMITS.velocity), ("accelerations", LIMITS.acceleration)):
        # A governor keeps velocities at its ticks; between two of them they may pass the limit.
        assert (np.abs([getattr(each, name) for each in points[first:]]) <= 1.1 * limit).all()
    assert np.ptp(positions[first:], axis=0).max() > 0.05
    states = {status.state for status in node.heard["controller/status"][known:]}
    assert states <= {State.RUNNING, State.HOLDING}


def test_the_parameter_swaps_too_and_shows_the_one_in_use(node, checkpoints):
    for name in ("first", "second"):
        assert node.set("checkpoint", checkpoints[name]) == (True, "")
        node.until(lambda name=name: node.status.checkpoint == checkpoints[name])
        assert node.get("checkpoint") == checkpoints[name]
        assert not node.status.checkpoint_error


def test_weights_that_turn_out_bad_give_the_parameter_back_with_the_reason(node, checkpoints):
    """The manifest is good, so that setting is accepted before the weights are read."""
    load(node, checkpoints["first"])
    assert node.set("checkpoint", checkpoints["truncated"]) == (True, "")
    node.until(lambda: "truncated or changed" in node.status.checkpoint_error)
    node.until(lambda: node.get("checkpoint") == checkpoints["first"])
    assert node.status.checkpoint == checkpoints["first"]


def test_the_last_request_wins(node, checkpoints):
    """Whether one comes into use before the next request comes depends on the machine."""
    load(node, checkpoints["first"])
    order = ["second", "first", "truncated", "second"]
    futures = [
        node.call_soon(LoadCheckpoint.Request(path=checkpoints[name]), LoadCheckpoint)
        for name in order
    ]
    answers = [node.until(lambda f=future: f.done() and f).result() for future in futures]
    for name, answer in zip(order[:-1], answers[:-1], strict=True):
        is_refused = name in BAD and BAD[name] in answer.message
        assert answer.success or is_refused or "newer request" in answer.message
    assert not answers[2].success
    assert answers[-1].success
    node.until_running()
    assert node.get("checkpoint") == checkpoints["second"]
    node.until(lambda: node.status.checkpoint == checkpoints["second"])
    node.until(lambda: not node.status.checkpoint_error)

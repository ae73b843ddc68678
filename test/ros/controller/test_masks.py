"""A camera that dies under a policy which has learned to do without it."""

from dataclasses import replace

import yaml
from controller_driver import FakeRobot, client, process_of
from random_checkpoint import CONFIG, SIM_ARM, save_random_checkpoint

from ddpm_controller.control.states import State


def test_it_goes_on_without_a_dead_camera_and_with_it_when_it_is_back(tmp_path):
    config = replace(CONFIG, maskable_streams=("camera_wrist",))
    save_random_checkpoint(tmp_path / "checkpoint", config=config)
    file = yaml.safe_load(SIM_ARM.read_text())
    file["streams"]["camera_wrist"]["when_stale"] = "mask"
    file["joint_limits"] = str(SIM_ARM.parent / file["joint_limits"])
    robot = tmp_path / "robot.yaml"
    robot.write_text(yaml.safe_dump(file))
    parameters = {"checkpoint": tmp_path / "checkpoint", "robot": robot}
    with client() as node, process_of("controller", **parameters):
        fake = FakeRobot(node)
        node.bring_up()
        node.until_running()
        chunks = node.heard["controller/action_chunk"]
        node.until(lambda: not chunks[-1].masked_streams, "a plan with all cameras")
        fake.messages["camera_wrist"] = lambda message: None
        node.until(lambda: "camera_wrist" in chunks[-1].masked_streams, "a plan without it")
        node.until(lambda: list(node.status.masked_streams) == ["camera_wrist"], "a status")
        node.until(lambda: node.status.state == State.RUNNING, "that it runs without it")
        del fake.messages["camera_wrist"]
        node.until(lambda: not chunks[-1].masked_streams, "a plan with it")

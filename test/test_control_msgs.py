"""The gripper interfaces that the set-up builds are those of control_msgs of ROS 2 Jazzy."""

from pathlib import Path

import pytest
from control_msgs.action import GripperCommand, ParallelGripperCommand
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from sensor_msgs.msg import JointState

FOLDER = Path(__file__).parents[1] / "requirements" / "control_msgs"
# Made of the definitions in https://github.com/ros-controls/control_msgs, branch jazzy, 5.8.0.
HASHES = {
    "msg/GripperCommand": "57eb8f326c9889ca8bb34ead82cc94cc09bf6bc5c3b6c09546dca3a00b589890",
    "action/GripperCommand_Goal": (
        "607d9f41eb241e1922e90f02125e87ae6bfb78f7f64a71dc92630263d01f8b6d"
    ),
    "action/GripperCommand_Result": (
        "bf512d5aa6a0e4fe4d8be22b2ec4a1973c3d250fa1f65e47450322c25c45c0a0"
    ),
    "action/GripperCommand_Feedback": (
        "8f7c520077bab528bb9161ee3b83c81eee1f8aecadb8922ce82c79d667a819c4"
    ),
    "action/ParallelGripperCommand_Goal": (
        "412807b6b6acf2bf406fb0cf3b5c8f84286cd4e4d425734155aa1ff41caa0063"
    ),
    "action/ParallelGripperCommand_Result": (
        "51acbcd62aa44097d3877c506eab1146856fa8768628ffbe102c1699152d2afa"
    ),
    "action/ParallelGripperCommand_Feedback": (
        "ed6f7c4e5aea7f960432663c0e762e001a0a1f5cc0130d126e60041412d0543c"
    ),
}


def hashes():
    message = (FOLDER / "msg" / "GripperCommand.msg").read_text()
    types = get_types_from_msg(message, "control_msgs/msg/GripperCommand")
    for name in ("GripperCommand", "ParallelGripperCommand"):
        text = (FOLDER / "action" / f"{name}.action").read_text()
        # rosbags looks for a type without a package in the folder of actions.
        text = text.replace("\nGripperCommand command", "\ncontrol_msgs/GripperCommand command")
        for part, of_part in zip(("Goal", "Result", "Feedback"), text.split("---\n"), strict=True):
            types |= get_types_from_msg(of_part, f"control_msgs/action/{name}_{part}")
    typestore = get_typestore(Stores.ROS2_JAZZY)
    typestore.register(types)
    return {name: typestore.hash_rihs01(name) for name in types}


def test_the_type_hashes_are_those_of_the_real_package():
    """A difference in a name, a type or an order would keep a real gripper from taking a goal."""
    expected = {f"control_msgs/{name}": f"RIHS01_{digest}" for name, digest in HASHES.items()}
    assert hashes() == expected


@pytest.mark.parametrize("action", [GripperCommand, ParallelGripperCommand])
def test_what_is_installed_has_the_same_fields(action):
    fields = action.Goal().command.get_fields_and_field_types()
    if action is GripperCommand:
        assert fields == {"position": "double", "max_effort": "double"}
    else:
        assert fields == JointState.get_fields_and_field_types()
    assert {"stalled", "reached_goal"} <= set(action.Result.get_fields_and_field_types())


def test_colcon_does_not_see_it_beside_the_real_one():
    assert (FOLDER / "COLCON_IGNORE").exists()

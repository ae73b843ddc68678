import pytest

from ddpm_controller.ros.neighbours.namespaces import mixed_namespaces

LEFT, RIGHT = "/left/joint_states", "/right/joint_states"


@pytest.mark.parametrize(
    ("states", "commands", "named"),
    [
        (["/joint_states"], ["/scaled_controller/joint_trajectory"], ""),
        ([LEFT], ["/left/arm/joint_trajectory", "/left/gripper/command"], ""),
        ([LEFT, RIGHT], ["/left/arm/commands", "/right/arm/commands"], ""),
        (["/joint_states"], ["/left/arm/commands"], ""),
        ([LEFT], ["/right/arm/commands"], "/left/joint_states, /right/arm/commands"),
        ([LEFT], ["/left/arm/commands", "/right/arm/commands"], "/right/arm/commands is"),
        ([LEFT, RIGHT], ["/left/arm/commands"], "/right/joint_states is"),
    ],
)
def test_states_and_commands_of_two_robots_are_named(states, commands, named):
    text = mixed_namespaces(states, commands)
    assert named in text if named else not text

"""What the command process is begun with."""

import pytest

from ddpm_controller.ros.commanding.command_link import command_environment
from ddpm_controller.share import share_path

PROFILES, TRANSPORTS = "FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_BUILTIN_TRANSPORTS"
RANGE, OURS = "ROS_AUTOMATIC_DISCOVERY_RANGE", share_path("config/fastdds.xml")


@pytest.mark.parametrize("surroundings", [{}, {PROFILES: OURS}])
def test_commands_go_by_udp(surroundings):
    environment = command_environment(surroundings)
    assert environment[TRANSPORTS] == "UDPv4"
    assert PROFILES not in environment


@pytest.mark.parametrize("surroundings", [{}, {PROFILES: OURS}])
def test_on_this_machine_they_go_by_the_loopback_interface_alone(surroundings):
    environment = command_environment({RANGE: "LOCALHOST", **surroundings})
    assert environment[PROFILES] == share_path("config/fastdds_commands.xml")
    assert environment[RANGE] == "SYSTEM_DEFAULT"


def test_what_the_user_has_chosen_stays():
    own = command_environment({RANGE: "LOCALHOST", PROFILES: "mine.xml"})
    assert own[PROFILES] == "mine.xml"
    assert own[RANGE] == "LOCALHOST"
    assert TRANSPORTS not in own
    assert command_environment({TRANSPORTS: "SHM"})[TRANSPORTS] == "SHM"


def test_another_middleware_is_left_alone():
    other = command_environment({RANGE: "LOCALHOST", "RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"})
    assert other[RANGE] == "LOCALHOST"
    assert PROFILES not in other

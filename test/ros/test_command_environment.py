"""What the command process is begun with."""

from ddpm_controller.ros.command_environment import command_environment
from ddpm_controller.ros.share import share_path

PROFILES, TRANSPORTS = "FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_BUILTIN_TRANSPORTS"


def test_commands_go_by_udp():
    for surroundings in ({}, {PROFILES: share_path("config/fastdds.xml")}):
        environment = command_environment(surroundings)
        assert environment[TRANSPORTS] == "UDPv4"
        assert PROFILES not in environment


def test_what_the_user_has_chosen_stays():
    own = command_environment({PROFILES: "/home/me/fastdds.xml"})
    assert own[PROFILES] == "/home/me/fastdds.xml"
    assert TRANSPORTS not in own
    assert command_environment({TRANSPORTS: "SHM"})[TRANSPORTS] == "SHM"

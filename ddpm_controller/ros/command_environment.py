"""The environment of the command process: small messages that nobody can hold up."""

from collections.abc import Mapping
from pathlib import Path

from ddpm_controller.ros.graph.process_command import child_environment
from ddpm_controller.share import share_path

_PROFILES, _RANGE = "FASTRTPS_DEFAULT_PROFILES_FILE", "ROS_AUTOMATIC_DISCOVERY_RANGE"


def command_environment(surroundings: Mapping[str, str]) -> dict[str, str]:
    """Return the environment in which commands are published, by UDP where Fast DDS sends them.

    Through shared memory a publisher may wait 333 ms, a third of the transport's
    ``healthy_check_timeout_ms``, for a listener whose process was put off. What stays on this
    machine still does: then the profile has the loopback interface only. Profiles other than
    this package's own, which are for images, are the user's and stay.
    """
    environment = child_environment({}, surroundings)
    if not environment.get("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp").startswith("rmw_fastrtps"):
        return environment
    profiles = environment.get(_PROFILES)
    if profiles and Path(profiles) != Path(share_path("config/fastdds.xml")):
        return environment
    if environment.get(_RANGE) == "LOCALHOST":
        environment[_PROFILES] = share_path("config/fastdds_commands.xml")
        environment[_RANGE] = "SYSTEM_DEFAULT"  # which leaves everything to the profile
        return environment
    environment.pop(_PROFILES, None)
    return {"FASTDDS_BUILTIN_TRANSPORTS": "UDPv4", **environment}

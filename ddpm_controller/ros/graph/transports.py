"""Where Fast DDS listens and sends: on the loopback interface where ROS stays on this machine."""

import os
from collections.abc import Mapping
from pathlib import Path

from ddpm_controller.share import share_path

PROFILES, RANGE = "FASTRTPS_DEFAULT_PROFILES_FILE", "ROS_AUTOMATIC_DISCOVERY_RANGE"
IMAGES, LOCALHOST = "config/fastdds.xml", "config/fastdds_localhost.xml"
"""Profiles of this package: for images, and the same on this machine alone."""
RECEIVES = {
    IMAGES: "config/fastdds_receives.xml",
    LOCALHOST: "config/fastdds_localhost_receives.xml",
}
"""The same for a process that sends no images."""


def uses_fast_dds(environment: Mapping[str, str]) -> bool:
    """Whether these profiles count at all."""
    return environment.get("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp").startswith("rmw_fastrtps")


def has_own_profile(environment: Mapping[str, str]) -> bool:
    """Whether the profile is one of this package or none; another one is the user's and stays."""
    profiles = environment.get(PROFILES)
    own = [Path(share_path(each)) for each in (*RECEIVES, *RECEIVES.values())]
    return not profiles or Path(profiles) in own


def stays_here(environment: Mapping[str, str]) -> bool:
    """Whether ROS is to stay on this machine."""
    profile = environment.get(PROFILES)
    ours = [Path(share_path(each)) for each in (LOCALHOST, RECEIVES[LOCALHOST])]
    is_localhost = bool(profile) and Path(str(profile)) in ours
    return environment.get(RANGE) == "LOCALHOST" or is_localhost


def localhost_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what has to be set so that a process binds to loopback alone; nothing for most.

    For the range LOCALHOST rmw_fastrtps sends to this machine only, but listens on all of its
    interfaces. SYSTEM_DEFAULT leaves everything to the profile.
    """
    ours = uses_fast_dds(environment) and has_own_profile(environment)
    if not (ours and stays_here(environment)):
        return {}
    return {PROFILES: share_path(LOCALHOST), RANGE: "SYSTEM_DEFAULT"}


def receiving_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what has to be set for a process that receives images and sends none, if anything.

    Images are in the shared memory of who sends them: memory for its own would lie idle.
    """
    twins = {Path(share_path(each)): share_path(twin) for each, twin in RECEIVES.items()}
    twin = twins.get(Path(environment.get(PROFILES, "")))
    return {PROFILES: twin} if twin else {}


def stay_here() -> None:
    """Let this process and its children bind to loopback alone where ROS stays on this machine.

    Before rclpy makes its first node.
    """
    os.environ.update(localhost_environment(os.environ))

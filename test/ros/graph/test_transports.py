"""Where a process listens when ROS is to stay on this machine."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ddpm_controller.ros.graph.process_command import child_environment, python_command
from ddpm_controller.ros.graph.transports import (
    LOCALHOST,
    PROFILES,
    RANGE,
    RECEIVES,
    has_own_profile,
    localhost_environment,
    receiving_environment,
    stays_here,
)
from ddpm_controller.ros.private_memory import keep_private
from ddpm_controller.share import share_path

IMAGES = share_path("config/fastdds.xml")
STAYS = {PROFILES: share_path(LOCALHOST), RANGE: "SYSTEM_DEFAULT"}


@pytest.mark.parametrize("surroundings", [{}, {PROFILES: IMAGES}, {PROFILES: STAYS[PROFILES]}])
def test_for_the_range_of_this_machine_the_profile_has_loopback_alone(surroundings):
    assert localhost_environment({RANGE: "LOCALHOST", **surroundings}) == STAYS


def test_a_child_of_a_process_that_stays_here_stays_here():
    assert localhost_environment(STAYS) == STAYS


@pytest.mark.parametrize(
    "surroundings",
    [
        {},
        {RANGE: "SUBNET"},
        {RANGE: "LOCALHOST", PROFILES: "mine.xml"},
        {RANGE: "LOCALHOST", "RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"},
    ],
)
def test_what_the_user_has_chosen_stays(surroundings):
    assert localhost_environment(surroundings) == {}


def test_shared_memory_is_taken_from_other_users(tmp_path):
    """That of this process, and nothing else."""
    own, other = (Path(f"/dev/shm/test_{os.getpid()}_{name}") for name in ("own", "other"))
    try:
        for path in (own, other):
            path.touch()
            path.chmod(0o666)
        maps = tmp_path / "maps"
        maps.write_text(f"7f00-7f01 rw-s 00000000 00:01 1 {own}\n7f02-7f03 r--p 0 00:01 2 /a\n")
        assert keep_private(maps) == [own]
        assert own.stat().st_mode & 0o777 == 0o600
        assert other.stat().st_mode & 0o777 == 0o666
    finally:
        own.unlink(missing_ok=True)
        other.unlink(missing_ok=True)


LISTENS = """
import os, rclpy
from pathlib import Path
from ddpm_controller.ros.private_memory import keep_private
rclpy.init()
node = rclpy.create_node("listens")
keep_private()
links = set()
for each in os.listdir("/proc/self/fd"):
    try:
        links.add(os.readlink(f"/proc/self/fd/{each}"))
    except OSError:
        pass
for line in Path("/proc/self/net/udp").read_text().splitlines()[1:]:
    words = line.split()
    if f"socket:[{words[9]}]" in links:
        print("udp", words[1].split(":")[0])
for line in Path("/proc/self/maps").read_text().splitlines():
    if "/dev/shm/" in line:
        print("memory", oct(os.stat(line[line.index("/dev/shm/"):]).st_mode & 0o777))
"""


def test_a_node_binds_to_loopback_and_its_shared_memory_is_its_own(monkeypatch):
    """By what the kernel lists of the process: 0100007F is 127.0.0.1."""
    begin = python_command("status")[-1]
    begin = begin[: begin.index("sys.exit(")] + f"exec({LISTENS!r})"
    surroundings = {**os.environ, RANGE: "LOCALHOST"}
    surroundings.pop(PROFILES, None)
    environment = child_environment({}, surroundings)
    found = subprocess.run(
        [sys.executable, "-P", "-c", begin],
        env=environment, capture_output=True, text=True, timeout=60, check=True,
    ).stdout.splitlines()  # fmt: skip
    bound = {line for line in found if line.startswith("udp")}
    assert bound == {"udp 0100007F"}
    memory = {line for line in found if line.startswith("memory")}
    assert memory <= {"memory 0o600"}


@pytest.mark.parametrize("profile", RECEIVES)
def test_who_receives_images_has_less_memory_for_its_own_and_else_the_same(profile):
    given = {PROFILES: share_path(profile), RANGE: "SYSTEM_DEFAULT"}
    changed = receiving_environment(given)
    assert has_own_profile({**given, **changed})
    assert stays_here({**given, **changed}) == stays_here(given)
    ours, theirs = (Path(each).read_text() for each in (changed[PROFILES], given[PROFILES]))
    assert "<segment_size>8388608<" in ours
    ours, theirs = (
        re.sub("<!--.*?-->", "", each, flags=re.DOTALL).replace("33554432", "8388608")
        for each in (ours, theirs)
    )
    assert ours == theirs


@pytest.mark.parametrize("given", [{}, {PROFILES: "mine.xml"}])
def test_who_receives_images_keeps_a_profile_of_the_user(given):
    assert receiving_environment(given) == {}

#!/usr/bin/env bash
# Fast DDS asks the C library for the scheduling of each thread that it starts, and sets what it is told. The C library remembers what was
# set through it (pthread_setschedparam), and hands that on to new threads, whatever the kernel was told since. So where a library has
# made a thread real-time (SVT-AV1 does, see pyav_av1_encoder_makes_threads_real_time.sh) and a program has taken that back with
# os.sched_setscheduler, a ROS node that the thread makes afterwards has real-time threads all the same, with the old priority, while its
# plain Python threads have none. Taking it back with pthread_setschedparam leaves none.
# Seen: Fast DDS 2.14.5 with rclpy 7.1.6 (Jazzy, from wheels) on Python 3.11, glibc 2.36, Linux, as root, 2026-12: every thread of Fast DDS SCHED_FIFO 99
# after the first way, none after the second. Without the permission this shows nothing.
# What follows here: `lerobot/scheduling.py` takes it back both ways.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    ros-jazzy-rclpy==7.1.6 ros-jazzy-rmw-fastrtps-cpp==8.4.3 ros-fastrtps==2.14.5 ros-std-msgs==5.3.6 PyYAML==6.0.3 numpy==2.4.6

cat > "$folder/priorities.py" <<'PYTHON'
import ctypes
import os
import sys
import threading
from pathlib import Path

libc = ctypes.CDLL(None)


def set_by_the_c_library(policy: int, priority: int) -> int:
    return libc.pthread_setschedparam(
        ctypes.c_ulong(threading.get_ident()), policy, ctypes.byref(ctypes.c_int(priority))
    )


def real_time() -> list[str]:
    found = []
    for each in Path("/proc/self/task").iterdir():
        if os.sched_getscheduler(int(each.name)) == os.SCHED_FIFO:
            priority = os.sched_getparam(int(each.name)).sched_priority
            found.append(f"{(each / 'comm').read_text().strip()} {priority}")
    return sorted(found)


if set_by_the_c_library(os.SCHED_FIFO, 99):
    sys.exit("a real-time priority is not permitted here: run it as root to see the behaviour")
if sys.argv[1] == "kernel":
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
else:
    set_by_the_c_library(os.SCHED_OTHER, 0)
assert not real_time(), real_time()

import rclpy  # noqa: E402

rclpy.init()
node = rclpy.create_node("ordinary")
found = real_time()
own = threading.Thread(target=lambda: found.append(os.sched_getscheduler(0)))
own.start()
own.join()
assert found.pop() == os.SCHED_OTHER  # a plain thread of Python
node.destroy_node()
rclpy.shutdown()
print(f"taken back by the {sys.argv[1]}: real-time threads with a node:", found or "none")
if sys.argv[1] == "kernel":
    assert len(found) >= 4 and all(each.startswith("dds.") and each.endswith(" 99") for each in found), found
else:
    assert not found, found
PYTHON
for way in kernel library; do
    ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST ROS_DOMAIN_ID=93 AMENT_PREFIX_PATH="$folder/venv" \
        "$folder/venv/bin/python" "$folder/priorities.py" "$way"
done

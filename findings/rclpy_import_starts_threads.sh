#!/usr/bin/env bash
# Importing rclpy starts two threads, before anything is initialized: librcl_action and others are linked with libtracetools, that
# with LTTng-UST, whose constructor starts its listeners. A process that has imported rclpy is therefore not one that may
# simply fork: LTTng asks for liblttng-ust-fork.so to be preloaded then. Message packages alone start none.
# Seen: rclpy 7.1.6 (Jazzy, from wheels) on Python 3.11, 2026-11: 1 thread before the import, 3 after it; 1 after the import of
# a message package with its type support.
# What follows here: the zygote of the processes that command imports all but rclpy (`ros/commanding/command_zygote.py`).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    ros-jazzy-rclpy==7.1.6 ros-jazzy-rmw-fastrtps-cpp==8.4.3 ros-std-msgs==5.3.6 PyYAML==6.0.3 numpy==2.4.6

cat > "$folder/threads.py" <<'PYTHON'
import os


def threads() -> int:
    return len(os.listdir("/proc/self/task"))


import numpy  # noqa: E402, F401

counts = [threads()]
print("before:", counts[-1])
from std_msgs.msg import Float64  # noqa: E402

Float64.__class__.__import_type_support__()
counts.append(threads())
print("with a message package:", counts[-1])
import rclpy  # noqa: E402, F401

counts.append(threads())
print("with rclpy:", counts[-1])
assert counts == [1, 1, 3], counts
PYTHON
OMP_NUM_THREADS=1 AMENT_PREFIX_PATH="$folder/venv" "$folder/venv/bin/python" "$folder/threads.py"

#!/usr/bin/env bash
# PyAV's wheel encodes AV1 by SVT-AV1, which gives the thread that opens the encoder, and all of its own, SCHED_FIFO with priority 99 where
# that is permitted (as root, so in most containers), without asking. The calling thread keeps it after the encoder is closed, and
# every thread that it starts from then on inherits it: on a machine of two cores two busy ones leave nothing to other programs, a robot's
# included. Encoding H.264 changes nothing. Video data sets of robots are written in AV1 by default (LeRobot).
# Seen: av 18.1.0 (libsvtav1 4.1) on Python 3.11, Linux, as root, 2026-12: SCHED_OTHER 0 before the first frame, SCHED_FIFO 99 after it and
# after close(). Without the permission: SCHED_OTHER 0 throughout, which shows nothing.
# What follows here: `lerobot/scheduling.py` gives every thread its scheduling back once the encoder is open.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check av==18.1.0 numpy==2.4.6

cat > "$folder/encode.py" <<'PYTHON'
import os
import sys

import av
import numpy as np

POLICIES = {os.SCHED_OTHER: "SCHED_OTHER", os.SCHED_FIFO: "SCHED_FIFO"}


def scheduling() -> str:
    policy = os.sched_getscheduler(0)
    return f"{POLICIES.get(policy, policy)} {os.sched_getparam(0).sched_priority}"


def may_be_real_time() -> bool:
    """Ask in a child, which keeps it to itself."""
    child = os.fork()
    if child == 0:
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        except PermissionError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


permitted = may_be_real_time()
seen = {"before": scheduling()}
for codec in ("libx264", "libsvtav1"):
    container = av.open(os.path.join(sys.argv[1], f"{codec}.mp4"), "w")
    stream = container.add_stream(codec, rate=10)
    stream.width, stream.height, stream.pix_fmt = 96, 96, "yuv420p"
    frame = av.VideoFrame.from_ndarray(np.zeros((96, 96, 3), np.uint8), format="rgb24")
    container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
    container.close()
    seen[f"after {codec}"] = scheduling()
print("av", av.__version__, "permitted:", permitted, seen)
if not permitted:
    sys.exit("a real-time priority is not permitted here: run it as root to see the behaviour")
assert seen == {
    "before": "SCHED_OTHER 0",
    "after libx264": "SCHED_OTHER 0",
    "after libsvtav1": "SCHED_FIFO 99",
}, seen
PYTHON
SVT_LOG=1 "$folder/venv/bin/python" "$folder/encode.py" "$folder"

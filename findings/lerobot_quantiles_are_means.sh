#!/usr/bin/env bash
# LeRobot puts the statistics of a data set together from those of its episodes. For minimum, maximum, mean and standard
# deviation that is exact. Quantiles are the means of the episodes' quantiles, weighted by their lengths: no quantile of
# anything. A policy that normalizes by q01 and q99 scales by them.
# Seen: lerobot 0.4.4 with numpy 2.2.6 on Python 3.11, 2026-12: of one episode at rest (300 frames at 0) and one that moves
# (100 frames from 0 to 1) q99 is .248 where the frames' is .960, q90 .225 where it is .597. Our `ddpm export-lerobot` writes
# the quantiles of all frames.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
pip() { "$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@"; }
pip numpy==2.2.6
pip --no-deps lerobot==0.4.4

cat > "$folder/quantiles.py" <<'PYTHON'
import sys
import types

import numpy as np

# The module needs this name for pictures alone; what it is imported from needs torch.
stub = types.ModuleType("lerobot.datasets.utils")
stub.load_image_as_numpy = None
sys.modules["lerobot.datasets.utils"] = stub
from lerobot.datasets.compute_stats import aggregate_stats, compute_episode_stats

features = {"action": {"dtype": "float32", "shape": (1,)}}
episodes = [np.zeros((300, 1)), np.linspace(0, 1, 100)[:, None]]
found = aggregate_stats([compute_episode_stats({"action": each}, features) for each in episodes])
frames = np.concatenate(episodes)
for name, share in (("q90", 0.9), ("q99", 0.99)):
    print(f"{name}: lerobot {found['action'][name][0]:.3f}, all frames {np.quantile(frames, share):.3f}")
PYTHON

seen=$("$folder/venv/bin/python" "$folder/quantiles.py")
echo "$seen"
grep -q "q90: lerobot 0.22., all frames 0.59." <<< "$seen"
grep -q "q99: lerobot 0.24., all frames 0.96." <<< "$seen"
echo "as seen: the quantiles of the data set are means of those of its episodes"

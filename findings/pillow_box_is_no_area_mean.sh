#!/usr/bin/env bash
# Pillow's BOX filter and OpenCV's INTER_AREA both pass for "area averaging" when camera pictures are made smaller for a
# policy. They agree to one level where the ratio is whole (640 -> 64). Where it is not (96 -> 64, 84 -> 64), BOX counts
# a source pixel wholly or not at all, by its centre: three pixels 0 255 0 become 128 0, where the mean over each half
# is 85 85, and random pictures differ by about half of the range. A policy that learned from one does not see the
# same pictures through the other.
# Seen: pillow 13.0.0 and opencv-python-headless 5.0.0.93 on Python 3.11, 2026-11. Pictures are resized by INTER_AREA here.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    pillow==13.0.0 opencv-python-headless==5.0.0.93 numpy==2.4.6

seen=$("$folder/venv/bin/python" - <<'PYTHON'
import cv2
import numpy as np
from PIL import Image


def both(image, size):
    box = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BOX))
    return box.astype(int), cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(int)


box, area = both(np.array([[0, 255, 0]], np.uint8), (2, 1))
print("0 255 0 to two pixels: BOX", *box[0], "INTER_AREA", *area[0])
for before, after in ((640, 64), (96, 48), (96, 64), (84, 64)):
    image = np.random.default_rng(0).integers(0, 256, (before, before), dtype=np.uint8)
    box, area = both(image, (after, after))
    apart = abs(box - area).max()
    print(f"{before} to {after}: {'equal within 1' if apart <= 1 else 'apart by more than 100' if apart > 100 else apart}")
PYTHON
)
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
0 255 0 to two pixels: BOX 128 0 INTER_AREA 85 85
640 to 64: equal within 1
96 to 48: equal within 1
96 to 64: apart by more than 100
84 to 64: apart by more than 100
EXPECTED
echo "as seen: BOX is an area mean at whole ratios only"

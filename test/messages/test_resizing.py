import os
import subprocess
import sys

import numpy as np
import pytest

from ddpm_controller.messages.resizing import resized
from ddpm_controller.ros.graph.executables import THREADS

PIXELS = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)


def test_a_smaller_image_is_the_mean_over_areas():
    blocks = resized(PIXELS, 2, 3)
    expected = PIXELS.reshape(2, 2, 3, 2, 3).astype(float).mean(axis=(1, 3))
    np.testing.assert_allclose(blocks, expected, atol=0.5)
    # 4 rows on 3: the first new row is all of row 0 and a third of row 1.
    uneven = resized(PIXELS, 3, 6)[0]
    np.testing.assert_allclose(uneven, (PIXELS[0] * 3.0 + PIXELS[1]) / 4, atol=0.51)
    even = np.full((480, 640, 3), 77, np.uint8)
    assert (resized(even, 96, 96) == 77).all()


def area_mean(pixels, height, width):
    """The mean over areas by its definition, with dense weights in double precision."""
    weights = []
    for size, new_size in zip(pixels.shape, (height, width), strict=False):
        edges, pixel = np.arange(new_size + 1) * (size / new_size), np.arange(size)
        overlap = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
        weights.append(np.clip(overlap, 0, None) * (new_size / size))
    return np.einsum("ih,jw,hwc->ijc", *weights, pixels.astype(float))


@pytest.mark.parametrize(
    ("size", "new_size"),
    [
        ((96, 96), (64, 64)),
        ((48, 60), (7, 11)),
        ((30, 20), (30, 50)),
        ((20, 30), (50, 7)),
        ((64, 64), (64, 64)),
    ],
)
def test_a_resized_picture_is_the_mean_over_areas(size, new_size):
    pixels = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
    exact = area_mean(pixels, *new_size)
    # Half a grey level is rounded; single precision adds less than a thousandth.
    assert np.abs(resized(pixels, *new_size) - exact).max() < 0.501


RESIZE = """
import time
import numpy as np
from ddpm_controller.messages.resizing import resized
pixels = np.zeros((1440, 1920, 3), np.uint8)
resized(pixels, 448, 448)
all_s, this_s = time.process_time(), time.thread_time()
for _ in range(5):
    resized(pixels, 448, 448)
print((time.process_time() - all_s) / (time.thread_time() - this_s))
"""


def test_a_process_of_ours_resizes_a_picture_by_the_calling_thread_alone():
    """A library that starts a thread a core would be slower beside other processes, not faster."""
    environment = {**os.environ, **THREADS}
    words = [sys.executable, "-c", RESIZE]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    # CPU time of the process as a share of that of the thread; 2 with two threads at work.
    assert float(done.stdout) < 1.05

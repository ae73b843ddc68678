"""Pictures into videos and out again, at the moments that are wanted."""

import ctypes
import os
import threading
from pathlib import Path

import numpy as np
import pytest

from ddpm_controller.lerobot.libraries import LeRobotError
from ddpm_controller.lerobot.videos import CODECS, VideoWriter, read_frames

FPS, SIZE = 20, (16, 24)
CODEC_ERROR = 8
"""Levels of 255, of pictures of one colour that changes from frame to frame."""


def frames(count=12, size=SIZE):
    return np.stack([np.full((*size, 3), 20 * i, np.uint8) for i in range(count)])


def written(path, codec="h264", size=SIZE):
    with VideoWriter(path, size, FPS, codec) as video:
        for image in frames(size=size):
            video.write(image)
    return path


@pytest.mark.parametrize("codec", CODECS)
def test_an_episode_within_a_video_is_found_frame_by_frame(tmp_path, codec):
    path = written(tmp_path / "video.mp4", codec)
    found = read_frames(path, SIZE, 0.25 + np.arange(5) / FPS, FPS)
    assert np.abs(found.astype(int) - frames()[5:10]).max() <= CODEC_ERROR


def test_odd_sizes_are_written_too(tmp_path):
    path = written(tmp_path / "video.mp4", size=(5, 7))
    found = read_frames(path, (5, 7), np.arange(12) / FPS, FPS)
    assert np.abs(found.astype(int) - frames(size=(5, 7))).max() <= CODEC_ERROR


@pytest.mark.parametrize("moments_s", [[0.5, 0.6], [0.03, 0.04]], ids=["behind", "between"])
def test_a_moment_without_a_frame_of_its_own_is_refused(tmp_path, moments_s):
    path = written(tmp_path / "video.mp4")
    with pytest.raises(LeRobotError, match="has no frame at"):
        read_frames(path, SIZE, np.array(moments_s), FPS)


def test_what_is_no_video_is_refused(tmp_path):
    path = tmp_path / "video.mp4"
    path.write_bytes(b"no video" * 100)
    with pytest.raises(LeRobotError, match="video.mp4 cannot be read"):
        read_frames(path, SIZE, np.zeros(1), FPS)


@pytest.mark.parametrize("codec", CODECS)
def test_an_encoder_leaves_every_thread_its_scheduling(tmp_path, codec):
    """As root SVT-AV1 makes the thread that opens it a real-time one, for good."""
    with VideoWriter(tmp_path / "video.mp4", SIZE, FPS, codec) as video:
        for image in frames():
            video.write(image)
        while_open = {
            os.sched_getscheduler(int(each.name)) for each in Path("/proc/self/task").iterdir()
        }
    assert os.SCHED_FIFO not in while_open
    assert os.sched_getscheduler(0) == os.SCHED_OTHER
    told = []
    thread = threading.Thread(target=lambda: told.append(scheduling_in_the_c_library()))
    thread.start()
    thread.join()
    assert told == [os.SCHED_OTHER]  # what Fast DDS gives its threads


def scheduling_in_the_c_library():
    """What it remembers of this thread, whatever the kernel knows."""
    policy, priority = ctypes.c_int(), ctypes.c_int()
    ctypes.CDLL(None).pthread_getschedparam(
        ctypes.c_ulong(threading.get_ident()), ctypes.byref(policy), ctypes.byref(priority)
    )
    return policy.value

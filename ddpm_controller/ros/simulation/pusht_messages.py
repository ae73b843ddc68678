"""A published human demonstration of PushT as the messages that the simulation publishes."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from ddpm_msgs.msg import EpisodeMark
from std_msgs.msg import Header

from ddpm_controller.ros.simulation.messages import time_from, trajectory_message, vector_message
from ddpm_controller.simulation.pusht.pusht_block import (
    CORNER_NAMES,
    METRES_PER_PIXEL,
    PUSHER_NAMES,
    block_corners,
)

PERIOD_NS = 100_000_000  # recorded at 10 Hz
START_NS = 1_000_000_000  # not zero, which means "no time" to ROS


def pusht_messages(
    number: int, states: np.ndarray, actions: np.ndarray
) -> Iterator[tuple[str, int, Any]]:
    """Yield topic, stamp in ns and message of one episode, in the order of time.

    Args:
        number: Number of the episode.
        states: (N, 5) x and y of the pusher, x, y and angle of the block, pixels and rad.
        actions: (N, 2) target of the pusher, pixels.
    """
    for step, (state, action) in enumerate(zip(states, actions, strict=True)):
        stamp_ns = START_NS + step * PERIOD_NS
        if step in (0, len(states) - 1):
            yield "/episode", stamp_ns, _mark(number, stamp_ns, ends=step > 0)
        pusher, target = state[:2] * METRES_PER_PIXEL, action * METRES_PER_PIXEL
        x, y = state[2:4] * METRES_PER_PIXEL
        corners = block_corners(x, y, state[4])
        yield "/joint_states", stamp_ns, vector_message(PUSHER_NAMES, pusher, stamp_ns)
        yield "/block_corners", stamp_ns, vector_message(CORNER_NAMES, corners, stamp_ns)
        command = trajectory_message(target, stamp_ns, PERIOD_NS / 1e9, PUSHER_NAMES)
        yield "/joint_trajectory", stamp_ns, command


def _mark(number: int, stamp_ns: int, ends: bool) -> EpisodeMark:
    return EpisodeMark(
        header=Header(stamp=time_from(stamp_ns)),
        mark=EpisodeMark.END if ends else EpisodeMark.BEGIN,
        episode=number,
        world="pusht",
        success=ends,  # all were kept as good ones
    )

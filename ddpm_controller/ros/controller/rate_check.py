"""Whether this machine holds a control rate: trial ticks, timed before anything is commanded."""

import itertools
import math
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from ddpm_controller.control.loop import ControlLoop
from ddpm_controller.control.loop_settings import LoopSettings
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.control.moving.stream_settings import SHORTEST_PAST_S, StreamSettings
from ddpm_controller.ros.commanding.command_publisher import CommandPublisher
from ddpm_controller.ros.commanding.commanding import Done, commanding_here
from ddpm_controller.types import ActionChunk, Plan

LARGEST_SHARE = 0.6
"""Of a period that a tick may take: the rest is for callbacks and for the other processes."""
_NUM_TICKS = 60
_NUM_ROWS = 8
_BEGIN_S = 1000.0


class RateError(ValueError):
    """The control rate is more than the machine can do."""


def trial_ticks(
    settings: LoopSettings, rate_hz: float, publisher: CommandPublisher
) -> Iterator[list[Done]]:
    """Drive a loop that is thrown away along an invented chunk, tick by tick.

    A stream begins at rest: its ticks until it moves are made before the first one is given.

    Args:
        settings: Settings of the loop that will be used; its limits may be missing.
        rate_hz: Rate of the ticks.
        publisher: Publishes where nothing moves, as the controller will.
    """
    spec, num_joints = settings.action_spec, len(settings.action_spec.joint_names)
    one = np.ones(num_joints)
    limits = JointLimits(-one, one, one)
    loop = ControlLoop(replace(settings, period_s=1.0 / rate_hz, limits=limits))
    loop.start({})
    commanding = commanding_here(loop, publisher)
    blank = {
        stream.name: np.zeros(stream.shape, np.uint8 if stream.kind == "image" else np.float64)
        for stream in settings.streams
    }
    waves = np.sin(np.arange(_NUM_ROWS) * spec.period_s)[:, None] * 0.1 * one
    num_before = _num_before(settings.stream, rate_hz)
    for k in range(num_before + _NUM_TICKS):
        now_s = _BEGIN_S + k / rate_hz
        for name, value in blank.items():
            loop.observe(name, now_s, value)
        request = loop.plan_request(now_s)
        if request is not None:
            chunk = ActionChunk(now_s, spec.period_s, spec.joint_names, waves)
            loop.accept(Plan(chunk, {}), request)
        done = commanding.step(now_s)
        if k >= num_before:
            yield done


def _num_before(stream: StreamSettings | None, rate_hz: float) -> int:
    """Return the number of ticks until a stream moves."""
    if stream is None:
        return 0
    past_s = max(stream.past_s, SHORTEST_PAST_S)
    return math.ceil((stream.begin_s + past_s + stream.lead_s) * rate_hz) + 1


def ticks_a_message(stream: StreamSettings | None, rate_hz: float) -> int:
    """Return among how many ticks one publishes."""
    return max(round(stream.message_period_s * rate_hz), 1) if stream else 1


def check_rate(
    ticks: Iterator[object],
    rate_hz: float,
    ticks_a_message: int = 1,
    timer: Callable[[], float] = time.perf_counter,
) -> float:
    """Return the median time of a tick with its share of a publication, s.

    Args:
        ticks: See ``trial_ticks``; their values do not count.
        rate_hz: Asked for.
        ticks_a_message: Among how many ticks one publishes.
        timer: A clock, s.

    Raises:
        RateError: The median is above ``LARGEST_SHARE`` of the period; with figure and remedy.
    """
    ends_s = [timer()]
    for _ in ticks:
        ends_s.append(timer())
    marks_s = ends_s[::ticks_a_message]
    median_s = statistics.median(b - a for a, b in itertools.pairwise(marks_s)) / ticks_a_message
    if median_s * rate_hz > LARGEST_SHARE:
        raise RateError(
            f"control_rate_hz {rate_hz:g}: a tick takes {1e3 * median_s:.2f} ms in the median of "
            f"{len(ends_s) - 1}, {100 * median_s * rate_hz:.0f} % of the period of "
            f"{1e3 / rate_hz:.2f} ms, and {100 * LARGEST_SHARE:.0f} % at the most can be held: "
            f"set control_rate_hz to {LARGEST_SHARE / median_s:.0f} or less, or free the machine"
        )
    return median_s

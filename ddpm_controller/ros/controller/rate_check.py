"""Whether this machine holds a control rate: trial ticks, timed before anything is commanded."""

import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np

from ddpm_controller.control.loop import ControlLoop
from ddpm_controller.control.loop_settings import LoopSettings
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.ros.commanding.command_publisher import CommandPublisher
from ddpm_controller.ros.commanding.commanding import (
    CommandAhead,
    CommandHere,
    Commanding,
    Done,
)
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
) -> Iterator[Done]:
    """Drive a loop that is thrown away along an invented chunk, tick by tick, once it moves.

    Args:
        settings: Settings of the loop that will be used; its limits may be missing.
        rate_hz: Rate of the ticks.
        publisher: Publishes where nothing moves.
    """
    spec, num_joints = settings.action_spec, len(settings.action_spec.joint_names)
    one = np.ones(num_joints)
    limits = JointLimits(-one, one, one)
    loop = ControlLoop(replace(settings, period_s=1.0 / rate_hz, limits=limits))
    loop.start({})
    commanding: Commanding = CommandHere(loop, publisher)
    begin_s = 0.0
    if settings.stream is not None:
        commanding = CommandAhead(loop, publisher)
        begin_s = settings.stream.begin_s + settings.stream.past_s + settings.stream.lead_s
    num_resting = round(begin_s * rate_hz)
    blank = {
        stream.name: np.zeros(stream.shape, np.uint8 if stream.kind == "image" else np.float64)
        for stream in settings.streams
    }
    waves = np.sin(np.arange(_NUM_ROWS) * spec.period_s)[:, None] * 0.1 * one
    for k in range(num_resting + _NUM_TICKS):
        now_s = _BEGIN_S + k / rate_hz
        for name, value in blank.items():
            loop.observe(name, now_s, value)
        request = loop.plan_request(now_s)
        if request is not None:
            chunk = ActionChunk(now_s, spec.period_s, spec.joint_names, waves)
            loop.accept(Plan(chunk, {}), request)
        done = commanding.step(now_s)
        if k >= num_resting:
            yield done[-1]


def check_rate(
    ticks: Iterable[object],
    rate_hz: float,
    timer: Callable[[], float] = time.perf_counter,
) -> float:
    """Return the median time of a tick with its publication, s.

    Args:
        ticks: See ``trial_ticks``; the first one comes with all before it.
        rate_hz: Asked for.
        timer: A clock, s.

    Raises:
        RateError: The median is above ``LARGEST_SHARE`` of the period; with figure and remedy.
    """
    times_s = []
    began_s = timer()
    for _ in ticks:
        ended_s = timer()
        times_s.append(ended_s - began_s)
        began_s = ended_s
    median_s = statistics.median(times_s)
    if median_s * rate_hz > LARGEST_SHARE:
        raise RateError(
            f"control_rate_hz {rate_hz:g}: a tick takes {1e3 * median_s:.2f} ms in the median of "
            f"{len(times_s)}, {100 * median_s * rate_hz:.0f} % of the period of "
            f"{1e3 / rate_hz:.2f} ms, and {100 * LARGEST_SHARE:.0f} % at the most can be held: "
            f"set control_rate_hz to {LARGEST_SHARE / median_s:.0f} or less, or free the machine"
        )
    return median_s

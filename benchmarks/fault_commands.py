"""What the commands around a fault say: how large their steps were, and where they came from."""

import numpy as np
from ddpm_msgs.msg import ActionChunk as ChunkMessage
from fault_graph import RATE_HZ, FaultGraph
from followed_robot import UPDATE_S

from ddpm_controller.bags.conversions import seconds
from ddpm_controller.control.moving.interpolation import ChunkCurve
from ddpm_controller.control.moving.motion_loop import MotionLoop, Order, Sent
from ddpm_controller.control.moving.stream_settings import StreamSettings, limits_between
from ddpm_controller.control.states import State, Verdict
from ddpm_controller.replay.recorded_run import RecordedRun, points_from
from ddpm_controller.robots.robot import load_robot
from ddpm_controller.types import ActionChunk

_RUNNING = Verdict(State.RUNNING)
_HEARD_S = 0.1
"""A chunk is told before the status of its tick; it may be heard so much later than that."""


def steps(graph: FaultGraph) -> tuple[float, float, float]:
    """Return the largest step and acceleration of set points as shares of the limits, and the gap.

    The gap is the longest time between two commands, s.
    """
    gaps_s = np.diff([moment_s for moment_s, _ in graph.commands])
    spans_s = np.diff(graph.led.moments_s)
    # A simulated time that leaps has no spans.
    counts = (spans_s > 0.5 * UPDATE_S) & (spans_s < 1.5 * UPDATE_S)
    moved = np.abs(np.diff(graph.led.column("position"), axis=0))[counts] / spans_s[counts, None]
    accelerations = np.abs([each.completed().acceleration for each in graph.led.points])
    return (
        float((moved / graph.limits.velocity).max()),
        float((accelerations / graph.limits.acceleration).max()),
        float(gaps_s.max()),
    )


def unexplained(graph: FaultGraph, until_s: float) -> float:
    """Return how far a command was from what the chunks in force make of it, rad or m.

    From the first chunk that was taken over in the window until ``until_s`` every command is
    computed again, from the one before that chunk on. NaN where there was none.
    """
    chunks = {seconds(each.header.stamp): each for each in graph.chunks}
    told_s = seconds(graph.statuses[-1][1].header.stamp)
    until_s = min(until_s, told_s - _HEARD_S)
    limits = limits_between(graph.limits, StreamSettings().knot_ticks(1 / RATE_HZ) / RATE_HZ)
    loop: MotionLoop | None = None
    largest = np.nan
    before: Sent | None = None
    for sent in committed(graph):
        stamp_s = sent.stamp_s
        if stamp_s >= until_s:
            break
        chunk = _chunk(chunks[stamp_s]) if stamp_s in chunks else None
        if loop is None and chunk is not None and before is not None:
            loop = MotionLoop(limits, 1 / RATE_HZ)
            loop.take_up(before, stamp_s)
        if loop is not None:
            found = loop.follow(stamp_s, Order(_RUNNING, chunk)).position
            difference = np.abs(found - sent.motion.position).max()
            largest = float(np.fmax(largest, difference))
        before = sent
    return largest


def committed(graph: FaultGraph) -> list[Sent]:
    """Return the points of all messages that no later one has replaced, in their order."""
    run = RecordedRun(graph.folder, load_robot(graph.robot))
    for _, message in graph.commands:
        run.receive(points_from(message, run.robot))
    return [Sent(each.stamp_s, each.motion) for each in run.commands if each.motion is not None]


def departure(graph: FaultGraph, until_s: float) -> float:
    """Return how far the chunks were from where the robot was, when they were taken over.

    As time at the velocity limit, s: the largest of all joints and of all chunks until
    ``until_s``; NaN where there was none. A plan that was made from something that is not so
    leads elsewhere.
    """
    sent = {each.stamp_s: each.motion.position for each in committed(graph)}
    found = []
    for each in graph.chunks:
        stamp_s = seconds(each.header.stamp)
        if stamp_s < until_s and stamp_s in sent:
            wanted = ChunkCurve(_chunk(each), stop_s=0.2).at(stamp_s).position
            difference = np.abs(wanted - sent[stamp_s])
            found.append(float((difference / graph.limits.velocity).max()))
    return max(found, default=np.nan)


def _chunk(message: ChunkMessage) -> ActionChunk:
    return ActionChunk(
        seconds(message.start),
        seconds(message.period),
        tuple(message.joint_names),
        np.array(message.rows).reshape(message.num_rows, -1),
    )

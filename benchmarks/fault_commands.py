"""What the commands around a fault say: how large their steps were, and where they came from."""

import numpy as np
from ddpm_msgs.msg import ActionChunk as ChunkMessage
from fault_graph import RATE_HZ, FaultGraph
from trajectory_msgs.msg import JointTrajectory

from ddpm_controller.bags.conversions import seconds
from ddpm_controller.control.moving.interpolation import ChunkCurve, Motion
from ddpm_controller.control.moving.motion_loop import MotionLoop, Order, Sent
from ddpm_controller.control.states import State, Verdict
from ddpm_controller.types import ActionChunk

_RUNNING = Verdict(State.RUNNING)
_HEARD_S = 0.1
"""A chunk is told before the status of its tick; it may be heard so much later than that."""
_LEAP_S = 0.5
"""A stamp that is so much further on than the time has no span."""


def steps(graph: FaultGraph) -> tuple[float, float, float]:
    """Return the largest step and change of velocity as shares of the limits, and the gap, s.

    A change of velocity is that of the velocities in the messages: those from differences of
    positions tell of a late tick that the motion was halted for a moment.
    """
    moments_s = np.array([moment_s for moment_s, _ in graph.commands])
    stamps_s = np.array([seconds(command.header.stamp) for _, command in graph.commands])
    points = [command.points[0] for _, command in graph.commands]
    gaps_s, spans_s = np.diff(moments_s), np.diff(stamps_s)
    # A simulated time that leaps has no spans.
    leaps = (spans_s <= 0) | (spans_s > gaps_s + _LEAP_S)
    spans_s = np.where(leaps, gaps_s, spans_s)[:, None]
    speeds = np.abs(np.diff([point.positions for point in points], axis=0)) / spans_s
    changes = np.abs(np.diff([point.velocities for point in points], axis=0)) / spans_s
    velocity, acceleration = graph.limits.velocity, graph.limits.acceleration
    return (
        float((speeds / velocity).max()),
        float((changes / acceleration).max()),
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
    loop: MotionLoop | None = None
    largest = np.nan
    before: Sent | None = None
    for _, command in graph.commands:
        stamp_s = seconds(command.header.stamp)
        if stamp_s >= until_s:
            break
        chunk = _chunk(chunks[stamp_s]) if stamp_s in chunks else None
        if loop is None and chunk is not None and before is not None:
            loop = MotionLoop(graph.limits, 1 / RATE_HZ)
            loop.take_up(before, stamp_s)
        if loop is not None:
            found = loop.follow(stamp_s, Order(_RUNNING, chunk)).position
            difference = np.abs(found - np.array(command.points[0].positions)).max()
            largest = float(np.fmax(largest, difference))
        before = _sent(command)
    return largest


def departure(graph: FaultGraph, until_s: float) -> float:
    """Return how far the chunks were from where the robot was, when they were taken over.

    As time at the velocity limit, s: the largest of all joints and of all chunks until
    ``until_s``; NaN where there was none. A plan that was made from something that is not so
    leads elsewhere.
    """
    sent = {seconds(command.header.stamp): command for _, command in graph.commands}
    found = []
    for each in graph.chunks:
        stamp_s = seconds(each.header.stamp)
        if stamp_s < until_s and stamp_s in sent:
            wanted = ChunkCurve(_chunk(each), stop_s=0.2).at(stamp_s).position
            difference = np.abs(wanted - np.array(sent[stamp_s].points[0].positions))
            found.append(float((difference / graph.limits.velocity).max()))
    return max(found, default=np.nan)


def _sent(command: JointTrajectory) -> Sent:
    point = command.points[0]
    rows = (point.positions, point.velocities, point.accelerations)
    return Sent(seconds(command.header.stamp), Motion(*(np.array(row) for row in rows)))


def _chunk(message: ChunkMessage) -> ActionChunk:
    return ActionChunk(
        seconds(message.start),
        seconds(message.period),
        tuple(message.joint_names),
        np.array(message.rows).reshape(message.num_rows, -1),
    )

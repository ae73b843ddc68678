"""Small recordings of a robot of two joints, as numbers, for tests of what doubts them."""

from dataclasses import replace

import numpy as np

from ddpm_controller.data.commanded_motion import CommandedPoints
from ddpm_controller.lint.checks import findings_of
from ddpm_controller.lint.recording import Part, Pictures, Recording, Track
from ddpm_controller.robots.robot import load_robot

TODAY_NS = 1_790_000_000 * 10**9
HZ = 50.0
ROBOT = """
robot: two_joints
streams:
  joint_state: {topic: joint_states, type: sensor_msgs/msg/JointState, names: [turn, slide],
                units: [rad, m], rate_hz: 50.0, max_age_s: 0.3}
  one: {topic: one/image_raw, type: sensor_msgs/msg/Image, height: 4, width: 6, rate_hz: 25.0,
        max_age_s: 0.5}
  other: {topic: other/image_raw, type: sensor_msgs/msg/Image, height: 4, width: 6, rate_hz: 25.0,
          max_age_s: 0.5}
action: {topic: joint_trajectory, type: trajectory_msgs/msg/JointTrajectory, names: [turn, slide],
         units: [rad, m], period_s: 0.1}
"""


def two_joints(folder, recordings=""):
    path = folder / "two_joints.yaml"
    path.write_text(ROBOT + (f"recordings: {recordings}\n" if recordings else ""))
    return load_robot(path)


def swing(t_s, seed=0):
    """Two joints that never rest, each episode otherwise: (N, 2) rad and m."""
    phase = 1.7 * seed
    slow, fast = 1.3 + 0.11 * (seed % 5), 2.1 + 0.13 * (seed % 3)
    return np.stack(
        [0.6 * np.sin(slow * t_s + phase), 0.08 * np.cos(fast * t_s + 2 * phase)], axis=1
    )


def moments(seconds):
    return np.arange(round(seconds * HZ)) / HZ


def state(t_s, rows, **changes):
    stamps_ns = TODAY_NS + np.round(t_s * 1e9).astype(np.int64)
    names, units = ("turn", "slide"), ("rad", "m")
    track = Track("joint_state", "joint_states", names, units, stamps_ns + 10**6, stamps_ns, rows)
    return replace(track, **changes)


def command(robot, t_s, rows, **changes):
    stamps_ns = TODAY_NS + np.round(t_s * 1e9).astype(np.int64)
    after_ns = np.array([20 * 10**6])
    points = [
        CommandedPoints(int(each), after_ns, row[None])
        for each, row in zip(stamps_ns, rows, strict=True)
    ]
    (output,) = robot.outputs
    track = Track(
        output.name,
        output.topic,
        output.names,
        output.units,
        stamps_ns + 10**6,
        stamps_ns,
        rows,
        output=output,
        points=tuple(points),
    )
    return replace(track, **changes)


def recording(robot, seed=0, seconds=6.0, states=None, commands=None, delay_s=0.1, **changes):
    """A robot that follows its commands after a while; ``states(t, rows)`` changes what it was."""
    t_s = moments(seconds)
    measured, commanded = swing(t_s - delay_s, seed), swing(t_s, seed)
    found = Recording(
        f"bag_{seed}",
        (states(t_s, measured) if states else state(t_s, measured),),
        (commands(t_s, commanded) if commands else command(robot, t_s, commanded),),
        topics={"/joint_states": "", "/joint_trajectory": ""},
    )
    return replace(found, **changes)


def pictures(name, level, seconds=6.0, hz=25.0, digests=None):
    """A camera whose images are as bright as ``level``, with a thumbnail every half second."""
    t_s = np.arange(round(seconds * hz)) / hz
    log_ns = TODAY_NS + np.round(t_s * 1e9).astype(np.int64)
    shown = np.arange(0, len(t_s), round(hz / 2))
    thumbnails = np.full((len(shown), 8, 8, 3), level, np.float32)
    digests = np.arange(len(t_s)) if digests is None else digests
    return Pictures(name, f"{name}/image_raw", log_ns, log_ns - 10**6, digests, shown, thumbnails)


def whole(found, number=0):
    """The same with one marked episode."""
    return replace(found, marked=(Part(number, *found.ends_ns, success=True),))


def kinds(recordings, robot, limits=None, of=None):
    """Kinds of the findings, of one of the recordings or of all."""
    found = findings_of(recordings, robot, limits or {})
    return {each.kind for each in found if of is None or each.recording == of}

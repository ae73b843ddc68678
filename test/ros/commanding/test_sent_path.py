"""What is known of a process that commands when it dies, by its reports."""

from dataclasses import replace

import numpy as np
import pytest
from streamed_robot import StreamedRobot, random_limits, wandering

from ddpm_controller.control.moving.stream_settings import StreamSettings
from ddpm_controller.control.states import Reason, State
from ddpm_controller.ros.commanding.command_messages import Told, opened, told_from, told_packet
from ddpm_controller.ros.commanding.sent_path import SentPath

SETTINGS = StreamSettings()
ROWS = ((0.1, 0.2), (0.3, 0.0), (0.0, 0.1))
TOLD = Told(1000.0, 1.0, State.RUNNING, Reason.NONE, motion=ROWS)


def rows_of(sent):
    motion = sent.motion
    return sent.stamp_s, *(
        tuple(each.tolist()) for each in (motion.position, motion.velocity, motion.acceleration)
    )


@pytest.mark.parametrize("hz", [50, 500])
def test_the_points_that_a_trajectory_repeats_are_known(hz):
    random = np.random.default_rng(0)
    limits = random_limits(random, 2)
    robot = StreamedRobot(limits, hz, SETTINGS).begin()
    order, stream = wandering(random, limits, robot.names), robot.sender.stream
    path, told_s = SentPath(SETTINGS, 1 / hz), -np.inf
    for silent_s in (0.0, 0.0, 0.3, 0.0):
        for _ in range(30):
            robot.run(1 / hz, order)
            follows, points = stream.sent_since(told_s)
            told_s = stream.sent.stamp_s
            moment_s, *motion = rows_of(stream.sent)
            before = tuple((each.stamp_s, rows_of(each)[1:]) for each in points[:-1])
            told = replace(
                TOLD, motion=tuple(motion), motion_s=moment_s, before=before, follows=follows
            )
            path.note(told_from(opened(told_packet(told))[1]))
        robot.run(silent_s, silent=True)
    found, expected = path.sent, stream.sent_since(-np.inf)[1]
    known = [rows_of(each) for each in (*found.before, found)]
    from_s = robot.now_s - SETTINGS.past_s
    assert known[0][0] <= from_s
    assert [each for each in known if each[0] > from_s] == [
        rows_of(each) for each in expected if each.stamp_s > from_s
    ]
    assert len(known) < 0.25 * hz


def test_single_points_are_known_by_the_last_and_a_rest_by_none():
    path = SentPath(None, 0.01)
    for stamp_s in (1000.0, 1000.01):
        path.note(replace(TOLD, stamp_s=stamp_s))
    assert (path.sent.stamp_s, path.sent.before) == (1000.01, ())
    path.note(replace(TOLD, motion=()))
    assert path.sent is None

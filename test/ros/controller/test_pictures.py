"""What a controller process draws of its chunks."""

import numpy as np
import pytest
from controller_driver import FakeRobot, client, process_of
from trajectory_msgs.msg import JointTrajectory
from visualization_msgs.msg import MarkerArray

from ddpm_controller.control.moving.forward_kinematics import LinkChain
from ddpm_controller.simulation.arm.arm import JOINT_NAMES
from ddpm_controller.simulation.arm.robot_description import robot_description

TOPICS = {
    "controller/predicted_path": MarkerArray,
    "controller/predicted_trajectory": JointTrajectory,
}


def test_the_chunks_that_are_told_are_those_that_are_drawn(checkpoint):
    with client() as node, process_of("controller", checkpoint=checkpoint):
        for topic, kind in TOPICS.items():
            node.create_subscription(kind, topic, node.heard[topic].append, 10)
        FakeRobot(node)
        node.bring_up()
        paths, trajectories = (node.heard[topic] for topic in TOPICS)
        node.until(lambda: len(paths) > 2 and len(trajectories) > 2, "pictures")
        last, chunks = trajectories[-1], node.heard["controller/action_chunk"]
        (chunk,) = node.until(
            lambda: [each for each in chunks if each.start == last.header.stamp], "its chunk"
        )
        rows = np.array(chunk.rows).reshape(chunk.num_rows, -1)
        assert last.joint_names == chunk.joint_names
        np.testing.assert_array_equal([point.positions for point in last.points], rows)
        expected = LinkChain(robot_description(), JOINT_NAMES, "tip").positions(rows)

        def is_drawn() -> bool:
            newest = [
                np.array([[p.x, p.y, p.z] for p in each.markers[0].points]) for each in paths
            ]
            return any(np.allclose(expected, each, rtol=0.0, atol=1e-12) for each in newest)

        node.until(is_drawn, "the path of that chunk")


@pytest.mark.long
def test_without_pictures_there_are_no_such_topics(checkpoint):
    with (
        client() as node,
        process_of("controller", checkpoint=checkpoint, **{"chunk.pictures": False}),
    ):
        FakeRobot(node)
        node.bring_up()
        node.until_running(num_chunks=1)
        names = node.published({"/controller/action_chunk"})
        assert not {f"/{topic}" for topic in TOPICS} & set(names)

"""What a bag shows of the robot that it was recorded from."""

from pathlib import Path

from ddpm_controller.bags.files import OpenBag
from ddpm_controller.robots.outputs import JOINT_STATE
from ddpm_controller.robots.streams import COMPRESSED_IMAGE, IMAGE, STRING
from ddpm_controller.survey.messages import (
    COMMAND_TYPES,
    OTHER_TYPES,
    Survey,
)
from ddpm_controller.survey.seen_robot import SeenRobot

LONGEST_S = 20.0
"""Time of a bag that is looked at: rates and sizes do not change later."""


def robot_in_bag(folder: Path, namespace: str = "") -> SeenRobot:
    """Return what the first seconds of a bag show.

    Args:
        folder: The bag, or its storage file.
        namespace: Namespace of the robot in it.

    Raises:
        BagError: The bag is cut, damaged or lacks its metadata.
    """
    wanted = {JOINT_STATE, STRING, IMAGE, COMPRESSED_IMAGE, *COMMAND_TYPES, *OTHER_TYPES}
    survey, first_ns = Survey(), None
    with OpenBag(folder) as bag:
        topics = [topic for topic, kind in bag.topics.items() if kind in wanted]
        for each in bag.messages(topics):
            first_ns = each.log_ns if first_ns is None else first_ns
            passed_s = (each.log_ns - first_ns) * 1e-9
            if passed_s > LONGEST_S:
                break
            survey.take(each.topic, each.type, each.message, passed_s)
    return survey.robot(f"bag {folder.name}", namespace)

"""The robot description that a bag has."""

from pathlib import Path

from ddpm_controller.bags.files import OpenBag, resolve_topic
from ddpm_controller.robots.robot import Robot
from ddpm_controller.robots.robot_description import Descriptions
from ddpm_controller.robots.streams import STRING


def description_in_bag(folder: Path, robot: Robot) -> str:
    """Return the robot description that a bag has; empty where one is missing.

    Raises:
        BagError: The bag is cut or damaged.
        DescriptionError: There are several, and one of them cannot be read.
    """
    described = Descriptions(robot.descriptions)
    with OpenBag(folder) as bag:
        texts = [topic for topic, kind in bag.topics.items() if kind == STRING]
        names = {resolve_topic(name, texts): name for name in robot.descriptions}
        for each in bag.messages([topic for topic in names if topic is not None]):
            described.take(names[each.topic], each.message.data)
            if described.are_complete:
                return described.text
    return ""

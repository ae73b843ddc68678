"""What a robot's driver publishes and takes, as data: one entry of robot_drivers.yaml."""

import math
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict

from ddpm_controller.robots.robot_description import joined_description

DRIVERS = Path(__file__).with_name("robot_drivers.yaml")
Filled = Literal["measured", "zero", "nan", "empty"]


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Joint(_Data):
    """A joint of the description.

    Attributes:
        mimics: Joint that it follows; empty: none.
    """

    type: str
    lower: float
    upper: float
    velocity: float
    begin: float
    mimics: str = ""

    @property
    def is_commanded(self) -> bool:
        """Whether a motor moves it."""
        return not self.mimics


class States(_Data):
    """A publisher of joint states.

    Attributes:
        node: Node of the publisher, in the robot's namespace.
        names: In the driver's order.
        until_a_goal: Whether it falls silent with the first goal of a gripper.
    """

    node: str
    topic: str
    names: tuple[str, ...]
    rate_hz: float
    velocity: Filled = "measured"
    effort: Filled = "measured"
    until_a_goal: bool = False


class Odometry(_Data):
    """A publisher of where a base is."""

    node: str
    topic: str
    rate_hz: float


class Taken(_Data):
    """A topic or an action on which commands are taken.

    Attributes:
        joints: None of a base, which is sent twists.
        parameter: Parameter of its node that has the joints; empty: none has.
        speed: Of a gripper, in its unit per second.
    """

    node: str
    topic: str
    type: str
    joints: tuple[str, ...] = ()
    parameter: str = "joints"
    speed: float = 0.5


class Camera(_Data):
    """A publisher of pictures."""

    node: str
    topic: str
    height: int
    width: int
    encoding: str
    rate_hz: float
    best_effort: bool = False


class RobotDriver(_Data):
    """Everything that a robot's driver has on the graph.

    Attributes:
        namespace: Of the robot and its controller.
        arms: Prefix of the joints in the robot file -> namespace of the arm, where there are
            several alike; one driver each, whose links are below that name.
        tip: Link at the end of the arm.
    """

    namespace: str = ""
    arms: dict[str, str] = {}
    arm: dict[str, Joint]
    tip: str
    hand: dict[str, Joint] = {}
    states: tuple[States, ...]
    takes: tuple[Taken, ...]
    cameras: tuple[Camera, ...] = ()
    odometry: Odometry | None = None

    @property
    def sides(self) -> dict[str, str]:
        """Prefix -> namespace of each arm; of one without a prefix."""
        return self.arms or {"": self.namespace}

    @property
    def joints(self) -> dict[str, Joint]:
        """All joints of a description."""
        return {**self.arm, **self.hand}

    def joint(self, name: str) -> Joint:
        """Return a joint by its name in the robot file."""
        prefix = next(each for each in self.sides if name.startswith(each))
        return self.joints[name.removeprefix(prefix)]

    @property
    def urdf(self) -> str:
        """The description of the whole robot, as the controller joins it."""
        return joined_description({p: self.description(s) for p, s in self.sides.items()})

    def description(self, namespace: str) -> str:
        """Return a chain of the arm's joints, the hand's joints at its end, and ros2_control."""
        above = f"{namespace}/" if self.arms else ""
        link, tip = f"{above}base_link", f"{above}{self.tip}"
        lines = [f'<robot name="scripted"><link name="{link}"/>']
        for name, joint in self.arm.items():
            child = f"{above}{name}_link"
            lines.append(_element(name, joint, link, child))
            link = child
        lines.append(
            f'<link name="{tip}"/><joint name="{tip}_fixed" type="fixed">'
            f'<parent link="{link}"/><child link="{tip}"/></joint>'
        )
        for name, joint in self.hand.items():
            lines.append(_element(name, joint, tip, f"{above}{name}_link"))
        interfaces = "".join(
            f'<joint name="{name}"><command_interface name="position"/></joint>'
            for name in self.joints
        )
        lines.append(f'<ros2_control name="real" type="system">{interfaces}</ros2_control>')
        return "\n".join([*lines, "</robot>"])


def _element(name: str, joint: Joint, parent: str, child: str) -> str:
    limit = f'velocity="{joint.velocity}" effort="10"'
    if joint.type != "continuous":
        limit = f'lower="{joint.lower}" upper="{joint.upper}" {limit}'
    mimic = f'<mimic joint="{joint.mimics}"/>' if joint.mimics else ""
    axis = "0 0 1" if len(name) % 2 else "0 1 0"
    return (
        f'<link name="{child}"/><joint name="{name}" type="{joint.type}"><parent '
        f'link="{parent}"/><child link="{child}"/><origin xyz="0 0 0.1"/><axis xyz="{axis}"/>'
        f"<limit {limit}/>{mimic}</joint>"
    )


def filled(how: Filled, numbers: list[float]) -> list[float]:
    """Return a field of a joint state as the driver fills it in."""
    if how == "measured":
        return numbers
    return [] if how == "empty" else [math.nan if how == "nan" else 0.0] * len(numbers)


def driver_of(name: str) -> RobotDriver:
    """Return the driver of a shipped robot."""
    content = yaml.safe_load(DRIVERS.read_text(encoding="utf-8"))[name]
    for part in ("arm", "hand"):
        joints = content.get(part, {})
        for joint, row in joints.items():
            joints[joint] = dict(zip(Joint.model_fields, row, strict=False))
    return RobotDriver.model_validate(content)

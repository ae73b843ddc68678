"""What can be seen of a robot, on its graph or in a bag: enough for a first robot file."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class SeenJoints:
    """A topic of joint states.

    Attributes:
        topic: Absolute name.
        rates_hz: Joint -> rate of its values, Hz, in the driver's order.
        lacks: Fields that are empty or not finite.
    """

    topic: str
    rates_hz: Mapping[str, float]
    lacks: tuple[str, ...] = ()


@dataclass(frozen=True)
class SeenCamera:
    """A topic of pictures.

    Attributes:
        topic: Absolute name.
        type: Message type.
        height: Rows, pixels.
        width: Columns, pixels.
        encoding: Encoding of an Image, or format of a CompressedImage.
        rate_hz: Hz.
    """

    topic: str
    type: str
    height: int
    width: int
    encoding: str
    rate_hz: float


@dataclass(frozen=True)
class SeenCommands:
    """A topic or an action on which the robot takes commands.

    Attributes:
        topic: Absolute name.
        type: Message or action type.
        joints: Joints, in the order of what takes them; empty: not known.
        node: Node that takes them; empty: not known.
        interface: What the numbers are: position, velocity or effort.
    """

    topic: str
    type: str
    joints: tuple[str, ...] = ()
    node: str = ""
    interface: str = "position"


@dataclass(frozen=True)
class SeenRobot:
    """Everything that was seen.

    Attributes:
        source: Where it was seen, in words.
        namespace: Namespace of the robot, which topics in the robot file are relative to.
        joints: Topics of joint states.
        cameras: Topics of pictures.
        commands: Where commands are taken.
        description: Text of robot_description; empty: none was published.
        others: Topics of other types that a robot file can observe -> type.
    """

    source: str
    namespace: str = ""
    joints: tuple[SeenJoints, ...] = ()
    cameras: tuple[SeenCamera, ...] = ()
    commands: tuple[SeenCommands, ...] = ()
    description: str = ""
    others: Mapping[str, str] = field(default_factory=dict)

    def relative(self, topic: str) -> str:
        """Return a topic as it stands in a robot file; absolute where it is elsewhere."""
        root = f"/{self.namespace.strip('/')}/" if self.namespace.strip("/") else "/"
        return topic.removeprefix(root) if topic.startswith(root) else topic

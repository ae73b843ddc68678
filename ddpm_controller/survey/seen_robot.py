"""What can be seen of a robot, on its graph or in a bag: enough for a first robot file."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ddpm_controller.robots.robot import DESCRIPTION
from ddpm_controller.robots.robot_description import joined_description


@dataclass(frozen=True)
class SeenJoints:
    """A topic of joint states.

    Attributes:
        topic: Absolute name.
        rates_hz: Joint -> rate of its values, Hz, in the driver's order.
        lacks: Fields that are empty or not finite.
        prefixes: Topic -> what stands before the joints of its messages here, where several arms
            use the same names; else empty.
    """

    topic: str
    rates_hz: Mapping[str, float]
    lacks: tuple[str, ...] = ()
    prefixes: Mapping[str, str] = field(default_factory=dict)


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
        prefix: What the joints have in front here and not in the messages.
    """

    topic: str
    type: str
    joints: tuple[str, ...] = ()
    node: str = ""
    interface: str = "position"
    prefix: str = ""


@dataclass(frozen=True)
class SeenOther:
    """A topic of another type that a robot file can observe.

    Attributes:
        topic: Absolute name.
        type: Message type.
        rate_hz: Hz.
    """

    topic: str
    type: str
    rate_hz: float = 0.0


@dataclass(frozen=True)
class SeenRobot:
    """Everything that was seen.

    Attributes:
        source: Where it was seen, in words.
        namespace: Namespace of the robot, which topics in the robot file are relative to.
        joints: Topics of joint states.
        cameras: Topics of pictures.
        commands: Where commands are taken.
        descriptions: Topic of a robot description -> its text.
        others: Topics of other types that a robot file can observe.
        prefixes: Topic of a robot description -> prefix of its names, where there are several
            arms; else empty.
    """

    source: str
    namespace: str = ""
    joints: tuple[SeenJoints, ...] = ()
    cameras: tuple[SeenCamera, ...] = ()
    commands: tuple[SeenCommands, ...] = ()
    descriptions: Mapping[str, str] = field(default_factory=dict)
    others: tuple[SeenOther, ...] = ()
    prefixes: Mapping[str, str] = field(default_factory=dict)

    @property
    def described(self) -> Mapping[str, str]:
        """Topics of the descriptions that count -> prefix: of all arms, or the robot's own."""
        own = [topic for topic in self.descriptions if self.relative(topic) == DESCRIPTION]
        one = [*own, *self.descriptions][:1]
        return self.prefixes or dict.fromkeys(one, "")

    @property
    def description(self) -> str:
        """Text of the robot description; empty: none was published.

        Raises:
            DescriptionError: There are several, and one of them cannot be read.
        """
        texts = {prefix: self.descriptions[topic] for topic, prefix in self.described.items()}
        return joined_description(texts) if texts else ""

    def relative(self, topic: str) -> str:
        """Return a topic as it stands in a robot file; absolute where it is elsewhere."""
        root = f"/{self.namespace.strip('/')}/" if self.namespace.strip("/") else "/"
        return topic.removeprefix(root) if topic.startswith(root) else topic

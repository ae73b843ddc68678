"""Messages of a robot, live or from a bag, become what is seen of it."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ddpm_controller.messages.compressed_images import compressed_size
from ddpm_controller.messages.image_encodings import ImageError
from ddpm_controller.robots.outputs import (
    FLOAT64,
    GRIPPER_COMMAND,
    JOINT_STATE,
    JOINT_TRAJECTORY,
    MULTI_ARRAY,
    TWIST,
    TWIST_STAMPED,
)
from ddpm_controller.robots.streams import COMPRESSED_IMAGE, IMAGE, STRING
from ddpm_controller.survey.arms import told_apart
from ddpm_controller.survey.seen_robot import (
    SeenCamera,
    SeenCommands,
    SeenJoints,
    SeenOther,
    SeenRobot,
)

COMMAND_TYPES = (JOINT_TRAJECTORY, MULTI_ARRAY, FLOAT64, TWIST, TWIST_STAMPED)
"""Types of messages that are commands wherever they are found."""
OTHER_TYPES = frozenset(
    f"{package}/msg/{name}"
    for package, names in {
        "geometry_msgs": ("PoseStamped", "WrenchStamped", "Wrench"),
        "nav_msgs": ("Odometry",),
        "sensor_msgs": ("Imu", "Joy"),
    }.items()
    for name in names
)
"""Types that a robot file can observe beside joints and pictures."""
_COMMAND_WORDS = ("command", "cmd", "leader", "target", "goal")
_MIRROR = "/command"


@dataclass
class Track:
    """Moments of one topic, or of one joint on it.

    Attributes:
        count: Number of messages.
        first_s: Moment of the first one.
        last_s: Moment of the last one.
    """

    count: int = 0
    first_s: float = math.nan
    last_s: float = math.nan

    def take(self, moment_s: float) -> None:
        """Count one more."""
        self.first_s = self.first_s if self.count else moment_s
        self.count, self.last_s = self.count + 1, moment_s

    @property
    def rate_hz(self) -> float:
        """Messages a second, to two digits; 0 where there were fewer than two."""
        span_s = self.last_s - self.first_s
        return float(f"{(self.count - 1) / span_s:.2g}") if self.count > 1 and span_s > 0 else 0.0


@dataclass
class _States:
    joints: dict[str, Track] = field(default_factory=dict)
    lacks: Counter[str] = field(default_factory=Counter)
    count: int = 0


class Survey:
    """Takes messages one by one."""

    def __init__(self) -> None:
        self._descriptions: dict[str, str] = {}
        self._states: dict[str, _States] = {}
        self._pictures: dict[str, tuple[str, int, int, str]] = {}
        self._tracks: dict[str, Track] = {}
        self._commands: dict[str, SeenCommands] = {}
        self._others: dict[str, str] = {}

    def take(self, topic: str, kind: str, message: Any, moment_s: float) -> None:
        """Take one message that came at ``moment_s``."""
        self._tracks.setdefault(topic, Track()).take(moment_s)
        if kind == STRING and topic.endswith("robot_description"):
            self._descriptions[topic] = message.data
        elif kind == JOINT_STATE and not _is_command(topic):
            self._take_states(topic, message, moment_s)
        elif kind in (IMAGE, COMPRESSED_IMAGE):
            self._take_picture(topic, kind, message)
        elif kind in (JOINT_STATE, *COMMAND_TYPES):
            self._commands[topic] = _commands_of(topic, kind, message)
        elif kind in OTHER_TYPES:
            self._others[topic] = kind

    def count(self, topic: str, moment_s: float) -> None:
        """Count one message whose content is not needed."""
        self._tracks.setdefault(topic, Track()).take(moment_s)

    def has_picture(self, topic: str) -> bool:
        """Whether the size of the pictures of a topic is known: more need only be counted."""
        return topic in self._pictures

    def robot(
        self,
        source: str,
        namespace: str = "",
        commands: Mapping[str, SeenCommands] | None = None,
    ) -> SeenRobot:
        """Return what has been seen.

        Args:
            source: Where, in words.
            namespace: Namespace of the robot.
            commands: Topic -> commands that are taken there, known from the graph.
        """
        joints = tuple(
            SeenJoints(
                topic,
                {name: track.rate_hz for name, track in states.joints.items()},
                tuple(name for name, count in states.lacks.items() if count == states.count),
            )
            for topic, states in self._states.items()
        )
        cameras = tuple(
            SeenCamera(topic, kind, height, width, encoding, self._tracks[topic].rate_hz)
            for topic, (kind, height, width, encoding) in self._pictures.items()
        )
        found = {**self._commands, **(commands or {})}
        others = tuple(
            SeenOther(topic, kind, self._tracks[topic].rate_hz)
            for topic, kind in self._others.items()
        )
        seen = SeenRobot(
            source,
            namespace,
            joints,
            cameras,
            tuple(found.values()),
            self._descriptions,
            others,
        )
        return told_apart(seen)

    def _take_states(self, topic: str, message: Any, moment_s: float) -> None:
        states = self._states.setdefault(topic, _States())
        states.count += 1
        for name in message.name:
            states.joints.setdefault(name, Track()).take(moment_s)
        for name in ("position", "velocity", "effort"):
            numbers = list(getattr(message, name))
            states.lacks[name] += not numbers or all(map(math.isnan, numbers))

    def _take_picture(self, topic: str, kind: str, message: Any) -> None:
        try:
            if kind == IMAGE:
                size, encoding = (message.height, message.width), message.encoding
            else:
                size, encoding = compressed_size(message), message.format
        except ImageError:  # video: nothing that a robot file can name
            return
        self._pictures[topic] = (kind, *size, encoding)


def _is_command(topic: str) -> bool:
    """Return whether joint states on a topic are targets, by the words of its name."""
    return any(word in topic.lower() for word in _COMMAND_WORDS)


def _commands_of(topic: str, kind: str, message: Any) -> SeenCommands:
    """Return what a recorded command shows of who takes it; an array shows no names."""
    if kind == JOINT_STATE and topic.endswith(_MIRROR):  # as goals of an action are recorded
        return SeenCommands(topic.removesuffix(_MIRROR), GRIPPER_COMMAND, tuple(message.name))
    if kind == JOINT_STATE:
        return SeenCommands(topic, kind, tuple(message.name))
    names = tuple(message.joint_names) if kind == JOINT_TRAJECTORY else ()
    return SeenCommands(topic, kind, names)

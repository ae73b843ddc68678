"""Everything that the `simulation` node publishes, in the order of a tick."""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from ddpm_msgs.msg import EpisodeMark
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, JointState
from std_msgs.msg import Bool, String

from ddpm_controller.messages.message_classes import message_class
from ddpm_controller.messages.stamps import seconds
from ddpm_controller.robots.outputs import RobotOutput
from ddpm_controller.robots.streams import RobotStream
from ddpm_controller.ros.output_messages import recorded_messages, recorded_types
from ddpm_controller.ros.simulation.field_messages import field_message, field_topics
from ddpm_controller.ros.simulation.joint_states import STREAM_QOS, JointStates
from ddpm_controller.ros.simulation.messages import (
    SCORE_NAMES,
    camera_info_message,
    compressed_message,
    image_message,
    mark_message,
    time_from,
    vector_message,
)
from ddpm_controller.ros.simulation.requested_velocity import RequestedVelocity
from ddpm_controller.simulation.session import Tick
from ddpm_controller.simulation.world import Camera, LedWorld, NamedVector, World

FACT_QOS = QoSProfile(
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)


class SimulationTopics:
    """The publishers of a simulated robot.

    Args:
        node: Owner of the publishers.
        world: One image topic and one camera_info topic for each of its cameras, one JointState
            topic for each of its vectors that the robot file does not observe as fields of another
            message, one each for its score, for what it counts and for its instruction if it has
            them.
        compressed: Also publish JPEG.
        joint_states: Publishes the joints.
        outputs: What the expert commands; nothing without an expert.
        vectors: Vectors of each tick.
        names: Columns of a command.
        streams: Streams of the robot file.
    """

    def __init__(
        self,
        node: Node,
        world: World,
        compressed: bool,
        joint_states: JointStates,
        outputs: Sequence[RobotOutput],
        vectors: Mapping[str, NamedVector],
        names: Sequence[str],
        streams: Sequence[RobotStream] = (),
    ) -> None:
        self._world = type(world)
        self._clock = node.create_publisher(Clock, "/clock", STREAM_QOS)
        self._joint_states = joint_states
        self._request = _requested_velocity(node, world, streams)
        topics = field_topics(streams, vectors)
        in_fields = {each.spec.name for found in topics.values() for each in found}
        plain = [name for name in vectors if name not in in_fields]
        create = partial(node.create_publisher, qos_profile=STREAM_QOS)
        self._vectors = {name: create(JointState, name) for name in plain}
        self._fields = [
            (create(message_class(found[0].type), topic), found)
            for topic, found in _not_led(topics, world).items()
        ]
        facts = partial(_publisher_where, node)
        self._scores = facts(world.score is not None, JointState, "score", STREAM_QOS)
        self._tallies = facts(bool(world.tally), JointState, "tally", STREAM_QOS)
        self._instruction = facts(bool(world.instruction), String, "instruction", FACT_QOS)
        self._success = node.create_publisher(Bool, "success", FACT_QOS)
        self._episode = node.create_publisher(EpisodeMark, "episode", STREAM_QOS)
        of_cameras = partial(_publisher_of_each, node, world.cameras)
        self._images = of_cameras(Image, "image_raw")
        self._infos = of_cameras(CameraInfo, "camera_info")
        jpeg = "image_raw/compressed"
        self._compressed = of_cameras(CompressedImage, jpeg) if compressed else {}
        self._outputs, self._names = tuple(outputs), tuple(names)
        kinds = recorded_types(outputs).items()
        self._commands = {topic: create(message_class(kind), topic) for topic, kind in kinds}
        self._description = node.create_publisher(String, "robot_description", FACT_QOS)
        self._description.publish(String(data=world.robot_description()))

    def tell(self, tick: Tick) -> None:
        """Publish a tick for the first time: facts, marks, observations, then the clock.

        A subscriber that has received the clock has been sent all that belongs to that moment.
        """
        if tick.begins and self._instruction is not None:
            self._instruction.publish(String(data=tick.instruction))
        self._tell_score(tick)
        self._tell_tally(tick)
        if tick.begins:
            self._success.publish(Bool(data=False))
            self._episode.publish(mark_message(tick, EpisodeMark.BEGIN, self._world.name))
        if tick.ends:
            self._success.publish(Bool(data=True))
            self._episode.publish(mark_message(tick, EpisodeMark.END, self._world.name))
        self.repeat(tick)

    def repeat(self, tick: Tick) -> None:
        """Publish the observations and the clock of a tick, also again; without the marks."""
        self._joint_states.tell(tick)
        for name, publisher in self._vectors.items():
            vector = tick.vectors[name]
            publisher.publish(vector_message(vector.names, vector.values, tick.stamp_ns))
        stamp_s = seconds(time_from(tick.stamp_ns))
        for publisher, streams in self._fields:
            publisher.publish(field_message(streams, tick.vectors, stamp_s))
        if self._request is not None:
            self._request.tell(stamp_s)
        for camera in self._world.cameras:
            if camera.name in tick.images:
                self._tell_image(tick, camera)
        self._clock.publish(Clock(clock=time_from(tick.stamp_ns)))

    def tell_command(self, command: np.ndarray, tick: Tick, tick_s: float) -> None:
        """Publish the expert's command for a tick, as any controller would send it."""
        stamp_s = seconds(time_from(tick.stamp_ns))
        found = recorded_messages(self._outputs, command, self._names, stamp_s, tick_s)
        for topic, message in found:
            self._commands[topic].publish(message)

    def _tell_score(self, tick: Tick) -> None:
        if self._scores is not None and tick.score is not None:
            score = np.array([tick.score])
            self._scores.publish(vector_message(SCORE_NAMES, score, tick.stamp_ns))

    def _tell_tally(self, tick: Tick) -> None:
        if self._tallies is not None:
            counts = np.array(list(tick.tally.values()))
            self._tallies.publish(vector_message(tuple(tick.tally), counts, tick.stamp_ns))

    def _tell_image(self, tick: Tick, camera: Camera) -> None:
        self._images[camera.name].publish(image_message(tick, camera))
        if camera.name in self._compressed:
            self._compressed[camera.name].publish(compressed_message(tick, camera))
        self._infos[camera.name].publish(camera_info_message(tick, camera))


def _publisher_of_each(
    node: Node, cameras: Sequence[Camera], kind: type, topic: str
) -> dict[str, Publisher]:
    return {
        camera.name: node.create_publisher(kind, f"{camera.name}/{topic}", STREAM_QOS)
        for camera in cameras
    }


def _publisher_where(
    node: Node, wanted: bool, kind: type, topic: str, qos: QoSProfile
) -> Publisher | None:
    return node.create_publisher(kind, topic, qos) if wanted else None


def _not_led(
    topics: Mapping[str, tuple[RobotStream, ...]], world: World
) -> dict[str, tuple[RobotStream, ...]]:
    """Return the topics without that of the request, which others may publish."""
    led = world.request_stream if isinstance(world, LedWorld) else ""
    return {
        topic: streams
        for topic, streams in topics.items()
        if led not in {each.spec.name for each in streams}
    }


def _requested_velocity(
    node: Node, world: World, streams: Sequence[RobotStream]
) -> RequestedVelocity | None:
    """Return what leads a world; None where nothing does, or the robot file has no request."""
    if not isinstance(world, LedWorld):
        return None
    found = [each for each in streams if each.spec.name == world.request_stream and each.fields]
    return RequestedVelocity(node, world, found[0]) if found else None

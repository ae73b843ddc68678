"""Demonstrations recorded in process: the messages of the ROS graph, many times faster."""

import contextlib
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from ddpm_msgs.msg import EpisodeMark
from rosgraph_msgs.msg import Clock
from std_msgs.msg import Bool, String

from ddpm_controller.bags.storages import BagTopic, Storage
from ddpm_controller.bags.writer import BagWriter
from ddpm_controller.messages.stamps import seconds
from ddpm_controller.robots.outputs import RobotOutput, spec_of
from ddpm_controller.robots.robot import load_robot
from ddpm_controller.ros.output_messages import recorded_messages, recorded_types
from ddpm_controller.ros.simulation.messages import (
    camera_info_message,
    image_message,
    joint_state_message,
    mark_message,
    time_from,
    vector_message,
)
from ddpm_controller.share import share_path
from ddpm_controller.simulation.session import Session, Tick
from ddpm_controller.simulation.world import Camera, World
from ddpm_controller.simulation.worlds import WORLDS, Driver, make_driver

Message = tuple[str, Any]
"""Absolute topic and message."""


def record_in_process(
    world: World,
    seed: int,
    folder: Path,
    *,
    camera_hz: float = 25.0,
    pictures: bool = True,
    storage: Storage = "mcap",
    keep_failure: bool = False,
    outputs: Sequence[RobotOutput] = (),
) -> bool:
    """Let the expert solve the episode of ``seed``, write it to a bag and return its success.

    The bag holds what a recorder of the lockstep `simulation` node would write, without waiting
    for a graph. Its bytes depend on the arguments alone.

    Args:
        world: Is reset to ``seed``.
        seed: Seed of the world and of the expert.
        folder: The bag, must not exist; nor does it after a failure that is not kept.
        camera_hz: Rate of the images; divides the world's rate.
        pictures: Record the cameras too.
        storage: Storage format of the bag.
        keep_failure: Keep an episode without success too.
        outputs: Topics of the commands; left out: those of the world's robot file.

    Raises:
        BagWriteError: The disk refuses.
        ValueError: There is no expert for this world.
    """
    outputs = outputs or load_robot(share_path(WORLDS[world.name].robot)).outputs
    driver, names = driver_of(world, outputs)
    session = Session(world, camera_hz, expert=True, pictures=pictures, driver=driver)
    tick = session.reset(seed)
    provenance = demonstration_provenance(world.name, seed, "in process")
    latest_ns = tick.stamp_ns + round(world.timeout_s * 1e9)
    topics = _topics(tick, world, pictures, outputs)
    bag = BagWriter(folder, topics, provenance, storage, hidden=True)
    with contextlib.suppress(_FailedError), bag:
        _write(bag, tick, [("/robot_description", String(data=world.robot_description()))])
        _write(bag, tick, _tick_messages(session, tick))
        while (command := session.expert_command()) is not None:
            _write(bag, tick, _command_messages(session, tick, command, outputs, names))
            if tick.ends or tick.stamp_ns >= latest_ns:
                break
            tick = session.step(command)
            _write(bag, tick, _tick_messages(session, tick))
        if not tick.success and not keep_failure:
            raise _FailedError
    return tick.success


def driver_of(
    world: World, outputs: Sequence[RobotOutput]
) -> tuple[Driver | None, tuple[str, ...]]:
    """Return what takes the commands of a robot, and the names of their columns.

    None where these are positions of the world's joints, and the columns are theirs.

    Raises:
        ValueError: The world has no such controller.
    """
    spec = spec_of(outputs, world.tick_s)
    if set(spec.kinds) == {"joint_position"}:
        return None, world.joint_names
    return make_driver(world, spec), spec.joint_names


def demonstration_provenance(world: str, seed: int, recorder: str) -> dict[str, str]:
    """Return the origin of a demonstration for metadata.yaml."""
    return {
        "recorded_by": f"ddpm_controller {_version()}, demonstrate, {recorder}",
        "world": world,
        "seed": str(seed),
    }


class _FailedError(Exception):
    """Makes the writer remove the bag of an episode that is not to be kept."""


def _topics(
    tick: Tick, world: World, pictures: bool, outputs: Sequence[RobotOutput]
) -> list[BagTopic]:
    topics = [
        BagTopic("/clock", "rosgraph_msgs/msg/Clock"),
        BagTopic("/joint_states", "sensor_msgs/msg/JointState"),
        *(BagTopic(f"/{topic}", kind) for topic, kind in recorded_types(outputs).items()),
        BagTopic("/episode", "ddpm_msgs/msg/EpisodeMark"),
        BagTopic("/success", "std_msgs/msg/Bool", transient_local=True, depth=1),
        BagTopic("/robot_description", "std_msgs/msg/String", transient_local=True, depth=1),
    ]
    topics += [BagTopic(f"/{name}", "sensor_msgs/msg/JointState") for name in tick.vectors]
    if world.instruction:
        kind = "std_msgs/msg/String"
        topics.append(BagTopic("/instruction", kind, transient_local=True, depth=1))
    for camera in world.cameras if pictures else ():
        topics.append(BagTopic(_image_topic(camera), "sensor_msgs/msg/Image"))
        topics.append(BagTopic(_info_topic(camera), "sensor_msgs/msg/CameraInfo"))
    return topics


def _tick_messages(session: Session, tick: Tick) -> Iterator[Message]:
    """Yield what the node publishes for a tick, in its order."""
    if tick.begins and tick.instruction:
        yield "/instruction", String(data=tick.instruction)
    if tick.begins or tick.ends:
        mark = EpisodeMark.BEGIN if tick.begins else EpisodeMark.END
        yield "/success", Bool(data=tick.success)
        yield "/episode", mark_message(tick, mark, session.world.name)
    yield "/joint_states", joint_state_message(tick, type(session.world))
    for name, vector in tick.vectors.items():
        yield f"/{name}", vector_message(vector.names, vector.values, tick.stamp_ns)
    for camera in session.world.cameras:
        if camera.name in tick.images:
            yield _image_topic(camera), image_message(tick, camera)
            yield _info_topic(camera), camera_info_message(tick, camera)
    yield "/clock", Clock(clock=time_from(tick.stamp_ns))


def _command_messages(
    session: Session,
    tick: Tick,
    command: np.ndarray,
    outputs: Sequence[RobotOutput],
    names: Sequence[str],
) -> Iterator[Message]:
    stamp_s, tick_s = seconds(time_from(tick.stamp_ns)), session.world.tick_s
    found = recorded_messages(outputs, command, names, stamp_s, tick_s)
    for topic, message in found:
        yield f"/{topic}", message


def _write(bag: BagWriter, tick: Tick, messages: Iterator[Message] | list[Message]) -> None:
    for topic, message in messages:
        bag.write_message(topic, tick.stamp_ns, message)


def _image_topic(camera: Camera) -> str:
    return f"/{camera.name}/image_raw"


def _info_topic(camera: Camera) -> str:
    return f"/{camera.name}/camera_info"


def _version() -> str:
    try:
        return version("ddpm_controller")
    except PackageNotFoundError:  # run from a source folder
        return "(source folder)"

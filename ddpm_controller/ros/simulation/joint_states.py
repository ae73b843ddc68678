"""Joint states as drivers publish them: all together, or of an arm, a gripper and a base apart.

Between two ticks of the world the joints are on the line between them, so that states may come
more often than ticks; they are one tick late then, as their stamps show.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import JointState
from std_msgs.msg import Header

from ddpm_controller.ros.simulation.messages import joint_state_message, time_from
from ddpm_controller.simulation.session import Tick
from ddpm_controller.simulation.world import World

GRIPPER_HZ = 30.0
"""Rate of the last joint where it is published apart, as serial grippers have it."""
BASE_HZ = 50.0
WHEELS = ("wheel_left_joint", "wheel_right_joint")
_WHEEL_SPEED = 0.5  # rad/s
# Deep and reliable: a recorder on a busy machine must not lose the start of a lockstep episode.
STREAM_QOS = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)


@dataclass
class _Part:
    """One publisher: its joints, and when it is due."""

    publisher: Publisher
    names: tuple[str, ...]
    period_ns: int
    due_ns: int = 0


class JointStates:
    """Publishes what the joints of a world measure.

    Args:
        node: Owner of the publishers.
        world: The joints.
        tick_s: Time between two ticks.
        is_apart: Whether the last joint and a mobile base have publishers of their own.
        states_hz: Rate; 0: at every tick, which nothing of a lockstep world differs from.
        clock_offset_s: So much the clock of the robot is ahead of this machine's.

    Raises:
        ValueError: A world of one joint cannot be apart.
    """

    def __init__(
        self,
        node: Node,
        world: type[World],
        tick_s: float,
        *,
        is_apart: bool = False,
        states_hz: float = 0.0,
        clock_offset_s: float = 0.0,
    ) -> None:
        self._world, self._offset_ns = world, round(clock_offset_s * 1e9)
        self._tick_ns = round(tick_s * 1e9)
        self._before: Tick | None = None
        self._newest: Tick | None = None
        names = world.published_joint_names
        last = world.joint_names[-1:]
        others = tuple(name for name in names if name not in last)
        if is_apart and not others:
            raise ValueError(f"{world.name} has one joint, {names}: use joint_states together")
        rates_hz = {names: states_hz}
        if is_apart:
            rates_hz = {others: states_hz or 1 / tick_s, last: GRIPPER_HZ, WHEELS: BASE_HZ}
        create = node.create_publisher
        self._parts = [
            _Part(create(JointState, "joint_states", STREAM_QOS), each, _period_ns(hz))
            for each, hz in rates_hz.items()
        ]
        self._at_ticks = not is_apart and states_hz == 0

    def tell(self, tick: Tick) -> None:
        """Take a tick; publish it at once where states come with the ticks."""
        if not tick.begins and self._newest is not None:
            self._publish_until(self._newest.stamp_ns)
        self._before = None if tick.begins else self._newest
        self._newest = tick
        if self._at_ticks:
            message = joint_state_message(tick, self._world)
            message.header.stamp = time_from(tick.stamp_ns + self._offset_ns)
            self._parts[0].publisher.publish(message)

    def due_ns(self) -> int | None:
        """Return when the next state is to be published; None: with the next tick."""
        if self._at_ticks or self._before is None or self._newest is None:
            return None
        dues = [part.due_ns for part in self._parts if part.due_ns <= self._newest.stamp_ns]
        return min(dues) + self._tick_ns if dues else None

    def advance(self, now_ns: int) -> None:
        """Publish what is due by ``now_ns``, each state with its own moment."""
        if self._newest is not None:
            self._publish_until(min(now_ns - self._tick_ns, self._newest.stamp_ns))

    def _publish_until(self, until_ns: int) -> None:
        before, newest = self._before, self._newest
        if self._at_ticks or before is None or newest is None:
            return
        for part in self._parts:
            if part.due_ns <= before.stamp_ns:  # an episode begins
                part.due_ns = before.stamp_ns + part.period_ns
            while part.due_ns <= until_ns:
                self._publish(part, before, newest)
                part.due_ns += part.period_ns

    def _publish(self, part: _Part, before: Tick, newest: Tick) -> None:
        stamp_ns = part.due_ns
        header = Header(stamp=time_from(stamp_ns + self._offset_ns))
        if part.names == WHEELS:
            turned = [_WHEEL_SPEED * (stamp_ns % 10**12) * 1e-9] * 2
            message = JointState(header=header, name=list(WHEELS), position=turned)
        else:
            share = (stamp_ns - before.stamp_ns) / (newest.stamp_ns - before.stamp_ns)
            columns = [self._world.joint_names.index(name) for name in part.names]
            message = JointState(
                header=header,
                name=list(part.names),
                position=_between(before.positions, newest.positions, share, columns),
                velocity=_between(before.velocities, newest.velocities, share, columns),
            )
        part.publisher.publish(message)


def _between(
    before: np.ndarray, newest: np.ndarray, share: float, columns: Sequence[int]
) -> list[float]:
    row: list[float] = (before + share * (newest - before))[columns].tolist()
    return row


def _period_ns(rate_hz: float) -> int:
    return round(1e9 / rate_hz) if rate_hz else 0

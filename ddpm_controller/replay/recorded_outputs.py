"""What each output of a robot was sent, compared with the commands that were computed again.

A robot with several topics is commanded by one motion, which is recorded whole. Here each topic's
own messages are compared with it, bit for bit.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ddpm_controller.bags.command_messages import command_from
from ddpm_controller.robots.outputs import (
    JOINT_STATE,
    JOINT_TRAJECTORY,
    POSE_STAMPED,
    RobotOutput,
    columns_of,
    numbers_of,
)

Key = tuple[int, int, int]
"""Stamp of a trajectory and its number of points: the same for the whole one and its parts."""


@dataclass(frozen=True)
class OutputComparison:
    """Comparison of one output.

    Attributes:
        count: Messages compared.
        num_equal: Number of these that are equal bit for bit.
    """

    count: int
    num_equal: int


@dataclass
class RecordedOutputs:
    """Messages of the outputs of a robot, in the order of recording.

    Attributes:
        outputs: Outputs of the robot.
        trajectories: Output -> key and positions (N, D) of each trajectory.
        numbers: Output -> moment and numbers (D,) of each other message; one without a stamp
            counts from when it was recorded.
        whole: Key -> positions (N, Da) of the trajectories with all columns; a few that follow
            each other may have the same.
    """

    outputs: tuple[RobotOutput, ...]
    trajectories: dict[str, list[tuple[Key, np.ndarray]]] = field(default_factory=dict)
    numbers: dict[str, list[tuple[float, np.ndarray]]] = field(default_factory=dict)
    whole: dict[Key, list[np.ndarray]] = field(default_factory=dict)

    def add(self, output: RobotOutput, stamp_s: float, message: Any) -> None:
        """Keep a message of an output, which counts from ``stamp_s``.

        Raises:
            ConversionError: Names or sizes are not those of the robot file.
        """
        if output.type == JOINT_TRAJECTORY:
            found = _key(message), _positions(message, output.message_names)
            self.trajectories.setdefault(output.name, []).append(found)
        else:
            numbers = stamp_s, _numbers(message, output)
            self.numbers.setdefault(output.name, []).append(numbers)

    def add_whole(self, message: Any) -> None:
        """Keep a trajectory with all columns."""
        names = tuple(name for output in self.outputs for name in output.names)
        self.whole.setdefault(_key(message), []).append(_positions(message, names))

    def compared(
        self, computed: Sequence[np.ndarray], until_s: float
    ) -> dict[str, OutputComparison]:
        """Return output -> comparison with commands that were computed.

        Args:
            computed: Commands (Da,) in order.
            until_s: Moment of the last one; later messages are of commands that no recorded
                trajectory has for good.
        """
        columns, found = columns_of(self.outputs), {}
        for output in self.outputs:
            own = columns[output.name]
            if output.name in self.trajectories:
                found[output.name] = self._of_trajectories(output.name, own)
            elif output.name in self.numbers:
                numbers = [row for stamp_s, row in self.numbers[output.name] if stamp_s <= until_s]
                rows = [row[own] for row in computed]
                found[output.name] = _in_order(output, numbers, rows)
        return found

    def _of_trajectories(self, name: str, columns: slice) -> OutputComparison:
        """Compare with the whole trajectories; one that the recorder lost does not count."""
        are_equal = [
            any(np.array_equal(rows, each[:, columns]) for each in self.whole[key])
            for key, rows in self.trajectories[name]
            if key in self.whole
        ]
        return OutputComparison(len(are_equal), sum(are_equal))


def _in_order(
    output: RobotOutput, recorded: Sequence[np.ndarray], computed: Sequence[np.ndarray]
) -> OutputComparison:
    """Compare messages with the commands that they were made of: some of them, in order.

    A late tick, a rate and the rule of a gripper leave commands out.
    """
    begin, num_equal, sent = 0, 0, None
    for numbers in recorded:
        for place in range(begin, len(computed)):
            if np.array_equal(_sent_of(output, computed[place], sent), numbers):
                begin, num_equal = place, num_equal + 1
                break
        sent = float(numbers[0])
    return OutputComparison(len(recorded), num_equal)


def _sent_of(output: RobotOutput, row: np.ndarray, sent: float | None) -> np.ndarray:
    """Return the numbers that an output is sent for a command (D,); none where it is not."""
    if output.gripper is None:
        return numbers_of(output, row)
    place = output.gripper.due(float(row[0]), sent)
    return np.array([] if place is None else [place])


def _key(message: Any) -> Key:
    return int(message.header.stamp.sec), int(message.header.stamp.nanosec), len(message.points)


def _positions(message: Any, names: Sequence[str]) -> np.ndarray:
    have = list(message.joint_names)
    rows = np.array([point.positions for point in message.points], dtype=np.float64)
    found: np.ndarray = rows[:, [have.index(name) for name in names]]
    return found


def _numbers(message: Any, output: RobotOutput) -> np.ndarray:
    if output.type == POSE_STAMPED:
        place, turn = message.pose.position, message.pose.orientation
        return np.array([place.x, place.y, place.z, turn.x, turn.y, turn.z, turn.w])
    row = command_from(message, output, JOINT_STATE if output.is_action else output.type)
    return np.zeros(0) if row is None else numbers_of(output, row)

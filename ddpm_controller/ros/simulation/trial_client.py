"""Closed-loop trials over ROS: reset the world, run the policy, watch, and note what happened."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import numpy as np
import rclpy
from ddpm_msgs.action import RunPolicy
from ddpm_msgs.msg import ControllerStatus, EpisodeMark
from ddpm_msgs.srv import ResetWorld
from rclpy.action import ActionClient
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.task import Future
from sensor_msgs.msg import Image, JointState

from ddpm_controller.bags.command_messages import command_from
from ddpm_controller.bags.conversions import (
    ConversionError,
    part_of_vector,
    positions_from,
    seconds,
)
from ddpm_controller.control.states import Reason, State
from ddpm_controller.evaluation.results import FRAMES_PER_TRIAL, TallyWatch, Trial
from ddpm_controller.messages.images import image_from
from ddpm_controller.messages.message_classes import message_class
from ddpm_controller.robots.outputs import JOINT_TRAJECTORY, RobotOutput, columns_of
from ddpm_controller.ros.asking import ask
from ddpm_controller.ros.output_messages import recorded_types

_LAST_PATIENCE_S = 5.0
_SAME_STAMP_S = 1e-6
Told = TypeVar("Told")


class TrialError(RuntimeError):
    """The graph did not do its part; the text names the node and what to look at."""


class TrialClient(Node):
    """Asks a running `simulation` and `controller` for one trial after the other.

    Args:
        outputs: What is commanded, with the columns of the recorded curves.
        cameras: Names of the cameras whose frames are kept, (name, height, width).
        namespace: Namespace of the nodes that are asked.
        patience_s: Wall time after which a node that does not answer is an error.
    """

    def __init__(
        self,
        outputs: Sequence[RobotOutput],
        cameras: tuple[tuple[str, int, int], ...],
        namespace: str = "",
        patience_s: float = 60.0,
    ) -> None:
        super().__init__("trial_client", namespace=namespace)
        self._joint_names = joint_names = tuple(n for each in outputs for n in each.names)
        self._outputs, self._columns = tuple(outputs), columns_of(outputs)
        self._patience_s = patience_s
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self)
        self._reset = self.create_client(ResetWorld, "simulation/reset")
        self._run = ActionClient(self, RunPolicy, "controller/run_policy")
        self._frames: dict[str, list[tuple[float, np.ndarray]]] = {}
        self._newest: np.ndarray = np.full(len(joint_names), np.nan)
        self._curve: list[tuple[float, np.ndarray, np.ndarray]] = []
        self._commands: dict[str, tuple[str, Any]] = {}
        self._scores: list[tuple[float, float]] = []
        self._tallies: list[tuple[float, dict[str, float]]] = []
        self._success_stamp_s: float | None = None
        self._foreign: set[str] = set()
        self._status = ControllerStatus(text="no status yet")
        self._has_planned, self._last_cause = False, ""
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.create_subscription(ControllerStatus, "controller/status", self._on_status, latched)
        deep = QoSProfile(depth=100)
        self.create_subscription(JointState, "joint_states", self._on_joint_state, deep)
        for output in outputs:
            ((topic, kind),) = recorded_types([output]).items()
            take = partial(self._on_command, output, kind)
            self.create_subscription(message_class(kind), topic, take, deep)
        self.create_subscription(JointState, "score", self._on_score, deep)
        self.create_subscription(JointState, "tally", self._on_tally, deep)
        self.create_subscription(EpisodeMark, "episode", self._on_mark, deep)
        for name, height, width in cameras:
            self._watch(name, height, width)

    def close(self) -> None:
        """Leave the graph."""
        self._executor.shutdown()
        self.destroy_node()

    @property
    def controller_state(self) -> str:
        """What the controller does and why, by its newest status."""
        state, reason = State(self._status.state), Reason(self._status.reason)
        refused = self._status.checkpoint_error
        more = f"; {refused}" if refused and refused != self._status.text else ""
        return f"{state.name} ({reason.name}): {self._status.text}{more}"

    def wait_until_ready(self, check: Callable[[], None] = lambda: None) -> None:
        """Return when both nodes answer and the controller is active.

        Args:
            check: Called while it waits; may raise what ends the waiting.

        Raises:
            TrialError: When that does not come within the patience.
        """
        steps: tuple[tuple[Callable[[], bool], Callable[[], str]], ...] = (
            (
                self._reset.service_is_ready,
                lambda: "no node offers simulation/reset: is the simulation running?",
            ),
            (
                self._run.server_is_ready,
                lambda: "no node offers controller/run_policy: is the controller running?",
            ),
            (
                lambda: self._status.state != ControllerStatus.STATE_INACTIVE,
                lambda: f"the controller does not become active: {self.controller_state}",
            ),
        )
        for is_ready, problem in steps:
            deadline_s = time.monotonic() + self._patience_s
            while not is_ready():
                if time.monotonic() > deadline_s:
                    raise TrialError(problem())
                check()
                self._spin()

    def run_trial(
        self,
        seed: int,
        timeout_s: float,
        on_feedback: Callable[[RunPolicy.Feedback], None] = lambda feedback: None,
    ) -> Trial:
        """Reset the world to ``seed``, run the policy on it and return what happened.

        Raises:
            TrialError: When a node refuses or does not answer.
        """
        try:
            answer = ask(self._reset, ResetWorld.Request(seed=seed), self._spin, self._patience_s)
        except TimeoutError as error:
            raise TrialError(str(error)) from error
        if not answer.success:
            raise TrialError(f"the simulation refused to reset: {answer.message}")
        self._commands.clear()
        self._newest = np.full(len(self._joint_names), np.nan)
        self._curve.clear()
        self._scores.clear()
        self._tallies.clear()
        self._success_stamp_s = None
        for frames in self._frames.values():
            frames.clear()
        self._last_cause = "no status came"
        goal = RunPolicy.Goal(timeout_s=timeout_s, seed=seed, not_before=answer.stamp)
        handle = self._wait(
            self._run.send_goal_async(goal, lambda message: on_feedback(message.feedback)),
            "the goal",
        )
        if not handle.accepted:
            raise TrialError(f"the controller refused the goal: {self.controller_state}")
        # Wall time: a lockstep simulation may be much slower than its own clock.
        result = self._wait(handle.get_result_async(), "the run", 20.0 * timeout_s).result
        if result.outcome in (RunPolicy.Result.CANCELLED, RunPolicy.Result.STOPPED):
            raise TrialError(f"the run was stopped: {result.message}")
        self._has_planned = self._has_planned or result.plans > 0
        if not self._has_planned:  # a policy that has not run once was not tried
            raise TrialError(
                f"no plan was followed in {result.duration_s:.1f} s; {self._last_cause}"
            )
        return self._trial(seed, seconds(answer.stamp), result)

    def _trial(self, seed: int, start_s: float, result: RunPolicy.Result) -> Trial:
        scores = self._told("score", self._scores, start_s, result)
        watch = TallyWatch()
        for stamp_s, tally in self._told("tally", self._tallies, start_s, result):
            watch.note(stamp_s - start_s, tally)
        frames = self._picked_frames(start_s, start_s + result.duration_s)
        curve = [row for row in self._curve if row[0] >= start_s]
        empty = np.zeros((0, len(self._joint_names)))
        return Trial(
            seed=seed,
            success=result.outcome == RunPolicy.Result.SUCCESS,
            duration_s=result.duration_s,
            plans=result.plans,
            joint_names=self._joint_names,
            stamps_s=np.array([row[0] - start_s for row in curve]),
            positions=np.array([row[1] for row in curve]) if curve else empty,
            commands=np.array([row[2] for row in curve]) if curve else empty,
            frames=tuple(frame for _, frame in frames),
            frame_stamps_s=tuple(stamp_s - start_s for stamp_s, _ in frames),
            score=max((score for _, score in scores), default=None),
            tally=watch.latest,
            rises=tuple(watch.rises),
        )

    def _told(
        self, topic: str, kept: list[tuple[float, Told]], start_s: float, result: RunPolicy.Result
    ) -> list[tuple[float, Told]]:
        """Return what a topic carried from the start to the end of a trial, (stamp in s, what).

        Nothing in a world that has no such topic. The result of a run may overtake the messages
        of its last tick, so that is waited for. With success the last tick is the one of the
        mark: a controller ends its run one tick before, by its own clock.
        """
        if not self.count_publishers(topic):
            return []
        succeeded = result.outcome == RunPolicy.Result.SUCCESS
        end_s = start_s + result.duration_s
        deadline_s = time.monotonic() + _LAST_PATIENCE_S
        while time.monotonic() < deadline_s:
            if succeeded and self._success_stamp_s is not None:
                end_s = self._success_stamp_s
            told = any(stamp_s >= end_s - _SAME_STAMP_S for stamp_s, _ in kept)
            if told and not (succeeded and self._success_stamp_s is None):
                break
            self._spin()
        last_s = end_s + _SAME_STAMP_S
        return [each for each in kept if start_s <= each[0] <= last_s]

    def _picked_frames(self, start_s: float, end_s: float) -> list[tuple[float, np.ndarray]]:
        """Frames at even distances, the cameras side by side."""
        picked: list[tuple[float, np.ndarray]] = []
        if not self._frames or not all(self._frames.values()):
            return picked
        for moment_s in np.linspace(start_s, end_s, FRAMES_PER_TRIAL):
            views = [
                min(frames, key=lambda stamped: abs(stamped[0] - moment_s))
                for frames in self._frames.values()
            ]
            picked.append((float(moment_s), np.concatenate([view for _, view in views], axis=1)))
        return picked

    def _watch(self, name: str, height: int, width: int) -> None:
        frames = self._frames.setdefault(name, [])

        def keep(message: Image) -> None:
            frames.append((seconds(message.header.stamp), image_from(message, height, width)))

        self.create_subscription(Image, f"{name}/image_raw", keep, QoSProfile(depth=10))

    def _on_status(self, message: ControllerStatus) -> None:
        self._status = message
        if message.state == ControllerStatus.STATE_HOLDING or message.reason:
            self._last_cause = self.controller_state  # a run that has ended has none any more

    def _on_joint_state(self, message: JointState) -> None:
        try:
            part = part_of_vector(message, self._joint_names)
        except ConversionError as error:
            self._leave_out("joint_states", error)
            return
        if part is None:
            text = f"{list(message.name)} are of another robot, or of another part of this one"
            self._leave_out("joint_states", ConversionError(text))
            return
        value, present = part
        positions = value if present is None else np.where(present, value, self._newest)
        self._newest = positions
        if not np.isfinite(positions).all():
            return
        stamp_s = seconds(message.header.stamp)
        self._curve.append((stamp_s, positions, self._commanded(stamp_s)))

    def _on_mark(self, message: EpisodeMark) -> None:
        if message.mark == EpisodeMark.END:
            self._success_stamp_s = seconds(message.header.stamp)

    def _on_score(self, message: JointState) -> None:
        self._scores.append((seconds(message.header.stamp), float(message.position[0])))

    def _on_tally(self, message: JointState) -> None:
        tally = dict(zip(message.name, message.position, strict=True))
        self._tallies.append((seconds(message.header.stamp), tally))

    def _commanded(self, stamp_s: float) -> np.ndarray:
        """Return what was in force at a moment, (Da,); NaN of what was not commanded yet."""
        command = np.full(len(self._joint_names), np.nan)
        for output in self._outputs:
            if output.name not in self._commands:
                continue
            kind, message = self._commands[output.name]
            columns = self._columns[output.name]
            if kind == JOINT_TRAJECTORY:
                command[columns] = positions_from(message, output.message_names, stamp_s)
            else:
                command[columns] = command_from(message, output, kind)
        return command

    def _on_command(self, output: RobotOutput, kind: str, message: Any) -> None:
        try:
            if command_from(message, output, kind) is not None:  # refuses what does not fit
                self._commands[output.name] = kind, message
        except ConversionError as error:
            self._leave_out(output.topic, error)

    def _leave_out(self, topic: str, error: ConversionError) -> None:
        """Warn once of another robot on a topic: its messages do not end a trial."""
        if topic not in self._foreign:
            self._foreign.add(topic)
            self.get_logger().warning(f"{topic}: left out: {error}")

    def _spin(self) -> None:
        self._executor.spin_once(timeout_sec=0.1)

    def _wait(self, future: Future, what: str, patience_s: float | None = None) -> Any:
        deadline_s = time.monotonic() + (patience_s or self._patience_s)
        while rclpy.ok() and not future.done() and time.monotonic() < deadline_s:
            self._spin()
        if not future.done():
            raise TrialError(f"no answer to {what} in time; {self.controller_state}")
        return future.result()

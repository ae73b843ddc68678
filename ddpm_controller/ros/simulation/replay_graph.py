"""A lockstep recording played into a real controller node, command by command."""

import time
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen
from typing import Any

import numpy as np
import rclpy
from ddpm_msgs.action import RunPolicy
from rclpy.action import ActionClient
from rclpy.executors import SingleThreadedExecutor
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future
from rosgraph_msgs.msg import Clock
from std_msgs.msg import String
from trajectory_msgs.msg import JointTrajectory

from ddpm_controller.bags.conversions import positions_from, seconds
from ddpm_controller.bags.files import BagError, OpenBag, resolve_topic
from ddpm_controller.control.parameter_names import given_as
from ddpm_controller.messages.message_classes import message_class
from ddpm_controller.policy import words_from
from ddpm_controller.replay.command_comparison import CommandComparison, command_difference
from ddpm_controller.replay.recorded_run import RecordedCommand, RecordedRun
from ddpm_controller.replay.run_ticks import run_ticks
from ddpm_controller.ros.graph.own_graph import parameter_file, use_own_domain
from ddpm_controller.ros.graph.supervisor import started
from ddpm_controller.ros.stamps import time_from

NAMESPACE = "replay"
"""Apart from every real robot: what is played here must not move one."""
_PATIENCE_S = 60.0
_REPEAT_S = 1.0


def replay_in_graph(
    run: RecordedRun,
    checkpoint: Path,
    robot_file: Path,
    known: Set[str],
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> CommandComparison:
    """Start a controller, play the bag into it and compare what it commands.

    Args:
        run: The bag.
        checkpoint: Folder of the checkpoint that was recorded.
        robot_file: Robot file of the recording.
        known: Recorded parameters that the controller takes; others are of other releases.
        on_progress: Called with the commands compared and the commands in all.

    Raises:
        BagError: The recording is not of a lockstep run of one checkpoint, or the controller
            does not answer.
    """
    _refuse_unplayable(run)
    use_own_domain()
    with (
        _controller(run, checkpoint, robot_file, known) as process,
        _player(run, process) as player,
    ):
        return _compared(run, player, on_progress)


def _compared(
    run: RecordedRun, player: "_Player", on_progress: Callable[[int, int], None]
) -> CommandComparison:
    count = num_equal = 0
    first = None
    runs = _runs(run)
    for ticks in runs:
        player.begin(ticks)
        for command in ticks:
            difference = command_difference(run, command, player.tick(command.stamp_s))
            count += 1
            num_equal += difference is None
            first = first or difference
            on_progress(count, len(run.commands))
        player.end()
    return CommandComparison(count, num_equal, len(runs), first)


def _runs(run: RecordedRun) -> list[list[RecordedCommand]]:
    runs: list[list[RecordedCommand]] = []
    for command, begins in run_ticks(run):
        if begins:
            runs.append([])
        runs[-1].append(command)
    return runs


def _refuse_unplayable(run: RecordedRun) -> None:
    if not run.commands:
        topic = run.robot.commands_topic
        raise BagError(f"bag {run.bag}: a graph replay needs the commands of {topic}")
    if run.parameters.get("lockstep") is False:
        raise BagError(
            f"bag {run.bag} was recorded in real time, where plans come as late as the machine "
            "was busy: replay it without --graph"
        )
    if run.parameters.get("deadline_aware"):
        raise BagError(
            f"bag {run.bag} was recorded with policy.deadline_aware: how many denoising steps a "
            "plan has followed the machine; replay it without --graph"
        )
    hashes = {chunk.checkpoint_hash for chunk in run.chunks}
    engines = {chunk.engine for chunk in run.chunks}
    if len(engines) > 1:
        raise BagError(
            f"bag {run.bag} was computed by {sorted(engines)}: replay it without --graph"
        )
    if len(hashes) > 1:
        raise BagError(
            f"bag {run.bag} has swaps between {len(hashes)} checkpoints: replay it without --graph"
        )


def _static_links() -> QoSProfile:
    return QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)


@contextmanager
def _controller(
    run: RecordedRun, checkpoint: Path, robot_file: Path, known: Set[str]
) -> Iterator[Popen[bytes]]:
    """Have a controller with the recorded parameters and the settings of the recorded chunks."""
    parameters = {name: value for name, value in run.parameters.items() if name in known}
    # A controller of before there was a choice sent single points.
    parameters = {"stream": "single_point", **parameters}
    parameters |= {"lockstep": True, "run_on_activate": False}
    parameters.pop("policy_overrides", None)
    parameters["engine"] = run.chunks[0].engine if run.chunks else "torch"
    if overrides := words_from(_settings(run)):
        parameters["policy_overrides"] = overrides
    with parameter_file(given_as(parameters)) as params_file:
        given = {
            "namespace": NAMESPACE,
            "checkpoint": str(checkpoint.resolve()),
            "robot": str(robot_file.resolve()),
            "params_file": params_file,
            "use_sim_time": "true",
            "log_level": "warn",
        }
        with started("controller", given) as process:
            yield process


def _settings(run: RecordedRun) -> dict[str, float | str]:
    """Return those of the chunks: a checkpoint may have left open what had another default."""
    settings = dict(run.chunks[0].settings) if run.chunks else {}
    # A parameter of earlier releases, which had the delay of no single plan.
    delay_s = float(run.parameters.get("expected_delay_s", -1.0))
    return {**settings, "expected_delay_s": delay_s} if delay_s >= 0 else settings


@contextmanager
def _player(run: RecordedRun, controller: Popen[bytes]) -> Iterator["_Player"]:
    # Ctrl-C must reach the command as KeyboardInterrupt, not pull the graph from under it.
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    try:
        player = _Player(run, controller)
        try:
            yield player
        finally:
            player.close()
    finally:
        rclpy.try_shutdown()


class _Player:
    """Publishes what was recorded and waits for the controller's answer to every tick."""

    def __init__(self, run: RecordedRun, controller: Popen[bytes]) -> None:
        self._run, self._controller = run, controller
        self._node = rclpy.create_node("replay", namespace=NAMESPACE)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._goals = ActionClient(self._node, RunPolicy, "controller/run_policy")
        self._goal: Any = None
        self._answers: dict[float, np.ndarray] = {}
        self._next = 0
        deep = QoSProfile(depth=100)
        self._clock = self._node.create_publisher(Clock, "/clock", deep)
        self._node.create_subscription(
            JointTrajectory, run.robot.commands_topic, self._on_command, deep
        )
        self._messages, self._publishers = self._recorded(deep)

    def begin(self, ticks: Sequence[RecordedCommand]) -> None:
        """Start a run as it was recorded."""
        begin_s = ticks[0].stamp_s
        chunks = [c for c in self._run.chunks if begin_s <= c.takeover_s <= ticks[-1].stamp_s]
        oldest_s = min(
            (s for c in chunks[:1] for _, at in c.window for s in at.values()), default=0
        )
        goal = RunPolicy.Goal(seed=chunks[0].seed if chunks else 0)
        if oldest_s >= begin_s:  # what came before the run did not count
            goal.not_before = time_from(begin_s)
        deadline_s = time.monotonic() + _PATIENCE_S
        self._await(self._is_ready, "the controller's topics and run_policy")
        handle = self._result(self._goals.send_goal_async(goal), "run_policy")
        while not handle.accepted:  # not active yet
            if time.monotonic() > deadline_s:
                raise BagError("the controller refuses to run; see its messages above")
            self._spin_until(lambda: False, 0.2)
            handle = self._result(self._goals.send_goal_async(goal), "run_policy")
        self._goal = handle

    def tick(self, now_s: float) -> np.ndarray | None:
        """Publish what belongs to a tick and return the command for it; None if none comes."""
        while self._next < len(self._messages) and self._messages[self._next][0] <= now_s:
            _, topic, serialized = self._messages[self._next]
            self._publishers[topic].publish(serialized)
            self._next += 1
        for _ in range(round(_PATIENCE_S / _REPEAT_S)):
            self._clock.publish(Clock(clock=time_from(now_s)))
            if self._spin_until(lambda: now_s in self._answers, _REPEAT_S):
                return self._answers.pop(now_s)
        return None

    def end(self) -> None:
        """End the run."""
        self._result(self._goal.cancel_goal_async(), "the cancel")
        self._result(self._goal.get_result_async(), "the end of the run")

    def close(self) -> None:
        """Leave the graph."""
        self._executor.shutdown()
        self._node.destroy_node()

    def _recorded(
        self, deep: QoSProfile
    ) -> tuple[list[tuple[float, str, bytes]], dict[str, Publisher]]:
        """Return the observations in order of time, and a publisher for each topic."""
        fact = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        create = self._node.create_publisher
        publishers: dict[str, Publisher] = {}
        messages: list[tuple[float, str, bytes]] = []
        newest_s = 0.0  # a text has no stamp: it counts from the newest one before it
        with OpenBag(self._run.bag) as bag:
            for name, (source, *_) in self._run.robot.sources_of_topics.items():
                topic = resolve_topic(name, bag.topics) or name
                qos = fact if source.stream.is_text else deep
                qos = _static_links() if source.is_static else qos
                publishers[topic] = create(message_class(source.stream.type), name, qos)
            descriptions = set()
            for name in self._run.robot.descriptions:
                topic = resolve_topic(name, bag.topics) or name
                publishers[topic] = create(String, name, fact)
                descriptions.add(topic)
            for message in bag.messages(publishers):
                if message.topic in descriptions:
                    publishers[message.topic].publish(message.serialized)
                else:
                    newest_s = max(newest_s, message.header_ns * 1e-9)
                    own_s = message.header_ns and seconds(message.message.header.stamp)
                    messages.append((own_s or newest_s, message.topic, message.serialized))
        messages.sort(key=lambda message: message[0])
        return messages, publishers

    def _is_ready(self) -> bool:
        heard = all(p.get_subscription_count() for p in [self._clock, *self._publishers.values()])
        return heard and self._goals.server_is_ready()

    def _on_command(self, message: JointTrajectory) -> None:
        position = positions_from(message, self._run.robot.action_spec.joint_names)
        self._answers[seconds(message.header.stamp)] = position

    def _result(self, future: Future, awaited: str) -> Any:
        self._await(future.done, awaited)
        return future.result()

    def _await(self, condition: Callable[[], bool], awaited: str) -> None:
        if not self._spin_until(condition, _PATIENCE_S):
            raise BagError(f"waited {_PATIENCE_S:g} s for {awaited}; see the messages above")

    def _spin_until(self, condition: Callable[[], bool], patience_s: float) -> bool:
        deadline_s = time.monotonic() + patience_s
        while not condition() and time.monotonic() < deadline_s:
            if self._controller.poll() is not None:
                raise BagError("the controller has ended; see its messages above")
            self._executor.spin_once(timeout_sec=0.1)
        return condition()

"""The recorder on a real ROS graph."""

import errno
import json
import threading
import time

import numpy as np
import pytest
import rclpy
from random_checkpoint import SIM_ARM
from rclpy.duration import Duration
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter_client import AsyncParameterClient
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from trajectory_msgs.msg import JointTrajectory

from ddpm_controller.bags.files import OpenBag
from ddpm_controller.bags.writer import BagWriteError
from ddpm_controller.cli.record import RecordOptions, record
from ddpm_controller.replay.recorded_run import LOST_KEY, PARAMETERS_KEY
from ddpm_controller.ros.recorder import Recorder
from ddpm_controller.ros.run_recording import take_what_has_come

TOPICS = {"joint_states": "sensor_msgs/msg/JointState", "fact": "std_msgs/msg/String"}
SENSOR = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class Graph:
    """A publisher of joint states, one of a fact, and the node of the recorder."""

    def __init__(self):
        rclpy.init()
        self.node = rclpy.create_node("record", namespace="left")
        self.source = rclpy.create_node("source", namespace="left")
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self.states = self.source.create_publisher(JointState, "joint_states", SENSOR)
        self.facts = self.source.create_publisher(String, "fact", LATCHED)

    def spin_until(self, condition, patience_s=90.0):
        deadline_s = time.monotonic() + patience_s
        while not condition():
            assert time.monotonic() < deadline_s, "the graph did not do its part in time"
            self.executor.spin_once(timeout_sec=0.05)

    def close(self):
        self.executor.shutdown()
        self.node.destroy_node()
        self.source.destroy_node()
        rclpy.try_shutdown()


@pytest.fixture
def graph():
    """Is closed at the end."""
    graph = Graph()
    yield graph
    graph.close()


def ready_recorder(graph):
    recorder = Recorder(graph.node, {**TOPICS, "never": "std_msgs/msg/String"})
    graph.spin_until(lambda: recorder.unseen == ("/left/never",))
    graph.spin_until(lambda: graph.states.get_subscription_count() == 1)
    return recorder


def publish_states(graph, recorder, count):
    for k in range(count):
        before = recorder.arrivals
        message = JointState(name=["a"], position=[float(k)])
        message.header.stamp.sec = 100 + k
        graph.states.publish(message)
        graph.spin_until(lambda before=before: recorder.arrivals > before)


def test_bags_hold_what_was_published_while_recording(graph, tmp_path):
    """Best effort and latched alike; a fact told once is in every bag."""
    graph.facts.publish(String(data="a robot"))
    recorder = ready_recorder(graph)
    graph.spin_until(lambda: recorder.arrivals == 1)
    publish_states(graph, recorder, 2)  # before the recording: not in the bag
    for name in ("first", "second"):
        recorder.begin(tmp_path / name, {"robot": "left"})
        publish_states(graph, recorder, 5)
        recording = recorder.finish(provenance={"late": "yes"})
        assert recording.counts == {"/left/joint_states": 5, "/left/fact": 1}
        assert (recording.lost, recording.unseen) == ({}, ("/left/never",))
        with OpenBag(tmp_path / name) as bag:
            messages = list(bag.messages(bag.topics))
            assert bag.provenance == {"robot": "left", "late": "yes"}
        states = [m.message for m in messages if m.topic == "/left/joint_states"]
        assert [state.position[0] for state in states] == [0, 1, 2, 3, 4]
        assert [m.message.data for m in messages if m.topic == "/left/fact"] == ["a robot"]
        age_s = time.time() - messages[0].log_ns * 1e-9
        assert 0 <= age_s < 100  # the time of arrival, not the stamps of the messages


def test_what_the_writer_cannot_follow_is_counted_as_lost(graph, tmp_path, monkeypatch):
    """Memory is bounded: a disk that stands still must not take the whole machine along."""
    recorder = ready_recorder(graph)
    recorder.begin(tmp_path / "bag", {})
    publish_states(graph, recorder, 1)
    monkeypatch.setattr("ddpm_controller.ros.recorder.MAX_PENDING_BYTES", 10)
    publish_states(graph, recorder, 3)
    recording = recorder.finish()
    assert recording.counts["/left/joint_states"] == 1
    assert recording.lost == {"/left/joint_states": 3}


def test_what_did_not_get_here_is_counted_by_its_numbers(graph, tmp_path, monkeypatch, capfd):
    """A queue that is too short drops the oldest messages, and no event tells of them."""
    monkeypatch.setattr("ddpm_controller.ros.recorder.DEPTH", 5)
    recorder = ready_recorder(graph)
    recorder.begin(tmp_path / "bag", {})
    publish_states(graph, recorder, 1)
    for _ in range(20):
        graph.states.publish(JointState())
    graph.spin_until(lambda: recorder.arrivals > 1)
    recording = recorder.finish()
    kept, lost = recording.counts["/left/joint_states"], recording.lost["/left/joint_states"]
    assert kept + lost == 21
    assert lost >= 15 - 1
    with OpenBag(tmp_path / "bag") as bag:
        assert json.loads(bag.provenance[LOST_KEY]) == recording.lost
    assert "publishers of images need FASTRTPS_DEFAULT_PROFILES_FILE" in capfd.readouterr().err


def test_a_write_error_is_known_while_recording(graph, tmp_path, monkeypatch):
    """So that a command can end at once instead of recording into nothing."""

    def refuse(self, *_):
        raise OSError(errno.ENOSPC, "No space left on device")

    recorder = ready_recorder(graph)
    monkeypatch.setattr("ddpm_controller.bags.storages.McapStorage.write", refuse)
    recorder.begin(tmp_path / "bag", {})
    publish_states(graph, recorder, 1)
    graph.spin_until(lambda: recorder.error is not None)
    with pytest.raises(BagWriteError, match="No space left on device"):
        recorder.finish()
    assert not list(tmp_path.iterdir())


def test_recordings_do_not_overlap(graph, tmp_path):
    """One bag at a time, and none to finish before one was begun."""
    recorder = ready_recorder(graph)
    with pytest.raises(BagWriteError, match="call begin first"):
        recorder.finish()
    recorder.begin(tmp_path / "bag", {})
    with pytest.raises(BagWriteError, match="finish the recording of"):
        recorder.begin(tmp_path / "other", {})
    assert recorder.finish(keep=False).folder is None
    assert not list(tmp_path.iterdir())


def test_what_has_come_before_a_recording_is_stopped_is_in_the_bag(graph, tmp_path):
    """Also where it has not been looked at yet: on a busy machine that is the end of a run."""
    commands = graph.source.create_publisher(JointTrajectory, "joint_trajectory", 100)

    def stop_with_more_in_the_queue() -> bool:
        if not commands.get_subscription_count():
            return False
        for _ in range(50):
            commands.publish(JointTrajectory())
        return commands.wait_for_all_acked(Duration(seconds=60))

    options = RecordOptions(tmp_path / "bag", SIM_ARM, namespace="left")
    recording = record(options, stop_with_more_in_the_queue)
    assert recording.counts["/left/joint_trajectory"] == 50


def test_what_is_published_when_the_recording_is_announced_is_in_the_bag(graph, tmp_path):
    """The publisher has been there before: it is found first, and then a run may begin."""
    commands = graph.source.create_publisher(JointTrajectory, "joint_trajectory", 100)
    announced = []

    def begin(unseen):
        announced.append(unseen)
        for _ in range(10):
            commands.publish(JointTrajectory())

    options = RecordOptions(tmp_path / "bag", SIM_ARM, namespace="left")
    recording = record(options, lambda: bool(announced), begin)
    (unseen,) = announced
    assert "/left/joint_trajectory" not in unseen
    assert recording.counts["/left/joint_trajectory"] == 10
    assert recording.missed == {}


def test_what_a_new_publisher_sends_before_it_is_found_is_counted_as_missed(graph, tmp_path):
    publishers = []

    def begin(unseen):
        assert "/left/joint_trajectory" in unseen
        publishers.append(graph.source.create_publisher(JointTrajectory, "joint_trajectory", 100))
        for _ in range(3):
            publishers[0].publish(JointTrajectory())

    def should_stop():
        if not publishers or not publishers[0].get_subscription_count():
            return False
        for _ in range(2):
            publishers[0].publish(JointTrajectory())
        return publishers[0].wait_for_all_acked(Duration(seconds=60))

    options = RecordOptions(tmp_path / "bag", SIM_ARM, namespace="left")
    recording = record(options, should_stop, begin)
    assert recording.counts["/left/joint_trajectory"] == 2
    assert recording.missed == {"/left/joint_trajectory": 3}
    assert recording.lost == {}


@pytest.fixture
def controller(graph):
    """A node with a parameter, spun on a thread."""
    node = rclpy.create_node("controller", namespace="left")
    node.declare_parameter("command.stream", "rest_ended")
    executor, ended = SingleThreadedExecutor(), threading.Event()
    executor.add_node(node)

    def spin():
        while not ended.is_set():
            executor.spin_once(timeout_sec=0.05)

    thread = threading.Thread(target=spin)
    thread.start()
    yield node
    ended.set()
    thread.join()
    executor.shutdown()
    node.destroy_node()


def test_a_controller_is_asked_for_its_parameters_until_it_answers(
    controller, tmp_path, monkeypatch
):
    """On a busy machine a request or an answer gets lost; a killed recorder has them too."""
    asked, notes = [], []

    class Forgetful(AsyncParameterClient):
        def list_parameters(self, *words, **named):
            asked.append(self)
            return None if len(asked) < 3 else super().list_parameters(*words, **named)

    def note(recorder, provenance):
        notes.append(provenance[PARAMETERS_KEY])
        noted(recorder, provenance)

    noted = Recorder.note
    monkeypatch.setattr(Recorder, "note", note)
    monkeypatch.setattr("ddpm_controller.ros.run_recording.AsyncParameterClient", Forgetful)
    monkeypatch.setattr("ddpm_controller.ros.run_recording._ASK_AGAIN_S", 0.1)
    options = RecordOptions(tmp_path / "bag", SIM_ARM, namespace="left", duration_s=90.0)
    record(options, lambda: len(notes) == 2)  # the first has the robot file's latency alone
    with OpenBag(tmp_path / "bag") as bag:
        parameters = json.loads(bag.provenance[PARAMETERS_KEY])
    assert parameters["command.stream"] == "rest_ended"
    assert len(asked) >= 3


class LateArrivals:
    """An executor and a recorder whose messages come some spins after they were sent."""

    def __init__(self, come_at_s):
        self.arrivals, self.now_s, self._come_at_s = 0, 0.0, come_at_s

    def spin_once(self, timeout_sec):
        self.now_s += max(timeout_sec, 1e-4)
        self.arrivals = sum(each_s <= self.now_s for each_s in self._come_at_s)

    def monotonic(self):
        return self.now_s


@pytest.mark.parametrize(
    ("come_at_s", "taken"), [([0.1, 0.3, 0.5], 3), (np.arange(0.0, 99.0, 0.1), 31)]
)
def test_what_is_on_its_way_when_a_recording_is_stopped_is_waited_for(
    come_at_s, taken, monkeypatch
):
    """For a while: a clock that is behind would let a machine's messages come for long."""
    late = LateArrivals(come_at_s)
    monkeypatch.setattr("ddpm_controller.ros.run_recording.time", late)
    take_what_has_come(late, late)
    assert late.arrivals == pytest.approx(taken, abs=1)

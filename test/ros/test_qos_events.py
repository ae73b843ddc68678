"""Publishers and listeners that do not fit, on a real graph."""

import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import rclpy
from rclpy.duration import Duration
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, LivelinessPolicy, QoSProfile, ReliabilityPolicy
from std_msgs.msg import Bool

from ddpm_controller.ros.qos_events import QosEvents

RELIABLE = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
BEST_EFFORT = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


@pytest.fixture
def graph(request) -> Iterator[SimpleNamespace]:
    """Two nodes, the events of the first, what they wrote to the log, and a way to wait."""
    rclpy.init()
    ours, theirs = Node("ours"), Node("theirs")
    executor = SingleThreadedExecutor()
    executor.add_node(ours)
    executor.add_node(theirs)
    log: list[str] = []
    # What another test left behind is still being discovered.
    topic = request.node.name

    def until(happened):
        deadline_s = time.monotonic() + 90.0
        while not happened():
            assert time.monotonic() < deadline_s, log
            executor.spin_once(timeout_sec=0.05)

    yield SimpleNamespace(
        ours=ours,
        theirs=theirs,
        topic=topic,
        log=log,
        until=until,
        spin=lambda: executor.spin_once(timeout_sec=0.05),
        events=QosEvents(log.append),
    )
    executor.shutdown()
    ours.destroy_node()
    theirs.destroy_node()
    rclpy.shutdown()


def subscribe(graph, qos=RELIABLE):
    heard: list[Bool] = []
    callbacks = graph.events.of_subscription(graph.topic)
    graph.ours.create_subscription(Bool, graph.topic, heard.append, qos, event_callbacks=callbacks)
    return heard


def test_a_publisher_that_does_not_fit_is_told_once(graph):
    subscribe(graph)
    graph.theirs.create_publisher(Bool, graph.topic, BEST_EFFORT)
    graph.until(lambda: graph.log)
    assert len(graph.log) == 1
    assert "a publisher was not connected, its RELIABILITY does not fit" in graph.log[0]
    text = graph.events.take()[graph.topic].text
    assert "1 not connected: RELIABILITY" in text
    assert graph.events.take()[graph.topic].text == text
    graph.events.forget()
    assert graph.events.take() == {}


def test_a_listener_that_does_not_fit_is_told(graph):
    callbacks = graph.events.of_publisher(graph.topic)
    graph.ours.create_publisher(Bool, graph.topic, RELIABLE, event_callbacks=callbacks)
    graph.theirs.create_subscription(Bool, graph.topic, lambda _: None, LATCHED)
    graph.until(lambda: graph.log)
    assert "a listener was not connected, its DURABILITY does not fit" in graph.log[0]


def test_a_promise_that_is_not_kept_is_told_once_until_it_was_read(graph):
    promise = QoSProfile(depth=1, deadline=Duration(seconds=0.05))
    heard = subscribe(graph, promise)
    publisher = graph.theirs.create_publisher(Bool, graph.topic, promise)
    graph.until(lambda: publisher.get_subscription_count())
    publisher.publish(Bool())
    graph.until(lambda: heard)
    graph.until(lambda: graph.events.take().get(graph.topic) and graph.log)
    graph.until(lambda: any("deadline missed" in each for each in graph.log))
    graph.until(lambda: graph.events._of(graph.topic).deadlines_missed >= 3)
    taken = graph.events.take()[graph.topic]
    assert "deadline missed" in taken.text
    assert graph.events.take()[graph.topic].text == ""


def test_the_end_of_the_last_publisher_and_a_new_one_are_told(graph):
    subscribe(graph)
    publisher = graph.theirs.create_publisher(Bool, graph.topic, RELIABLE)
    graph.until(lambda: publisher.get_subscription_count())
    graph.until(lambda: graph.topic in graph.events.take())
    assert graph.log == []
    graph.theirs.destroy_publisher(publisher)
    graph.until(lambda: graph.log)
    assert "the last publisher has gone" in graph.events.take()[graph.topic].text
    graph.theirs.create_publisher(Bool, graph.topic, RELIABLE)
    graph.until(lambda: len(graph.log) > 1)
    assert "a publisher is there again" in graph.log[1]
    assert graph.events.take()[graph.topic].text == ""


def test_a_publisher_that_does_not_say_in_time_that_it_lives_is_told(graph):
    lease = QoSProfile(
        depth=1,
        liveliness=LivelinessPolicy.MANUAL_BY_TOPIC,
        liveliness_lease_duration=Duration(seconds=0.1),
    )
    subscribe(graph, lease)
    publisher = graph.theirs.create_publisher(Bool, graph.topic, lease)
    graph.until(lambda: publisher.get_subscription_count())
    publisher.publish(Bool())
    graph.until(lambda: any("no publisher is alive" in each for each in graph.log))
    publisher.publish(Bool())
    graph.until(lambda: any("there again" in each for each in graph.log))

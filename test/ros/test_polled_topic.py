"""A topic that is read at every tick: its messages, its events, and an executor that sleeps."""

import pytest
import rclpy
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.executors import SingleThreadedExecutor
from std_msgs.msg import Float64

from ddpm_controller.ros.polled_topic import PolledTopic, Unattended

MOST_WAITS = 50
"""A sleeping executor waits once or twice a spin, one that does not thousands of times."""


@pytest.fixture
def nodes():
    rclpy.init()
    reader, sender = rclpy.create_node("reader"), rclpy.create_node("sender")
    yield reader, sender
    # Before the context: what is left to the interpreter may wait for the middleware for ever.
    reader.destroy_node()
    sender.destroy_node()
    rclpy.shutdown()


def polled(reader, sender, found, events):
    """A polled topic, and a publisher that is connected to it."""
    subscription = reader.create_subscription(
        Float64,
        "topic",
        found.append,
        10,
        callback_group=Unattended(),
        event_callbacks=SubscriptionEventCallbacks(matched=events.append),
    )
    publisher = sender.create_publisher(Float64, "topic", 10)
    while not (publisher.get_subscription_count() and reader.count_publishers("topic")):
        rclpy.spin_once(sender, timeout_sec=0.05)
    return PolledTopic(subscription, found.append), publisher


def test_an_executor_sleeps_while_messages_wait_and_they_are_read_in_order(nodes, monkeypatch):
    found = []
    topic, publisher = polled(*nodes, found, [])
    for value in (1.0, 2.0):
        publisher.publish(Float64(data=value))
    executor, waits = SingleThreadedExecutor(), []
    executor.add_node(nodes[0])
    wait_set = rclpy.executors._rclpy.WaitSet

    class Counted(wait_set):
        def wait(self, timeout_ns):
            waits.append(timeout_ns)
            return super().wait(timeout_ns)

    monkeypatch.setattr(rclpy.executors._rclpy, "WaitSet", Counted)
    for _ in range(10):  # an event ends a spin
        executor.spin_once(timeout_sec=0.1)
    assert len(waits) < MOST_WAITS
    executor.shutdown()
    while len(found) < 2:
        topic.collect()
    assert [message.data for message in found] == [1.0, 2.0]


def test_each_event_of_a_polled_topic_is_handed_on_once(nodes):
    events = []
    topic, publisher = polled(*nodes, [], events)
    while len(events) < 1:
        topic.take_events()
    topic.take_events()
    assert [event.current_count for event in events] == [1]
    nodes[1].destroy_publisher(publisher)
    while len(events) < 2:
        topic.take_events()
    assert [event.current_count for event in events] == [1, 0]

#!/usr/bin/env bash
# An executor of rclpy that waits for an event of a subscription but not for the subscription itself never sleeps while
# a message waits there: each wait ends at once and hands nothing over. Every subscription has such events unless it is
# made with SubscriptionEventCallbacks(use_default_callbacks=False). So a topic that is read elsewhere (polled with
# take_message, in a callback group that lets the executor wait for other things alone) costs a whole core; with no
# event handler in the wait, the same executor sleeps.
# rmw_fastrtps gives reader and events one status condition, and unread data keeps it set.
# Seen: rclpy 7.1.6 with rmw_fastrtps_cpp 8.4.3 (Jazzy, from wheels) on Python 3.11, 2026-11: more than 20 000 waits in 2 s with the
# default events, 4 without any.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    ros-jazzy-rclpy==7.1.6 ros-jazzy-rmw-fastrtps-cpp==8.4.3 ros-std-msgs==5.3.6 PyYAML==6.0.3 numpy==2.4.6

cat > "$folder/waiting.py" <<'PYTHON'
import time

import rclpy
from rclpy.callback_groups import CallbackGroup
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.executors import SingleThreadedExecutor
from rclpy.subscription import Subscription
from std_msgs.msg import Empty


class ReadElsewhere(CallbackGroup):
    """The executor waits for the events of a subscription, not for its messages."""

    def can_execute(self, entity):
        return not isinstance(entity, Subscription)

    def beginning_execution(self, entity):
        return True

    def ending_execution(self, entity):
        pass


def waits(has_events):
    """Waits of an executor in two seconds while one message is unread."""
    node = rclpy.create_node("reader")
    sender = rclpy.create_node("sender")
    events = None if has_events else SubscriptionEventCallbacks(use_default_callbacks=False)
    node.create_subscription(
        Empty, "topic", print, 10, callback_group=ReadElsewhere(), event_callbacks=events
    )
    publisher = sender.create_publisher(Empty, "topic", 10)
    while publisher.get_subscription_count() == 0:
        time.sleep(0.05)
    publisher.publish(Empty())
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    end = time.monotonic() + 1.0  # what is reported at the beginning does not count
    while time.monotonic() < end:
        executor.spin_once(timeout_sec=0.1)
    waited = []
    wait_set = rclpy.executors._rclpy.WaitSet

    class Counted(wait_set):
        def wait(self, timeout_ns):
            waited.append(timeout_ns)
            return super().wait(timeout_ns)

    rclpy.executors._rclpy.WaitSet = Counted
    end = time.monotonic() + 2.0
    while time.monotonic() < end:
        executor.spin_once(timeout_sec=0.5)
    rclpy.executors._rclpy.WaitSet = wait_set
    executor.shutdown()
    node.destroy_node()
    sender.destroy_node()
    return len(waited)


rclpy.init()
without, with_events = waits(False), waits(True)
print(f"waits in 2 s with one unread message: {without} without events, "
      f"{with_events} with the default ones")
rclpy.shutdown()
assert without < 20 < 200 < with_events
PYTHON

export ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST ROS_DOMAIN_ID=${ROS_DOMAIN_ID:-97}
env -u AMENT_PREFIX_PATH -u LD_LIBRARY_PATH -u PYTHONPATH -u _ROS_WHEELS_BOOTSTRAP_COMPLETE \
    "$folder/venv/bin/python" "$folder/waiting.py"
echo "as seen: the executor does not sleep"

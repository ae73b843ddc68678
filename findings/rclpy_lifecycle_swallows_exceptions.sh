#!/usr/bin/env bash
# A lifecycle callback of rclpy that raises leaves no trace: no traceback, no line of the log, no text in the answer.
# Configure answers success=False and the node is unconfigured; activate answers success=False too, but the node is
# not inactive afterwards, as a refusal (FAILURE) would leave it: it has gone through its on_error to unconfigured.
# A second surprise beside it: one line of source may log at one severity only, a second one raises ValueError.
# Seen: rclpy 7.1.6 (Jazzy, from wheels) on Python 3.11, 2026-11.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    ros-jazzy-rclpy==7.1.6 ros-jazzy-rmw-fastrtps-cpp==8.4.3 ros-lifecycle-msgs==2.0.3 PyYAML==6.0.3 numpy==2.4.6

cat > "$folder/raising.py" <<'PYTHON'
import sys

import rclpy
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn


class Raising(LifecycleNode):
    where = ""

    def on_configure(self, state):
        if self.where == "configure":
            raise RuntimeError("no such robot file")
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state):
        raise RuntimeError("no such camera")

    def on_error(self, state):
        return TransitionCallbackReturn.SUCCESS


rclpy.init()
node, asker, executor = Raising("raising"), rclpy.create_node("asker"), SingleThreadedExecutor()
executor.add_node(node)
executor.add_node(asker)
change = asker.create_client(ChangeState, "/raising/change_state")
state = asker.create_client(GetState, "/raising/get_state")


def answer(client, request):
    client.wait_for_service(30.0)
    future = client.call_async(request)
    executor.spin_until_future_complete(future, 30.0)
    return future.result()


def transition(number):
    request = ChangeState.Request()
    request.transition.id = number
    success = answer(change, request).success
    return f"success={success}, then {answer(state, GetState.Request()).current_state.label}"


Raising.where = "configure"
print("configure raises:", transition(1))
Raising.where = "activate"
transition(1)
print("activate raises:", transition(3))
try:
    for severity in ("info", "error"):
        getattr(node.get_logger(), severity)("one line")
except ValueError as error:
    print("two severities from one line:", error)
rclpy.shutdown()
PYTHON

export ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST ROS_DOMAIN_ID=${ROS_DOMAIN_ID:-97}
env -u AMENT_PREFIX_PATH -u LD_LIBRARY_PATH -u PYTHONPATH -u _ROS_WHEELS_BOOTSTRAP_COMPLETE \
    "$folder/venv/bin/python" "$folder/raising.py" > "$folder/out" 2> "$folder/err"
cat "$folder/out"
echo "on stderr: $(grep -cE 'robot file|camera' "$folder/err" || true) lines with the reason"
grep -q "configure raises: success=False, then unconfigured" "$folder/out"
grep -q "activate raises: success=False, then unconfigured" "$folder/out"
grep -q "two severities from one line: Logger severity cannot be changed" "$folder/out"
if grep -qE "robot file|camera" "$folder/out" "$folder/err"; then exit 1; fi
echo "as seen: the exceptions are gone"

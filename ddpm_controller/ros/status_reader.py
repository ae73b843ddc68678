"""The newest status of a controller, for a client that only looks."""

import time

from ddpm_msgs.msg import ControllerStatus
from lifecycle_msgs.srv import GetState
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile

from ddpm_controller.ros.asking import ask

NAME = "controller"
ASK_AGAIN_S = 1.0
"""Wall time after which an answer counts as lost: people wait for it."""


class StatusReader(Node):
    """Receives what a controller publishes about itself; ROS must be initialized.

    Args:
        namespace: Namespace of the controller.

    Attributes:
        status: The newest; None before the first.
    """

    def __init__(self, namespace: str = "") -> None:
        super().__init__("status_reader", namespace=namespace, start_parameter_services=False)
        self.status: ControllerStatus | None = None
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.create_subscription(ControllerStatus, f"{NAME}/status", self._take, latched)
        self._state = self.create_client(GetState, f"{NAME}/get_state")
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self)

    def close(self) -> None:
        """Leave the graph."""
        self._executor.shutdown()
        self.destroy_node()

    def spin(self, duration_s: float) -> None:
        """Receive for a while."""
        end_s = time.monotonic() + duration_s
        while (left_s := end_s - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left_s)

    def lifecycle_state(self, patience_s: float) -> str:
        """Return the state of the node, as ``ros2 lifecycle get`` does; empty without a node."""
        end_s = time.monotonic() + patience_s
        while not self._state.service_is_ready():
            if time.monotonic() > end_s:
                return ""
            self.spin(0.1)
        # A status that was published before is received meanwhile.
        try:
            answer = ask(
                self._state,
                GetState.Request(),
                lambda: self._executor.spin_once(timeout_sec=0.1),
                max(0.0, end_s - time.monotonic()),
                ASK_AGAIN_S,
            )
        except TimeoutError:
            return "no answer"
        return str(answer.current_state.label)

    def _take(self, message: ControllerStatus) -> None:
        self.status = message

"""A process for the tests of the supervisor: does what its first word says."""

import signal
import sys

import rclpy
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn


class StubLifecycleNode(LifecycleNode):
    """Prints what happens to it; refuses to be configured where the parameter says so."""

    def __init__(self) -> None:
        super().__init__("to_be_renamed")
        self.declare_parameter("refuse", False)
        self.declare_parameter("text", "unset")
        self.declare_parameter("from_file", "unset")

    def on_configure(self, state):
        print("configured", self.get_fully_qualified_name(), flush=True)
        print("text", repr(self.get_parameter("text").value), flush=True)
        print("from_file", repr(self.get_parameter("from_file").value), flush=True)
        refuse = self.get_parameter("refuse").value
        if refuse:
            self.get_logger().error("no robot file")
        return TransitionCallbackReturn.FAILURE if refuse else TransitionCallbackReturn.SUCCESS

    def on_activate(self, state):
        print("activated", flush=True)
        return super().on_activate(state)


def lifecycle() -> int:
    rclpy.init()
    node = StubLifecycleNode()
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, rclpy.executors.ExternalShutdownException):
        print("ended by a signal", flush=True)
    return 0


def wait() -> int:
    print("waiting", flush=True)
    signal.sigwait({signal.SIGINT})
    return 0


def stubborn() -> int:
    signal.signal(signal.SIGINT, lambda number, frame: print("no", flush=True))
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    print("waiting", flush=True)
    while True:
        signal.pause()


def end() -> int:
    return int(sys.argv[2])


def main() -> int:
    if sys.argv[1] in ("wait",):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    return {"lifecycle": lifecycle, "wait": wait, "stubborn": stubborn, "end": end}[sys.argv[1]]()


if __name__ == "__main__":
    sys.exit(main())

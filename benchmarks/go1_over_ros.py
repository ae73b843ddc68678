"""A Go1 over ROS for a minute: does it fall, how often is it planned for, how well does it follow?

python benchmarks/go1_over_ros.py
python benchmarks/go1_over_ros.py --checkpoint models/go1_trot --mode lockstep
python benchmarks/go1_over_ros.py --quick

The nodes are real processes. In lockstep time waits for every plan; in real time the rate of plans
is what the machine holds.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import rclpy
import tyro
from ddpm_msgs.msg import ActionChunk
from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Imu

from ddpm_controller.messages.stamps import seconds
from ddpm_controller.ros.graph.own_graph import use_own_domain
from ddpm_controller.ros.graph.supervisor import started
from ddpm_controller.share import found_path, share_path

_DEEP = QoSProfile(depth=1000)
_PATIENCE_S = 60.0
_FALLEN_UPRIGHT = 0.5


@dataclass(frozen=True)
class Options:
    """Watch a Go1 walk over ROS.

    Attributes:
        checkpoint: Folder.
        mode: Mode of the simulation.
        control_rate_hz: Rate of the controller's ticks.
        duration_s: Time by the clock of the robot.
        quick: Three seconds: shows that it runs, and nothing else.
    """

    checkpoint: Path = Path("models/go1_walk")
    mode: Literal["real_time", "lockstep"] = "lockstep"
    control_rate_hz: float = 50.0
    duration_s: float = 60.0
    quick: bool = False


class Watch(Node):
    """Keeps what the robot shows."""

    def __init__(self) -> None:
        super().__init__("watch")
        self.stamps: list[float] = []
        self.speeds: list[float] = []
        self.upright = 1.0
        self.chunks: list[tuple[float, float]] = []
        self.create_subscription(Odometry, "odom", self._on_odometry, _DEEP)
        self.create_subscription(Imu, "imu", self._on_imu, _DEEP)
        self.create_subscription(ActionChunk, "controller/action_chunk", self._on_chunk, _DEEP)

    def _on_odometry(self, message: Odometry) -> None:
        stamp_s = seconds(message.header.stamp)
        if not self.stamps or stamp_s > self.stamps[-1]:
            self.stamps.append(stamp_s)
            self.speeds.append(message.twist.twist.linear.x)

    def _on_imu(self, message: Imu) -> None:
        turn = message.orientation
        self.upright = min(self.upright, 1.0 - 2.0 * (turn.x * turn.x + turn.y * turn.y))

    def _on_chunk(self, message: ActionChunk) -> None:
        self.chunks.append((seconds(message.header.stamp), message.inference_time_s))


def main() -> None:
    """Print a line."""
    options = tyro.cli(Options)
    duration_s = 3.0 if options.quick else options.duration_s
    use_own_domain()
    world = {"world": "go1", "mode": options.mode, "log_level": "warn"}
    robot = share_path("config/robots/go1.yaml")
    controller = {
        "robot": robot,
        "checkpoint": str(Path(found_path(str(options.checkpoint))).resolve()),
        "use_sim_time": str(options.mode == "lockstep").lower(),
        "log_level": "warn",
    }
    parameters = Path(share_path("config/controller.yaml")).read_text()
    rate = f"control_rate_hz: {options.control_rate_hz}"
    parameters = parameters.replace("control_rate_hz: 50.0", rate)
    if options.mode == "lockstep":
        parameters += "    lockstep: true\n"
    file = Path("runs/go1_over_ros.yaml")
    file.parent.mkdir(exist_ok=True)
    file.write_text(parameters)
    controller["params_file"] = str(file.resolve())
    rclpy.init()
    with started("simulation", world), started("controller", controller):
        watch, began_s = Watch(), time.monotonic()
        while not watch.chunks and time.monotonic() < began_s + _PATIENCE_S:
            rclpy.spin_once(watch, timeout_sec=0.1)
        begin_s = watch.chunks[0][0]
        while watch.stamps[-1] < begin_s + duration_s and watch.upright > _FALLEN_UPRIGHT:
            rclpy.spin_once(watch, timeout_sec=0.1)
        watch.destroy_node()
    rclpy.shutdown()
    walked_s = watch.stamps[-1] - begin_s
    settled = [v for t, v in zip(watch.stamps, watch.speeds, strict=True) if t > begin_s + 1]
    fell = watch.upright <= _FALLEN_UPRIGHT
    print(
        f"{options.checkpoint}, {options.mode}: {walked_s:.1f} s, "
        f"{'FELL' if fell else 'no fall'}, {len(watch.chunks) / walked_s:.1f} plans a second of "
        f"{1e3 * np.median([t for _, t in watch.chunks]):.1f} ms in the median, mean speed "
        f"{np.mean(settled):.3f} m/s, least upright {watch.upright:.2f}"
    )


if __name__ == "__main__":
    main()

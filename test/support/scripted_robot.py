"""A robot that speaks as its driver does; as a program: scripted_robot.py NAME [--no-cameras]."""

import array
import json
import math
import signal
import sys
import time
from collections import Counter

import numpy as np
import rclpy
from geometry_msgs.msg import Twist
from nav_msgs.msg import Odometry
from rclpy.action import ActionServer, CancelResponse
from rclpy.clock import Clock, ClockType
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future
from robot_driver import Camera, RobotDriver, States, Taken, driver_of, filled
from robot_driver import Odometry as OdometrySource
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Float64MultiArray, String
from trajectory_msgs.msg import JointTrajectory

from ddpm_controller.ros.simulation.messages import trajectory_from
from ddpm_controller.ros.simulation.robot_side import RobotSide
from ddpm_controller.simulation.drivers.forward_controller import Targets

UPDATE_HZ = 100.0
LAG_S = 0.02
BASE_SILENCE_S = 0.5
STEADY = Clock(clock_type=ClockType.STEADY_TIME)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
BYTES = {"rgb8": 3, "bgr8": 3, "mono8": 1, "yuv422_yuy2": 2}


class ScriptedRobot:
    """Joints that follow what its controllers are sent, published as the driver does.

    What was taken and what was refused is on the topic ``scripted_robot``, as JSON.

    Args:
        driver: What there is.
        executor: Spins the nodes.
        namespace: Namespace of this arm.
        cameras: Whether there are pictures.
    """

    def __init__(
        self,
        driver: RobotDriver,
        executor: SingleThreadedExecutor,
        namespace: str,
        *,
        cameras: bool = True,
    ) -> None:
        self._driver, self._executor, self._namespace = driver, executor, namespace
        self._nodes: dict[str, Node] = {}
        joints = driver.joints
        self.position = {name: joint.begin for name, joint in joints.items()}
        self._velocity = dict.fromkeys(joints, 0.0)
        self._taken: Counter[str] = Counter()
        self._refused: list[str] = []
        self._had_goal = False
        self._followers = [follower_of(self, each) for each in driver.takes]
        reporter = self.node_of("scripted_robot")
        self._report = reporter.create_publisher(String, "scripted_robot", LATCHED)
        reporter.create_timer(0.1, self._tell, clock=STEADY)
        reporter.create_timer(1 / UPDATE_HZ, self._move, clock=STEADY)
        for each in driver.states:
            self._publish_states(each)
        if driver.odometry is not None:
            self._publish_odometry(driver.odometry)
        for camera in driver.cameras if cameras else ():
            self._publish_pictures(camera)
        state_publisher = self.node_of("robot_state_publisher")
        self._description = state_publisher.create_publisher(String, "robot_description", LATCHED)
        self._description.publish(String(data=driver.description(namespace)))

    def node_of(self, name: str) -> Node:
        """Return the node of this name, in the robot's namespace unless it is absolute."""
        if name not in self._nodes:
            root = "" if name.startswith("/") else self._namespace
            path = [*root.split("/"), *name.split("/")]
            namespace = "/" + "/".join(part for part in path[:-1] if part)
            self._nodes[name] = Node(path[-1], namespace=namespace)
            self._executor.add_node(self._nodes[name])
        return self._nodes[name]

    def full(self, topic: str) -> str:
        """Return a topic with the robot's namespace: that of a node may be another one."""
        root = f"/{self._namespace}/".replace("//", "/")
        return topic if topic.startswith("/") else root + topic

    def row(self, names: tuple[str, ...]) -> np.ndarray:
        """Return positions, (D,)."""
        return np.array([self.position[name] for name in names])

    def note(self, topic: str, refusal: str) -> None:
        """Count a command of a topic, by its name in the robot file."""
        topic = f"{self._namespace}/{topic}" if self._driver.arms else topic
        if refusal:
            self._refused.append(f"{topic}: {refusal}")
        else:
            self._taken[topic] += 1

    def note_goal(self) -> None:
        """Note that a gripper has had a goal."""
        self._had_goal = True

    def _move(self) -> None:
        before = dict(self.position)
        now_s = time.time()
        for follower in self._followers:
            self.position.update(follower.positions(now_s))
        for name, joint in self._driver.joints.items():
            if joint.mimics:
                sign = (
                    -1.0 if joint.lower < 0 <= -joint.lower == joint.upper - joint.lower else 1.0
                )
                self.position[name] = sign * self.position[joint.mimics]
            self._velocity[name] = (self.position[name] - before[name]) * UPDATE_HZ

    def _tell(self) -> None:
        content = {"of": self._namespace, "taken": self._taken, "refused": self._refused[:5]}
        self._report.publish(String(data=json.dumps(content)))

    def _publish_states(self, states: States) -> None:
        node = self.node_of(states.node)
        publisher = node.create_publisher(JointState, self.full(states.topic), 10)

        def publish() -> None:
            if states.until_a_goal and self._had_goal:
                return
            position = [self.position[name] for name in states.names]
            velocity = [self._velocity[name] for name in states.names]
            message = JointState(name=list(states.names), position=position)
            message.velocity = filled(states.velocity, velocity)
            message.effort = filled(states.effort, [0.1] * len(position))
            message.header.stamp = node.get_clock().now().to_msg()
            publisher.publish(message)

        node.create_timer(1 / states.rate_hz, publish, clock=STEADY)

    def _publish_odometry(self, odometry: OdometrySource) -> None:
        node = self.node_of(odometry.node)
        publisher = node.create_publisher(Odometry, self.full(odometry.topic), 10)
        (base,) = [each for each in self._followers if isinstance(each, _Base)]

        def publish() -> None:
            message = Odometry(child_frame_id="base_link")
            message.header.stamp, message.header.frame_id = node.get_clock().now().to_msg(), "odom"
            x, y, yaw = base.place.tolist()
            message.pose.pose.position.x, message.pose.pose.position.y = x, y
            turn = message.pose.pose.orientation
            turn.z, turn.w = math.sin(yaw / 2), math.cos(yaw / 2)
            publisher.publish(message)

        node.create_timer(1 / odometry.rate_hz, publish, clock=STEADY)

    def _publish_pictures(self, camera: Camera) -> None:
        node = self.node_of(camera.node)
        reliability = ReliabilityPolicy(2 if camera.best_effort else 1)
        qos = QoSProfile(depth=1, reliability=reliability)
        publisher = node.create_publisher(Image, self.full(camera.topic), qos)
        step = BYTES[camera.encoding] * camera.width
        pixels = array.array("B", bytes(step * camera.height))
        shape = {"height": camera.height, "width": camera.width, "step": step}

        def publish() -> None:
            for place in range(0, len(pixels), 4099):
                pixels[place] = (pixels[place] + 7) % 256
            message = Image(encoding=camera.encoding, **shape)
            message.data = pixels
            message.header.stamp = node.get_clock().now().to_msg()
            publisher.publish(message)

        node.create_timer(1 / camera.rate_hz, publish, clock=STEADY)


class _Joints:
    """Joints behind a trajectory or a forward controller."""

    def __init__(self, robot: ScriptedRobot, taken: Taken) -> None:
        self._robot, self._taken = robot, taken
        node = robot.node_of(taken.node)
        if taken.parameter:
            node.declare_parameter(taken.parameter, list(taken.joints))
        self._is_trajectory = taken.type == "trajectory_msgs/msg/JointTrajectory"
        driver = "joint_trajectory_controller" if self._is_trajectory else "forward"
        self._side = RobotSide(driver, taken.joints, UPDATE_HZ)
        kind = JointTrajectory if self._is_trajectory else Float64MultiArray
        node.create_subscription(kind, robot.full(taken.topic), self._take, 10)

    def _take(self, message, info) -> None:
        content = (
            trajectory_from(message) if self._is_trajectory else Targets(np.array(message.data))
        )
        self._side.receive(content, info["source_timestamp"] * 1e-9)

    def positions(self, now_s: float) -> dict[str, float]:
        """Return where the joints are now."""
        measured, before = self._robot.row(self._taken.joints), self._side.accepted
        refusals = self._side.advance(now_s, measured, np.zeros(len(measured)))
        for refusal in [*refusals, *[""] * (self._side.accepted - before)]:
            self._robot.note(self._taken.topic, refusal)
        if not self._side.set_points:
            return {}
        aim = self._side.set_points[-1][1].position
        moved = measured + (aim - measured) / (UPDATE_HZ * LAG_S)
        return dict(zip(self._taken.joints, moved.tolist(), strict=True))


class _Gripper:
    """A gripper behind an action: a new goal ends the one that is carried out."""

    def __init__(self, robot: ScriptedRobot, taken: Taken) -> None:
        from control_msgs.action import GripperCommand, ParallelGripperCommand

        self._robot, self._taken = robot, taken
        (self._joint,) = taken.joints
        self._goal = robot.position[self._joint]
        self._arrival: Future | None = None
        self._is_parallel = "Parallel" in taken.type
        self._kind = ParallelGripperCommand if self._is_parallel else GripperCommand
        node = robot.node_of(taken.node)
        if taken.parameter == "joints":
            node.declare_parameter("joint", self._joint)
        elif taken.parameter:
            node.declare_parameter(taken.parameter, list(taken.joints))
        cancel = CancelResponse.ACCEPT
        self._server = ActionServer(
            node,
            self._kind,
            robot.full(taken.topic),
            self._execute,
            cancel_callback=lambda _: cancel,
        )

    async def _execute(self, goal):
        command, result = goal.request.command, self._kind.Result()
        self._goal = float(command.position[0] if self._is_parallel else command.position)
        self._robot.note(self._taken.topic, "")
        self._robot.note_goal()
        if self._arrival is not None:
            self._arrival.set_result(False)
        self._arrival = Future()
        if await self._arrival:
            goal.succeed()
            result.reached_goal = True
        else:
            goal.abort()
        return result

    def positions(self, now_s: float) -> dict[str, float]:
        """Return where the gripper is now."""
        del now_s
        here, step = self._robot.position[self._joint], self._taken.speed / UPDATE_HZ
        here += float(np.clip(self._goal - here, -step, step))
        if here == self._goal and self._arrival is not None:
            self._arrival.set_result(True)
            self._arrival = None
        return {self._joint: here}


class _Base:
    """A base that walks as it was last sent, for half a second; zeros do not count."""

    def __init__(self, robot: ScriptedRobot, taken: Taken) -> None:
        self._robot, self._taken = robot, taken
        self.place, self._velocity, self._sent_s = np.zeros(3), np.zeros(3), -math.inf
        node = robot.node_of(taken.node)
        node.create_subscription(Twist, robot.full(taken.topic), self._take, 10)

    def _take(self, message: Twist) -> None:
        velocity = np.array([message.linear.x, message.linear.y, message.angular.z])
        if velocity.any():
            self._velocity, self._sent_s = velocity, time.monotonic()
        self._robot.note(self._taken.topic, "")

    def positions(self, now_s: float) -> dict[str, float]:
        """Move the base; its joints stay where they are."""
        del now_s
        if time.monotonic() - self._sent_s < BASE_SILENCE_S:
            forward, left, turn = self._velocity / UPDATE_HZ
            yaw = self.place[2]
            ahead = forward * math.cos(yaw) - left * math.sin(yaw)
            aside = forward * math.sin(yaw) + left * math.cos(yaw)
            self.place += np.array([ahead, aside, turn])
        return {}


def follower_of(robot: ScriptedRobot, taken: Taken):
    """Return what carries out the commands of a topic or of an action."""
    if taken.type == "geometry_msgs/msg/Twist":
        return _Base(robot, taken)
    return (_Gripper if "/action/" in taken.type else _Joints)(robot, taken)


def main() -> None:
    """Be the robot until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    executor = SingleThreadedExecutor()
    driver, cameras = driver_of(sys.argv[1]), "--no-cameras" not in sys.argv
    robots = [
        ScriptedRobot(driver, executor, namespace, cameras=cameras and i == 0)
        for i, namespace in enumerate(driver.sides.values())
    ]
    assert robots
    try:
        executor.spin()
    except (ExternalShutdownException, KeyboardInterrupt, SystemExit):
        pass
    finally:
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()

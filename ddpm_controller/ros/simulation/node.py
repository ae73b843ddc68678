"""The node `simulation`: a robot in a world, with the topics of a real robot."""

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import rclpy
from ddpm_msgs.srv import ResetWorld
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from trajectory_msgs.msg import JointTrajectory

from ddpm_controller.messages.message_classes import message_class
from ddpm_controller.robots.outputs import STAMPED, RobotOutput
from ddpm_controller.robots.robot import Robot, continuous_joints, load_robot
from ddpm_controller.ros.answered import answer_always
from ddpm_controller.ros.parameters import declare, fields_from, read
from ddpm_controller.ros.private_memory import keep_private
from ddpm_controller.ros.simulation.demonstrations import driver_of
from ddpm_controller.ros.simulation.gripper_server import GripperServer
from ddpm_controller.ros.simulation.joint_states import JointStates
from ddpm_controller.ros.simulation.messages import (
    CommandError,
    nanoseconds,
    set_point_from,
    set_points_message,
    targets_from,
    time_from,
)
from ddpm_controller.ros.simulation.parameters import SimulationParameters
from ddpm_controller.ros.simulation.robot_sides import RobotSides
from ddpm_controller.ros.simulation.topics import SimulationTopics
from ddpm_controller.share import found_path
from ddpm_controller.simulation.drivers.forward_controller import Targets
from ddpm_controller.simulation.session import Session, Tick
from ddpm_controller.simulation.worlds import WORLDS

_REPEAT_S = 0.5
_LATE_TICKS = 10  # so far behind, real time gives up catching up
_SILENCE_S = 0.2
"""Without a command for so long, a robot that is led by velocities or poses stays."""
_EXPERT_HASTE = 10.0  # times real time, at the most


class Simulation(Node):
    """Publishes what the robot and its cameras see and moves as it is commanded.

    One thread does everything, since the renderer belongs to the thread that made it: callbacks
    run between ticks.
    """

    def __init__(self) -> None:
        super().__init__("simulation")
        self._deployed = declare(self, SimulationParameters)
        self._lockstep = self._deployed.mode == "lockstep"
        self._world = WORLDS[self._deployed.world].world(self._deployed.tick_hz)
        self._robot = self._read_robot()
        self._outputs = self._robot.outputs
        self._driver, self._columns = driver_of(self._world, self._outputs)
        rate_hz, expert = self._deployed.camera_hz, self._deployed.expert
        self._session = Session(self._world, rate_hz, expert, driver=self._driver)
        self._system_clock = Clock(clock_type=ClockType.SYSTEM_TIME)
        self._states = self._joint_states()
        commanded = self._outputs if self._deployed.expert else ()
        self._topics = SimulationTopics(
            self,
            self._world,
            self._deployed.compressed,
            self._states,
            commanded,
            self._session.vectors,
            self._columns,
            self._robot.streams,
        )
        self.create_service(ResetWorld, "~/reset", self._on_reset)
        self._side = self._robot_side()
        self._received, self._commanded_s = 0, -math.inf
        self._answered: set[str] = set()
        self._grippers: list[tuple[int, GripperServer]] = []
        self._apply(self._deployed)
        self.add_on_set_parameters_callback(self._check_parameters)
        self.add_post_set_parameters_callback(lambda _: self._apply(self._present()))
        self._set_points = self.create_publisher(JointTrajectory, "~/set_points", 100)
        if not expert:
            self._subscribe()
        self._begin(self._deployed.seed)

    def run(self, executor: SingleThreadedExecutor) -> None:
        """Simulate until ROS shuts down."""
        if self._lockstep:
            self._run_lockstep(executor)
        else:
            self._run_real_time(executor)

    def close(self) -> None:
        """Free the world and leave the graph."""
        self._world.close()
        for _, server in self._grippers:
            server.close()
        self.destroy_node()

    def _joint_states(self) -> JointStates:
        return JointStates(
            self,
            type(self._world),
            self._world.tick_s,
            is_apart=self._deployed.joint_states == "apart",
            states_hz=self._deployed.states_hz,
            clock_offset_s=self._deployed.clock_offset_s,
        )

    def _read_robot(self) -> Robot:
        """Return the robot file.

        Raises:
            ValueError: Its outputs are not of this world's joints, with both lists.
        """
        deployed, names = self._deployed, self._world.joint_names
        file = found_path(deployed.robot or WORLDS[deployed.world].robot)
        robot = load_robot(file)
        commanded = robot.action_spec.joint_names
        are_positions = set(robot.action_spec.kinds) == {"joint_position"}
        if are_positions and sorted(commanded) != sorted(names):
            raise ValueError(
                f"robot file {file} commands {list(commanded)}, world {deployed.world} has joints "
                f"{list(names)}: use a robot file of this world"
            )
        return robot

    def _subscribe(self) -> None:
        """Receive the commands of every output, on its topic."""
        depth = QoSProfile(depth=10 if self._side is None else 200)  # a busy world takes them late
        for output in self._outputs:
            if output.is_action:
                server = GripperServer(self, output, partial(self._on_goal, output))
                self._grippers.append((self._world.joint_names.index(output.names[0]), server))
                continue
            self.create_subscription(
                message_class(output.type),
                output.topic,
                partial(self._on_command, output),
                depth,
            )

    def _robot_side(self) -> RobotSides | None:
        """Return what takes the commands; None: each is the set point of a tick."""
        deployed = self._deployed
        if self._lockstep or deployed.expert or deployed.driver == "direct" or self._driver:
            return None
        names = self._world.joint_names
        return RobotSides(
            self._outputs,
            names,
            deployed.driver_hz,
            continuous_joints(self._world.robot_description(), names),
            deployed.clock_offset_s,
        )

    def _present(self) -> SimulationParameters:
        return read(self, SimulationParameters)

    def _check_parameters(self, given: Sequence[Parameter]) -> SetParametersResult:
        """Refuse what would be without effect in this simulation."""
        values = {each.name: each.value for each in given}
        try:
            replace(self._present(), **fields_from(SimulationParameters, values))
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _apply(self, deployed: SimulationParameters) -> None:
        """Let the robot's side be as it is set, from its next update on."""
        if self._side is not None:
            self._side.switch(
                stop=deployed.protective_stop,
                refusal=deployed.refuses,
                speed_scaling=deployed.speed_scaling,
            )

    def _begin(self, seed: int) -> None:
        self._tell(self._session.reset(seed, self._now_ns()))
        self._begin_ns = self._tick.stamp_ns
        self._command = self._held()
        if self._side is not None:
            self._side.reset()

    def _held(self) -> np.ndarray:
        """Return the command that keeps the robot where it is."""
        held = self._world.command_in_force
        return held if self._driver is None else self._driver.row_for(held)

    def _advance(self) -> None:
        """Apply the command in force for one tick and publish the result."""
        if self._side is not None:
            self._follow(self._side)
        if self._driver is not None and not self._lockstep and self._is_silent():
            self._command = self._held()
        self._tell(self._session.step(self._command, self._now_ns()))

    def _is_silent(self) -> bool:
        """Return whether no command has come for too long."""
        return time.monotonic() - self._commanded_s > _SILENCE_S

    def _follow(self, side: RobotSides) -> None:
        """Let the driver make its updates up to now; the last one counts for this tick."""
        now_s = self._system_clock.now().nanoseconds * 1e-9
        measured, velocity = self._world.positions, self._world.velocities
        for text in side.advance(now_s, measured, velocity):
            self.get_logger().warning(
                f"refused: {text} ({side.refused} of {side.refused + side.accepted} messages)",
                throttle_duration_sec=1.0,
            )
        if not side.set_points:
            return
        self._command = side.set_points[-1][1].position
        if self._set_points.get_subscription_count() > 0:
            names = self._world.joint_names
            self._set_points.publish(set_points_message(side.set_points, names))

    def _tell(self, tick: Tick) -> None:
        self._tick = tick
        self._topics.tell(tick)
        for column, server in self._grippers:
            moment_s = tick.stamp_ns * 1e-9
            server.advance(float(tick.positions[column]), float(tick.velocities[column]), moment_s)
        self._told_s = self._heard_s = time.monotonic()

    def _now_ns(self) -> int | None:
        """System time; None in lockstep, where a session counts its own."""
        return None if self._lockstep else self._system_clock.now().nanoseconds

    def _run_real_time(self, executor: SingleThreadedExecutor) -> None:
        due_s = time.monotonic() + self._world.tick_s
        while rclpy.ok():
            self._states.advance(self._system_clock.now().nanoseconds)
            left_s = due_s - time.monotonic()
            wait_s = min(left_s, self._until_states_s())
            executor.spin_once(timeout_sec=max(0.0, wait_s))  # even when late: callbacks first
            if time.monotonic() < due_s:
                continue
            if left_s < -_LATE_TICKS * self._world.tick_s:
                self.get_logger().warning(f"{-left_s:.2f} s behind real time, time was lost")
                due_s = time.monotonic()
            self._receive_all(executor)
            self._follow_expert()
            self._advance()
            due_s += self._world.tick_s

    def _receive_all(self, executor: SingleThreadedExecutor) -> None:
        """Take the messages that have come for the driver, which is not late when the world is."""
        received = -1
        while self._side is not None and received != self._received:
            received = self._received
            executor.spin_once(timeout_sec=0.0)

    def _until_states_s(self) -> float:
        due_ns = self._states.due_ns()
        if due_ns is None:
            return math.inf
        return (due_ns - self._system_clock.now().nanoseconds) * 1e-9

    def _run_lockstep(self, executor: SingleThreadedExecutor) -> None:
        moving = False
        while rclpy.ok():
            # An expert is faster than time, but not than a recorder can follow.
            due_s = self._told_s + self._world.tick_s / _EXPERT_HASTE
            executor.spin_once(timeout_sec=max(0.0, due_s - time.monotonic()) if moving else 0.1)
            moving = self._follow_expert()
            if moving:
                self._advance()
            elif time.monotonic() - self._told_s > _REPEAT_S:
                self._repeat()

    def _follow_expert(self) -> bool:
        """Take over and publish the expert's command; False when there is none."""
        command = self._session.expert_command()
        if command is None:
            return False
        self._command, self._commanded_s = command, time.monotonic()
        self._topics.tell_command(command, self._tick, self._world.tick_s)
        return True

    def _repeat(self) -> None:
        """Tell the tick again: whoever has to answer may have come late."""
        now_s = time.monotonic()
        waited_s = now_s - self._heard_s
        if waited_s > self._deployed.step_timeout_s and not self._deployed.expert:
            self.get_logger().warning(
                f"waiting for a command stamped {self._tick.stamp_ns / 1e9:.3f}; is a controller "
                "with use_sim_time and lockstep running?",
                throttle_duration_sec=60.0,
            )
        self._topics.repeat(self._tick)
        self._told_s = now_s

    def _on_command(self, output: RobotOutput, message: Any, info: dict[str, int]) -> None:
        stamp_ns = nanoseconds(message.header.stamp) if output.type in STAMPED else 0
        # Lockstep: the answer to this tick, once. Real time: nothing from before a reset.
        if self._lockstep and output.type in STAMPED and stamp_ns != self._tick.stamp_ns:
            return
        if 0 < stamp_ns < self._begin_ns:
            return
        if self._side is not None:
            self._receive(self._side, output, message, info)
        else:
            self._accept(output, message)

    def _on_goal(self, output: RobotOutput, target: float) -> None:
        """Let a gripper go where its action leads it."""
        if self._side is not None:
            now_s = self._system_clock.now().nanoseconds * 1e-9
            self._side.receive(output.name, Targets(np.array([target])), now_s)
        else:
            self._set(output, np.array([target]))

    def _receive(
        self, side: RobotSides, output: RobotOutput, message: Any, info: dict[str, int]
    ) -> None:
        """Let the driver have a message when it was sent, however late a busy world takes it."""
        self._received += 1
        now_ns = self._system_clock.now().nanoseconds
        came_s = min(info["source_timestamp"], now_ns) * 1e-9
        try:
            side.receive(output.name, targets_from(message, output), came_s)
        except CommandError as error:
            side.note_refused(output.name)
            self.get_logger().warning(f"refused: {error}", throttle_duration_sec=1.0)

    def _accept(self, output: RobotOutput, message: Any) -> None:
        """Let a message be the set point; in lockstep time waits for every output."""
        try:
            row = set_point_from(message, output)
        except CommandError as error:
            self.get_logger().warning(f"refused: {error}", throttle_duration_sec=1.0)
            return
        self._set(output, row)
        self._answered.add(output.name)
        if self._lockstep and len(self._answered) == len(self._outputs):
            self._answered.clear()
            self._advance()

    def _set(self, output: RobotOutput, row: np.ndarray) -> None:
        command = np.array(self._command)
        command[[self._columns.index(name) for name in output.names]] = row
        self._command, self._commanded_s = command, time.monotonic()

    def _on_reset(
        self, request: ResetWorld.Request, response: ResetWorld.Response
    ) -> ResetWorld.Response:
        self._begin(request.seed)
        response.success = True
        response.message = f"{self._world.name}: episode of seed {request.seed}"
        response.stamp = time_from(self._begin_ns)
        return response


def main() -> int:
    """Run the node until it is interrupted."""
    rclpy.init()
    executor = SingleThreadedExecutor()
    simulation = None
    try:
        simulation = Simulation()
        answer_always(simulation)
        keep_private()
        executor.add_node(simulation)
        simulation.run(executor)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except (ValueError, RuntimeError, ParameterException) as error:
        if rclpy.ok():  # else the context went away in the middle of a tick
            rclpy.logging.get_logger("simulation").fatal(str(error))
            return 1
    finally:
        if simulation is not None:
            simulation.close()
        rclpy.try_shutdown()
    return 0

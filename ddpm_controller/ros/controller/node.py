"""The lifecycle node: observations in, plans on a worker, limited commands out."""

import gc
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from functools import partial

import rclpy
import torch
from rcl_interfaces.msg import SetParametersResult
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions
from std_srvs.srv import Trigger

from ddpm_controller.checkpoint import CheckpointError
from ddpm_controller.control.states import Reason, State, Verdict
from ddpm_controller.given_files import one_line
from ddpm_controller.messages.stamps import seconds
from ddpm_controller.robots.robot import RobotError, load_robot
from ddpm_controller.ros.answered import answer_always
from ddpm_controller.ros.controller.checkpoint_swap import CheckpointSwap
from ddpm_controller.ros.controller.diagnostics import Diagnostics
from ddpm_controller.ros.controller.parameters import REMOVED, ControllerParameters
from ddpm_controller.ros.controller.parts import ControllerParts
from ddpm_controller.ros.controller.policy_loader import LoadedPolicy
from ddpm_controller.ros.controller.report import ControlReport
from ddpm_controller.ros.controller.run_policy import RunPolicyServer
from ddpm_controller.ros.controller.session import ControlSession
from ddpm_controller.ros.controller.smooth_stop import LONGER_S
from ddpm_controller.ros.controller.thread import LockstepThread, RealTimeThread
from ddpm_controller.ros.controller.topics import ControllerTopics
from ddpm_controller.ros.executor_calls import ExecutorCalls
from ddpm_controller.ros.graph.transports import receiving_environment
from ddpm_controller.ros.neighbours.claims import Intent
from ddpm_controller.ros.neighbours.neighbours import LOOK_PERIOD_S
from ddpm_controller.ros.parameters import declare, read
from ddpm_controller.ros.private_memory import keep_private
from ddpm_controller.ros.qos_events import QosEvents
from ddpm_controller.ros.transitions import reported
from ddpm_controller.share import found_path

_PATIENCE_S = 1.0 + LONGER_S
_GOODBYE_S = 0.2


class Controller(LifecycleNode):
    """Puts the parts together; each part has a file of its own.

    Threads: the executor's, the control thread (while active), the planner and the loader
    (while configured). The control thread waits for none of the others in real time.
    """

    def __init__(self) -> None:
        super().__init__("controller")
        self._deployed = declare(self, ControllerParameters, REMOVED)
        torch.set_num_threads(self._deployed.torch_num_threads)
        self._topics = ControllerTopics(self)
        self._events = QosEvents(self.get_logger().warning)
        self._diagnostics = Diagnostics(self, lambda: self._report, self._events, self._notes)
        calls = ExecutorCalls(self)
        self._swap = CheckpointSwap(self, calls, self._in_use, self._use, self._tell_inactive)
        self._runs = RunPolicyServer(
            self, calls, lambda: self._session, self._deployed.success_topic
        )
        self._report = ControlReport(self._topics, self._in_use, self._checkpoint_error)
        self._parts: ControllerParts | None = None
        self._session: ControlSession | None = None
        self._thread: RealTimeThread | LockstepThread | None = None
        self._failure = ""
        self.create_timer(
            LOOK_PERIOD_S,
            self._look,
            callback_group=ReentrantCallbackGroup(),
            clock=Clock(clock_type=ClockType.STEADY_TIME),
        )
        self.create_service(Trigger, "~/reset", self._on_reset)
        self.add_on_set_parameters_callback(self._refused_parameters)

    # Transitions

    @reported
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load and validate the robot file and the checkpoint."""
        try:
            self._configure()
        except Exception as error:  # rclpy would swallow it silently
            known = isinstance(error, RobotError | CheckpointError | ValueError)
            text = str(error) if known else f"{type(error).__name__}: {one_line(error)}"
            self._swap.fail(text)
            self.get_logger().error(f"not configured: {text}")
            self.get_logger().debug(traceback.format_exc())
            self._clean_up()
            self._tell_inactive(text)
            return TransitionCallbackReturn.FAILURE
        self._tell_inactive("configured")
        return TransitionCallbackReturn.SUCCESS

    @reported
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begin to command."""
        parts = self._parts
        if parts is None:
            return TransitionCallbackReturn.ERROR
        if refused := self._refused_activation(parts):
            self.get_logger().error(f"not activated: {refused.text}")
            self._tell_inactive(refused.text, refused.reason)
            return TransitionCallbackReturn.FAILURE
        session = parts.session(self._topics, self._in_use, self._checkpoint_error)
        # A collection of all that torch has made would take longer than a tick.
        gc.collect()
        gc.freeze()
        self._session, self._report = session, session.report
        session.loop.right_of_way.note(parts.neighbours.look(session.intent))
        log_error = self.get_logger().error
        if self._deployed.lockstep:
            self._thread = LockstepThread(session, log_error)
        else:
            period_s = parts.decision_period_s
            self._thread = RealTimeThread(session, period_s, self._now_s, log_error)
        parts.inputs.connect(session, self._thread.on_clock)
        return super().on_activate(state)

    @reported
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop smoothly, then send nothing."""
        self._stop()
        self._tell_inactive("deactivated")
        return super().on_deactivate(state)

    @reported
    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Forget robot and checkpoint."""
        self._clean_up()
        self._tell_inactive("not configured")
        return TransitionCallbackReturn.SUCCESS

    @reported
    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop from whatever state."""
        self.close()
        return TransitionCallbackReturn.SUCCESS

    @reported
    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop and be ready to be configured again."""
        for step in (self._stop, self._clean_up):
            try:
                step()
            except Exception:  # the next step is needed all the more
                self.get_logger().error(f"after an error: {traceback.format_exc()}")
        self._tell_inactive(self._failure or "an error was raised, see the log")
        self._failure = ""
        return TransitionCallbackReturn.SUCCESS

    def note_failure(self, text: str) -> None:
        """Keep why a transition failed, for the status that is published after it."""
        self._failure = text

    def close(self) -> None:
        """Stop smoothly, end all threads and report it."""
        self._stop()
        self._clean_up()
        self._tell_inactive("the node ends")
        self._topics.wait_until_heard(_GOODBYE_S)

    # Parts

    def _configure(self) -> None:
        parameters = self._deployed = read(self, ControllerParameters)
        if parameters.lockstep and not self.get_parameter("use_sim_time").value:
            raise ValueError("lockstep needs the time of /clock: set use_sim_time to true")
        robot = load_robot(found_path(parameters.robot))
        self._parts = parts = ControllerParts(self, parameters, robot, self._events, self._wake)
        parts.loaded = parts.load(parameters.checkpoint) if parameters.checkpoint else None
        self._diagnostics.watch(robot, parameters.replan_period_s, parts.stream)
        self._swap.open(robot, parts.load)

    def _refused_activation(self, parts: ControllerParts) -> Verdict | None:
        """Return why the node cannot be activated; between goals it commands nothing."""
        if self._deployed.run_on_activate and (refused := parts.neighbours.refusal()):
            return refused
        problem = parts.limits_problem() or parts.rate_problem()
        return Verdict(State.INACTIVE, Reason.DEACTIVATED, problem) if problem else None

    def _stop(self) -> None:
        session, thread = self._session, self._thread
        if session is None:
            return
        try:
            if thread is None:  # an activation that has failed
                session.close()
            else:
                self._rest(session, thread)
        finally:
            if self._parts is not None:
                self._parts.inputs.disconnect()
                self._parts.loaded = session.loaded
            self._session = self._thread = None
            self._look()

    def _rest(self, session: ControlSession, thread: RealTimeThread | LockstepThread) -> None:
        try:
            at_rest = threading.Event()
            session.post(partial(session.finish, at_rest.set))
            if not self._deployed.lockstep:
                at_rest.wait(session.loop.longest_stop_s + _PATIENCE_S)
        finally:
            thread.close()

    def _clean_up(self) -> None:
        parts, self._parts = self._parts, None
        try:
            self._swap.close()
        finally:
            if parts is not None:
                parts.close()
            self._events.forget()

    def _look(self) -> None:
        """Look at the other nodes on the graph; what forbids to command goes to the session."""
        parts, session = self._parts, self._session
        if parts is None:
            return
        found = parts.neighbours.look(session.intent if session else Intent.NONE)
        parts.inputs.explain_no_limits(parts.neighbours.no_description)
        parts.inputs.take_events()
        in_use = self._in_use()
        parts.inputs.views.compare(in_use.views if in_use is not None else {})
        if session is not None:
            session.post(partial(session.loop.right_of_way.note, found))

    def _notes(self) -> Mapping[str, str]:
        parts = self._parts
        return {**parts.neighbours.notes, **parts.notes} if parts is not None else {}

    def _use(self, loaded: LoadedPolicy, done: Callable[[str], None]) -> None:
        if self._session is not None:
            self._session.post(partial(self._session.use, loaded, done))
        elif self._parts is not None:
            self._parts.loaded = loaded
            done("")

    def _in_use(self) -> LoadedPolicy | None:
        """Return the policy that plans, or that will with the next activation."""
        session, parts = self._session, self._parts
        if session is not None:
            return session.loaded
        return parts.loaded if parts is not None else None

    def _checkpoint_error(self) -> str:
        return self._swap.error

    def _wake(self) -> None:
        session = self._session
        if session is not None:
            session.wake()

    def _now_s(self) -> float:
        return seconds(self.get_clock().now().to_msg())

    def _on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = self._session is not None
        response.message = "the run begins again" if response.success else "not active"
        if self._session is not None:
            self._session.post(partial(self._session.reset, lambda: None))
        return response

    def _refused_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        """Only validates; what is accepted is acted on after it has been set."""
        values = {each.name: each.value for each in parameters}
        reason = self._deployed.refusal(values, active=self._session is not None)
        if not reason and "checkpoint" in values:
            reason = self._swap.problem(values["checkpoint"])
        return SetParametersResult(successful=not reason, reason=reason)

    def _tell_inactive(self, text: str = "", reason: Reason = Reason.DEACTIVATED) -> None:
        """Publish a status where no control thread does it."""
        if self._session is None:
            said = text or self._report.status.text
            self._report.tell(self._now_s(), State.INACTIVE, reason, said, {})


def _spin_once(executor: SingleThreadedExecutor, controller: Controller) -> None:
    """Run one callback; what it raises is reported and must not end a node that holds a robot."""
    try:
        executor.spin_once(timeout_sec=0.1)
    except ExternalShutdownException:
        raise
    except Exception:
        if rclpy.ok():
            controller.get_logger().error(f"callback failed:\n{traceback.format_exc()}")


def main() -> int:
    """Run the node until it is asked to end; the robot is stopped smoothly then."""
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    os.environ.update(receiving_environment(os.environ))
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    executor = SingleThreadedExecutor()
    controller = None
    try:
        controller = Controller()
        answer_always(controller)
        keep_private()
        executor.add_node(controller)
        while rclpy.ok() and not ended.is_set():
            _spin_once(executor, controller)
    except ExternalShutdownException:
        pass
    # Parameters that cannot be; what runs raises nothing.
    except (ValueError, ParameterException) as error:
        sys.stderr.write(f"controller: {error}\n")
        return 1
    finally:
        if controller is not None:
            controller.close()
            controller.destroy_node()
        executor.shutdown()
        rclpy.try_shutdown()
    return 0

"""The lifecycle node: observations in, plans on a worker, limited commands out."""

import dataclasses
import gc
import math
import threading
import traceback
from collections.abc import Callable
from functools import partial

import torch
from rcl_interfaces.msg import SetParametersResult
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from std_srvs.srv import Trigger

from ddpm_controller.checkpoint import CheckpointError
from ddpm_controller.control.deadline import Deadline
from ddpm_controller.control.loop import ControlLoop
from ddpm_controller.control.states import Reason, State
from ddpm_controller.control.stream_filter import StreamFilter
from ddpm_controller.policies.state_denoiser import load_state_denoiser
from ddpm_controller.ros.checkpoint_swap import CheckpointSwap
from ddpm_controller.ros.chunk_pictures import ChunkPictures
from ddpm_controller.ros.command_link import CommandLink
from ddpm_controller.ros.command_messages import CommandSettings
from ddpm_controller.ros.command_publisher import CommandPublisher
from ddpm_controller.ros.commanding import CommandByOrder, CommandHere, Commanding
from ddpm_controller.ros.control_report import ControlReport
from ddpm_controller.ros.control_session import ControlSession
from ddpm_controller.ros.control_thread import LockstepThread, RealTimeThread
from ddpm_controller.ros.controller_inputs import ControllerInputs
from ddpm_controller.ros.controller_parameters import ControllerParameters, found_path
from ddpm_controller.ros.controller_topics import ControllerTopics, Health
from ddpm_controller.ros.conversions import seconds
from ddpm_controller.ros.diagnostics import Diagnostics
from ddpm_controller.ros.executor_calls import ExecutorCalls
from ddpm_controller.ros.lead import lead_from
from ddpm_controller.ros.noise_denoiser import filters_of
from ddpm_controller.ros.parameters import declare, read
from ddpm_controller.ros.planner import Planner
from ddpm_controller.ros.policy_loader import LoadedPolicy, load_policy
from ddpm_controller.ros.qos_events import QosEvents
from ddpm_controller.ros.rate_check import RateError, check_rate, trial_ticks
from ddpm_controller.ros.robot import Robot, RobotError, load_robot
from ddpm_controller.ros.run_policy import RunPolicyServer

_PATIENCE_S = 1.0
_GOODBYE_S = 0.2
_DECISION_PERIOD_S = 0.01
"""Orders to a command process need not come more often than this."""
_MARGIN_PERIODS = 2
"""A plan is taken over at the tick after it came; one more for the jitter of its time."""


@dataclasses.dataclass(frozen=True)
class _Parts:
    """What a configured node has."""

    robot: Robot
    filters: dict[str, StreamFilter]
    planner: Planner
    commands: CommandPublisher | CommandLink
    inputs: ControllerInputs
    pictures: ChunkPictures | None


class Controller(LifecycleNode):
    """Puts the parts together; each part has a file of its own.

    Threads: the executor's, the control thread (while active), the planner and the loader
    (while configured). The control thread waits for none of the others in real time.
    """

    def __init__(self) -> None:
        super().__init__("controller")
        self._deployed = declare(self, ControllerParameters)
        torch.set_num_threads(self._deployed.torch_num_threads)
        self._health = Health()
        self._topics = ControllerTopics(self)
        self._events = QosEvents(self.get_logger().warning)
        self._diagnostics = Diagnostics(self, self._health, self._events)
        calls = ExecutorCalls(self)
        self._swap = CheckpointSwap(self, calls, self._health, self._use, self._tell_inactive)
        self._runs = RunPolicyServer(
            self, calls, lambda: self._session, self._deployed.success_topic
        )
        self._parts: _Parts | None = None
        self._session: ControlSession | None = None
        self._thread: RealTimeThread | LockstepThread | None = None
        self.create_service(Trigger, "~/reset", self._on_reset)
        self.add_on_set_parameters_callback(self._refused_parameters)

    # Transitions

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load and validate the robot file and the checkpoint."""
        try:
            self._configure()
        except Exception as error:  # rclpy would swallow it without a word
            known = isinstance(error, RobotError | CheckpointError | ValueError)
            text = str(error) if known else traceback.format_exc()
            self._health.checkpoint_error = text
            self.get_logger().error(f"not configured: {text}")
            self._clean_up()
            self._tell_inactive(str(error))
            return TransitionCallbackReturn.FAILURE
        self._tell_inactive("configured")
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begin to command."""
        parameters, parts = self._deployed, self._parts
        if parts is None:
            return TransitionCallbackReturn.ERROR
        period_s = 1.0 / parameters.control_rate_hz
        if problem := self._rate_problem(parts, period_s):
            self.get_logger().error(f"not activated: {problem}")
            self._tell_inactive(problem)
            return TransitionCallbackReturn.FAILURE
        if isinstance(parts.commands, CommandLink):
            period_s = max(period_s, _DECISION_PERIOD_S)  # the other process keeps the rate
        loop = self._control_loop(parts, period_s)
        self._health.begin(parameters.seed, parameters.control_rate_hz)
        session = ControlSession(
            loop,
            parts.planner,
            self._report(parts),
            self._commanding(parts, loop),
            run_on_activate=parameters.run_on_activate,
            lockstep=parameters.lockstep,
            stop_s=parameters.stop_s,
            gate_of=parameters.start_gate,
        )
        # A collection of all that torch has made would take longer than a tick.
        gc.collect()
        gc.freeze()
        self._session = session
        if parameters.lockstep:
            self._thread = LockstepThread(session, self.get_logger().error)
        else:
            self._thread = RealTimeThread(session, period_s, self._now_s, self.get_logger().error)
        parts.inputs.connect(session, self._thread.on_clock)
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop smoothly, then send nothing."""
        self._stop()
        self._tell_inactive("deactivated")
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Forget robot and checkpoint."""
        self._clean_up()
        self._tell_inactive("not configured")
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop from whatever state."""
        self.close()
        return TransitionCallbackReturn.SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop and be ready to be configured again."""
        self._stop()
        self._clean_up()
        self._tell_inactive("an error was raised, see the log")
        return TransitionCallbackReturn.SUCCESS

    def close(self) -> None:
        """Stop smoothly, end all threads and say so."""
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
        if parameters.max_age_s > 0:
            streams = (
                dataclasses.replace(each, max_age_s=parameters.max_age_s) for each in robot.streams
            )
            robot = dataclasses.replace(robot, streams=tuple(streams))
        load = partial(
            load_policy,
            robot=robot,
            settings=parameters.plan_settings,
            lead_s=lead_from(vars(parameters), robot),
            lowest_steps=parameters.min_inference_steps if parameters.deadline_aware else 0,
        )
        self._health.loaded = load(parameters.checkpoint) if parameters.checkpoint else None
        self._health.checkpoint_error = ""
        filters: dict[str, StreamFilter] = {}
        if parameters.state_denoiser:
            folder = found_path(parameters.state_denoiser)
            denoiser = load_state_denoiser(folder, robot.stream_specs)
            filters = filters_of(denoiser)
            self.get_logger().info(f"state denoiser {folder} ({denoiser.hash[:12]})")
        commands = self._commands(robot)
        inputs = ControllerInputs(self, robot, parameters.lockstep, self._events)
        self._diagnostics.watch(robot, parameters.replan_period_s)
        pictures = None
        if parameters.pictures:
            names = robot.action_spec.joint_names
            pictures = ChunkPictures(self, names, robot.end_effector)
        self._parts = _Parts(robot, filters, Planner(self._wake), commands, inputs, pictures)
        self._swap.open(robot, load)

    def _commands(self, robot: Robot) -> CommandPublisher | CommandLink:
        """Return what sends the commands; another process has no simulated time."""
        parameters = self._deployed
        joints, period_s = robot.action_spec.joint_names, 1.0 / parameters.control_rate_hz
        if not parameters.command_process or self.get_parameter("use_sim_time").value:
            depth = 10 if parameters.lockstep else 1
            events = self._events.of_publisher(parameters.output)
            return CommandPublisher(
                self, parameters.output, joints, period_s, depth, events=events
            )
        return CommandLink(
            CommandSettings(
                node_name=f"{self.get_name()}_commands",
                namespace=self.get_namespace(),
                topic=self.resolve_topic_name(parameters.output),
                status_topic=self.resolve_topic_name("~/status"),
                output=parameters.output,
                joint_names=joints,
                period_s=period_s,
                fade_s=parameters.fade_s,
                stop_s=parameters.stop_s,
                silence_s=parameters.silence_s,
                priority=parameters.command_priority,
            )
        )

    def _commanding(self, parts: _Parts, loop: ControlLoop) -> Commanding:
        if isinstance(parts.commands, CommandLink):
            return CommandByOrder(loop, parts.commands, self.get_logger().error)
        return CommandHere(loop, parts.commands)

    def _report(self, parts: _Parts) -> ControlReport:
        if parts.pictures is None:
            return ControlReport(self._topics, self._health)
        return ControlReport(self._topics, self._health, parts.pictures.show)

    def _control_loop(self, parts: _Parts, period_s: float) -> ControlLoop:
        robot, loaded = parts.robot, self._health.loaded
        loop = ControlLoop(
            robot.stream_specs,
            robot.max_ages_s,
            robot.action_spec,
            loaded.policy.n_obs_steps if loaded else 1,
            parts.inputs.limits,
            period_s,
            self._deployed.replan_period_s,
            fade_s=self._deployed.fade_s,
            stop_s=self._deployed.stop_s,
            max_lead_s=math.inf if self._deployed.lockstep else _PATIENCE_S,
            filters=parts.filters,
            lead_s=lead_from(vars(self._deployed), robot),
            deadline=self._deadline(period_s),
            rules=robot.rules,
        )
        loop.no_limits_text = parts.inputs.no_limits_text
        loop.start_check.gate = self._deployed.start_gate(loaded.policy if loaded else None)
        if self._deployed.stop_out_of_distribution:
            loop.distribution.num_plans = self._deployed.out_of_distribution_plans
        loop.chunk_tolerance = self._deployed.chunk_tolerance
        return loop

    def _rate_problem(self, parts: _Parts, period_s: float) -> str:
        """Return why the control rate cannot be held, or an empty text; lockstep has time."""
        rate_hz = self._deployed.control_rate_hz
        if self._deployed.lockstep:
            return ""
        names = parts.robot.action_spec.joint_names
        # Nobody listens there, and nobody moves.
        trial = CommandPublisher(
            self, self._deployed.output, names, period_s, 1, "~/trial_command"
        )
        ticks = trial_ticks(self._control_loop(parts, period_s), parts.robot.stream_specs, rate_hz)
        try:
            median_s = check_rate(ticks, trial.send, rate_hz)
        except RateError as error:
            return str(error)
        finally:
            self.destroy_publisher(trial.publisher)
        share = 100 * median_s / period_s
        self.get_logger().info(f"a tick takes {1e3 * median_s:.2f} ms, {share:.0f} % of a period")
        return ""

    def _deadline(self, period_s: float) -> Deadline | None:
        if not self._deployed.deadline_aware:
            return None
        deadline = Deadline(self._deployed.min_inference_steps, _MARGIN_PERIODS * period_s)
        loaded = self._health.loaded
        deadline.use(loaded.num_inference_steps if loaded else 0)
        return deadline

    def _stop(self) -> None:
        session, thread = self._session, self._thread
        if session is None or thread is None:
            return
        at_rest = threading.Event()
        session.post(partial(session.finish, at_rest.set))
        if not self._deployed.lockstep:
            at_rest.wait(self._deployed.stop_s + _PATIENCE_S)
        thread.close()
        if self._parts is not None:
            self._parts.inputs.disconnect()
        self._session = self._thread = None

    def _clean_up(self) -> None:
        self._swap.close()
        parts, self._parts = self._parts, None
        if parts is not None:
            parts.planner.close()
            parts.inputs.destroy()
            if parts.pictures is not None:
                parts.pictures.close()
            if isinstance(parts.commands, CommandLink):
                parts.commands.close()
            else:
                self.destroy_publisher(parts.commands.publisher)
        self._health.loaded = None
        self._events.forget()

    def _use(self, loaded: LoadedPolicy, done: Callable[[], None]) -> None:
        if self._session is not None:
            self._session.post(partial(self._session.use, loaded, done))
        else:
            self._health.loaded = loaded
            done()

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

    def _tell_inactive(self, text: str = "") -> None:
        """Publish a status where no control thread does it."""
        if self._session is None:
            health = self._health
            health.stamp_s, health.state = self._now_s(), State.INACTIVE
            health.reason, health.text = Reason.DEACTIVATED, text or health.text
            health.streams = {}
            self._topics.tell(health)

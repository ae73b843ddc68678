"""What a configured controller has, and how an activation is put together from it."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from rclpy.lifecycle import LifecycleNode

from ddpm_controller.control.deployment import policy_terms
from ddpm_controller.control.loop import ControlLoop
from ddpm_controller.control.loop_settings import LoopSettings, PolicyTerms
from ddpm_controller.control.moving.leading_motion import motion_of
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.control.moving.step_limit import small_steps
from ddpm_controller.control.moving.stream_settings import StreamSettings
from ddpm_controller.control.observing.stream_filter import StreamFilter
from ddpm_controller.control.parameter_names import OVERRIDES
from ddpm_controller.identification.state_denoiser import filters_of, load_state_denoiser
from ddpm_controller.policy import overrides_from
from ddpm_controller.robots.joint_limits_file import JointLimitsFileError
from ddpm_controller.robots.loop_settings import (
    command_age_s,
    deployment_from,
    loop_settings,
    refuse_outputs,
)
from ddpm_controller.robots.outputs import RobotOutput
from ddpm_controller.robots.robot import COMMANDS_TOPIC, Robot
from ddpm_controller.ros.commanding.command_link import CommandLink
from ddpm_controller.ros.commanding.command_messages import CommandSettings
from ddpm_controller.ros.commanding.command_publisher import CommandPublisher
from ddpm_controller.ros.commanding.commanding import (
    CommandByOrder,
    CommandHere,
    Commanding,
    commanding_here,
)
from ddpm_controller.ros.commanding.gripper_goals import GripperGoals
from ddpm_controller.ros.controller.chunk_pictures import ChunkPictures
from ddpm_controller.ros.controller.inputs import ControllerInputs
from ddpm_controller.ros.controller.parameters import ControllerParameters
from ddpm_controller.ros.controller.planner import Planner
from ddpm_controller.ros.controller.policy_loader import LoadedPolicy, load_policy
from ddpm_controller.ros.controller.rate_check import (
    RateError,
    check_rate,
    ticks_a_message,
    trial_ticks,
)
from ddpm_controller.ros.controller.report import ControlReport
from ddpm_controller.ros.controller.session import ControlSession
from ddpm_controller.ros.controller.topics import ControllerTopics
from ddpm_controller.ros.neighbours.command_watch import CommandTopic
from ddpm_controller.ros.neighbours.namespaces import mixed_namespaces
from ddpm_controller.ros.neighbours.neighbours import Neighbours
from ddpm_controller.ros.qos_events import QosEvents
from ddpm_controller.share import found_path

_DECISION_PERIOD_S = 0.01
"""Orders to a command process need not come more often than this."""


class ControllerParts:
    """Publishers, subscriptions and workers of a configured node.

    Args:
        node: Their owner.
        deployed: Parameters.
        robot: Streams, joints and limits.
        events: Events of quality of service.
        wake: Called when a plan is there.

    Attributes:
        loaded: The policy that the next session begins with; None: there is none.
        inputs: What is listened to.
        neighbours: What is known of other nodes.

    Raises:
        ValueError: A parameter does not fit the robot.
    """

    def __init__(
        self,
        node: LifecycleNode,
        deployed: ControllerParameters,
        robot: Robot,
        events: QosEvents,
        wake: Callable[[], None],
    ) -> None:
        self._node, self._deployed, self._robot = node, deployed, robot
        self._events = events
        self.loaded: LoadedPolicy | None = None
        self._deployment = deployment = deployment_from(vars(deployed), robot)
        stream = deployment.stream_settings
        if stream is not None and not deployed.lockstep:
            stream.refuse_period(1.0 / deployed.control_rate_hz)
        self._load = partial(
            load_policy,
            robot=robot,
            lead_s=deployment.lead_s,
            stream=deployment.stream_settings,
            lowest_steps=deployment.min_inference_steps,
            reset_state_above=deployment.reset_state_above,
        )
        self._filters = self._state_filters()
        loop_settings(robot, None, deployment)  # refuses what does not fit the robot
        refuse_outputs(robot, deployment)
        self._planner = Planner(wake)
        self._commands = self._command_side()
        self._goals = GripperGoals(node, robot.outputs)
        self.inputs = ControllerInputs(node, robot, deployed.lockstep, events, self._refuse_limits)
        self.neighbours = self._neighbours()
        self._mixed = self._log_topics()
        self._pictures: ChunkPictures | None = None
        if deployed.pictures:
            names, kinds = robot.action_spec.joint_names, set(robot.action_spec.kinds)
            drawn = robot.descriptions if kinds == {"joint_position"} else {}
            self._pictures = ChunkPictures(node, names, robot.end_effector, drawn)

    @property
    def decision_period_s(self) -> float:
        """Time between two ticks of the control thread, s; a command process keeps its own."""
        period_s = 1.0 / self._deployed.control_rate_hz
        by_order = isinstance(self._commands, CommandLink)
        return max(period_s, _DECISION_PERIOD_S) if by_order else period_s

    @property
    def stream(self) -> StreamSettings | None:
        """Form of the trajectories; None: single points."""
        return self._deployment.stream_settings

    def session(
        self,
        topics: ControllerTopics,
        in_use: Callable[[], LoadedPolicy | None],
        checkpoint_error: Callable[[], str],
    ) -> ControlSession:
        """Return the session of an activation.

        Args:
            topics: Publishers of what it does.
            in_use: As ``ControlReport``.
            checkpoint_error: Likewise.
        """
        deployed = self._deployed
        loop = ControlLoop(replace(self._settings, period_s=self.decision_period_s))
        if self.inputs.limits is None:
            loop.refuse_limits(self.inputs.no_limits_text)
        report = ControlReport(
            topics,
            in_use,
            checkpoint_error,
            control_rate_hz=deployed.control_rate_hz,
            show=self._pictures.show if self._pictures else None,
        )
        return ControlSession(
            loop,
            self._planner,
            report,
            self._commanding(loop),
            run_on_activate=deployed.run_on_activate,
            lockstep=deployed.lockstep,
            stop_s=deployed.stop_s,
            terms_of=self.terms,
            loaded=self.loaded,
            seed=deployed.seed,
            log=self._node.get_logger().info,
        )

    def load(self, folder: str) -> LoadedPolicy:
        """Return the policy of a checkpoint that fits; from any thread.

        Raises:
            CheckpointError: As ``load_policy``.
        """
        words = self._node.get_parameter(OVERRIDES).value or ()
        overrides = overrides_from(words)
        settings = replace(self._deployed.plan_settings, overrides=overrides)
        loaded = self._load(folder, settings=settings)
        for text in loaded.notes:
            self._node.get_logger().warning(f"{folder}: not as in training: {text}")
        facts = loaded.policy.facts
        self._node.get_logger().info(f"engine: {facts.engine} ({facts.engine_text})")
        return loaded

    @property
    def notes(self) -> dict[str, str]:
        """What a person should know of the streams, by subject."""
        notes = dict(self.inputs.views.notes)
        if self._mixed:
            notes["namespaces"] = self._mixed
        if self.loaded is not None and self.loaded.notes:
            notes["checkpoint"] = f"not as in training: {'; '.join(self.loaded.notes)}"
        return notes

    def limits_problem(self) -> str:
        """Take the limits as they are now; return why the file cannot be used, or an empty text.

        What is wrong with a robot description is waited for, since another one may come.
        """
        try:
            self.inputs.renew_limits(self._robot.with_limits_file_read_again())
        except JointLimitsFileError as error:
            return str(error)
        return ""

    def rate_problem(self) -> str:
        """Return why the control rate cannot be held, or an empty text; lockstep has time."""
        deployed = self._deployed
        if deployed.lockstep:
            return ""
        rate_hz = deployed.control_rate_hz
        # Nothing subscribes there, and nothing moves.
        outputs = [
            replace(each, topic=f"~/trial_command/{each.name}") for each in self._robot.outputs
        ]
        trial = CommandPublisher(self._node, outputs, 1 / rate_hz, 1)
        ticks = trial_ticks(self._settings, rate_hz, trial)
        num_ticks = ticks_a_message(self._deployment.stream_settings, rate_hz)
        try:
            median_s = check_rate(ticks, rate_hz, num_ticks)
        except RateError as error:
            return str(error)
        finally:
            trial.close()
        share = 100 * median_s * rate_hz
        self._node.get_logger().info(
            f"a tick takes {1e3 * median_s:.2f} ms, {share:.0f} % of a period"
        )
        return ""

    def close(self) -> None:
        """End the workers and leave the topics."""
        self._planner.close()
        self.neighbours.close()
        self.inputs.destroy()
        if self._pictures is not None:
            self._pictures.close()
        self._goals.close()
        self._commands.close()

    def _log_topics(self) -> str:
        """Log how streams are read; return why states and commands may be of two robots."""
        node, robot = self._node, self._robot
        for text in robot.conversions:
            node.get_logger().info(text)
        sources = [source for each in robot.measuring_streams for source in each.sources]
        states = [node.resolve_topic_name(each.topic) for each in sources]
        commands = [node.resolve_topic_name(each.topic) for each in robot.outputs]
        mixed = mixed_namespaces(states, commands) if states else ""
        if mixed:
            node.get_logger().warning(mixed)
        return mixed

    def _refuse_limits(self, limits: JointLimits) -> None:
        """Raise a ValueError where the ticks are too far apart for ``limits``.

        A step that hardly allows a motion is only worth a warning.
        """
        deployed = self._deployed
        names, period_s = self._robot.action_spec.joint_names, 1.0 / deployed.control_rate_hz
        stream = self._deployment.stream_settings
        motion_of(names, limits, period_s, stream, fade_s=deployed.fade_s, stop_s=deployed.stop_s)
        text = small_steps(limits, names, command_age_s(self._robot, self._deployment))
        if text:
            self._node.get_logger().warning(text)

    def terms(self, loaded: LoadedPolicy) -> PolicyTerms:
        """Return the terms on which a loop plans with ``loaded``."""
        return policy_terms(loaded.policy, self._deployment, departure=loaded.departure)

    @property
    def _settings(self) -> LoopSettings:
        """Settings of a loop with the policy and the limits as they are now."""
        return loop_settings(
            self._robot,
            self.terms(self.loaded) if self.loaded else None,
            self._deployment,
            limits=self.inputs.limits,
            filters=self._filters,
        )

    def _state_filters(self) -> dict[str, StreamFilter]:
        if self._deployed.state_denoiser is None:
            return {}
        folder = found_path(self._deployed.state_denoiser)
        denoiser = load_state_denoiser(folder, self._robot.stream_specs)
        self._node.get_logger().info(f"state denoiser {folder} ({denoiser.hash[:12]})")
        return filters_of(denoiser)

    @property
    def _whole_topic(self) -> str:
        """Where commands are recorded whole; empty where an output has all of them."""
        return "~/command" if self._robot.commands_topic == COMMANDS_TOPIC else ""

    @property
    def _resolved_outputs(self) -> tuple[RobotOutput, ...]:
        """The outputs, with names that other nodes know: remapped and with the namespace."""
        resolve = self._node.resolve_topic_name
        return tuple(replace(each, topic=resolve(each.topic)) for each in self._robot.outputs)

    def _command_side(self) -> CommandPublisher | CommandLink:
        """Return what sends the commands; another process has no simulated time."""
        node, deployed = self._node, self._deployed
        period_s, whole_topic = 1.0 / deployed.control_rate_hz, self._whole_topic
        if not deployed.command_process or node.get_parameter("use_sim_time").value:
            # As the simulation keeps its states: a busy recorder may be many ticks behind.
            depth = 100 if deployed.lockstep else 1
            return CommandPublisher(
                node,
                self._robot.outputs,
                period_s,
                depth,
                whole_topic=whole_topic,
                events=self._events.of_publisher,
            )
        outputs = self._resolved_outputs
        status_topic = node.resolve_topic_name("~/status")
        return CommandLink(
            CommandSettings(
                node_name=f"{node.get_name()}_commands",
                namespace=node.get_namespace(),
                outputs=outputs,
                status_topic=status_topic,
                whole_topic=whole_topic and node.resolve_topic_name(whole_topic),
                period_s=period_s,
                fade_s=deployed.fade_s,
                stop_s=deployed.stop_s,
                silence_s=deployed.silence_s,
                priority=deployed.command_priority or 0,
                listeners=tuple(
                    node.count_subscribers(each.topic) for each in outputs if not each.is_action
                ),
                status_listeners=node.count_subscribers(status_topic),
                stream=self._deployment.stream_settings,
            ),
            standby=deployed.command_standby,
        )

    def _neighbours(self) -> Neighbours:
        node, commands = self._node, self._commands
        own = [node.get_fully_qualified_name()]
        publishers = commands.node_names if isinstance(commands, CommandLink) else own
        topics = [
            CommandTopic(each, publishers, commands.sent.of[each.name])
            for each in self._resolved_outputs
        ]
        shared, descriptions = self.inputs.shared_joints, self._robot.descriptions
        found = self._robot.sources_of_topics
        observed = {topic: sources[0].stream.type for topic, sources in found.items()}
        return Neighbours(node, topics, shared, self._goals, descriptions, observed)

    def _commanding(self, loop: ControlLoop) -> Commanding:
        if isinstance(self._commands, CommandLink):
            log_error = self._node.get_logger().error
            return CommandByOrder(loop, self._commands, log_error, self._goals.note)
        if self._deployed.lockstep:  # a command is that of its tick
            return CommandHere(loop, self._commands, self._goals.note)
        return commanding_here(loop, self._commands, self._goals.note)

"""Bags of a controller, made without ROS: a control loop, a real policy and invented streams."""

import json
import re
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
from random_checkpoint import SIM_ARM

from ddpm_controller.bags.conversions import observation_from
from ddpm_controller.bags.element_stamps import element_stamps
from ddpm_controller.bags.memory_messages import packed
from ddpm_controller.bags.message_types import message_types, plain
from ddpm_controller.bags.storages import BagTopic
from ddpm_controller.bags.writer import BagWriter
from ddpm_controller.control.deployment import Deployment
from ddpm_controller.control.loop import ControlLoop
from ddpm_controller.control.loop_settings import PolicyTerms
from ddpm_controller.control.moving.interpolation import Motion
from ddpm_controller.control.moving.leading_motion import LeadingMotion
from ddpm_controller.control.moving.motion_loop import MotionLoop, Sent
from ddpm_controller.control.observing.stream_rules import StreamRule
from ddpm_controller.control.observing.turns import wrapping
from ddpm_controller.control.parameter_names import given_as, values_from
from ddpm_controller.control.planning.chunk_check import ChunkTolerance
from ddpm_controller.control.states import State
from ddpm_controller.messages.stamps import stamp_from
from ddpm_controller.policy import DepartureLimit, PlanSettings
from ddpm_controller.replay.recorded_run import LOST_KEY, PARAMETERS_KEY
from ddpm_controller.robots.lead import ACTION_LATENCY_KEY
from ddpm_controller.robots.loop_settings import loop_settings
from ddpm_controller.robots.outputs import JOINT_TRAJECTORY
from ddpm_controller.robots.robot import COMMANDS_TOPIC, load_robot
from ddpm_controller.simulation.arm.robot_description import robot_description
from ddpm_controller.systems import restore

T = message_types().types
TOPICS = {
    "/joint_states": "sensor_msgs/msg/JointState",
    "/camera_fixed/image_raw": "sensor_msgs/msg/Image",
    "/camera_wrist/image_raw": "sensor_msgs/msg/Image",
    "/controller/action_chunk": "ddpm_msgs/msg/ActionChunk",
    "/controller/memory": "ddpm_msgs/msg/Memory",
    "/controller/status": "ddpm_msgs/msg/ControllerStatus",
    "/robot_description": "std_msgs/msg/String",
}
RATE_HZ = 50.0
DEAD_TICKS = 6
START_S = 1_790_000_000.123456


@dataclass
class Scenario:
    """What happens in a recorded run.

    Attributes:
        checkpoints: Folders, in order of use; the next one is taken over after every run.
        ticks: Per run.
        plan_ticks: Ticks from the request of a plan to its arrival; 0 as in lockstep.
        frozen: Ticks of a run in which camera_wrist delivers nothing.
        fade_s: Of the controller.
        idle_between: Whether the controller tells that it commands nothing before each run.
        lead_s: Of the controller.
        lose: (topic, index) of a message that the recorder lost.
        twice: (topic, index) of a message that was sent twice.
        settings: Of the policies.
        pushed: Ticks of a run in which every joint is pushed away and back.
        failed: Numbers of plans that fail.
        memories: Whether the memory of each plan is recorded.
        cut: Ticks of the first run before the recording begins.
        departure: Of the control loop.
        rules: Likewise.
        dies: Tick at which what carries out the orders dies; 0: never. Another one goes on after
            ``DEAD_TICKS``, from the last command but one; where commands are streamed, at once.
        tolerance: Of the controller.
        velocity_share: Of the joints' velocity limits, in robot_description.
        decided_before_s: What a tick carries out was decided so much before it, as where another
            process commands.
        stream: Form of the commands; "rest_ended" with a lead.
        streams_in_lockstep: Whether each command is that of its tick all the same.
        hole: Ticks that are left out.
        rate_hz: Rate of the ticks of streamed commands.
        in_groups: Whether parameters have the names and words of this release.
        answers: Whether the controller answers the recorder with its parameters.
        lost: Topic -> messages that the recorder counted as lost.
        file: Robot file; joints of ``wraps`` are continuous and reported between -pi and pi.
        step: Limit on the step from the measured position, rad or m.
        stands: Ticks of a run in which the robot stands where it is, whatever it is sent.
        noise: Of measured positions, rad or m.
        slower: Tick at which a robot_description with a quarter of the velocities comes; 0: none.
        is_apart: Whether the gripper publishes its joint by itself, at half the rate and with
            stamps of its own, and wheels share the topic.
    """

    checkpoints: tuple
    ticks: int = 60
    plan_ticks: int = 0
    frozen: range = range(0)
    fade_s: float = 0.15
    idle_between: bool = True
    lead_s: float = 0.0
    lose: tuple[str, int] | None = None
    twice: tuple[str, int] | None = None
    settings: PlanSettings = field(default_factory=PlanSettings)
    pushed: range = range(0)
    failed: tuple[int, ...] = ()
    memories: bool = True
    cut: int = 0
    departure: DepartureLimit | None = None
    rules: dict[str, StreamRule] = field(default_factory=dict)
    dies: int = 0
    tolerance: ChunkTolerance = field(default_factory=ChunkTolerance)
    velocity_share: float = 1.0
    decided_before_s: float = 0.0
    stream: str = "single_point"
    streams_in_lockstep: bool = False
    hole: range = range(0)
    rate_hz: float = RATE_HZ
    in_groups: bool = True
    answers: bool = True
    lost: dict[str, int] = field(default_factory=dict)
    file: Path = SIM_ARM
    step: float = np.inf
    stands: range = range(0)
    noise: float = 0.01
    slower: int = 0

    @property
    def robot(self):
        """The robot, with the limit on its step."""
        robot = load_robot(self.file)
        given = {
            name: replace(each, max_step_from_measured=self.step)
            for name, each in robot.given_limits.items()
        }
        return replace(robot, given_limits=given)

    is_apart: bool = False

    @property
    def description(self):
        """Text of robot_description."""
        text = robot_description()
        for stream in self.robot.stream_specs:
            for name in stream.wraps:
                text = text.replace(
                    f'name="{name}" type="revolute"', f'name="{name}" type="continuous"'
                )
        return _faster(text, self.velocity_share)


def _faster(description, share):
    return re.sub(
        'velocity="([^"]*)"', lambda found: f'velocity="{share * float(found[1])}"', description
    )


def record_run(folder, scenario):
    """Write the bag of a scenario: a run per checkpoint, with seeds 5, 6, ..."""
    messages = [("/robot_description", START_S, T["std_msgs/msg/String"](scenario.description))]
    for number, checkpoint in enumerate(scenario.checkpoints):
        begin_s = _nanoseconds_exact(START_S + 10.0 * number)
        messages += _Run(scenario, checkpoint, seed=5 + number).messages(begin_s)
    begin_s = START_S + scenario.cut / RATE_HZ
    messages = [m for m in messages if m[1] >= begin_s - 1e-6 or m[0] == "/robot_description"]
    if not scenario.memories:
        messages = [m for m in messages if m[0] != "/controller/memory"]
    if scenario.lose is not None:
        topic, index = scenario.lose
        messages.remove([m for m in messages if m[0] == topic][index])
    if scenario.twice is not None:
        topic, index = scenario.twice
        at = [k for k, m in enumerate(messages) if m[0] == topic][index]
        messages.insert(at, messages[at])
    parameters = {
        "fade_s": scenario.fade_s,
        "stop_s": 0.2,
        "chunk_position_tolerance": scenario.tolerance.position,
        "chunk_velocity_tolerance": scenario.tolerance.velocity,
    }
    if scenario.lead_s:  # as a robot file with a latency gives it
        parameters |= {"lead_s": -1.0, ACTION_LATENCY_KEY: scenario.lead_s}
    if scenario.stream != "single_point":
        parameters |= {"stream": scenario.stream, "lockstep": scenario.streams_in_lockstep}
    if scenario.in_groups:
        parameters = given_as(values_from(parameters))
    if not scenario.answers:
        parameters = {ACTION_LATENCY_KEY: scenario.lead_s}
    provenance = {PARAMETERS_KEY: json.dumps(parameters)}
    topics = TOPICS | {f"/{each.topic}": each.type for each in scenario.robot.outputs}
    topics |= {f"/{scenario.robot.commands_topic}": JOINT_TRAJECTORY}
    if scenario.lost:
        provenance[LOST_KEY] = json.dumps(scenario.lost)
    with BagWriter(folder, [BagTopic(n, k) for n, k in topics.items()], provenance) as bag:
        for topic, stamp_s, message in messages:
            sec, nanosec = stamp_from(stamp_s)
            raw = bytes(message_types().serialize_cdr(message, topics[topic]))
            bag.write(topic, sec * 10**9 + nanosec, raw)
    return folder


_PUSH = np.array([0.08] * 6 + [0.009])
"""Of every joint in a tick, rad and m: none is slower."""


class _Run:
    def __init__(self, scenario, checkpoint, seed):
        self._scenario = scenario
        self._robot = scenario.robot
        self._policy = restore(checkpoint, scenario.settings)
        self._seed = seed
        self._random = np.random.default_rng(seed)
        limits = self._robot.limits(scenario.description)
        self._motion = MotionLoop(limits, 1 / RATE_HZ, fade_s=scenario.fade_s)
        policy = PolicyTerms(self._policy.facts.n_obs_steps, departure=scenario.departure)
        deployment = Deployment(
            control_rate_hz=scenario.rate_hz,
            replan_period_s=0.3,
            fade_s=scenario.fade_s,
            lead_s=scenario.lead_s,
            lockstep=True,
            stream=scenario.stream,
            chunk_position_tolerance=scenario.tolerance.position,
            chunk_velocity_tolerance=scenario.tolerance.velocity,
        )
        settings = loop_settings(self._robot, policy, deployment, limits=limits)
        self._loop = ControlLoop(replace(settings, rules=scenario.rules))
        self._told = None
        self._outputs = _Outputs(self._robot, 1 / scenario.rate_hz)
        self._ahead = None
        if scenario.stream == "rest_ended" and not scenario.streams_in_lockstep:
            names, stream = settings.action_spec.joint_names, settings.stream
            times_s = {"fade_s": scenario.fade_s, "stop_s": 0.2}
            self._another = partial(
                LeadingMotion, names, limits, settings.period_s, stream, **times_s
            )
            self._ahead = self._another()

    def messages(self, begin_s):
        """Yield topic, time and message of everything that is published."""
        self._loop.start(self._policy.initial_memory(self._seed))
        if self._scenario.idle_between:
            yield "/controller/status", begin_s - 1, self._status(begin_s - 1, State.INACTIVE, 0)
        position = np.full(7, 0.02)
        coming = []  # (tick of arrival, plan, request)
        sent = []
        for tick in range(self._scenario.ticks):
            jitter_s = (
                self._random.uniform(0, 0.2 / self._scenario.rate_hz)
                if self._scenario.plan_ticks
                else 0.0
            )
            now_s = _nanoseconds_exact(begin_s + tick / self._scenario.rate_hz + jitter_s)
            if tick in self._scenario.hole:
                continue
            yield from self._observe(now_s, tick, position)
            if tick == self._scenario.slower > 0:
                slower = _faster(self._scenario.description, 0.25)
                self._loop.note_newer_limits(self._robot.limits(slower))
                yield "/robot_description", now_s, T["std_msgs/msg/String"](slower)
            if not self._scenario.plan_ticks:
                coming += self._request(tick, now_s)
            while coming and coming[0][0] <= tick:
                _, plan, request = coming.pop(0)
                if request.plan_number in self._scenario.failed:
                    self._loop.fail(request, "on purpose")
                else:
                    self._loop.accept(plan, request)
            dead = tick - self._scenario.dies if self._scenario.dies else -1
            if dead == 0:
                self._loop.lose_motion()
                yield "/controller/status", now_s, self._status(now_s, State.WAITING, 13)
            dead_ticks = DEAD_TICKS if self._ahead is None else 1
            if 0 <= dead < dead_ticks:
                continue
            if dead == dead_ticks:
                self._loop.take_up(self._told_last or sent[-2], now_s)
                if self._ahead is not None:
                    self._ahead = self._another()
            if self._ahead is not None:
                *before, last = self._ahead.stream.sent_since(-np.inf)[1] or [None]
                self._told_last = last and replace(last, before=tuple(before))
            commands, trajectory = self._commands(now_s)
            if self._scenario.plan_ticks:
                coming += self._request(tick, now_s)
            for topic, message in self._sent(now_s, commands, trajectory):
                yield topic, now_s, message
            for command in commands:
                if command.position is not None:
                    stands = tick in self._scenario.stands
                    position = position if stands else self._moved(position, command)
                    motion = Motion(command.position, command.velocity, command.acceleration)
                    sent.append(Sent(command.stamp_s, motion))
                stamp_s, takeover = command.stamp_s, command.takeover
                if takeover is not None:
                    self._plan_number = takeover.request.plan_number
                    yield "/controller/action_chunk", now_s, self._chunk(stamp_s, takeover)
                    yield "/controller/memory", now_s, self._memory(stamp_s, takeover)
                if (command.state, command.reason) != self._told:
                    self._told = (command.state, command.reason)
                    yield "/controller/status", now_s, self._status(stamp_s, *self._told)

    def _commands(self, now_s):
        """Commands of a tick, and the points that it sends where it streams."""
        if self._ahead is None:
            return [self._command(now_s)], None
        self._loop.advance(now_s)
        order, takeover = self._loop.order(now_s, self._loop.decide(now_s))
        self._takeover = takeover or self._takeover
        found = self._ahead.tick(now_s, order)
        if order.begin_at is not None:
            self._loop.note_begun(self._ahead.stream.end_s)
        commands = list(found.commands)
        for each in commands:
            self._loop.note_led(each.stamp_s, each.position)
        if found.takes_chunk:
            commands[0] = replace(commands[0], takeover=self._takeover)
        return commands, found.message

    def _sent(self, now_s, commands, trajectory):
        """Topic and message of all that a tick publishes."""
        if self._robot.commands_topic == COMMANDS_TOPIC:
            if self._ahead is not None:
                return self._outputs.ahead(trajectory, commands, now_s)
            return self._outputs.of(commands[-1])
        topic = f"/{self._robot.commands_topic}"
        if self._ahead is not None:
            return [] if trajectory is None else [(topic, _points(trajectory))]
        if commands[-1].position is None:
            return []
        return [(topic, self._trajectory(now_s, commands[-1]))]

    def _moved(self, position, command):
        """Where the robot is at the next tick."""
        held = position + command.position / self._scenario.rate_hz
        return np.where(self._robot.action_spec.are_velocities, held, command.position)

    _takeover = None
    _told_last = None
    _plan_number = 0

    def _command(self, now_s):
        if not self._scenario.decided_before_s:
            return self._loop.tick(now_s)
        decided_s = now_s - self._scenario.decided_before_s
        self._loop.advance(decided_s)
        order, takeover = self._loop.order(decided_s, self._loop.decide(decided_s))
        command = self._motion.follow(now_s, order)
        self._loop.note_led(now_s, command.position)
        return replace(command, takeover=takeover)

    def _request(self, tick, now_s):
        request = self._loop.plan_request(now_s)
        if request is None:
            return []
        plan = self._policy.plan(request.window, request.memory)
        return [(tick + self._scenario.plan_ticks, plan, request)]

    def _pushed_away(self, tick):
        """How far a hand has moved each joint, no faster than it can move."""
        pushed = self._scenario.pushed
        if tick not in pushed:
            return 0.0
        return _PUSH * min(tick - pushed.start + 1, pushed.stop - tick)

    def _observe(self, now_s, tick, position):
        for stream in self._robot.streams:
            name = stream.spec.name
            if stream.spec.kind == "vector":
                value = position + self._random.normal(0, self._scenario.noise, 7)
                value = value + self._pushed_away(tick)
                if stream.spec.wraps:
                    turned = (value + np.pi) % (2 * np.pi) - np.pi
                    value = np.where(wrapping(stream.spec), turned, value)
                names = list(stream.spec.names)
                yield from self._see_joints(
                    stream, now_s, tick, dict(zip(names, value, strict=True))
                )
                continue
            elif tick % 2 or (name == "camera_wrist" and tick in self._scenario.frozen):
                continue
            else:
                height, width = stream.message_size
                pixels = self._random.integers(0, 255, height * width * 3, dtype=np.uint8)
                message = T["sensor_msgs/msg/Image"](
                    _header(now_s), height, width, "rgb8", 0, 3 * width, pixels
                )
            self._loop.observe(name, *observation_from(message, stream))
            yield "/" + stream.topic, now_s, message

    def _see_joints(self, stream, now_s, tick, values):
        parts = [(now_s, values)]
        if self._scenario.is_apart:
            gripper = {name: values.pop(name) for name in list(values)[-1:]}
            own_s = _nanoseconds_exact(now_s - 0.003)
            parts.append((own_s, {"wheel": 0.1 * tick}))
            parts += [(own_s, gripper)] if tick % 2 == 0 else []
        for stamp_s, part in parts:
            numbers = np.array(list(part.values()))
            message = T["sensor_msgs/msg/JointState"](
                _header(stamp_s), list(part), numbers, np.zeros(0), np.zeros(0)
            )
            found = observation_from(message, stream)
            if found is not None:
                self._loop.observe(stream.spec.name, *found)
            yield "/" + stream.topic, now_s, message

    def _trajectory(self, now_s, command):
        none, zero = np.zeros(0), T["builtin_interfaces/msg/Duration"](0, 0)
        motion = command.position, command.velocity, command.acceleration
        point = T["trajectory_msgs/msg/JointTrajectoryPoint"](*motion, none, zero)
        names = list(self._robot.action_spec.joint_names)
        return T["trajectory_msgs/msg/JointTrajectory"](_header(now_s), names, [point])

    def _status(self, now_s, state, reason):
        return T["ddpm_msgs/msg/ControllerStatus"](
            header=_header(now_s),
            state=int(state),
            reason=int(reason),
            text="",
            checkpoint="",
            checkpoint_hash="",
            checkpoint_error="",
            engine="",
            plan_number=self._plan_number,
            seed=self._seed,
            control_rate_hz=self._scenario.rate_hz,
            ticks=0,
            missed_ticks=0,
            tick_period_max_s=0.0,
            inference_time_s=0.0,
            observation_to_command_s=0.0,
            stream_names=[],
            stream_ages_s=np.zeros(0),
            stream_arrival_ages_s=np.zeros(0),
            stream_rates_hz=np.zeros(0),
            stream_out_of_order=np.zeros(0, np.uint64),
            masked_streams=[],
            limit_names=[],
            limit_counts=np.zeros(0, np.uint64),
            surprise=np.nan,
            out_of_distribution=np.nan,
            out_of_distribution_limit=np.nan,
            state_age_s=np.nan,
            prior_disagreement=np.nan,
            state_spread=np.nan,
            state_resets=0,
            state_reset_text="",
            departure=np.nan,
            departure_limit=np.nan,
        )

    def _chunk(self, now_s, takeover):
        chunk, request = takeover.plan.chunk, takeover.request
        names, facts = list(request.window[-1].values), self._policy.facts
        return T["ddpm_msgs/msg/ActionChunk"](
            header=_header(now_s),
            start=_time(chunk.start_s),
            period=T["builtin_interfaces/msg/Duration"](0, 100_000_000),
            joint_names=list(chunk.joint_names),
            num_rows=len(chunk.actions),
            rows=chunk.actions.astype(np.float64).reshape(-1),
            plan_number=request.plan_number,
            seed=self._seed,
            checkpoint_hash=facts.checkpoint_hash,
            engine=facts.engine,
            num_inference_steps=facts.num_inference_steps,
            expected_delay_s=facts.expected_delay_s or request.expected_delay_s or 0.0,
            override_names=list(facts.settings),
            override_values=[str(value) for value in facts.settings.values()],
            requested=_time(request.requested_s),
            observation_stamp=_time(request.requested_s),
            stream_names=names,
            window_stamps=[_time(o.stamp_s) for o in request.window],
            source_stamps=[_time(o.source_stamps_s[n]) for o in request.window for n in names],
            element_names=element_stamps(request.window)[0],
            element_stamps=[_time(each_s) for each_s in element_stamps(request.window)[1]],
            masked_streams=list(request.window[-1].masked),
            inference_time_s=0.0,
        )

    def _memory(self, now_s, takeover):
        arrays = packed(takeover.request.memory)
        return T["ddpm_msgs/msg/Memory"](
            header=_header(now_s),
            plan_number=takeover.request.plan_number,
            memory_kind="",
            names=arrays.names,
            dtypes=arrays.dtypes,
            num_dimensions=np.array(arrays.num_dimensions, np.uint32),
            shapes=np.array(arrays.shapes, np.uint32),
            data=np.array(arrays.data, np.uint8),
        )


class _Outputs:
    """The publishers of a robot with several topics, which publish into a list."""

    def __init__(self, robot, period_s):
        # Imported here: the messages of ROS are not needed for a robot with one topic.
        from ddpm_controller.ros.commanding.command_publisher import CommandPublisher

        self._published = []
        self._publisher = CommandPublisher(
            self, robot.outputs, period_s, 1, whole_topic=COMMANDS_TOPIC
        )

    def create_publisher(self, kind, topic, qos, event_callbacks=None):
        module = kind.__module__.split(".")
        return _ListedPublisher(self._published, f"/{topic}", f"{module[0]}/msg/{kind.__name__}")

    def of(self, command):
        if command.position is not None:
            self._publisher.send(command)
        return self._taken()

    def ahead(self, trajectory, commands, now_s):
        self._publisher.send_ahead(trajectory, commands, now_s)
        return self._taken()

    def _taken(self):
        taken = list(self._published)
        self._published.clear()
        return taken


@dataclass
class _ListedPublisher:
    published: list
    topic: str
    kind: str

    def get_subscription_count(self):
        return 1

    def publish(self, message):
        is_raw = isinstance(message, bytes)
        found = message_types().deserialize_cdr(message, self.kind) if is_raw else plain(message)
        self.published.append((self.topic, found))


def _points(trajectory):
    """The message of a trajectory, with the moments in whole nanoseconds."""
    begin_ns, point = (
        _nanoseconds(trajectory.stamp_s),
        T["trajectory_msgs/msg/JointTrajectoryPoint"],
    )
    points = []
    for i, time_s in enumerate(trajectory.times_s):
        since_ns = _nanoseconds(trajectory.stamp_s + time_s) - begin_ns
        after = T["builtin_interfaces/msg/Duration"](since_ns // 10**9, since_ns % 10**9)
        rows = (trajectory.positions, trajectory.velocities, trajectory.accelerations)
        points.append(point(*(each[i] for each in rows), np.zeros(0), after))
    names = list(trajectory.joint_names)
    return T["trajectory_msgs/msg/JointTrajectory"](_header(trajectory.stamp_s), names, points)


def _nanoseconds(stamp_s):
    sec, nanosec = stamp_from(stamp_s)
    return sec * 10**9 + nanosec


def _nanoseconds_exact(stamp_s):
    sec, nanosec = stamp_from(stamp_s)
    return sec + nanosec * 1e-9


def _time(stamp_s):
    return T["builtin_interfaces/msg/Time"](*stamp_from(stamp_s))


def _header(stamp_s):
    return T["std_msgs/msg/Header"](_time(stamp_s), "")

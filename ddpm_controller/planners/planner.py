"""A planner as a policy: it searches its next chunk in rollouts of a model."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import mujoco
import numpy as np

from ddpm_controller.dynamics.rollouts import Rollouts
from ddpm_controller.planners.config import WEIGHT, PlannerConfig
from ddpm_controller.planners.objective import ActionRange, Objective, Risk
from ddpm_controller.planners.observed_state import ObservedState
from ddpm_controller.planners.proposal import Proposal
from ddpm_controller.planners.requests import REQUESTS, Requests
from ddpm_controller.planners.sampling import Found, search
from ddpm_controller.planners.splines import DEGREES, spline_matrix
from ddpm_controller.planners.warm_start import PAST_S, Timeline
from ddpm_controller.policy import EXPECTED_DELAY, Policy, PolicyFacts, Window
from ddpm_controller.rewards.motion import motion_of
from ddpm_controller.rewards.task import Task
from ddpm_controller.rewards.terms import keyframe
from ddpm_controller.types import ActionChunk, ActionSpec, Memory, Observation, Plan, StreamSpec

_ROWS, _STAMP, _LAST = "planned_rows", "planned_stamp_s", "planned_last"
_KNOTS, _TURNS, _REQUESTS = "knots", "gait_turns", "followed_requests"


@dataclass(frozen=True, eq=False)
class Rest:
    """The key frame in which the robot rests.

    Attributes:
        qpos: (nq,).
        ctrl: (nu,).
    """

    qpos: np.ndarray
    ctrl: np.ndarray


@dataclass(frozen=True, eq=False)
class _Moment:
    """What a plan begins with.

    Attributes:
        qpos: (nq,) at the moment of the window.
        qvel: (nv,).
        rows: (T, nu) of the timeline as seen from this moment.
        is_first: Whether there is no plan before it.
        frozen: Ticks in which the plan before is still followed.
        turns: Periods of the gait that have passed.
        requests: (5,), what is followed now of ``REQUESTS``; NaN: nothing.
        asked: (5,), to which it leads.
    """

    qpos: np.ndarray
    qvel: np.ndarray
    rows: np.ndarray
    is_first: bool
    frozen: int
    turns: float
    requests: np.ndarray
    asked: np.ndarray


@dataclass(frozen=True, eq=False)
class _Beginning:
    """The plan with which a search begins.

    Attributes:
        offset: (H, nu), to which a spline is added.
        knots: (K, nu), the nominal spline.
        others: Further candidates, (K, nu) each.
        memory: What the policy that proposed it remembers, in place of the same keys.
    """

    offset: np.ndarray
    knots: np.ndarray
    others: Sequence[np.ndarray]
    memory: Memory


@dataclass(frozen=True, eq=False)
class Searched:
    """A plan with what it was searched in.

    Attributes:
        plan: The plan.
        objective: Rewards of candidates.
        begin: (K, nu), the nominal knots.
        found: What was found.
    """

    plan: Plan
    objective: Objective
    begin: np.ndarray
    found: Found


class Planner:
    """Searches a chunk from the state in which it takes over.

    Args:
        config: What it is.
        model: Its model.
        task: What it is to do.
        action_spec: Action spec of the chunks.
        streams: What is observed.
        n_action_steps: Rows of a chunk behind those that are in flight.
        checkpoint_hash: The checkpoint's; empty without one.
        nominal: Policy from whose chunk a plan begins; None: from the plan before.

    Attributes:
        facts: What the runtime may ask.
        config: As given.
        task: As given.
        model: As given.
        rest: Key frame in which the robot rests.

    Raises:
        ValueError: Model, task, action and streams do not fit each other.
    """

    def __init__(
        self,
        config: PlannerConfig,
        model: mujoco.MjModel,
        task: Task,
        action_spec: ActionSpec,
        streams: tuple[StreamSpec, ...],
        n_action_steps: int | None = None,
        checkpoint_hash: str = "",
        nominal: Policy | None = None,
    ) -> None:
        self.config, self.task, self.model = config, task, model
        self._streams = streams
        self._settings, self._tick_s = config.search, action_spec.period_s
        self._horizon = config.search.horizon
        self._n_action_steps = _rows_sent(n_action_steps, self._horizon)
        self._cadence_hz = task.gait.cadence_hz if task.gait else 0.0
        self._period_ticks = 1.0 / (self._cadence_hz * self._tick_s) if task.gait else 0.0
        self._past = round(PAST_S / self._tick_s)
        if task.gait and task.gait.period_s > PAST_S:
            raise ValueError(
                f"a gait must have at least {1 / PAST_S:g} periods a second, got "
                f"{self._cadence_hz:g}"
            )
        self._serve(model, action_spec)
        self._matrix, self._fit = spline_of(
            self._horizon, config.search.knots, config.search.spline
        )
        self._state = ObservedState(model, config.state, streams, self.rest.qpos)
        self._requests = Requests(config.requests, config.acceleration, streams)
        self._proposal = self._proposal_of(nominal) if nominal is not None else None
        kind = self._memory_kind("" if nominal is None else nominal.facts.checkpoint_hash)
        self.facts = self._facts(action_spec, streams, checkpoint_hash, kind)

    def _serve(self, model: mujoco.MjModel, spec: ActionSpec) -> None:
        """Make what depends on the model."""
        config = self.config
        actuators = actuators_of(model, spec)
        # Commands of rollouts are in the order of the actuators, those of chunks in their own.
        self._to_model, self._to_chunk = np.argsort(actuators), np.asarray(actuators)
        key = keyframe(model, config.keyframe)
        self.rest = Rest(key.qpos.copy(), key.ctrl.copy())
        self._action = _action_range(model, self.rest.ctrl, config.scale)
        solved = config.solver.applied(model)
        models = config.perturbed.of(solved)
        self._rollouts = Rollouts(models, self._tick_s, config.search.threads)
        self._nominal_rollouts = (
            Rollouts([solved], self._tick_s) if len(models) > 1 else self._rollouts
        )
        self._reward = self.task.bind(model)
        self._risk = Risk(config.search.risk, config.search.worst_share)

    def _proposal_of(self, nominal: Policy) -> Proposal:
        return Proposal(nominal, self._state, self._nominal_rollouts, self._action, self._to_model)

    def _facts(
        self, spec: ActionSpec, streams: tuple[StreamSpec, ...], checkpoint_hash: str, kind: str
    ) -> PolicyFacts:
        settings = self._settings
        return PolicyFacts(
            streams=streams,
            action_spec=spec,
            n_obs_steps=1,
            checkpoint_hash=checkpoint_hash,
            settings=self._known_settings(),
            num_inference_steps=settings.iterations,
            remembers_plans=True,
            memory_kind=kind,
            # A plan continues the one that is followed when it is asked for, not one on its way.
            replan_period_s=2 * self._tick_s,
            maskable=tuple(sorted(self._requests.streams)),
            text=(
                f"{settings.method}: {settings.iterations} iterations of {settings.rollouts} "
                f"rollouts over {settings.horizon} ticks of {self._tick_s:g} s"
            ),
            warm_up=[self.observation_of(self.rest.qpos, np.zeros(self.model.nv))],
        )

    def initial_memory(self, seed: int) -> Memory:
        """Return the memory of a run that begins: no plan, the gait at its beginning."""
        width = len(self.rest.ctrl)
        return {
            "seed": np.array(seed, np.int64),
            "plan_number": np.array(0, np.int64),
            "num_inference_steps": np.array(0, np.int64),
            EXPECTED_DELAY: np.array(0.0),
            _ROWS: np.zeros((self._past + 2 * self._horizon, width)),
            _STAMP: np.array(np.nan),
            _LAST: np.array(self._past, np.int64),
            _KNOTS: np.zeros((self._settings.knots, width)),
            _TURNS: np.array(0.0),
            _REQUESTS: np.full(len(REQUESTS), np.nan),
            **(self._proposal.initial_memory(seed) if self._proposal else {}),
        }

    def plan(self, window: Window, memory: Memory) -> Plan:
        """Return the next chunk, a pure function of window and memory.

        Its first rows are those of the plan in flight until this one takes over.

        Raises:
            ValueError: The state is not finite, or plans take longer than their horizon.
        """
        return self.searched(window[-1], memory).plan

    def searched(self, observation: Observation, memory: Memory, keep: bool = False) -> Searched:
        """Return the plan for an observation with what it was searched in; see ``plan``.

        Args:
            observation: Newest.
            memory: That of the planner.
            keep: Whether to keep all candidates.
        """
        moment = self._moment(observation, memory)
        state, commands = self._taken_over(moment)
        begin = self._beginning(observation, memory, moment, state)
        objective, settings = self._objective(moment, state, begin), self._settings
        iterations = self._iterations(memory, moment)
        found = search(
            settings.search,
            objective,
            begin.knots,
            begin.others,
            settings.rollouts,
            iterations,
            plan_generator(memory),
            pinned=settings.pinned,
            keep=keep,
        )
        rows = np.clip(self._matrix @ found.knots + begin.offset, -1.0, 1.0)
        planned = np.concatenate([commands, self._action.commands(rows)])
        remembered = {**memory, **begin.memory}
        age_s = observation.stamp_s - float(memory[_STAMP])
        plan = Plan(
            chunk=self._chunk(observation.stamp_s, planned, moment.frozen),
            memory=self._remembered(observation, remembered, moment, rows, found),
            traces={
                "horizon": planned[:, self._to_chunk],
                **_traces(found, settings.rollouts, iterations, moment.frozen, age_s),
            },
        )
        return Searched(plan, objective, begin.knots, found)

    def observation_of(
        self, qpos: np.ndarray, qvel: np.ndarray, stamp_s: float = 0.0
    ) -> Observation:
        """Return an observation that shows a state of the model; what else is observed is 0."""
        known, values = self._state.values_of(qpos, qvel), {}
        for stream in self._streams:
            is_image = stream.kind == "image"
            values[stream.name] = np.zeros(stream.shape, np.uint8 if is_image else np.float64)
            for element, number in known.get(stream.name, {}).items():
                values[stream.name][element] = number
        return Observation(stamp_s, values)

    def commands_of(self, actions: np.ndarray) -> np.ndarray:
        """Return rows of a chunk (N, nu) in the order of the actuators of the model."""
        found: np.ndarray = actions[:, self._to_model]
        return found

    def reward_of(self, qpos: np.ndarray, qvel: np.ndarray, commands: np.ndarray) -> np.ndarray:
        """Return rewards (N, H) of motions (N, H, .), without a request, the gait at its start."""
        turns = np.zeros(qpos.shape[1])
        rewards: np.ndarray = self._reward(motion_of(qpos, qvel, commands, turns, {}))
        return rewards

    def _objective(self, moment: _Moment, state: np.ndarray, begin: _Beginning) -> Objective:
        ahead_s = self._tick_s * (moment.frozen + np.arange(1, self._horizon + 1))
        return Objective(
            rollouts=self._rollouts,
            reward=self._reward,
            matrix=self._matrix,
            offset=begin.offset,
            action=self._action,
            risk=self._risk,
            state=state,
            turns=moment.turns + self._cadence_hz * ahead_s,
            requests=self._requests.ahead(moment.requests, moment.asked, ahead_s),
        )

    def _memory_kind(self, nominal_hash: str) -> str:
        length = self._past + 2 * self._horizon
        shapes = f"planner: {len(self.rest.ctrl)} actions, {length} ticks"
        knots = f"{shapes}, {self._settings.knots} knots"
        return f"{knots}, from {nominal_hash}" if nominal_hash else knots

    def _moment(self, observation: Observation, memory: Memory) -> _Moment:
        qpos, qvel = self._state.of(observation)
        now_s, last = observation.stamp_s, int(memory[_LAST])
        timeline = Timeline(memory[_ROWS], self._past, last, float(memory[_STAMP]))
        rows = timeline.at(now_s, self._tick_s, self._period_ticks)
        passed_s = 0.0 if rows is None else now_s - float(memory[_STAMP])
        asked = self._requests.asked(observation)
        measured = self._state.motion_of(qpos, qvel)
        return _Moment(
            qpos=qpos,
            qvel=qvel,
            rows=np.zeros_like(memory[_ROWS]) if rows is None else rows,
            is_first=rows is None,
            frozen=self._frozen(float(memory[EXPECTED_DELAY])),
            turns=float(memory[_TURNS]) + self._cadence_hz * passed_s,
            requests=self._requests.followed(memory[_REQUESTS], asked, measured, passed_s),
            asked=asked,
        )

    def _frozen(self, delay_s: float) -> int:
        """Return the ticks before a plan takes over."""
        frozen = max(int(np.ceil(delay_s / self._tick_s - 1e-6)), 0) + self._settings.join_ticks
        if frozen > self._horizon:
            raise ValueError(
                f"plans take {delay_s:.3g} s, longer than the horizon of {self._horizon} ticks of "
                f"{self._tick_s:g} s: lower rollouts or iterations, or raise horizon"
            )
        return frozen

    def _taken_over(self, moment: _Moment) -> tuple[np.ndarray, np.ndarray]:
        """Return the state at the take-over, and the commands until then (frozen, nu)."""
        commands = self._action.commands(moment.rows[self._past : self._past + moment.frozen])
        rollouts = self._nominal_rollouts
        act = commands[0] if len(commands) else self.rest.ctrl
        model = rollouts.model
        state = rollouts.state_of(
            moment.qpos, moment.qvel, act if model.na == model.nu else np.zeros(model.na)
        )
        if moment.frozen and self._settings.predicts:
            ahead = rollouts.ahead(state, commands)
            state = state if ahead is None else ahead
        return state, commands

    def _beginning(
        self, observation: Observation, memory: Memory, moment: _Moment, state: np.ndarray
    ) -> _Beginning:
        before = moment.rows[self._behind(moment)]
        if self._proposal is None:
            knots = np.clip(self._fit @ before, -1.0, 1.0)
            return _Beginning(np.zeros_like(before), knots, [], {})
        offset, remembered = self._proposal.rows(
            observation, memory, state, moment.frozen, self._horizon
        )
        others = [] if moment.is_first else [np.clip(self._fit @ (before - offset), -1.0, 1.0)]
        return _Beginning(offset, np.zeros_like(memory[_KNOTS]), others, remembered)

    def _behind(self, moment: _Moment) -> slice:
        begin = self._past + moment.frozen
        return slice(begin, begin + self._horizon)

    def _iterations(self, memory: Memory, moment: _Moment) -> int:
        asked = int(memory["num_inference_steps"]) or self._settings.iterations
        first = self._settings.first_iterations
        return max(asked, first) if moment.is_first and first else asked

    def _chunk(self, stamp_s: float, planned: np.ndarray, frozen: int) -> ActionChunk:
        spec = self.facts.action_spec
        sent = planned[: frozen + self._n_action_steps]
        return ActionChunk(stamp_s, spec.period_s, spec.joint_names, sent[:, self._to_chunk])

    def _remembered(
        self,
        observation: Observation,
        memory: Memory,
        moment: _Moment,
        rows: np.ndarray,
        found: Found,
    ) -> Memory:
        planned = moment.rows.copy()
        behind = self._behind(moment)
        planned[behind] = rows
        planned[behind.stop :] = rows[-1]
        return {
            **memory,
            "plan_number": np.array(int(memory["plan_number"]) + 1, np.int64),
            "num_inference_steps": np.array(0, np.int64),
            EXPECTED_DELAY: np.array(0.0),
            _ROWS: planned,
            _STAMP: np.array(observation.stamp_s),
            _LAST: np.array(behind.stop - 1, np.int64),
            _KNOTS: found.knots,
            _TURNS: np.array(moment.turns),
            _REQUESTS: moment.requests,
        }

    def _known_settings(self) -> dict[str, float | str]:
        weights = {WEIGHT + name: each[0] for name, each in self.task.terms.items()}
        return {**asdict(self._settings), **weights}


def _traces(
    found: Found, rollouts: int, iterations: int, frozen: int, age_s: float
) -> dict[str, float]:
    best, mean, spread = found.rewards
    return {
        "rollouts": rollouts,
        "iterations": iterations,
        "effective_sample_size": found.effective_sample_size,
        "reward_best": best,
        "reward_mean": mean,
        "reward_spread": spread,
        "diverged": found.bad,
        "is_lost": found.is_lost,
        "plan_age_s": age_s,
        "frozen_ticks": frozen,
    }


def spline_of(horizon: int, knots: int, spline: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the matrices from knots to ticks (H, K), and back with the least squares (K, H)."""
    places = np.linspace(0.0, horizon - 1.0, knots)
    matrix = spline_matrix(places, np.arange(float(horizon)), DEGREES[spline])
    return matrix, np.linalg.pinv(matrix)


def actuators_of(model: mujoco.MjModel, spec: ActionSpec) -> list[int]:
    """Return the actuator of each column of an action; named as it is, or as its joint.

    Raises:
        ValueError: A column has none, or an actuator no column.
    """
    names = {}
    for index in range(model.nu):
        names[model.actuator(index).name] = index
        if model.actuator_trntype[index] == mujoco.mjtTrn.mjTRN_JOINT:
            names[model.joint(int(model.actuator_trnid[index, 0])).name] = index
    found = [names.get(name) for name in spec.joint_names]
    if None in found or len(found) != model.nu or len(set(found)) != model.nu:
        known = [model.actuator(index).name for index in range(model.nu)]
        raise ValueError(
            f"the actuators of the model do not fit the action: the model has {known}, the action "
            f"{list(spec.joint_names)}"
        )
    return [index for index in found if index is not None]


def _action_range(model: mujoco.MjModel, rest: np.ndarray, scale: float) -> ActionRange:
    limited = model.actuator_ctrllimited.astype(bool)
    low = np.where(limited, model.actuator_ctrlrange[:, 0], -np.inf)
    high = np.where(limited, model.actuator_ctrlrange[:, 1], np.inf)
    if scale > 0:
        return ActionRange(rest, np.full(len(rest), scale), low, high)
    if not limited.all():
        raise ValueError("scale 0 is the range of each actuator, and some have none: give a scale")
    return ActionRange((low + high) / 2, (high - low) / 2, low, high)


def _rows_sent(asked: int | None, horizon: int) -> int:
    if asked is not None and not 1 <= asked <= horizon:
        raise ValueError(
            f"n_action_steps must be from 1 to the horizon of {horizon} ticks, got {asked}"
        )
    return asked or horizon


def plan_generator(memory: Memory) -> np.random.Generator:
    """Return the noise of plan ``plan_number`` of the run with ``seed``."""
    seed, number = int(memory["seed"]) % 2**64, int(memory["plan_number"]) % 2**64
    words = [seed % 2**32, seed >> 32, number % 2**32, number >> 32]
    return np.random.default_rng(np.random.SeedSequence(words))

"""Every recorded plan made again from what it was made from, and compared bit for bit."""

import bisect
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ddpm_controller.bags.files import BagError
from ddpm_controller.checkpoint import Checkpoint, load_checkpoint, refuse_mismatch
from ddpm_controller.control.states import OBSERVATION_REASONS, Reason, State
from ddpm_controller.policy import EXPECTED_DELAY, PlanSettings, Policy, memory_difference
from ddpm_controller.replay.recorded_run import RecordedChunk, RecordedRun, RecordedStatus
from ddpm_controller.robots.trained_sources import SOURCES, compare_sources
from ddpm_controller.systems import restore
from ddpm_controller.types import ActionChunk, Memory, Plan

_REACH = 4
"""A plan continues from one of so many before it."""


@dataclass(frozen=True)
class Difference:
    """The first place where a replay leaves the recording.

    Attributes:
        where: Plan and row, or tick.
        joint: Name.
        recorded: Value in the bag.
        replayed: Value of the replay.
    """

    where: str
    joint: str
    recorded: float
    replayed: float

    def __str__(self) -> str:
        """Both values with all their digits."""
        return (
            f"{self.where}, {self.joint}: recorded {self.recorded!r}, replayed {self.replayed!r}, "
            f"{self.replayed - self.recorded:+.3g}"
        )


@dataclass(frozen=True)
class PlanComparison:
    """What making all plans again has shown.

    Attributes:
        count: Plans compared.
        num_equal: Number of these, equal bit for bit.
        first: The first difference, if any.
        skipped: Plans that could not be made again, each with the reason.
        num_resumed: Plans compared that continue from a recorded memory and from no plan before
            them: that one is from before the recording, or was lost.
    """

    count: int
    num_equal: int
    first: Difference | None
    skipped: tuple[str, ...]
    num_resumed: int = 0


@dataclass(frozen=True)
class MadeAgain:
    """One recorded plan, made again.

    Attributes:
        chunk: As recorded.
        plan: What came of it, or why nothing could.
        origin: Difference of its recorded memory from that of the plan before it.
        is_resumed: Its start is known by its recorded memory alone.
    """

    chunk: RecordedChunk
    plan: Plan | str
    origin: Difference | None = None
    is_resumed: bool = False


class Policies:
    """The policies that a bag was recorded with, restored as they were run.

    Args:
        run: The bag.
        checkpoints: Folders; one for every checkpoint that the bag has used.
        device: Torch device.
        engine: Engine that is expected; None: the recorded one, whichever that is.

    Raises:
        CheckpointError: A folder cannot be read or does not fit the robot.
    """

    def __init__(
        self,
        run: RecordedRun,
        checkpoints: Sequence[Path],
        device: str,
        engine: str | None = None,
    ) -> None:
        self._checkpoints: dict[str, Checkpoint] = {}
        self._device, self._engine = device, engine
        self._policies: dict[tuple[object, ...], Policy] = {}
        for folder in checkpoints:
            checkpoint = load_checkpoint(folder)
            sources, robot = checkpoint.manifest.provenance.get(SOURCES, {}), run.robot
            refused = compare_sources(sources, robot.streams).refused
            refuse_mismatch(checkpoint.manifest, robot.stream_specs, robot.action_spec, refused)
            self._checkpoints[checkpoint.hash] = checkpoint

    def of(self, chunk: RecordedChunk) -> Policy:
        """Return the policy of a chunk.

        Raises:
            BagError: Its checkpoint was not given, or its engine is another one or not here.
        """
        if chunk.checkpoint_hash not in self._checkpoints:
            raise BagError(
                f"plan {chunk.plan_number} was made by checkpoint {chunk.checkpoint_hash[:16]}, "
                f"given are {[known[:16] for known in self._checkpoints]}: name its folder too"
            )
        settings = PlanSettings(len(chunk.rows), self._device, chunk.settings, chunk.engine)
        key = (
            *(chunk.checkpoint_hash, chunk.engine, len(chunk.rows)),
            *sorted(chunk.settings.items()),
        )
        if key not in self._policies:
            self._policies[key] = self._restored(chunk, settings)
        return self._policies[key]

    def _restored(self, chunk: RecordedChunk, settings: PlanSettings) -> Policy:
        made = f"plan {chunk.plan_number} was computed by engine {chunk.engine!r}"
        if self._engine not in (None, chunk.engine):
            raise BagError(
                f"{made}, asked for is {self._engine!r}, which rounds differently: leave --engine "
                "out"
            )
        try:
            return restore(self._checkpoints[chunk.checkpoint_hash], settings)
        except ValueError as error:
            raise BagError(f"{made}, and here: {error}") from error


def compare_plans(
    run: RecordedRun,
    policies: Policies,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> PlanComparison:
    """Make every plan again with the recorded seed, number, sampler, observations and memory."""
    num_equal, num_resumed, first, skipped = 0, 0, None, []
    for number, made in enumerate(_plans(run, policies), start=1):
        if isinstance(made.plan, str):
            skipped.append(made.plan)
        else:
            difference = made.origin or _difference(made.chunk, made.plan.chunk)
            num_equal += difference is None
            first = first or difference
            num_resumed += made.is_resumed
        on_progress(number, len(run.chunks))
    count = len(run.chunks) - len(skipped)
    return PlanComparison(count, num_equal, first, tuple(skipped), num_resumed)


def _plans(run: RecordedRun, policies: Policies) -> Iterator[MadeAgain]:
    """Yield each recorded chunk with the plan made again, or why it could not be."""
    statuses = _Statuses(run)
    all_made: list[MadeAgain] = []
    followed: list[MadeAgain] = []  # since something started afresh
    for chunk in run.chunks:
        if not chunk.checkpoint_hash:
            why = f"plan {chunk.plan_number} is a slow approach, which no policy made"
            yield MadeAgain(chunk, why)
            continue
        policy = policies.of(chunk)
        if followed and not _continues(followed[-1].chunk, chunk, statuses):
            followed.clear()
        memory = run.memory(chunk)
        if memory is not None:
            made = _from_recorded(run, policy, chunk, memory, all_made)
        else:  # a bag from before memories were recorded, or the recorder lost it
            memory = _remembered(policy, chunk, followed)
            within = chunk is run.chunks[0] and statuses.begin_within_run(chunk)
            memory = None if within and policy.facts.remembers_plans else memory
            made = MadeAgain(chunk, _plan(run, policy, chunk, memory))
        followed.append(made)
        all_made.append(made)
        yield made


def _from_recorded(
    run: RecordedRun,
    policy: Policy,
    chunk: RecordedChunk,
    memory: Memory,
    made: Sequence[MadeAgain],
) -> MadeAgain:
    """Make a plan again from the memory that was recorded with it, and look where that is from.

    It is that of a run that begins, or of a plan before: the last one, or an older one where
    that was taken over too late. Another policy may have gone on from it.
    """
    plan = _plan(run, policy, chunk, memory)
    initial = policy.initial_memory(chunk.seed)
    before = [each.plan.memory for each in made[-_REACH:] if isinstance(each.plan, Plan)]
    known = [initial, *before, *({**initial, **each} for each in before)]
    if any(not memory_difference(memory, each) for each in known):
        return MadeAgain(chunk, plan)
    last = made[-1] if made else None
    if last is None or isinstance(last.plan, str) or not _is_next(last.chunk, chunk):
        return MadeAgain(chunk, plan, is_resumed=True)
    return MadeAgain(chunk, plan, _memory_difference(chunk, memory, last.plan.memory))


def _is_next(previous: RecordedChunk, chunk: RecordedChunk) -> bool:
    """Return whether no plan can have been lost between two recorded ones."""
    return chunk.seed == previous.seed and chunk.plan_number == previous.plan_number + 1


def _remembered(
    policy: Policy, chunk: RecordedChunk, followed: Sequence[MadeAgain]
) -> Memory | None:
    """Return what the policy remembered when it was asked for a chunk; None: not known."""
    before = [each.plan for each in followed if each.chunk.takeover_s <= chunk.requested_s]
    if before and isinstance(before[-1], Plan):
        return before[-1].memory
    return None if before and policy.facts.remembers_plans else policy.initial_memory(chunk.seed)


def _plan(
    run: RecordedRun, policy: Policy, chunk: RecordedChunk, memory: Memory | None
) -> Plan | str:
    """Make a plan again, or return why that cannot be."""
    if memory is None:
        return f"plan {chunk.plan_number} continues from one that could not be made again"
    memory = {**memory, EXPECTED_DELAY: np.array(chunk.expected_delay_s)}
    if "plan_number" in memory:  # failed plans count too, and are not recorded
        memory["plan_number"] = np.array(chunk.plan_number, np.int64)
    if "num_inference_steps" in memory:
        memory["num_inference_steps"] = np.array(chunk.num_inference_steps, np.int64)
    try:
        return policy.plan(run.window(chunk), memory)
    except BagError as error:
        return str(error)


def _continues(previous: RecordedChunk, chunk: RecordedChunk, statuses: "_Statuses") -> bool:
    """Return whether ``previous`` was still remembered when ``chunk`` was asked for."""
    same = (previous.seed, previous.checkpoint_hash) == (chunk.seed, chunk.checkpoint_hash)
    went_on = chunk.plan_number > previous.plan_number and chunk.takeover_s > previous.takeover_s
    return same and went_on and not statuses.dropped(chunk, previous.takeover_s)


class _Statuses:
    """Tells when a controller dropped its chunk, and with it what its policy remembered.

    Args:
        run: The bag.
    """

    def __init__(self, run: RecordedRun) -> None:
        newest = {status.stamp_s: status for status in run.statuses}  # lockstep may revise one
        self._stamps_s = sorted(newest)
        self._statuses = [newest[stamp_s] for stamp_s in self._stamps_s]

    def dropped(self, chunk: RecordedChunk, since_s: float = -math.inf) -> bool:
        """Return whether this happened after ``since_s``, before ``chunk`` was asked for."""
        first, end = (bisect.bisect(self._stamps_s, s) for s in (since_s, chunk.requested_s))
        return any(_has_no_chunk(status, chunk) for status in self._statuses[first:end])

    def begin_within_run(self, chunk: RecordedChunk) -> bool:
        """Return whether plans before ``chunk`` may be missing in the recording."""
        return chunk.plan_number > 0 and not self.dropped(chunk)


def _has_no_chunk(status: RecordedStatus, chunk: RecordedChunk) -> bool:
    """Return whether nothing of this checkpoint is followed any more, or not yet."""
    verdict = status.verdict
    if verdict.state in (State.INACTIVE, State.WAITING):
        return True
    swapped = status.checkpoint_hash not in ("", chunk.checkpoint_hash)
    return swapped or verdict.reason in OBSERVATION_REASONS | {Reason.NO_PLAN}


def _difference(chunk: RecordedChunk, replayed: ActionChunk) -> Difference | None:
    where = f"plan {chunk.plan_number} (taken over at {chunk.takeover_s:.3f} s)"
    if replayed.actions.shape != chunk.rows.shape or replayed.joint_names != chunk.joint_names:
        return Difference(
            f"{where}: shape", "all", *map(float, (chunk.rows.size, replayed.actions.size))
        )
    if replayed.start_s != chunk.start_s:
        return Difference(f"{where}: start", "all", chunk.start_s, replayed.start_s)
    actions = replayed.actions.astype(np.float64)
    places = np.argwhere(actions != chunk.rows)
    if len(places) == 0:
        return None
    row, column = places[0]
    return Difference(
        f"{where}, row {row}",
        chunk.joint_names[column],
        float(chunk.rows[row, column]),
        float(actions[row, column]),
    )


def _memory_difference(chunk: RecordedChunk, recorded: Memory, replayed: Memory) -> Difference:
    """Return where what a plan was made from leaves what the one before has left behind."""
    name = memory_difference(recorded, replayed)
    where = f"plan {chunk.plan_number} (taken over at {chunk.takeover_s:.3f} s): memory"
    one, other = (np.atleast_1d(each.get(name, ())) for each in (recorded, replayed))
    if one.shape != other.shape or not one.size:
        return Difference(f"{where}, size", name, float(one.size), float(other.size))
    unequal = (one != other) & ~(np.isnan(one) & np.isnan(other))
    place = tuple(np.argwhere(unequal)[0]) if unequal.any() else (0,) * one.ndim
    at = [int(index) for index in place]
    return Difference(f"{where}, {at}", name, float(one[place]), float(other[place]))

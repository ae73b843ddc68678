"""Every recorded plan made again from what it was made from, and compared bit for bit."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ddpm_controller.checkpoint import Checkpoint, load_checkpoint, refuse_mismatch
from ddpm_controller.policy import PlanSettings, Policy
from ddpm_controller.ros.bag_files import BagError
from ddpm_controller.ros.recorded_run import RecordedChunk, RecordedRun
from ddpm_controller.systems import restore
from ddpm_controller.types import ActionChunk, Memory, Plan


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
        num_equal: Of these, equal bit for bit.
        first: The first difference, if any.
        skipped: Plans that could not be made again, each with the reason.
    """

    count: int
    num_equal: int
    first: Difference | None
    skipped: tuple[str, ...]


class Policies:
    """The policies that a bag was recorded with, restored as they were run.

    Args:
        run: The bag.
        checkpoints: Folders; one for every checkpoint that the bag has used.
        device: Torch device.

    Raises:
        CheckpointError: A folder cannot be read or does not fit the robot.
    """

    def __init__(self, run: RecordedRun, checkpoints: Sequence[Path], device: str) -> None:
        self._checkpoints: dict[str, Checkpoint] = {}
        self._device = device
        self._policies: dict[tuple[object, ...], Policy] = {}
        for folder in checkpoints:
            checkpoint = load_checkpoint(folder)
            refuse_mismatch(checkpoint.manifest, run.robot.stream_specs, run.robot.action_spec)
            self._checkpoints[checkpoint.hash] = checkpoint

    def of(self, chunk: RecordedChunk) -> Policy:
        """Return the policy of a chunk.

        Raises:
            BagError: Its checkpoint was not given.
        """
        if chunk.checkpoint_hash not in self._checkpoints:
            raise BagError(
                f"plan {chunk.plan_number} was made by checkpoint {chunk.checkpoint_hash[:16]}, "
                f"given are {[known[:16] for known in self._checkpoints]}: name its folder too"
            )
        rows, steps = len(chunk.rows), chunk.num_inference_steps
        key = (chunk.checkpoint_hash, chunk.sampler, steps, rows)
        if key not in self._policies:
            settings = PlanSettings(chunk.sampler or None, steps or None, rows, self._device)
            self._policies[key] = restore(self._checkpoints[chunk.checkpoint_hash], settings)
        return self._policies[key]


def compare_plans(
    run: RecordedRun,
    policies: Policies,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> PlanComparison:
    """Make every plan again with the recorded seed, number, sampler and observations."""
    num_equal, first, skipped = 0, None, []
    for number, (chunk, plan) in enumerate(_plans(run, policies), start=1):
        if isinstance(plan, str):
            skipped.append(plan)
        elif (difference := _difference(chunk, plan.chunk)) is None:
            num_equal += 1
        else:
            first = first or difference
        on_progress(number, len(run.chunks))
    return PlanComparison(len(run.chunks) - len(skipped), num_equal, first, tuple(skipped))


def _plans(run: RecordedRun, policies: Policies) -> Iterator[tuple[RecordedChunk, Plan | str]]:
    """Yield each recorded chunk with the plan made again, or why it could not be."""
    memory: Memory | None = None
    previous: RecordedChunk | None = None
    for chunk in run.chunks:
        if not chunk.checkpoint_hash:
            yield chunk, f"plan {chunk.plan_number} is a slow approach, which no policy made"
            continue
        policy = policies.of(chunk)
        if memory is None or previous is None or not _continues(previous, chunk):
            memory = policy.initial_memory(chunk.seed)
        if "plan_number" in memory:  # failed plans count too, and are not recorded
            memory = {**memory, "plan_number": np.array(chunk.plan_number, np.int64)}
        previous = chunk
        try:
            plan = policy.plan(run.window(chunk), memory)
        except BagError as error:
            memory = None
            yield chunk, str(error)
        else:
            memory = plan.memory
            yield chunk, plan


def _continues(previous: RecordedChunk, chunk: RecordedChunk) -> bool:
    """Return whether two chunks are of the same run of the same policy."""
    same = (previous.seed, previous.checkpoint_hash) == (chunk.seed, chunk.checkpoint_hash)
    return same and chunk.plan_number > previous.plan_number


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

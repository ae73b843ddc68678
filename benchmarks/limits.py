"""Random and adversarial chunks through the whole output path: is any limit ever exceeded?

python benchmarks/limits.py --chunks 20000

Every episode has a robot of its own (limits, rate, fade), begins anywhere, and gets chunks that
jump, leave the limits, are huge, are not finite, come late or in bursts, on ticks that are on
time, jitter, come late or twice, with observations that fail. It ends with a stop. The
differences are taken over the time by which the motion went on, ``Command.step_s``.
"""

import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import tyro
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from ddpm_controller.control.command import Command
from ddpm_controller.control.loop import ControlLoop
from ddpm_controller.control.loop_settings import LoopSettings
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.types import ActionChunk, ActionSpec, Plan, StreamSpec

JOINTS = ("a", "b", "c", "d", "e", "f", "g")
NUM_JOINTS = len(JOINTS)
KINDS = ("smooth", "noisy", "jump", "far", "huge", "not finite", "same", "zigzag", "one row")


@dataclass(frozen=True)
class Options:
    """Search for violations.

    Attributes:
        chunks: How many, in all.
        seed: Of everything.
        ticks_per_chunk: Between two chunks, in the mean.
        chunks_per_episode: For each robot; then it is stopped, which takes hundreds of ticks.
    """

    chunks: int = 1_000_000
    seed: int = 0
    ticks_per_chunk: int = 4
    chunks_per_episode: int = 200


class Violations:
    """Counts what exceeds a limit; shares are of the limit."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.largest: dict[str, float] = {}

    def note(self, kind: str, share: float, bad: bool) -> None:
        """Add one look at the commands of an episode."""
        self.counts[kind] += bad
        self.largest[kind] = max(self.largest.get(kind, -np.inf), share)

    def check(self, commands: list[Command], limits: JointLimits) -> None:
        """Look at one episode."""
        sent = [c for c in commands if c.position is not None]
        rows = np.array([c.position for c in sent])
        self.note("not finite", float((~np.isfinite(rows)).sum()), not np.isfinite(rows).all())
        outside = np.maximum(limits.lower - rows, rows - limits.upper).max()
        self.note("position (excess)", float(outside), outside > 0)
        # Commands for the same moment are the same and no step.
        steps_s = np.array([c.step_s for c in sent])
        still = np.abs(np.diff(rows, axis=0))[steps_s[1:] == 0]
        self.note("moved in no time", float(still.max(initial=0)), still.max(initial=0) > 0)
        kept = np.flatnonzero((steps_s > 0) | (np.arange(len(sent)) == 0))
        rows, steps_s = rows[kept], steps_s[kept][1:]
        bounds = (limits.velocity, limits.acceleration, limits.jerk)
        for order, bound in enumerate(bounds, start=1):
            spans_s = sum(steps_s[i : len(steps_s) - order + 1 + i] for i in range(order)) / order
            rows = np.diff(rows, axis=0) / spans_s[:, None]
            share = float((np.abs(rows) / bound).max(initial=0))
            self.note(("velocity", "acceleration", "jerk")[order - 1], share, share > 1)


def robot(random: np.random.Generator) -> JointLimits:
    """Limits between those of a strong gripper and of a slow heavy axis."""
    low = -(10 ** random.uniform(-2, 0.5, NUM_JOINTS))
    high = 10 ** random.uniform(-2, 0.5, NUM_JOINTS)
    velocity = 10 ** random.uniform(-1, 1, NUM_JOINTS)
    acceleration = velocity * 10 ** random.uniform(-0.5, 2, NUM_JOINTS)
    jerk = acceleration * 10 ** random.uniform(0, 2, NUM_JOINTS)
    step = np.where(
        random.random(NUM_JOINTS) < 0.3, 10 ** random.uniform(-2, 0, NUM_JOINTS), np.inf
    )
    return JointLimits(low, high, velocity, acceleration, jerk, step)


def rows_of(kind: str, limits: JointLimits, last: np.ndarray, random: np.random.Generator):
    """(Ta, Da) of one kind."""
    num = int(random.integers(2, 17))
    goal = random.uniform(limits.lower, limits.upper)
    ramp = last + np.linspace(0, 1, num)[:, None] * (goal - last)
    wide = random.uniform(2 * limits.lower, 2 * limits.upper, (num, NUM_JOINTS))
    if kind == "smooth":
        return ramp
    if kind == "noisy":
        return ramp + random.normal(0, 0.05, ramp.shape) * (limits.upper - limits.lower)
    if kind == "jump":
        return np.tile(goal, (num, 1))
    if kind == "far":
        return wide
    if kind == "huge":
        return wide * 10.0 ** random.integers(3, 300)
    if kind == "not finite":
        wide[random.integers(num), random.integers(NUM_JOINTS)] = random.choice([np.nan, np.inf])
        return wide
    if kind == "same":
        return np.tile(last, (num, 1))
    if kind == "zigzag":
        return np.where(np.arange(num)[:, None] % 2, limits.upper, limits.lower)
    return goal[None]


class Episode:
    """One robot, its loop, and what goes wrong with it."""

    def __init__(self, random: np.random.Generator, ticks_per_chunk: int) -> None:
        self._random = random
        self._ticks_per_chunk = ticks_per_chunk
        self.limits = robot(random)
        self.period_s = float(random.choice([0.02, 0.01, 0.004, 0.002]))
        self._row_s = float(random.choice([0.02, 0.05, 0.1]))
        self.stop_s = float(random.choice([0.02, 0.2, 1.0]))
        units = ("rad",) * NUM_JOINTS
        spec = ActionSpec(JOINTS, units, self._row_s)
        stream = StreamSpec("joint_state", "vector", (NUM_JOINTS,), 50.0, JOINTS, units)
        settings = LoopSettings(
            (stream,),
            {"joint_state": 5.0},
            spec,
            self.period_s,
            1e-3,
            limits=self.limits,
            fade_s=float(random.choice([0.02, 0.2, 0.5])),
            stop_s=self.stop_s,
            tolerance=None,  # else the governor would see the mild ones only
        )
        self.loop = ControlLoop(settings)
        self.loop.start({})
        self.now_s = float(random.choice([1.0, 1.7e9]))
        self.last = random.uniform(self.limits.lower, self.limits.upper)

    def run(self, num_chunks: int) -> Iterator[Command]:
        """Yield all commands; chunks come one per few ticks, or several in one."""
        yield self._tick()
        for _ in range(num_chunks):
            self._give_chunk()
            if self._random.random() > 0.1:  # else another chunk in the same tick
                for _ in range(self._random.integers(1, 2 * self._ticks_per_chunk)):
                    yield self._tick()

    def stop(self) -> Iterator[Command]:
        """Yield the commands of a stop at regular ticks, for the time that it may take."""
        self.loop.stop()
        for _ in range(int(np.ceil(self.loop.longest_stop_s / self.period_s)) + 2):
            yield self._tick(self.period_s)

    def _give_chunk(self) -> None:
        self.loop.observe("joint_state", self.now_s, self.last)
        request = self.loop.plan_request(self.now_s)
        if request is None:
            return
        random = self._random
        rows = rows_of(str(random.choice(KINDS)), self.limits, self.last, random)
        start_s = self.now_s - float(random.choice([0.0, 0.03, 0.3, 3.0, -0.1]))
        self.loop.accept(Plan(ActionChunk(start_s, self._row_s, JOINTS, rows), {}), request)

    def _tick(self, wait_s: float | None = None) -> Command:
        choice = self._random.random() if wait_s is None else 1.0
        if choice < 0.02:
            wait_s = 0.0
        elif choice < 0.1:
            wait_s = self.period_s * self._random.uniform(1, 30)
        elif choice < 0.5:
            wait_s = self.period_s * self._random.uniform(0.8, 1.2)
        self.now_s += self.period_s if wait_s is None else wait_s
        bad = wait_s is None and self._random.random() < 0.02
        value = np.full(NUM_JOINTS, np.nan) if bad else self._random.uniform(-9, 9, NUM_JOINTS)
        if self.loop.watch.measured(self.now_s) is None:
            value = self.last  # the first one tells where it begins
        self.loop.observe("joint_state", self.now_s, value)
        command = self.loop.tick(self.now_s)
        self.last = self.last if command.position is None else command.position
        return command


def main() -> int:
    """Run and print; 1 where anything was exceeded."""
    options = tyro.cli(Options)
    random = np.random.default_rng(options.seed)
    found = Violations()
    given = ticks = 0
    began_s = time.process_time()
    with Progress() as progress, suppress(KeyboardInterrupt):  # what was found is told anyway
        bar = progress.add_task("chunks", total=options.chunks)
        while given < options.chunks:
            episode = Episode(random, options.ticks_per_chunk)
            num_chunks = min(options.chunks_per_episode, options.chunks - given)
            commands = [*episode.run(num_chunks), *episode.stop()]
            found.check(commands, episode.limits)
            last = commands[-1]
            assert last.velocity is not None
            speed = np.abs(last.velocity / episode.limits.velocity).max()
            found.note("not at rest after the stop", float(speed), speed > 0)
            given, ticks = given + num_chunks, ticks + len(commands)
            progress.advance(bar, num_chunks)
    passed_s = time.process_time() - began_s
    table = Table("kind", "episodes that exceed", "largest, of the limit")
    for kind, count in found.counts.items():
        table.add_row(kind, str(count), f"{found.largest[kind]:.9g}")
    console = Console()
    console.print(table)
    per_tick = f"{passed_s / ticks * 1e3:.3f} ms of processor time per tick, all included"
    console.print(f"{given} chunks, {ticks} ticks, {per_tick}")
    return int(any(found.counts.values()))


if __name__ == "__main__":
    sys.exit(main())

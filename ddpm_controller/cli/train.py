"""The command `train`: bags in, a checkpoint out, with a progress bar."""

import math
import os
import signal
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Literal, TextIO

import tyro
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from ddpm_controller.bags.files import find_bags
from ddpm_controller.robots.robot import Robot, load_robot
from ddpm_controller.share import share_path
from ddpm_controller.training.result import Progress as TrainingProgress
from ddpm_controller.training.result import TrainingResult

if TYPE_CHECKING:
    from ddpm_controller.bags.episode_cache import EpisodeCache
    from ddpm_controller.bags.episodes import Demonstrations
    from ddpm_controller.lint.finding import Finding
    from ddpm_controller.lint.leave_out import LeaveOut
    from ddpm_controller.training.config import TrainingConfig

INTERRUPTED = 130
"""Exit code of a training that was stopped and can resume."""
Doubts = Literal["refuse", "warn", "skip"]


@dataclass(frozen=True)
class TrainCommand:
    """Train a policy from bags. The same command again resumes an unfinished training.

    On many GPUs: ``accelerate launch --multi_gpu --num_processes 2 -m ddpm_controller.cli.train
    --device cuda ...`` with a recipe whose ``num_shards`` is a multiple of the processes. The same
    with ``--device cpu`` uses CPU processes (accelerate's own ``--cpu`` would start only one).

    Attributes:
        bags: Bags, or folders of bags.
        config: Recipe, for example config/training/reach.yaml.
        output: Folder of the run: checkpoints, curves and the state to resume from.
        robot: Robot file; its streams are observed and its action is learned. Default: sim_arm.
        cache: Place where the episodes of bags are kept, so that the next start takes a moment and
            images need not fit into memory: ``user``, the user's cache folder; ``beside``, a
            folder beside the bags; ``off``, none.
        initial_checkpoint: Begin with its weights, in place of the recipe's.
        num_steps: Updates, in place of the recipe's.
        seed: In place of the recipe's.
        torch_num_threads: In place of the recipe's.
        device: In place of the recipe's.
        leave_out: File with bags and parts of bags that are not learned, as `ddpm lint --write`
            writes it.
        doubts: Treatment of doubtful recordings, see `ddpm lint`: refuse those that are surely
            wrong and warn of the others; warn of all; or skip looking.
        jobs: Number of processes that read bags of which nothing is kept; each needs the memory of
            the images of one bag. As many as there are cores when left out.
    """

    bags: tuple[Path, ...]
    config: Path
    output: Path
    robot: Path | None = None
    cache: Literal["user", "beside", "off"] = "user"
    initial_checkpoint: Path | None = None
    num_steps: int | None = None
    seed: int | None = None
    torch_num_threads: int | None = None
    device: str | None = None
    leave_out: Path | None = None
    doubts: Doubts = "refuse"
    jobs: int | None = None

    def __post_init__(self) -> None:
        if self.jobs is not None and self.jobs < 1:
            raise ValueError(f"jobs must be 1 or above, got {self.jobs}")

    def changed(self, config: "TrainingConfig") -> "TrainingConfig":
        """Return the recipe with what the command line sets.

        Raises:
            ValueError: If it breaks a rule.
        """
        names = ("num_steps", "seed", "torch_num_threads", "device")
        given = {name: getattr(self, name) for name in names}
        if self.initial_checkpoint is not None:
            given["initial_checkpoint"] = str(self.initial_checkpoint)
        return replace(config, **{name: x for name, x in given.items() if x is not None})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0, 1 after an error or 130 when it was interrupted."""
    command = tyro.cli(TrainCommand, args=arguments)
    # Imported here, as below: the help needs no torch.
    from ddpm_controller.training.config import read_training_config

    recordings = Recordings(
        command.bags,
        command.robot,
        command.leave_out,
        command.doubts,
        command.cache,
        command.jobs or os.cpu_count() or 1,
    )
    return train_from_bags(
        recordings, command.output, lambda: command.changed(read_training_config(command.config))
    )


@dataclass(frozen=True)
class Recordings:
    """What a command learns from.

    Attributes:
        bags: Bags, or folders of bags.
        robot: Robot file; None: sim_arm.
        leave_out: File of what is not learned; None: all is.
        doubts: Treatment of doubtful recordings, see ``TrainCommand``.
        cache: Place where episodes are kept, see ``TrainCommand``.
        jobs: Number of processes that read bags, see ``TrainCommand``.
    """

    bags: tuple[Path, ...]
    robot: Path | None = None
    leave_out: Path | None = None
    doubts: Doubts = "refuse"
    cache: Literal["user", "beside", "off"] = "user"
    jobs: int = 1


def train_from_bags(
    recordings: Recordings, output: Path, config_of: "Callable[[], TrainingConfig]"
) -> int:
    """Train from bags as a command does; return 0, 1 after an error or 130 when interrupted.

    Args:
        recordings: What is learned from.
        output: Folder of the run.
        config_of: Makes the recipe; its ValueErrors and TrainingErrors are reported too.
    """
    from ddpm_controller.training.config import TrainingError

    # Of many processes the first one prints.
    console = Console(quiet=os.environ.get("RANK", "0") != "0")
    try:
        # The small files first: a wrong name is reported before the long part.
        config = config_of()
        robot = load_robot(recordings.robot or Path(share_path("config/robots/sim_arm.yaml")))
        demonstrations = _demonstrations(recordings, robot, console)
        result = _trained(output, config, robot, demonstrations, console)
    except (TrainingError, ValueError) as error:
        _tell(console, "[bold red]error:[/]", str(error))
        return 1
    except KeyboardInterrupt:
        console.print("interrupted")
        return INTERRUPTED
    _summarize(console, result)
    if not result.finished:
        console.print("stopped; the same command resumes from here")
    return 0 if result.finished else INTERRUPTED


def _tell(console: Console, label: str, text: str) -> None:
    """Print a text as it is: brackets in it are lists and units, not styles."""
    console.print(label, end=" ")
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def _demonstrations(recordings: Recordings, robot: Robot, console: Console) -> "Demonstrations":
    from ddpm_controller.bags.episode_cache import cache_in
    from ddpm_controller.lint.demonstrations import chosen_demonstrations, doubts
    from ddpm_controller.lint.leave_out import LeaveOut, read_leave_out

    given = recordings.leave_out
    leave_out = read_leave_out(given) if given else LeaveOut()
    cache = cache_in(recordings.cache, robot)
    with _bar(console) as bar, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        task = bar.add_task("reading bags", total=None, text="")
        progress = partial(_show, bar, task)
        num_new = _keep_first(recordings, robot, leave_out, cache, progress)
        found = chosen_demonstrations(
            recordings.bags, robot, leave_out, cache=cache, progress=progress
        )
    for warning in caught:
        if issubclass(warning.category, UserWarning):
            _tell(console, "[yellow]warning:[/]", str(warning.message))
    if found.left_out:
        _tell(console, "[yellow]warning:[/]", f"{found.left_out} failed episodes left out")
    for text in robot.conversions:
        _tell(console, "[yellow]note:[/]", text)
    moments = sum(len(episode) for episode in found.episodes)
    console.print(f"{len(found.episodes)} episodes, {moments} moments")
    if num_kept := max(0, found.num_kept - num_new):
        num_bags = len(found.provenance["bags"])
        console.print(f"read {num_kept} of {num_bags} bags from the cache")
    if recordings.doubts != "skip":
        findings = doubts(recordings.bags, robot, leave_out, found, cache=cache)
        _doubt(findings, console, refuse=recordings.doubts == "refuse")
    return found


def _show(bar: Progress, task: TaskID, done: int, total: int) -> None:
    bar.update(task, completed=done, total=total)


def _keep_first(
    recordings: Recordings,
    robot: Robot,
    leave_out: "LeaveOut",
    cache: "EpisodeCache | None",
    progress: Callable[[int, int], None],
) -> int:
    """Have other processes keep bags where that is worth it; return how many they have kept.

    Whatever they leave is read as ever.
    """
    from ddpm_controller.bags.kept_by_many import in_processes, is_worth_it, keep_all

    if cache is None or recordings.jobs < 2 or os.environ.get("RANK", "0") != "0":
        return 0
    bags = leave_out.bags(find_bags(recordings.bags))
    missing = cache.missing(bags)
    if not is_worth_it(missing):
        return 0
    keep_all(bags, robot, cache, in_processes(recordings.jobs), progress)
    return len(missing) - len(cache.missing(missing))


def _doubt(findings: "Sequence[Finding]", console: Console, *, refuse: bool) -> None:
    """Refuse what is surely wrong, warn of the rest."""
    from ddpm_controller.lint.demonstrations import refuse_wrong, shortened

    if refuse:
        refuse_wrong(
            findings,
            "Leave the bags out (--leave-out, which `ddpm lint --write` writes), or learn them "
            "all the same: --doubts warn",
        )
    for text in shortened([f"{each.where}: {each.kind}: {each.text}" for each in findings]):
        _tell(console, "[yellow]doubtful:[/]", text)


def _trained(
    output: Path,
    config: "TrainingConfig",
    robot: Robot,
    demonstrations: "Demonstrations",
    console: Console,
) -> TrainingResult:
    from ddpm_controller.training.run import train

    with (
        _bar(console) as bar,
        _stop_signals(console) as should_stop,
        _shown_warnings(console),
    ):
        task = bar.add_task("training", total=config.num_steps, text="")

        def show(progress: TrainingProgress) -> None:
            bar.update(task, completed=progress.step, text=_figures(progress))

        return train(
            demonstrations.episodes,
            robot.action_spec,
            robot.stream_specs,
            config,
            output,
            provenance=demonstrations.provenance,
            on_progress=show,
            should_stop=should_stop,
        )


def _figures(progress: TrainingProgress) -> str:
    measured = not math.isnan(progress.validation_loss)
    held_out = f"{progress.validation_loss:.4f}" if measured else "-"
    return f"loss {progress.loss:.4f}, held out {held_out}"


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[text]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
    )


def _summarize(console: Console, result: TrainingResult) -> None:
    """Print what is where; no table, since that would cut long paths."""
    from ddpm_controller.systems import restore

    policy = restore(result.last_checkpoint) if result.last_checkpoint else None
    facts = policy.facts.text if policy else "-"
    if policy and policy.facts.warning:
        _tell(console, "[yellow]warning:[/]", policy.facts.warning)
    for name, value in (
        ("updates", result.steps),
        ("best checkpoint", result.best_checkpoint),
        ("held-out loss", f"{result.validation_loss:.5f}"),
        ("last checkpoint", result.last_checkpoint),
        ("forward process", facts),
        ("curves", result.output / "curves.png"),
        ("sampled chunks", result.output / "samples.png"),
        ("TensorBoard", f"tensorboard --logdir {result.output / 'tensorboard'}"),
    ):
        _tell(console, f"[bold]{name + ':':17}[/]", str(value))


@contextmanager
def _shown_warnings(console: Console) -> Iterator[None]:
    """Print warnings above the bar, as they come."""

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        _tell(console, "[yellow]warning:[/]", str(message))

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


@contextmanager
def _stop_signals(console: Console) -> Iterator[Callable[[], bool]]:
    """Let the first SIGINT or SIGTERM end the training tidily; a second SIGINT at once."""
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if received and number == signal.SIGINT:
            raise KeyboardInterrupt
        received.append(number)
        console.print("stopping after this update; once more to stop at once")

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, note) for number in numbers}
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


if __name__ == "__main__":
    raise SystemExit(main())

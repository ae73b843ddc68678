"""The command `train`: bags in, a checkpoint out, with a progress bar."""

import math
import os
import signal
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Literal, TextIO

import tyro
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from ddpm_controller.bags.episode_cache import cache_in
from ddpm_controller.bags.episodes import Demonstrations, read_demonstrations
from ddpm_controller.robots.robot import Robot, load_robot
from ddpm_controller.share import share_path
from ddpm_controller.systems import restore
from ddpm_controller.training.config import TrainingConfig, TrainingError, read_training_config
from ddpm_controller.training.result import Progress as TrainingProgress
from ddpm_controller.training.result import TrainingResult
from ddpm_controller.training.run import train

INTERRUPTED = 130
"""Exit code of a training that was stopped and can resume."""


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

    def changed(self, config: TrainingConfig) -> TrainingConfig:
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
    # Of many processes the first one prints.
    console = Console(quiet=os.environ.get("RANK", "0") != "0")
    try:
        # The small files first: a wrong name is reported before the long part.
        config = command.changed(read_training_config(command.config))
        robot = load_robot(command.robot or Path(share_path("config/robots/sim_arm.yaml")))
        demonstrations = _demonstrations(command, robot, console)
        result = _trained(command, config, robot, demonstrations, console)
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


def _demonstrations(command: TrainCommand, robot: Robot, console: Console) -> Demonstrations:
    with _bar(console) as bar, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        task = bar.add_task("reading bags", total=None, text="")
        found = read_demonstrations(
            command.bags,
            robot,
            cache=cache_in(command.cache, robot),
            progress=lambda done, total: bar.update(task, completed=done, total=total),
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
    if found.num_kept:
        num_bags = len(found.provenance["bags"])
        console.print(f"read {found.num_kept} of {num_bags} bags from the cache")
    return found


def _trained(
    command: TrainCommand,
    config: TrainingConfig,
    robot: Robot,
    demonstrations: Demonstrations,
    console: Console,
) -> TrainingResult:
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
            command.output,
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

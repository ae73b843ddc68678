"""What commands share that learn a file for a checkpoint: its episodes, a bar, an exit code."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from rich.console import Console
from rich.progress import Progress

from ddpm_controller.robots.robot import Robot
from ddpm_controller.types import Episode

if TYPE_CHECKING:
    from ddpm_controller.checkpoint import Checkpoint

OnProgress = Callable[[int, int], None]
"""(bags that are done, all bags)."""


class Fitted(Protocol):
    """What was learned."""

    @property
    def limit(self) -> float:
        """From which on something is unusual."""
        ...


def episodes_of(
    checkpoint: "Checkpoint", bags: Sequence[Path], robot: Robot, on_progress: OnProgress
) -> Iterator[tuple[Episode, bool]]:
    """Yield each episode, and whether it was held out from the training; bag by bag."""
    # Imported here, as below: the help of a command needs neither bags nor torch.
    from ddpm_controller.bags.episodes import read_episodes
    from ddpm_controller.bags.files import find_bags

    held_out = set(checkpoint.manifest.provenance.get("held_out", []))
    found = find_bags(bags)
    for done, bag in enumerate(found, start=1):
        for episode in read_episodes([bag], robot):
            yield episode, Path(episode.source).name in held_out
        on_progress(done, len(found))


def run_fit(fit: Callable[[OnProgress], Fitted], path: Path, num_threads: int) -> int:
    """Fit with a bar and print the limit; return 0, or 1 after an error.

    Args:
        fit: Learns and writes the file.
        path: Path of the file.
        num_threads: Threads of torch.
    """
    from ddpm_controller.checkpoint import CheckpointError
    from ddpm_controller.networks.device import use_threads

    console = Console(highlight=False)
    try:
        use_threads(num_threads)
        with Progress(console=console) as bar:
            task = bar.add_task("bags")
            fitted = fit(lambda done, total: bar.update(task, completed=done, total=total))
    except (CheckpointError, ValueError, OSError) as error:
        console.print("error:", error, markup=False, soft_wrap=True)
        return 1
    console.print(f"limit {fitted.limit:.3f}, written to {path}", soft_wrap=True)
    return 0

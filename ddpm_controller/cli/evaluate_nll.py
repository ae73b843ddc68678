"""The command `evaluate_nll`: how likely a checkpoint finds recorded episodes, term by term."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import tyro
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from ddpm_controller.evaluation.nll import NllReport, draw_nll, evaluate_nll
from ddpm_controller.evaluation.report import finite_or_none, refuse_unwritable
from ddpm_controller.policy import BoundSettings
from ddpm_controller.robots.robot import load_robot
from ddpm_controller.share import share_path
from ddpm_controller.types import Episode

if TYPE_CHECKING:
    from ddpm_controller.checkpoint import Checkpoint


@dataclass(frozen=True)
class EvaluateNll:
    """Bound the negative log-likelihood of recorded action chunks under a checkpoint.

    The bound is -log p(chunk | observations) <= L_T + sum of L_t + L_0 (Ho et al. 2020, Eq. 5), in
    nats per number in physical units; with --ticks in bits per encoder count. Lower is better.
    Compare checkpoints on the same episodes, best on those held out from training:

        ddpm evaluate-nll --checkpoint models/reach --bags recordings --held-out

    Attributes:
        checkpoint: Folder.
        bags: Bags, or folders of bags.
        robot: Robot file. Default: sim_arm.
        held_out: Only the episodes that the checkpoint's training held out.
        num_steps: Steps of the chain; 0: every timestep of training. The bound of few steps is
            what a sampler with so few of them can reach.
        variance: Variance of the steps: fixed_small, fixed_large, or learned_range where it was
            learned; default: the checkpoint's.
        ticks: Widths of one encoder count of each joint, SI units: bits per count.
        windows_per_episode: At most so many, evenly spread.
        seed: Seed of the noise.
        torch_num_threads: Threads of the network.
        output: Folder of nll.json and nll.png.
    """

    checkpoint: Path
    bags: tuple[Path, ...]
    robot: Path | None = None
    held_out: bool = False
    num_steps: int = 0
    variance: str | None = None
    ticks: tuple[float, ...] | None = None
    windows_per_episode: int = 16
    seed: int = 0
    torch_num_threads: int = 1
    output: Path = Path("runs/evaluate_nll")


def measured(command: EvaluateNll, console: Console) -> NllReport:
    """Read the episodes and bound them.

    Raises:
        CheckpointError: If the checkpoint cannot be used or does not fit the robot.
        ValueError: If bags, robot file or settings cannot be used.
    """
    # Imported here: the help needs no torch.
    from ddpm_controller.bags.episodes import read_episodes
    from ddpm_controller.checkpoint import load_checkpoint, refuse_mismatch
    from ddpm_controller.systems import restore

    checkpoint = load_checkpoint(command.checkpoint)
    robot = load_robot(command.robot or share_path("config/robots/sim_arm.yaml"))
    refuse_mismatch(checkpoint.manifest, robot.stream_specs, robot.action_spec)
    joints = robot.action_spec.joint_names
    if command.ticks is not None and len(command.ticks) != len(joints):
        raise ValueError(f"ticks needs one width for each of {list(joints)}, got {command.ticks}")
    episodes = chosen_episodes(read_episodes(command.bags, robot), checkpoint, command.held_out)
    console.print(f"{len(episodes)} episodes")
    policy = restore(checkpoint)
    console.print(policy.facts.text, policy.facts.warning, soft_wrap=True)
    settings = BoundSettings(
        command.num_steps or None, command.variance, command.ticks, command.seed
    )
    with Progress(console=console) as bar:
        task = bar.add_task("episodes", total=len(episodes))
        return evaluate_nll(
            policy,
            episodes,
            settings,
            windows_per_episode=command.windows_per_episode,
            on_progress=lambda done, total: bar.update(task, completed=done),
        )


def chosen_episodes(
    episodes: Sequence[Episode], checkpoint: "Checkpoint", held_out: bool
) -> list[Episode]:
    """Return the episodes that are looked at, their sources without folders.

    Args:
        episodes: All of the bags.
        checkpoint: The one that is looked at.
        held_out: Only those that its training held out.

    Raises:
        ValueError: There is none.
    """
    named = [replace(each, source=Path(each.source).name) for each in episodes]
    if not held_out:
        return named
    wanted = set(checkpoint.manifest.provenance.get("held_out", []))
    kept = [episode for episode in named if episode.source in wanted]
    if not kept:
        raise ValueError(
            f"none of the {len(named)} episodes was held out from the training of "
            f"{checkpoint.folder}, which held out {sorted(wanted)}; give its bags"
        )
    return kept


def table(report: NllReport, title: str) -> Table:
    """The means as a table."""
    view = Table(title=title)
    view.add_column("part")
    view.add_column(f"{report.unit} per number", justify="right")
    for name, value in report.per_term.items():
        view.add_row(name, f"{value:.4f}")
    view.add_row("all", f"{report.mean:.4f} ± {report.standard_error:.4f}", style="bold")
    for name, value in report.per_joint.items():
        view.add_row(f"joint {name}", f"{value:.4f}")
    return view


def write_json(report: NllReport, command: EvaluateNll, path: Path) -> None:
    """Write everything that was measured."""
    content = {
        **asdict(report),
        "timesteps": report.timesteps.tolist(),
        "per_timestep": report.per_timestep.tolist(),
        "per_row": [finite_or_none(value) for value in report.per_row.tolist()],
        "standard_error": finite_or_none(report.standard_error),
        "checkpoint": str(command.checkpoint),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or 1 after an error."""
    command = tyro.cli(EvaluateNll, args=arguments)
    # Imported here: the help needs no torch.
    from ddpm_controller.checkpoint import CheckpointError
    from ddpm_controller.networks.device import use_threads

    console = Console(highlight=False)
    try:
        use_threads(command.torch_num_threads)
        refuse_unwritable(command.output)
        report = measured(command, console)
    except (CheckpointError, ValueError) as error:
        console.print("error:", error, markup=False, soft_wrap=True)
        return 1
    title = f"bound on -log p, {command.checkpoint}"
    console.print(table(report, title))
    draw_nll(report, str(command.checkpoint), command.output / "nll.png")
    write_json(report, command, command.output / "nll.json")
    console.print(f"picture: {command.output / 'nll.png'}", soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

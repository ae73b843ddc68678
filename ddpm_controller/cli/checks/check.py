"""The command `check`: a checkpoint beside recordings, before it moves anything."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.console import Console
from rich.progress import Progress

from ddpm_controller.bags.files import description_in_bag, find_bags
from ddpm_controller.cli.evaluate_nll import chosen_episodes
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.evaluation.open_loop import CheckSettings, OpenLoopReport, check_open_loop
from ddpm_controller.evaluation.report import refuse_unwritable
from ddpm_controller.policy import PlanSettings
from ddpm_controller.robots.robot import Robot, RobotError, load_robot
from ddpm_controller.robots.robot_description import DescriptionError
from ddpm_controller.robots.trained_sources import SOURCES, compare_sources
from ddpm_controller.share import share_path


@dataclass(frozen=True)
class CheckOptions:
    """Plan from recordings and compare with what was recorded; nothing moves.

    Shown for each joint and row of a plan: the error, and how often what was recorded lies between
    the samples. Then: windows unlike the training, how far a plan is from the plan before it, and
    plans that the controller refuses. check.html and check.json are written. The exit code is 1
    where a threshold is not kept. Thresholds are shares: of a joint's range for error and seam, of
    windows or plans for the others.

      ddpm check models/reach --bags recordings --held-out
      ddpm check models/mine --bags new_day --robot my_arm.yaml --max-error 0.05 --max-refused 0

    Attributes:
        checkpoint: Folder of a checkpoint.
        bags: Bags, or folders of bags.
        robot: Robot file. Default: sim_arm.
        held_out: Only the episodes that the checkpoint's training held out.
        num_samples: Plans of each window, each from noise of its own.
        windows_per_episode: Windows of an episode at the most, evenly spread.
        seed: Seed of the noise.
        torch_num_threads: Threads of the network.
        output: Folder of check.html and check.json.
        max_error: Threshold for the largest mean error of a joint.
        min_coverage: Threshold for the recorded actions between the samples.
        max_out_of_distribution: Threshold for the windows unlike the training.
        max_seam: Threshold for the disagreement of a plan with the plan before it.
        max_refused: Threshold for the plans that the controller refuses.
    """

    checkpoint: tyro.conf.Positional[Path]
    bags: tuple[Path, ...]
    robot: Path | None = None
    held_out: bool = False
    num_samples: int = 8
    windows_per_episode: int = 16
    seed: int = 0
    torch_num_threads: int = 1
    output: Path = Path("runs/check")
    max_error: float | None = None
    min_coverage: float | None = None
    max_out_of_distribution: float | None = None
    max_seam: float | None = None
    max_refused: float | None = None


def past_thresholds(options: CheckOptions, report: OpenLoopReport) -> dict[str, str]:
    """Return figure -> how it is past its threshold; one that was not measured is past too."""
    # Imported here, as below: the help needs neither pictures nor torch.
    from ddpm_controller.evaluation.open_loop_page import figures_of, shown_figure

    figures = figures_of(report)
    bounds = {
        "error": options.max_error,
        "out_of_distribution": options.max_out_of_distribution,
        "seam": options.max_seam,
        "refused": options.max_refused,
    }
    past = {
        name: f"{shown_figure(figures[name])}, at most {bound:g} is allowed"
        for name, bound in bounds.items()
        if bound is not None and not _is_within(figures[name], bound)
    }
    least, found = options.min_coverage, figures["coverage"]
    if least is not None and not (found is not None and found >= least):
        past["coverage"] = f"{shown_figure(found)}, at least {least:g} is needed"
    return past


def _is_within(figure: float | None, bound: float) -> bool:
    return figure is not None and figure <= bound


def checked(options: CheckOptions, console: Console) -> OpenLoopReport:
    """Read the episodes and compare.

    Raises:
        CheckpointError: The checkpoint cannot be used or does not fit the robot.
        ValueError: Bags, robot file or settings cannot be used.
    """
    # Imported here: the help needs none of it.
    from ddpm_controller.bags.episodes import read_episodes
    from ddpm_controller.checkpoint import load_checkpoint, refuse_mismatch
    from ddpm_controller.systems import restore

    settings = CheckSettings(options.num_samples, options.windows_per_episode, options.seed)
    checkpoint = load_checkpoint(options.checkpoint)
    robot = load_robot(options.robot or share_path("config/robots/sim_arm.yaml"))
    sources = checkpoint.manifest.provenance.get(SOURCES, {})
    refused = compare_sources(sources, robot.streams).refused
    refuse_mismatch(checkpoint.manifest, robot.stream_specs, robot.action_spec, refused)
    episodes = read_episodes(options.bags, robot)
    episodes = chosen_episodes(episodes, checkpoint, options.held_out)
    limits = _limits(options.bags, robot, console)
    policy = restore(checkpoint, PlanSettings())
    with Progress(console=console) as bar:
        task = bar.add_task("episodes", total=len(episodes))
        return check_open_loop(
            policy,
            episodes,
            settings,
            limits,
            lambda done, total: bar.update(task, completed=done),
        )


def _limits(bags: Sequence[Path], robot: Robot, console: Console) -> JointLimits | None:
    """Return the limits by the description in the first bag; None where they are not known."""
    try:
        urdf = description_in_bag(find_bags(bags)[0], robot)
        if urdf:
            return robot.limits(urdf)
        reason = f"no robot description in {bags[0]}"
    except (RobotError, DescriptionError) as error:
        reason = str(error)
    console.print("no limits to compare with:", reason, markup=False, soft_wrap=True)
    return None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or 1 after an error or past a threshold."""
    options = tyro.cli(CheckOptions, args=arguments)
    from ddpm_controller.checkpoint import CheckpointError
    from ddpm_controller.evaluation.open_loop_page import (
        figures_of,
        shown_figure,
        write_open_loop_json,
        write_open_loop_page,
    )
    from ddpm_controller.networks.device import use_threads

    console = Console(highlight=False)
    try:
        use_threads(options.torch_num_threads)
        refuse_unwritable(options.output)
        report = checked(options, console)
    except (CheckpointError, ValueError) as error:
        console.print("error:", error, markup=False, soft_wrap=True)
        return 1
    past = past_thresholds(options, report)
    title = f"{options.checkpoint} beside {', '.join(map(str, options.bags))}"
    page = options.output / "check.html"
    write_open_loop_page(page, title, report, past)
    facts = {"checkpoint": str(options.checkpoint), "bags": [str(each) for each in options.bags]}
    write_open_loop_json(options.output / "check.json", report, facts, past)
    for name, figure in figures_of(report).items():
        console.print(f"{name:20} {past.get(name, shown_figure(figure))}", markup=False)
    console.print(f"page: {page}", soft_wrap=True)
    return 1 if past else 0


if __name__ == "__main__":
    sys.exit(main())

"""The command `replay`: is a recorded run reproduced, bit for bit, and if not, where not first?"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from ddpm_controller.robots.robot import RobotError, load_robot
from ddpm_controller.share import share_path

if TYPE_CHECKING:
    from ddpm_controller.replay.command_comparison import CommandComparison
    from ddpm_controller.replay.plans import Difference, PlanComparison
    from ddpm_controller.replay.recorded_run import RecordedRun

SIM_ARM = "config/robots/sim_arm.yaml"
SAME, DIFFERENT, NOT_POSSIBLE = 0, 1, 2


@dataclass(frozen=True)
class ReplayOptions:
    """Make the plans and commands of a recorded run again and compare them with the bag.

    Attributes:
        bag: A run, as `record` writes it.
        checkpoint: Folder of the checkpoint; several after swaps.
        robot: Robot file of the recording; the simulated arm's when not given.
        graph: Play the bag into a real controller node instead (lockstep recordings).
        torch_num_threads: As the controller had; another number may round differently.
        device: Torch device, as the controller had.
        engine: Engine that the plans are expected to be of; the recorded one when left out.
    """

    bag: tyro.conf.Positional[Path]
    checkpoint: Annotated[tuple[Path, ...], tyro.conf.arg(aliases=["-c"])]
    robot: Path | None = None
    graph: bool = False
    torch_num_threads: int = 1
    device: str = "cpu"
    engine: str | None = None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code is 0 when all is the same, 1 when not, 2 for an error."""
    options = tyro.cli(ReplayOptions, args=arguments)
    # Imported here, as below: the help needs neither bags nor torch.
    from ddpm_controller.bags.files import BagError
    from ddpm_controller.checkpoint import CheckpointError
    from ddpm_controller.networks.device import usable_device, use_threads
    from ddpm_controller.replay.recorded_run import read_run

    console = Console(soft_wrap=True)
    try:
        use_threads(options.torch_num_threads)
        usable_device(options.device)
        robot = load_robot(options.robot or share_path(SIM_ARM))
        run = read_run(options.bag, robot)
        if options.graph:
            return _replay_in_graph(options, run, console)
        return _replay_directly(options, run, console)
    except KeyboardInterrupt:
        return 130
    except (BagError, CheckpointError, RobotError, ValueError) as error:
        console.print(f"error: {error}", style="red", markup=False, highlight=False)
        return NOT_POSSIBLE


def _replay_directly(options: ReplayOptions, run: "RecordedRun", console: Console) -> int:
    from ddpm_controller.bags.files import BagError
    from ddpm_controller.replay.commands import compare_commands
    from ddpm_controller.replay.plans import Policies, compare_plans

    if denoiser := run.parameters.get("state_denoiser"):
        raise BagError(
            f"bag {run.bag}: the policy saw states cleaned by {denoiser}, and a bag does not have "
            "their history; replay a lockstep recording with --graph"
        )
    policies = Policies(run, options.checkpoint, options.device, options.engine)
    with _bar(console) as bar:
        task = bar.add_task("plans", total=len(run.chunks))
        plans = compare_plans(run, policies, lambda done, total: bar.update(task, completed=done))
    _tell_plans(console, plans)
    codes = [_code(plans.count, plans.num_equal)]
    if run.commands:
        commands = compare_commands(run)
        _tell_commands(console, commands)
        _tell_side(console, run, plans.first or commands.first)
        codes.append(_code(commands.count, commands.num_equal))
        codes += [_code(each.count, each.num_equal) for each in commands.outputs.values()]
    else:
        console.print("commands: none with stamps in the bag, not compared")
    return max(codes)


def _replay_in_graph(options: ReplayOptions, run: "RecordedRun", console: Console) -> int:
    # Imported here: a direct replay needs no ROS.
    from ddpm_controller.ros.controller.parameters import ControllerParameters
    from ddpm_controller.ros.simulation.replay_graph import replay_in_graph

    robot_file = options.robot or Path(share_path(SIM_ARM))
    with _bar(console) as bar:
        task = bar.add_task("commands", total=len(run.commands))
        commands = replay_in_graph(
            run,
            options.checkpoint[0],
            robot_file,
            {field.name for field in fields(ControllerParameters)} - {"checkpoint", "robot"},
            lambda done, total: bar.update(task, completed=done),
        )
    _tell_commands(console, commands)
    _tell_side(console, run, commands.first)
    return _code(commands.count, commands.num_equal)


def _bar(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, console=console, transient=True)


def _code(count: int, num_equal: int) -> int:
    if count == 0:
        return NOT_POSSIBLE
    return SAME if count == num_equal else DIFFERENT


def _tell_plans(console: Console, plans: "PlanComparison") -> None:
    console.print(f"plans: {plans.num_equal} of {plans.count} are the same, bit for bit")
    if plans.first is not None:
        console.print(f"  first difference: {plans.first}")
    if plans.num_resumed:
        console.print(
            f"  {plans.num_resumed} of them continue from a plan that is not in the bag, by their "
            "recorded memory"
        )
    for reason in plans.skipped[:3]:
        console.print(f"  not compared: {reason}")
    if len(plans.skipped) > 3:
        console.print(f"  not compared: {len(plans.skipped) - 3} more")


def _tell_commands(console: Console, commands: "CommandComparison") -> None:
    console.print(
        f"commands: {commands.num_equal} of {commands.count} are the same, bit for bit "
        f"({commands.num_runs} runs)"
    )
    if commands.first is not None:
        console.print(f"  first difference: {commands.first}")
    if commands.num_before:
        console.print(
            f"  not compared: {commands.num_before} from before the first status in the bag, or "
            "along a chunk or with a measurement from before the recording"
        )
    for name, found in commands.outputs.items():
        console.print(f"messages to {name}: {found.num_equal} of {found.count} carry them")


def _tell_side(console: Console, run: "RecordedRun", difference: "Difference | None") -> None:
    """Show whether the recording can be to blame for a difference."""
    from ddpm_controller.replay.recording_faults import recording_faults

    faults = list(recording_faults(run))
    for fault in faults:
        console.print(f"  the recording is not complete: {fault}")
    if difference is not None and not faults:
        console.print(
            "  nothing is missing in the recording, as far as it shows: what was recorded was "
            "made in another way than this release makes it"
        )


if __name__ == "__main__":
    sys.exit(main())

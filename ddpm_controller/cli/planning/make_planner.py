"""The command `make_planner`: model, task and settings in, a checkpoint that plans out."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from ddpm_controller.policy import overrides_from
from ddpm_controller.robots.robot import Robot, load_robot

if TYPE_CHECKING:
    from collections.abc import Callable

    from ddpm_controller.planners.config import PlannerConfig, SearchSettings
    from ddpm_controller.planners.planner import Planner
    from ddpm_controller.planners.saved import PlannerFiles
    from ddpm_controller.policy import Policy


@dataclass(frozen=True)
class MakePlanner:
    """Make a checkpoint that searches its plans in rollouts of a MuJoCo model.

    It has no weights and needs no training. The folder holds model, task and settings; it runs,
    swaps, records and replays as any other checkpoint.

        ddpm make-planner --model robot.xml --task trot.yaml --settings planner.yaml \
            --robot robot.yaml --output models/mine

    Attributes:
        model: MJCF file of the robot and its ground, without meshes and includes.
        task: Task file: terms with weights, see config/planning.
        settings: Planner's file: search, rollouts, and what is observed of the state.
        robot: Robot file, whose streams and action the planner has.
        output: Folder of the checkpoint.
        method: Preset of the search, such as dial_mpc, mppi, cem or predictive_sampling, in place
            of the file's.
        set: Setting of the search in place of the file's, ``name=value``; once for each.
        nominal: Checkpoint of a policy from whose chunk each plan begins.
        deadline_s: Time that a plan may take on this machine: as many rollouts are chosen as fit;
            None: as the settings have them.
    """

    model: Path
    task: Path
    settings: Path
    robot: Path
    output: Path
    method: str = ""
    set: Annotated[
        tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(metavar="NAME=VALUE")
    ] = ()
    nominal: Path | None = None
    deadline_s: float | None = None


def made(command: MakePlanner) -> "Planner":
    """Write the checkpoint and return its planner.

    Raises:
        CheckpointError: A checkpoint cannot be read or written.
        OSError: A file cannot be read.
        ValueError: What is given does not fit; nothing is written then.
    """
    # Imported here: the help needs no simulator.
    from dataclasses import replace

    from ddpm_controller.given_files import file_text
    from ddpm_controller.planners.saved import (
        copy_nominal,
        model_from,
        planner_files,
        save_planner,
    )
    from ddpm_controller.planners.settings_file import planner_config_of
    from ddpm_controller.systems import restore

    robot, files = load_robot(command.robot), planner_files(command.model, command.task)
    config = planner_config_of(
        file_text(command.settings),
        model_from(files.model),
        robot.stream_specs,
        overrides_from(command.set),
        command.method,
    )
    config = replace(config, has_nominal=command.nominal is not None)
    nominal = None if command.nominal is None else restore(command.nominal)
    if command.deadline_s is not None:
        search = _within(command, config, files, robot, nominal)
        config = replace(config, search=search)
    if command.nominal is not None:
        copy_nominal(command.nominal, command.output)
    provenance = {"model": command.model.name, "task": command.task.name, "robot": robot.name}
    save_planner(
        command.output, files, config, robot.action_spec, robot.stream_specs, provenance, nominal
    )
    found: Planner = restore(command.output)  # type: ignore[assignment]
    return found


def _within(
    command: MakePlanner,
    config: "PlannerConfig",
    files: "PlannerFiles",
    robot: Robot,
    nominal: "Policy | None",
) -> "SearchSettings":
    """Return the settings of the search that plan within the deadline on this machine."""
    import time
    from dataclasses import replace

    from ddpm_controller.planners.budget import measured_cost
    from ddpm_controller.planners.saved import unsaved_planner

    def plan(search: "SearchSettings") -> "Callable[[], object]":
        planner = unsaved_planner(
            files, replace(config, search=search), robot.action_spec, robot.stream_specs, nominal
        )
        window, memory = planner.facts.warm_up_window, planner.initial_memory(0)
        return lambda: planner.plan(window, memory)

    assert command.deadline_s is not None
    cost = measured_cost(plan, config.search, time.perf_counter)
    return cost.fitted(config.search, command.deadline_s)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0."""
    command = tyro.cli(MakePlanner, args=arguments)
    planner = made(command)
    sys.stdout.write(f"{command.output}: {planner.facts.text}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

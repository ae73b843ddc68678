"""What a committed lead costs a policy: success and time of matched trials, lead by lead.

python benchmarks/stream_lead.py
python benchmarks/stream_lead.py --quick

The shipped checkpoints of a reaching and of a drumming arm under the control loop of the robot,
in process. What a chunk changes is a lead later on the robot: success, and how long a success
took, with the interval of 95 % and the McNemar test against single points on the same seeds.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import tyro
from rich.console import Console
from rich.table import Table

from ddpm_controller.cli.evaluate import loop_of, policy_view
from ddpm_controller.control.deployment import Deployment
from ddpm_controller.evaluation.closed_loop import TrialSettings, run_trials
from ddpm_controller.evaluation.intervals import mcnemar, wilson_interval
from ddpm_controller.evaluation.results import Trial
from ddpm_controller.policy import PlanSettings
from ddpm_controller.robots.robot import load_robot
from ddpm_controller.share import share_path
from ddpm_controller.simulation.worlds import WORLDS
from ddpm_controller.systems import restore


@dataclass(frozen=True)
class Options:
    """Trials with a lead.

    Attributes:
        worlds: With a shipped checkpoint each.
        leads_ms: Committed leads; 0: single points.
        trials: Of each.
        seed: Of the first trial; the same for all.
        quick: One world and few trials.
    """

    worlds: tuple[str, ...] = ("reach", "drum")
    leads_ms: tuple[int, ...] = (0, 80, 120)
    trials: int = 40
    seed: int = 12_000_000
    quick: bool = False


def trials_of(world: str, lead_ms: int, seeds: range) -> list[Trial]:
    """Return the trials of the shipped checkpoint with commands ``lead_ms`` ahead."""
    folder = Path(share_path(f"models/{world}"))
    policy = restore(folder, PlanSettings())
    robot = load_robot(share_path(WORLDS[world].robot))
    deployment = Deployment(lockstep=True)
    if lead_ms:
        deployment = replace(deployment, stream="rest_ended", stream_lead_s=lead_ms / 1e3)
    made = WORLDS[world].world
    loop = loop_of(robot, policy, folder, deployment, made.robot_description())
    settings = TrialSettings(keep_frames=0, timeout_s=made.timeout_s)
    return list(run_trials(policy, world, loop, seeds, settings, policy_view(robot)))


def main() -> None:
    """Print the table, and its figures as ``name: value``."""
    options = tyro.cli(Options)
    if options.quick:
        options = replace(options, worlds=("reach",), leads_ms=(0, 80), trials=3)
    torch.set_num_threads(1)
    seeds = range(options.seed, options.seed + options.trials)
    table = Table("world", "lead, ms", "success", "95 %", "p against none", "median time, s")
    lines = []
    for world in options.worlds:
        first: list[bool] | None = None
        for lead_ms in options.leads_ms:
            trials = trials_of(world, lead_ms, seeds)
            succeeded = [trial.success for trial in trials]
            first = first or succeeded
            count = sum(succeeded)
            low, high = wilson_interval(count, len(trials))
            took_s = [trial.duration_s for trial in trials if trial.success]
            middle_s = float(np.median(took_s)) if took_s else float("nan")
            table.add_row(
                world,
                f"{lead_ms}" if lead_ms else "single points",
                f"{count} of {len(trials)}",
                f"{100 * low:.0f} to {100 * high:.0f} %",
                f"{mcnemar(first, succeeded):.2f}",
                f"{middle_s:.2f}",
            )
            lines.append(f"{world}_{lead_ms}_ms_success: {count} of {len(trials)}")
            lines.append(f"{world}_{lead_ms}_ms_time_s: {middle_s:.3f}")
            print(lines[-2], lines[-1], flush=True)
    Console(width=120).print(table)
    print("\n".join(lines))


if __name__ == "__main__":
    main()

"""Evaluate a checkpoint without ROS: what does it cost when plans come late, on the same seeds?

python examples/evaluate_in_process.py --trials 8
"""

from dataclasses import dataclass

import tyro

from ddpm_controller.control.deployment import Deployment, policy_terms
from ddpm_controller.evaluation.closed_loop import TrialSettings, run_trials
from ddpm_controller.evaluation.intervals import mcnemar, wilson_interval
from ddpm_controller.policy import PlanSettings
from ddpm_controller.robots.loop_settings import loop_settings
from ddpm_controller.robots.robot import load_robot
from ddpm_controller.simulation.stick.drum_world import DrumWorld
from ddpm_controller.systems import restore


@dataclass(frozen=True)
class Options:
    """Trials of the shipped drummer with plans on time and with plans that come late.

    Attributes:
        trials: Number of trials of each.
        delay_s: Simulated time that a late plan takes.
    """

    trials: int = 8
    delay_s: float = 0.7


options = tyro.cli(Options)
seeds = range(1000, 1000 + options.trials)
robot = load_robot("config/robots/drum.yaml")
# The default seam, rtc, is smoother and takes longer for a plan.
policy = restore("models/drum", PlanSettings(overrides={"seam": "switch"}))
# The loop that a robot would run, with its smoothing, limits and refusals.
deployment = Deployment(lockstep=True)
limits = robot.limits(DrumWorld.robot_description())
loop = loop_settings(robot, policy_terms(policy, deployment), deployment, limits=limits)

successes = {}
for delay_s in (0.0, options.delay_s):
    settings = TrialSettings(plan_delay_s=delay_s)
    trials = run_trials(policy, DrumWorld, loop, seeds, settings, lambda camera, pixels: pixels)
    successes[delay_s] = [trial.success for trial in trials]
    count = sum(successes[delay_s])
    low, high = wilson_interval(count, options.trials)
    print(f"plans of {delay_s} s: {count} of {options.trials} [{low:.0%}, {high:.0%}]")
print(f"McNemar, exact: p = {mcnemar(*successes.values()):.3f}")

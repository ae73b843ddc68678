"""Ways to join a plan to the one before, under the delay of planning: success, steps, reaction.

python benchmarks/seams.py
python benchmarks/seams.py --task pick_place --trials 100

The fork is a point that passes an obstacle on the left or on the right, with a policy that is
trained first, its prefix too; another task takes the shipped checkpoint, or `--checkpoint`. Of
PushT a trial counts that covers more than 0.90 of the goal. The same seeds, of worlds, of noise
and of delays, for every way. A name with a number, `warm_replace:4`, begins anew where a joint
departs more than that from what was expected. What has been measured is kept below runs/, so an
interrupted run goes on.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path

import fork_policy
import numpy as np
import torch
import tyro
from matplotlib.figure import Figure
from rich.console import Console
from rich.progress import track
from rich.table import Table
from trials import REACHED

from ddpm_controller.checkpoint import load_checkpoint
from ddpm_controller.cli.evaluate import loop_of, policy_view
from ddpm_controller.control.deployment import Deployment, policy_terms
from ddpm_controller.control.loop_settings import LoopSettings
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.evaluation.closed_loop import TrialSettings, run_trials
from ddpm_controller.evaluation.intervals import wilson_interval
from ddpm_controller.evaluation.results import Trial
from ddpm_controller.policies.seams.strategies import STRATEGIES
from ddpm_controller.policy import PlanSettings, Policy
from ddpm_controller.robots.robot import load_robot
from ddpm_controller.share import share_path
from ddpm_controller.simulation.fork_world import ForkWorld
from ddpm_controller.simulation.worlds import WORLDS
from ddpm_controller.systems import restore
from ddpm_controller.types import Observation

GATE = 4.0
"""Times the unit of surprise."""
_DRAWN = {
    "switch": "C0",
    "prefix": "C6",
    "warm_replace": "C1",
    f"warm_replace:{GATE:g}": "C3",
    "rtc": "C2",
    "rtc_exact": "C5",
    "ensemble": "C4",
}


@dataclass(frozen=True)
class Options:
    """Compare seams.

    Attributes:
        task: `fork` or the name of a world.
        checkpoint: Of that world; that in models/ when left out.
        seams: Names of strategies, with a threshold of surprise behind a colon.
        delays_s: Time that a plan takes.
        jitter_s: Largest time that it takes beyond.
        told: Tell the strategies the longest time of both; else they go by what plans have taken.
        replan_s: Time between plans.
        trials: For each cell; as many with a push, on the fork.
        seed: Of the first trial.
        updates: Of the fork's training.
        output: Folder of what has been measured.
        picture: Where all that has been measured is drawn; nowhere when left out.
    """

    task: str = "fork"
    checkpoint: Path | None = None
    seams: tuple[str, ...] = (*STRATEGIES, f"warm:{GATE:g}", f"warm_replace:{GATE:g}")
    delays_s: tuple[float, ...] = (0.0, 0.04, 0.11, 0.21, 0.31)
    jitter_s: float = 0.04
    told: bool = True
    replan_s: float = 0.4
    trials: int = 100
    seed: int = 20_000_000
    updates: int = 1500
    output: Path = Path("runs/benchmarks/seams")
    picture: Path | None = None


@dataclass(frozen=True)
class Result:
    """One way to join plans at one delay.

    Attributes:
        seam: Its name.
        delay_s: Of a plan.
        successes: Of the trials.
        trials: In all.
        velocity_step: Largest at any seam, rad/s or m/s.
        acceleration_step: Largest at any seam, rad/s² or m/s².
        acceleration_p95: 95th percentile of all seams.
        mode_changes: Per trial.
        pushed_successes: Of as many trials with a push.
        reactions_s: Median time from a push to a plan that obeys it; inf where most never do.
    """

    seam: str
    delay_s: float
    successes: int
    trials: int
    velocity_step: float
    acceleration_step: float
    acceleration_p95: float
    mode_changes: float | None
    pushed_successes: int | None
    reactions_s: float | None


def measured(options: Options, seam: str, delay_s: float) -> Result:
    """Run the trials, or read what they gave."""
    folder = _checkpoint(options)
    name = seam.replace(":", "-") + ("" if options.told else "-untold")
    key = (options.task, load_checkpoint(folder).hash[:8], name)
    counts = (options.trials, f"{delay_s:g}", f"{options.jitter_s:g}", f"{options.replan_s:g}")
    path = options.output / ("_".join(map(str, (*key, *counts))) + ".json")
    if not path.is_file():
        policy = restore(folder, _settings(options, seam, delay_s))
        result = _result(options, policy, seam, delay_s)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(result)) + "\n")
    return _read(path)


def _read(path: Path) -> Result:
    known = {each.name for each in fields(Result)}  # older files have more
    return Result(**{k: v for k, v in json.loads(path.read_text()).items() if k in known})


def _checkpoint(options: Options) -> Path:
    if options.task != "fork":
        return options.checkpoint or Path("models") / options.task
    folder = options.output / "fork"
    if not (folder / "manifest.json").is_file():
        fork_policy.train(folder, options.updates, seed=0)
    return folder


def _settings(options: Options, seam: str, delay_s: float) -> PlanSettings:
    name, _, threshold = seam.partition(":")
    told_s = delay_s + options.jitter_s if options.told else None
    surprise = float(threshold) if threshold else 0.0
    told = {} if told_s is None else {"expected_delay_s": told_s}
    return PlanSettings(overrides={"seam": name, "surprise": surprise, **told})


def _result(options: Options, policy: Policy, seam: str, delay_s: float) -> Result:
    trials = _trials(options, policy, delay_s, push=False)
    seams = [trial.seams for trial in trials if trial.seams is not None]
    velocity = np.concatenate([each.velocity_steps for each in seams])
    acceleration = np.concatenate([each.acceleration_steps for each in seams])
    forked = options.task == "fork"
    pushed = _trials(options, policy, delay_s, push=True) if forked else []
    reactions = [t.seams.reaction_s for t in pushed if t.seams and t.seams.reaction_s is not None]
    changes = [each.mode_changes for each in seams if each.mode_changes is not None]
    return Result(
        seam=seam,
        delay_s=delay_s,
        successes=sum(_succeeded(options, trial) for trial in trials),
        trials=len(trials),
        velocity_step=float(velocity.max()),
        acceleration_step=float(acceleration.max()),
        acceleration_p95=float(np.percentile(acceleration, 95)),
        mode_changes=float(np.mean(changes)) if changes else None,
        pushed_successes=sum(trial.success for trial in pushed) if forked else None,
        # Not the mean of the two in the middle: inf - inf is no time.
        reactions_s=sorted(reactions)[len(reactions) // 2] if reactions else None,
    )


def _succeeded(options: Options, trial: Trial) -> bool:
    if options.task not in REACHED:
        return trial.success
    return (trial.score or 0.0) > REACHED[options.task]


def _trials(options: Options, policy: Policy, delay_s: float, push: bool) -> list[Trial]:
    settings = TrialSettings(
        plan_delay_s=delay_s,
        plan_jitter_s=options.jitter_s,
        batch_size=50 if options.task == "fork" else 25,
        keep_frames=0,
    )
    seeds = range(options.seed, options.seed + options.trials)
    if options.task == "fork":
        loop = _fork_loop(options, policy)
        world = partial(ForkWorld, push=push)
        return list(run_trials(policy, world, loop, seeds, settings, lambda _, image: image))
    entry = WORLDS[options.task]
    robot = load_robot(share_path(entry.robot))
    deployment = Deployment(replan_period_s=options.replan_s, lockstep=True)
    urdf = entry.world.robot_description()
    loop = loop_of(robot, policy, _checkpoint(options), deployment, urdf)
    return list(run_trials(policy, options.task, loop, seeds, settings, policy_view(robot)))


def _fork_loop(options: Options, policy: Policy) -> LoopSettings:
    """Return the loop of a robot that has no file."""
    terms = policy_terms(policy, Deployment())
    return LoopSettings(
        policy.facts.streams,
        {stream.name: 0.5 for stream in policy.facts.streams},
        policy.facts.action_spec,
        0.02,
        options.replan_s,
        terms,
        JointLimits(np.array([-0.5, -0.6]), np.array([1.5, 0.6]), np.array([1.0, 1.0])),
    )


def plan_time_s(options: Options, seam: str, repeats: int = 11) -> float:
    """Return the median CPU time of a plan that goes on from another, one thread.

    Not the time on the wall, which a busy machine makes many times longer.
    """
    policy = restore(_checkpoint(options), _settings(options, seam, options.delays_s[0]))
    values = {
        stream.name: np.zeros(stream.shape, np.uint8 if stream.kind == "image" else np.float64)
        for stream in policy.facts.streams
    }
    memory = policy.initial_memory(0)
    times = []
    for number in range(repeats + 1):
        stamp_s = 0.4 * number
        begun_s = time.process_time()
        plan = policy.plan((Observation(stamp_s, values),) * policy.facts.n_obs_steps, memory)
        times.append(time.process_time() - begun_s)
        memory = plan.memory
    return float(np.median(times[2:]))


def best(results: Sequence[Result]) -> list[str]:
    """Return the ways as successful as ``switch`` at every delay, the smoothest first."""
    by_seam: dict[str, dict[float, Result]] = {}
    for each in results:
        by_seam.setdefault(each.seam, {})[each.delay_s] = each
    plain = by_seam.get("switch", {})
    able = [
        seam
        for seam, own in by_seam.items()
        if own.keys() >= plain.keys()
        and all(own[delay_s].successes >= plain[delay_s].successes for delay_s in plain)
    ]

    def roughness(seam: str) -> float:
        return float(np.mean([each.acceleration_p95 for each in by_seam[seam].values()]))

    return sorted(able, key=roughness)


def table(task: str, results: Sequence[Result], plan_s: Mapping[str, float]) -> Table:
    """One row per way and delay; the times of a plan do not depend on the delay."""
    view = Table(title=f"seams on {task}")
    names = ("seam", "delay, ms", "success", "95 % interval", "velocity step", "acceleration step")
    for column in (*names, "its p95", "mode changes", "pushed", "reaction, s", "plan, CPU ms"):
        view.add_column(column, justify="left" if column == "seam" else "right")
    for r in results:
        low, high = wilson_interval(r.successes, r.trials)
        view.add_row(
            r.seam,
            f"{1e3 * r.delay_s:.0f}",
            f"{r.successes} of {r.trials}",
            f"{100 * low:.0f} to {100 * high:.0f} %",
            f"{r.velocity_step:.3f}",
            f"{r.acceleration_step:.2f}",
            f"{r.acceleration_p95:.2f}",
            "-" if r.mode_changes is None else f"{r.mode_changes:.2f}",
            "-" if r.pushed_successes is None else f"{r.pushed_successes}",
            "-" if r.reactions_s is None else f"{r.reactions_s:.2f}",
            f"{1e3 * plan_s[r.seam]:.0f}",
        )
    return view


def draw(options: Options, path: Path) -> None:
    """Draw success and the acceleration step against the delay, for all that has been measured."""
    tasks = {"fork": "m/s²", "pick_place": "rad/s²", "pusht": "m/s²"}
    figure = Figure(figsize=(13, 6), layout="constrained")
    panels = figure.subplots(2, len(tasks), sharex=True)
    for (success, step), (task, unit) in zip(panels.T, tasks.items(), strict=True):
        names = f"{task}_????????_*_{options.jitter_s:g}_{options.replan_s:g}.json"
        results = [_read(file) for file in options.output.glob(names)]
        seams = sorted({each.seam for each in results if each.seam in _DRAWN})
        for number, seam in enumerate(seams):
            own = sorted((r for r in results if r.seam == seam), key=lambda r: r.delay_s)
            delays_ms = np.array([1e3 * r.delay_s for r in own]) + 3 * (number - len(seams) / 2)
            rates = np.array([r.successes / r.trials for r in own])
            ends = np.array([wilson_interval(r.successes, r.trials) for r in own])
            # At 0 and 1 the interval may end a rounding inside.
            errors = np.abs(np.stack([rates - ends[:, 0], ends[:, 1] - rates]).clip(min=0))
            look = {"color": _DRAWN[seam], "label": seam, "marker": "o", "markersize": 3}
            success.errorbar(delays_ms, rates, errors, capsize=2, linewidth=1, **look)
            step.plot(delays_ms, [r.acceleration_p95 for r in own], linewidth=1, **look)
        success.set(title=task, ylabel="success", ylim=(0, 1.02))
        step.set(xlabel="delay, ms", ylabel=f"acceleration step, p95, {unit}", ylim=(0, None))
        step.legend(fontsize=7)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)


def main() -> None:
    """Run the command."""
    options = tyro.cli(Options)
    torch.set_num_threads(1)
    pairs = [(seam, delay_s) for seam in options.seams for delay_s in options.delays_s]
    results = [measured(options, *pair) for pair in track(pairs, description="trials")]
    plan_s = {seam: plan_time_s(options, seam) for seam in options.seams}
    Console(width=150).print(table(options.task, results, plan_s))
    print(f"as successful as switch at every delay, the smoothest first: {best(results)}")
    if options.picture is not None:
        draw(options, options.picture)


if __name__ == "__main__":
    main()

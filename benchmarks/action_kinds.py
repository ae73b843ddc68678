"""reach learned and run with each kind of action: does it matter what a policy commands?

python benchmarks/action_kinds.py
python benchmarks/action_kinds.py --quick
python benchmarks/action_kinds.py --ball-known
python benchmarks/action_kinds.py --kinds joint velocity --trials 50

The scripted expert commands joints; the same demonstrations become velocities of the joints (the
derivative), poses of the hand (forward kinematics) and twists (its derivative), as the drivers of
the simulated arm take them. One recipe learns each, and each is run on the same seeds under the
control loop at 50 Hz with the limits of its robot file. Delta actions are sent as positions, but
learned relative to the measured joints, or to the plan before. With the ball known a policy gets
its place as two numbers in place of the cameras, which leaves the action alone to differ and takes
a tenth of the time. What is there already is kept: an interrupted run resumes.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import tyro
from rich.console import Console
from rich.progress import track
from rich.table import Table

from ddpm_controller.cli.evaluate import loop_of, policy_view
from ddpm_controller.control.deployment import Deployment
from ddpm_controller.evaluation.closed_loop import TrialSettings, run_trials
from ddpm_controller.evaluation.intervals import mcnemar, wilson_interval
from ddpm_controller.evaluation.stream_values import vector_value
from ddpm_controller.robots.robot import Robot, load_robot
from ddpm_controller.share import share_path
from ddpm_controller.simulation.arm.reach_world import ReachWorld
from ddpm_controller.simulation.arm.robot_description import robot_description
from ddpm_controller.simulation.session import Session, Tick
from ddpm_controller.simulation.world import NamedVector
from ddpm_controller.simulation.worlds import WORLDS, make_driver
from ddpm_controller.systems import restore
from ddpm_controller.training.config import TrainingConfig, read_training_config
from ddpm_controller.training.result import Progress
from ddpm_controller.training.run import train
from ddpm_controller.types import Episode, StreamSpec

ROBOTS = {
    "joint": "config/robots/sim_arm.yaml",
    "delta": "config/robots/kinds/sim_arm_delta.yaml",
    "delta_commanded": "config/robots/kinds/sim_arm_delta.yaml",
    "velocity": "config/robots/kinds/sim_arm_velocity.yaml",
    "pose": "config/robots/kinds/sim_arm_pose.yaml",
    "twist": "config/robots/kinds/sim_arm_twist.yaml",
}
"""Kind of action -> robot file."""
TICK_HZ, CAMERA_HZ = 50.0, 25.0
BALL = StreamSpec("ball", "vector", (2,), TICK_HZ, ("ball_x", "ball_y"), ("m", "m"))


@dataclass(frozen=True)
class Options:
    """Compare kinds of action on reach.

    Attributes:
        kinds: Kinds to compare; the first is the one that the others are tested against.
        demonstrations: Number of demonstrations.
        trials: Trials of each kind.
        seed: Seed of the first trial.
        updates: Updates of each training; None: as in the recipe.
        ball_known: Observe the place of the ball in place of the cameras.
        timeout_s: Longest trial; 0: as in the world.
        torch_num_threads: Threads of the trainings and of the trials.
        folder: Folder of trainings and results.
        quick: Few of everything, within a minute: shows that it runs, and nothing else.
    """

    kinds: tuple[str, ...] = tuple(ROBOTS)
    demonstrations: int = 50
    trials: int = 100
    seed: int = 10_000_000
    updates: int | None = None
    ball_known: bool = False
    timeout_s: float = 0.0
    torch_num_threads: int = 1
    folder: Path = Path("runs/action_kinds")
    quick: bool = False

    def __post_init__(self) -> None:
        if unknown := [kind for kind in self.kinds if kind not in ROBOTS]:
            raise ValueError(f"kinds {unknown} are unknown; there are {list(ROBOTS)}")

    @property
    def home(self) -> Path:
        """Folder of this comparison."""
        return self.folder / ("ball_known" if self.ball_known else "cameras")


class KnownBall(ReachWorld):
    """The world reach with the place of the ball as a sensor shows it."""

    @property
    def vectors(self) -> Mapping[str, NamedVector]:
        """Place of the ball on the table."""
        return {"ball": NamedVector(BALL.names, self.ball[:2])}


def world_of(options: Options) -> type[ReachWorld]:
    """Return the world of the trials."""
    return KnownBall if options.ball_known else ReachWorld


def robot_of(kind: str, options: Options) -> Robot:
    """Return the robot whose file is that of a kind."""
    robot = load_robot(share_path(ROBOTS[kind]))
    if kind == "delta_commanded":
        outputs = tuple(replace(each, relative_to="commanded") for each in robot.outputs)
        robot = replace(robot, outputs=outputs)
    if options.ball_known:
        vectors = [each for each in robot.streams if each.spec.kind == "vector"]
        ball = replace(vectors[0], spec=BALL, topic="ball")
        robot = replace(robot, streams=(*vectors, ball))
    return robot


def demonstrated(options: Options, kinds: Sequence[str]) -> Mapping[str, list[Episode]]:
    """Return kind -> episodes of the same demonstrations, those without success left out."""
    robots = {kind: robot_of(kind, options) for kind in kinds}
    world = world_of(options)(TICK_HZ)
    drivers = {kind: make_driver(world, robots[kind].action_spec) for kind in kinds}
    session = Session(world, CAMERA_HZ, expert=True, pictures=not options.ball_known)
    episodes: dict[str, list[Episode]] = {kind: [] for kind in kinds}
    try:
        for seed in track(range(options.demonstrations), description="demonstrations"):
            recorders = {kind: Recorder(robots[kind]) for kind in kinds}
            tick = session.reset(seed)
            while (command := session.expert_command()) is not None and not tick.ends:
                for kind, recorder in recorders.items():
                    driver = drivers[kind]
                    shown = replace(tick, vectors={**tick.vectors, **driver.vectors})
                    recorder.note(shown, driver.row_for(command), session)
                tick = session.step(command)
                if world.time_s > world.timeout_s:
                    break
            if tick.success:
                for kind, recorder in recorders.items():
                    episodes[kind].append(recorder.episode(f"reach {seed}"))
    finally:
        world.close()
    return episodes


class Recorder:
    """What a robot sees and is commanded, on the clock of its policy.

    Args:
        robot: With the streams of its policy.
    """

    def __init__(self, robot: Robot) -> None:
        self._robot, self._view = robot, policy_view(robot)
        self._pictures: dict[str, np.ndarray] = {}
        self._rows: list[tuple[float, dict[str, np.ndarray], np.ndarray]] = []
        self._ticks = 0

    def note(self, tick: Tick, row: np.ndarray, session: Session) -> None:
        """Take a tick and the command for it."""
        for camera, pixels in tick.images.items():
            self._pictures[camera] = self._view(camera, pixels)
        every = round(self._robot.action_spec.period_s * TICK_HZ)
        if self._ticks % every == 0:
            values = {
                stream.name: vector_value(stream, tick, session.world)
                if stream.kind == "vector"
                else self._pictures[stream.name]
                for stream in self._robot.stream_specs
            }
            self._rows.append((tick.stamp_ns * 1e-9, values, row))
        self._ticks += 1

    def episode(self, source: str) -> Episode:
        """Return all that was taken."""
        stamps_s, values, rows = zip(*self._rows, strict=True)
        return Episode(
            np.array(stamps_s),
            {name: np.stack([each[name] for each in values]) for name in values[0]},
            np.stack(rows),
            source,
            success=True,
        )


def trained(
    options: Options, kind: str, episodes: Sequence[Episode], config: TrainingConfig
) -> Path:
    """Return the last checkpoint of a kind; trained if it is not there."""
    robot = robot_of(kind, options)

    def tell(progress: Progress) -> None:
        if progress.step % (config.num_steps // 4 or 1) == 0:
            print(f"{kind}: update {progress.step} of {progress.num_steps}", flush=True)

    result = train(
        episodes,
        robot.action_spec,
        robot.stream_specs,
        config,
        options.home / kind,
        provenance={"benchmark": "action_kinds", "kind": kind},
        on_progress=tell,
    )
    assert result.last_checkpoint is not None
    return result.last_checkpoint


def successes(options: Options, kind: str, checkpoint: Path) -> list[bool]:
    """Return whether each trial of a kind succeeds."""
    robot, policy = robot_of(kind, options), restore(checkpoint)
    loop = loop_of(robot, policy, checkpoint, Deployment(lockstep=True), robot_description())
    settings = TrialSettings(keep_frames=0, timeout_s=options.timeout_s or None)
    seeds = range(options.seed, options.seed + options.trials)
    trials = run_trials(policy, world_of(options), loop, seeds, settings, policy_view(robot))
    return [trial.success for trial in track(trials, kind, total=options.trials)]


def measured(options: Options) -> dict[str, list[bool]]:
    """Return kind -> success of each trial; what was measured before is read."""
    config = read_training_config(Path(share_path(WORLDS["reach"].recipe)))
    config = replace(config, torch_num_threads=options.torch_num_threads)
    if options.updates is not None:
        every = {"log_every": 1, "checkpoint_every": 1, "validation_every": 1}
        few = options.updates < config.checkpoint_every
        config = replace(config, num_steps=options.updates, **(every if few else {}))
    name = f"trials_{options.demonstrations}_{config.num_steps}_{options.seed}_{options.trials}"
    paths = {kind: options.home / kind / f"{name}.json" for kind in options.kinds}
    missing = [kind for kind in options.kinds if not paths[kind].is_file()]
    episodes = demonstrated(options, missing) if missing else {}
    for kind in missing:
        checkpoint = trained(options, kind, episodes[kind], config)
        found = successes(options, kind, checkpoint)
        paths[kind].write_text(json.dumps(found))
    return {kind: json.loads(path.read_text()) for kind, path in paths.items()}


def show(options: Options, found: Mapping[str, Sequence[bool]]) -> None:
    """Print the table and the figures."""
    view = Table(
        "action", "success", "95 % interval", f"p against {options.kinds[0]}",
        title=f"reach, {options.demonstrations} demonstrations, {options.trials} trials on the "
        "same seeds",
    )  # fmt: skip
    lines = []
    for kind, hits in found.items():
        low, high = wilson_interval(sum(hits), len(hits))
        p = mcnemar(found[options.kinds[0]], hits)
        view.add_row(
            kind,
            f"{sum(hits)} of {len(hits)}",
            f"{100 * low:.0f} to {100 * high:.0f} %",
            "-" if kind == options.kinds[0] else f"{p:.3f}",
        )
        lines += [
            f"{kind}_success: {100 * sum(hits) / len(hits):.1f}",
            f"{kind}_success_low: {100 * low:.1f}",
            f"{kind}_success_high: {100 * high:.1f}",
        ]
    Console(width=100).print(view)
    print("\n".join(lines))


def main() -> None:
    """Run the command."""
    options = tyro.cli(Options)
    torch.set_num_threads(options.torch_num_threads)
    if options.quick:
        options = replace(
            options,
            demonstrations=2,
            trials=1,
            updates=4,
            timeout_s=1.5,
            ball_known=True,
            folder=options.folder / "quick",
        )
    show(options, measured(options))


if __name__ == "__main__":
    main()

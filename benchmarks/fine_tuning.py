"""Fine-tuning on recordings far beyond the base's ranges: does it learn better than from scratch?

In the world reach a base learns from the demonstrations whose ball lies near the middle (|y| below
7 cm), so that its ranges hold a third of the way to the sides. Then the same recipe learns from
the others alone, with few updates: from the base, whose ranges follow, and from scratch. Success
on matched seeds, apart for balls at the sides (what is new) and in the middle (what was known).
What is there already is kept: an interrupted run resumes. Demonstrations first:

    ddpm demonstrate --world reach --episodes 100 --in-process --output runs/reach/bags
    python benchmarks/fine_tuning.py --updates 150 400 1000
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import torch
import tyro
from rich.console import Console
from rich.progress import track
from rich.table import Table
from trials import scores_of

from ddpm_controller.bags.episodes import read_demonstrations
from ddpm_controller.evaluation.intervals import wilson_interval
from ddpm_controller.robots.robot import Robot, load_robot
from ddpm_controller.share import share_path
from ddpm_controller.simulation.arm.reach_world import ReachWorld
from ddpm_controller.simulation.worlds import WORLDS
from ddpm_controller.training.config import TrainingConfig, read_training_config
from ddpm_controller.training.run import train
from ddpm_controller.types import Episode

MIDDLE_M = 0.07
"""Distance to the side up to which a ball is one of the base's; the area ends at 20 cm."""
PLACES = ("side", "middle")


@dataclass(frozen=True)
class Options:
    """Compare fine-tuning with a training from scratch.

    Attributes:
        updates: Updates of each fine-tuning, and of each training from scratch.
        base_updates: Updates of the base.
        seeds: Seeds of the trainings.
        trials: Trials of each checkpoint in each place.
        folder: Folder with the bags; trainings and results go there.
    """

    updates: tuple[int, ...] = (150, 400, 1000)
    base_updates: int = 1500
    seeds: tuple[int, ...] = (0, 1)
    trials: int = 50
    folder: Path = Path("runs/reach")


def places_of(seeds: Sequence[int]) -> list[str]:
    """Return where the ball of each seed lies."""
    world = ReachWorld()
    found = []
    for seed in seeds:
        world.reset(seed)
        found.append("middle" if abs(world.ball[1]) < MIDDLE_M else "side")
    world.close()
    return found


def divided(episodes: Sequence[Episode]) -> dict[str, list[Episode]]:
    """Return the episodes by the place of their ball."""
    places = places_of([int(each.source.split("_")[-1].split("#")[0]) for each in episodes])
    return {
        place: [each for each, found in zip(episodes, places, strict=True) if found == place]
        for place in PLACES
    }


def trial_seeds(amount: int) -> dict[str, list[int]]:
    """Return so many seeds for each place, none of a demonstration."""
    seeds: dict[str, list[int]] = {place: [] for place in PLACES}
    for first in count(100_000, 50):
        some = range(first, first + 50)
        for seed, place in zip(some, places_of(some), strict=True):
            seeds[place].append(seed)
        if min(map(len, seeds.values())) >= amount:
            return {place: found[:amount] for place, found in seeds.items()}
    raise AssertionError


def trained(
    robot: Robot, episodes: Sequence[Episode], config: TrainingConfig, output: Path
) -> Path:
    """Train, or take what is finished; return the last checkpoint."""
    train(episodes, robot.action_spec, robot.stream_specs, config, output)
    return output / "checkpoints" / "last"


def successes(checkpoint: Path, seeds: dict[str, list[int]]) -> dict[str, int]:
    """Return the successes in each place, kept beside the checkpoint."""
    path = checkpoint.parent.parent / f"successes_{len(seeds['side'])}.json"
    if not path.is_file():
        found = {
            place: int(sum(scores_of(checkpoint, "reach", "ddim-10", seeds[place])))
            for place in PLACES
        }
        path.write_text(json.dumps(found) + "\n")
    return dict(json.loads(path.read_text()))


def rate(hits: int, trials: int) -> str:
    """Return a success rate with its 95 % interval."""
    low, high = wilson_interval(hits, trials)
    return f"{100 * hits / trials:.0f} [{100 * low:.0f}, {100 * high:.0f}]"


def main() -> None:
    """Run the command."""
    options = tyro.cli(Options)
    torch.set_num_threads(1)
    robot = load_robot(Path(share_path(WORLDS["reach"].robot)))
    shown = divided(read_demonstrations([options.folder / "bags"], robot).episodes)
    recipe = read_training_config(Path(share_path("config/training/reach.yaml")))
    seeds, hits = trial_seeds(options.trials), {}
    for seed in track(options.seeds, description="trainings"):
        home = options.folder / "fine_tuning" / f"seed{seed}"
        config = replace(recipe, seed=seed, num_steps=options.base_updates)
        base = trained(robot, shown["middle"], config, home / "base")
        hits["base", 0, seed] = successes(base, seeds)
        for updates in options.updates:
            few = replace(config, num_steps=updates)
            for arm, initial in (("from the base", str(base)), ("from scratch", "")):
                output = home / f"{arm.replace(' ', '_')}_{updates}"
                last = trained(
                    robot, shown["side"], replace(few, initial_checkpoint=initial), output
                )
                hits[arm, updates, seed] = successes(last, seeds)
    show(options, hits, {place: len(found) for place, found in shown.items()})


def show(
    options: Options, hits: dict[tuple[str, int, int], dict[str, int]], shown: dict[str, int]
) -> None:
    """Print the table and the figures."""
    total = options.trials * len(options.seeds)
    view = Table(
        "begins", "updates", *(f"success at the {place}, %" for place in PLACES),
        title=f"reach: {shown['side']} new demonstrations, base of {shown['middle']}, "
        f"{len(options.seeds)} seeds x {options.trials} trials",
    )  # fmt: skip
    lines = []
    for arm, updates in dict.fromkeys((arm, updates) for arm, updates, _ in hits):
        own = [found for (a, u, _), found in hits.items() if (a, u) == (arm, updates)]
        sums = {place: sum(found[place] for found in own) for place in PLACES}
        view.add_row(arm, str(updates), *(rate(sums[place], total) for place in PLACES))
        name = f"{arm.replace(' ', '_')}_{updates}"
        lines += [f"{name}_{place}: {100 * sums[place] / total:.1f}" for place in PLACES]
    Console(width=100).print(view)
    print("\n".join(lines))


if __name__ == "__main__":
    main()

"""Bags, a robot file and a recipe for a training of a second, for tests of what starts one."""

from dataclasses import dataclass
from pathlib import Path

from small_bags import MS, ROBOT, START_NS, mark, run_messages, write_bag

RECIPE = """
policy: {horizon: 8, n_action_steps: 4, channels: [8, 16], timestep_embedding_dim: 8}
streams: [joint_state]
num_steps: 20
batch_size: 4
warmup_steps: 2
validation_fraction: 0.5
validation_every: 10
nll_windows: 0
checkpoint_every: 5
log_every: 5
"""


@dataclass(frozen=True)
class SmallTraining:
    """Files of one training."""

    bags: Path
    robot: Path
    config: Path
    output: Path


def small_training(folder: Path, recipe: str = RECIPE) -> SmallTraining:
    """Write two good bags and one of a failed episode, a robot file and a recipe."""
    bags, robot, config = folder / "bags", folder / "robot.yaml", folder / "recipe.yaml"
    bags.mkdir()
    robot.write_text(ROBOT)
    config.write_text(recipe)
    for number, success in enumerate((True, True, False)):
        end_ns = START_NS + 1000 * MS
        marks = [
            ("/episode", START_NS, mark(START_NS, 0)),
            ("/episode", end_ns, mark(end_ns, 1, success=success)),
        ]
        write_bag(bags / f"bag_{number}", [marks[0], *run_messages(1000), marks[1]])
    return SmallTraining(bags, robot, config, folder / "run")

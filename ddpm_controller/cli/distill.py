"""The command `distill`: a checkpoint and bags in, one that plans in few evaluations out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from tyro.conf import Positional

from ddpm_controller.checkpoint import Checkpoint, CheckpointError, load_checkpoint
from ddpm_controller.cli.train import Recordings, train_from_bags
from ddpm_controller.policies.consistency_policy.config import ConsistencyConfig
from ddpm_controller.training.config import TrainingConfig, TrainingError

_AS_TEACHER = ("stay_at_end", "batch_size", "validation_fraction", "seed")
"""Choices of the teacher's training that hold for its student: the same windows, the same ones
held out."""


@dataclass(frozen=True)
class DistillCommand:
    """Teach a copy of a checkpoint to plan in one or two evaluations (Consistency Policy).

    The result is a checkpoint of the same kind, diffusion_policy. The same command again resumes
    an unfinished distillation.

    Attributes:
        checkpoint: Folder of the teacher, of kind diffusion_policy.
        bags: Bags, or folders of bags: best those that the teacher learned from.
        output: Folder of the run: checkpoints, curves and the state to resume from.
        robot: Robot file that the teacher was trained with. Default: sim_arm.
        evaluations: Evaluations of the network per plan of the result; `--set
            num_inference_steps=...` changes it at every run.
        levels: Steps of the teacher that the student learns to jump over.
        num_steps: Number of updates.
        learning_rate: Highest, after the warm-up.
        batch_size: Windows per update; None: as the teacher.
        noise_draws: Timesteps and noises drawn per window and update.
        seed: Everything random comes from it; None: as the teacher, so that the same episodes are
            held out.
        torch_num_threads: Number of threads.
        device: Torch device.
    """

    checkpoint: Positional[Path]
    bags: tuple[Path, ...]
    output: Path
    robot: Path | None = None
    evaluations: int = 2
    levels: int = 8
    num_steps: int = 4000
    learning_rate: float = 5e-4
    batch_size: int | None = None
    noise_draws: int = 1
    seed: int | None = None
    torch_num_threads: int = 1
    device: str = "cpu"


def recipe(command: DistillCommand) -> TrainingConfig:
    """Return the training that the command describes.

    Raises:
        TrainingError: If the checkpoint cannot be read or cannot be a teacher.
        ValueError: If a number breaks a rule.
    """
    try:
        teacher = load_checkpoint(command.checkpoint)
        policy = ConsistencyConfig.of(teacher, command.evaluations, levels=command.levels)
    except CheckpointError as error:
        raise TrainingError(str(error)) from error
    given = {"batch_size": command.batch_size, "seed": command.seed}
    return TrainingConfig(
        policy=policy,
        kind="consistency_policy",
        streams=tuple(stream.name for stream in teacher.manifest.streams),
        initial_checkpoint=str(command.checkpoint),
        num_steps=command.num_steps,
        learning_rate=command.learning_rate,
        noise_draws=command.noise_draws,
        warmup_steps=min(100, command.num_steps),
        nll_windows=0,
        validation_every=250,
        checkpoint_every=250,
        log_every=25,
        torch_num_threads=command.torch_num_threads,
        device=command.device,
        **{**_of_teacher(teacher), **{k: v for k, v in given.items() if v is not None}},
    )


def _of_teacher(teacher: Checkpoint) -> dict[str, Any]:
    known: Any = teacher.manifest.provenance.get("training")
    if not known:
        return {}
    known = {"stay_at_end": False, **known}  # what a release did that did not know of the choice
    return {name: known[name] for name in _AS_TEACHER if name in known}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0, 1 after an error or 130 when it was interrupted."""
    command = tyro.cli(DistillCommand, args=arguments)
    recordings = Recordings(command.bags, command.robot)
    return train_from_bags(recordings, command.output, lambda: recipe(command))


if __name__ == "__main__":
    raise SystemExit(main())

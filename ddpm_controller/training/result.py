"""How far a training is, and what it leaves behind."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Progress:
    """How far a training is, after every update.

    Attributes:
        step: Updates done.
        num_steps: Updates in all.
        loss: Mean since the last line of the log, normalized units squared.
        validation_loss: Newest; NaN before the first.
        learning_rate: Learning rate of the last update.
    """

    step: int
    num_steps: int
    loss: float
    validation_loss: float
    learning_rate: float


@dataclass(frozen=True)
class TrainingResult:
    """What a training has left behind.

    Attributes:
        output: Folder of the run.
        steps: Updates done.
        finished: False when it was stopped; the same call resumes from here.
        best_checkpoint: Lowest validation loss; None when nothing was validated.
        last_checkpoint: After the last update; None when none was done.
        validation_loss: Loss of the best; infinity when nothing was validated.
    """

    output: Path
    steps: int
    finished: bool
    best_checkpoint: Path | None
    last_checkpoint: Path | None
    validation_loss: float

"""What a training leaves to look at while it runs: log.jsonl and TensorBoard curves."""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from ddpm_controller.data.atomic_files import write_atomically


@dataclass(frozen=True)
class LogLine:
    """The means since the line before.

    Attributes:
        step: Updates done.
        loss: Mean training loss, normalized units squared.
        learning_rate: Learning rate of the last update.
        gradient_norm: Mean length of the gradient before it was shortened.
        validation_loss: On the held-out windows, same unit as the loss; NaN when not measured.
        validation_nll: Bound on -log p of held-out chunks, nats per number in physical units;
            NaN when not measured.
    """

    step: int
    loss: float
    learning_rate: float
    gradient_norm: float
    validation_loss: float = math.nan
    validation_nll: float = math.nan


class TrainingLog:
    """Appends lines to log.jsonl and to the TensorBoard file."""

    def __init__(self, output: Path, step: int) -> None:
        """Continue after ``step`` updates; later lines, of work that was lost, are dropped.

        Raises:
            OSError: If the folder cannot be written.
        """
        output.mkdir(parents=True, exist_ok=True)
        path = output / "log.jsonl"
        kept = [line for line in read_log(output) if line.step <= step]
        write_atomically(path, "".join(_json(line) for line in kept).encode())
        self._file = path.open("a")
        self._tensorboard = SummaryWriter(
            str(output / "tensorboard"), purge_step=step + 1 if step else None
        )

    def write(self, line: LogLine) -> None:
        """Append one line to both.

        Raises:
            OSError: If it cannot be written.
        """
        self._file.write(_json(line))
        self._file.flush()
        for name, value in asdict(line).items():
            if name != "step" and not math.isnan(value):
                self._tensorboard.add_scalar(name, value, line.step)

    def close(self) -> None:
        """Finish both files."""
        self._file.close()
        self._tensorboard.close()


def _json(line: LogLine) -> str:
    facts = {k: v for k, v in asdict(line).items() if not (isinstance(v, float) and math.isnan(v))}
    return json.dumps(facts) + "\n"


def read_log(output: Path) -> list[LogLine]:
    """Return the lines of ``output``/log.jsonl; a line that was cut off ends it."""
    lines: list[LogLine] = []
    path = output / "log.jsonl"
    if not path.exists():
        return lines
    for text in path.read_text().splitlines():
        try:
            lines.append(LogLine(**json.loads(text)))
        except (ValueError, TypeError):
            break
    return lines

"""Train: episodes and a recipe in, a folder with checkpoints, curves and pictures out."""

import json
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from ddpm_controller.checkpoint import MANIFEST_NAME, CheckpointError, save_checkpoint
from ddpm_controller.data.atomic_files import write_atomically
from ddpm_controller.systems import SYSTEMS
from ddpm_controller.training.batches import WEIGHTS, generator_for
from ddpm_controller.training.config import TrainingConfig, TrainingError, learning_rate_at
from ddpm_controller.training.ema import Ema
from ddpm_controller.training.features import with_features
from ddpm_controller.training.log import LogLine, TrainingLog, read_log
from ddpm_controller.training.material import Material, material_from
from ddpm_controller.training.pictures import draw_curves, draw_samples
from ddpm_controller.training.processes import Processes, processes_for, torch_threads
from ddpm_controller.training.ranges import listed
from ddpm_controller.training.result import Progress, TrainingResult
from ddpm_controller.training.state import (
    TrainingState,
    load_state,
    save_state,
)
from ddpm_controller.training.updates import (
    LossModule,
    update,
    validation_loss,
    validation_nll,
)
from ddpm_controller.types import ActionSpec, Episode, StreamSpec

OnProgress = Callable[[Progress], None]


def train(
    episodes: Sequence[Episode],
    action_spec: ActionSpec,
    streams: Sequence[StreamSpec],
    config: TrainingConfig,
    output: Path,
    *,
    provenance: Mapping[str, Any] | None = None,
    on_progress: OnProgress = lambda progress: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> TrainingResult:
    """Train until the last step, or resume the training that ``output`` holds.

    A run that was killed at any moment and started again ends with the same bits as one that was
    not, on the same machine with the same number of threads.

    Args:
        episodes: Recorded runs; some are held out (``config.validation_fraction``).
        action_spec: What the columns of ``Episode.actions`` are.
        streams: What the policy observes, in its order.
        config: The recipe.
        output: Folder of the run; made if it is missing.
        provenance: Where the episodes came from; JSON values, kept in the checkpoints.
        on_progress: Called after every update, by the first process only.
        should_stop: Asked after every update; True saves everything and ends.

    Raises:
        TrainingError: If the data does not fit, the folder belongs to another training, the loss
            is not finite, or a file cannot be written. Checkpoints there stay as they were.
    """
    processes = processes_for(config)
    with torch_threads(config.torch_num_threads):
        try:
            material = material_from(episodes, action_spec, streams, config, provenance or {})
            policy = SYSTEMS[config.kind].based_on(config.policy, material.initial)
            config = replace(config, policy=policy)
            if material.widened and processes.rank == 0:
                warnings.warn(
                    "the recordings go beyond the ranges of the initial checkpoint, which follow:"
                    f"\n{listed(material.widened)}",
                    stacklevel=2,
                )
            run = _Run(material, config, output, processes)
            try:
                return run.until_the_end(on_progress, should_stop)
            finally:
                run.close()
        except OSError as error:
            raise TrainingError(
                f"cannot write below {output}: {error}; the checkpoints there are as they were. "
                "Make room and start the same training again: it resumes from its last state"
            ) from error
        except (ValueError, CheckpointError) as error:
            raise TrainingError(str(error)) from error


class _Run:
    """One training with its folder."""

    def __init__(
        self, material: Material, config: TrainingConfig, output: Path, processes: Processes
    ) -> None:
        self._config = config
        self._output, self._processes = output, processes
        self._fingerprint = material.fingerprint(config)
        self._state = _new_state(material, config, processes.device)
        load_state(self._state, self._state_file, self._fingerprint)
        self._material = material
        if self._state.step < config.num_steps:
            encoders = SYSTEMS[config.kind].fixed_encoders(self._state.network)
            self._material = with_features(material, encoders)
        self._module = processes.prepared(LossModule(self._state.network, config))
        self._validation_loss = self._validation_nll = math.nan
        self._log = self._opened_log() if processes.rank == 0 else None

    @property
    def _state_file(self) -> Path:
        return self._output / "resume" / "state.safetensors"

    def _opened_log(self) -> TrainingLog:
        log = TrainingLog(self._output, self._state.step)
        facts = {**self._fingerprint, "provenance": self._material.provenance}
        write_atomically(self._output / "config.json", json.dumps(facts, indent=2).encode())
        for line in read_log(self._output):
            if not math.isnan(line.validation_loss):
                self._validation_loss = line.validation_loss
                self._validation_nll = line.validation_nll
        return log

    def close(self) -> None:
        """Finish the log."""
        if self._log is not None:
            self._log.close()

    def until_the_end(
        self, on_progress: OnProgress, should_stop: Callable[[], bool]
    ) -> TrainingResult:
        """Update, log, validate and save until the last step or until asked to stop."""
        config, state = self._config, self._state
        stopped = False
        while state.step < config.num_steps and not stopped:
            loss, norm = update(
                state, self._module, self._material.windows, config, self._processes
            )
            state.loss_sum += loss
            state.gradient_norm_sum += norm
            self._after_update(on_progress)
            stopped = self._processes.mean(float(should_stop())) > 0
            ended = state.step == config.num_steps
            if stopped or ended or state.step % config.checkpoint_every == 0:
                self._save()
        self._draw()
        self._processes.wait()
        return self._result()

    def _after_update(self, on_progress: OnProgress) -> None:
        config, state = self._config, self._state
        count = state.step % config.log_every or config.log_every
        rate = learning_rate_at(state.step - 1, config)
        loss = state.loss_sum / count
        ended = state.step == config.num_steps
        if ended or state.step % config.log_every == 0:
            loss = self._processes.mean(loss)
            if ended or state.step % config.validation_every == 0:
                self._validate()
            self._write_line(loss, rate, state.gradient_norm_sum / count)
            state.loss_sum = state.gradient_norm_sum = 0.0
        if self._log is not None:
            on_progress(Progress(state.step, config.num_steps, loss, self._validation_loss, rate))

    def _validate(self) -> None:
        """Measure the average on the held-out windows and keep it if it is the best so far."""
        validation, state = self._material.validation, self._state
        if validation is None or self._log is None:
            return
        self._validation_loss = validation_loss(
            state.ema.network, validation, self._config, self._processes.device
        )
        self._validation_nll = validation_nll(
            state.ema.network, validation, self._config, self._processes.device
        )
        if self._validation_loss < state.best_validation_loss:
            state.best_validation_loss = self._validation_loss
            self._save_checkpoint("best")

    def _write_line(self, loss: float, rate: float, norm: float) -> None:
        if self._log is None:
            return
        config, step = self._config, self._state.step
        measured = step % config.validation_every == 0 or step == config.num_steps
        held_out = (self._validation_loss, self._validation_nll)
        held_out = held_out if measured else (math.nan, math.nan)
        self._log.write(LogLine(step, loss, rate, norm, *held_out))

    def _save(self) -> None:
        """Keep the last checkpoint and the state, the state last: it records what is complete."""
        if self._log is not None:
            self._save_checkpoint("last")
            save_state(self._state, self._state_file, self._fingerprint)

    def _save_checkpoint(self, name: str) -> None:
        material, config, state = self._material, self._config, self._state
        folder = self._output / "checkpoints" / name
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = config.policy, state.ema.network.state_dict()
        result = SYSTEMS[config.kind].result
        kind, policy, weights = result(*made) if result else (config.kind, *made)
        save_checkpoint(
            folder,
            kind=kind,
            config=asdict(policy),
            action_spec=material.action_spec,
            streams=material.streams,
            statistics=material.statistics,
            provenance={
                **material.provenance,
                "training": asdict(config),
                "step": state.step,
                "seed": config.seed,
                "num_processes": self._processes.count,
                "validation_loss": _or_none(self._validation_loss),
                "validation_nll": _or_none(self._validation_nll),
            },
            weights=weights,
        )

    def _draw(self) -> None:
        """Draw the pictures; of a training that was stopped the quick one only."""
        if self._log is None:
            return
        draw_curves(read_log(self._output), self._output / "curves.png")
        result = self._result()
        checkpoint = result.best_checkpoint or result.last_checkpoint
        episodes = self._material.held_out
        if result.finished and checkpoint is not None and episodes:
            draw_samples(checkpoint, episodes, self._output / "samples.png", self._config.seed)

    def _result(self) -> TrainingResult:
        best, last = (self._output / "checkpoints" / name for name in ("best", "last"))
        return TrainingResult(
            output=self._output,
            steps=self._state.step,
            finished=self._state.step == self._config.num_steps,
            best_checkpoint=best if (best / MANIFEST_NAME).is_file() else None,
            last_checkpoint=last if (last / MANIFEST_NAME).is_file() else None,
            validation_loss=self._state.best_validation_loss,
        )


def _or_none(value: float) -> float | None:
    """JSON has no word for a value that was not measured."""
    return value if math.isfinite(value) else None


def _new_state(material: Material, config: TrainingConfig, device: torch.device) -> TrainingState:
    """Return the state before the first update; a function of the seed."""
    network_of = SYSTEMS[config.kind].network
    assert network_of is not None  # as the config has it
    with torch.random.fork_rng():
        torch.manual_seed(generator_for(config.seed, WEIGHTS).initial_seed())
        network = network_of(
            config.policy, material.action_spec, material.streams, material.statistics
        )
    if material.initial is not None:
        network.begin_with(material.initial.weights)
    # Convolutions of images run up to twice as fast with the channels innermost.
    network = network.to(device, memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(
        network.parameters(),
        lr=config.learning_rate,
        betas=config.betas,
        weight_decay=config.weight_decay,
        fused=True,
    )
    return TrainingState(network, Ema(network, config.ema_power, config.ema_max_decay), optimizer)

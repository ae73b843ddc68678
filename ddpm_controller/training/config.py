"""What a training is: every choice that changes the weights, in one frozen value."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter

from ddpm_controller.given_files import file_text, one_line, parsed_json, parsed_yaml
from ddpm_controller.systems import SYSTEMS

MOST_NOISE_BYTES = 16 << 20


class TrainingError(RuntimeError):
    """A training cannot start or resume; the message has the reason and the remedy."""


@dataclass(frozen=True)
class TrainingConfig:
    """The recipe. Steps are optimizer updates.

    Attributes:
        policy: The system's own config; of the class that ``SYSTEMS[kind].config`` names.
        kind: Key of ``systems.SYSTEMS``.
        streams: Names of the streams that the policy observes; empty: all that the robot has.
        initial_checkpoint: Folder of a checkpoint whose weights and statistics to begin with, of
            the same streams and action; what it lacks begins so that it changes nothing. Empty:
            random weights.
        initial_ranges: Ranges of the normalizers, where recordings go beyond those of
            ``initial_checkpoint``. ``follow``: widened to hold both, so that plans and the start
            gate reach as far as the recordings, and the weights learn the new scale; ``keep``: as
            they are, and such recordings are refused. A frozen base keeps its own either way.
        stay_at_end: Learn to stay at the last command of an episode behind its end, as Chi et al.
            2023 do; velocities are 0 there. False: nothing is learned of it, and a chunk that
            reaches beyond the moment at which demonstrations end is undefined there.
        num_steps: Updates in all; the learning rate reaches 0 with the last.
        batch_size: Windows per update, over all shards and processes.
        num_shards: Parts in which a batch is worked off, each with its own noise. The same
            number gives the same training on any number of processes that divides it.
        noise_draws: Timesteps and noises drawn per window and update. The images are encoded
            once for all of them, so more draws are cheap.
        learning_rate: Highest, after the warm-up.
        warmup_steps: Updates over which the learning rate rises from 0.
        betas: Betas of AdamW.
        weight_decay: Weight decay of AdamW.
        max_gradient_norm: Longer gradients are shortened to this; 0 leaves all as they are.
        ema_power: The average's decay after ``n`` updates is ``1 - (1 + n) ** -ema_power``.
        ema_max_decay: Upper limit of that decay.
        validation_fraction: Share of the episodes that is held out.
        validation_windows: At most so many held-out windows, evenly spread.
        validation_every: Steps between validations.
        nll_windows: At most so many held-out windows whose negative log-likelihood is bounded at
            each validation, with every timestep visited; 0: none.
        checkpoint_every: Steps between saved states, at most this much is lost by a crash.
        log_every: Steps that one line of the log is the mean of.
        seed: Everything random comes from it.
        torch_num_threads: Threads of each process; 2 pay only on cores that do nothing else.
        precision: Number format of the forward and backward pass. ``bfloat16`` keeps weights,
            optimizer and average in float32 and is faster where the CPU has bfloat16 instructions.
        device: Torch device, unless ``accelerate launch`` chooses.
    """

    policy: Any
    kind: str = "diffusion_policy"
    streams: tuple[str, ...] = ()
    initial_checkpoint: str = ""
    initial_ranges: Literal["follow", "keep"] = "follow"
    stay_at_end: bool = True
    num_steps: int = 20_000
    batch_size: int = 64
    num_shards: int = 1
    noise_draws: int = 1
    learning_rate: float = 3e-4
    warmup_steps: int = 500
    betas: tuple[float, float] = (0.95, 0.999)
    weight_decay: float = 1e-6
    max_gradient_norm: float = 1.0
    ema_power: float = 0.75
    ema_max_decay: float = 0.9999
    validation_fraction: float = 0.1
    validation_windows: int = 256
    validation_every: int = 500
    nll_windows: int = 16
    checkpoint_every: int = 500
    log_every: int = 50
    seed: int = 0
    torch_num_threads: int = 1
    precision: Literal["float32", "bfloat16"] = "float32"
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.kind not in SYSTEMS:
            raise ValueError(f"kind is one of {sorted(SYSTEMS)}, got {self.kind!r}")
        if SYSTEMS[self.kind].network is None:
            taught = sorted(kind for kind, system in SYSTEMS.items() if system.network)
            raise ValueError(f"kind {self.kind!r} has nothing to train; use one of {taught}")
        if not isinstance(self.policy, SYSTEMS[self.kind].config):
            raise ValueError(
                f"policy of kind {self.kind!r} is a {SYSTEMS[self.kind].config.__name__}, "
                f"got {type(self.policy).__name__}"
            )
        known = self.initial_ranges in ("follow", "keep")
        _require(self, "initial_ranges", known, "must be 'follow' or 'keep'")
        for name in (
            "num_steps", "batch_size", "num_shards", "noise_draws", "learning_rate",
            "validation_windows", "validation_every", "checkpoint_every", "log_every",
            "torch_num_threads", "ema_power",
        ):  # fmt: skip
            _require(self, name, getattr(self, name) > 0, "must be above 0")
        for name in ("warmup_steps", "weight_decay", "max_gradient_norm", "seed", "nll_windows"):
            _require(self, name, getattr(self, name) >= 0, "must not be below 0")
        for name in ("ema_max_decay", "validation_fraction"):
            _require(self, name, 0 <= getattr(self, name) < 1, "must be in [0, 1)")
        for name in ("validation_every", "checkpoint_every"):
            whole = getattr(self, name) % self.log_every == 0
            _require(self, name, whole, f"must be a multiple of log_every = {self.log_every}")
        _require(
            self,
            "batch_size",
            self.batch_size % self.num_shards == 0,
            f"must be a multiple of num_shards = {self.num_shards}",
        )


def _require(config: TrainingConfig, name: str, fulfilled: bool, rule: str) -> None:
    if not fulfilled:
        raise ValueError(f"{name} {rule}, got {getattr(config, name)!r}")


def learning_rate_at(step: int, config: TrainingConfig) -> float:
    """Return the learning rate of update ``step`` (from 0): linear warm-up, then half a cosine.

    A function of the step alone, so there is nothing to save.
    """
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    length = max(config.num_steps - config.warmup_steps, 1)
    fraction = (step - config.warmup_steps) / length
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * min(fraction, 1.0)))


def read_training_config(path: Path) -> TrainingConfig:
    """Read a config/training/*.yaml file.

    Raises:
        TrainingError: If it is missing, is not YAML, has an unknown key or breaks a rule; the
            message names the file, the key, the value and the rule.
    """
    try:
        given = parsed_yaml(file_text(path))
    except (OSError, ValueError) as error:
        raise TrainingError(f"{path}: cannot be read: {one_line(error)}") from error
    if not isinstance(given, Mapping):
        raise TrainingError(
            f"{path}: needs keys and values at the top, got {one_line(repr(given))}"
        )
    try:
        return training_config_from(_with_noise(given, path.parent))
    except (OSError, ValueError, TypeError) as error:  # pydantic's are ValueErrors
        raise TrainingError(f"{path}: {one_line(error)}") from error


def _with_noise(given: Mapping[str, Any], folder: Path) -> Mapping[str, Any]:
    """Return the recipe with the noise that a policy in it names, read beside it."""
    policy = given.get("policy")
    if not isinstance(policy, Mapping):
        return given
    policy = _with_noise(policy, folder)  # of a policy around another one
    if isinstance(policy.get("noise"), str):
        fields = parsed_json(file_text(folder / policy["noise"], MOST_NOISE_BYTES))
        if not isinstance(fields, dict):
            raise ValueError(
                f"noise {policy['noise']}: not a noise file; `ddpm fit-noise` writes one"
            )
        fields.pop("provenance", None)  # of the file; what it is worth is not what it is
        policy = {**policy, "noise": fields}
    return {**given, "policy": policy}


def training_config_from(given: Mapping[str, Any]) -> TrainingConfig:
    """Return the config of a mapping as YAML or JSON gives it; the reverse of ``asdict``.

    Raises:
        ValueError: If a key is unknown or a value breaks a rule (pydantic's error included).
    """
    kind = given.get("kind", "diffusion_policy")
    if not isinstance(kind, str) or kind not in SYSTEMS:
        raise ValueError(f"kind is one of {sorted(SYSTEMS)}, got {kind!r}")
    policy = given.get("policy") or {}
    if not isinstance(policy, Mapping):
        raise ValueError(f"policy needs keys and values, got {policy!r}")
    policy = _built(SYSTEMS[kind].config, policy, "policy")
    config: TrainingConfig = _built(TrainingConfig, {**given, "policy": policy}, "training")
    return config


def _built(config_class: type[Any], given: Mapping[str, Any], where: str) -> Any:
    known = [field.name for field in fields(config_class)]
    unknown = sorted(map(str, set(given) - set(known)))
    if unknown:
        raise ValueError(f"{where}: unknown {unknown}; known are {known}")
    return TypeAdapter(config_class).validate_python(dict(given))

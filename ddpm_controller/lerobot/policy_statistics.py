"""How a policy of LeRobot normalizes: the steps before and after it, or what older ones hold.

Of each feature the smallest and largest value in the data, and the values that it makes -1 and 1
of. LeRobot 0.4 and later keep them in two pipelines of steps beside the weights, earlier ones
among the weights.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ddpm_controller.lerobot.libraries import LeRobotError
from ddpm_controller.lerobot.policy_config import Feature
from ddpm_controller.lerobot.policy_files import json_of, tensors_of

_PIPELINES = {
    "policy_preprocessor.json": "normalizer_processor",
    "policy_postprocessor.json": "unnormalizer_processor",
}
_CHANGE_NOTHING = (
    *("rename_observations_processor", "to_batch_processor", "device_processor"),
    *_PIPELINES.values(),
)
_OLDER = {"inputs": "normalize_inputs.buffer_", "outputs": "unnormalize_outputs.buffer_"}
_ENDS = {
    "MIN_MAX": ("min", "max"),
    "QUANTILES": ("q01", "q99"),
    "QUANTILE10": ("q10", "q90"),
    "MEAN_STD": ("mean", "std"),
    "IDENTITY": (),
}
_EPSILON = 1e-8
"""What LeRobot divides by where a range is 0."""
_CLEAR = 1e-3
"""A range from which on minimum and maximum alone determine how numbers are scaled."""

Statistics = dict[str, list[float]]


@dataclass(frozen=True)
class Normalization:
    """What was found for inputs, or for outputs.

    Attributes:
        where: File, for errors.
        modes: Type of feature -> mode; those that are not in it are left as they are.
        statistics: Feature.statistic -> its values.
        only: Features that are normalized; None: all.
    """

    where: Path
    modes: Mapping[str, Any]
    statistics: Mapping[str, np.ndarray]
    only: tuple[str, ...] | None = None

    def of(self, feature: Feature, scales: np.ndarray, *, is_output: bool) -> Statistics:
        """Return min, max and where they differ low and high, which become -1 and 1.

        Args:
            feature: One that is normalized here.
            scales: What its numbers are multiplied by to be in SI.
            is_output: Whether it is brought back, and not normalized.

        Raises:
            LeRobotError: Statistics are missing or of another size, or the mode is unknown.
        """
        least, most = self._statistic(feature, "min"), self._statistic(feature, "max")
        mode = self._mode(feature, is_output)
        found = {"min": least * scales, "max": most * scales}
        if mode != "MIN_MAX" or bool((found["max"] - found["min"] < _CLEAR).any()):
            values = [self._statistic(feature, name) for name in _ENDS[mode]]
            low, high = _becoming_ends(mode, values, most > least, is_output)
            found |= {"low": low * scales, "high": high * scales}
        return {name: each.tolist() for name, each in found.items()}

    def of_pictures(self, feature: Feature) -> tuple[np.ndarray, np.ndarray]:
        """Return which brightness of each colour, 0 to 1, becomes -1 and which 1, (3,) each.

        Raises:
            LeRobotError: As ``of``.
        """
        mode = self._mode(feature, is_output=False)
        values = [self._statistic(feature, name) for name in _ENDS[mode]]
        low, high = _becoming_ends(mode, values, np.ones(3, dtype=bool), is_output=False)
        if not (high > low).all():
            raise LeRobotError(
                f"{self.where}: {feature.name!r} has {low.tolist()} to {high.tolist()}: the first "
                "must be below the second"
            )
        return low, high

    def _mode(self, feature: Feature, is_output: bool) -> str:
        mode = self.modes.get(feature.kind, "IDENTITY")
        if self.only is not None and not is_output and feature.name not in self.only:
            mode = "IDENTITY"
        if not isinstance(mode, str) or mode not in _ENDS:
            raise LeRobotError(
                f"{self.where}: {feature.name!r} is normalized by {mode!r}, imported are "
                f"{sorted(_ENDS)}"
            )
        return mode

    def _statistic(self, feature: Feature, name: str) -> np.ndarray:
        values = self.statistics.get(f"{feature.name}.{name}")
        if values is None:
            raise LeRobotError(
                f"{self.where}: {name!r} of {feature.name!r} is missing, so that the range of its "
                "training is unknown: save the policy with LeRobot 0.4 or later, with the "
                "statistics of its data set"
            )
        if feature.kind == "VISUAL":  # (3, 1, 1)
            values = values.reshape(-1)
        if values.shape != (feature.size,) or not np.isfinite(values).all():
            raise LeRobotError(
                f"{self.where}: {name!r} of {feature.name!r} must be {feature.size} finite "
                f"numbers, got {values.shape} {values.ravel()[:8].tolist()}"
            )
        return values.astype(np.float64)


def _becoming_ends(
    mode: str, values: list[np.ndarray], moved: np.ndarray, is_output: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return what becomes -1 and 1, (D,) each.

    What was constant in the data stays where LeRobot has it, and is not divided by nearly 0.
    """
    if mode == "IDENTITY":
        return -np.ones(len(moved)), np.ones(len(moved))
    if mode == "MEAN_STD":
        mean, std = values
        spread = std if is_output else std + _EPSILON
        spread = np.where(moved & (spread > 0), spread, 1.0)
        return mean - spread, mean + spread
    low, high = values
    width = np.where(high == low, np.where(moved, _EPSILON, 2.0), high - low)
    return low, low + width


def normalizations(
    folder: Path, config: Mapping[str, Any], weights: Mapping[str, np.ndarray]
) -> tuple[Normalization, Normalization]:
    """Return how inputs and outputs of a policy are normalized.

    Raises:
        LeRobotError: It is not there, or a step does something else.
    """
    if (folder / next(iter(_PIPELINES))).exists():
        before, after = (_pipeline(folder, *each) for each in _PIPELINES.items())
        return before, after
    before, after = (_older(folder, config, weights, each) for each in _OLDER.values())
    return before, after


def is_statistic(name: str) -> bool:
    """Whether a weight of an older policy is none, but a statistic."""
    return name.startswith(("normalize_inputs.", "normalize_targets.", "unnormalize_outputs."))


def _pipeline(folder: Path, file: str, normalizing: str) -> Normalization:
    where = folder / file
    steps = json_of(where).get("steps")
    if not isinstance(steps, list) or not all(isinstance(each, dict) for each in steps):
        raise LeRobotError(f"{where}: needs a list of steps, got {type(steps).__name__}")
    names = [str(each.get("registry_name", each.get("class"))) for each in steps]
    if other := sorted(set(names) - set(_CHANGE_NOTHING)):
        raise LeRobotError(
            f"{where}: the steps {other} change what the policy sees or answers and are not "
            f"imported, only {sorted(_CHANGE_NOTHING)} are"
        )
    if names.count(normalizing) != 1:
        raise LeRobotError(f"{where}: needs one step {normalizing!r}, it has {names}")
    step = steps[names.index(normalizing)]
    settings, file = step.get("config"), step.get("state_file")
    if not isinstance(settings, dict) or not isinstance(settings.get("norm_map"), dict):
        raise LeRobotError(f"{where}: step {normalizing!r} has no norm_map")
    if not isinstance(file, str) or Path(file).name != file:
        raise LeRobotError(f"{where}: step {normalizing!r} needs a state_file beside it")
    only = settings.get("normalize_observation_keys")
    statistics = tensors_of(folder / file)
    return Normalization(
        folder / file,
        settings["norm_map"],
        statistics,
        None if only is None else tuple(map(str, only)),
    )


def _older(
    folder: Path, config: Mapping[str, Any], weights: Mapping[str, np.ndarray], prefix: str
) -> Normalization:
    """Names of features have underscores in place of dots there."""
    statistics = {
        name.removeprefix(prefix).replace("_", ".", 1)
        if name.startswith(f"{prefix}observation_")
        else name.removeprefix(prefix): each
        for name, each in weights.items()
        if name.startswith(prefix)
    }
    modes = config.get("normalization_mapping")
    if not statistics or not isinstance(modes, dict):
        raise LeRobotError(
            f"{folder}: neither policy_preprocessor.json nor statistics among the weights: copy "
            "the whole folder pretrained_model"
        )
    return Normalization(folder / "model.safetensors", modes, statistics)

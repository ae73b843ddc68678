"""What a comparison of policies has measured, one line of JSON per training and perturbation.

Trainings take hours, a table is made of a few kilobytes: the lines are kept beside the benchmarks,
so that anyone can make the table and the picture again, test other pairs, or go on.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from ddpm_controller.evaluation.results import Trial

_ANSWERS = ("successes", "count_errors", "tempo_deviations_s", "plan_s")
"""Fields of a ``Result``; all others say what was asked for."""


@dataclass(frozen=True)
class Result:
    """One training under one perturbation.

    Attributes:
        arm: Its name.
        seed: Of the training.
        perturbation: Of the trials.
        horizon: Rows of a chunk.
        updates: Of the training.
        trials: How many.
        first_seed: Of the trials, which have this one and those that follow.
        successes: "1" or "0" for each trial.
        count_errors: Strikes too many or too few in each trial; empty where nothing is struck.
        tempo_deviations_s: Of the trials that have a tempo.
        plan_s: Median time of a plan of one run on one thread; NaN where it was not measured.
        demonstrations: Of the training.
        stay_at_end: Whether it learned to stay behind the end of a demonstration.
    """

    arm: str
    seed: int
    perturbation: str
    horizon: int
    updates: int
    trials: int
    first_seed: int
    successes: str
    count_errors: list[int]
    tempo_deviations_s: list[float]
    plan_s: float
    demonstrations: int = 200
    stay_at_end: bool = False

    @property
    def key(self) -> Mapping[str, Any]:
        """What was asked for."""
        return {name: value for name, value in asdict(self).items() if name not in _ANSWERS}

    @classmethod
    def of(cls, key: Mapping[str, Any], trials: Sequence[Trial], plan_s: float) -> Self:
        """Return what these trials gave."""
        tallies = [dict(each.tally) for each in trials if "strikes" in each.tally]
        tempo = [each["period_deviation_s"] for each in tallies]
        return cls(
            successes="".join(str(int(each.success)) for each in trials),
            count_errors=[round(abs(each["strikes"] - each["wanted"])) for each in tallies],
            tempo_deviations_s=[round(each, 3) for each in tempo if math.isfinite(each)],
            plan_s=plan_s,
            **key,
        )


class KeptResults:
    """The lines of one file.

    Args:
        path: Of the file; made with its folder when there is something to keep.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        lines = path.read_text().splitlines() if path.is_file() else []
        self._results = [Result(**json.loads(line)) for line in lines]

    def find(self, key: Mapping[str, Any]) -> Result | None:
        """Return what was measured for the ``key`` of a ``Result``, or nothing."""
        return next((each for each in self._results if each.key == key), None)

    def add(self, result: Result) -> None:
        """Keep one more."""
        self._results.append(result)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a") as file:
            file.write(json.dumps(asdict(result)) + "\n")

"""A task: terms with weights, a gait, and what is asked of the motion, in a YAML file."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import mujoco
import numpy as np

from ddpm_controller.given_files import one_line, parsed_yaml
from ddpm_controller.rewards.gaits import GAITS, Gait
from ddpm_controller.rewards.motion import Motion
from ddpm_controller.rewards.terms import TERMS, Reward
from ddpm_controller.rewards.validated import validated

_KEYS = ("text", "gait", "feet", "terms")


@dataclass(frozen=True)
class Task:
    """What a planner is to do.

    Attributes:
        terms: Name -> (weight, name in ``TERMS``, its fields).
        gait: Pattern of the feet; None: there is none.
        feet: Sites of the feet, which the terms ``gait`` and ``foot_clearance`` take.
        text: Task in one sentence.
    """

    terms: Mapping[str, tuple[float, str, Mapping[str, Any]]]
    gait: Gait | None = None
    feet: tuple[str, ...] = ()
    text: str = ""

    def weighted(self, weights: Mapping[str, float]) -> "Task":
        """Return the task with some weights replaced.

        Raises:
            ValueError: A term is unknown, or a weight is below 0 or not finite.
        """
        if unknown := sorted(set(weights) - set(self.terms)):
            raise ValueError(f"weights {unknown} are of no term; the task has {list(self.terms)}")
        for name, weight in weights.items():
            _refuse_weight(name, weight)
        terms = {
            name: (float(weights.get(name, weight)), kind, values)
            for name, (weight, kind, values) in self.terms.items()
        }
        return replace(self, terms=terms)

    def with_gait(self, name: str) -> "Task":
        """Return the task with another gait of ``GAITS``.

        Raises:
            ValueError: It is unknown, or the task has no gait.
        """
        if name not in GAITS:
            raise ValueError(f"gait {name!r} is unknown; there are {list(GAITS)}")
        if self.gait is None:
            raise ValueError(f"gait {name!r}: the task has no gait, and no feet for one")
        return replace(self, gait=GAITS[name])

    def bind(self, model: mujoco.MjModel) -> Reward:
        """Return the reward of this task on a model; terms of weight 0 cost nothing.

        Raises:
            ValueError: A term does not fit the model.
        """
        bound = []
        for name, (weight, kind, values) in self.terms.items():
            try:
                reward = self._term(kind, values).bind(model)
            except ValueError as error:
                raise ValueError(f"term {name}: {one_line(error)}") from None
            if weight > 0:
                bound.append((weight, reward))

        def total(motion: Motion) -> np.ndarray:
            found = np.zeros(motion.qpos.shape[1:])
            for weight, reward in bound:
                found += weight * reward(motion)
            return found

        return total

    def parts(self, model: mujoco.MjModel) -> dict[str, Reward]:
        """Return the reward of each term without its weight, by name."""
        return {
            name: self._term(kind, values).bind(model)
            for name, (_, kind, values) in self.terms.items()
        }

    def _term(self, kind: str, values: Mapping[str, Any]) -> Any:
        known = {each.name for each in fields(TERMS[kind])}
        if "phases" in known:
            if self.gait is None:
                raise ValueError(f"it needs the task's gait, one of {list(GAITS)}")
            of_gait = {"feet": self.feet, "phases": self.gait.phases, "duty": self.gait.duty}
            height = {"height_m": self.gait.height_m} if "height_m" in known else {}
            values = {**of_gait, **height, **values}
        if unknown := sorted(set(values) - known):
            raise ValueError(f"{unknown} are unknown to it; it has {sorted(known)}")
        return validated(TERMS[kind], values)


def task_from(text: str) -> Task:
    """Return the task of a YAML text.

    Raises:
        ValueError: It is not one: an unknown key, term or gait, with those that are known, or a
            weight below 0; in one line.
    """
    values = parsed_yaml(text)
    if not isinstance(values, dict) or not isinstance(values.get("terms"), dict):
        raise ValueError(
            f"a task has the keys {list(_KEYS)}, terms at least, got {one_line(values)}"
        )
    if unknown := sorted(map(str, set(values) - set(_KEYS))):
        raise ValueError(f"keys {unknown} are unknown to a task, which has {list(_KEYS)}")
    terms = {str(name): _term_from(str(name), each) for name, each in values["terms"].items()}
    if not any(weight > 0 for weight, _, _ in terms.values()):
        raise ValueError("a task needs a term with a weight above 0")
    feet = values.get("feet", [])
    if not isinstance(feet, list) or not all(isinstance(each, str) for each in feet):
        raise ValueError(f"feet must be names of sites, got {one_line(feet)}")
    return Task(terms, _gait_from(values.get("gait")), tuple(feet), str(values.get("text", "")))


def _term_from(name: str, given: Any) -> tuple[float, str, Mapping[str, Any]]:
    values = {"weight": given} if isinstance(given, int | float) else given
    if not isinstance(values, dict) or "weight" not in values:
        raise ValueError(f"term {name}: it needs a weight, got {one_line(given)}")
    kind = str(values.get("term", name))
    if kind not in TERMS:
        raise ValueError(f"term {kind!r} is unknown; there are {list(TERMS)}")
    _refuse_weight(name, values["weight"])
    rest = {key: each for key, each in values.items() if key not in ("weight", "term")}
    return float(values["weight"]), kind, rest


def _refuse_weight(name: str, weight: Any) -> None:
    if not isinstance(weight, int | float) or not 0 <= weight < float("inf"):
        raise ValueError(f"term {name}: weight must be a number from 0 on, got {weight!r}")


def _gait_from(given: Any) -> Gait | None:
    if given is None:
        return None
    if isinstance(given, str):
        if given not in GAITS:
            raise ValueError(f"gait {given!r} is unknown; there are {list(GAITS)}")
        return GAITS[given]
    try:
        return validated(Gait, given)
    except ValueError as error:
        raise ValueError(f"gait: {error}") from None

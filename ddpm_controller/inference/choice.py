"""Which engine answers for a U-Net: the one that is named, or the fastest that is right."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from ddpm_controller.given_files import one_line
from ddpm_controller.inference.engine import (
    TOLERANCE,
    Answer,
    Engine,
    EngineError,
    Served,
    refuse_missing,
    version_of,
)
from ddpm_controller.inference.engines import ENGINES
from ddpm_controller.inference.remembered import chosen_key, recall, remember
from ddpm_controller.inference.trial import try_first

AUTO, TORCH = "auto", "torch"
ONLY = "DDPM_ENGINES"
"""Environment variable: names of engines, separated by commas, that ``auto`` chooses among."""
SEEDS = (0, 1, 2)
"""Seeds of the chunks that are compared."""
_REPEATS = 5

Sample = Callable[[Answer, int], Tensor]
"""(answer, seed) -> the normalized chunk that is sampled with it, (1, Tp, Da)."""


@dataclass(frozen=True, eq=False)
class Chosen:
    """An engine that answers for a network.

    Attributes:
        name: Key of ``ENGINES``.
        answer: What it computes.
        text: Why this one, in one line.
    """

    name: str
    answer: Answer
    text: str


@dataclass(frozen=True, eq=False)
class Checked:
    """An engine that was compared with torch.

    Attributes:
        answer: What it computes.
        difference: Largest difference of a normalized chunk.
    """

    answer: Answer
    difference: float

    def __str__(self) -> str:
        """The difference in words."""
        return f"a normalized chunk differs from torch's by {self.difference:.1g} at the most"


def chosen_engine(asked: str, served: Served, sample: Sample, refusal: str = "") -> Chosen:
    """Return the engine that is asked for, compared with torch.

    Args:
        asked: Key of ``ENGINES``, or ``auto``: the fastest that is equal to torch within
            ``TOLERANCE``. A choice is kept for the next time; it is compared all the same.
        served: The network.
        sample: Samples a chunk.
        refusal: Why nothing but torch serves it; empty: nothing forbids another one.

    Raises:
        EngineError: If the one that is named is unknown, missing or wrong.
    """
    if asked == TORCH:
        return _torch(served, "as asked for")
    if asked == AUTO:
        return _torch(served, refusal) if refusal else _fastest(served, sample)
    if asked not in ENGINES:
        raise EngineError(f"engine {asked!r} is unknown: use one of {[AUTO, *ENGINES]}")
    if refusal:
        raise EngineError(
            f"engine {asked!r} does not serve this policy: {refusal}; let engine be torch or auto"
        )
    found = checked(ENGINES[asked], served, sample)
    return Chosen(asked, found.answer, f"{_with_version(asked)}, as asked for; {found}")


def checked(engine: Engine, served: Served, sample: Sample) -> Checked:
    """Return an engine bound to a network, after some chunks were compared with torch's.

    Raises:
        EngineError: If it is missing, crashes, refuses the network or is not equal to torch.
    """
    refuse_missing(engine)
    if engine.name != TORCH:
        try_first(engine, served)
    try:
        answer = engine.bind(served)
        pairs = [(sample(answer, k), sample(served.unet.denoise_modulated, k)) for k in SEEDS]
    except EngineError:
        raise
    except Exception as error:  # a library of another's may raise anything
        raise EngineError(f"engine {engine.name!r} failed: {one_line(error)}") from error
    difference = max(float((one - other).abs().max()) for one, other in pairs)
    if not difference <= engine.tolerance:  # NaN is not equal either
        raise EngineError(
            f"engine {engine.name!r} differs from torch by {difference:.2g} of a normalized "
            f"chunk, above {engine.tolerance:g}: use another one"
        )
    return Checked(answer, difference)


def plan_times_s(answers: Mapping[str, Answer], sample: Sample) -> dict[str, float]:
    """Return the shortest time that each takes to sample a chunk, s, measured in turns."""
    times: dict[str, list[float]] = {name: [] for name in answers}
    for _ in range(_REPEATS):
        for name, answer in answers.items():
            began_s = time.perf_counter()
            sample(answer, SEEDS[0])
            times[name].append(time.perf_counter() - began_s)
    return {name: min(each) for name, each in times.items()}


def _fastest(served: Served, sample: Sample) -> Chosen:
    only = os.environ.get(ONLY, "")
    allowed = [name.strip() for name in only.split(",")] if only else list(ENGINES)
    candidates = [e for e in ENGINES.values() if e.tolerance <= TOLERANCE and e.name in allowed]
    others = [each for each in candidates if each.name != TORCH and version_of(each)]
    if not others:
        return _torch(served, "no other engine is installed" if not only else f"{ONLY} is {only}")
    versions = [_with_version(each.name) for each in candidates]
    key = chosen_key(served, versions)
    return _recalled(key, served, sample) or _measured(key, others, served, sample)


def _recalled(key: str, served: Served, sample: Sample) -> Chosen | None:
    """Return the choice of the last time, if it still holds."""
    found = recall(key)
    name, text = found.get("engine"), str(found.get("text", ""))
    if name not in ENGINES:
        return None
    try:
        return Chosen(str(name), checked(ENGINES[str(name)], served, sample).answer, text)
    except EngineError:
        return None


def _measured(key: str, others: list[Engine], served: Served, sample: Sample) -> Chosen:
    answers: dict[str, Answer] = {TORCH: served.unet.denoise_modulated}
    problems = []
    for engine in others:
        try:
            answers[engine.name] = checked(engine, served, sample).answer
        except EngineError as error:
            problems.append(str(error))
    times_s = plan_times_s(answers, sample)
    names = sorted(times_s, key=lambda name: times_s[name])
    figures = ", ".join(f"{_with_version(name)} {1e3 * times_s[name]:.1f} ms" for name in names)
    text = "; ".join([f"{figures} to denoise a chunk", *problems])
    remember(key, {"engine": names[0], "text": text})
    return Chosen(names[0], answers[names[0]], text)


def _torch(served: Served, why: str) -> Chosen:
    return Chosen(TORCH, served.unet.denoise_modulated, why)


def _with_version(name: str) -> str:
    return f"{name} {version_of(ENGINES[name])}"

"""The command `compare_rollouts`: which solver settings order a planner's candidates well."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tyro
from tyro.conf import Positional

from ddpm_controller.policy import overrides_from

if TYPE_CHECKING:
    from ddpm_controller.dynamics.fidelity import Fidelity
    from ddpm_controller.dynamics.rollouts import Rollouts
    from ddpm_controller.dynamics.solver import SolverSettings
    from ddpm_controller.planners.objective import Objective
    from ddpm_controller.planners.planner import Planner

_TICKS_BETWEEN = 10
VARIANTS = (
    "",
    "step_s=0.01 iterations=2 line_search_iterations=5 integrator=euler euler_damping=off",
    "step_s=0.01 iterations=2 line_search_iterations=5 integrator=euler euler_damping=on",
    "step_s=0.01 iterations=2 line_search_iterations=5 integrator=implicitfast",
    "step_s=0.02 iterations=4 line_search_iterations=5 integrator=euler euler_damping=off",
    "step_s=0.02 iterations=100 line_search_iterations=50 integrator=implicitfast",
)
"""Solver settings that are tried unless others are given; the first is the model's own."""


@dataclass(frozen=True)
class CompareRollouts:
    """Compare solver settings of a planner's rollouts with the model as it is.

    The planner moves the model itself. At some moments its candidates are rewarded by the model
    as it is and by every setting: what counts is whether both put them in the same order, and
    what it costs.

        ddpm compare-rollouts models/go1_trot

    Attributes:
        checkpoint: Folder of a planner.
        solver: Solver settings to compare, each a text of ``name=value`` words; left out: some
            usual ones.
        request: Requests of the run, each ``name=value``, as ``forward=0.8``.
        moments: Number of moments, some ticks apart.
        candidates: Number of candidates at each.
        seed: Seed of the run and of the candidates.
    """

    checkpoint: Positional[Path]
    solver: tuple[str, ...] = VARIANTS
    request: tuple[str, ...] = ()
    moments: int = 10
    candidates: int = 64
    seed: int = 0


def compared(command: CompareRollouts) -> dict[str, "Fidelity"]:
    """Return what each setting is worth, by its text.

    Raises:
        CheckpointError: The checkpoint cannot be used.
        ValueError: It is no planner, or a setting breaks a rule.
    """
    from ddpm_controller.dynamics.fidelity import fidelity_of
    from ddpm_controller.dynamics.rollouts import Rollouts
    from ddpm_controller.dynamics.solver import SolverSettings
    from ddpm_controller.planners.planner import Planner
    from ddpm_controller.systems import restore

    planner = restore(command.checkpoint)
    if not isinstance(planner, Planner):
        raise ValueError(f"{command.checkpoint} is no planner: make one with ddpm make-planner")
    settings = {text: _solver(text) for text in command.solver}
    model, tick_s = planner.model, planner.facts.action_spec.period_s
    plant = Rollouts([SolverSettings().applied(model)], tick_s)
    asked = _asked(planner, plant, command)
    truth = [replace(each, rollouts=plant)(knots)[0] for each, knots in asked]
    found = {}
    for text, solver in settings.items():
        rollouts = Rollouts([solver.applied(model)], tick_s)
        begin = time.process_time()
        answers = [replace(each, rollouts=rollouts)(knots) for each, knots in asked]
        spent_s = time.process_time() - begin
        rewards, good = zip(*answers, strict=True)
        rollout_s = spent_s / (command.moments * command.candidates)
        found[text] = fidelity_of(rewards, good, truth, rollout_s)
    return found


def _solver(text: str) -> "SolverSettings":
    from ddpm_controller.dynamics.solver import SolverSettings
    from ddpm_controller.rewards.validated import validated

    return validated(SolverSettings, overrides_from(text.split()))


def _asked(
    planner: "Planner", plant: "Rollouts", command: CompareRollouts
) -> "list[tuple[Objective, np.ndarray]]":
    """Return objectives of moments of a run in the plant, with candidates (N, K, nu) of each."""
    from ddpm_controller.planners.rehearsal import rehearsed

    random, requests = np.random.default_rng(command.seed), _requests(planner, command)
    found = []
    ticks = command.moments * _TICKS_BETWEEN
    for tick, each in enumerate(rehearsed(planner, plant, ticks, command.seed, requests)):
        if tick % _TICKS_BETWEEN == _TICKS_BETWEEN - 1:
            begin = each.searched.begin
            noise = random.standard_normal((command.candidates, *begin.shape))
            knots = np.clip(begin + planner.config.search.sigma * noise, -1.0, 1.0)
            found.append((each.searched.objective, knots))
    return found


def _requests(planner: "Planner", command: CompareRollouts) -> dict[str, np.ndarray]:
    """Return streams that ask for what the command names."""
    streams = {each.name: each for each in planner.facts.streams}
    values: dict[str, np.ndarray] = {}
    for word, value in overrides_from(command.request).items():
        stream, _, element = planner.config.requests.get(word, "").partition("/")
        if stream not in streams:
            raise ValueError(
                f"request {word!r}: the planner takes {list(planner.config.requests)}"
            )
        row = values.setdefault(stream, np.zeros(streams[stream].shape))
        row[streams[stream].names.index(element)] = float(value)
    return values


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0."""
    command = tyro.cli(CompareRollouts, args=arguments)
    for text, each in compared(command).items():
        sys.stdout.write(
            f"rank correlation {each.correlation:.2f} (lowest {each.lowest:.2f}), diverged "
            f"{100 * each.bad:.1f} %, {1e6 * each.rollout_s:.0f} us a rollout: "
            f"{text or 'as in the model'}\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())

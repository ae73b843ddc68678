"""What remembering costs: time of one plan with each state against the stateless plan, same run.

python benchmarks/stateful_cost.py

Also of a stateless plan from eight observations and of a regressed plan (bc_lstm), which
denoises nothing. Random weights, DDIM with 10 steps, one robot, one thread; state observations
only, which make the denoiser the whole cost. Time is that of the thread on its core, which on a
machine that does nothing else is the time that passes; policies take turns, plan by plan.
"""

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import tyro
from rich.console import Console
from rich.table import Table

from ddpm_controller.policies.bc_lstm.policy import BcLstm, BcLstmConfig, BcLstmNetwork
from ddpm_controller.policies.diff_control.policy import (
    DiffControl,
    DiffControlConfig,
    DiffControlNetwork,
)
from ddpm_controller.policies.diff_control.states import STATES
from ddpm_controller.policies.diffusion_policy.policy import (
    DiffusionPolicy,
    DiffusionPolicyConfig,
    DiffusionPolicyNetwork,
)
from ddpm_controller.policies.seams.strategies import SeamSettings
from ddpm_controller.policy import PlanSettings, Policy
from ddpm_controller.types import ActionSpec, Observation, StreamSpec

JOINTS = tuple("abcdefg")
SPEC = ActionSpec(JOINTS, ("rad",) * 7, 0.1)
STREAMS = (StreamSpec("joint_state", "vector", (7,), 50.0, JOINTS, ("rad",) * 7),)
LIMITS = {"min": [-1.0] * 7, "max": [1.0] * 7}
STATISTICS = {"joint_state": LIMITS, "action": LIMITS}
MOST = 0.30
"""Share of the stateless plan's time that a state may add."""


@dataclass(frozen=True)
class Options:
    """Time plans.

    Attributes:
        horizons: Of the chunks.
        repeats: Plans of each policy.
        branch_every: Denoising steps for which the branch is asked once.
    """

    horizons: tuple[int, ...] = (16, 64)
    repeats: int = 60
    branch_every: tuple[int, ...] = (1, 2, 3, 4)


def policies(config: DiffusionPolicyConfig, branch_every: tuple[int, ...]) -> dict[str, Policy]:
    """Return the policies by the name of the row."""
    found: dict[str, Policy] = {}
    for name, n_obs_steps in (("stateless", config.n_obs_steps), ("stateless_8", 8)):
        seeing = replace(config, n_obs_steps=n_obs_steps)
        network = DiffusionPolicyNetwork(seeing, SPEC, STREAMS, STATISTICS)
        found[name] = DiffusionPolicy(network, SPEC, PlanSettings())
    for state in STATES:
        arms: list[tuple[str, dict[str, Any], float]] = [(state, {}, 1.0)]
        if state == "controlnet":
            arms = [
                (f"{state}, every {each}", {"branch_every": each}, 1.0) for each in branch_every
            ]
            arms += [(f"{state}, w = {scale}", {}, scale) for scale in (0.0, 0.5)]
        for name, changes, scale in arms:
            of_state = DiffControlConfig(policy=config, state=state, **changes)
            with_state = DiffControlNetwork(of_state, SPEC, STREAMS, STATISTICS)
            settings = PlanSettings(overrides={"transition_scale": scale})
            if state not in ("controlnet", "as_released", "chunk_prior"):
                settings = PlanSettings()
            found[name] = DiffControl(with_state, SPEC, settings)
    regression = BcLstmConfig(horizon=config.horizon)
    lstm = BcLstmNetwork(regression, SPEC, STREAMS, STATISTICS)
    found["bc_lstm"] = BcLstm(lstm, SPEC, PlanSettings())
    return found


def window(policy: Policy, stamp_s: float) -> list[Observation]:
    """Return a window of some observations up to ``stamp_s``."""
    steps = policy.facts.n_obs_steps
    return [
        Observation(stamp_s + 0.1 * (step - steps + 1), {"joint_state": np.full(7, 0.1)})
        for step in range(steps)
    ]


def times(found: dict[str, Policy], repeats: int) -> dict[str, np.ndarray]:
    """Return the time of each plan, all of them with something to remember, s."""
    memories = {
        name: each.plan(window(each, 5.0), each.initial_memory(0)).memory
        for name, each in found.items()
    }
    taken: dict[str, list[float]] = {name: [] for name in found}
    for _ in range(repeats + 2):
        for name, each in found.items():
            seen = window(each, 5.8)
            begun_s = time.thread_time()
            each.plan(seen, memories[name])
            taken[name].append(time.thread_time() - begun_s)
    return {name: np.array(each[2:]) for name, each in taken.items()}


def main(options: Options) -> None:
    """Print the table."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    table = Table(title=f"one plan, DDIM-10, one thread; median of {options.repeats}")
    for column in ("horizon", "state", "plan, ms", "fastest, ms", "over stateless", "aim"):
        left = column == "state"
        table.add_column(column, justify="left" if left else "right", no_wrap=left)
    for horizon in options.horizons:
        config = DiffusionPolicyConfig(horizon=horizon, seam=SeamSettings("switch"))
        taken = times(policies(config, options.branch_every), options.repeats)
        for name, each in taken.items():
            # Turn by turn: what slows both down falls out.
            share = float(np.median(each / taken["stateless"])) - 1
            reached = "" if name == "stateless" else ("yes" if share <= MOST else "no")
            milliseconds = (f"{1e3 * value:.1f}" for value in (np.median(each), each.min()))
            table.add_row(str(horizon), name, *milliseconds, f"{100 * share:+.0f} %", reached)
    Console().print(table)


if __name__ == "__main__":
    main(tyro.cli(Options))

"""A planner that moves a model, without a robot: what it plans, and what becomes of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from ddpm_controller.dynamics.rollouts import Rollouts
from ddpm_controller.planners.planner import Planner, Searched
from ddpm_controller.types import Observation


@dataclass(frozen=True, eq=False)
class Rehearsed:
    """One tick of a run.

    Attributes:
        qpos: (nq,) at its beginning.
        qvel: (nv,).
        searched: Plan made from it.
    """

    qpos: np.ndarray
    qvel: np.ndarray
    searched: Searched


def rehearsed(
    planner: Planner,
    plant: Rollouts,
    ticks: int,
    seed: int,
    others: Mapping[str, np.ndarray],
    begin: np.ndarray | None = None,
) -> Iterator[Rehearsed]:
    """Yield the ticks of a run that begins at rest and follows the first row of every plan.

    Args:
        planner: Planner.
        plant: Model that moves, of the same tick.
        ticks: Number of ticks.
        seed: Seed of its plans.
        others: Values of streams that do not show the state, such as requests.
        begin: (nq,) qpos at the beginning; None: that of the key frame.

    Raises:
        RuntimeError: The plant diverged.
    """
    model = plant.model
    first = planner.rest.qpos if begin is None else begin
    state = plant.state_of(first, np.zeros(model.nv), np.zeros(model.na))
    memory = planner.initial_memory(seed)
    for tick in range(ticks):
        qpos, qvel = state[1 : 1 + model.nq], state[1 + model.nq : 1 + model.nq + model.nv]
        shown = planner.observation_of(qpos, qvel)
        observation = Observation(tick * plant.tick_s, {**shown.values, **others})
        searched = planner.searched(observation, memory)
        yield Rehearsed(qpos, qvel, searched)
        memory = searched.plan.memory
        ahead = plant.ahead(state, planner.commands_of(searched.plan.chunk.actions[:1]))
        if ahead is None:
            raise RuntimeError(
                f"the model diverged {observation.stamp_s:.3g} s after the beginning of the run"
            )
        state = ahead

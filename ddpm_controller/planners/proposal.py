"""What a learned policy proposes, as the plan with which a search begins."""

from collections.abc import Mapping

import numpy as np

from ddpm_controller.dynamics.rollouts import Rollouts
from ddpm_controller.planners.objective import ActionRange
from ddpm_controller.planners.observed_state import ObservedState
from ddpm_controller.policy import Policy
from ddpm_controller.types import Memory, Observation

PREFIX = "nominal/"
"""Prefix of the keys of its memory within the planner's."""


class Proposal:
    """Asks a policy for the actions of a horizon.

    A chunk that covers the horizon is taken as it is. A policy that answers for a tick or a few is
    followed in rollouts instead, tick by tick, with observations of the predicted state.

    Args:
        policy: Policy of the same action; its streams are among the planner's.
        state: Reads and shows the state of the model.
        rollouts: The nominal model.
        action: Range of the actions.
        to_model: Columns of a chunk in the order of the actuators.

    Raises:
        ValueError: The policy needs more than the newest observation, or pictures.
    """

    def __init__(
        self,
        policy: Policy,
        state: ObservedState,
        rollouts: Rollouts,
        action: ActionRange,
        to_model: np.ndarray,
    ) -> None:
        facts = policy.facts
        if facts.n_obs_steps != 1 or any(each.kind == "image" for each in facts.streams):
            raise ValueError(
                "the policy from whose chunk a plan begins must take one observation of vectors, "
                f"got n_obs_steps {facts.n_obs_steps} and {[s.name for s in facts.streams]}"
            )
        self._policy, self._state, self._rollouts = policy, state, rollouts
        self._action, self._to_model = action, to_model

    def initial_memory(self, seed: int) -> dict[str, np.ndarray]:
        """Return the memory of the policy, with prefixed keys."""
        return _prefixed(self._policy.initial_memory(seed))

    def rows(
        self,
        observation: Observation,
        memory: Memory,
        taken_over: np.ndarray,
        frozen: int,
        horizon: int,
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return actions (H, nu) from the take-over on, and the memory after them.

        Args:
            observation: Newest.
            memory: That of the planner.
            taken_over: (state_size,) of the model.
            frozen: Ticks until then.
            horizon: H.
        """
        own = {k.removeprefix(PREFIX): v for k, v in memory.items() if k.startswith(PREFIX)}
        tick_s = self._rollouts.tick_s
        plan = self._policy.plan([observation], own)
        moments_s = observation.stamp_s + tick_s * (frozen + np.arange(horizon))
        if plan.chunk.end_s >= moments_s[-1] - 1e-6:
            commands = plan.chunk.at(moments_s)[:, self._to_model]
        else:
            commands = self._followed(observation, plan.memory, taken_over, moments_s)
        return self._action.rows(commands), _prefixed(plan.memory)

    def _followed(
        self,
        observation: Observation,
        memory: Memory,
        state: np.ndarray,
        moments_s: np.ndarray,
    ) -> np.ndarray:
        """Return what the policy commands where it is followed from a state on, (H, nu)."""
        nq, nv = self._rollouts.model.nq, self._rollouts.model.nv
        commands = []
        for moment_s in moments_s.tolist():
            qpos, qvel = state[1 : 1 + nq], state[1 + nq : 1 + nq + nv]
            shown = self._shown(observation.values, qpos, qvel)
            plan = self._policy.plan([Observation(moment_s, shown)], memory)
            memory = plan.memory
            commands.append(plan.chunk.actions[0][self._to_model])
            state = self._rollouts.step(state, commands[-1][None])[0]
        return np.stack(commands)

    def _shown(
        self, values: Mapping[str, np.ndarray], qpos: np.ndarray, qvel: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Return streams that show a state; what else they show stays as it is."""
        found = dict(values)
        for stream, elements in self._state.values_of(qpos, qvel).items():
            found[stream] = found[stream].copy()
            for element, number in elements.items():
                found[stream][element] = number
        return found


def _prefixed(memory: Memory) -> dict[str, np.ndarray]:
    return {PREFIX + name: value for name, value in memory.items()}

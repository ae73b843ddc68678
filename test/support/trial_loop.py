"""The loop of a trial without a robot file."""

import math

from ddpm_controller.control.deployment import Deployment, policy_terms
from ddpm_controller.control.loop_settings import LoopSettings


def trial_loop(policy, limits, replan_period_s=0.8):
    """A loop at 50 Hz that observes what the policy takes."""
    return LoopSettings(
        policy.facts.streams,
        {s.name: math.inf if s.holds else 0.5 for s in policy.facts.streams},
        policy.facts.action_spec,
        0.02,
        replan_period_s,
        policy_terms(policy, Deployment()),
        limits,
    )

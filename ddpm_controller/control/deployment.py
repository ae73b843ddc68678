"""What a deployment asks of a control loop, whatever the robot and the policy are."""

import math
from dataclasses import dataclass
from typing import Literal

from ddpm_controller.control.loop_settings import PolicyTerms
from ddpm_controller.control.moving.stream_settings import StreamSettings
from ddpm_controller.control.observing.follow_watch import FollowRules
from ddpm_controller.control.planning.chunk_check import ChunkTolerance
from ddpm_controller.control.planning.start_gate import MARGIN, StartGate, start_gate
from ddpm_controller.policy import DepartureLimit, Policy

STREAMS = ("rest_ended", "single_point")


@dataclass(frozen=True)
class Deployment:
    """The parameters of a controller that change its commands, with their usual values.

    Attributes:
        control_rate_hz: Commands per second.
        replan_period_s: Time between two requests for a plan.
        max_age_s: Age of any stream but a held one beyond which the robot is held; None: as
            the robot file for each stream.
        fade_s: Time in which the difference between two chunks fades.
        stop_s: Time in which the robot stops.
        lead_s: Time by which a command is sent before its moment.
        stream: Form of the trajectories: ``rest_ended``, a committed lead with a stop behind it;
            ``single_point``, the command of the tick alone, as an array always is.
        stream_past_s: As ``StreamSettings.past_s``.
        stream_lead_s: As ``StreamSettings.lead_s``.
        stream_begin_s: As ``StreamSettings.begin_s``.
        stream_stamp: As ``StreamSettings.stamp``.
        stream_carries: As ``StreamSettings.carries``.
        lockstep: One tick per message on /clock; stamps may be ahead by any time then.
        start_margin: Fraction of a joint's training range by which it may be outside at the
            start; infinite: any.
        start_distance: Distance of the first action from the measured position, rad or m; None:
            half of each joint's training range, infinite: any.
        approach_share: Share of the joint limits for a slow approach in place of a refusal; 0:
            refuse.
        chunk_position_tolerance: As ``ChunkTolerance.position``.
        chunk_velocity_tolerance: As ``ChunkTolerance.velocity``.
        out_of_distribution_plans: Strange plans in a row that stop the robot; 0: they do not.
        min_inference_steps: Fewest denoising steps, where steps are chosen; 0: they are not.
        follow_lag_s: As ``FollowRules.lag_s``, where no command is ahead of its moment.
        follow_patience_s: As ``FollowRules.patience_s``; 0: whether the robot follows is not
            looked at.
        follow_repeats: As ``FollowRules.repeats``.
        reset_state_above: Departure above which the state of a policy begins again; None: as
            learned for its checkpoint, infinite: none.
    """

    control_rate_hz: float = 50.0
    replan_period_s: float = 0.8
    max_age_s: float | None = None
    fade_s: float = 0.2
    stop_s: float = 0.2
    lead_s: float = 0.0
    stream: Literal["rest_ended", "single_point"] = "rest_ended"
    stream_past_s: float = StreamSettings.past_s
    stream_lead_s: float = StreamSettings.lead_s
    stream_begin_s: float = StreamSettings.begin_s
    stream_stamp: Literal["absolute", "zero"] = "absolute"
    stream_carries: Literal["positions", "velocities", "accelerations"] = "accelerations"
    lockstep: bool = False
    start_margin: float = MARGIN
    start_distance: float | None = None
    approach_share: float = 0.0
    chunk_position_tolerance: float = ChunkTolerance.position
    chunk_velocity_tolerance: float = ChunkTolerance.velocity
    out_of_distribution_plans: int = 0
    min_inference_steps: int = 0
    follow_lag_s: float = FollowRules.lag_s
    follow_patience_s: float = FollowRules.patience_s
    follow_repeats: int = FollowRules.repeats
    reset_state_above: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.control_rate_hz < math.inf:
            raise ValueError(f"control_rate_hz must be above 0, got {self.control_rate_hz}")
        for name in ("max_age_s", "start_distance", "reset_state_above"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be above 0 or None, got {value}")
        if not self.start_margin >= 0:
            raise ValueError(f"start_margin must not be below 0, got {self.start_margin}")
        if self.stream not in STREAMS:
            raise ValueError(f"stream must be one of {list(STREAMS)}, got {self.stream!r}")
        # All refuse what is out of range.
        _ = self._form_of_stream, self.follow_rules
        StartGate(approach_share=self.approach_share)
        ChunkTolerance(self.chunk_position_tolerance, self.chunk_velocity_tolerance)

    @property
    def stream_settings(self) -> StreamSettings | None:
        """Form of trajectories that end at rest; None: each message is the command of its tick."""
        return None if self.stream == "single_point" else self._form_of_stream

    @property
    def _form_of_stream(self) -> StreamSettings:
        return StreamSettings(
            past_s=self.stream_past_s,
            lead_s=self.stream_lead_s,
            begin_s=self.stream_begin_s,
            stamp=self.stream_stamp,
            carries=self.stream_carries,
        )

    @property
    def follow_rules(self) -> FollowRules | None:
        """From when on the robot does not follow; None: that is not looked at.

        A command that is sent ahead of its moment is so much further ahead of the robot.
        """
        if self.follow_patience_s == 0:
            return None
        lag_s = self.follow_lag_s + self.lead_s
        return FollowRules(lag_s, self.follow_patience_s, self.follow_repeats)

    @property
    def tolerance(self) -> ChunkTolerance:
        """Demand beyond which a chunk is refused."""
        return ChunkTolerance(self.chunk_position_tolerance, self.chunk_velocity_tolerance)


def policy_terms(
    policy: Policy,
    deployment: Deployment,
    *,
    departure: DepartureLimit | None = None,
) -> PolicyTerms:
    """Return the terms on which a loop plans with ``policy`` under ``deployment``.

    Args:
        policy: Restored.
        deployment: How strictly a start is looked at.
        departure: Departure at which its state begins again; None: none.
    """
    gate = start_gate(
        policy.facts.training_range,
        margin=deployment.start_margin,
        distance=deployment.start_distance,
        approach_share=deployment.approach_share,
    )
    facts = policy.facts
    return PolicyTerms(
        facts.n_obs_steps, facts.num_inference_steps, gate, departure, facts.replan_period_s
    )

"""All that a control loop is built from, and all that a policy brings into it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from ddpm_controller.control.moving.leading_motion import LeadingMotion, motion_of
from ddpm_controller.control.moving.motion_loop import MotionLoop
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.control.moving.stream_settings import StreamSettings
from ddpm_controller.control.observing.follow_watch import FollowRules
from ddpm_controller.control.observing.stream_filter import StreamFilter
from ddpm_controller.control.observing.stream_rules import StreamRule
from ddpm_controller.control.planning.chunk_check import ChunkTolerance
from ddpm_controller.control.planning.start_gate import StartGate
from ddpm_controller.policy import DepartureLimit
from ddpm_controller.types import ActionSpec, StreamSpec


@dataclass(frozen=True)
class PolicyTerms:
    """On which terms a loop plans with a policy.

    Attributes:
        n_obs_steps: Observations in a window.
        num_inference_steps: Denoising steps of a plan when there is time; 0: it has none.
        gate: Conditions for the first chunk of a run.
        departure: Departure of the joints at which its state begins again; None: none.
        replan_period_s: Longest time between two requests that it is made for; infinite: any.
    """

    n_obs_steps: int = 1
    num_inference_steps: int = 0
    gate: StartGate = field(default_factory=StartGate)
    departure: DepartureLimit | None = None
    replan_period_s: float = math.inf

    def __post_init__(self) -> None:
        if not self.replan_period_s > 0:
            raise ValueError(f"replan_period_s must be above 0, got {self.replan_period_s}")
        if self.n_obs_steps < 1 or self.num_inference_steps < 0:
            raise ValueError(
                "n_obs_steps must be at least 1 and num_inference_steps not below 0, got "
                f"{self.n_obs_steps} and {self.num_inference_steps}"
            )


@dataclass(frozen=True)
class LoopSettings:
    """A control loop before it runs.

    Attributes:
        streams: Observed streams; one vector stream must name all joints of the action.
        max_ages_s: Stream name -> age beyond which the robot is held.
        action_spec: Commanded joints, and the policy's clock.
        period_s: Time between ticks.
        replan_period_s: Time between two requests for a plan.
        policy: Terms of the policy that plans first.
        limits: Limits of the joints of the action; None: not known yet, so nothing is sent.
        fade_s: Time in which the difference between two chunks fades.
        stop_s: Time that a stop takes; longer where the limits do not allow that.
        max_lead_s: A stamp further ahead of the last tick than this is refused.
        lead_s: Time by which a command is sent before its moment, because it acts so much later.
        stream: Form of trajectories that are committed ahead of now; None: each tick decides
            about itself.
        filters: Vector stream -> what stands in for its newest value in a policy's window.
        rules: Stream name -> what to do when it cannot be used; none: hold until it can.
        tolerance: Demand beyond which a chunk is refused as a whole; None: none is refused.
        out_of_distribution_plans: Strange plans in a row after which the robot is stopped; 0: it
            is not.
        min_inference_steps: Fewest denoising steps of a plan, where steps are chosen so that
            plans are in time; 0: steps are not chosen.
        follow: From when on the robot does not go where it is led; None: that is not looked at.

    Raises:
        ValueError: A time or a number is out of range.
    """

    streams: tuple[StreamSpec, ...]
    max_ages_s: Mapping[str, float]
    action_spec: ActionSpec
    period_s: float
    replan_period_s: float
    policy: PolicyTerms = field(default_factory=PolicyTerms)
    limits: JointLimits | None = None
    fade_s: float = 0.2
    stop_s: float = 0.2
    max_lead_s: float = math.inf
    lead_s: float = 0.0
    stream: StreamSettings | None = None
    filters: Mapping[str, StreamFilter] = field(default_factory=dict)
    rules: Mapping[str, StreamRule] = field(default_factory=dict)
    tolerance: ChunkTolerance | None = field(default_factory=ChunkTolerance)
    out_of_distribution_plans: int = 0
    min_inference_steps: int = 0
    follow: FollowRules | None = None

    def __post_init__(self) -> None:
        for name in ("period_s", "replan_period_s", "fade_s", "stop_s", "max_lead_s"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")
        if not 0 <= self.lead_s < math.inf:
            raise ValueError(f"lead_s must be finite and not below 0, got {self.lead_s}")
        for name in ("out_of_distribution_plans", "min_inference_steps"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be below 0, got {getattr(self, name)}")

    def motion(self, limits: JointLimits) -> MotionLoop | LeadingMotion:
        """Return what carries out the orders of the loop within ``limits``: see ``motion_of``."""
        return motion_of(
            self.action_spec.joint_names,
            limits,
            self.period_s,
            self.stream,
            fade_s=self.fade_s,
            stop_s=self.stop_s,
        )

    @property
    def committed_s(self) -> float:
        """Time ahead of now in which nothing is changed any more."""
        return self.stream.lead_s if self.stream is not None else 0.0

    @property
    def history_s(self) -> float:
        """Time before a window that is looked at too: by ages and by filters."""
        filters_s = max((each.history_s for each in self.filters.values()), default=0.0)
        finite_s = (age_s for age_s in self.max_ages_s.values() if age_s < math.inf)
        return max(finite_s, default=0.0) + filters_s

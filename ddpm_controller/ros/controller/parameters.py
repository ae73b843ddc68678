"""How the controller is deployed; what the policy is comes with the checkpoint."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from ddpm_controller.control import parameter_names
from ddpm_controller.control.deployment import Deployment
from ddpm_controller.control.parameter_names import WORDS
from ddpm_controller.policy import PlanSettings, overrides_from
from ddpm_controller.ros.parameters import fields_from, parameter

LIVE = ("checkpoint", "policy_overrides")
"""Parameters that may be set while the node is active."""
REMOVED = {
    name: f"policy.overrides:=['{name}=...']"
    for name in (
        *("sampler", "num_inference_steps", "seam", "expected_delay_s", "surprise"),
        "transition_scale",
    )
} | {"output": "topic and type of the action in the robot file"}
"""Parameters of earlier releases that are no fields, and what is given in their place."""


@dataclass(frozen=True)
class ControllerParameters:
    """Deployment facts; all but ``checkpoint`` are read when the node is configured."""

    NAMES: ClassVar[Mapping[str, str]] = parameter_names.NAMES

    checkpoint: str | None = parameter(
        None,
        "Folder of the checkpoint to run; setting it while the robot moves swaps policies; "
        "none: to be set later.",
        words=WORDS["checkpoint"],
        kind=str,
    )
    robot: str = parameter(
        "config/robots/sim_arm.yaml",
        "Robot file with streams, joints and the action; relative to here or to the package.",
        read_only=True,
    )
    state_denoiser: str | None = parameter(
        None,
        "Folder of a state denoiser of fit_noise for what the policy sees, or none.",
        words=WORDS["state_denoiser"],
        kind=str,
    )
    control_rate_hz: float = parameter(
        Deployment.control_rate_hz, "Commands per second, Hz.", low=10.0, high=500.0
    )
    replan_period_s: float = parameter(
        Deployment.replan_period_s,
        "Time between two requests for a plan, s; less where its rows would not last or plans are "
        "slow: twice the time that they take is left of the rows.",
        low=0.01,
        high=10.0,
    )
    n_action_steps: int | None = parameter(
        None,
        "Rows of a plan that are followed.",
        low=1,
        words=WORDS["n_action_steps"],
        kind=int,
    )
    policy_overrides: tuple[str, ...] = parameter(
        (),
        "Settings of the policy in place of its checkpoint's, each as name=value, for example "
        "sampler=ddpm; an unknown name is refused with those that the policy has. While active "
        "the checkpoint is loaded once more with them and continues from what it remembers.",
    )
    deadline_aware: bool = parameter(
        False,
        "Take fewer denoising steps where a plan would not be there before the chunk in force "
        "ends, and stop where policy.min_inference_steps are too slow too.",
    )
    min_inference_steps: int = parameter(
        4, "Denoising steps that a plan has at the least when policy.deadline_aware.", low=1
    )
    reset_state_above: float | None = parameter(
        Deployment.reset_state_above,
        "Departure of a joint from the plan in force above which what the policy "
        "remembers is reset, in usual departures; as_checkpoint: as fit_state_reset has learned "
        "for it.",
        low=0.001,
        high=1e6,
        words=WORDS["reset_state_above"],
        kind=float,
    )
    seed: int = parameter(0, "Seed of the denoising noise of a run.", low=0)
    max_age_s: float | None = parameter(
        Deployment.max_age_s,
        "Hold when any observation is older, s; as_robot_file: than its file has for the stream. "
        "A sentence does not age.",
        low=0.001,
        words=WORDS["max_age_s"],
        kind=float,
    )
    fade_s: float = parameter(
        Deployment.fade_s,
        "Time in which the difference between two chunks fades, s.",
        low=0.02,
        high=2.0,
    )
    stop_s: float = parameter(
        Deployment.stop_s, "Time in which the robot stops, s.", low=0.02, high=2.0
    )
    lead_s: float | None = parameter(
        Deployment.lead_s,
        "Send each command so much ahead of its moment, because it acts so much later, s; "
        "as_robot_file: its action.latency_s. See docs/explanation/timing.md.",
        low=0.0,
        high=2.0,
        words=WORDS["lead_s"],
        kind=float,
    )
    start_margin: float = parameter(
        Deployment.start_margin,
        "Do not start where a joint is further outside its training range than this fraction of "
        "it; any: start anywhere.",
        low=0.0,
        high=10.0,
        words=WORDS["start_margin"],
    )
    start_distance: float | None = parameter(
        Deployment.start_distance,
        "Do not start where the first action is further from a measured joint, rad "
        "or m; as_checkpoint: than half of its training range; any: start anywhere.",
        low=1e-6,
        high=100.0,
        words=WORDS["start_distance"],
        kind=float,
    )
    approach_slowly: bool = parameter(
        False, "Bring the robot slowly to the first action where it would not start."
    )
    approach_share: float = parameter(
        0.1, "Share of the joint limits that a slow approach uses.", low=0.001, high=1.0
    )
    chunk_position_tolerance: float = parameter(
        Deployment.chunk_position_tolerance,
        "Refuse a plan that goes further beyond a position limit than this share of the range.",
        low=0.0,
        high=1e6,
    )
    chunk_velocity_tolerance: float = parameter(
        Deployment.chunk_velocity_tolerance,
        "Refuse a plan that is faster than this many times a velocity limit.",
        low=1.0,
        high=1e6,
    )
    stop_out_of_distribution: bool = parameter(
        False,
        "Stop where the policy finds what it sees unlike its training data; false: only report. "
        "Needs a checkpoint with the file of fit_out_of_distribution.",
    )
    out_of_distribution_plans: int = parameter(
        3, "Stop after so many such plans in a row.", low=1, high=1000
    )
    stop_not_followed: bool = parameter(
        True,
        "Stop where the joints do not go where they are led: a protective stop, a controller that "
        "refuses, something in the way. By follow_tolerance in the joint-limits file.",
    )
    follow_lag_s: float = parameter(
        Deployment.follow_lag_s,
        "Longest time by which a robot that follows is behind its commands, s.",
        low=0.02,
        high=5.0,
    )
    follow_patience_s: float = parameter(
        Deployment.follow_patience_s,
        "Time for which a joint does not follow before the robot is stopped, s.",
        low=0.02,
        high=5.0,
    )
    follow_repeats: int = parameter(
        Deployment.follow_repeats,
        "Times that a robot that was stopped for this begins again by itself, where it stands and "
        "after a rest; afterwards it holds until ~/reset.",
        low=0,
        high=1000,
    )
    stream: str = parameter(
        Deployment.stream,
        "Form of a JointTrajectory. rest_ended: points from a little before now, a committed "
        "lead and a stop behind it, which a joint_trajectory_controller with default parameters "
        "follows exactly, and which brings the robot to rest when its sender dies. single_point: "
        "the command of the tick. In lockstep every message has the point of its tick.",
    )
    stream_past_s: float = parameter(
        Deployment.stream_past_s,
        "Time before now that a rest_ended trajectory begins at: more than the clocks may differ, "
        "s.",
        low=0.0,
        high=2.0,
    )
    stream_lead_s: float = parameter(
        Deployment.stream_lead_s,
        "Time ahead of now that is committed, s: it adds to the latency, and bridges late and "
        "lost messages.",
        low=0.0,
        high=2.0,
    )
    stream_begin_s: float = parameter(
        Deployment.stream_begin_s,
        "Time in which a run begins: from the measured position to rest where the motion begins, "
        "s.",
        low=0.1,
        high=2.0,
    )
    stream_stamp: str = parameter(
        Deployment.stream_stamp,
        "Stamp of a rest_ended trajectory: absolute, or zero, which counts from the arrival, for "
        "a robot whose clock is off.",
    )
    stream_carries: str = parameter(
        Deployment.stream_carries,
        "Derivatives in the points of a rest_ended trajectory: positions, velocities (and "
        "positions) or accelerations (and both).",
    )
    command_process: bool = parameter(
        True,
        "Command from a process of its own, which nothing that is computed here can delay and "
        "which stops the robot when this node dies; not with simulated time.",
    )
    command_standby: bool = parameter(
        True,
        "Have two processes ready, of which one takes over at once when the one that commands "
        "dies; they take memory, but no time.",
    )
    command_priority: int | None = parameter(
        50,
        "SCHED_FIFO priority of that process where permitted, or none.",
        low=1,
        high=99,
        words=WORDS["command_priority"],
        kind=int,
    )
    silence_s: float = parameter(
        0.5,
        "The process that commands stops the robot when nothing comes for so long, s.",
        low=0.05,
        high=5.0,
    )
    run_on_activate: bool = parameter(
        True, "Run as soon as active; false: only while a RunPolicy goal runs."
    )
    lockstep: bool = parameter(
        Deployment.lockstep,
        "One tick per message on /clock, for which observations and plans are waited.",
        read_only=True,
    )
    success_topic: str = parameter(
        "success", "Topic of std_msgs/Bool that ends a RunPolicy goal.", read_only=True
    )
    pictures: bool = parameter(
        True, "Publish the chunks as a trajectory and as a path, while there is a subscriber."
    )
    device: str = parameter("cpu", "Torch device of the policy.", read_only=True)
    torch_num_threads: int = parameter(
        1,
        "Threads of the policy, of torch and of every other engine; more than one is slower on "
        "busy cores.",
        low=1,
        high=256,
        read_only=True,
    )
    engine: str = parameter(
        "auto",
        "What computes the denoiser: torch, openvino, onnx or openvino_bf16; auto: the fastest "
        "that is installed and equal to torch, which is measured once and remembered.",
        read_only=True,
    )

    def __post_init__(self) -> None:
        overrides_from(self.policy_overrides)  # refused while it can be corrected
        # The form of a stream is checked there.
        Deployment(
            stream=self.stream,  # type: ignore[arg-type]
            stream_past_s=self.stream_past_s,
            stream_lead_s=self.stream_lead_s,
            stream_begin_s=self.stream_begin_s,
            stream_stamp=self.stream_stamp,  # type: ignore[arg-type]
            stream_carries=self.stream_carries,  # type: ignore[arg-type]
        )

    @property
    def plan_settings(self) -> PlanSettings:
        """The part that a policy is restored with."""
        return PlanSettings(
            n_action_steps=self.n_action_steps,
            device=self.device,
            overrides=overrides_from(self.policy_overrides),
            engine=self.engine,
        )

    def refusal(self, values: Mapping[str, Any], *, active: bool) -> str:
        """Return why these parameters cannot be set, or an empty text.

        Args:
            values: ROS name -> value; other names do not count.
            active: Whether the node is.
        """
        try:
            changes = fields_from(type(self), values)
            replace(self, **changes)
        except ValueError as error:
            return str(error)
        blocked = sorted(self.NAMES.get(name, name) for name in set(changes) - set(LIVE))
        if blocked and active:
            return f"{blocked} cannot change while active: deactivate and clean up first"
        return ""

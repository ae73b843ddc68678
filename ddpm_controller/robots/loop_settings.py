"""The control loop of a robot under a deployment: the same for node, replay and evaluation."""

import math
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from ddpm_controller.control.deployment import Deployment
from ddpm_controller.control.loop_settings import LoopSettings, PolicyTerms
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.control.observing.stream_filter import StreamFilter
from ddpm_controller.robots.lead import lead_from
from ddpm_controller.robots.outputs import JOINT_TRAJECTORY, STAMPED
from ddpm_controller.robots.robot import Robot

_MOST_LEAD_S = 1.0
"""A stamp further ahead of the clock is an error, but in lockstep."""
_SWITCHES = {
    "approach_share": "approach_slowly",
    "out_of_distribution_plans": "stop_out_of_distribution",
    "min_inference_steps": "deadline_aware",
    "follow_patience_s": "stop_not_followed",
}
"""Number -> the parameter without which it counts as 0."""
_USUALLY_ON = frozenset({"stop_not_followed"})
"""Of these parameters; a recording from before them leaves them out."""


def deployment_from(parameters: Mapping[str, Any], robot: Robot) -> Deployment:
    """Return the deployment that the parameters of a controller stand for, live or recorded.

    What a controller from before a parameter did not record has its usual value, but the stream:
    it sent single points.

    Args:
        parameters: Field -> value; fields that do not change commands do not count.
        robot: Its latency is the lead where the parameters ask for that.

    Raises:
        ValueError: A value is out of range.
    """
    known = {field.name for field in fields(Deployment)}
    values: dict[str, Any] = {"stream": "single_point"}
    values |= {name: value for name, value in parameters.items() if name in known}
    values |= {
        number: 0
        for number, switch in _SWITCHES.items()
        if not parameters.get(switch, switch in _USUALLY_ON)
    }
    # Only a trajectory has room for more than its tick. A controller from before outputs were in
    # the robot file recorded which message it sent.
    if not _streams(robot) or parameters.get("output") == "commands":
        values["stream"] = "single_point"
    try:
        return Deployment(**values | {"lead_s": lead_from(parameters, robot)})
    except TypeError as error:  # a recording that has a text where a number belongs
        raise ValueError(f"a parameter of the controller has another type: {error}") from None


def loop_settings(
    robot: Robot,
    policy: PolicyTerms | None,
    deployment: Deployment,
    *,
    limits: JointLimits | None = None,
    filters: Mapping[str, StreamFilter] | None = None,
) -> LoopSettings:
    """Return the settings of the loop that moves ``robot``.

    Args:
        robot: Its streams, joints and rules.
        policy: Terms of the policy that plans first; None: there is none yet.
        deployment: Deployment that the parameters stand for.
        limits: Limits of its joints; None: not known yet.
        filters: Vector stream -> what stands in for its newest value in a policy's window.

    Raises:
        ValueError: The deployment does not fit the robot.
    """
    return LoopSettings(
        streams=robot.stream_specs,
        max_ages_s=_max_ages_s(robot, deployment),
        action_spec=robot.action_spec,
        period_s=1.0 / deployment.control_rate_hz,
        replan_period_s=deployment.replan_period_s,
        policy=PolicyTerms() if policy is None else policy,
        limits=limits,
        fade_s=deployment.fade_s,
        stop_s=deployment.stop_s,
        max_lead_s=math.inf if deployment.lockstep else _MOST_LEAD_S,
        lead_s=deployment.lead_s,
        stream=deployment.stream_settings if _streams(robot) else None,
        filters=filters or {},
        rules=robot.rules,
        tolerance=deployment.tolerance,
        out_of_distribution_plans=deployment.out_of_distribution_plans,
        min_inference_steps=deployment.min_inference_steps,
        follow=deployment.follow_rules,
    )


def refuse_outputs(robot: Robot, deployment: Deployment) -> None:
    """Refuse outputs that cannot be sent as they are deployed.

    Raises:
        ValueError: With the output, the rule and the remedy.
    """
    rate_hz, streams = deployment.control_rate_hz, deployment.stream_settings is not None
    for each in robot.outputs:
        if each.rate_hz is not None and each.rate_hz > rate_hz:
            raise ValueError(
                f"action {each.name!r}: rate_hz {each.rate_hz:g} is above control_rate_hz "
                f"{rate_hz:g}: lower it, or leave it out for every command"
            )
        is_streamed = streams and not deployment.lockstep and each.type == JOINT_TRAJECTORY
        if each.rate_hz is not None and is_streamed:
            raise ValueError(
                f"action {each.name!r}: trajectories that end at rest are sent as often as their "
                "lead needs: leave rate_hz out, or set command.stream to single_point"
            )
        may_wait = each.type not in STAMPED or each.gripper is not None or each.rate_hz is not None
        if deployment.lockstep and may_wait and len(robot.outputs) > 1:
            raise ValueError(
                f"action {each.name!r}: in lockstep every output answers every tick with its "
                f"stamp: use a type of {sorted(STAMPED)}, without rate_hz, dead_band and binary"
            )


def command_age_s(robot: Robot, deployment: Deployment) -> float:
    """Return by how much a command is ahead of the newest measured position of the joints, s.

    The committed lead, a tick, the latencies of the robot file and a period of the measurement.
    """
    measured = [each.latency_s + 1.0 / each.spec.rate_hz for each in robot.measuring_streams]
    stream, period_s = deployment.stream_settings, 1.0 / deployment.control_rate_hz
    lead_s = stream.lead_s if stream else 0.0
    return lead_s + robot.latency_s + period_s + max(measured, default=0.0)


def _streams(robot: Robot) -> bool:
    """Return whether something can take more than the command of a tick."""
    return any(each.type == JOINT_TRAJECTORY for each in robot.outputs)


def _max_ages_s(robot: Robot, deployment: Deployment) -> dict[str, float]:
    if deployment.max_age_s is None:
        return robot.max_ages_s
    # Each stream refuses an age below its latency.
    streams = (
        each if each.spec.holds else replace(each, max_age_s=deployment.max_age_s)
        for each in robot.streams
    )
    return {stream.spec.name: stream.max_age_s for stream in streams}

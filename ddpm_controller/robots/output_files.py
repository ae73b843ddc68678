"""The outputs of a robot, read from its robot file. No rclpy.

Apart from ``outputs``, which the process that commands reads too: it has no use for a parser.
"""

from collections.abc import Sequence

from ddpm_controller.control.gripper import BinaryGripper, GripperRule
from ddpm_controller.robots.outputs import ACTION_RATE_HZ, ACTIONS, RobotOutput, spec_of
from ddpm_controller.robots.robot_file import ActionFile


def outputs_from(files: Sequence[ActionFile]) -> tuple[tuple[RobotOutput, ...], float]:
    """Return the outputs that a robot file names, and the time between two rows of a plan, s.

    Raises:
        ValueError: They contradict each other, or one breaks a rule.
    """
    for what, values in (
        ("name", [each.name for each in files]),
        ("topic", [each.topic for each in files]),
    ):
        if len(set(values)) != len(values):
            raise ValueError(f"actions: each needs a {what} of its own, got {values}")
    periods_s = {each.period_s for each in files if each.period_s is not None}
    if files[0].period_s is None or len(periods_s) != 1:
        raise ValueError(
            f"actions: the first needs a period_s, and all the same or none, got "
            f"{[each.period_s for each in files]}"
        )
    outputs = tuple(_output(each) for each in files)
    spec_of(outputs, files[0].period_s)  # refuses what does not go together
    return outputs, files[0].period_s


def _output(file: ActionFile) -> RobotOutput:
    gripper = None
    rate_hz = file.rate_hz
    is_action = file.type in ACTIONS
    if is_action or file.dead_band or file.binary or file.max_effort:
        binary = None if file.binary is None else BinaryGripper(**dict(file.binary))
        gripper = GripperRule(file.dead_band, binary, file.max_effort)
    if is_action and rate_hz is None:
        rate_hz = ACTION_RATE_HZ
    recorded = file.recorded
    return RobotOutput(
        name=file.name,
        topic=file.topic,
        type=file.type,
        names=file.names,
        units=file.units,
        kind=file.kind,
        rate_hz=rate_hz,
        latency_s=file.latency_s,
        relative_to=file.relative_to,
        frame_id=file.frame_id,
        reference=file.reference,
        gripper=gripper,
        prefix=file.prefix,
        recorded_topic=recorded.topic if recorded else "",
        recorded_type=recorded.type if recorded else "",
        recorded_source=recorded.source if recorded else "commands",
        recorded_delay_s=recorded.delay_s if recorded else None,
    )

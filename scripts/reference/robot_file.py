"""The page of the robot file and the joint-limits file."""

from pathlib import Path

from tables import fields_table, summary

from ddpm_controller.robots.joint_limits_file import JointEntry
from ddpm_controller.robots.robot_file import (
    ActionFile,
    BinaryFile,
    BoxFile,
    RecordedFile,
    RecordingRules,
    RobotFile,
)
from ddpm_controller.robots.stream_file import (
    FieldsFile,
    FramesFile,
    StreamFile,
    TextFile,
    TransformFile,
)

_KINDS = {
    "The file": RobotFile,
    "streams: joint values and images": StreamFile,
    "streams: fields of other messages": FieldsFile,
    "streams: frames of tf": TransformFile,
    "tf": FramesFile,
    "streams: sentences": TextFile,
    "action, and each of actions": ActionFile,
    "binary": BinaryFile,
    "recorded": RecordedFile,
    "end_effector_box": BoxFile,
    "recordings": RecordingRules,
    "A joint in the joint-limits file": JointEntry,
}


def page(root: Path) -> str:
    """Return the page."""
    lines = [
        "# Robot file",
        "",
        "What the robot is: `config/robots/<robot>.yaml`. An unknown key is refused. The file of "
        "the simulated arm, `config/robots/sim_arm.yaml`, is a commented example.",
        "",
    ]
    for title, kind in _KINDS.items():
        lines += [f"## {title}", "", summary(kind), "", fields_table(kind)]
    return "\n".join(lines)

"""The text of a first robot file; what was guessed is marked with ``check:``."""

from ddpm_controller.robots.outputs import ACTIONS, JOINT_TRAJECTORY, MULTI_ARRAY
from ddpm_controller.robots.robot import DESCRIPTION
from ddpm_controller.survey.choice import TWISTS, Choice, Output, chosen, is_gripper
from ddpm_controller.survey.lines import indented, line, listed, mapped, quoted
from ddpm_controller.survey.seen_robot import SeenCamera, SeenCommands, SeenOther, SeenRobot

_PERIOD = line("period_s", 0.1, "check: the policy's clock, the time between two rows of a plan")
_SHORT_SIDE = 96
_DEPTHS = ("16UC1", "32FC1")
_LEAST_AGE_S, _LATE_MESSAGES = 0.1, 5
_UNKNOWN_HZ = 10.0
_DEAD_BAND = {"rad": 0.01, "m": 0.001}
_ONE_SEEN = "check: one message was seen"
ODOMETRY = "nav_msgs/msg/Odometry"
_FIELDS = {ODOMETRY: ("pose.pose.position", "pose.pose.orientation")}
"""Type -> fields that are observed at first; left out: all numbers."""
_CAMERA_WORDS = {
    "image",
    "raw",
    "image_raw",
    "image_rect_raw",
    "image_rect",
    "compressed",
    "color",
    "rgb",
    "camera",
    "rect",
}


def robot_file_text(name: str, seen: SeenRobot) -> str:
    """Return the text of ``NAME.yaml``; the limits are in ``NAME_limits.yaml`` beside it."""
    choice = chosen(seen)
    lines = [
        f"# First robot file of {name}, by `ddpm new-robot` from {seen.source}.",
        "# Lines with `check:` hold what could not be seen. More: docs/how_to/own_robot.md",
        line("robot", name),
        line("joint_limits", f"{name}_limits.yaml"),
        *_descriptions(seen),
        line("end_effector", '""', "check: the link whose path is drawn; empty: the last one"),
        "",
        "streams:",
        *indented(_joint_stream(choice, seen), 1),
    ]
    names: set[str] = set()
    for camera in seen.cameras:
        lines.append(f"  {_camera_name(camera.topic, names)}:")
        lines += indented(_camera_stream(camera, seen), 2)
    has_base = any(each.commands.type in TWISTS for each in choice.outputs)
    is_blind = not (choice.states is not None and choice.observed) and not seen.cameras
    for other in seen.others:
        is_needed = is_blind or (has_base and other.type == ODOMETRY)
        lines += _other_stream(other, seen, is_needed=is_needed)
    return "\n".join([*lines, "", *_actions(choice, seen), *_closing(choice, seen)]) + "\n"


def _descriptions(seen: SeenRobot) -> list[str]:
    """Return where the robot description is, if not where it is looked for."""
    found = {seen.relative(topic): prefix for topic, prefix in seen.described.items()}
    if not found or found == {DESCRIPTION: ""}:
        return []
    return [line("descriptions", mapped(found))]


def _joint_stream(choice: Choice, seen: SeenRobot) -> list[str]:
    states, observed = choice.states, choice.observed
    if states is None or not observed:
        return ["# check: no joint state was seen: add a stream of what the policy is to see"]
    slowest_hz = min(states.rates_hz[name] for name in observed)
    rate_hz = slowest_hz or _UNKNOWN_HZ
    lacking = f"the driver leaves out {' and '.join(states.lacks)}" if states.lacks else ""
    topics = {seen.relative(topic): prefix for topic, prefix in states.prefixes.items()}
    lines = [
        line("topics", mapped(topics)) if topics else line("topic", seen.relative(states.topic)),
        line("type", "sensor_msgs/msg/JointState"),
        line("field", "position", lacking),
        line("names", listed(observed)),
        line("units", listed([choice.unit(name) for name in observed]), _unit_doubt(choice)),
        line("rate_hz", rate_hz, "" if slowest_hz else _ONE_SEEN),
        line("max_age_s", _max_age_s(rate_hz), "check: a value older than this stops the robot"),
    ]
    return ["joint_state:", *indented([*lines, *_joint_remarks(choice, seen)], 1)]


def _joint_remarks(choice: Choice, seen: SeenRobot) -> list[str]:
    states, remarks = choice.states, []
    assert states is not None
    if turning := [name for name in choice.observed if choice.is_continuous(name)]:
        remarks.append(
            f"check: {', '.join(turning)} turn without end: add wraps: {listed(turning)} where "
            "the driver reports them within one turn"
        )
    if choice.unseen:
        remarks.append(
            f"check: {', '.join(choice.unseen)} are commanded but not measured here; one stream "
            "has to measure all"
        )
    if more := [name for name in states.rates_hz if name not in choice.observed]:
        remarks.append(f"also there: {', '.join(more)}")
    if others := [seen.relative(each.topic) for each in seen.joints if each is not states]:
        remarks.append(f"other joint states: {', '.join(others)}")
    return [f"# {remark}" for remark in remarks]


def _unit_doubt(choice: Choice) -> str:
    if choice.described:
        return ""
    return f"check: rad or m; {choice.doubt or 'no robot_description was seen'}"


def _camera_name(topic: str, names: set[str]) -> str:
    """Return a name of a stream by the words of a topic that distinguish cameras."""
    words = [word for word in topic.strip("/").split("/") if word not in _CAMERA_WORDS]
    name = "_".join(["camera", *words[:2]]).replace("camera_cam", "cam")
    while name in names:
        name += "_2"
    names.add(name)
    return name


def _camera_stream(camera: SeenCamera, seen: SeenRobot) -> list[str]:
    height, width, rate_hz = camera.height, camera.width, camera.rate_hz or _UNKNOWN_HZ
    share = min(1.0, _SHORT_SIDE / min(height, width))
    small = [round(height * share), round(width * share)]
    lines = [
        line("topic", seen.relative(camera.topic)),
        line("type", camera.type, camera.encoding),
        line("height", height),
        line("width", width),
        line("resize", small, "check: height and width that the policy is to see"),
        line("rate_hz", rate_hz, "" if camera.rate_hz else _ONE_SEEN),
        line("max_age_s", _max_age_s(rate_hz)),
    ]
    if any(depth in camera.encoding for depth in _DEPTHS):
        lines.append(line("depth_range_m", [0.2, 2.0], "check: nearest and farthest distance"))
    return lines


def _other_stream(other: SeenOther, seen: SeenRobot, *, is_needed: bool) -> list[str]:
    """Return a stream of another type; one that a policy may do without is a remark."""
    rate_hz = other.rate_hz or _UNKNOWN_HZ
    fields = _FIELDS.get(other.type)
    words = [word for word in seen.relative(other.topic).strip("/").split("/") if word]
    lines = [
        f"{'_'.join(words)}:",
        *indented(
            [
                line("topic", seen.relative(other.topic)),
                line("type", other.type),
                *([line("fields", listed(fields))] if fields else []),
                line("rate_hz", rate_hz, "" if other.rate_hz else _ONE_SEEN),
                line("max_age_s", _max_age_s(rate_hz)),
            ],
            1,
        ),
    ]
    if is_needed:
        return indented(lines, 1)
    return [f"  # {each}" for each in [f"check: should the policy see {words[-1]}?", *lines]]


def _max_age_s(rate_hz: float) -> float:
    return float(f"{max(_LEAST_AGE_S, _LATE_MESSAGES / rate_hz):.2g}")


def _actions(choice: Choice, seen: SeenRobot) -> list[str]:
    if not choice.outputs:
        return ["action:", *indented(_no_action(choice), 1)]
    if len(choice.outputs) == 1:
        lines = [*_output_lines(choice.outputs[0], choice, seen), _PERIOD]
        return ["action:", *indented(lines, 1)]
    lines, names = ["actions:"], set[str]()
    for output in choice.outputs:
        block = [line("name", _output_name(output, names)), *_output_lines(output, choice, seen)]
        block += [_PERIOD] if len(names) == 1 else []
        lines += [f"  - {block[0]}", *indented(block[1:], 2)]
    return lines


def _no_action(choice: Choice) -> list[str]:
    joints = choice.observed or ("joint",)
    return [
        "# check: nothing was seen that takes commands: is the robot's controller loaded?",
        line("topic", "joint_trajectory"),
        line("type", JOINT_TRAJECTORY),
        line("names", listed(joints)),
        line("units", listed([choice.unit(name) for name in joints])),
        _PERIOD,
    ]


def _output_name(output: Output, names: set[str]) -> str:
    """Return base, gripper or arm, numbered where there are several."""
    name = "gripper" if all(map(is_gripper, output.names)) else "arm"
    name = "base" if output.commands.type in TWISTS else name
    name = f"{output.commands.prefix.replace('/', '_')}{name}"
    count = sum(each.startswith(name) for each in names)
    name += str(count + 1) if count else ""
    names.add(name)
    return name


def _output_lines(output: Output, choice: Choice, seen: SeenRobot) -> list[str]:
    commands, is_twist = output.commands, output.commands.type in TWISTS
    rate = "/s" if commands.interface == "velocity" else ""
    units = [_twist_unit(n) if is_twist else choice.unit(n) + rate for n in output.names]
    kind = "twist" if is_twist else "joint_velocity" if rate else ""
    doubts = f"check: {'; '.join(output.doubts)}" if output.doubts else ""
    lines = [
        line("topic", seen.relative(commands.topic), _taker(commands)),
        line("type", commands.type, _type_doubt(commands)),
        *([line("kind", kind)] if kind else []),
        *([line("prefix", quoted(commands.prefix))] if commands.prefix else []),
        line("names", listed(output.names), doubts),
        line("units", listed(units), "" if is_twist else _unit_doubt(choice)),
    ]
    if commands.type in ACTIONS:
        band = _DEAD_BAND[units[0]]
        lines.append(line("dead_band", band, "check: smaller changes are not sent"))
    return lines


def _taker(commands: SeenCommands) -> str:
    return f"taken by {commands.node}" if commands.node else ""


def _type_doubt(commands: SeenCommands) -> str:
    if commands.type == MULTI_ARRAY and commands.interface == "position":
        return "check: positions, in the order of names"
    if commands.type in ACTIONS and not commands.node:
        return "check: or control_msgs/action/ParallelGripperCommand"
    return ""


def _twist_unit(name: str) -> str:
    return "rad/s" if name.startswith("angular") else "m/s"


def _closing(choice: Choice, seen: SeenRobot) -> list[str]:
    remarks = [
        f"check: also commanded on {quoted(seen.relative(each.topic))}, {each.type}"
        f"{f', {_taker(each)}' if each.node else ''}: name the one that is active"
        for each in choice.left_out
        if each.interface != "effort"
    ]
    return ["", *(f"# {remark}" for remark in remarks)] if remarks else []

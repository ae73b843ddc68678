"""Joints and topics by name: twice in a message, in several namespaces, not readable."""

from collections.abc import Iterator

from ddpm_controller.bags.files import BagError, resolve_topic
from ddpm_controller.lint.finding import Finding
from ddpm_controller.lint.recording import Recording
from ddpm_controller.robots.robot import Robot


def check_names(recording: Recording, robot: Robot) -> Iterator[Finding]:
    """Yield topics whose messages have a joint twice; with two values it is wrong."""
    for topic, names in recording.repeated.items():
        yield Finding(
            "duplicate_names",
            "wrong" if topic in recording.refused else "doubtful",
            recording.name,
            f"messages of {topic} have {names} more than once",
            "let one driver alone fill in a joint, and record again",
        )


def check_namespaces(recording: Recording, robot: Robot) -> Iterator[Finding]:
    """Yield recordings whose states and commands are, or may be, of several robots."""
    joints = set(robot.action_spec.joint_names)
    streams = [each for each in robot.streams if joints & set(each.spec.names)]
    names = {each.topic for stream in streams for each in stream.sources}
    names |= {output.in_bags[0] for output in robot.outputs}
    spaces: dict[str, str] = {}
    try:
        for name in sorted(names):
            topic = None if name.startswith("/") else resolve_topic(name, recording.topics)
            if topic is not None:
                spaces[name] = topic.removesuffix(f"/{name}") or "/"
    except BagError as error:
        yield _mixed(recording, str(error))
        return
    if len(set(spaces.values())) > 1:
        yield _mixed(recording, f"states and commands are in several namespaces: {spaces}")


def _mixed(recording: Recording, text: str) -> Finding:
    remedy = "write the full names of the topics of one robot in the robot file"
    return Finding("mixed_namespaces", "wrong", recording.name, text, remedy)


def check_readable(recording: Recording, robot: Robot) -> Iterator[Finding]:
    """Yield what cannot be read."""
    if recording.fault:
        yield Finding("unreadable", "wrong", recording.name, recording.fault, "see there")
    for topic, texts in recording.refused.items():
        if topic not in recording.repeated:
            text = f"{len(texts)} messages of {topic} cannot be read, the first: {texts[0]}"
            remedy = "correct the robot file, or record again"
            yield Finding("unreadable", "wrong", recording.name, text, remedy)

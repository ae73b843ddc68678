"""Streams and recordings that are absurd, into the loop of a robot that moves and into a training.

The loop is the real one, in one process and in lockstep: a stub in the place of the policy follows
waves, and each command is compared with the one before it by the time of the ticks, whatever its
stamps are.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import simplejpeg
from attack_cases import Case

from ddpm_controller.bags.conversions import ConversionError, observation_from
from ddpm_controller.bags.episodes import read_episodes
from ddpm_controller.bags.files import BagError
from ddpm_controller.bags.message_types import message_types
from ddpm_controller.bags.storages import BagTopic
from ddpm_controller.bags.writer import BagWriter
from ddpm_controller.control.loop import ControlLoop
from ddpm_controller.control.loop_settings import LoopSettings, PolicyTerms
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.control.states import Reason, State
from ddpm_controller.data.text_features import LONGEST_TEXT
from ddpm_controller.robots.robot import load_robot
from ddpm_controller.types import ActionChunk, ActionSpec, Plan, StreamSpec

T = message_types().types
NAMES = ("turn", "slide")
TICK_S = 0.02
BEGIN_S, FAULT_S, WELL_S, END_S = 1.0, 1.6, 2.2, 4.2
STATE = StreamSpec("joint_state", "vector", (2,), 50.0, NAMES, ("rad", "m"))
SPEC = ActionSpec(NAMES, ("rad", "m"), 0.1)
LIMITS = JointLimits(np.array([-3.1, 0.0]), np.array([3.1, 0.4]), np.array([2.0, 0.5]))
MEMORY = {"seed": np.array(0), "plan_number": np.array(0)}
ROBOT = """
robot: two_joints
streams:
  joint_state: {topic: joint_states, type: sensor_msgs/msg/JointState, names: [turn, slide],
                units: [rad, m], rate_hz: 50.0, max_age_s: 0.3}
  camera: {topic: camera, type: sensor_msgs/msg/CompressedImage, height: 48, width: 64,
           rate_hz: 25.0, max_age_s: 0.5}
  words: {topic: words, type: std_msgs/msg/String, text_features: 32}
action: {topic: joint_trajectory, type: trajectory_msgs/msg/JointTrajectory, names: [turn, slide],
         units: [rad, m], period_s: 0.1}
"""
Measured = Callable[[int, np.ndarray, np.random.Generator], tuple[float, np.ndarray] | None]
"""Number of the message, where the joints are, noise -> shift of its stamp in s, and what it says;
None: no message."""


def _only(column: int, value: float, row: np.ndarray) -> np.ndarray:
    changed = row.copy()
    changed[column] = value
    return changed


STREAMS: Mapping[str, Measured] = {
    "at 1e6": lambda i, row, random: (0.0, _only(0, 1e6, row)),
    "at 1e300": lambda i, row, random: (0.0, _only(1, 1e300, row)),
    "NaN": lambda i, row, random: (0.0, _only(0, np.nan, row)),
    "infinite": lambda i, row, random: (0.0, _only(0, np.inf, row)),
    "outside its limits": lambda i, row, random: (0.0, _only(0, 4.0, row)),
    "jumps to and fro": lambda i, row, random: (0.0, _only(0, row[0] + i % 2, row)),
    "jumps anywhere": lambda i, row, random: (0.0, _only(0, random.uniform(-3, 3), row)),
    "50 rad/s": lambda i, row, random: (0.0, _only(0, (i % 6) - 3.0, row)),
    "wrong size": lambda i, row, random: (0.0, np.append(row, 0.0)),
    "silent": lambda i, row, random: None,
    "3 s ahead": lambda i, row, random: (3.0, row),
    "3 s behind": lambda i, row, random: (-3.0, row),
}
"""What must be noticed, by a state other than RUNNING."""
HARMLESS: Mapping[str, Measured] = {
    "nothing": lambda i, row, random: (0.0, row),
    "one glitch": lambda i, row, random: (0.0, row if i != 40 else _only(0, row[0] + 1, row)),
    "noise": lambda i, row, random: (0.0, row + random.normal(0, 1e-3, 2)),
    "a little outside": lambda i, row, random: (0.0, row),
    "a hole": lambda i, row, random: None if i % 10 < 8 else (0.0, row),
    "jitter of stamps": lambda i, row, random: (random.uniform(-0.01, 0.0), row),
}
"""What real robots send, and what must not stop them."""


def stream_cases(seed: int, repeats: int) -> Iterator[Case]:
    """Give the streams, the messages and the recordings."""
    for repeat in range((repeats + 1) // 2):  # a loop of three seconds each
        for name, measured in STREAMS.items():
            run = partial(_streamed, measured, (seed, repeat))
            yield Case("streams: absurd", f"{name} {repeat}", run, "refused")
        for name, measured in HARMLESS.items():
            run = partial(_streamed, measured, (seed, repeat))
            yield Case("streams: as robots are", f"{name} {repeat}", run, "taken")
    yield from _message_cases()
    for repeat in range(max(repeats // 5, 1)):
        yield from _bag_cases((seed, repeat))


# A loop


def _streamed(measured: Measured, seeds: tuple[int, int], folder: Path) -> str:
    """Return why the loop did not run meanwhile; UNSAFE where a command steps too far."""
    random = np.random.default_rng(seeds)
    settings = LoopSettings(
        (STATE,), {"joint_state": 0.3}, SPEC, TICK_S, 0.4, PolicyTerms(2), LIMITS, max_lead_s=1.0
    )
    loop = ControlLoop(settings)
    loop.start(MEMORY)
    phase, said, last = random.uniform(-1, 1), "", np.array([0.0, 0.2])
    before: np.ndarray | None = None
    for k in range(round((END_S - BEGIN_S) / TICK_S)):
        now_s = BEGIN_S + k * TICK_S
        is_fault = FAULT_S <= now_s < WELL_S
        found = measured(k, last, random) if is_fault else (0.0, last)
        if found is not None:
            loop.observe("joint_state", now_s + found[0], found[1])
        command = loop.tick(now_s)
        if command.position is not None:
            if problem := _too_far(before, command.position):
                return f"UNSAFE at {now_s:.2f} s: {problem}"
            before = last = command.position
        if command.state != State.RUNNING and is_fault and not said:
            said = f"{Reason(command.reason).name}: {command.text}"
        if (request := loop.plan_request(now_s)) is not None:
            stamps_s = request.requested_s + SPEC.period_s * np.arange(8)
            rows = [0.8 * np.sin(stamps_s + phase), 0.2 + 0.1 * np.sin(2 * stamps_s)]
            chunk = ActionChunk(request.requested_s, SPEC.period_s, NAMES, np.stack(rows, axis=1))
            loop.accept(Plan(chunk, request.memory), request)
    if command.state != State.RUNNING:
        raise RuntimeError(f"it does not run again: {command.text}")
    return said


def _too_far(before: np.ndarray | None, position: np.ndarray) -> str:
    if not np.isfinite(position).all():
        return f"command {position}"
    if before is None:
        return ""
    share = np.abs(position - before) / (LIMITS.velocity * TICK_S)
    return f"a step of {share.max():.3f} of the limit" if share.max() > 1 + 1e-6 else ""


# Messages


def _message_cases() -> Iterator[Case]:
    def header(ns: int = 10**9) -> Any:
        return T["std_msgs/msg/Header"](T["builtin_interfaces/msg/Time"](*divmod(ns, 10**9)), "")

    def state(names: list[str], numbers: list[float]) -> Any:
        none = np.zeros(0)
        kind = T["sensor_msgs/msg/JointState"]
        return kind(header(), names, np.array(numbers), none, none)

    def picture(content: bytes, kind: str = "jpeg") -> Any:
        data = np.frombuffer(content, np.uint8)
        return T["sensor_msgs/msg/CompressedImage"](header(), kind, data)

    def jpeg(height: int, width: int) -> bytes:
        return simplejpeg.encode_jpeg(np.zeros((height, width, 3), np.uint8))

    def png(height: int, width: int) -> bytes:
        return bytes(cv2.imencode(".png", np.zeros((height, width, 3), np.uint8))[1])

    text = T["std_msgs/msg/String"]
    good = jpeg(48, 64)
    messages: dict[str, tuple[str, Any, Any]] = {
        "joints": ("joint_state", state([*NAMES], [0.0, 0.1]), "taken"),
        "a joint twice, equal": ("joint_state", state([*NAMES, "turn"], [0.0, 0.1, 0.0]), "taken"),
        "a joint twice": ("joint_state", state([*NAMES, "turn"], [0.0, 0.1, 1.0]), "refused"),
        "too few numbers": ("joint_state", state([*NAMES], [0.0]), "refused"),
        "no numbers": ("joint_state", state([*NAMES], []), "refused"),
        "jpeg": ("camera", picture(good), "taken"),
        "jpeg a row more": ("camera", picture(jpeg(49, 64)), "refused"),
        "jpeg cut": ("camera", picture(good[:200]), "refused"),
        "jpeg empty": ("camera", picture(b""), "refused"),
        "png": ("camera", picture(png(48, 64), "png"), "taken"),
        "png a column more": ("camera", picture(png(48, 65), "png"), "refused"),
        "png cut": ("camera", picture(png(48, 64)[:60], "png"), "refused"),
        "neither": ("camera", picture(b"GIF89a" + bytes(100)), "refused"),
        "words": ("words", text("pick the cup"), "taken"),
        "no word": ("words", text("..."), "refused"),
        "text a letter too long": ("words", text("a" * (LONGEST_TEXT + 1)), "refused"),
    }
    for name, (stream, message, wanted) in messages.items():
        yield Case("streams: messages", name, partial(_converted, stream, message), wanted)


def _converted(stream: str, message: Any, folder: Path) -> str:
    (folder / "robot.yaml").write_text(ROBOT)
    robot = load_robot(folder / "robot.yaml")
    (chosen,) = (each for each in robot.streams if each.spec.name == stream)
    try:
        observation_from(message, chosen, 1.0)
    except ConversionError as error:
        return str(error)
    return ""


# Recordings

_BAG_ROBOT = ROBOT[: ROBOT.index("  camera:")] + ROBOT[ROBOT.index("action:") :]
_TOPICS = (
    BagTopic("/joint_states", "sensor_msgs/msg/JointState"),
    BagTopic("/joint_trajectory", "trajectory_msgs/msg/JointTrajectory"),
)
_BAGS = (
    "glitch in a state",
    "glitch in a command",
    "NaN command",
    "commands stop",
    "stamps ahead",
)


def _bag_cases(seeds: tuple[int, int]) -> Iterator[Case]:
    for name in _BAGS:
        yield Case(
            "streams: recordings", f"{name} {seeds[1]}", partial(_bag, name, seeds), "refused"
        )
    yield Case("streams: recordings", f"good {seeds[1]}", partial(_bag, "", seeds), "taken")


def _bag(fault: str, seeds: tuple[int, int], folder: Path) -> str:
    """Return why a recording is refused, or what is told of it."""
    (folder / "robot.yaml").write_text(_BAG_ROBOT)
    random = np.random.default_rng(seeds)
    at, value = (
        int(random.integers(5, 145)),
        float(random.choice([-1, 1]) * 10 ** random.uniform(1, 9)),
    )
    kinds = {each.name: each.type for each in _TOPICS}
    with BagWriter(folder / "bag", _TOPICS, {}, "mcap") as bag:
        for topic, ns, message in _recorded(fault, at, value):
            content = bytes(message_types().serialize_cdr(message, kinds[topic]))
            bag.write(topic, ns, content)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            read_episodes([folder / "bag"], load_robot(folder / "robot.yaml"))
        except BagError as error:
            return str(error)
    return "; ".join(str(each.message) for each in told)


def _recorded(fault: str, at: int, value: float) -> Iterator[tuple[str, int, Any]]:
    none, point = np.zeros(0), T["trajectory_msgs/msg/JointTrajectoryPoint"]
    after = T["builtin_interfaces/msg/Duration"](0, 20_000_000)
    for i in range(151):
        ns = 5 * 10**9 + i * 20_000_000
        row = np.array([0.5 * np.sin(0.04 * i), 0.2])
        state = _only(0, value, row) if fault == "glitch in a state" and i == at else row
        shift_ns = 3 * 10**9 if fault == "stamps ahead" else 0
        stamp = T["builtin_interfaces/msg/Time"](*divmod(ns + shift_ns, 10**9))
        kind = T["sensor_msgs/msg/JointState"]
        head = T["std_msgs/msg/Header"](stamp, "")
        yield "/joint_states", ns, kind(head, list(NAMES), state, none, none)
        if fault == "commands stop" and i > 40:
            continue
        wrong = {"glitch in a command": value, "NaN command": np.nan}.get(fault)
        command = row if wrong is None or i != at else _only(0, wrong, row)
        stamp = T["builtin_interfaces/msg/Time"](*divmod(ns, 10**9))
        points = [point(command, none, none, none, after)]
        message = T["trajectory_msgs/msg/JointTrajectory"]
        yield (
            "/joint_trajectory",
            ns,
            message(T["std_msgs/msg/Header"](stamp, ""), list(NAMES), points),
        )

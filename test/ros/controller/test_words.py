"""A real controller process that is told in words what to do."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import yaml
from controller_driver import LATCHED, Client, FakeRobot, client, process_of
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import GetState
from random_checkpoint import CONFIG, SIM_ARM, save_random_network
from std_msgs.msg import String

from ddpm_controller.bags.conversions import seconds, vector_from
from ddpm_controller.bags.memory_messages import memory_from
from ddpm_controller.control.states import Reason, State
from ddpm_controller.data.text_features import text_features
from ddpm_controller.policy import PlanSettings
from ddpm_controller.robots.robot import joint_limits, load_robot
from ddpm_controller.simulation.arm.arm import JOINT_NAMES
from ddpm_controller.simulation.arm.robot_description import robot_description
from ddpm_controller.systems import restore
from ddpm_controller.types import Observation

TWICE, FIVE_TIMES, NINE_TIMES = "Lift it two times.", "lift it five times", "lift it nine times"
NUM_FEATURES = 64


def spoken_robot(folder) -> str:
    """The simulated arm without cameras and with an instruction."""
    file = yaml.safe_load(SIM_ARM.read_text())
    text = {"type": "std_msgs/msg/String", "topic": "instruction", "text_features": NUM_FEATURES}
    file["streams"] = {"joint_state": file["streams"]["joint_state"], "instruction": text}
    file["joint_limits"] = str(SIM_ARM.parent / file["joint_limits"])
    (folder / "robot.yaml").write_text(yaml.safe_dump(file))
    return str(folder / "robot.yaml")


def save_checkpoint_for(robot, folder) -> str:
    """Random weights, with the two sentences that it is said to have been trained with."""
    limits = joint_limits(robot_description(), JOINT_NAMES)
    middle, reach = (limits.lower + limits.upper) / 2, 0.05 * (limits.upper - limits.lower)
    known = np.stack([text_features(sentence, NUM_FEATURES) for sentence in (TWICE, FIVE_TIMES)])
    ranges = {
        "joint_state": (limits.lower, limits.upper),
        "instruction": (known.min(axis=0), known.max(axis=0)),
        "action": (middle - reach, middle + reach),
    }
    statistics = {k: {"min": a.tolist(), "max": b.tolist()} for k, (a, b) in ranges.items()}
    config = replace(CONFIG, goal_streams=("instruction",))
    save_random_network(folder, config, robot, statistics)
    return str(folder)


class Speaker:
    """Says sentences, and keeps every joint state by its stamp."""

    def __init__(self, node: Client, robot: FakeRobot, checkpoint: str) -> None:
        self.node = node
        self.states: dict[float, np.ndarray] = {}
        self.policy = restore(checkpoint, PlanSettings())
        self._publisher = node.create_publisher(String, "instruction", LATCHED)
        robot.messages["joint_state"] = self._keep

    def say(self, sentence: str) -> float:
        """Publish a sentence; return a moment right before."""
        moment_s = seconds(self.node.get_clock().now().to_msg())
        self._publisher.publish(String(data=sentence))
        return moment_s

    def _keep(self, message):
        self.states[seconds(message.header.stamp)] = vector_from(message, JOINT_NAMES)
        return message

    def chunk_told_since(self, moment_s: float):
        """The first chunk in all of whose window a sentence of so late counts; its memory."""
        chunks, memories = (
            self.node.heard[f"controller/{name}"] for name in ("action_chunk", "memory")
        )

        def found():
            for chunk in chunks:
                for memory in memories if self._told_s(chunk) > moment_s else ():
                    if (memory.header, memory.plan_number) == (chunk.header, chunk.plan_number):
                        return chunk, memory_from(memory)
            return None

        return self.node.until(found, f"a chunk; {self.node.status}")

    @staticmethod
    def _told_s(chunk) -> float:
        names = list(chunk.stream_names)
        stamps = chunk.source_stamps[names.index("instruction") :: len(names)]
        return min(seconds(stamp) for stamp in stamps)

    def planned(self, chunk, memory, sentence: str) -> np.ndarray:
        """What the policy plans from what was seen for a chunk, but with this sentence."""
        words = text_features(sentence, NUM_FEATURES)
        places = range(0, len(chunk.source_stamps), len(chunk.stream_names))
        first = chunk.stream_names.index("joint_state")
        sources_s = [seconds(chunk.source_stamps[place + first]) for place in places]
        window = [
            Observation(seconds(stamp), {"joint_state": self.states[at_s], "instruction": words})
            for stamp, at_s in zip(chunk.window_stamps, sources_s, strict=True)
        ]
        return self.policy.plan(window, memory).chunk.actions


@pytest.fixture(scope="module")
def spoken(tmp_path_factory) -> Iterator[tuple[Client, Speaker]]:
    folder = tmp_path_factory.mktemp("spoken")
    robot_file = spoken_robot(folder)
    checkpoint = save_checkpoint_for(load_robot(robot_file), folder / "checkpoint")
    parameters = {"checkpoint": checkpoint, "robot": robot_file, "policy.replan_period_s": 0.3}
    with client() as node, process_of("controller", **parameters):
        robot = FakeRobot(node)
        speaker = Speaker(node, robot, checkpoint)
        node.bring_up()
        yield node, speaker


def rows_of(chunk) -> np.ndarray:
    return np.array(chunk.rows).reshape(chunk.num_rows, -1)


def expect_planned_with(speaker: Speaker, moment_s: float, sentence: str, other: str) -> None:
    chunk, memory = speaker.chunk_told_since(moment_s)
    rows = rows_of(chunk)
    np.testing.assert_allclose(rows, speaker.planned(chunk, memory, sentence), atol=1e-9)
    assert np.abs(rows - speaker.planned(chunk, memory, other)).max() > 1e-4


def test_nothing_moves_before_anything_was_said_and_the_reason_names_the_stream(spoken):
    node, speaker = spoken
    status = node.until_state(State.HOLDING, Reason.NO_OBSERVATION)
    assert "nothing yet from instruction" in status.text
    assert not node.heard["controller/action_chunk"]
    speaker.say(TWICE)
    node.until_running(num_chunks=1)


def test_another_sentence_changes_the_plans_from_the_next_one_on(spoken):
    _, speaker = spoken
    expect_planned_with(speaker, speaker.say(TWICE), TWICE, other=FIVE_TIMES)
    expect_planned_with(speaker, speaker.say(FIVE_TIMES), FIVE_TIMES, other=TWICE)


def test_what_was_said_to_an_inactive_controller_counts_when_it_is_active(spoken):
    node, speaker = spoken
    speaker.say(TWICE)
    node.until_running(num_chunks=1)
    assert node.change(Transition.TRANSITION_DEACTIVATE)
    moment_s = speaker.say(FIVE_TIMES)
    node.call(GetState)  # the sentence was on its way before
    assert node.change(Transition.TRANSITION_ACTIVATE)
    expect_planned_with(speaker, moment_s, FIVE_TIMES, other=TWICE)


BAD = {
    "a number that was never trained": (
        NINE_TIMES,
        Reason.PLAN_FAILED,
        ("goal 'instruction': text_", "ask for something that was trained", repr(NINE_TIMES)),
    ),
    "no words at all": (
        "...",
        Reason.INVALID_OBSERVATION,
        ("instruction: a text needs 1 to 64 words, '...' has 0",),
    ),
}


@pytest.mark.parametrize(("sentence", "reason", "texts"), BAD.values(), ids=BAD)
def test_a_sentence_that_cannot_be_followed_holds_the_robot_until_a_better_one(
    spoken, sentence, reason, texts
):
    node, speaker = spoken
    speaker.say(TWICE)
    node.until_running(num_chunks=1)
    speaker.say(sentence)
    status = node.until_state(State.HOLDING, reason)
    assert all(text in status.text for text in texts), status.text
    speaker.say(FIVE_TIMES)
    node.until_running(num_chunks=1)

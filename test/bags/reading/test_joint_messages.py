"""Joint states and trajectories out of CDR: rosbags is the oracle for every message."""

import numpy as np
import pytest

from ddpm_controller.bags.message_types import definition, message_types
from ddpm_controller.bags.reading.definitions import Definition, deserializer
from ddpm_controller.bags.reading.joint_messages import JOINT_STATE, TRAJECTORY

STORE = message_types()
T = STORE.types


def header(random):
    stamp = T["builtin_interfaces/msg/Time"](
        int(random.integers(2**31)), int(random.integers(10**9))
    )
    frame = ["", "base", "a frame"][random.integers(3)]
    return T["std_msgs/msg/Header"](stamp, frame)


def numbers(random, count):
    return random.normal(size=count if random.random() < 0.6 else 0)


def names(random):
    return [["a", "ab", "elbow_joint", "grip", "ä"][i] for i in range(random.integers(0, 6))]


def joint_state(random):
    own = names(random)
    fields = [numbers(random, len(own)) for _ in range(3)]
    return T[JOINT_STATE](header(random), own, *fields)


def trajectory(random):
    own, points = names(random), []
    for _ in range(random.integers(0, 4)):
        fields = [numbers(random, len(own)) for _ in range(4)]
        time = T["builtin_interfaces/msg/Duration"](
            int(random.integers(9)), int(random.integers(9))
        )
        points.append(T["trajectory_msgs/msg/JointTrajectoryPoint"](*fields, time))
    return T[TRAJECTORY](header(random), own, points)


def read_and_generic(kind):
    read = deserializer(Definition(kind, *definition(kind)[:1]))
    return read, read._read


@pytest.mark.parametrize(("kind", "drawn"), [(JOINT_STATE, joint_state), (TRAJECTORY, trajectory)])
def test_every_message_is_what_the_reader_for_all_types_makes_of_it(kind, drawn):
    """Names that stay and that change, empty lists, both orders of bytes, bytes behind the end."""
    random = np.random.default_rng(0)
    read, generic = read_and_generic(kind)
    for number in range(400):
        if number % 4 == 0 or random.random() < 0.3:
            message = drawn(random)
        little = random.random() < 0.9
        raw = bytes(STORE.serialize_cdr(message, kind, little_endian=little))
        raw += bytes(random.choice([0, 0, 0, 3, 4, 12]))
        assert repr(read(raw)) == repr(generic(raw))


@pytest.mark.parametrize(("kind", "drawn"), [(JOINT_STATE, joint_state), (TRAJECTORY, trajectory)])
def test_bytes_that_are_cut_or_wrong_fail_as_they_do_there(kind, drawn):
    random = np.random.default_rng(1)
    read, generic = read_and_generic(kind)
    for _ in range(150):
        raw = bytearray(STORE.serialize_cdr(drawn(random), kind))
        read(bytes(raw))  # its names are known now
        if random.random() < 0.5:
            del raw[int(random.integers(len(raw))) :]
        else:
            raw[int(random.integers(4, len(raw)))] ^= int(random.integers(1, 256))
        outcomes = []
        for one in (read, generic):
            try:
                outcomes.append(repr(one(bytes(raw))))
            except Exception as error:
                outcomes.append(f"{type(error).__name__}: {error}")
        assert outcomes[0] == outcomes[1]


def test_known_names_are_not_decoded_again():
    random = np.random.default_rng(2)
    read, _ = read_and_generic(JOINT_STATE)
    message = joint_state(random)
    message.name, message.position = ["a", "b"], np.ones(2)
    raw = bytes(STORE.serialize_cdr(message, JOINT_STATE))
    read(raw)
    assert read(raw).name is read(raw).name

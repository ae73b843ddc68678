"""Fields of messages by name: which there are, what they are called, what they read."""

from types import SimpleNamespace as Message
from typing import get_args

import numpy as np
import pytest

from ddpm_controller.bags.message_types import message_types
from ddpm_controller.control.observing.rotations import SIX_NAMES
from ddpm_controller.messages.fields import FieldError, fields_of
from ddpm_controller.messages.structures import (
    STRUCTURES,
    TRANSFORM,
    WITHOUT_STAMP,
    Measured,
    Numbers,
    Orientation,
)
from ddpm_controller.robots.stream_file import FieldsFile

POSE = STRUCTURES["geometry_msgs/msg/PoseStamped"]
HALF = np.sqrt(0.5)
NUMBERS = {"bool", "float32", "float64", "int16", "int32", "int64", "uint8", "uint16"}


def names_of(fields):
    return [name for field in fields for name in field.names]


def values_of(fields, message):
    return [value for field in fields for value in field.values(message)]


def point(x, y, z):
    return Message(x=x, y=y, z=z)


def quaternion(x, y, z, w):
    return Message(x=x, y=y, z=z, w=w)


def pose(rotation, x=1.0):
    return Message(
        pose=Message(position=point(x, 2.0, 3.0), orientation=quaternion(*rotation)),
    )


def kind_of(definitions, message_type, name):
    """Type of a field as the interface package has it: (kind, what is inside)."""
    return dict(definitions[message_type][1])[name]


def disagreements(definitions, message_type, structure):
    """Fields of a structure that the real message type does not have so."""
    for name, inside in structure.items():
        kind, what = kind_of(definitions, message_type, name)
        kind = kind.name
        if isinstance(inside, Numbers):
            if kind not in ("ARRAY", "SEQUENCE"):
                yield name
            continue
        covariance = getattr(inside, "covariance", "")
        if covariance and kind_of(definitions, message_type, covariance)[0].name != "ARRAY":
            yield covariance
        inside = inside.inside if isinstance(inside, Measured) else inside
        if isinstance(inside, Orientation):
            if what != "geometry_msgs/msg/Quaternion":
                yield name
        elif isinstance(inside, str | None):
            if kind != "BASE" or what[0] not in NUMBERS:
                yield name
        else:
            yield from disagreements(definitions, what, inside)


@pytest.mark.parametrize("message_type", STRUCTURES)
def test_the_fields_are_those_of_the_interface_packages(message_type):
    definitions = message_types().fielddefs
    assert not list(disagreements(definitions, message_type, STRUCTURES[message_type]))
    first = definitions[message_type][1][0]
    has_header = first[0] == "header"
    assert has_header == (message_type not in WITHOUT_STAMP)


def test_a_robot_file_may_have_all_of_these_types():
    assert set(get_args(FieldsFile.model_fields["type"].annotation)) == set(STRUCTURES)


def test_one_number_a_part_and_a_whole_message_are_named_by_their_path():
    assert names_of(fields_of(POSE, ["pose.position.x"])) == ["pose.position.x"]
    wrench = STRUCTURES["geometry_msgs/msg/WrenchStamped"]
    torque = fields_of(wrench, ["wrench.torque"])
    assert names_of(torque) == [f"wrench.torque.{axis}" for axis in "xyz"]
    assert {field.unit for field in torque} == {"Nm"}
    assert len(names_of(fields_of(wrench, []))) == 6
    assert names_of(fields_of(TRANSFORM, []))[-6:] == [f"rotation.{name}" for name in SIX_NAMES]


def test_entries_of_a_list_are_named_by_their_index():
    joy = STRUCTURES["sensor_msgs/msg/Joy"]
    fields = fields_of(joy, ["axes[0:2]", "buttons[3]"])
    assert names_of(fields) == ["axes[0]", "axes[1]", "buttons[3]"]
    message = Message(axes=np.array([0.5, -1.0], np.float32), buttons=[0, 0, 0, 1])
    assert values_of(fields, message) == [0.5, -1.0, 1.0]
    with pytest.raises(FieldError, match=r"axes has 1 numbers, the robot file needs axes\[1\]"):
        values_of(fields, Message(axes=[0.5], buttons=[0, 0, 0, 1]))


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        ("pose.position.q", r"no field 'pose.position.q'; there are pose.position.x, "),
        ("position.x", "no field 'position.x'"),
        ("pose.position.x.y", "no field"),
        ("pose.position.x[0]", "pose.position.x is no list"),
        ("pose.orientation.q", "no field"),
        ("pose..x", "'pose..x' is no field: write names with dots"),
        ("", "is no field"),
        ("pose.__class__", "no field"),
    ],
)
def test_a_field_that_a_message_does_not_have_is_refused_with_what_it_has(wanted, text):
    with pytest.raises(FieldError, match=text):
        fields_of(POSE, [wanted])


@pytest.mark.parametrize("wanted", ["data", "data[3:3]", "data[5:2]"])
def test_a_list_needs_its_entries(wanted):
    with pytest.raises(FieldError, match=r"list of any length|has no entry"):
        fields_of(STRUCTURES["std_msgs/msg/Float64MultiArray"], [wanted])


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_an_orientation_is_the_same_for_both_signs_of_its_quaternion(sign):
    message = pose(sign * np.array([0.0, 0.0, HALF, HALF]))
    six = values_of(fields_of(POSE, ["pose.orientation"]), message)
    np.testing.assert_allclose(six, [0, 1, 0, -1, 0, 0], atol=1e-12)
    components = fields_of(POSE, [f"pose.orientation.{name}" for name in "xyzw"])
    np.testing.assert_allclose(values_of(components, message), [0, 0, HALF, HALF])
    vector = fields_of(POSE, ["pose.orientation.rotation_vector"])
    assert names_of(vector) == [f"pose.orientation.r{axis}" for axis in "xyz"]
    np.testing.assert_allclose(values_of(vector, message), [0, 0, np.pi / 2])


@pytest.mark.parametrize("path", ["pose.orientation.z", "pose.orientation.rotation_vector"])
def test_a_component_near_where_it_jumps_is_refused_with_a_reference_to_set(path):
    down = pose([1.0, 0.0, 0.0, 0.01])
    with pytest.raises(FieldError, match=r"179 degrees from the reference.*set reference near"):
        values_of(fields_of(POSE, [path]), down)
    values_of(fields_of(POSE, [path], (1.0, 0.0, 0.0, 0.0)), down)
    values_of(fields_of(POSE, ["pose.orientation"]), down)


@pytest.mark.parametrize("rotation", [(0, 0, 0, 0), (np.nan, 0, 0, 1), (0, 0, 0, 2)])
def test_four_numbers_that_are_no_orientation_are_refused(rotation):
    with pytest.raises(FieldError, match=r"pose.orientation: quaternion \["):
        values_of(fields_of(POSE, ["pose.orientation"]), pose(rotation))


def test_what_an_imu_does_not_measure_is_refused_where_it_is_observed():
    imu = STRUCTURES["sensor_msgs/msg/Imu"]
    message = Message(
        orientation=quaternion(0, 0, 0, 0),
        orientation_covariance=[-1.0] + [0.0] * 8,
        angular_velocity=point(0.1, 0.2, 0.3),
        angular_velocity_covariance=[0.0] * 9,
    )
    rates = fields_of(imu, ["angular_velocity"])
    assert values_of(rates, message) == [0.1, 0.2, 0.3]
    for path in ("orientation", "orientation.z", "orientation.rotation_vector"):
        with pytest.raises(FieldError, match=r"not measured.*-1 in orientation_covariance\[0\]"):
            values_of(fields_of(imu, [path]), message)

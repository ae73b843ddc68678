"""Which numbers the messages have that a robot publishes beside its joints, with their units.

As of the interface packages of ROS 2 Jazzy. A name leads to what is inside, a text is the unit of
a number, None that of a number whose unit the message type leaves open.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Union


@dataclass(frozen=True)
class Orientation:
    """A quaternion: four numbers, of which two sets are one orientation.

    Attributes:
        covariance: Field whose first number is -1 where the driver has not measured it.
    """

    covariance: str = ""


@dataclass(frozen=True)
class Numbers:
    """A list of numbers of any length.

    Attributes:
        unit: Their unit; None: left open.
    """

    unit: str | None = None


@dataclass(frozen=True)
class Measured:
    """A part that a driver may mark as not measured.

    Attributes:
        inside: What it consists of.
        covariance: Field whose first number is -1 where the driver has not measured it.
    """

    inside: Mapping[str, "Structure"]
    covariance: str


Structure = Union[str, None, Numbers, Orientation, Measured, Mapping[str, "Structure"]]  # noqa: UP007


def _axes(unit: str | None) -> Mapping[str, Structure]:
    return dict.fromkeys("xyz", unit)


_POSE: Mapping[str, Structure] = {"position": _axes("m"), "orientation": Orientation()}
_TWIST: Mapping[str, Structure] = {"linear": _axes("m/s"), "angular": _axes("rad/s")}
_ACCELERATION: Mapping[str, Structure] = {"linear": _axes("m/s^2"), "angular": _axes("rad/s^2")}
_WRENCH: Mapping[str, Structure] = {"force": _axes("N"), "torque": _axes("Nm")}
TRANSFORM: Mapping[str, Structure] = {"translation": _axes("m"), "rotation": Orientation()}
"""As ``geometry_msgs/msg/Transform``, and what a stream of frames consists of."""

STRUCTURES: Mapping[str, Mapping[str, Structure]] = {
    "geometry_msgs/msg/AccelStamped": {"accel": _ACCELERATION},
    "geometry_msgs/msg/Point": _axes("m"),
    "geometry_msgs/msg/PointStamped": {"point": _axes("m")},
    "geometry_msgs/msg/Pose": _POSE,
    "geometry_msgs/msg/PoseStamped": {"pose": _POSE},
    "geometry_msgs/msg/PoseWithCovarianceStamped": {"pose": {"pose": _POSE}},
    "geometry_msgs/msg/QuaternionStamped": {"quaternion": Orientation()},
    "geometry_msgs/msg/TransformStamped": {"transform": TRANSFORM},
    "geometry_msgs/msg/Twist": _TWIST,
    "geometry_msgs/msg/TwistStamped": {"twist": _TWIST},
    "geometry_msgs/msg/TwistWithCovarianceStamped": {"twist": {"twist": _TWIST}},
    "geometry_msgs/msg/Vector3": _axes(None),
    "geometry_msgs/msg/Vector3Stamped": {"vector": _axes(None)},
    "geometry_msgs/msg/Wrench": _WRENCH,
    "geometry_msgs/msg/WrenchStamped": {"wrench": _WRENCH},
    "nav_msgs/msg/Odometry": {"pose": {"pose": _POSE}, "twist": {"twist": _TWIST}},
    "sensor_msgs/msg/Imu": {
        "orientation": Orientation("orientation_covariance"),
        "angular_velocity": Measured(_axes("rad/s"), "angular_velocity_covariance"),
        "linear_acceleration": Measured(_axes("m/s^2"), "linear_acceleration_covariance"),
    },
    "sensor_msgs/msg/Joy": {"axes": Numbers("1"), "buttons": Numbers("1")},
    "sensor_msgs/msg/MagneticField": {"magnetic_field": _axes("T")},
    "sensor_msgs/msg/Range": {"range": "m"},
    **{
        f"std_msgs/msg/{name}": {"data": "1" if name == "Bool" else None}
        for name in ("Bool", "Float32", "Float64", "Int16", "Int32", "Int64", "UInt8", "UInt16")
    },
    **{
        f"std_msgs/msg/{name}MultiArray": {"data": Numbers()}
        for name in ("Float32", "Float64", "Int16", "Int32", "UInt8")
    },
}
"""Message type -> what it consists of, without parts that no policy needs, as covariances."""

WITHOUT_STAMP = frozenset(
    {
        *(f"geometry_msgs/msg/{name}" for name in ("Point", "Pose", "Twist", "Vector3", "Wrench")),
        *(name for name in STRUCTURES if name.startswith("std_msgs/")),
    }
)
"""Message types without a header: their values count from when they came."""

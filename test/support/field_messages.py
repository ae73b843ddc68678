"""What sensors beside joints and cameras publish, for tests of bags and of replays."""

from scipy.spatial.transform import Rotation
from small_bags import MS, START_NS, T, header, run_messages

STREAMS = """
  wrench: {topic: ft_sensor/wrench, type: geometry_msgs/msg/WrenchStamped, rate_hz: 100.0,
           max_age_s: 0.3}
  weight: {topic: weight, type: std_msgs/msg/Float64, units: [mNm], rate_hz: 20.0, max_age_s: 0.3}
  tool: {tf: {parent: base_link, child: tool0}, fields: [translation.x, rotation],
         rate_hz: 50.0, max_age_s: 0.3}
  pose: {topic: pose, type: geometry_msgs/msg/PoseStamped, names: [x, y, z, rx, ry, rz],
         fields: [pose.position, pose.orientation.rotation_vector],
         units: [mm, mm, mm, rad, rad, rad], rate_hz: 50.0, max_age_s: 0.3}
action:"""
KINDS = {
    "/ft_sensor/wrench": "geometry_msgs/msg/WrenchStamped",
    "/weight": "std_msgs/msg/Float64",
    "/tf": "tf2_msgs/msg/TFMessage",
    "/tf_static": "tf2_msgs/msg/TFMessage",
    "/pose": "geometry_msgs/msg/PoseStamped",
}


def vector(x, y=0.0, z=0.0):
    return T["geometry_msgs/msg/Vector3"](float(x), float(y), float(z))


def quaternion(turn):
    return T["geometry_msgs/msg/Quaternion"](*map(float, turn))


def wrench(ns, force):
    inside = T["geometry_msgs/msg/Wrench"](vector(force), vector(0, 0, -force))
    return T["geometry_msgs/msg/WrenchStamped"](header(ns), inside)


def pose(ns, x_mm, turn):
    point = T["geometry_msgs/msg/Point"](float(x_mm), 0.0, 0.0)
    inside = T["geometry_msgs/msg/Pose"](point, quaternion(turn))
    return T["geometry_msgs/msg/PoseStamped"](header(ns), inside)


def link(ns, parent, child, x, turn=(0, 0, 0, 1)):
    moved = T["geometry_msgs/msg/Transform"](vector(x), quaternion(turn))
    stamp = T["builtin_interfaces/msg/Time"](*divmod(ns, 10**9))
    above = T["std_msgs/msg/Header"](stamp, parent)
    return T["geometry_msgs/msg/TransformStamped"](above, child, moved)


def links(*of):
    return T["tf2_msgs/msg/TFMessage"](list(of))


def turned(angle, sign=1.0):
    return sign * Rotation.from_rotvec([0, 0, angle]).as_quat()


def run(num_ticks=60):
    """Joints and a camera, and a wrench at 100 Hz, frames of two publishers, a pose that flips."""
    yield "/tf_static", START_NS - 50 * MS, links(link(START_NS, "flange", "tool0", 0.1))
    yield "/tf_static", START_NS - 40 * MS, links(link(START_NS, "world", "base_link", 9.0))
    yield from run_messages(num_ticks * 20)
    for i in range(num_ticks * 2):
        ns = START_NS + i * 10 * MS
        yield "/ft_sensor/wrench", ns + 3 * MS, wrench(ns, i)
        if i % 2 == 0:
            turn, sign = turned(0.01 * i), 1.0 if i % 4 else -1.0
            yield "/tf", ns + 2 * MS, links(link(ns, "base_link", "wrist", 0.001 * i, turn))
            yield "/pose", ns + 2 * MS, pose(ns, i, turned(0.01 * i, sign))
            late = ns - 5 * MS
            yield "/tf", ns + 4 * MS, links(link(late, "wrist", "flange", 0.0))
        if i % 5 == 0:
            yield "/weight", ns + 1 * MS, T["std_msgs/msg/Float64"](float(i))


def recorded():
    return sorted(run(), key=lambda each: each[1])

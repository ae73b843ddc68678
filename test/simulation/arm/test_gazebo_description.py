"""The description for Gazebo is the arm of the simulation, and what Gazebo needs besides."""

from xml.etree import ElementTree

import numpy as np
import pytest

from ddpm_controller.simulation.arm.arm import HOME_TIP, JOINT_NAMES, NUM_ARM_JOINTS, joint_range
from ddpm_controller.simulation.arm.cameras import CAMERAS
from ddpm_controller.simulation.arm.gazebo_description import gazebo_description
from ddpm_controller.simulation.arm.pick_place_world import PickPlaceWorld
from ddpm_controller.simulation.arm.robot_description import robot_description

ROBOT = ElementTree.fromstring(gazebo_description("/some/controllers.yaml"))
ARM = ElementTree.fromstring(robot_description())
SYSTEM = ROBOT.find("ros2_control")


def numbers(text: str) -> np.ndarray:
    return np.array([float(word) for word in text.split()])


def rotation_of(rpy: np.ndarray) -> np.ndarray:
    """Fixed axes x, y, z in this order, as URDF and SDF have it."""
    (sr, sp, sy), (cr, cp, cy) = np.sin(rpy), np.cos(rpy)
    about_x = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    about_y = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    about_z = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def canonical(element: ElementTree.Element) -> str:
    return ElementTree.canonicalize(ElementTree.tostring(element), strip_text=True)


def test_joints_limits_and_links_are_those_of_the_robot_description():
    ours, given = (
        {one.get("name"): one for one in each.findall("joint")} for each in (ROBOT, ARM)
    )
    assert set(ours) == {*given, "base_joint"}
    for name, joint in given.items():
        assert canonical(ours[name]) == canonical(joint)
    links = [{one.get("name") for one in each.findall("link")} for each in (ROBOT, ARM)]
    assert links[0] == links[1] | {"world"}
    for link in ARM.findall("link/visual/.."):
        found = ROBOT.find(f"link[@name='{link.get('name')}']/visual/geometry")
        assert canonical(found) == canonical(link.find("visual/geometry"))


def test_every_link_that_moves_has_the_mass_and_the_moments_of_its_body():
    model = PickPlaceWorld().scene.model
    links = [one.get("name") for one in ROBOT.findall("link/inertial/..")]
    assert links == ["base_link", *(f"{name}_link" for name in [*JOINT_NAMES, "gripper_mirror"])]
    for name in links[1:]:
        inertial = ROBOT.find(f"link[@name='{name}']/inertial")
        body = model.body(name)
        assert float(inertial.find("mass").get("value")) == body.mass[0]
        np.testing.assert_allclose(numbers(inertial.find("origin").get("xyz")), body.ipos)
        written = inertial.find("inertia").attrib
        tensor = [
            [float(written["i" + "".join(sorted(row + column))]) for column in "xyz"]
            for row in "xyz"
        ]
        moments = np.sort(np.linalg.eigvalsh(tensor))
        np.testing.assert_allclose(moments, np.sort(body.inertia), rtol=1e-6)


def test_palm_and_fingers_touch_things_where_they_are_seen():
    touching = ROBOT.findall("link/collision/..")
    assert {link.get("name") for link in touching} == {
        *("wrist_roll_link", "gripper_link", "gripper_mirror_link"),
    }
    for link in touching:
        visual, collision = link.find("visual"), link.find("collision")
        for part in ("origin", "geometry"):
            assert canonical(visual.find(part)) == canonical(collision.find(part))


@pytest.mark.parametrize("camera", CAMERAS, ids=lambda camera: camera.name)
def test_a_camera_sees_what_the_camera_of_the_simulation_sees(camera):
    """Gazebo's cameras look along x, with y to the left and z up."""
    extension = ROBOT.find(f"gazebo/sensor[@name='{camera.name}']/..")
    body = "base_link" if camera.body == "world" else camera.body
    assert extension.get("reference") == body
    sensor = extension.find("sensor")
    pose = numbers(sensor.find("pose").text)
    np.testing.assert_allclose(pose[:3], camera.position)
    forward, left, up = rotation_of(pose[3:]).T
    way = np.subtract(camera.target, camera.position)
    np.testing.assert_allclose(forward, way / np.linalg.norm(way), atol=1e-8)
    assert up @ np.array(camera.up) > 0
    np.testing.assert_allclose(left, np.cross(up, forward), atol=1e-8)
    lens = sensor.find("camera")
    size = [int(lens.find(f"image/{name}").text) for name in ("width", "height")]
    assert size == [camera.width, camera.height]
    focal = 0.5 * camera.width / np.tan(0.5 * float(lens.find("horizontal_fov").text))
    np.testing.assert_allclose(focal, camera.intrinsics[0, 0], rtol=1e-8)
    frame = lens.find("optical_frame_id").text
    assert frame == ROBOT.find(f"joint[@name='{camera.name}_joint']/child").get("link")


def test_the_hardware_takes_the_positions_of_the_joints_and_no_other():
    taken = {
        joint.get("name"): [one.get("name") for one in joint.findall("command_interface")]
        for joint in SYSTEM.findall("joint")
    }
    assert taken == {**{name: ["position"] for name in JOINT_NAMES}, "gripper_mirror": []}
    for joint in SYSTEM.findall("joint"):
        given = [one.get("name") for one in joint.findall("state_interface")]
        assert given == ["position", "velocity"]


def test_it_begins_where_an_episode_begins():
    path = "joint[@name='{}']/state_interface[@name='position']/param[@name='initial_value']"
    start = np.array([float(SYSTEM.find(path.format(name)).text) for name in JOINT_NAMES])
    limits = joint_range()
    assert ((limits.lower < start) & (start < limits.upper)).all()
    tip, rotation = PickPlaceWorld().kinematics.tip(start[:NUM_ARM_JOINTS])
    np.testing.assert_allclose(tip, HOME_TIP, atol=1e-4)
    np.testing.assert_allclose(rotation, np.eye(3), atol=1e-3)
    assert (
        SYSTEM.find(path.format("gripper_mirror")).text == SYSTEM.find(path.format("gripper")).text
    )


def test_the_controller_manager_gets_its_parameters_and_its_namespace():
    assert ROBOT.find("gazebo/plugin/parameters").text == "/some/controllers.yaml"
    assert ROBOT.find("gazebo/plugin/ros") is None
    left = ElementTree.fromstring(gazebo_description("/some/controllers.yaml", "left"))
    assert left.find("gazebo/plugin/ros/namespace").text == "/left"

"""The arm as Gazebo and ros2_control take it: its robot description, and what those need besides.

Joints, limits, links and frames are those of ``robot_description``; masses are those of the MJCF,
cameras those of the table.
"""

import math
from xml.etree import ElementTree
from xml.etree.ElementTree import SubElement

import mujoco
import numpy as np

from ddpm_controller.simulation.arm.arm import HOME, HOME_OPENING, HOME_TIP, JOINT_NAMES
from ddpm_controller.simulation.arm.cameras import CAMERAS
from ddpm_controller.simulation.arm.kinematics import Kinematics
from ddpm_controller.simulation.arm.mjcf import scene_mjcf
from ddpm_controller.simulation.arm.robot_description import robot_description
from ddpm_controller.simulation.camera import CameraSpec
from ddpm_controller.simulation.mjcf import BRIGHT, DARK, attribute
from ddpm_controller.simulation.urdf import connect, euler_angles, urdf_text

CAMERA_HZ = 25.0
_DARK_LINKS = ("base_link", "shoulder_pan_link", "wrist_pitch_link", "wrist_roll_link")
_TOUCHING_LINKS = ("wrist_roll_link", "gripper_link", "gripper_mirror_link")
"""Palm and fingers; as in the MJCF, nothing else of the arm touches anything."""
_FRICTION = "1.6"
_BASE_MASS_KG, _BASE_INERTIA = 1.0, 0.01
"""Of the base, which stands still: any mass does, but Gazebo leaves out a link without one."""


def gazebo_description(controllers: str, namespace: str = "") -> str:
    """Return the URDF text that is spawned in Gazebo.

    Args:
        controllers: Absolute path of the parameter file of the controller manager.
        namespace: Namespace of the controller manager and its controllers.
    """
    robot = ElementTree.fromstring(robot_description())
    model = mujoco.MjModel.from_xml_string(scene_mjcf(""))
    SubElement(robot, "link", name="world")  # by this name Gazebo fixes the arm to the world
    connect(robot, "base_joint", "fixed", "world", "base_link", (0.0, 0.0, 0.0))
    for link in robot.findall("link"):
        _colour(link)
        _add_mass(link, model)
        if link.get("name") in _TOUCHING_LINKS:
            _add_collision(robot, link)
    for camera in CAMERAS:
        _add_sensor(robot, camera)
    _add_ros2_control(robot, _home(model))
    _add_plugin(robot, controllers, namespace)
    return urdf_text(robot)


def _home(model: mujoco.MjModel) -> np.ndarray:
    """Return where the arm begins, (7,): where an episode begins on average."""
    joints = Kinematics(model).joints_for(np.array(HOME_TIP), 0.0, np.array(HOME))
    return np.append(joints, HOME_OPENING)


def _colour(link: ElementTree.Element) -> None:
    visual = link.find("visual")
    if visual is None:
        return
    is_dark = link.get("name") in _DARK_LINKS
    material = SubElement(visual, "material", name="dark" if is_dark else "bright")
    SubElement(material, "color", rgba=DARK if is_dark else BRIGHT)


def _add_mass(link: ElementTree.Element, model: mujoco.MjModel) -> None:
    """Add mass and inertia of the body of the same name; frames have none."""
    name = link.get("name", "")
    place, mass, inertia = np.zeros(3), _BASE_MASS_KG, _BASE_INERTIA * np.eye(3)
    if name != "base_link":
        if mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_BODY, name) <= 0:  # the world is 0
            return
        body = model.body(name)
        rotation = np.zeros(9)
        mujoco.mju_quat2Mat(rotation, body.iquat)
        axes = rotation.reshape(3, 3)
        place, mass = body.ipos, float(body.mass[0])
        inertia = axes @ np.diag(body.inertia) @ axes.T
    element = SubElement(link, "inertial")
    SubElement(element, "origin", xyz=_numbers(place), rpy="0 0 0")
    SubElement(element, "mass", value=str(mass))
    moments = {
        f"i{'xyz'[row]}{'xyz'[column]}": f"{inertia[row, column]:.9g}"
        for row in range(3)
        for column in range(row, 3)
    }
    SubElement(element, "inertia", moments)


def _add_collision(robot: ElementTree.Element, link: ElementTree.Element) -> None:
    """Let a link touch things with the shape that it shows, and hold them."""
    collision = SubElement(link, "collision")
    collision.extend(link.findall("visual/origin") + link.findall("visual/geometry"))
    surface = SubElement(robot, "gazebo", reference=link.get("name", ""))
    for name in ("mu1", "mu2"):
        SubElement(surface, name).text = _FRICTION


def _add_sensor(robot: ElementTree.Element, camera: CameraSpec) -> None:
    """Add a camera that publishes what the robot file expects of it.

    It hangs on a link with a mass: Gazebo merges frames into their parents. It looks along x.
    """
    link = "base_link" if camera.body == "world" else camera.body
    sensor = SubElement(
        SubElement(robot, "gazebo", reference=link), "sensor", name=camera.name, type="camera"
    )
    right, down, forward = camera.axes
    rpy = euler_angles(np.column_stack([forward, -right, -down]))
    SubElement(sensor, "pose").text = f"{attribute(camera.position)} {_numbers(rpy)}"
    SubElement(sensor, "topic").text = f"{camera.name}/image_raw"
    SubElement(sensor, "update_rate").text = str(CAMERA_HZ)
    SubElement(sensor, "always_on").text = "true"
    lens = SubElement(sensor, "camera")
    half = math.tan(0.5 * camera.vertical_view_rad) * camera.width / camera.height
    SubElement(lens, "horizontal_fov").text = f"{2 * math.atan(half):.9g}"
    image = SubElement(lens, "image")
    SubElement(image, "width").text = str(camera.width)
    SubElement(image, "height").text = str(camera.height)
    SubElement(image, "format").text = "R8G8B8"
    clip = SubElement(lens, "clip")
    SubElement(clip, "near").text = "0.02"
    SubElement(clip, "far").text = "10"
    SubElement(lens, "optical_frame_id").text = f"{camera.name}_optical_frame"


def _add_ros2_control(robot: ElementTree.Element, home: np.ndarray) -> None:
    """Add what the hardware takes and gives: positions in, positions and velocities out."""
    system = SubElement(robot, "ros2_control", name="sim_arm", type="system")
    hardware = SubElement(system, "hardware")
    SubElement(hardware, "plugin").text = "gz_ros2_control/GazeboSimSystem"
    for name, position in zip(JOINT_NAMES, home, strict=True):
        joint = SubElement(system, "joint", name=name)
        SubElement(joint, "command_interface", name="position")
        state = SubElement(joint, "state_interface", name="position")
        SubElement(state, "param", name="initial_value").text = f"{position:.9g}"
        SubElement(joint, "state_interface", name="velocity")
    mirror = SubElement(system, "joint", name=f"{JOINT_NAMES[-1]}_mirror")
    state = SubElement(mirror, "state_interface", name="position")
    SubElement(state, "param", name="initial_value").text = f"{home[-1]:.9g}"
    SubElement(mirror, "state_interface", name="velocity")


def _add_plugin(robot: ElementTree.Element, controllers: str, namespace: str) -> None:
    """Add the controller manager that runs inside of Gazebo."""
    plugin = SubElement(
        SubElement(robot, "gazebo"),
        "plugin",
        filename="gz_ros2_control-system",
        name="gz_ros2_control::GazeboSimROS2ControlPlugin",
    )
    SubElement(plugin, "parameters").text = controllers
    if namespace:
        SubElement(SubElement(plugin, "ros"), "namespace").text = f"/{namespace.strip('/')}"


def _numbers(values: np.ndarray) -> str:
    return " ".join(f"{value:.9g}" for value in values)

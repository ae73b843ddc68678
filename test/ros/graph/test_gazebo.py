"""The files for Gazebo against the robot file, the world, and the programs that read them.

The names of parameters, plugins and types are facts of those programs, which are not at hand here.
"""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import yaml

from ddpm_controller.robots.robot import load_robot
from ddpm_controller.ros.graph.graphs import GAZEBO
from ddpm_controller.ros.graph.process_command import command_of
from ddpm_controller.ros.graph.resolution import resolve
from ddpm_controller.share import share_path
from ddpm_controller.simulation.arm.gazebo_description import CAMERA_HZ, gazebo_description
from ddpm_controller.simulation.arm.pick_place_world import CUBE_AREA, PAD_AREA, PickPlaceWorld
from ddpm_controller.simulation.arm.robot_description import robot_description

FOLDER = Path(share_path("config/gazebo"))
ROBOT_FILE = share_path("config/robots/sim_arm.yaml")
ROBOT = yaml.safe_load(Path(ROBOT_FILE).read_text(encoding="utf-8"))
CONTROLLERS = yaml.safe_load((FOLDER / "controllers.yaml").read_text(encoding="utf-8"))
WORLD = ElementTree.parse(FOLDER / "pick_place.sdf").getroot().find("world")

TRAJECTORY_CONTROLLER = {
    *("joints", "command_joints", "command_interfaces", "state_interfaces"),
    *("allow_partial_joints_goal", "interpolate_from_desired_state", "interpolation_method"),
    *("allow_integration_in_goal_trajectories", "allow_nonzero_velocity_at_trajectory_end"),
    *("set_last_command_interface_value_as_state_on_activation", "action_monitor_rate"),
    *("cmd_timeout", "gains", "constraints", "speed_scaling"),
}
"""Parameters of joint_trajectory_controller 4.42.1, without the deprecated ones, from
ros2_controllers, src/joint_trajectory_controller_parameters.yaml."""
CONTROLLER_TYPES = {
    "joint_state_broadcaster": "joint_state_broadcaster/JointStateBroadcaster",
    "joint_trajectory_controller": "joint_trajectory_controller/JointTrajectoryController",
}
"""From the plugin files of ros2_controllers 4.42.1."""
BRIDGE_KEYS = {
    *("ros_topic_name", "gz_topic_name", "ros_type_name", "gz_type_name", "direction"),
    *("subscriber_queue", "publisher_queue", "lazy"),
}
BRIDGED = {
    "rosgraph_msgs/msg/Clock": "gz.msgs.Clock",
    "sensor_msgs/msg/Image": "gz.msgs.Image",
    "sensor_msgs/msg/CameraInfo": "gz.msgs.CameraInfo",
}
"""Keys and pairs of types of ros_gz_bridge 1.0, from its bridge_config.cpp and its README."""
SYSTEMS = {
    "gz-sim-physics-system": "gz::sim::systems::Physics",
    "gz-sim-user-commands-system": "gz::sim::systems::UserCommands",
    "gz-sim-scene-broadcaster-system": "gz::sim::systems::SceneBroadcaster",
    "gz-sim-sensors-system": "gz::sim::systems::Sensors",
}
"""Systems of Gazebo Harmonic, library and class."""
EXECUTABLES = {
    ("robot_state_publisher", "robot_state_publisher"),
    ("ros_gz_sim", "create"),
    ("ros_gz_bridge", "parameter_bridge"),
    ("controller_manager", "spawner"),
}
"""Package and executable, from robot_state_publisher 3.3, ros_gz 1.0 and ros2_control 4.46."""


def processes(**given: str) -> dict:
    return {one.executable: one for one in resolve(GAZEBO, given, {}).processes}


def test_the_controllers_move_the_joints_of_the_robot_file():
    parameters = CONTROLLERS["/**/joint_trajectory_controller"]["ros__parameters"]
    assert set(parameters) <= TRAJECTORY_CONTROLLER
    assert parameters["joints"] == ROBOT["action"]["names"]
    system = ElementTree.fromstring(gazebo_description("")).find("ros2_control")
    for name in parameters["joints"]:
        joint = system.find(f"joint[@name='{name}']")
        for kind in ("command", "state"):
            offered = {one.get("name") for one in joint.findall(f"{kind}_interface")}
            assert set(parameters[f"{kind}_interfaces"]) <= offered
    manager = dict(CONTROLLERS["/**/controller_manager"]["ros__parameters"])
    step_s = float(WORLD.find("physics/max_step_size").text)
    assert manager.pop("update_rate") == round(1 / step_s)
    assert {name: one["type"] for name, one in manager.items()} == CONTROLLER_TYPES


def test_the_spawner_loads_them_with_the_topic_of_the_robot_file():
    spawner = processes()["spawner"]
    *names, flag, words = spawner.arguments
    assert names == list(CONTROLLER_TYPES)
    assert flag == "--controller-ros-args"
    assert words == f"-r ~/joint_trajectory:={ROBOT['action']['topic']}"


def test_the_bridge_has_the_clock_and_the_cameras_of_the_robot_file():
    bridge = yaml.safe_load((FOLDER / "bridge.yaml").read_text(encoding="utf-8"))
    description = ElementTree.fromstring(gazebo_description(""))
    for entry in bridge:
        assert set(entry) <= BRIDGE_KEYS
        assert BRIDGED[entry["ros_type_name"]] == entry["gz_type_name"]
        assert entry["direction"] == "GZ_TO_ROS"
    bridged = {one["ros_topic_name"]: one for one in bridge}
    assert bridged.pop("/clock")["gz_topic_name"] == "/clock"
    for name, stream in ROBOT["streams"].items():
        if not stream["type"].endswith("Image"):
            continue
        image, information = bridged.pop(stream["topic"]), bridged.pop(f"{name}/camera_info")
        assert image["ros_type_name"] == stream["type"]
        sensor = description.find(f"gazebo/sensor[@name='{name}']")
        assert image["gz_topic_name"] == f"/{sensor.find('topic').text}"
        # Gazebo publishes it beside the pictures.
        assert information["gz_topic_name"] == f"/{name}/camera_info"
        size = [int(sensor.find(f"camera/image/{one}").text) for one in ("height", "width")]
        assert size == [stream["height"], stream["width"]]
        assert stream["rate_hz"] == CAMERA_HZ == float(sensor.find("update_rate").text)
    assert not bridged


def test_the_controller_reads_the_same_limits_from_both_descriptions():
    robot = load_robot(ROBOT_FILE)
    ours, given = (robot.limits(one) for one in (gazebo_description(""), robot_description()))
    for name in ("lower", "upper", "velocity", "acceleration", "jerk"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(given, name))


def box_of(model: str, part: str) -> np.ndarray:
    text = WORLD.find(f"model[@name='{model}']/link/{part}/geometry/box/size").text
    return np.array([float(word) for word in text.split()])


def place_of(model: str) -> np.ndarray:
    text = WORLD.find(f"model[@name='{model}']/pose").text
    return np.array([float(word) for word in text.split()[:3]])


def test_the_world_has_the_table_the_cube_and_the_pad_of_pick_place():
    model = PickPlaceWorld().scene.model
    table, pad, cube = (
        model.geom("table"), model.geom(model.body("pad").geomadr[0]), model.geom("cube"),
    )  # fmt: skip
    for name, geom in (("table", table), ("pad", pad), ("cube", cube)):
        np.testing.assert_allclose(box_of(name, "visual"), 2 * geom.size)
        colour = WORLD.find(f"model[@name='{name}']/link/visual/material/diffuse").text
        np.testing.assert_allclose([float(one) for one in colour.split()], geom.rgba, rtol=1e-6)
    np.testing.assert_allclose(place_of("table"), table.pos)
    for name in ("table", "cube"):
        np.testing.assert_array_equal(box_of(name, "visual"), box_of(name, "collision"))
    for name, area in (("cube", CUBE_AREA), ("pad", PAD_AREA)):
        for place, (lower, upper) in zip(place_of(name), area, strict=False):
            assert lower < place < upper
    body = model.body("cube")
    inertial = WORLD.find("model[@name='cube']/link/inertial")
    assert float(inertial.find("mass").text) == body.mass[0]
    moments = [float(inertial.find(f"inertia/{name}").text) for name in ("ixx", "iyy", "izz")]
    np.testing.assert_allclose(moments, body.inertia, rtol=1e-6)


def test_the_world_loads_systems_that_there_are():
    loaded = {one.get("filename"): one.get("name") for one in WORLD.findall("plugin")}
    assert loaded == SYSTEMS


def test_the_graph_starts_programs_that_there_are_and_takes_the_time_of_gazebo():
    found = processes(namespace="left", gz_args="-r -s --headless-rendering")
    others = {(one.package, one.executable) for one in found.values() if one.package}
    assert others == EXECUTABLES
    *words, world = found["gz"].arguments
    assert words == ["sim", "-r", "-s", "--headless-rendering"]
    assert Path(world).exists()
    for name in ("controller", "robot_state_publisher"):
        assert found[name].parameters["use_sim_time"] is True
    description = found["robot_state_publisher"].parameters["robot_description"]
    assert description == gazebo_description(share_path("config/gazebo/controllers.yaml"), "left")


def test_gazebo_finds_the_plugins_of_the_workspace_unless_the_user_has_said_where():
    name = "GZ_SIM_SYSTEM_PLUGIN_PATH"
    surroundings = {"LD_LIBRARY_PATH": "/opt/ros/jazzy/lib"}
    assert resolve(GAZEBO, {}, surroundings).environment[name] == "/opt/ros/jazzy/lib"
    surroundings[name] = "/mine"
    assert resolve(GAZEBO, {}, surroundings).environment[name] == "/mine"
    assert resolve(GAZEBO, {}, {}).environment[name] == ""


def test_a_program_of_another_package_is_found_where_its_workspace_has_it(tmp_path, monkeypatch):
    spawner = processes()["spawner"]
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"/nowhere:{tmp_path}")
    assert command_of(spawner, tmp_path)[0] == "spawner", "on PATH"
    program = tmp_path / "lib" / "controller_manager" / "spawner"
    program.parent.mkdir(parents=True)
    program.touch()
    assert command_of(spawner, tmp_path)[0] == str(program)
    assert command_of(processes()["gz"], tmp_path)[:3] == ["gz", "sim", "-r"]

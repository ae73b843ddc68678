import mujoco
import numpy as np
import pytest

from ddpm_controller.control.moving.forward_kinematics import LinkChain
from ddpm_controller.simulation.arm.arm import JOINT_NAMES, joint_range
from ddpm_controller.simulation.arm.cameras import CAMERAS
from ddpm_controller.simulation.arm.reach_world import ReachWorld
from ddpm_controller.simulation.arm.robot_description import robot_description
from ddpm_controller.simulation.camera import CameraSpec
from ddpm_controller.simulation.pusht.pusht_description import pusht_description

EXACT = {"rtol": 0.0, "atol": 1e-9}  # rounding only
LINKS = [f"{name}_link" for name in (*JOINT_NAMES, "gripper_mirror")]


def rows_in_range(seed: int, count: int = 20) -> np.ndarray:
    limits = joint_range()
    return np.random.default_rng(seed).uniform(limits.lower, limits.upper, (count, 7))


@pytest.mark.parametrize("link", [*LINKS, "tip"])
def test_every_link_of_the_arm_is_where_mujoco_has_it(link):
    """The URDF and this file against the MJCF and MuJoCo: nothing in common but the table."""
    model = ReachWorld().scene.model
    state = mujoco.MjData(model)
    chain = LinkChain(robot_description(), JOINT_NAMES, link)
    rows = rows_in_range(0)
    for row, pose in zip(rows, chain.poses(rows), strict=True):
        for name, value in zip((*JOINT_NAMES, "gripper_mirror"), (*row, row[-1]), strict=True):
            state.qpos[model.joint(name).qposadr[0]] = value
        mujoco.mj_kinematics(model, state)
        there = state.site("tip") if link == "tip" else state.body(link)
        np.testing.assert_allclose(pose[:3, 3], there.xpos, **EXACT)
        np.testing.assert_allclose(pose[:3, :3], there.xmat.reshape(3, 3), **EXACT)


@pytest.mark.parametrize("camera", [camera.name for camera in CAMERAS])
def test_the_frames_of_the_cameras_are_where_mujoco_renders_from(camera):
    model = ReachWorld().scene.model
    state = mujoco.MjData(model)
    chain = LinkChain(robot_description(), JOINT_NAMES, f"{camera}_optical_frame")
    rows = rows_in_range(2, count=5)
    for row, pose in zip(rows, chain.poses(rows), strict=True):
        for name, value in zip(JOINT_NAMES, row, strict=True):
            state.qpos[model.joint(name).qposadr[0]] = value
        mujoco.mj_forward(model, state)
        # The MJCF has nine digits; a camera there looks along -z with y up.
        np.testing.assert_allclose(pose[:3, 3], state.camera(camera).xpos, rtol=0.0, atol=1e-8)
        there = state.camera(camera).xmat.reshape(3, 3) @ np.diag([1, -1, -1])
        np.testing.assert_allclose(pose[:3, :3], there, rtol=0.0, atol=1e-8)


def test_a_camera_that_is_tilted_looks_where_it_should(monkeypatch):
    """Those of the arm are level, so that a wrong pitch angle would not show."""
    camera = CameraSpec("c", "world", (0.3, -0.2, 0.5), (0.1, 0.4, 0.0), (0.5, 0.2, 1.0), 0.6)
    monkeypatch.setattr("ddpm_controller.simulation.arm.robot_description.CAMERAS", (camera,))
    chain = LinkChain(robot_description(), JOINT_NAMES, "c_optical_frame")
    (pose,) = chain.poses(np.zeros((1, 7)))
    forward = np.subtract(camera.target, camera.position)
    np.testing.assert_allclose(pose[:3, 2], forward / np.linalg.norm(forward), **EXACT)
    assert pose[:3, 0] @ np.array(camera.up) == pytest.approx(0.0, abs=1e-9)
    assert pose[:3, 1] @ np.array(camera.up) < 0


def random_urdf(random: np.random.Generator, kinds: list[str]) -> str:
    """A chain whose every joint has a place, a turn and an axis of its own."""
    inertia = '<inertia ixx="1" iyy="1" izz="1" ixy="0" ixz="0" iyz="0"/>'
    body = f'<inertial><mass value="1"/>{inertia}</inertial>'
    compiler = '<mujoco><compiler fusestatic="false"/></mujoco>'
    text = f'<robot name="r">{compiler}<link name="l0"/>'
    for number, kind in enumerate(kinds, start=1):
        words = [" ".join(f"{v:.17g}" for v in random.uniform(-1.5, 1.5, 3)) for _ in range(3)]
        text += (
            f'<link name="l{number}">{body}</link><joint name="j{number}" type="{kind}">'
            f'<origin xyz="{words[0]}" rpy="{words[1]}"/><axis xyz="{words[2]}"/>'
            f'<parent link="l{number - 1}"/><child link="l{number}"/>'
            '<limit lower="-3" upper="3" velocity="1" effort="1"/></joint>'
        )
    return text + "</robot>"


@pytest.mark.parametrize("seed", range(10))
def test_any_chain_is_where_mujoco_reads_it_from_the_same_urdf(seed):
    random = np.random.default_rng(seed)
    kinds = random.choice(["revolute", "continuous", "prismatic", "fixed"], 6).tolist()
    kinds[seed % 6] = "revolute"
    urdf = random_urdf(random, kinds)
    model = mujoco.MjModel.from_xml_string(urdf)
    state = mujoco.MjData(model)
    names = [f"j{number}" for number in (3, 1, 6, 2, 5, 4)]  # the columns have their own order
    chain = LinkChain(urdf, names)
    assert (chain.base, chain.link, chain.still) == ("l0", "l6", ())
    rows = random.uniform(-3, 3, (5, 6))
    for row, pose in zip(rows, chain.poses(rows), strict=True):
        for name, value in zip(names, row, strict=True):
            if kinds[int(name[1]) - 1] != "fixed":
                state.qpos[model.joint(name).qposadr[0]] = value
        mujoco.mj_kinematics(model, state)
        np.testing.assert_allclose(pose[:3, 3], state.body("l6").xpos, **EXACT)
        np.testing.assert_allclose(pose[:3, :3], state.body("l6").xmat.reshape(3, 3), **EXACT)


def test_one_elbow_by_hand():
    """A metre up, a quarter turn about y, then a metre along what was x: back down to the base."""
    urdf = """<robot name="r">
      <joint name="a" type="revolute"><origin xyz="0 0 1"/><axis xyz="0 2 0"/>
        <parent link="base"/><child link="arm"/></joint>
      <joint name="b" type="fixed"><origin xyz="1 0 0"/><parent link="arm"/><child link="end"/>
      </joint></robot>"""
    chain = LinkChain(urdf, ("a",))
    np.testing.assert_allclose(chain.positions(np.array([[np.pi / 2]])), [[0, 0, 0]], atol=1e-15)
    np.testing.assert_allclose(chain.positions(np.array([[0.0]])), [[1, 0, 1]], atol=1e-15)


def test_without_a_name_the_link_farthest_from_the_root_is_taken():
    assert LinkChain(robot_description(), JOINT_NAMES).link == "gripper_link"
    chain = LinkChain(pusht_description(), ("pusher_x", "pusher_y"))
    assert (chain.base, chain.link) == ("board", "pusher_y_link")
    np.testing.assert_allclose(chain.positions(np.array([[0.1, 0.3]])), [[0.1, 0.3, 0.0]])


def test_a_finger_that_mimics_moves_with_the_other():
    chain = LinkChain(robot_description(), JOINT_NAMES, "gripper_mirror_link")
    rows = np.zeros((2, 7))
    rows[1, -1] = 0.02
    closed, opened = chain.positions(rows)
    np.testing.assert_allclose(opened - closed, [0.0, -0.02, 0.0], atol=1e-12)


def test_a_joint_that_is_not_commanded_stays_at_zero_and_is_named():
    chain = LinkChain(robot_description(), JOINT_NAMES[1:], "tip")
    rows = rows_in_range(1)
    assert chain.still == ("shoulder_pan",)
    whole = LinkChain(robot_description(), JOINT_NAMES, "tip")
    same = np.column_stack([np.zeros(len(rows)), rows[:, 1:]])
    np.testing.assert_allclose(chain.positions(rows[:, 1:]), whole.positions(same), **EXACT)


def joint(parent="a", child="b", kind="fixed", more=""):
    links = f'<parent link="{parent}"/><child link="{child}"/>'
    return f'<robot><joint name="j" type="{kind}">{links}{more}</joint></robot>'


@pytest.mark.parametrize(
    ("urdf", "link", "text"),
    [
        ("<robot", "", "not XML"),
        ("<robot/>", "", r"one root link, got \[\]"),
        (joint(), "hand", "no link 'hand'"),
        (joint(), "a", "'a' is the root link"),
        (joint(kind="floating"), "", r"got \['j \(floating\)'\]"),
        (joint(parent=""), "", "'j' has no parent link"),
        (joint(kind="revolute", more='<axis xyz="0 0 0"/>'), "", "has the axis"),
        (joint(more='<origin xyz="0 1"/>'), "", "three numbers for xyz of <origin>, got '0 1'"),
        (joint(more='<origin rpy="0 0 x"/>'), "", "got '0 0 x'"),
        (joint(parent="b"), "", r"one root link, got \[\]"),
    ],
)
def test_a_description_without_a_chain_is_refused_with_the_value(urdf, link, text):
    with pytest.raises(ValueError, match=text):
        LinkChain(urdf, ("j",), link)

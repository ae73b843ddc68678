"""PushT is gym-pusht, in metres, at any tick that divides its physics."""

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

pytest.importorskip("gym_pusht", reason="needs the extra pusht")
from gym_pusht.envs.pusht import PushTEnv

from ddpm_controller.simulation.pusht.plane_camera import PlaneCamera
from ddpm_controller.simulation.pusht.pusht_block import GOAL_POSE, METRES_PER_PIXEL
from ddpm_controller.simulation.pusht.pusht_world import SUCCESS_COVERAGE, PushTWorld
from ddpm_controller.simulation.session import Session
from ddpm_controller.simulation.worlds import make_expert

DATA = Path(__file__).parents[4] / "shared/data/pusht_human/pusht_cchi_v7_replay.zarr"
STATE_UNITS = np.array([METRES_PER_PIXEL] * 4 + [1.0])  # pixels and rad -> m and rad
GOAL = np.array([0.256, 0.256, np.pi / 4])  # pose of the T, as published


@pytest.fixture(scope="module")
def recorded():
    """States (N, 5) and actions (N, 2), m and rad, and where the human episodes end."""
    if not DATA.exists():
        pytest.skip(f"the human demonstrations are not at {DATA}")
    zarr = pytest.importorskip("zarr", reason="needs the extra pusht")
    root = zarr.open(str(DATA), mode="r")
    states = root["data/state"][:].astype(float) * STATE_UNITS
    actions = root["data/action"][:].astype(float) * METRES_PER_PIXEL
    return states, actions, root["meta/episode_ends"][:]


def whole_pixels(count: int) -> np.ndarray:
    """Targets (N, 2), pixels, around the middle: they hit the T. Whole: exact in metres too."""
    return np.random.default_rng(5).integers(120, 400, (count, 2)).astype(float)


def pushed(world: PushTWorld, ticks: int = 60) -> np.ndarray:
    """Everything seen on the way, (ticks, ...), under targets that hit the T."""
    seen = []
    for target in np.repeat(whole_pixels(ticks // 10), 10, axis=0) * METRES_PER_PIXEL:
        world.step(target)
        seen.append([*world.positions, *world.velocities, *world.block_pose, world.coverage])
    return np.array(seen)


@pytest.mark.parametrize("ticks_per_step", [1, 5, 10])
def test_a_held_command_gives_the_published_step_bit_for_bit(ticks_per_step):
    world, published = PushTWorld(10.0 * ticks_per_step), PushTEnv(obs_type="state")
    world.reset(3)
    published.reset(seed=3)
    moved = 0.0
    for target in whole_pixels(40):
        for _ in range(ticks_per_step):
            world.step(target * METRES_PER_PIXEL)
        state, _, ended, _, told = published.step(target)
        np.testing.assert_array_equal(world.positions, state[:2] * METRES_PER_PIXEL)
        np.testing.assert_array_equal(world.velocities, told["vel_agent"] * METRES_PER_PIXEL)
        np.testing.assert_array_equal(world.block_pose[:2], state[2:4] * METRES_PER_PIXEL)
        assert world.block_pose[2] % (2 * np.pi) == state[4]
        # Areas are added up in another order; both are sums of fewer than 20 products.
        assert world.coverage == pytest.approx(told["coverage"], abs=1e-12)
        assert world.success == ended
        moved = max(moved, np.abs(state[2:4] - 256).max())
    assert moved > 50  # the T was pushed about, so that contacts were compared


def test_a_recorded_state_is_placed_where_it_was(recorded):
    """Angle first; gym-pusht's own order moves the T off by centimetres."""
    world, published = PushTWorld(), PushTEnv(obs_type="state")
    wrong_m = []
    for state in recorded[0][::500]:
        world.reset_to(state)
        # Nothing moves while it is placed; the rest is the rounding of pixels and metres.
        np.testing.assert_allclose(world.positions, state[:2], atol=1e-6)
        np.testing.assert_allclose(world.block_pose, state[2:], atol=1e-6)
        seen, _ = published.reset(options={"reset_to_state": state / STATE_UNITS})
        wrong_m.append(np.abs(seen[2:4] * METRES_PER_PIXEL - state[2:4]).max())
    assert max(wrong_m) > 0.02


@pytest.mark.parametrize("episode", [0, 15, 30])
def test_human_commands_repeat_what_the_human_did(recorded, episode):
    states, actions, ends = recorded
    begin, end = (ends[episode - 1] if episode else 0), ends[episode]
    world = PushTWorld(tick_hz=10.0)
    world.reset_to(states[begin])
    for step in range(begin, end - 1):
        world.step(actions[step])
        # Recorded as float32: half a unit in the last place of 512 pixels is 1.5e-8 m. Contacts
        # make 4e-8 m of it here; 182 of the 206 episodes stay below 1e-6 m, the others meet a
        # contact that rounding decides.
        np.testing.assert_allclose(world.positions, states[step + 1, :2], atol=2e-7)
        np.testing.assert_allclose(world.block_pose[:2], states[step + 1, 2:4], atol=2e-7)
        turn = world.block_pose[2] - states[step + 1, 4]
        assert abs((turn + np.pi) % (2 * np.pi) - np.pi) < 2e-6


def test_the_same_seed_gives_the_same_episode_bit_for_bit_also_after_another_one():
    fresh, used = PushTWorld(), PushTWorld()
    used.reset(8)
    pushed(used)
    for world in (fresh, used):
        world.reset(7)
    np.testing.assert_array_equal(pushed(fresh), pushed(used))
    np.testing.assert_array_equal(fresh.render("camera_top"), used.render("camera_top"))
    other = used.another()
    other.reset(9)
    assert other.tick_s == used.tick_s
    assert np.abs(pushed(other) - pushed(used)).max() > 0.01


def test_nothing_of_an_episode_remains_when_a_state_is_placed():
    used, fresh = PushTWorld(), PushTWorld()
    pushed(used)
    for world in (used, fresh):
        world.reset_to(np.array([0.2, 0.25, 0.25, 0.25, 1.0]))
    assert used.time_s == 0.0
    assert used.best_coverage == used.coverage
    np.testing.assert_array_equal(pushed(used), pushed(fresh))


@pytest.mark.parametrize(
    "command",
    [[0.1, np.nan], [np.inf, 0.1], [0.1], [0.1, 0.2, 0.3], [[0.1, 0.2]]],
    ids=["nan", "infinite", "short", "long", "two rows"],
)
def test_a_command_that_cannot_be_right_is_refused_and_nothing_moves(command):
    world = PushTWorld()
    world.reset(1)
    before = [*world.positions, *world.block_pose, *world.command_in_force]
    with pytest.raises(ValueError, match="2 finite positions for .*pusher_x"):
        world.step(np.array(command))
    assert [*world.positions, *world.block_pose, *world.command_in_force] == before
    assert world.time_s == 0.0


def test_a_command_beyond_the_board_pulls_to_its_edge():
    world = PushTWorld()
    world.step(np.array([-1.0, 3.0]))
    np.testing.assert_array_equal(world.command_in_force, [0.0, 0.512])


def test_the_command_in_force_at_the_start_holds_the_pusher():
    world = PushTWorld()
    start = world.positions
    for _ in range(10):
        world.step(world.command_in_force)
    np.testing.assert_array_equal(world.positions, start)
    assert world.time_s == pytest.approx(0.2)


@pytest.mark.parametrize("state", [[0.1] * 4, [0.1, 0.2, np.nan, 0.1, 0.0]])
def test_a_state_that_cannot_be_right_is_refused(state):
    with pytest.raises(ValueError, match="a state needs 5 finite numbers"):
        PushTWorld().reset_to(np.array(state))


@pytest.mark.parametrize("tick_hz", [30.0, 200.0, 0.0, -10.0])
def test_a_tick_that_does_not_divide_the_physics_is_refused(tick_hz):
    with pytest.raises(ValueError, match=f"tick_hz {tick_hz} must divide 100 Hz"):
        PushTWorld(tick_hz)


def test_success_is_the_goal_covered_now_and_the_score_is_the_best_so_far():
    world = PushTWorld()
    far = np.array([0.45, 0.45])
    # It covers 0.973 when it lies 1 mm aside, 0.844 at 6 mm.
    for offset, success in ((0.0, True), (0.001, True), (0.006, False), (0.1, False)):
        world.reset_to(np.array([*far, GOAL[0] + offset, *GOAL[1:]]))
        assert world.success is success
        assert (world.coverage > SUCCESS_COVERAGE) is success
    world.reset_to(np.array([0.256, 0.1, *GOAL]))
    assert world.score == pytest.approx(1.0)
    for _ in range(100):
        world.step(np.array([0.256, 0.4]))  # straight through the T
    assert not world.success
    assert world.coverage < 0.8
    assert world.score == world.best_coverage == pytest.approx(1.0)


def test_the_corners_are_the_published_keypoints():
    """Theirs go around each of the two rectangles, ours around the outline."""
    world = PushTWorld()
    for seed in range(5):
        world.reset(seed)
        told = world.vectors["block_corners"]
        task = world._task
        keypoints = task.get_keypoints(task._block_shapes) * METRES_PER_PIXEL
        outline = keypoints[[0, 1, 2, 5, 6, 7, 4, 3]]
        # Rounding of a rotation of lengths below 1 m.
        np.testing.assert_allclose(told.values.reshape(8, 2), outline, atol=1e-12)
        assert told.names[:3] == ("corner0_x", "corner0_y", "corner1_x")


def test_the_picture_shows_the_block_and_the_pusher_where_they_are():
    world = PushTWorld()
    pictures = []
    for state in ([0.1, 0.4, 0.3, 0.1, 0.5], [0.1, 0.4, 0.35, 0.12, 0.5]):
        world.reset_to(np.array(state))
        pictures.append(world.render("camera_top").astype(int))
    assert pictures[0].shape == (96, 96, 3)
    assert (pictures[0] != pictures[1]).any(axis=2).sum() > 50
    blue = pictures[0][..., 2] - pictures[0][..., 0] > 100  # RoyalBlue, and nothing else
    row, column = np.argwhere(blue).mean(axis=0) + 0.5
    camera = world.cameras[0]
    centred = world.positions - 0.256
    pixel = camera.intrinsics @ [*centred, camera.distance_m] / camera.distance_m
    # The pusher is 5.6 pixels wide; its centroid is found to a third of a pixel.
    np.testing.assert_allclose(pixel, [column, row, 1.0], atol=0.33)
    with pytest.raises(ValueError, match="no camera 'camera_fixed'"):
        world.render("camera_fixed")


def test_a_camera_without_a_size_is_refused():
    with pytest.raises(ValueError, match="board_m must be above 0, got 0.0"):
        PlaneCamera("top", 0.0)


def test_the_urdf_has_the_board_as_limits():
    root = ElementTree.fromstring(PushTWorld.robot_description())
    joints = root.findall("joint")
    assert [joint.get("name") for joint in joints] == list(PushTWorld.joint_names)
    for joint, axis in zip(joints, ("1 0 0", "0 1 0"), strict=True):
        assert joint.get("type") == "prismatic"
        assert joint.find("axis").get("xyz") == axis
        limit = joint.find("limit")
        numbers = [float(limit.get(key)) for key in ("lower", "upper", "velocity")]
        assert numbers == [0.0, 0.512, 5.0]


def test_a_tick_tells_corners_and_score_and_pictures_only_where_wanted():
    session = Session(PushTWorld(), 25.0, expert=False, pictures=False)
    tick = session.reset(2)
    assert dict(tick.images) == {}
    np.testing.assert_array_equal(
        tick.vectors["block_corners"].values, session.world.vectors["block_corners"].values
    )
    assert tick.score == session.world.score
    assert set(Session(PushTWorld(), 25.0, expert=False).reset(2).images) == {"camera_top"}


def test_no_expert_solves_it():
    with pytest.raises(ValueError, match="no expert for world 'pusht'.*ddpm pusht-demonstrations"):
        make_expert(PushTWorld(), 0)


def test_the_other_worlds_do_not_need_gym_pusht_and_this_one_says_so():
    code = (
        "import sys; sys.modules['gym_pusht'] = None\n"
        "from ddpm_controller.simulation.worlds import WORLDS\n"
        "assert 'pymunk' not in sys.modules and 'pygame' not in sys.modules\n"
        "try: WORLDS['pusht'].world()\n"
        "except RuntimeError as error: print(error)\n"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert 'pip install "ddpm_controller[pusht]"' in done.stdout, done.stderr


def test_a_block_costs_the_goal_that_is_bare_and_its_way():
    world = PushTWorld()
    world.reset_to(np.array([0.1, 0.1, *GOAL_POSE]))
    assert world.success
    assert world.terminal_cost() == pytest.approx(0.0, abs=1e-9)
    assert world.running_cost() == pytest.approx(0.0, abs=1e-9), "wherever the pusher is"
    x, y, angle = GOAL_POSE
    world.reset_to(np.array([0.1, 0.1, x + 0.128, y, angle]))
    assert world.terminal_cost() == pytest.approx(1.0 - world.coverage + 0.25)
    corners = world.vectors["block_corners"].values.reshape(8, 2)
    to_block = np.linalg.norm(world.positions - corners.mean(axis=0)) / 0.512
    expected = world.terminal_cost() + (1.0 - world.coverage) * to_block
    assert world.running_cost() == pytest.approx(expected)


def test_a_block_that_covers_nothing_costs_less_the_nearer_it_is():
    world = PushTWorld()
    costs = []
    for away in (0.25, 0.23):
        world.reset_to(np.array([0.5, 0.5, 0.256 - away, 0.256, np.pi / 4]))
        assert world.coverage == 0.0
        costs.append(world.terminal_cost())
    assert costs[0] > costs[1]

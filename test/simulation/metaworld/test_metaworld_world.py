"""MetaWorld's tasks are as published, led by positions, and disturbed from their seed."""

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import mujoco
import numpy as np
import pytest

pytest.importorskip("metaworld", reason="needs the extra metaworld")

from ddpm_controller.simulation.disturbances import PULLING, Perturbation, Push
from ddpm_controller.simulation.metaworld.metaworld_description import HAND_JOINTS, OPEN_M
from ddpm_controller.simulation.metaworld.metaworld_expert import OCCASIONS, MetaWorldExpert
from ddpm_controller.simulation.metaworld.metaworld_world import (
    NOISE_M,
    NOISE_M_S,
    PULLED_M,
    ButtonPressWorld,
    DrawerOpenWorld,
    HammerWorld,
)
from ddpm_controller.simulation.worlds import WORLDS, make_expert

METAWORLD = [DrawerOpenWorld, ButtonPressWorld, HammerWorld]
EACH = pytest.mark.parametrize("kind", METAWORLD)


def seen(world) -> np.ndarray:
    """Everything that is measured now, and the whole state of the physics."""
    vectors = [vector.values for vector in world.vectors.values()]
    state = world._task._state
    return np.concatenate([world.positions, world.velocities, *vectors, state.qpos, state.qvel])


def follow(world, seed: int, ticks: int) -> np.ndarray:
    """What is seen while the expert of a seed is obeyed, (ticks, ...)."""
    world.reset(seed)
    expert, rows = make_expert(world, seed), []
    for _ in range(ticks):
        world.step(expert.command())
        rows.append(seen(world))
    return np.array(rows)


def solved(world, seed: int) -> MetaWorldExpert:
    """Let the expert work until it is done or the time is over."""
    world.reset(seed)
    expert = make_expert(world, seed)
    while not expert.done and world.time_s < world.timeout_s:
        world.step(expert.command())
    return expert


@EACH
def test_a_tick_as_long_as_a_published_step_is_that_step_bit_for_bit(kind):
    """Start, states and success, with the target of the hand moved as MetaWorld moves it."""
    world = kind(80.0)
    world.reset(5)
    published = type(world._task._env)()
    published._last_rand_vec = world._task._env._last_rand_vec
    published._set_task_called = True
    published.reset()
    np.testing.assert_array_equal(world._task._state.qpos, published.data.qpos)
    world._set_point.begin(np.append(published.data.mocap_pos[0], OPEN_M))
    random = np.random.default_rng(0)
    for _ in range(40):
        action = np.append(random.uniform(-1, 1, 3), -1.0).astype(np.float32)
        action[2] -= 0.5  # down to the table and the objects
        observed, *_, told = published.step(action)
        world.step(np.append(published.data.mocap_pos[0], OPEN_M))
        np.testing.assert_array_equal(world._task._state.qpos, published.data.qpos)
        np.testing.assert_array_equal(world._task._state.qvel, published.data.qvel)
        np.testing.assert_array_equal(world.observed, observed[:18])
        assert world.success == bool(told["success"])


@EACH
def test_the_same_seed_gives_the_same_episode_bit_for_bit_also_after_another_one(kind):
    perturbation = Perturbation(pushes=2, occlusions=1)
    fresh = kind(perturbation=perturbation)
    used = fresh.another()
    follow(used, 8, 10)
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    first, second = (follow(world, 3, 60) for world in (fresh, used))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    assert np.abs(follow(fresh, 4, 60) - first).max() > 0.01


@EACH
def test_experts_solve_it_whatever_happens(kind):
    world, occasions = kind(), set()
    for seed in range(100):
        if len(occasions) == len(OCCASIONS):
            break
        world.reset(seed)
        occasion = make_expert(world, seed).occasion
        if occasion in occasions:
            continue
        occasions.add(occasion)
        solved(world, seed)
        assert world.success, (seed, occasion)
        assert world.time_s > 2.0
        assert world.tally["pulled_back"] == (occasion == "pull_back")


def test_experts_work_at_the_rate_of_the_trials():
    """Seed 1 has a button that the arm just reaches."""
    for kind in METAWORLD:
        world = kind(20.0)
        solved(world, 1)
        assert world.success, kind
        assert world.score is None


@EACH
def test_no_command_of_an_expert_is_cut_by_the_limits_of_speed(kind):
    world = kind()
    world.reset(2)
    expert = make_expert(world, 2)
    reach = np.array([joint.velocity for joint in HAND_JOINTS[:3]]) * world.tick_s
    for _ in range(100):
        before = world.command_in_force[:3]
        assert (np.abs(expert.command()[:3] - before) < reach).all()
        world.step(expert.command())


def test_a_command_moves_no_faster_and_no_further_than_the_limits():
    world = DrawerOpenWorld()
    before = world.command_in_force
    world.step(before + np.array([9.0, 0.0, 0.0, 0.0]))
    np.testing.assert_allclose(world.command_in_force - before, [0.8 * world.tick_s, 0, 0, 0])
    for _ in range(40):
        world.step(before + np.array([9.0, 0.0, 0.0, 9.0]))
    assert world.command_in_force[0] == 0.5
    assert world.command_in_force[3] == OPEN_M
    assert world.observed[0] == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("wrong", [np.full(4, np.nan), np.zeros(3), np.full(4, np.inf)])
def test_a_command_that_is_not_four_finite_numbers_is_refused_and_nothing_moves(wrong):
    world = HammerWorld()
    before = seen(world)
    with pytest.raises(ValueError, match="4 finite positions for .*'hand_x'"):
        world.step(wrong)
    np.testing.assert_array_equal(seen(world), before)
    assert world.time_s == 0.0


def test_fingers_close_and_open():
    world = ButtonPressWorld()
    hold = world.command_in_force
    for opening, measured in ((0.0, 0.03), (OPEN_M, 0.1)):
        hold[3] = opening
        for _ in range(25):
            world.step(hold)
        assert world.positions[3] == pytest.approx(measured, abs=0.005)


def test_sensors_are_noisy_and_say_what_is_meant():
    """200 ticks: deviations within a quarter; the speed is that of the places."""
    world = DrawerOpenWorld()
    world.reset(3)
    errors, speeds, places = [], [], []
    target = world.command_in_force
    for tick in range(200):
        target[0] += 0.001 if tick < 100 else 0.0
        world.step(target)
        errors.append(world.positions[:3] - world.observed[:3])
        speeds.append(world.velocities[:3])
        places.append(world.observed[:3])
    assert np.std(errors) == pytest.approx(NOISE_M, rel=0.25)
    assert np.std(np.array(speeds)[150:]) == pytest.approx(NOISE_M_S, rel=0.25)
    rate = np.diff(places, axis=0)[30:90] / world.tick_s
    np.testing.assert_allclose(np.mean(speeds[31:91], axis=0), rate.mean(0), atol=0.006)
    assert rate.mean(0)[0] == pytest.approx(0.05, abs=0.005)


def farthest(perturbation: Perturbation, seed: int) -> float:
    """Return how far the hand gets from where it is held, in 5.5 s, m."""
    world = ButtonPressWorld(25.0, perturbation)
    world.reset(seed)
    hold, away, start = world.command_in_force, [], None
    while world.time_s < 5.5:
        world.step(hold)
        start = world.observed[:3] if world.time_s == 0.2 else start
        away.append(0.0 if start is None else np.linalg.norm(world.observed[:3] - start))
    assert away[-1] < 0.005
    return max(away)


def test_a_pushed_hand_is_moved_by_some_centimetres_and_comes_back():
    pushed = [farthest(PULLING["pushed"], seed) for seed in range(3)]
    assert min(pushed) > 0.012
    assert max(pushed) < 0.06
    assert 0.02 < np.mean(pushed) < 0.045
    assert farthest(PULLING["nominal"], 0) < 0.005


def test_while_occluded_only_the_objects_stand_still_and_then_go_on():
    world = DrawerOpenWorld(perturbation=Perturbation(occlusions=1))
    world.reset(4)
    expert, hidden, shown = make_expert(world, 4), [], []
    while world.time_s < 6.2:
        world.step(expert.command())
        row = np.append(world.vectors["object"].values, world.positions)
        (hidden if world.occluded else shown).append(row)
    assert len(hidden) == 50  # 1 s: ten steps of a policy
    assert len(np.unique(np.array(hidden)[:, :3], axis=0)) == 1
    assert len(np.unique(np.array(hidden)[:, 3:], axis=0)) == 50
    assert len(np.unique(np.array(shown)[:, :3], axis=0)) >= len(shown) - 1


@EACH
def test_what_has_been_moved_is_pulled_back_once_and_the_hand_is_off(kind):
    world = kind(perturbation=PULLING["pulled_back"])
    seed = 0
    world.reset(seed)
    expert = make_expert(world, seed)
    while expert.occasion != "none":
        seed += 1
        world.reset(seed)
        expert = make_expert(world, seed)
    moved = []
    while not expert.done and world.time_s < world.timeout_s:
        world.step(expert.command())
        moved.append(abs(world.moved))
    assert world.success
    assert dict(world.tally)["pulled_back"] == 1.0
    first = int(np.argmax(np.array(moved) > abs(kind.slide.near)))
    fallen = moved[first] - np.array(moved[first : first + 45]).min()
    assert fallen == pytest.approx(PULLED_M, abs=0.012)
    assert world.time_s > first * world.tick_s + 0.6


def test_a_button_that_is_let_go_comes_up_by_itself():
    world = ButtonPressWorld()
    solved(world, 1)
    assert abs(world.moved) > 0.05
    away = world.command_in_force + np.array([0.0, 0.0, 0.3, 0.0])
    for _ in range(250):
        world.step(away)
    assert not world.success
    assert abs(world.moved) < 0.03


def test_the_object_is_told_by_name_and_nothing_else_is():
    names = {
        DrawerOpenWorld: ["handle"],
        ButtonPressWorld: ["button"],
        HammerWorld: ["hammer", "nail"],
    }
    for kind, things in names.items():
        world = kind()
        assert set(world.vectors) == {"joint_velocity", "object"}
        told = world.vectors["object"]
        assert told.names == tuple(f"{thing}_{axis}" for thing in things for axis in "xyz")
        truth = world.observed[[4, 5, 6, 11, 12, 13][: len(told.names)]]
        np.testing.assert_allclose(told.values, truth, atol=5 * NOISE_M)
        assert world.cameras == ()
        with pytest.raises(ValueError, match="no camera 'top'; the world '.*' has none"):
            world.render("top")


def test_a_push_that_is_added_belongs_to_the_episode():
    world = ButtonPressWorld()
    hold = world.command_in_force
    world.push(Push(0.1, 0.3, np.array([20.0, 0.0, 0.0])))
    sideways = []
    for _ in range(40):
        world.step(hold)
        sideways.append(world.observed[0])
    assert max(sideways) - sideways[0] == pytest.approx(0.03, abs=0.012)
    world.reset(0)
    for _ in range(40):
        world.step(hold)
        assert abs(world.observed[0] - sideways[0]) < 0.008


def test_a_tick_that_the_physics_cannot_divide_is_refused():
    with pytest.raises(ValueError, match="tick_hz 60.0 must divide 400 Hz"):
        DrawerOpenWorld(60.0)


def test_the_urdf_has_the_published_limits():
    root = ElementTree.fromstring(DrawerOpenWorld.robot_description())
    joints = {joint.get("name"): joint.find("limit") for joint in root.findall("joint")}
    assert list(joints) == list(DrawerOpenWorld.joint_names)
    world = DrawerOpenWorld()
    env = world._task._env
    low = [float(joints[f"hand_{axis}"].get("lower")) for axis in "xyz"]
    high = [float(joints[f"hand_{axis}"].get("upper")) for axis in "xyz"]
    np.testing.assert_allclose(low, env.mocap_low)
    np.testing.assert_allclose(high, env.mocap_high)
    assert float(joints["hand_x"].get("velocity")) == pytest.approx(env.action_scale / env.dt)
    assert mujoco.mj_name2id(world._task.model, mujoco.mjtObj.mjOBJ_BODY, "hand") > 0


def test_the_other_worlds_do_not_need_metaworld_and_these_say_so():
    code = (
        "import sys; sys.modules['metaworld'] = None\n"
        "from ddpm_controller.simulation.worlds import WORLDS\n"
        "assert 'gymnasium' not in sys.modules\n"
        "try: WORLDS['hammer'].world()\n"
        "except RuntimeError as error: print(error)\n"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert 'pip install "ddpm_controller[metaworld]"' in done.stdout, done.stderr
    assert {kind.name for kind in METAWORLD} <= set(WORLDS)


@pytest.mark.parametrize("kind", METAWORLD)
def test_a_task_costs_the_way_of_its_slide_and_nothing_where_metaworld_sees_success(kind):
    world = kind()
    assert world.terminal_cost() == pytest.approx(abs(world.slide.end), abs=1e-3)
    world._task.draw(0.5 * world.slide.end)
    world._task.look()
    assert world.terminal_cost() == pytest.approx(0.5 * abs(world.slide.end))
    assert not world.success
    solved(world, 1)
    assert world.success
    assert world.running_cost() == world.terminal_cost() == pytest.approx(0.0, abs=2e-3)


@pytest.mark.parametrize("kind", [DrawerOpenWorld, ButtonPressWorld])
def test_metaworld_sees_success_where_the_way_of_a_slide_ends(kind):
    """A hammer's nail alone is no success: how the hammer is held counts too."""
    world = kind()
    for beyond, success in ((-0.002, False), (0.002, True)):
        world._task.draw(world.slide.end + np.sign(world.slide.end) * beyond)
        world._task.look()
        assert world.success is success
        assert (world.terminal_cost() == 0.0) is success

import mujoco
import numpy as np
import pytest
from small_planner import CART_POLE, legged_model

from ddpm_controller.planners.saved import model_from
from ddpm_controller.rewards.gaits import GAITS, Gait, swing_heights
from ddpm_controller.rewards.motion import motion_of
from ddpm_controller.rewards.site_places import SitePlaces
from ddpm_controller.rewards.terms import (
    TERMS,
    ClearanceTerm,
    EnergyTerm,
    GaitTerm,
    HeightTerm,
    JointLimitsTerm,
    JointTerm,
    JointVelocityTerm,
    KeepOutTerm,
    PostureTerm,
    ReachTerm,
    SmoothTerm,
    TurnTerm,
    UprightTerm,
    VelocityTerm,
    YawTerm,
)

FEET = {"feet": ("R", "L"), "phases": (0.0, 0.5), "duty": 0.5}


def random_motion(model, count=3, ticks=2, **requests):
    random = np.random.default_rng(1)
    qpos = random.standard_normal((count, ticks, model.nq))
    if model.nq > model.nv:
        qpos[..., 3:7] /= np.linalg.norm(qpos[..., 3:7], axis=-1, keepdims=True)
    qvel = random.standard_normal((count, ticks, model.nv))
    controls = random.standard_normal((count, ticks, model.nu))
    return motion_of(qpos, qvel, controls, np.linspace(0.1, 0.7, ticks), requests)


def states_of(model, motion):
    """Yield place (n, h) and the engine's data at each state."""
    data = mujoco.MjData(model)
    for place in np.ndindex(motion.qpos.shape[1:]):
        data.qpos[:], data.qvel[:] = motion.qpos[:, *place], motion.qvel[:, *place]
        data.ctrl[:] = motion.controls[:, *place]
        mujoco.mj_forward(model, data)
        yield place, data


def only_trunk(model, **changes):
    """Return the motion of one state: the body at rest and upright, with some numbers changed."""
    qpos, qvel = model.key("home").qpos.copy(), np.zeros(model.nv)
    for name, value in changes.items():
        (qpos if name[0] == "q" else qvel)[int(name[1:])] = value
    return motion_of(
        qpos[None, None], qvel[None, None], model.key("home").ctrl[None, None], np.zeros(1), {}
    )


def test_places_of_sites_are_those_of_the_engine():
    """With tilted bodies, axes that are not those of the frame, and joints beside their origin."""
    model = legged_model()
    motion = random_motion(model)
    places = SitePlaces(model, ("R", "L"))
    heights, world = places.heights(motion), places.in_world(motion)
    for place, data in states_of(model, motion):
        expected = np.stack([data.site(name).xpos for name in ("R", "L")])
        # Angles are in single precision.
        np.testing.assert_allclose(world[:, :, *place], expected, atol=1e-6)
        np.testing.assert_allclose(heights[:, *place], expected[:, 2], atol=1e-6)


def test_places_on_a_fixed_base_are_those_of_the_engine_too():
    mjcf = CART_POLE.replace('type="slide" axis="1 0 0"', 'axis="0 0 1"').replace(
        '<body name="cart">', '<body name="cart" pos=".1 .2 .3" quat=".6 .8 0 0">'
    )
    model = model_from(mjcf)
    motion, places = random_motion(model), SitePlaces(model, ("tip",))
    for place, data in states_of(model, motion):
        np.testing.assert_allclose(
            places.in_world(motion)[0, :, *place], data.site("tip").xpos, atol=1e-6
        )
        assert places.heights(motion)[0, *place] == pytest.approx(data.site("tip").xpos[2], 1e-6)


def test_the_frame_of_a_body_is_the_engines():
    model = legged_model()
    motion = random_motion(model)
    for place, data in states_of(model, motion):
        rotation = data.body("trunk").xmat.reshape(3, 3)
        np.testing.assert_allclose(motion.rotation[:, :, *place], rotation, atol=1e-9)
        body = rotation.T @ data.qvel[:3]
        np.testing.assert_allclose(motion.body_velocity[:, *place], body[:2], atol=1e-9)
        assert motion.upright[place] == pytest.approx(rotation[2, 2])
        yaw = np.arctan2(rotation[1, 0], rotation[0, 0])
        assert motion.yaw[place] == pytest.approx(yaw)


def test_power_is_that_of_the_engines_actuators():
    model = legged_model()
    motion = random_motion(model)
    reward = EnergyTerm().bind(model)(motion)
    for place, data in states_of(model, motion):
        expected = np.abs(data.actuator_force * data.qvel[6:]).sum()
        assert reward[place] == pytest.approx(-expected)


def test_feet_of_a_gait_follow_their_phases():
    """In the middle of its swing a foot is at its height, half a period later it stands."""
    trot = GAITS["trot"]
    turns = np.array([0.0, 0.25, 0.5, 0.75])
    heights = swing_heights(turns, trot.duty, trot.height_m, trot.phases)
    np.testing.assert_allclose(heights[0], heights[3])
    np.testing.assert_allclose(heights[1], np.roll(heights[0], 2), atol=1e-12)
    assert heights[0, 2] == pytest.approx(trot.height_m)
    assert heights[0, 0] == pytest.approx(0.0, abs=1e-12)
    fine = swing_heights(np.linspace(0, 1, 1000, endpoint=False), 0.45, 0.08, (0.0,))
    assert (fine < 1e-9).mean() == pytest.approx(0.45, abs=0.01)
    assert (swing_heights(turns, 1.0, 0.08, (0.0, 0.5)) == 0).all()
    later = swing_heights(np.array([0.25, 0.75]), 0.5, 0.1, (0.25,))  # by a quarter of a period
    np.testing.assert_allclose(later, [[0.0, 0.1]], atol=1e-12)
    with pytest.raises(ValueError, match="duty in"):
        Gait(1.2, 1.0, 0.1, (0.0,))


def test_a_gait_rewards_feet_at_their_heights():
    model = legged_model()
    motion = random_motion(model)
    heights = SitePlaces(model, ("R", "L")).heights(motion)
    wanted = swing_heights(motion.turns, 0.5, 0.1, (0.0, 0.5))[:, None] + 0.02
    gait = GaitTerm(**FEET, height_m=0.1).bind(model)(motion)
    np.testing.assert_allclose(gait, -(((heights - wanted) / 0.05) ** 2).sum(axis=0), rtol=1e-9)
    missing = np.maximum(wanted - heights, 0) / 0.05
    clearance = ClearanceTerm(**FEET, clearance_m=0.1).bind(model)(motion)
    np.testing.assert_allclose(clearance, -(missing**2).sum(axis=0), rtol=1e-9)
    asked = random_motion(model, swing_height=0.3, clearance=0.3)
    assert not np.allclose(GaitTerm(**FEET, height_m=0.1).bind(model)(asked), gait)
    assert (ClearanceTerm(**FEET, clearance_m=0.1).bind(model)(asked) <= clearance).all()


@pytest.mark.parametrize(
    ("term", "changes", "expected"),
    [
        (UprightTerm(), {}, 0.0),
        (UprightTerm(), {"q3": np.sqrt(0.5), "q4": np.sqrt(0.5)}, -2.0),  # on its side
        (VelocityTerm(0.5, 0.1), {}, -0.26),
        (VelocityTerm(0.5, 0.0), {"v0": 0.7}, -0.04),
        (VelocityTerm(0.0, 0.5), {"q3": np.sqrt(0.5), "q6": np.sqrt(0.5), "v0": -0.5}, 0.0),
        (TurnTerm(0.5), {"v5": 0.2}, -0.09),
        (YawTerm(-3.1), {"q3": np.cos(1.55), "q6": np.sin(1.55)}, -((2 * np.pi - 6.2) ** 2)),
        (HeightTerm(0.5), {"q2": 0.3}, -0.04),
        (JointLimitsTerm(0.1), {"q7": 0.95, "q9": -1.2}, -(0.05**2) - 0.3**2),
        (PostureTerm("home", ("right_hip", "left_knee")), {"q7": 0.3, "q8": 9.0}, -0.04),
        (JointTerm("left_hip", 0.5), {"q9": 0.2}, -0.09),
        (JointTerm("left_hip", 0.5, turns=True), {"q9": 0.5 + 4 * np.pi}, 0.0),
        (JointTerm("left_hip", 0.5, turns=True), {"q9": 0.5 + np.pi}, -2.0),
        (JointVelocityTerm("left_hip", 0.5), {"v8": 0.2}, -0.09),
        (SmoothTerm(), {}, 0.0),
    ],
)
def test_terms_by_hand(term, changes, expected):
    model = legged_model()
    reward = term.bind(model)(only_trunk(model, **changes))
    assert reward.shape == (1, 1)
    assert reward[0, 0] == pytest.approx(expected, abs=1e-9)


def test_a_wish_goes_before_the_number_of_a_term():
    model = legged_model()
    motion = random_motion(model, forward=np.array([0.3, 0.4]), left=0.1, height=0.5, turn=0.7)
    ahead, aside = motion.body_velocity
    expected = -((ahead - np.array([0.3, 0.4])) ** 2) - (aside - 0.1) ** 2
    np.testing.assert_allclose(VelocityTerm(9.0, 9.0).bind(model)(motion), expected)
    np.testing.assert_allclose(HeightTerm(9.0).bind(model)(motion), -((motion.qpos[2] - 0.5) ** 2))
    np.testing.assert_allclose(TurnTerm(9.0).bind(model)(motion), -((motion.qvel[5] - 0.7) ** 2))


def test_places_in_the_world_are_reached_and_kept_out_of():
    model = legged_model()
    motion = only_trunk(model)
    place = SitePlaces(model, ("R",)).in_world(motion)[0, :, 0, 0]
    target = tuple((place + np.array([0.3, 0.0, 0.4])).tolist())
    assert ReachTerm("R", target).bind(model)(motion)[0, 0] == pytest.approx(-0.5)
    low, high = (
        tuple(each.tolist()) for each in (place - 0.1, place + np.array([0.2, 0.02, 0.2]))
    )
    inside = KeepOutTerm(("R", "L"), low, high).bind(model)(motion)
    assert inside[0, 0] == pytest.approx(-0.02)  # the nearest side; the left foot is outside
    wider = KeepOutTerm(("R",), low, high, margin_m=0.05).bind(model)(motion)
    assert wider[0, 0] == pytest.approx(-0.07)
    with pytest.raises(ValueError, match="low below high"):
        KeepOutTerm(("R",), high, low)


def test_changes_of_commands_cost():
    model = legged_model()
    motion = random_motion(model, ticks=4)
    expected = -(np.diff(motion.controls, axis=2) ** 2).sum(axis=0)
    found = SmoothTerm().bind(model)(motion)
    np.testing.assert_allclose(found[:, 1:], expected)
    assert (found[:, 0] == 0).all()


@pytest.mark.parametrize(
    ("term", "text"),
    [
        (GaitTerm(("R", "X"), (0, 0.5), 0.5, 0.1), "no site 'X'; it has ['R', 'L']"),
        (JointTerm("ankle"), "no hinge or slide 'ankle'"),
        (PostureTerm("sitting"), "no key frame 'sitting'; it has ['home']"),
    ],
)
def test_names_that_a_model_lacks_are_refused_with_those_it_has(term, text):
    with pytest.raises(ValueError) as caught:
        term.bind(legged_model())
    assert text in str(caught.value)


def test_terms_of_a_floating_body_are_refused_without_one():
    for term in (UprightTerm(), VelocityTerm(), TurnTerm(), YawTerm(), HeightTerm(1.0)):
        with pytest.raises(ValueError, match="first joint of the model must float"):
            term.bind(model_from(CART_POLE))
    assert len(TERMS) == 16

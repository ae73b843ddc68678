import mujoco
import numpy as np
from small_planner import LEGGED

from ddpm_controller.dynamics.lean import lean_model
from ddpm_controller.dynamics.rollouts import Rollouts
from ddpm_controller.dynamics.solver import SolverSettings

SHOWN = LEGGED.replace(
    '<body name="left_shank"',
    '<camera name="c"/><light pos="0 0 1"/><body name="left_shank"',
).replace("<actuator>", '<sensor><framepos objtype="site" objname="R"/></sensor><actuator>')
HEAVY = '<body name="right" pos=".1 -.1 0" quat=".92388 .38268 0 0">'
EXPLICIT = SHOWN.replace(
    HEAVY, HEAVY + '<inertial pos="0 0 -.1" mass="1" diaginertia=".01 .01 .01"/>'
).replace(
    '<geom type="capsule" fromto="0 0 0 0 0 -.3" size=".02" mass="1"/>',
    '<geom name="g" type="capsule" fromto="0 0 0 0 0 -.3" size=".02" contype="0"'
    ' conaffinity="0"/>',
    1,
)


def states(model):
    model = SolverSettings().applied(model)
    rollouts = Rollouts([model], 0.02)
    actions = 0.3 * np.random.default_rng(0).standard_normal((4, 20, 4))
    state = rollouts.state_of(model.key("home").qpos, np.zeros(10), np.zeros(0))
    return rollouts.run(state, actions)


def test_a_lean_model_moves_the_same_bit_for_bit():
    for mjcf, geoms in ((SHOWN, 6), (EXPLICIT, 5)):
        whole, lean = mujoco.MjModel.from_xml_string(mjcf), lean_model(mjcf)
        assert (lean.nsensor, lean.ncam, lean.nlight, lean.ngeom) == (0, 0, 0, geoms)
        assert (whole.ngeom, lean.nsite, lean.nu) == (6, whole.nsite, whole.nu)
        np.testing.assert_array_equal(states(lean).qpos, states(whole).qpos)


def test_geoms_that_give_a_body_its_mass_or_that_something_names_stay():
    massive = SHOWN.replace(
        'size=".02" mass="1"/>', 'size=".02" mass="1" contype="0" conaffinity="0"/>'
    )
    assert lean_model(massive).ngeom == 6
    assert lean_model(massive).nsensor == 0
    partly = SHOWN.replace(
        "<freejoint/>", '<freejoint/><geom size=".1" mass="2" contype="0" conaffinity="0"/>'
    )
    assert lean_model(partly).body_mass[1] == 7.0
    paired = EXPLICIT.replace(
        "<actuator>", '<contact><pair geom1="g" geom2="floor"/></contact><actuator>'
    )
    assert lean_model(paired).ngeom == 6
    assert lean_model(EXPLICIT.replace("<option", '<option density="1.2"')).ngeom == 6

import mujoco
import numpy as np
import pytest
from small_planner import CART_POLE, LEGGED

from ddpm_controller.dynamics.perturbed import PerturbedModels
from ddpm_controller.dynamics.rollouts import Rollouts
from ddpm_controller.dynamics.solver import SolverSettings
from ddpm_controller.planners.saved import model_from

STIFF = """<mujoco><option timestep="0.02" integrator="Euler"><flag eulerdamp="disable"/></option>
<worldbody><body><joint name="j" type="slide" axis="1 0 0"/><geom size="0.1" mass="1"/></body>
</worldbody><actuator><position joint="j" kp="90000"/></actuator></mujoco>"""
"""A spring that explodes in steps of 0.02 s as soon as it is pulled."""


def rollouts_of(mjcf, threads=0, **settings):
    model = SolverSettings(**settings).applied(model_from(mjcf))
    return Rollouts([model], 0.02, threads)


def legged_actions(count, ticks):
    return 0.3 * np.random.default_rng(0).standard_normal((count, ticks, 4))


def test_rollouts_are_what_steps_of_the_engine_give_whatever_the_threads_and_the_order():
    one, two = rollouts_of(LEGGED), rollouts_of(LEGGED, threads=2)
    key = one.model.key("home")
    state, actions = one.state_of(key.qpos, np.zeros(10), np.zeros(0)), legged_actions(6, 5)
    found = one.run(state, actions)
    assert found.qpos.shape == (6, 5, 11)
    assert not found.bad.any()
    for other in (two.run(state, actions), one.run(state, actions)):
        np.testing.assert_array_equal(other.qpos, found.qpos)
    np.testing.assert_array_equal(one.run(state, actions[::-1].copy()).qvel[::-1], found.qvel)
    data = mujoco.MjData(one.model)
    data.qpos[:] = key.qpos
    for tick in range(5):
        data.ctrl[:] = actions[2, tick]
        for _ in range(2):  # steps of 0.01 s
            mujoco.mj_step(one.model, data)
        np.testing.assert_array_equal(data.qpos, found.qpos[2, tick])
    after = state
    for tick in range(5):
        after = one.step(after, actions[2, None, tick])[0]
    np.testing.assert_allclose(after[1:12], found.qpos[2, -1], atol=1e-9)  # another warm start
    np.testing.assert_array_equal(one.ahead(state, actions[2])[1:12], found.qpos[2, -1])


def test_a_rollout_that_diverges_is_found_and_leaves_the_others_as_they_are(capfd, tmp_path):
    rollouts = rollouts_of(STIFF)
    state = rollouts.state_of(np.zeros(1), np.zeros(1), np.zeros(0))
    actions = np.zeros((4, 40, 1))
    actions[1] = 1.0
    actions[3, 5] = 1e-4
    found = rollouts.run(state, actions)
    assert found.bad.tolist() == [False, True, False, True]
    assert rollouts.ahead(state, actions[1]) is None
    assert (found.qpos[[0, 2]] == 0).all()
    assert capfd.readouterr().err == ""  # MuJoCo's own warnings


def test_a_model_that_is_reset_when_it_diverges_would_end_calm(monkeypatch):
    """So the state alone would not show it: this is what SolverSettings turns off."""
    model = model_from(STIFF)
    assert SolverSettings().applied(model).opt.disableflags & mujoco.mjtDisableBit.mjDSBL_AUTORESET
    as_it_is = Rollouts([model], 0.02)
    state = as_it_is.state_of(np.zeros(1), np.zeros(1), np.zeros(0))
    frozen = as_it_is.run(state, np.ones((1, 400, 1)))
    assert np.abs(frozen.qvel[0, -1]).max() < 100
    assert frozen.bad.all()
    monkeypatch.setattr("ddpm_controller.dynamics.rollouts.FASTEST", np.inf)
    assert as_it_is.run(state, np.ones((1, 400, 1))).bad.all()  # by its time, which stands still


def test_perturbed_copies_are_rolled_out_in_turn_and_the_first_is_the_model():
    model = SolverSettings().applied(model_from(CART_POLE))
    settings = PerturbedModels(copies=2, mass=0.5, gain=0.2)
    models = settings.of(model)
    masses = [each.body_mass.sum() for each in models]
    assert masses[0] == model.body_mass.sum()
    assert len({round(mass, 9) for mass in masses}) == 3
    assert all(0.5 < mass / masses[0] < 1.5 for mass in masses)
    rollouts = Rollouts(models, 0.02)
    actions = np.repeat(np.full((2, 10, 1), 0.5), 3, axis=0)
    found = rollouts.run(rollouts.state_of(np.zeros(2), np.zeros(2), np.zeros(0)), actions)
    alone = Rollouts([model], 0.02)
    nominal = alone.run(alone.state_of(np.zeros(2), np.zeros(2), np.zeros(0)), actions[:1])
    np.testing.assert_array_equal(found.qpos[0], nominal.qpos[0])
    np.testing.assert_array_equal(found.qpos[:3], found.qpos[3:])
    assert len({round(float(each[-1, 0]), 9) for each in found.qpos[:3]}) == 3


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"step_s": 0.015}, "0.015 s must divide the tick of 0.02 s"),
        ({"step_s": -1}, "step_s must not be below 0"),
        ({"integrator": "heun"}, "integrator must be one of"),
        ({"euler_damping": "maybe"}, "euler_damping must be on or off"),
    ],
)
def test_solver_settings_that_cannot_be_are_refused(settings, text):
    with pytest.raises(ValueError, match=text):
        rollouts_of(CART_POLE, **settings)


def test_solver_settings_change_a_copy_and_nothing_else():
    model = model_from(CART_POLE)
    changed = SolverSettings(0.01, 3, 4, "implicitfast", "off").applied(model)
    options = (changed.opt.timestep, changed.opt.iterations, changed.opt.ls_iterations)
    assert options == (0.01, 3, 4)
    assert changed.opt.integrator == mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    assert changed.opt.disableflags & mujoco.mjtDisableBit.mjDSBL_EULERDAMP
    assert model.opt.timestep == 0.02
    assert SolverSettings().applied(model).opt.iterations == model.opt.iterations

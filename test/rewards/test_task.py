import numpy as np
import pytest
from small_planner import CART_POLE, legged_model

from ddpm_controller.planners.saved import model_from
from ddpm_controller.rewards.task import task_from

WALK = """
text: walk
gait: {duty: 0.5, cadence_hz: 2.0, height_m: 0.1, phases: [0.0, 0.5]}
feet: [R, L]
terms:
  gait: 0.1
  height: {weight: 10, height_m: 0.6}
  right: {weight: 2, term: joint, joint: right_hip, target: 0.2}
  unused: {weight: 0, term: upright}
"""


def motion(model):
    from ddpm_controller.rewards.motion import motion_of

    random = np.random.default_rng(0)
    arrays = (random.standard_normal((3, 2, size)) for size in (model.nq, model.nv, model.nu))
    return motion_of(*arrays, np.array([0.1, 0.4]), {})


def test_a_task_is_the_weighted_sum_of_its_terms():
    model, task = legged_model(), task_from(WALK)
    seen, parts = motion(model), task.parts(model)
    assert list(parts) == ["gait", "height", "right", "unused"]
    expected = 0.1 * parts["gait"](seen) + 10 * parts["height"](seen) + 2 * parts["right"](seen)
    np.testing.assert_allclose(task.bind(model)(seen), expected)
    heavier = task.weighted({"right": 5.0})
    np.testing.assert_allclose(
        heavier.bind(model)(seen), expected + 3 * parts["right"](seen), rtol=1e-12
    )


def test_the_gait_can_be_another():
    task = task_from(WALK)
    assert task.gait.period_s == 0.5
    with pytest.raises(ValueError, match="'hop' is unknown; there are"):
        task.with_gait("hop")
    with pytest.raises(ValueError, match="the task has no gait"):
        task_from("terms: {upright: 1}").with_gait("trot")
    assert task.with_gait("pronk").gait.height_m == 0.06


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("terms: {fly: 1}", "term 'fly' is unknown; there are ['gait'"),
        ("terms: {upright: heavy}", "it needs a weight, got heavy"),
        ("terms: {upright: -1}", "weight must be a number from 0 on, got -1"),
        ("terms: {upright: .nan}", "weight must be a number from 0 on, got nan"),
        ("terms: {upright: 0}", "needs a term with a weight above 0"),
        ("terms: {height: {height_m: 1}}", "it needs a weight"),
        ("terms: [upright]", "a task has the keys"),
        ("terms: {upright: 1}\ncosts: 2", "keys ['costs'] are unknown to a task"),
        ("terms: {upright: 1}\ngait: hop", "gait 'hop' is unknown"),
        ("terms: {upright: 1}\ngait: {duty: 2}", "gait: "),
        ("terms: {upright: 1}\nfeet: 4", "feet must be names of sites"),
        ("terms: {upright: 1}\nterms: {upright: 2}", "is given twice"),
    ],
)
def test_a_task_file_that_cannot_be_is_refused_in_a_line(text, message):
    with pytest.raises(ValueError) as caught:
        task_from(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("terms: {height: {weight: 1, height_m: low}}", "height_m: "),
        ("terms: {height: {weight: 1, altitude: 2}}", "['altitude'] are unknown to it"),
        ("terms: {height: 1}", "height_m"),
        ("terms: {gait: 1}", "term gait: it needs the task's gait"),
        ("gait: trot\nfeet: [R, L]\nterms: {gait: 1}", "one phase for each foot, got 4"),
    ],
)
def test_terms_that_do_not_fit_are_named(text, message):
    with pytest.raises(ValueError) as caught:
        task_from(text).bind(legged_model())
    assert message in str(caught.value)


def test_a_task_that_does_not_fit_the_model_names_the_term():
    with pytest.raises(ValueError, match="term upright: the first joint"):
        task_from("terms: {upright: 1}").bind(model_from(CART_POLE))

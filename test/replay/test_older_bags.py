"""Bags in which every setting of a policy had a field of its own are replayed as they are."""

import pytest
from older_bags import as_written_before
from random_checkpoint import SIM_ARM, save_random_checkpoint, save_random_diff_control
from recorded_runs import Scenario, record_run

from ddpm_controller.policy import PlanSettings
from ddpm_controller.replay.plans import Policies, compare_plans
from ddpm_controller.replay.recorded_run import read_run
from ddpm_controller.robots.loop_settings import deployment_from
from ddpm_controller.robots.robot import load_robot


@pytest.mark.parametrize("memories", [True, False])
@pytest.mark.parametrize(
    ("save", "overrides"),
    [
        (save_random_checkpoint, {"sampler": "ddpm", "seam": "warm", "surprise": 2000.0}),
        (save_random_diff_control, {"transition_scale": 0.5, "num_inference_steps": 3}),
    ],
)
def test_a_bag_of_an_earlier_release_is_reproduced(
    tmp_path, monkeypatch, save, overrides, memories
):
    checkpoint = tmp_path / "checkpoint"
    save(checkpoint)
    settings = PlanSettings(overrides=overrides)
    scenario = Scenario((checkpoint,), 60, plan_ticks=4, settings=settings, memories=memories)
    bag = record_run(tmp_path / "bag", scenario)
    older = as_written_before(bag, tmp_path / "older", monkeypatch)
    run = read_run(older, load_robot(SIM_ARM))
    assert overrides.items() <= run.chunks[0].settings.items()
    plans = compare_plans(run, Policies(run, [checkpoint], "cpu"))
    assert (plans.num_equal, plans.count, plans.skipped) == (4, 4, ())


def test_a_bag_of_before_parameters_were_in_groups_stands_for_the_same_deployment(tmp_path):
    save_random_checkpoint(tmp_path / "checkpoint")
    robot = load_robot(SIM_ARM)
    runs = []
    for in_groups in (True, False):
        scenario = Scenario((tmp_path / "checkpoint",), 20, lead_s=0.06, in_groups=in_groups)
        runs.append(read_run(record_run(tmp_path / f"bag_{in_groups}", scenario), robot))
    present, earlier = runs
    assert earlier.parameters == present.parameters
    assert present.parameters["lead_s"] is None
    deployment = deployment_from(present.parameters, robot)
    assert deployment_from(earlier.parameters, robot) == deployment
    assert (deployment.fade_s, deployment.lead_s) == (0.15, 0.06)

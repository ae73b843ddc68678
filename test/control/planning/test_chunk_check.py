import numpy as np
import pytest
from stub_loop import HOLDING, LIMITS, RUNNING, new_loop, outcome, plan_of, see

from ddpm_controller.control.moving.interpolation import ChunkCurve
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.control.planning.chunk_check import ChunkTolerance, chunk_demand
from ddpm_controller.control.states import Reason
from ddpm_controller.types import ActionChunk

JOINTS = ("shoulder", "elbow")


def chunk_of(rows, period_s=0.1):
    return ActionChunk(0.0, period_s, JOINTS, np.asarray(rows, float))


def test_a_steady_chunk_demands_its_speed_and_nothing_else():
    rows = np.linspace([0.0, 0.0], [0.3, -1.2], 5)  # 0.75 and 3 rad/s
    demand = chunk_demand(chunk_of(rows), LIMITS)
    assert demand.worst["velocity"] == pytest.approx(1.0)  # of the elbow's 3 rad/s
    assert demand.worst["position"] == 0
    assert demand.worst["acceleration"] == pytest.approx(0, abs=1e-9)
    assert demand.worst["jerk"] == pytest.approx(0, abs=1e-9)
    assert demand.reasons == ()
    assert demand.text == ""


def test_the_demand_is_that_of_the_curve_that_is_followed():
    rows = np.random.default_rng(0).normal(0, 0.2, (8, 2))
    demand = chunk_demand(chunk_of(rows), LIMITS)
    curve = ChunkCurve(chunk_of(rows), 0.2)
    motions = [curve.at(each) for each in np.linspace(0, 0.7 - 1e-9, 7001)]
    for name in ("velocity", "acceleration"):
        values = np.array([getattr(each, name) for each in motions])
        most = np.abs(values / getattr(LIMITS, name)).max()
        # Nine moments of a segment miss a peak by a few per cent.
        assert demand.worst[name] == pytest.approx(most, rel=0.05)
    accelerations = np.array([each.acceleration for each in motions])
    most = np.abs(np.diff(accelerations, axis=0) / 1e-4 / LIMITS.jerk).max()
    assert 0.6 * most < demand.worst["jerk"] <= most * 1.001  # the mean over an eighth of a step


def test_positions_count_as_shares_of_the_range_and_name_joint_and_row():
    demand = chunk_demand(chunk_of([[0.0, 0.0], [0.0, -2.4]]), LIMITS)
    assert demand.worst["position"] == pytest.approx(0.1)
    assert demand.places["position"] == "elbow, row 1"
    assert "position" in demand.reasons
    endless = JointLimits(np.full(2, -np.inf), np.full(2, np.inf), np.ones(2))
    assert chunk_demand(chunk_of([[0.0, 900.0]]), endless).worst == {"position": 0.0}


def test_only_what_is_far_beyond_is_refused():
    tolerance = ChunkTolerance(position=0.5, velocity=10.0)
    mild = chunk_demand(chunk_of([[0.0, 0.0], [1.4, 0.0]]), LIMITS)  # 9.3 times
    assert mild.reasons == ("position", "velocity")
    assert mild.refusal(tolerance) == ""
    fast = chunk_demand(chunk_of([[0.0, 0.0], [1.6, 0.0]]), LIMITS)
    assert "velocity 10.7 times the limit (shoulder, row 0)" in fast.refusal(tolerance)
    outside = chunk_demand(chunk_of([[2.1, 0.0]]), LIMITS)
    assert "position 0.55 of the range" in outside.refusal(tolerance)


def test_contradictory_tolerances_are_refused():
    with pytest.raises(ValueError, match="velocity 1 or more"):
        ChunkTolerance(velocity=0.5)


@pytest.mark.parametrize(("step", "state"), [(0.2, RUNNING), (1.6, HOLDING)])
def test_the_loop_refuses_a_gross_chunk_and_reports_a_mild_one(step, state):
    loop = new_loop()
    see(loop, 1.0)
    loop.tick(1.0)
    request = loop.plan_request(1.0)
    problem = loop.accept(plan_of(np.array([[0.0, 0.0], [step, 0.0]]), request), request)
    command = loop.tick(1.02)
    assert command.state == state
    if state == HOLDING:
        assert "velocity 10.7 times" in problem
        assert outcome(command) == (HOLDING, Reason.PLAN_FAILED)
        assert "velocity 10.7 times" in command.text
    else:
        assert problem == ""
        assert "asks for velocity 1.33 times the limit" in command.text


def test_without_a_tolerance_nothing_is_refused():
    loop = new_loop(tolerance=None)
    see(loop, 1.0)
    loop.tick(1.0)
    request = loop.plan_request(1.0)
    assert loop.accept(plan_of(np.array([[0.0, 0.0], [90.0, 0.0]]), request), request) == ""

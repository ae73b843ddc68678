import math
from types import SimpleNamespace

import numpy as np
import pytest
from stub_loop import SPEC

from ddpm_controller.control.command import Command
from ddpm_controller.control.plan_request import PlanRequest, Takeover
from ddpm_controller.control.states import LimitCounts, Reason, State
from ddpm_controller.policy import PolicyFacts
from ddpm_controller.ros.controller.report import ControlReport
from ddpm_controller.types import ActionChunk, Observation, Plan


class StubTopics:
    """Notes what is told."""

    def __init__(self):
        self.statuses = []

    def tell(self, status):
        self.statuses.append(status)

    def tell_chunk(self, *told):
        pass

    def tell_memory(self, *told):
        pass


def report_of(topics, loaded=None):
    return ControlReport(topics, lambda: loaded, lambda: "", control_rate_hz=50.0)


def test_every_limited_tick_is_counted_by_limit():
    topics = StubTopics()
    report = report_of(topics)
    for tick, limited in enumerate([("step", "jerk"), (), ("jerk",)]):
        report.tick(Command(0.2 * tick, None, State.RUNNING, Reason.NONE, "", limited=limited), {})
    counted = [
        dict(zip(LimitCounts().names, s.limit_counts, strict=True)) for s in topics.statuses
    ]
    assert [(each["step"], each["jerk"]) for each in counted] == [(1, 1), (1, 1), (1, 2)]
    assert sum(counted[-1].values()) == 3


def test_a_status_stays_as_it_was_published():
    topics = StubTopics()
    policy = SimpleNamespace(facts=SimpleNamespace(engine="torch"))
    loaded = SimpleNamespace(folder="models/reach", hash="abc", policy=policy)
    report = report_of(topics, loaded)
    report.tick(Command(1.0, None, State.RUNNING, Reason.NONE, ""), {})
    report.tick(Command(2.0, None, State.HOLDING, Reason.NO_PLAN, "none"), {})
    first, second = topics.statuses
    assert report.status is second
    assert (first.stamp_s, first.state, first.ticks) == (1.0, State.RUNNING, 1)
    assert (second.stamp_s, second.state, second.ticks) == (2.0, State.HOLDING, 2)
    assert (second.checkpoint, second.checkpoint_hash) == ("models/reach", "abc")
    assert (second.text, second.control_rate_hz) == ("none", 50.0)


def test_a_run_that_begins_has_not_been_surprised():
    """What was told of the plan before, of another run, is not true of this one."""
    topics = StubTopics()
    report = report_of(topics)
    request = PlanRequest((Observation(1.0, {}, {"camera": 1.0}),), {}, 3, 0, 1.0, 4)
    plan = Plan(ActionChunk(1.0, 0.1, ("a",), np.zeros((2, 1))), {}, {"surprise": 5.0})
    command = Command(1.1, None, State.RUNNING, Reason.NONE, "", Takeover(plan, request))
    report.took_over(command, SimpleNamespace(used=None, inference_time_s=0.2))
    report.tick(command, {})
    report.begin_run(7)
    report.tick(Command(2.0, None, State.RUNNING, Reason.NONE, ""), {})
    before, after = topics.statuses
    assert (before.surprise, before.plan_number) == (5.0, 3)
    assert math.isnan(after.surprise)
    assert (after.plan_number, after.seed) == (0, 7)


@pytest.mark.parametrize(("chosen", "steps"), [(None, 16), (5, 5)])
def test_a_chunk_that_is_taken_over_tells_its_latency_and_its_steps(chosen, steps):
    report = report_of(StubTopics())
    # The newest source counts, not the moment of the window.
    seen = [
        Observation(1.0, {}, {"camera": 0.96, "joint_state": 0.98}),
        Observation(1.1, {}, {"camera": 1.06, "joint_state": 1.08}),
    ]
    request = PlanRequest(tuple(seen), {}, 3, 0, 1.1, chosen)
    chunk = ActionChunk(1.1, 0.1, ("a",), np.zeros((2, 1)))
    policy = SimpleNamespace(facts=PolicyFacts((), SPEC, 1, num_inference_steps=16))
    answer = SimpleNamespace(used=SimpleNamespace(policy=policy), inference_time_s=0.2)
    for stamp_s in (1.3, 1.4):
        takeover = Takeover(Plan(chunk, {}), request)
        command = Command(stamp_s, None, State.RUNNING, Reason.NONE, "", takeover)
        report.took_over(command, answer)
        report.tick(command, {})
    status = report.status
    assert status.latencies.count == 2
    assert status.latencies.median_s == pytest.approx(0.27)
    assert status.latencies.max_s == pytest.approx(0.32)
    assert status.num_inference_steps == steps
    assert not math.isnan(status.observation_to_command_s)

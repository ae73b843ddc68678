import math
from types import SimpleNamespace

import numpy as np
import pytest

from ddpm_controller.control.command import Command
from ddpm_controller.control.plan_request import PlanRequest, Takeover
from ddpm_controller.control.states import Reason, State
from ddpm_controller.ros.controller.report import ControlReport
from ddpm_controller.ros.controller.topics import Health
from ddpm_controller.types import ActionChunk, Observation, Plan


def test_every_limited_tick_is_counted_by_limit_until_the_next_activation():
    report = ControlReport(SimpleNamespace(tell=lambda health: None), Health())
    for tick, limited in enumerate([("step", "jerk"), (), ("jerk",)]):
        report.tick(
            Command(0.02 * tick, None, State.RUNNING, Reason.NONE, "", limited=limited), {}
        )
    limits = report.health.limits
    found = dict(zip(limits.names, limits.counts, strict=True))
    assert {name: count for name, count in found.items() if count} == {"step": 1, "jerk": 2}
    report.health.begin(0, 50.0)
    assert set(report.health.limits.counts) == {0}


@pytest.mark.parametrize(("chosen", "steps"), [(None, 16), (5, 5)])
def test_a_chunk_that_is_taken_over_tells_its_latency_and_its_steps(chosen, steps):
    topics = SimpleNamespace(tell_chunk=lambda *told: None, tell_memory=lambda *told: None)
    report = ControlReport(topics, Health())
    # The newest source counts, not the moment of the window.
    seen = [
        Observation(1.0, {}, {"camera": 0.96, "joint_state": 0.98}),
        Observation(1.1, {}, {"camera": 1.06, "joint_state": 1.08}),
    ]
    request = PlanRequest(tuple(seen), {}, 3, 0, 1.1, chosen)
    chunk = ActionChunk(1.1, 0.1, ("a",), np.zeros((2, 1)))
    answer = SimpleNamespace(used=SimpleNamespace(num_inference_steps=16), inference_time_s=0.2)
    for stamp_s in (1.3, 1.4):
        takeover = Takeover(Plan(chunk, {}), request)
        command = Command(stamp_s, None, State.RUNNING, Reason.NONE, "", takeover)
        report.took_over(command, answer)
    health = report.health
    assert health.latencies.count == 2
    assert health.latencies.median_s == pytest.approx(0.27)
    assert health.latencies.max_s == pytest.approx(0.32)
    assert health.num_inference_steps == steps
    assert not math.isnan(health.observation_to_command_s)

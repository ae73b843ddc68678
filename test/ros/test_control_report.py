from types import SimpleNamespace

from ddpm_controller.control.command import Command
from ddpm_controller.control.states import Reason, State
from ddpm_controller.ros.control_report import ControlReport
from ddpm_controller.ros.controller_topics import Health


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

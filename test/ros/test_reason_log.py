"""One line per change of what the controller does, and no flood."""

import pytest
from rclpy.logging import get_logger

from ddpm_controller.control.states import Reason, State
from ddpm_controller.ros.controller.report import ControlReport
from ddpm_controller.ros.controller.topics import ControllerTopics
from ddpm_controller.ros.reason_log import ReasonLog

RUNNING = (State.RUNNING, Reason.LIMIT_JERK, "limited: jerk")
STALE = (State.HOLDING, Reason.STALE_OBSERVATION, "camera is 0.6 s old")


@pytest.fixture
def lines():
    return []


@pytest.fixture
def log(lines):
    return ReasonLog(
        lambda text: lines.append(("info", text)), lambda text: lines.append(("warning", text))
    )


def test_each_change_has_one_line_with_its_text(log, lines):
    waiting = (State.WAITING, Reason.NONE, "no run_policy goal is running")
    for k, status in enumerate([waiting, waiting, RUNNING, RUNNING, STALE, STALE, RUNNING]):
        log.note(*status, 2.0 * k)
    assert lines == [
        ("info", "WAITING: no run_policy goal is running"),
        ("info", "RUNNING"),
        ("warning", "HOLDING (STALE_OBSERVATION): camera is 0.6 s old"),
        ("info", "RUNNING"),
    ]


NO_PLAN = (State.HOLDING, Reason.NO_PLAN, "the run begins with a rest")


def test_a_run_begins_without_a_plan_and_only_later_is_that_a_warning(log, lines):
    inactive = (State.INACTIVE, Reason.DEACTIVATED, "stopped by request")
    for k, status in enumerate([NO_PLAN, RUNNING, NO_PLAN, inactive, NO_PLAN]):
        log.note(*status, 2.0 * k)
    assert [severity for severity, _ in lines] == ["info", "info", "warning", "info", "info"]


def test_what_is_usual_at_the_beginning_is_a_warning_when_it_stays(log, lines):
    """A robot whose states come at 10 Hz has none at the first ticks."""
    for k in range(100):
        log.note(State.WAITING, Reason.NO_OBSERVATION, "nothing yet from joint_state", 0.1 * k)
    assert [severity for severity, _ in lines] == ["info", "warning"]


def test_limits_of_a_robot_that_runs_are_no_lines(log, lines):
    for k in range(100):
        reason = (Reason.LIMIT_JERK, Reason.NONE, Reason.LIMIT_VELOCITY)[k % 3]
        log.note(State.RUNNING, reason, "limited", 2.0 * k)
    assert len(lines) == 1


def test_what_flickers_has_a_line_a_second_and_the_last_line_is_what_stays(log, lines):
    for k in range(100):  # 10 s
        log.note(*(RUNNING, STALE)[k % 2], 0.1 * k)
    assert 18 <= len(lines) <= 20
    for k in range(100, 120):
        log.note(*STALE, 0.1 * k)
    assert lines[-1][0] == "warning"


def test_the_logger_of_ros_takes_lines_of_both_severities():
    """It refuses another severity from the same line of code."""
    logger = get_logger("controller")
    log = ReasonLog(logger.info, logger.warning)
    for k, status in enumerate([RUNNING, STALE, RUNNING, STALE]):
        log.note(*status, 2.0 * k)


def test_every_status_that_is_published_may_be_a_line(lines):
    class Node:
        """What a status needs of a node."""

        def create_publisher(self, kind, name, qos):
            return self

        def publish(self, message):
            pass

        def get_logger(self):
            return self

        def info(self, text):
            lines.append(text)

        warning = info

    report = ControlReport(ControllerTopics(Node()), lambda: None, lambda: "")
    report.tell(1.0, State.WAITING, Reason.NO_OBSERVATION, "nothing yet from camera", {})
    assert lines == ["WAITING (NO_OBSERVATION): nothing yet from camera"]

"""`ddpm status`: one look at a controller, whatever state it is in."""

import math
import subprocess
import sys

from controller_driver import FakeRobot, client, process_of
from ddpm_msgs.msg import ControllerStatus

from ddpm_controller.cli.status import status_lines
from ddpm_controller.control.states import Reason, State

MESSAGE = ControllerStatus(
    state=int(State.HOLDING),
    reason=int(Reason.STALE_OBSERVATION),
    text="camera is 0.62 s old by its stamp",
    checkpoint="models/reach",
    checkpoint_hash="0123456789abcdef",
    checkpoint_error="other: no checkpoint here",
    engine="openvino",
    plan_number=7,
    inference_time_s=0.04,
    observation_to_command_s=0.1,
    control_rate_hz=50.0,
    ticks=100,
    missed_ticks=2,
    limit_names=["position", "jerk"],
    limit_counts=[0, 12],
    stream_names=["joint_state", "camera", "goal"],
    stream_ages_s=[0.01, 0.62, math.nan],
    stream_rates_hz=[50.0, 25.0, math.nan],
    masked_streams=["camera"],
)


def test_a_status_has_a_line_for_each_question():
    assert list(status_lines("active", MESSAGE)) == [
        "lifecycle   active",
        "state       HOLDING (STALE_OBSERVATION): camera is 0.62 s old by its stamp",
        "checkpoint  models/reach (0123456789ab)",
        "refused     other: no checkpoint here",
        "engine      openvino",
        "plan        number 7, took 0.040 s, 0.100 s from picture to command",
        "ticks       100 at 50 Hz, 2 missed",
        "limits      jerk in 12 ticks",
        "stream      joint_state: 0.01 s old, 50.0 Hz",
        "stream      camera: 0.62 s old, 25.0 Hz, planned without",
        "stream      goal: nothing yet",
    ]


def test_what_has_not_happened_yet_has_words_too():
    nothing = ControllerStatus(inference_time_s=math.nan)
    lines = "\n".join(status_lines("inactive", nothing))
    for words in ("INACTIVE", "none is loaded", "none yet", "none has changed a command"):
        assert words in lines
    assert "configure" in "\n".join(status_lines("unconfigured", None))


def status(*words: str, meanwhile=None) -> tuple[int, str, str]:
    """Exit code, output and errors of the command; ``meanwhile`` is a node that must spin."""
    command = [sys.executable, "-P", "-m", "ddpm_controller.cli.main", "status", *words]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True)
    if meanwhile is not None:
        meanwhile.until(lambda: process.poll() is not None)
    output, errors = process.communicate()
    return process.returncode, output, errors


def test_without_a_controller_it_says_so_and_fails():
    code, output, errors = status("--namespace", "left", "--patience-s", "0.5")
    assert (code, output) == (1, "")
    assert "there is no left/controller on ROS domain" in errors


def test_a_real_controller_is_shown_before_it_is_configured_and_while_it_runs(checkpoint):
    with client() as node, process_of("controller", checkpoint=checkpoint):
        FakeRobot(node)
        code, output, errors = status("--patience-s", "60", meanwhile=node)
        assert (code, output.split()[1]) == (0, "unconfigured"), errors
        node.bring_up()
        node.until_running()
        code, output, errors = status("--patience-s", "60", meanwhile=node)
        assert (code, output.split()[1]) == (0, "active"), errors
        for words in ("state       ", f"checkpoint  {checkpoint} (", "plan        number "):
            assert words in output
        assert "stream      camera_wrist: 0." in output

"""A real controller that takes fewer denoising steps on a slow machine, recorded and replayed."""

import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from controller_driver import PATIENCE_S, client, process_of
from ddpm_msgs.srv import ResetWorld
from lifecycle_msgs.msg import Transition
from meanwhile import recorded
from random_checkpoint import SIM_ARM

from ddpm_controller.bags.files import BagError
from ddpm_controller.control.states import Reason, State
from ddpm_controller.replay.commands import compare_commands
from ddpm_controller.replay.plans import Policies, compare_plans
from ddpm_controller.replay.recorded_run import read_run
from ddpm_controller.robots.lead import ACTION_LATENCY_KEY
from ddpm_controller.robots.robot import load_robot
from ddpm_controller.ros.simulation.replay_graph import replay_in_graph

SLOW_CONTROLLER = Path(__file__).parents[1] / "support" / "slow_controller.py"


LOCKSTEP = {
    "use_sim_time": True,
    "lockstep": True,
    "run_on_activate": False,
    "policy.deadline_aware": True,
    "policy.overrides": ["num_inference_steps=10"],
    "policy.min_inference_steps": 2,
}


SWITCH = {"policy.overrides": ["num_inference_steps=10", "seam=switch"]}


@contextmanager
def slow_controller(checkpoint, fixed_s, per_step_s, tick_s=0.0, **more):
    parameters = {"checkpoint": checkpoint, **more}
    words = [word for name, value in parameters.items() for word in ("-p", f"{name}:={value}")]
    times_s = map(str, (fixed_s, per_step_s, tick_s))
    command = [sys.executable, str(SLOW_CONTROLLER), *times_s]
    process = subprocess.Popen([*command, "--ros-args", *words])
    try:
        yield
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
    finally:
        process.kill()
        process.wait()


def run(node, duration_s):
    """One run of the simulated arm."""
    answer = node.call(ResetWorld, seed=3)
    return node.result(node.start_run(timeout_s=duration_s, seed=7, not_before=answer.stamp))


def recorded_run(folder, checkpoint):
    """A run of 3 s with a slow denoiser, read from its bag."""
    with (
        client() as node,
        process_of("simulation", world="reach", mode="lockstep"),
        slow_controller(checkpoint, 0.02, 0.04, **LOCKSTEP),
    ):
        node.bring_up()
        with recorded(folder, lockstep=True) as found:
            run(node, 3.0)
    return read_run(found[0].folder, load_robot(SIM_ARM))


def test_a_run_in_which_the_number_of_steps_changed_is_reproduced_bit_for_bit(
    tmp_path, checkpoint
):
    """10 steps take 0.42 s; there are 0.24 s less 0.04 s of margin."""
    for attempt in range(5):  # a machine that stands still for a moment is too slow, rightly
        recorded = recorded_run(tmp_path / f"bag_{attempt}", checkpoint)
        numbers = [chunk.num_inference_steps for chunk in recorded.chunks]
        if len(numbers) >= 6:
            break
    assert recorded.parameters[ACTION_LATENCY_KEY] == 0.0
    assert numbers[:2] == [10, 10]  # the first is a warm-up
    assert len(numbers) >= 6
    assert 2 <= min(numbers) <= max(numbers[2:]) < 6
    plans = compare_plans(recorded, Policies(recorded, [checkpoint], "cpu"))
    assert (plans.num_equal, plans.first, plans.skipped) == (len(numbers), None, ())
    commands = compare_commands(recorded)
    assert (commands.count, commands.num_equal) == (149, 149)
    with pytest.raises(BagError, match=r"policy.deadline_aware: .* replay it without --graph"):
        replay_in_graph(recorded, checkpoint, SIM_ARM, set())


def test_a_machine_that_is_too_slow_stops_the_robot_with_the_figures(checkpoint):
    with (
        client() as node,
        process_of("simulation", world="reach", mode="lockstep"),
        # A plan that goes on is as slow as one that begins anew here, as with this seam.
        slow_controller(checkpoint, 0.5, 0.05, **{**LOCKSTEP, **SWITCH}),
    ):
        node.bring_up()
        run(node, 3.0)
        too_slow = (State.HOLDING, Reason.TOO_SLOW)
        statuses = node.heard["controller/status"]
        held = node.until(
            lambda: [each for each in statuses if (each.state, each.reason) == too_slow]
        )
    assert "a plan of 2 denoising steps (policy.min_inference_steps) takes" in held[-1].text
    assert "600 ms" in held[-1].text
    assert "replan_period_s" in held[-1].text


def test_a_control_rate_that_the_machine_cannot_hold_is_refused_at_activation(checkpoint):
    rate = {"control_rate_hz": 200.0}
    with client() as node, slow_controller(checkpoint, 0.1, 0.0, tick_s=0.004, **rate):
        assert node.change(Transition.TRANSITION_CONFIGURE)
        assert not node.change(Transition.TRANSITION_ACTIVATE)
        assert node.state() == "inactive"
        text = node.until(lambda: node.status.text if "tick" in node.status.text else "")
        assert "control_rate_hz 200: a tick takes 4.00 ms" in text
        assert "set control_rate_hz to 150 or less" in text
        assert node.set("control_rate_hz", 100.0)[0]
        assert node.change(Transition.TRANSITION_CLEANUP)
        node.bring_up()


def test_more_steps_at_the_least_than_a_plan_has_are_refused(checkpoint):
    wrong = {**LOCKSTEP, "policy.min_inference_steps": 11}
    with client() as node, slow_controller(checkpoint, 0.1, 0.0, **wrong):
        assert not node.change(Transition.TRANSITION_CONFIGURE)
        text = node.until(lambda: node.status.text)
        assert "min_inference_steps 11 is above the 10 steps of a plan: lower it" in text

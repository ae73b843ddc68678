"""A state denoiser in a real controller process: what the policy sees, and what is refused."""

from dataclasses import replace

import pytest
import torch
from controller_driver import FakeRobot, client, process_of
from lifecycle_msgs.msg import Transition
from random_checkpoint import SIM_ARM, save_random_checkpoint

from ddpm_controller.identification.state_denoiser import StateDenoiserConfig, save_state_denoiser
from ddpm_controller.identification.state_denoiser_network import StateDenoiserNetwork
from ddpm_controller.robots.robot import load_robot


def save_random_denoiser(folder, rename="", shift=0.0):
    """A denoiser that takes ``shift`` deviations of 0.05 off every joint."""
    robot = load_robot(SIM_ARM)
    (stream,) = (each for each in robot.stream_specs if each.kind == "vector")
    stream = replace(stream, names=tuple(rename + name for name in stream.names))
    columns = len(stream.names)
    network = StateDenoiserNetwork(4, columns, 8)
    torch.nn.init.constant_(network.correction.bias, shift)
    config = StateDenoiserConfig(4, robot.action_spec.period_s, 8, (0.05,) * columns, "")
    save_state_denoiser(folder, network, config, stream, robot.action_spec, {})
    return folder


def first_plan(node):
    node.until(lambda: bool(node.heard["controller/action_chunk"]), "a plan")
    return list(node.heard["controller/action_chunk"][0].rows)


@pytest.mark.long
def test_the_policy_sees_the_cleaned_states_and_a_misfit_is_refused(tmp_path):
    save_random_checkpoint(tmp_path / "random")
    plans = {}
    for shift in (0.0, 4.0):
        denoiser = save_random_denoiser(tmp_path / f"denoiser_{shift:g}", shift=shift)
        given = {"checkpoint": tmp_path / "random", "policy.state_denoiser": denoiser}
        with client() as node, process_of("controller", **given):
            FakeRobot(node)
            node.bring_up()
            node.until_running()
            plans[shift] = first_plan(node)
    # The same still robot, seed and policy: only what the policy sees of the joints differs.
    assert max(abs(a - b) for a, b in zip(*plans.values(), strict=True)) > 1e-6
    other = save_random_denoiser(tmp_path / "other", rename="other_")
    with client() as node, process_of("controller", **{"policy.state_denoiser": other}):
        assert not node.change(Transition.TRANSITION_CONFIGURE)
        node.until(lambda: "other_shoulder_pan" in node.status.checkpoint_error)
        assert "the robot has ['shoulder_pan'" in node.status.checkpoint_error

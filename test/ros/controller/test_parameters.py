"""Which parameters of the controller change its commands."""

from dataclasses import fields

from random_checkpoint import SIM_ARM

from ddpm_controller.control.deployment import Deployment
from ddpm_controller.robots.loop_settings import deployment_from
from ddpm_controller.robots.robot import load_robot
from ddpm_controller.ros.controller.parameters import ControllerParameters

SWITCHES = {
    *("approach_slowly", "stop_out_of_distribution", "deadline_aware", "stop_not_followed"),
}
OF_PLANS = {
    *("checkpoint", "robot", "state_denoiser", "n_action_steps", "policy_overrides"),
    *("seed", "device", "torch_num_threads", "engine"),
}
"""Recorded with each plan, or named when a bag is replayed."""
OF_PROCESSES = {
    *("command_process", "command_standby", "command_priority", "silence_s"),
    *("run_on_activate", "success_topic", "pictures"),
}


def test_every_parameter_is_known_to_change_commands_or_not_to():
    """A parameter that changes commands and is not in Deployment would not be replayed."""
    names = {field.name for field in fields(ControllerParameters)}
    assert names == {f.name for f in fields(Deployment)} | SWITCHES | OF_PLANS | OF_PROCESSES


def test_the_usual_values_are_the_same_on_both_sides():
    assert deployment_from(vars(ControllerParameters()), load_robot(SIM_ARM)) == Deployment()

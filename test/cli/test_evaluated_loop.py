"""Trials in one process run the loop that the controller of this robot and checkpoint runs."""

import math
from pathlib import Path

import numpy as np

from ddpm_controller.checkpoint import load_manifest
from ddpm_controller.cli.evaluate import loop_of
from ddpm_controller.control.deployment import Deployment
from ddpm_controller.policies.monitors.departure_limit import load_departure_limit
from ddpm_controller.policy import PlanSettings
from ddpm_controller.robots.robot import load_robot
from ddpm_controller.share import share_path
from ddpm_controller.simulation.worlds import WORLDS
from ddpm_controller.systems import restore

CHECKPOINT = Path(__file__).parents[2] / "models" / "drum"


def loop(**deployed):
    policy = restore(CHECKPOINT, PlanSettings())
    robot, urdf = (
        load_robot(share_path(WORLDS["drum"].robot)),
        WORLDS["drum"].world.robot_description(),
    )
    deployment = Deployment(lockstep=True, **deployed)
    return policy, robot, loop_of(robot, policy, CHECKPOINT, deployment, urdf)


def test_the_limit_beside_the_checkpoint_and_the_rules_of_the_robot_file_count():
    policy, robot, settings = loop()
    used = load_manifest(CHECKPOINT).manifest_sha256
    learned = load_departure_limit(CHECKPOINT, used, robot.action_spec)
    found = settings.policy.departure
    np.testing.assert_array_equal(found.scale, learned.scale)
    assert found.limit == learned.limit
    assert settings.rules == robot.rules
    assert settings.max_ages_s == robot.max_ages_s
    assert settings.policy.n_obs_steps == policy.facts.n_obs_steps
    assert settings.policy.gate.lower.size > 0


def test_the_limit_is_left_out_where_the_deployment_says_so():
    assert loop(reset_state_above=math.inf)[2].policy.departure is None

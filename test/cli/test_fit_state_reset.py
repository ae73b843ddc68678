import math

import numpy as np
import pytest

from ddpm_controller.checkpoint import DEPARTURE_LIMIT_NAME, load_checkpoint
from ddpm_controller.cli.fit import fit_state_reset
from ddpm_controller.cli.fit.fit_state_reset import rolled_through
from ddpm_controller.policies.monitors.departure_limit import load_departure_limit
from ddpm_controller.policy import PlanSettings
from ddpm_controller.robots.robot import load_robot
from ddpm_controller.ros.controller.policy_loader import load_policy
from ddpm_controller.systems import restore
from ddpm_controller.types import Episode


def run(files, bags, *more):
    checkpoint = files.output / "checkpoints" / "last"
    given = ["--checkpoint", checkpoint, "--bags", bags, "--robot", files.robot, *more]
    return fit_state_reset.main([*map(str, given)]), checkpoint


def test_the_limit_is_learned_on_held_out_episodes_and_used_by_default(trained, capsys):
    found = {}
    for against in ("plans", "commands"):  # the second one over the file of the first
        code, checkpoint = run(trained, trained.bags, "--against", against)
        assert code == 0
        manifest = load_checkpoint(checkpoint).manifest
        found[against] = load_departure_limit(
            checkpoint, manifest.manifest_sha256, manifest.action_spec
        )
    assert "limit" in capsys.readouterr().out
    # In these bags joints are 1 rad or m from their command, always: see small_bags.
    np.testing.assert_allclose(found["commands"].scale, 1.0, rtol=1e-6)
    assert found["commands"].limit == pytest.approx(1.5)
    assert not np.allclose(found["plans"].scale, 1.0)
    robot = load_robot(trained.robot)
    for above, limit in ((None, 1.5), (math.inf, None), (7.0, 7.0)):
        loaded = load_policy(str(checkpoint), robot, PlanSettings(), reset_state_above=above)
        assert (loaded.departure and loaded.departure.limit) == limit


def test_a_roll_through_compares_with_what_the_plan_before_said(trained):
    """Every second row, with the policy's own memory; the last plan has nothing to compare."""
    policy = restore(
        trained.output / "checkpoints" / "last", PlanSettings(overrides={"seam": "warm"})
    )
    asked, original = [], policy.plan

    def plan(window, memory):
        made = original(window, memory)
        asked.append((window[-1].stamp_s, "previous_rows" in memory, made.chunk.actions[2]))
        return made

    policy.plan = plan
    stamps_s = 3.0 + 0.1 * np.arange(7)
    values = {"joint_state": np.stack([np.arange(7.0), -np.arange(7.0)], axis=1)}
    episode = Episode(stamps_s, values, np.zeros((7, 2)))
    measured, expected = rolled_through(policy, episode, 2, seed=1)
    np.testing.assert_allclose([stamp_s for stamp_s, _, _ in asked], stamps_s[::2])
    assert [goes_on for _, goes_on, _ in asked] == [False, True, True, True]
    np.testing.assert_array_equal(np.abs(measured), np.tile([[2.0], [4.0], [6.0]], 2))
    np.testing.assert_array_equal(expected, [actions for _, _, actions in asked[:3]])


def test_without_an_episode_that_was_held_out_it_says_which_ones_are_needed(trained, capsys):
    checkpoint = trained.output / "checkpoints" / "last"
    held_out = load_checkpoint(checkpoint).manifest.provenance["held_out"][0].split("#")[0]
    (checkpoint / DEPARTURE_LIMIT_NAME).unlink(missing_ok=True)
    others = [bag for bag in sorted(trained.bags.iterdir()) if bag.name != held_out]
    assert run(trained, others[0])[0] == 1
    assert held_out in " ".join(capsys.readouterr().out.split())
    assert not (checkpoint / DEPARTURE_LIMIT_NAME).exists()

"""Trials over the real graph are the trials in one process; the commands end well."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from random_checkpoint import save_random_checkpoint

from ddpm_controller.cli.evaluate import loop_of, policy_view
from ddpm_controller.cli.walk import WalkOptions
from ddpm_controller.control.deployment import Deployment
from ddpm_controller.evaluation.closed_loop import TrialSettings, run_trials
from ddpm_controller.policy import PlanSettings
from ddpm_controller.robots.robot import load_robot
from ddpm_controller.ros.graph.process_command import python_command
from ddpm_controller.ros.simulation.trial_graph import trials_over_ros, world_timeout_s
from ddpm_controller.share import share_path
from ddpm_controller.simulation.arm.robot_description import robot_description
from ddpm_controller.simulation.worlds import WORLDS
from ddpm_controller.systems import restore

TIMEOUT_S = 1.5
SEEDS = (7, 8)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("trials") / "random"
    save_random_checkpoint(folder, share=0.01)  # at a limit a rounding may become another way
    return folder


def trials_in_process(checkpoint, stream):
    policy = restore(checkpoint, PlanSettings())
    settings = TrialSettings(timeout_s=TIMEOUT_S, batch_size=1)
    robot = load_robot(share_path("config/robots/sim_arm.yaml"))
    deployment = Deployment(lockstep=True, stream=stream)
    loop = loop_of(robot, policy, checkpoint, deployment, robot_description())
    view = policy_view(robot)
    return list(run_trials(policy, "reach", loop, SEEDS, settings, view))


@pytest.mark.parametrize(
    "stream", [pytest.param("single_point", marks=pytest.mark.long), "rest_ended"]
)
def test_a_lockstep_trial_over_ros_is_the_trial_in_process(checkpoint, stream):
    """Any difference in conversions, order, stamps, noise or limits would show.

    Not to the last bit: the trials begin at another time here and there, which rounds
    differently.
    """
    here = trials_in_process(checkpoint, stream)
    parameters = {"command.stream": stream}
    there = list(trials_over_ros("reach", checkpoint, SEEDS, "lockstep", TIMEOUT_S, parameters))
    for one, other in zip(here, there, strict=True):
        assert (one.success, one.plans) == (other.success, other.plans)
        assert one.duration_s == pytest.approx(other.duration_s, abs=0.021)  # one tick
        # A joint state of the client shows what the commands of the ticks before have done.
        measured = {round(s, 6): row for s, row in zip(one.stamps_s, one.positions, strict=True)}
        common = [round(s, 6) for s in other.stamps_s if round(s, 6) in measured]
        assert len(common) > 50
        for stamp_s, row in zip(other.stamps_s, other.positions, strict=True):
            if round(stamp_s, 6) in measured:
                np.testing.assert_allclose(row, measured[round(stamp_s, 6)], rtol=0.0, atol=1e-9)
        assert np.abs(np.diff(one.positions, axis=0)).max() > 1e-4  # it did move


def test_the_time_outs_are_those_of_the_worlds():
    told = {name: world_timeout_s(name) for name in WORLDS}
    assert told == {name: entry.world.timeout_s for name, entry in WORLDS.items()}


def run(words, folder):
    return subprocess.run(
        [*python_command(words[0]), *words[1:]],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=170,
    )


def test_evaluate_writes_a_table_a_picture_and_every_outcome(checkpoint, tmp_path):
    words = ["evaluate", "--world", "reach", "--checkpoint", str(checkpoint), "--trials", "3"]
    done = run([*words, "--timeout-s", "0.4", "--output", "results"], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "95 % interval" in done.stdout
    content = json.loads((tmp_path / "results" / "results.json").read_text())
    assert content["trials"] == 3
    assert (tmp_path / "results" / "trials.png").exists()


def test_the_demo_runs_the_shipped_policy_over_ros_and_ends_by_itself(tmp_path):
    """In lockstep the outcome depends on the seed alone, not on this machine's speed."""
    words = ["demo", "--world", "reach", "--mode", "lockstep", "--episodes", "2", "--seed", "40"]
    done = run([*words, "--output", "results"], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    content = json.loads((tmp_path / "results" / "results.json").read_text())
    assert [each["seed"] for each in content["outcomes"]] == [40, 41]
    assert content["successes"] == 2
    assert "reach, over ROS, lockstep" in done.stdout
    assert (tmp_path / "results" / "trials.png").exists()


def test_evaluate_says_what_is_missing_without_a_traceback(tmp_path):
    done = run(["evaluate", "--world", "reach", "--checkpoint", "nowhere"], tmp_path)
    assert done.returncode == 1
    assert "nowhere" in done.stdout
    assert "Traceback" not in done.stderr


def test_a_walk_is_three_commands_that_one_could_type():
    record, train, trials = WalkOptions(
        world="reach", output=Path("w"), in_process=True
    ).commands()
    assert record[:3] == ["demonstrate", "--world", "reach"]
    assert record[-1] == "--in-process"
    assert train[train.index("--bags") + 1] == record[record.index("--output") + 1]
    assert train[train.index("--robot") + 1] == share_path("config/robots/sim_arm.yaml")
    assert trials[trials.index("--checkpoint") + 1] == "w/training/checkpoints/last"


def test_a_walk_trains_for_the_robot_of_its_world():
    _, train, _ = WalkOptions(world="drum").commands()
    assert train[train.index("--config") + 1] == share_path("config/training/drum.yaml")
    assert train[train.index("--robot") + 1] == share_path("config/robots/drum.yaml")


def test_a_walk_needs_an_expert():
    with pytest.raises(ValueError, match="no expert for world 'pusht'.*pusht-demonstrations"):
        WalkOptions(world="pusht")

"""A lockstep run of the real nodes, recorded and replayed: directly and into a real controller."""

import sys

import numpy as np
import pytest
from meanwhile import recorded
from random_checkpoint import SIM_ARM
from recorded_runs import Scenario, record_run

from ddpm_controller.bags.files import OpenBag
from ddpm_controller.cli.replay import main
from ddpm_controller.ros.graph.own_graph import parameter_file
from ddpm_controller.ros.graph.supervisor import started
from ddpm_controller.ros.simulation.trial_graph import connected

SEAM = {"policy.overrides": ["seam=warm_replace", "expected_delay_s=0.11", "surprise=1e4"]}


@pytest.fixture(scope="module", params=[{}, SEAM], ids=["switch", "warm_replace"])
def recording(request, tmp_path_factory, checkpoint):
    """The bag of two runs of 1 s, which begin with a rest, and what the recorder says about it."""
    folder = tmp_path_factory.mktemp("recorded") / "bag"
    with parameter_file({"policy.replan_period_s": 0.25, **request.param}) as params_file:
        given = {
            "world": "reach",
            "mode": "lockstep",
            "checkpoint": str(checkpoint),
            "params_file": params_file,
            "log_level": "error",
        }
        with started("arm", given), connected("") as client:
            client.wait_until_ready()
            with recorded(folder, lockstep=True) as found:
                for seed in (3, 4):
                    client.run_trial(seed, timeout_s=1.0)
    return found[0]


def replay(monkeypatch, capsys, *words):
    monkeypatch.setattr(sys, "argv", ["replay", *map(str, words)])
    return main(), capsys.readouterr().out


def test_nothing_is_lost_while_recording(recording):
    """One command per tick of both runs, whose ends are told by the time-out."""
    # This one tells its newest message only, and may change while the recorder is being found.
    assert set(recording.lost) <= {"/success"}
    assert recording.missed == {}
    assert recording.counts["/joint_trajectory"] == 100
    assert recording.counts["/controller/action_chunk"] == 6


def test_the_surprise_of_the_last_plan_is_told(recording):
    """Of a first plan, and without a seam, there is none."""
    with OpenBag(recording.folder) as bag:
        messages = [each.message for each in bag.messages(["/controller/status"])]
        chunks = [each.message for each in bag.messages(["/controller/action_chunk"])]
    used = [dict(zip(each.override_names, each.override_values, strict=True)) for each in chunks]
    seams = {each["seam"] for each in used}
    numbers = {each.plan_number for each in messages if np.isfinite(each.surprise)}
    assert max(each.plan_number for each in messages) == 2
    assert numbers == (set() if seams == {"switch"} else {1, 2})


def test_the_run_replays_bit_for_bit_without_ros(recording, checkpoint, monkeypatch, capsys):
    """Plans and commands."""
    code, said = replay(monkeypatch, capsys, recording.folder, "--checkpoint", checkpoint)
    assert "plans: 6 of 6 are the same, bit for bit" in said
    assert "commands: 98 of 98 are the same, bit for bit (2 runs)" in said
    assert code == 0


def test_the_run_replays_bit_for_bit_in_a_controller(recording, checkpoint, monkeypatch, capsys):
    """The first command of each run, too: the real node measures the robot again."""
    words = (recording.folder, "--checkpoint", checkpoint, "--robot", SIM_ARM, "--graph")
    code, said = replay(monkeypatch, capsys, *words)
    assert "commands: 100 of 100 are the same, bit for bit (2 runs)" in said
    assert code == 0


def test_a_bag_of_before_commands_were_streamed_replays_in_a_controller(
    tmp_path, checkpoint, monkeypatch, capsys
):
    """Until its second plan, for which the invented run asks early."""
    bag = record_run(tmp_path / "bag", Scenario((checkpoint,), ticks=14))
    words = (bag, "--checkpoint", checkpoint, "--robot", SIM_ARM, "--graph")
    code, said = replay(monkeypatch, capsys, *words)
    assert "commands: 14 of 14 are the same, bit for bit (1 runs)" in said
    assert code == 0

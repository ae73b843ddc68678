"""A replay that differs shows whether the recording or what was recorded is to blame."""

import sys

import pytest
from random_checkpoint import SIM_ARM, save_random_checkpoint
from recorded_runs import Scenario, record_run

from ddpm_controller.bags.files import BagError, storage_files
from ddpm_controller.bags.writer import recover
from ddpm_controller.cli.replay import main
from ddpm_controller.replay.commands import compare_commands
from ddpm_controller.replay.recorded_run import read_run
from ddpm_controller.replay.recording_faults import recording_faults
from ddpm_controller.robots.robot import load_robot


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A tiny policy with random weights."""
    folder = tmp_path_factory.mktemp("checkpoints") / "first"
    save_random_checkpoint(folder)
    return folder


def run_of(folder, checkpoint, **scenario):
    bag = record_run(folder / "bag", Scenario((checkpoint,), plan_ticks=4, **scenario))
    return read_run(bag, load_robot(SIM_ARM))


def shown(monkeypatch, capsys, run, checkpoint):
    monkeypatch.setattr(sys, "argv", ["replay", str(run.bag), "--checkpoint", str(checkpoint)])
    return main(), capsys.readouterr().out


def test_a_whole_recording_has_no_fault(tmp_path, checkpoint):
    assert not list(recording_faults(run_of(tmp_path, checkpoint)))


def test_commands_without_the_parameters_of_their_controller_are_not_judged(
    tmp_path, checkpoint, monkeypatch, capsys
):
    """Streamed ones would be taken for single points, most of which should not have been sent."""
    run = run_of(tmp_path, checkpoint, stream="rest_ended", rate_hz=100.0, answers=False)
    with pytest.raises(BagError, match="did not answer when it was asked for its parameters"):
        compare_commands(run)
    code, text = shown(monkeypatch, capsys, run, checkpoint)
    assert code == 2
    assert "are the same, bit for bit" in text  # the plans need no parameters
    assert "commands cannot be compared" in text


def test_a_storage_file_alone_has_the_parameters_or_its_commands_are_not_judged(
    tmp_path, checkpoint, monkeypatch
):
    run = run_of(tmp_path, checkpoint, stream="rest_ended", rate_hz=100.0)
    (file,) = storage_files(run.bag)
    alone = read_run(file, run.robot)
    assert alone.has_parameters
    assert alone.parameters == run.parameters != {}
    monkeypatch.setattr(
        "ddpm_controller.bags.files.noted_in", lambda files: {}
    )  # another recorder
    with pytest.raises(BagError, match=r"give the folder with its metadata\.yaml"):
        compare_commands(read_run(file, run.robot))


def test_a_lost_chunk_is_the_recordings_fault(tmp_path, checkpoint, monkeypatch, capsys):
    """The status names the plan in force; the frozen camera brings another status."""
    run = run_of(
        tmp_path,
        checkpoint,
        ticks=100,
        frozen=range(40, 80),
        lose=("/controller/action_chunk", 3),
        lost={"/controller/action_chunk": 1},
    )
    text = list(recording_faults(run))
    assert text[0] == "1 messages of /controller/action_chunk were lost while recording"
    assert text[1] == "plan 3 was in force and is not in the bag"
    code, text = shown(monkeypatch, capsys, run, checkpoint)
    assert code == 1
    assert "the recording is not complete: plan 3" in text


def test_a_difference_in_a_whole_recording_is_not_the_recordings_fault(
    tmp_path, checkpoint, monkeypatch, capsys
):
    """Of another release, for example: here the parameters were others than those noted."""
    run = run_of(tmp_path, checkpoint)
    run_parameters = {**run.parameters, "fade_s": 0.5}
    monkeypatch.setattr(
        "ddpm_controller.replay.recorded_run.values_from", lambda recorded: run_parameters
    )
    code, text = shown(monkeypatch, capsys, run, checkpoint)
    assert code == 1
    assert "nothing is missing in the recording" in text


def test_a_recovered_recording_says_so(tmp_path, checkpoint):
    run = run_of(tmp_path, checkpoint)
    (run.bag / "metadata.yaml").unlink()
    recover(run.bag)
    again = read_run(run.bag, load_robot(SIM_ARM))
    assert list(recording_faults(again)) == [
        "its recorder did not finish it: the end may be missing"
    ]
    assert compare_commands(again) == compare_commands(run)

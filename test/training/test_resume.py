import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors import safe_open
from safetensors.torch import save_file

from ddpm_controller.training.config import TrainingError

ROOT = Path(__file__).parents[2]
SUPPORT = ROOT / "test" / "support"


def start(program: str, *arguments: str) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(SUPPORT / program), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def test_a_process_killed_by_sigkill_goes_on_and_ends_with_the_same_bits(
    tiny, uninterrupted, tmp_path
):
    with start("tiny_training.py", str(tmp_path)) as process:
        for line in process.stdout:
            if int(line) == 8:  # two updates after the last saved state
                process.kill()
                break
    assert process.returncode == -signal.SIGKILL
    assert tiny.trace(tmp_path) != tiny.trace(uninterrupted)
    seen = []
    tiny.train_tiny(tmp_path, on_progress=lambda progress: seen.append(progress.step))
    assert seen[0] == 7  # it resumed and did not start afresh
    assert tiny.trace(tmp_path) == tiny.trace(uninterrupted)


@pytest.mark.parametrize("stride", [23, pytest.param(5, marks=pytest.mark.long)])
def test_killed_at_any_change_of_a_file_it_ends_with_the_same_bits(
    tiny, uninterrupted, tmp_path, stride
):
    with start("killed_trainings.py", str(tmp_path), "1", str(stride)) as process:
        outputs = [Path(line.strip()) for line in process.stdout]
    assert process.returncode == 0
    assert len(outputs) > 5
    for output in outputs:
        assert tiny.trace(output) == tiny.trace(uninterrupted), output.name


def test_stopping_saves_the_state_and_the_same_call_goes_on(tiny, uninterrupted, tmp_path):
    steps = []
    result = tiny.train_tiny(
        tmp_path,
        on_progress=lambda progress: steps.append(progress.step),
        should_stop=lambda: len(steps) == 5,
    )
    assert (result.steps, result.finished) == (5, False)
    assert result.last_checkpoint is not None
    result = tiny.train_tiny(tmp_path)
    assert (result.steps, result.finished) == (12, True)
    assert tiny.trace(tmp_path) == tiny.trace(uninterrupted)


def test_a_finished_training_is_left_as_it_is(tiny, uninterrupted):
    before = tiny.trace(uninterrupted)
    result = tiny.train_tiny(
        uninterrupted, on_progress=lambda progress: pytest.fail("it trained on")
    )
    assert result.finished
    assert tiny.trace(uninterrupted) == before


def test_another_recipe_in_the_same_folder_is_refused_with_what_differs(tiny, uninterrupted):
    before = tiny.trace(uninterrupted)
    with pytest.raises(TrainingError, match=r"learning_rate: 0.003 there, 0.1 here"):
        tiny.train_tiny(uninterrupted, replace(tiny.CONFIG, learning_rate=0.1))
    assert tiny.trace(uninterrupted) == before


def test_other_episodes_in_the_same_folder_are_refused(tiny, uninterrupted):
    with pytest.raises(TrainingError, match="episodes_sha256"):
        tiny.train(tiny.episodes(seed=1), tiny.SPEC, tiny.STREAMS, tiny.CONFIG, uninterrupted)


@pytest.mark.parametrize("kept", [0, 7, 1000])
def test_a_damaged_state_is_refused_with_the_remedy(tiny, uninterrupted, tmp_path, kept):
    state = tmp_path / "resume" / "state.safetensors"
    state.parent.mkdir()
    content = (uninterrupted / "resume" / "state.safetensors").read_bytes()
    state.write_bytes(content[:kept])
    with pytest.raises(TrainingError, match=r"damaged.*delete it to start from the beginning"):
        tiny.train_tiny(tmp_path)


def test_a_state_of_a_release_that_lacked_a_setting_goes_on_as_it_was(tiny, tmp_path):
    steps = []
    config = replace(tiny.CONFIG, stay_at_end=False)  # nothing else was known then
    tiny.train_tiny(tmp_path / "whole", config)
    tiny.train_tiny(
        tmp_path / "parts",
        config,
        on_progress=lambda progress: steps.append(progress.step),
        should_stop=lambda: len(steps) == 5,
    )
    path = tmp_path / "parts" / "resume" / "state.safetensors"
    with safe_open(path, framework="pt") as file:
        facts = json.loads(file.metadata()["state"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    known = facts["fingerprint"]
    del known["initial_checkpoint"], known["stay_at_end"], known["policy"]["cond_hidden"]
    for stream in known["streams"]:
        del stream["depth_range_m"], stream["wraps"]
    save_file(tensors, path, metadata={"state": json.dumps(facts)})
    with pytest.raises(TrainingError, match="stay_at_end: False there, True here"):
        tiny.train_tiny(tmp_path / "parts")
    tiny.train_tiny(tmp_path / "parts", config)
    assert tiny.trace(tmp_path / "parts") == tiny.trace(tmp_path / "whole")

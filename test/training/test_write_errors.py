import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ddpm_controller.checkpoint import load_checkpoint
from ddpm_controller.training.config import TrainingError


def stopped_at(tiny, output, step):
    seen = []
    tiny.train_tiny(output, on_progress=seen.append, should_stop=lambda: len(seen) == step)


@contextmanager
def files_at_most(size: int) -> Iterator[None]:
    """Let the operating system refuse to write more than ``size`` bytes into a file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def weights_size(output) -> int:
    (file,) = (output / "checkpoints" / "last").glob("weights-*.safetensors")
    return file.stat().st_size


@pytest.mark.parametrize("part", [0.5, 1.5], ids=["in the checkpoint", "in the state"])
def test_a_write_that_the_system_refuses_loses_nothing(tiny, uninterrupted, tmp_path, part):
    stopped_at(tiny, tmp_path, 5)
    before = tiny.trace(tmp_path)
    with (
        files_at_most(int(part * weights_size(tmp_path))),
        pytest.raises(TrainingError, match="writ") as error,
    ):
        tiny.train_tiny(tmp_path)
    assert "File too large" in str(error.value)
    after = tiny.trace(tmp_path)
    assert after["resume/state.safetensors"] == before["resume/state.safetensors"]
    tiny.train_tiny(tmp_path)
    assert tiny.trace(tmp_path) == tiny.trace(uninterrupted)


@pytest.mark.parametrize("call", [0, 5, 14])
def test_a_full_disk_at_any_moment_is_told_and_leaves_whole_checkpoints(
    tiny, uninterrupted, tmp_path, monkeypatch, call
):
    stopped_at(tiny, tmp_path, 5)
    fsync, calls = os.fsync, []

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) > call:
            raise OSError(28, "No space left on device")
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(TrainingError, match=r"No space left on device.*[Mm]ake room"):
            tiny.train_tiny(tmp_path)
    for name in ("best", "last"):
        load_checkpoint(tmp_path / "checkpoints" / name)
    assert not list(tmp_path.rglob("*.partial"))
    tiny.train_tiny(tmp_path)
    assert tiny.trace(tmp_path) == tiny.trace(uninterrupted)


def test_an_output_that_is_a_file_is_refused(tiny, tmp_path):
    output = tmp_path / "file"
    output.write_text("")
    with pytest.raises(TrainingError, match="cannot write below"):
        tiny.train_tiny(output)

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from ddpm_controller.checkpoint import load_checkpoint
from ddpm_controller.training.config import TrainingError
from ddpm_controller.training.log import read_log
from ddpm_controller.training.processes import processes_for

ROOT = Path(__file__).parents[2]
SUPPORT = ROOT / "test" / "support"


@pytest.mark.long
def test_two_launched_processes_train_the_same_as_one(tiny, tmp_path):
    """Two shards of a batch make one sum of two gradients, in one process or in two."""
    one, two = tmp_path / "one", tmp_path / "two"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    launcher = ("-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2")
    program = (str(SUPPORT / "tiny_training.py"), str(two), "2")
    subprocess.run(
        [sys.executable, *launcher, "--num_machines", "1", "--mixed_precision", "no",
         "--dynamo_backend", "no", "--main_process_port", "0", *program],
        env=environment, check=True, capture_output=True, timeout=170,
    )  # fmt: skip
    tiny.train_tiny(one, replace(tiny.CONFIG, num_shards=2))
    losses = [[line.loss for line in read_log(output)] for output in (one, two)]
    assert len(losses[0]) == 12
    assert losses[1] == pytest.approx(losses[0], rel=1e-6)
    last = [load_checkpoint(output / "checkpoints" / "last").manifest for output in (one, two)]
    assert [manifest.provenance["num_processes"] for manifest in last] == [1, 2]
    assert last[0].weights_sha256 == last[1].weights_sha256  # the same bits


def test_shards_that_cannot_be_dealt_out_are_refused(tiny, monkeypatch):
    class ThreeProcesses:
        count = 3

        def __init__(self, device: str) -> None:
            pass

    monkeypatch.setenv("WORLD_SIZE", "3")
    monkeypatch.setattr("ddpm_controller.training.processes.LaunchedProcesses", ThreeProcesses)
    with pytest.raises(TrainingError, match="num_shards must be a multiple of the 3 processes"):
        processes_for(replace(tiny.CONFIG, num_shards=2))

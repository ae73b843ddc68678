import shutil
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def one_training(tmp_path_factory) -> Path:
    """Folder with bags, a robot file and a training of a second on them; no test may change it."""
    from small_training import small_training

    from ddpm_controller.cli.train import main

    files = small_training(tmp_path_factory.mktemp("one_training"))
    words = ["--bags", files.bags, "--robot", files.robot, "--config", files.config]
    assert main([*map(str, words), "--output", str(files.output)]) == 0
    return files.output.parent


@pytest.fixture(scope="module")
def trained(one_training, tmp_path_factory):
    """Files of a training; a copy, as what is learned from one is saved beside its checkpoint."""
    from small_training import SmallTraining

    folder = tmp_path_factory.mktemp("trained") / "copy"
    shutil.copytree(one_training, folder)
    return SmallTraining(
        folder / "bags", folder / "robot.yaml", folder / "recipe.yaml", folder / "run"
    )

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def tiny() -> ModuleType:
    """The module tiny_training, which is also run as a program."""
    path = Path(__file__).parents[1] / "support" / "tiny_training.py"
    spec = importlib.util.spec_from_file_location("tiny_training", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch) -> None:
    """Pictures take longer than these trainings; ``uninterrupted`` has them."""
    for name in ("draw_curves", "draw_samples"):
        monkeypatch.setattr(f"ddpm_controller.training.run.{name}", lambda *arguments: None)


@pytest.fixture(scope="session")
def uninterrupted(tiny, tmp_path_factory) -> Path:
    """Output of a training that nothing has disturbed."""
    output = tmp_path_factory.mktemp("uninterrupted")
    tiny.train_tiny(output)
    return output

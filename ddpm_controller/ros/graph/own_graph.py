"""A graph that a command starts for itself: a domain apart, and parameters of its own."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import yaml

from ddpm_controller.ros.graph.transports import stay_here
from ddpm_controller.share import share_path


def use_own_domain() -> None:
    """Talk to this machine only and, unless the user has chosen one, on a domain of our own."""
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    # Above the ports that Linux gives away by itself, and apart from the numbers in common use.
    os.environ.setdefault("ROS_DOMAIN_ID", str(215 + os.getpid() % 17))
    stay_here()


@contextmanager
def parameter_file(parameters: Mapping[str, object]) -> Iterator[str]:
    """Have a parameter file: the shipped one with ``parameters`` instead."""
    content = yaml.safe_load(Path(share_path("config/controller.yaml")).read_text())
    content["/**"]["ros__parameters"].update(parameters)
    with tempfile.TemporaryDirectory(prefix="trials_") as folder:
        path = Path(folder) / "controller.yaml"
        path.write_text(yaml.safe_dump(content))
        yield str(path)

"""Every process has the threads that it needs, not one more a core of the machine."""

from pathlib import Path

import psutil
import pytest
from controller_driver import FakeRobot, client, process_of
from sensor_msgs.msg import JointState

POOLS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENCV_FOR_THREADS_NUM",
)
MOST = {"controller": 10, "command process": 6, "simulation": 8, "trainer": 6}
"""Threads without those of the middleware and of the graphics driver, which name theirs."""


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch):
    """The environment of a user, in which numpy, torch and OpenCV start a thread a core."""
    for name in POOLS:
        monkeypatch.delenv(name, raising=False)


def unnamed_threads(pid):
    """Count the threads that have the name of their process."""
    names = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/comm")]
    return names.count(Path(f"/proc/{pid}/comm").read_text())


def test_a_controller_that_runs_has_no_pool_of_threads(checkpoint):
    with client() as node, process_of("controller", checkpoint=checkpoint) as process:
        FakeRobot(node)
        node.bring_up()
        node.until_running()
        assert unnamed_threads(process.pid) <= MOST["controller"]
        for child in psutil.Process(process.pid).children(recursive=True):
            assert unnamed_threads(child.pid) <= MOST["command process"]


def test_a_simulation_has_no_pool_of_threads():
    with client() as node, process_of("simulation", world="pick_place") as process:
        heard = node.heard["joint_states"]
        node.create_subscription(JointState, "joint_states", heard.append, 10)
        node.until(lambda: len(heard) > 10)
        assert unnamed_threads(process.pid) <= MOST["simulation"]


def test_a_trainer_has_no_pool_of_threads():
    with client() as node, process_of("trainer") as process:
        node.until(lambda: node.count_publishers("/trainer/status"))
        assert unnamed_threads(process.pid) <= MOST["trainer"]

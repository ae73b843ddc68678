"""Every process of tests has its own ROS domain, on this machine only, with one torch thread."""

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from own_domain import hold_domain

DOMAIN, HOLDER = hold_domain()
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ["ROS_DOMAIN_ID"] = str(DOMAIN)
os.environ.setdefault("AMENT_PREFIX_PATH", sys.prefix)
os.environ.setdefault("MUJOCO_GL", "egl")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENCV_FOR_THREADS_NUM", "1")
os.environ["DDPM_CACHE"] = tempfile.mkdtemp(prefix="ddpm_cache_")  # not the user's own
atexit.register(shutil.rmtree, os.environ["DDPM_CACHE"], ignore_errors=True)

# The same examples every time, however busy the machine; --hypothesis-profile=explore looks for
# others, and keeps what it finds in .hypothesis.
settings.register_profile("same", derandomize=True, database=None, deadline=None, max_examples=60)
settings.register_profile("explore", deadline=None, max_examples=500, print_blob=True)
settings.load_profile("same")


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory) -> Path:
    """A tiny policy of random weights for the simulated arm; no test may change its folder."""
    from random_checkpoint import save_random_checkpoint  # torch, which not every test needs

    folder = tmp_path_factory.mktemp("checkpoint") / "random"
    save_random_checkpoint(folder)
    return folder

"""What keeps test processes that run at the same time apart."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from own_domain import DOMAINS, hold_domain

HOLD = """
from own_domain import hold_domain
domain, holder = hold_domain()
print(domain, flush=True)
input()
"""


def holding_process() -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", HOLD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent / "support",
    )


def test_processes_at_the_same_time_have_different_domains():
    processes = [holding_process() for _ in range(3)]
    domains = [int(process.stdout.readline()) for process in processes]
    for process in processes:
        process.communicate("\n")
    ours = int(os.environ["ROS_DOMAIN_ID"])
    assert len({ours, *domains}) == 4
    assert {ours, *domains} <= set(DOMAINS)


def test_a_domain_is_free_again_when_its_holder_is_closed_and_none_is_shared():
    domain, holder = hold_domain()
    only = range(domain, domain + 1)
    with pytest.raises(RuntimeError, match=f"{domain} to {domain}, are in use"):
        hold_domain(only)
    holder.close()
    again, holder = hold_domain(only)
    holder.close()
    assert again == domain

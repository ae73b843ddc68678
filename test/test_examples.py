"""Every example runs as it stands, from the root of the repository."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted(path.name for path in (ROOT / "examples").glob("*.py"))


def output_of(example: str, *words: str) -> str:
    ran = subprocess.run(
        [sys.executable, f"examples/{example}", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_plan_offline_prints_a_chunk_of_each_sampler():
    assert output_of("plan_offline.py").count("14 rows of 0.1 s") == 3


def test_plans_that_come_late_cost_the_drummer_the_count():
    on_time, late, p_value = output_of("evaluate_in_process.py", "--trials", "1").splitlines()
    assert on_time.startswith("plans of 0.0 s: 1 of 1")
    assert late.startswith("plans of 0.7 s: 0 of 1")
    assert p_value == "McNemar, exact: p = 1.000"


def test_the_added_sampler_is_nearer_to_the_data_than_ddim():
    deviations = re.findall(r"deviation ([\d.]+)", output_of("add_a_sampler.py"))
    ddim, added = (abs(float(each) - 0.2) for each in deviations)  # the data's is 0.2
    assert added < ddim


def test_the_added_policy_continues_the_line():
    last_row = output_of("add_a_policy.py").splitlines()[-1]
    assert last_row == " [0.   0.18 0.46]]"


def test_the_expert_of_the_added_world_succeeds_in_every_episode():
    assert output_of("add_a_world.py").count("success: True") == 5


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_short_and_names_its_command(example):
    text = (ROOT / "examples" / example).read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 100
    assert f"python examples/{example}" in text
    assert f'output_of("{example}"' in Path(__file__).read_text(encoding="utf-8")

import shutil

import numpy as np
import pytest
from small_planner import CART_POLE, UPRIGHT

from ddpm_controller.checkpoint import CheckpointError
from ddpm_controller.cli.planning import compare_rollouts, make_planner
from ddpm_controller.systems import restore

ROBOT = """
robot: cart
streams:
  places: {topic: joint_states, type: sensor_msgs/msg/JointState, field: position,
    names: [slider, hinge], units: [m, rad], rate_hz: 50, max_age_s: 0.1}
  speeds: {topic: joint_states, type: sensor_msgs/msg/JointState, field: velocity,
    names: [slider, hinge], units: [m/s, rad/s], rate_hz: 50, max_age_s: 0.1}
action: {topic: commands, type: sensor_msgs/msg/JointState, names: [slider], units: [m],
  period_s: 0.02}
"""
SETTINGS = """
search: {rollouts: 8, horizon: 12, iterations: 2}
state: {joint_positions: places, joint_velocities: speeds}
requests: {height: places/slider}
scale: 0
"""


@pytest.fixture
def words(tmp_path):
    given = {"model": CART_POLE, "task": UPRIGHT, "settings": SETTINGS, "robot": ROBOT}
    for name, text in given.items():
        (tmp_path / name).write_text(text)
    files = [word for name in given for word in (f"--{name}", str(tmp_path / name))]
    return [*files, "--output", str(tmp_path / "made")]


def test_a_planner_is_made_of_files_and_its_rollouts_are_compared(words, tmp_path, capsys):
    assert make_planner.main([*words, "--set", "rollouts=16", "--set", "spline=linear"]) == 0
    assert "mppi: 2 iterations of 16 rollouts over 12 ticks" in capsys.readouterr().out
    planner = restore(tmp_path / "made")
    assert planner.facts.settings["spline"] == "linear"
    assert planner.facts.action_spec.joint_names == ("slider",)
    solver = ["--solver", "", "step_s=0.01", "integrator=implicitfast"]
    some = ["--moments", "2", "--candidates", "8", "--request", "height=0.5", *solver]
    assert compare_rollouts.main([str(tmp_path / "made"), *some]) == 0
    first, *others = capsys.readouterr().out.splitlines()
    assert first.startswith("rank correlation 1.00 (lowest 1.00), diverged 0.0 %")
    assert first.endswith("as in the model")
    assert [line.split(": ")[-1] for line in others] == ["step_s=0.01", "integrator=implicitfast"]


def test_a_planner_can_begin_with_the_chunk_of_another(words, tmp_path):
    make_planner.main(words)
    (tmp_path / "made").rename(tmp_path / "first")
    make_planner.main([*words, "--nominal", str(tmp_path / "first"), "--method", "cem"])
    planner = restore(tmp_path / "made")
    memory = planner.initial_memory(0)
    assert "nominal/plan_number" in memory
    plan = planner.plan(planner.facts.warm_up_window, memory)
    assert np.isfinite(plan.chunk.actions).all()
    made = str(tmp_path / "made")
    with pytest.raises(CheckpointError, match="take that other policy"):
        make_planner.main([*words[:-1], str(tmp_path / "third"), "--nominal", made])
    shutil.rmtree(tmp_path / "made" / "nominal")
    (tmp_path / "made" / "nominal").symlink_to(tmp_path / "made")  # itself
    with pytest.raises(CheckpointError, match="take that other policy"):
        restore(tmp_path / "made")


@pytest.mark.parametrize(
    ("more", "text"),
    [
        (["--method", "best"], "preset 'best' is unknown"),
        (["--set", "rollouts=2"], "rollouts must be from 4"),
        (["--deadline-s", "0.000001"], "more than 90 % of the deadline"),
    ],
)
def test_what_cannot_be_made_is_refused_and_nothing_written(words, tmp_path, more, text):
    with pytest.raises(ValueError, match=text):
        make_planner.main([*words, *more])
    assert not (tmp_path / "made").exists()


def test_rollouts_are_compared_of_planners_alone(words, tmp_path):
    with pytest.raises(CheckpointError, match="no checkpoint here"):
        compare_rollouts.main([str(tmp_path)])
    make_planner.main(words)
    with pytest.raises(ValueError, match=r"request 'speed': the planner takes \['height'\]"):
        compare_rollouts.main([str(tmp_path / "made"), "--request", "speed=1"])
    with pytest.raises(ValueError, match="iterations"):
        compare_rollouts.main([str(tmp_path / "made"), "--solver", "iterations=-1"])

"""A run is made again by the engine that made it, and by no other one."""

import sys

import pytest
from random_checkpoint import SIM_ARM, save_random_checkpoint
from recorded_runs import Scenario, record_run

from ddpm_controller.bags.files import BagError
from ddpm_controller.cli.replay import main
from ddpm_controller.inference import choice
from ddpm_controller.inference.engine import TOLERANCE
from ddpm_controller.inference.engines import ENGINES
from ddpm_controller.policy import PlanSettings
from ddpm_controller.replay.plans import Policies, compare_plans
from ddpm_controller.replay.recorded_run import read_run
from ddpm_controller.robots.robot import load_robot


class Shifting:
    """An engine that is off by a little, as every one is by its rounding."""

    name, distribution, extra, tolerance = "shifting", "torch", "shifting", TOLERANCE

    def bind(self, served):
        return lambda xt, m: served.unet.denoise_modulated(xt, m) + 1e-6


@pytest.fixture
def bag(tmp_path, monkeypatch):
    monkeypatch.setitem(ENGINES, "shifting", Shifting())
    monkeypatch.setattr(choice, "try_first", lambda engine, served: None)
    save_random_checkpoint(tmp_path / "checkpoint")
    settings = PlanSettings(engine="shifting", overrides={"seam": "switch"})
    scenario = Scenario((tmp_path / "checkpoint",), 40, 4, settings=settings)
    return record_run(tmp_path / "bag", scenario)


def replayed(bag, engine=None):
    run = read_run(bag, load_robot(SIM_ARM))
    return run, compare_plans(run, Policies(run, [bag.parent / "checkpoint"], "cpu", engine))


def test_the_recorded_engine_makes_the_same_plans_bit_for_bit(bag):
    for engine in (None, "shifting"):
        run, plans = replayed(bag, engine)
        assert {chunk.engine for chunk in run.chunks} == {"shifting"}
        assert plans.num_equal == plans.count > 1


def test_another_engine_is_refused_with_both_names(bag, monkeypatch, capsys):
    with pytest.raises(BagError, match="by engine 'shifting', asked for is 'torch'"):
        replayed(bag, "torch")
    words = ["replay", str(bag), "-c", str(bag.parent / "checkpoint"), "--engine", "torch"]
    monkeypatch.setattr(sys, "argv", words)
    assert main() == 2
    assert "by engine 'shifting', asked for is 'torch'" in capsys.readouterr().out


def test_an_engine_that_is_not_here_is_refused_with_those_that_are(bag, monkeypatch):
    monkeypatch.delitem(ENGINES, "shifting")
    with pytest.raises(BagError, match="'shifting', and here: .*unknown: use one of .*'torch'"):
        replayed(bag)

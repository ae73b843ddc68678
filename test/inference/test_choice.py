"""Which engine is taken: never one that is wrong, and what was found is found once."""

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from small_policy import ACTION_SPEC, network

from ddpm_controller.inference import choice, remembered, trial
from ddpm_controller.inference.choice import chosen_engine
from ddpm_controller.inference.engine import EngineError, Served
from ddpm_controller.inference.engines import ENGINES
from ddpm_controller.networks.unet1d import ConditionalUnet1d
from ddpm_controller.policies.diffusion_policy.policy import DiffusionPolicy
from ddpm_controller.policies.seams.strategies import SeamSettings
from ddpm_controller.policy import PlanSettings

TRY_FIRST = choice.try_first


class Fake:
    """An engine whose answers are torch's, and a little more."""

    distribution, extra, tolerance = "torch", "fake", 1e-4

    def __init__(self, name, error=0.0, fails=""):
        self.name, self.error, self.fails, self.bound = name, error, fails, 0

    def bind(self, served):
        self.bound += 1
        if self.fails:
            raise RuntimeError(self.fails)
        return lambda xt, m: served.unet.denoise_modulated(xt, m) + self.error


@pytest.fixture
def served():
    torch.manual_seed(0)
    unet = ConditionalUnet1d(
        action_dim=2, cond_dim=3, channels=(8, 8), kernel_size=3, num_groups=4, timestep_dim=8
    )
    return Served(unet.eval(), 4, 1)


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path):
    """Only torch and what a test adds; findings in a folder of the test; no other process."""
    for name in [each for each in ENGINES if each != "torch"]:
        monkeypatch.delitem(ENGINES, name)
    monkeypatch.delenv(choice.ONLY, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(choice, "try_first", lambda engine, served: None)


@pytest.fixture
def add(monkeypatch):
    def add(engine, plan_s):
        monkeypatch.setitem(ENGINES, engine.name, engine)
        times = {"torch": 0.04}
        known = getattr(choice.plan_times_s, "times_s", times)
        known[engine.name] = plan_s

        def measured(answers, sample):
            return {name: known[name] for name in answers}

        measured.times_s = known
        monkeypatch.setattr(choice, "plan_times_s", measured)
        return engine

    return add


def sample(served):
    def sample(answer, seed):
        generator = torch.Generator().manual_seed(seed)
        unet = served.unet
        xt = torch.randn(1, served.horizon, unet.input_dim, generator=generator)
        return answer(xt, torch.randn(1, sum(unet.modulation_sizes), generator=generator))

    return sample


def auto(served, refusal=""):
    with torch.no_grad():
        return chosen_engine("auto", served, sample(served), refusal)


def test_the_fastest_that_is_right_is_taken_and_the_others_are_named(served, add):
    add(Fake("wrong", error=2e-4), 0.001)
    add(Fake("broken", fails="Unsupported\noperation"), 0.002)
    add(Fake("right"), 0.01)
    add(Fake("slow"), 0.1)
    found = auto(served)
    assert found.name == "right"
    assert found.text.startswith("right 2")
    assert "10.0 ms, torch 2" in found.text
    assert "'wrong' differs from torch by 0.0002 of a normalized chunk, above 0.0001" in found.text
    assert "'broken' failed: Unsupported operation" in found.text


def test_torch_is_taken_where_it_is_the_fastest_or_alone(served, add):
    assert (auto(served).name, auto(served).text) == ("torch", "no other engine is installed")
    add(Fake("slow"), 0.1)
    assert auto(served).name == "torch"


def test_what_nothing_but_torch_serves_stays_with_torch_and_has_a_reason(served, add):
    add(Fake("right"), 0.01)
    found = auto(served, "its seam needs a gradient")
    assert (found.name, found.text) == ("torch", "its seam needs a gradient")
    with pytest.raises(EngineError, match="'right' does not serve this policy: its seam needs"):
        chosen_engine("right", served, sample(served), "its seam needs a gradient")


def test_a_choice_is_kept_and_compared_again(served, add, monkeypatch, tmp_path):
    engine = add(Fake("right"), 0.01)
    first = auto(served)
    monkeypatch.setattr(choice, "plan_times_s", None)  # measuring again would fail
    again = auto(served)
    assert (again.name, again.text) == (first.name, first.text)
    engine.error = 1.0  # what was right is so no more, as after damage
    with pytest.raises(TypeError):
        auto(served)


@pytest.mark.parametrize("change", ["weights", "processor", "threads", "broken", "forgotten"])
def test_another_network_another_processor_or_a_broken_file_is_measured_again(
    served, add, monkeypatch, change
):
    engine = add(Fake("right"), 0.01)
    auto(served)
    bound = engine.bound
    (kept,) = remembered.cache_folder().glob("*.json")
    if change == "weights":
        with torch.no_grad():
            served.unet.out.bias += 1
    elif change == "processor":
        monkeypatch.setattr(remembered, "processor", lambda: "another")
    elif change == "threads":
        served = Served(served.unet, served.horizon, 2)
    elif change == "broken":
        kept.write_text('{"engine": "right", "te')
    else:
        remembered.forget()
    monkeypatch.setattr(choice, "plan_times_s", lambda answers, sample: dict.fromkeys(answers, 1))
    assert auto(served).name == "torch"  # measured: the first of equal times
    assert engine.bound == bound + 1


def test_a_place_that_cannot_be_written_costs_nothing_but_the_memory(served, add, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/nowhere")
    add(Fake("right"), 0.01)
    assert auto(served).name == "right"
    assert auto(served).name == "right"


def test_a_variable_keeps_auto_to_some_engines(served, add, monkeypatch):
    add(Fake("right"), 0.01)
    monkeypatch.setenv(choice.ONLY, "torch, other")
    assert (auto(served).name, auto(served).text) == ("torch", "DDPM_ENGINES is torch, other")


def test_an_engine_by_name_is_that_one_or_an_error(served, add):
    add(Fake("right"), 9.0)
    add(Fake("wrong", error=float("nan")), 0.1)
    missing = add(Fake("missing"), 0.1)
    missing.distribution = "no-such-distribution"
    with torch.no_grad():
        assert chosen_engine("right", served, sample(served)).name == "right"
        for name, words in (
            ("wrong", "differs from torch by nan"),
            ("missing", r"'missing' is not installed: pip install 'ddpm_controller\[fake\]'"),
            ("unknown", r"'unknown' is unknown: use one of \['auto', 'torch', "),
        ):
            with pytest.raises(EngineError, match=words):
                chosen_engine(name, served, sample(served))
    assert missing.bound == 0


def test_an_engine_that_ends_its_process_is_tried_in_another_one(served, add, monkeypatch):
    add(Fake("crashing"), 0.001)
    monkeypatch.setattr(choice, "try_first", TRY_FIRST)
    ended = SimpleNamespace(returncode=-4, stderr="")
    runs = []

    def run(command, **options):
        runs.append(command)
        return ended

    monkeypatch.setattr(trial, "subprocess", SimpleNamespace(**vars(subprocess) | {"run": run}))
    found = auto(served)
    assert found.name == "torch"
    assert "engine 'crashing' ends its process here: SIGILL" in found.text
    ended.returncode, ended.stderr = 1, "Warning\nengine 'crashing' is off by 3\n"
    remembered.forget()
    assert "engine 'crashing' is off by 3" in auto(served).text
    ended.returncode = 0
    remembered.forget()
    assert auto(served).name == "crashing"
    assert len(runs) == 3
    remembered_only = auto(served)
    assert (remembered_only.name, len(runs)) == ("crashing", 3)


def policy(engine="torch", **changes):
    return DiffusionPolicy(network(**changes), ACTION_SPEC, PlanSettings(engine=engine))


def test_a_policy_plans_with_its_engine_alone_and_in_batches(add):
    add(Fake("right", error=1e-5), 0.01)
    mine, plain = policy("right"), policy()
    assert (mine.facts.engine, plain.facts.engine) == ("right", "torch")
    assert "differs from torch's by" in mine.facts.engine_text
    window, memory = mine.facts.warm_up_window, mine.initial_memory(3)
    one = mine.plan(window, memory).chunk.actions
    other = plain.plan(window, memory).chunk.actions
    assert 0 < abs(one - other).max() < 1e-3
    batch = mine.plan_batch([window, window], [memory, memory])
    assert abs(batch[1].chunk.actions - one).max() < 1e-6


@pytest.mark.parametrize("prediction", ["epsilon", "x0"])
def test_a_seam_with_a_gradient_keeps_torch(add, prediction):
    add(Fake("right"), 0.01)
    gradient = SeamSettings("rtc_exact")
    found = policy("auto", seam=gradient, prediction=prediction).facts
    assert (found.engine, found.engine_text) == ("torch", "its seam rtc_exact needs a gradient")
    with pytest.raises(EngineError, match="rtc_exact"):
        policy("right", seam=gradient)
    assert policy("auto", seam=SeamSettings("warm_replace")).facts.engine == "right"


def test_what_remembers_within_its_network_keeps_torch(add):
    from small_diff_control import policy as remembering

    add(Fake("right"), 0.01)
    settings = PlanSettings(engine="auto", overrides={"seam": "switch"})
    for state, engine in (("controlnet", "torch"), ("chunk_prior", "torch"), ("belief", "right")):
        assert remembering(state, settings=settings).facts.engine == engine


def test_the_other_process_ends_with_a_line_of_why_not(add, monkeypatch, capsys, served):
    """The process itself is run with the real engines, by `ddpm export`."""
    monkeypatch.setattr(trial.os, "nice", lambda by: 0)
    words = [json.dumps(served.unet.sizes), "4", "1"]
    for engine, line in (
        (Fake("right"), ""),
        (Fake("wrong", error=3.0), "engine 'wrong' is off by 3 in a trial\n"),
        (Fake("broken", fails="no AVX"), "engine 'broken' failed: RuntimeError('no AVX')\n"),
    ):
        add(engine, 0.1)
        monkeypatch.setattr(sys, "argv", ["trial", engine.name, *words])
        assert trial.main() == bool(line)
        assert capsys.readouterr().err == line

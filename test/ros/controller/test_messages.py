import re
from dataclasses import replace
from pathlib import Path

import pytest
import tyro
from ddpm_msgs.action import RunPolicy
from ddpm_msgs.msg import ControllerStatus

from ddpm_controller.cli.evaluate import EvaluateOptions
from ddpm_controller.control.states import Reason, State
from ddpm_controller.ros.controller.parameters import ControllerParameters
from ddpm_controller.ros.controller.policy_run import Outcome, PolicyRun

STATUS = Path(__file__).parents[3] / "ddpm_msgs" / "msg" / "ControllerStatus.msg"


@pytest.mark.parametrize(("prefix", "codes"), [("STATE", State), ("REASON", Reason)])
def test_states_and_reasons_have_the_numbers_of_the_message(prefix, codes):
    declared = dict(re.findall(rf"{prefix}_(\w+)=(\d+)", STATUS.read_text()))
    assert {name: int(number) for name, number in declared.items()} == {
        code.name: code.value for code in codes
    }
    for code in codes:
        assert getattr(ControllerStatus, f"{prefix}_{code.name}") == code


def test_outcomes_have_the_numbers_of_the_action():
    assert all(getattr(RunPolicy.Result, outcome.name) == outcome for outcome in Outcome)


def test_settings_left_open_are_the_checkpoints():
    settings = ControllerParameters().plan_settings
    assert (settings.n_action_steps, settings.overrides) == (None, {})
    given = ControllerParameters(policy_overrides=("seam=warm", "surprise=0.0"))
    assert given.plan_settings.overrides == {"seam": "warm", "surprise": "0.0"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("sampler",), "must be name=value, as sampler=ddpm, got 'sampler'"),
        (("=ddpm",), "must be name=value"),
        (("seam=",), "must be name=value"),
        (("seam=warm", "seam=rtc"), "'seam' is given twice: 'warm' and 'rtc'"),
    ],
)
def test_words_that_are_no_overrides_are_refused(words, message):
    for kind, values in (
        (ControllerParameters, "policy_overrides"),
        (EvaluateOptions, "overrides"),
    ):
        with pytest.raises(ValueError, match=message):
            kind(**{values: words})


def test_evaluate_takes_the_overrides_of_the_controller():
    words = ["seam=rtc", "expected_delay_s=0.11", "surprise=4"]
    parameters = ControllerParameters(policy_overrides=tuple(words))
    options = tyro.cli(EvaluateOptions, args=[w for word in words for w in ("--set", word)])
    measured = replace(options.plan_settings, engine="auto")  # trials compare by torch
    assert measured == parameters.plan_settings
    measured = replace(EvaluateOptions().plan_settings, engine="auto")
    assert measured == ControllerParameters().plan_settings


@pytest.mark.parametrize("not_before_s", [float("-inf"), 5.0])
def test_a_run_has_all_of_its_time_from_its_beginning_on(not_before_s):
    ends = []
    run = PolicyRun(1.0, 0, not_before_s, ends.append)
    assert [run.is_over(5.0 + 0.02 * k) for k in range(51)].index(True) == 50
    run.end(Outcome.TIMEOUT, "over")
    assert ends[0].duration_s == pytest.approx(1.0)


def test_a_run_without_time_out_is_never_over():
    run = PolicyRun(0.0, 0, 1.0, lambda end: None)
    assert not run.is_over(1e9)
    assert run.elapsed_s == pytest.approx(1e9 - 1)

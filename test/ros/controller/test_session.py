"""What an activation does with the policies that it is given, without threads or messages."""

import math
from dataclasses import FrozenInstanceError
from types import SimpleNamespace

import numpy as np
import pytest
from stub_loop import MAX_AGES_S, SPEC, new_loop, see, ticks

from ddpm_controller.control.command import Command
from ddpm_controller.control.states import Reason, State, Verdict
from ddpm_controller.policy import PolicyFacts
from ddpm_controller.ros.commanding.commanding import Done
from ddpm_controller.ros.controller.policy_run import Outcome, PolicyRun
from ddpm_controller.ros.controller.report import ControlReport
from ddpm_controller.ros.controller.session import ControlSession
from ddpm_controller.ros.neighbours.claims import Intent


class StubLoop:
    """Notes what it is told."""

    def __init__(self):
        self.told = []
        self.terms = None

    def start(self, memory, **settings):
        self.told.append(("start", memory))

    def use_policy(self, policy, memory, *, keeps_memory=False):
        self.told.append(("use_policy", memory))
        self.terms, self.keeps_memory = policy, keeps_memory


def loaded(checkpoint_hash, **more):
    facts = PolicyFacts((), SPEC, n_obs_steps=2, num_inference_steps=4, **more)
    policy = SimpleNamespace(facts=facts, initial_memory=lambda seed: {"seed": seed})
    return SimpleNamespace(policy=policy, hash=checkpoint_hash, departure=checkpoint_hash)


class StubTopics:
    """Notes the statuses that are told."""

    def __init__(self):
        self.statuses = []

    def tell(self, status):
        self.statuses.append(status)


def session_with(begin, log=lambda text: None, seed=3, **changes):
    report = ControlReport(StubTopics(), lambda: None, lambda: "")
    return ControlSession(
        changes.get("loop", StubLoop()),
        SimpleNamespace(collect=lambda: None),
        report,
        changes.get("commanding"),
        run_on_activate="commanding" in changes,
        lockstep=False,
        stop_s=0.2,
        terms_of=lambda loaded: f"terms of {loaded.hash}",
        loaded=begin,
        seed=seed,
        log=log,
    )


@pytest.mark.parametrize(
    ("checkpoint_hash", "told"),
    [("a", [("use_policy", None)]), ("b", [("use_policy", {"seed": 3})])],
)
def test_only_another_checkpoint_makes_the_plans_begin_anew(checkpoint_hash, told):
    """A replay could not know of the same one, loaded again."""
    session = session_with(loaded("a"))
    session.loop.told.clear()
    again, done = loaded(checkpoint_hash), []
    session.use(again, done.append)
    assert (session.loop.told, done) == (told, [""])
    assert session.loaded is again


def test_a_policy_that_cannot_begin_is_answered_with_its_error_and_the_old_one_plans_on():
    before = loaded("a")
    session = session_with(before)
    session.loop.told.clear()
    broken, done = loaded("b"), []
    broken.folder, broken.policy.initial_memory = "models/broken", lambda seed: [][seed]
    session.post(lambda: session.use(broken, done.append))
    session.obey()
    assert done == ["models/broken: IndexError: list index out of range"]
    assert session.loaded is before
    assert session.loop.told == []


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        ({}, {}, []),  # nothing that could be kept
        ({"memory_kind": "chunk:16"}, {"memory_kind": "chunk:16"}, ["is kept"]),
        ({"memory_kind": "chunk:16"}, {"memory_kind": "belief:ab"}, ["is reset"]),
        ({}, {"memory_kind": "belief:ab"}, ["is reset"]),
    ],
)
def test_a_state_survives_a_swap_between_memories_of_one_kind_only(before, now, said):
    told = []
    session = session_with(loaded("a", **before), told.append)
    session.use(loaded("b", **now), lambda problem: None)
    assert session.loop.keeps_memory == (said == ["is kept"])
    assert session.loop.terms == "terms of b"
    kinds = [each.get("memory_kind", "") for each in (before, now)]
    assert told == [f"the state {s}: memory {kinds[0]!r} before, {kinds[1]!r} now" for s in said]


def test_who_plans_is_known_to_the_session_alone():
    """A status is a picture of it: what becomes of the picture changes nothing."""
    session = session_with(loaded("a"))
    session.report.tell(1.0, State.WAITING, Reason.NONE, "", {})
    with pytest.raises(FrozenInstanceError):
        session.report.status.checkpoint_hash = "b"
    assert session.loaded.hash == "a"


def test_streams_that_continue_while_no_goal_runs_are_not_ahead_of_the_clock():
    """The clock is read between two runs too."""
    loop = new_loop(max_lead_s=1.0)
    report = ControlReport(StubTopics(), lambda: None, lambda: "")
    quiet = SimpleNamespace(rest=list, is_quiet=True)
    session = ControlSession(
        loop,
        SimpleNamespace(collect=lambda: None),
        report,
        quiet,
        run_on_activate=False,
        lockstep=False,
        stop_s=0.2,
        terms_of=lambda loaded: None,
    )
    loop.advance(1.0)  # the last tick of a run
    for now_s in ticks(1.02, 100):
        see(loop, now_s)
        session.step(now_s)
    assert [each.text for each in report.status.streams.values()] == ["", ""]


class StubCommanding:
    """Sends something in every tick."""

    def step(self, now_s):
        return [Done(Command(now_s, np.zeros(2), State.HOLDING, Reason.NONE, ""), 1.0)]

    is_at_rest = True


def test_a_tick_that_fails_behind_its_command_is_known_to_have_sent_it(monkeypatch):
    loop = new_loop(max_ages_s=dict.fromkeys(MAX_AGES_S, 9.0))
    session = session_with(None, loop=loop, commanding=StubCommanding())
    monkeypatch.setattr(session.report, "sent", lambda done: 1 / 0)
    see(loop, 1.0)
    with pytest.raises(ZeroDivisionError):
        session.step_in_lockstep(1.0)
    assert session.has_sent
    session.stand_still(1.0, "")
    assert not session.has_sent


def test_a_run_ends_when_another_node_commands():
    ends = []
    loop = new_loop(max_ages_s=dict.fromkeys(MAX_AGES_S, 9.0))
    session = session_with(None, loop=loop, commanding=StubCommanding())
    session.begin_run(PolicyRun(0.0, 1, -math.inf, ends.append))
    see(loop, 1.0)
    session.step(1.0)
    assert session.intent == Intent.COMMANDS
    assert not ends
    loop.right_of_way.note(Verdict(State.WAITING, Reason.OTHER_COMMANDER, "/teleop commands"))
    session.step(1.02)
    assert [(end.outcome, end.message) for end in ends] == [(Outcome.STOPPED, "/teleop commands")]
    session.report.tell(1.1, State.WAITING, Reason.OTHER_COMMANDER, "", {})
    assert session.intent == Intent.NONE  # it leaves the topic to the other one

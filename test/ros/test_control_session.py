"""What an activation does with the policies that it is given, without threads or messages."""

import math
from types import SimpleNamespace

import pytest

from ddpm_controller.ros.control_session import ControlSession
from ddpm_controller.ros.controller_topics import Health


class StubLoop:
    """Notes what it is told."""

    def __init__(self):
        self.told = []
        self.start_check = SimpleNamespace(gate=None)

    def start(self, memory, **settings):
        self.told.append(("start", memory))

    def use_policy(self, n_obs_steps, memory, num_inference_steps):
        self.told.append(("use_policy", memory))


def loaded(checkpoint_hash):
    policy = SimpleNamespace(n_obs_steps=2, initial_memory=lambda seed: {"seed": seed})
    return SimpleNamespace(policy=policy, hash=checkpoint_hash, num_inference_steps=4)


def session_with(health):
    report = SimpleNamespace(health=health)
    return ControlSession(
        StubLoop(), None, report, None, run_on_activate=False, lockstep=False, stop_s=0.2
    )


@pytest.mark.parametrize(
    ("checkpoint_hash", "told"), [("a", []), ("b", [("use_policy", {"seed": 3})])]
)
def test_only_another_checkpoint_makes_the_plans_begin_anew(checkpoint_hash, told):
    """A replay could not know of the same one, loaded again."""
    session = session_with(Health(loaded=loaded("a"), seed=3))
    session.loop.told.clear()
    again, done = loaded(checkpoint_hash), []
    session.use(again, lambda: done.append(True))
    assert (session.loop.told, done) == (told, [True])
    assert session.health.loaded is again


def test_a_run_that_begins_has_not_been_surprised():
    assert math.isnan(session_with(Health(surprise=5.0)).health.surprise)

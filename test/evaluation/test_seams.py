"""Steps at seams and changes of mind, on commands that are known; delays that are drawn."""

import numpy as np
import pytest
from trial_loop import trial_loop

from ddpm_controller.control.command import Command
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.control.plan_request import PlanRequest, Takeover
from ddpm_controller.control.states import Reason, State
from ddpm_controller.evaluation.closed_loop import TrialSettings, run_trials
from ddpm_controller.evaluation.seams import SeamRecorder
from ddpm_controller.policy import PolicyFacts
from ddpm_controller.simulation.fork_world import ForkWorld, demonstrated
from ddpm_controller.types import ActionChunk, ActionSpec, Plan, StreamSpec

PERIOD_S = 0.02
NAMES = ForkWorld.joint_names
LIMITS = JointLimits(np.array([-1.0, -1.0]), np.array([2.0, 1.0]), np.array([2.0, 2.0]))


def command(tick, position, chunk_rows=None):
    takeover = None
    if chunk_rows is not None:
        chunk = ActionChunk(0.0, 0.1, NAMES, chunk_rows)
        takeover = Takeover(Plan(chunk, {}), PlanRequest((), {}, 0, 0, 0.0))
    position = None if position is None else np.array(position)
    return Command(PERIOD_S * tick, position, State.RUNNING, Reason.NONE, "", takeover)


def rows(side):
    (chunk,) = demonstrated(np.array([[0.2, 0.0]]), np.array([side]), 0.1 * np.arange(14))
    return chunk


def noted(positions, takeovers):
    """Record positions (N, 2) with takeovers {tick: side}."""
    recorder = SeamRecorder(ForkWorld())
    for tick, position in enumerate(positions):
        side = takeovers.get(tick)
        chunk = None if side is None else rows(side)
        recorder.note(command(tick, position, chunk), PERIOD_S * tick)
    return recorder.result()


def test_a_kink_is_a_step_of_velocity_by_hand():
    """From 0.5 to -0.1 m/s at tick 10, in the second joint."""
    ticks = np.arange(20)
    bent = PERIOD_S * np.where(ticks < 10, 0.5 * ticks, 5.0 - 0.1 * (ticks - 10))
    seams = noted(np.stack([0 * bent, bent], 1), {0: 1.0, 10: 1.0, 15: 1.0})
    np.testing.assert_allclose(seams.stamps_s, [0.2, 0.3])
    np.testing.assert_allclose(seams.velocity_steps, [0.6, 0.0], atol=1e-9)
    np.testing.assert_allclose(seams.acceleration_steps, [0.0, 0.0], atol=1e-9)
    assert seams.mode_changes == 0


def test_an_onset_is_a_step_of_acceleration_by_hand():
    """At rest up to tick 10, then 3 m/s²."""
    times_s = PERIOD_S * np.maximum(np.arange(20) - 10, 0)
    curved = np.stack([1.5 * times_s**2, 0 * times_s], 1)
    seams = noted(curved, {0: 1.0, 10: 1.0})
    np.testing.assert_allclose(seams.acceleration_steps, [3.0], atol=1e-9)
    np.testing.assert_allclose(seams.velocity_steps, [1.5 * PERIOD_S], atol=1e-9)


def test_changes_of_mind_are_counted():
    seams = noted(np.zeros((40, 2)), {0: 1.0, 8: -1.0, 16: -1.0, 24: 1.0})
    assert seams.mode_changes == 2
    assert seams.reaction_s is None
    assert len(seams.stamps_s) == 3


def test_a_trial_without_commands_has_no_seams():
    seams = noted([None, None], {})
    assert len(seams.velocity_steps) == len(seams.acceleration_steps) == 0


class OneSidedPolicy:
    """Goes where the side is that the point is on."""

    facts = PolicyFacts(
        streams=(StreamSpec("joint_state", "vector", (2,), 50.0, NAMES, ("m", "m")),),
        action_spec=ActionSpec(NAMES, ("m", "m"), 0.1),
        n_obs_steps=1,
    )

    def initial_memory(self, seed):
        return {"plan_number": np.array(0)}

    def plan(self, window, memory):
        state = window[-1].values["joint_state"]
        side = np.array([1.0 if state[1] >= 0 else -1.0])
        (chunk,) = demonstrated(state[None], side, 0.1 * np.arange(14))
        start_s = window[-1].stamp_s
        number = np.array(int(memory["plan_number"]) + 1)
        return Plan(ActionChunk(start_s, 0.1, NAMES, chunk), {"plan_number": number})


def trials(push=False, seeds=(1, 2, 3), **settings):
    def world(*, tick_hz):
        return ForkWorld(tick_hz, push)

    settings = TrialSettings(keep_frames=1, **settings)
    policy = OneSidedPolicy()
    return list(
        run_trials(
            policy,
            world,
            trial_loop(policy, LIMITS, 0.4),
            seeds,
            settings,
            lambda name, image: image,
        )
    )


def test_a_policy_that_sees_a_push_reacts_after_its_next_plan():
    for quick, late in zip(trials(True), trials(True, plan_delay_s=0.2), strict=True):
        assert quick.success
        assert 0 <= quick.seams.reaction_s <= 0.4 + PERIOD_S
        assert quick.seams.mode_changes == 1
        # The point sets out later too, so it is pushed a few ticks elsewhere between two plans.
        assert late.seams.reaction_s == pytest.approx(quick.seams.reaction_s + 0.2, abs=0.06)
    assert all(trial.seams.reaction_s is None for trial in trials())


def test_jitter_delays_plans_by_the_seed_of_the_trial():
    """The start of the chunk shows in nothing; the tick at which it is taken over does."""
    plain, one, again = (trials(plan_jitter_s=each) for each in (0.0, 0.2, 0.2))
    for still, first, second in zip(plain, one, again, strict=True):
        np.testing.assert_array_equal(first.seams.stamps_s, second.seams.stamps_s)
        late_s = first.seams.stamps_s[:5] - still.seams.stamps_s[:5]
        assert (late_s > -1e-9).all()
        assert (late_s <= 0.2 + PERIOD_S + 1e-9).all()
        assert np.ptp(late_s) > PERIOD_S / 2
    assert not np.array_equal(one[0].seams.stamps_s, one[1].seams.stamps_s)
    single = trials(plan_jitter_s=0.2, seeds=(3,))[0]
    np.testing.assert_array_equal(single.seams.stamps_s, one[2].seams.stamps_s)


@pytest.mark.parametrize("name", ["plan_delay_s", "plan_jitter_s"])
def test_a_delay_below_zero_is_refused(name):
    with pytest.raises(ValueError, match=f"{name} must not be below 0, got -0.1"):
        TrialSettings(**{name: -0.1})

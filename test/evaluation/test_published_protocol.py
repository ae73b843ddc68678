"""PushT as papers evaluate it, and PushT in the control loop of the robot."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from trial_loop import trial_loop

pytest.importorskip("gym_pusht", reason="needs the extra pusht")
from gym_pusht.envs.pusht import PushTEnv
from random_pusher import ACTION_SPEC, STREAMS, random_pusher

from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.evaluation.closed_loop import TrialSettings, run_trials
from ddpm_controller.evaluation.published_protocol import run_published
from ddpm_controller.policy import PolicyFacts, plan_batch
from ddpm_controller.simulation.pusht.pusht_block import METRES_PER_PIXEL, block_corners
from ddpm_controller.simulation.pusht.pusht_world import PushTWorld
from ddpm_controller.types import ActionChunk, ActionSpec, Observation, Plan, StreamSpec

SEEDS = (100_000, 100_001, 100_002)
BOARD = JointLimits(np.zeros(2), np.full(2, 0.512), np.full(2, 5.0))


def by_hand(policy, seed, steps):
    """The protocol written out over gym-pusht's own environment; largest coverage, targets."""
    published = PushTEnv(obs_type="state")
    state, _ = published.reset(seed=seed)
    window = [observed(state)] * 2
    memory, best, targets = policy.initial_memory(seed), 0.0, []
    rows = []
    for _ in range(steps):
        if not rows:
            plan = plan_batch(policy, [window], [memory])[0]
            memory, rows = plan.memory, list(plan.chunk.actions)
        targets.append(rows.pop(0))
        pixels = np.clip(targets[-1], 0.0, 0.512) / METRES_PER_PIXEL
        state, _, ended, _, told = published.step(pixels)
        best = max(best, told["coverage"])
        if ended:
            break
        window = [window[1], observed(state)]
    return best, np.array(targets)


def observed(state):
    x, y = state[2:4] * METRES_PER_PIXEL
    corners = block_corners(x, y, state[4])
    pusher = state[:2] * METRES_PER_PIXEL
    return Observation(0.0, {"joint_state": pusher, "block_corners": corners})


def test_it_is_the_published_environment_under_the_policys_own_rows():
    policy = random_pusher()
    trials = run_published(policy, SEEDS, max_steps=30)
    assert [trial.seed for trial in trials] == list(SEEDS)
    for trial in trials:
        best, targets = by_hand(policy, trial.seed, 30)
        # A batch rounds differently (float32, chunks of 0.5 m), which contacts enlarge.
        np.testing.assert_allclose(trial.commands, targets, atol=1e-4)
        assert trial.score == pytest.approx(best, abs=1e-3)
        assert trial.duration_s == pytest.approx(3.0)
        assert trial.plans == 8  # 4 rows each
    assert len({trial.score for trial in trials}) == 3


def test_seeds_in_one_batch_do_not_meet():
    policy = random_pusher()
    together = run_published(policy, SEEDS, max_steps=9)
    alone = [run_published(policy, [seed], max_steps=9)[0] for seed in SEEDS]
    for one, other in zip(together, alone, strict=True):
        # As above; the noise of another seed would be off by decimetres.
        np.testing.assert_allclose(one.commands, other.commands, atol=1e-4)


class Stalker:
    """Answers with the next whole rows of a plan that depends on nothing but the seed."""

    facts = PolicyFacts(STREAMS, ACTION_SPEC, n_obs_steps=2)

    def __init__(self, rows):
        self.rows = rows
        self.windows = []

    def initial_memory(self, seed):
        return {"plan": np.array(0)}

    def plan(self, window, memory):
        self.windows.append(window)
        number = int(memory["plan"])
        rows = self.rows[number * 3 : number * 3 + 3]
        names = self.facts.action_spec.joint_names
        chunk = ActionChunk(window[-1].stamp_s, 0.1, names, rows)
        return Plan(chunk, {"plan": np.array(number + 1)})


def test_every_row_is_applied_once_and_planned_from_what_was_just_seen():
    rows = np.random.default_rng(0).uniform(0.1, 0.4, (9, 2))
    policy = Stalker(rows)
    told = []
    (trial,) = run_published(policy, [4], 9, lambda *progress: told.append(progress))
    np.testing.assert_array_equal(trial.commands, rows)
    np.testing.assert_allclose(trial.stamps_s, 0.1 * np.arange(9))
    assert told == [(step, 9) for step in range(1, 10)]
    first, second, third = policy.windows
    np.testing.assert_array_equal(first[0].values["joint_state"], first[1].values["joint_state"])
    for number, window in ((3, second), (6, third)):
        for back, observation in zip((1, 0), window, strict=True):
            pusher = observation.values["joint_state"]
            np.testing.assert_array_equal(pusher, trial.positions[number - back])
    assert len(trial.frames) == 6
    assert trial.frames[0].shape == (96, 96, 3)


def test_joints_of_the_policy_are_found_by_name():
    rows = np.random.default_rng(0).uniform(0.1, 0.4, (9, 2))
    (usual,) = run_published(Stalker(rows), [4], 9)
    turned = Stalker(rows[:, ::-1])
    spec = ActionSpec(ACTION_SPEC.joint_names[::-1], ("m", "m"), 0.1)
    turned.facts = replace(turned.facts, action_spec=spec)
    (trial,) = run_published(turned, [4], 9)
    np.testing.assert_array_equal(trial.positions[:, ::-1], usual.positions)
    assert trial.score == usual.score


def test_a_trial_ends_with_success_even_inside_a_chunk(monkeypatch):
    first = []  # the world of the first seed is solved after 4 steps, and the other one never

    def solved(world):
        first.append(world)
        return world is first[0] and world.time_s > 0.35

    monkeypatch.setattr(PushTWorld, "success", property(solved))
    rows = np.random.default_rng(0).uniform(0.1, 0.4, (9, 2))
    done, going = run_published(Stalker(rows), [4, 4], 9)
    assert (done.success, going.success) == (True, False)
    assert (done.duration_s, going.duration_s) == (pytest.approx(0.4), pytest.approx(0.9))
    assert (done.plans, going.plans) == (2, 3)
    np.testing.assert_array_equal(done.commands, going.commands[:4])


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (ActionSpec(("a", "b"), ("m", "m"), 0.1), "with the joints .*pusher_x.*moves .*'a'"),
        (ActionSpec(ACTION_SPEC.joint_names, ("m", "m"), 0.05), "every 0.1 s.*are 0.05 s apart"),
    ],
)
def test_a_policy_for_something_else_is_refused(spec, text):
    policy = SimpleNamespace(facts=PolicyFacts(STREAMS, spec, n_obs_steps=1))
    with pytest.raises(ValueError, match=text):
        run_published(policy, [1])


def test_no_seeds_are_refused():
    with pytest.raises(ValueError, match="there must be seeds"):
        run_published(random_pusher(), [])


def no_view(camera, pixels):
    return pixels


def test_the_control_loop_of_the_robot_moves_the_pusher_and_scores_it():
    settings = TrialSettings(timeout_s=2.0, keep_frames=1, batch_size=3)
    policy = random_pusher()
    loop = trial_loop(policy, BOARD)
    trials = list(run_trials(policy, "pusht", loop, SEEDS, settings, no_view))
    assert [trial.seed for trial in trials] == list(SEEDS)
    for trial in trials:
        assert 0.0 <= trial.score < 0.95
        assert not trial.success
    first = trials[0]
    assert np.nanmax(np.ptp(first.positions, axis=0)) > 0.02
    assert first.frames[0].shape == (96, 96, 3)
    assert trials[1].frames == ()


def test_a_policy_whose_streams_the_world_does_not_tell_is_refused():
    policy = random_pusher()
    ball = StreamSpec("ball", "vector", (1,), 10.0, ("ball_x",), ("m",))
    policy.facts = replace(policy.facts, streams=(*STREAMS, ball))
    with pytest.raises(ValueError, match="stream 'ball' has .*'ball_x'.* 'pusht' has"):
        list(run_trials(policy, "pusht", trial_loop(policy, BOARD), [1], TrialSettings(), no_view))

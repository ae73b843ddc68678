"""Trials in one process, with a policy that repeats a demonstration by time."""

import functools
from dataclasses import replace

import numpy as np
import pytest
from trial_loop import trial_loop

from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.control.observing.stream_rules import StreamRule
from ddpm_controller.evaluation.closed_loop import TrialSettings, run_trials
from ddpm_controller.policy import DepartureLimit, PolicyFacts
from ddpm_controller.simulation.arm.arm import joint_range
from ddpm_controller.simulation.disturbances import PERTURBATIONS
from ddpm_controller.simulation.joints import JointRange
from ddpm_controller.simulation.session import START_NS
from ddpm_controller.simulation.stick.drum_world import DrumWorld
from ddpm_controller.simulation.stick.stick_arm import STICK_JOINTS
from ddpm_controller.simulation.worlds import WORLDS, make_expert
from ddpm_controller.types import ActionChunk, ActionSpec, Plan, StreamSpec

START_S = START_NS * 1e-9
PERIOD_S = 0.1


class DemonstrationPolicy:
    """Answers with the rows that the expert commanded at those moments; blind and exact."""

    def __init__(self, world_name, seeds):
        world = WORLDS[world_name].world()
        names = tuple(world.joint_names)
        units = ("rad",) * 6 + ("m",)
        streams = (StreamSpec("joint_state", "vector", (7,), 50.0, names, units),)
        self.facts = PolicyFacts(streams, ActionSpec(names, units, PERIOD_S), n_obs_steps=1)
        self._rows = {seed: self._demonstration(world, seed) for seed in seeds}
        world.close()

    @staticmethod
    def _demonstration(world, seed):
        world.reset(seed)
        expert = make_expert(world, seed)
        rows = []
        while not expert.done and world.time_s < world.timeout_s:
            rows.append(expert.command())
            world.step(rows[-1])
        return np.array(rows + [rows[-1]] * 100)  # (ticks, 7) at 50 Hz

    def initial_memory(self, seed):
        return {"seed": np.array(seed), "plan_number": np.array(0)}

    def plan(self, window, memory):
        start_s = window[-1].stamp_s
        ticks = np.round((start_s - START_S + PERIOD_S * np.arange(10)) * 50).astype(int)
        rows = self._rows[int(memory["seed"])]
        actions = rows[np.minimum(ticks, len(rows) - 1)]
        chunk = ActionChunk(start_s, PERIOD_S, self.facts.action_spec.joint_names, actions)
        number = np.array(int(memory["plan_number"]) + 1)
        return Plan(chunk, {"seed": memory["seed"], "plan_number": number})


def limits():
    reach = joint_range()
    return JointLimits(reach.lower, reach.upper, reach.velocity)


def no_view(camera, pixels):
    return pixels


def trials_of(policy, world, seeds, **settings):
    return list(
        run_trials(
            policy, world, trial_loop(policy, limits()), seeds, TrialSettings(**settings), no_view
        )
    )


def quiet_seeds(world_name, count):
    """Seeds whose demonstration is undisturbed: a push cannot be repeated by time."""
    world = WORLDS[world_name].world()
    seeds = []
    seed = 500
    while len(seeds) < count:
        world.reset(seed)
        if make_expert(world, seed).occasion in ("none", "aim_error"):
            seeds.append(seed)
        seed += 1
    world.close()
    return seeds


@pytest.mark.parametrize("delay_s", [0.0, 0.2])
def test_rows_reach_the_robot_at_their_own_moments_whatever_the_delay(delay_s):
    seeds = quiet_seeds("pick_place", 3)
    policy = DemonstrationPolicy("pick_place", seeds)
    trials = trials_of(policy, "pick_place", seeds, plan_delay_s=delay_s, keep_frames=0)
    assert [trial.success for trial in trials] == [True] * 3


def test_a_policy_that_is_a_second_late_fails():
    """The counterpart: the test above would not notice a loop that ignores the policy."""
    seeds = quiet_seeds("pick_place", 2)
    policy = DemonstrationPolicy("pick_place", seeds)
    policy._rows = {seed: np.roll(rows, 50, axis=0)[::-1] for seed, rows in policy._rows.items()}
    trials = trials_of(policy, "pick_place", seeds, keep_frames=0)
    assert [trial.success for trial in trials] == [False] * 2


def test_a_trial_does_not_depend_on_its_batch():
    seeds = quiet_seeds("reach", 4)
    policy = DemonstrationPolicy("reach", seeds)
    together = trials_of(policy, "reach", seeds, batch_size=4)
    alone = trials_of(policy, "reach", seeds, batch_size=1)
    for one, other in zip(together, alone, strict=True):
        assert one.success == other.success
        assert one.duration_s == other.duration_s
        np.testing.assert_array_equal(one.commands, other.commands)


def test_only_the_first_trials_keep_pictures_and_curves():
    seeds = quiet_seeds("reach", 2)
    policy = DemonstrationPolicy("reach", seeds)
    first, second = trials_of(policy, "reach", seeds, keep_frames=1, batch_size=1)
    assert len(first.frames) == 6
    assert first.frames[0].shape == (96, 192, 3)  # both cameras, side by side
    assert len(first.commands) == len(first.stamps_s) == len(first.positions) > 20
    assert second.frames == ()


def test_the_time_out_ends_a_trial():
    seeds = quiet_seeds("reach", 1)
    policy = DemonstrationPolicy("reach", seeds)
    (trial,) = trials_of(policy, "reach", seeds, timeout_s=0.2)
    assert not trial.success
    assert trial.duration_s == pytest.approx(0.2)


class Remembering(DemonstrationPolicy):
    """Notes which plans remember one before."""

    def __init__(self, world_name, seeds):
        super().__init__(world_name, seeds)
        self.remembered = []

    def plan(self, window, memory):
        self.remembered.append("state" in memory)
        plan = super().plan(window, memory)
        return replace(plan, memory={**plan.memory, "state": np.ones(1)})


@pytest.mark.parametrize(("limit", "remembers"), [(1e-9, False), (1e9, True)])
def test_a_trial_keeps_the_limit_of_departure_that_the_robot_would_keep(limit, remembers):
    """No joint follows its commands to a nanoradian."""
    seeds = quiet_seeds("reach", 1)
    policy = Remembering("reach", seeds)
    loop = trial_loop(policy, limits())
    terms = replace(loop.policy, departure=DepartureLimit(np.ones(7), limit))
    settings = TrialSettings(timeout_s=2.0, keep_frames=0)
    list(run_trials(policy, "reach", replace(loop, policy=terms), seeds, settings, no_view))
    assert len(policy.remembered) >= 3
    assert policy.remembered == [False] + [remembers] * (len(policy.remembered) - 1)


def test_a_trial_looks_at_streams_by_the_rules_of_the_robot():
    """A rule that no robot can keep shows that they are looked at."""
    seeds = quiet_seeds("reach", 1)
    policy = DemonstrationPolicy("reach", seeds)
    loop = trial_loop(policy, limits())
    rules = {"joint_state": StreamRule(when_stale="mask")}
    with pytest.raises(ValueError, match="cannot be masked"):
        list(
            run_trials(
                policy, "reach", replace(loop, rules=rules), seeds, TrialSettings(), no_view
            )
        )


class StillPolicy:
    """Commands the position that it has measured first."""

    def __init__(self, world):
        spec = ActionSpec(world.joint_names, ("rad",) * 3, PERIOD_S)
        names, units = ("strikes_wanted",), ("1",)
        streams = (
            StreamSpec("joint_state", "vector", (3,), 50.0, world.joint_names, ("rad",) * 3),
            StreamSpec("goal", "vector", (1,), 50.0, names, units),
        )
        self.facts = PolicyFacts(streams, spec, n_obs_steps=1)
        self.goals = []

    def initial_memory(self, seed):
        return {}

    def plan(self, window, memory):
        self.goals.append(float(window[-1].values["goal"][0]))
        actions = np.tile(window[-1].values["joint_state"], (10, 1))
        return Plan(ActionChunk(window[-1].stamp_s, PERIOD_S, DrumWorld.joint_names, actions), {})


def test_a_trial_brings_what_a_perturbed_world_has_counted():
    make = functools.partial(DrumWorld, perturbation=PERTURBATIONS["pushed"])
    policy = StillPolicy(DrumWorld)
    reach = JointRange.of(STICK_JOINTS)
    of_the_stick = JointLimits(reach.lower, reach.upper, reach.velocity)
    settings = TrialSettings(timeout_s=3.0, keep_frames=0)
    trials = list(
        run_trials(policy, make, trial_loop(policy, of_the_stick), [3, 4], settings, no_view)
    )
    world = make()
    for trial in trials:
        world.reset(trial.seed)
        assert trial.tally["wanted"] == world.wanted
        assert trial.tally["strikes"] == 0.0
        assert trial.duration_s == pytest.approx(3.0)
    assert set(policy.goals) == {trial.tally["wanted"] for trial in trials}

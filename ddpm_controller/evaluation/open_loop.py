"""Plans of a policy beside what was recorded: it looks at recordings, and nothing moves.

It shows a policy that learned something else than the recordings, sees something else than in
training, or changes its mind from plan to plan. It is no measure of how often a task succeeds:
errors of a plan are not what follows from them.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.control.planning.chunk_check import ChunkTolerance, chunk_verdict
from ddpm_controller.control.planning.distribution_watch import SCORE
from ddpm_controller.policy import Policy, Window, plan_batch
from ddpm_controller.types import Episode, Observation, Plan

_BATCH = 64
_EXAMPLES = 3
_ROUNDING = 1e-3
"""Share of a joint's range by which a recorded action may lie beside the samples: a joint that
never moves has samples that are all the same."""


@dataclass(frozen=True)
class CheckSettings:
    """How much is looked at.

    Attributes:
        num_samples: Plans of each window, each from noise of its own.
        windows_per_episode: Windows of an episode at the most, evenly spread.
        seed: Seed of the first sample.
    """

    num_samples: int = 8
    windows_per_episode: int = 16
    seed: int = 0

    def __post_init__(self) -> None:
        if self.num_samples < 2 or self.windows_per_episode < 1:
            raise ValueError(
                "num_samples must be at least 2 and windows_per_episode at least 1, got "
                f"{self.num_samples} and {self.windows_per_episode}"
            )


@dataclass(frozen=True)
class Example:
    """The plans of one window, to be drawn.

    Attributes:
        name: Episode and moment.
        samples: (S, Ta, Da).
        recorded: (Ta, Da), NaN behind the end of the episode.
    """

    name: str
    samples: np.ndarray
    recorded: np.ndarray


@dataclass(frozen=True)
class OpenLoopReport:
    """How plans compare with what was recorded; errors in the unit of each joint.

    Attributes:
        joint_names: One for each column.
        units: One for each column.
        num_episodes: Episodes looked at.
        num_windows: Windows looked at.
        num_samples: Plans of each window.
        scale: (Da,) range of the actions in training; of these recordings where that is unknown.
        error: (Ta, Da) mean distance of a sample from the recorded action.
        held_error: (Ta, Da) the same of holding the first recorded action: what no policy needs.
        coverage: (Ta, Da) share of the recorded actions between the smallest and the largest
            sample, or within a thousandth of the range.
        expected_coverage: The share where recorded action and samples are of one distribution.
        out_of_distribution: Share of windows that the policy finds unlike its training; None
            where that was not fitted.
        seam: (Da,) mean distance of a plan from the plan before it, in the rows that both have;
            None where a plan is followed by no other.
        refused: Share of the plans that the controller refuses; None without limits.
        refusal: Why the first of them is.
        beyond: Share of the plans that ask for more than the limits; None without limits.
        per_episode: Episode -> error as a share of ``scale``, mean of its joints.
        examples: Some windows.
    """

    joint_names: tuple[str, ...]
    units: tuple[str, ...]
    num_episodes: int
    num_windows: int
    num_samples: int
    scale: np.ndarray
    error: np.ndarray
    held_error: np.ndarray
    coverage: np.ndarray
    expected_coverage: float
    out_of_distribution: float | None
    seam: np.ndarray | None
    refused: float | None
    refusal: str
    beyond: float | None
    per_episode: Mapping[str, float]
    examples: tuple[Example, ...]

    @property
    def worst_error(self) -> float:
        """Largest error of a joint over all rows, as a share of its range."""
        return float((np.nanmean(self.error, axis=0) / self.scale).max())

    @property
    def mean_coverage(self) -> float:
        """Coverage over all rows and joints."""
        return float(np.nanmean(self.coverage))

    @property
    def worst_seam(self) -> float | None:
        """Largest disagreement of a joint, as a share of its range."""
        return None if self.seam is None else float((self.seam / self.scale).max())


@dataclass(frozen=True)
class _Looked:
    """What one window has shown: samples (S, Ta, Da), recorded (Ta, Da), plans, the next plan."""

    episode: str
    at_s: float
    samples: np.ndarray
    recorded: np.ndarray
    plans: Sequence[Plan]
    seam: np.ndarray | None = None


def check_open_loop(
    policy: Policy,
    episodes: Sequence[Episode],
    settings: CheckSettings,
    limits: JointLimits | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> OpenLoopReport:
    """Plan from windows of recordings and compare.

    Args:
        policy: Any policy; its streams and joints are those of the episodes.
        episodes: At least one; held-out ones, else it flatters.
        settings: How much is looked at.
        limits: Limits of the joints; None: they are not known.
        on_progress: Told the episodes done and in all.

    Raises:
        ValueError: There is no episode.
    """
    if not episodes:
        raise ValueError("no episodes to check with: give bags that fit the robot file")
    looked: list[_Looked] = []
    for number, episode in enumerate(episodes, start=1):
        looked += _look(policy, episode, settings)
        on_progress(number, len(episodes))
    return _report(policy, episodes, looked, settings, limits)


def _look(policy: Policy, episode: Episode, settings: CheckSettings) -> list[_Looked]:
    count = min(settings.windows_per_episode, len(episode))
    moments = np.linspace(0, len(episode) - 1, count).round().astype(int).tolist()
    seeds = [settings.seed + sample for sample in range(settings.num_samples)]
    windows = [_window(policy, episode, k) for k in moments]
    plans = _planned(
        policy,
        [window for window in windows for _ in seeds],
        [policy.initial_memory(seed) for _ in windows for seed in seeds],
    )
    groups = [plans[i : i + len(seeds)] for i in range(0, len(plans), len(seeds))]
    seams = _seams(policy, episode, moments, [group[0] for group in groups])
    found = []
    for k, group, seam in zip(moments, groups, seams, strict=True):
        samples = np.stack([plan.chunk.actions for plan in group])
        recorded = np.full(samples.shape[1:], math.nan)
        rows = episode.actions[k : k + len(recorded)]
        recorded[: len(rows)] = rows
        at_s = float(episode.stamps_s[k] - episode.stamps_s[0])
        found.append(_Looked(episode.source, at_s, samples, recorded, group, seam))
    return found


def _window(policy: Policy, episode: Episode, last: int) -> Window:
    """Return what a policy sees at a moment; before the beginning the first moment repeats."""
    facts, end_s = policy.facts, float(episode.stamps_s[last])
    window = []
    for back in range(facts.n_obs_steps - 1, -1, -1):
        row = max(last - back, 0)
        values = {each.name: episode.values[each.name][row] for each in facts.streams}
        window.append(Observation(end_s - back * facts.action_spec.period_s, values))
    return window


def _planned(policy: Policy, windows: Sequence[Window], memories: Sequence[Mapping]) -> list[Plan]:
    plans: list[Plan] = []
    for first in range(0, len(windows), _BATCH):
        part = slice(first, first + _BATCH)
        plans += plan_batch(policy, windows[part], memories[part])
    return plans


def _seams(
    policy: Policy, episode: Episode, moments: Sequence[int], firsts: Sequence[Plan]
) -> list[np.ndarray | None]:
    """Return how far the plan after each of ``firsts``, half a chunk later, is from it, (Da,)."""
    rows = len(firsts[0].chunk.actions)
    after = max(rows // 2, 1)
    places = [i for i, k in enumerate(moments) if rows > after and k + after < len(episode)]
    windows = [_window(policy, episode, moments[i] + after) for i in places]
    seconds = _planned(policy, windows, [firsts[i].memory for i in places])
    found: list[np.ndarray | None] = [None] * len(moments)
    for i, second in zip(places, seconds, strict=True):
        overlap = firsts[i].chunk.actions[after:] - second.chunk.actions[: rows - after]
        found[i] = np.abs(overlap).mean(axis=0)
    return found


def _report(
    policy: Policy,
    episodes: Sequence[Episode],
    looked: Sequence[_Looked],
    settings: CheckSettings,
    limits: JointLimits | None,
) -> OpenLoopReport:
    spec = policy.facts.action_spec
    samples = np.stack([each.samples for each in looked])  # (W, S, Ta, Da)
    recorded = np.stack([each.recorded for each in looked])  # (W, Ta, Da)
    distance = np.abs(samples - recorded[:, None]).mean(axis=1)
    scale = _scale(policy, recorded)
    near = _ROUNDING * scale
    inside = (samples.min(axis=1) - near <= recorded) & (recorded <= samples.max(axis=1) + near)
    covered = np.where(np.isnan(recorded), math.nan, inside)
    seams = [each.seam for each in looked if each.seam is not None]
    refused, refusal, beyond = _against(limits, looked, policy)
    whole = [each for each in looked if not np.isnan(each.recorded).any()] or looked
    places = np.linspace(0, len(whole) - 1, min(_EXAMPLES, len(whole))).round().astype(int)
    return OpenLoopReport(
        joint_names=spec.joint_names,
        units=spec.units,
        num_episodes=len(episodes),
        num_windows=len(looked),
        num_samples=settings.num_samples,
        scale=scale,
        error=_mean(distance),
        held_error=_mean(np.abs(recorded - recorded[:, :1])),
        coverage=_mean(covered),
        expected_coverage=(settings.num_samples - 1) / (settings.num_samples + 1),
        out_of_distribution=_unlike(policy, looked),
        seam=np.mean(seams, axis=0) if seams else None,
        refused=refused,
        refusal=refusal,
        beyond=beyond,
        per_episode=_by_episode(looked, distance / scale),
        examples=tuple(_example(whole[place]) for place in places),
    )


def _mean(values: np.ndarray) -> np.ndarray:
    """Return the mean over windows, (Ta, Da); NaN for a row that none has."""
    known = ~np.isnan(values)
    total = np.where(known, values, 0.0).sum(axis=0)
    count = known.sum(axis=0)
    mean: np.ndarray = np.where(count > 0, total / np.maximum(count, 1), math.nan)
    return mean


def _scale(policy: Policy, recorded: np.ndarray) -> np.ndarray:
    """Return the range of each joint; of one that never moves the largest of the others."""
    known = policy.facts.training_range
    if known is not None:
        ranges = known.action_high - known.action_low
    else:
        ranges = np.nanmax(recorded, axis=(0, 1)) - np.nanmin(recorded, axis=(0, 1))
    return np.where(ranges > 0, ranges, ranges.max() or 1.0)


def _unlike(policy: Policy, looked: Sequence[_Looked]) -> float | None:
    limit = policy.facts.out_of_distribution_limit
    if math.isnan(limit):
        return None
    scores = [float(each.plans[0].traces[SCORE]) for each in looked]
    return float(np.mean([score > limit for score in scores]))


def _against(
    limits: JointLimits | None, looked: Sequence[_Looked], policy: Policy
) -> tuple[float | None, str, float | None]:
    """Return which share the controller refuses, why, and which asks for more than the limits."""
    if limits is None:
        return None, "", None
    spec, tolerance = policy.facts.action_spec, ChunkTolerance()
    verdicts = [
        chunk_verdict(plan.chunk, plan.chunk.start_s, spec, limits, tolerance, None)
        for each in looked
        for plan in each.plans
    ]
    problems = [each.problem for each in verdicts if each.problem]
    beyond = sum(bool(each.problem or each.note) for each in verdicts)
    refusal = problems[0] if problems else ""
    return len(problems) / len(verdicts), refusal, beyond / len(verdicts)


def _by_episode(looked: Sequence[_Looked], shares: np.ndarray) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for each, share in zip(looked, shares, strict=True):
        found.setdefault(each.episode, []).append(float(np.nanmean(share)))
    return {name: float(np.mean(errors)) for name, errors in found.items()}


def _example(looked: _Looked) -> Example:
    return Example(f"{looked.episode}, {looked.at_s:.1f} s", looked.samples, looked.recorded)

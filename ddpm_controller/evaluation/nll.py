"""How likely a policy finds what was demonstrated: a bound on the negative log-likelihood.

The bound is the one of Ho et al. 2020, Eq. 5, on -log p(chunk | observations), in nats per number
in physical units (a joint in rad, so doubling its range costs log 2), or in bits per encoder tick.
Lower is better. It distinguishes two checkpoints on the same episodes and shows a policy that does
not know what it sees; it is no measure of how often a task succeeds.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ddpm_controller.data.windows import WindowDataset
from ddpm_controller.policy import BoundSettings, Likelihood, LikelihoodPolicy, Policy
from ddpm_controller.types import Episode


@dataclass(frozen=True)
class NllReport:
    """The bound over a set of episodes; all means are over the numbers that exist.

    Attributes:
        unit: ``nats`` per number, or ``bits`` per encoder tick.
        mean: Over everything.
        standard_error: Standard error of the mean, from the spread between episodes; NaN for one.
        per_term: ``L_T``, ``L_t`` (all steps but the last together), ``L_0`` and ``log_scale``,
            which add up to the mean.
        timesteps: (K,), of the chain.
        per_timestep: (K,), what each step adds to the mean.
        per_joint: Joint name -> mean.
        per_row: (Tp,), by row of the chunk; NaN for a row that no episode has.
        per_episode: Episode source -> mean.
        num_windows: Windows that were looked at.
    """

    unit: str
    mean: float
    standard_error: float
    per_term: Mapping[str, float]
    timesteps: np.ndarray
    per_timestep: np.ndarray
    per_joint: Mapping[str, float]
    per_row: np.ndarray
    per_episode: Mapping[str, float]
    num_windows: int


def evaluate_nll(
    policy: Policy,
    episodes: Sequence[Episode],
    settings: BoundSettings | None = None,
    *,
    windows_per_episode: int = 16,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> NllReport:
    """Bound -log p of the episodes' chunks given their observations.

    Every timestep of the chain is visited once per window, so the cost is K evaluations of the
    network for each window.

    Args:
        policy: With a likelihood, as diffusion policies have.
        episodes: With the policy's streams and joints; held-out ones, else it flatters.
        settings: Which bound; None: of the whole chain of training, as density.
        windows_per_episode: At most so many of each, evenly spread.
        on_progress: Told the episodes done and in all.

    Raises:
        ValueError: If the policy has no likelihood, there is no episode, or one does not fit.
    """
    if not isinstance(policy, LikelihoodPolicy):
        raise ValueError(f"a {type(policy).__name__} has no likelihood: it is no denoiser")
    if not episodes or windows_per_episode < 1:
        raise ValueError(
            f"need an episode and a window of each, got {len(episodes)} episodes and "
            f"{windows_per_episode} windows"
        )
    settings = settings or BoundSettings()
    found = []
    for number, episode in enumerate(episodes, start=1):
        windows = WindowDataset([episode], policy.facts.n_obs_steps, policy.horizon)
        count = min(windows_per_episode, len(windows))
        batch = windows.gather(np.linspace(0, len(windows) - 1, count).round().astype(int))
        found.append(policy.likelihood(batch.values, batch.actions, batch.mask, settings))
        on_progress(number, len(episodes))
    return _report(policy, episodes, found, settings)


def _report(
    policy: Policy,
    episodes: Sequence[Episode],
    found: Sequence[Likelihood],
    settings: BoundSettings,
) -> NllReport:
    in_bits = settings.ticks is not None
    scale = 1 / np.log(2) if in_bits else 1.0
    prior, mask = (np.concatenate([getattr(x, n) for x in found]) for n in ("prior", "mask"))
    steps = np.concatenate([each.steps for each in found], axis=1)  # (K, B, Tp, Da)
    log_scale = np.broadcast_to(found[0].log_scale, prior.shape)
    total = scale * (prior + steps.sum(axis=0) + log_scale)
    parts = {"L_T": prior, "L_t": steps[1:].sum(axis=0), "L_0": steps[0], "log_scale": log_scale}
    single = [scale * float(each.total[each.mask].mean()) for each in found]
    spread = np.std(single, ddof=1) / len(single) ** 0.5 if len(single) > 1 else np.nan
    names = policy.facts.action_spec.joint_names
    return NllReport(
        unit="bits" if in_bits else "nats",
        mean=float(total[mask].mean()),
        standard_error=float(spread),
        per_term={name: scale * float(part[mask].mean()) for name, part in parts.items()},
        timesteps=found[0].timesteps,
        per_timestep=np.array([scale * step[mask].mean() for step in steps]),
        per_joint=dict(zip(names, total[mask].mean(axis=0).tolist(), strict=True)),
        per_row=np.array([_mean(total[:, row][mask[:, row]]) for row in range(mask.shape[1])]),
        per_episode={e.source: x for e, x in zip(episodes, single, strict=True)},
        num_windows=len(prior),
    )


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else float("nan")


def draw_nll(report: NllReport, title: str, path: Path) -> None:
    """Draw what each step costs, and the bound of each joint and of each row of the chunk."""
    from matplotlib.figure import Figure  # here: the figures need no picture

    figure = Figure(figsize=(12, 3.8), layout="constrained")
    by_step, by_joint, by_row = figure.subplots(1, 3)
    figure.suptitle(
        f"{title}: {report.mean:.3f} {report.unit} per number "
        f"(standard error {report.standard_error:.3f}, {len(report.per_episode)} episodes)"
    )
    by_step.bar(range(len(report.timesteps)), report.per_timestep, width=0.9)
    places = np.unique(np.linspace(0, len(report.timesteps) - 1, 8).round().astype(int))
    by_step.set_xticks(places, [str(report.timesteps[place]) for place in places])
    # L_0 may be negative and is much larger than the others: linear around 0, else by powers.
    by_step.set_yscale("symlog", linthresh=0.01)
    by_step.set(xlabel="t (0 is L_0)", ylabel=f"{report.unit} of each step", title="by timestep")
    by_joint.barh(list(report.per_joint), list(report.per_joint.values()))
    by_joint.invert_yaxis()
    by_joint.set(xlabel=f"{report.unit} per number", title="by joint")
    by_row.plot(report.per_row, "o-")
    by_row.set(xlabel="row of the chunk", ylabel=f"{report.unit} per number", title="by row")
    for axes in (by_step, by_joint, by_row):
        axes.grid(alpha=0.3)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)

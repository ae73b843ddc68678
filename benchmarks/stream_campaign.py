"""A hundred thousand streamed trajectories into a trajectory controller with defaults.

python benchmarks/stream_campaign.py
python benchmarks/stream_campaign.py --quick

The motions, the robot and the controller of ``trajectory_stream.py``; what is refused, and the
largest acceleration of the set point at 500 Hz, so also between the ticks, as a share of the
limit. Late: by 0 to 15 ms, each message by its own. Lost: 5 of 100 messages, whatever was lost
before. Runs of one minute, each from another moment of the motion and with other accidents.
"""

from dataclasses import dataclass, replace
from typing import Literal

import tyro
from rich.console import Console
from rich.table import Table
from trajectory_stream import Condition, Run, stream

from ddpm_controller.control.moving.stream_settings import StreamSettings

SECONDS = 60.0
DEFAULT_MS = round(1e3 * StreamSettings().lead_s)
IDEAL, WORSE = 1.05, 1.1
"""Targets for the largest share of the acceleration limit; the second where something is wrong."""
CLOCK = Condition(clock_s=0.05)
ACCIDENTS = Condition(late_s=0.015, loss=0.05)
CONDITIONS = {
    "ideal": Condition(),
    "late + lost": ACCIDENTS,
    "clock +50 ms": CLOCK,
    "clock -50 ms": replace(CLOCK, clock_s=-0.05),
    "clock +50 ms, late + lost": replace(ACCIDENTS, clock_s=0.05),
    "clock -50 ms, late + lost": replace(ACCIDENTS, clock_s=-0.05),
}


@dataclass(frozen=True)
class Options:
    """Many streamed trajectories.

    Attributes:
        messages: Trajectories that arrive, at least, at each rate and lead, over all conditions.
        rates_hz: Control rates.
        leads_ms: Committed leads; but for the default one only with late and lost messages.
        carries: The derivatives that the points have.
        seed: Of the first run; each further one counts up.
        quick: Few trajectories, within a minute.
    """

    messages: int = 34_000
    rates_hz: tuple[int, ...] = (50, 100, 500)
    leads_ms: tuple[int, ...] = (80, 100, 120)
    carries: Literal["positions", "velocities", "accelerations"] = "accelerations"
    seed: int = 0
    quick: bool = False


@dataclass
class Sum:
    """What all runs of one condition showed.

    Attributes:
        sent: Messages that arrived.
        refused: Of these.
        peak: Largest acceleration as a share of the limit.
        num_over: Runs in which that was above the target.
        num_runs: Number of runs.
        reason: Text of a refusal.
    """

    sent: int = 0
    refused: int = 0
    peak: float = 0.0
    num_over: int = 0
    num_runs: int = 0
    reason: str = ""


def sum_of(
    rate_hz: int, lead_ms: int, condition: Condition, options: Options, target: float
) -> Sum:
    """Return what runs show until enough messages of this condition have arrived."""
    found = Sum()
    settings = StreamSettings(lead_s=lead_ms / 1e3, carries=options.carries)
    kind = stream("campaign", float(rate_hz), settings)
    seconds = 5.0 if options.quick else SECONDS
    while found.sent < options.messages / len(CONDITIONS):
        seed = options.seed + found.num_runs
        run = Run(kind, condition, seconds, seed, from_s=seed * SECONDS).found()
        found.num_runs += 1
        found.sent += run.sent
        found.refused += run.refused
        found.peak = max(found.peak, run.peak)
        found.num_over += run.peak > target
        found.reason = next(iter(run.reasons), found.reason)
    return found


def main() -> None:
    """Print the table, and its figures as ``name: value``."""
    options = tyro.cli(Options)
    if options.quick:
        options = replace(options, messages=3000, leads_ms=(80,))
    table = Table("rate, Hz", "lead, ms", "condition", "refused", "a/A", "runs above", "target")
    lines = []
    for rate_hz in options.rates_hz:
        for lead_ms in options.leads_ms:
            for name, condition in CONDITIONS.items():
                if not condition.loss and lead_ms != DEFAULT_MS:
                    continue
                is_ideal = condition == Condition() and rate_hz >= 100
                target = IDEAL if is_ideal else WORSE
                found = sum_of(rate_hz, lead_ms, condition, options, target)
                runs = f"{found.num_over} of {found.num_runs}"
                refused = f"{found.refused} of {found.sent}"
                cells = (f"{rate_hz}", f"{lead_ms}", name, refused, f"{found.peak:.3f}", runs)
                table.add_row(*cells, f"{target}")
                words = name.replace("+50 ms", "ahead").replace("-50 ms", "behind")
                words = words.replace(" + ", "_").replace(", ", "_").replace(" ", "_")
                key = f"{rate_hz}_hz_lead_{lead_ms}_ms_{words}"
                lines += [f"{key}_refused: {refused}", f"{key}_peak: {found.peak:.4f}"]
                print(lines[-2], lines[-1], found.num_over, found.reason, flush=True)
    Console(width=120).print(table)
    print("\n".join(lines))


if __name__ == "__main__":
    main()

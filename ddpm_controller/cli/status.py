"""The command `status`: what a controller on the graph does, and why."""

import math
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import tyro
from rich.console import Console
from rich.live import Live

from ddpm_controller.control.states import Reason, State

_SETTLE_S = 0.3
"""Time in which a status that was published before is received."""


@dataclass(frozen=True)
class StatusOptions:
    """Show what a running controller does and why: streams, checkpoint, plans and limits.

    Attributes:
        namespace: Namespace of the controller.
        watch: Repeat once a second, until Ctrl-C.
        patience_s: Time in which the controller must be found, s.
    """

    namespace: str = ""
    watch: bool = False
    patience_s: float = 5.0

    def __post_init__(self) -> None:
        if not 0 < self.patience_s < math.inf:
            raise ValueError(f"patience_s must be above 0 and finite, got {self.patience_s}")


def status_lines(lifecycle: str, status: Any) -> Iterator[str]:
    """Give the lines about one ControllerStatus; None where none has been published."""
    yield _line("lifecycle", lifecycle)
    if status is None:
        yield _line("state", "no status yet: configure and activate the controller")
        return
    state, reason = State(status.state), Reason(status.reason)
    cause = "" if reason == Reason.NONE else f" ({reason.name})"
    yield _line("state", f"{state.name}{cause}{': ' if status.text else ''}{status.text}")
    loaded = f"{status.checkpoint} ({status.checkpoint_hash[:12]})"
    yield _line("checkpoint", loaded if status.checkpoint else "none is loaded")
    if status.checkpoint_error:
        yield _line("refused", status.checkpoint_error)
    yield _line("engine", status.engine or "none is loaded")
    yield _line("plan", _plan(status))
    yield _line(
        "ticks", f"{status.ticks} at {status.control_rate_hz:g} Hz, {status.missed_ticks} missed"
    )
    counts = zip(status.limit_names, status.limit_counts, strict=True)
    acted = ", ".join(f"{name} in {count} ticks" for name, count in counts if count)
    yield _line("limits", acted or "none has changed a command")
    yield from _streams(status)


def _plan(status: Any) -> str:
    if math.isnan(status.inference_time_s):
        return "none yet"
    latency_s = status.observation_to_command_s
    followed = "" if math.isnan(latency_s) else f", {latency_s:.3f} s from picture to command"
    return f"number {status.plan_number}, took {status.inference_time_s:.3f} s{followed}"


def _streams(status: Any) -> Iterator[str]:
    rows = zip(status.stream_names, status.stream_ages_s, status.stream_rates_hz, strict=True)
    for name, age_s, rate_hz in rows:
        age = "nothing yet" if math.isnan(age_s) else f"{age_s:.2f} s old"
        rate = "" if math.isnan(rate_hz) else f", {rate_hz:.1f} Hz"
        masked = ", planned without" if name in status.masked_streams else ""
        yield _line("stream", f"{name}: {age}{rate}{masked}")


def _line(name: str, text: str) -> str:
    return f"{name:12}{text}"


def main() -> int:
    """Run the command."""
    options = tyro.cli(StatusOptions)
    # Imported here: the help needs no ROS.
    from ddpm_controller.ros.own_signals import own_signals
    from ddpm_controller.ros.status_reader import StatusReader

    with own_signals():
        reader = StatusReader(options.namespace)
        try:
            return _show(options, reader)
        except KeyboardInterrupt:
            return 0
        finally:
            reader.close()


def _show(options: StatusOptions, reader: Any) -> int:
    console = Console(highlight=False, markup=False, soft_wrap=True)
    lifecycle = reader.lifecycle_state(options.patience_s)
    if not lifecycle:
        where = f"{options.namespace.rstrip('/')}/controller"
        domain = os.environ.get("ROS_DOMAIN_ID", "0")
        sys.stderr.write(
            f"status: there is no {where} on ROS domain {domain}; start one with `ddpm start`, "
            "or set --namespace or ROS_DOMAIN_ID\n"
        )
        return 1
    reader.spin(_SETTLE_S)
    if not options.watch:
        console.print("\n".join(status_lines(lifecycle, reader.status)))
        return 0
    with Live(console=console, auto_refresh=False) as live:
        while lifecycle:
            live.update("\n".join(status_lines(lifecycle, reader.status)), refresh=True)
            reader.spin(1.0)
            lifecycle = reader.lifecycle_state(options.patience_s)
    sys.stderr.write("status: the controller has ended\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())

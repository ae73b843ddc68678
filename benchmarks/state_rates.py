"""CPU time of a controller by the rate of the joint states that its robot sends.

The simulated robot of `reach` runs behind a joint_trajectory_controller; a controller with the
shipped policy commands it all the while. Only the CPU time of the controller process counts,
all its threads: a share of one core. What the policy costs is in every row; the difference
between two rows is what the messages cost.

    python benchmarks/state_rates.py --rates 50 125 500 1000 --duration-s 20
"""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from command_stream import controller_cpu_s, running_controller
from rich.console import Console
from rich.table import Table

from ddpm_controller.ros.graph.own_graph import use_own_domain
from ddpm_controller.ros.graph.process_command import python_command

CONTROLLER = {"command.stream": "rest_ended", "start.distance": "any"}
ROBOT = {"world": "reach", "driver": "controllers"}


@dataclass(frozen=True)
class Options:
    """Measure the CPU time of a controller.

    Attributes:
        rates: Rates of the joint states, Hz.
        duration_s: Time of each measurement, s.
        checkpoint: Folder of the checkpoint that runs.
        apart: Whether arm, gripper and base publish apart.
    """

    rates: tuple[float, ...] = (50.0, 125.0, 500.0, 1000.0)
    duration_s: float = 20.0
    checkpoint: Path = Path("models/reach")
    apart: bool = False


def measured(options: Options, rate_hz: float) -> tuple[float, float]:
    """Return the share of a core that the controller takes, and the rate that it observes, Hz."""
    how = "apart" if options.apart else "together"
    parameters = {**ROBOT, "states_hz": rate_hz, "joint_states": how}
    words = [word for name, value in parameters.items() for word in ("-p", f"{name}:={value}")]
    simulation = subprocess.Popen([*python_command("simulation"), "--ros-args", *words])
    try:
        with running_controller(options.checkpoint, CONTROLLER, {}) as stream:
            stream.listen(2.0)
            begun_s = controller_cpu_s()
            stream.listen(options.duration_s)
            used_s = controller_cpu_s() - begun_s
            names, rates_hz = stream.status.stream_names, stream.status.stream_rates_hz
            return used_s / options.duration_s, rates_hz[list(names).index("joint_state")]
    finally:
        simulation.terminate()
        simulation.wait()


def main() -> None:
    """Print a row a rate."""
    options = tyro.cli(Options)
    use_own_domain()
    table = Table("joint states, Hz", "observed, Hz", "CPU of the controller, % of a core")
    for rate_hz in options.rates:
        share, observed_hz = measured(options, rate_hz)
        observed = "-" if np.isnan(observed_hz) else f"{observed_hz:.0f}"
        table.add_row(f"{rate_hz:.0f}", observed, f"{100 * share:.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()

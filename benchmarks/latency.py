"""What a plan costs on one core: LeRobot, a plain loop of diffusers, torch here, every engine.

    python benchmarks/latency.py                        (three sizes, one and two threads)
    python benchmarks/latency.py --quick                (the small size, within a minute)
    python benchmarks/latency.py --neighbour            (beside a process that computes)

The networks have random weights and see a state of 7 and a goal of 7; a plan has 16 rows, DDIM and
10 steps. Arms take turns, plan by plan; the time is that of the processor, of all threads of an
arm's process, so what else runs counts little. Peers are in a process of their own, with packages
of their own, made at the first run (`peer_environment.py`).

The limit of a step is the longer of two times, measured here with the same number of threads:
reading the weights once, and the floating-point operations at the rate of a large product.
"""

import json
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import tyro
from latency_peers import MissingPeersError, Peers
from rich.console import Console
from rich.table import Table

from ddpm_controller.inference.engines import ENGINES
from ddpm_controller.policies.diffusion_policy.config import DiffusionPolicyConfig
from ddpm_controller.policies.diffusion_policy.network import DiffusionPolicyNetwork
from ddpm_controller.policies.diffusion_policy.policy import DiffusionPolicy
from ddpm_controller.policies.seams.strategies import SeamSettings
from ddpm_controller.policy import PlanSettings
from ddpm_controller.types import ActionSpec, Memory, Observation, StreamSpec

JOINTS = tuple("abcdefg")
UNITS = ("rad",) * 7
SPEC = ActionSpec(JOINTS, UNITS, 0.1)
STREAMS = tuple(
    StreamSpec(name, "vector", (7,), 50.0, JOINTS, UNITS) for name in ("joint_state", "goal")
)
RANGE = {"min": [-1.0] * 7, "max": [1.0] * 7}
STATISTICS = dict.fromkeys(("joint_state", "goal", "action"), RANGE)
SIZES = {"4.8 M": (64, 128, 256), "17.7 M": (128, 256, 512), "68 M": (256, 512, 1024)}
LEROBOT, DIFFUSERS = "LeRobot 0.4.4", "diffusers' loop, our network"
OLD_DEFAULT = "torch, rtc_exact"


@dataclass(frozen=True)
class Options:
    """Time plans.

    Attributes:
        sizes: Networks, by their parameters.
        threads: Numbers of threads.
        plans: Plans of each arm.
        neighbour: Have another process compute meanwhile.
        quick: Only the smallest network, one thread and few plans.
        output: File of the figures, JSON; none when left out.
    """

    sizes: tuple[str, ...] = tuple(SIZES)
    threads: tuple[int, ...] = (1, 2)
    plans: int = 40
    neighbour: bool = False
    quick: bool = False
    output: Path | None = None

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.sizes) - set(SIZES)):
            raise ValueError(f"sizes {unknown} are unknown: use some of {list(SIZES)}")


@dataclass
class Arm:
    """One way to make a plan.

    Attributes:
        plan: Makes one; returns its processor time and its wall time, s.
        evaluations: Of the network.
        note: What is special.
        times_s: Of each plan.
    """

    plan: Callable[[], tuple[float, float]]
    evaluations: int = 10
    note: str = ""
    times_s: list[tuple[float, float]] = field(default_factory=list)

    @property
    def median_s(self) -> float:
        """Processor time of a plan."""
        return statistics.median(cpu for cpu, _ in self.times_s)


class Planning:
    """Plans of one policy here, each continuing from the one before where its seam does.

    Args:
        network: Shared.
        engine: Name.
        overrides: Of its settings.
    """

    def __init__(self, network: DiffusionPolicyNetwork, engine: str, **overrides: float | str):
        settings = PlanSettings(overrides=overrides, engine=engine)
        self._policy = DiffusionPolicy(network, SPEC, settings)
        self._memory: Memory = self._policy.plan(
            _window(4.9), self._policy.initial_memory(0)
        ).memory
        self.text = self._policy.facts.engine_text

    def __call__(self) -> tuple[float, float]:
        """Make one."""
        window = _window(5.0)
        cpu_s, wall_s = time.process_time(), time.perf_counter()
        self._policy.plan(window, self._memory)
        return time.process_time() - cpu_s, time.perf_counter() - wall_s


def _window(stamp_s: float) -> list[Observation]:
    values = {name: np.full(7, 0.1) for name in ("joint_state", "goal")}
    return [Observation(stamp_s - 0.1, values), Observation(stamp_s, values)]


def arms_of(network: DiffusionPolicyNetwork, peers: Peers | None, size: str) -> dict[str, Arm]:
    """Return every arm that can be measured here."""
    arms: dict[str, Arm] = {}
    if peers is not None:
        channels = SIZES[size]
        for name in (LEROBOT, DIFFUSERS):
            peers.make(name, channels)
            arms[name] = Arm(lambda name=name: peers.plan(name))
    arms[OLD_DEFAULT] = Arm(
        Planning(network, "torch", seam="rtc_exact", expected_delay_s=0.1), note="old default"
    )
    for name in ENGINES:
        try:
            planning = Planning(network, name, seam="switch")
        except ValueError as error:
            Console().print(f"{name}: {error}", markup=False)
            continue
        arms[f"{name}, switch"] = Arm(planning, note=planning.text)
        if name == "openvino":
            joined = Planning(network, name, seam="rtc", expected_delay_s=0.1)
            arms[f"{name}, rtc"] = Arm(joined, note="the default seam")
            for steps in (2, 1):
                fewer = Planning(network, name, seam="switch", num_inference_steps=steps)
                arms[f"{name}, {steps} evaluations"] = Arm(fewer, evaluations=steps)
    return arms


def limit_s(network: DiffusionPolicyNetwork) -> float:
    """Return the least time of a denoising step, s, by memory and by arithmetic."""
    unet, flops, read = network.unet, 0, 0

    def count(layer: torch.nn.Linear, given: tuple[torch.Tensor], _: torch.Tensor) -> None:
        nonlocal flops, read
        flops += 2 * given[0].numel() // layer.in_features * layer.weight.numel()
        read += 4 * layer.weight.numel()

    linear = [each for each in unet.modules() if isinstance(each, torch.nn.Linear)]
    hooks = [each.register_forward_hook(count) for each in linear]
    with torch.no_grad():
        unet.denoise_modulated(torch.zeros(1, 16, 7), torch.zeros(1, sum(unet.modulation_sizes)))
    for hook in hooks:
        hook.remove()
    weights = torch.zeros(read // 4)
    reading_s = _shortest(lambda: torch.dot(weights, weights))
    side = 1024
    one, other = torch.ones(side, side), torch.ones(side, side)
    product_s = _shortest(lambda: one @ other)
    return max(reading_s, flops / (2 * side**3 / product_s))


def _shortest(call: Callable[[], object]) -> float:
    times = []
    for _ in range(20):
        began_s = time.perf_counter()
        call()
        times.append(time.perf_counter() - began_s)
    return min(times)


def measured(size: str, threads: int, options: Options, peers: Peers | None) -> dict[str, float]:
    """Print one table; return the figures by name."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    config = DiffusionPolicyConfig(channels=SIZES[size], seam=SeamSettings("switch"))
    network = DiffusionPolicyNetwork(config, SPEC, STREAMS, STATISTICS)
    arms = arms_of(network, peers, size)
    for number in range(options.plans + 2):
        for arm in arms.values():
            found = arm.plan()
            if number > 1:
                arm.times_s.append(found)
    least_s = limit_s(network)
    parameters = sum(each.numel() for each in network.unet.parameters())
    title = (
        f"a plan, {parameters / 1e6:.1f} M parameters, {threads} thread(s), {options.plans} plans"
        f"{', beside a busy neighbour' if options.neighbour else ''}; "
        f"a step takes at least {1e3 * least_s:.2f} ms"
    )
    _print(title, arms, least_s)
    return {
        f"{size}, {threads} thread(s), {name}, ms": round(1e3 * arm.median_s, 2)
        for name, arm in arms.items()
    } | {f"{size}, {threads} thread(s), limit of 10 steps, ms": round(1e4 * least_s, 2)}


def _print(title: str, arms: dict[str, Arm], least_s: float) -> None:
    table = Table(title=title)
    for name in ("arm", "ms of processor", "quartiles", "ms of wall", "LeRobot /", "/ limit"):
        table.add_column(name, justify="left" if name == "arm" else "right", no_wrap=True)
    peer = arms.get(LEROBOT)
    for name, arm in arms.items():
        cpu_ms = [1e3 * cpu for cpu, _ in arm.times_s]
        low, _, high = statistics.quantiles(cpu_ms, n=4)
        wall_ms = 1e3 * statistics.median(wall for _, wall in arm.times_s)
        ratio = f"{peer.median_s / arm.median_s:.2f}" if peer else "-"
        over = f"{arm.median_s / (arm.evaluations * least_s):.2f}"
        row = (f"{1e3 * arm.median_s:.1f}", f"{low:.1f} to {high:.1f}", f"{wall_ms:.1f}")
        table.add_row(name, *row, ratio, over)
    console = Console(width=140)
    console.print(table)
    for name, arm in arms.items():
        if arm.note:
            console.print(f"  {name}: {arm.note}", markup=False, highlight=False)


def _compute() -> None:
    """Multiply for ever, as a neighbour that uses caches and memory does."""
    torch.set_num_threads(1)
    one = torch.ones(1024, 1024)
    while True:
        one = (one @ one).clamp(0, 1)


@contextmanager
def neighbour(asked: bool) -> Iterator[None]:
    """Have another process compute, where that is asked for."""
    process = multiprocessing.get_context("spawn").Process(target=_compute, daemon=True)
    if asked:
        process.start()
    try:
        yield
    finally:
        if asked:
            process.kill()
            process.join()


def main(options: Options) -> None:
    """Print the tables and the figures."""
    sizes: Sequence[str] = options.sizes
    threads: Sequence[int] = options.threads
    if options.quick:
        options = Options(plans=8, neighbour=options.neighbour, output=options.output)
        sizes, threads = (next(iter(SIZES)),), (1,)
    figures: dict[str, float] = {}
    load = os.getloadavg()[0]
    with neighbour(options.neighbour):
        for count in threads:
            try:
                peers: Peers | None = Peers(count)
            except MissingPeersError as error:
                Console().print(f"{LEROBOT}, {DIFFUSERS}: not measured: {error}", markup=False)
                peers = None
            for size in sizes:
                figures |= measured(size, count, options, peers)
            if peers is not None:
                peers.close()
    if options.output:
        options.output.write_text(json.dumps(figures, indent=1) + "\n")
    sys.stdout.write(f"load before: {load:.1f}\n")
    sys.stdout.writelines(f"{name}: {value}\n" for name, value in figures.items())


if __name__ == "__main__":
    main(tyro.cli(Options))

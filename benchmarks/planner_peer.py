"""Plans a second of ours beside judo-rai 0.1.0, and what of a plan is not MuJoCo's.

Used by planners.py. The peer runs in an environment of its own, with the same MuJoCo, model,
step, candidates, iterations, horizon and knots, and with the same terms of the reward: of the Go1
all but the gait. Both plan in turns, in two processes, so that the machine is the same for both.
"""

import json
import subprocess
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
from peer_environment import environment, peer_variables
from planner_tasks import TASKS, small_planner
from planner_trot import go1_files, go1_planner
from rich.table import Table

from ddpm_controller.planners.planner import Planner
from ddpm_controller.planners.saved import PlannerFiles
from ddpm_controller.types import Observation

PINS = (
    ("mujoco==3.8.1", "numpy==2.4.6", "scipy==1.17.1", "omegaconf==2.4.0", "tyro==1.0.17"),
    ("viser==1.0.16", "h5py==3.16.0", "pillow==13.0.0", "requests==2.34.2", "rich==14.3.4"),
    ("--no-deps", "judo-rai==0.1.0"),
)
"""What is installed for the peer; of its dependencies those that planning imports."""
_DISABLED = int(mujoco.mjtDisableBit.mjDSBL_EULERDAMP)
_WITHOUT_GAIT = "terms: {height: {weight: 30, height_m: 0.29}, upright: 2, velocity: 3, turn: 1}"
_COMPARED: Mapping[str, Mapping[str, Any]] = {
    "cart-pole, 16 x 1, 50 ticks": {
        **{"reward": "cart_pole", "rollouts": 16, "iterations": 1, "steps": 50, "knots": 4},
        **{"mjcf": TASKS["cart-pole swing-up"].mjcf, "options": {"timestep": 0.02}},
        **{"sigma": 0.3, "plans": 200},
    },
    "cart-pole, 64 x 1, 50 ticks": {
        **{"reward": "cart_pole", "rollouts": 64, "iterations": 1, "steps": 50, "knots": 4},
        **{"mjcf": TASKS["cart-pole swing-up"].mjcf, "options": {"timestep": 0.02}},
        **{"sigma": 0.3, "plans": 100},
    },
    "Go1, 16 x 4, 16 ticks": {
        **{"reward": "go1", "rollouts": 16, "iterations": 4, "steps": 32, "knots": 5},
        **{"sigma": 0.1, "plans": 20},
        "options": {
            **{"timestep": 0.01, "iterations": 2, "ls_iterations": 5},
            **{"integrator": 0, "disableflags": _DISABLED},
        },
    },
    "Go1, 64 x 1, 16 ticks": {
        **{"reward": "go1", "rollouts": 64, "iterations": 1, "steps": 32, "knots": 5},
        **{"sigma": 0.1, "plans": 20},
        "options": {
            **{"timestep": 0.01, "iterations": 2, "ls_iterations": 5},
            **{"integrator": 0, "disableflags": _DISABLED},
        },
    },
}


def compared_rates(rounds: int) -> Table:
    """Return the table of plans a second: medians over rounds, each side in turns."""
    python = environment("judo", "judo-rai", PINS)
    worker = Path(__file__).parent / "planner_peer_worker.py"
    table = Table("plans a second", "ours", "ours, 2 threads", "peer", "peer, 2 threads", "ratio")
    with subprocess.Popen(
        [python, worker],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=peer_variables(),
        text=True,
    ) as peer:
        for name, request in _COMPARED.items():
            rates = _rates(peer, name, request, rounds)
            best = max(rates["ours"], rates["ours 2"])
            ratio = best / max(rates["peer"], rates["peer 2"])
            table.add_row(name, *(f"{each:.0f}" for each in rates.values()), f"{ratio:.2f}")
        assert peer.stdin is not None
        peer.stdin.close()
    return table


def _rates(
    peer: subprocess.Popen[str], name: str, request: Mapping[str, Any], rounds: int
) -> dict[str, float]:
    request = {"mjcf": "" if request["reward"] == "cart_pole" else go1_files().model, **request}
    ours = {"ours": _planner(request, 0), "ours 2": _planner(request, 2)}
    found: dict[str, list[float]] = {key: [] for key in ("ours", "ours 2", "peer", "peer 2")}
    for _ in range(rounds):
        for key, planner in ours.items():
            found[key].append(request["plans"] / _planned_s(planner, request["plans"]))
        for key, threads in (("peer", 0), ("peer 2", 2)):
            asked = {**request, "name": f"{name} {threads}", "threads": threads}
            assert peer.stdin is not None
            assert peer.stdout is not None
            peer.stdin.write(json.dumps(asked) + "\n")
            peer.stdin.flush()
            found[key].append(request["plans"] / float(peer.stdout.readline()))
    return {key: float(np.median(each)) for key, each in found.items()}


def _planner(request: Mapping[str, Any], threads: int) -> Planner:
    changes = {
        **{
            "rollouts": request["rollouts"],
            "iterations": request["iterations"],
            "threads": threads,
        },
        **{"knots": request["knots"]},
    }
    if request["reward"] == "cart_pole":
        mjcf = request["mjcf"].replace('timestep="0.01"', 'timestep="0.02"')
        task = replace(TASKS["cart-pole swing-up"], mjcf=mjcf)
        return small_planner(task, "mppi", {**changes, "horizon": request["steps"]})
    files = PlannerFiles(go1_files().model, _WITHOUT_GAIT)
    return go1_planner(changes, files=files)


def _planned_s(planner: Planner, plans: int) -> float:
    """Return the time of plans of a robot at rest, one after the other."""
    memory, shown = planner.initial_memory(0), planner.facts.warm_up_window[0].values
    memory = planner.plan([Observation(0.0, shown)], memory).memory
    begin = time.perf_counter()
    for number in range(1, plans + 1):
        memory = planner.plan([Observation(0.02 * number, shown)], memory).memory
    return time.perf_counter() - begin


def share_outside(planner: Planner, plans: int) -> tuple[float, float]:
    """Return the median time of a plan of a walking Go1, and of what is outside of MuJoCo."""
    pool = _Timed(planner._rollouts._pool.rollout_)
    planner._rollouts._pool.rollout_ = pool
    memory, shown = planner.initial_memory(0), planner.facts.warm_up_window[0].values
    shown = {**shown, "cmd_vel": np.array([0.8, 0.0, 0.0])}
    totals_s, outside_s = [], []
    for number in range(plans):
        pool.spent_s, begin = 0.0, time.perf_counter()
        plan = planner.plan([Observation(0.02 * number, shown)], memory)
        totals_s.append(time.perf_counter() - begin)
        outside_s.append(totals_s[-1] - pool.spent_s)
        memory = plan.memory
    return float(np.median(totals_s)), float(np.median(outside_s))


class _Timed:
    """A pool whose rollouts are timed."""

    def __init__(self, pool: Any) -> None:
        self._pool, self.spent_s = pool, 0.0

    def rollout(self, *arguments: Any) -> None:
        begin = time.perf_counter()
        self._pool.rollout(*arguments)
        self.spent_s += time.perf_counter() - begin

"""The faults of the campaign: how each is injected and mended."""

import contextlib
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from fault_graph import FaultGraph, send_signal

from ddpm_controller.bags.reading.unfinished import MARK, ROOM_BYTES
from ddpm_controller.checkpoint import load_checkpoint, save_checkpoint
from ddpm_controller.policy import PlanSettings
from ddpm_controller.ros.graph.own_graph import parameter_file
from ddpm_controller.ros.graph.process_command import python_command
from ddpm_controller.ros.graph.supervisor import started
from ddpm_controller.systems import restore
from ddpm_controller.types import Observation

_WARM_S = 3.0
"""Time in which a process that stands by has begun."""
SECOND = "a second commander"
_RECORDER_S = 60.0
"""Time for a recorder to end once its disk is full, on a machine however busy."""
_MOVES = 0.02
"""The robot moves when a joint is faster than this share of its velocity limit."""


def _say(part: str, word: str) -> Callable[[FaultGraph], float]:
    def say(graph: FaultGraph) -> float:
        graph.parts[part].say(word)
        return time.time()

    return say


def _signal(process: str, number: int) -> Callable[[FaultGraph], float]:
    def send(graph: FaultGraph) -> float:
        return send_signal(getattr(graph, f"{process}_pid"), number)

    return send


def _kill_commanding(graph: FaultGraph) -> float:
    """Kill the process that commands, once another one stands by again."""
    while "standby" not in graph.processes:
        graph.listen(0.5)
    graph.listen(_WARM_S)
    graph.wait_until_moving(_MOVES)
    return send_signal(graph.command_pid, signal.SIGKILL)


def _kill(part: str) -> Callable[[FaultGraph], float]:
    def kill(graph: FaultGraph) -> float:
        graph.parts[part].kill()
        return time.time()

    return kill


def _nothing(graph: FaultGraph) -> str:
    return ""


def _inject_nothing(graph: FaultGraph) -> float:
    return time.time()


def _well(part: str) -> Callable[[FaultGraph], str]:
    def end(graph: FaultGraph) -> str:
        graph.parts[part].say("ok")
        return ""

    return end


def _go_on(process: str) -> Callable[[FaultGraph], str]:
    def send(graph: FaultGraph) -> str:
        send_signal(getattr(graph, f"{process}_pid"), signal.SIGCONT)
        return ""

    return send


def _restart_cameras(graph: FaultGraph) -> str:
    graph.parts["cameras"].begin()
    graph.wait_for_part("cameras")
    return ""


def _restart_joints(graph: FaultGraph) -> str:
    """The robot is where it was."""
    graph.parts["joints"].begin(*graph.led.position)
    graph.wait_for_part("joints")
    return ""


def _slow_plan(graph: FaultGraph) -> float:
    """Take a checkpoint over whose plans need 5 s; the fault begins when it is in use."""
    folder = graph.folder / "slow"
    if not folder.exists():
        _save_slow(graph.checkpoint, folder)
    return graph.load(folder)


def _save_slow(checkpoint: Path, folder: Path, plan_s: float = 5.0) -> None:
    """Write a checkpoint with so many denoising steps that a plan takes ``plan_s`` here."""
    good = load_checkpoint(checkpoint)
    policy = restore(good, PlanSettings())
    kinds = {"image": np.uint8, "vector": np.float64}
    values = {each.name: np.zeros(each.shape, kinds[each.kind]) for each in policy.facts.streams}
    window, memory = (
        (Observation(0.0, values),) * policy.facts.n_obs_steps,
        policy.initial_memory(0),
    )
    policy.plan(window, memory)
    began_s = time.monotonic()
    policy.plan(window, memory)
    a_step_s = (time.monotonic() - began_s) / good.manifest.config["num_inference_steps"]
    steps = int(plan_s / a_step_s)
    manifest = good.manifest
    save_checkpoint(
        folder,
        kind=manifest.kind,
        config={
            **manifest.config,
            "num_train_timesteps": steps,
            "num_inference_steps": steps,
            "seam": {"strategy": "switch"},  # a plan that goes on takes no longer than the first
        },
        action_spec=manifest.action_spec,
        streams=manifest.streams,
        statistics=manifest.statistics,
        provenance={},
        weights=good.weights,
    )


def _swap_back(graph: FaultGraph) -> str:
    graph.load(graph.checkpoint)
    return ""


def _delete_while_loading(graph: FaultGraph) -> float:
    folder = Path(tempfile.mkdtemp(dir=graph.folder)) / "copy"
    shutil.copytree(graph.checkpoint, folder)
    graph.ask_for(folder)
    graph.listen(float(np.random.default_rng().uniform(0.0, 0.1)))
    shutil.rmtree(folder)
    return time.time()


def _record_to_small_disk(graph: FaultGraph) -> float:
    disk = graph.folder / "disk"
    disk.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=36m", "tmpfs", str(disk)]
    subprocess.run(mount, check=True, capture_output=True)
    words = ["--output", str(disk / "bag"), "--robot", str(graph.robot)]
    graph.recorder = subprocess.Popen(
        [*python_command("record"), *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    return time.time()


def _recorder_ended(graph: FaultGraph) -> str:
    assert graph.recorder is not None
    disk, end_s = graph.folder / "disk", time.monotonic() + _RECORDER_S
    while graph.recorder.poll() is None and time.monotonic() < end_s:
        _fill_beside_recorder(disk)
        graph.listen(0.1)
    ended = graph.recorder.poll()
    graph.recorder.kill()
    text = " ".join(graph.recorder.communicate()[0].decode(errors="replace").split())
    subprocess.run(["umount", "-l", str(disk)], check=True)
    if ended is None:
        return f"recorder: not ended within {_RECORDER_S:.0f} s, it printed {text[-200:]!r}"
    said = "No space left" in text
    return f"recorder: exit code {ended}, {'told' if said else 'not told'}"


def _fill_beside_recorder(disk: Path) -> None:
    """Fill what a recorder has left free once it records.

    Pictures of a simulation are compressed to a thousandth: alone it would need a minute or more
    to fill a few megabytes, the longer the busier the machine.
    """
    mark = disk / "bag" / MARK
    if not mark.exists() or mark.stat().st_size < ROOM_BYTES:
        return
    with contextlib.suppress(OSError), (disk / "other").open("ab", buffering=0) as other:
        while other.write(bytes(4096)):
            pass


class _SecondCommander:
    """Another controller of the same arm; it has to keep quiet, or the first one has to."""

    def __init__(self) -> None:
        self._stack = ExitStack()

    def begin(self, graph: FaultGraph) -> float:
        """Start it; return when."""
        parameters = {"control_rate_hz": 100.0, "run_on_activate": True, "start.distance": "any"}
        arguments = {
            "checkpoint": str(graph.checkpoint),
            "params_file": self._stack.enter_context(parameter_file(parameters)),
            "robot": str(graph.robot),
            "log_level": "fatal",
        }
        self._stack.enter_context(started("controller", arguments))
        return graph.statuses[-1][0]

    def end(self, graph: FaultGraph) -> str:
        """End it."""
        self._stack.close()
        return ""


@dataclass(frozen=True)
class Fault:
    """One way to go wrong.

    Attributes:
        name: Key of its results.
        begin: Injects it and returns when.
        end: Mends it and returns a note.
        lasts_s: From one to the other; 0: it mends itself.
        variant: Of the graph.
    """

    name: str
    begin: Callable[[FaultGraph], float]
    end: Callable[[FaultGraph], str] = _nothing
    lasts_s: float = 2.0
    variant: str = "plain"


_second = _SecondCommander()
FAULTS = (
    Fault("controller killed", _signal("controller", signal.SIGKILL), lasts_s=0.0),
    Fault("command process killed", _kill_commanding, lasts_s=0.0),
    Fault("cameras killed", _kill("cameras"), _restart_cameras),
    Fault("joint states killed", _kill("joints"), _restart_joints),
    Fault("frozen camera", _say("cameras", "frozen"), _well("cameras"), 3.0),
    Fault("NaN joint", _say("joints", "nan_position"), _well("joints"), 1.0),
    Fault("wrong joint names", _say("joints", "wrong_names"), _well("joints"), 1.0),
    Fault("reordered joints", _say("joints", "reordered"), _well("joints"), 1.0),
    Fault("missing joint", _say("joints", "missing_joint"), _well("joints"), 1.0),
    Fault("joint at 1e6 rad", _say("joints", "far_joint"), _well("joints"), 1.0),
    Fault("joint jumps by 1 rad", _say("joints", "jumping_joint"), _well("joints"), 1.0),
    Fault("joint twice", _say("joints", "joint_twice"), _well("joints"), 1.0),
    Fault("image size", _say("cameras", "other_size"), _well("cameras"), 1.0),
    Fault("image encoding", _say("cameras", "other_encoding"), _well("cameras"), 1.0),
    Fault("burst of 10 000 messages", _say("joints", "burst"), lasts_s=1.0),
    Fault("controller SIGSTOP 2 s", _signal("controller", signal.SIGSTOP), _go_on("controller")),
    Fault("command SIGSTOP 2 s", _signal("command", signal.SIGSTOP), _go_on("command")),
    Fault("checkpoint deleted", _delete_while_loading, lasts_s=3.0),
    Fault("disk full", _record_to_small_disk, _recorder_ended, 1.0),
    Fault("plan takes 5 s", _slow_plan, _swap_back, 6.0),
    Fault("garbage JPEG", _say("cameras", "garbage_jpeg"), _well("cameras"), 1.0, "compressed"),
    Fault("clock 5 s back", _say("clock", "back"), lasts_s=0.0, variant="simulated"),
    Fault("clock 5 s forth", _say("clock", "forth"), lasts_s=0.0, variant="simulated"),
    Fault("clock pauses 2 s", _say("clock", "pause"), _well("clock"), variant="simulated"),
    Fault(SECOND, _second.begin, _second.end, lasts_s=12.0),
    # The control arm; last, for the moments of the others come from their place in this list.
    Fault("nothing", _inject_nothing, lasts_s=1.0),
)

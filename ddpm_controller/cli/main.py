"""The command `ddpm`: one name on the PATH, every command of the package behind it.

Nothing but the table of commands is imported until one has been chosen.
"""

import difflib
import importlib
import importlib.metadata
import os
import sys
from collections.abc import Sequence

from ddpm_controller.ros.graph.executables import EXECUTABLES, NODES, THREADS
from ddpm_controller.ros.graph.transports import stay_here

COMMANDS = {
    "Run on a robot or in simulation": {
        "demo": "Run the shipped policy on a few simulated episodes over ROS.",
        "start": "Start a graph of nodes without launch, for example `ddpm start arm`.",
        "new_robot": "Write a first robot file, from a running robot or from a bag.",
        "doctor": "Compare what runs, or a bag, with a robot file and a checkpoint.",
        "status": "Show what a running controller does and why.",
        "controller": "ROS node: observations in, plans, limited commands out.",
        "trainer": "ROS node: trains when its action is called.",
        "simulation": "ROS node: a robot in a simulated world.",
    },
    "Demonstrate, train, evaluate": {
        "walk": "Record demonstrations, train and evaluate in one go.",
        "demonstrate": "Record demonstrations of a scripted expert, one bag per episode.",
        "pusht_demonstrations": "Turn the published human demonstrations of PushT into bags.",
        "lint": "Show what is wrong or doubtful in bags.",
        "index": "Keep the episodes of many bags, read by several processes.",
        "train": "Train a policy from bags.",
        "check": "Compare the plans of a checkpoint with recordings; nothing moves.",
        "export": "Compile a checkpoint for every engine, compare and measure them.",
        "distill": "Teach a copy of a checkpoint to plan in one or two evaluations.",
        "evaluate": "Try a checkpoint in closed loop on matched seeds.",
        "evaluate_nll": "Bound the negative log-likelihood of recorded episodes.",
    },
    "Plan without training": {
        "make_planner": "Make a checkpoint that searches its plans in a model.",
        "compare_rollouts": "Compare solver settings of a planner's rollouts.",
    },
    "Record and replay": {
        "record": "Record a running controller into a bag.",
        "replay": "Make the plans and commands of a recorded run again and compare them.",
        "export_lerobot": "Write bags as a LeRobot data set.",
        "import_lerobot": "Turn a LeRobot data set into bags.",
        "import_lerobot_policy": "Turn a diffusion policy of LeRobot into a checkpoint.",
    },
    "Measure and fit": {
        "calibrate_latency": "Measure the latencies of a robot and write its robot file.",
        "fit_noise": "Learn the noise of recordings.",
        "fit_out_of_distribution": "Fit what a checkpoint finds unlike its training data.",
        "fit_state_reset": "Learn which departure from a plan resets what a policy remembers.",
    },
}
"""Group -> name -> one line for ``ddpm --help``; the modules are those of EXECUTABLES."""

TRACEBACK = "DDPM_TRACEBACK"
"""Environment variable: where it is set, an error is shown with the lines that led to it."""
_REPEATED = ("--set", "--feature")
"""Options that are given once for each value; the others take all of theirs at once."""
_USAGE = """\
usage: ddpm COMMAND [OPTIONS]

A receding-horizon diffusion-policy controller for ROS 2. `ddpm COMMAND --help` explains one.
"""


def help_text() -> str:
    """Return the text of ``ddpm --help``."""
    lines = [_USAGE]
    for group, commands in COMMANDS.items():
        lines.append(f"{group}:")
        lines += [f"  {shown(name):24} {text}" for name, text in commands.items()]
        lines.append("")
    return "\n".join(lines)


def shown(executable: str) -> str:
    """Return an executable's name as it is typed after ``ddpm``: with dashes."""
    return executable.replace("_", "-")


def main(words: Sequence[str] | None = None) -> int:
    """Run ``ddpm COMMAND [OPTIONS]``; the exit code is the command's, 2 for an unknown one."""
    words = sys.argv[1:] if words is None else words
    if not words or words[0] in ("-h", "--help"):
        sys.stdout.write(help_text())
        return 0 if words else 2
    if words[0] == "--version":
        sys.stdout.write(f"{importlib.metadata.version('ddpm_controller')}\n")
        return 0
    name = words[0].replace("-", "_")
    if name not in EXECUTABLES:
        near = difflib.get_close_matches(name, EXECUTABLES, n=3)
        hint = f"did you mean {', '.join(map(shown, near))}?" if near else "see `ddpm --help`"
        sys.stderr.write(f"ddpm: there is no command {words[0]!r}; {hint}\n")
        return 2
    if name in NODES and {"-h", "--help"} & set(words[1:]):
        from ddpm_controller.cli.node_help import node_help

        sys.stdout.write(node_help(name))
        return 0
    if name not in NODES and (twice := _given_twice(words[1:])):
        sys.stderr.write(
            f"ddpm {shown(name)}: {twice} is given twice, and only the last one would count: put "
            f"all of its values behind one {twice}\n"
        )
        return 2
    return _run(name, words[1:])


def _given_twice(words: Sequence[str]) -> str:
    names = [word.partition("=")[0] for word in words if word.startswith("--")]
    twice = (name for name in names if names.count(name) > 1 and name not in _REPEATED)
    return next(twice, "")


def _run(name: str, words: Sequence[str]) -> int:
    module, function = EXECUTABLES[name].split(":")
    for variable, value in THREADS.items():
        os.environ.setdefault(variable, value)
    stay_here()
    # What tyro and rclpy read, and what a usage line begins with.
    sys.argv = [f"ddpm {shown(name)}", *words]
    try:
        code: int = getattr(importlib.import_module(module), function)()
    except (OSError, ValueError, RuntimeError, MemoryError) as error:
        # What was given cannot be used; a mistake in this package is of another type.
        if os.environ.get(TRACEBACK):
            raise
        from ddpm_controller.given_files import one_line  # it takes a moment to import

        text = one_line(error) or type(error).__name__
        sys.stderr.write(f"ddpm {shown(name)}: {text} (all of it: {TRACEBACK}=1)\n")
        return 1
    return code


if __name__ == "__main__":
    sys.exit(main())

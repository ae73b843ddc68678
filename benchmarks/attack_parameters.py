"""Parameters of the controller, options of commands and fields of recipes that cannot be."""

import contextlib
import importlib
import io
import math
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from attack_cases import Case

from ddpm_controller.cli.main import main as ddpm
from ddpm_controller.ros.controller.parameters import ControllerParameters
from ddpm_controller.ros.graph.executables import EXECUTABLES
from ddpm_controller.ros.parameters import Declared, declarations, fields_from
from ddpm_controller.share import share_path
from ddpm_controller.training.config import TrainingError, read_training_config

NUMBERS = (math.nan, math.inf, -math.inf, 1e300, -1e300, 0.0, -0.0, -1.0, 5e-324)
OTHERS = (True, "", "text", "nan", [], [1.0], "as_robot_file", "never", 2**62, -(2**62))
RECIPE = Path(share_path("config/training/reach.yaml"))


def parameter_cases(seed: int, repeats: int) -> Iterator[Case]:
    """Give every parameter with every value that it may not have, and random sets of them."""
    declared = declarations(ControllerParameters)
    for each in declared:
        for value in (*NUMBERS, *OTHERS):
            run = partial(_set, {each.name: value})
            yield Case("parameters: one", f"{each.name}={value!r}", run, _wanted(each, value))
    for repeat in range(40 * repeats):
        run = partial(_random_set, declared, (seed, repeat))
        yield Case("parameters: sets", str(repeat), run)
    yield from _recipe_cases()
    yield from _command_cases()


def _wanted(declared: Declared, value: object) -> Any:
    """Return refused for numbers that are none; rclpy itself refuses another type or range."""
    is_number = declared.kind in (float, int) and not declared.words
    if not is_number or isinstance(value, bool) or not isinstance(value, float):
        return "either"
    return "refused" if math.isnan(value) or math.isinf(value) else "either"


def _refused_by_rclpy(declared: Mapping[str, Declared], values: Mapping[str, Any]) -> str:
    """Return why rclpy does not hand a value on: its type or its range."""
    for name, value in values.items():
        each = declared[name]
        if each.words:
            continue
        if each.kind is tuple:
            if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
                return f"{name}: type {type(value).__name__}"
            continue
        kinds = (float,) if each.kind is float else (each.kind,)
        if type(value) not in kinds:
            return f"{name}: type {type(value).__name__}"
        if each.kind in (float, int) and (each.low is not None or each.high is not None):
            low = -1e308 if each.low is None else each.low
            high = 1e308 if each.high is None else each.high
            if not low <= value <= high:
                return f"{name}: {value} is not from {low} to {high}"
    return ""


def _set(values: Mapping[str, Any], folder: Path) -> str:
    """Set parameters as a request would, first by rclpy's rules and then by ours."""
    declared = {each.name: each for each in declarations(ControllerParameters)}
    if refused := _refused_by_rclpy(declared, values):
        return refused
    try:
        fields = fields_from(ControllerParameters, values)
        parameters = replace(ControllerParameters(), **fields)
    except ValueError as error:
        return str(error)
    wrong = [
        name
        for name in fields
        if isinstance(getattr(parameters, name), float) and math.isnan(getattr(parameters, name))
    ]
    return f"UNSAFE {wrong} taken as NaN" if wrong else ""


def _random_set(declared: list[Declared], seeds: tuple[int, int], folder: Path) -> str:
    random = np.random.default_rng(seeds)
    chosen = random.choice(len(declared), size=int(random.integers(2, 6)), replace=False)
    values = (*NUMBERS, *OTHERS)
    picked = {declared[i].name: values[int(random.integers(len(values)))] for i in chosen}
    return _set(picked, folder)


# Recipes

_RECIPES = {
    "no mapping": "- 1\n",
    "kind a list": "kind: [1]\n",
    "kind unknown": "kind: other\n",
    "policy a number": "policy: 5\n",
    "policy a list": "policy: [1]\n",
    "unknown key": "num_step: 5\n",
    "key twice": "seed: 1\nseed: 2\n",
    "steps 0": "num_steps: 0\n",
    "steps a word": "num_steps: many\n",
    "steps infinite": "num_steps: .inf\n",
    "rate not a number": "learning_rate: .nan\n",
    "threads 0": "torch_num_threads: 0\n",
    "betas three": "betas: [0.9, 0.9, 0.9]\n",
    "precision": "precision: float8\n",
    "horizon": "policy: {horizon: -1}\n",
    "noise missing": "policy: {noise: none.json}\n",
    "noise a recipe": "policy: {noise: recipe.yaml}\n",
    "a date": "seed: 2026-99-99\n",
}


def _recipe_cases() -> Iterator[Case]:
    for name, text in _RECIPES.items():
        yield Case("parameters: recipes", name, partial(_recipe, text), "refused")
    yield Case("parameters: recipes", "shipped", partial(_recipe, RECIPE.read_text()), "taken")


def _recipe(text: str, folder: Path) -> str:
    path = folder / "recipe.yaml"
    path.write_text(text)
    try:
        read_training_config(path)
    except TrainingError as error:
        return str(error)
    return ""


# Commands

_MODEL, _ARM = str(share_path("models/reach")), str(share_path("config/robots/sim_arm.yaml"))
_COMMANDS = {
    "replay: no bag": ["replay", "none", "--checkpoint", _MODEL],
    "replay: threads": ["replay", "none", "-c", _MODEL, "--torch-num-threads", "0"],
    "replay: device": ["replay", "none", "-c", _MODEL, "--device", "toaster"],
    "replay: no cuda": ["replay", "none", "-c", _MODEL, "--device", "cuda:77"],
    "replay: robot": ["replay", "none", "-c", _MODEL, "--robot", "none.yaml"],
    "nll: output": [
        "evaluate-nll",
        "--checkpoint",
        _MODEL,
        "--bags",
        "none",
        "--output",
        "/proc/x",
    ],
    "nll: threads": [
        *("evaluate-nll", "--checkpoint", _MODEL, "--bags", "none"),
        *("--torch-num-threads", "-1"),
    ],
    "nll: ticks": ["evaluate-nll", "--checkpoint", _MODEL, "--bags", "none", "--ticks", "1"],
    "evaluate: threads": ["evaluate", "--world", "reach", "--torch-num-threads", "100000"],
    "evaluate: output": ["evaluate", "--world", "reach", "--output", "/proc/x"],
    "evaluate: checkpoint": ["evaluate", "--world", "reach", "--checkpoint", "none"],
    "evaluate: trials": ["evaluate", "--world", "reach", "--trials", "0"],
    "train: recipe": ["train", "--bags", "none", "--config", "none", "--output", "x"],
    "train: bags": ["train", "--bags", "none", "--config", str(RECIPE), "--output", "x"],
    "train: device": [
        *("train", "--bags", "none", "--config", str(RECIPE), "--output", "x"),
        *("--device", "toaster"),
    ],
    "fit noise": ["fit-noise", "none", "--output", "x.json"],
    "fit reset: threads": [
        *("fit-state-reset", "--checkpoint", _MODEL, "--bags", "none"),
        *("--torch-num-threads", "0"),
    ],
    "demonstrate: output": [
        *("demonstrate", "--world", "reach", "--in-process", "--episodes", "1"),
        *("--output", "/proc/x"),
    ],
    "start: graph": ["start", "none"],
    "start: argument": ["start", "controller", "no_such:=1"],
    "start: world": ["start", "arm", "world:=none"],
    "status: patience": ["status", "--patience-s", "nan"],
    "record: robot": ["record", "--robot", "none.yaml", "--output", "x"],
    "no command": ["contoller"],
}


def _command_cases() -> Iterator[Case]:
    for words in _COMMANDS.values():  # what it takes to import them is not what is measured
        if target := EXECUTABLES.get(words[0].replace("-", "_")):
            importlib.import_module(target.split(":")[0])
    for name, words in _COMMANDS.items():
        yield Case("parameters: commands", name, partial(_command, words), "refused")


def _command(words: list[str], folder: Path) -> str:
    """Run a command in an empty folder; return the last line of what it says when it refuses."""
    said = io.StringIO()
    sys.stdout = sys.stderr = said
    with contextlib.chdir(folder):
        try:
            code = ddpm(words)
        except SystemExit as ended:  # tyro's way to refuse an option
            code = ended.code
    text = said.getvalue()
    if "Traceback" in text:
        raise RuntimeError(text[-300:])
    if code == 0:
        return ""
    lines = [line.strip("│╭╰─╮╯ ") for line in text.splitlines()]
    return next((line for line in reversed(lines) if line), "UNSAFE nothing was said")

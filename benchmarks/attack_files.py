"""Files that are wrong: robot file, joint limits, URDF, recipe, checkpoint, noise."""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from attack_cases import Case
from safetensors.torch import save

from ddpm_controller import checkpoint as checkpoints
from ddpm_controller.checkpoint import CheckpointError
from ddpm_controller.diffusion.recorded.noise_file import NoiseFileError, load_noise
from ddpm_controller.given_files import MOST_NESTING, MOST_NODES, MOST_TEXT_BYTES
from ddpm_controller.robots.joint_limits_file import JointLimitsFileError, read_given_limits
from ddpm_controller.robots.robot import RobotError, joint_limits, load_robot
from ddpm_controller.share import share_path
from ddpm_controller.systems import restore
from ddpm_controller.training.config import TrainingError, read_training_config

ROBOT = Path(share_path("config/robots/sim_arm.yaml"))
LIMITS = load_robot(ROBOT).limits_file or ROBOT
RECIPE = Path(share_path("config/training/reach.yaml"))
CHECKPOINT = Path(share_path("models/reach"))
URDF = """<robot name="two">
  <link name="base"/><link name="arm"/><link name="tip"/>
  <joint name="turn" type="revolute">
    <parent link="base"/><child link="arm"/>
    <limit lower="-3.1" upper="3.1" velocity="2.0" effort="10"/>
  </joint>
  <joint name="slide" type="prismatic">
    <parent link="arm"/><child link="tip"/>
    <limit lower="0.0" upper="0.4" velocity="0.5" effort="10"/>
  </joint>
</robot>
"""
MISTAKES = (
    "nan",
    ".nan",
    ".inf",
    "-1",
    "0",
    "1e300",
    "",
    "[]",
    "{}",
    "true",
    "text",
    "~",
    "!!x 1",
)


@dataclass(frozen=True)
class Reader:
    """One kind of file and who reads it.

    Attributes:
        text: A good one.
        read: Reads a path; raises one of ``errors``.
        errors: What it may raise.
        suffix: Of the file.
    """

    text: str
    read: Callable[[Path], object]
    errors: tuple[type[Exception], ...]
    suffix: str = ".yaml"


def _robot(path: Path) -> None:
    if path.is_file():
        beside = path.parent / LIMITS.relative_to(ROBOT.parent)
        beside.parent.mkdir(exist_ok=True)
        shutil.copy(LIMITS, beside)
    load_robot(path)


def _urdf(path: Path) -> None:
    joint_limits(path.read_text(encoding="utf-8", errors="replace"), ("turn", "slide"))


READERS: Mapping[str, Reader] = {
    "robot file": Reader(ROBOT.read_text(), _robot, (RobotError,)),
    "joint limits": Reader(LIMITS.read_text(), read_given_limits, (JointLimitsFileError,)),
    "robot description": Reader(URDF, _urdf, (RobotError,), ".urdf"),
    "recipe": Reader(RECIPE.read_text(), read_training_config, (TrainingError,)),
    "noise file": Reader('{"kind": "recorded_noise"}', load_noise, (NoiseFileError,), ".json"),
}


def file_cases(seed: int, repeats: int) -> Iterator[Case]:
    """Give the cases of all kinds of files; ``repeats`` of each random change."""
    for kind, reader in READERS.items():
        for change, make in CHANGES.items():
            for repeat in range(repeats):
                run = partial(_changed, reader, make, (seed, repeat))
                yield Case(f"file: {kind}", f"{change} {repeat}", run)
        yield from _guards(kind, reader)
    yield from _looser_limits()
    yield from _descriptions()
    yield from _checkpoint_cases(seed, repeats)


def _refusal(reader: Reader, path: Path) -> str:
    try:
        reader.read(path)
    except reader.errors as error:
        return str(error)
    return ""


def _changed(
    reader: Reader,
    make: Callable[[str, np.random.Generator], str | bytes],
    seeds: tuple[int, int],
    folder: Path,
) -> str:
    text = make(reader.text, np.random.default_rng(seeds))
    path = folder / f"file{reader.suffix}"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "replace"))
    return _refusal(reader, path)


def _cut(text: str, random: np.random.Generator) -> str:
    return text[: int(random.integers(len(text)))]


def _bytes(text: str, random: np.random.Generator) -> bytes:
    content = bytearray(text.encode())
    for place in random.integers(len(content), size=int(random.integers(1, 6))):
        content[place] = int(random.integers(256))
    return bytes(content)


def _line_gone(text: str, random: np.random.Generator) -> str:
    lines = text.splitlines()
    del lines[int(random.integers(len(lines)))]
    return "\n".join(lines)


def _line_twice(text: str, random: np.random.Generator) -> str:
    lines = text.splitlines()
    place = int(random.integers(len(lines)))
    return "\n".join([*lines[: place + 1], *lines[place:]])


def _moved_line(text: str, random: np.random.Generator) -> str:
    lines = text.splitlines()
    line = lines.pop(int(random.integers(len(lines))))
    lines.insert(int(random.integers(len(lines) + 1)), line)
    return "\n".join(lines)


def _value(text: str, random: np.random.Generator) -> str:
    lines = text.splitlines()
    with_value = [i for i, line in enumerate(lines) if ": " in line]
    if not with_value:
        return str(random.choice(MISTAKES))
    i = int(random.choice(with_value))
    lines[i] = f"{lines[i].split(': ')[0]}: {random.choice(MISTAKES)}"
    return "\n".join(lines)


def _letter(text: str, random: np.random.Generator) -> str:
    place = int(random.integers(len(text)))
    return text[:place] + chr(int(random.integers(97, 123))) + text[place + 1 :]


CHANGES: Mapping[str, Callable[[str, np.random.Generator], str | bytes]] = {
    "cut": _cut,
    "bytes": _bytes,
    "line gone": _line_gone,
    "line twice": _line_twice,
    "line moved": _moved_line,
    "value": _value,
    "letter": _letter,
}


def _guards(kind: str, reader: Reader) -> Iterator[Case]:
    """Give the ways in which no file may be; what is at its limit is tried by the tests."""

    def pipe(folder: Path) -> str:
        os.mkfifo(folder / "file")
        return _refusal(reader, folder / "file")

    def written(text: str) -> Callable[[Path], str]:
        return lambda folder: _changed(reader, lambda *_: text, (0, 0), folder)

    name = f"file: {kind}"
    if reader.suffix != ".urdf":  # it comes as a message
        yield Case(name, "a pipe", pipe, "refused")
        yield Case(name, "a folder", lambda folder: _refusal(reader, folder), "refused")
        yield Case(name, "missing", lambda f: _refusal(reader, f / "none"), "refused")
        if kind != "noise file":
            text = " " * (MOST_TEXT_BYTES + 1)
            yield Case(name, "a byte too large", written(text), "refused")
    nested = "[" * (MOST_NESTING + 1) + "]" * (MOST_NESTING + 1)
    yield Case(name, "nested one too deep", written(nested), "refused")
    rows = MOST_NODES // 100 + 1
    aliases = (
        f"a: &x [{', '.join('1' for _ in range(99))}]\nb: [{', '.join('*x' for _ in range(rows))}]"
    )
    yield Case(name, "one alias too many", written(aliases), "refused")
    yield Case(name, "empty", written(""), "refused")
    yield Case(name, "not text", written("\ud800"), "refused")


_JOINT = "joint_limits:\n  turn:\n    has_velocity_limits: true\n    max_velocity: 1.0\n"


def _looser_limits() -> Iterator[Case]:
    """Give joint-limits files that would loosen a limit silently."""
    texts = {
        "joint misspelt": _JOINT.replace("turn", "trun"),
        "key misspelt": _JOINT.replace("max_velocity", "max_velocty"),
        "flag misspelt": _JOINT.replace("has_velocity_limits", "has_velocity_limit"),
        "flag gone": _JOINT.replace("    has_velocity_limits: true\n", ""),
        "key twice": _JOINT + "    max_velocity: 9.0\n",
        "joint twice": _JOINT + "  turn:\n    has_velocity_limits: true\n    max_velocity: 9.0\n",
        "infinite": _JOINT.replace("1.0", ".inf"),
        "not a number": _JOINT.replace("1.0", ".nan"),
        "a switch": _JOINT.replace("1.0", "true"),
        "negative": _JOINT.replace("1.0", "-1.0"),
        "nothing in common": _JOINT + "    min_position: 5.0\n    max_position: 6.0\n",
        "crossed": _JOINT + "    min_position: 1.0\n    max_position: -1.0\n",
    }
    for name, text in texts.items():
        run = partial(_limits_refused, text, URDF)
        yield Case("file: looser limits", name, run, "refused")
    yield Case("file: looser limits", "good", partial(_limits_refused, _JOINT, URDF), "taken")


def _limits_refused(text: str, urdf: str, folder: Path) -> str:
    (folder / "limits.yaml").write_text(text)
    try:
        joint_limits(urdf, ("turn", "slide"), read_given_limits(folder / "limits.yaml"))
    except (RobotError, JointLimitsFileError) as error:
        return str(error)
    return ""


def _descriptions() -> Iterator[Case]:
    """Give descriptions whose commanded joint cannot be commanded as it stands there."""
    joint = URDF[URDF.index('  <joint name="turn"') : URDF.index('  <joint name="slide"')]
    changes = {
        "fixed": ('type="revolute"', 'type="fixed"'),
        "unknown type": ('type="revolute"', 'type="revolut"'),
        "no velocity": (' velocity="2.0"', ""),
        "velocity 0": ('velocity="2.0"', 'velocity="0"'),
        "velocity infinite": ('velocity="2.0"', 'velocity="inf"'),
        "velocity a word": ('velocity="2.0"', 'velocity="fast"'),
        "crossed": ('lower="-3.1"', 'lower="3.2"'),
        "joint misspelt": ('name="turn"', 'name="trun"'),
        "joint twice": (joint, joint + joint),
        "attribute twice": ('lower="-3.1"', 'lower="-3.1" lower="-6"'),
        "limit twice": ("<limit lower", '<limit lower="-6" upper="6" velocity="9"/><limit lower'),
        "xacro": ('lower="-3.1"', 'lower="${-pi}"'),
        "mimic": ("<limit lower", '<mimic joint="slide"/><limit lower'),
        "entity": ("<robot", '<!DOCTYPE robot [<!ENTITY a "b">]>\n<robot'),
    }
    for name, (old, new) in changes.items():
        assert old in URDF, name
        run = partial(_limits_refused, "joint_limits: {}\n", URDF.replace(old, new, 1))
        yield Case("file: looser limits", f"description: {name}", run, "refused")


# Checkpoints


def _checkpoint_cases(seed: int, repeats: int) -> Iterator[Case]:
    changes = {"cut": _cut_file, "bytes": _bytes_file, "swapped": _swapped}
    for name, change in changes.items():
        for repeat in range(repeats):
            run = partial(_damaged, change, (seed, repeat))
            yield Case("file: checkpoint", f"{name} {repeat}", run, "refused")
    for name, field in {
        "weights outside": {"weights_file": "../weights.safetensors"},
        "weights absolute": {"weights_file": "/etc/hostname"},
        "weights a folder": {"weights_file": "."},
        "another version": {"format_version": 2},
        "another kind": {"kind": "other"},
        "statistics gone": {"statistics": {}},
        "config of words": {"config": {"horizon": "long"}},
        "config of lists": {"config": {"channels": [[1]]}},
    }.items():
        yield Case("file: checkpoint", name, partial(_signed, field), "refused")
    nested: list[object] = []
    for _ in range(MOST_NESTING):
        nested = [nested]
    yield Case(
        "file: checkpoint", "nested", partial(_signed, {"provenance": {"a": nested}}), "refused"
    )
    for kind in (torch.int8, torch.complex64, torch.float8_e4m3fn):
        run = partial(_weights_of, kind)
        yield Case("file: checkpoint", f"weights {kind}", run, "refused")
    yield Case("file: checkpoint", "good", partial(_signed, {}), "taken")


def _restored(folder: Path) -> str:
    try:
        restore(folder)
    except (CheckpointError, ValueError) as error:
        return str(error)
    return ""


def _copy(folder: Path) -> Path:
    return Path(shutil.copytree(CHECKPOINT, folder / "copy"))


def _damaged(
    change: Callable[[Path, np.random.Generator], None], seeds: tuple[int, int], folder: Path
) -> str:
    copy, random = _copy(folder), np.random.default_rng(seeds)
    files = [copy / "manifest.json", *copy.glob("weights-*.safetensors")]
    change(files[int(random.integers(len(files)))], random)
    return _restored(copy)


def _cut_file(path: Path, random: np.random.Generator) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(random.integers(len(content)))])


def _bytes_file(path: Path, random: np.random.Generator) -> None:
    content = bytearray(path.read_bytes())
    place = int(random.integers(len(content) - 2))
    content[place] ^= int(random.integers(1, 256))
    path.write_bytes(bytes(content))


def _swapped(path: Path, random: np.random.Generator) -> None:
    content = path.read_bytes()
    middle = int(random.integers(1, len(content) - 1))
    path.write_bytes(content[middle:] + content[:middle])


def _signed(changes: Mapping[str, object], folder: Path) -> str:
    """Change fields of a manifest and sign it again, as one who means it would."""
    copy = _copy(folder)
    path = copy / "manifest.json"
    fields = json.loads(path.read_text()) | changes
    fields["manifest_sha256"] = checkpoints._manifest_digest(fields)
    path.write_text(json.dumps(fields))
    return _restored(copy)


def _weights_of(kind: torch.dtype, folder: Path) -> str:
    good = checkpoints.load_checkpoint(CHECKPOINT)
    weights = {name: each.to(kind) for name, each in good.weights.items()}
    copy = _copy(folder)
    (path,) = copy.glob("weights-*.safetensors")
    path.write_bytes(save(weights))
    digest = checkpoints.hashlib.sha256(path.read_bytes()).hexdigest()
    manifest = json.loads((copy / "manifest.json").read_text()) | {"weights_sha256": digest}
    manifest["manifest_sha256"] = checkpoints._manifest_digest(manifest)
    (copy / "manifest.json").write_text(json.dumps(manifest))
    return _restored(copy)

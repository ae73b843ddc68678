"""Makes .venv with everything: ROS 2 Jazzy from wheels, torch, ddpm_msgs and this package.

A second run does only what has changed: about a tenth of a second when nothing has. Only the
standard library is used, because this runs before anything is installed.
"""

import argparse
import os
import re
import shlex
import shutil
import sys
import sysconfig
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

if sys.version_info[:2] not in ((3, 11), (3, 12)):
    sys.exit(
        "set-up: Python 3.11 or 3.12 is needed (the ROS 2 wheels are for these), this is "
        f"{sys.version.split()[0]} at {sys.executable}. Please run:  make PYTHON=python3.12 ..."
    )

from environment import ROOT, Environment, SetupError
from system_packages import ensure_build_tools, gl_library

REQUIREMENTS = ROOT / "requirements"
MESSAGES = ROOT / "ddpm_msgs"
BORROWED_MESSAGES = (REQUIREMENTS / "control_msgs", REQUIREMENTS / "tf2_msgs")
"""Interfaces of packages that have no wheel."""
# The wheels' CMake exports name folders of the machine that they were built on.
BUILD_MACHINE_PATHS = (
    (re.compile(r"[^\";]*opt/python/cp[^\";]*/include/python3\.\d+"), "include"),
    (re.compile(r"[^\";]*opt/python/cp[^\";]*/numpy/_core/include"), "numpy"),
)


def make_venv(environment: Environment) -> None:
    """Make the virtual environment; one of another Python or another place is made anew."""
    ensure_build_tools()
    version = f"version = {sys.version.split()[0]}"
    configuration = environment.folder / "pyvenv.cfg"
    is_ours = configuration.is_file() and version in configuration.read_text(encoding="utf-8")
    if environment.folder.exists() and (environment.stamps.exists() or not is_ours):
        shutil.rmtree(environment.folder)
    environment.folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "venv", str(environment.folder)]
    environment.run("virtual environment", command)


def fix_exports(environment: Environment) -> None:
    """Write this machine's folders into the wheels' CMake export files."""
    numpy = next(environment.folder.glob("lib/python3.*/site-packages/numpy/_core/include"))
    here = {"include": sysconfig.get_path("include"), "numpy": str(numpy)}
    for path in environment.folder.glob("share/**/*.cmake"):
        text = path.read_text(encoding="utf-8")
        fixed = text
        for pattern, name in BUILD_MACHINE_PATHS:
            fixed = pattern.sub(lambda _, folder=here[name]: folder, fixed)
        if fixed != text:
            path.write_text(fixed, encoding="utf-8")


def build_messages(environment: Environment, source: Path) -> None:
    """Build a package of messages with Ninja and install it into the virtual environment."""
    fix_exports(environment)
    build = str(environment.folder / f"build_{source.name}")
    shutil.rmtree(build, ignore_errors=True)
    cmake = str(environment.folder / "bin" / "cmake")
    environment.run(
        f"{source.name}: configure",
        [
            *[cmake, "-G", "Ninja", "-S", str(source), "-B", build, "-DBUILD_TESTING=OFF"],
            f"-DCMAKE_INSTALL_PREFIX={environment.folder}",
            f"-DPython3_EXECUTABLE={environment.python}",
        ],
    )
    environment.run(f"{source.name}: build", [cmake, "--build", build])
    environment.run(f"{source.name}: install", [cmake, "--install", build])


def build_borrowed(environment: Environment, source: Path) -> None:
    """Build interfaces that have no wheel, unless a sourced ROS has the real package."""
    prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    others = [Path(each) for each in prefixes if each and Path(each) != environment.folder]
    if not any((each / f"share/{source.name}/package.xml").is_file() for each in others):
        build_messages(environment, source)


def install_project(environment: Environment) -> None:
    """Install this package in editable form: the source tree is what runs."""
    words = ["--no-deps", "--no-build-isolation", "--editable", str(ROOT)]
    environment.pip("ddpm_controller", words)


def write_variables(environment: Environment) -> None:
    """Let every Python of the environment know the ament prefix and the GL library.

    So its commands work when called by path, without any variable set; one that is set holds.
    """
    site_packages = next(environment.folder.glob("lib/python3.*/site-packages"))
    values = (
        f"(('AMENT_PREFIX_PATH', sys.prefix), ('MUJOCO_GL', {gl_library(environment.python)!r}))"
    )
    line = f"import os, sys; [os.environ.setdefault(*pair) for pair in {values}]\n"
    (site_packages / "ddpm_controller_environment.pth").write_text(line, encoding="utf-8")


Step = tuple[str, Iterable[Path | str], Callable[[], None]]


def steps(environment: Environment, torch: list[str], tests: bool) -> list[Step]:
    """Return name, inputs and action of every step, in order."""
    ros = REQUIREMENTS / "ros.txt"
    runtime = REQUIREMENTS / "runtime.txt"
    test = REQUIREMENTS / "test.txt"
    version = sys.version.split()[0]
    pip = environment.pip_arguments
    package = [ROOT / "setup.py", *sorted((ROOT / "executables").iterdir())]
    wanted: list[Step] = [
        ("venv", [version, str(ROOT)], lambda: make_venv(environment)),
        ("ros", [ros], lambda: environment.pip("ROS 2 Jazzy", ["-r", str(ros)])),
        ("torch", [*torch, *pip], lambda: environment.pip("torch", torch)),
        (
            "runtime",
            [runtime],
            lambda: environment.pip("libraries", ["-r", str(runtime)]),
        ),
        (
            "messages",
            [ros, *_contents(MESSAGES)],
            lambda: build_messages(environment, MESSAGES),
        ),
        *(
            (source.name, [ros, *_contents(source)], partial(build_borrowed, environment, source))
            for source in BORROWED_MESSAGES
        ),
        ("project", package, lambda: install_project(environment)),
        ("variables", [Path(__file__)], lambda: write_variables(environment)),
    ]
    if tests:
        wanted.append(("test", [test], lambda: environment.pip("test tools", ["-r", str(test)])))
    return wanted


def _contents(folder: Path) -> list[Path | str]:
    """Return the files of a folder, and their names."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [*files, *(str(path.relative_to(ROOT)) for path in files)]


def main() -> int:
    """Do every step that has not been done with the present files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--venv", default=str(ROOT / ".venv"), help="folder to make")
    parser.add_argument("--torch", default="torch==2.13.0", help="what pip installs as torch")
    parser.add_argument("--pip-args", default="", help="words added to every pip install")
    parser.add_argument("--tests", action="store_true", help="also what the tests need")
    options = parser.parse_args()
    environment = Environment(Path(options.venv).resolve(), shlex.split(options.pip_args))
    todo = [
        step
        for step in steps(environment, shlex.split(options.torch), options.tests)
        if not environment.is_done(step[0], step[1])
    ]
    if todo and todo[0][0] == "venv":
        todo = steps(environment, shlex.split(options.torch), options.tests)
    try:
        for number, (name, inputs, action) in enumerate(todo, start=1):
            sys.stdout.write(f"set-up {number}/{len(todo)}: {name}\n")
            action()
            environment.mark_done(name, inputs)
    except SetupError as error:
        sys.stderr.write(f"\nset-up: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\nset-up: stopped; run it again to go on\n")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

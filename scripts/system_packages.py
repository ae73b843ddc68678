"""What must come from the system: a C++ compiler, Python's headers and venv, a GL library."""

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

from environment import Progress, SetupError

BUILD_PACKAGES = ("g++", "python3-dev", "python3-venv")
EGL_PACKAGES = ("libegl1", "libegl-mesa0", "libgl1-mesa-dri", "libopengl0")

_DRAW_ONE_PICTURE = """
import mujoco
model = mujoco.MjModel.from_xml_string(
    "<mujoco><worldbody><light pos='0 0 3'/><geom size='.1' rgba='1 0 0 1'/></worldbody></mujoco>"
)
scene = mujoco.MjData(model)
mujoco.mj_forward(model, scene)
renderer = mujoco.Renderer(model, 32, 32)
renderer.update_scene(scene)
assert renderer.render().any()
renderer.close()
"""


def build_tools_missing() -> list[str]:
    """Return what is missing for building ddpm_msgs, in words; empty when nothing is."""
    missing = []
    if not any(shutil.which(name) for name in ("c++", "g++", "clang++")):
        missing.append("a C++ compiler")
    if not (Path(sysconfig.get_path("include")) / "Python.h").is_file():
        missing.append("Python.h (the headers of this Python)")
    try:
        import ensurepip  # noqa: F401  (Debian takes it out of python3 and puts it into python3-venv)
    except ImportError:
        missing.append("venv with ensurepip")
    return missing


def ensure_build_tools() -> None:
    """Install a compiler and Python's headers where that is allowed.

    Raises:
        SetupError: When something is missing and cannot be installed from here.
    """
    missing = build_tools_missing()
    if missing:
        _apt_install(", ".join(missing), BUILD_PACKAGES)
    if missing := build_tools_missing():
        raise SetupError(f"missing: {', '.join(missing)}. Install it and run this again.")


def gl_library(python: Path) -> str:
    """Return MuJoCo's name of a GL library that draws here; installs one where that is allowed.

    Args:
        python: An interpreter with mujoco.

    Raises:
        SetupError: When there is none and it cannot be installed from here.
    """
    if name := _drawing_gl(python):
        return name
    _apt_install("a GL library for off-screen rendering", EGL_PACKAGES)
    if name := _drawing_gl(python):
        return name
    raise SetupError("EGL was installed and MuJoCo still draws nothing with it, nor with OSMesa")


def _drawing_gl(python: Path) -> str:
    for name in ("egl", "osmesa"):
        command = [str(python), "-c", _DRAW_ONE_PICTURE]
        variables = {**os.environ, "MUJOCO_GL": name}
        if subprocess.run(command, env=variables, capture_output=True).returncode == 0:
            return name
    return ""


def _apt_install(what: str, packages: tuple[str, ...]) -> None:
    """Install Debian packages as root; else say the one line that does.

    Raises:
        SetupError: When this is not root, or not a Debian, or apt-get fails.
    """
    line = f"sudo apt-get install {' '.join(packages)}"
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise SetupError(f"missing: {what}. Please run:  {line}")
    progress = Progress(f"{what}: apt-get install {' '.join(packages)}")
    install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *packages]
    variables = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    # A fresh image has no package lists; one in use has them, and an update would cost time.
    for command in (install, ["apt-get", "update", "-q"], install):
        answer = subprocess.run(command, env=variables, capture_output=True, text=True)
        if command is install and answer.returncode == 0:
            progress.end("done")
            return
    progress.end("failed")
    raise SetupError(f"missing: {what}. This failed:  {line}\n{answer.stderr.strip()}")

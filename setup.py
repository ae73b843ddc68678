"""Installs the package, also as an ament_python package for colcon."""

import ast
from pathlib import Path

from setuptools import find_packages, setup

PACKAGE = "ddpm_controller"
HERE = Path(__file__).resolve().parent

# Lower bounds only: on a ROS machine these come from its distribution. What `make` installs is
# pinned in requirements/.
RUNTIME = [
    "accelerate",
    "matplotlib>=3.6",
    "mcap>=1.5",
    "mujoco>=3.3,<4",  # planners need its pool of rollouts; no task of metaworld starts with 4
    "numpy>=1.26",
    "opencv-python-headless>=4.6",
    "pydantic>=2",
    "PyYAML",
    "rich>=13",
    "rosbags>=0.11.4",
    "ruckig>=0.14",
    "safetensors>=0.4",
    "simplejpeg",
    "tensorboard",
    "torch>=2.3",
    "tyro>=0.9",
    "zstandard>=0.21",
]


def version() -> str:
    """Read __version__ without importing the package."""
    tree = ast.parse((HERE / PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    return next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__version__"
    )


def executables() -> list[str]:
    """Files for lib/ddpm_controller, where `ros2 run` and launch look for executables."""
    return [str(path.relative_to(HERE)) for path in sorted((HERE / "executables").iterdir())]


def shared(*folders: str) -> list[tuple[str, list[str]]]:
    """Every file below the folders, for share/ddpm_controller."""
    found: dict[str, list[str]] = {}
    for folder in folders:
        for path in sorted((HERE / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                relative = path.relative_to(HERE)
                found.setdefault(f"share/{PACKAGE}/{relative.parent}", []).append(str(relative))
    return sorted(found.items())


setup(
    name=PACKAGE,
    version=version(),
    description="A receding-horizon diffusion-policy controller for ROS 2.",
    license="Apache-2.0",
    maintainer="ddpm_controller maintainers",
    maintainer_email="maintainers@ddpm-controller.invalid",
    python_requires=">=3.11",
    install_requires=RUNTIME,
    packages=find_packages(include=[PACKAGE, f"{PACKAGE}.*"]),
    package_data={"": ["*.xml", "*.yaml", "LICENSE*", "SOURCE.txt"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml"]),
        (f"lib/{PACKAGE}", executables()),
        *shared("launch", "config", "models"),
    ],
    zip_safe=False,
    extras_require={
        "test": ["pytest"],  # colcon test runs pytest only where it sees this
        "pusht": ["gym-pusht>=0.1.5", "zarr<3"],  # the world pusht and its human demonstrations
        # Tasks of MetaWorld; 3.1 wants one old version of mujoco, and 3.0 has the same tasks. It
        # takes any mujoco, but no task of it starts with 3.17 (a weld has a number more) or 4.
        "metaworld": ["metaworld>=3.0,<3.1", "mujoco>=3.2,<3.17"],
        "lerobot": ["av>=14", "pyarrow>=16"],  # ddpm export-lerobot and import-lerobot
        "ray": ["ray>=2.9"],  # ddpm index --ray, on many machines
        # Engines of the denoiser, see docs/how_to/make_it_fast.md.
        "openvino": ["openvino>=2025.0"],
        "onnx": ["onnxruntime>=1.20", "onnx>=1.17"],
        "matlab": ["scipy"],  # ddpm fit-noise from .mat recordings
    },
    # The only name on a user's PATH.
    entry_points={"console_scripts": [f"ddpm = {PACKAGE}.cli.main:main"]},
)

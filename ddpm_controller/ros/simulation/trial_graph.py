"""Trials over ROS: the robot as processes, and a client that asks it for one after the other."""

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import rclpy

from ddpm_controller.evaluation.results import Trial
from ddpm_controller.robots.robot import load_robot
from ddpm_controller.ros.graph.own_graph import parameter_file, use_own_domain
from ddpm_controller.ros.graph.supervisor import started
from ddpm_controller.ros.simulation.trial_client import TrialClient, TrialError
from ddpm_controller.share import share_path
from ddpm_controller.simulation.worlds import WORLDS

_DRIVERS = {"single_point": "direct"}
"""Form of the commands -> driver that they need; others: controllers."""


def trials_over_ros(
    world: str,
    checkpoint: Path,
    seeds: Sequence[int],
    mode: str,
    timeout_s: float,
    parameters: Mapping[str, object],
    robot: str = "",
) -> Iterator[Trial]:
    """Start simulation and controller, run one trial per seed, and stop them again.

    Args:
        world: Key of ``WORLDS``.
        checkpoint: Folder.
        seeds: Seeds of the world and of the denoising noise.
        mode: ``real_time`` or ``lockstep``.
        timeout_s: Longest trial; 0: as in the world.
        parameters: Parameters of the controller, instead of those in config/controller.yaml.
        robot: Path of the robot file; empty: that of the world.

    Raises:
        TrialError: When the graph does not do its part.
    """
    use_own_domain()
    robot = robot or share_path(WORLDS[world].robot)
    with parameter_file(parameters) as params_file:
        given = {
            "world": world,
            "mode": mode,
            "robot": str(Path(robot).resolve()),
            "checkpoint": str(checkpoint.resolve()),
            "params_file": params_file,
            "log_level": "warn",
            "driver": _DRIVERS.get(str(parameters.get("command.stream")), "controllers"),
        }
        with started("arm", given) as child, connected("", world, robot) as client:
            check = partial(_refuse_if_ended, child, client)
            client.wait_until_ready(check)
            for seed in seeds:
                check()
                yield client.run_trial(seed, timeout_s or world_timeout_s(world))


def world_timeout_s(world: str) -> float:
    """Longest trial of a world, as in its class."""
    return WORLDS[world].world.timeout_s


@contextmanager
def connected(namespace: str, world: str = "pick_place", robot: str = "") -> Iterator[TrialClient]:
    """Have a client on the graph of this environment's domain.

    Args:
        namespace: Namespace of the nodes.
        world: Key of ``WORLDS``; its cameras are watched, whether the policy sees them or not.
        robot: Path of the robot file; empty: that of the world.
    """
    outputs = load_robot(robot or share_path(WORLDS[world].robot)).outputs
    cameras = tuple((each.name, each.height, each.width) for each in WORLDS[world].world.cameras)
    rclpy.init()
    try:
        client = TrialClient(outputs, cameras, namespace=namespace)
        try:
            yield client
        finally:
            client.close()
    finally:
        rclpy.try_shutdown()


def _refuse_if_ended(child: subprocess.Popen[bytes], client: TrialClient) -> None:
    if child.poll() is not None:
        raise TrialError(
            f"the graph has ended with exit code {child.returncode}, see its log above; last "
            f"status of the controller: {client.controller_state}"
        )

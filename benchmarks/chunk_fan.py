"""One trial of a shipped policy as the README shows it: what it predicted, and what the arm did.

Above, the fixed camera at three moments, larger than the policy sees it, with the end effector's
path of the chunk in force (bright) and of those before it (fading). Below, one joint: every chunk
that was predicted, what was commanded, what was measured.

    python benchmarks/chunk_fan.py --picture docs/chunk_fan.png
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import mujoco
import numpy as np
import torch
import tyro
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ddpm_controller.cli.evaluate import loop_of, policy_view
from ddpm_controller.control.deployment import Deployment
from ddpm_controller.control.moving.forward_kinematics import LinkChain
from ddpm_controller.evaluation.closed_loop import TrialSettings, run_trials
from ddpm_controller.evaluation.results import Trial
from ddpm_controller.policy import PlanSettings, Policy, Window
from ddpm_controller.robots.robot import load_robot
from ddpm_controller.share import share_path
from ddpm_controller.simulation.arm.arm_world import ArmWorld
from ddpm_controller.simulation.arm.cameras import CAMERAS
from ddpm_controller.simulation.camera import CameraSpec
from ddpm_controller.simulation.session import START_NS
from ddpm_controller.simulation.worlds import WORLDS
from ddpm_controller.systems import restore
from ddpm_controller.types import ActionChunk, Memory, Plan

PIXELS = 720
FAN_SIZE = 5
BRIGHT, FADED = "#ff7300", "#3d8bff"


@dataclass(frozen=True)
class Options:
    """Draw the fan of chunks of one trial.

    Attributes:
        picture: Where to write it.
        world: Task, with its shipped checkpoint.
        seed: Of the trial.
        joint: Whose curve is drawn.
        moments_s: When the three views are taken.
        replan_period_s: Time between plans.
        plan_delay_s: Simulated time that a plan takes.
    """

    picture: Path = Path("docs/chunk_fan.png")
    world: Literal["reach", "pick_place"] = "pick_place"
    seed: int = 10_000_000
    joint: str = "shoulder_pan"
    moments_s: tuple[float, float, float] = (0.9, 3.3, 4.3)
    replan_period_s: float = 0.8
    plan_delay_s: float = 0.1


@dataclass
class Noted:
    """A policy that is asked as it is, and whose chunks are kept."""

    policy: Policy
    chunks: list[ActionChunk] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.facts = self.policy.facts

    def initial_memory(self, seed: int) -> Memory:
        """Return that of the policy."""
        return self.policy.initial_memory(seed)

    def plan(self, window: Window, memory: Memory) -> Plan:
        """Return that of the policy."""
        plan = self.policy.plan(window, memory)
        self.chunks.append(plan.chunk)
        return plan


def run(options: Options) -> tuple[Trial, list[ActionChunk]]:
    """Return the trial and the chunks, in time since its begin."""
    torch.set_num_threads(1)
    robot = load_robot(share_path(WORLDS[options.world].robot))
    folder = Path(share_path(f"models/{options.world}"))
    policy = Noted(restore(folder, PlanSettings()))
    description = WORLDS[options.world].world.robot_description()
    deployment = Deployment(replan_period_s=options.replan_period_s, lockstep=True)
    loop = loop_of(robot, policy, folder, deployment, description)
    settings = TrialSettings(plan_delay_s=options.plan_delay_s)
    view = policy_view(robot)
    (trial,) = run_trials(policy, options.world, loop, [options.seed], settings, view)
    begin_s = START_NS * 1e-9
    return trial, [
        ActionChunk(c.start_s - begin_s, c.period_s, c.joint_names, c.actions)
        for c in policy.chunks
    ]


def views(options: Options, trial: Trial, camera: str) -> list[np.ndarray]:
    """Drive the world again, bit for bit, and return what the camera sees at the moments."""
    world = WORLDS[options.world].world()
    assert isinstance(world, ArmWorld)
    world.reset(options.seed)
    model = world.scene.model
    model.vis.global_.offwidth = model.vis.global_.offheight = PIXELS
    model.vis.quality.offsamples = 4
    renderer = mujoco.Renderer(model, PIXELS, PIXELS)
    pictures = []
    left = sorted(options.moments_s)
    for stamp_s, command in zip(trial.stamps_s, trial.commands, strict=True):
        if left and stamp_s >= left[0] - 1e-9:
            renderer.update_scene(world._state, camera=camera)
            pictures.append(renderer.render().copy())
            left.pop(0)
        world.step(command if np.isfinite(command).all() else world.command_in_force)
    renderer.close()
    world.close()
    if left:
        raise ValueError(f"the trial ended after {trial.stamps_s[-1]:.1f} s, before {left} s")
    return pictures


def in_picture(camera: CameraSpec, points: np.ndarray) -> np.ndarray:
    """Project points (N, 3) in the base frame to pixels (N, 2) of a picture of PIXELS."""
    forward = np.subtract(camera.target, camera.position)
    right = np.cross(forward, camera.up)
    down = np.cross(forward, right)
    axes = np.array([each / np.linalg.norm(each) for each in (right, down, forward)])
    seen = (points - np.array(camera.position)) @ axes.T
    pixels = seen @ camera.intrinsics.T
    return PIXELS / camera.height * pixels[:, :2] / pixels[:, 2:]


def draw_view(
    axes: Axes, picture: np.ndarray, moment_s: float, paths: Sequence[np.ndarray]
) -> None:
    """Draw one view with paths (Ta, 2) in pixels, oldest first."""
    axes.imshow(picture, interpolation="bilinear")
    for age, path in enumerate(reversed(paths)):
        color, alpha = (FADED, 0.95 * (1 - age / (FAN_SIZE + 1))) if age else (BRIGHT, 1.0)
        axes.plot(*path.T, color=color, alpha=alpha, linewidth=1.6 if age else 2.6, zorder=9 - age)
        if not age:
            axes.plot(*path.T, "o", color=BRIGHT, markersize=3.2, zorder=10)
    axes.set(xlim=(0, PIXELS - 1), ylim=(0.8 * PIXELS, 0))
    axes.text(14, 36, f"{moment_s:.1f} s", color="w", fontsize=11)
    axes.axis("off")


def draw_joint(axes: Axes, trial: Trial, chunks: Sequence[ActionChunk], options: Options) -> None:
    """Draw one joint: chunks as they were predicted, commanded, measured."""
    column = trial.joint_names.index(options.joint)
    for number, chunk in enumerate(chunks):
        stamps_s = chunk.start_s + chunk.period_s * np.arange(len(chunk.actions))
        rows = chunk.actions[:, column]
        label = "predicted chunks, a dot where each begins" if number == 0 else None
        axes.plot(stamps_s, rows, color=FADED, alpha=0.55, linewidth=1.0, label=label)
        axes.plot(stamps_s[0], rows[0], "o", color=FADED, markersize=3.5)
    axes.plot(trial.stamps_s, trial.commands[:, column], color=BRIGHT, linewidth=1.8,
              label="commanded")  # fmt: skip
    axes.plot(trial.stamps_s, trial.positions[:, column], "k--", linewidth=1.0, label="measured")
    for moment_s in options.moments_s:
        axes.axvline(moment_s, color="0.6", linewidth=0.8, linestyle=":")
    axes.set(xlabel="time, s", ylabel=f"{options.joint}, rad", xlim=(0, trial.stamps_s[-1]))
    axes.legend(fontsize=8, loc="best")
    axes.grid(alpha=0.25)


def main() -> None:
    """Run the trial and draw it."""
    options = tyro.cli(Options)
    trial, chunks = run(options)
    camera = next(each for each in CAMERAS if each.name == "camera_fixed")
    robot = load_robot(share_path(WORLDS[options.world].robot))
    description = WORLDS[options.world].world.robot_description()
    chain = LinkChain(description, trial.joint_names, robot.end_effector)
    paths = [in_picture(camera, chain.positions(chunk.actions)) for chunk in chunks]
    figure = Figure(figsize=(11, 5.6), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(1.35, 1))
    above.suptitle("path of the gripper: the chunk in force, and those before it", fontsize=10)
    pictures = views(options, trial, camera.name)
    for axes, picture, moment_s in zip(
        above.subplots(1, 3), pictures, sorted(options.moments_s), strict=True
    ):
        told = [
            path
            for path, chunk in zip(paths, chunks, strict=True)
            if chunk.start_s + options.plan_delay_s <= moment_s
        ]
        draw_view(axes, picture, moment_s, told[-FAN_SIZE:])
    draw_joint(below.subplots(), trial, chunks, options)
    options.picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.picture, dpi=110)
    outcome = "success" if trial.success else "no success"
    print(f"{outcome} after {trial.duration_s:.1f} s, {trial.plans} plans: {options.picture}")


if __name__ == "__main__":
    main()

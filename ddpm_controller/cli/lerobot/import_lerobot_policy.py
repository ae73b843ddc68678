"""The command `import-lerobot-policy`: a trained policy of LeRobot as a checkpoint."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from rich.console import Console
from rich.table import Table

from ddpm_controller.given_files import one_line
from ddpm_controller.lerobot.features import Matching
from ddpm_controller.lerobot.libraries import LeRobotError
from ddpm_controller.policy import overrides_from
from ddpm_controller.robots.robot import Robot, RobotError, load_robot

if TYPE_CHECKING:
    from ddpm_controller.lerobot.policy_folder import LeRobotPolicy


@dataclass(frozen=True)
class ImportLeRobotPolicyOptions:
    """Turn a diffusion policy that LeRobot has trained into a checkpoint for a robot.

    It plans as there: the same weights, ranges, steps and sampler. A policy of LeRobot has neither
    names nor a rate: its numbers are taken in the order of the robot file, and its actions are
    period_s of the robot file apart. Look at the table that is shown, and at `ddpm check` with
    recordings, before anything moves. The first vector of the robot file is observation.state,
    pictures are observation.images.NAME. Needs neither LeRobot nor an extra.

      ddpm import-lerobot-policy outputs/checkpoints/last --robot pusht.yaml --output policy \
--feature block_corners=observation.environment_state

    Attributes:
        policy: Folder of the policy, with config.json and model.safetensors in it.
        robot: Robot file.
        output: Folder of the checkpoint; one that is there is replaced.
        feature: Stream and its feature where the names differ, STREAM=FEATURE.
        angles: Unit of angles in the data set of its training; of SO-100 and SO-101 arms it is
            deg.
    """

    policy: tyro.conf.Positional[Path]
    robot: Path
    output: Path
    feature: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    angles: Literal["rad", "deg"] = "rad"

    def __post_init__(self) -> None:
        overrides_from(self.feature)  # refused before anything is read


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or 1 after an error."""
    # Imported here: the help needs none of it.
    from ddpm_controller.lerobot.policy_folder import read_policy

    options = tyro.cli(ImportLeRobotPolicyOptions, args=arguments)
    console = Console(highlight=False)
    features = {name: str(value) for name, value in overrides_from(options.feature).items()}
    try:
        robot = load_robot(options.robot)
        policy = read_policy(options.policy, robot, Matching(features, True, options.angles))
        name = _saved(policy, robot, options)
    except (LeRobotError, RobotError, ValueError, RuntimeError, OSError) as error:
        console.print("error:", error, markup=False, soft_wrap=True)
        return 1
    console.print(_table(policy, robot))
    steps = policy.fields["num_inference_steps"]
    console.print(
        f"checkpoint {name[:12]} in {options.output}: {policy.fields['sampler']} with {steps} "
        f"steps a plan, rows {robot.action_spec.period_s:g} s apart",
        soft_wrap=True,
    )
    return 0


def _saved(policy: "LeRobotPolicy", robot: Robot, options: ImportLeRobotPolicyOptions) -> str:
    import torch

    from ddpm_controller.policies.diffusion_policy.released import save_released

    known = {each.name: each for each in robot.stream_specs}
    try:
        return save_released(
            options.output,
            policy.fields,
            {name: torch.from_numpy(each) for name, each in policy.unet.items()},
            {
                stream: {name: torch.from_numpy(each) for name, each in encoder.items()}
                for stream, encoder in policy.encoders.items()
            },
            robot.action_spec,
            [known[name] for name in policy.features],
            policy.statistics,
            policy.provenance,
        )
    except ValueError as error:
        raise LeRobotError(f"{options.policy}: {one_line(error)}") from error


def _table(policy: "LeRobotPolicy", robot: Robot) -> Table:
    """Return what is taken for what, number by number."""
    table = Table(title="taken in this order: is it that of the training?")
    for heading in ("feature", "number", "robot", "least in training", "most", "unit"):
        table.add_column(heading)
    known = {each.name: each for each in robot.stream_specs}
    spec = robot.action_spec
    vectors = [each for each in policy.features.items() if known[each[0]].kind == "vector"]
    rows = [(f, s, known[s].names, known[s].units) for s, f in vectors]
    for feature, key, names, units in [*rows, ("action", "action", spec.joint_names, spec.units)]:
        ranges = policy.statistics[key]
        for number, (name, unit) in enumerate(zip(names, units, strict=True)):
            ends = (f"{ranges[end][number]:.4g}" for end in ("min", "max"))
            label = f"{key} {name}"
            table.add_row(feature, str(number), label, *ends, unit)
    for stream, feature in policy.features.items():
        if known[stream].kind == "image":
            table.add_row(feature, "", stream, "", "", "x".join(map(str, known[stream].shape)))
    return table


if __name__ == "__main__":
    sys.exit(main())

"""The command `fit_noise`: recordings in, a noise file out, with what it is worth."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ddpm_controller.identification.residuals import ResidualChoice, ResidualError, Residuals
from ddpm_controller.robots.robot import Robot, RobotError, load_robot
from ddpm_controller.share import share_path

if TYPE_CHECKING:
    from ddpm_controller.diffusion.recorded.noise_fit import NoiseShape
    from ddpm_controller.identification.noise_report import NoiseReport

Tails = Literal["sinh_arcsinh", "scale_mixture"]
FAMILIES: tuple[Tails, ...] = ("sinh_arcsinh", "scale_mixture")

SIM_ARM = "config/robots/sim_arm.yaml"


@dataclass(frozen=True)
class FitNoiseOptions:
    """Learn the noise of recordings, so that a policy can be trained with noise like it.

    From bags and a robot file, the residual is the measured joint positions minus the commands, or
    minus a smooth fit. From a MATLAB file with pos, vel and F (3 x T each) of several recordings
    it is position or force minus a smooth fit, or velocity minus the derivative of position.

    A map from N(0, I) to such residuals (autoregression, correlated joints, heavy tails) is fitted
    by maximum likelihood to the first recordings and judged by the last ones, beside white noise
    and a Gaussian with full covariance: negative log likelihood (lower is better), memory, tails,
    and a two-sample test in which a chance near 0 means that the model can be distinguished
    from the recordings. Example:

      ddpm fit-noise runs/demonstrations --output noise.json --against smooth

    Attributes:
        recordings: Bags, folders of bags, or one MATLAB file.
        output: The noise file; a picture of the same name is written beside it.
        robot: Robot file of the bags. Default: sim_arm.
        residual: Which residual is taken.
        horizon: Rows of a chunk in which noise is compared; as the policy's chunks have.
        orders: Rows that the noise may remember; the best by likelihood is taken.
        tails: Family of the tails; best: by likelihood.
        held_out: Share of the recordings that judges.
        joints_apart: Let joints be independent of each other.
        denoiser: Folder to write a state denoiser to, trained with the noise; bags only.
        denoiser_steps: Updates of it.
        seed: Seed of what is sampled and of the denoiser.
    """

    recordings: tyro.conf.Positional[tuple[Path, ...]]
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = Path("noise.json")
    robot: Path | None = None
    residual: Annotated[ResidualChoice, tyro.conf.arg(name="")] = field(
        default_factory=ResidualChoice
    )
    horizon: int = 16
    orders: tuple[int, ...] = (1, 3, 6)
    tails: Tails | Literal["best"] = "best"
    held_out: float = 0.33
    joints_apart: bool = False
    denoiser: Path | None = None
    denoiser_steps: int = 3000
    seed: int = 0

    def shapes(self) -> "list[NoiseShape]":
        """Return the shapes to choose from; tails of the noise itself only with the last order."""
        # Imported here, as below: the help needs neither bags nor torch.
        from ddpm_controller.diffusion.recorded.noise_fit import NoiseShape

        families = FAMILIES if self.tails == "best" else (self.tails,)
        joined = not self.joints_apart
        shapes = [
            NoiseShape(order, family, True, joined) for family in families for order in self.orders
        ]
        return [*shapes, NoiseShape(max(self.orders), families[0], False, joined)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0, 1 after an error or 130 when it was interrupted."""
    options = tyro.cli(FitNoiseOptions, args=arguments)
    from ddpm_controller.bags.files import BagError
    from ddpm_controller.checkpoint import CheckpointError
    from ddpm_controller.diffusion.recorded.noise_file import NoiseFileError, save_noise
    from ddpm_controller.networks.device import use_threads

    console = Console()
    use_threads(1)
    try:
        if not options.recordings or not options.orders:
            raise ResidualError("give at least one recording and one order")
        residuals, provenance = _read(options, console)
        report = _fitted(options, residuals, console)
        provenance |= {"held_out_nats_per_number": report.held_out, "shape": str(report.shape)}
        name = save_noise(options.output, report.noise, provenance)
        if options.denoiser is not None:
            _train_denoiser(options, options.denoiser, report, name, console)
    except KeyboardInterrupt:
        return 130
    except (
        BagError,
        CheckpointError,
        NoiseFileError,
        RobotError,
        ResidualError,
        ValueError,
    ) as error:
        console.print("[bold red]error:[/]", end=" ")
        console.print(str(error), markup=False, highlight=False, soft_wrap=True)
        return 1
    picture = options.output.with_suffix(".png")
    draw_report(report, picture, f"noise of {len(residuals)} recordings")
    _tell(report, console)
    console.print(f"noise file: {options.output} ({name[:12]})", soft_wrap=True)
    console.print(f"picture: {picture}", soft_wrap=True)
    return 0


def _read(options: FitNoiseOptions, console: Console) -> tuple[list[Residuals], dict[str, object]]:
    """Return the residuals, and what they are of for the file."""
    from ddpm_controller.bags.files import digest, find_bags
    from ddpm_controller.identification.noise_recordings import residuals_of_matlab

    paths = options.recordings
    if len(paths) == 1 and paths[0].suffix == ".mat":
        residuals = residuals_of_matlab(paths[0], options.residual)
        facts: dict[str, object] = {"recordings": [paths[0].name]}
    else:
        robot = load_robot(options.robot or share_path(SIM_ARM))
        residuals = _read_bags(options, robot, console)
        facts = {
            "recordings": [{"name": b.name, "sha256": digest(b)} for b in find_bags(paths)],
            "robot": robot.name,
        }
    rows = sum(len(each.values) for each in residuals)
    console.print(f"{len(residuals)} recordings, {rows} rows of {list(residuals[0].names)}")
    return residuals, facts


def _read_bags(options: FitNoiseOptions, robot: Robot, console: Console) -> list[Residuals]:
    from ddpm_controller.identification.noise_recordings import residuals_of_bags

    with _bar(console) as bar:
        task = bar.add_task("reading bags", total=None)
        residuals = residuals_of_bags(
            options.recordings,
            robot,
            options.residual,
            lambda done, total: bar.update(task, completed=done, total=total),
        )
    if not residuals:
        raise ResidualError(
            f"every episode is shorter than the smooth fit's window of {options.residual.window} "
            "rows; record longer or choose a shorter window"
        )
    return residuals


def _fitted(
    options: FitNoiseOptions, residuals: Sequence[Residuals], console: Console
) -> "NoiseReport":
    from ddpm_controller.identification.noise_report import report_on

    with _bar(console) as bar:
        task = bar.add_task("fitting", total=None)
        return report_on(
            residuals,
            options.shapes(),
            num_rows=options.horizon,
            held_out=options.held_out,
            seed=options.seed,
            on_progress=lambda done, total: bar.update(task, completed=done, total=total),
        )


def _train_denoiser(
    options: FitNoiseOptions, folder: Path, report: "NoiseReport", name: str, console: Console
) -> None:
    from ddpm_controller.identification.noise_denoiser import fit_state_denoiser

    with _bar(console) as bar:
        task = bar.add_task("denoiser", total=options.denoiser_steps)
        fit_state_denoiser(
            folder,
            options.recordings,
            load_robot(options.robot or share_path(SIM_ARM)),
            options.residual,
            report.noise,
            name,
            num_rows=options.horizon,
            num_steps=options.denoiser_steps,
            seed=options.seed,
            on_progress=lambda done, total: bar.update(task, completed=done),
        )
    console.print(f"state denoiser: {folder}", soft_wrap=True)


def draw_report(report: "NoiseReport", path: Path, title: str, column: int = 0) -> None:
    """Draw one column of a report."""
    from ddpm_controller.identification.noise_pictures import draw_noise
    from ddpm_controller.identification.noise_report import QUANTILES

    curves = {
        name: (
            look.autocorrelation[:, column],
            look.quantiles[:, column],
            look.power[:, column],
        )
        for name, look in report.looks.items()
    }
    noise = report.noise
    draw_noise(
        path,
        f"{title}: {noise.names[column]}, {report.shape}",
        report.held_out,
        curves,
        report.frequencies_hz,
        noise.period_s,
        QUANTILES,
    )


def _tell(report: "NoiseReport", console: Console) -> None:
    from ddpm_controller.identification.noise_report import FITTED

    for shape, score in sorted(report.shape_scores.items(), key=lambda pair: pair[1]):
        console.print(f"  {score:9.4f}  {shape}", highlight=False)
    console.print(likelihood_table(report))
    names, recorded = report.noise.names, report.looks["recorded"]
    fitted = report.looks[FITTED]
    for column, name in enumerate(names):
        memory = recorded.autocorrelation[1:4, column], fitted.autocorrelation[1:4, column]
        tails = recorded.excess_kurtosis[column], fitted.excess_kurtosis[column]
        console.print(
            f"{name}: memory at 1, 2, 3 rows {memory[0].round(2)} recorded, "
            f"{memory[1].round(2)} fitted; excess kurtosis {tails[0]:.1f} and {tails[1]:.1f}",
            markup=False,
            highlight=False,
        )


def likelihood_table(report: "NoiseReport") -> Table:
    """Return the models side by side, on held-out chunks."""
    title = f"{report.num_held_out} held-out chunks, {report.num_fitted} fitted"
    view = Table(title=title, caption=f"fitted: {report.shape}")
    for column in ("noise", "NLL, nats per number", "energy distance", "as large by chance"):
        view.add_column(column, justify="right")
    for name, (distance, chance) in report.energy.items():
        nats = f"{report.held_out[name]:.4f}" if name in report.held_out else "-"
        view.add_row(name, nats, f"{distance:.4f}", f"{100 * chance:.1f} %")
    return view


def _bar(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeElapsedColumn(), console=console)


if __name__ == "__main__":
    sys.exit(main())

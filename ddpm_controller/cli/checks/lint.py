"""The command `lint`: what is doubtful in recordings, before anything is learned from them."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.console import Console
from rich.progress import track
from rich.table import Table

from ddpm_controller.bags.files import BagError, find_bags
from ddpm_controller.given_files import file_text
from ddpm_controller.lint.checks import findings_of
from ddpm_controller.lint.finding import Finding, are_wrong
from ddpm_controller.lint.leave_out import leave_out_of, leave_out_text, read_leave_out
from ddpm_controller.lint.limits import limits_of
from ddpm_controller.lint.recording import Recording
from ddpm_controller.lint.report import content_of, summary
from ddpm_controller.robots.robot import RobotError, load_robot

CLEAN, DOUBTFUL, WRONG = 0, 1, 2
"""Exit codes."""


@dataclass(frozen=True)
class LintOptions:
    """Doubt recordings: show what is wrong or doubtful in bags before a policy learns it.

    Looks for idle ends, single numbers far from their neighbours, degrees and millimetres, angles
    that jump by a turn, holes, stamps that are missing or of another clock, images that stand
    still or are exchanged, joints outside their limits, commands that were not followed or that
    stop, episodes with one command, joints named twice, several namespaces, joints exchanged, and,
    where there are several episodes, those unlike all others or nearly the same as another one.
    Nothing is changed. `ddpm train` looks for the same first.

    Exit codes: 0 where nothing is wrong; 1 with --strict where something is doubtful; 2 where
    something is surely wrong, or the bags or the robot file cannot be used.

      ddpm lint bags --robot my_arm.yaml
      ddpm lint bags --robot my_arm.yaml --report report --write leave_out.yaml
      ddpm train --bags bags --leave-out leave_out.yaml ...

    Attributes:
        bags: Bags, or folders of bags, all of one robot.
        robot: Robot file; its streams and commands are looked at.
        report: Folder for lint.json and a picture of each recording with a finding; none when left
            out.
        write: File that is written with what is better left out: bags with mistakes, idle ends,
            and episodes that repeat another one. Edit it, then give it to `ddpm train`.
        leave_out: Such a file; bags that it leaves out whole are not looked at.
        urdf: Robot description with the limits of the joints; only those of the joint-limits file
            count when left out.
        strict: Exit with 1 where something is doubtful.
    """

    bags: tyro.conf.Positional[tuple[Path, ...]]
    robot: Path
    report: Path | None = None
    write: Path | None = None
    leave_out: Path | None = None
    urdf: Path | None = None
    strict: bool = False

    def __post_init__(self) -> None:
        if self.write is not None and self.write.exists():
            raise ValueError(f"{self.write} exists and is left as it is: give another --write")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return an exit code."""
    console = Console(soft_wrap=True)
    try:
        options = tyro.cli(LintOptions, args=arguments)
        recordings, findings = _looked_at(options, console)
        console.print(_table(findings) if findings else "nothing is doubtful")
        console.print(summary(recordings, findings), highlight=False)
        _write(options, recordings, findings, console)
    except (BagError, RobotError, ValueError, OSError) as error:
        console.print("[bold red]error:[/]", end=" ")
        console.print(str(error), markup=False, highlight=False)
        return WRONG
    if are_wrong(findings):
        return WRONG
    return DOUBTFUL if findings and options.strict else CLEAN


def _looked_at(options: LintOptions, console: Console) -> tuple[list[Recording], list[Finding]]:
    # Imported here: the help needs none of it.
    from ddpm_controller.lint.reading import read_recording

    robot = load_robot(options.robot)
    limits = limits_of(robot, file_text(options.urdf) if options.urdf else "")
    bags = find_bags(options.bags)
    if options.leave_out is not None:
        bags = read_leave_out(options.leave_out).bags(bags)
    shown = track(bags, "reading", console=console, transient=True)
    recordings = [read_recording(bag, robot) for bag in shown]
    return recordings, findings_of(recordings, robot, limits)


def _table(findings: Sequence[Finding]) -> Table:
    table = Table(show_lines=True)
    table.add_column("where", overflow="fold")
    table.add_column("kind", no_wrap=True)
    table.add_column("what was seen, and what to do")
    for each in findings:
        colour = "red" if each.severity == "wrong" else "yellow"
        kind = f"[{colour}]{each.severity}[/]\n{each.kind}"
        table.add_row(each.where, kind, f"{_plain(each.text)}\n[dim]{_plain(each.remedy)}[/]")
    return table


def _plain(text: str) -> str:
    """Return a text whose brackets are no styles."""
    return text.replace("[", r"\[")


def _write(
    options: LintOptions,
    recordings: Sequence[Recording],
    findings: Sequence[Finding],
    console: Console,
) -> None:
    if options.report is not None:
        # Imported here: it takes a moment, and most calls draw nothing.
        from ddpm_controller.lint.picture import draw_recording

        options.report.mkdir(parents=True, exist_ok=True)
        content = json.dumps(content_of(recordings, findings), indent=2)
        (options.report / "lint.json").write_text(content + "\n", encoding="utf-8")
        for each in recordings:
            own = [finding for finding in findings if finding.recording == each.name]
            if own:
                draw_recording(each, own, options.report / f"{each.name}.png")
        console.print(f"written: {options.report}/lint.json and pictures", highlight=False)
    if options.write is not None:
        text = leave_out_text(leave_out_of(findings))
        options.write.write_text(text, encoding="utf-8")
        console.print(f"written: {options.write}", highlight=False)


if __name__ == "__main__":
    sys.exit(main())

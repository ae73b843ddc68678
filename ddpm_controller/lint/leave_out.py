"""What is left out of recordings: a file that lint writes, people edit and training reads."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from ddpm_controller.bags.files import BagError
from ddpm_controller.given_files import file_text, one_line
from ddpm_controller.lint.finding import Finding
from ddpm_controller.types import Episode

_HEADING = """\
# What is not learned of these recordings: `ddpm train --leave-out` of this file.
# A bag without from_s and to_s is left out whole; with them the part between two stamps.
"""


_ROUNDED_S = 0.001


class LeftOut(BaseModel):
    """A bag, or a part of one, that is not learned.

    Attributes:
        bag: Name of the bag, without its folder.
        from_s: Stamp at which the part begins, s; its begin when left out.
        to_s: Stamp at which it ends, s; its end when left out.
        why: Reason, for people.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    bag: str
    from_s: FiniteFloat | None = None
    to_s: FiniteFloat | None = None
    why: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether all of the bag is left out."""
        return self.from_s is None and self.to_s is None


class LeaveOut(BaseModel):
    """The file.

    Attributes:
        leave_out: Bags and parts.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    leave_out: Annotated[tuple[LeftOut, ...], Field(max_length=100_000)] = ()

    def bags(self, bags: Sequence[Path]) -> list[Path]:
        """Return the bags that are not left out whole.

        Raises:
            BagError: It names a bag that is not among them, or no bag is left.
        """
        names = {bag.name for bag in bags}
        if unknown := sorted({each.bag for each in self.leave_out} - names):
            raise BagError(f"leave_out names {unknown}, the bags are {sorted(names)[:20]}")
        whole = {each.bag for each in self.leave_out if each.is_whole}
        kept = [bag for bag in bags if bag.name not in whole]
        if not kept:
            raise BagError(f"leave_out leaves none of the {len(bags)} bags")
        return kept

    def has(self, finding: Finding) -> bool:
        """Return whether the part that a finding is about is left out."""
        if finding.part_ns is None:
            return False
        begin_s, end_s = (ns * 1e-9 for ns in finding.part_ns)
        return any(
            each.bag == finding.recording
            and (each.from_s is None or each.from_s <= begin_s + _ROUNDED_S)
            and (each.to_s is None or each.to_s >= end_s - _ROUNDED_S)
            for each in self.leave_out
        )

    def episodes(self, episodes: Sequence[Episode]) -> list[Episode]:
        """Return what remains of episodes of these bags; a part within one makes two of it.

        Raises:
            BagError: Nothing does.
        """
        kept = [rest for each in episodes for rest in self._rests(each)]
        if not kept:
            raise BagError(f"leave_out leaves nothing of {len(episodes)} episodes")
        return kept

    def _rests(self, episode: Episode) -> list[Episode]:
        name = Path(episode.source).name.rpartition("#")[0]
        keep = np.ones(len(episode), dtype=bool)
        for each in self.leave_out:
            if each.bag == name:
                begin_s = -np.inf if each.from_s is None else each.from_s
                end_s = np.inf if each.to_s is None else each.to_s
                keep &= ~((episode.stamps_s >= begin_s) & (episode.stamps_s <= end_s))
        if keep.all():
            return [episode]
        edges = np.flatnonzero(np.diff(np.concatenate([[False], keep, [False]])))
        rests = zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
        return [_cut(episode, begin, end) for begin, end in rests if end - begin > 1]


def _cut(episode: Episode, begin: int, end: int) -> Episode:
    rows = slice(begin, end)
    return replace(
        episode,
        stamps_s=episode.stamps_s[rows],
        values={name: values[rows] for name, values in episode.values.items()},
        actions=episode.actions[rows],
        source=f"{episode.source}[{begin}:{end}]",
        digests={},
    )


def read_leave_out(path: Path) -> LeaveOut:
    """Read a file.

    Raises:
        BagError: It is missing or breaks a rule.
    """
    try:
        content = yaml.safe_load(file_text(path))
        return LeaveOut.model_validate(content or {})
    except OSError as error:
        raise BagError(f"{path}: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise BagError(f"{path}: {place}: {first['msg']}; see docs/how_to") from None
    except (ValueError, yaml.YAMLError) as error:
        raise BagError(f"{path}: {one_line(error)}") from None


def leave_out_of(findings: Sequence[Finding]) -> LeaveOut:
    """Return what to leave out: bags with mistakes, idle ends, and what is there twice."""
    entries = []
    whole = {each.recording for each in findings if each.severity == "wrong"}
    for name in sorted(whole):
        kinds = [e.kind for e in findings if e.recording == name and e.severity == "wrong"]
        entries.append(LeftOut(bag=name, why=", ".join(dict.fromkeys(kinds))))
    for each in findings:
        if each.recording in whole or each.part_ns is None:
            continue
        if each.is_trim or each.is_surplus:
            begin_s, end_s = (round(ns * 1e-9, 3) for ns in each.part_ns)
            why = f"{each.kind}: {each.text}"
            entries.append(LeftOut(bag=each.recording, from_s=begin_s, to_s=end_s, why=why))
    return LeaveOut(leave_out=tuple(entries))


def leave_out_text(leave_out: LeaveOut) -> str:
    """Return the text of a file."""
    entries = [each.model_dump(exclude_none=True) for each in leave_out.leave_out]
    return _HEADING + yaml.safe_dump({"leave_out": entries}, sort_keys=False, width=100)

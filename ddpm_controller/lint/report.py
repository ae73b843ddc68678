"""Findings as lines of a table and as JSON."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ddpm_controller.lint.finding import Finding
from ddpm_controller.lint.recording import Recording


def content_of(recordings: Sequence[Recording], findings: Sequence[Finding]) -> dict[str, Any]:
    """Return what goes into the JSON file: every recording, every finding, counts by kind."""
    return {
        "recordings": [_recording(each) for each in recordings],
        "findings": [asdict(each) for each in findings],
        "counts": dict(Counter(each.kind for each in findings)),
        "wrong": sum(each.severity == "wrong" for each in findings),
        "doubtful": sum(each.severity == "doubtful" for each in findings),
    }


def _recording(recording: Recording) -> dict[str, Any]:
    begin_ns, end_ns = recording.ends_ns
    return {
        "name": recording.name,
        "episodes": len(recording.parts),
        "duration_s": round((end_ns - begin_ns) * 1e-9, 3),
        "messages": {each.name: len(each.log_ns) for each in recording.tracks}
        | {each.name: len(each.log_ns) for each in recording.pictures},
    }


def summary(recordings: Sequence[Recording], findings: Sequence[Finding]) -> str:
    """Return one line with the counts."""
    wrong = {each.recording for each in findings if each.severity == "wrong"}
    doubted = {each.recording for each in findings} - wrong
    return (
        f"{len(recordings)} recordings: {len(wrong)} wrong, {len(doubted)} doubtful, "
        f"{len(recordings) - len(wrong) - len(doubted)} clean"
    )

"""Turns of recorded joints that turn without end, as the controller counted them in its run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ddpm_controller.control.observing.turns import TURN, turns_towards, wrapping
from ddpm_controller.types import StreamSpec


@dataclass(frozen=True)
class RecordedTurns:
    """Whole turns of one stream since its first message.

    Attributes:
        spec: The stream.
        turns: Acquisition time -> turns (D,); 0 for joints that are not in ``wraps``, and until a
            joint has come.
    """

    spec: StreamSpec
    turns: Mapping[float, np.ndarray]

    @classmethod
    def of(cls, spec: StreamSpec, values: Mapping[float, np.ndarray]) -> "RecordedTurns":
        """Return the turns of values as they were reported.

        Args:
            spec: The stream.
            values: Acquisition time -> (D,); NaN of joints that no message of that time has.
        """
        wraps, turns = wrapping(spec), {}
        last = np.full(len(spec.names), np.nan)
        counted = np.zeros(len(spec.names))
        for stamp_s in sorted(values):
            reported = values[stamp_s]
            known = wraps & np.isfinite(reported) & np.isfinite(last)
            counted = np.where(known, turns_towards(reported, last), counted)
            turns[stamp_s] = counted
            last = np.where(np.isfinite(reported), reported + TURN * counted, last)
        return cls(spec, turns)

    def at(self, stamps_s: Sequence[float]) -> np.ndarray:
        """Return the turns (D,) at an acquisition time of each joint, or at one of all."""
        if len(stamps_s) == 1:
            return self.turns[stamps_s[0]]
        return np.array([self.turns[stamp_s][i] for i, stamp_s in enumerate(stamps_s)])

    def begin_before(
        self,
        newest_s: Sequence[float],
        reported: np.ndarray,
        joint_names: Sequence[str],
        row: np.ndarray,
    ) -> np.ndarray:
        """Return the turns (D,) at the beginning of a run that began before the recording.

        A plan begins near where its joints are measured, so its first row shows how many turns
        had been counted. Of a joint that is not planned, none are assumed.

        Args:
            newest_s: Newest acquisition times that the plan was made from, as ``at``.
            reported: (D,) reported then.
            joint_names: Joints of the plan.
            row: (Da,) first row of the plan.
        """
        begin = self.at(newest_s).copy()
        for joint in set(self.spec.wraps) & set(joint_names):
            i, planned = self.spec.names.index(joint), row[joint_names.index(joint)]
            begin[i] -= turns_towards(reported[i], planned)
        return begin

    def seen(
        self, reported: np.ndarray, stamps_s: Sequence[float], begin: np.ndarray
    ) -> np.ndarray:
        """Return what the controller had of messages in the run that began at ``begin``."""
        counted: np.ndarray = reported + TURN * (self.at(stamps_s) - begin)
        return counted

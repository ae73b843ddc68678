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
        turns: Acquisition time -> turns (D,); 0 for joints that are not in ``wraps``.
    """

    spec: StreamSpec
    turns: Mapping[float, np.ndarray]

    @classmethod
    def of(cls, spec: StreamSpec, values: Mapping[float, np.ndarray]) -> "RecordedTurns":
        """Return the turns of values as they were reported, acquisition time -> (D,)."""
        wraps, turns = wrapping(spec), {}
        last: np.ndarray | None = None
        for stamp_s in sorted(values):
            reported = values[stamp_s]
            near = reported if last is None else last
            turns[stamp_s] = np.where(wraps, turns_towards(reported, near), 0.0)
            last = reported + TURN * turns[stamp_s]
        return cls(spec, turns)

    def begin_before(
        self, newest_s: float, reported: np.ndarray, joint_names: Sequence[str], row: np.ndarray
    ) -> np.ndarray:
        """Return the turns (D,) at the beginning of a run that began before the recording.

        A plan begins near where its joints are measured, so its first row shows how many turns
        had been counted. Of a joint that is not planned, none are assumed.

        Args:
            newest_s: Newest acquisition time that the plan was made from.
            reported: (D,) reported then.
            joint_names: Joints of the plan.
            row: (Da,) first row of the plan.
        """
        begin: np.ndarray = self.turns[newest_s].copy()
        for joint in set(self.spec.wraps) & set(joint_names):
            i, planned = self.spec.names.index(joint), row[joint_names.index(joint)]
            begin[i] -= turns_towards(reported[i], planned)
        return begin

    def seen(self, reported: np.ndarray, stamp_s: float, begin: np.ndarray) -> np.ndarray:
        """Return what the controller had of a message in the run that began at ``begin``."""
        counted: np.ndarray = reported + TURN * (self.turns[stamp_s] - begin)
        return counted

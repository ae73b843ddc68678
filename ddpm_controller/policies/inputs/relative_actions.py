"""Actions learned relative to where the robot was when the plan was made.

A chunk is then a way from there, as the relative trajectories of UMI (Chi et al. 2024, RSS).
Only a network and its normalizer see these numbers: episodes, memories and plans are absolute.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ddpm_controller.types import ActionSpec, StreamSpec, measuring


class RelativeActions:
    """What the columns of a chunk are learned relative to.

    Args:
        action_spec: Has it for each column.
        streams: What is observed; one has to measure the columns that are relative.

    Attributes:
        are_any: Whether a column is relative to something.
        need_commanded: Whether one is relative to what was commanded.

    Raises:
        ValueError: A relative column is a velocity, or no stream measures it.
    """

    def __init__(self, action_spec: ActionSpec, streams: Sequence[StreamSpec]) -> None:
        to, names = action_spec.relative_to, action_spec.joint_names
        self._measured = torch.tensor([each == "measured" for each in to])
        self._commanded = torch.tensor([each == "commanded" for each in to])
        self.are_any = bool((self._measured | self._commanded).any())
        self.need_commanded = bool(self._commanded.any())
        relative = [name for name, each in zip(names, to, strict=True) if each != "none"]
        velocities = zip(names, action_spec.are_velocities, strict=True)
        if wrong := [name for name, is_so in velocities if is_so and name in relative]:
            raise ValueError(
                f"relative_to is for positions and poses; {wrong} are velocities, which are "
                "relative already: set relative_to to none"
            )
        found = measuring(streams, action_spec)
        if self.are_any and found is None:
            raise ValueError(
                f"no stream measures all of {list(names)}, of which {relative} are learned "
                f"relative to where the robot is; streams: "
                f"{ {each.name: list(each.names) for each in streams} }"
            )
        self._measuring = found

    def measured(self, values: Mapping[str, Tensor]) -> Tensor:
        """Return where the columns were at the newest observation, (B, Da); NaN: not measured.

        Args:
            values: {stream: (B, To, D)}, SI units.
        """
        assert self._measuring is not None
        newest = {name: values[name][:, -1].cpu().numpy() for name in self._measuring.names}
        return torch.from_numpy(self._measuring.row(newest))

    def reference(self, values: Mapping[str, Tensor], commanded: Tensor) -> Tensor:
        """Return what is taken off each row of a chunk, (B, Da); 0 of absolute columns.

        Args:
            values: {stream: (B, To, D)}, SI units.
            commanded: (B, Da) command in force at the newest observation.
        """
        zero = torch.zeros_like(commanded)
        if not self.are_any:
            return zero
        device = commanded.device
        found = torch.where(self._commanded.to(device), commanded, zero)
        return torch.where(self._measured.to(device), self.measured(values).to(commanded), found)

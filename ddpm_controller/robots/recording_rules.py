"""What becomes of a recording that cannot be learned from as it is: a part of the robot file."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class RecordingRules(BaseModel):
    """How recordings of the robot are read.

    Attributes:
        glitches: What becomes of single numbers that no robot can have had, as an encoder sends
            them: refuse the recording with the moment, joint and value, or leave_out these
            messages.
        uncommanded: What becomes of a part in which the joints go away from the last command while
            no other comes, as when a robot is guided by hand: leave_out that part, refuse the
            recording, or learn from what is measured there.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    glitches: Literal["refuse", "leave_out"] = "refuse"
    uncommanded: Literal["leave_out", "refuse", "measured"] = "leave_out"

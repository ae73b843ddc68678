"""A joint-limits file, in the format of MoveIt's joint_limits.yaml. No rclpy."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    FiniteFloat,
    PositiveFloat,
    ValidationError,
    model_validator,
)


class JointLimitsFileError(ValueError):
    """The joint-limits file cannot be used."""


@dataclass(frozen=True)
class GivenLimits:
    """Limits of one joint in a file; infinite where it has none.

    Attributes:
        min_position: Lowest, rad or m.
        max_position: Highest.
        max_velocity: Highest speed, rad/s or m/s.
        max_acceleration: rad/s^2 or m/s^2.
        max_jerk: rad/s^3 or m/s^3.
        max_step_from_measured: Farthest that a command may be from where the joint is measured,
            rad or m; not a word of MoveIt.
        follow_tolerance: Farthest that a joint is measured from where it was led, rad or m; None:
            as for its kind.
    """

    min_position: float = -math.inf
    max_position: float = math.inf
    max_velocity: float = math.inf
    max_acceleration: float = math.inf
    max_jerk: float = math.inf
    max_step_from_measured: float = math.inf
    follow_tolerance: float | None = None


class JointEntry(BaseModel):
    """Limits of one joint in a joint-limits file; the stricter of these and the URDF's count.

    Attributes:
        has_position_limits: Whether the positions count; when left out, they do where given.
        min_position: Lowest position, rad or m.
        max_position: Highest position, rad or m.
        has_velocity_limits: Whether max_velocity counts.
        max_velocity: Highest speed, rad/s or m/s.
        has_acceleration_limits: Whether max_acceleration counts.
        max_acceleration: Highest acceleration, rad/s^2 or m/s^2.
        has_jerk_limits: Whether max_jerk counts.
        max_jerk: Highest jerk, rad/s^3 or m/s^3.
        max_step_from_measured: Farthest that a command may be from the measured position, rad or
            m, in every state and with its stop; it limits the speed to about this divided by the
            time by which the robot is behind its commands. Not a word of MoveIt.
        follow_tolerance: Farthest that the joint may be measured from anywhere that it was led in
            the last moments, rad or m; beyond it the robot is stopped. When left out, 0.1 rad or
            0.02 m; .inf for a gripper, which never gets to its command when it holds something.
            Not a word of MoveIt.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    has_position_limits: bool | None = None
    min_position: FiniteFloat | None = None
    max_position: FiniteFloat | None = None
    has_velocity_limits: bool = False
    max_velocity: FiniteFloat | None = None
    has_acceleration_limits: bool = False
    max_acceleration: FiniteFloat | None = None
    has_jerk_limits: bool = False
    max_jerk: FiniteFloat | None = None
    max_step_from_measured: PositiveFloat | None = None
    follow_tolerance: PositiveFloat | None = None

    @model_validator(mode="after")
    def _agrees(self) -> "JointEntry":
        for kind in ("velocity", "acceleration", "jerk"):
            value = getattr(self, f"max_{kind}")
            if not getattr(self, f"has_{kind}_limits"):
                continue
            if value is None or not value > 0:
                raise ValueError(
                    f"max_{kind} must be above 0 where has_{kind}_limits is true, got {value}: "
                    f"give a number, or set has_{kind}_limits to false"
                )
        low, high = self.min_position, self.max_position
        if self.has_position_limits and (low is None or high is None):
            raise ValueError(
                f"has_position_limits is true with min_position {low} and max_position {high}: "
                "give both, or set it to false"
            )
        if low is not None and high is not None and not low < high:
            raise ValueError(
                f"min_position {low} must be below max_position {high}: exchange or correct them"
            )
        return self

    def given(self) -> GivenLimits:
        """Return what counts."""
        bounded = self.has_position_limits is not False

        def unless(value: float | None, counts: bool, nothing: float) -> float:
            return value if counts and value is not None else nothing

        return GivenLimits(
            unless(self.min_position, bounded, -math.inf),
            unless(self.max_position, bounded, math.inf),
            unless(self.max_velocity, self.has_velocity_limits, math.inf),
            unless(self.max_acceleration, self.has_acceleration_limits, math.inf),
            unless(self.max_jerk, self.has_jerk_limits, math.inf),
            unless(self.max_step_from_measured, True, math.inf),
            self.follow_tolerance,
        )


class _File(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)  # MoveIt has scaling factors too

    joint_limits: dict[str, JointEntry]


def read_given_limits(path: Path) -> Mapping[str, GivenLimits]:
    """Read a joint-limits file: joint -> its limits.

    Positions count where they are given, unless ``has_position_limits`` is false; every other
    limit counts where its ``has_..._limits`` is true, as in MoveIt.

    Raises:
        JointLimitsFileError: The file is missing, is not YAML, or breaks a rule; with the path,
            the joint, the value and the remedy.
    """
    try:
        text = path.read_text(encoding="utf-8")
        file = _File.model_validate(yaml.safe_load(text))
    except OSError as error:
        raise JointLimitsFileError(f"joint-limits file {path}: {error.strerror}") from None
    except ValidationError as error:
        lines = [f"{'.'.join(str(part) for part in e['loc'])}: {e['msg']}" for e in error.errors()]
        raise JointLimitsFileError(f"joint-limits file {path}: " + "; ".join(lines)) from None
    except yaml.YAMLError as error:
        raise JointLimitsFileError(f"joint-limits file {path}: {error}") from None
    return {name: joint.given() for name, joint in file.joint_limits.items()}

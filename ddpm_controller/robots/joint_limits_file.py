"""A joint-limits file, in the format of MoveIt, of ros2_control or of UR. No rclpy."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    ValidationError,
    model_validator,
)

from ddpm_controller.given_files import file_text, one_line
from ddpm_controller.robots.given_limits import GivenLimits
from ddpm_controller.robots.lined_yaml import LinedYaml, nearest, read_lined_yaml


class JointLimitsFileError(ValueError):
    """The joint-limits file cannot be used."""


def _no_switch(value: Any) -> Any:
    """Refuse true and false, which pydantic would take for 1 and 0."""
    if isinstance(value, bool):
        raise ValueError("Input should be a number")
    return value


_Number = Annotated[FiniteFloat, BeforeValidator(_no_switch)]
_Positive = Annotated[_Number, Field(gt=0)]


class JointEntry(BaseModel):
    """Limits of one joint in a joint-limits file; the stricter of these and the URDF's count.

    A limit whose has_..._limits is false does not count. One that is given without it is refused,
    but for positions.

    Attributes:
        has_position_limits: Whether the positions count; when left out, they do where given.
        min_position: Lowest position, rad or m.
        max_position: Highest position, rad or m.
        has_velocity_limits: Whether max_velocity counts.
        max_velocity: Highest speed, rad/s or m/s.
        has_acceleration_limits: Whether max_acceleration counts.
        max_acceleration: Highest acceleration, rad/s^2 or m/s^2.
        has_deceleration_limits: Whether max_deceleration counts.
        max_deceleration: Highest deceleration, rad/s^2 or m/s^2, of either sign; the stricter of
            it and max_acceleration counts for both.
        has_jerk_limits: Whether max_jerk counts.
        max_jerk: Highest jerk, rad/s^3 or m/s^3.
        has_soft_limits: Whether the two soft limits count.
        soft_lower_limit: Lowest position, rad or m; the stricter of it and min_position counts.
        soft_upper_limit: Highest position, rad or m.
        max_step_from_measured: Farthest that a command may be from the measured position, rad or
            m, in every state and with its stop; it limits the speed to about this divided by the
            time by which the robot is behind its commands. Not a word of MoveIt.
        follow_tolerance: Farthest that the joint may be measured from anywhere that it was led in
            the last moments, rad or m; beyond it the robot is stopped. When left out, 0.1 rad or
            0.02 m; .inf for a gripper, which never gets to its command when it holds something.
            Not a word of MoveIt.
        has_effort_limits: Not used; nor are the four below.
        max_effort: Highest force or torque.
        k_position: Gain of a soft limit.
        k_velocity: Gain of a soft limit.
        angle_wraparound: Whether the joint turns without end; its type in the URDF counts.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    has_position_limits: bool | None = None
    min_position: _Number | None = None
    max_position: _Number | None = None
    has_velocity_limits: bool | None = None
    max_velocity: _Number | None = None
    has_acceleration_limits: bool | None = None
    max_acceleration: _Number | None = None
    has_deceleration_limits: bool | None = None
    max_deceleration: _Number | None = None
    has_jerk_limits: bool | None = None
    max_jerk: _Number | None = None
    has_soft_limits: bool | None = None
    soft_lower_limit: _Number | None = None
    soft_upper_limit: _Number | None = None
    max_step_from_measured: _Positive | None = None
    follow_tolerance: Annotated[float, BeforeValidator(_no_switch), Field(gt=0)] | None = None
    has_effort_limits: bool | None = None
    max_effort: _Number | None = None
    k_position: _Number | None = None
    k_velocity: _Number | None = None
    angle_wraparound: bool | None = None

    @model_validator(mode="after")
    def _agrees(self) -> "JointEntry":
        rates = {
            "velocity": self.has_velocity_limits,
            "acceleration": self.has_acceleration_limits,
            "deceleration": self.has_deceleration_limits,
            "jerk": self.has_jerk_limits,
        }
        for kind, counts in rates.items():
            value = getattr(self, f"max_{kind}")
            _refuse_unmarked(kind, f"max_{kind} {value}", counts, value is not None)
            size = abs(value or 0.0) if kind == "deceleration" else value or 0.0
            if counts and not size > 0:
                raise ValueError(
                    f"max_{kind} must be above 0 where has_{kind}_limits is true, got {value}: "
                    f"give a number, or set has_{kind}_limits to false"
                )
        soft = self.soft_lower_limit, self.soft_upper_limit
        _refuse_unmarked("soft", f"soft limits {soft}", self.has_soft_limits, soft != (None, None))
        _refuse_range(
            "has_position_limits",
            self.has_position_limits,
            {"min_position": self.min_position, "max_position": self.max_position},
        )
        names = ("soft_lower_limit", "soft_upper_limit")
        _refuse_range("has_soft_limits", self.has_soft_limits, dict(zip(names, soft, strict=True)))
        return self

    def given(self, place: str = "") -> GivenLimits:
        """Return what counts.

        Args:
            place: File and line, for messages.

        Raises:
            ValueError: The soft limits have nothing in common with the positions.
        """

        def unless(value: float | None, counts: bool | None, nothing: float = math.inf) -> float:
            return value if counts and value is not None else nothing

        bounded = self.has_position_limits is not False
        deceleration = abs(unless(self.max_deceleration, self.has_deceleration_limits))
        hard = GivenLimits(
            unless(self.min_position, bounded, -math.inf),
            unless(self.max_position, bounded),
            unless(self.max_velocity, self.has_velocity_limits),
            min(unless(self.max_acceleration, self.has_acceleration_limits), deceleration),
            unless(self.max_jerk, self.has_jerk_limits),
            unless(self.max_step_from_measured, True),
            self.follow_tolerance,
            place,
        )
        soft = GivenLimits(
            unless(self.soft_lower_limit, self.has_soft_limits, -math.inf),
            unless(self.soft_upper_limit, self.has_soft_limits),
            place="its soft limits",
        )
        return hard.stricter(soft)


def _refuse_unmarked(kind: str, what: str, counts: bool | None, is_given: bool) -> None:
    """Refuse a limit of which it is left open whether it counts."""
    if is_given and counts is None:
        raise ValueError(
            f"{what} is given without has_{kind}_limits: add has_{kind}_limits: true, or false if "
            "it is not to count"
        )


def _refuse_range(flag: str, counts: bool | None, ends: Mapping[str, float | None]) -> None:
    (low_name, low), (high_name, high) = ends.items()
    if counts and (low is None or high is None):
        raise ValueError(
            f"{flag} is true with {low_name} {low} and {high_name} {high}: give both, or set it "
            "to false"
        )
    if low is not None and high is not None and not low < high:
        raise ValueError(
            f"{low_name} {low} must be below {high_name} {high}: exchange or correct them"
        )


class _File(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)  # MoveIt has scaling factors too

    joint_limits: dict[str, JointEntry]


def read_given_limits(path: Path) -> Mapping[str, GivenLimits]:
    """Read a joint-limits file: key of a joint -> its limits.

    Positions count where they are given, unless ``has_position_limits`` is false; every other
    limit counts where its ``has_..._limits`` is true, as in MoveIt. The file may be that of a
    node, with everything below ``ros__parameters``.

    Raises:
        JointLimitsFileError: The file is missing, is not YAML, or breaks a rule; with the path,
            the line, the joint, the value and the remedy.
    """
    who = f"joint-limits file {path}"
    try:
        file = _unwrapped(read_lined_yaml(file_text(path)))
    except OSError as error:
        raise JointLimitsFileError(f"{who}: {error.strerror}") from None
    except ValueError as error:
        raise JointLimitsFileError(f"{who}: {error}") from None
    try:
        entries = _File.model_validate(file.content).joint_limits
    except ValidationError as error:
        problems = file.problems(error, (*JointEntry.model_fields, *_File.model_fields))
        raise JointLimitsFileError(f"{who}: {problems}{_misspelt(file.content)}") from None
    found: dict[str, GivenLimits] = {}
    for name, entry in entries.items():
        line = file.line(("joint_limits", name))
        try:
            found[name] = entry.given(f"{who}, line {line}")
        except ValueError as error:
            raise JointLimitsFileError(f"{who}, line {line}: {name}: {error}") from None
    return found


def _unwrapped(file: LinedYaml) -> LinedYaml:
    """Return the part with ``joint_limits``, which a file of parameters has further inside."""
    content = file.content
    while isinstance(content, dict) and len(content) == 1 and "joint_limits" not in content:
        (name,) = content
        if not isinstance(name, str) or not isinstance(content[name], dict):
            break
        file, content = file.inside((name,)), content[name]
    return file


def _misspelt(content: object) -> str:
    """Return a suggestion for a file without ``joint_limits``."""
    if not isinstance(content, dict) or "joint_limits" in content:
        return ""
    return f"; it has {one_line(list(content))}{nearest('joint_limits', map(str, content))}"

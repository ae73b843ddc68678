"""Units of a robot file: SI stays, others become SI where that is safe, the rest is refused."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Unit:
    """One unit as a robot file has it.

    Attributes:
        si: SI unit of the same quantity, which a policy sees.
        scale: Number in the SI unit = ``scale`` * number in this unit.
    """

    si: str
    scale: float = 1.0


_DEG = math.pi / 180.0
UNITS = {
    **{si: Unit(si) for si in ("rad", "m", "rad/s", "m/s", "rad/s^2", "m/s^2", "N", "Nm", "1")},
    **{si: Unit(si) for si in ("s", "kg", "A", "V", "W", "K", "T", "Pa", "Hz", "lx", "N/m")},
    "deg": Unit("rad", _DEG),
    "deg/s": Unit("rad/s", _DEG),
    "deg/s^2": Unit("rad/s^2", _DEG),
    "rpm": Unit("rad/s", math.pi / 30.0),
    "mm": Unit("m", 1e-3),
    "cm": Unit("m", 1e-2),
    "mm/s": Unit("m/s", 1e-3),
    "cm/s": Unit("m/s", 1e-2),
    "mm/s^2": Unit("m/s^2", 1e-3),
    "mNm": Unit("Nm", 1e-3),
    "N*m": Unit("Nm"),
    "kN": Unit("N", 1e3),
    "mA": Unit("A", 1e-3),
    "ms": Unit("s", 1e-3),
    "%": Unit("1", 1e-2),
}
"""Unit -> what it is in SI; those that are no multiple of the SI unit, as degC, are not here."""
_COMMANDED = ("rad", "m", "rad/s", "m/s", "1")


class UnitError(ValueError):
    """A unit that is not known, or of another quantity."""


def unit_of(name: str, unit: str, quantity: str | None = None) -> Unit:
    """Return the unit of a value.

    Args:
        name: Name of the value, for errors.
        unit: Unit as a robot file has it.
        quantity: SI unit of what the message type has there; None: any.

    Raises:
        UnitError: With the list.
    """
    found = UNITS.get(unit)
    if found is None:
        raise UnitError(
            f"{name} has the unit {unit!r}, which is not known; known are {', '.join(UNITS)}"
        )
    if quantity is not None and found.si != quantity:
        fitting = [each for each, one in UNITS.items() if one.si == quantity]
        raise UnitError(
            f"{name} has the unit {unit!r}, but the message type has {quantity} there: give one "
            f"of {', '.join(fitting)}"
        )
    return found


def refuse_command_units(names: Sequence[str], units: Sequence[str]) -> None:
    """Refuse a command that is not in SI: limits, stops and boxes are, and it moves a robot.

    Raises:
        UnitError: With the list.
    """
    for name, unit in zip(names, units, strict=False):
        if unit not in _COMMANDED:
            instead = f" ({UNITS[unit].si} there)" if unit in UNITS else ""
            raise UnitError(
                f"the command of {name!r} has the unit {unit!r}; commands are in SI, as limits "
                f"and stops are, one of {', '.join(_COMMANDED)}{instead}: let its driver convert"
            )


def conversions_text(stream: str, names: Sequence[str], units: Sequence[str]) -> str:
    """Return which values of a stream become SI, in words; empty where all are in SI."""
    found = [
        f"{name} from {unit} to {UNITS[unit].si}"
        for name, unit in zip(names, units, strict=True)
        if UNITS[unit] != Unit(unit) and UNITS[unit].scale != 1.0
    ]
    return f"stream {stream!r}: converted at reading: {', '.join(found)}" if found else ""

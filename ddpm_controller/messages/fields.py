"""Fields of messages as a robot file names them: ``pose.position.x``, ``data[3]``, ``wrench``.

Duck-typed on purpose, as all that reads messages.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any, Literal

from ddpm_controller.control.observing.rotations import (
    IDENTITY,
    SIX_NAMES,
    Quaternion,
    RotationError,
    normalized,
    on_the_side_of,
    rotation_vector,
    six_numbers,
)
from ddpm_controller.messages.structures import (
    Measured,
    Numbers,
    Orientation,
    Structure,
)

_FIELD = re.compile(r"(?P<path>[a-z]\w*(?:\.[a-z]\w*)*)(?:\[(?P<first>\d+)(?::(?P<end>\d+))?\])?")
_COMPONENTS = ("x", "y", "z", "w")
_VECTOR = "rotation_vector"
_MOST_NUMBERS = 1024
NOT_MEASURED = -1.0
"""First number of a covariance in place of "this was not measured"; see ``sensor_msgs/Imu``."""


class FieldError(ValueError):
    """A field that a message type or a message does not have, or that has no value."""


@dataclass(frozen=True)
class MessageField:
    """One number of a message, or six of an orientation.

    Attributes:
        path: Names that lead to it.
        form: A number; an entry of a list; all of an orientation, as six numbers or as a rotation
            vector; a component of one.
        unit: Unit that the message type has there; None: left open.
        index: Entry of the list, or component of the orientation.
        reference: Orientation from which the sign of a component is chosen, and from which a
            rotation vector counts.
        covariance: Path of the list whose first number is -1 where this was not measured.
    """

    path: str
    form: Literal["number", "entry", "rotation", "vector", "component"]
    unit: str | None
    index: int = 0
    reference: Quaternion = IDENTITY
    covariance: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """What its numbers are called."""
        if self.form == "entry":
            return (f"{self.path}[{self.index}]",)
        if self.form == "rotation":
            return tuple(f"{self.path}.{each}" for each in SIX_NAMES)
        if self.form == "vector":
            return tuple(f"{self.path}.r{axis}" for axis in "xyz")
        if self.form == "component":
            return (f"{self.path}.{_COMPONENTS[self.index]}",)
        return (self.path,)

    def values(self, message: Any) -> tuple[float, ...]:
        """Return its numbers.

        Raises:
            FieldError: The message has no such entry, or no value there.
        """
        if self.covariance and attrgetter(self.covariance)(message)[0] == NOT_MEASURED:
            raise FieldError(
                f"{self.path} is not measured: its driver has {NOT_MEASURED:g} in "
                f"{self.covariance}[0]; leave it out of fields"
            )
        found = attrgetter(self.path)(message)
        if self.form == "number":
            return (float(found),)
        if self.form == "entry":
            if self.index >= len(found):
                raise FieldError(
                    f"{self.path} has {len(found)} numbers, the robot file needs "
                    f"{self.path}[{self.index}]"
                )
            return (float(found[self.index]),)
        try:
            rotation = normalized([getattr(found, each) for each in _COMPONENTS])
            if self.form == "rotation":
                return six_numbers(rotation)
            if self.form == "vector":
                return rotation_vector(self.reference, rotation)
            return (on_the_side_of(self.reference, rotation)[self.index],)
        except RotationError as error:
            raise FieldError(f"{self.path}: {error}") from None


def fields_of(
    structure: Mapping[str, Structure], wanted: Sequence[str], reference: Quaternion = IDENTITY
) -> tuple[MessageField, ...]:
    """Return the fields that a robot file names; all of the message where it names none.

    Args:
        structure: What the message type consists of.
        wanted: Paths; one that leads to several numbers stands for all of these.
        reference: For components and rotation vectors of orientations.

    Raises:
        FieldError: There is no such field, with what there is.
    """
    found = tuple(
        each for path in wanted or structure for each in _fields_at(structure, str(path))
    )
    if len(found) > _MOST_NUMBERS:
        raise FieldError(f"{len(found)} fields, the most are {_MOST_NUMBERS}")
    return tuple(
        replace(each, reference=reference) if each.form in ("component", "vector") else each
        for each in found
    )


def _fields_at(structure: Mapping[str, Structure], wanted: str) -> Iterator[MessageField]:
    match = _FIELD.fullmatch(wanted)
    if match is None:
        raise FieldError(
            f"{wanted!r} is no field: write names with dots between them, and an entry of a list "
            "as data[3] or data[0:6]"
        )
    at: Structure = structure
    covariance, path = "", match["path"].split(".")
    for depth, name in enumerate(path):
        is_last = depth == len(path) - 1 and match["first"] is None
        if isinstance(at, Orientation) and is_last and name in (*_COMPONENTS, _VECTOR):
            before, covariance = ".".join(path[:depth]), covariance or at.covariance
            if name == _VECTOR:
                yield MessageField(before, "vector", "rad", covariance=covariance)
            else:
                index = _COMPONENTS.index(name)
                yield MessageField(before, "component", "1", index, covariance=covariance)
            return
        inside = at.inside if isinstance(at, Measured) else at
        if not isinstance(inside, Mapping) or name not in inside:
            known = ", ".join(_paths(structure))
            raise FieldError(f"there is no field {wanted!r}; there are {known}")
        at = inside[name]
        covariance = at.covariance if isinstance(at, Measured) else covariance
    if isinstance(at, Numbers):
        yield from _entries(match, at)
    elif match["first"] is not None:
        raise FieldError(f"{wanted!r}: {match['path']} is no list")
    else:
        yield from _below(match["path"], at, covariance)


def _entries(match: re.Match[str], numbers: Numbers) -> Iterator[MessageField]:
    path = match["path"]
    if match["first"] is None:
        raise FieldError(
            f"{path!r} is a list of any length: name its entries, as {path}[0] or {path}[0:6]"
        )
    first = int(match["first"])
    end = first + 1 if match["end"] is None else int(match["end"])
    if not first < end <= first + _MOST_NUMBERS:
        raise FieldError(f"{match[0]!r} has no entry: the number behind the colon is not in it")
    for index in range(first, end):
        yield MessageField(path, "entry", numbers.unit, index)


def _below(path: str, at: Structure, covariance: str) -> Iterator[MessageField]:
    """Yield all numbers at and below a path."""
    if isinstance(at, Numbers):
        raise FieldError(f"{path!r} is a list of any length: name its entries, as {path}[0]")
    if isinstance(at, Orientation):
        yield MessageField(path, "rotation", "1", covariance=covariance or at.covariance)
    elif isinstance(at, Measured):
        yield from _below(path, at.inside, at.covariance)
    elif isinstance(at, Mapping):
        for name, inside in at.items():
            yield from _below(f"{path}.{name}", inside, covariance)
    else:
        yield MessageField(path, "number", at, covariance=covariance)


def _paths(structure: Structure, before: str = "") -> Iterator[str]:
    """Yield all paths that lead to a number, an orientation or a list."""
    if isinstance(structure, Measured):
        yield from _paths(structure.inside, before)
    elif isinstance(structure, Mapping):
        for name, inside in structure.items():
            yield from _paths(inside, f"{before}.{name}" if before else name)
    else:
        yield f"{before}[0]" if isinstance(structure, Numbers) else before

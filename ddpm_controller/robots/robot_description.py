"""The joints of a robot description (URDF) and the limits that it gives them, with their lines.

Several descriptions of one robot, as of two arms whose drivers publish one each, become one.

Read with expat itself: urdf_parser_py, yourdfpy and ElementTree keep no line numbers, and the
first two refuse descriptions for links and meshes that do not matter here.
"""

import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from dataclasses import dataclass
from xml.parsers import expat

from ddpm_controller.robots.given_limits import GivenLimits
from ddpm_controller.robots.lined_yaml import nearest

COMMANDABLE = ("revolute", "continuous", "prismatic")
_KINDS = (*COMMANDABLE, "fixed", "floating", "planar")
_UNEXPANDED = ("${", "$(")
_ROOT = "joined_root"
_LINKED = ("parent", "child")


class DescriptionError(ValueError):
    """The robot description cannot be used; with the line and the remedy."""


@dataclass(frozen=True)
class DescribedJoint:
    """One joint of the robot: a child of ``<robot>``, whatever else is called a joint.

    Attributes:
        name: Name.
        kind: Type, as it is written.
        place: Source and line, for messages.
        element: The joint as XML.
    """

    name: str
    kind: str
    place: str
    element: ElementTree.Element

    @property
    def is_continuous(self) -> bool:
        """Whether it turns without end."""
        return self.kind == "continuous"

    def limits(self) -> GivenLimits:
        """Return what the description allows; infinite where it has no limit.

        A soft limit counts where it is stricter. ``lower`` and ``upper`` are not read of a
        continuous joint.

        Raises:
            DescriptionError: It cannot be commanded, a number is none, or they contradict.
        """
        self._refuse_others()
        limit = self._child("limit")
        lower, upper = -math.inf, math.inf
        if not self.is_continuous and {"lower", "upper"} & set(limit):
            # A bound that is left out is 0 by the rules of URDF.
            lower, upper = (self._number(limit, key, 0.0) for key in ("lower", "upper"))
        self._refuse_crossed("lower", lower, "upper", upper)
        soft_lower, soft_upper = self._soft_limits()
        hard = GivenLimits(lower, upper, place=self.place)
        soft = GivenLimits(soft_lower, soft_upper, place="its <safety_controller>")
        try:
            allowed = hard.stricter(soft)
        except ValueError as error:
            raise DescriptionError(f"{self._who}: {error}") from None
        rates = ("acceleration", "deceleration", "jerk")  # URDF 1.2
        acceleration, deceleration, jerk = (self._rate(limit, key) for key in rates)
        return GivenLimits(
            allowed.min_position,
            allowed.max_position,
            self._rate(limit, "velocity"),
            min(acceleration, deceleration),
            jerk,
            place=self.place,
        )

    @property
    def _who(self) -> str:
        return f"{self.place}: joint {self.name!r}"

    def _refuse_others(self) -> None:
        remedy = "remove it from the names of the action in the robot file"
        if self.kind not in _KINDS:
            raise DescriptionError(
                f"{self._who} is of type {self.kind!r}, URDF has {list(_KINDS)}"
                f"{nearest(self.kind, _KINDS)}"
            )
        if self.kind not in COMMANDABLE:
            raise DescriptionError(
                f"{self._who} is {self.kind} and cannot be commanded, only one of "
                f"{list(COMMANDABLE)} can: {remedy}"
            )
        mimic = self.element.find("mimic")
        if mimic is not None:
            other = mimic.get("joint", "")
            raise DescriptionError(
                f"{self._who} is a mimic joint and cannot be commanded, it follows {other!r}: "
                f"command {other!r} in its place, or {remedy}"
            )

    def _child(self, tag: str) -> Mapping[str, str]:
        """Return the attributes of the child ``tag``; none without it."""
        found = self.element.findall(tag)
        if len(found) > 1:
            raise DescriptionError(f"{self._who} has {len(found)} <{tag}>: leave one of them")
        return found[0].attrib if found else {}

    def _number(self, attributes: Mapping[str, str], key: str, default: float) -> float:
        text = attributes.get(key)
        try:
            value = default if text is None else float(text)
        except ValueError:
            value = math.nan
        if text is not None and not math.isfinite(value):
            raise DescriptionError(f"{self._who} needs a finite number for {key}, got {text!r}")
        return value

    def _rate(self, limit: Mapping[str, str], key: str) -> float:
        value = self._number(limit, key, math.inf)
        if not value > 0:
            raise DescriptionError(
                f"{self._who} has the {key} limit {value:g}, which must be above 0: correct it"
            )
        return value

    def _soft_limits(self) -> tuple[float, float]:
        soft = self._child("safety_controller")
        names = ("soft_lower_limit", "soft_upper_limit")
        lower, upper = (self._number(soft, key, 0.0) for key in names)
        if lower == upper == 0:  # as URDF has it where there are none
            return -math.inf, math.inf
        self._refuse_crossed(names[0], lower, names[1], upper)
        return lower, upper

    def _refuse_crossed(self, low_name: str, low: float, high_name: str, high: float) -> None:
        if not low < high:
            raise DescriptionError(
                f"{self._who}: {low_name} {low:g} must be below {high_name} {high:g}: exchange or "
                "correct them"
            )


def described_joints(urdf: str) -> Mapping[str, DescribedJoint]:
    """Return the joints of a robot by name; what other blocks call a joint is none.

    Args:
        urdf: Text of robot_description.

    Raises:
        DescriptionError: Not a URDF, xacro is left in it, or a joint is given twice.
    """
    root, lines = _parsed(urdf)
    if root.tag != "robot":
        raise DescriptionError(
            f"robot_description begins with <{root.tag}>, a URDF with <robot>: publish the URDF"
        )
    joints: dict[str, DescribedJoint] = {}
    for element in root.findall("joint"):
        place = f"robot_description, line {lines[element]}"
        name = element.get("name", "")
        if name in joints:
            raise DescriptionError(
                f"{place}: joint {name!r} is given twice, first in {joints[name].place}: remove "
                "or rename one of them"
            )
        for each in element.iter():
            _refuse_unexpanded(each, lines[each])
        joints[name] = DescribedJoint(name, element.get("type", ""), place, element)
    return joints


def _parsed(urdf: str) -> tuple[ElementTree.Element, Mapping[ElementTree.Element, int]]:
    """Return the root, and the line in which every element begins."""
    text = urdf.lstrip("\ufeff \t\r\n")  # XML allows nothing before its first line, ROS does
    skipped = urdf[: len(urdf) - len(text)].count("\n")
    builder, parser = ElementTree.TreeBuilder(), expat.ParserCreate()
    lines: dict[ElementTree.Element, int] = {}

    def begin(tag: str, attributes: dict[str, str]) -> None:
        line = parser.CurrentLineNumber + skipped
        if tag.startswith("xacro:"):
            raise DescriptionError(_xacro_text(f"<{tag}>", line))
        lines[builder.start(tag, attributes)] = line

    def refuse_entity(name: str, *_: object) -> None:
        raise DescriptionError(
            f"robot_description, line {parser.CurrentLineNumber + skipped}: it defines the entity "
            f"{name!r}, and a URDF has none: publish it with the text in its place"
        )

    parser.StartElementHandler, parser.EndElementHandler = begin, builder.end
    parser.EntityDeclHandler = refuse_entity
    try:
        parser.Parse(text, True)
        return builder.close(), lines
    except expat.ExpatError as error:
        reason, line = expat.ErrorString(error.code), error.lineno + skipped
        raise DescriptionError(
            f"robot_description is not XML: line {line}, column {error.offset}: {reason}"
        ) from None


def _refuse_unexpanded(element: ElementTree.Element, line: int) -> None:
    for key, value in element.attrib.items():
        if any(sign in value for sign in _UNEXPANDED):
            raise DescriptionError(_xacro_text(f'{key}="{value}"', line))


def _xacro_text(what: str, line: int) -> str:
    return (
        f"robot_description, line {line}: xacro is left in it ({what}): publish what the command "
        "xacro makes of the file"
    )


class Descriptions:
    """The descriptions of one robot, as they come.

    Args:
        prefixes: Topic of a description -> what stands before its names; see ``Robot``.
    """

    def __init__(self, prefixes: Mapping[str, str]) -> None:
        self._prefixes = dict(prefixes)
        self._texts: dict[str, str] = {}

    def take(self, topic: str, text: str) -> bool:
        """Take one; return whether it is new and all are there now."""
        is_new = self._texts.get(topic) != text
        self._texts[topic] = text
        return is_new and self.are_complete

    @property
    def are_complete(self) -> bool:
        """Whether each topic has brought one."""
        return self._texts.keys() == self._prefixes.keys()

    @property
    def text(self) -> str:
        """All of them as one.

        Raises:
            DescriptionError: As ``joined_description``.
        """
        texts = {self._prefixes[topic]: text for topic, text in self._texts.items()}
        return joined_description(texts)


_LINKED = ("parent", "child")


def joined_description(descriptions: Mapping[str, str]) -> str:
    """Return one description in which every name has the prefix of the one that it comes from.

    Their roots are joined where they are: where one arm stands beside the other is in neither.
    What is no link and no joint of a robot is left out where there are several.

    Args:
        descriptions: Prefix -> text of a robot_description.

    Raises:
        DescriptionError: One is not a URDF, or has no root link.
    """
    if set(descriptions) == {""}:
        return descriptions[""]
    whole = ElementTree.Element("robot", name="joined")
    ElementTree.SubElement(whole, "link", name=_ROOT)
    for prefix, text in descriptions.items():
        try:
            described_joints(text)  # refuses, with the line, what is no URDF
        except DescriptionError as error:
            raise DescriptionError(f"of {prefix!r}: {error}") from None
        part = ElementTree.fromstring(text.lstrip("\ufeff \t\r\n"))
        for element in [*part.findall("link"), *part.findall("joint")]:
            _rename(element, prefix)
            whole.append(element)
        fixed = ElementTree.SubElement(whole, "joint", name=f"{prefix}{_ROOT}", type="fixed")
        ElementTree.SubElement(fixed, "parent", link=_ROOT)
        ElementTree.SubElement(fixed, "child", link=_root_of(part, prefix))
    return ElementTree.tostring(whole, encoding="unicode")


def _rename(element: ElementTree.Element, prefix: str) -> None:
    element.set("name", prefix + element.get("name", ""))
    for tag in _LINKED:
        for end in element.findall(tag):
            end.set("link", prefix + end.get("link", ""))
    for mimic in element.findall("mimic"):
        mimic.set("joint", prefix + mimic.get("joint", ""))


def _root_of(part: ElementTree.Element, prefix: str) -> str:
    """Return the link that no joint leads to, among those that have their prefix already."""
    children = {
        end.get("link") for joint in part.findall("joint") for end in joint.findall("child")
    }
    roots = [link.get("name", "") for link in part.findall("link")]
    roots = [link for link in roots if link not in children]
    if len(roots) != 1:
        raise DescriptionError(f"of {prefix!r}: robot_description must have one root, got {roots}")
    return roots[0]

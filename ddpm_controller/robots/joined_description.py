"""One robot description of several, as of two arms whose drivers publish one each."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping

from ddpm_controller.robots.robot_description import DescriptionError, described_joints

_ROOT = "joined_root"


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

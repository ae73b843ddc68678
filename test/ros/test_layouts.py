"""The layouts for RViz, Foxglove and PlotJuggler name what the running nodes really publish."""

import importlib
import json
import re
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from controller_driver import client, process_of
from random_checkpoint import save_random_checkpoint

from ddpm_controller.simulation.arm.arm import JOINT_NAMES, PUBLISHED_JOINT_NAMES
from ddpm_controller.simulation.arm.robot_description import robot_description

ROOT = Path(__file__).parents[2]
RVIZ = yaml.safe_load((ROOT / "config/rviz/controller.rviz").read_text())
FOXGLOVE = json.loads((ROOT / "config/foxglove/controller.json").read_text())
PLOTJUGGLER = ElementTree.parse(ROOT / "config/plotjuggler/controller.xml").getroot()
STREAMS = ("joint_state", "camera_fixed", "camera_wrist")


def members(part: Any) -> Iterator[tuple[str, Any]]:
    """Every key of a nested file with its value."""
    if isinstance(part, dict):
        yield from part.items()
        part = list(part.values())
    if isinstance(part, list):
        for each in part:
            yield from members(each)


def rviz_topics() -> dict[str, str]:
    """Topic -> class of the display."""
    displays = RVIZ["Visualization Manager"]["Displays"]
    return {
        display[key]["Value"]: display["Class"].split("/")[1]
        for display in displays
        for key in ("Topic", "Description Topic")
        if key in display
    }


def foxglove_lines() -> list[dict]:
    panels = FOXGLOVE["configById"].values()
    return [line for panel in panels for line in panel.get("paths", [])]


def foxglove_topics() -> set[str]:
    topics = {line["value"].partition(".")[0] for line in foxglove_lines()}
    for key, value in members(FOXGLOVE):
        if key in ("imageTopic", "calibrationTopic", "topic", "topicPath"):
            topics.add(value)
        if key == "topics":
            topics |= set(value)
    return topics


def curves() -> list[str]:
    return [curve.get("name") for curve in PLOTJUGGLER.iter("curve")]


def selected() -> list[str]:
    return PLOTJUGGLER.find(".//selected_topics").get("value").split(";")


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> dict[str, str]:
    """Topic -> type of all that the simulation and the configured controller publish."""
    folder = tmp_path_factory.mktemp("checkpoint") / "random"
    save_random_checkpoint(folder)
    with (
        client() as node,
        process_of("simulation", world="reach"),
        process_of("controller", checkpoint=folder),
    ):
        node.bring_up()
        node.until_running(num_chunks=1)
        drawn = {f"/{topic}" for topic in rviz_topics()} | foxglove_topics() | set(selected())
        return node.published(drawn)


def test_every_topic_of_rviz_is_published_as_its_display_takes_it(published):
    types = {
        "Image": "sensor_msgs/msg/Image",
        "MarkerArray": "visualization_msgs/msg/MarkerArray",
        "RobotModel": "std_msgs/msg/String",
    }
    assert set(rviz_topics().values()) == set(types)
    for topic, display in rviz_topics().items():
        assert not topic.startswith("/"), "relative, so that a namespace moves them all"
        assert published[f"/{topic}"] == types[display]


def test_the_fixed_frame_is_the_root_of_the_robot_description():
    root = ElementTree.fromstring(robot_description())
    children = {joint.find("child").get("link") for joint in root.findall("joint")}
    (base,) = {link.get("name") for link in root.findall("link")} - children
    assert RVIZ["Visualization Manager"]["Global Options"]["Fixed Frame"] == base
    assert FOXGLOVE["configById"]["3D!scene"]["followTf"] == base


def test_every_topic_of_foxglove_is_published(published):
    assert foxglove_topics() <= set(published)
    assert "/controller/predicted_path" in foxglove_topics()


def test_every_panel_of_foxglove_is_in_the_layout_once():
    places = [value for _, value in members(FOXGLOVE["layout"]) if isinstance(value, str)]
    panels = [place for place in places if "!" in place]
    assert sorted(panels) == sorted(FOXGLOVE["configById"])


def test_every_topic_of_plotjuggler_is_published_and_subscribed(published):
    assert set(selected()) <= set(published)
    for curve in curves():
        assert any(curve.startswith(f"{topic}/") for topic in selected()), curve


def field_type(message_type: str, path: list[str]) -> str:
    """The type at the end of a path of fields; raises where a field does not exist."""
    for field in path:
        package, *_, name = message_type.split("/")
        message = getattr(importlib.import_module(f"{package}.msg"), name)
        types = message.get_fields_and_field_types()
        declared = types[re.sub(r"\[\d+\]$", "", field)]
        inner = re.sub(r"^sequence<(.*)>$|^(.*)\[\d+\]$", r"\1\2", declared)
        assert (inner != declared) == field.endswith("]"), f"{field} is {declared}"
        message_type = inner
    return message_type


def test_every_field_that_is_drawn_is_a_number_of_its_message(published):
    for line in foxglove_lines():
        topic, _, path = line["value"].partition(".")
        kind = field_type(published[topic], path.split("."))
        assert kind in ("double", "uint8", "uint16", "uint64", "string"), line
    for curve in curves():
        topic = next(each for each in selected() if curve.startswith(f"{each}/"))
        path = curve.removeprefix(f"{topic}/").split("/")
        if topic == "/joint_states":  # PlotJuggler takes it apart by joint name
            assert path[0] in JOINT_NAMES
            path = [f"{path[1]}[0]"]
        assert field_type(published[topic], path) in ("double", "uint8", "uint16", "uint64")


def test_measured_and_commanded_curves_are_of_the_same_joint():
    """The driver has an order of its own, and Foxglove knows only indices."""
    seen = set()
    for line in foxglove_lines():
        name, _, what = line["label"].rpartition(" ")
        index = re.findall(r"\[(\d+)\]$", line["value"])
        if what == "measured":
            assert PUBLISHED_JOINT_NAMES[int(index[0])] == name
            seen.add(name)
        if what == "commanded":
            assert JOINT_NAMES[int(index[0])] == name
        if "stream_ages_s" in line["value"]:
            assert STREAMS[int(index[0])] == line["label"]
    assert seen == set(JOINT_NAMES)
    for plot in PLOTJUGGLER.iter("DockArea"):
        names = [curve.get("name") for curve in plot.iter("curve")]
        if plot.get("name") in JOINT_NAMES:
            index = JOINT_NAMES.index(plot.get("name"))
            assert names == [
                f"/joint_states/{plot.get('name')}/position",
                f"/joint_trajectory/points[0]/positions[{index}]",
            ]
            seen.remove(plot.get("name"))
    assert not seen


def test_the_layouts_are_installed(monkeypatch):
    seen = {}
    monkeypatch.setattr("setuptools.setup", lambda **words: seen.update(words))
    monkeypatch.chdir(ROOT)
    runpy.run_path(str(ROOT / "setup.py"))
    shared = {path for _, paths in seen["data_files"] for path in paths}
    for name in ("rviz/controller.rviz", "foxglove/controller.json", "plotjuggler/controller.xml"):
        assert f"config/{name}" in shared

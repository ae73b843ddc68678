"""A bag compared with a robot file, and with the pictures that a checkpoint was trained with."""

from collections.abc import Mapping
from pathlib import Path

from ddpm_controller.bags.camera_infos import views_in
from ddpm_controller.bags.episodes import read_bag
from ddpm_controller.bags.files import BagError, OpenBag, resolve_topic
from ddpm_controller.messages.camera_view import CameraView, view_problem
from ddpm_controller.robots.robot import Robot
from ddpm_controller.robots.streams import STRING
from ddpm_controller.survey.bag import LONGEST_S
from ddpm_controller.survey.examination import Examination, Place, Row


def examined_bag(bag: Path, robot: Robot, trained: Mapping[str, CameraView]) -> list[Row]:
    """Return what a bag has of all that a robot file names.

    Topics, names, sizes and rates are those of its first seconds; episodes are of all of it.

    Args:
        bag: The bag, or its storage file.
        robot: Robot file.
        trained: Stream -> field of view in training, where it is known.

    Raises:
        BagError: The bag is cut or damaged.
    """
    examination = Examination(robot)
    with OpenBag(bag) as source:
        places = _places(source, robot)
        _look(source, robot, places, examination)
    rows = [*examination.rows(places), *examination.command_rows(places)]
    return [*rows, *view_rows(trained, views_in(bag, robot)), _episode_row(bag, robot)]


def view_rows(trained: Mapping[str, CameraView], now: Mapping[str, CameraView]) -> list[Row]:
    """Return a row for each stream of pictures whose field of view is known on both sides."""
    rows = []
    for name in sorted(set(trained) & set(now)):
        problem = view_problem(name, trained[name], now[name])
        remedy = "use the lens, zoom and crop of the training" if problem else ""
        rows.append(
            Row(
                f"field of view {name}",
                str(trained[name]),
                str(now[name]),
                remedy,
                "fault" if problem else "fits",
            )
        )
    return rows


def _places(source: OpenBag, robot: Robot) -> dict[str, Place]:
    names = [each.topic for stream in robot.streams for each in stream.sources]
    names += [output.in_bags[0] for output in robot.outputs] + list(robot.descriptions)
    found = {name: resolve_topic(name, source.topics) for name in names}
    return {name: Place(topic, (source.topics[topic],)) for name, topic in found.items() if topic}


def _look(
    source: OpenBag, robot: Robot, places: Mapping[str, Place], examination: Examination
) -> None:
    """Hand the first seconds of a bag to an examination; what has another type is left out."""
    kinds = {each.topic: s.type for s in robot.streams for each in s.sources}
    streams = _by_topic(places, kinds)
    described = _by_topic(places, dict.fromkeys(robot.descriptions, STRING))
    outputs = {
        places[topic].topic: output
        for output in robot.outputs
        if (topic := output.in_bags[0]) in places and places[topic].types == output.in_bags[1:]
    }
    first_s = None
    for each in source.messages({*streams, *described, *outputs}):
        first_s = each.log_s if first_s is None else first_s
        if each.log_s - first_s > LONGEST_S:
            return
        for name in streams.get(each.topic, ()):
            examination.take(name, each.message, each.log_s)
        for name in described.get(each.topic, ()):
            examination.take_description(name, each.message.data)
        if each.topic in outputs:
            examination.take_command(outputs[each.topic], each.message, each.log_s)


def _by_topic(places: Mapping[str, Place], kinds: Mapping[str, str]) -> dict[str, list[str]]:
    """Return recorded topic -> its names in the robot file, where the type is the same."""
    found: dict[str, list[str]] = {}
    for name, kind in kinds.items():
        if name in places and kind in places[name].types:
            found.setdefault(places[name].topic, []).append(name)
    return found


def _episode_row(bag: Path, robot: Robot) -> Row:
    what, expected = "episodes", f"one or more, every {robot.period_s:g} s"
    try:
        episodes = read_bag(bag, robot)
    except BagError as error:
        return Row(what, expected, str(error), "see the text", "fault")
    moments = sum(map(len, episodes))
    return Row(what, expected, f"{len(episodes)} with {moments} moments")

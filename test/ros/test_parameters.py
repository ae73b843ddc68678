"""Parameters of a dataclass on a real node: lists of texts, and those of earlier releases."""

import math
import re
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
import rclpy
import yaml
from rclpy.context import Context
from rclpy.node import Node
from rclpy.parameter import Parameter

from ddpm_controller.control.parameter_names import AS_CHECKPOINT, NAMES, WORDS, values_from
from ddpm_controller.robots.loop_settings import deployment_from
from ddpm_controller.robots.robot import load_robot
from ddpm_controller.ros.controller.parameters import REMOVED, ControllerParameters
from ddpm_controller.ros.graph.process_command import python_command
from ddpm_controller.ros.parameters import declarations, declare, parameter, read
from ddpm_controller.ros.trainer.parameters import TrainerParameters
from ddpm_controller.share import share_path


@dataclass(frozen=True)
class Listed:
    """One list of texts."""

    words: tuple[str, ...] = parameter((), "Words.")


@contextmanager
def node_with(*arguments):
    """A node whose process was started with these parameters."""
    words = [word for each in arguments for word in ("-p", each)]
    with node_started("--ros-args", *words) as node:
        yield node


@contextmanager
def node_of_file(path, parameters):
    """A node whose process was started with a file of parameters for every node."""
    path.write_text(yaml.safe_dump({"/**": {"ros__parameters": parameters}}))
    with node_started("--ros-args", "--params-file", str(path)) as node:
        yield node


@contextmanager
def node_started(*words):
    """A node of a context of its own."""
    context = Context()
    rclpy.init(args=list(words), context=context)
    node = Node("controller", context=context)
    try:
        yield node
    finally:
        node.destroy_node()
        rclpy.shutdown(context=context)


@pytest.mark.parametrize(
    ("arguments", "words"), [((), ()), (("words:=['a=1', 'b=two']",), ("a=1", "b=two"))]
)
def test_a_list_of_texts_is_empty_or_as_it_was_given(arguments, words):
    with node_with(*arguments) as node:
        assert declare(node, Listed) == Listed(words)
        assert node.describe_parameter("words").description == "Words."


@pytest.mark.parametrize("name", sorted(REMOVED))
def test_a_parameter_of_an_earlier_release_is_refused_with_what_is_given_now(name):
    """To rclpy a parameter that nobody declares is no mistake, so it would change nothing."""
    with node_with(f"{name}:=1", "seed:=3") as node:
        message = rf"no parameters \['{name}'\] .*{name}: use {re.escape(REMOVED[name])}"
        with pytest.raises(ValueError, match=message):
            declare(node, ControllerParameters, REMOVED)


def test_overrides_reach_the_settings_of_a_policy():
    with node_with("policy.overrides:=['sampler=ddpm']") as node:
        settings = declare(node, ControllerParameters, REMOVED).plan_settings
    assert settings.overrides == {"sampler": "ddpm"}


def test_every_field_has_one_name_of_its_own_and_a_group_that_is_known():
    names = [each.name for each in declarations(ControllerParameters)]
    assert len(set(names)) == len(names)
    groups = {name.partition(".")[0] for name in names if "." in name}
    assert groups == {"policy", "chunk", "start", "stop", "command", "monitor"}
    fields = {each.field for each in declarations(ControllerParameters)}
    assert set(NAMES) | set(WORDS) <= fields
    assert not fields & set(NAMES.values())
    assert not fields & set(REMOVED)


@pytest.mark.parametrize(("earlier", "name"), NAMES.items())
def test_a_name_without_its_group_is_refused_with_the_one_in_the_group(tmp_path, earlier, name):
    message = f"no parameters \\['{earlier}'\\] any more; {earlier}: use {name}$"
    for node_given in (
        node_with(f"{earlier}:=1"),
        node_of_file(tmp_path / "file.yaml", {earlier: 1, "seed": 3}),
    ):
        with node_given as node, pytest.raises(ValueError, match=message):
            declare(node, ControllerParameters, REMOVED)


def test_a_name_that_its_group_does_not_have_is_refused_with_the_nearest(tmp_path):
    message = "no parameter chunk.fades_s; is chunk.fade_s meant\\? group chunk has .*n_action"
    for node_given in (
        node_with("chunk.fades_s:=0.1"),
        node_of_file(tmp_path / "file.yaml", {"chunk": {"fades_s": 0.1}}),
    ):
        with node_given as node, pytest.raises(ValueError, match=message):
            declare(node, ControllerParameters, REMOVED)


def test_names_of_other_nodes_in_a_shared_file_do_not_count(tmp_path):
    """A file for every node gives each of them all that is in it."""
    shared = {
        "use_sim_time": False,
        "world": "pusht",
        "update_rate": 100,
        "qos_overrides": {"/parameter_events": {"publisher": {"depth": 5}}},
        "gains": {"p": 1.0},
        "chunk": {"fade_s": 0.3},
    }
    with node_of_file(tmp_path / "file.yaml", shared) as node:
        assert {"gains.p", "world", "chunk.fade_s"} <= set(node._parameter_overrides)
        assert declare(node, ControllerParameters, REMOVED) == ControllerParameters(fade_s=0.3)


@pytest.mark.parametrize(
    ("given", "field", "value"),
    [
        ("chunk.n_action_steps:=as_checkpoint", "n_action_steps", None),
        ("chunk.n_action_steps:=4", "n_action_steps", 4),
        ("command.lead_s:=as_robot_file", "lead_s", None),
        ("command.lead_s:=0.05", "lead_s", 0.05),
        ("command.lead_s:=1", "lead_s", 1.0),
        ("start.margin:=any", "start_margin", math.inf),
        ("start.distance:=any", "start_distance", math.inf),
        ("monitor.reset_state_above:=never", "reset_state_above", math.inf),
        ("command.priority:=none", "command_priority", None),
        ("policy.state_denoiser:=none", "state_denoiser", None),
        ("policy.state_denoiser:=runs/denoiser", "state_denoiser", "runs/denoiser"),
    ],
)
def test_a_word_and_a_number_are_both_given(given, field, value):
    with node_with(given) as node:
        found = getattr(declare(node, ControllerParameters, REMOVED), field)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("chunk.n_action_steps:=0", "must be as_checkpoint, or an integer of at least 1, got 0"),
        ("chunk.n_action_steps:=true", "an integer of at least 1, got True"),
        ("chunk.n_action_steps:=2.5", "an integer of at least 1, got 2.5"),
        ("command.lead_s:=-1.0", "must be as_robot_file, or a number from 0 to 2, got -1.0"),
        ("command.lead_s:=as_checkpoint", "must be as_robot_file, or .* got 'as_checkpoint'"),
        ("command.lead_s:=.nan", "from 0 to 2, got nan"),
        ("stop.max_age_s:=0.0", "must be as_robot_file, or a number of at least 0.001, got 0.0"),
        ("start.distance:=0.0", "must be as_checkpoint or any, or a number from .* got 0.0"),
        ("start.margin:=-1.0", "must be any, or a number from 0 to 10, got -1.0"),
        ("monitor.reset_state_above:=0.0", "must be as_checkpoint or never, or a number"),
        ("command.priority:=0", "must be none, or an integer from 1 to 99, got 0"),
        ("checkpoint:=''", "checkpoint must be none, or a text, got ''"),
    ],
)
def test_what_stood_for_a_word_in_earlier_releases_and_other_types_are_refused(given, message):
    with node_with(given) as node, pytest.raises(ValueError, match=message):
        declare(node, ControllerParameters, REMOVED)


def test_words_and_numbers_are_set_at_run_time_and_what_is_neither_is_refused():
    with node_with() as node:
        declare(node, ControllerParameters, REMOVED)
        for value, found in ((0.2, 0.2), ("any", math.inf), (2, 2.0), (AS_CHECKPOINT, None)):
            (result,) = node.set_parameters([Parameter("start.distance", value=value)])
            assert result.successful, result.reason
            assert read(node, ControllerParameters).start_distance == found
        for value in ("far", 0.0, True):
            (result,) = node.set_parameters([Parameter("start.distance", value=value)])
            assert not result.successful
            assert f"or any, or a number from 1e-06 to 100, got {value!r}" in result.reason
        assert read(node, ControllerParameters).start_distance is None
        described = node.describe_parameter("start.distance")
        assert described.additional_constraints.startswith("as_checkpoint or any, or a number")


@pytest.mark.parametrize(
    "given", ["torch_num_threads:=0", "device:=''", "config:=''", "output:=''"]
)
def test_a_trainer_refuses_what_stood_for_a_word(given):
    with node_with(given) as node, pytest.raises(ValueError, match="as_recipe|none, or a text"):
        declare(node, TrainerParameters)


def test_a_trainer_takes_its_words():
    with node_with("device:=as_recipe", "torch_num_threads:=2", "config:=none") as node:
        assert declare(node, TrainerParameters) == TrainerParameters(torch_num_threads=2)


def test_what_a_node_declares_is_what_a_bag_gives_back():
    """A recorder asks for names and values as ROS has them."""
    robot = load_robot(share_path("config/robots/sim_arm.yaml"))
    given = ("start.margin:=any", "stop.max_age_s:=0.7", "monitor.reset_state_above:=never")
    with node_with(*given) as node:
        deployed = declare(node, ControllerParameters, REMOVED)
        recorded = {
            each.name: node.get_parameter(each.name).value
            for each in declarations(ControllerParameters)
        }
    values = values_from(recorded)
    assert {**values, "policy_overrides": ()} == vars(deployed)
    assert deployment_from(values, robot) == deployment_from(vars(deployed), robot)


def test_a_controller_that_is_given_an_earlier_name_ends_with_the_new_one(tmp_path):
    (tmp_path / "file.yaml").write_text("/**: {ros__parameters: {stop_s: 0.3}}")
    for words, text in (
        (("-p", "lead_s:=0.1"), "lead_s: use command.lead_s\n"),
        (("--params-file", str(tmp_path / "file.yaml")), "stop_s: use stop.duration_s\n"),
        (("-p", "control_rate_hz:=fast"), "control_rate_hz"),
    ):
        command = [*python_command("controller"), "--ros-args", *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 1
        assert done.stderr.startswith("controller: ")
        assert text in done.stderr

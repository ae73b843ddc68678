"""Parameters of a dataclass on a real node: lists of texts, and those of earlier releases."""

from contextlib import contextmanager
from dataclasses import dataclass

import pytest
import rclpy
from rclpy.context import Context
from rclpy.node import Node

from ddpm_controller.ros.controller.parameters import REMOVED, ControllerParameters
from ddpm_controller.ros.parameters import declare, parameter


@dataclass(frozen=True)
class Listed:
    """One list of texts."""

    words: tuple[str, ...] = parameter((), "Words.")


@contextmanager
def node_with(*arguments):
    """A node whose process was started with these parameters."""
    context = Context()
    words = [word for each in arguments for word in ("-p", each)]
    rclpy.init(args=["--ros-args", *words], context=context)
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
        message = f"no parameters \\['{name}'\\] .*{name}: use policy_overrides:=\\['{name}="
        with pytest.raises(ValueError, match=message):
            declare(node, ControllerParameters, REMOVED)


def test_overrides_reach_the_settings_of_a_policy():
    with node_with("policy_overrides:=['sampler=ddpm']") as node:
        settings = declare(node, ControllerParameters, REMOVED).plan_settings
    assert settings.overrides == {"sampler": "ddpm"}

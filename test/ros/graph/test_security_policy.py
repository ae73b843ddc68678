"""The security policy of a graph has what its nodes use, and no more of the robot than it must."""

import xml.etree.ElementTree as ElementTree

import pytest
import rclpy
from rclpy.action import get_action_server_names_and_types_by_node

from ddpm_controller.ros.controller.node import Controller
from ddpm_controller.ros.graph.graphs import GRAPHS
from ddpm_controller.ros.graph.resolution import resolve
from ddpm_controller.ros.graph.security_policy import policy
from ddpm_controller.ros.simulation.node import Simulation
from ddpm_controller.ros.trainer.node import Trainer


def allowed(graph, node, **arguments):
    """Right -> the names that a policy gives a node."""
    root = ElementTree.fromstring(policy(resolve(GRAPHS[graph], arguments, {})))
    (profile,) = root.findall(f".//profile[@node='{node}']")
    found = {}
    for group in profile:
        (right,) = group.attrib
        found[right] = {each.text for each in group}
    return found


def used(make, name, **parameters):
    """Right -> the names that a real node uses."""
    words = [word for pair in parameters.items() for word in ("-p", "{}:={}".format(*pair))]
    rclpy.init(args=["--ros-args", *words])
    node = make()
    if name == "controller":
        node.trigger_configure()
    try:
        return {
            "publish": {each.topic_name for each in node.publishers},
            "subscribe": {each.topic_name for each in node.subscriptions},
            "reply": {node.resolve_service_name(each.srv_name) for each in node.services},
            "execute": {
                each for each, _ in get_action_server_names_and_types_by_node(node, name, "/")
            },
        }
    finally:
        node.close()
        if name == "controller":  # the others destroy themselves
            node.destroy_node()
        rclpy.shutdown()


CASES = {
    "controller": (Controller, "controller", {}, {"command.process": "false"}),
    "simulation": (Simulation, "simulation", {"world": "reach"}, {"world": "reach"}),
    "trainer": (Trainer, "train", {}, {}),
}


@pytest.mark.parametrize("node", CASES)
def test_a_node_may_do_all_that_it_does(node):
    """Compared with the real node; actions have topics and services of their own."""
    make, graph, arguments, parameters = CASES[node]
    rights = allowed(graph, node, **arguments)
    for right, names in used(make, node, **parameters).items():
        missing = {name for name in names - rights.get(right, set()) if "/_action/" not in name}
        assert not missing, right


def test_commands_may_come_from_the_controller_and_its_command_process_alone():
    """A simulated robot that takes them may not publish them; the expert's graph is another."""
    for node in ("controller", "controller_commands"):
        assert "/joint_trajectory" in allowed("arm", node)["publish"]
    simulated = allowed("arm", "simulation")
    assert "/joint_trajectory" not in simulated["publish"]
    assert "/joint_trajectory" in simulated["subscribe"]
    assert "/joint_trajectory" in allowed("simulation", "simulation", expert="true")["publish"]


def test_names_follow_the_namespace():
    rights = allowed("controller", "controller", namespace="left")
    assert {"/left/joint_trajectory", "/left/controller/status"} <= rights["publish"]
    assert "/left/joint_states" in rights["subscribe"]
    assert "/joint_trajectory" not in rights["publish"]

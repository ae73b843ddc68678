"""Nodes are found before their names are, on a busy machine."""

from ddpm_controller.ros.neighbours.endpoints import Nameless

NAMELESS = "_NODE_NAMESPACE_UNKNOWN_/_NODE_NAME_UNKNOWN_"


def test_a_node_without_a_name_is_named_only_when_it_stays_without_one():
    found = Nameless()
    assert found.named([NAMELESS, "/rqt"], 10.0) == ["/rqt"]
    assert found.named([NAMELESS], 12.9) == []
    assert found.named([NAMELESS], 13.1) == [NAMELESS]


def test_another_one_begins_to_count_when_it_is_seen():
    found = Nameless()
    assert found.named([NAMELESS], 10.0) == []
    assert found.named(["/left/controller"], 12.0) == ["/left/controller"]
    assert found.named([NAMELESS], 14.0) == []

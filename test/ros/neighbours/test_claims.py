"""Which of several controllers has the right of way."""

from dataclasses import replace

import pytest

from ddpm_controller.ros.neighbours.claims import LEASE_S, Claim, ClaimBook, Intent

A = Claim("a", "/left", "host", 1, 100.0, Intent.CLAIMS)
B = Claim("b", "/right", "host", 2, 100.0, Intent.CLAIMS)


def commanding(claim, since_s=100.0):
    return replace(claim, intent=Intent.COMMANDS, since_s=since_s)


def winners(*claims):
    """The claims that no other one comes before, each by its own book."""
    found = []
    for own in claims:
        book = ClaimBook(own.id)
        for each in claims:
            book.note(each, 0.0)
        if book.rival(own, 0.0) is None:
            found.append(own.id)
    return found


@pytest.mark.parametrize(
    ("claims", "winner"),
    [
        ((A, B), "a"),
        ((replace(A, since_s=100.1), B), "b"),
        ((A, commanding(B, 200.0)), "b"),
        ((commanding(A, 100.1), commanding(B)), "b"),
    ],
    ids=["the same instant", "the first", "one that commands already", "both command"],
)
def test_exactly_one_has_the_right_of_way(claims, winner):
    assert winners(*claims) == winners(*reversed(claims)) == [winner]


def test_who_claims_nothing_yields_to_everybody():
    book = ClaimBook("z")
    book.note(replace(A, since_s=900.0), 0.0)
    idle = replace(B, id="z", since_s=0.0, intent=Intent.NONE)
    assert book.rival(idle, 0.0).node == "/left"


def test_the_claim_of_an_owner_that_has_died_ends():
    book = ClaimBook("b")
    book.note(commanding(A), 10.0)
    assert book.rival(B, 10.0 + LEASE_S) is not None
    assert book.rival(B, 10.1 + LEASE_S) is None


def test_a_claim_that_is_released_ends_at_once_and_its_last_commands_are_explained():
    book = ClaimBook("b")
    book.note(commanding(A), 10.0)
    book.note(replace(A, intent=Intent.NONE), 10.5)
    assert book.rival(B, 10.5) is None
    assert book.explains(10.6, 10.7)
    assert not book.explains(11.2, 11.3)


def test_commands_of_one_that_yields_are_explained_for_a_while_alone():
    book = ClaimBook("a")
    for tenth in range(100):
        now_s = 0.1 * tenth
        book.note(commanding(B), now_s)
        assert book.explains(now_s, now_s) == (now_s < 5.0)


def test_the_text_names_node_process_and_remedy():
    text = commanding(A).text("/joint_trajectory")
    assert "/left (process 1 on host) commands /joint_trajectory since" in text
    assert "ros2 lifecycle set /left deactivate" in text

"""What is better left out: written, read, and taken from episodes."""

from dataclasses import replace

import numpy as np
import pytest

from ddpm_controller.bags.files import BagError
from ddpm_controller.data.statistics import array_digests, episodes_digest
from ddpm_controller.lint.finding import Finding
from ddpm_controller.lint.leave_out import (
    LeaveOut,
    LeftOut,
    leave_out_of,
    leave_out_text,
    read_leave_out,
)
from ddpm_controller.types import Episode

NS = 10**9


def finding(name, severity="doubtful", kind="idle_ends", part=None, *, trim=False):
    part_ns = None if part is None else (part[0] * NS, part[1] * NS)
    return Finding(kind, severity, name, "text", "remedy", 0, part_ns, is_trim=trim)


def episode(source="bag_1#0", begin_s=10.0, count=20):
    stamps_s = begin_s + 0.1 * np.arange(count)
    rows = np.arange(count, dtype=float)[:, None]
    return Episode(stamps_s, {"joint_state": rows}, rows, source)


def test_mistakes_are_left_out_whole_and_idle_ends_in_part(tmp_path):
    found = leave_out_of(
        [
            finding("bag_0", "wrong", "degrees"),
            finding("bag_0", part=(1, 2), trim=True),
            finding("bag_1", part=(10, 12), trim=True),
            finding("bag_2", kind="outlier_episode", part=(10, 20)),
        ]
    )
    assert [(e.bag, e.from_s, e.to_s) for e in found.leave_out] == [
        ("bag_0", None, None),
        ("bag_1", 10.0, 12.0),
    ]
    path = tmp_path / "leave_out.yaml"
    path.write_text(leave_out_text(found))
    assert read_leave_out(path) == found


def test_bags_that_are_left_out_are_not_read(tmp_path):
    bags = [tmp_path / "bag_0", tmp_path / "bag_1"]
    found = LeaveOut(leave_out=(LeftOut(bag="bag_0"), LeftOut(bag="bag_1", to_s=10.0)))
    assert found.bags(bags) == bags[1:]
    with pytest.raises(BagError, match=r"names \['bag_7'\]"):
        LeaveOut(leave_out=(LeftOut(bag="bag_7"),)).bags(bags)
    with pytest.raises(BagError, match="none of the 1 bags"):
        LeaveOut(leave_out=(LeftOut(bag="bag_0"),)).bags(bags[:1])


def test_the_begin_of_an_episode_is_cut():
    found = LeaveOut(leave_out=(LeftOut(bag="bag_1", to_s=10.45),))
    (rest,) = found.episodes([episode()])
    assert rest.actions[:, 0].tolist() == list(range(5, 20))
    assert rest.values["joint_state"][:, 0].tolist() == list(range(5, 20))
    assert rest.stamps_s[0] == pytest.approx(10.5)


def test_a_part_in_the_middle_makes_two_episodes_and_other_bags_are_as_they_were():
    found = LeaveOut(leave_out=(LeftOut(bag="bag_1", from_s=10.75, to_s=11.25),))
    other = episode("bag_2#0")
    first, second, third = found.episodes([episode(), other])
    assert (len(first), len(second)) == (8, 7)
    assert third is other
    assert first.source == "bag_1#0[0:8]"


def test_nothing_left_is_refused():
    with pytest.raises(BagError, match="nothing of 1 episodes"):
        LeaveOut(leave_out=(LeftOut(bag="bag_1", from_s=0.0),)).episodes([episode()])


def test_a_part_that_is_left_out_is_not_doubted():
    found = LeaveOut(leave_out=(LeftOut(bag="bag_1", from_s=9.0, to_s=13.0),))
    assert found.has(finding("bag_1", part=(10, 12)))
    assert not found.has(finding("bag_1", part=(10, 14)))
    assert not found.has(finding("bag_2", part=(10, 12)))
    assert not found.has(finding("bag_1"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("leave_out: [{bagg: bag_1}]", "leave_out.0"),
        ("leave_out: [{bag: bag_1, from_s: .nan}]", "finite"),
        ("leave_out: [", "leave_out.yaml"),
    ],
)
def test_a_file_that_breaks_a_rule_is_refused(tmp_path, text, message):
    path = tmp_path / "leave_out.yaml"
    path.write_text(text)
    with pytest.raises(BagError, match=message):
        read_leave_out(path)
    with pytest.raises(BagError, match="No such file"):
        read_leave_out(tmp_path / "none.yaml")


def test_a_part_of_a_kept_episode_has_a_digest_of_its_own():
    whole = episode()
    known = replace(whole, digests=array_digests(whole))
    out = LeaveOut(leave_out=[LeftOut(bag="bag_1", from_s=10.0, to_s=10.5)])
    (found,) = out.episodes([known])
    assert episodes_digest([found]) == episodes_digest(out.episodes([whole]))
    assert episodes_digest([found]) != episodes_digest([known])

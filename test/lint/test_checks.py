"""Every check sees its defect in a recording that is good otherwise, and nothing in a good one."""

import math
from dataclasses import replace

import numpy as np
import pytest
from small_recordings import (
    HZ,
    TODAY_NS,
    command,
    kinds,
    pictures,
    recording,
    state,
    swing,
    two_joints,
    whole,
)

from ddpm_controller.lint.checks import findings_of
from ddpm_controller.lint.recording import Part, Recording


@pytest.fixture
def robot(tmp_path):
    return two_joints(tmp_path)


def shifted(t_s, rows, *, log_s=0.0, stamp_s=0.0, part=slice(None)):
    """A state whose stamps are off in a part of the recording."""
    track = state(t_s, rows)
    track.stamps_ns[part] += round(stamp_s * 1e9)
    track.log_ns[part] += round(log_s * 1e9)
    return track


def changed(row, column, value):
    """States with one other number."""

    def states(t_s, rows):
        rows = rows.copy()
        rows[row, column] = value if not callable(value) else value(rows[row, column])
        return state(t_s, rows)

    return states


def at_rest(begin_s, end_s):
    """Motion that stands still for a while at both ends."""

    def rows_at(t_s, seed=0):
        inner = np.clip(t_s, begin_s, t_s[-1] - end_s)
        return swing(inner, seed)

    return rows_at


def test_good_recordings_are_not_doubted(robot):
    assert kinds([recording(robot, seed) for seed in range(8)], robot) == set()


def test_noise_of_an_encoder_is_not_doubted(robot):
    random = np.random.default_rng(0)

    def noisy(t_s, rows):
        return state(t_s, rows + random.normal(0, 2e-3, rows.shape))

    assert kinds([recording(robot, states=noisy)], robot) == set()


STATES = {
    "small spike": (changed(100, 0, lambda x: x + 0.2), "spike_in_state", "doubtful"),
    "large spike": (changed(100, 0, 50.0), "spike_in_state", "wrong"),
    "spike at the end": (changed(-2, 1, 3.0), "spike_in_state", "wrong"),
    "degrees": (lambda t, r: state(t, r * [57.3, 1]), "degrees", "wrong"),
    "millimetres": (lambda t, r: state(t, r * [1, 1000]), "millimetres", "wrong"),
    "ahead": (lambda t, r: shifted(t, r, stamp_s=0.1), "stamps_ahead", "doubtful"),
    "far ahead": (lambda t, r: shifted(t, r, stamp_s=3.0), "stamps_ahead", "wrong"),
    "far behind": (lambda t, r: shifted(t, r, stamp_s=-3.0), "two_clocks", "wrong"),
    "clock set": (
        lambda t, r: shifted(t, r, stamp_s=2.0, part=slice(150, None)),
        "two_clocks",
        "wrong",
    ),
    "since boot": (
        lambda t, r: shifted(t, r, stamp_s=-TODAY_NS * 1e-9 + 60),
        "stamps_since_boot",
        "wrong",
    ),
    "one goes back": (
        lambda t, r: shifted(t, r, stamp_s=-0.05, part=slice(90, 91)),
        "stamps_go_back",
        "doubtful",
    ),
    "order": (lambda t, r: state(t, r[:, ::-1] * [7.5, 1 / 7.5]), "exchanged_joints", "wrong"),
    "sign": (lambda t, r: state(t, r * [-1, 1]), "exchanged_joints", "wrong"),
    "stands": (
        lambda t, r: state(t, np.where(t[:, None] < 1.5, r, r[round(1.5 * HZ)])),
        "not_followed",
        "wrong",
    ),
    "away": (lambda t, r: state(t, r + np.array([0.5, 0])), "not_followed", "doubtful"),
}


@pytest.mark.parametrize("name", [name for name, case in STATES.items() if case[1]])
def test_a_defect_of_the_states_is_seen(robot, name):
    states, kind, severity = STATES[name]
    found = findings_of([recording(robot, states=states)], robot, {})
    assert [(each.kind, each.severity) for each in found] == [(kind, severity)], found


def test_a_joint_that_stood_while_another_moved_is_doubtful(robot):
    """A finger at an object: the rest of the robot follows."""

    def states(t_s, rows):
        held = np.where(t_s < 1.5, rows[:, 0], rows[round(1.5 * HZ), 0])
        return state(t_s, np.stack([held, rows[:, 1]], axis=1))

    found = findings_of([recording(robot, states=states)], robot, {})
    assert [(each.kind, each.severity) for each in found] == [("not_followed", "doubtful")]


def test_an_angle_that_jumps_by_a_turn_is_seen(robot):
    def states(t_s, rows):
        turned = (rows[:, 0] + math.tau) % math.tau - math.pi  # the seam is at 0
        return state(t_s, np.stack([turned, rows[:, 1]], axis=1))

    assert "wrapped_angle" in kinds([recording(robot, states=states)], robot)


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_joints_that_move_alike_are_exchanged_where_each_is_at_the_other_command(robot, order):
    """From one point to another all speeds have one shape, and correlation shows nothing."""
    both = {"units": ("rad", "rad")}

    def way(t_s):
        share = 0.5 - 0.5 * np.cos(np.clip(t_s, 0, 5) * math.pi / 5)
        return np.stack([1.0 - share, 0.2 + 0.5 * share], axis=1)

    found = recording(
        robot,
        states=lambda t, r: state(t, way(t - 0.1)[:, order], **both),
        commands=lambda t, r: command(robot, t, way(t), **both),
    )
    expected = {"exchanged_joints"} if order == [1, 0] else set()
    assert kinds([found], robot) == expected


def test_a_hole_is_wrong_where_the_stream_is_stale(robot):
    def with_hole(seconds):
        def states(t_s, rows):
            kept = (t_s < 2) | (t_s > 2 + seconds)
            return state(t_s[kept], rows[kept])

        return states

    for seconds, severity in ((0.2, "doubtful"), (0.5, "wrong")):
        found = findings_of([recording(robot, states=with_hole(seconds))], robot, {})
        assert [(each.kind, each.severity) for each in found] == [("dropout", severity)]


def test_stamps_of_zero_are_seen(robot):
    def states(t_s, rows):
        track = state(t_s, rows)
        track.stamps_ns[::10] = 0
        return track

    assert kinds([recording(robot, states=states)], robot) == {"zero_stamps"}


def test_a_recorder_that_stood_still_is_no_other_clock(robot):
    """What had waited for it comes at once, with good stamps."""

    def states(t_s, rows):
        track = state(t_s, rows)
        late = (t_s > 2) & (t_s < 2.8)
        track.log_ns[late] = track.log_ns[late][-1]
        return track

    assert "two_clocks" not in kinds([recording(robot, states=states)], robot)


def goals(robot, held_s, *, pause_s=0.0):
    """Goals at each change; the first one was sent before, and one waited in a pause."""

    def commands(t_s, rows):
        kept = (t_s < 1) | (t_s >= 1 + pause_s)
        track = command(robot, t_s[kept], rows[kept])
        for late_s, begin_s in ((held_s, 0.0), (0.9 * pause_s, 1 + pause_s)):
            first = np.flatnonzero(t_s[kept] >= begin_s)[0]
            track.stamps_ns[first] -= round(late_s * 1e9)
        return track

    return commands


@pytest.mark.parametrize(("held_s", "pause_s"), [(1.6, 0.0), (3600.0, 0.0), (0.0, 1.2)])
def test_a_goal_that_held_before_it_was_recorded_is_no_other_clock(robot, held_s, pause_s):
    found = kinds([recording(robot, commands=goals(robot, held_s, pause_s=pause_s))], robot)
    assert "two_clocks" not in found


def test_a_goal_of_the_time_since_boot_is_of_another_clock(robot):
    commands = goals(robot, TODAY_NS * 1e-9 - 60)
    assert "two_clocks" in kinds([recording(robot, commands=commands)], robot)


def test_a_spike_in_the_commands_is_seen(robot):
    def commands(t_s, rows):
        rows = rows.copy()
        rows[120] += [0.3, 0]
        return command(robot, t_s, rows)

    assert kinds([recording(robot, commands=commands)], robot) == {"spike_in_command"}


def test_glitches_that_the_robot_file_leaves_out_are_doubtful(tmp_path):
    robot = two_joints(tmp_path, "{glitches: leave_out}")
    (found,) = findings_of([recording(robot, states=changed(100, 0, 50.0))], robot, {})
    assert found.severity == "doubtful"


def test_commands_that_stop_while_the_robot_moves_are_seen(robot):
    def commands(t_s, rows):
        return command(robot, t_s[t_s < 2], rows[t_s < 2])

    found = findings_of([recording(robot, commands=commands)], robot, {})
    assert "commands_stop" in {each.kind for each in found}


def test_one_command_is_seen(robot):
    def commands(t_s, rows):
        return command(robot, t_s[:1], rows[:1])

    assert "one_command" in kinds([recording(robot, commands=commands)], robot)


def test_idle_ends_are_named_with_the_part_to_leave_out(robot):
    rest = at_rest(3.0, 2.5)
    good = recording(
        robot,
        seconds=12.0,
        states=lambda t, r: state(t, rest(t)),
        commands=lambda t, r: command(robot, t, rest(t)),
    )
    found = findings_of([whole(good)], robot, {})
    assert [each.kind for each in found] == ["idle_ends"] * 2
    (begin, end) = (each.part_ns for each in found)
    assert (begin[1] - TODAY_NS) * 1e-9 == pytest.approx(2.5, abs=0.15)
    assert (end[0] - TODAY_NS) * 1e-9 == pytest.approx(10.0, abs=0.15)


def test_a_description_in_the_bag_has_limits_and_joints_that_turn_without_end(tmp_path):
    """A wheel that is observed has turned three times; a limit of the other joint is passed."""
    robot = two_joints(tmp_path)
    joint = '<joint name="{}" type="{}"><parent link="a"/><child link="{}"/>{}</joint>'
    limit = '<limit lower="{}" upper="1" velocity="1" effort="1"/>'
    links = "".join(f'<link name="{each}"/>' for each in "abc")

    def urdf(turn, low=-1):
        slide = joint.format("slide", "prismatic", "c", limit.format(low))
        turn = joint.format("turn", turn, "b", limit.format(-4))
        return f'<robot name="x">{links}{turn}{slide}</robot>'

    def states(t_s, rows):
        return state(t_s, rows + np.array([6 * math.pi, 0]))

    def commands(t_s, rows):
        return command(robot, t_s, rows + np.array([6 * math.pi, 0]))

    def seen(text):
        return kinds([recording(robot, states=states, commands=commands, urdf=text)], robot)

    assert "degrees" in seen("")
    assert "degrees" in seen(urdf("revolute"))
    assert seen(urdf("continuous")) == set()
    assert seen(urdf("continuous", low=0.05)) == {"outside_limits"}
    assert "other_description" in seen(f'<robot name="x">{links}</robot>')


def test_joints_outside_their_limits_are_seen(robot):
    found = findings_of([recording(robot)], robot, {"turn": (-0.05, 0.05)})
    assert {each.kind for each in found} == {"outside_limits"}
    assert kinds([recording(robot)], robot, {"turn": (-0.61, 0.61)}) == set()


def test_an_image_that_stands_still_while_joints_move_is_seen(robot):
    digests = np.arange(150)
    digests[40:80] = 40  # 1.6 s
    cameras = (pictures("one", 100, digests=digests),)
    (found,) = findings_of([recording(robot, pictures=cameras)], robot, {})
    assert (found.kind, found.severity) == ("frozen_images", "wrong")
    assert "40 times" in found.text


def test_exchanged_cameras_are_seen(robot):
    def cameras(one, other):
        return pictures("one", one), pictures("other", other)

    recordings = [recording(robot, seed, pictures=cameras(60, 180)) for seed in range(3)]
    assert kinds(recordings, robot) == set()
    recordings.append(recording(robot, 3, pictures=cameras(180, 60)))
    assert kinds(recordings, robot) == {"swapped_images"}
    assert kinds(recordings, robot, of="bag_3") == {"swapped_images"}


def test_an_episode_unlike_the_others_and_one_that_repeats_are_seen(robot):
    recordings = [recording(robot, seed) for seed in range(7)]

    def drift(t_s):
        return np.stack([0.5 * t_s, 0.1 * t_s], axis=1)

    other = recording(
        robot,
        7,
        states=lambda t, r: state(t, r + drift(t - 0.1)),
        commands=lambda t, r: command(robot, t, r + drift(t)),
    )
    assert kinds([*recordings, other], robot, of="bag_7") == {"outlier_episode"}
    again = recording(robot, 2, name="again")
    assert kinds([*recordings, again], robot, of="again") == {"near_duplicate"}


def test_marks_that_contradict_the_motion_are_seen(robot):
    """The same motion is a success and a failure; a success in which nothing moves."""

    def marked(name, success, seed=0, **changes):
        found = recording(robot, seed, name=name, **changes)
        return replace(found, marked=(Part(0, TODAY_NS, TODAY_NS + 6 * 10**9, success),))

    good = [marked(f"bag_{seed}", True, seed) for seed in range(4)]
    assert kinds(good, robot) == set()
    assert "mislabelled" not in kinds([*good, marked("again", True, 2)], robot)
    assert "mislabelled" in kinds([*good, marked("again", False, 2)], robot, of="again")

    def stands(t_s, rows):
        return state(t_s, np.full(rows.shape, 0.1))

    for success in (True, False):
        still = marked(
            "still", success, states=stands, commands=lambda t, r: command(robot, t, 0 * r + 0.1)
        )
        assert ("mislabelled" in kinds([*good, still], robot, of="still")) == success


def test_units_of_one_recording_are_compared_with_the_others(robot):
    """Where command and state are both in degrees, and small."""
    recordings = [recording(robot, seed) for seed in range(4)]
    small = recording(
        robot,
        5,
        states=lambda t, r: state(t, r * [57.3 * 0.3, 1]),
        commands=lambda t, r: command(robot, t, r * [57.3 * 0.3, 1]),
    )
    assert "degrees" not in kinds([small], robot)
    for each in recordings:
        each.states[0].rows[:, 0] *= 0.3
        each.commands[0].rows[:, 0] *= 0.3
    assert "degrees" in kinds([*recordings, small], robot, of="bag_5")


def test_namespaces_and_names_are_compared(robot):
    apart = {"/left/joint_states": "", "/right/joint_trajectory": ""}
    assert kinds([recording(robot, topics=apart)], robot) == {"mixed_namespaces"}
    both = {"/left/joint_states": "", "/right/joint_states": "", "/left/joint_trajectory": ""}
    assert kinds([recording(robot, topics=both)], robot) == {"mixed_namespaces"}
    twice = recording(robot, repeated={"/joint_states": ["turn"]})
    assert kinds([twice], robot) == {"duplicate_names"}


def test_an_empty_recording_is_unreadable_and_no_check_fails(robot):
    none = Recording("empty", fault="bag empty is cut or damaged")
    assert kinds([none, recording(robot)], robot) == {"unreadable"}

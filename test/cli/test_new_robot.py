"""The command new-robot, on robots that speak as their drivers do, and on a bag."""

from pathlib import Path

import pytest
from robot_driver import driver_of
from robot_facts import commanded, observed
from robot_process import robot_process
from small_bags import MS, START_NS, run_messages, write_bag

from ddpm_controller.bags.message_types import blank
from ddpm_controller.cli.new_robot import main
from ddpm_controller.robots.robot import load_robot

ROBOTS = Path(__file__).parents[2] / "config" / "robots"
LONG = ("fr3_hand", "xarm7", "aloha", "go2")


def rates_agree(found_hz, wanted_hz):
    """A busy machine may publish less often, never more."""
    return 0 < found_hz < 1.3 * wanted_hz


@pytest.mark.parametrize(
    "name",
    ["so101", *(pytest.param(each, marks=pytest.mark.long) for each in ("ur5e_2f85", *LONG))],
)
def test_a_running_robot_gives_the_file_that_is_shipped_for_it(name, tmp_path):
    driver = driver_of(name)
    with robot_process(name):
        words = [name, "--output", str(tmp_path), "--namespace", driver.namespace]
        assert main([*words, "--duration-s", "6"]) == 0
    robot, shipped = load_robot(tmp_path / f"{name}.yaml"), load_robot(ROBOTS / f"{name}.yaml")
    assert commanded(robot) == commanded(shipped)
    assert observed(robot) == observed(shipped)
    assert robot.descriptions == shipped.descriptions
    wanted_hz = {each.topic: each.spec.rate_hz for each in shipped.streams}
    assert all(rates_agree(each.spec.rate_hz, wanted_hz[each.topic]) for each in robot.streams)
    robot.limits(driver.urdf)


def test_a_bag_gives_a_file_too_and_neither_is_ever_written_over(tmp_path, capsys):
    write_bag(tmp_path / "bag", run_messages(2000))
    words = ["my_arm", "--from", str(tmp_path / "bag"), "--output", str(tmp_path)]
    assert main(words) == 0
    text = (tmp_path / "my_arm.yaml").read_text()
    assert load_robot(tmp_path / "my_arm.yaml").action_spec.joint_names == ("grip", "lift")
    (tmp_path / "my_arm.yaml").write_text(f"{text}# corrected by hand\n")
    assert main(words) == 1
    assert "exist and are left as they are" in capsys.readouterr().out
    assert (tmp_path / "my_arm.yaml").read_text().endswith("corrected by hand\n")


def test_a_base_without_joints_is_observed_by_what_it_has_or_refused(tmp_path, capsys):
    """As a bag of a mobile robot: velocities are commanded, an odometry is there or nothing."""
    topics = {"/cmd_vel": "geometry_msgs/msg/Twist", "/odom": "nav_msgs/msg/Odometry"}
    messages = [
        (topic, START_NS + i * MS, blank(topics[topic])) for i in range(5) for topic in topics
    ]
    write_bag(tmp_path / "seeing", messages, topics=topics)
    write_bag(tmp_path / "blind", messages, topics={"/cmd_vel": topics["/cmd_vel"]})
    words = ["base", "--output", str(tmp_path), "--from"]
    assert main([*words, str(tmp_path / "blind")]) == 1
    assert "nothing that a policy could observe" in " ".join(capsys.readouterr().out.split())
    assert not (tmp_path / "base.yaml").exists()
    assert main([*words, str(tmp_path / "seeing")]) == 0
    assert [each.topic for each in load_robot(tmp_path / "base.yaml").streams] == ["odom"]


def test_where_nothing_is_seen_nothing_is_written_and_the_text_says_where_to_look(
    tmp_path, capsys
):
    words = ["my_arm", "--output", str(tmp_path), "--duration-s", "0.5"]
    assert main([*words, "--namespace", "elsewhere"]) == 1
    assert "Is the driver running, in this ROS_DOMAIN_ID" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["My Arm", "1arm", "arm-1", ""])
def test_a_name_that_is_no_file_name_is_refused(name, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main([name, "--output", str(tmp_path)])
    assert "name must be of small letters" in capsys.readouterr().err


def test_a_bag_that_is_not_there_is_named(tmp_path, capsys):
    missing = str(tmp_path / "missing")
    assert main(["my_arm", "--from", missing, "--output", str(tmp_path)]) == 1
    assert f"no bag at {missing}" in capsys.readouterr().out.replace("\n", "")

"""Walking policy and planner take turns on a robot that walks."""

import numpy as np
import pytest
from controller_driver import DEEP, client, process_of
from nav_msgs.msg import Odometry
from rcl_interfaces.srv import SetParametersAtomically
from rclpy.parameter import Parameter
from sensor_msgs.msg import JointState

from ddpm_controller.ros.asking import ask
from ddpm_controller.share import share_path

GO1 = share_path("config/robots/go1.yaml")
WALK, TROT = share_path("models/go1_walk"), share_path("models/go1_trot")


@pytest.mark.long
def test_policy_planner_and_its_weights_change_while_the_robot_walks():
    parameters = {"robot": GO1, "checkpoint": WALK, "lockstep": True, "use_sim_time": True}
    with (
        client() as node,
        process_of("simulation", world="go1", mode="lockstep"),
        process_of("controller", **parameters),
    ):
        odometry, tallies, speeds = [], [], {}
        node.create_subscription(Odometry, "odom", odometry.append, DEEP)
        node.create_subscription(JointState, "tally", tallies.append, DEEP)
        node.bring_up()

        def walk(name, seconds):
            begin = len(odometry)
            node.until(lambda: len(odometry) > begin + 50 * seconds)
            speeds[name] = np.mean([each.twist.twist.linear.x for each in odometry[-50:]])

        walk("policy", 2)
        assert node.set("checkpoint", TROT)[0]
        walk("planner", 3)
        assert node.set("policy.overrides", ["weight_height=60"])[0]
        walk("another weight", 2)
        assert node.get("policy.overrides") == ["weight_height=60"], node.status.checkpoint_error
        none = Parameter("policy.overrides", Parameter.Type.STRING_ARRAY, [])
        both = [none.to_parameter_msg(), Parameter("checkpoint", value=WALK).to_parameter_msg()]
        setter = node.create_client(
            SetParametersAtomically, "controller/set_parameters_atomically"
        )
        node.until(setter.service_is_ready)
        request = SetParametersAtomically.Request(parameters=both)
        assert ask(setter, request, node.spin, 90.0).result.successful
        walk("policy again", 2)
        hashes = {each.checkpoint_hash for each in node.heard["controller/action_chunk"]}
        assert len(hashes) == 2
        overrides = [
            dict(zip(each.override_names, each.override_values, strict=True))
            for each in node.heard["controller/action_chunk"]
        ]
        weights = {each["weight_height"] for each in overrides if "weight_height" in each}
        assert {float(each) for each in weights} == {30.0, 60.0}
    assert dict(zip(tallies[-1].name, tallies[-1].position, strict=True))["falls"] == 0
    assert min(speeds.values()) > 0.5

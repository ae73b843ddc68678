"""A box in the limits: starts, chunks and commands of the whole loop keep to it."""

from dataclasses import replace

import numpy as np
from stub_loop import HOLDING, JOINTS, LIMITS, RUNNING, TICK_S, WAITING, new_loop, plan_of, see

from ddpm_controller.control.moving.boxed_arm import BoxedArm, CartesianBox
from ddpm_controller.control.states import Reason

# Two slides: the end effector is at (shoulder, elbow, 0).
URDF = """<robot name="table"><link name="base"/><link name="rail"/><link name="hand"/>
<joint name="shoulder" type="prismatic"><parent link="base"/><child link="rail"/>
<axis xyz="1 0 0"/><limit lower="-1" upper="1" velocity="1.5" effort="1"/></joint>
<joint name="elbow" type="prismatic"><parent link="rail"/><child link="hand"/>
<axis xyz="0 1 0"/><limit lower="-2" upper="2" velocity="3" effort="1"/></joint></robot>"""
BOX = CartesianBox((-0.5, -0.4, -np.inf), (0.5, 0.4, np.inf))
BOXED = replace(LIMITS, arm=BoxedArm(BOX, URDF, JOINTS))


def run(loop, rows, num_ticks=120):
    """Let one plan of these rows be followed; return the commands."""
    commands = []
    for tick in range(num_ticks):
        now_s = 1.0 + tick * TICK_S
        position = commands[-1].position if commands else np.zeros(2)
        see(loop, now_s, *position)
        request = loop.plan_request(now_s)
        if request is not None and request.plan_number == 0:
            loop.accept(plan_of(rows, request), request)
        commands.append(loop.tick(now_s))
    return commands


def test_a_robot_outside_does_not_start():
    loop = new_loop(limits=BOXED)
    see(loop, 1.0, shoulder=0.6)
    command = loop.tick(1.0)
    assert (command.position, command.state) == (None, WAITING)
    assert command.reason == Reason.LIMIT_BOX
    assert "x 0.6000 m outside [-0.5000, 0.5000]: move the robot" in command.text


def test_a_chunk_that_leads_outside_is_refused_with_the_place():
    loop = new_loop(limits=BOXED)
    rows = np.linspace([0.0, 0.0], [0.0, 0.45], 8)
    commands = run(loop, rows, num_ticks=5)
    assert (commands[-1].state, commands[-1].reason) == (HOLDING, Reason.LIMIT_BOX)
    assert "y 0.4500 m outside [-0.4000, 0.4000]" in commands[-1].text
    np.testing.assert_array_equal(commands[-1].position, [0.0, 0.0])


def test_a_motion_that_cannot_stop_before_the_wall_is_stopped_and_says_so():
    """Every row is inside, but slow joints are carried past them."""
    slow = replace(BOXED, acceleration=np.full(2, 4.0), jerk=np.full(2, 20.0))
    loop = new_loop(limits=slow)
    rows = np.array([[0.0, 0.0], [0.0, 0.2], [0.0, 0.4], [0.0, 0.1], [0.0, 0.4], [0.0, 0.0]])
    commands = run(loop, rows)
    positions = np.array([command.position for command in commands])
    # Half a millimetre: what the stop may leave between the moments that are looked at.
    assert positions[:, 1].max() <= 0.4 + 5e-4
    assert positions[:, 1].max() > 0.3
    assert Reason.LIMIT_BOX in {c.reason for c in commands if c.state == RUNNING}


def test_a_chunk_of_no_rows_or_of_an_older_run_is_refused_before_the_box_looks_at_it():
    loop = new_loop(limits=BOXED)
    see(loop, 1.0)
    request = loop.plan_request(1.0)
    assert "0 rows" in loop.accept(plan_of(np.zeros((0, 2)), request), request)
    loop.start({})
    assert "older run" in loop.accept(plan_of(np.full((3, 2), 9.0), request), request)


def test_without_a_box_the_same_chunk_is_followed():
    commands = run(new_loop(), np.linspace([0.0, 0.0], [0.0, 0.45], 8))
    assert commands[-1].position[1] > 0.44

import numpy as np
import pytest

from ddpm_controller.simulation.drivers.forward_controller import ForwardController, Targets

NAMES = ("turn", "slide")
HERE = np.array([0.5, 0.1])


def test_it_holds_the_last_target():
    controller = ForwardController(NAMES)
    assert controller.update(0.0, HERE).position.tolist() == HERE.tolist()
    assert controller.receive(Targets(np.array([1.0, 0.2])), 0.0) == ""
    for now_s in (0.01, 100.0):
        assert controller.update(now_s, HERE).position.tolist() == [1.0, 0.2]


def test_names_are_put_in_order_and_others_left_out():
    controller = ForwardController(NAMES)
    message = Targets(np.array([0.2, 7.0, 1.0]), ("slide", "lift", "turn"))
    assert controller.receive(message, 0.0) == ""
    assert controller.update(0.0, HERE).position.tolist() == [1.0, 0.2]


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (Targets(np.array([1.0])), "1 numbers for 2 joints"),
        (Targets(np.array([1.0]), ("turn",)), "no target for joints ['slide']"),
        (Targets(np.array([1.0]), NAMES), "1 positions for 2 names"),
    ],
)
def test_targets_that_do_not_fit_are_refused(message, words):
    controller = ForwardController(NAMES)
    controller.update(0.0, HERE)
    assert controller.receive(message, 0.0) == words
    assert controller.update(1.0, HERE + 1).position.tolist() == HERE.tolist()


def test_after_the_time_out_the_measured_position_of_then_is_held():
    controller = ForwardController(NAMES, timeout_s=0.1)
    controller.receive(Targets(np.array([1.0, 0.2])), 0.0)
    assert controller.update(0.1, HERE).position.tolist() == [1.0, 0.2]
    assert controller.update(0.11, HERE).position.tolist() == HERE.tolist()
    assert controller.update(0.2, HERE + 1).position.tolist() == HERE.tolist()
    controller.receive(Targets(np.array([1.0, 0.2])), 0.2)
    assert controller.update(0.21, HERE).position.tolist() == [1.0, 0.2]


def test_a_time_out_below_0_is_refused():
    with pytest.raises(ValueError, match="timeout_s"):
        ForwardController(NAMES, timeout_s=-1.0)

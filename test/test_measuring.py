"""Where it is measured what an action moves."""

import numpy as np

from ddpm_controller.types import ActionSpec, StreamSpec, measuring

ARM = StreamSpec("arm", "vector", (2,), 50.0, ("lift", "turn"), ("rad", "rad"))
HAND = StreamSpec("hand", "vector", (3,), 30.0, ("x", "y", "grip"), ("m", "m", "m"))
RATES = StreamSpec("rates", "vector", (2,), 50.0, ("lift", "turn"), ("rad/s", "rad/s"))
CAMERA = StreamSpec("camera", "image", (4, 6, 3), 25.0)
VALUES = {"arm": np.array([1.0, 2.0]), "hand": np.array([3.0, 4.0, 5.0])}


def spec(names, *kinds):
    return ActionSpec(tuple(names), ("rad",) * len(names), 0.1, kinds)


def test_one_stream_that_has_all_columns_measures_them():
    found = measuring((CAMERA, RATES, ARM), spec(("turn", "lift")))
    assert found.names == ("arm",)
    assert found.row(VALUES).tolist() == [2.0, 1.0]


def test_several_streams_measure_what_each_has():
    found = measuring((ARM, HAND), spec(("lift", "y", "x")))
    assert found.names == ("arm", "hand")
    assert found.row(VALUES).tolist() == [1.0, 4.0, 3.0]
    assert found.units == ("rad", "m", "m")
    many = {name: np.tile(row, (7, 1)) for name, row in VALUES.items()}
    assert found.row(many).shape == (7, 3)


def test_a_twist_is_not_measured():
    kinds = ("joint_velocity", "twist")
    found = measuring((ARM,), spec(("lift", "linear.x"), *kinds))
    assert found.are_measured.tolist() == [True, False]
    assert np.array_equal(found.row(VALUES), [1.0, np.nan], equal_nan=True)
    alone = measuring((CAMERA,), spec(("linear.x",), "twist"))
    assert alone.names == ()
    assert np.isnan(alone.row({})).all()


def test_a_column_that_no_stream_has_leaves_nothing_measured():
    assert measuring((ARM, HAND), spec(("lift", "z"))) is None

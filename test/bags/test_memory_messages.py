from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import pytest

from ddpm_controller.bags.conversions import ConversionError
from ddpm_controller.bags.memory_messages import memory_from, packed
from ddpm_controller.policy import memory_difference

MEMORY = {
    "seed": np.array(-3, np.int64),
    "rows": np.array([[0.1, -0.0, np.nan], [np.inf, 5e-324, 1 / 3]]),
    "belief": np.arange(4, dtype=np.float32)[::2] / 7,  # not contiguous
    "mask": np.array([True, False]),
    "none": np.zeros((0, 3)),
}


def message_of(fields):
    return SimpleNamespace(plan_number=5, **asdict(fields))


def test_every_array_comes_back_bit_for_bit():
    found = memory_from(message_of(packed(MEMORY)))
    assert list(found) == list(MEMORY)
    assert memory_difference(found, MEMORY) == ""
    assert [each.dtype for each in found.values()] == [each.dtype for each in MEMORY.values()]
    assert np.signbit(found["rows"][0, 1])
    assert memory_from(message_of(packed({}))) == {}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"dtypes": ["|u1"] * 5}, "left behind"),
        ({"shapes": [2, 4, 2, 2, 0, 3]}, "plan 5"),
        ({"names": ["seed"]}, "plan 5"),
        ({"dtypes": ["hm"] * 5}, "plan 5"),
    ],
)
def test_fields_that_do_not_fit_one_another_are_refused(changed, told):
    with pytest.raises(ConversionError, match=told):
        memory_from(message_of(replace(packed(MEMORY), **changed)))


def test_only_numbers_are_packed():
    with pytest.raises(ConversionError, match="'text' is of object"):
        packed({"text": np.array(["a", None])})

import math

import pytest

from ddpm_controller.messages.units import (
    UNITS,
    Unit,
    UnitError,
    conversions_text,
    refuse_command_units,
    unit_of,
)


@pytest.mark.parametrize(
    ("unit", "si", "number", "expected"),
    [
        ("deg", "rad", 180.0, math.pi),
        ("deg/s", "rad/s", 90.0, math.pi / 2),
        ("rpm", "rad/s", 60.0, 2 * math.pi),
        ("mm", "m", 250.0, 0.25),
        ("cm/s", "m/s", 40.0, 0.4),
        ("mNm", "Nm", 1500.0, 1.5),
        ("%", "1", 50.0, 0.5),
    ],
)
def test_a_unit_becomes_si(unit, si, number, expected):
    found = unit_of("a", unit)
    assert found.si == si
    assert number * found.scale == pytest.approx(expected)


def test_every_unit_leads_to_one_that_stays_as_it_is():
    assert all(UNITS[unit.si] == Unit(unit.si) for unit in UNITS.values())


@pytest.mark.parametrize("unit", ["banana", "", "degC", "Rad", "radians"])
def test_a_unit_that_is_not_known_is_refused_with_the_list(unit):
    with pytest.raises(UnitError, match=rf"tilt has the unit {unit!r}.*known are rad, m, .*deg"):
        unit_of("tilt", unit)


def test_a_unit_of_another_quantity_is_refused_with_those_that_fit():
    with pytest.raises(UnitError, match=r"has the unit 'rad', but .* has m there: .* m, mm, cm"):
        unit_of("x", "rad", "m")


@pytest.mark.parametrize("unit", ["deg", "mm", "banana", "", "Nm"])
def test_commands_are_in_si(unit):
    with pytest.raises(UnitError, match=rf"command of 'b' has the unit {unit!r}"):
        refuse_command_units(["a", "b"], ["rad", unit])
    refuse_command_units(["a", "b", "c", "d", "e"], ["rad", "m", "rad/s", "m/s", "1"])


def test_what_is_converted_is_named():
    text = conversions_text("arm", ["a", "b", "c"], ["deg", "m", "mm"])
    assert text == "stream 'arm': converted at reading: a from deg to rad, c from mm to m"
    assert not conversions_text("arm", ["a", "b"], ["N*m", "rad"])

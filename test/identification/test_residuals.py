import numpy as np
import pytest

from ddpm_controller.identification.noise_statistics import (
    autocorrelation,
    energy_test,
    excess_kurtosis,
    spectrum,
)
from ddpm_controller.identification.residuals import (
    ResidualError,
    Residuals,
    against_command,
    against_derivative,
    against_smooth,
    chunks_of,
    hold_out,
    row_period,
    smooth_fit,
    thinned,
)

ROWS = np.arange(60.0)[:, None]


def recording(num_rows, source="bag", start=0.0):
    return Residuals(start + np.arange(num_rows)[:, None] * 1.0, ("x",), ("m",), 0.1, source)


def test_a_parabola_has_no_residual_and_what_is_faster_has():
    parabola = np.concatenate([3 + 2 * ROWS - 0.1 * ROWS**2, 5 - ROWS], axis=1)
    # Least squares of values up to 250 in doubles.
    np.testing.assert_allclose(against_smooth(parabola, 11), 0, atol=1e-9)
    wiggle = np.where(ROWS % 2 == 0, 1.0, -1.0)
    noisy = parabola + wiggle
    # A fit of 11 rows takes up a ninth of an alternating sign, more at the ends.
    residual = against_smooth(noisy, 11)
    np.testing.assert_allclose(residual[5:-5], np.tile(wiggle, 2)[5:-5], atol=0.25)


def test_the_smooth_fit_by_hand():
    """Five rows, a spike of 1: weights of the middle are (-3, 12, 17, 12, -3) / 35."""
    spike = np.zeros((9, 1))
    spike[4] = 1.0
    expected = np.array([-3, 12, 17, 12, -3]) / 35
    np.testing.assert_allclose(smooth_fit(spike, 5)[2:7, 0], expected, atol=1e-12)


def test_measured_minus_commanded_has_its_sign_and_its_lag():
    measured, commanded = ROWS - 2.0, ROWS
    np.testing.assert_array_equal(against_command(measured, commanded), -2 + 0 * ROWS)
    # Two rows late: the measurement is where the command was.
    np.testing.assert_array_equal(against_command(measured, commanded, lag=2), 0 * ROWS[2:])


def test_velocity_against_the_derivative_needs_no_rate():
    position = np.sin(0.05 * ROWS)
    velocity = 7.0 * 0.05 * np.cos(0.05 * ROWS)
    residual = against_derivative(velocity, position, 5)
    # Differences over two rows are off by (0.05)^2 / 6 of 0.35, more at the ends.
    np.testing.assert_allclose(residual, 0, atol=0.02)
    assert row_period(position, velocity, 5) == pytest.approx(1 / 7, rel=0.01)


def test_chunks_stay_within_a_recording():
    chunks = chunks_of([recording(5), recording(2), recording(4, start=100)], 3, 2)
    assert chunks[:, :, 0].tolist() == [[0, 1, 2], [2, 3, 4], [100, 101, 102]]
    assert thinned(ROWS, 20)[:, 0].tolist() == [0, 20, 40]


def test_whole_recordings_are_held_out_and_of_one_its_end():
    several = [recording(10, str(n)) for n in range(6)]
    training, judging = hold_out(several, 0.33, 4)
    assert [each.source for each in training] == ["0", "1", "2", "3"]
    assert [each.source for each in judging] == ["4", "5"]
    (first,), (last,) = hold_out([recording(20)], 0.25, 4)
    assert first.values[:, 0].tolist() == list(range(15))
    assert last.values[:, 0].tolist() == list(range(15, 20))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: against_smooth(ROWS, 6), "window must be odd and at least 5 rows, got 6"),
        (lambda: against_smooth(ROWS[:4], 5), "4 rows is shorter than .* window of 5"),
        (lambda: against_command(ROWS, ROWS[1:]), "must have one shape"),
        (lambda: against_command(ROWS, ROWS, 60), "lag must be between 0 and 59 rows, got 60"),
        (lambda: against_derivative(ROWS, ROWS[1:], 5), "must have one shape"),
        (lambda: against_derivative(ROWS, 0 * ROWS, 5), "never changes"),
        (lambda: row_period(0 * ROWS, ROWS, 5), "do not move together"),
        (lambda: thinned(ROWS, 0), "every must be at least 1 row, got 0"),
        (lambda: chunks_of([recording(3)], 4, 1), "no recording has the 4 rows"),
        (lambda: hold_out([recording(3)], 0.5, 4), "none of 1 recordings has the 4 rows"),
        (lambda: hold_out([recording(6)], 0.5, 4), "two parts of 3 and 3, less than the 4"),
        (lambda: hold_out([recording(6)], 1.0, 4), "must lie between 0 and 1, got 1.0"),
        (
            lambda: Residuals(np.array([[0.0], [np.nan]]), ("x",), ("m",), 0.1, "bag 7"),
            "bag 7: nan in row 1, column 0",
        ),
        (lambda: Residuals(ROWS, ("x", "y"), ("m",), 0.1, "bag 7"), "need 2 columns"),
        (lambda: Residuals(ROWS, ("x",), ("m",), 0.0, "bag 7"), "period_s must be above 0"),
    ],
)
def test_recordings_that_cannot_be_used_are_told(call, message):
    with pytest.raises(ResidualError, match=message):
        call()


def test_memory_tails_and_spectrum_of_known_noise():
    generator = np.random.default_rng(0)
    white = generator.normal(size=(4000, 8, 1))
    # 32000 numbers: standard errors of 0.006 and 0.03.
    assert np.abs(autocorrelation(white)[1:]).max() < 0.03
    assert excess_kurtosis(white)[0] == pytest.approx(0.0, abs=0.15)
    assert excess_kurtosis(np.sign(white))[0] == pytest.approx(-2.0, abs=0.01)
    slow = np.cumsum(white, axis=1)[:, 4:]
    assert autocorrelation(slow)[1, 0] > 0.7
    frequencies_hz, power = spectrum(white, 0.1)
    assert frequencies_hz.tolist() == pytest.approx([0, 1.25, 2.5, 3.75, 5.0])
    # A variance of 1 over 5 Hz, both signs in one: 0.2 everywhere between the ends.
    np.testing.assert_allclose(power[1:4, 0], 0.2, rtol=0.05)


def test_the_energy_test_tells_other_noise_and_only_that():
    generator = np.random.default_rng(0)
    first, same = generator.normal(size=(2, 150, 4, 2))
    wide = 2.0 * generator.normal(size=(150, 4, 2))
    distance, chance = energy_test(first, same)
    # Under the same law the frequency is anything; small only once in fifty seeds.
    assert chance > 0.02
    other, never = energy_test(first, wide)
    assert never < 0.01
    assert other > 5 * abs(distance)
    # One number each: 2 E|x - y| - E|x - x'| - E|y - y'| = 2 * 3 - 1 - 1 in deviations of x.
    points = np.array([[[0.0]], [[2.0]]])
    assert energy_test(points, points + 3.0, 10)[0] == pytest.approx(2 * 3 - 1 - 1)
    with pytest.raises(ValueError, match="at least 2"):
        energy_test(first[:1], same)

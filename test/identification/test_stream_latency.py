import numpy as np
import pytest

from ddpm_controller.identification.stream_latency import StreamLatencyError, stream_latency

STAMPS_S = 1e9 + np.arange(101) / 25


def of(latencies_s, stamps_s=STAMPS_S):
    return stream_latency("camera", stamps_s, stamps_s + latencies_s, longest_s=2.0)


def test_median_and_percentile_are_those_of_arrival_minus_stamp():
    found = of(np.random.default_rng(0).permutation(np.arange(101) / 1000))
    # Stamps near 1e9 s are exact to 1e-7 s.
    assert found.median_s == pytest.approx(0.050, abs=1e-6)
    assert found.p95_s == pytest.approx(0.095, abs=1e-6)
    assert found.lowest_s == pytest.approx(0.0, abs=1e-6)
    assert (found.count, found.rate_hz) == (101, pytest.approx(25))


def test_messages_from_the_future_are_a_clock_that_is_ahead():
    with pytest.raises(StreamLatencyError, match=r"camera: .* 0.020 s before they were acquired"):
        of(np.where(np.arange(101) == 7, -0.02, 0.01))
    assert of(np.full(101, -0.0005)).median_s == 0.0


def test_very_old_messages_are_a_clock_that_is_behind():
    with pytest.raises(StreamLatencyError, match=r"3.000 s old .* 2 s at the most.* behind"):
        of(np.full(101, 3.0))


def test_missing_messages_and_missing_stamps_are_refused():
    with pytest.raises(StreamLatencyError, match=r"1 messages came; is its driver running"):
        of(np.zeros(1), STAMPS_S[:1])
    with pytest.raises(StreamLatencyError, match=r"no stamp"):
        of(np.zeros(101), 0 * STAMPS_S)

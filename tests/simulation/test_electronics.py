"""Pulse shape, digitiser, triggers."""

import numpy as np
import pytest
from scipy import stats

from tashower.simulation.electronics import (
    BLOCK,
    LARGEST_COUNT,
    LEVEL_2_COINCIDENCE,
    NOISE,
    digitise,
    electronics,
    level_0_bin,
    level_2_time,
    light_of,
    passes_level_1,
    pulse_shape,
    respond,
    shape_pulses,
)
from tashower.simulation.random_numbers import seed_stream
from tashower.simulation.stations import Hits, _keep_read_out
from tashower.simulation.windows import work_space

PEDESTAL = np.array([6.0, 5.5])
NEIGHBOURS = np.array([[1, 2, -1, -1], [0, -1, -1, -1], [0, -1, -1, -1]], np.int32)


@pytest.mark.parametrize("bin_width", [5.0, 20.0, 25.0, 40.0])
def test_pulse_has_unit_area_in_any_binning(bin_width):
    pulse = pulse_shape(bin_width)
    assert pulse.sum() == pytest.approx(1.0, abs=1e-6)
    middle = (np.arange(len(pulse)) + 0.5) * bin_width
    published = pulse_shape(20.0)
    assert (pulse * middle).sum() == pytest.approx(
        (published * (np.arange(12) + 0.5) * 20).sum(), abs=0.1 * bin_width
    )


def test_shaping_conserves_light_and_moves_with_the_impulse():
    pulse = electronics(20.0).pulse
    impulse, trace, later = (np.zeros((2, 64), np.float32) for _ in range(3))
    impulse[0, 7], impulse[1, 11] = 3.0, 2.0
    shape_pulses(impulse, 12, pulse, trace)
    np.testing.assert_allclose(trace.sum(axis=1), [3.0, 2.0], rtol=1e-5)
    shape_pulses(np.roll(impulse, 5, axis=1), 17, pulse, later)
    np.testing.assert_allclose(later, np.roll(trace, 5, axis=1), atol=1e-7)
    assert (trace[0, :7] == 0).all()


@pytest.mark.parametrize("bin_width", [5.0, 20.0, 25.0, 40.0])
def test_shaping_is_a_convolution_with_the_pulse(bin_width):
    rng = np.random.default_rng(3)
    pulse = electronics(bin_width).pulse
    impulse, trace = np.zeros((2, 128), np.float32), np.full((2, 150), np.nan, np.float32)
    impulse[:, 40:90] = rng.random((2, 50))
    shape_pulses(impulse, 96, pulse, trace)
    for layer in range(2):
        expected = np.convolve(impulse[layer], pulse_shape(bin_width))[:128]
        np.testing.assert_allclose(trace[layer, :128], expected, atol=1e-5)
    assert np.isnan(trace[:, 128:]).all()


@pytest.mark.parametrize("last", [0, BLOCK - 1, BLOCK, 2 * BLOCK + 3, 4 * BLOCK - 1])
def test_light_of_an_impulse(last):
    impulse = np.zeros((2, 4 * BLOCK), np.float32)
    assert light_of(impulse) == (0.0, 0.0, 0)
    impulse[0, last // 2] += 2.0
    impulse[1, last] += 3.0
    upper, lower, end = light_of(impulse)
    assert (upper, lower) == (2.0, 3.0)
    assert last < end <= last + BLOCK


def test_noise_is_normal_and_independent_from_bin_to_bin():
    noise = electronics(20.0).noise
    assert stats.kstest(noise / NOISE, "norm").pvalue > 0.01
    assert noise.mean() == pytest.approx(0.0, abs=1e-4)
    assert noise.std() == pytest.approx(NOISE, rel=1e-4)
    for lag in (1, 2, 7, 128):
        assert np.corrcoef(noise[:-lag], noise[lag:])[0, 1] == pytest.approx(
            0.0, abs=5 / np.sqrt(len(noise))
        )


def test_response_is_linear_then_compressed_then_clipped():
    assert respond(1234.4) == 1234
    assert respond(-3.0) == 0
    assert respond(2000.0) == 2000
    # 2000 + D exp(-0.05 D/600): 100 -> 99.17, 1000 -> 920.04, 2400 -> 1964.95; then 12 bits.
    assert respond(2100.0) == 2099
    assert respond(3000.0) == 2920
    assert respond(4400.0) == 3965
    assert respond(4700.0) == LARGEST_COUNT
    # An excess of 40,000 counts would be 1427 again.
    assert respond(42_000.0) == respond(1e9) == LARGEST_COUNT


def test_digitised_trace_is_pedestal_plus_gain_times_light():
    state = np.empty(4, np.uint64)
    seed_stream(state, np.uint64(1), np.uint64(2))
    trace = np.full((2, 4100), 2.0, np.float32)
    trace[1] = 5.0
    trace[:, :60] = 0.0
    counts = np.zeros((2, 4050), np.int32)
    digitise(state, trace, 10, np.array([40.0, 30.0]), PEDESTAL, electronics(20.0).noise, counts)
    counts = counts.T
    inside = counts[50:]
    np.testing.assert_allclose(inside.mean(axis=0), PEDESTAL + [80.0, 150.0], atol=0.06)
    # Rounding adds 1/12 to the variance of the noise.
    np.testing.assert_allclose(inside.std(axis=0), np.sqrt(0.75**2 + 1 / 12), atol=0.03)
    assert counts[:50].mean() == pytest.approx(PEDESTAL.mean(), abs=0.2)


def test_digitised_trace_is_compressed_where_it_is_large():
    state = np.empty(4, np.uint64)
    seed_stream(state, np.uint64(1), np.uint64(2))
    trace = np.zeros((2, 600), np.float32)
    trace[0, 100:] = 75.0  # 3000 counts
    trace[1, 300:] = 75.0
    counts = np.zeros((2, 500), np.int32)
    gain = np.array([40.0, 40.0])
    digitise(state, trace, 0, gain, np.zeros(2), electronics(20.0).noise, counts)
    # The slope there is (1 - 1/12) exp(-1/12) of the noise's.
    np.testing.assert_allclose(counts[0, 100:].mean(), 2920.04, atol=0.2)
    np.testing.assert_allclose(counts[1, 300:].mean(), 2920.04, atol=0.2)
    assert (counts[0, :100] < 5).all()


def test_level_0_needs_both_layers_within_eight_bins():
    counts = np.full((2, 100), 6, np.int32)
    pedestal = np.array([6.0, 6.0])
    assert level_0_bin(counts, pedestal) == -1
    counts[0, 40] += 16
    assert level_0_bin(counts, pedestal) == -1
    counts[1, 45] += 16
    assert level_0_bin(counts, pedestal) == 45
    counts[1, 45] -= 16
    counts[1, 48] += 16  # nine bins later: the first one has left the sum
    assert level_0_bin(counts, pedestal) == -1
    counts[1, 44] += 15  # at the threshold is not above it
    assert level_0_bin(counts, pedestal) == -1


def test_level_1_needs_both_layers():
    counts = np.full((2, 176), 6, np.int32)
    pedestal = np.array([6.0, 6.0])
    counts[:, 30] += 151
    assert passes_level_1(counts, 5, 128, pedestal)
    assert not passes_level_1(counts, 31, 128, pedestal)
    counts[1, 30] -= 2
    assert not passes_level_1(counts, 5, 128, pedestal)


@pytest.mark.parametrize(
    ("times", "level_1", "fires"),
    [
        ([0.0, 7999.0, 100.0], [True, True, True], True),
        ([0.0, 8001.0, 100.0], [True, True, True], False),  # one neighbour too late
        ([0.0, 100.0, 8001.0], [True, True, True], False),
        (
            [0.0, 5000.0, -5000.0],
            [True, True, True],
            False,
        ),  # the two neighbours too far from each other
        ([0.0, 10.0, 20.0], [True, True, False], False),
        ([0.0, 10.0, 20.0], [False, True, True], False),
    ],
)
def test_level_2_is_three_stations_pairwise_in_coincidence(times, level_1, fires):
    assert LEVEL_2_COINCIDENCE == 8000.0
    slot = np.full(3, -1, np.int32)
    station = np.arange(3, dtype=np.int32)
    found = level_2_time(3, station, np.array(times), np.array(level_1), NEIGHBOURS, slot)
    assert np.isfinite(found) == fires
    assert (slot == -1).all()
    if fires:
        assert found == times[0]


def test_level_2_of_two_stations_does_not_fire():
    slot = np.full(3, -1, np.int32)
    found = level_2_time(
        2, np.arange(2, dtype=np.int32), np.zeros(2), np.ones(2, bool), NEIGHBOURS, slot
    )
    assert np.isnan(found)


def test_hits_within_the_read_out_are_closed_up():
    """32 us to both sides of the trigger; what was there before stays."""
    work = work_space(6, 32, 32)
    work.time[:5] = 5000.0 + np.array([-32_001.0, -31_999.0, 0.0, 32_001.0, 31_999.0])
    waveform = (np.arange(6)[:, None, None] * np.ones((6, 32, 2))).astype(np.uint16)
    hits = Hits(np.arange(6, dtype=np.int32), np.arange(6.0), waveform)
    assert _keep_read_out(5000.0, 5, work, hits, 1) == 3
    assert hits.station[:4].tolist() == [0, 2, 3, 5]
    assert hits.time[:4].tolist() == [0.0, 2.0, 3.0, 5.0]
    assert (hits.waveform[:4] == np.array([0, 2, 3, 5])[:, None, None]).all()

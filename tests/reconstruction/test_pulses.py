"""Pulse finding on made waveforms."""

from dataclasses import replace

import numpy as np
import pytest

from tashower.events.array import regular_array
from tashower.events.model import Events
from tashower.physics.compiled import compiled
from tashower.reconstruction.pulses import EDGE_DELAY, find_pulses
from tashower.simulation.electronics import digitise, electronics, shape_pulses
from tashower.simulation.random_numbers import seed_stream

PEDESTAL, GAIN = 6.0, 40.0


def events_of(waveforms, bin_width=20.0):
    """One event with these waveforms, (n, T, 2)."""

    from tashower.events.array import Detector

    waveforms = np.asarray(waveforms)
    n, n_bins, n_layers = waveforms.shape
    array = replace(
        regular_array(5, 5, 1200.0), detector=Detector(3.0, n_layers, bin_width, n_bins)
    )
    return Events(
        array=array,
        event_id=np.zeros(1, np.int64),
        hit_offset=np.array([0, n]),
        hit_station=np.arange(n, dtype=np.int32),
        hit_time=1000.0 * np.arange(n),
        waveform=waveforms.astype(np.uint16),
        pedestal=np.full((n, n_layers), PEDESTAL, np.float32),
        counts_per_vem=np.full((n, n_layers), GAIN, np.float32),
        dead_offset=np.zeros(2, np.int64),
        dead_station=np.zeros(0, np.int32),
        truth=None,
    )


def flat(n=1, n_bins=128):
    return np.full((n, n_bins, 2), PEDESTAL)


@compiled
def noisy(seed, times, vem, pulse, noise, waveforms):
    """Waveforms of pulses of `vem` [VEM] at `times` [ns] in both layers, with noise and
    digitised.
    """
    state = np.empty(4, np.uint64)
    seed_stream(state, np.uint64(seed), np.uint64(0))
    impulse, trace = np.zeros((2, 160), np.float32), np.zeros((2, 160), np.float32)
    counts = np.zeros((2, 128), np.int32)
    gain, pedestal = np.full(2, 40.0), np.full(2, 6.0)
    for i in range(len(times)):
        impulse[:] = 0.0
        position = times[i] / 20.0
        k = int(position)
        for layer in range(2):
            impulse[layer, k] = vem[i] * (1.0 - position + k)
            impulse[layer, k + 1] = vem[i] * (position - k)
        shape_pulses(impulse, 160, pulse, trace)
        digitise(state, trace, 0, gain, pedestal, noise, counts)
        for j in range(128):
            waveforms[i, j, 0], waveforms[i, j, 1] = counts[0, j], counts[1, j]


def test_signal_and_time_of_noisy_pulses(rng):
    n = 3000
    times, vem = rng.uniform(600, 1200, n), np.repeat([3.0, 10.0, 30.0], n // 3)
    waveforms = np.zeros((n, 128, 2))
    noisy(7, times, vem, *electronics(20.0), waveforms)
    pulses = find_pulses(events_of(waveforms))
    for size in (3.0, 10.0, 30.0):
        of = vem == size
        # The rise and the tail below the threshold are lost; noise of 9 to 12 bins is left, where
        # the whole window has that of 128 bins, 0.8 sqrt(128)/40 = 0.23 VEM.
        np.testing.assert_allclose(pulses.signal[of].mean(axis=0), size - 0.02, atol=0.03)
        assert pulses.signal[of, 0].std() == pytest.approx(0.065, abs=0.02)
        late = (pulses.arrival_time - 1000.0 * np.arange(n) - times)[of]
        assert abs(late.mean()) < 15.0  # larger pulses cross the threshold earlier
        assert late.std() < 8.0
    # EDGE_DELAY is the mean over sizes.
    every = (pulses.arrival_time - 1000.0 * np.arange(n) - times).mean() / 20.0
    assert every == pytest.approx(0.0, abs=0.05)


@pytest.mark.parametrize(("vem", "seen"), [(0.29, False), (0.31, True), (0.7, True)])
def test_a_lone_muon_needs_three_tenths_of_a_vem(vem, seen):
    """5 x 6/8/2.33 = 1.6 counts in four bins: the fourth highest of the published pulse has 0.135
    of its area, and 40 counts are 1 VEM.
    """
    wave = flat()
    wave[0, 40:52] += (
        vem
        * GAIN
        * np.array(
            [0.090, 0.201, 0.236, 0.196, 0.135, 0.079, 0.038, 0.013, 0.004, 0.0015, 0.0008, 0.0004]
        )[:, None]
    )
    events = events_of(wave)
    exact = replace(events, waveform=wave.astype(np.float32))
    assert np.isfinite(find_pulses(exact).arrival_time[0]) == seen


def test_threshold_counts_in_the_rms_that_came_with_the_hits():
    wave = flat(3)
    wave[:, 20:60] += np.array([20.0, 60.0])
    wave[:, 20] -= np.array([17.0, 50.0])  # 3 counts in the upper layer, 10 in the lower
    events = events_of(wave)
    usual = find_pulses(events).arrival_time
    rms = np.array([[0.7, 0.3], [np.nan, 0.0], [0.32, 2.1]], np.float32)
    shifted = find_pulses(replace(events, pedestal_rms=rms)).arrival_time - usual
    # In bins: 3 counts are crossed in the first of them at 1.609, at 1.5 and 1.6 (the other layer),
    # 3.5 only in the second; half of the sum is 20 ns times the mean of the layers.
    first = 0.5 / 17 + 1 - 1.609 / 3 + (1.5 - 1.609) / 10
    last = 0.5 / 50 + 1 - 1.609 / 10 + (1.6 - 1.609) / 3
    np.testing.assert_allclose(shifted, [10 * first, 0.0, 10 * last], atol=0.02)


def test_signal_from_start_to_stop():
    """The first of four bins above the threshold begins the signal; it ends where four bins are not
    above it and their mean is not above half of it, for good.
    """
    wave = flat()
    wave[0, 10] += 100.0  # a spike, no signal
    wave[0, 30:34] += 20.0
    wave[0, 34:38] += 1.0  # not above 1.6 counts, but their mean is above 0.8
    wave[0, 60:64] += 10.0
    wave[0, 64:68] += np.array([1.0, -1.0])
    wave[0, 90:93] += 50.0  # three bins, no signal
    found = find_pulses(events_of(wave)).signal[0]
    # Of the upper layer the first of the last four bins counts: the four after it sum up to 3.
    np.testing.assert_allclose(found * GAIN, [80 + 4 + 40 + 1, 80 + 4 + 40], rtol=1e-5)
    until_the_end = wave.copy()
    until_the_end[0, 124:] += 10.0
    found = find_pulses(events_of(until_the_end)).signal[0]
    np.testing.assert_allclose(found * GAIN, [314 + 4, 314 - 4], rtol=1e-5)


def test_time_shift_moves_the_time_and_nothing_else(rng):
    wave = flat()
    wave[0, 40:46] += np.array([5, 60, 90, 70, 30, 8])[:, None]
    base, later = find_pulses(events_of(wave)), find_pulses(events_of(np.roll(wave, 9, axis=1)))
    assert later.arrival_time[0] - base.arrival_time[0] == pytest.approx(9 * 20.0)
    for name in ("signal", "saturated", "n_peaks", "area_over_peak"):
        np.testing.assert_array_equal(getattr(later, name), getattr(base, name))


def test_bin_width_scales_the_time():
    wave = flat()
    wave[0, 40:60] += 50.0
    narrow, wide = find_pulses(events_of(wave, 20.0)), find_pulses(events_of(wave, 25.0))
    assert wide.arrival_time[0] / narrow.arrival_time[0] == pytest.approx(25.0 / 20.0)
    assert wide.area_over_peak[0] / narrow.area_over_peak[0] == pytest.approx(25.0 / 20.0)


def test_edge_needs_four_consecutive_bins():
    wave = flat()
    wave[0, 20:23] += 100.0
    assert np.isnan(find_pulses(events_of(wave)).arrival_time[0])
    wave[0, 23] += 100.0
    # Threshold 1.609 counts of a step of 100 between the middles of bins 19 and 20.
    assert find_pulses(events_of(wave)).arrival_time[0] == pytest.approx(
        (19.5 + 0.01609 - EDGE_DELAY) * 20.0
    )


def test_time_is_the_mean_of_the_layers_or_the_only_one():
    wave = flat()
    wave[0, 20:30, 0] += 100.0
    wave[0, 24:34, 1] += 100.0
    both = find_pulses(events_of(wave)).arrival_time[0]
    only = wave.copy()
    only[0, :, 1] = PEDESTAL
    one = find_pulses(events_of(only)).arrival_time[0]
    assert both - one == pytest.approx(2 * 20.0)


def test_no_pulse_no_time():
    found = find_pulses(events_of(flat(3)))
    assert np.isnan(found.arrival_time).all()
    np.testing.assert_allclose(found.signal, 0.0, atol=1e-5)
    assert np.isnan(found.area_over_peak).all()
    assert (found.n_peaks == 0).all()


@pytest.mark.parametrize(("counts", "saturated"), [(1500.0, False), (2000.0, True), (4095.0, True)])
def test_saturation_by_counts(counts, saturated):
    wave = flat()
    wave[0, 40:45] = counts
    events = events_of(wave)

    events = replace(events, counts_per_vem=np.full((1, 2), 100.0, np.float32))
    assert find_pulses(events).saturated[0] == saturated


def test_saturation_by_signal_in_one_layer():
    wave = flat()
    wave[0, 40, 1] += 48.9 * GAIN - 40 * 2  # 46.9 VEM: below
    assert not find_pulses(events_of(wave)).saturated[0]
    wave[0, 40, 1] += 90.0
    assert find_pulses(events_of(wave)).saturated[0]


def test_peaks_are_counted_per_layer():
    wave = flat()
    for begin in (20, 40, 60):
        wave[0, begin : begin + 6, 0] += np.array([20, 60, 90, 70, 30, 8])
    wave[0, 20:26, 1] += np.array([20, 60, 90, 70, 30, 8])
    wave[0, 50:53, 1] += 2.0  # noise
    np.testing.assert_array_equal(find_pulses(events_of(wave)).n_peaks[0], [3, 1])


def test_area_over_peak():
    wave = flat()
    wave[0, 30:40] += 50.0
    assert find_pulses(events_of(wave)).area_over_peak[0] == pytest.approx(10 * 20.0)


def test_one_layer():
    wave = flat()[:, :, :1]
    wave[0, 30:40] += 50.0
    found = find_pulses(events_of(wave))
    assert found.signal.shape == (1, 1)
    assert found.signal[0, 0] == pytest.approx(500 / GAIN, rel=1e-5)


def test_electronics_are_the_detectors():
    """Noise, threshold and linear range of the array's detector, not of a fixed one."""
    waveform = flat(1)
    waveform[0, 40:46] += 30.0
    usual = events_of(waveform)

    def found(**electronics):
        detector = replace(usual.array.detector, **electronics)
        return find_pulses(replace(usual, array=replace(usual.array, detector=detector)))

    assert np.isfinite(found().arrival_time[0])
    assert np.isnan(found(pedestal_rms=7.0).arrival_time[0])
    assert np.isnan(found(edge_sigma=94.0).arrival_time[0])
    assert np.isfinite(found(edge_sigma=93.0).arrival_time[0])
    assert np.isnan(found(edge_bins=7).arrival_time[0])
    assert found(saturation_counts=36.0).saturated[0]
    assert found(saturation_vem=0.7).saturated[0]
    assert not found(saturation_vem=0.8).saturated[0]
    assert found().n_peaks[0, 0] == 1
    assert found(noise_counts=5.5).n_peaks[0, 0] == 0
    said = find_pulses(replace(usual, saturated=np.array([True])))
    assert said.saturated[0]


def test_floats_give_what_counts_give():
    waveform = flat(1)
    waveform[0, 40:46] += 30.0
    usual = events_of(waveform)
    floats = find_pulses(replace(usual, waveform=usual.waveform.astype(np.float32)))
    for name in ("arrival_time", "signal", "area_over_peak"):
        np.testing.assert_allclose(getattr(floats, name), getattr(find_pulses(usual), name))

"""Further windows of a station, and background particles among a shower's light."""

import numpy as np
import pytest

from tashower.config import load_config
from tashower.physics.compiled import compiled
from tashower.physics.geometry import axis_components, axis_distance, plane_delay
from tashower.physics.unread import pedestal_count
from tashower.reconstruction.pulses import find_pulses
from tashower.simulation.random_numbers import seed_stream
from tashower.simulation.simulate import array_from_config, setup_of, simulate_events
from tashower.simulation.windows import (
    LEAD_BINS,
    add_background,
    background_bins,
    light_bins,
    read_station,
    work_space,
)

GAIN = 40.0


@compiled
def read_out(seed, setup, work, waveform):
    state = np.empty(4, np.uint64)
    seed_stream(state, np.uint64(seed), np.uint64(0))
    return read_station(state, 0, setup, work, waveform)


@compiled
def backgrounds(seed, work, window, light, moved):
    state = np.empty(4, np.uint64)
    seed_stream(state, np.uint64(seed), np.uint64(0))
    for i in range(len(moved)):
        work.impulse[:] = 0.0
        work.impulse[:, LEAD_BINS] = 1000.0
        moved[i] = add_background(state, work, window)
        for k in range(light.shape[1]):
            light[i, k] = work.impulse[0, k]


def read(pulses, windows, layers=2):
    """(bin where the first window begins, level 1, waveform, pedestal) of a station with light
    {bin after the lead: VEM}.
    """
    config = load_config(f"{{detector: {{windows: {windows}, layers: {layers}}}}}")
    array = array_from_config(config)
    setup = setup_of(config, array, 1)
    work = work_space(array.n_stations, 128 * windows, 128)
    for place, vem in pulses.items():
        work.impulse[:, LEAD_BINS + place] = vem
    work.gain[:] = GAIN
    waveform = np.full((128 * windows, layers), 9999, np.uint16)
    begin, level_1 = read_out(3, setup, work, waveform)
    return begin, level_1, waveform.astype(float), setup.stations.pedestal[0, :layers]


def unread(pedestal, begin, end):
    return pedestal_count(np.arange(begin, end)[:, None], pedestal)


def test_what_is_not_read_is_the_pedestal():
    """Whole numbers whose sum over any bins is less than a count off."""
    counts = pedestal_count(np.arange(300), 6.37)
    assert set(counts) == {6.0, 7.0}
    for begin in (0, 17, 250):
        sums = np.cumsum(counts[begin:]) - 6.37 * np.arange(1, 301 - begin)
        assert np.abs(sums).max() < 1.0


@pytest.mark.parametrize("layers", [1, 2])
def test_one_window_where_there_is_no_further_light(layers):
    begin, level_1, waveform, pedestal = read({0: 10.0}, 3, layers)
    assert level_1
    # The sum of 8 bins is 15 counts above in the first or second bin of the pulse.
    assert begin in (LEAD_BINS - 30, LEAD_BINS - 29)
    np.testing.assert_array_equal(waveform[128:], unread(pedestal, 128, 384))
    signal = (waveform[:128] - pedestal).sum(axis=0) / GAIN
    np.testing.assert_allclose(signal, 10.0, atol=0.8)


def test_a_window_follows_directly_or_begins_before_the_next_crossing():
    """At once where the light goes on or comes back within 30 bins, else 30 bins before the
    crossing; what lies between is the pedestal, and so is what comes after the last.
    """
    begin, _, waveform, pedestal = read({0: 10.0, 110: 20.0}, 3)
    for first in (128, 240):
        noise = waveform[first : first + 16]
        assert not np.array_equal(noise, unread(pedestal, first, first + 16))
    np.testing.assert_array_equal(waveform[256:], unread(pedestal, 256, 384))
    place = LEAD_BINS + 110 - begin
    found = (waveform[place : place + 12] - pedestal).sum(axis=0) / GAIN
    np.testing.assert_allclose(found, 20.0, atol=0.5)

    begin, _, waveform, pedestal = read({0: 10.0, 200: 20.0}, 3)
    place = LEAD_BINS + 200 - begin
    first = place - 30
    np.testing.assert_array_equal(waveform[128:first], unread(pedestal, 128, first))
    assert not np.array_equal(waveform[first : first + 30], unread(pedestal, first, first + 30))
    np.testing.assert_array_equal(waveform[first + 129 :], unread(pedestal, first + 129, 384))
    found = (waveform[place : place + 12] - pedestal).sum(axis=0) / GAIN
    np.testing.assert_allclose(found, 20.0, atol=0.5)


def test_a_last_window_is_cut():
    begin, _, waveform, pedestal = read({0: 10.0, 200: 20.0}, 2)
    place = LEAD_BINS + 200 - begin
    found = (waveform[place : place + 12] - pedestal).sum(axis=0) / GAIN
    np.testing.assert_allclose(found, 20.0, atol=0.5)
    np.testing.assert_array_equal(waveform[128 : place - 31], unread(pedestal, 128, place - 31))


def test_too_little_light_opens_no_further_window():
    """8 bins have to be 15 counts above in both layers: 0.2 VEM are 8."""
    _, _, waveform, pedestal = read({0: 10.0, 140: 0.2}, 2)
    np.testing.assert_array_equal(waveform[128:], unread(pedestal, 128, 256))


def test_level_1_looks_at_the_first_window():
    """3.8 VEM are 150 counts, in 128 bins."""
    assert not read({0: 2.0, 150: 50.0}, 2)[1]
    assert read({0: 6.0, 150: 50.0}, 2)[1]


def test_light_beyond_the_first_window_is_measured():
    """Far from the axis a window alone loses a tenth of the signal and more."""
    found = []
    for windows in (1, 2):
        config = load_config(
            "{showers: {min_log10_energy_ev: 19.5, max_zenith_deg: 30, primaries: {proton: 1}}, "
            f"detector: {{windows: {windows}, accidental_rate_khz: 0}}}}"
        )
        events = simulate_events(config, "test", 0, 400)
        t, hit = events.truth, events.hit_event
        position = events.array.position[events.hit_station]
        d = (position[:, 0] - t.core_x[hit], position[:, 1] - t.core_y[hit], position[:, 2])
        r = axis_distance(*d, *axis_components(t.zenith[hit], t.azimuth[hit]))
        signal = find_pulses(events).signal.mean(axis=1)
        found.append([signal[(r > a) & (r < b)].sum() for a, b in ((600, 900), (1300, 1800))])
    one, two = np.array(found)
    assert two[0] / one[0] == pytest.approx(1.0, abs=0.02)
    assert two[1] / one[1] > 1.05


def test_background_particles_come_evenly():
    """Whenever their window holds the first light: from 98 bins before it on; the light keeps its
    time.
    """
    n, window = 4000, 128
    work = work_space(4, 256, window)
    light, moved = np.zeros((n, light_bins(256))), np.zeros(n, np.int64)
    backgrounds(5, work, window, light, moved)
    shower = np.argmax(light, axis=1)
    np.testing.assert_array_equal(shower, LEAD_BINS + moved)
    assert (light[:, :LEAD_BINS] == 0).all()
    rows = np.arange(n)
    light[rows, shower] -= 1000.0
    seen = light.sum(axis=1) > 0  # what comes in the last bin is lost
    assert seen.mean() > 0.995
    light, shower = light[seen], shower[seen]
    place = (light * np.arange(light.shape[1])).sum(axis=1) / light.sum(axis=1) - shower
    length = background_bins(256, window)
    assert length == 98 + light_bins(256) - LEAD_BINS
    assert place.min() == pytest.approx(-98.0, abs=0.5)
    edges = np.linspace(-98.0, length - 98.0, 11)
    np.testing.assert_allclose(np.histogram(place, edges)[0] / len(place), 0.1, atol=0.02)


def test_background_comes_into_stations_that_the_shower_hits():
    """At 20 kHz 4 % of the stations see it within 1.96 us before the shower."""
    early = []
    for rate in (0, 20):
        config = load_config(
            "{showers: {min_log10_energy_ev: 19, max_zenith_deg: 40}, detector: "
            f"{{accidental_rate_khz: {rate}, accidental_radius_m: 0}}}}"
        )
        events = simulate_events(config, "test", 0, 600)
        t, hit = events.truth, events.hit_event
        position = events.array.position[events.hit_station]
        d = (position[:, 0] - t.core_x[hit], position[:, 1] - t.core_y[hit], position[:, 2])
        n = axis_components(t.zenith[hit], t.azimuth[hit])
        after = find_pulses(events).arrival_time - t.t0[hit] - plane_delay(*d, *n)
        early.append(np.mean(after[axis_distance(*d, *n) < 1000] < -150.0))
    assert early[0] < 0.005
    assert early[1] == pytest.approx(20e-6 * (1960.0 - 150.0), abs=0.012)

"""Columns by which generated events are compared: closed forms, and what moves which of them."""

from dataclasses import replace

import numpy as np
import pytest
from hits import make_events, make_reconstruction

from tashower.evaluation.copies import (
    compare_nearest,
    find_copies,
    footprints,
    two_nearest_dimension,
)
from tashower.evaluation.generated import (
    event_columns,
    fit_columns,
    hit_mask,
    pulse_shape,
    station_columns,
)
from tashower.events.array import description_of, regular_array
from tashower.events.model import concatenate_events, expected_at_hits, pulls
from tashower.physics.description import expected, parameters_at
from tashower.reconstruction.pulses import find_pulses


@pytest.fixture
def events(rng):
    return make_events(rng, 12)


def box(first, length, height=10.0, bins=64):
    """(bins,) counts of a pulse of constant height."""
    counts = np.zeros(bins)
    counts[first : first + length] = height
    return counts


def test_shape_of_a_box():
    """The integral of ten equal bins is at 10, 50 and 90 % after one, five and nine of them."""
    waveform = np.stack([box(7, 10), box(12, 10)], axis=1)[None] + 6.0
    found = pulse_shape(waveform, np.full((1, 2), 6.0), 20.0)
    assert found["rise"] == pytest.approx(80.0)
    assert found["fall"] == pytest.approx(80.0)
    assert -0.5 < found["layer_correlation"][0] < 1.0
    longer = np.stack([box(7, 20), box(12, 10)], axis=1)[None] + 6.0
    assert pulse_shape(longer, np.full((1, 2), 6.0), 20.0)["rise"] == pytest.approx(120.0)
    assert pulse_shape(waveform, np.full((1, 2), 6.0), 50.0)["fall"] == pytest.approx(200.0)


def test_rise_and_fall_are_not_the_same():
    falling = np.where(np.arange(64) >= 4, np.exp(-(np.arange(64) - 4) / 10.0), 0.0)
    found = pulse_shape(falling[None, :, None], np.zeros((1, 1)), 20.0)
    # An exponential of 200 ns: ln(0.9/0.5) and ln(0.5/0.1) of it.
    assert found["rise"] == pytest.approx(200.0 * np.log(1.8), rel=0.02)
    assert found["fall"] == pytest.approx(200.0 * np.log(5.0), rel=0.03)
    assert "layer_correlation" not in found


def test_correlation_of_layers_is_pearsons(rng):
    waveform = rng.poisson(5.0, (30, 64, 2)).astype(np.uint16)
    waveform[:, 10:30] += 20
    found = pulse_shape(waveform, np.zeros((30, 2)), 20.0)["layer_correlation"]
    expected = [np.corrcoef(one[:, 0], one[:, 1])[0, 1] for one in waveform]
    assert found == pytest.approx(expected)


def test_no_pulse():
    found = pulse_shape(np.full((2, 64, 2), 6), np.full((2, 2), 6.0), 20.0)
    assert all(np.isnan(column).all() for column in found.values())


def test_station_columns(events):
    pulses, truth = events.pulses, events.truth
    found = station_columns(events, pulses, truth)
    there, signal = expected_at_hits(truth, events), pulses.signal.mean(axis=1)
    late = pulses.arrival_time - there.time
    usable = (signal >= 1.4) & (np.abs(late) < 4000.0)
    assert 0 < usable.sum() < events.n_hits
    assert np.array_equal(np.isfinite(found["time"]), usable)
    assert found["time"][usable] == pytest.approx(late[usable])
    good = usable & ~pulses.saturated
    assert np.array_equal(np.isfinite(found["log_ratio"]), good)
    expected = there.density * events.array.detector.area
    assert found["log_ratio"][good] == pytest.approx(np.log(signal[good] / expected[good]))
    assert np.array_equal(np.isfinite(found["rise"]), signal >= 3.0)
    assert found["peaks"] == pytest.approx(pulses.n_peaks.mean(axis=1))
    without = station_columns(replace(events, waveform=None), pulses, truth)
    assert set(found) - set(without) == {"rise", "fall", "layer_correlation"}


def test_event_columns(events):
    stations = station_columns(events, events.pulses, events.truth)
    found = event_columns(events, events.pulses, stations)
    signal = events.pulses.signal.mean(axis=1)
    for i in range(events.n_events):
        hits = slice(*events.hit_offset[i : i + 2])
        n = hits.stop - hits.start
        assert found["n_hits"][i] == n
        assert found["n_saturated"][i] == events.pulses.saturated[hits].sum()
        if not n:
            assert np.isnan(found["log_total"][i])
            continue
        assert found["log_total"][i] == pytest.approx(np.log(signal[hits].sum()))
        assert found["log_largest"][i] == pytest.approx(np.log(signal[hits].max()))
        ratio = stations["log_ratio"][hits]
        ratio = ratio[np.isfinite(ratio)]
        if len(ratio) > 1:
            assert found["mean_log_ratio"][i] == pytest.approx(ratio.mean())
            assert found["spread_log_ratio"][i] == pytest.approx(ratio.std(ddof=1))
        timed = np.isfinite(stations["time"][hits])
        times = events.pulses.arrival_time[hits][timed]
        if len(times) > 1:
            assert found["duration"][i] == pytest.approx(np.ptp(times))
        else:
            assert np.isnan(found["duration"][i])


def test_fit_columns(rng, events):
    table = make_reconstruction(rng, events)
    found = fit_columns({"free": table}, events.truth)
    assert found["chi2_free"][table.valid] == pytest.approx(
        (table.chi2 / np.maximum(table.ndof, 1))[table.valid]
    )
    assert found["pull_zenith_free"] == pytest.approx(pulls(table, events.truth)[:, 2], nan_ok=True)
    assert set(fit_columns({"free": table}, None)) == {"chi2_free", "valid_free"}


def test_mask_is_of_stations_in_service_near_enough(rng):
    events = make_events(rng, 8, regular_array(8, 8, 1200.0))
    truth = replace(
        events.truth,
        **{name: np.zeros(8) for name in ("core_x", "core_y", "zenith")},
        s_ref=np.full(8, 30.0),
    )
    mask = hit_mask(events, truth)
    r = np.linalg.norm(events.array.position[:, :2], axis=1)
    density = expected_at_all(events.array, truth)
    for i in range(8):
        dead = events.dead_station[slice(*events.dead_offset[i : i + 2])]
        hits = events.hit_station[slice(*events.hit_offset[i : i + 2])]
        there = [
            k
            for k in range(events.array.n_stations)
            if r[k] < 5999.0 and density[k] * 3.0 >= 0.03 and k not in dead
        ]
        rows = mask.event == i
        assert mask.log_expected[rows] == pytest.approx(np.log(3.0 * density[there]))
        assert np.array_equal(mask.hit[rows], np.isin(there, hits))
    assert len(events.dead_station) > 4
    assert 0 < mask.hit.sum() < events.n_hits


def expected_at_all(array, truth):
    """Densities of the first shower at every station."""
    return expected(parameters_at(truth, 0), array.position, description_of(array)).density


def test_footprint_moves_with_the_shower(rng):
    """The same hits three columns farther east, and later: the same footprint."""
    array = regular_array(20, 9, 1200.0)
    events = make_events(rng, 1, array)
    near = np.flatnonzero((np.abs(array.lattice - [8, 4]) <= 1).all(axis=1))
    n = len(near)
    events = replace(events, hit_offset=np.array([0, n]), hit_station=near.astype(np.int32))
    pulses = replace(
        make_events(rng, 40, array).pulses,
        arrival_time=rng.uniform(0.0, 2000.0, n),
        signal=rng.exponential(5.0, (n, 2)) + 0.1,
    )
    found = footprints(events, pulses)
    moved = array.lattice[near] + [3, 0]
    east = [int(np.flatnonzero((array.lattice == one).all(axis=1))[0]) for one in moved]
    later = replace(pulses, arrival_time=pulses.arrival_time + 1e4)
    other = footprints(replace(events, hit_station=np.array(east, np.int32)), later)
    assert found == pytest.approx(other)
    assert found.shape == (1, 98)
    assert np.isclose(found, np.log1p(pulses.signal.mean(axis=1).max())).any()
    stronger = footprints(events, replace(pulses, signal=2.0 * pulses.signal))
    assert np.abs(found - stronger).max() > 0.3
    turned = footprints(events, replace(pulses, arrival_time=-pulses.arrival_time))
    assert np.abs(found - turned).max() > 0.3


def test_dimension_of_a_plane_in_space(rng):
    """Facco et al. 2017: points on a plane have two dimensions, wherever it lies."""
    plane = rng.random((4000, 2)) @ rng.normal(size=(2, 10))
    found = compare_nearest(plane[:3000], plane[3000:3500], plane[3500:])
    assert found["dimension"] == pytest.approx(2.0, rel=0.12)
    ratio = rng.random(20_000) ** (1.0 / 7.0)
    assert two_nearest_dimension(ratio) == pytest.approx(7.0, rel=0.03)


def test_false_alarms_of_copies(rng):
    """p-values of points that are no copies are spread evenly."""
    found = [compare_nearest(*np.split(rng.normal(size=(600, 6)), [300, 400])) for _ in range(100)]
    for name in ("p_nearer", "p_copy"):
        p = np.array([one[name] for one in found])
        assert (p < 0.05).mean() < 0.13, name
        assert 0.3 < p.mean() < 0.7, name


def test_one_near_copy_among_many_is_found(rng):
    training, generated, real = np.split(rng.normal(size=(900, 6)), [500, 700])
    generated[17] = training[3] + 1e-3
    found = compare_nearest(training, generated, real)
    assert found["copy"] == 17
    assert found["p_copy"] < 1e-6
    assert found["p_nearer"] > 0.01
    nearer = compare_nearest(training, training[:200] + 0.3 * rng.normal(size=(200, 6)), real)
    assert nearer["p_nearer"] < 1e-6


def test_equal_waveforms_are_counted(rng):
    """Whatever gain and pedestal the station has that shows them."""
    array = regular_array(6, 5, 1200.0)
    training, generated, real = (make_events(rng, 30, array) for _ in range(3))
    parts = [replace(one, pulses=None) for one in (training, generated, real)]
    copied = parts[0][[4]]
    copied = replace(copied, waveform=copied.waveform + 3)
    both = concatenate_events([parts[1], copied])
    pairs = [(one, find_pulses(one)) for one in (parts[0], both, parts[2])]
    found = find_copies(*pairs)
    assert found.n_equal == np.diff(training.hit_offset)[4]
    assert found.n_equal < found.n_hits <= both.n_hits
    assert find_copies(pairs[0], pairs[2], pairs[2]).n_equal == 0
    few = parts[1][:5]
    assert find_copies(pairs[0], (few, find_pulses(few)), pairs[2]) is None

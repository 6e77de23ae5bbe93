"""What really reached the stations: the record of the simulation."""

import numpy as np
import pytest
from scipy.stats import gamma, lognorm

from tashower.config import load_config
from tashower.errors import InputError
from tashower.events.model import select_rows
from tashower.likelihood.stations import draw_stations
from tashower.simulation.arrivals import Component, draw_number, put_component
from tashower.simulation.light import Front
from tashower.simulation.particles import light_moments
from tashower.simulation.random_numbers import seed_stream
from tashower.simulation.record import N_FINE, fine_bin, fine_edge, fine_edges, note_front
from tashower.simulation.recorded import empty_record, record_events, record_stations
from tashower.simulation.simulate import simulate_events, simulate_stations

CONFIG = load_config({"seed": 3})
WIDTH = 200.0


def test_bins_have_no_gap():
    edges = fine_edges()
    assert len(edges) == N_FINE + 1
    assert edges[0] == 0.0
    assert edges[-2] == pytest.approx(0.8 * 1.025**249)
    assert (np.diff(edges[:-1]) > 0.0199).all()
    for k in (0, 1, 39, 40, 41, 100, N_FINE - 1):
        assert fine_bin(edges[k] + 1e-9) == k
        assert fine_edge(k) == pytest.approx(edges[k])
    assert fine_bin(0.79999) == 39
    assert fine_bin(1e7) == N_FINE - 1


def test_single_stations_are_the_same_with_a_record():
    truth = draw_stations(CONFIG, 0, 3000)
    events, particles = record_stations(truth, CONFIG, 3)
    plain = simulate_stations(truth, CONFIG, 3)
    np.testing.assert_array_equal(events.waveform, plain.waveform)
    np.testing.assert_array_equal(events.hit_time, plain.hit_time)
    assert particles.offset[-1] == len(particles.station) == len(particles.shower)
    assert (particles.number.sum(axis=1) > 0).all()
    np.testing.assert_array_equal(particles.number > 0, np.isfinite(particles.first))
    # Nothing without a particle; clocks only of hits.
    assert (particles.clock != 0.0).sum() == len(events.hit_event)
    assert particles.clock[particles.clock != 0.0].std() == pytest.approx(20.0, rel=0.07)
    assert set(events.hit_event) <= set(particles.shower)
    shift = particles.shift / particles.shift_rms
    assert shift.std() == pytest.approx(1.0, abs=0.05)
    assert shift.mean() == pytest.approx(0.0, abs=0.08)


def test_events_are_recorded_with_stations_that_gave_no_hit():
    events = simulate_events(CONFIG, "test", 0, 60)
    particles = record_events(events, CONFIG, "test")
    many = particles.number.sum(axis=1) > 200
    n_hits = np.diff(events.hit_offset)
    for i in range(events.n_events):
        rows = slice(*particles.offset[i : i + 2])
        hits = events.hit_station[events.hit_offset[i] : events.hit_offset[i + 1]]
        assert set(particles.station[rows][many[rows]]) <= set(hits)
    assert np.diff(particles.offset).sum() > n_hits.sum()
    half = events[10:20]
    again = record_events(half, CONFIG, "test")
    begin, end = particles.offset[[10, 20]]
    np.testing.assert_array_equal(again.first, particles.first[begin:end])
    with pytest.raises(InputError, match="not one of this configuration"):
        record_events(half, CONFIG, "test", seed=4)


@pytest.fixture(scope="module", params=[(0.0, 3.0), (0.8, 20.0), (0.0, 500.0), (0.8, 30_000.0)])
def component(request):
    """(component, numbers, light, first delays, counts) of many stations."""
    sigma, mean_number = request.param
    one = Component(mean_number, 250.0, 3, 1.2 if sigma else 0.0, sigma)
    none = one._replace(secant=0.0 if sigma else 1.2)
    record, state = empty_record(1, 2), np.empty(4, np.uint64)
    seed_stream(state, np.uint64(3), np.uint64(mean_number))
    n, kind = 1500, 0 if sigma else 1
    kinds = (one, none) if sigma else (none, one)
    impulse, light = np.zeros((2, 700)), np.empty(n)
    first, count = np.empty(n), np.empty((n, N_FINE), np.int64)
    for i in range(n):
        impulse[:] = 0.0
        note_front(record, state, Front(0.0, 1.0, WIDTH, *kinds), 0.0)
        number = draw_number(state, mean_number)
        put_component(state, impulse, 20.0, 33.0, number, one, record)
        light[i] = impulse.sum() / 2.0
        first[i], count[i] = record.first[0, kind], record.count[0, kind]
    return one, light, first, count


def test_numbers_are_poisson_and_go_with_the_light(component):
    one, light, _, count = component
    number, mean = count.sum(axis=1), one.mean_number
    assert number.mean() == pytest.approx(mean, abs=4.0 * np.sqrt(mean / len(number)))
    assert number.var() == pytest.approx(mean, rel=0.15)
    of_one, square, product = light_moments(one.secant)
    expected = of_one / np.sqrt(0.5 * (square + product))
    assert np.corrcoef(number, light)[0, 1] == pytest.approx(expected, abs=0.04)


def test_delays_are_those_of_the_component(component):
    """Numbers in every part of the histogram, of single and of many particles alike."""
    one, _, first, count = component
    edges = fine_edges()
    ends = np.array([0, 10, 20, 40, 60, 80, 100, N_FINE])
    seen = np.add.reduceat(count.sum(axis=0), ends[:-1])
    law = lognorm(one.sigma, scale=one.scale) if one.sigma else gamma(one.shape, scale=one.scale)
    expected = one.mean_number * len(count) * np.diff(law.cdf(edges[ends] * WIDTH))
    assert (np.abs(seen - expected) < 4.5 * np.sqrt(expected) + 1.0).all()
    some = count.sum(axis=1) > 0
    x = np.linspace(0.0, 20.0 * one.scale, 400_001)[1:]
    later = np.exp(-one.mean_number * law.cdf(x)) - np.exp(-one.mean_number)
    norm = 1.0 - np.exp(-one.mean_number)
    mean = np.trapezoid(later, x) / norm
    rms = np.sqrt(np.trapezoid(2.0 * x * later, x) / norm - mean**2)
    error = rms / np.sqrt(some.sum())
    assert first[some].mean() == pytest.approx(mean, abs=4.5 * error)
    assert first[some].std() == pytest.approx(rms, rel=0.1)


def test_a_slice_of_showers_has_the_same_record():
    truth = draw_stations(CONFIG, 0, 40)
    _, all_of_them = record_stations(truth, CONFIG, 3)
    _, some = record_stations(select_rows(truth, slice(0, 20)), CONFIG, 3)
    np.testing.assert_array_equal(some.count, all_of_them.count[: some.offset[-1]])

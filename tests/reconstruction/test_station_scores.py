"""What a network is told of the station likelihood: against its formulas, and of true showers."""

from dataclasses import replace

import numpy as np
import pytest
from likelihood.by_formula import expected, outputs_of

from tashower.calibration.calibration import DEFAULT as CALIBRATION
from tashower.calibration.calibration import read_calibration
from tashower.calibration.station_likelihood import DEFAULT, read_station_likelihood
from tashower.config import load_config
from tashower.errors import InputError
from tashower.events.model import select_events, select_rows
from tashower.physics.geometry import axis_components
from tashower.physics.station import reduced_time_derivatives, station_conditions
from tashower.reconstruction.likelihood.density import HIT, SATURATED
from tashower.reconstruction.likelihood.posterior import mean_shower
from tashower.reconstruction.likelihood.station_scores import STATION_SCORES, station_scores
from tashower.reconstruction.reconstruct import reconstruct
from tashower.simulation.simulate import simulate_events

TIME, PULL, WIDTH, SIGNAL, DISTANCE = range(len(STATION_SCORES))


@pytest.fixture(scope="module")
def stations():
    return read_station_likelihood(DEFAULT)


@pytest.fixture(scope="module")
def fitted():
    """(events, pulses, complete fit)."""
    config = load_config()
    events = simulate_events(config, "test", 0, 300)
    calibration = read_calibration(CALIBRATION)
    tables, pulses, _ = reconstruct(events, calibration, config.reconstruction, only=("complete",))
    return events, pulses, tables["complete"]


def conditions_of(events, pulses, fit, stations):
    """((n_hits, 5) conditions, delays), by numpy, of the hits of valid events."""
    event = events.hit_event
    shower = mean_shower(fit, stations)[event]
    n_z = axis_components(fit.zenith, fit.azimuth)[2][event]
    place = (events.array.position[events.hit_station] - np.c_[shower[:, :2], 0 * n_z]).T
    nodes = np.linspace(1.0, 2.0, len(stations.variety.attenuation))
    attenuation = np.interp(1.0 / n_z, nodes, stations.variety.attenuation)
    share = 1.0 / (1.0 + np.exp(-shower[:, 7]))
    of = (*shower[:, 2:4].T, n_z, shower[:, 4], shower[:, 6], share, shower[:, 8], attenuation)
    found, plane = station_conditions(tuple(place), of, events.array.lateral, stations.area)
    conditions = np.stack(np.broadcast_arrays(*found), axis=1)
    return conditions, pulses.arrival_time - shower[:, 5] - plane


def test_scores_are_the_derivatives_of_the_density(fitted, stations):
    events, pulses, fit = fitted
    bare = replace(events, waveform=None)
    found = station_scores(bare, pulses, fit, stations)
    conditions, delay = conditions_of(events, pulses, fit, stations)
    signal = pulses.signal.mean(axis=1)
    background = stations.background
    log_signal = np.log(np.maximum(signal, 1e-3))
    off = (log_signal - background.log_signal) / background.width
    density = np.log(background.rate + 1e-12) - 0.5 * off**2
    density -= np.log(np.sqrt(2.0 * np.pi) * background.width)
    steps = {TIME: (None, 0.05), SIGNAL: (0, 1e-4), DISTANCE: (4, 1e-4)}
    seen = 0
    for kind in (HIT, SATURATED):
        rows = np.flatnonzero(
            np.isfinite(delay) & (signal > 0.2) & (pulses.saturated == (kind == SATURATED))
        )[:400]
        seen += len(rows)
        for column, (condition, step) in steps.items():
            sides = []
            for sign in (1.0, -1.0):
                moved, later = conditions[rows].copy(), delay[rows].copy()
                if condition is None:
                    later -= sign * step  # of a later front
                else:
                    moved[:, condition] += sign * step
                given = (moved, later, log_signal[rows], density[rows])
                sides.append(expected(stations.density, given, kind))
            slope = (sides[0] - sides[1]) / (2.0 * step)
            wanted = np.arcsinh(50.0 * slope if condition is None else slope)
            np.testing.assert_allclose(found[rows, column], wanted, atol=0.03, rtol=0.01)
        out = outputs_of(stations.density, conditions[rows])
        half = (out.shape[1] - 2) // 2
        parts = out[:, half:-2] if kind == SATURATED else out[:, :half]
        weight, middle, _, width, _, _ = np.split(parts, 6, axis=1)
        weight = np.exp(weight) / np.exp(weight).sum(axis=1, keepdims=True)
        mean = (weight * middle).sum(axis=1)
        rms = np.sqrt((weight * (np.exp(2 * width) + (middle - mean[:, None]) ** 2)).sum(axis=1))
        u, _, slopes, _, _ = reduced_time_derivatives(
            delay[rows], conditions[rows, 2], conditions[rows, 4]
        )
        np.testing.assert_allclose(found[rows, PULL], np.arcsinh((u - mean) / rms), atol=2e-3)
        np.testing.assert_allclose(found[rows, WIDTH], np.log(rms / slopes[0] / 50.0), atol=2e-3)
    assert seen > 420


def test_pulls_of_true_showers_are_standard_normal(stations):
    events = simulate_events(load_config(), "test", 300, 700)
    config, truth = load_config(), events.truth
    calibration = read_calibration(CALIBRATION)
    tables, pulses, _ = reconstruct(events, calibration, config.reconstruction, only=("complete",))
    names = ("core_x", "core_y", "zenith", "azimuth", "t0")
    true = replace(tables["complete"], **{n: getattr(truth, n) for n in names}, s_ref=truth.s_ref)
    found = station_scores(events, pulses, true, stations)
    conditions, _ = conditions_of(events, pulses, true, stations)
    near = (conditions[:, 0] > np.log(5.0)) & (found[:, WIDTH] != 0.0)
    pull = np.sinh(found[near, PULL])
    assert near.sum() > 2500
    # The muons and slopes of single showers differ from the mean that is taken.
    assert abs(pull.mean()) < 0.08
    assert 0.95 < pull.std() < 1.12
    # Of a normal distribution the score is the pull over the width.
    score = np.sinh(found[near, TIME]) * np.exp(found[near, WIDTH])
    assert np.corrcoef(score, pull)[0, 1] > 0.7


def test_what_moves_them_and_what_does_not(fitted, stations):
    events, pulses, fit = fitted
    before = station_scores(events, pulses, fit, stations)
    assert before.shape == (events.n_hits, len(STATION_SCORES))
    # Shapes count where there are waveforms.
    bare = station_scores(replace(events, waveform=None), pulses, fit, stations)
    assert np.abs(before - bare)[:, TIME].max() > 0.1
    np.testing.assert_array_equal(before[:, [PULL, WIDTH]], bare[:, [PULL, WIDTH]])
    # Everything later by the same time.
    later = replace(pulses, arrival_time=pulses.arrival_time + 1234.0)
    moved = station_scores(
        replace(events, waveform=None), later, replace(fit, t0=fit.t0 + 1234.0), stations
    )
    np.testing.assert_allclose(moved, bare, atol=2e-3)
    # Each hit is its own.
    one = np.flatnonzero(before[:, WIDTH])[7]
    signal = pulses.signal.copy()
    signal[one] *= 1.5
    other = station_scores(
        replace(events, waveform=None), replace(pulses, signal=signal), fit, stations
    )
    assert set(np.flatnonzero((other != bare).any(axis=1))) == {one}
    # Signals say nothing of the width, and no time says nothing at all.
    assert other[one, WIDTH] == bare[one, WIDTH]
    time = pulses.arrival_time.copy()
    time[one] = np.nan
    silent = station_scores(events, replace(pulses, arrival_time=time), fit, stations)
    assert not silent[one].any()
    # An event without a fit has none.
    lost = fit.t0.copy()
    lost[3] = np.nan
    none = station_scores(events, pulses, replace(fit, t0=lost), stations)
    assert not none[events.hit_event == 3].any()
    np.testing.assert_array_equal(none[events.hit_event != 3], before[events.hit_event != 3])


def test_of_another_array_they_are_refused(fitted, stations):
    events, pulses, fit = fitted
    with pytest.raises(InputError, match="of stations of 10 m"):
        station_scores(events, pulses, fit, stations._replace(area=10.0))


def test_order_of_events_changes_nothing(fitted, stations):
    """Blocks of rows of one kind are put together from all events."""
    events, pulses, fit = fitted
    whole = station_scores(events, pulses, fit, stations)
    rows = np.arange(17, 40)
    mine = np.isin(events.hit_event, rows)
    part = station_scores(
        select_events(events, rows), select_rows(pulses, mine), select_rows(fit, rows), stations
    )
    np.testing.assert_allclose(part, whole[mine], atol=1e-5)

"""Plane fronts: exact input at many directions, three stations on, and what is no shower."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import least_squares

from tashower.convert.assemble import Record, assemble
from tashower.events.array import array_from_positions
from tashower.physics.geometry import axis_components, direction, opening_angle, plane_delay
from tashower.reconstruction.methods.plane import fit_planes

TRIANGLE = np.array([[0.0, 0.0, 3.0], [120.0, 10.0, -2.0], [40.0, 150.0, 5.0]])


def fitted(position, time, signal=None):
    array = array_from_positions(np.arange(1, len(position) + 1), position)
    signal = np.full(len(position), 5.0) if signal is None else signal
    signals = np.repeat(signal[:, None], array.detector.n_layers, axis=1)
    record = Record(
        "here", 1, array.station_id, time, signal=signals, saturated=np.zeros(len(position), bool)
    )
    events = assemble([record], array)
    return fit_planes(events, events.pulses)


def angle(found, zenith, azimuth):
    """Angle to the true direction [rad]."""
    return opening_angle(direction(found.zenith, found.azimuth), direction(zenith, azimuth))[0]


@pytest.mark.parametrize("azimuth", [0.0, 1.0, 3.0, 4.5, 6.0])
@pytest.mark.parametrize("zenith", [0.0, 0.4, 0.9])
@pytest.mark.parametrize("scale", [1.0, 20.0])
def test_three_stations_give_the_exact_direction(zenith, azimuth, scale):
    position = TRIANGLE * [scale, scale, 1.0]
    time = plane_delay(*position.T, *axis_components(zenith, azimuth)) + 5000.0
    found = fitted(position, time)
    assert found.valid[0]
    assert angle(found, zenith, azimuth) < 1e-6
    assert found.t0[0] == pytest.approx(
        5000.0
        + plane_delay(found.core_x[0], found.core_y[0], 0.0, *axis_components(zenith, azimuth)),
        abs=1e-4,
    )
    assert found.chi2[0] < 1e-6
    assert np.isnan(found.s_ref[0])
    assert found.ndof[0] == 0


# Five stations with altitudes and the times [ns] of a plane front from zenith 45.0, azimuth 30.0
# degrees, computed by hand to a picosecond.
SLOPE = np.array([[0, 0, 0], [100, 0, 30], [0, 100, -10], [100, 100, 45], [50, 160, 20.0]])
TIMES = np.array([0.0, -275.025, -94.346, -428.338, -337.998])


def test_altitudes_count():
    """A fixed point that forgets the derivative of n_z ends at 43.95 and 30.5 degrees here."""
    found = fitted(SLOPE, TIMES)
    assert np.degrees(found.zenith[0]) == pytest.approx(45.0, abs=2e-4)  # the times are rounded
    assert np.degrees(found.azimuth[0]) == pytest.approx(30.0, abs=2e-4)
    exact = plane_delay(*SLOPE.T, *axis_components(np.radians(45), np.radians(30)))
    np.testing.assert_allclose(TIMES, exact, atol=1e-3)
    assert angle(fitted(SLOPE, exact), np.radians(45), np.radians(30)) < 1e-6


def test_least_squares_as_scipy_finds_it(rng):
    """Scattered times on rough ground: the minimum of the sum of squares."""
    compared = 0
    while compared < 10:
        position = np.column_stack([rng.uniform(-300, 300, (6, 2)), rng.uniform(-80, 80, 6)])
        zenith, azimuth = rng.uniform(0.1, 0.8), rng.uniform(0, 6.28)
        time = plane_delay(*position.T, *axis_components(zenith, azimuth)) + rng.normal(0, 30, 6)
        found = fitted(position, time)
        if found.n_stations[0] < 6:
            continue  # one of them fell out of the cluster
        compared += 1

        def residuals(q, position=position, time=time):
            return q[2] + plane_delay(*position.T, *axis_components(q[0], q[1])) - time

        best = least_squares(
            residuals, (zenith, azimuth, 0.0), x_scale=(0.1, 0.1, 30.0), xtol=1e-14
        )
        assert angle(found, best.x[0], best.x[1]) < 1e-5
        assert found.chi2[0] == pytest.approx(2 * best.cost / 30.0**2, rel=1e-6)


def test_errors_are_those_of_the_scatter(rng):
    """Pulls of zenith, azimuth and t0 have mean 0 and width 1; twice the scatter, twice the
    error.
    """
    position = np.column_stack([rng.uniform(-800, 800, (12, 2)), rng.uniform(-20, 20, 12)])
    times = plane_delay(*position.T, *axis_components(0.5, 2.0))
    found = [fitted(position, times + rng.normal(0, 30, 12)) for _ in range(400)]
    for name, index, true in (("zenith", 2, 0.5), ("azimuth", 3, 2.0)):
        error = np.array([np.sqrt(f.covariance[0, index, index]) for f in found])
        pull = (np.array([getattr(f, name)[0] for f in found]) - true) / error
        # The factor chi2/ndof where it is above 1 makes errors 8 % larger on average here.
        assert pull.mean() == pytest.approx(0, abs=0.15)
        assert pull.std() == pytest.approx(0.95, abs=0.1)
    chi2 = np.array([f.chi2[0] for f in found])
    assert chi2.mean() == pytest.approx(9.0, abs=0.6)
    wild = fitted(position, times + rng.normal(0, 300, 12))
    assert wild.chi2[0] > 100
    assert wild.covariance[0, 2, 2] > 10 * np.median([f.covariance[0, 2, 2] for f in found])
    assert np.isnan(wild.covariance[0, 0, 0])
    assert np.isnan(wild.covariance[0, 4, 2])


def test_many_stations_average(rng):
    position = np.column_stack([rng.uniform(-800, 800, (30, 2)), np.zeros(30)])
    time = plane_delay(*position.T, *axis_components(0.5, 2.0)) + rng.normal(0, 5, 30)
    assert angle(fitted(position, time), 0.5, 2.0) < 0.009


@pytest.mark.parametrize("time", [[0.0, 2000.0, 0.0], [np.nan] * 3])
def test_times_that_no_plane_fits_are_invalid(time):
    array = array_from_positions([1, 2, 3], TRIANGLE)
    record = Record(
        "here",
        1,
        array.station_id,
        np.zeros(3),
        signal=np.full((3, 2), 5.0),
        saturated=np.zeros(3, bool),
    )
    events = assemble([record], array)
    found = fit_planes(events, replace(events.pulses, arrival_time=np.array(time)))
    assert not found.valid[0]
    assert np.isnan(found.zenith[0])


def test_two_stations_or_a_line_are_invalid():
    line = np.array([[0.0, 0.0, 0.0], [100.0, 0.0, 0.0], [200.0, 0.0, 0.0]])
    assert not fitted(line, np.zeros(3)).valid[0]
    assert not fitted(TRIANGLE[:2], np.zeros(2)).valid[0]

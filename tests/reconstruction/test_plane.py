"""Plane fronts: exact input at many directions, three stations on, and what is no shower."""

from dataclasses import replace

import numpy as np
import pytest

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


@pytest.mark.parametrize("azimuth", [0.0, 1.0, 3.0, 4.5, 6.0])
@pytest.mark.parametrize("zenith", [0.0, 0.4, 0.9])
@pytest.mark.parametrize("scale", [1.0, 20.0])
def test_three_stations_give_the_exact_direction(zenith, azimuth, scale):
    position = TRIANGLE * [scale, scale, 1.0]
    time = plane_delay(*position.T, *axis_components(zenith, azimuth)) + 5000.0
    found = fitted(position, time)
    assert found.valid[0]
    # The altitude enters with the zenith of the round before: a few steps, not the limit.
    assert (
        np.degrees(
            opening_angle(direction(found.zenith, found.azimuth), direction(zenith, azimuth))
        )[0]
        < 0.2
    )
    assert np.isnan(found.s800[0])
    assert found.ndof[0] == 0


def test_many_stations_average(rng):
    position = np.column_stack([rng.uniform(-800, 800, (30, 2)), np.zeros(30)])
    time = plane_delay(*position.T, *axis_components(0.5, 2.0)) + rng.normal(0, 5, 30)
    found = fitted(position, time)
    assert (
        np.degrees(opening_angle(direction(found.zenith, found.azimuth), direction(0.5, 2.0)))[0]
        < 0.5
    )


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

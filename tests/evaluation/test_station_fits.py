"""What fits make of stations: the fit's own times, errors and rejections, checked by its minimum
and by stations that were made wrong.
"""

from dataclasses import replace

import numpy as np
import pytest

from tashower.calibration.calibration import DEFAULT, read_calibration
from tashower.config import load_config
from tashower.evaluation.refit import Made, run_again
from tashower.evaluation.sample import single_event
from tashower.evaluation.station_fits import (
    DISTRUSTED,
    NO_MEASUREMENT,
    OUT_OF_FIT,
    USED,
    Shower,
    calibration_of,
    expected_at,
    ring_means,
    stations_of,
    stations_of_truth,
    true_shower,
)
from tashower.events.array import regular_array
from tashower.events.model import select_rows
from tashower.io.event_file import read_events
from tashower.physics.constants import SPEED_OF_LIGHT
from tashower.physics.description import ShowerParameters
from tashower.reconstruction.reconstruct import reconstruct

CALIBRATION = read_calibration(DEFAULT)
SETTINGS = load_config().reconstruction
MADE = Made(CALIBRATION)
FITS = ("free", "published", "constrained", "complete")


@pytest.fixture(scope="module")
def sample():
    events = read_events("data/sample.h5")[:25]
    tables, pulses, _ = reconstruct(events, CALIBRATION, SETTINGS)
    return events, tables, pulses


def one(sample, i):
    return single_event(sample[0], i, sample[1], sample[2])


def refitted(events, pulses):
    """Tables of a single event with other pulses."""
    return reconstruct(replace(events, waveform=None, pulses=pulses), CALIBRATION, SETTINGS)[0]


def test_every_fit_is_found_again_with_the_stations_that_it_rejected(sample):
    rejected = 0
    for i in range(len(sample[0])):
        events, tables, pulses, _ = one(sample, i)
        found = stations_of(tables, events, pulses, MADE)
        for name in FITS:
            table, stations = tables[name], found[name]
            assert stations.known, (i, name)
            assert not stations.note
            out = (stations.state == OUT_OF_FIT).sum() + len(stations.silent_out)
            assert out == table.n_excluded[0]
            assert (stations.state <= DISTRUSTED).sum() == table.n_stations[0]
            rejected += out
    assert rejected > 0


def test_residuals_and_errors_are_those_whose_sum_is_at_its_minimum(sample):
    """t0 stands in the times alone: the sum of residual/sigma^2 is its derivative."""
    for i in range(len(sample[0])):
        events, tables, pulses, _ = one(sample, i)
        for name in ("free", "published"):  # the complete fit's times are no normal distribution
            s = stations_of({name: tables[name]}, events, pulses, MADE)[name]
            used = s.state == USED
            weight = s.sigma[used] ** -2
            t0 = (weight * s.residual[used]).sum() / weight.sum()
            assert abs(t0) * np.sqrt(weight.sum()) < 0.1, (i, name)


@pytest.mark.parametrize("delay", [1500.0, -1500.0])
def test_a_station_whose_time_is_wrong(sample, delay):
    """The complete fit keeps late stations, with little weight."""
    events, _, pulses, _ = one(sample, 3)
    close = int(np.argsort(-pulses.signal.mean(axis=1))[2])
    time = pulses.arrival_time.copy()
    time[close] += delay
    wrong = replace(pulses, arrival_time=time)
    found = stations_of(refitted(events, wrong), events, wrong, MADE)
    for name in ("free", "constrained", "complete"):
        s = found[name]
        assert s.known
        late = name == "complete" and delay > 0
        assert s.state[close] == (DISTRUSTED if late else OUT_OF_FIT)
        assert s.residual[close] == pytest.approx(delay, abs=200.0)
        assert 0 < s.sigma[close] < 300.0


def test_hits_that_are_no_measurement_keep_that_state(sample):
    events = one(sample, 3).events
    rejected = np.zeros(events.n_hits, bool)
    rejected[:2] = True
    marked = replace(events, rejected=rejected)
    tables, hidden, _ = reconstruct(marked, CALIBRATION, SETTINGS)
    for stations in stations_of(tables, marked, hidden, MADE).values():
        assert (stations.state[:2] == NO_MEASUREMENT).all()
        assert (stations.state[2:] != NO_MEASUREMENT).all()


def test_the_complete_fit_has_its_own_front(sample):
    events, tables, pulses, _ = one(sample, 3)
    found = stations_of(tables, events, pulses, MADE)
    onset = CALIBRATION.completion.onset
    assert onset > 0
    assert {name: s.shower.onset for name, s in found.items()} == {
        name: onset if name == "complete" else 0.0 for name in found
    }
    assert true_shower(events, MADE).onset == onset
    # Without its calibration the picture has the symmetric formula, and says so.
    without = stations_of(tables, events, pulses, Made())["complete"]
    assert not without.known
    assert "without onset" in without.note
    assert without.shower.onset == 0.0


def test_the_onset_by_hand():
    """A vertical shower, 800 m from the axis: (onset + a) (1 + 800/30)^1.5, where LDF = 1."""
    array = regular_array(3, 3, 1200.0)
    shower = Shower(ShowerParameters(0.0, 0.0, 0.0, 0.0, 5.0, 7.0, 0.4), 0.3)
    r = np.sqrt(800.0**2 - 10.0**2)
    found = expected_at(shower, np.array([[r, 0.0, 0.0]]), array, "axis")
    np.testing.assert_allclose(found.delay, 0.7 * (1 + 800 / 30) ** 1.5, rtol=1e-6)
    np.testing.assert_allclose(found.density, 5.0, rtol=1e-6)
    np.testing.assert_allclose(found.plane_time, 7.0)


def test_another_calibration_is_recognised(sample):
    events, tables, pulses, _ = one(sample, 3)
    other = replace(CALIBRATION, errors=CALIBRATION.errors._replace(time_floor=60.0))
    assert calibration_of(tables, events, pulses, MADE) is CALIBRATION
    completion = CALIBRATION.completion
    wrong = completion._replace(errors=completion.errors._replace(time_floor=60.0))
    other = replace(other, completion=wrong)
    assert calibration_of(tables, events, pulses, Made(other)) is None
    assert calibration_of({"plane": tables["plane"]}, events, pulses, MADE) is None
    assert run_again("free", tables["free"], events, pulses, Made(other)) is None
    assert run_again("plane", tables["plane"], events, pulses, MADE) is None
    old = replace(CALIBRATION, completion=None)
    assert run_again("complete", tables["complete"], events, pulses, Made(old)) is None


def network_of(fit):
    """A fit with another direction and core, and no t0 of its own."""
    covariance = np.full_like(fit.covariance, np.nan)
    return replace(fit, zenith=fit.zenith + 0.01, core_x=fit.core_x + 50.0, covariance=covariance)


@pytest.mark.parametrize("fit", ["free", "complete"])
def test_a_network_has_the_front_of_its_fit_at_its_own_place(sample, fit):
    events, tables, pulses, _ = one(sample, 3)
    net = network_of(tables[fit])
    found = stations_of({**tables, "net": net}, events, pulses, MADE)
    s, of_fit = found["net"], found[fit]
    np.testing.assert_array_equal(s.state, of_fit.state)
    ours, theirs = s.shower.parameters, of_fit.shower.parameters
    assert s.shower.onset == of_fit.shower.onset
    assert (ours.curvature, ours.s_ref) == (theirs.curvature, theirs.s_ref)
    assert (ours.zenith, ours.core_x) == (net.zenith[0], net.core_x[0])
    used = s.state == USED
    weight = s.sigma[used] ** -2
    assert abs((weight * s.residual[used]).sum() / weight.sum()) < 1e-6
    assert "t0" in s.note
    assert f"{fit} fit" in s.note
    alone = stations_of({"net": net}, events, pulses, Made())["net"]
    assert "as published" in alone.note
    assert (alone.state == USED).any()


def test_no_result_no_stations(sample):
    events, tables, pulses, _ = one(sample, 3)
    lost = replace(tables["free"], zenith=np.array([np.nan]))
    assert stations_of({"free": lost}, events, pulses, MADE) == {}
    assert stations_of_truth(replace(events, truth=None), pulses, MADE) is None
    s = stations_of_truth(events, pulses, MADE)
    assert abs(np.median((s.residual / s.sigma)[s.state == USED])) < 1.5


@pytest.mark.parametrize("distance", ["axis", "ground"])
def test_means_around_an_axis(distance):
    array = regular_array(3, 3, 1200.0)
    p = ShowerParameters(0.6, 1.0, 100.0, -50.0, 20.0, 300.0, 0.4)
    shower, r = Shower(p), np.array([200.0, 1000.0])
    time, density = ring_means(shower, shower, r, array, distance)
    position = np.stack([100.0 + np.sqrt(r**2 - 100), np.full(2, -50.0), np.zeros(2)], axis=1)
    upright = Shower(p._replace(zenith=0.0))
    if distance == "ground":
        here = expected_at(shower, position, array, distance)
        np.testing.assert_allclose(time, here.delay)
        np.testing.assert_allclose(density, here.density)
    itself, _ = ring_means(upright, upright, r, array, distance)
    here = expected_at(upright, position, array, distance)
    np.testing.assert_allclose(itself, here.delay)
    # Later by its t0; a core beside moves the time of the plane by that much along the axis.
    late, _ = ring_means(Shower(p._replace(t0=340.0)), shower, r, array, distance)
    np.testing.assert_allclose(late - time, 40.0)
    north = Shower(p._replace(azimuth=np.pi / 2, curvature=0.0))
    moved = Shower(north.parameters._replace(core_y=-49.0))
    shift, _ = ring_means(moved, north, r, array, distance)
    np.testing.assert_allclose(shift, np.sin(0.6) / SPEED_OF_LIGHT, rtol=1e-9)


def test_an_event_of_many_is_that_event_alone(sample):
    events, tables, pulses, position = one(sample, 7)
    assert position == 7
    assert events.event_id[0] == sample[0].event_id[7]
    rows = slice(*sample[0].hit_offset[7:9])
    np.testing.assert_array_equal(pulses.signal, select_rows(sample[2], rows).signal)
    assert all(len(table) == 1 for table in tables.values())

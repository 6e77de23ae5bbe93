"""The joint fit: exact input, invariances, pulls, the reference implementation, and what it
refuses.
"""

from dataclasses import replace

import numpy as np
import pytest
from reconstruction import toy
from reconstruction.toy import calibration, draw_truth, toy_events

from tashower.calibration.asymmetry import Asymmetry, Completion
from tashower.config import load_config
from tashower.events.array import Array, Detector, regular_array
from tashower.events.model import FLAGS, PARAMETERS, pulls, select_events, select_rows
from tashower.physics.geometry import direction, opening_angle
from tashower.reconstruction.joint.minimise import minimise, scratch_space
from tashower.reconstruction.joint.model import prior_of, set_weights
from tashower.reconstruction.joint.observe import observed_events
from tashower.reconstruction.joint.scipy_fit import minimum_with_scipy, start_of
from tashower.reconstruction.methods import Context
from tashower.reconstruction.methods.fits import fit_events, fit_settings

SETTINGS = load_config().reconstruction


def angle(table, truth):
    return np.degrees(
        opening_angle(
            direction(table.zenith, table.azimuth), direction(truth.zenith, truth.azimuth)
        )
    )


@pytest.mark.parametrize("azimuth", [0.0, 37.0, 180.0, 291.0])
@pytest.mark.parametrize("core", [(137.0, 421.0), (-311.0, -90.0)])
@pytest.mark.parametrize("zenith", [0.5, 20.0, 43.0])
def test_exact_times_and_signals_give_the_exact_shower(rng, zenith, azimuth, core):
    truth = draw_truth(rng, 1, np.radians(zenith), np.radians(azimuth), core, 60.0)
    events, pulses = toy_events(rng, truth, exact=True)
    table = fit_events(events, pulses, Context(calibration(truth), SETTINGS), "free")
    # The silent stations pull a little: their expectation is not exactly 0.
    assert angle(table, truth)[0] < 0.05
    assert table.core_x[0] == pytest.approx(core[0], abs=8)
    assert table.core_y[0] == pytest.approx(core[1], abs=8)
    assert table.s_ref[0] == pytest.approx(60.0, rel=0.02)
    assert table.t0[0] == pytest.approx(truth.t0[0], abs=6)
    assert table.curvature[0] == pytest.approx(1.2, rel=0.03)
    assert table.chi2[0] < 1.0
    assert table.n_excluded[0] == 0


@pytest.mark.parametrize("curvature", ["free", "constrained"])
def test_pulls_are_unit_gaussians(rng, curvature):
    truth = draw_truth(rng, 3000)
    events, pulse = toy_events(rng, truth)
    table = fit_events(events, pulse, Context(calibration(truth), SETTINGS), curvature)
    assert table.valid.mean() > 0.999
    # sin(zenith) > 0.2: near the vertical the azimuth has no Gaussian error.
    chosen = table.valid & (truth.zenith > 0.2)
    found = pulls(table, truth)[chosen]
    last = (
        7 if curvature == "free" else 6
    )  # with a prior at the truth the curvature's pull is narrow
    for i in range(last):
        # S800 keeps a bias of 2.4 %, a third of its error, that the calibration takes away and that
        # is left out here; the next test shows that it goes away with the errors.
        tolerance = 0.4 if PARAMETERS[i] == "s_ref" else 0.16
        assert found[:, i].mean() == pytest.approx(0, abs=tolerance), PARAMETERS[i]
        assert found[:, i].std() == pytest.approx(1, abs=0.12), PARAMETERS[i]
    assert np.mean((table.chi2 / table.ndof)[chosen]) == pytest.approx(1, abs=0.15)


def test_bias_of_s800_goes_away_with_the_errors(rng, monkeypatch):
    """Sixteen times the area, a quarter of the errors: the bias falls from 2.4 % to a few
    tenths.
    """
    small = toy.ERRORS._replace(signal_fraction=0.025, time_floor=5.0, time_scale=0.15)
    monkeypatch.setattr(toy, "ERRORS", small)
    truth = draw_truth(rng, 2000)
    array = regular_array(
        11, 11, 1200.0, 40.0, 30.0, np.random.default_rng(3), detector=Detector(area=48.0)
    )
    events, pulse = toy_events(rng, truth, array)
    table = fit_events(events, pulse, Context(calibration(truth), SETTINGS))
    good = table.valid & (truth.zenith > 0.2)
    assert good.mean() > 0.9
    assert np.log(table.s_ref / truth.s_ref)[good].mean() == pytest.approx(0.0, abs=0.005)
    assert pulls(table, truth)[good][:, 4].mean() == pytest.approx(0.0, abs=0.2)


def test_constrained_is_better_than_free(rng):
    truth = draw_truth(rng, 1500, s_ref=15.0)
    events, pulse = toy_events(rng, truth)
    free, constrained = (
        fit_events(events, pulse, Context(calibration(truth), SETTINGS), c)
        for c in ("free", "constrained")
    )
    both = free.valid & constrained.valid
    assert both.mean() > 0.99
    assert np.mean(angle(constrained, truth)[both] ** 2) < np.mean(angle(free, truth)[both] ** 2)


def test_translation_turning_and_time_shift(rng):
    truth = draw_truth(rng, 40)
    events, pulse = toy_events(rng, truth)
    base = fit_events(events, pulse, Context(calibration(truth), SETTINGS))
    array = events.array
    moved = replace(array, position=array.position + np.array([5000.0, -3000.0, 0.0]))
    table = fit_events(replace(events, array=moved), pulse, Context(calibration(truth), SETTINGS))
    np.testing.assert_allclose(table.core_x - 5000, base.core_x, atol=0.5)
    np.testing.assert_allclose(table.core_y + 3000, base.core_y, atol=0.5)
    np.testing.assert_allclose(table.zenith, base.zenith, atol=1e-4)

    turned = array.position.copy()
    turned[:, 0], turned[:, 1] = (
        -array.position[:, 1],
        array.position[:, 0],
    )  # 90 degrees counter-clockwise
    table = fit_events(
        replace(events, array=replace(array, position=turned)),
        pulse,
        Context(calibration(truth), SETTINGS),
    )
    np.testing.assert_allclose(table.core_x, -base.core_y, atol=0.5)
    np.testing.assert_allclose(np.cos(table.azimuth - base.azimuth - np.pi / 2), 1, atol=1e-5)

    later = replace(pulse, arrival_time=pulse.arrival_time + 1e6)
    table = fit_events(events, later, Context(calibration(truth), SETTINGS))
    np.testing.assert_allclose(table.t0 - 1e6, base.t0, atol=0.5)
    np.testing.assert_allclose(table.chi2, base.chi2, atol=0.01)


def test_inputs_stay_as_they_are(rng):
    truth = draw_truth(rng, 5)
    events, pulse = toy_events(rng, truth)
    copies = pulse.arrival_time.copy(), pulse.signal.copy(), events.hit_station.copy()
    fit_events(events, pulse, Context(calibration(truth), SETTINGS))
    for copy, column in zip(
        copies, (pulse.arrival_time, pulse.signal, events.hit_station), strict=True
    ):
        np.testing.assert_array_equal(copy, column)


def asymmetric(found):
    """The calibration with early and late stations in its complete fit."""
    return replace(found, completion=Completion(found.errors, Asymmetry(correlation=-0.5)))


@pytest.mark.parametrize("distance", ["axis", "ground"])
@pytest.mark.parametrize("name", ["free", "constrained", "complete"])
def test_same_minimum_as_scipy(rng, name, distance):
    """Compiled Levenberg-Marquardt and scipy's least squares on the same sums: the same minimum."""
    truth = draw_truth(rng, 25)
    events, pulse = toy_events(rng, truth)
    settings = fit_settings(asymmetric(calibration(truth)), events.array, name, distance)
    scratch, information = scratch_space(), np.empty((7, 7))
    for observed in observed_events(events, pulse):
        start = start_of(observed, settings)
        set_weights(start, observed, settings)
        prior = prior_of(start, settings)
        assert (prior.weight > 0) == (name != "free")
        ours = start.copy()
        total, good = minimise(ours, observed, settings, prior, 1e-7, information, scratch)
        assert good
        lowest, theirs = minimum_with_scipy(start, observed, settings, prior)
        assert total == pytest.approx(lowest, abs=1e-6, rel=1e-6)
        error = np.sqrt(np.diag(np.linalg.inv(information)))
        np.testing.assert_allclose(ours / error, theirs / error, rtol=0, atol=2e-3)


@pytest.mark.parametrize("name", ["free", "constrained"])
def test_fit_through_scipy(rng, name):
    """The same events with --minimiser scipy: the same results within a tenth of their errors."""
    truth = draw_truth(rng, 12)
    events, pulse = toy_events(rng, truth)
    cal = calibration(truth)
    ours = fit_events(events, pulse, Context(cal, SETTINGS), name)
    theirs = fit_events(events, pulse, Context(cal, SETTINGS, "scipy"), name)
    np.testing.assert_array_equal(theirs.flags, ours.flags)
    error = np.sqrt(np.diagonal(ours.covariance, axis1=1, axis2=2))
    for i, parameter in enumerate(PARAMETERS):
        step = getattr(theirs, parameter) - getattr(ours, parameter)
        assert np.abs(step / error[:, i]).max() < 0.1, parameter
        assert np.abs(step).max() > 0, parameter  # it is another minimiser
    scale = error[:, :, None] * error[:, None, :]
    np.testing.assert_allclose(theirs.covariance / scale, ours.covariance / scale, atol=0.05)


def test_core_close_to_a_station(rng):
    """Cores 10 to 60 m from a station, where one-start fits end in a wrong minimum."""
    array = regular_array(11, 11, 1200.0)
    n = 300
    truth = draw_truth(rng, n)
    where, how_far = rng.uniform(0, 2 * np.pi, n), rng.uniform(10, 60, n)
    truth = replace(truth, core_x=how_far * np.cos(where), core_y=how_far * np.sin(where))
    events, pulse = toy_events(rng, truth, array)
    table = fit_events(events, pulse, Context(calibration(truth), SETTINGS))
    good = np.hypot(table.core_x - truth.core_x, table.core_y - truth.core_y) < 400
    assert good.mean() > 0.99
    assert np.nanmax(np.abs(np.log(table.s_ref / truth.s_ref))) < 1.0


def test_outlier_is_rejected(rng):
    truth = draw_truth(rng, 60, s_ref=60.0)
    events, pulse = toy_events(rng, truth)
    time = pulse.arrival_time.copy()
    second = np.array(
        [
            np.argsort(-pulse.signal[a:b, 0])[3] + a
            for a, b in zip(events.hit_offset[:-1], events.hit_offset[1:], strict=True)
        ]
    )
    time[second] += 1500.0
    table = fit_events(
        events, replace(pulse, arrival_time=time), Context(calibration(truth), SETTINGS)
    )
    base = fit_events(events, pulse, Context(calibration(truth), SETTINGS))
    assert (table.n_excluded > base.n_excluded).mean() > 0.9
    assert np.median(angle(table, truth)) < 2 * np.median(angle(base, truth)) + 0.1


def test_clipped_signals_of_saturated_stations_are_not_believed(rng):
    truth = draw_truth(rng, 40, s_ref=60.0)
    events, pulse = toy_events(rng, truth)
    strongest = np.array(
        [
            np.argmax(pulse.signal[a:b, 0]) + a
            for a, b in zip(events.hit_offset[:-1], events.hit_offset[1:], strict=True)
        ]
    )
    saturated = pulse.saturated.copy()
    saturated[strongest] = True
    signal = pulse.signal.copy()
    signal[strongest] *= 0.3  # a clipped signal, that must not be believed
    table = fit_events(
        events,
        replace(pulse, saturated=saturated, signal=signal),
        Context(calibration(truth), SETTINGS),
    )
    base = fit_events(events, pulse, Context(calibration(truth), SETTINGS))
    same = (table.n_excluded == 0) & (base.n_excluded == 0)
    assert np.all(table.ndof[same] == base.ndof[same] - 1)
    assert np.median(np.log(table.s_ref / truth.s_ref)) == pytest.approx(0, abs=0.05)


def test_saturated_stations_hold_the_fit_to_their_bound(rng):
    """A core close to the only strong station, which is saturated: its bound keeps S800 up."""
    truth = draw_truth(rng, 150, s_ref=15.0, core=(60.0, 60.0))
    events, pulse = toy_events(rng, truth, regular_array(11, 11, 1200.0))
    strongest = np.array(
        [
            np.argmax(pulse.signal[a:b, 0]) + a
            for a, b in zip(events.hit_offset[:-1], events.hit_offset[1:], strict=True)
        ]
    )
    saturated = pulse.saturated.copy()
    saturated[strongest] = True
    found = {}
    for factor in (0.9, 1e-3):  # a bound that says much, and one that says nothing
        signal = pulse.signal.copy()
        signal[strongest] = np.maximum(factor * signal[strongest], 1.5)
        clipped = replace(pulse, saturated=saturated, signal=signal)
        table = fit_events(events, clipped, Context(calibration(truth), SETTINGS))
        found[factor] = np.hypot(table.core_x - 60.0, table.core_y - 60.0)
    assert np.nanmedian(found[0.9]) < 0.7 * np.nanmedian(found[1e-3])


def without_strongest(events, pulse, as_dead):
    """A single event without its strongest station, perhaps listed as out of service."""
    strongest = np.argmax(pulse.signal[:, 0])
    keep = np.arange(events.n_hits) != strongest
    hole = replace(
        events,
        hit_offset=np.array([0, keep.sum()]),
        hit_station=events.hit_station[keep],
        hit_time=events.hit_time[keep],
    )
    if as_dead:
        listed = events.hit_station[[strongest]]
        hole = replace(hole, dead_offset=np.array([0, 1]), dead_station=listed)
    return hole, select_rows(pulse, keep)


@pytest.mark.parametrize("curvature", ["free", "constrained"])
def test_a_silence_that_no_shower_makes_is_rejected_and_flagged(rng, curvature):
    truth = draw_truth(rng, 1, np.radians(30), 1.0, (0.0, 0.0), 40.0)
    events, pulse = toy_events(rng, truth, exact=True)
    context = Context(calibration(truth), SETTINGS)
    as_silent, as_dead = (
        fit_events(*without_strongest(events, pulse, listed), context, curvature)
        for listed in (False, True)
    )
    assert np.hypot(as_dead.core_x, as_dead.core_y)[0] < 15
    assert as_dead.n_excluded[0] == 0
    assert as_dead.flags[0] == 0
    assert as_silent.n_excluded[0] == 1
    assert as_silent.flags[0] == 1 << FLAGS.index("silent_rejected")
    for name in PARAMETERS:
        assert getattr(as_silent, name) == pytest.approx(getattr(as_dead, name), rel=1e-3, abs=0.5)


def test_a_likely_silence_counts(rng):
    """At the edge of a small shower, stations that see nothing say where the core is."""
    truth = draw_truth(rng, 300, s_ref=6.0)
    events, pulse = toy_events(rng, truth)
    context = Context(calibration(truth), SETTINGS)
    hits = np.zeros((events.n_events, events.array.n_stations), bool)
    hits[events.hit_event, events.hit_station] = True
    _, station = np.nonzero(~hits)
    listed = replace(
        events,
        dead_offset=np.concatenate([[0], np.cumsum((~hits).sum(axis=1))]).astype(np.int64),
        dead_station=station.astype(np.int32),
    )
    counted, ignored = (fit_events(e, pulse, context, "constrained") for e in (events, listed))
    assert (counted.flags >> FLAGS.index("silent_rejected") & 1).mean() < 0.01
    both = counted.valid & ignored.valid
    distance = [
        np.hypot(t.core_x - truth.core_x, t.core_y - truth.core_y)[both] for t in (counted, ignored)
    ]
    assert np.quantile(distance[0], 0.68) < 0.97 * np.quantile(distance[1], 0.68)


def test_every_setting_matters(rng):
    truth = draw_truth(rng, 30)
    events, pulse = toy_events(rng, truth)
    cal = calibration(truth)
    base = fit_events(events, pulse, Context(cal, SETTINGS))
    ground = fit_events(events, pulse, Context(cal, replace(SETTINGS, distance="ground")))
    assert not np.allclose(ground.core_x, base.core_x, atol=1.0)
    for name, value, bit in (
        ("min_stations", 20, 1),
        ("max_chi2_per_ndof", 1e-3, 2),
        ("max_zenith_deg", 1.0, 3),
        ("min_border_distance_m", 1e5, 4),
        ("max_pointing_error_deg", 1e-3, 5),
        ("max_s800_error", 1e-4, 6),
    ):
        table = fit_events(events, pulse, Context(cal, replace(SETTINGS, **{name: value})))
        assert (table.flags >> bit & 1).sum() > (base.flags >> bit & 1).sum(), name


def invalid(events, pulse, truth):
    table = fit_events(events, pulse, Context(calibration(truth), SETTINGS))
    for name in PARAMETERS:
        assert np.isnan(getattr(table, name)[~table.valid]).all()
    return ~table.valid


def test_too_few_or_degenerate_stations_are_invalid(rng):
    truth = draw_truth(rng, 3, s_ref=50.0)
    line = regular_array(3, 3, 1200.0)
    line = Array(
        line.station_id,
        line.position * [1.0, 0.0, 0.0] + np.arange(9)[:, None] * [1.0, 0, 0],
        line.lattice,
        1200.0,
    )
    events, pulse = toy_events(rng, truth, line, exact=True)
    assert invalid(events, pulse, truth).all()

    events, pulse = toy_events(rng, truth)
    few = select_events(events, [0])
    few = replace(
        few, hit_offset=np.array([0, 3]), hit_station=few.hit_station[:3], hit_time=few.hit_time[:3]
    )
    three = replace(
        few.pulses, **{f: getattr(few.pulses, f)[:3] for f in pulse.__dataclass_fields__}
    )
    assert invalid(few, three, draw_truth(rng, 1)).all()

    for time in (np.full(events.n_hits, np.nan), rng.uniform(0, 1e9, events.n_hits)):
        assert invalid(events, replace(pulse, arrival_time=time), truth).all()
    empty = replace(
        events,
        hit_offset=np.zeros(4, np.int64),
        hit_station=events.hit_station[:0],
        hit_time=events.hit_time[:0],
    )
    nothing = replace(pulse, **{f: getattr(pulse, f)[:0] for f in pulse.__dataclass_fields__})
    assert invalid(empty, nothing, truth).all()

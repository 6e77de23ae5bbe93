"""The published fit: what it takes from which station, and its derivatives."""

import math
from dataclasses import replace

import numpy as np
import pytest
from reconstruction.toy import calibration, draw_truth, toy_events

from tashower.calibration.energy import look_up_energy
from tashower.config import load_config
from tashower.errors import InputError
from tashower.events.array import regular_array
from tashower.events.model import FLAGS
from tashower.physics.description import Description
from tashower.physics.shower_front import Front
from tashower.reconstruction.clusters import BOUND, SIGNAL, SILENT, TIME
from tashower.reconstruction.joint.model import Observed, Prior, Quadratic
from tashower.reconstruction.joint.terms import evaluate
from tashower.reconstruction.methods import Context
from tashower.reconstruction.methods.published import fit_published, fit_stages, published_settings
from tashower.reconstruction.published.geometry import (
    GeometrySettings,
    Pull,
    evaluate_geometry,
    usual_curvature,
)
from tashower.reconstruction.published.stations import lateral_error, lateral_stations
from tashower.reconstruction.published.together import (
    LEFT_OUT,
    choose_for_joint,
    set_published_weights,
)

SETTINGS = load_config().reconstruction


def observed_of(position, time, density, use=TIME + SIGNAL):
    """`Observed` of stations at (n, 2 or 3) places."""
    n = len(position)
    height = position[:, 2] if position.shape[1] == 3 else np.zeros(n)
    columns = [np.zeros(n) for _ in range(len(Observed._fields) - 6)]
    use = np.full(n, use, np.int32)
    x, y = position[:, 0].copy(), position[:, 1].copy()
    return Observed(x, y, np.array(height), use, np.array(time), np.array(density), *columns)


def quadratic():
    return Quadratic(np.zeros(7), np.zeros((7, 7)), np.zeros((10, 4)))


@pytest.mark.parametrize("on_ground", [False, True])
@pytest.mark.parametrize("free", [False, True])
@pytest.mark.parametrize("n_x", [0.1, 0.35, 0.6])
def test_derivatives_of_the_front(rng, free, on_ground, n_x):
    """Gradient by differences of the sum; the second derivatives where residuals vanish are those
    of the squares.
    """
    position = rng.uniform(-3000.0, 3000.0, (8, 3)) * [1.0, 1.0, 0.02]
    observed = observed_of(position, rng.normal(0.0, 900.0, 8), rng.uniform(0.5, 40.0, 8))
    settings, pull = GeometrySettings(free, on_ground), Pull(150.0, -80.0, 180.0**-2)
    p = np.array([40.0, 120.0, n_x, -0.22, 0.0, 30.0, 2.4])

    def at(point):
        return evaluate_geometry(point, observed, (0, 8), settings, pull, quadratic())

    found = quadratic()
    evaluate_geometry(p, observed, (0, 8), settings, pull, found)
    step = np.array([0.5, 0.5, 1e-4, 1e-4, 0.1, 0.1, 1e-3])
    for k in range(7):
        move = np.eye(7)[k] * step[k]
        slope = 0.5 * (at(p + move) - at(p - move)) / (2.0 * step[k])
        # The usual curvature is linear between nodes of a table.
        scale = math.sqrt(max(found.information[k, k], 1e-30) * at(p))
        assert found.gradient[k] == pytest.approx(slope, abs=3e-3 * scale)
    assert found.information[4, 4] == 1.0
    assert (found.information[6, 6] == 1.0) == (not free)
    assert np.isinf(at(np.array([0.0, 0.0, 0.9, 0.5, 0.0, 0.0, 1.0])))


def test_usual_curvature():
    """As the Telescope Array writes it."""
    for degrees, value in ((10.0, 3.1988), (45.0, math.exp(2.0 - 0.032 * 45.0))):
        n_z = math.cos(math.radians(degrees))
        assert usual_curvature(n_z)[0] == pytest.approx(value, rel=1e-4)
        slope = (usual_curvature(n_z + 1e-3)[0] - usual_curvature(n_z - 1e-3)[0]) / 2e-3
        assert usual_curvature(n_z)[1] == pytest.approx(slope, rel=2e-2)


def test_weights_of_the_joint_fit():
    """By the formulas of the docstring, at a vertical shower: a strong station, a weak one, one
    where much is expected and little was seen, a silent one, one near the core.
    """
    place = np.array([[800.0, 0], [0, 1500.0], [-800.0, 0], [0, -1500.0], [60.0, 0]])
    density = np.array([12.0, 0.8, 1.0, 0.0, 400.0])
    observed = observed_of(place, np.zeros(5), density)
    observed.use[3] = SILENT
    settings = published_settings(regular()).joint
    p = np.array([0.0, 0.0, 0.0, 0.0, math.log(10.0), 0.0, 0.4])
    set_published_weights(p, observed, settings)
    ldf = {800.0: 1.0, 1500.0: profile(1500.0), 150.0: profile(150.0)}
    for i, r in ((0, 800.0), (1, 1500.0), (4, 150.0)):
        spread = 0.377 / 0.67 * 0.4 * math.sqrt(10.0) * (1 + r / 30.0) ** 1.5
        spread *= (10.0 * ldf[r]) ** -0.3
        assert observed.time_weight[i] == pytest.approx(1.0 / (900.0 + spread**2), rel=2e-3)
    assert observed.time_weight[3] == 0.0
    error2 = 2.0 * 12.0 / 3.0 + (0.15 * 12.0) ** 2
    assert observed.signal_weight[0] == pytest.approx(1.0 / error2)
    assert observed.signal_weight[1] == observed.signal_weight[3] == 0.0
    assert observed.signal_weight[2] == pytest.approx(1.0 / (2.0 / 3.0 + 0.15**2))
    # The sum of the two that have Poisson terms, times aside.
    observed.use[:] = 0
    observed.use[1], observed.use[3] = SIGNAL, SILENT
    m, k = 10.0 * ldf[1500.0] * 3.0, 0.8 * 3.0
    wanted = 0.4 * 2.0 * (m - k + k * math.log(k / m)) + 0.25 * 2.0 * m
    found = evaluate(p, observed, (0, 5), settings, Prior(0.0, 0.0), quadratic())
    assert found == pytest.approx(wanted, rel=2e-3)


def regular():
    return regular_array(7, 7, 1200.0)


def profile(r):
    """LDF of a vertical shower."""

    def f(x):
        return (x / 90.0) ** -1.2 * (1 + x / 90.0) ** -2.77 * (1 + x**2 / 1e6) ** -0.6

    return f(r) / f(800.0)


def test_which_part_of_a_station_the_joint_fit_takes():
    """Saturated: its time. Left out: its signal, if it is large, not too large, and near."""
    place = np.array([[500.0, 0], [0, 900.0], [900.0, 0], [0, 2500.0], [-700.0, 0]])
    observed = observed_of(place, np.zeros(5), np.array([300.0, 6.0, 2.0, 6.0, 20.0]))
    observed.use[0] = TIME + BOUND
    observed.use[1:] = LEFT_OUT
    choose_for_joint(np.zeros(7), observed, published_settings(regular()))
    assert observed.use.tolist() == [TIME, SIGNAL, 0, 0, 0]


def test_which_stations_the_lateral_fit_takes():
    """Those beyond 600 m of the centre of gravity that are not saturated, and silent ones from 0.5
    spacings inside of the farthest to 0.1 outside, unless they are busy.
    """
    array = regular()
    place = np.array([[590.0, 0.0], [610.0, 0.0], [0.0, 2000.0], [0.0, -3000.0]])
    observed = observed_of(place, np.zeros(4), np.array([9.0, 8.0, 2.0, 900.0]))
    observed.use[3] = TIME + BOUND
    n = array.n_stations
    far = observed_of(np.zeros((n, 2)), np.zeros(n), np.zeros(n))
    busy = np.full(n, -1, np.int32)
    distance = np.hypot(*array.position[:, :2].T)
    ring = np.flatnonzero((distance >= 1400.0) & (distance <= 2120.0))
    busy[ring[0]] = 0
    found, seen = lateral_stations(
        np.zeros(7), (0.0, 0.0), observed, (array.position, busy), 1200.0, Description(), far
    )
    assert seen == 2
    assert far.x[:2].tolist() == [610.0, 0.0]
    assert found == 2 + len(ring) - 1
    assert len(ring) > 3
    np.testing.assert_array_equal(far.x[2:found], array.position[ring[1:], 0])
    assert (far.density[2:found] == 0.0).all()
    error = 0.53 * math.sqrt(2.0 * 8.0 + (0.15 * 8.0) ** 2)
    assert far.signal_weight[0] == pytest.approx(error**-2)
    assert far.signal_weight[2] == pytest.approx((0.53 * 3.125) ** -2)


def test_errors_of_other_stations():
    """Counts grow with the area, so that a density of large stations is known better."""
    assert lateral_error(4.0, 12.0) == pytest.approx(0.53 * math.sqrt(2.0 + 0.36))
    assert lateral_error(0.0, 6.0) == pytest.approx(0.53 * 3.125 / 2)


def shower_events(rng, n=30, exact=False, **words):
    truth = draw_truth(rng, n, **words)
    truth = replace(truth, curvature=np.full(n, 0.35))
    events, pulses = toy_events(rng, truth, exact=exact)
    return events, pulses, Context(calibration(truth), SETTINGS)


def test_a_late_station_is_left_out_of_the_times(rng):
    events, pulses, context = shower_events(rng, 20, s_ref=50.0, zenith=0.4)
    base = fit_published(events, pulses, context)
    order = np.lexsort((-pulses.signal[:, 0], events.hit_event))
    chosen = order[events.hit_offset[:-1] + 2]
    time = pulses.arrival_time.copy()
    time[chosen] += 1500.0
    late = fit_published(events, replace(pulses, arrival_time=time), context)
    more = late.n_excluded - base.n_excluded
    assert (more == 1).mean() > 0.8
    kept = late.n_stations + late.n_excluded == base.n_stations + base.n_excluded
    assert kept.mean() > 0.8


def test_size_and_energy_are_those_of_the_lateral_fit(rng):
    events, pulses, context = shower_events(rng)
    found, stages = fit_published(events, pulses, context), fit_stages(events, pulses)
    valid = found.valid
    np.testing.assert_allclose(found.s_ref[valid], np.exp(stages.lateral[valid, 4]))
    np.testing.assert_allclose(found.core_x[valid], stages.p[valid, 0])
    np.testing.assert_allclose(
        found.covariance[valid, 4, 4], stages.quality[valid, 6] * found.s_ref[valid] ** 2
    )
    assert (found.covariance[valid][:, 4, [0, 1, 2, 3, 5, 6]] == 0.0).all()
    table = context.calibration.published
    np.testing.assert_allclose(found.energy, look_up_energy(table, found.s_ref, found.zenith))


def test_its_energy_table_is_its_own(rng):
    events, pulses, context = shower_events(rng)
    base = fit_published(events, pulses, context)
    table = context.calibration.published
    other = replace(table, log10_energy=table.log10_energy + 1.0)
    moved = replace(context.calibration, published=other)
    found = fit_published(events, pulses, context._replace(calibration=moved))
    np.testing.assert_allclose(found.energy, 10.0 * base.energy)
    older = context._replace(calibration=replace(context.calibration, published=None))
    with pytest.raises(InputError, match="older than the published fit"):
        fit_published(events, pulses, older)
    assert fit_published(events, pulses, older._replace(primary="proton")).valid.any()


def test_bad_fits_of_the_stages_are_flagged(rng):
    """Signals that no lateral distribution fits, with times that are those of a shower."""
    events, pulses, context = shower_events(rng, 20, s_ref=60.0, zenith=0.3)
    factor = np.where(np.arange(events.n_hits) % 2, 0.3, 3.0)[:, None]
    found = fit_published(events, replace(pulses, signal=pulses.signal * factor), context)
    stages = fit_stages(events, replace(pulses, signal=pulses.signal * factor))
    bad = stages.quality[:, 2] / np.maximum(stages.quality[:, 5], 1.0) >= 4.0
    assert bad.mean() > 0.5
    assert ((found.flags >> FLAGS.index("bad_chi2")) & 1)[bad].all()


def test_four_stations_keep_the_usual_curvature(rng):
    """Times alone do not say it: it stays where it starts."""
    events, pulses, _ = shower_events(rng, 60, s_ref=3.0, zenith=0.35)
    stages = fit_stages(events, pulses)
    four = (stages.sums[:, 2] == 4) & (stages.sums[:, 4] > 0)
    assert four.sum() > 3
    n_z = np.sqrt(1.0 - stages.free[four, 2] ** 2 - stages.free[four, 3] ** 2)
    usual = np.array([usual_curvature(z)[0] for z in n_z])
    implied = (1.3 * 0.67 * usual / stages.p[four, 6]) ** 2  # S800 of the start
    assert ((implied > 0.5) & (implied < 12.0)).all()
    assert (stages.covariance[four, 6, 6] < 1e-9).all()


def test_a_front_of_another_kind_has_the_usual_thickness():
    """Where delays do not fall with the density `a` says nothing about it."""
    settings = published_settings(replace(regular(), front=Front(1.0, 2.0, 0.0))).joint
    observed = observed_of(np.array([[800.0, 0.0]]), np.zeros(1), np.array([10.0]))
    p = np.array([0.0, 0.0, 0.0, 0.0, math.log(10.0), 0.0, 1e-4])
    set_published_weights(p, observed, settings)
    spread = 0.377 * 1.3 * 3.3836 * (1 + 800.0 / 30.0) ** 1.5 * 10.0**-0.3
    assert observed.time_weight[0] == pytest.approx(1.0 / (900.0 + spread**2), rel=2e-3)


@pytest.mark.parametrize(("columns", "cleaned"), [(9, True), (11, False)])
def test_events_of_more_than_a_hundred_stations_are_not_cleaned(rng, columns, cleaned):
    """A late station of 81 is left out; of 121 it is not: each would be left out in turn."""
    truth = draw_truth(rng, 1, zenith=0.4, azimuth=1.0, core=(100.0, -80.0), s_ref=3000.0)
    array = regular_array(columns, columns, 300.0, 0.0, 0.0, np.random.default_rng(3))
    events, pulses = toy_events(rng, truth, array, exact=True)
    time = pulses.arrival_time.copy()
    time[events.n_hits // 2 + 1] += 900.0
    context = Context(calibration(truth), SETTINGS)
    found = fit_published(events, replace(pulses, arrival_time=time), context)
    assert found.valid[0]
    assert (found.n_excluded[0] > 0) == cleaned
    assert (found.n_stations[0] + found.n_excluded[0] <= 100) == cleaned

"""How likely a shower is where every particle is known; scores, and the information they hold."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import gamma, lognorm, norm, poisson

from tashower.calibration.station_likelihood import DEFAULT, read_station_likelihood
from tashower.config import load_config
from tashower.likelihood.coordinates import from_near, log_volume, shower_rows, to_near
from tashower.likelihood.information import (
    direction_variance,
    event_information,
    prior_precision,
    regress,
    sample_scores,
)
from tashower.likelihood.known import N_NODES, known_particles, log_of_station
from tashower.likelihood.limit_particles import particle_posterior, prior_of
from tashower.likelihood.maxima import maxima
from tashower.likelihood.scores import joint_information, station_quantities
from tashower.likelihood.shares import PARTS, share_at, shares_rows
from tashower.physics.compiled import compiled
from tashower.physics.geometry import axis_components
from tashower.reconstruction.likelihood.posterior import log_prior
from tashower.simulation.arrivals import Component
from tashower.simulation.delays import particle_delays, shower_delays
from tashower.simulation.light import Front
from tashower.simulation.record import N_FINE, fine_bin, fine_edge, fine_edges
from tashower.simulation.recorded import Particles, record_events
from tashower.simulation.simulate import array_from_config, rows_of, setup_of, simulate_events

CONFIG = load_config({"seed": 11})
VARIETY = read_station_likelihood(DEFAULT).variety


@compiled
def likelihood(known, j, front):
    """To be called from Python."""
    return log_of_station(known, j, front, np.empty(N_NODES))


def station(delays, width=200.0, shift=30.0, shift_rms=40.0):
    """`Particles` of one station, and delays as the record has them; delays : of muons, of others,
    after the onset [ns].
    """
    count, seen = np.zeros((1, 2, N_FINE), np.int32), []
    for kind, of in enumerate(delays):
        bins = [fine_bin(d / width) for d in of]
        for k in bins:
            count[0, kind, k] += 1
        middles = [0.5 * (fine_edge(k) + fine_edge(k + 1)) * width for k in bins]
        seen.append(np.array([min(of), *(max(m, min(of)) for m in middles[1:])]))
    one = np.ones(1)
    first = np.array([[min(of) for of in delays]])
    scale = np.array([[250.0, 240.0]])
    return Particles(
        *(np.array([0, 1]), np.zeros(1, np.int32), 1000.0 * one, shift * one, shift_rms * one),
        *(width * one, 0.0 * one, np.array([[4.0, 9.0]]), scale, 0.8 * one, first, count),
    ), seen


def test_the_integral_is_that_of_the_densities():
    """Against a numerical integral with the densities of scipy, for three showers."""
    delays = [[55.0, 140.0, 420.0], [90.0, 300.0, 310.0, 800.0, 1400.0]]
    particles, seen = station(delays)
    for clock in (0.0, 25.0):
        known = known_particles(particles, 3, clock)
        found, expected = [], []
        for time, rms, n, m, sigma, s in (
            (1000.0, 40.0, (4.0, 9.0), 250.0, 0.8, 240.0),
            (1030.0, 40.0, (3.0, 6.0), 230.0, 0.75, 260.0),
            (950.0, 60.0, (5.0, 8.0), 300.0, 0.9, 200.0),
        ):
            muons, others = Component(n[0], m, 2, 1.1, sigma), Component(n[1], s, 3, 0.0, 0.0)
            front = Front(time, rms, 200.0, muons, others)
            found.append(likelihood(known, 0, front) - sum(n))
            law = lognorm(sigma, scale=m), gamma(3, scale=s), norm(time, np.hypot(rms, clock))

            def integrand(t, law=law):
                off = 1030.0 - t
                parts = (law[k].pdf(seen[k] + off).prod() for k in range(2))
                return law[2].pdf(t) * np.prod(list(parts))

            value = quad(integrand, 700.0, 1085.0, epsabs=0.0, epsrel=1e-9, limit=400)[0]
            numbers = (poisson(n[k]).logpmf(len(delays[k])) for k in range(2))
            expected.append(np.log(value) + sum(numbers))
        np.testing.assert_allclose(np.diff(found), np.diff(expected), atol=2e-5)


def test_the_integral_over_the_onset_holds_where_many_particles_fix_it():
    """Half a million particles, against a sum over a fine grid: the onset is known to 0.1 ns."""
    rng = np.random.default_rng(7)
    delays = [400.0 * rng.lognormal(0.0, 0.2, 500_000), rng.gamma(3, 300.0, 100)]
    count, middles = np.zeros((1, 2, N_FINE), np.int32), np.zeros((2, N_FINE))
    first = np.array([[of.min() for of in delays]])
    edges = 200.0 * fine_edges()
    for kind, of in enumerate(delays):
        count[0, kind] = np.histogram(of, np.append(edges[:-1], np.inf))[0]
        end = np.append(edges[1:-1], 1.02 * edges[-2])
        middles[kind] = np.maximum(0.5 * (edges[:-1] + end), first[0, kind])
    one = np.ones(1)
    particles = Particles(
        *(np.array([0, 1]), np.zeros(1, np.int32), 1000.0 * one, 0.5 * one, one, 200.0 * one),
        *(0.0 * one, np.array([[5e5, 100.0]]), np.array([[400.0, 300.0]]), 0.2 * one),
        *(first, count),
    )
    known, weight, found, expected = known_particles(particles, 3), count[0].copy(), [], []
    for kind in range(2):
        weight[kind, np.flatnonzero(weight[kind])[0]] -= 1
    seen = [np.append(m, f) for m, f in zip(middles, first[0], strict=True)]
    weight = np.append(weight, np.ones((2, 1), int), axis=1)
    onset = np.linspace(-4.0, 4.0, 2000)[:, None]
    for time, m, s in ((1000.0, 400.0, 300.0), (1000.2, 400.2, 310.0), (1001.5, 399.9, 290.0)):
        muons, others = Component(5e5, m, 2, 1.1, 0.2), Component(100.0, s, 3, 0.0, 0.0)
        found.append(likelihood(known, 0, Front(time, 1.0, 200.0, muons, others)))
        laws = lognorm(0.2, scale=m), gamma(3, scale=s)
        values = [w @ law.logpdf(t - onset).T for w, t, law in zip(weight, seen, laws, strict=True)]
        terms = np.sum(values, axis=0) + norm.logpdf(1000.5 + onset[:, 0], time, 1.0)
        expected.append(terms.max() + np.log(np.exp(terms - terms.max()).sum()))
    np.testing.assert_allclose(np.diff(found), np.diff(expected), atol=1e-3)


def test_coordinates_of_a_station_say_the_same_shower_and_how_volumes_grow():
    rough = load_config({"seed": 11, "front": {"model": "rough"}})
    for config in (CONFIG, rough):
        setup = setup_of(config, array_from_config(config), 11)
        position = setup.stations.position[100]
        point = POINT.copy()
        point[:2] += position[:2]
        unit = 1e-5 * np.eye(9)
        near = to_near(np.concatenate([point + unit, point - unit, point[None]]), 100, setup)
        points, rows = from_near(near[-1:], 100, setup)
        np.testing.assert_allclose(points[0], point, rtol=1e-9)
        np.testing.assert_allclose(rows, shower_rows(points, setup), rtol=1e-9)
        place = position[None, :] - [[*point[:2], 0.0]]
        axis = np.array([*point[2:4], np.sqrt(1.0 - point[2] ** 2 - point[3] ** 2)])
        r = np.linalg.norm(np.cross(place[0], axis))
        assert near[-1, 0] == pytest.approx(np.log(r))
        volume = np.linalg.det((near[:9] - near[9:18]) / 2e-5)
        assert np.log(np.abs(volume)) == pytest.approx(-log_volume(near[-1:])[0], abs=1e-6)


def test_maxima_of_two_normal_distributions():
    """Beside each other and of equal volume, of other widths; one too small to count."""
    a = np.array([[1.0, 0.0], [0.6, 0.2]])

    def value(x):
        parts = []
        for place, axes, size in ((0.0, a, 1.0), (9.0, 0.1 * a, 0.3), (-9.0, a, 1e-6)):
            z = np.linalg.solve(axes, (x - place).T)
            volume = np.linalg.det(axes)
            parts.append(np.log(size / volume) - 0.5 * (z**2).sum(axis=0))
        found = np.logaddexp.reduce(parts)
        return np.where(x[:, 0] > 20.0, -np.inf, found)

    starts = np.array([[0.5, -0.5], [8.6, 9.2], [-8.5, -9.0], [0.4, 0.3], [25.0, 0.0]])
    found = maxima(value, starts, 2.0 * np.eye(2))
    assert len(found) == 2
    for one, place, axes in zip(found, (9.0, 0.0), (0.1 * a, a), strict=True):
        np.testing.assert_allclose(one.place, place, atol=0.02)
        np.testing.assert_allclose(one.axes @ one.axes.T, axes @ axes.T, rtol=0.02)
    assert found[0].value > found[1].value
    assert maxima(value, starts[4:], 2.0 * np.eye(2)) == []


@pytest.fixture(scope="module")
def scores():
    return sample_scores(CONFIG, 0, 12_000)


@pytest.mark.slow
def test_scores_have_mean_zero_and_the_information_as_variance(scores):
    small = scores.conditions[:, 0] < 7.0
    joint = scores.joint[small]
    n = len(joint)
    assert (np.abs(joint.mean(axis=0)) < 4.5 / np.sqrt(n)).all()
    error = np.sqrt((joint**4).mean(axis=0) / n)
    assert (np.abs((joint**2).mean(axis=0) - 1.0) < 4.5 * error).all()
    cross = joint.T @ joint / n - np.eye(7)
    assert np.abs(cross).max() < 0.15


def test_the_score_of_the_particles_is_the_mean_of_the_joint_one(scores):
    """E[s_particles s_joint] = E[s_particles^2], Fisher's identity; less is known of the onset."""
    small = scores.conditions[:, 0] < 7.0
    joint, known = scores.joint[small], scores.particles[0][small]
    product, square = known * joint, known**2
    error = np.sqrt(((product - square) ** 2).mean(axis=0) / len(joint))
    assert (np.abs((product - square).mean(axis=0)) < 4.5 * error).all()
    assert (square.mean(axis=0)[[0, 1]] < 0.6).all()
    assert (square.mean(axis=0)[[2, 3]] > 0.9).all()


def test_quantities_are_those_of_the_record():
    events = simulate_events(CONFIG, "test", 0, 4)
    particles = record_events(events, CONFIG, "test")
    truth = events.truth
    setup = setup_of(CONFIG, events.array, CONFIG.seed)
    q = station_quantities(rows_of(truth, setup), truth.t0, events.array.position, setup)
    q = q[particles.shower, particles.station]
    np.testing.assert_allclose(q[:, 0], particles.front, atol=1e-6)
    np.testing.assert_allclose(np.exp(q[:, 1]), particles.shift_rms, rtol=1e-9)
    np.testing.assert_allclose(np.exp(q[:, 2:4]), particles.expected, rtol=1e-9)
    np.testing.assert_allclose(np.exp(q[:, [4, 6]]), particles.scale, rtol=1e-9)
    np.testing.assert_allclose(np.exp(q[:, 5]), particles.sigma, rtol=1e-9)


POINT = np.array([100.0, -300.0, 0.3, -0.2, 3.2, 50.0, 3.7, -1.1, 0.02])


def test_precision_of_the_prior_is_its_second_derivative():
    @compiled
    def value(p, prior):
        return log_prior(p, prior)

    prior, point = prior_of(VARIETY), POINT.copy()
    n_z = np.sqrt(1.0 - point[2] ** 2 - point[3] ** 2)
    s = 1.0 / n_z - 1.0
    design = np.array([1.0, s, s * s, point[4], s * point[4]])
    point[6:] = VARIETY.coefficients @ design
    step, found = 1e-4, np.zeros((9, 9))
    unit = step * np.eye(9)
    for i in range(9):
        for j in range(9):
            corners = [
                a * b * value(point + a * unit[i] + b * unit[j], prior)
                for a in (-1, 1)
                for b in (-1, 1)
            ]
            found[i, j] = -sum(corners) / (4 * step * step)
    np.testing.assert_allclose(prior_precision(point, VARIETY), found, rtol=1e-3, atol=0.5)


def test_information_of_times_alone_is_that_of_a_plane():
    """Times of the core: sum of 1/rms^2; a shower moved with its core leaves the rest alone."""
    setup = setup_of(CONFIG, array_from_config(CONFIG), CONFIG.seed)
    works = np.arange(len(setup.stations.position))
    found = event_information(POINT, works, {}, setup)["joint"]
    rows = shower_rows(POINT[None], setup)
    q = station_quantities(rows, np.zeros(1), setup.stations.position, setup)[0]
    q = q[np.exp(q[:, 2:4]).sum(axis=1) > 0.003]
    clock = CONFIG.detector.clock_ns
    expected = joint_information(q, 3, False, clock)
    assert found[5, 5] == pytest.approx(expected[:, 0].sum(), rel=1e-6)
    # ln S_ref: numbers grow, the local fluctuation shrinks with the power 0.3.
    size = (expected[:, 2] + expected[:, 3] + 0.09 * expected[:, 1]).sum()
    assert found[4, 4] == pytest.approx(size, rel=1e-5)
    assert (np.linalg.eigvalsh(found / np.sqrt(np.outer(*2 * (np.diag(found),)))) > 0).all()
    some = event_information(POINT, works[::2], {}, setup)["joint"]
    assert (np.diag(some) < np.diag(found)).all()


def test_variance_of_the_direction_is_that_on_the_sphere():
    """Of unit vectors scattered around it."""
    rng, c = np.random.default_rng(1), np.zeros((9, 9))
    c[2:4, 2:4] = [[4e-6, 1e-6], [1e-6, 2e-6]]
    xy = rng.multivariate_normal(POINT[2:4], c[2:4, 2:4], 40_000)
    axis = np.column_stack([xy, np.sqrt(1.0 - (xy**2).sum(axis=1))])
    expected = axis.var(axis=0).sum()
    assert direction_variance(c, POINT) == pytest.approx(expected, rel=0.02)


def test_regression_leaves_only_the_noise():
    rng = np.random.default_rng(3)
    x = rng.uniform(-2.0, 2.0, (4000, 3))
    units = np.exp(0.3 * x[:, :1])
    mean = units * (np.sin(x[:, :1]) + 0.5 * x[:, 1:2])
    found = regress(x, units, mean + 0.5 * rng.standard_normal(mean.shape), 250.0, 1)
    assert ((units * found(x) - mean) ** 2).mean() < 0.02
    assert found(x[:5] + 100.0).max() < 20.0


def test_shares_add_up_and_depend_on_front_and_distance():
    rough = load_config({"seed": 11, "front": {"model": "rough"}})
    near, far = (share_at(CONFIG, 19.0, r, 30.0, 600, 3) for r in (600.0, 1600.0))
    other = share_at(rough, 19.0, 1200.0, 30.0, 600, 3)
    for share in (near, far, other):
        assert share.parts.sum() == pytest.approx(1.0)
        assert (share.errors > 0).all()
    assert near.hit == 1.0 > far.hit
    assert near.signal > far.signal
    assert far.rms > 2 * near.rms
    assert other.parts[0] > 0.4 > 0.2 > far.parts[0]
    assert far.parts[1] > near.parts[1]
    assert len(shares_rows([near, far])[0]) == len(shares_rows([near])[1]) == 5 + len(PARTS)


@pytest.mark.slow
def test_posterior_of_known_particles_has_the_errors_that_it_states():
    events = simulate_events(CONFIG, "test", 0, 60)
    truth = events.truth
    n_x, n_y, _ = axis_components(truth.zenith, truth.azimuth)
    own = shower_delays(particle_delays(CONFIG), truth.zenith, truth.front_scale)
    odds = np.log(truth.muon_share / (1.0 - truth.muon_share))
    point = np.stack(
        [
            *(truth.core_x, truth.core_y, n_x, n_y, np.log(truth.s_ref), truth.t0),
            *(truth.slope, odds, np.log(own.unit)),
        ],
        axis=1,
    )
    width = np.array([40.0, 40.0, 0.015, 0.015, 0.1, 60.0, 0.05, 0.2, 0.05])
    spread = np.broadcast_to(np.diag(width**2), (len(point), 9, 9)).copy()
    start = point + width * np.random.default_rng(2).standard_normal(point.shape)
    start[0] = np.nan
    pulls, rms = {}, {}
    for clock in (0.0, 20.0):
        found = particle_posterior(
            events, CONFIG, "test", (start, spread), prior_of(VARIETY), clock
        )
        assert np.isnan(found.mean[0]).all()
        assert found.effective[0] == 0.0
        good = found.effective > 20.0
        assert good.mean() > 0.85
        width_found = np.sqrt(np.einsum("eii->ei", found.covariance))[good]
        pulls[clock] = (found.mean[good] - point[good]) / width_found
        assert (np.abs(np.median(np.abs(pulls[clock]), axis=0) - 0.674) < 0.3).all()
        rms[clock] = np.median(width_found, axis=0)
    assert rms[20.0][2] > 1.1 * rms[0.0][2]

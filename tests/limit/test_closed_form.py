"""A case that can be done exactly: Gaussian times and logarithms of signals around a front that is
all but plane. The posterior is Gaussian, its covariance (J^T W J + prior)^-1.
"""

import numpy as np
import pytest

from tashower.calibration.station_likelihood import Background, Density
from tashower.physics.lateral import TELESCOPE_ARRAY
from tashower.physics.station import reduced_time, station_conditions
from tashower.reconstruction.likelihood.density import Learned, compiled_density
from tashower.reconstruction.likelihood.fit import Explored, Hits, explore_all
from tashower.reconstruction.likelihood.posterior import N_SHOWER, Model, Prior
from tashower.reconstruction.likelihood.ratio import compiled_ratio
from tashower.reconstruction.methods.likelihood import _draws

#: Widths of the reduced time and of ln(signal/expected): a clock of 1.2 ns, signals to 2 %.
TIME, SIGNAL = 0.02, 0.02
AREA, PARTS = 3.0, 2
#: Rms of eta, ln odds and ln scale; the scale is so small that the front is plane to some ns.
WIDTHS = np.array([0.05, 0.3, 0.02])
MIDDLE = np.array([2.9, -1.0, -2.5])


def gaussian() -> Density:
    """A density that is one Gaussian whatever the conditions, and a hit that is certain."""
    out = np.zeros(12 * PARTS + 2)
    for half in (0, 6 * PARTS):
        out[half + 3 * PARTS : half + 4 * PARTS] = np.log(TIME)
        out[half + 4 * PARTS : half + 5 * PARTS] = np.log(SIGNAL)
    out[-2], out[-1] = 30.0, -30.0
    n = 4
    zeros = np.zeros((n, n))
    return Density(
        *(np.full(5, -99.0), np.full(5, 99.0), np.zeros(5), np.ones(5)),
        *(np.zeros((n, 5)), np.zeros(n), zeros, np.zeros(n), np.zeros((len(out), n)), out),
    )


def seen_of(p, position):
    """((m,) delays behind the plane front for u = 0 at these stations plus the plane delay and t0,
    (m,) ln of the expected signals) of a shower.
    """
    n_z = np.sqrt(1.0 - p[2] ** 2 - p[3] ** 2)
    share = 1.0 / (1.0 + np.exp(-p[7]))
    shower = p[2], p[3], n_z, p[4], p[6], share, p[8], 200.0
    place = position[:, 0] - p[0], position[:, 1] - p[1], position[:, 2]
    found, plane = station_conditions(place, shower, TELESCOPE_ARRAY, AREA)
    # u is 0 at the onset.
    onset = 0.34 * (1.0 + np.exp(found[4]) / 30.0) ** 1.5 * np.exp(found[2])
    assert np.allclose(reduced_time(onset, found[2], found[4])[0], 0.0, atol=1e-9)
    return p[5] + plane + onset, found[0]


def exact_covariance(p, position):
    """(9, 9) inverse of the Fisher information and the prior's precision."""
    steps = np.array([0.5, 0.5, 1e-5, 1e-5, 1e-4, 0.1, 1e-4, 1e-4, 1e-4])
    up, down = ([], [])
    for i, step in enumerate(steps):
        for sign, into in ((1.0, up), (-1.0, down)):
            into.append(np.concatenate(seen_of(p + sign * step * np.eye(9)[i], position)))
    slopes = (np.array(up) - np.array(down)) / (2.0 * steps[:, None])
    m = len(position)
    # dt = h du, h^2 = (60 ns)^2 + (w/5)^2 with w of some ns: 60 ns.
    width = np.concatenate([np.full(m, 60.0 * TIME), np.full(m, SIGNAL)])
    information = (slopes / width**2) @ slopes.T
    information[6:, 6:] += np.diag(1.0 / WIDTHS**2)
    return np.linalg.inv(information)


pytestmark = pytest.mark.slow  # compiles the loops for arrays of its own


@pytest.fixture(scope="module")
def found():
    rng = np.random.default_rng(4)
    x, y = np.meshgrid(np.arange(-2, 3), np.arange(-2, 3))
    position = np.column_stack([700.0 * x.ravel(), 700.0 * y.ravel(), rng.normal(0, 20, 25)])
    n, m = 300, len(position)
    showers, times, signals, covariances = [], [], [], []
    for _ in range(n):
        zenith, azimuth = rng.uniform(0.2, 0.7), rng.uniform(0.0, 2.0 * np.pi)
        p = np.array(
            [*rng.uniform(150, 250, 2), np.sin(zenith) * np.cos(azimuth)]
            + [np.sin(zenith) * np.sin(azimuth), 4.0, rng.uniform(-50, 50), *MIDDLE]
        )
        p[6:] += WIDTHS * rng.standard_normal(3)
        time, signal = seen_of(p, position)
        showers.append(p)
        times.append(time + 60.0 * np.sinh(TIME * rng.standard_normal(m)))
        signals.append(np.exp(signal + SIGNAL * rng.standard_normal(m)))
        covariances.append(exact_covariance(p, position))
    showers, covariances = np.array(showers), np.array(covariances)
    coefficients = np.zeros((3, 5))
    coefficients[:, 0] = MIDDLE
    prior = Prior(coefficients, np.diag(1.0 / WIDTHS**2), np.full(3, 200.0), np.zeros(9))
    learned = Learned(compiled_density(gaussian()), compiled_ratio(None))
    ends = np.arange(n + 1) * m
    hits = Hits(
        *(ends, np.tile(np.arange(m), n).astype(np.int32), np.concatenate(times)),
        *(np.concatenate(signals), np.zeros(n * m, bool), np.zeros((n * m, 0), np.float32)),
        *(np.zeros(n + 1, np.int64), np.zeros(0, np.int32)),
    )
    explored = Explored(
        *(np.full((n, 10), np.nan), np.full((n, 10, 10), np.nan), np.zeros(n)),
        *(np.full(n, np.nan), np.zeros((0, 126, 10)), np.zeros((0, 126))),
    )
    # From starts that are off by twice the errors.
    factor = np.linalg.cholesky(covariances)
    start = showers + 2.0 * (factor @ rng.standard_normal((n, N_SHOWER, 1)))[:, :, 0]
    background = Background(0.0, 0.0, 1.0)
    model = Model(learned, prior, TELESCOPE_ARRAY, AREA)
    begin = start, 4.0 * covariances
    explore_all(hits, position, model, background, begin, (_draws(126), _draws(126)), explored)
    return showers, covariances, explored


def test_the_posterior_is_the_gaussian_one(found):
    """Errors of every parameter, of directions and of cores to 1 %, but for the factor by which
    they are wider for the noise of the points.
    """
    _, exact, explored = found
    factor = 1.0 + 1.0 / explored.effective
    assert (factor < 1.05).all()
    covariance = explored.covariance / factor[:, None, None]
    assert (explored.effective > 40.0).all()
    ratio = np.einsum("nii->ni", covariance[:, :9, :9]).mean(axis=0)
    ratio /= np.einsum("nii->ni", exact).mean(axis=0)
    np.testing.assert_allclose(np.sqrt(ratio), 1.0, atol=0.01)
    direction = covariance[:, 2, 2] + covariance[:, 3, 3]
    direction /= exact[:, 2, 2] + exact[:, 3, 3]
    assert abs(np.sqrt(direction.mean()) - 1.0) < 0.01
    core = covariance[:, 0, 0] + covariance[:, 1, 1]
    core /= exact[:, 0, 0] + exact[:, 1, 1]
    assert abs(np.sqrt(core.mean()) - 1.0) < 0.01


def test_its_mean_scatters_as_it_says(found):
    showers, exact, explored = found
    off = explored.mean[:, :9] - showers
    chi2 = np.einsum("ni,nij,nj->n", off, np.linalg.inv(exact), off)
    assert abs(chi2.mean() - 9.0) < 4.0 * np.sqrt(18.0 / len(chi2))


def test_a_plane_front_alone_has_the_textbook_error():
    """Var(n_x) = (c sigma)^2 / sum (x - mean x)^2 for stations in a plane, all else known."""
    x = np.arange(-2, 3) * 700.0
    position = np.column_stack([np.repeat(x, 5), np.tile(x, 5), np.zeros(25)])
    p = np.array([200.0, 200.0, 0.0, 0.0, 4.0, 0.0, *MIDDLE])
    step = 1e-5
    up, down = (seen_of(p + s * step * np.eye(9)[2], position)[0] for s in (1.0, -1.0))
    slope = (up - down) / (2.0 * step)
    speed = 0.299792458
    known = (60.0 * TIME) ** 2 / ((slope - slope.mean()) ** 2).sum()
    textbook = (60.0 * TIME * speed) ** 2 / ((position[:, 0] - position[:, 0].mean()) ** 2).sum()
    assert abs(known / textbook - 1.0) < 0.01

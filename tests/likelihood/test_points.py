"""Points of a posterior: where they lie, and that they turn with the shower; its gradient."""

import numpy as np
import pytest
from scipy.stats import ortho_group

from tashower.config import load_config
from tashower.errors import InputError
from tashower.physics.constants import SPEED_OF_LIGHT
from tashower.reconstruction.likelihood.density import Seen
from tashower.reconstruction.likelihood.explore import scratch_space
from tashower.reconstruction.likelihood.posterior import Looked, log_posteriors, with_gradient
from tashower.reconstruction.likelihood.weighted import align
from tashower.reconstruction.methods.likelihood import TURNS, _draws, _model, posterior_points
from tashower.simulation.simulate import array_from_config
from tests.likelihood.test_likelihood_edges import CONTEXT


def normal_weights(z: np.ndarray, log_density: np.ndarray) -> np.ndarray:
    weight = np.exp(-0.5 * (z**2).sum(axis=1) - log_density)
    return weight / weight.sum()


@pytest.mark.parametrize("n", [72, 126, 504])
def test_points_give_a_normal_distribution_its_covariance(n):
    draws = _draws(n)
    assert draws.z.shape == (TURNS, n, 9)
    for z, log_density in zip(*draws, strict=True):
        weight = normal_weights(z, log_density)
        np.testing.assert_allclose(weight @ z, 0.0, atol=1e-12)
        np.testing.assert_allclose((z * weight[:, None]).T @ z, np.eye(9), atol=1e-9)
        assert 1.0 / (weight**2).sum() > 0.7 * n


def test_no_direction_has_fewer_points_than_another():
    """A quasi-random sequence of 128 has variances from 0.77 to 4.9 along different directions."""
    for z in _draws(126).z:
        spread = np.linalg.eigvalsh(z.T @ z / len(z))
        assert spread[0] > 1.25
        assert spread[-1] < 1.5


def test_frames_are_turned_each_in_its_own_way():
    along = _draws(126).z / np.linalg.norm(_draws(126).z, axis=2)[:, :, None]
    largest = np.abs(along).max(axis=2)
    assert largest.max() < 0.99  # none lies on an axis
    assert 0.5 < largest.mean() < 0.75  # of even directions in nine dimensions 0.62
    apart = np.abs(np.einsum("ani,bmi->abnm", along, along))
    own = np.arange(TURNS)
    apart[own, own] = 0.0
    assert apart.max() < 0.999  # no direction is in two sets


@pytest.mark.parametrize("n", [0, 9, 64, -18])
def test_a_part_of_a_frame_is_refused(n):
    """Before anything is fitted: there are no events to fit."""
    with pytest.raises(InputError, match=f"^{n} points of a posterior: no multiple of 18$"):
        posterior_points(None, None, CONTEXT, n_points=n)


@pytest.mark.parametrize("azimuth", [0.0, 0.3, 2.0, -1.1, 3.0])
def test_a_factor_turns_with_the_shower(azimuth):
    model = _model(CONTEXT.stations, array_from_config(load_config()), False)
    rng = np.random.default_rng(3)
    covariance = np.cov(rng.normal(size=(9, 40)))
    turn = np.eye(9)
    c, s = np.cos(azimuth), np.sin(azimuth)
    for i in (0, 2):
        turn[i : i + 2, i : i + 2] = [[c, -s], [s, c]]
    found = []
    for by, along in ((np.eye(9), (1.0, 0.0)), (turn, (c, s))):
        scratch = scratch_space(model.learned, 18, 3)
        scratch.base[2:4] = 0.4 * np.array(along)
        scratch.factor[:] = np.linalg.cholesky(by @ covariance @ by.T)
        align(scratch)
        np.testing.assert_allclose(
            scratch.factor @ scratch.factor.T, by @ covariance @ by.T, atol=1e-12
        )
        found.append(scratch.factor.copy())
    np.testing.assert_allclose(found[1], turn @ found[0], atol=1e-12)
    np.testing.assert_array_equal(np.triu(found[0], 1), 0.0)


def test_a_vertical_shower_has_a_factor():
    model = _model(CONTEXT.stations, array_from_config(load_config()), False)
    scratch = scratch_space(model.learned, 18, 3)
    triangular, turn = np.tril(np.ones((9, 9))), ortho_group.rvs(9, random_state=1)
    scratch.factor[:] = triangular @ turn
    align(scratch)
    np.testing.assert_allclose(scratch.factor, triangular, atol=1e-12)


@pytest.mark.parametrize("azimuth", [0.4, 2.2, -1.0, -2.9])
def test_the_gradient_is_that_of_the_density(azimuth):
    """Against differences, of hits, a saturated one and silent stations around a core."""
    array = array_from_config(load_config())
    model = _model(CONTEXT.stations, array, False)
    shower = np.array([40.0, -25.0, 0.0, 0.0, 3.6, 5.0, 3.5, -0.6, 0.03])
    shower[2:4] = 0.5 * np.cos(azimuth), 0.5 * np.sin(azimuth)
    x, y = np.array([[250, -700, 900, -1300, 300, 1900], [100, 800, -950, -400, 1500, -1800]]) * 1.0
    n = len(x)
    along = -(shower[2] * (x - 40.0) + shower[3] * (y + 25.0))
    time = 5.0 + along / SPEED_OF_LIGHT + np.array([30.0, 150.0, 260.0, 500.0, 400.0, 0.0])
    log_signal = np.log([800.0, 40.0, 25.0, 5.0, 3.0, 1.0])
    seen = Seen(time, log_signal, np.full(n, -15.0), np.zeros((n, 0), np.float32))
    order = [1, 2, 3, 4, 0, 5]  # hits, the saturated one, the silent one
    looked = Looked(
        *(x[order], y[order], 10.0 * np.arange(n)),
        Seen(*(column[order] for column in seen)),
        *(4, 5),
    )
    space, gradient = scratch_space(model.learned, 18, n).space, np.zeros(9)
    with_gradient(shower, looked, model, space, (0.0, 0.0), gradient)
    steps = np.array([0.5, 0.5, 2e-4, 2e-4, 2e-3, 0.5, 2e-3, 2e-3, 2e-3])
    points = np.concatenate([shower + np.diag(steps), shower - np.diag(steps)])
    values = np.zeros(18)
    log_posteriors(points, 18, looked, model, space, values)
    expected = (values[:9] - values[9:]) / (2.0 * steps)
    size = np.abs(gradient * steps).max()
    np.testing.assert_allclose(gradient * steps, expected * steps, atol=1e-4 * size)

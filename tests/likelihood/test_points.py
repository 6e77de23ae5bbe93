"""Points of a posterior: where they lie, and that they turn with the shower."""

import numpy as np
import pytest

from tashower.config import load_config
from tashower.errors import InputError
from tashower.reconstruction.likelihood.explore import align, scratch_space
from tashower.reconstruction.methods.likelihood import TURNS, _draws, _model
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
    first, second = _draws(126).z[:2]
    assert np.abs(first - second).max() > 0.1


@pytest.mark.parametrize("n", [0, 9, 64, -18])
def test_a_part_of_a_frame_is_refused(n):
    with pytest.raises(InputError, match=f"^{n} points of a posterior: no multiple of 18$"):
        _draws(n)


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
    scratch.factor[:] = np.tril(np.ones((9, 9)))
    align(scratch)
    np.testing.assert_allclose(scratch.factor, np.tril(np.ones((9, 9))))

"""Regions of errors against closed forms."""

import numpy as np
import pytest
from scipy.stats import chi2, laplace

from tashower.events.regions import LEVELS, normal_square, probability, radius, squared_distance


@pytest.mark.parametrize("k", [1, 2])
def test_distance_radius_and_probability_of_a_normal_distribution(rng, k):
    root = rng.normal(size=(50, k, k)) + 2.0 * np.eye(k)
    covariance, offset = root @ root.transpose(0, 2, 1), rng.normal(size=(50, k))
    wanted = np.einsum("ni,nij,nj->n", offset, np.linalg.inv(covariance), offset)
    square = squared_distance(offset, covariance)
    np.testing.assert_allclose(square, wanted)
    np.testing.assert_allclose(probability(square, k), chi2(k).cdf(wanted))
    np.testing.assert_allclose(radius(np.array(LEVELS), k) ** 2, chi2(k).ppf(LEVELS))


def test_many_offsets_of_one_covariance(rng):
    offset, covariance = rng.normal(size=(3, 7, 2)), np.array([[2.0, 0.5], [0.5, 1.0]])
    found = squared_distance(offset, np.tile(covariance, (3, 1, 1, 1)))
    np.testing.assert_allclose(
        found[2], squared_distance(offset[2], np.tile(covariance, (7, 1, 1)))
    )


def test_stated_regions_hold_what_they_state():
    """Of a distribution with tails, whose radii are known: what lies on the border of a region has
    its level, between them it rises, beyond the last the ratio stays.
    """
    stated = laplace.ppf(0.5 + 0.5 * np.array(LEVELS))
    radii = np.tile(stated / radius(np.array(LEVELS), 1), (4, 1))
    on_border = normal_square(stated**2, 1, radii)
    np.testing.assert_allclose(probability(on_border, 1), LEVELS)
    x = np.linspace(0.0, 9.0, 200)
    found = normal_square(x**2, 1, np.tile(radii[0], (200, 1)))
    assert found[0] == 0.0
    assert (np.diff(found) > 0).all()
    beyond = x > stated[-1]
    np.testing.assert_allclose(found[beyond], (x[beyond] / radii[0, -1]) ** 2)


def test_regions_of_a_normal_distribution_change_nothing(rng):
    square = rng.chisquare(2, 100)
    np.testing.assert_array_equal(normal_square(square, 2), square)
    np.testing.assert_allclose(normal_square(square, 2, np.ones((100, 4))), square)
    unknown = np.ones((100, 4))
    unknown[3] = np.nan
    square[5] = np.nan
    assert np.flatnonzero(np.isnan(normal_square(square, 2, unknown))).tolist() == [3, 5]

"""Calibration of posteriors: Gaussian toys whose posteriors are known."""

import numpy as np
import pytest
from scipy.stats import kstest, multivariate_t, norm

from tashower.evaluation.posteriors import (
    band_of_histogram,
    expected_coverage,
    flatness,
    in_units_of,
    weighted_ranks,
)

N = 6000


def toy(rng, width=1.0, shift=0.0, points=128, k=3):
    """Points of Gaussian posteriors of k parameters with unit errors, as importance sampling gives
    them: of a t distribution with 6 degrees of freedom, weighted; true values. The posteriors are
    `width` times as wide as they should be, and off by `shift`.
    """
    measured = 10.0 * rng.normal(size=(N, k))
    truth = measured + rng.normal(size=(N, k))
    draws = multivariate_t(np.zeros(k), np.eye(k), df=6, seed=rng).rvs(N * points)
    draws = 1.2 * draws.reshape(N, points, k)
    log_weight = -0.5 * (draws**2).sum(axis=2)
    log_weight += 0.5 * (6 + k) * np.log1p((draws**2).sum(axis=2) / 1.44 / 6)
    weights = np.exp(log_weight)
    weights /= weights.sum(axis=1, keepdims=True)
    return measured[:, None] + width * draws + shift, weights, truth, measured


def test_ranks_of_equal_weights_are_those_of_counting(rng):
    values = np.tile([1.0, 2.0, 3.0, 4.0], (3, 1))
    weights = np.full((3, 4), 0.25)
    truth = np.array([0.0, 2.5, 9.0])
    found = weighted_ranks(values, weights, truth, np.array([0.5, 0.2, 1.0]))
    np.testing.assert_allclose(found, [0.1, 2.2 / 5, 1.0])
    # Unequal weights, and a point that is the truth.
    weights = np.array([[0.5, 0.3, 0.2, 0.0]])
    own = 0.25 + 0.09 + 0.04
    found = weighted_ranks(values[:1], weights, np.array([2.0]), np.array([0.5]))
    np.testing.assert_allclose(found, (0.5 + 0.5 * (0.3 + own)) / (1 + own))


@pytest.mark.parametrize("points", [3, 8])
def test_a_few_equal_points_are_enough(rng, points):
    """However coarse ranks are, they are uniform; without the truth's own weight they are not."""
    values, truth = rng.normal(size=(20_000, points)), rng.normal(size=20_000)
    weights = np.full(values.shape, 1.0 / points)
    found = weighted_ranks(values, weights, truth, rng.uniform(size=20_000))
    assert kstest(found, "uniform").pvalue > 1e-3
    bare = np.where(values < truth[:, None], weights, 0).sum(axis=1)
    assert kstest(bare, "uniform").pvalue < 1e-9


def test_rounded_values_are_ties(rng):
    """Of a discrete parameter many points are equal to the truth."""
    values, truth = rng.integers(0, 3, (20_000, 9)), rng.integers(0, 3, 20_000)
    weights = np.full(values.shape, 1.0 / 9)
    found = weighted_ranks(values.astype(float), weights, truth, rng.uniform(size=20_000))
    assert kstest(found, "uniform").pvalue > 1e-3


def test_what_is_not_known_has_no_rank():
    values = np.array([[1.0, np.nan], [1.0, 2.0], [1.0, 2.0]])
    weights = np.array([[0.5, 0.5], [0.5, 0.5], [0.0, 0.0]])
    truth = np.array([1.5, np.nan, 1.5])
    assert np.isnan(weighted_ranks(values, weights, truth, np.full(3, 0.5))).all()


def test_right_posteriors_have_flat_ranks_and_the_coverage_they_state(rng):
    points, weights, truth, measured = toy(rng)
    uniform = rng.uniform(size=(2, N))
    ranks = weighted_ranks(points[:, :, 0], weights, truth[:, 0], uniform[0])
    reference = measured + rng.normal(size=truth.shape)
    joint = expected_coverage(points, weights, truth, reference, uniform[1])
    for found in (flatness(ranks), flatness(joint)):
        assert found.n == N
        assert found.p_value > 1e-3
        assert found.farthest < 0.03
        assert found.width == pytest.approx(1.0, abs=0.04)
        assert found.shift == pytest.approx(0.0, abs=0.06)
    counts, _ = np.histogram(ranks, 20, (0, 1))
    low, high = band_of_histogram(N, 20)
    assert np.mean((counts < low) | (counts > high)) <= 0.2


def test_posteriors_that_are_too_narrow_are_found(rng):
    """By 20 %: normal scores of ranks are 1/0.8 wide; fewer truths lie near the references."""
    points, weights, truth, measured = toy(rng, width=0.8)
    ranks = flatness(weighted_ranks(points[:, :, 0], weights, truth[:, 0], rng.uniform(size=N)))
    assert ranks.width == pytest.approx(1.25, abs=0.06)
    assert ranks.shift == pytest.approx(0.0, abs=0.06)
    assert ranks.p_value < 1e-6
    joint = expected_coverage(
        points, weights, truth, measured + rng.normal(size=truth.shape), rng.uniform(size=N)
    )
    assert flatness(joint).p_value < 1e-6
    assert np.mean(joint < 0.9) < 0.87


def test_posteriors_that_are_off_are_found(rng):
    """By a third of their width."""
    points, weights, truth, measured = toy(rng, shift=1 / 3)
    ranks = flatness(weighted_ranks(points[:, :, 0], weights, truth[:, 0], rng.uniform(size=N)))
    assert ranks.shift == pytest.approx(-1 / 3, abs=0.06)
    assert ranks.width == pytest.approx(1.0, abs=0.05)
    # The largest distance of two normal distributions that are d apart: 2 Phi(d/2) - 1.
    assert ranks.farthest == pytest.approx(2 * norm.cdf(1 / 6) - 1, abs=0.025)
    joint = expected_coverage(
        points, weights, truth, measured + rng.normal(size=truth.shape), rng.uniform(size=N)
    )
    assert flatness(joint).p_value < 1e-3


def test_references_on_one_side_see_what_ranks_see(rng):
    """In one dimension the distance to a reference far below is the parameter itself."""
    points, weights, truth, measured = toy(rng, k=1, points=16)
    uniform = rng.uniform(size=N)
    far = expected_coverage(points, weights, truth, measured - 1e6, uniform)
    ranks = weighted_ranks(points[:, :, 0], weights, truth[:, 0], uniform)
    np.testing.assert_allclose(far, ranks, atol=1e-9)


def test_units_are_those_of_the_covariance(rng):
    pair = np.array([[4.0, 1.0], [1.0, 9.0]])
    offset = rng.normal(size=(5, 7, 2))
    centre = rng.normal(size=(5, 2))
    found = in_units_of(offset, np.tile(pair, (5, 1, 1)), centre)
    off = offset - centre[:, None]
    square = np.einsum("nmi,ij,nmj->nm", off, np.linalg.inv(pair), off)
    np.testing.assert_allclose((found**2).sum(axis=2), square)
    single = in_units_of(offset[:, 0], np.tile(pair, (5, 1, 1)), centre)
    np.testing.assert_allclose(single, found[:, 0])


def test_flatness_is_kolmogorovs(rng):
    numbers = rng.uniform(size=500) ** 1.1
    found, other = flatness(np.append(numbers, np.nan)), kstest(numbers, "uniform")
    assert found.n == 500
    assert found.farthest == pytest.approx(other.statistic)
    assert found.p_value == pytest.approx(other.pvalue)


def test_the_band_holds_what_it_says(rng):
    low, high = band_of_histogram(10_000, 20)
    assert (low, high) == (458, 543)
    counts = rng.binomial(10_000, 0.05, 100_000)
    assert np.mean((counts >= low) & (counts <= high)) == pytest.approx(0.953, abs=0.005)

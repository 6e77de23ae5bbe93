"""Factors of the errors that networks state, against closed forms; regions of a density."""

import numpy as np
import pytest
import torch

from tashower.events.regions import LEVELS, probability, radius, squared_distance
from tashower.network import predict
from tashower.network.heads import flow, gaussian
from tashower.network.temperature import BLOCKS, LEVEL, scaled, temperature

WRONG = {"direction": 1.5, "core": 0.8, "energy": 3.0}


def wrong_by(factors):
    each = np.concatenate([[factors["direction"]] * 2, [factors["core"]] * 2, [factors["energy"]]])
    return np.outer(each, each)


def normal(rng, n=4000):
    """(offsets, their covariances), correlated."""
    root = np.tril(rng.normal(size=(n, 5, 5))) + 2.0 * np.eye(5)
    return np.einsum("nij,nj->ni", root, rng.normal(size=(n, 5))), root @ root.transpose(0, 2, 1)


def test_widths_that_are_wrong_by_a_factor_get_that_factor(rng):
    offset, covariance = normal(rng)
    right = temperature(offset, covariance)
    for block, value in right.items():
        # Error of a quantile: sqrt(p (1 - p)/n)/density, 1.3 % in one dimension, 0.9 % in two.
        assert value == pytest.approx(1.0, abs=0.05), block
    found = temperature(offset, covariance * wrong_by(WRONG))
    assert found.keys() == right.keys() == WRONG.keys()
    for block, value in found.items():
        assert value == pytest.approx(right[block] / WRONG[block], rel=1e-9)
    again = temperature(offset, scaled(covariance * wrong_by(WRONG), found))
    assert list(again.values()) == pytest.approx([1.0] * 3, rel=1e-9)


def test_the_part_inside_is_right_afterwards_and_failed_events_do_not_rule(rng):
    offset, covariance = normal(rng)
    offset[:100] *= 1000.0
    found = scaled(covariance, temperature(offset, covariance))
    for places in BLOCKS.values():
        at = list(places)
        square = squared_distance(offset[:, at], found[:, at][:, :, at])
        assert np.mean(probability(square, len(at)) < LEVEL) == pytest.approx(LEVEL, abs=1e-3)


def test_correlations_stay(rng):
    covariance = normal(rng, 3)[1]
    found = scaled(covariance, WRONG)
    np.testing.assert_allclose(found, covariance * wrong_by(WRONG))


def test_regions_hold_what_they_state(rng):
    """Of other draws of the density than those that the regions are from; without skewness and
    tails they are those of a normal distribution.
    """
    output = torch.from_numpy(rng.normal(size=(3, flow.n_outputs(5)))).float()
    points = predict._normal_points(5)
    radii = predict._radii(flow, output, points)
    mean, covariance = (part.numpy() for part in flow.predict(output))
    drawn = flow.draw(output, torch.from_numpy(rng.normal(size=(20_000, 5)))).numpy()
    for block, places in BLOCKS.items():
        at = list(places)
        for i in range(3):
            offset = drawn[i][:, at] - mean[i, at]
            square = squared_distance(offset, covariance[i][np.ix_(at, at)][None])
            stated = radii[block][i] * radius(np.array(LEVELS), len(at))
            inside = (np.sqrt(square)[:, None] < stated).mean(axis=0)
            np.testing.assert_allclose(inside, LEVELS, atol=0.025)
    output[:, gaussian.n_outputs(5) :] = 0.0
    for of in predict._radii(flow, output, points).values():
        np.testing.assert_allclose(of, 1.0, atol=0.04)


def test_points_are_normal_and_even():
    points = predict._normal_points(5).numpy()
    assert np.isfinite(points).all()
    np.testing.assert_allclose(points.mean(axis=0), 0.0, atol=0.01)
    np.testing.assert_allclose(np.cov(points.T), np.eye(5), atol=0.03)

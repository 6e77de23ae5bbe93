"""Two samples of events: showers are what chance exchanges."""

import numpy as np
import pytest
from scipy import stats

from tashower.evaluation.two_samples import (
    CORRELATED,
    Chance,
    Rows,
    compare_distributions,
    compare_profiles,
    compare_scores,
    paired_units,
    separate_units,
)


def chance(units, permutations=199, seed=1, samples=100):
    return Chance(units, seed, permutations, samples)


def separate(n, m):
    return separate_units(np.arange(n), np.arange(m))


def rows(values, unit, at=None):
    return Rows(np.asarray(values, float), unit, at)


def test_units():
    units = separate_units([5, 5, 9], [5, 7])
    assert units.first.tolist() == [0, 0, 1]
    assert units.second.tolist() == [2, 3]
    assert (units.n, units.paired) == (4, False)
    units = paired_units([5, 5, 9], [5, 7])
    assert units.first.tolist() == [0, 0, 2]
    assert units.second.tolist() == [0, 1]
    assert (units.n, units.paired) == (3, True)


def test_exchanges():
    """Of separate showers as many stay on either side; of common ones each changes sides or not."""
    units = separate(10, 25)
    flips = np.concatenate(list(chance(units, 700).flips()))
    assert flips.shape == (700, 35)
    label = np.arange(35) >= 10
    assert ((label ^ (flips > 0)).sum(axis=1) == 25).all()
    assert np.abs((flips > 0).mean(axis=0) - np.where(label, 10 / 35, 25 / 35)).max() < 0.1
    flips = np.concatenate(list(chance(paired_units(np.arange(30), np.arange(30)), 700).flips()))
    assert np.abs(flips.mean(axis=0) - 0.5).max() < 0.1
    assert flips.sum(axis=1).std() > 1.0
    again, other = (next(chance(units, 50, seed).flips()) for seed in (1, 2))
    assert np.array_equal(again, next(chance(units, 50, 1).flips()))
    assert not np.array_equal(again, other)


def test_bootstrap_draws_each_side_from_its_own():
    weights = chance(separate(10, 25)).weights()
    assert (weights[:, :10].sum(axis=1) == 10).all()
    assert (weights[:, 10:].sum(axis=1) == 25).all()
    common = chance(paired_units(np.arange(30), np.arange(30))).weights()
    assert common.shape == (100, 30)
    assert not np.array_equal(weights, chance(separate(10, 25), seed=2).weights())
    assert (common.sum(axis=1) == 30).all()


def test_distance_is_that_of_kolmogorov_and_smirnov(rng):
    one, other = rng.poisson(6.0, 80), rng.poisson(7.0, 120)  # few kinds of values: exact
    units = separate(80, 120)
    pair = rows(one, units.first), rows(np.append(other[:-1], np.nan), units.second)
    found = compare_distributions({"x": pair}, chance(units))["x"]
    assert found.distance == pytest.approx(stats.ks_2samp(one, other[:-1]).statistic)
    assert (found.n, found.m) == (80, 119)
    assert 1 / 200 <= found.p_value <= 1.0


def test_no_values():
    units = separate(5, 5)
    pair = rows(np.full(5, np.nan), units.first), rows(np.ones(5), units.second)
    found = compare_distributions({"x": pair}, chance(units))["x"]
    assert np.isnan(found.distance)
    assert np.isnan(found.p_value)
    assert (found.n, found.m) == (0, 5)


def test_false_alarms_of_stations_of_common_showers(rng):
    """Values that share their shower's: p-values are uniform, those of single values are not."""
    ours, theirs = [], []
    units = separate(20, 20)
    for k in range(100):
        one, other = (rng.normal(size=20).repeat(8) + 0.3 * rng.normal(size=160) for _ in "ab")
        pair = rows(one, units.first.repeat(8)), rows(other, units.second.repeat(8))
        ours.append(compare_distributions({"x": pair}, chance(units, 99, k))["x"].p_value)
        theirs.append(stats.ks_2samp(one, other).pvalue)
    assert np.mean(np.array(theirs) < 0.1) > 0.4
    assert stats.kstest(ours, "uniform").pvalue > 1e-3
    assert 0.04 < np.mean(np.array(ours) <= 0.1) < 0.18


def test_profile_is_mean_and_spread_in_bins(rng):
    n = 400
    units = separate(n, n)
    at = rng.uniform(0.0, 3.0, (2, n))
    y = 5.0 + 2.0 * at + rng.normal(size=(2, n)) * (1.0 + at)
    y[0, 3] = np.nan
    edges = np.array([0.0, 1.0, 2.0, 2.99, 50.0])
    pair = tuple(rows(y[k], (units.first, units.second)[k], at[k]) for k in (0, 1))
    found = compare_profiles({"x": (pair, edges)}, chance(units))["x"]
    for k in (0, 1):
        for j in range(3):
            inside = y[k][(at[k] >= edges[j]) & (at[k] < edges[j + 1]) & np.isfinite(y[k])]
            assert found.counts[k][j] == len(inside)
            assert found.mean[k][j] == pytest.approx(inside.mean())
            assert found.spread[k][j] == pytest.approx(inside.std())
            expected = inside.std() / np.sqrt(len(inside))
            assert found.mean_error[k][j] == pytest.approx(expected, rel=0.3)
            assert found.spread_error[k][j] == pytest.approx(expected / np.sqrt(2), rel=0.4)
        assert np.isnan(found.mean[k][3])  # too few values
        assert np.isnan(found.spread_error[k][3])
    assert min(found.p_mean, found.p_spread) > 0.01


def test_a_bin_needs_values_of_both(rng):
    """Ten of each, else it says nothing."""
    units = separate(30, 30)
    pair = (
        rows(rng.normal(size=30), units.first, np.arange(30) // 15),
        rows(rng.normal(size=30), units.second, np.arange(30) // 21),
    )
    found = compare_profiles({"x": (pair, np.array([-0.5, 0.5, 1.5]))}, chance(units))["x"]
    assert [list(one) for one in found.counts] == [[15, 15], [21, 9]]
    for columns in (found.mean, found.mean_error, found.spread, found.spread_error):
        assert np.isfinite([one[0] for one in columns]).all()
        assert np.isnan([one[1] for one in columns]).all()


def test_profile_finds_what_differs(rng):
    """A mean that moves in one bin leaves the spread alone, and the other way round."""
    n = 600
    units = separate(n, n)
    at = rng.uniform(0.0, 3.0, (2, n))
    y = rng.normal(size=(2, n))
    edges = np.linspace(0.0, 3.0, 4)

    def compared(second):
        pair = rows(y[0], units.first, at[0]), rows(second, units.second, at[1])
        return compare_profiles({"x": (pair, edges)}, chance(units))["x"]

    moved = compared(y[1] + 0.6 * (at[1] < 1.0))
    assert moved.p_mean == 1 / 200
    assert moved.p_spread > 0.02
    wider = compared(y[1] * np.where(at[1] < 1.0, 1.4, 1.0))
    assert wider.p_spread == 1 / 200
    assert wider.p_mean > 0.02


def test_common_showers_show_smaller_differences(rng):
    shower = 3.0 * rng.normal(size=100)
    one, other = (shower + 0.1 * rng.normal(size=100) for _ in "ab")
    shifted = other + 0.2

    def p_value(units):
        pair = (rows(one, units.first, np.zeros(100)), rows(shifted, units.second, np.zeros(100)))
        edges = np.array([-1.0, 1.0])
        return compare_profiles({"x": (pair, edges)}, chance(units))["x"].p_mean

    assert p_value(paired_units(np.arange(100), np.arange(100))) == 1 / 200
    assert p_value(separate(100, 100)) > 0.2


def test_area_is_that_of_mann_and_whitney(rng):
    one, other = rng.poisson(6.0, 80), rng.poisson(8.0, 120)
    units = separate(80, 120)
    pair = rows(one, units.first), rows(other, units.second)
    found = compare_scores({"x": pair}, chance(units, 999, samples=400))["x"]
    rank_sum = stats.mannwhitneyu(other, one)
    assert found.value == pytest.approx(rank_sum.statistic / (80 * 120))
    # The null variance of the rank sum, without ties (Mann and Whitney 1947): (n + m + 1)/(12 n m).
    width = CORRELATED * np.sqrt(201 / (12 * 80 * 120))
    assert found.p_value == pytest.approx(stats.norm.sf((found.value - 0.5) / width), rel=0.5)
    assert found.error == pytest.approx(width, rel=0.3)
    swapped = compare_scores({"x": (pair[1], pair[0])}, chance(separate(120, 80)))["x"]
    assert swapped.value == pytest.approx(1.0 - found.value)
    assert swapped.p_value > 0.9

"""Streams and samplers: moments, tails, independence of the order."""

import numpy as np
import pytest
from scipy import stats

from tashower.physics.compiled import compiled
from tashower.simulation.random_numbers import (
    EXPONENTIAL_TABLE,
    MOYAL_TABLE,
    NORMAL_TABLE,
    draw_uniforms,
    early_erlang,
    erlang,
    late_erlang,
    next_bits,
    normal,
    poisson,
    quick,
    seed_stream,
    stream_key,
    uniform,
)

N = 200_000
KEY = stream_key(1, "test", "detector")


@compiled
def draw(which, parameter, n):
    state = np.empty(4, np.uint64)
    seed_stream(state, KEY, np.uint64(5))
    found = np.empty(n)
    for i in range(n):
        if which == 0:
            found[i] = uniform(state)
        elif which == 1:
            found[i] = normal(state)
        elif which == 2:
            found[i] = erlang(state, int(parameter))
        else:
            found[i] = poisson(state, parameter)
    return found


@compiled
def draw_part(late, shape, limit, n):
    state = np.empty(4, np.uint64)
    seed_stream(state, KEY, np.uint64(5))
    found = np.empty(n)
    for i in range(n):
        found[i] = late_erlang(state, shape, limit) if late else early_erlang(state, shape, limit)
    return found


@pytest.mark.parametrize("shape", [1, 2, 3, 5])
@pytest.mark.parametrize("limit", [0.05, 0.7, 3.0])
def test_early_and_late_parts_of_the_gamma_distribution(shape, limit):
    gamma = stats.gamma(shape)
    below = gamma.cdf(limit)
    early = stats.kstest(
        draw_part(False, shape, limit, N), lambda t: gamma.cdf(np.clip(t, 0, limit)) / below
    )
    late = stats.kstest(
        draw_part(True, shape, limit, N),
        lambda t: np.clip(gamma.cdf(t) - below, 0, 1) / (1 - below),
    )
    assert early.pvalue > 1e-3
    assert late.pvalue > 1e-3


@compiled
def draw_quick(table, place, n):
    state = np.empty(4, np.uint64)
    seed_stream(state, KEY, np.uint64(5))
    found = np.empty(n)
    for i in range(n):
        found[i] = quick(table, next_bits(state), place)
    return found


@pytest.mark.parametrize(
    ("which", "parameter", "distribution"),
    [
        (0, 0.0, stats.uniform()),
        (1, 0.0, stats.norm()),
        (2, 1.0, stats.gamma(1)),
        (2, 2.0, stats.gamma(2)),
        (2, 3.0, stats.gamma(3)),
        (2, 5.0, stats.gamma(5)),
    ],
)
def test_samplers_follow_their_distribution(which, parameter, distribution):
    assert stats.kstest(draw(which, parameter, N), distribution.cdf).pvalue > 1e-3


@pytest.mark.parametrize("mean", [0.0, 0.004, 0.3, 2.0, 9.9, 10.1, 40.0, 149.0])
def test_poisson_moments(mean):
    found = draw(3, mean, N)
    np.testing.assert_array_equal(found, np.round(found))
    error = np.sqrt(max(mean, 1e-9) / N)
    assert found.mean() == pytest.approx(mean, abs=5 * error + 0.005)
    assert found.var() == pytest.approx(mean, rel=0.015, abs=5 * np.sqrt((mean + 2 * mean**2) / N))
    if mean > 1:
        assert stats.skew(found) == pytest.approx(mean**-0.5, abs=0.03)


@pytest.mark.parametrize("place", [0, 1, 2, 3, 4])
def test_tables_give_the_moments_of_what_they_stand_for(place):
    for table, mean, variance in (
        (NORMAL_TABLE, 0.0, 1.0),
        (EXPONENTIAL_TABLE, 1.0, 1.0),
        (MOYAL_TABLE, np.euler_gamma + np.log(2), np.pi**2 / 2),
    ):
        found = draw_quick(table, place, N)
        assert found.mean() == pytest.approx(mean, abs=0.02)
        assert found.var() == pytest.approx(variance, rel=0.03)


def test_the_places_of_one_draw_are_independent():
    columns = [draw_quick(NORMAL_TABLE, place, N) for place in range(5)]
    correlation = np.corrcoef(columns) - np.eye(5)
    assert np.abs(correlation).max() < 0.01


def test_streams_do_not_depend_on_the_division_and_differ_from_each_other():
    whole = draw_uniforms(KEY, 0, 100, 4)
    np.testing.assert_array_equal(whole[30:50], draw_uniforms(KEY, 30, 20, 4))
    np.testing.assert_array_equal(whole[:, :2], draw_uniforms(KEY, 0, 100, 2))
    assert len(np.unique(whole)) == whole.size
    many = draw_uniforms(KEY, 0, 50_000, 2)
    # Neighbouring streams, and the numbers of one stream, are not correlated.
    assert abs(np.corrcoef(many[:-1, 0], many[1:, 0])[0, 1]) < 0.02
    assert abs(np.corrcoef(many[:, 0], many[:, 1])[0, 1]) < 0.02
    assert stats.kstest(many[:, 0], "uniform").pvalue > 1e-3


def test_keys_differ_by_seed_split_and_purpose():
    keys = {
        stream_key(seed, split, purpose)
        for seed in (1, 2)
        for split in ("calibration", "train", "validation", "test")
        for purpose in ("array", "shower", "throw", "detector")
    }
    assert len(keys) == 2 * 4 * 4

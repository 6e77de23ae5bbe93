"""Bootstrap of showers: errors against closed forms, and what is paired with what."""

import numpy as np
import pytest

from tashower.evaluation import bootstrap
from tashower.evaluation.bootstrap import Draws, draw_showers, entry, over_trainings, replicates
from tashower.evaluation.scores import mean, resolution_68


def of_mean(x, draws, rows=None, factor=1.0):
    rows = np.arange(len(x)) if rows is None else rows
    return replicates(lambda w: {"mean": mean(x[rows], w)}, draws, rows, factor)["mean"]


def test_error_of_a_mean(rng):
    x = rng.normal(size=2000)
    found = entry(of_mean(x, draw_showers(np.arange(2000), 400, [1, 2])))
    assert found["value"] == pytest.approx(x.mean())
    assert found["error"] == pytest.approx(x.std() / np.sqrt(2000), rel=0.12)


def test_draws_are_those_of_their_seed_and_of_the_showers():
    numbers = [7, 3, 7, -1]
    draws = draw_showers(numbers, 500, [1])
    assert draws.counts.shape == (500, 3)
    assert (draws.counts.sum(axis=1) == 3).all()
    assert draws.shower.tolist() == [2, 1, 2, 0]
    np.testing.assert_array_equal(draws.counts, draw_showers(numbers, 500, [1]).counts)
    assert not np.array_equal(draws.counts, draw_showers(numbers, 500, [2]).counts)
    # Drawn with replacement: a shower is missing with probability (2/3)^3.
    assert (draws.counts == 0).mean() == pytest.approx(8 / 27, abs=0.05)
    assert draw_showers([], 5, [1]).counts.shape == (5, 0)


@pytest.mark.parametrize("copies", [4, 9])
def test_throws_of_one_shower_are_no_further_showers(rng, copies):
    """Copies of every shower: the error is that of the showers, sqrt(copies) times as large as if
    the throws were independent.
    """
    x = rng.normal(size=500)
    shower = np.repeat(np.arange(500), copies)
    many = np.repeat(x, copies)
    once = entry(of_mean(x, draw_showers(np.arange(500), 400, [5])))
    showers = entry(of_mean(many, draw_showers(shower, 400, [5])))
    throws = entry(of_mean(many, draw_showers(np.arange(len(many)), 400, [5])))
    assert showers["error"] == pytest.approx(once["error"], rel=1e-9)
    assert showers["error"] / throws["error"] == pytest.approx(np.sqrt(copies), rel=0.12)


def test_weights_are_counts_times_factor_in_any_blocks(monkeypatch):
    draws = draw_showers([5, 5, 6, 7], 11, [3])
    rows, factor = np.array([1, 2, 3]), np.array([0.5, 2.0, 3.0])
    whole = np.concatenate(list(draws.weights(rows, factor)))
    assert whole.shape == (12, 3)
    np.testing.assert_array_equal(whole[0], factor)
    np.testing.assert_array_equal(whole[1:], draws.counts * factor)
    for size in (1, 7, 30):
        monkeypatch.setattr(bootstrap, "_BLOCK", size)
        blocks = list(draws.weights(rows, factor))
        assert len(blocks) > 1
        np.testing.assert_array_equal(np.concatenate(blocks), whole)


@pytest.mark.parametrize("rows", [[], [0], [0, 1]])
def test_one_shower_has_no_error(rows):
    draws = draw_showers([4, 4, 9], 20, [1])
    found = entry(of_mean(np.array([1.0, 2.0, 3.0]), draws, np.array(rows, dtype=int)))
    assert np.isnan(found["error"])
    assert np.isnan(found["value"]) == (not rows)


def test_samples_without_a_value_do_not_count():
    assert entry(np.array([5.0, 1.0, np.nan, 3.0, np.inf])) == {"value": 5.0, "error": 1.0}
    assert np.isnan(entry(np.array([5.0, 1.0, np.nan]))["error"])


def test_a_paired_error_is_smaller_where_two_methods_err_alike(rng):
    """Ratio of 68 % angles of two methods whose errors are the same but for a tenth."""
    shared, own = rng.normal(size=(2, 4000, 2))
    angles = [np.hypot(*shared.T), np.hypot(*(0.9 * (shared + 0.1 * own)).T)]
    draws, rows = draw_showers(np.arange(4000), 200, [8]), np.arange(4000)
    one, two = (
        replicates(lambda w, a=a: {"q": resolution_68(a, w)}, draws, rows)["q"] for a in angles
    )
    other = draw_showers(np.arange(4000), 200, [9])
    unpaired = replicates(lambda w: {"q": resolution_68(angles[1], w)}, other, rows)["q"]
    paired, apart = entry(two / one), entry(unpaired / one)
    assert paired["value"] == pytest.approx(0.9 * np.sqrt(1.01), rel=0.01)
    assert paired["error"] < 0.4 * apart["error"]


def test_trainings_are_averaged_and_their_scatter_is_in_the_error():
    draws = np.array([-1.0, 1.0, -1.0, 1.0])
    found = over_trainings([np.append(v, v + draws) for v in (2.0, 5.0, 8.0)])
    assert found["value"] == 5.0
    assert found["statistical"] == 1.0
    assert found["scatter"] == 3.0  # n - 1 in the denominator
    assert found["error"] == pytest.approx(np.sqrt(10.0))
    assert found["each"] == [2.0, 5.0, 8.0]
    assert over_trainings([np.append(2.0, 2.0 + draws)]) == {"value": 2.0, "error": 1.0}
    # Errors of the events that trainings do not share average out.
    apart = over_trainings([np.append(2.0, 2.0 + draws), np.append(2.0, 2.0 - draws)])
    assert apart["statistical"] == 0.0


def test_many_showers_are_counted_whole():
    """No count is cut to fit."""
    draws = draw_showers(np.arange(100_000), 3, [1])
    assert isinstance(draws, Draws)
    assert (draws.counts.sum(axis=1, dtype=int) == 100_000).all()

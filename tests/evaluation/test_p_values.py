"""p-values against closed forms and tables, and that they know how many events they come from."""

import math

import numpy as np
import pytest

from tashower.evaluation.p_values import FEW, above_p, chi2_p, p_text, sign_p, two_samples


def test_two_samples_that_lie_apart():
    """Of two samples of n and m values in any order, one in (n + m)!/(n! m!) has all of one first;
    twice as many have distance 1.
    """
    found = two_samples([1.0, 2.0, 3.0, np.nan], [4.0, 5.0, 6.0, 7.0])
    assert (found.distance, found.n, found.m) == (1.0, 3, 4)
    assert found.p_value == pytest.approx(2 / math.comb(7, 3))
    assert np.isnan(two_samples([np.nan], [1.0]).p_value)


def test_the_same_distance_says_more_with_more_values(rng):
    small, large = rng.normal(size=12), rng.normal(0.6, 1, 400)
    few = two_samples(small + 0.6, large - 0.6).p_value
    many = two_samples(np.repeat(small + 0.6, 30), large - 0.6).p_value
    assert many < 1e-6 < few


def test_values_that_are_not_independent_count_less(rng):
    """Kolmogorov's distribution, P(K > 1.3581) = 0.05, with the number of events in place of
    values.
    """
    n, m = 50, 200
    step = 1.3581 / math.sqrt(n * m / (n + m))
    a, b = np.arange(4000) / 4000, np.arange(4000) / 4000 + step
    found = two_samples(a, b, independent=(n, m))
    assert found.p_value == pytest.approx(0.05, abs=1e-3)
    assert two_samples(a, b).p_value < 1e-9


def test_chi2_of_a_table():
    # Critical values of every table of chi2; exp(-chi2/2) for two degrees of freedom.
    found = chi2_p([3.841, 18.307, 3.0, 5.0], [1, 10, 2, 0])
    assert found[:3] == pytest.approx([0.05, 0.05, math.exp(-1.5)], abs=1e-4)
    assert np.isnan(found[3])


def test_signs_of_coins():
    assert sign_p([1.0] * 10) == pytest.approx(2 / 2**10)
    assert sign_p([1, 1, 1, 0.0, 0.0, np.nan]) == pytest.approx(2 / 2**3)  # on no side
    assert sign_p([3.0] * 5, 2.0) == pytest.approx(2 / 32)
    assert np.isnan(sign_p([]))


def test_more_than_expected():
    assert above_p(1, 1, 0.01) == pytest.approx(0.01)
    assert above_p(2, 2, 0.1) == pytest.approx(0.01)
    assert above_p(0, 5, 0.1) == 1.0


@pytest.mark.parametrize(
    ("p", "n", "text"),
    [
        (0.1234, None, "p = 0.12"),
        (3e-9, None, "p < 0.0001"),
        (1.0, None, "p = 1"),
        (0.5, FEW, "p = 0.5"),
        (0.5, FEW - 1, f"p = 0.5 ({FEW - 1} events: too few to tell)"),
        (math.nan, 3, "no p-value"),
    ],
)
def test_in_words(p, n, text):
    assert p_text(p, n) == text

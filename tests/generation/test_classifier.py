"""A classifier of two samples, asked about what it did not see."""

import numpy as np
import pytest

from tashower.generation import classifier
from tashower.generation.classifier import FOLDS, cross_validated, folds


@pytest.fixture(autouse=True)
def fewer_steps(monkeypatch):
    monkeypatch.setattr(classifier, "_STEPS", 40)


def area(scores, label):
    first, second = scores[~label], scores[label]
    return np.mean(second[:, None] > first[None]) + 0.5 * np.mean(second[:, None] == first[None])


def test_folds_keep_units_together_and_both_samples_apart(rng):
    unit = rng.permutation(np.repeat(np.arange(100), 3))
    label = unit >= 60
    found = folds(unit, label, 3)
    assert all(len(np.unique(found[unit == k])) == 1 for k in range(100))
    for k in range(FOLDS):
        assert len(np.unique(unit[(found == k) & label])) == 8
        assert len(np.unique(unit[(found == k) & ~label])) == 12
    assert not np.array_equal(found, folds(unit, label, 4))


def test_a_shift_and_a_correlation_are_found(rng):
    n = 400
    label, unit = np.arange(2 * n) >= n, np.arange(2 * n)
    x = rng.normal(size=(2 * n, 3))
    x[label, 1] += 1.0
    # Unit normal distributions, one sigma apart: Phi(1/sqrt(2)) = 0.760.
    assert area(cross_validated(x, label, unit, 1), label) == pytest.approx(0.76, abs=0.05)
    x = rng.normal(size=(2 * n, 2))
    x[label, 1] = 0.8 * x[label, 0] + 0.6 * x[label, 1]  # same single distributions
    assert area(cross_validated(x, label, unit, 1), label) > 0.6


def test_nothing_differs(rng):
    label, unit = np.arange(400) >= 200, np.arange(400)
    found = cross_validated(rng.normal(size=(400, 4)), label, unit, 1)
    assert 0.4 < area(found, label) < 0.6
    assert 0.0 < found.min() < found.max() < 1.0


def test_a_shower_is_not_learned_by_heart(rng):
    """Rows of one shower are alike: seen in training, they would give themselves away."""
    unit = np.repeat(np.arange(40), 20)
    x, label = rng.normal(size=(40, 3))[unit], unit >= 20
    assert area(cross_validated(x, label, unit, 1), label) < 0.75
    assert area(cross_validated(x, label, np.arange(800), 1), label) > 0.85


def test_what_is_missing_counts_and_scales_do_not(rng):
    n = 300
    label, unit = np.arange(2 * n) >= n, np.arange(2 * n)
    x = rng.normal(size=(2 * n, 2)) * [1e-6, 1e6]
    x[label & (rng.random(2 * n) < 0.6), 0] = np.nan
    assert area(cross_validated(x, label, unit, 1), label) == pytest.approx(0.8, abs=0.05)
    x[:, 1] = np.nan  # nothing known of a column
    assert area(cross_validated(x, label, unit, 1), label) == pytest.approx(0.8, abs=0.05)

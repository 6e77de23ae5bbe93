"""Layers for many rows at once, against numpy."""

import numpy as np
import pytest

from tashower.physics.compiled import compiled
from tashower.reconstruction.likelihood.layers import linear, transposed
from tashower.reconstruction.likelihood.tiles import LANES, SPARE

OLD = np.float32(7.0)
SPANS = [(0, 1), (0, LANES), (3, LANES + 3), (5, 2 * LANES + 4), (2, 20), (19, 40)]


@compiled
def through(layer, source, target, span, chosen):
    linear(layer, source, target, span, chosen)


@compiled
def back(weight, source, target, span, chosen):
    transposed(weight, source, target, span, chosen)


def matrices(n_targets, n_inputs, n_rows=40):
    """Weights, bias and rows of whole numbers: sums of them are exact in any order. What stands
    behind the rows is NaN.
    """
    rng = np.random.default_rng(n_targets + 100 * n_inputs)
    draw = lambda *shape: rng.integers(-9, 10, shape).astype(np.float32)  # noqa: E731
    rows = np.full((max(n_inputs, n_targets), n_rows + SPARE), np.nan, np.float32)
    rows[:, :n_rows] = draw(len(rows), n_rows)
    return draw(n_targets, n_inputs), draw(n_targets), rows


@pytest.mark.parametrize("span", SPANS)
@pytest.mark.parametrize(("n_inputs", "chosen"), [(6, (0, 48)), (48, (36, 74)), (5, (2, 4))])
def test_a_layer_is_the_product_and_the_bias(span, n_inputs, chosen):
    weight, bias, rows = matrices(74, n_inputs)
    target = np.full_like(rows, OLD)
    through((weight, bias), rows, target, span, chosen)
    expected = np.full_like(rows, OLD)
    inside = slice(*chosen), slice(*span)
    expected[inside] = (weight @ rows[:n_inputs] + bias[:, None])[inside]
    np.testing.assert_array_equal(target, expected)


@pytest.mark.parametrize("span", SPANS)
@pytest.mark.parametrize(("n_inputs", "chosen"), [(6, (0, 48)), (48, (36, 72)), (8, (72, 74))])
def test_back_through_a_layer_its_inputs_get_what_the_neurons_send(span, n_inputs, chosen):
    weight, _, rows = matrices(74, n_inputs)
    target = np.full_like(rows, OLD)
    back(weight, rows, target, span, chosen)
    expected = np.full_like(rows, OLD)
    of, inside = slice(*chosen), (slice(0, n_inputs), slice(*span))
    expected[inside] += weight[of].T @ rows[of][:, slice(*span)]
    np.testing.assert_array_equal(target, expected)


def test_nothing_comes_back_from_no_neurons():
    weight, _, rows = matrices(8, 6)
    target = np.full_like(rows, OLD)
    back(weight, rows, target, (0, 20), (0, 0))
    np.testing.assert_array_equal(target, OLD)


def test_the_last_rows_need_no_more_than_the_spare_columns():
    weight, bias, rows = matrices(4, 4, n_rows=1)
    assert rows.shape[1] == LANES
    target = np.full_like(rows, OLD)
    through((weight, bias), rows, target, (0, 1), (0, 4))
    np.testing.assert_array_equal(target[:, 0], weight @ rows[:4, 0] + bias)
    np.testing.assert_array_equal(target[:, 1:], OLD)

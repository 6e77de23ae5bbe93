"""Layers for many rows at once, against numpy."""

import numpy as np
import pytest
from likelihood.by_formula import random_density
from numba.core.errors import TypingError

from tashower.calibration.station_likelihood import DEFAULT, read_station_likelihood
from tashower.physics.compiled import compiled
from tashower.reconstruction.likelihood.density import Learned, compiled_density, rows_space
from tashower.reconstruction.likelihood.layers import linear, transposed
from tashower.reconstruction.likelihood.ratio import compiled_ratio
from tashower.reconstruction.likelihood.tiles import LANES, SPARE, _slowly

OLD = np.float32(7.0)
SPANS = [(4, 4), (0, 1), (0, LANES), (3, LANES + 3), (5, 2 * LANES + 4), (2, 20), (19, 40)]


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


def test_every_product_and_sum_is_rounded_for_itself_in_the_order_of_the_inputs(rng):
    weight, bias, rows = (
        rng.normal(size=shape).astype(np.float32) for shape in ((6, 48), 6, (48, 20 + SPARE))
    )
    target = np.zeros((6, 20 + SPARE), np.float32)
    through((weight, bias), rows, target, (0, 20), (0, 6))
    expected = np.repeat(bias[:, None], 20, axis=1)
    for i in range(48):
        expected = expected + weight[:, i, None] * rows[i, :20]
    np.testing.assert_array_equal(target[:, :20], expected)


def test_a_layer_without_inputs_is_its_bias():
    _, bias, rows = matrices(4, 4)
    target = np.full_like(rows, OLD)
    through((np.ones((4, 8), np.float32)[:, 8:].copy(), bias), rows, target, (0, 20), (0, 4))
    np.testing.assert_array_equal(target[:4, :20], np.repeat(bias[:, None], 20, axis=1))


@pytest.mark.parametrize("changed", ["precision", "order"])
def test_matrices_that_tiles_would_misread_are_refused(changed):
    weight, bias, rows = matrices(4, 4)
    source = rows.astype(float) if changed == "precision" else np.asfortranarray(rows)
    with pytest.raises(TypingError):
        through((weight, bias), source, rows.copy(), (0, 20), (0, 4))


@pytest.mark.parametrize("swapped", [False, True])
def test_without_a_compiler_numpy_adds_the_same(swapped):
    weight, _, rows = matrices(8, 6)
    target = np.full_like(rows, OLD)
    _slowly(2, swapped)(weight, rows, target, (2, 3, 20), (1, 5))
    of = weight[1:5, 2:4].T if swapped else weight[2:4, 1:5]
    expected = np.full_like(rows, OLD)
    expected[2:4, 3 : 3 + LANES] += of @ rows[1:5, 3 : 3 + LANES]
    np.testing.assert_array_equal(target, expected)


def test_work_space_has_the_spare_columns():
    ratio = compiled_ratio(read_station_likelihood(DEFAULT).ratio)
    space = rows_space(Learned(compiled_density(random_density()), ratio), 3)
    taken = (space.inputs, space.hidden_1, space.hidden_2, space.outputs)
    taken += (space.ratio.inputs, space.ratio.hidden_1, space.ratio.hidden_2)
    assert {array.shape[1] for array in taken} == {3 + SPARE}

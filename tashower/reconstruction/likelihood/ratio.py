"""ln of what the shape of a waveform adds to the density of its leading edge and signal, for many
rows at once, and its derivatives. Compiled.
"""

from typing import NamedTuple

import numpy as np

from tashower.calibration.station_likelihood import LARGEST_RATIO, SEEN_RANGE, Ratio
from tashower.physics.compiled import compiled, inner
from tashower.reconstruction.likelihood.layers import activate, linear, transposed
from tashower.reconstruction.likelihood.tiles import SPARE

#: Inputs beside the five conditions: reduced time and ln(signal/expected signal), halved.
_TIME, _SIGNAL, _INPUTS = 5, 6, 8
_ZERO, _HALF = np.float32(0.0), np.float32(0.5)
_LEAST, _MOST = np.array(SEEN_RANGE, np.float32)
_LARGEST = np.float32(LARGEST_RATIO)
_ONE = np.float32(1.0)


class CompiledRatio(NamedTuple):
    """A `Ratio` behind its encoder, in single precision; of no neurons where none is used."""

    weight_1: np.ndarray  #: (h, 8)
    weight_2: np.ndarray  #: (h, h)
    bias_2: np.ndarray  #: (h,)
    weight_3: np.ndarray  #: (h,)
    nothing: np.ndarray  #: (h,) zeros


class RatioRows(NamedTuple):
    """Work space for n rows; h hidden neurons."""

    inputs: np.ndarray  #: (8, n + SPARE), then the derivatives by them
    hidden_1: np.ndarray  #: (h, n + SPARE)
    hidden_2: np.ndarray  #: (h, n + SPARE)
    slope_1: np.ndarray  #: (h, n)
    slope_2: np.ndarray  #: (h, n)
    value: np.ndarray  #: (n,)


def compiled_ratio(ratio: Ratio | None) -> CompiledRatio:
    """A `Ratio` as the loops take it; None: one that adds nothing."""
    if ratio is None:
        none, square = np.zeros(0, np.float32), np.zeros((0, 0), np.float32)
        return CompiledRatio(np.zeros((0, _INPUTS), np.float32), square, none, none, none)
    padded = np.zeros((len(ratio.bias_2), _INPUTS), np.float32)
    padded[:, :7] = ratio.weight_1
    columns = ratio.weight_2, ratio.bias_2, ratio.weight_3, np.zeros(len(padded))
    return CompiledRatio(padded, *(np.ascontiguousarray(c, dtype=np.float32) for c in columns))


def codes(ratio: Ratio, shapes: np.ndarray) -> np.ndarray:
    """(n_hits, h) float32 that stand for the shapes (n_hits, N_SHAPE) of waveforms: what they add
    to the first layer of the ratio.
    """
    x = ((shapes - ratio.mean) / ratio.width) @ ratio.shape_1.T + ratio.shape_bias_1
    x = x / np.sqrt(1.0 + x * x)
    return np.ascontiguousarray(x @ ratio.shape_2.T + ratio.shape_bias_2, dtype=np.float32)


@compiled
def ratio_space(ratio, n):
    """A new `RatioRows`; what layers take has spare columns (`tiles.SPARE`)."""
    h, wide = len(ratio.bias_2), n + SPARE
    return RatioRows(
        np.zeros((_INPUTS, wide), np.float32),
        np.zeros((h, wide), np.float32),
        np.zeros((h, wide), np.float32),
        np.zeros((h, n), np.float32),
        np.zeros((h, n), np.float32),
        np.zeros(n, np.float32),
    )


@inner
def is_used(ratio, seen, block):
    """Whether the shapes of waveforms count: not in a first climb, in which densities are wider."""
    return len(ratio.bias_2) > 0 and seen.code.shape[1] > 0 and block.soft == 0.0


@inner(inline=False)
def log_ratio(ratio, rows, reduced, seen, block, sloped):
    """ln of the ratio of the rows of a block into `rows.value`; with `sloped`, its derivatives by
    the reduced conditions, u and v into `rows.inputs`.

    rows : `RatioRows`; reduced : ((6, n) of which five are reduced conditions, (n,) u, (n,) v)
    """
    begin, end = span = block.begin, block.end
    hidden = (0, len(ratio.bias_2))
    conditions, u, v = reduced
    inputs, first, second, value = rows.inputs, rows.hidden_1, rows.hidden_2, rows.value
    for i in range(_TIME):
        for k in range(begin, end):
            inputs[i, k] = conditions[i, k]
    for k in range(begin, end):
        inputs[_TIME, k] = _HALF * min(max(u[k], _LEAST), _MOST)
        inputs[_SIGNAL, k] = _HALF * min(max(v[k], _LEAST), _MOST)
        inputs[_SIGNAL + 1, k] = _ZERO
    if block.station >= 0:
        linear((ratio.weight_1, seen.code[block.station]), inputs, first, span, hidden)
    else:
        linear((ratio.weight_1, ratio.nothing), inputs, first, span, hidden)
        for j in range(hidden[1]):
            for k in range(begin, end):
                first[j, k] += seen.code[k, j]
    activate(first, rows.slope_1, span, sloped)
    linear((ratio.weight_2, ratio.bias_2), first, second, span, hidden)
    activate(second, rows.slope_2, span, sloped)
    for k in range(begin, end):
        value[k] = _ZERO
    for j in range(hidden[1]):
        weight, row = ratio.weight_3[j], second[j]
        for k in range(begin, end):
            value[k] += weight * row[k]
    if sloped:
        _backwards(ratio, rows, (u, v), span)
    for k in range(begin, end):
        x = value[k] / _LARGEST
        value[k] = value[k] / np.sqrt(_ONE + x * x)


@inner(inline=False)
def _backwards(ratio, rows, seen, span):
    """Derivatives of the bounded value by the inputs, in their place."""
    begin, end = span
    hidden = (0, len(ratio.bias_2))
    u, v = seen
    inputs, first, second = rows.inputs, rows.hidden_1, rows.hidden_2
    for j in range(hidden[1]):
        weight = ratio.weight_3[j]
        for k in range(begin, end):
            x = rows.value[k] / _LARGEST
            inverse = _ONE / np.sqrt(_ONE + x * x)
            second[j, k] = weight * rows.slope_2[j, k] * (inverse * inverse * inverse)
            first[j, k] = _ZERO
    transposed(ratio.weight_2, second, first, span, hidden)
    for j in range(hidden[1]):
        for k in range(begin, end):
            first[j, k] *= rows.slope_1[j, k]
    for i in range(_INPUTS):
        for k in range(begin, end):
            inputs[i, k] = _ZERO
    transposed(ratio.weight_1, first, inputs, span, hidden)
    for k in range(begin, end):
        inputs[_TIME, k] *= _HALF if _LEAST < u[k] < _MOST else _ZERO
        inputs[_SIGNAL, k] *= _HALF if _LEAST < v[k] < _MOST else _ZERO

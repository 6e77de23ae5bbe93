"""Layers of a small network, in single precision, for many rows at once: rows stand next to each
other in memory, so that what is done to them becomes vector instructions. Compiled.
"""

import math

import numpy as np

from tashower.physics.compiled import inner
from tashower.reconstruction.likelihood.tiles import (
    LANES,
    four_columns,
    four_rows,
    two_columns,
    two_rows,
)

# Single precision, so that loops stay in it; the last five are of the exponential.
_ONE, _HALF, _TO_2, _LEAST, _MOST = np.array(
    [1.0, 0.5, 1.0 / math.log(2.0), -80.0, 80.0], np.float32
)
_HIGH_LOG_2 = np.float32(0.693359375)
_LOW_LOG_2 = np.float32(math.log(2.0) - 0.693359375)
_P2, _P3, _P4, _P5, _P6 = np.array([1 / 2, 1 / 6, 1 / 24, 1 / 120, 1 / 720], np.float32)


@inner(inline=False)
def exponentials(values, bits, powers, begin, end):
    """exp of values[begin:end] (float32, kept within +-80), in place, to 3 parts in 10^7.

    exp x = 2^k exp r, |r| <= ln(2)/2: the power of two is written into the bits of a number, the
    rest is Taylor's series. bits, powers : the same memory as int32 and float32.
    """
    # Loops from 0 become vector instructions, others ask of every index whether it is negative.
    values, bits, powers = values[begin:end], bits[begin:end], powers[begin:end]
    for k in range(len(values)):
        x = min(max(values[k], _LEAST), _MOST)
        whole = np.floor(x * _TO_2 + _HALF)
        bits[k] = (np.int32(whole) + np.int32(127)) << np.int32(23)
        r = (x - whole * _HIGH_LOG_2) - whole * _LOW_LOG_2
        values[k] = _ONE + r * (_ONE + r * (_P2 + r * (_P3 + r * (_P4 + r * (_P5 + r * _P6)))))
    for k in range(len(values)):
        values[k] *= powers[k]


@inner(inline=False)
def linear(layer, source, target, span, chosen):
    """target = weight source + bias for the neurons chosen[0] to chosen[1], whose number is even,
    and the rows of a span; layer : (weight, bias).

    source and target have `tiles.SPARE` columns more than rows.
    """
    weight, bias = layer
    begin, end = span
    first, last = chosen
    for j in range(first, last):
        row, start = target[j, begin:end], bias[j]
        for k in range(len(row)):
            row[k] = start
    fours, summed = first + 4 * ((last - first) // 4), (0, weight.shape[1])
    for k in range(begin, end, LANES):
        for j in range(first, fours, 4):
            four_rows(weight, source, target, (j, k, end - k), summed)
        for j in range(fours, last, 2):
            two_rows(weight, source, target, (j, k, end - k), summed)


@inner(inline=False)
def transposed(weight, source, target, span, chosen):
    """target += weight^T source, over the neurons chosen[0] to chosen[1] of the source, for inputs
    whose number is even.

    source and target have `tiles.SPARE` columns more than rows.
    """
    begin, end = span
    n_inputs = weight.shape[1]
    fours = 4 * (n_inputs // 4)
    for k in range(begin, end, LANES):
        for i in range(0, fours, 4):
            four_columns(weight, source, target, (i, k, end - k), chosen)
        for i in range(fours, n_inputs, 2):
            two_columns(weight, source, target, (i, k, end - k), chosen)


@inner(inline=False)
def activate(values, slopes, span, sloped):
    """x/sqrt(1 + x^2) in place; slopes: its derivative, (1 + x^2)^-3/2, where `sloped`."""
    begin, end = span
    for j in range(values.shape[0]):
        row, slope = values[j, begin:end], slopes[j, begin:end]
        if sloped:
            for k in range(len(row)):
                inverse = _ONE / np.sqrt(_ONE + row[k] * row[k])
                row[k] *= inverse
                slope[k] = inverse * inverse * inverse
        else:
            for k in range(len(row)):
                row[k] *= _ONE / np.sqrt(_ONE + row[k] * row[k])

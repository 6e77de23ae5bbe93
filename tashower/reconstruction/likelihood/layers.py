"""Layers of a small network, in single precision, for many rows at once: rows stand next to each
other in memory, so that the loops over them become vector instructions. Compiled.
"""

import math

import numpy as np

from tashower.physics.compiled import inner

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
    and the rows of a span, two neurons and four inputs at a time; layer : (weight, bias).
    """
    weight, bias = layer
    begin, end = span
    for j in range(chosen[0], chosen[1], 2):
        row, other = target[j, begin:end], target[j + 1, begin:end]
        start, other_start = bias[j], bias[j + 1]
        for k in range(len(row)):
            row[k] = start
            other[k] = other_start
        for i in range(0, weight.shape[1], 4):
            w0, w1, w2, w3 = weight[j, i], weight[j, i + 1], weight[j, i + 2], weight[j, i + 3]
            v0, v1, v2 = weight[j + 1, i], weight[j + 1, i + 1], weight[j + 1, i + 2]
            v3 = weight[j + 1, i + 3]
            s0, s1 = source[i, begin:end], source[i + 1, begin:end]
            s2, s3 = source[i + 2, begin:end], source[i + 3, begin:end]
            for k in range(len(row)):
                x0, x1, x2, x3 = s0[k], s1[k], s2[k], s3[k]
                row[k] += (w0 * x0 + w1 * x1) + (w2 * x2 + w3 * x3)
                other[k] += (v0 * x0 + v1 * x1) + (v2 * x2 + v3 * x3)


@inner(inline=False)
def transposed(weight, source, target, span, chosen):
    """target += weight^T source, over the neurons chosen[0] to chosen[1] of the source, whose
    number is even, for two inputs and four neurons at a time, and two of those at the end.
    """
    begin, end = span
    first, last = chosen
    fours = first + 4 * ((last - first) // 4)
    for i in range(0, weight.shape[1], 2):
        row, other = target[i, begin:end], target[i + 1, begin:end]
        for j in range(first, fours, 4):
            w0, w1, w2, w3 = weight[j, i], weight[j + 1, i], weight[j + 2, i], weight[j + 3, i]
            v0, v1, v2 = weight[j, i + 1], weight[j + 1, i + 1], weight[j + 2, i + 1]
            v3 = weight[j + 3, i + 1]
            s0, s1 = source[j, begin:end], source[j + 1, begin:end]
            s2, s3 = source[j + 2, begin:end], source[j + 3, begin:end]
            for k in range(len(row)):
                x0, x1, x2, x3 = s0[k], s1[k], s2[k], s3[k]
                row[k] += (w0 * x0 + w1 * x1) + (w2 * x2 + w3 * x3)
                other[k] += (v0 * x0 + v1 * x1) + (v2 * x2 + v3 * x3)
        for j in range(fours, last, 2):
            w0, w1, v0, v1 = weight[j, i], weight[j + 1, i], weight[j, i + 1], weight[j + 1, i + 1]
            s0, s1 = source[j, begin:end], source[j + 1, begin:end]
            for k in range(len(row)):
                x0, x1 = s0[k], s1[k]
                row[k] += w0 * x0 + w1 * x1
                other[k] += v0 * x0 + v1 * x1


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

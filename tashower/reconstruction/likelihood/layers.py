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
    for k in range(begin, end):
        x = min(max(values[k], _LEAST), _MOST)
        whole = np.floor(x * _TO_2 + _HALF)
        bits[k] = (np.int32(whole) + np.int32(127)) << np.int32(23)
        r = (x - whole * _HIGH_LOG_2) - whole * _LOW_LOG_2
        values[k] = _ONE + r * (_ONE + r * (_P2 + r * (_P3 + r * (_P4 + r * (_P5 + r * _P6)))))
    for k in range(begin, end):
        values[k] *= powers[k]


@inner(inline=False)
def linear(layer, source, target, span, chosen):
    """target = weight source + bias for the neurons chosen[0] to chosen[1] and the rows of a span,
    four inputs at a time; layer : (weight, bias).
    """
    weight, bias = layer
    begin, end = span
    for j in range(chosen[0], chosen[1]):
        row = target[j, begin:end]
        start = bias[j]
        for k in range(len(row)):
            row[k] = start
        for i in range(0, weight.shape[1], 4):
            w0, w1, w2, w3 = weight[j, i], weight[j, i + 1], weight[j, i + 2], weight[j, i + 3]
            s0, s1 = source[i, begin:end], source[i + 1, begin:end]
            s2, s3 = source[i + 2, begin:end], source[i + 3, begin:end]
            for k in range(len(row)):
                row[k] += (w0 * s0[k] + w1 * s1[k]) + (w2 * s2[k] + w3 * s3[k])


@inner(inline=False)
def transposed(weight, source, target, span, chosen):
    """target += weight^T source, over the neurons chosen[0] to chosen[1] of the source, two at a
    time.
    """
    begin, end = span
    for i in range(weight.shape[1]):
        row = target[i, begin:end]
        for j in range(chosen[0], chosen[1], 2):
            w0, w1 = weight[j, i], weight[j + 1, i]
            s0, s1 = source[j, begin:end], source[j + 1, begin:end]
            for k in range(len(row)):
                row[k] += w0 * s0[k] + w1 * s1[k]


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

"""ln of what a station's mixture density says of it, for many rows at once, and its derivatives.
Compiled.

A row is a station under one hypothesis of the shower. Rows stand next to each other in memory, so
that the loops over them become vector instructions.
"""

import math
from typing import NamedTuple

import numpy as np

from tashower.physics.compiled import compiled, inner
from tashower.physics.shower_front import FRONT_ONSET, thickness_shape
from tashower.physics.constants import FRONT_SCALE
from tashower.physics.station import THICKNESS_PART, TIME_SCALE

#: What a row is: nothing was seen, a hit, a hit with a saturated signal.
SILENT, HIT, SATURATED = 0, 1, 2
#: Probability that a station says nothing of the shower although much is expected, silent or hit at
#: any time: keeps one station from deciding (choice).
STRAY = 1e-3
_LARGEST_RATE = 8.0  # ln of the rate beyond which a hit is certain
_LOG_2PI = math.log(2.0 * math.pi)
N_CONDITIONS = 5


class Seen(NamedTuple):
    """What was seen in the stations of the rows."""

    kind: np.ndarray  #: (m,) int32
    time: np.ndarray  #: (m,) [ns]; of hits
    log_signal: np.ndarray  #: (m,) ln(signal/VEM); of hits
    log_background: np.ndarray  #: (m,) ln of the density of hits without a shower


class Rows(NamedTuple):
    """Work space for n rows."""

    conditions: np.ndarray  #: (5, n)
    delay: np.ndarray  #: (n,) behind the plane front [ns]
    inputs: np.ndarray  #: (8, n)
    hidden_1: np.ndarray  #: (h, n)
    hidden_2: np.ndarray  #: (h, n)
    slope_1: np.ndarray  #: (h, n)
    slope_2: np.ndarray  #: (h, n)
    outputs: np.ndarray  #: (12 K + 2, n)
    result: np.ndarray  #: (n,)
    by: np.ndarray  #: (6, n), derivatives by the conditions and the delay
    parts: np.ndarray  #: (8, K) of one row


@compiled
def rows_space(density, n):
    """A new `Rows`."""
    h, o = len(density.bias_1), len(density.bias_3)
    return Rows(
        np.zeros((N_CONDITIONS, n)),
        np.zeros(n),
        np.zeros((8, n)),
        np.zeros((h, n)),
        np.zeros((h, n)),
        np.zeros((h, n)),
        np.zeros((h, n)),
        np.zeros((o, n)),
        np.zeros(n),
        np.zeros((6, n)),
        np.zeros((8, (o - 2) // 12)),
    )


@inner(inline=False)
def _linear(weight, bias, source, target, n, begin, end):
    """target[begin:end, :n] = (weight source + bias)[begin:end], four inputs at a time."""
    for j in range(begin, end):
        row = target[j]
        start = bias[j]
        for k in range(n):
            row[k] = start
        for i in range(0, weight.shape[1], 4):
            w0, w1, w2, w3 = weight[j, i], weight[j, i + 1], weight[j, i + 2], weight[j, i + 3]
            s0, s1, s2, s3 = source[i], source[i + 1], source[i + 2], source[i + 3]
            for k in range(n):
                row[k] += (w0 * s0[k] + w1 * s1[k]) + (w2 * s2[k] + w3 * s3[k])


@inner(inline=False)
def _transposed(weight, source, target, n):
    """target[:, :n] = weight^T source."""
    for i in range(weight.shape[1]):
        row = target[i]
        for k in range(n):
            row[k] = 0.0
        for j in range(weight.shape[0]):
            w, s = weight[j, i], source[j]
            for k in range(n):
                row[k] += w * s[k]


@inner(inline=False)
def _activate(values, slopes, n, sloped):
    """x/sqrt(1 + x^2) in place; slopes: its derivative, (1 + x^2)^-3/2, where `sloped`."""
    for j in range(values.shape[0]):
        row, slope = values[j], slopes[j]
        if sloped:
            for k in range(n):
                inverse = 1.0 / math.sqrt(1.0 + row[k] * row[k])
                row[k] *= inverse
                slope[k] = inverse * inverse * inverse
        else:
            for k in range(n):
                row[k] *= 1.0 / math.sqrt(1.0 + row[k] * row[k])


@inner(inline=False)
def _outputs(density, rows, n, kind, sloped):
    """The network's outputs for the conditions of the first n rows; kind : of all rows, -1: any."""
    hidden = len(density.bias_1)
    for i in range(N_CONDITIONS):
        low, high = density.low[i], density.high[i]
        mean, inverse = density.mean[i], 1.0 / density.width[i]
        source, target = rows.conditions[i], rows.inputs[i]
        for k in range(n):
            target[k] = (min(max(source[k], low), high) - mean) * inverse
    _linear(density.weight_1, density.bias_1, rows.inputs, rows.hidden_1, n, 0, hidden)
    _activate(rows.hidden_1, rows.slope_1, n, sloped)
    _linear(density.weight_2, density.bias_2, rows.hidden_1, rows.hidden_2, n, 0, hidden)
    _activate(rows.hidden_2, rows.slope_2, n, sloped)
    # Of rows of one kind only what that kind needs.
    last, half = rows.outputs.shape[0], (rows.outputs.shape[0] - 2) // 2
    weight, bias, hidden_2, outputs = (
        density.weight_3,
        density.bias_3,
        rows.hidden_2,
        rows.outputs,
    )
    if kind < 0 or kind == HIT:
        _linear(weight, bias, hidden_2, outputs, n, 0, half)
    if kind < 0 or kind == SATURATED:
        _linear(weight, bias, hidden_2, outputs, n, half, 2 * half)
    _linear(weight, bias, hidden_2, outputs, n, last - 2, last)


@inner(inline=False)
def _row_of_hit(rows, k, seen, i, soft, sloped):
    """ln of the density of the hit of station i in row k; with `sloped`, derivatives by the outputs
    in their place, and by the conditions and the delay, as far as they do not go through the
    network, in `rows.by`. soft : ln of the factor by which all parts are wider.
    """
    out, by, parts = rows.outputs, rows.by, rows.parts
    n_parts = parts.shape[1]
    saturated = seen.kind[i] == SATURATED
    # Where the parts of this kind of hit begin, and those of the other.
    here, other = (6 * n_parts, 0) if saturated else (0, 6 * n_parts)
    flags = 12 * n_parts
    log_signal, log_scale, log_r = (
        rows.conditions[0, k],
        rows.conditions[2, k],
        rows.conditions[4, k],
    )
    y = math.exp(log_r) / FRONT_SCALE
    width = thickness_shape(y * FRONT_SCALE) * math.exp(log_scale)
    part = THICKNESS_PART * width
    h = math.sqrt(TIME_SCALE * TIME_SCALE + part * part)
    x = (rows.delay[k] - FRONT_ONSET * width) / h
    root2 = 1.0 + x * x
    root = math.sqrt(root2)
    u = math.copysign(math.log(abs(x) + root), x)
    v = seen.log_signal[i] - log_signal
    # The network's mixture.
    largest, largest_weight = -1e300, -1e300
    for m in range(n_parts):
        largest_weight = max(largest_weight, out[here + m, k])
    total_weight = 0.0
    for m in range(n_parts):
        parts[7, m] = math.exp(out[here + m, k] - largest_weight)
        total_weight += parts[7, m]
    norm = largest_weight + math.log(total_weight) + _LOG_2PI
    for m in range(n_parts):
        at = here + m
        log_s, log_q = out[at + 3 * n_parts, k] + soft, out[at + 4 * n_parts, k] + soft
        inverse_u, inverse_v = math.exp(-log_s), math.exp(-log_q)
        a = (u - out[at + n_parts, k]) * inverse_u
        z = (v - out[at + 2 * n_parts, k]) * inverse_v
        b = z - out[at + 5 * n_parts, k] * a
        term = out[at, k] - norm - 0.5 * (a * a + b * b) - log_s - log_q
        parts[0, m], parts[1, m], parts[2, m], parts[3, m] = a, b, z, term
        parts[4, m], parts[5, m] = inverse_u, inverse_v
        largest = max(largest, term)
    total = 0.0
    for m in range(n_parts):
        parts[6, m] = math.exp(parts[3, m] - largest)
        total += parts[6, m]
    log_mixture = largest + math.log(total)
    log_rate = min(log_signal + out[flags, k], _LARGEST_RATE)
    rate = math.exp(log_rate)
    none = math.exp(-rate)
    some = -math.expm1(-rate)
    saturation = out[flags + 1, k]
    unlikely = math.exp(-abs(saturation))
    log_likely = math.log1p(unlikely)  # of the likelier side; the other has |saturation| beside
    p_saturated = (1.0 if saturation > 0.0 else unlikely) / (1.0 + unlikely)
    if saturated:
        log_flag = -log_likely + min(saturation, 0.0)
        by_flag = 1.0 - p_saturated
    else:
        log_flag = -log_likely - max(saturation, 0.0)
        by_flag = -p_saturated
    of_shower = math.log(some) + log_mixture + log_flag - math.log(h * root)
    of_stray = seen.log_background[i] + math.log(none + STRAY)
    high = max(of_shower, of_stray)
    both = high + math.log(math.exp(of_shower - high) + math.exp(of_stray - high))
    if not sloped:
        return both
    trust = math.exp(of_shower - both)
    by_u = by_v = 0.0
    for m in range(n_parts):
        at = here + m
        chosen = trust * parts[6, m] / total
        a, b, z, inverse_u, inverse_v = (
            parts[0, m],
            parts[1, m],
            parts[2, m],
            parts[4, m],
            parts[5, m],
        )
        by_a = b * out[at + 5 * n_parts, k] - a
        out[at, k] = chosen - trust * parts[7, m] / total_weight
        out[at + n_parts, k] = -chosen * by_a * inverse_u
        out[at + 2 * n_parts, k] = chosen * b * inverse_v
        out[at + 3 * n_parts, k] = chosen * (-a * by_a - 1.0)
        out[at + 4 * n_parts, k] = chosen * (b * z - 1.0)
        out[at + 5 * n_parts, k] = chosen * b * a
        by_u += chosen * by_a * inverse_u
        by_v -= chosen * b * inverse_v
    for j in range(6 * n_parts):
        out[other + j, k] = 0.0
    by_rate = trust * rate * none / some - (1.0 - trust) * rate * none / (none + STRAY)
    if log_rate >= _LARGEST_RATE:
        by_rate = 0.0
    out[flags, k] = by_rate
    out[flags + 1, k] = trust * by_flag
    h_by_w = THICKNESS_PART * part / h
    x_by_w = -FRONT_ONSET / h - x * h_by_w / h
    u_by_x = 1.0 / root
    by_x = by_u * u_by_x - trust * x / root2
    by_w = by_x * x_by_w - trust * h_by_w / h
    by[0, k] = by_rate - by_v
    by[2, k] = by_w * width
    by[4, k] = by_w * width * 1.5 * y / (1.0 + y)
    by[5, k] = by_x / h
    return both


@inner(inline=False)
def _row_of_silence(rows, k, sloped):
    """ln P(no hit) of row k; derivatives as `_row_of_hit`."""
    out, by = rows.outputs, rows.by
    at = out.shape[0] - 2
    log_rate = min(rows.conditions[0, k] + out[at, k], _LARGEST_RATE)
    rate = math.exp(log_rate)
    none = math.exp(-rate)
    if sloped:
        for j in range(out.shape[0]):
            out[j, k] = 0.0
        slope = -rate * none / (none + STRAY) if log_rate < _LARGEST_RATE else 0.0
        out[at, k] = by[0, k] = slope
        by[2, k] = by[4, k] = by[5, k] = 0.0
    return math.log(none + STRAY)


@inner(inline=False)
def log_density(density, rows, seen, station, n, soft, sloped):
    """ln of the density of what was seen, for n rows, into `rows.result`: of signal (ln) and time
    [ns] of a hit, or the probability of silence.

    rows : `Rows`, conditions and delays are given
    station : which station of `seen` all rows are of; -1: row k is of station k
    soft : ln of the factor by which the parts of the mixture are wider; 0: the density itself
    sloped : derivatives by conditions and delay, too, into `rows.by`
    """
    _outputs(density, rows, n, -1 if station < 0 else seen.kind[station], sloped)
    for k in range(n):
        i = k if station < 0 else station
        if seen.kind[i] == SILENT:
            rows.result[k] = _row_of_silence(rows, k, sloped)
        else:
            rows.result[k] = _row_of_hit(rows, k, seen, i, soft, sloped)
    if not sloped:
        return
    _transposed(density.weight_3, rows.outputs, rows.hidden_2, n)
    for j in range(rows.hidden_2.shape[0]):
        for k in range(n):
            rows.hidden_2[j, k] *= rows.slope_2[j, k]
    _transposed(density.weight_2, rows.hidden_2, rows.hidden_1, n)
    for j in range(rows.hidden_1.shape[0]):
        for k in range(n):
            rows.hidden_1[j, k] *= rows.slope_1[j, k]
    _transposed(density.weight_1, rows.hidden_1, rows.inputs, n)
    for i in range(N_CONDITIONS):
        low, high, inverse = density.low[i], density.high[i], 1.0 / density.width[i]
        for k in range(n):
            inside = low < rows.conditions[i, k] < high
            through = rows.inputs[i, k] * inverse if inside else 0.0
            direct = rows.by[i, k] if i != 1 and i != 3 else 0.0
            rows.by[i, k] = direct + through

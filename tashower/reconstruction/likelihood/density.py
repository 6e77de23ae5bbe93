"""ln of what a station's mixture density says of it, for many rows at once, and its derivatives.
Compiled.

A row is a station under one hypothesis of the shower. Rows stand next to each other in memory, so
that the loops over them become vector instructions; the network is evaluated in single precision.
"""

import math
from typing import NamedTuple

import numpy as np

from tashower.calibration.station_likelihood import Density
from tashower.physics.compiled import compiled, inner
from tashower.physics.station import reduced_time, reduced_time_derivatives
from tashower.reconstruction.likelihood.layers import activate, exponentials, linear, transposed
from tashower.reconstruction.likelihood.ratio import (
    CompiledRatio,
    RatioRows,
    is_used,
    log_ratio,
    ratio_space,
)
from tashower.reconstruction.likelihood.tiles import SPARE

#: What a row is: a hit, a hit with a saturated signal, nothing.
HIT, SATURATED, SILENT = 0, 1, 2
#: Probability that a station says nothing of the shower although much is expected, silent or hit at
#: any time: keeps one station from deciding (choice).
STRAY = 1e-3
_LARGEST_RATE = 8.0  # ln of the rate beyond which a hit is certain
_LOG_2PI = math.log(2.0 * math.pi)
_CERTAIN = 25.0  # ln of the odds beyond which a hit is the shower's
N_CONDITIONS = 5
_INPUTS = 6  # one of zeros: tiles take them in pairs
# Single precision, so that loops stay in it.
_ZERO, _HALF = np.float32(0.0), np.float32(0.5)


class Seen(NamedTuple):
    """What was seen in the stations of the rows."""

    time: np.ndarray  #: (m,) [ns]; of hits
    log_signal: np.ndarray  #: (m,) ln(signal/VEM); of hits
    log_background: np.ndarray  #: (m,) ln of the density of hits without a shower
    code: np.ndarray  #: (m, h) of the waveforms' shapes (`ratio.codes`); (m, 0): they do not count


class Learned(NamedTuple):
    """What was learned from stations, as the loops take it."""

    density: Density
    ratio: CompiledRatio


class Block(NamedTuple):
    """Rows that are evaluated together."""

    begin: int
    end: int
    kind: int  #: HIT, SATURATED or SILENT
    station: int  #: which of `Seen` all rows are of; -1: row k is of station k
    #: ln of the factor by which the parts of the mixture are wider in time, and in the signal; 0:
    #: the density itself
    soft: float
    soft_signal: float


class Rows(NamedTuple):
    """Work space for n rows; K parts, h hidden neurons."""

    conditions: np.ndarray  #: (5, n)
    delay: np.ndarray  #: (n,) behind the plane front [ns]
    result: np.ndarray  #: (n,)
    by: np.ndarray  #: (6, n), derivatives by the conditions and the delay
    inputs: np.ndarray  #: (6, n + SPARE), the conditions and one of zeros
    hidden_1: np.ndarray  #: (h, n + SPARE)
    hidden_2: np.ndarray  #: (h, n + SPARE)
    slope_1: np.ndarray  #: (h, n)
    slope_2: np.ndarray  #: (h, n)
    outputs: np.ndarray  #: (12 K + 2, n + SPARE)
    terms: np.ndarray  #: (5, K, n): a, b, 1/s, 1/q, ln of a part and then the part
    weights: np.ndarray  #: (K, n)
    sums: np.ndarray  #: (5, n): u, v, the largest term, sum of parts, sum of weights
    bits: np.ndarray  #: (n,) int32
    powers: np.ndarray  #: (n,) the same memory as float32
    ratio: RatioRows


def compiled_density(density: Density) -> Density:
    """A `Density` as the loops take it: single precision, inputs padded to six."""
    columns = density._asdict()
    padded = np.zeros((len(density.bias_1), _INPUTS))
    padded[:, :N_CONDITIONS] = density.weight_1
    columns["weight_1"] = padded
    for name in ("weight_1", "bias_1", "weight_2", "bias_2", "weight_3", "bias_3"):
        columns[name] = np.ascontiguousarray(columns[name], dtype=np.float32)
    return Density(**columns)


@compiled
def rows_space(learned, n):
    """A new `Rows`; what layers take has spare columns (`tiles.SPARE`)."""
    density = learned.density
    h, o = len(density.bias_1), len(density.bias_3)
    parts = (o - 2) // 12
    wide = n + SPARE
    bits = np.zeros(n, np.int32)
    return Rows(
        np.zeros((N_CONDITIONS, n)),
        np.zeros(n),
        np.zeros(n),
        np.zeros((6, n)),
        np.zeros((_INPUTS, wide), np.float32),
        np.zeros((h, wide), np.float32),
        np.zeros((h, wide), np.float32),
        np.zeros((h, n), np.float32),
        np.zeros((h, n), np.float32),
        np.zeros((o, wide), np.float32),
        np.zeros((5, parts, n), np.float32),
        np.zeros((parts, n), np.float32),
        np.zeros((5, n), np.float32),
        bits,
        bits.view(np.float32),
        ratio_space(learned.ratio, n),
    )


@inner
def _chosen_outputs(density, kind):
    """(first, behind the last) of the outputs of the mixture that this kind of row needs."""
    half = (len(density.bias_3) - 2) // 2
    if kind == HIT:
        return 0, half
    return (half, 2 * half) if kind == SATURATED else (0, 0)


@inner(inline=False)
def _hidden(density, rows, span, sloped):
    """The network's hidden layers for the conditions of the rows of a span."""
    begin, end = span
    hidden = (0, len(density.bias_1))
    for i in range(N_CONDITIONS):
        low, high = density.low[i], density.high[i]
        mean, inverse = density.mean[i], 1.0 / density.width[i]
        source, target = rows.conditions[i, begin:end], rows.inputs[i, begin:end]
        for k in range(len(source)):
            target[k] = np.float32((min(max(source[k], low), high) - mean) * inverse)
    for i in range(N_CONDITIONS, rows.inputs.shape[0]):
        target = rows.inputs[i, begin:end]
        for k in range(len(target)):
            target[k] = _ZERO
    linear((density.weight_1, density.bias_1), rows.inputs, rows.hidden_1, span, hidden)
    activate(rows.hidden_1, rows.slope_1, span, sloped)
    linear((density.weight_2, density.bias_2), rows.hidden_1, rows.hidden_2, span, hidden)
    activate(rows.hidden_2, rows.slope_2, span, sloped)


@inner(inline=False)
def _outputs(density, rows, block):
    """The network's outputs for the rows of a block, as far as their kind needs them."""
    span, last = (block.begin, block.end), len(density.bias_3)
    layer = density.weight_3, density.bias_3
    linear(layer, rows.hidden_2, rows.outputs, span, _chosen_outputs(density, block.kind))
    linear(layer, rows.hidden_2, rows.outputs, span, (last - 2, last))


@inner(inline=False)
def _reduced(value, middle, width, targets, rows):
    """1/width and (value - middle)/width into two targets; width : (its ln, softening)."""
    log_width, soft = width
    inverse, off = targets
    n = len(value)
    for k in range(n):
        inverse[k] = -log_width[k] - soft
    exponentials(inverse, rows.bits, rows.powers, 0, n)
    for k in range(n):
        off[k] = (value[k] - middle[k]) * inverse[k]


@inner(inline=False)
def _mixture(rows, block, first):
    """Parts of the mixture of hits: `rows.terms`, `rows.weights` and `rows.sums` from u and v in
    `rows.sums`; first : first of the outputs.
    """
    begin, end = block.begin, block.end
    out, terms = rows.outputs[first:, begin:end], rows.terms[:, :, begin:end]
    weights, sums = rows.weights[:, begin:end], rows.sums[:, begin:end]
    n, n_parts = end - begin, terms.shape[1]
    u, v, largest, total, total_weight = sums[0], sums[1], sums[2], sums[3], sums[4]
    soft, soft_signal = np.float32(block.soft), np.float32(block.soft_signal)
    one = out[0]
    for k in range(n):
        largest[k], total[k], total_weight[k] = one[k], _ZERO, _ZERO
    for m in range(1, n_parts):
        log_weight = out[m]
        for k in range(n):
            largest[k] = max(largest[k], log_weight[k])
    for m in range(n_parts):
        weight, log_weight = weights[m], out[m]
        for k in range(n):
            weight[k] = log_weight[k] - largest[k]
        exponentials(weight, rows.bits, rows.powers, 0, n)
        for k in range(n):
            total_weight[k] += weight[k]
    for k in range(n):
        largest[k] = np.float32(-1e30)
    for m in range(n_parts):
        a, b, term = terms[0, m], terms[1, m], terms[4, m]
        log_s, log_q = out[m + 3 * n_parts], out[m + 4 * n_parts]
        # Few arrays in a loop, so that it becomes vector instructions.
        _reduced(u, out[m + n_parts], (log_s, soft), (terms[2, m], a), rows)
        _reduced(v, out[m + 2 * n_parts], (log_q, soft_signal), (terms[3, m], b), rows)
        rho, log_weight = out[m + 5 * n_parts], out[m]
        for k in range(n):
            b[k] -= rho[k] * a[k]
        for k in range(n):
            term[k] = log_weight[k] - _HALF * (a[k] * a[k] + b[k] * b[k])
        for k in range(n):
            term[k] -= log_s[k] + log_q[k] + soft + soft_signal
        for k in range(n):
            largest[k] = max(largest[k], term[k])
    for m in range(n_parts):
        term = terms[4, m]
        for k in range(n):
            term[k] -= largest[k]
        exponentials(term, rows.bits, rows.powers, 0, n)
        for k in range(n):
            total[k] += term[k]


@inner(inline=False)
def _hits(ratio, rows, seen, block, first, sloped):
    """ln of the density of hits into `rows.result`; with `sloped`, derivatives by the outputs in
    their place, and by the conditions and the delay, as far as they do not go through the network,
    into `rows.by`.
    """
    out, by, terms, sums = rows.outputs, rows.by, rows.terms, rows.sums
    n_parts, flags = terms.shape[1], out.shape[0] - 2
    for k in range(block.begin, block.end):
        i = k if block.station < 0 else block.station
        conditions = rows.conditions[2, k], rows.conditions[4, k]
        u, log_jacobian = reduced_time(rows.delay[k], conditions[0], conditions[1])
        rows.result[k], sums[0, k] = log_jacobian, np.float32(u)
        sums[1, k] = np.float32(seen.log_signal[i] - rows.conditions[0, k])
    _mixture(rows, block, first)
    shaped = is_used(ratio, seen, block)
    if shaped:
        log_ratio(ratio, rows.ratio, (rows.inputs, sums[0], sums[1]), seen, block, sloped)
    for k in range(block.begin, block.end):
        i = k if block.station < 0 else block.station
        log_rate = min(rows.conditions[0, k] + out[flags, k], _LARGEST_RATE)
        rate = math.exp(log_rate)
        none, some = math.exp(-rate), -math.expm1(-rate)
        flag = float(out[flags + 1, k]) if block.kind == SATURATED else -float(out[flags + 1, k])
        unlike = 1.0 / (1.0 + math.exp(min(flag, 80.0)))  # probability of the other kind of hit
        log_norm = math.log(float(sums[3, k]) / float(sums[4, k]) * some * max(1.0 - unlike, 1e-30))
        # `largest` of the weights is in the terms, and cancels with that of the logarithm.
        of_shower = sums[2, k] + log_norm + rows.result[k] - _LOG_2PI
        of_shower -= _largest_weight(out, first, n_parts, k)
        if shaped:
            of_shower += rows.ratio.value[k]
        trust = 1.0
        if of_shower > seen.log_background[i] + _CERTAIN:
            rows.result[k] = of_shower
        else:
            of_stray = seen.log_background[i] + math.log(none + STRAY)
            high = max(of_shower, of_stray)
            rows.result[k] = high + math.log(math.exp(of_shower - high) + math.exp(of_stray - high))
            trust = math.exp(of_shower - rows.result[k])
        if not sloped:
            continue
        _, _, slopes, bent, _ = reduced_time_derivatives(
            rows.delay[k], rows.conditions[2, k], rows.conditions[4, k]
        )
        by_u = by_v = 0.0
        for m in range(n_parts):
            at = first + m
            chosen = trust * terms[4, m, k] / sums[3, k]
            a, b = terms[0, m, k], terms[1, m, k]
            inverse_u, inverse_v, rho = terms[2, m, k], terms[3, m, k], out[at + 5 * n_parts, k]
            by_a = b * rho - a
            out[at, k] = chosen - trust * rows.weights[m, k] / sums[4, k]
            out[at + n_parts, k] = -chosen * by_a * inverse_u
            out[at + 2 * n_parts, k] = chosen * b * inverse_v
            out[at + 3 * n_parts, k] = chosen * (-a * by_a - 1.0)
            out[at + 4 * n_parts, k] = chosen * (b * (b + rho * a) - 1.0)
            out[at + 5 * n_parts, k] = chosen * b * a
            by_u += chosen * by_a * inverse_u
            by_v -= chosen * b * inverse_v
        if shaped:
            by_u += trust * rows.ratio.inputs[5, k]
            by_v += trust * rows.ratio.inputs[6, k]
            for j in range(N_CONDITIONS):
                rows.ratio.inputs[j, k] *= trust
        by_rate = 0.0
        if log_rate < _LARGEST_RATE:
            by_rate = trust * rate * none / some - (1.0 - trust) * rate * none / (none + STRAY)
        out[flags, k] = by_rate
        by_flag = trust * unlike
        out[flags + 1, k] = by_flag if block.kind == SATURATED else -by_flag
        by[0, k] = by_rate - by_v
        by[2, k] = by_u * slopes[1] + trust * bent[1]
        by[4, k] = by_u * slopes[2] + trust * bent[2]
        by[5, k] = by_u * slopes[0] + trust * bent[0]


@inner
def _largest_weight(out, first, n_parts, k):
    """Largest of the outputs ln w of row k."""
    largest = out[first, k]
    for m in range(1, n_parts):
        largest = max(largest, out[first + m, k])
    return largest


@inner(inline=False)
def _silences(rows, block, sloped):
    """ln P(no hit) into `rows.result`; derivatives as `_hits`."""
    out, by = rows.outputs, rows.by
    flags = out.shape[0] - 2
    for k in range(block.begin, block.end):
        log_rate = min(rows.conditions[0, k] + out[flags, k], _LARGEST_RATE)
        rate = math.exp(log_rate)
        none = math.exp(-rate)
        rows.result[k] = math.log(none + STRAY)
        if sloped:
            slope = -rate * none / (none + STRAY) if log_rate < _LARGEST_RATE else 0.0
            out[flags, k] = by[0, k] = slope
            out[flags + 1, k] = _ZERO
            by[2, k] = by[4, k] = by[5, k] = 0.0


@inner(inline=False)
def _seen(learned, rows, seen, block, sloped):
    """ln of the density of what was seen in the rows of a block, whose hidden layers are known;
    with `sloped`, its derivatives by the second hidden layer in their place, and by the conditions,
    as far as they do not go through the network.
    """
    density = learned.density
    _outputs(density, rows, block)
    chosen = _chosen_outputs(density, block.kind)
    shaped = False
    if block.kind == SILENT:
        _silences(rows, block, sloped)
    else:
        shaped = is_used(learned.ratio, seen, block)
        _hits(learned.ratio, rows, seen, block, chosen[0], sloped)
    if not sloped:
        return
    begin, end = span = block.begin, block.end
    last = len(density.bias_3)
    for j in range(len(density.bias_1)):
        row = rows.hidden_2[j, begin:end]
        for k in range(len(row)):
            row[k] = _ZERO
    for i in range(rows.inputs.shape[0]):
        for k in range(begin, end):
            rows.inputs[i, k] = rows.ratio.inputs[i, k] if shaped and i < N_CONDITIONS else _ZERO
    transposed(density.weight_3, rows.outputs, rows.hidden_2, span, chosen)
    transposed(density.weight_3, rows.outputs, rows.hidden_2, span, (last - 2, last))


@inner(inline=False)
def _through_network(density, rows, span):
    """Add to `rows.by` what goes through the network, from the second hidden layer on."""
    begin, end = span
    hidden = (0, len(density.bias_1))
    for j in range(hidden[1]):
        row, other = rows.hidden_1[j, begin:end], rows.hidden_2[j, begin:end]
        slope = rows.slope_2[j, begin:end]
        for k in range(len(row)):
            row[k] = _ZERO
            other[k] *= slope[k]
    transposed(density.weight_2, rows.hidden_2, rows.hidden_1, span, hidden)
    for j in range(hidden[1]):
        row, slope = rows.hidden_1[j, begin:end], rows.slope_1[j, begin:end]
        for k in range(len(row)):
            row[k] *= slope[k]
    transposed(density.weight_1, rows.hidden_1, rows.inputs, span, hidden)
    for i in range(N_CONDITIONS):
        low, high, inverse = density.low[i], density.high[i], 1.0 / density.width[i]
        for k in range(begin, end):
            inside = low < rows.conditions[i, k] < high
            through = rows.inputs[i, k] * inverse if inside else 0.0
            direct = rows.by[i, k] if i != 1 and i != 3 else 0.0
            rows.by[i, k] = direct + through


@inner(inline=False)
def log_density(learned, rows, seen, blocks, sloped):
    """ln of the density of what was seen in the rows of blocks that follow each other, into
    `rows.result`: of signal (ln) and time [ns] of a hit, or the probability of silence.

    learned : `Learned`; rows : `Rows`, conditions and delays are given; seen : `Seen`; blocks :
        tuple of `Block`
    sloped : derivatives by conditions and delay, too, into `rows.by`
    """
    span = blocks[0].begin, blocks[-1].end
    _hidden(learned.density, rows, span, sloped)
    for block in blocks:
        if block.end > block.begin:
            _seen(learned, rows, seen, block, sloped)
    if sloped:
        _through_network(learned.density, rows, span)

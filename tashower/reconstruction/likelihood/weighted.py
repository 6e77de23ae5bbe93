"""Mean and covariance of an event's posterior, from weighted points of a proposal (importance
sampling). Compiled.
"""

import math
from typing import NamedTuple

import numpy as np

from tashower.physics.compiled import inner
from tashower.reconstruction.likelihood.explore import lower_factor, place
from tashower.reconstruction.likelihood.posterior import N_SHOWER, log_posteriors


class Draws(NamedTuple):
    """Where points of a proposal lie, in its units; n_sets first, in those of all events."""

    z: np.ndarray  #: (n, 9)
    log_density: np.ndarray  #: (n,) ln of the density that they are drawn from, up to a constant


@inner(inline=False)
def align(scratch):
    """The factor becomes another one of the same covariance: triangular for cores and directions
    along and across the shower, so that points of a turned shower are the same points, turned.
    Inverse, hessian and spread of the scratch are overwritten.
    """
    n, factor, turned, spread = N_SHOWER, scratch.factor, scratch.inverse, scratch.spread
    n_x, n_y = scratch.base[2], scratch.base[3]
    sine = math.sqrt(n_x * n_x + n_y * n_y)
    c, s = (n_x / sine, n_y / sine) if sine > 1e-9 else (1.0, 0.0)
    for j in range(n):
        for i in range(n):
            turned[i, j] = factor[i, j]
        for i in (0, 2):
            turned[i, j] = c * factor[i, j] + s * factor[i + 1, j]
            turned[i + 1, j] = c * factor[i + 1, j] - s * factor[i, j]
    for i in range(n):
        for j in range(i + 1):
            total = 0.0
            for k in range(n):
                total += turned[i, k] * turned[j, k]
            scratch.hessian[i, j] = scratch.hessian[j, i] = total
    if not lower_factor(scratch.hessian, spread):
        return
    for j in range(n):
        for i in range(n):
            factor[i, j] = spread[i, j]
        for i in (0, 2):
            factor[i, j] = c * spread[i, j] - s * spread[i + 1, j]
            factor[i + 1, j] = s * spread[i, j] + c * spread[i + 1, j]


@inner(inline=False)
def sample(draws, looked, model, scratch):
    """Points from the proposal, and their weights; returns the effective number of points.

    draws : `Draws` of one set
    """
    points, values, weights = scratch.points, scratch.values, scratch.weights
    n = len(draws.z)
    align(scratch)
    for k in range(n):
        place(scratch.base, scratch.factor, draws.z[k], points[k])
    log_posteriors(points, n, looked, model, scratch.space, values)
    largest = -np.inf
    for k in range(n):
        values[k] -= draws.log_density[k]
        largest = max(largest, values[k])
    if not largest > -np.inf:
        return 0.0
    for k in range(n):
        values[k] -= largest
    return _weigh(values, weights, 1.0)


@inner(inline=False)
def _weigh(values, weights, power):
    """Weights in proportion to exp(power values), values at most 0; returns their effective
    number.
    """
    total = squares = 0.0
    for k in range(len(values)):
        weights[k] = math.exp(power * values[k])
        total += weights[k]
        squares += weights[k] * weights[k]
    for k in range(len(values)):
        weights[k] /= total
    return total * total / squares


@inner(inline=False)
def temper(scratch, wanted):
    """Weights to the power at which so many points carry them (1 at most), by bisection; returns
    their effective number.
    """
    low, high = 0.0, 1.0
    for _ in range(12):
        middle = 0.5 * (low + high)
        if _weigh(scratch.values, scratch.weights, middle) < wanted:
            high = middle
        else:
            low = middle
    return _weigh(scratch.values, scratch.weights, low)


@inner(inline=False)
def put_curvatures(points, coefficients):
    """The last column of points (n, 10): the curvature a [ns] of the shower in the others, see
    `calibration.station_likelihood.Variety`.
    """
    c = coefficients
    for k in range(len(points)):
        p = points[k]
        s = 1.0 / math.sqrt(max(1.0 - p[2] * p[2] - p[3] * p[3], 1e-6)) - 1.0
        log_a = c[0] + s * (c[1] + s * c[2]) + p[4] * (c[3] + s * c[4] + p[4] * c[8])
        log_a += c[5] * p[6] + c[6] * p[7] + c[7] * p[8]
        p[N_SHOWER] = math.exp(min(max(log_a, -10.0), 10.0))


@inner(inline=False)
def moments(scratch, mean, covariance):
    """Mean (10,) and covariance (10, 10) of the weighted points."""
    n = N_SHOWER + 1
    points, weights = scratch.points, scratch.weights
    for i in range(n):
        mean[i] = 0.0
        for j in range(n):
            covariance[i, j] = 0.0
    for k in range(len(weights)):
        for i in range(n):
            mean[i] += weights[k] * points[k, i]
    for k in range(len(weights)):
        for i in range(n):
            off = weights[k] * (points[k, i] - mean[i])
            for j in range(i + 1):
                covariance[i, j] += off * (points[k, j] - mean[j])
    for i in range(n):
        for j in range(i):
            covariance[j, i] = covariance[i, j]


@inner(inline=False)
def propose_again(mean, covariance, scratch):
    """Base and factor become those of weighted points: their mean, and their covariance, wider by a
    quarter; False if that is no covariance, and they stay.
    """
    n = N_SHOWER
    for i in range(n):
        for j in range(n):
            scratch.hessian[i, j] = 1.25 * covariance[i, j]
    if not lower_factor(scratch.hessian, scratch.spread):
        return False
    for i in range(n):
        scratch.base[i] = mean[i]
        for j in range(n):
            scratch.factor[i, j] = scratch.spread[i, j]
    return True


@inner(inline=False)
def widen(covariance, effective):
    """The covariance becomes that of what is known of the truth: 1 + 1/n times that of the points.

    Of n random points, the unbiased covariance and the noise of their mean make that (n + 1)/(n -
    1). Points that are mirrored and matched have less
    noise: the mean of 72 scatters with a third of 1/n of the variance (default configuration), and
    the rest is for that of the covariance itself.
    """
    factor = 1.0 + 1.0 / effective
    for i in range(covariance.shape[0]):
        for j in range(covariance.shape[0]):
            covariance[i, j] *= factor

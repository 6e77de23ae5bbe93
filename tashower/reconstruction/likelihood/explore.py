"""Maximum of an event's posterior, and a proposal for points around it. Compiled.

Everything happens in units of the start's errors: p = start + L z with a factor L of a covariance,
L L^T, that turns with the shower (`weighted.align`).
"""

import math
from typing import NamedTuple

import numpy as np

from tashower.physics.compiled import compiled, inner
from tashower.reconstruction.likelihood.density import rows_space
from tashower.reconstruction.likelihood.posterior import N_SHOWER, Space, with_gradient

_MOST_STEPS, _LARGEST_STEP = 25, 2.5
_DIFFERENCE = 0.1  # of z, for second derivatives
_LEAST_CURVATURE = 0.02  # of ln posterior in units of the start (choice): no endless proposal


class Scratch(NamedTuple):
    """Work space of one event."""

    space: Space
    points: np.ndarray  #: (n, 10), the shower and its curvature a [ns]
    values: np.ndarray  #: (n,)
    weights: np.ndarray  #: (n,)
    base: np.ndarray  #: (9,)
    z: np.ndarray  #: (9,)
    trial: np.ndarray
    step: np.ndarray
    slope: np.ndarray
    new_slope: np.ndarray
    p: np.ndarray
    gradient: np.ndarray
    factor: np.ndarray  #: (9, 9), see `weighted.align`
    inverse: np.ndarray  #: (9, 9)
    hessian: np.ndarray  #: (9, 9)
    spread: np.ndarray  #: (9, 9)


@compiled
def scratch_space(learned, n_points, n_stations):
    """A new `Scratch`."""
    n, most = N_SHOWER, max(n_points, n_stations)
    space = Space(rows_space(learned, most), np.zeros((8, most)), np.zeros(n))
    return Scratch(
        space,
        np.zeros((n_points, n + 1)),
        np.zeros(n_points),
        np.zeros(n_points),
        *(np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n)),
        *(np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n)),
        *(np.zeros((n, n)), np.zeros((n, n)), np.zeros((n, n)), np.zeros((n, n))),
    )


@inner(inline=False)
def lower_factor(matrix, factor):
    """Lower triangular Cholesky factor of a (9, 9) matrix; False if it is not positive definite."""
    n = matrix.shape[0]
    for j in range(n):
        for i in range(j, n):
            total = matrix[i, j]
            for k in range(j):
                total -= factor[i, k] * factor[j, k]
            if i == j:
                if not total > 1e-14 * abs(matrix[j, j]):
                    return False
                factor[j, j] = math.sqrt(total)
            else:
                factor[i, j] = total / factor[j, j]
                factor[j, i] = 0.0
    return True


@inner(inline=False)
def place(base, factor, z, p):
    """p (9,) becomes base + L z."""
    for i in range(N_SHOWER):
        total = base[i]
        for j in range(N_SHOWER):
            total += factor[i, j] * z[j]
        p[i] = total


@inner(inline=False)
def _value(z, looked, model, scratch, soft, slope):
    """ln posterior at z; its gradient by z into slope."""
    place(scratch.base, scratch.factor, z, scratch.p)
    value = with_gradient(scratch.p, looked, model, scratch.space, soft, scratch.gradient)
    for j in range(N_SHOWER):
        total = 0.0
        for i in range(N_SHOWER):
            total += scratch.factor[i, j] * scratch.gradient[i]
        slope[j] = total
    return value


@inner(inline=False)
def maximise(looked, model, scratch, soft, enough):
    """Climb from where z is, until a step gains less than `enough`: z, its value and slope are left
    in scratch; returns the value (Broyden, Fletcher, Goldfarb, Shanno, the step limited and
    shortened until it helps).

    soft : as of `with_gradient`
    """
    n = N_SHOWER
    z, slope, new, step, trial = (
        scratch.z, scratch.slope, scratch.new_slope, scratch.step, scratch.trial,
    )  # fmt: skip
    inverse = scratch.inverse
    for i in range(n):
        for j in range(n):
            inverse[i, j] = 1.0 if i == j else 0.0
    value = _value(z, looked, model, scratch, soft, slope)
    if not value > -np.inf:
        return value
    for _ in range(_MOST_STEPS):
        gain = length2 = 0.0
        for i in range(n):
            total = 0.0
            for j in range(n):
                total += inverse[i, j] * slope[j]
            step[i] = total
            gain += total * slope[i]
            length2 += total * total
        if gain < enough:
            break
        scale = min(1.0, _LARGEST_STEP / math.sqrt(length2))
        better = False
        for _ in range(8):
            for i in range(n):
                trial[i] = z[i] + scale * step[i]
            found = _value(trial, looked, model, scratch, soft, new)
            if found > value + 1e-4 * scale * gain:
                better = True
                break
            scale *= 0.4
        if not better:
            break
        # y = -(new - slope) is the change of the slope of -ln posterior.
        along = 0.0
        for i in range(n):
            step[i] = trial[i] - z[i]
            along += step[i] * (slope[i] - new[i])
        if along > 1e-6:
            curved = 0.0
            for i in range(n):
                total = 0.0
                for j in range(n):
                    total += inverse[i, j] * (slope[j] - new[j])
                trial[i] = total
                curved += total * (slope[i] - new[i])
            factor = (1.0 + curved / along) / along
            for i in range(n):
                for j in range(n):
                    inverse[i, j] += (
                        factor * step[i] * step[j]
                        - (trial[i] * step[j] + step[i] * trial[j]) / along
                    )
        for i in range(n):
            z[i] += step[i]
            slope[i] = new[i]
        value = found
    return value


@inner(inline=False)
def invert_factor(factor, inverse):
    """Inverse of a lower triangular matrix."""
    n = factor.shape[0]
    for j in range(n):
        for i in range(n):
            inverse[i, j] = 0.0
        inverse[j, j] = 1.0 / factor[j, j]
        for i in range(j + 1, n):
            total = 0.0
            for k in range(j, i):
                total -= factor[i, k] * inverse[k, j]
            inverse[i, j] = total / factor[i, i]


@inner(inline=False)
def proposal(looked, model, scratch, soft):
    """Base and factor become those of the posterior's maximum: p = base + L t, L L^T the inverse of
    its second derivatives, kept positive; soft : as of `maximise`.
    """
    n = N_SHOWER
    z, hessian, new = scratch.z, scratch.hessian, scratch.new_slope
    for j in range(n):
        keep = z[j]
        z[j] = keep + _DIFFERENCE
        value = _value(z, looked, model, scratch, soft, new)
        for i in range(n):
            hessian[i, j] = (scratch.slope[i] - new[i]) / _DIFFERENCE
            if not value > -np.inf:
                hessian[i, j] = 1.0 if i == j else 0.0
        z[j] = keep
    for i in range(n):
        for j in range(i):
            hessian[i, j] = hessian[j, i] = 0.5 * (hessian[i, j] + hessian[j, i])
        hessian[i, i] += _LEAST_CURVATURE
    more = 0.0
    while not lower_factor(hessian, scratch.spread):
        for i in range(n):
            hessian[i, i] += 0.2 + more
        more += 0.3
        if more > 20.0:
            return False
    # Covariance of z is H^-1 = M^T M with M = C^-1, H = C C^T.
    invert_factor(scratch.spread, scratch.inverse)
    for i in range(n):
        for j in range(i + 1):
            total = 0.0
            for k in range(n):
                total += scratch.inverse[k, i] * scratch.inverse[k, j]
            hessian[i, j] = hessian[j, i] = total
    if not lower_factor(hessian, scratch.spread):
        return False
    place(scratch.base, scratch.factor, z, scratch.p)
    for i in range(n):
        scratch.base[i] = scratch.p[i]
    _times(scratch.factor, scratch.spread, scratch.inverse)
    return True


@inner(inline=False)
def _times(factor, by, work):
    """factor = factor by."""
    n = factor.shape[0]
    for i in range(n):
        for j in range(n):
            total = 0.0
            for k in range(n):
                total += factor[i, k] * by[k, j]
            work[i, j] = total
    for i in range(n):
        for j in range(n):
            factor[i, j] = work[i, j]

"""The proposal of events with saturated stations. Compiled.

A clipped signal says that at least as much was expected: the posterior ends at an edge, and may be
highest there. What second derivatives say of that point is the edge, not the plateau behind it, and
points around it would miss most of the posterior. So the climb to the maximum, and the second
derivatives, take the signals of saturated hits to be less certain than they are; and then the
posterior is looked at as it is along one line, that on which the expected signal of the saturated
station changes that lies farthest from the axis.
"""

import math

import numpy as np

from tashower.physics.compiled import inner
from tashower.physics.station import station_conditions
from tashower.reconstruction.likelihood.explore import lower_factor, place
from tashower.reconstruction.likelihood.posterior import N_SHOWER, log_posteriors, shower_of

#: ln of the factor by which the densities of signals of saturated hits are wider in the climb
#: (choice: of 0, 0.35, 0.7, 1 and 1.4 that with the most even weights where edges matter).
SOFT_EDGE = 1.0
#: Points of the look along the line, at sinh(x) standard deviations, x even within +-3, which is
#: +-10 of them; and least variance after it, in units of that before (choices).
N_LOOKS, FARTHEST, LEAST_VARIANCE = 16, 3.0, 0.5
_APART = 2.0 * FARTHEST / (N_LOOKS - 1)
_STEP = 0.05  # of a standard deviation, for derivatives


@inner(inline=False)
def _expected(p, looked, station, model):
    """ln of the signal [VEM] that a station expects of the shower p, and of its distance [m]."""
    at = looked.x[station] - p[0], looked.y[station] - p[1], looked.z[station]
    found, _ = station_conditions(
        at, shower_of(p, model.prior.attenuation), model.lateral, model.area
    )
    return found[0], found[4]


@inner(inline=False)
def _axis(looked, model, scratch):
    """Whether there is such a line; its direction of length 1, in units of the proposal, in which
    all directions that do not change the signal are alike, is left in `scratch.step`.
    """
    most, station = -np.inf, -1
    for i in range(looked.hits, looked.saturated):
        _, log_distance = _expected(scratch.base, looked, i, model)
        if log_distance > most:
            most, station = log_distance, i
    if station < 0 or len(scratch.points) < N_LOOKS:
        return False
    axis, z = scratch.step, scratch.z
    here, _ = _expected(scratch.base, looked, station, model)
    length2 = 0.0
    for j in range(N_SHOWER):
        for i in range(N_SHOWER):
            z[i] = _STEP if i == j else 0.0
        place(scratch.base, scratch.factor, z, scratch.p)
        there, _ = _expected(scratch.p, looked, station, model)
        axis[j] = there - here
        length2 += axis[j] * axis[j]
    if not 0.0 < length2 < np.inf:
        return False
    for j in range(N_SHOWER):
        axis[j] /= math.sqrt(length2)
    return True


@inner(inline=False)
def _on_line(looked, model, scratch):
    """(mean, variance) of the posterior along `scratch.step`, in units of the proposal; (0, 1)
    where it cannot be told.
    """
    for k in range(N_LOOKS):
        for i in range(N_SHOWER):
            scratch.z[i] = math.sinh(k * _APART - FARTHEST) * scratch.step[i]
        place(scratch.base, scratch.factor, scratch.z, scratch.points[k])
    values = scratch.values
    log_posteriors(scratch.points, N_LOOKS, looked, model, scratch.space, values)
    largest = -np.inf
    for k in range(N_LOOKS):
        largest = max(largest, values[k])
    if not largest > -np.inf:
        return 0.0, 1.0
    total = first = second = 0.0
    for k in range(N_LOOKS):
        x = k * _APART - FARTHEST
        off, weight = math.sinh(x), math.exp(values[k] - largest) * math.cosh(x)
        total += weight
        first += weight * off
        second += weight * off * off
    mean = first / total
    return mean, max(second / total - mean * mean, LEAST_VARIANCE)


@inner(inline=False)
def look_behind_edge(looked, model, scratch):
    """Move and stretch a proposal (`explore.proposal`) along the line of the module's docstring: to
    the mean and variance of the posterior on it. Without saturated stations it stays.
    """
    if not _axis(looked, model, scratch):
        return
    mean, variance = _on_line(looked, model, scratch)
    n, along, covariance = N_SHOWER, scratch.p, scratch.hessian
    place(scratch.base, scratch.factor, scratch.step, along)
    for i in range(n):
        along[i] -= scratch.base[i]
    for i in range(n):
        for j in range(n):
            total = (variance - 1.0) * along[i] * along[j]
            for k in range(n):
                total += scratch.factor[i, k] * scratch.factor[j, k]
            covariance[i, j] = total
    if lower_factor(covariance, scratch.spread):
        for i in range(n):
            scratch.base[i] += mean * along[i]
            for j in range(n):
                scratch.factor[i, j] = scratch.spread[i, j]

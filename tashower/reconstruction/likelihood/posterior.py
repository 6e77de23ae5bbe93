"""ln of the posterior density of one event's shower, and its gradient. Compiled.

A shower has nine numbers: core x, y [m], n_x, n_y, ln S_ref, t0 [ns], eta, ln odds of muons at 800
m, ln of the scale of the delays. The prior is flat in the first six, which is isotropic, and the
`Variety` of showers in the last three.
"""

import math
from typing import NamedTuple

import numpy as np

from tashower.calibration.station_likelihood import StationLikelihood
from tashower.events.model import Reconstruction
from tashower.physics.compiled import inner
from tashower.physics.constants import SPEED_OF_LIGHT
from tashower.physics.early_late import muon_share_at
from tashower.physics.geometry import axis_components, distance_along_axis
from tashower.physics.lateral import Lateral, log_lateral_derivatives
from tashower.physics.station import LEAST_PART, station_condition_slopes, station_conditions
from tashower.reconstruction.likelihood.density import (
    HIT,
    SATURATED,
    SILENT,
    Block,
    Learned,
    Rows,
    Seen,
    log_density,
)

N_SHOWER = 9
#: Largest sin^2 z, and limits of ln S_ref and eta, of a shower.
_LARGEST_SINE2, _SIZES, _SLOPES = 0.95, (-5.0, 11.0), (1.0, 4.95)
_PRIOR_STEP = 1e-5  # for derivatives of the prior


class Prior(NamedTuple):
    """How showers vary; see `calibration.station_likelihood.Variety`."""

    coefficients: np.ndarray  #: (3, 5)
    precision: np.ndarray  #: (3, 3)
    attenuation: np.ndarray  #: (m,)
    curvature: np.ndarray  #: (9,)


class Model(NamedTuple):
    """What is the same for all events."""

    learned: Learned
    prior: Prior
    lateral: Lateral
    area: float


class Looked(NamedTuple):
    """One event: stations that are looked at, times relative to their mean."""

    x: np.ndarray  #: (m,) [m]
    y: np.ndarray
    z: np.ndarray
    seen: Seen
    hits: int  #: stations of kind HIT come first
    saturated: int  #: those before this number are HIT or SATURATED, the others SILENT


class Space(NamedTuple):
    """Work space."""

    rows: Rows
    shower: np.ndarray  #: (8, n) of the hypotheses
    moved: np.ndarray  #: (9,)


def mean_shower(fit: Reconstruction, stations: StationLikelihood) -> np.ndarray:
    """(n, 9) shower of every fit, completed by the mean of such showers: core, direction cosines,
    ln S_ref, t0, slope, ln odds of muons, ln scale of the delays; NaN without a fit.
    """
    n = len(fit)
    n_x, n_y, n_z = axis_components(fit.zenith, fit.azimuth)
    shower = np.full((n, N_SHOWER), np.nan)
    s, size = 1.0 / n_z - 1.0, np.log(fit.s_ref)
    shower[:, :6] = np.stack([fit.core_x, fit.core_y, n_x, n_y, size, fit.t0], axis=1)
    design = np.stack([np.ones(n), s, s * s, size, s * size], axis=1)
    shower[:, 6:] = design @ stations.variety.coefficients.T
    return shower


@inner
def attenuation_at(secant, table):
    """Attenuation [g/cm^2] at sec z, from a table of equidistant sec z from 1 to 2."""
    last = len(table) - 1
    u = min(max((secant - 1.0) * last, 0.0), last - 1e-9)
    i = int(u)
    return table[i] + (u - i) * (table[i + 1] - table[i])


@inner
def _attenuation_slope(secant, table):
    """Derivative of `attenuation_at` by sec z."""
    last = len(table) - 1
    u = (secant - 1.0) * last
    if not 0.0 < u < last:
        return 0.0
    return (table[int(u) + 1] - table[int(u)]) * last


@inner
def is_possible(p):
    """Whether p is a shower at all."""
    return (
        p[2] * p[2] + p[3] * p[3] < _LARGEST_SINE2
        and _SIZES[0] < p[4] < _SIZES[1]
        and _SLOPES[0] < p[6] < _SLOPES[1]
        and abs(p[7]) < 6.0
        and abs(p[8]) < 3.0
    )


@inner
def shower_of(p, table):
    """What `station_conditions` needs of p."""
    n_z = math.sqrt(1.0 - p[2] * p[2] - p[3] * p[3])
    share = 1.0 / (1.0 + math.exp(-p[7]))
    return p[2], p[3], n_z, p[4], p[6], share, p[8], attenuation_at(1.0 / n_z, table)


@inner
def _column(shower, k):
    """Column k as a tuple."""
    first = shower[0, k], shower[1, k], shower[2, k], shower[3, k]
    return (*first, shower[4, k], shower[5, k], shower[6, k], shower[7, k])


@inner
def log_prior(p, prior):
    """ln of the prior density of p, up to a constant."""
    s = 1.0 / math.sqrt(1.0 - p[2] * p[2] - p[3] * p[3]) - 1.0
    c = prior.coefficients
    off0 = p[6] - (c[0, 0] + s * (c[0, 1] + s * c[0, 2]) + p[4] * (c[0, 3] + s * c[0, 4]))
    off1 = p[7] - (c[1, 0] + s * (c[1, 1] + s * c[1, 2]) + p[4] * (c[1, 3] + s * c[1, 4]))
    off2 = p[8] - (c[2, 0] + s * (c[2, 1] + s * c[2, 2]) + p[4] * (c[2, 3] + s * c[2, 4]))
    w = prior.precision
    total = w[0, 0] * off0 * off0 + w[1, 1] * off1 * off1 + w[2, 2] * off2 * off2
    cross = w[0, 1] * off0 * off1 + w[0, 2] * off0 * off2 + w[1, 2] * off1 * off2
    return -0.5 * total - cross


@inner
def _put(rows, k, looked, i, p, shower, model):
    """Conditions and delay of station i under the hypothesis p into row k."""
    place = looked.x[i] - p[0], looked.y[i] - p[1], looked.z[i]
    found, plane = station_conditions(place, shower, model.lateral, model.area)
    c = rows.conditions
    c[0, k], c[1, k], c[2, k], c[3, k], c[4, k] = found
    rows.delay[k] = looked.seen.time[i] - p[5] - plane


@inner(inline=False)
def log_posteriors(points, n, looked, model, space, result):
    """ln of the posterior density, up to a constant of the event, of the first n points (n, 9) into
    result (n,)."""
    rows, shower = space.rows, space.shower
    for k in range(n):
        result[k] = -np.inf
        if is_possible(points[k]):
            result[k] = log_prior(points[k], model.prior)
            of = shower_of(points[k], model.prior.attenuation)
            for j in range(8):
                shower[j, k] = of[j]
        else:
            for j in range(8):
                shower[j, k] = shower[j, 0] if k else 0.5
    for i in range(len(looked.x)):
        for k in range(n):
            _put(rows, k, looked, i, points[k], _column(shower, k), model)
        kind = HIT if i < looked.hits else (SATURATED if i < looked.saturated else SILENT)
        log_density(model.learned, rows, looked.seen, (Block(0, n, kind, i, 0.0, 0.0),), False)
        for k in range(n):
            result[k] += rows.result[k]


@inner(inline=False)
def with_gradient(p, looked, model, space, soft, gradient):
    """ln of the posterior density at p (9,), as `log_posteriors`; its gradient is put into
    `gradient` (9,). -inf where p is no shower.

    soft : (of all stations, of the signals of saturated hits), as of `Block`
    """
    if not is_possible(p):
        return -np.inf
    rows, moved, m = space.rows, space.moved, len(looked.x)
    shower = shower_of(p, model.prior.attenuation)
    for i in range(m):
        _put(rows, i, looked, i, p, shower, model)
    first, second = looked.hits, looked.saturated
    blocks = (
        Block(0, first, HIT, -1, soft[0], soft[0]),
        Block(first, second, SATURATED, -1, soft[0], soft[1]),
        Block(second, m, SILENT, -1, soft[0], soft[0]),
    )
    log_density(model.learned, rows, looked.seen, blocks, True)
    at = log_prior(p, model.prior)
    total = at
    by = rows.by
    for j in range(N_SHOWER):
        moved[j] = p[j]
        gradient[j] = 0.0
    n_z, share = shower[2], shower[5]
    steeper = _attenuation_slope(1.0 / n_z, model.prior.attenuation)
    for i in range(m):
        total += rows.result[i]
        gradient[4] += by[0, i]
        gradient[5] -= by[5, i]
        gradient[8] += by[2, i]
        r = math.exp(rows.conditions[4, i])
        gradient[6] += by[0, i] * log_lateral_derivatives(r, p[6], model.lateral)[1]
        muons = muon_share_at(r, share)
        if LEAST_PART < muons < 1.0 - LEAST_PART:
            # The odds of the signal grow as those of the share; its sum by what the early-late
            # factors leave of that.
            here = 1.0 / (1.0 + math.exp(-rows.conditions[1, i]))
            gradient[7] += by[0, i] * (here - muons) + by[1, i]
        dx, dy, dz = looked.x[i] - p[0], looked.y[i] - p[1], looked.z[i]
        along = distance_along_axis(dx, dy, dz, p[2], p[3], n_z)
        by_along, by_r, by_secant = station_condition_slopes(
            along, r, shower, steeper, model.lateral
        )
        of_along = by[0, i] * by_along[0] + by[1, i] * by_along[1] + by[2, i] * by_along[2]
        of_along -= by[5, i] / SPEED_OF_LIGHT
        of_r = (by[0, i] * by_r[0] + by[1, i] * by_r[1] + by[4, i] / r) / r
        of_secant = by[0, i] * by_secant[0] + by[1, i] * by_secant[1] + by[3, i]
        # r^2 is the squared distance to the core less that along the axis (and softened).
        gradient[0] += of_along * p[2] - of_r * (dx + along * p[2])
        gradient[1] += of_along * p[3] - of_r * (dy + along * p[3])
        turned = of_along - of_r * along
        gradient[2] += turned * (dz * p[2] / n_z - dx) + of_secant * p[2] / n_z**3
        gradient[3] += turned * (dz * p[3] / n_z - dy) + of_secant * p[3] / n_z**3
    for j in (2, 3, 4, 6, 7, 8):
        moved[j] = p[j] + _PRIOR_STEP
        gradient[j] += (log_prior(moved, model.prior) - at) / _PRIOR_STEP
        moved[j] = p[j]
    return total

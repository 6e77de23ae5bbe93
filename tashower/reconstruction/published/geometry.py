"""The Telescope Array's fit of the shower front alone, with the usual and with a free curvature:
the sum that it minimises, and its derivatives. Compiled.

    t = t0 + t_plane + d,     sum of (t - t_fit)^2/(s^2 + dt^2) + |core - centre|^2/(180 m)^2

    usual:  d = 0.80 A(z) (1 + r/30 m)^1.5 rho^-0.5     s = 0.70 A(z) (1 + r/30 m)^1.5 rho^-0.3
    free:   d = a L (1 + r/30 m)^1.35 rho^-0.5          s = 1.56 ns L (1 + r/30 m)^1.5 rho^-0.3

rho is the OBSERVED density, A(z) = 3.3836 ns c(z) (`physics.shower_front`), L = (1 - l/12 km)^1.05
with l the distance downstream, centre: the mean of the stations weighted with their signals.

Source: the public source code of the Telescope Array's surface detector analysis (programs rufptn
and rufldf: p1geomfitter, p2geomfitter); after Ivanov 2012, PhD thesis, Rutgers. The errors are
those of the trial point, not of a previous pass. The numbers are checked on two events
of the experiment, whose fits come back (tests/reconstruction/test_published_data.py).
"""

import math
from typing import NamedTuple

import numpy as np

from tashower.physics.compiled import inner
from tashower.physics.constants import SPEED_OF_LIGHT
from tashower.physics.early_late import LATE_LENGTH, LATE_POWER, late_time_factor
from tashower.physics.geometry import distance_along_axis
from tashower.physics.shower_front import (
    Front,
    curvature_zenith_dependence,
    front_delay,
    log_delay_derivative,
    thickness_shape,
)
from tashower.reconstruction.clusters import TIME
from tashower.reconstruction.joint.model import N_PARAMETERS, is_shower, soft_distance

#: A(0) of the usual curvature [ns].
VERTICAL_CURVATURE = 3.3836
#: Factors of the delay and of its spread, usual curvature.
USUAL_DELAY, USUAL_SPREAD = 0.80, 0.70
#: The same for a free curvature [ns]; the delay has `a`.
FREE_SPREAD = 1.56
USUAL_FRONT, FREE_FRONT = Front(density_power=0.0), Front(power=1.35, density_power=0.0)
#: Powers of the observed density in delay and spread.
DELAY_POWER, SPREAD_POWER = -0.5, -0.3
#: Error of a pulse [ns]. The Telescope Array takes the rise time over 2.33, with 20 ns bins and two
#: layers; most pulses of its data rise in two bins, which stand for all here, as `Pulses` has no
#: rise time: 2 x 20 ns/2.33/sqrt(2).
PULSE_ERROR = 12.1
#: A station is left out when that lowers the sum by this much.
CLEANING_CHI2 = 4.0

#: `late_time_factor` does not change farther downstream than this [m].
LATEST = 10_000.0
_STEPS = 1000
_ZENITHS = np.arccos(np.linspace(0.0, 1.0, _STEPS + 1)).clip(0.0, 1.4)
_USUAL = VERTICAL_CURVATURE * curvature_zenith_dependence(_ZENITHS)


class GeometrySettings(NamedTuple):
    """Which front is fitted."""

    free: bool  #: whether the curvature is free
    on_ground: bool  #: distances are measured on the ground


class Pull(NamedTuple):
    """What keeps the core near the centre of gravity."""

    x: float  #: [m]
    y: float  #: [m]
    weight: float  #: 1/variance of either coordinate [1/m^2]


@inner
def usual_curvature(n_z):
    """(A [ns], dA/dn_z) at a cosine of the zenith: linear between the nodes of a table."""
    u = min(max(n_z, 0.0), 1.0) * _STEPS
    i = min(int(u), _STEPS - 1)
    slope = _USUAL[i + 1] - _USUAL[i]
    return _USUAL[i] + slope * (u - i), slope * _STEPS


@inner
def delay_and_spread(r, along, density, usual, free):
    """(delay for a = 1 ns, or that of the usual curvature, its spread) [ns] of a station.

    along : l, downstream [m]; usual : A(z) [ns]
    """
    if free:
        late = late_time_factor(along)
        delay = late * front_delay(r, 0.0, 1.0, FREE_FRONT)
        spread = FREE_SPREAD * late * thickness_shape(r)
    else:
        delay = USUAL_DELAY * front_delay(r, 0.0, usual, USUAL_FRONT)
        spread = USUAL_SPREAD * usual * thickness_shape(r)
    return delay * density**DELAY_POWER, spread * density**SPREAD_POWER


@inner(inline=False)
def evaluate_geometry(p, observed, span, settings, pull, quadratic):
    """The sum for the parameters p, of which S800 and a usual curvature are not looked at; infinite
    where p is not a shower.

    Parameters
    ----------
    p : (7,); observed : `Observed`; settings : `GeometrySettings`; pull : `Pull`
    span : (begin, end) of the stations that are counted
    quadratic : `Quadratic`, overwritten with half the gradient and half the second derivatives (1
        on the diagonal for what is not looked at)
    """
    gradient, information = quadratic.gradient, quadratic.information
    for j in range(N_PARAMETERS):
        gradient[j] = 0.0
        for k in range(N_PARAMETERS):
            information[j, k] = 0.0
    if not is_shower(p):
        return np.inf
    free, front = settings.free, FREE_FRONT if settings.free else USUAL_FRONT
    n_x, n_y = p[2], p[3]
    n_z = math.sqrt(1.0 - n_x * n_x - n_y * n_y)
    nz_by_nx, nz_by_ny = -n_x / n_z, -n_y / n_z
    usual, usual_by_nz = usual_curvature(n_z)
    zenith_slope = 0.0 if free else usual_by_nz / usual
    row = quadratic.sums[:2].reshape(8)
    row[4] = total = 0.0
    for i in range(span[0], span[1]):
        if not observed.use[i] & TIME:
            continue
        dx, dy, dz = observed.x[i] - p[0], observed.y[i] - p[1], observed.z[i]
        r, q = soft_distance(dx, dy, dz, (n_x, n_y, n_z), settings.on_ground)
        along = distance_along_axis(dx, dy, dz, n_x, n_y, n_z)
        unit, spread = delay_and_spread(r, along, observed.density[i], usual, free)
        delay = p[6] * unit if free else unit
        sigma2 = spread * spread + PULSE_ERROR * PULSE_ERROR
        weight = 1.0 / math.sqrt(sigma2)
        scaled = (p[5] - q / SPEED_OF_LIGHT + delay - observed.time[i]) * weight
        q_by_nx, q_by_ny = dx + dz * nz_by_nx, dy + dz * nz_by_ny
        q_by = (-n_x, -n_y, q_by_nx, q_by_ny)
        if settings.on_ground:
            r_by = (-dx / r, -dy / r, 0.0, 0.0)
        else:
            r_by = ((q * n_x - dx) / r, (q * n_y - dy) / r, -q * q_by_nx / r, -q * q_by_ny / r)
        nz_by = (0.0, 0.0, nz_by_nx, nz_by_ny)
        # Of the logarithms of delay and spread, by q and by r.
        late = LATE_POWER / (LATE_LENGTH - along) if free and along < LATEST else 0.0
        delay_by_r = log_delay_derivative(r, front)
        spread_by_r = log_delay_derivative(r, USUAL_FRONT)
        part = scaled * spread * spread / sigma2
        for j in range(4):
            common = late * q_by[j] + zenith_slope * nz_by[j]
            row[j] = weight * (
                delay * (common + delay_by_r * r_by[j]) - q_by[j] / SPEED_OF_LIGHT
            ) - part * (common + spread_by_r * r_by[j])
        row[5], row[6] = weight, weight * unit if free else 0.0
        for j in range(N_PARAMETERS):
            gradient[j] += scaled * row[j]
            for k in range(N_PARAMETERS):
                information[j, k] += row[j] * row[k]
        total += scaled * scaled
    off_x, off_y = p[0] - pull.x, p[1] - pull.y
    gradient[0] += pull.weight * off_x
    gradient[1] += pull.weight * off_y
    information[0, 0] += pull.weight
    information[1, 1] += pull.weight
    information[4, 4] = 1.0
    if not free:
        information[6, 6] = 1.0
    return total + pull.weight * (off_x * off_x + off_y * off_y)

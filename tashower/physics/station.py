"""What a station sees of a shower, in the few numbers that its likelihood depends on.

The simulated light of a station depends on the shower through the signal that is expected there,
the muons' part of it, the scale of the delays, the zenith and the distance to the axis. Early and
late stations are in the first three (`physics.early_late`).
"""

from typing import NamedTuple

import numpy as np

from tashower.physics.compiled import formula
from tashower.physics.constants import FRONT_SCALE, SPEED_OF_LIGHT
from tashower.physics.description import softened
from tashower.physics.early_late import (
    LATE_ATTENUATION_MUONS,
    late_signal_factor,
    late_signal_slopes,
    log_late_time_factor,
    log_late_time_slope,
    muon_share_at,
)
from tashower.physics.geometry import distance_along_axis
from tashower.physics.lateral import log_lateral_derivatives, log_lateral_distribution
from tashower.physics.shower_front import FRONT_ONSET, thickness_shape

#: Scale of the reduced time (`reduced_time`): that of clocks and bins [ns], and part of the
#: thickness of the front. Choices, of a variable alone.
TIME_SCALE, THICKNESS_PART = 60.0, 0.2
#: Lowest muon part whose odds are told apart (choice).
LEAST_PART = 1e-3


class StationConditions(NamedTuple):
    """What the light of a station depends on; scalars or arrays of one shape."""

    log_signal: np.ndarray  #: ln of the expected signal [VEM, mean of the layers]
    log_odds: np.ndarray  #: ln of the odds of muons in it
    log_scale: np.ndarray  #: ln of the scale of the delays, early-late factor included
    secant: np.ndarray  #: sec z
    log_distance: np.ndarray  #: ln of the (softened) distance to the axis [m]


@formula
def station_conditions(place, shower, lateral, area):
    """(`StationConditions` as a plain tuple, plane delay [ns]) of a station.

    place : (dx, dy, dz) [m] from the core
    shower : (n_x, n_y, n_z, ln S_ref, eta, muon share at 800 m, ln scale of the delays, attenuation
        of electromagnetic particles [g/cm^2])
    """
    dx, dy, dz = place
    n_x, n_y, n_z, log_size, eta, share, log_scale, attenuation = shower
    along = distance_along_axis(dx, dy, dz, n_x, n_y, n_z)
    r = softened(dx * dx + dy * dy + dz * dz - along * along)
    secant = 1.0 / n_z
    r_tangent = r * np.sqrt(np.maximum(secant * secant - 1.0, 0.0))
    muons = muon_share_at(r, share)
    muons = np.minimum(np.maximum(muons, LEAST_PART), 1.0 - LEAST_PART)
    of_muons = muons * late_signal_factor(along, r_tangent, LATE_ATTENUATION_MUONS)
    of_others = (1.0 - muons) * late_signal_factor(along, r_tangent, attenuation)
    log_ldf = log_lateral_distribution(r, eta, lateral)
    return (
        log_size + log_ldf + np.log(area * (of_muons + of_others)),
        np.log(of_muons / of_others),
        log_scale + log_late_time_factor(along),
        secant,
        np.log(r),
    ), along / SPEED_OF_LIGHT


@formula
def station_condition_slopes(along, r, shower, attenuation_slope, lateral):
    """Derivatives of `station_conditions` by distance along the axis, distance from it, and sec z.

    along, r : of the station [m]; shower : as of `station_conditions`
    attenuation_slope : of the attenuation by sec z [g/cm^2]

    Returns
    -------
    (of ln signal, ln odds, ln scale by l [1/m]), (of ln signal, ln odds by r [1/m]), (of ln signal,
    ln odds by sec z). Of the others sec z and ln r change with themselves alone.
    """
    _, _, n_z, _, eta, share, _, attenuation = shower
    secant = 1.0 / n_z
    r_tangent = r * np.sqrt(np.maximum(secant * secant - 1.0, 0.0))
    muons = muon_share_at(r, share)
    # Odds grow with the square root of r.
    growth = (muons > LEAST_PART) * (muons < 1.0 - LEAST_PART) * 0.5 / r
    muons = np.minimum(np.maximum(muons, LEAST_PART), 1.0 - LEAST_PART)
    of_muons = muons * late_signal_factor(along, r_tangent, LATE_ATTENUATION_MUONS)
    of_others = (1.0 - muons) * late_signal_factor(along, r_tangent, attenuation)
    part = of_muons / (of_muons + of_others)
    l_muons, t_muons, _ = late_signal_slopes(along, r_tangent, LATE_ATTENUATION_MUONS)
    l_others, t_others, thicker = late_signal_slopes(along, r_tangent, attenuation)
    # (r tan z)^2 = r^2 (sec^2 z - 1)
    square = r_tangent * r_tangent / r
    r_muons, r_others = (
        (1.0 - muons) * growth + t_muons * square,
        t_others * square - muons * growth,
    )
    s_muons = t_muons * r * r * secant
    s_others = t_others * r * r * secant + thicker * attenuation_slope
    by_r, _ = log_lateral_derivatives(r, eta, lateral)
    return (
        (part * l_muons + (1.0 - part) * l_others, l_muons - l_others, log_late_time_slope(along)),
        (by_r + part * r_muons + (1.0 - part) * r_others, r_muons - r_others),
        (part * s_muons + (1.0 - part) * s_others, s_muons - s_others),
    )


@formula
def reduced_time_derivatives(delay, log_scale, log_distance):
    """What `reduced_time` gives, and its derivatives.

    Returns (u, ln du/d delay, (du/d delay, du/d log_scale, du/d log_distance), the same of ln
    du/d delay, h).
    """
    distance = np.exp(log_distance)
    width = thickness_shape(distance) * np.exp(log_scale)
    part = THICKNESS_PART * width
    h = np.sqrt(TIME_SCALE * TIME_SCALE + part * part)
    x = (delay - FRONT_ONSET * width) / h
    root = np.sqrt(1.0 + x * x)
    # asinh, for both signs without cancellation
    u = np.copysign(np.log(np.abs(x) + root), x)
    h_by_width = THICKNESS_PART * part / h
    x_by_width = -(FRONT_ONSET + x * h_by_width) / h
    width_by_distance = 1.5 * width * distance / (FRONT_SCALE + distance)
    u_by_width = x_by_width / root
    bent = -x / (root * root)
    bent_by_width = bent * x_by_width - h_by_width / h
    return (
        u,
        -np.log(h * root),
        (1.0 / (h * root), u_by_width * width, u_by_width * width_by_distance),
        (bent / h, bent_by_width * width, bent_by_width * width_by_distance),
        h,
    )


@formula
def reduced_time(delay, log_scale, log_distance):
    """(u, ln du/d delay [1/ns]) for a delay behind the plane front [ns].

    u = asinh((delay - onset)/h), h^2 = (60 ns)^2 + (w/5)^2, onset = 0.34 w, w = (1 + r/30 m)^1.5
    times the scale of the delays: linear around the onset of the front, logarithmic long after it.
    """
    found = reduced_time_derivatives(delay, log_scale, log_distance)
    return found[0], found[1]


@formula
def delay_of_reduced_time(u, log_scale, log_distance):
    """Delay behind the plane front [ns] with the reduced time u: what `reduced_time` takes."""
    width = thickness_shape(np.exp(log_distance)) * np.exp(log_scale)
    part = THICKNESS_PART * width
    return FRONT_ONSET * width + np.sqrt(TIME_SCALE * TIME_SCALE + part * part) * np.sinh(u)

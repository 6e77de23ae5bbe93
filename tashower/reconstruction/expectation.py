"""What the joint fit expects at a station, and how far an observation is from it. Compiled.

Parameters of the fit, in this order: core x, core y [m], direction cosines n_x, n_y, ln S800, t0
    [ns], a [ns].

    t(r) = t0 + t_plane + a (1 + r/R_L)^1.5 LDF(r)^-0.5        S(r) = S800 LDF(r)

(Ivanov et al. 2020, arXiv:2005.07117). The sum that is minimised:

    sum over times      (t - t_fit)^2 / sigma_t^2
  + sum over densities  (S - S_fit)^2 / sigma_S^2,              where the model expects 4 VEM/m^2 or more
  + sum over densities  2 (m - k + k ln(k/m)), m = S_fit A/phi, k = S A/phi,
                                                                where it expects less, and for
                                                                silent stations (k = 0)
  + (a - a_prior)^2 / sigma_prior^2                             if the curvature is constrained

sigma_t, sigma_S, and on which side of 4 VEM/m^2 a station is, come from the model of the previous
pass, never from the
observed signal: weights from observed signals bias S800 by several per cent.
"""

import math
from typing import NamedTuple

import numpy as np

from tashower.physics.compiled import formula, inner
from tashower.physics.constants import SPEED_OF_LIGHT
from tashower.physics.lateral import (
    SLOPE_BY_SECANT,
    log_lateral_derivatives,
    log_lateral_distribution,
    slope_of_secant,
)
from tashower.physics.shower_front import front_delay, log_delay_derivative, thickness_shape
from tashower.reconstruction.clusters import SIGNAL, SILENT, TIME

N_PARAMETERS = 7
#: Below this density [VEM/m^2] the Poisson likelihood is used (Ivanov 2012, PhD thesis, Rutgers).
POISSON_DENSITY = 4.0
#: The distance to the axis is sqrt(r^2 + this^2) [m]: keeps the fit off the singularity of the
#: lateral distribution.
SOFTENING = 10.0
#: What the compiler may do to sums and quotients of the inner loops: change the rounding, but not
#: how infinity and NaN work.
ROUNDING = {"contract", "arcp", "reassoc"}
#: Largest n_x^2 + n_y^2 that the fit may try: a zenith of 75 degrees.
LARGEST_SINE2 = 0.933


_LOWEST_LOG_DENSITY = float(np.log(0.1))
_LOG_DENSITIES = (float(np.log(0.3)), float(np.log(100.0)))


class ErrorModel(NamedTuple):
    """How observed times and densities scatter around the formulas, calibrated on simulated
    showers.

    sigma_t^2 = time_floor^2 + u^2,   u = time_scale c(z) (1 + r/30)^1.5 S_fit^-time_power
    sigma_S^2 = signal_poisson S/A + (signal_fraction S)^2

    the forms of the Telescope Array (Ivanov 2012: 30 ns, power 0.3, 2 S/A, 0.15); c(z): zenith
        dependence of the curvature.
    Two effects that shift an observation and that the formulas do not have:

    <t - t_fit> = u (b0 + b1 ln S_fit + b2 ln^2 S_fit): the first of few particles, seen above a
    threshold, comes later than the
        formula, which is exact for many;
    <S>/S_fit = 1 - q (1 + x) exp(-x), x = contained_time/(c(z) (1 + r/30)^1.5): what arrives after
    the end of the window.
    """

    time_floor: float = 30.0  #: [ns]
    time_scale: float = 1.0  #: [ns]
    time_power: float = 0.3
    signal_poisson: float = 2.0
    signal_fraction: float = 0.15
    b0: float = 0.0
    b1: float = 0.0
    b2: float = 0.0
    late_fraction: float = 0.0  #: q
    contained_time: float = 1000.0


class Observed(NamedTuple):
    """Stations of one event; all (n,). Times relative to an arbitrary origin."""

    x: np.ndarray  #: [m]
    y: np.ndarray  #: [m]
    z: np.ndarray  #: [m]
    use: np.ndarray  #: sum of clusters.TIME, SIGNAL, SILENT; 0 for a rejected station
    time: np.ndarray  #: [ns]
    density: np.ndarray  #: [VEM/m^2]
    time_weight: np.ndarray  #: 1/sigma_t^2 [1/ns^2]
    signal_weight: np.ndarray  #: 1/sigma_S^2; 0: Poisson
    shift: np.ndarray  #: expected time minus the formula [ns]
    contained: np.ndarray  #: expected density over the formula


@formula
def time_spread(r, log_density, zenith_factor, errors):
    """u [ns], the part of sigma_t that grows with the distance r [m] and falls with the expected
    density (ln of it in VEM/m^2).
    """
    power = np.exp(-errors.time_power * np.maximum(log_density, _LOWEST_LOG_DENSITY))
    return errors.time_scale * zenith_factor * thickness_shape(r) * power


@formula
def time_variance_of(spread, errors):
    """sigma_t^2 [ns^2] for u from `time_spread`."""
    return errors.time_floor**2 + spread * spread


@formula
def time_shift_of(spread, log_density, errors):
    """Expected arrival time minus the formula [ns] for u from `time_spread`; the density is kept
    between 0.3 and 100 VEM/m^2.
    """
    x = np.minimum(np.maximum(log_density, _LOG_DENSITIES[0]), _LOG_DENSITIES[1])
    return spread * (errors.b0 + x * (errors.b1 + x * errors.b2))


@formula
def time_error(r, density, zenith_factor, errors):
    """sigma_t [ns] at distance r [m], for the density [VEM/m^2] that the model expects (kept above
    0.1).
    """
    return np.sqrt(time_variance_of(time_spread(r, np.log(density), zenith_factor, errors), errors))


@formula
def time_shift(r, density, zenith_factor, errors):
    """Expected arrival time minus the formula [ns] at distance r [m], for the density [VEM/m^2]
    that the model expects.
    """
    log_density = np.log(density)
    return time_shift_of(time_spread(r, log_density, zenith_factor, errors), log_density, errors)


@formula
def contained_fraction(r, zenith_factor, errors):
    """Part of the signal at distance r [m] that arrives before the window ends."""
    x = errors.contained_time / (zenith_factor * thickness_shape(r))
    return 1.0 - errors.late_fraction * (1.0 + x) * np.exp(-x)


@formula
def density_error(density, area, errors):
    """sigma_S [VEM/m^2] for the density that the model expects."""
    return np.sqrt(errors.signal_poisson * density / area + (errors.signal_fraction * density) ** 2)


@inner(fastmath=ROUNDING)
def soft_distance(dx, dy, dz, n_x, n_y, n_z, on_ground):
    """(distance [m], q = n.d): perpendicular to the axis or on the ground, softened."""
    q = n_x * dx + n_y * dy + n_z * dz
    if on_ground:
        r2 = dx * dx + dy * dy
    else:
        r2 = dx * dx + dy * dy + dz * dz - q * q
    return math.sqrt(max(r2, 0.0) + SOFTENING * SOFTENING), q


class Trial(NamedTuple):
    """A point of the parameters, as the stations need it."""

    core_x: float  #: [m]
    core_y: float  #: [m]
    n_x: float
    n_y: float
    n_z: float
    s800: float  #: [VEM/m^2]
    t0: float  #: [ns]
    curvature: float  #: [ns]
    eta: float
    eta_by_nz: float
    per_density: float  #: effective particles per density, A/phi
    on_ground: bool


@inner(fastmath=ROUNDING)
def is_shower(p):
    """p may be looked at: not horizontal, not too large or small; False for NaN."""
    return p[2] * p[2] + p[3] * p[3] < LARGEST_SINE2 and abs(p[4]) < 14.0


@inner(fastmath=ROUNDING)
def trial_of(p, area, dispersion, on_ground):
    """`Trial` from the parameters."""
    n_z = math.sqrt(1.0 - p[2] * p[2] - p[3] * p[3])
    return Trial(
        p[0],
        p[1],
        p[2],
        p[3],
        n_z,
        math.exp(p[4]),
        p[5],
        p[6],
        slope_of_secant(1.0 / n_z),
        -SLOPE_BY_SECANT / (n_z * n_z),
        area / dispersion,
        on_ground,
    )


@inner(fastmath=ROUNDING)
def station_terms(trial, observed, i, lateral, front):
    """What station i adds to the sum and its derivatives.

    Returns ((derivatives of the time by the first four parameters, by a, weight, residual),
    (derivatives of ln(density) by the first four, weight, pull), terms of the sum). The other
    derivatives are 0 or 1; weights are 0 for what is not used.
    """
    use = observed.use[i]
    n_x, n_y, n_z = trial.n_x, trial.n_y, trial.n_z
    nz_by_nx, nz_by_ny = -n_x / n_z, -n_y / n_z
    dx, dy, dz = observed.x[i] - trial.core_x, observed.y[i] - trial.core_y, observed.z[i]
    r, q = soft_distance(dx, dy, dz, n_x, n_y, n_z, trial.on_ground)
    log_ldf = log_lateral_distribution(r, trial.eta, lateral)
    l_by_r, l_by_eta = log_lateral_derivatives(r, trial.eta, lateral)
    q_by_nx, q_by_ny = dx + dz * nz_by_nx, dy + dz * nz_by_ny
    if trial.on_ground:
        r_by_x, r_by_y, r_by_nx, r_by_ny = -dx / r, -dy / r, 0.0, 0.0
    else:
        r_by_x, r_by_y = (q * n_x - dx) / r, (q * n_y - dy) / r
        r_by_nx, r_by_ny = -q * q_by_nx / r, -q * q_by_ny / r
    l_by_x, l_by_y = l_by_r * r_by_x, l_by_r * r_by_y
    l_by_nx = l_by_r * r_by_nx + l_by_eta * trial.eta_by_nz * nz_by_nx
    l_by_ny = l_by_r * r_by_ny + l_by_eta * trial.eta_by_nz * nz_by_ny
    t_by_x = t_by_y = t_by_nx = t_by_ny = unit = time_weight = residual = terms = 0.0
    if use & TIME:
        unit = front_delay(r, log_ldf, 1.0, front)
        delay = trial.curvature * unit
        d_by_r, d_by_l = delay * log_delay_derivative(r, front), -front.density_power * delay
        t_by_x = n_x / SPEED_OF_LIGHT + d_by_r * r_by_x + d_by_l * l_by_x
        t_by_y = n_y / SPEED_OF_LIGHT + d_by_r * r_by_y + d_by_l * l_by_y
        t_by_nx = -q_by_nx / SPEED_OF_LIGHT + d_by_r * r_by_nx + d_by_l * l_by_nx
        t_by_ny = -q_by_ny / SPEED_OF_LIGHT + d_by_r * r_by_ny + d_by_l * l_by_ny
        time_weight = observed.time_weight[i]
        residual = trial.t0 - q / SPEED_OF_LIGHT + delay + observed.shift[i] - observed.time[i]
        terms += time_weight * residual * residual
    weight = pull = 0.0
    if use & (SIGNAL | SILENT):
        density = trial.s800 * math.exp(log_ldf) * observed.contained[i]
        if observed.signal_weight[i] > 0.0:
            difference = density - observed.density[i]
            scaled = observed.signal_weight[i] * density
            terms += observed.signal_weight[i] * difference * difference
            weight, pull = scaled * density, scaled * difference
        else:
            weight = density * trial.per_density
            k = max(observed.density[i], 0.0) * trial.per_density
            pull = weight - k
            terms += 2.0 * (pull + (k * math.log(k / weight) if k > 0.0 else 0.0))
    return (
        (t_by_x, t_by_y, t_by_nx, t_by_ny, unit, time_weight, residual),
        (l_by_x, l_by_y, l_by_nx, l_by_ny, weight, pull),
        terms,
    )


@inner(inline=False, fastmath=ROUNDING)
def evaluate(
    p,
    observed,
    begin,
    end,
    area,
    dispersion,
    prior_mean,
    prior_weight,
    on_ground,
    lateral,
    front,
    gradient,
    curvature,
    work,
):
    """The sum to minimise, half its gradient (7,) and half its curvature matrix (7, 7, Fisher
    information); both overwritten.

    Stations begin to end - 1 are counted; work : (10, 4) work space.
    Infinite where p is not a shower (horizontal, overflow).
    """
    if not is_shower(p):
        return np.inf
    trial = trial_of(p, area, dispersion, on_ground)
    # Sums over stations of products of derivatives are gathered in rows of four, which become
    # vector instructions.
    block = work[0:4]
    slope, with_s800, with_t0, with_a = work[4], work[5], work[6], work[7]
    for i in range(8):
        for j in range(4):
            work[i, j] = 0.0
    slope_s800 = slope_t0 = slope_a = s800_s800 = t0_t0 = t0_a = a_a = 0.0
    total = 0.0
    for i in range(begin, end):
        use = observed.use[i]
        if use == 0:
            continue
        times, densities, terms = station_terms(trial, observed, i, lateral, front)
        total += terms
        if use & TIME:
            b0, b1, b2, b3, unit, weight, residual = times
            _gather(b0, b1, b2, b3, weight, weight * residual, block, slope)
            _add(b0, b1, b2, b3, weight, with_t0)
            _add(b0, b1, b2, b3, weight * unit, with_a)
            t0_t0 += weight
            t0_a += weight * unit
            a_a += weight * unit * unit
            slope_t0 += weight * residual
            slope_a += weight * residual * unit
        if use & (SIGNAL | SILENT):
            b0, b1, b2, b3, weight, pull = densities
            _gather(b0, b1, b2, b3, weight, pull, block, slope)
            _add(b0, b1, b2, b3, weight, with_s800)
            s800_s800 += weight
            slope_s800 += pull
    residual = p[6] - prior_mean
    total += prior_weight * residual * residual
    gradient[4], gradient[5], gradient[6] = slope_s800, slope_t0, slope_a + prior_weight * residual
    for i in range(4):
        gradient[i] = slope[i]
        for j in range(4):
            curvature[i, j] = block[i, j]
        curvature[i, 4] = curvature[4, i] = with_s800[i]
        curvature[i, 5] = curvature[5, i] = with_t0[i]
        curvature[i, 6] = curvature[6, i] = with_a[i]
    curvature[4, 4], curvature[5, 5], curvature[6, 6] = s800_s800, t0_t0, a_a + prior_weight
    curvature[4, 5] = curvature[5, 4] = curvature[4, 6] = curvature[6, 4] = 0.0
    curvature[5, 6] = curvature[6, 5] = t0_a
    return total


@inner(fastmath=ROUNDING)
def _add(b0, b1, b2, b3, weight, row):
    """row += weight (b0, b1, b2, b3)."""
    row[0] += weight * b0
    row[1] += weight * b1
    row[2] += weight * b2
    row[3] += weight * b3


@inner(fastmath=ROUNDING)
def _gather(b0, b1, b2, b3, weight, pull, block, slope):
    """block += weight b b^T, slope += pull b."""
    _add(b0, b1, b2, b3, pull, slope)
    _add(b0, b1, b2, b3, weight * b0, block[0])
    _add(b0, b1, b2, b3, weight * b1, block[1])
    _add(b0, b1, b2, b3, weight * b2, block[2])
    _add(b0, b1, b2, b3, weight * b3, block[3])


@inner(inline=False, fastmath=ROUNDING)
def set_weights(p, observed, area, errors, zenith_factor, on_ground, lateral):
    """Weights, time shift and contained part of every station from the model p; all four columns
    are overwritten.
    """
    n_x, n_y = p[2], p[3]
    n_z = math.sqrt(max(1.0 - n_x * n_x - n_y * n_y, 1.0 - LARGEST_SINE2))
    eta = slope_of_secant(1.0 / n_z)
    for i in range(len(observed.x)):
        r, _ = soft_distance(
            observed.x[i] - p[0], observed.y[i] - p[1], observed.z[i], n_x, n_y, n_z, on_ground
        )
        log_density = min(p[4] + log_lateral_distribution(r, eta, lateral), 20.0)
        density = math.exp(log_density)
        if observed.use[i] & TIME:
            spread = time_spread(r, log_density, zenith_factor, errors)
            observed.time_weight[i] = 1.0 / time_variance_of(spread, errors)
            observed.shift[i] = time_shift_of(spread, log_density, errors)
        else:
            observed.time_weight[i] = observed.shift[i] = 0.0
        observed.contained[i] = contained_fraction(r, zenith_factor, errors)
        density *= observed.contained[i]
        gaussian = density >= POISSON_DENSITY and observed.use[i] != SILENT
        observed.signal_weight[i] = (
            1.0 / density_error(density, area, errors) ** 2 if gaussian else 0.0
        )

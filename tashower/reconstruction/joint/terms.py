"""The sum that the joint fit minimises, and its derivatives. Compiled.

    t(r) = t0 + t_plane + a (1 + r/R_L)^1.5 LDF(r)^-0.5        S(r) = S800 LDF(r)

(Ivanov et al. 2020, arXiv:2005.07117). The sum:

    sum over times      w (t - t_fit)^2 / sigma_t^2, or where their distribution is skewed
                        w `skewed_square`((t - t_fit)/sigma_t)
  + sum over densities  (S - S_fit)^2 / sigma_S^2,   where the model expects 4 VEM/m^2 or more
  + sum over densities  2 (m - k + k ln(k/m)), m = S_fit A/phi, k = S A/phi,
                                                     where it expects less, and for silent stations
                                                     (k = 0)
  + sum over saturated (S - sigma_S - S_fit)^2 / sigma_S^2,   where that bracket is positive
  + (a - a_prior)^2 / sigma_prior^2                  if the curvature is constrained

The clipped signal of a saturated station is a lower bound of its true one, which itself scatters by
sigma_S around S_fit: a model is held to the bound where it expects less by more than that. (The
likelihood of a censored signal, -2 ln Phi, takes the bound for a fixed threshold, which it is not:
it makes S800 of such events too large by 2 %, this by half a per cent.)

In the complete fit t_fit has an onset beside (`shower_front.front_delay_with_onset`) and w, the
trust in a time, may be less than 1.

sigma_t, sigma_S, and on which side of 4 VEM/m^2 a station is, come from the model of the previous
pass, never from the observed signal: weights from observed signals bias S800 by several per cent.
"""

import math

import numpy as np

from tashower.calibration.errors import LARGEST_EXPONENT, SMALLEST_SKEW
from tashower.physics.compiled import inner
from tashower.physics.constants import SPEED_OF_LIGHT
from tashower.physics.lateral import log_lateral_derivatives, log_lateral_distribution
from tashower.physics.shower_front import front_delay, log_delay_derivative
from tashower.reconstruction.clusters import BOUND, REJECTED_BITS, SIGNAL, SILENT, TIME
from tashower.reconstruction.joint.model import is_shower, soft_distance, trial_of

#: Least part of a skewed time's weight in the second derivatives, so that late times cannot make
#: them vanish (choice; the minimum does not depend on it).
_LEAST_CURVATURE = 0.25


@inner
def time_terms(residual, weight, skew):
    """(weight, residual, term): those of the normal distribution that has the gradient of this
    time's term, and nearly its second derivative.

    residual : expected - observed time [ns]; weight : 1/sigma_t^2; skew : kappa
    """
    if skew < SMALLEST_SKEW:
        return weight, residual, weight * residual * residual
    root = skew * math.sqrt(weight)
    x = root * residual
    bent = min(x, LARGEST_EXPONENT)
    grown = math.exp(bent)
    steep = weight * max(grown, _LEAST_CURVATURE)
    term = 2.0 * (grown - 1.0 - bent + (grown - 1.0) * (x - bent)) / (skew * skew)
    return steep, (grown - 1.0) * root / (skew * skew * steep), term


@inner
def station_terms(trial, observed, i, settings):
    """What station i adds to the sum and its derivatives.

    Returns ((derivatives of the time by the first four parameters, by a, weight, residual, term of
    the time), (derivatives of ln(density) by the first four, weight, pull), terms of the sum). The
    other derivatives are 0 or 1; weights are 0 for what is not used.
    """
    description = settings.description
    lateral, front = description.lateral, description.front
    use = observed.use[i]
    n_x, n_y, n_z = trial.n_x, trial.n_y, trial.n_z
    nz_by_nx, nz_by_ny = -n_x / n_z, -n_y / n_z
    dx, dy, dz = observed.x[i] - trial.core_x, observed.y[i] - trial.core_y, observed.z[i]
    r, q = soft_distance(dx, dy, dz, (n_x, n_y, n_z), description.on_ground)
    log_ldf = log_lateral_distribution(r, trial.eta, lateral)
    l_by_r, l_by_eta = log_lateral_derivatives(r, trial.eta, lateral)
    q_by_nx, q_by_ny = dx + dz * nz_by_nx, dy + dz * nz_by_ny
    if description.on_ground:
        r_by_x, r_by_y, r_by_nx, r_by_ny = -dx / r, -dy / r, 0.0, 0.0
    else:
        r_by_x, r_by_y = (q * n_x - dx) / r, (q * n_y - dy) / r
        r_by_nx, r_by_ny = -q * q_by_nx / r, -q * q_by_ny / r
    l_by_x, l_by_y = l_by_r * r_by_x, l_by_r * r_by_y
    l_by_nx = l_by_r * r_by_nx + l_by_eta * trial.eta_by_nz * nz_by_nx
    l_by_ny = l_by_r * r_by_ny + l_by_eta * trial.eta_by_nz * nz_by_ny
    t_by_x = t_by_y = t_by_nx = t_by_ny = unit = time_weight = residual = terms = 0.0
    if use & TIME:
        unit = observed.late[i] * front_delay(r, log_ldf, 1.0, front)
        delay = trial.curvature * unit
        d_by_l = -front.density_power * delay
        if settings.onset > 0.0:
            delay += observed.late[i] * front_delay(r, 0.0, settings.onset, front)
        d_by_r = delay * log_delay_derivative(r, front)
        t_by_x = n_x / SPEED_OF_LIGHT + d_by_r * r_by_x + d_by_l * l_by_x
        t_by_y = n_y / SPEED_OF_LIGHT + d_by_r * r_by_y + d_by_l * l_by_y
        t_by_nx = -q_by_nx / SPEED_OF_LIGHT + d_by_r * r_by_nx + d_by_l * l_by_nx
        t_by_ny = -q_by_ny / SPEED_OF_LIGHT + d_by_r * r_by_ny + d_by_l * l_by_ny
        residual = trial.t0 - q / SPEED_OF_LIGHT + delay + observed.shift[i] - observed.time[i]
        time_weight, residual, terms = time_terms(
            residual, observed.time_weight[i], observed.skew[i]
        )
        time_weight *= observed.trust[i]
        terms *= observed.trust[i]
    of_time = terms
    weight = pull = 0.0
    if use & (SIGNAL | SILENT):
        density = trial.s_ref * math.exp(log_ldf) * observed.contained[i]
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
    elif use & BOUND:
        root = math.sqrt(observed.signal_weight[i])
        scaled = root * trial.s_ref * math.exp(log_ldf) * observed.contained[i]
        below = scaled - root * observed.density[i] + 1.0
        if below < 0.0:
            terms += below * below
            weight, pull = scaled * scaled, scaled * below
    return (
        (t_by_x, t_by_y, t_by_nx, t_by_ny, unit, time_weight, residual, of_time),
        (l_by_x, l_by_y, l_by_nx, l_by_ny, weight, pull),
        terms,
    )


@inner(inline=False)
def evaluate(p, observed, span, settings, prior, quadratic):
    """The sum to minimise for the parameters p; infinite where p is not a shower (horizontal,
    overflow).

    Parameters
    ----------
    p : (7,); observed : `Observed`; settings : `FitSettings`; prior : `Prior`
    span : (begin, end) of the stations that are counted
    quadratic : `Quadratic`, overwritten with half the gradient and half the second derivatives
    """
    if not is_shower(p):
        return np.inf
    trial = trial_of(p, settings)
    gradient, information, work = quadratic.gradient, quadratic.information, quadratic.sums
    # Sums over stations of products of derivatives are gathered in rows of four, which become
    # vector instructions.
    block = work[0:4]
    slope, with_s_ref, with_t0, with_a = work[4], work[5], work[6], work[7]
    for i in range(8):
        for j in range(4):
            work[i, j] = 0.0
    slope_s_ref = slope_t0 = slope_a = s_ref_s_ref = t0_t0 = t0_a = a_a = 0.0
    total = 0.0
    for i in range(span[0], span[1]):
        use = observed.use[i]
        if use == 0 or use >> REJECTED_BITS:
            continue
        times, densities, terms = station_terms(trial, observed, i, settings)
        total += terms
        if use & TIME:
            b0, b1, b2, b3, unit, weight, residual, _ = times
            _gather((b0, b1, b2, b3), weight, weight * residual, block, slope)
            _add((b0, b1, b2, b3), weight, with_t0)
            _add((b0, b1, b2, b3), weight * unit, with_a)
            t0_t0 += weight
            t0_a += weight * unit
            a_a += weight * unit * unit
            slope_t0 += weight * residual
            slope_a += weight * residual * unit
        if use & (SIGNAL | SILENT | BOUND):
            b0, b1, b2, b3, weight, pull = densities
            _gather((b0, b1, b2, b3), weight, pull, block, slope)
            _add((b0, b1, b2, b3), weight, with_s_ref)
            s_ref_s_ref += weight
            slope_s_ref += pull
    residual = p[6] - prior.mean
    total += prior.weight * residual * residual
    gradient[4], gradient[5] = slope_s_ref, slope_t0
    gradient[6] = slope_a + prior.weight * residual
    for i in range(4):
        gradient[i] = slope[i]
        for j in range(4):
            information[i, j] = block[i, j]
        information[i, 4] = information[4, i] = with_s_ref[i]
        information[i, 5] = information[5, i] = with_t0[i]
        information[i, 6] = information[6, i] = with_a[i]
    information[4, 4], information[5, 5] = s_ref_s_ref, t0_t0
    information[6, 6] = a_a + prior.weight
    information[4, 5] = information[5, 4] = information[4, 6] = information[6, 4] = 0.0
    information[5, 6] = information[6, 5] = t0_a
    return total


@inner
def _add(b, weight, row):
    """row += weight b, of four."""
    row[0] += weight * b[0]
    row[1] += weight * b[1]
    row[2] += weight * b[2]
    row[3] += weight * b[3]


@inner
def _gather(b, weight, pull, block, slope):
    """block += weight b b^T, slope += pull b, of four."""
    _add(b, pull, slope)
    _add(b, weight * b[0], block[0])
    _add(b, weight * b[1], block[1])
    _add(b, weight * b[2], block[2])
    _add(b, weight * b[3], block[3])

"""What the joint fit knows and assumes, in the form that its compiled loops take.

Parameters of the fit, in this order: core x, core y [m], direction cosines n_x, n_y, ln S800, t0
[ns], a [ns].
"""

import math
from typing import NamedTuple

import numpy as np

from tashower.calibration.asymmetry import (
    SYMMETRIC,
    Asymmetry,
    attenuation_at,
    mean_share,
    signal_shift,
)
from tashower.calibration.errors import (
    POISSON_DENSITY,
    ErrorModel,
    contained_fraction,
    density_error,
    skew_of,
    time_shift_of,
    time_spread,
    time_variance_of,
)
from tashower.calibration.prior import prior_log_curvature
from tashower.physics.compiled import inner
from tashower.physics.constants import SPEED_OF_LIGHT
from tashower.physics.description import SOFTENING, Description
from tashower.physics.early_late import late_time_factor, lighter_factor
from tashower.physics.geometry import distance_along_axis
from tashower.physics.lateral import SLOPE_BY_SECANT, log_lateral_distribution, slope_of_secant
from tashower.physics.shower_front import curvature_zenith_dependence, front_delay_with_onset
from tashower.reconstruction.clusters import BOUND, SIGNAL, SILENT, TIME

N_PARAMETERS = 7
#: Largest n_x^2 + n_y^2 that the fit may try: a zenith of 75 degrees.
LARGEST_SINE2 = 0.933
#: A time so many standard deviations from the front has half its weight (choice).
TRUSTED = 4.0
_SMALLEST_DENSITY = 0.1  # [VEM/m^2], for the error of a lower bound
_ZENITH_TABLE = curvature_zenith_dependence(np.arccos(np.linspace(0.0, 1.0, 1001)).clip(0.0, 1.3))


class Observed(NamedTuple):
    """Stations of one event; all (n,). Times relative to an arbitrary origin."""

    x: np.ndarray  #: [m]
    y: np.ndarray  #: [m]
    z: np.ndarray  #: [m]
    use: np.ndarray  #: sum of clusters.TIME, SIGNAL, SILENT; 0 for a rejected station
    time: np.ndarray  #: [ns]
    density: np.ndarray  #: [VEM/m^2]
    time_weight: np.ndarray  #: 1/sigma_t^2 [1/ns^2], before `trust`
    signal_weight: np.ndarray  #: 1/sigma_S^2; 0: Poisson, never for a lower bound
    shift: np.ndarray  #: expected time minus the formula [ns]
    contained: np.ndarray  #: expected density over the formula
    expected: np.ndarray  #: density that the model of the weights expects [VEM/m^2]
    late: np.ndarray  #: delay of the front over the symmetric formula's
    trust: np.ndarray  #: factor of the time's term in the sum, 1 or less
    skew: np.ndarray  #: kappa of the time's distribution, `calibration.errors.skewed_square`
    tails: np.ndarray  #: (1,) bool: times are skewed, and trusted less where they are far


class FitSettings(NamedTuple):
    """What the compiled fit needs to know."""

    description: Description
    errors: ErrorModel
    constrained: bool  #: whether the curvature has a prior
    #: coefficients of <ln a> in (1, s, s^2, ln S800, s ln S800), s = sec z - 1
    prior: np.ndarray
    prior_width: float  #: rms of ln a
    asymmetry: Asymmetry = SYMMETRIC  #: what the symmetric formulas lack
    passes: int = 1  #: most passes after the first
    onset: float = 0.0  #: of the front, `shower_front.front_delay_with_onset` [ns]
    silence_poisson: float = 0.0  #: `errors.signal_poisson` for silent stations; 0: the same


class Prior(NamedTuple):
    """A Gaussian prior on the curvature a."""

    mean: float  #: [ns]
    weight: float  #: 1/variance [1/ns^2]; 0: free


class Quadratic(NamedTuple):
    """Where half the gradient and half the second derivatives of the sum go."""

    gradient: np.ndarray  #: (7,)
    information: np.ndarray  #: (7, 7), Fisher information: Poisson terms are treated like squares
    sums: np.ndarray  #: (10, 4) work space


class Trial(NamedTuple):
    """A point of the parameters, as the stations need it."""

    core_x: float  #: [m]
    core_y: float  #: [m]
    n_x: float
    n_y: float
    n_z: float
    s_ref: float  #: [VEM/m^2]
    t0: float  #: [ns]
    curvature: float  #: [ns]
    eta: float
    eta_by_nz: float
    per_density: float  #: effective particles per density, A/phi


@inner
def soft_distance(dx, dy, dz, axis, on_ground):
    """(distance [m], q = n.d): perpendicular to the axis n or on the ground, softened."""
    q = axis[0] * dx + axis[1] * dy + axis[2] * dz
    if on_ground:
        r2 = dx * dx + dy * dy
    else:
        r2 = dx * dx + dy * dy + dz * dz - q * q
    return math.sqrt(max(r2, 0.0) + SOFTENING * SOFTENING), q


@inner
def is_shower(p):
    """p may be looked at: not horizontal, not too large or small; False for NaN."""
    return p[2] * p[2] + p[3] * p[3] < LARGEST_SINE2 and abs(p[4]) < 14.0


@inner
def trial_of(p, settings):
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
        settings.description.area / settings.errors.signal_poisson,
    )


@inner
def silence_poisson(settings):
    """VEM of one count of silent stations."""
    own = settings.silence_poisson
    return own if own > 0.0 else settings.errors.signal_poisson


@inner
def zenith_factor(n_z):
    """`curvature_zenith_dependence` from a table in cos z."""
    return _ZENITH_TABLE[min(max(int(n_z * 1000.0 + 0.5), 0), 1000)]


@inner
def zenith_cosine(p):
    """n_z of the parameters, of a zenith of at most 75 degrees."""
    return math.sqrt(max(1.0 - p[2] * p[2] - p[3] * p[3], 1.0 - LARGEST_SINE2))


@inner
def prior_of(p, settings):
    """`Prior` on the curvature for the model p; its weight is 0 where the curvature is free."""
    log_mean = prior_log_curvature(zenith_cosine(p), p[4], settings.prior)
    mean = math.exp(min(max(log_mean, -8.0), 8.0))
    return Prior(mean, (mean * settings.prior_width) ** -2.0 if settings.constrained else 0.0)


@inner
def _trust_times(p, observed, i, place, settings):
    """Lower the weight of a time that is far from the model p, as Cauchy's distribution would:
    1/(1 + (z/TRUSTED)^2). place : (r, eta) of station i.
    """
    description = settings.description
    n_z = zenith_cosine(p)
    along = distance_along_axis(
        observed.x[i] - p[0], observed.y[i] - p[1], observed.z[i], p[2], p[3], n_z
    )
    log_ldf = log_lateral_distribution(place[0], place[1], description.lateral)
    delay = observed.late[i] * front_delay_with_onset(
        place[0], log_ldf, p[6], settings.onset, description.front
    )
    off = observed.time[i] - p[5] - along / SPEED_OF_LIGHT - delay - observed.shift[i]
    observed.trust[i] = 1.0 / (1.0 + off * off * observed.time_weight[i] / (TRUSTED * TRUSTED))


@inner(inline=False)
def set_weights(p, observed, settings):
    """Weights, time shift, contained part and expected density of every station from the model p;
    all columns after `density` are overwritten.
    """
    errors, description = settings.errors, settings.description
    n_x, n_y = p[2], p[3]
    n_z = math.sqrt(max(1.0 - n_x * n_x - n_y * n_y, 1.0 - LARGEST_SINE2))
    factor = zenith_factor(n_z)
    eta = slope_of_secant(1.0 / n_z)
    asymmetry = settings.asymmetry
    # The largest distance downstream of stations at one r, over r.
    tangent = math.sqrt(1.0 - n_z * n_z) / (1.0 if description.on_ground else n_z)
    share = mean_share(1.0 / n_z, asymmetry.share)
    attenuation = attenuation_at(1.0 / n_z, asymmetry)
    for i in range(len(observed.x)):
        dx, dy = observed.x[i] - p[0], observed.y[i] - p[1]
        r, _ = soft_distance(dx, dy, observed.z[i], (n_x, n_y, n_z), description.on_ground)
        log_density = min(p[4] + log_lateral_distribution(r, eta, description.lateral), 20.0)
        late = lighter = observed.trust[i] = 1.0
        if asymmetry.used:
            along = distance_along_axis(dx, dy, observed.z[i], n_x, n_y, n_z)
            late = late_time_factor(along, asymmetry.length)
            lighter = lighter_factor(along, r, tangent, share, attenuation)
            log_density += math.log(lighter)
        observed.late[i] = late
        observed.contained[i] = lighter * contained_fraction(r, factor, errors)
        density = math.exp(log_density) / lighter * observed.contained[i]
        if observed.use[i] & TIME:
            spread = time_spread(r, log_density, factor, errors)
            observed.time_weight[i] = 1.0 / time_variance_of(spread, errors)
            observed.shift[i] = time_shift_of(spread, log_density, errors)
            observed.skew[i] = skew_of(log_density, errors) if observed.tails[0] else 0.0
            if asymmetry.used:
                if observed.use[i] & SIGNAL:
                    observed.shift[i] += spread * signal_shift(
                        observed.density[i], density, asymmetry
                    )
                if observed.tails[0]:
                    _trust_times(p, observed, i, (r, eta), settings)
        else:
            observed.time_weight[i] = observed.shift[i] = observed.skew[i] = 0.0
        observed.expected[i] = density
        if observed.use[i] == SILENT:
            # A term of its own dispersion: it is proportional to the expectation.
            observed.contained[i] *= errors.signal_poisson / silence_poisson(settings)
        gaussian = observed.use[i] & BOUND or (
            density >= POISSON_DENSITY and observed.use[i] != SILENT
        )
        density = max(density, _SMALLEST_DENSITY) if observed.use[i] & BOUND else density
        observed.signal_weight[i] = (
            1.0 / density_error(density, description.area, errors) ** 2 if gaussian else 0.0
        )

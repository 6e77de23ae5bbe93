"""The joint fit of times and signals as published: which part of a station it takes, with which
weight. Compiled.
"""

import math
from typing import NamedTuple

import numpy as np

from tashower.calibration.errors import POISSON_DENSITY, ErrorModel, density_error
from tashower.physics.compiled import inner
from tashower.physics.lateral import log_lateral_distribution, slope_of_secant
from tashower.physics.shower_front import TELESCOPE_ARRAY_FRONT, thickness_shape
from tashower.reconstruction.clusters import BOUND, SIGNAL, SILENT, TIME
from tashower.reconstruction.joint.minimise import CONVERGED, NEARLY_CONVERGED, minimiser_of
from tashower.reconstruction.joint.model import (
    N_PARAMETERS,
    FitSettings,
    Prior,
    set_weights,
    soft_distance,
    trial_of,
)
from tashower.reconstruction.joint.observe import count
from tashower.reconstruction.joint.terms import evaluate, station_terms
from tashower.reconstruction.published.geometry import usual_curvature

#: Fewest stations with a time.
FEWEST_STATIONS = 4
#: Passes of the joint fit, each with the errors of the result before.
PASSES = 3
#: Errors of times: 30 ns, and 0.377 a' (1 + r/30 m)^1.5 S_fit^-0.3 with a' of the code, whose delay
#: is 0.67 a'/S800^0.5 (1 + r/30 m)^1.5 LDF^-0.5: a = 0.67 a'/S800^0.5. r is not below 150 m.
TIME_FLOOR, TIME_SPREAD, SPREAD_POWER = 30.0, 0.377 / 0.67, -0.3
NEAREST = 150.0
#: Poisson terms of signals and of silent stations count so much.
SIGNAL_WEIGHT, SILENT_WEIGHT = 0.4, 0.25
#: Errors of signals, of the observed density.
SIGNAL_ERRORS = ErrorModel(signal_poisson=2.0, signal_fraction=0.15)
#: Curvature from which the joint fit starts: a' is 1.3 of the usual one.
START_CURVATURE = 1.3 * 0.67
#: A station that was left out keeps its signal where that is above so many VEM and below so many
#: VEM/m^2, nearer to the core than this many spacings.
KEPT_SIGNAL, KEPT_DENSITY, KEPT_DISTANCE = 10.0, 15.0, 2.0
#: A station that was left out, until the joint fit.
LEFT_OUT = 64
#: Weight of what is held fixed.
_HELD = 1e12


class PublishedSettings(NamedTuple):
    """What the compiled fit needs to know."""

    joint: FitSettings
    spacing: float  #: of the array [m]


class Pins(NamedTuple):
    """What keeps parameters near given values: weight (p - mean)^2 is added to the sum."""

    mean: np.ndarray  #: (7,)
    weight: np.ndarray  #: (7,) 1/variance


@inner(inline=False)
def evaluate_pinned(p, observed, span, settings, pins, quadratic):
    """`terms.evaluate` with parameters kept near given values; its arguments, with `Pins`."""
    total = evaluate(p, observed, span, settings, Prior(0.0, 0.0), quadratic)
    for j in range(N_PARAMETERS):
        off = p[j] - pins.mean[j]
        total += pins.weight[j] * off * off
        quadratic.gradient[j] += pins.weight[j] * off
        quadratic.information[j, j] += pins.weight[j]
    return total


minimise_pinned = minimiser_of(evaluate_pinned)


@inner(inline=False)
def hold(pins, p, which):
    """Pins that hold the parameters whose bit is in `which` where they are in p."""
    for j in range(N_PARAMETERS):
        pins.mean[j] = p[j]
        pins.weight[j] = _HELD if which >> j & 1 else 0.0


@inner(inline=False)
def set_published_weights(p, observed, settings):
    """Weights of all stations: errors of times from the model p, those of signals from what was
    observed; below POISSON_DENSITY, as p expects it, and for silence, a part of a Poisson term.

    Where the array's front has another power of the density, `a` is no measure of the thickness:
    the usual curvature stands for it.
    """
    set_weights(p, observed, settings)
    description = settings.description
    n_z = math.sqrt(max(1.0 - p[2] * p[2] - p[3] * p[3], 0.0))
    eta = slope_of_secant(1.0 / n_z)
    scale = TIME_SPREAD * p[6] * math.exp(0.5 * p[4])
    if description.front.density_power != TELESCOPE_ARRAY_FRONT.density_power:
        scale = TIME_SPREAD * START_CURVATURE * usual_curvature(n_z)[0]
    for i in range(len(observed.x)):
        use = observed.use[i]
        observed.shift[i], observed.contained[i] = 0.0, 1.0
        observed.late[i] = observed.trust[i] = 1.0
        observed.skew[i] = 0.0
        if use & SILENT:
            # The same as this part of its term, which is proportional to its expectation.
            observed.contained[i] = SILENT_WEIGHT / SIGNAL_WEIGHT
        dx, dy = observed.x[i] - p[0], observed.y[i] - p[1]
        r, _ = soft_distance(dx, dy, observed.z[i], (p[2], p[3], n_z), description.on_ground)
        if use & TIME:
            far = max(r, NEAREST)
            log_density = p[4] + log_lateral_distribution(far, eta, description.lateral)
            spread = scale * thickness_shape(far) * math.exp(SPREAD_POWER * log_density)
            observed.time_weight[i] = 1.0 / (TIME_FLOOR * TIME_FLOOR + spread * spread)
        observed.signal_weight[i] = 0.0
        log_expected = p[4] + log_lateral_distribution(r, eta, description.lateral)
        if use & SIGNAL and log_expected >= math.log(POISSON_DENSITY):
            error = density_error(observed.density[i], description.area, SIGNAL_ERRORS)
            observed.signal_weight[i] = 1.0 / (error * error)


@inner(inline=False)
def choose_for_joint(p, observed, settings):
    """What of every station the joint fit takes: of saturated ones the time alone, of those left
    out the signal, if it is large and near.
    """
    area, reach = settings.joint.description.area, KEPT_DISTANCE * settings.spacing
    for i in range(len(observed.x)):
        if observed.use[i] & BOUND:
            observed.use[i] = TIME
        elif observed.use[i] == LEFT_OUT:
            dx, dy, dz = observed.x[i] - p[0], observed.y[i] - p[1], observed.z[i]
            kept = dx * dx + dy * dy + dz * dz < reach * reach
            kept &= observed.density[i] * area > KEPT_SIGNAL
            kept &= observed.density[i] <= KEPT_DENSITY
            observed.use[i] = SIGNAL if kept else 0


@inner(inline=False)
def chi2_of(p, observed, settings):
    """Terms of all stations that are not silent."""
    here, total = trial_of(p, settings), 0.0
    for i in range(len(observed.x)):
        if observed.use[i] & (TIME | SIGNAL):
            _, _, terms = station_terms(here, observed, i, settings)
            total += max(terms, 0.0)
    return total


@inner(inline=False)
def fit_joint(p, observed, settings, pins, information, scratch):
    """Times and signals together from p, which is overwritten; returns (sum, converged)."""
    total, good = np.inf, False
    hold(pins, p, 0 if count(observed, TIME) > FEWEST_STATIONS else 0b1000000)
    for k in range(PASSES):
        set_published_weights(p, observed, settings.joint)
        end = CONVERGED if k == PASSES - 1 else NEARLY_CONVERGED
        total, good = minimise_pinned(p, observed, settings.joint, pins, end, information, scratch)
    return total, good

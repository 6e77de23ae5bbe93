"""The reconstruction of one event as the Telescope Array published it: front alone, lateral
distribution alone, and both together. Compiled.
"""

import math
from typing import NamedTuple

import numpy as np

from tashower.calibration.errors import POISSON_DENSITY, ErrorModel, density_error
from tashower.physics.compiled import compiled, inner
from tashower.physics.lateral import log_lateral_distribution, slope_of_secant
from tashower.physics.shower_front import TELESCOPE_ARRAY_FRONT, thickness_shape
from tashower.reconstruction.clusters import BOUND, SIGNAL, SILENT, TIME
from tashower.reconstruction.joint.minimise import (
    CONVERGED,
    NEARLY_CONVERGED,
    cholesky,
    copy_vector,
    invert,
    minimiser_of,
    scratch_space,
)
from tashower.reconstruction.joint.model import (
    N_PARAMETERS,
    FitSettings,
    Observed,
    Prior,
    set_weights,
    soft_distance,
    trial_of,
)
from tashower.reconstruction.joint.observe import count, observe, work_space
from tashower.reconstruction.joint.outliers import silence_and_signal
from tashower.reconstruction.joint.start import start_plane
from tashower.reconstruction.joint.terms import evaluate, station_terms
from tashower.reconstruction.published.geometry import (
    CLEANING_CHI2,
    GeometrySettings,
    Pull,
    evaluate_geometry,
    usual_curvature,
)
from tashower.reconstruction.published.stations import (
    CENTRE_ERROR,
    centre_of_gravity,
    lateral_stations,
    size_of,
)

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
#: Curvature from which the joint fit starts, over the usual one, in a'.
START_CURVATURE = 1.3 * 0.67
#: And that of the front alone [ns].
START_FREE = 2.6
#: A station that was left out keeps its signal where that is above so many VEM and below so many
#: VEM/m^2, nearer to the core than this many spacings.
KEPT_SIGNAL, KEPT_DENSITY, KEPT_DISTANCE = 10.0, 15.0, 2.0
#: chi2 of a fit that did not converge, as in the Telescope Array's files.
NOT_CONVERGED = 1e6
#: Weight of what is held fixed.
_HELD = 1e12


class PublishedSettings(NamedTuple):
    """What the compiled fit needs to know."""

    joint: FitSettings
    spacing: float  #: of the array [m]


class Stages(NamedTuple):
    """Where the results of all events go; n: events."""

    p: np.ndarray  #: (n, 7) of the joint fit
    covariance: np.ndarray  #: (n, 7, 7)
    #: (n, 8) of the joint fit: chi2, ndof, stations with a time, stations left out, good, 0,
    #: terms of silent stations, signal density of all stations
    sums: np.ndarray
    usual: np.ndarray  #: (n, 7) front with the usual curvature; S800 means nothing
    free: np.ndarray  #: (n, 7) front with a free curvature; S800 means nothing
    lateral: np.ndarray  #: (n, 7) lateral fit: core and ln S800; the rest is held
    #: (n, 7): chi2 of the three, their ndof, variance of ln S800 of the lateral fit
    quality: np.ndarray


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


_minimise_geometry, _minimise_pinned = (
    minimiser_of(evaluate_geometry),
    minimiser_of(evaluate_pinned),
)


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
def fit_front(free, p, observed, settings, centre, information, scratch):
    """The front alone from p, which is overwritten; returns (sum, converged)."""
    pull = Pull(centre[0], centre[1], (CENTRE_ERROR * settings.spacing) ** -2.0)
    front = GeometrySettings(free, settings.joint.description.on_ground)
    return _minimise_geometry(p, observed, front, pull, CONVERGED, information, scratch)


@inner(inline=False)
def clean(p, total, observed, settings, information, scratch):
    """Leave out stations, the one first without which the sum falls most, as long as it falls by
    CLEANING_CHI2; the centre of gravity is that of the others. p is overwritten.

    Returns (sum, converged, number left out).
    """
    trial, best = scratch.other, scratch.best
    n, n_times, good = 0, count(observed, TIME), True
    while total >= CLEANING_CHI2 and n_times > FEWEST_STATIONS:
        worst, lowest = -1, total
        for i in range(len(observed.x)):
            use = observed.use[i]
            if not use & TIME:
                continue
            observed.use[i] = 0
            copy_vector(p, trial)
            centre = centre_of_gravity(observed)
            without, fine = fit_front(
                False, trial, observed, settings, centre, information, scratch
            )
            if fine and without < lowest:
                worst, lowest = i, without
                copy_vector(trial, best)
            observed.use[i] = use
        if worst < 0 or total - lowest < CLEANING_CHI2:
            break
        observed.use[worst] = LEFT_OUT
        copy_vector(best, p)
        total = lowest
        n += 1
        n_times -= 1
    return total, good, n


#: A station that was left out, until the joint fit.
LEFT_OUT = 64


@inner(inline=False)
def hold(pins, p, which):
    """Pins that hold the parameters whose bit is in `which` where they are in p."""
    for j in range(N_PARAMETERS):
        pins.mean[j] = p[j]
        pins.weight[j] = _HELD if which >> j & 1 else 0.0


@inner(inline=False)
def fit_lateral(p, far, settings, centre, pins, information, scratch):
    """The lateral distribution alone from p, which is overwritten, with its direction; returns
    (sum, converged, variance of ln S800).
    """
    hold(pins, p, 0b1101100)
    for j in range(2):
        pins.mean[j] = centre[j]
        pins.weight[j] = (CENTRE_ERROR * settings.spacing) ** -2.0
    total, good = _minimise_pinned(p, far, settings.joint, pins, CONVERGED, information, scratch)
    variance = np.nan
    if good and cholesky(information, scratch.factor):
        invert(scratch.factor, scratch.spare, scratch.step)
        variance = scratch.spare[4, 4]
    return total, good, variance


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
            _, _, terms = station_terms(here, observed, i, settings.description)
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
        total, good = _minimise_pinned(p, observed, settings.joint, pins, end, information, scratch)
    return total, good


@inner(inline=False)
def fit_fronts(i, observed, settings, found, scratch):
    """Front of event i with the usual and with a free curvature, cleaned; returns (centre of
    gravity of all stations, good, number left out).
    """
    usual, free = found.usual[i], found.free[i]
    quality, information = found.quality[i], scratch.information
    centre = centre_of_gravity(observed)
    usual[0], usual[1] = centre
    usual[4], usual[6] = 0.0, 0.0
    if not start_plane(observed, usual, scratch.normal):
        return centre, False, 0
    total, good = fit_front(False, usual, observed, settings, centre, information, scratch)
    if not good:
        return centre, False, 0
    total, good, left_out = clean(usual, total, observed, settings, information, scratch)
    copy_vector(usual, free)
    free[6] = START_FREE
    middle = centre_of_gravity(observed)
    quality[0] = total
    quality[1], fine = fit_front(True, free, observed, settings, middle, information, scratch)
    if not fine:
        copy_vector(usual, free)
        quality[1] = NOT_CONVERGED
    n = count(observed, TIME)
    quality[3], quality[4] = n - 5, n - 6
    n_z = math.sqrt(1.0 - usual[2] * usual[2] - usual[3] * usual[3])
    usual[6] = usual_curvature(n_z)[0]
    return centre, good, left_out


@compiled
def slices(far, n):
    """The first n stations of an `Observed`."""
    return Observed(
        far.x[:n],
        far.y[:n],
        far.z[:n],
        far.use[:n],
        far.time[:n],
        far.density[:n],
        far.time_weight[:n],
        far.signal_weight[:n],
        far.shift[:n],
        far.contained[:n],
        far.expected[:n],
        far.late[:n],
        far.trust[:n],
    )


@inner(inline=False)
def mark(event, hits, busy, value):
    """Put `value` into `busy` for an event's stations that have a hit or are out of service."""
    for k in range(hits.offset[event], hits.offset[event + 1]):
        busy[hits.station[k]] = value
    for k in range(hits.dead_offset[event], hits.dead_offset[event + 1]):
        busy[hits.dead[k]] = value


@compiled
def fit_all(hits, geometry, settings, found):
    """Fit every event; the arrays of `found` (`Stages`) are overwritten, NaN where there is none.

    hits : `HitColumns`; geometry : `Geometry`
    """
    n_stations = len(geometry.position)
    work, scratch = work_space(n_stations), scratch_space()
    busy, c = np.full(n_stations, -1, np.int32), np.zeros((12, n_stations))
    far = Observed(
        c[0], c[1], c[2], np.zeros(n_stations, np.int32), c[3], c[4], c[5], c[6], c[7], c[8], c[9],
        c[10], c[11],
    )  # fmt: skip
    pins, nothing = (
        Pins(np.zeros(N_PARAMETERS), np.zeros(N_PARAMETERS)),
        np.full(N_PARAMETERS, np.nan),
    )
    joint, description = settings.joint, settings.joint.description
    for i in range(len(hits.offset) - 1):
        observed, origin = observe(i, hits, geometry, description.area, work)
        p, sums, quality, lateral = found.p[i], found.sums[i], found.quality[i], found.lateral[i]
        used, good, left_out = count(observed, TIME), False, 0
        centre = (0.0, 0.0)
        if used >= FEWEST_STATIONS:
            centre, good, left_out = fit_fronts(i, observed, settings, found, scratch)
            used = count(observed, TIME)
        if good:
            copy_vector(found.usual[i], lateral)
            lateral[0], lateral[1] = centre
            lateral[4] = size_of(lateral, observed, settings.spacing, description)
            mark(i, hits, busy, 0)
            array = (geometry.position, busy)
            n, seen = lateral_stations(
                lateral, centre, observed, array, settings.spacing, description, far
            )
            mark(i, hits, busy, -1)
            if seen:
                quality[2], good, quality[6] = fit_lateral(
                    lateral, slices(far, n), settings, centre, pins, scratch.information, scratch
                )
            quality[5] = seen - 3
            good = good and seen > 0
        if good:
            copy_vector(found.free[i], p)
            p[4] = size_of(p, observed, settings.spacing, description)
            n_z = math.sqrt(1.0 - p[2] * p[2] - p[3] * p[3])
            p[6] = START_CURVATURE * usual_curvature(n_z)[0] * math.exp(-0.5 * p[4])
            choose_for_joint(p, observed, settings)
            _, good = fit_joint(p, observed, settings, pins, scratch.information, scratch)
            sums[0] = chi2_of(p, observed, joint)
            sums[6], sums[7] = silence_and_signal(p, observed, joint)
            good = good and cholesky(scratch.information, scratch.factor)
        if good:
            invert(scratch.factor, found.covariance[i], scratch.step)
        sums[1] = used + count(observed, SIGNAL) - N_PARAMETERS
        sums[2], sums[3], sums[4] = used, left_out, good
        for row in (p, found.usual[i], found.free[i]):
            row[5] += origin
        lateral[5] = np.nan
        if not good:
            copy_vector(nothing, p)

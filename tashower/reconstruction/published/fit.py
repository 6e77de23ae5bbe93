"""The reconstruction of one event as the Telescope Array published it: front alone, lateral
distribution alone, and both together. Compiled.
"""

import math
from typing import NamedTuple

import numpy as np

from tashower.physics.compiled import compiled, inner
from tashower.reconstruction.clusters import SIGNAL, TIME
from tashower.reconstruction.joint.minimise import (
    CONVERGED,
    cholesky,
    copy_vector,
    invert,
    minimiser_of,
    scratch_space,
)
from tashower.reconstruction.joint.model import N_PARAMETERS, Observed
from tashower.reconstruction.joint.observe import count, observe, work_space
from tashower.reconstruction.joint.outliers import silence_and_signal
from tashower.reconstruction.joint.start import start_plane
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
from tashower.reconstruction.published.together import (
    FEWEST_STATIONS,
    LEFT_OUT,
    START_CURVATURE,
    Pins,
    chi2_of,
    choose_for_joint,
    fit_joint,
    hold,
    minimise_pinned,
)

#: Curvature from which the free front starts [ns].
START_FREE = 2.6
#: Events with more stations are not cleaned: every one of them would be left out in turn. Choice:
#: beyond any event of the Telescope Array.
MOST_CLEANED = 100
#: chi2 of a fit that did not converge, as in the Telescope Array's files.
NOT_CONVERGED = 1e6


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


_minimise_geometry = minimiser_of(evaluate_geometry)


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

    Returns (sum, number left out).
    """
    trial, best = scratch.other, scratch.best
    n, n_times = 0, count(observed, TIME)
    while total >= CLEANING_CHI2 and FEWEST_STATIONS < n_times <= MOST_CLEANED:
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
    return total, n


@inner(inline=False)
def fit_lateral(p, far, settings, centre, pins, information, scratch):
    """The lateral distribution alone from p, which is overwritten, with its direction; returns
    (sum, converged, variance of ln S800).
    """
    hold(pins, p, 0b1101100)
    for j in range(2):
        pins.mean[j] = centre[j]
        pins.weight[j] = (CENTRE_ERROR * settings.spacing) ** -2.0
    total, good = minimise_pinned(p, far, settings.joint, pins, CONVERGED, information, scratch)
    variance = np.nan
    if good and cholesky(information, scratch.factor):
        invert(scratch.factor, scratch.spare, scratch.step)
        variance = scratch.spare[4, 4]
    return total, good, variance


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
    total, left_out = clean(usual, total, observed, settings, information, scratch)
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
    return centre, True, left_out


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
        far.skew[:n],
        far.tails,
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
    busy, c = np.full(n_stations, -1, np.int32), np.zeros((13, n_stations))
    far = Observed(
        c[0], c[1], c[2], np.zeros(n_stations, np.int32), c[3], c[4], c[5], c[6], c[7], c[8], c[9],
        c[10], c[11], c[12], np.zeros(1, np.bool_),
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
        for stage in (p, found.usual[i], found.free[i]):
            stage[5] += origin
        lateral[5] = np.nan
        if not good:
            copy_vector(nothing, p)

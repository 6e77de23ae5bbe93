"""The joint fit of one event: plane front, curved front, times and densities with seven parameters;
stations that do not belong are rejected. Compiled.
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
    minimise,
    scratch_space,
)
from tashower.reconstruction.joint.model import N_PARAMETERS, prior_of
from tashower.reconstruction.joint.observe import count, observe, work_space
from tashower.reconstruction.joint.outliers import (
    MOST_OUTLIERS,
    OUTLIER_CHI2,
    is_suspicious,
    reject_silent,
    silence_and_signal,
    worst_station,
)
from tashower.reconstruction.joint.passes import best_start, loudest_silent, one_pass
from tashower.reconstruction.joint.start import start_core, start_plane, start_size

#: Fewest stations with a time for which the seven parameters are tried.
FEWEST_STATIONS = 4


class Fitted(NamedTuple):
    """Where the results of all events go."""

    p: np.ndarray  #: (n, 7)
    covariance: np.ndarray  #: (n, 7, 7)
    #: (n, 8): six as `fit_one` returns, two as `silence_and_signal`
    sums: np.ndarray


@inner
def is_same(p, before):
    """Two passes agree: their weights are those of their own result (choice of what is close)."""
    turned = abs(p[2] - before[2]) + abs(p[3] - before[3])
    moved = abs(p[0] - before[0]) + abs(p[1] - before[1])
    return turned < 5e-4 and moved < 2.0 and abs(p[4] - before[4]) < 5e-3


@inner(inline=False)
def fit_one(observed, settings, p, covariance, start, scratch):
    """Fit one event; p (7,) and covariance (7, 7) are overwritten. start: (7,) parameters to begin
    with, or NaN.

    Returns (chi2, ndof, stations used, stations rejected, good, silent ones among the rejected).
    chi2 counts the stations with a signal.
    """
    # The information is inverted in place.
    information, trial = covariance, scratch.other
    n_times = count(observed, TIME)
    if n_times < FEWEST_STATIONS:
        return np.nan, 0, n_times, 0, False, 0
    start_core(observed, p)
    if not start_plane(observed, p, scratch.normal):
        return np.nan, 0, n_times, 0, False, 0
    start_size(observed, p, settings)
    if not math.isnan(start[0]):
        copy_vector(start, p)
    ndof = n_times + count(observed, SIGNAL) - N_PARAMETERS
    at_start = best_start(p, observed, settings, information, ndof, scratch)
    total, good = one_pass(p, observed, settings, CONVERGED, information, scratch)
    for _ in range(settings.passes - 1):
        copy_vector(p, scratch.other)
        total, good = one_pass(p, observed, settings, CONVERGED, information, scratch)
        if is_same(p, scratch.other):
            break
    silent = 0
    if not good or is_suspicious(total, at_start, loudest_silent(observed), ndof, settings):
        silent = reject_silent(p, total, observed, settings, ndof, scratch)
        if silent:
            total, good = one_pass(p, observed, settings, CONVERGED, information, scratch)
    worst, lower, chi2 = worst_station(p, observed, settings, information, scratch)
    rejected = silent
    # 0.7: a margin for what second order misses.
    while (
        good
        and rejected < MOST_OUTLIERS
        and n_times > FEWEST_STATIONS + 1
        and lower > 0.7 * OUTLIER_CHI2
    ):
        use = observed.use[worst]
        observed.use[worst] = 0
        copy_vector(p, trial)
        without, fine = minimise(
            trial, observed, settings, prior_of(trial, settings), CONVERGED, scratch.spare, scratch
        )
        if not fine or total - without < OUTLIER_CHI2:
            observed.use[worst] = use
            break
        rejected += 1
        n_times -= 1
        copy_vector(trial, p)
        total, good = one_pass(p, observed, settings, CONVERGED, information, scratch)
        worst, lower, chi2 = worst_station(p, observed, settings, information, scratch)
    if not good or not cholesky(information, scratch.factor):
        return np.nan, 0, n_times, rejected, False, silent
    invert(scratch.factor, covariance, scratch.step)
    return chi2, n_times + count(observed, SIGNAL) - N_PARAMETERS, n_times, rejected, True, silent


@compiled
def fit_all(hits, geometry, settings, start, found):
    """Fit every event; the arrays of `found` (`Fitted`) are overwritten.

    hits : `HitColumns`; geometry : `Geometry`; start : (n, 7), NaN rows: a plane front
    """
    work, scratch = work_space(len(geometry.position)), scratch_space()
    for i in range(len(hits.offset) - 1):
        observed, origin = observe(i, hits, geometry, settings.description.area, work)
        chi2, ndof, used, rejected, good, silent = fit_one(
            observed, settings, found.p[i], found.covariance[i], start[i], scratch
        )
        sums = found.sums[i]
        if good:
            sums[6], sums[7] = silence_and_signal(found.p[i], observed, settings)
        found.p[i, 5] += origin
        sums[0], sums[1], sums[2] = chi2, ndof, used
        sums[3], sums[4], sums[5] = rejected, good, silent

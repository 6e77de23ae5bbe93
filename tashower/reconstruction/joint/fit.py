"""The joint fit of one event: plane front, curved front, times and densities with seven parameters;
stations that do not belong are rejected. Compiled.
"""

import math
from typing import NamedTuple

import numpy as np

from tashower.physics.compiled import compiled, inner
from tashower.reconstruction.clusters import SIGNAL, TIME
from tashower.reconstruction.joint.minimise import cholesky, copy_vector, invert, scratch_space
from tashower.reconstruction.joint.model import N_PARAMETERS
from tashower.reconstruction.joint.observe import count, observe, work_space
from tashower.reconstruction.joint.outliers import (
    FEWEST_STATIONS,
    OUTLIER_CHI2,
    Passed,
    is_suspicious,
    reject_again,
    reject_hits,
    reject_silent,
    silence_and_signal,
    take_back,
)
from tashower.reconstruction.joint.passes import best_start, loudest_silent, settle
from tashower.reconstruction.joint.start import start_core, start_plane, start_size


class Fitted(NamedTuple):
    """Where the results of all events go."""

    p: np.ndarray  #: (n, 7)
    covariance: np.ndarray  #: (n, 7, 7)
    #: (n, 8): six as `fit_one` returns, two as `silence_and_signal`
    sums: np.ndarray


#: By how much chi2 may grow with the tails of times, where hits are taken back (choice).
_MARGIN = 2.0


@inner(inline=False)
def with_tails(p, found, chi2, fitted, information, scratch):
    """The fit again from its result p, which is overwritten, with the tails of the times.

    Only after the first fit: times that may be late and are believed less where they are far would
    let a fit that is far off walk to a front that suits one wrong time. With them a late hit may
    belong again; where it was taken back and the front went to it, it is rejected again.

    found, chi2 : of the first fit; fitted : (silent stations rejected, `Observed`, `FitSettings`)
    Returns (`Passed`, chi2 of the stations with a signal).
    """
    silent, observed, settings = fitted
    copy_vector(p, scratch.best)
    before = chi2 + OUTLIER_CHI2 * found.rejected
    observed.tails[0] = True
    back = take_back(observed)
    total, good = settle(p, observed, settings, information, scratch)
    found, chi2 = reject_hits(
        p, Passed(total, good, silent), observed, settings, information, scratch
    )
    grown = not chi2 + OUTLIER_CHI2 * found.rejected < before + _MARGIN
    if found.good and not (back and grown):
        return found, chi2
    rejected = silent + reject_again(observed)
    copy_vector(scratch.best, p)
    total, good = settle(p, observed, settings, information, scratch)
    if not good:
        observed.tails[0] = False
        copy_vector(scratch.best, p)
        total, good = settle(p, observed, settings, information, scratch)
    return reject_hits(p, Passed(total, good, rejected), observed, settings, information, scratch)


@inner(inline=False)
def fit_one(observed, settings, p, covariance, start, scratch):
    """Fit one event; p (7,) and covariance (7, 7) are overwritten. start: (7,) parameters to begin
    with, or NaN.

    Returns (chi2, ndof, stations used, stations rejected, good, silent ones among the rejected).
    chi2 counts the stations with a signal.
    """
    # The information is inverted in place.
    information = covariance
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
    total, good = settle(p, observed, settings, information, scratch)
    silent = 0
    if not good or is_suspicious(total, at_start, loudest_silent(observed), ndof, settings):
        silent = reject_silent(p, total, observed, settings, ndof, scratch)
        if silent:
            total, good = settle(p, observed, settings, information, scratch)
    found = Passed(total, good, silent)
    found, chi2 = reject_hits(p, found, observed, settings, information, scratch)
    if settings.asymmetry.used and found.good:
        found, chi2 = with_tails(p, found, chi2, (silent, observed, settings), information, scratch)
    good, rejected = found.good, found.rejected
    n_times = count(observed, TIME)
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

"""The joint fit of one event: plane front, curved front, times and densities with seven parameters;
stations that do not belong are rejected. Compiled.
"""

import math
from typing import NamedTuple

import numpy as np

from tashower.physics.compiled import compiled, inner
from tashower.reconstruction.clusters import SIGNAL, SILENT, TIME
from tashower.reconstruction.joint.minimise import (
    CONVERGED,
    NEARLY_CONVERGED,
    cholesky,
    copy_vector,
    invert,
    minimise,
    scratch_space,
    solve,
)
from tashower.reconstruction.joint.model import (
    N_PARAMETERS,
    Prior,
    Quadratic,
    prior_of,
    set_weights,
    trial_of,
)
from tashower.reconstruction.joint.observe import count, nearest_signal, observe, work_space
from tashower.reconstruction.joint.start import start_core, start_plane, start_size
from tashower.reconstruction.joint.terms import evaluate, station_terms

#: A station is rejected when that lowers chi2 by more than this, one station at a time. The
#: Telescope Array uses 4 (Ivanov 2012), which also takes away one good station in twenty and makes
#: the pulls of the rest too narrow.
OUTLIER_CHI2 = 12.0
#: Most stations rejected in an event.
MOST_OUTLIERS = 4
#: Fewest stations with a time for which the seven parameters are tried.
FEWEST_STATIONS = 4
_NEAR = 150.0  # a core this close [m] to a station with signal is checked from other starts
_RING = 300.0  # how far away the other starts lie [m]


class Fitted(NamedTuple):
    """Where the results of all events go."""

    p: np.ndarray  #: (n, 7)
    covariance: np.ndarray  #: (n, 7, 7)
    sums: np.ndarray  #: (n, 5) as `fit_one` returns


@inner(inline=False)
def one_pass(p, observed, settings, converged, information, scratch):
    """Weights and prior from the model p, then the minimum; p is overwritten. Returns (sum,
    converged).
    """
    set_weights(p, observed, settings)
    prior = prior_of(p, settings)
    scratch.prior[0], scratch.prior[1] = prior.mean, prior.weight
    return minimise(p, observed, settings, prior, converged, information, scratch)


@inner(inline=False)
def best_start(p, observed, settings, information, ndof, scratch):
    """The first pass, repeated from a ring of other cores where the result is suspicious; the best
    minimum stays in p.
    """
    start, best, other, weights_from = (
        scratch.start,
        scratch.best,
        scratch.other,
        scratch.weights_from,
    )
    copy_vector(p, start)
    total, _ = one_pass(p, observed, settings, NEARLY_CONVERGED, information, scratch)
    good = math.isfinite(total)
    # Silent stations have terms in the sum, too.
    expected = 4.0 * max(ndof + count(observed, SILENT), 1)
    if good and total <= expected and nearest_signal(p, observed) >= _NEAR:
        return
    copy_vector(p, best)
    # The same weights for all starts, or their sums could not be compared.
    copy_vector(p if good else start, weights_from)
    lowest = compare(best, weights_from, observed, settings, scratch)
    for k in range(2):
        copy_vector(start, other)
        other[0] += _RING * math.cos(math.pi * k + 0.4)
        other[1] += _RING * math.sin(math.pi * k + 0.4)
        start_size(observed, other, settings)
        one_pass(other, observed, settings, NEARLY_CONVERGED, scratch.spare, scratch)
        found = compare(other, weights_from, observed, settings, scratch)
        if found < lowest - 1e-3:
            copy_vector(other, best)
            lowest = found
    copy_vector(best, p)


@inner(inline=False)
def compare(p, weights_from, observed, settings, scratch):
    """The sum for p with the weights and the prior of another model."""
    set_weights(weights_from, observed, settings)
    prior = prior_of(weights_from, settings)
    quadratic = Quadratic(scratch.gradient, scratch.trial_information, scratch.sums)
    return evaluate(p, observed, (0, len(observed.x)), settings, prior, quadratic)


@inner(inline=False)
def worst_station(p, observed, settings, information, scratch):
    """(index of the station whose removal lowers the sum most, by how much, chi2 of all stations
    with a signal).

    information : at the minimum p

    To second order the sum of the others falls from its value here by g (H - F)^-1 g, with H the
    information of all, F and g that and the gradient of the station: gradients add up to zero at
    the minimum.
    """
    gradient, own, factor, change = (
        scratch.gradient,
        scratch.trial_information,
        scratch.factor,
        scratch.step,
    )
    quadratic, free = Quadratic(gradient, own, scratch.sums), Prior(0.0, 0.0)
    here = trial_of(p, settings)
    worst, most, total = -1, 0.0, 0.0
    for i in range(len(observed.x)):
        if not observed.use[i] & TIME:
            continue
        _, _, chi2 = station_terms(here, observed, i, settings.description)
        total += chi2
        if chi2 < 0.25 * OUTLIER_CHI2:
            continue
        evaluate(p, observed, (i, i + 1), settings, free, quadratic)
        for j in range(N_PARAMETERS):
            change[j] = gradient[j]
            for k in range(N_PARAMETERS):
                own[j, k] = information[j, k] - own[j, k]
        if not cholesky(own, factor):
            continue  # without this station the fit would be undetermined
        solve(factor, change)
        lower = chi2
        for k in range(N_PARAMETERS):
            lower += gradient[k] * change[k]
        if lower > most:
            worst, most = i, lower
    return worst, most, total


@inner(inline=False)
def fit_one(observed, settings, p, covariance, start, scratch):
    """Fit one event; p (7,) and covariance (7, 7) are overwritten. start: (7,) parameters to begin
    with, or NaN.

    Returns (chi2, ndof, stations used, stations rejected, good). chi2 counts the stations with a
    signal.
    """
    # The information is inverted in place.
    information, trial = covariance, scratch.other
    n_times = count(observed, TIME)
    if n_times < FEWEST_STATIONS:
        return np.nan, 0, n_times, 0, False
    start_core(observed, p)
    if not start_plane(observed, p, scratch.normal):
        return np.nan, 0, n_times, 0, False
    start_size(observed, p, settings)
    if not math.isnan(start[0]):
        copy_vector(start, p)
    ndof = n_times + count(observed, SIGNAL) - N_PARAMETERS
    best_start(p, observed, settings, information, ndof, scratch)
    total, good = one_pass(p, observed, settings, CONVERGED, information, scratch)
    worst, lower, chi2 = worst_station(p, observed, settings, information, scratch)
    rejected = 0
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
        return np.nan, 0, n_times, rejected, False
    invert(scratch.factor, covariance, scratch.step)
    return chi2, n_times + count(observed, SIGNAL) - N_PARAMETERS, n_times, rejected, True


@compiled
def fit_all(hits, geometry, settings, start, found):
    """Fit every event; the arrays of `found` (`Fitted`) are overwritten.

    hits : `HitColumns`; geometry : `Geometry`; start : (n, 7), NaN rows: a plane front
    """
    work, scratch = work_space(len(geometry.position)), scratch_space()
    for i in range(len(hits.offset) - 1):
        observed, origin = observe(i, hits, geometry, settings.description.area, work)
        chi2, ndof, used, rejected, good = fit_one(
            observed, settings, found.p[i], found.covariance[i], start[i], scratch
        )
        found.p[i, 5] += origin
        sums = found.sums[i]
        sums[0], sums[1], sums[2], sums[3], sums[4] = chi2, ndof, used, rejected, good

"""Stations that do not belong to the shower are rejected: those with a signal, and silent ones that
are out of service without being listed so. Compiled.
"""

from typing import NamedTuple

from tashower.physics.compiled import inner
from tashower.reconstruction.clusters import REJECTED, REJECTED_BITS, SILENT, TAKEN_BACK, TIME
from tashower.reconstruction.joint.minimise import (
    CONVERGED,
    NEARLY_CONVERGED,
    cholesky,
    copy_vector,
    minimise,
    solve,
)
from tashower.reconstruction.joint.model import (
    N_PARAMETERS,
    Prior,
    Quadratic,
    prior_of,
    set_weights,
    silence_poisson,
    trial_of,
)
from tashower.reconstruction.joint.observe import count
from tashower.reconstruction.joint.passes import best_start, one_pass, settle
from tashower.reconstruction.joint.terms import evaluate, station_terms

#: A station is rejected when that lowers chi2 by more than this, one station at a time. The
#: Telescope Array uses 4 (Ivanov 2012), which also takes away one good station in twenty and makes
#: the pulls of the rest too narrow.
OUTLIER_CHI2 = 12.0
#: Most stations rejected in an event.
MOST_OUTLIERS = 4
#: Fewest stations with a time for which the seven parameters are tried.
FEWEST_STATIONS = 4
#: The same for silent stations. Choice: of simulated healthy events, 4 or 5 in 1000 lose one, and
#: of those whose strongest station is missing, 3 in 100 keep it as silent.
SILENT_CHI2 = 8.0
# Where such a station is looked for (choices; one healthy event in fifty): its Poisson term 2 m in
# the model of the start, or in that of the fit, and the sum beyond the degrees of freedom.
_TERM_AT_START, _TERM_IN_FIT, _EXCESS = 8.0, 6.0, 8.0


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
        times, _, chi2 = station_terms(here, observed, i, settings)
        # What was trusted less counts in full, up to what a rejected station counts in the cut on
        # chi2: that is to tell whether the model fits.
        full = times[7] / observed.trust[i]
        if observed.trust[i] < 1.0:
            full = min(full, OUTLIER_CHI2)
        lowered = max(full - times[7], 0.0)
        total += max(chi2 + lowered, 0.0)  # a Poisson term of exact data is 0 but for rounding
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


class Passed(NamedTuple):
    """How a fit stands."""

    total: float  #: sum at its minimum
    good: bool  #: converged
    rejected: int  #: stations


@inner(inline=False)
def take_back(observed):
    """Take back the hits that were rejected; returns how many."""
    n = 0
    for i in range(len(observed.x)):
        if observed.use[i] >> REJECTED_BITS:
            observed.use[i] = observed.use[i] >> REJECTED_BITS | TAKEN_BACK
            n += 1
    return n


@inner(inline=False)
def reject_again(observed):
    """Reject exactly the hits that were rejected before they were taken back; returns how many."""
    n = 0
    for i in range(len(observed.x)):
        if observed.use[i] >> REJECTED_BITS:
            observed.use[i] >>= REJECTED_BITS
        if observed.use[i] & TAKEN_BACK:
            observed.use[i] <<= REJECTED_BITS
            n += 1
    return n


@inner(inline=False)
def reject_hits(p, found, observed, settings, information, scratch):
    """Reject stations with a signal, one at a time, while that lowers the sum by OUTLIER_CHI2; p
    and `information` are overwritten.

    found : `Passed` of the fit with all stations. Returns (`Passed`, chi2 of the stations with a
    signal).
    """
    total, good, rejected = found
    trial = scratch.other
    n_times = count(observed, TIME)
    worst, lower, chi2 = worst_station(p, observed, settings, information, scratch)
    # 0.7: a margin for what second order misses.
    while (
        good
        and rejected < MOST_OUTLIERS
        and n_times > FEWEST_STATIONS + 1
        and lower > 0.7 * OUTLIER_CHI2
    ):
        use = observed.use[worst]
        observed.use[worst] = use << REJECTED_BITS
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
        total, good = settle(p, observed, settings, information, scratch)
        worst, lower, chi2 = worst_station(p, observed, settings, information, scratch)
    return Passed(total, good, rejected), chi2


@inner(inline=False)
def set_aside(p, observed, settings):
    """Set aside the silent stations that the model p finds impossible (2 m above SILENT_CHI2), take
    back the others; returns how many are aside.
    """
    set_weights(p, observed, settings)
    largest = 0.5 * SILENT_CHI2 * silence_poisson(settings) / settings.description.area
    n = 0
    for i in range(len(observed.x)):
        if observed.use[i] & (SILENT | REJECTED):
            if observed.expected[i] > largest:
                observed.use[i] = REJECTED
                n += 1
            else:
                observed.use[i] = SILENT
    return n


@inner(inline=False)
def set_aside_loudest(p, observed, settings):
    """Set aside the one silent station of which the model p expects most; returns 1, or 0 where
    none is silent.
    """
    set_weights(p, observed, settings)
    loudest = -1
    for i in range(len(observed.x)):
        silent = observed.use[i] & (SILENT | REJECTED)
        if silent:
            observed.use[i] = SILENT
        if silent and (loudest < 0 or observed.expected[i] > observed.expected[loudest]):
            loudest = i
    if loudest < 0:
        return 0
    observed.use[loudest] = REJECTED
    return 1


@inner(inline=False)
def reject_silent(p, total, observed, settings, ndof, scratch):
    """Look for silent stations that a model without them finds impossible, and keep that model in p
    where its sum is lower than `total` by SILENT_CHI2 for each; returns how many are rejected.

    A fit that believes a wrong silence walks away from it, and then finds it likely. So the event
    is fitted once more from its start, without any silent station, and then with those that this
    model allows; or, where it allows none of many, without the one that the start expects to be
    loudest.
    """
    other, information = scratch.without, scratch.information
    for i in range(len(observed.x)):
        if observed.use[i] & SILENT:
            observed.use[i] = REJECTED
    copy_vector(scratch.start, other)
    best_start(other, observed, settings, information, ndof, scratch)
    n = set_aside(other, observed, settings)
    if n > MOST_OUTLIERS:
        copy_vector(scratch.start, other)
        n = set_aside_loudest(other, observed, settings)
    if n:
        one_pass(other, observed, settings, NEARLY_CONVERGED, information, scratch)
        n = set_aside(other, observed, settings)
    if 0 < n <= MOST_OUTLIERS:
        without, good = one_pass(other, observed, settings, CONVERGED, information, scratch)
        if good and total - without > SILENT_CHI2 * n:
            copy_vector(other, p)
            return n
    for i in range(len(observed.x)):
        if observed.use[i] & REJECTED:
            observed.use[i] = SILENT
    return 0


@inner
def is_suspicious(total, at_start, in_fit, ndof, settings):
    """Whether `reject_silent` is worth its time.

    at_start, in_fit : largest density expected at a silent station [VEM/m^2]
    """
    term = 2.0 * settings.description.area / silence_poisson(settings)
    return total > ndof + _EXCESS and (
        term * at_start > _TERM_AT_START or term * in_fit > _TERM_IN_FIT
    )


@inner(inline=False)
def silence_and_signal(p, observed, settings):
    """(terms of the sum of the silent stations that are not rejected, at p; summed signal density
    [VEM/m^2] of the stations with a hit, rejected ones as well).
    """
    here = trial_of(p, settings)
    silence = signal = 0.0
    for i in range(len(observed.x)):
        if observed.use[i] & SILENT:
            _, _, terms = station_terms(here, observed, i, settings)
            silence += terms
        elif not observed.use[i] & REJECTED:
            signal += observed.density[i]
    return silence, signal

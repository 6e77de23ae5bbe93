"""One pass of the joint fit, and the first one from several starts. Compiled."""

import math

from tashower.physics.compiled import inner
from tashower.reconstruction.clusters import SILENT
from tashower.reconstruction.joint.minimise import (
    CONVERGED,
    NEARLY_CONVERGED,
    copy_vector,
    minimise,
)
from tashower.reconstruction.joint.model import Quadratic, prior_of, set_weights
from tashower.reconstruction.joint.observe import count, nearest_signal
from tashower.reconstruction.joint.start import start_size
from tashower.reconstruction.joint.terms import evaluate

_NEAR = 150.0  # a core this close [m] to a station with signal is checked from other starts
_RING = 300.0  # how far away the other starts lie [m]


@inner(inline=False)
def one_pass(p, observed, settings, converged, information, scratch):
    """Weights and prior from the model p, then the minimum; p is overwritten. Returns (sum,
    converged).
    """
    set_weights(p, observed, settings)
    prior = prior_of(p, settings)
    scratch.prior[0], scratch.prior[1] = prior.mean, prior.weight
    return minimise(p, observed, settings, prior, converged, information, scratch)


@inner
def is_same(p, before):
    """Two passes agree: their weights are those of their own result (choice of what is close)."""
    turned = abs(p[2] - before[2]) + abs(p[3] - before[3])
    moved = abs(p[0] - before[0]) + abs(p[1] - before[1])
    return turned < 5e-4 and moved < 2.0 and abs(p[4] - before[4]) < 5e-3


@inner(inline=False)
def settle(p, observed, settings, information, scratch):
    """Passes from the model p, which is overwritten, until the weights are those of the result, or
    `settings.passes` of them. Returns (sum, converged).
    """
    # The weights of the first of several are provisional.
    converged = NEARLY_CONVERGED if settings.passes > 1 else CONVERGED
    total, good = one_pass(p, observed, settings, converged, information, scratch)
    for _ in range(settings.passes - 1):
        copy_vector(p, scratch.kept)
        total, good = one_pass(p, observed, settings, CONVERGED, information, scratch)
        if is_same(p, scratch.kept):
            break
    return total, good


@inner
def loudest_silent(observed):
    """Largest density [VEM/m^2] that the model of the weights expects at a silent station."""
    most = 0.0
    for i in range(len(observed.x)):
        if observed.use[i] & SILENT:
            most = max(most, observed.expected[i])
    return most


@inner(inline=False)
def best_start(p, observed, settings, information, ndof, scratch):
    """The first pass, repeated from a ring of other cores where the result is suspicious; the best
    minimum stays in p, what it started from in scratch.start.

    Returns the largest density that the start expects at a silent station [VEM/m^2].
    """
    start, best, other, weights_from = (
        scratch.start,
        scratch.best,
        scratch.other,
        scratch.weights_from,
    )
    copy_vector(p, start)
    total, _ = one_pass(p, observed, settings, NEARLY_CONVERGED, information, scratch)
    loudest = loudest_silent(observed)
    good = math.isfinite(total)
    # Silent stations have terms in the sum, too.
    expected = 4.0 * max(ndof + count(observed, SILENT), 1)
    if good and total <= expected and nearest_signal(p, observed) >= _NEAR:
        return loudest
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
    return loudest


@inner(inline=False)
def compare(p, weights_from, observed, settings, scratch):
    """The sum for p with the weights and the prior of another model."""
    set_weights(weights_from, observed, settings)
    prior = prior_of(weights_from, settings)
    quadratic = Quadratic(scratch.gradient, scratch.trial_information, scratch.sums)
    return evaluate(p, observed, (0, len(observed.x)), settings, prior, quadratic)

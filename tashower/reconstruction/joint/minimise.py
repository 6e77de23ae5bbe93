"""Levenberg-Marquardt for the seven parameters of the joint fit. Compiled.

Marquardt 1963, doi:10.1137/0111030, with Nielsen's (1999) rule for the damping. The second
derivatives are the Fisher information, so that Poisson terms are treated like squares.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tashower.physics.compiled import compiled, inner
from tashower.reconstruction.joint.model import N_PARAMETERS, Quadratic
from tashower.reconstruction.joint.terms import evaluate

#: A step that changes the sum by less than this ends the fit; the last one, of a quadratic that is
#: known, is taken on trust.
CONVERGED = 1e-3
#: The same for a pass whose weights are provisional.
NEARLY_CONVERGED = 0.2
MOST_STEPS = 60


class Scratch(NamedTuple):
    """Arrays that the fit uses again and again; what is in them between two calls means nothing."""

    gradient: np.ndarray  #: (7,)
    trial_gradient: np.ndarray
    step: np.ndarray
    trial: np.ndarray
    trial_information: np.ndarray  #: (7, 7)
    damped: np.ndarray
    factor: np.ndarray
    sums: np.ndarray  #: (10, 4), for `terms.evaluate`
    start: np.ndarray  #: (7,)
    best: np.ndarray
    other: np.ndarray
    weights_from: np.ndarray
    without: np.ndarray
    kept: np.ndarray
    information: np.ndarray  #: (7, 7)
    spare: np.ndarray  #: (7, 7)
    normal: np.ndarray  #: (3, 4)
    prior: np.ndarray  #: (2,) mean and weight of the prior of the last pass


@compiled
def scratch_space():
    """A new `Scratch`."""
    n = N_PARAMETERS
    return Scratch(
        np.zeros(n),
        np.zeros(n),
        np.zeros(n),
        np.zeros(n),
        np.zeros((n, n)),
        np.zeros((n, n)),
        np.zeros((n, n)),
        np.zeros((10, 4)),
        np.zeros(n),
        np.zeros(n),
        np.zeros(n),
        np.zeros(n),
        np.zeros(n),
        np.zeros(n),
        np.zeros((n, n)),
        np.zeros((n, n)),
        np.zeros((3, 4)),
        np.zeros(2),
    )


@inner
def copy_vector(source, target):
    """target[:] = source for (7,)."""
    for i in range(N_PARAMETERS):
        target[i] = source[i]


@inner
def copy_matrix(source, target):
    """target[:] = source for (7, 7)."""
    for i in range(N_PARAMETERS):
        for j in range(N_PARAMETERS):
            target[i, j] = source[i, j]


@inner(inline=False)
def cholesky(matrix, factor):
    """Lower triangle of the Cholesky factor of a (7, 7) matrix, its diagonal inverted; False if it
    is not positive definite.
    """
    for j in range(N_PARAMETERS):
        total = matrix[j, j]
        for k in range(j):
            total -= factor[j, k] * factor[j, k]
        if not total > 1e-14 * matrix[j, j]:
            return False
        inverse = 1.0 / math.sqrt(total)
        factor[j, j] = inverse
        for i in range(j + 1, N_PARAMETERS):
            total = matrix[i, j]
            for k in range(j):
                total -= factor[i, k] * factor[j, k]
            factor[i, j] = total * inverse
    return True


@inner(inline=False)
def solve(factor, right):
    """Solve factor factor^T x = right in place; factor from `cholesky`."""
    for i in range(N_PARAMETERS):
        total = right[i]
        for k in range(i):
            total -= factor[i, k] * right[k]
        right[i] = total * factor[i, i]
    for i in range(N_PARAMETERS - 1, -1, -1):
        total = right[i]
        for k in range(i + 1, N_PARAMETERS):
            total -= factor[k, i] * right[k]
        right[i] = total * factor[i, i]


@inner(inline=False)
def invert(factor, inverse, column):
    """Inverse of factor factor^T into `inverse`, (7, 7); column : (7,) work space."""
    for j in range(N_PARAMETERS):
        for i in range(N_PARAMETERS):
            column[i] = 1.0 if i == j else 0.0
        solve(factor, column)
        for i in range(N_PARAMETERS):
            inverse[i, j] = column[i]


def minimiser_of(sum_at: Callable) -> Callable:
    """A compiled minimiser of a compiled sum, which takes the arguments of `terms.evaluate`."""

    # Not kept by itself: its name is that of the others. The loops that call it are.
    @inner(inline=False, cache=False)
    def minimise(p, observed, settings, prior, converged, information, scratch):
        """Minimise the sum from p, which is overwritten; `information` (7, 7) ends as that at
        the last point looked at.

        converged : CONVERGED or NEARLY_CONVERGED

        Returns (sum at the minimum, converged).
        """
        here = Quadratic(scratch.gradient, information, scratch.sums)
        there = Quadratic(scratch.trial_gradient, scratch.trial_information, scratch.sums)
        gradient, damped, factor = scratch.gradient, scratch.damped, scratch.factor
        step, trial = scratch.step, scratch.trial
        span = (0, len(observed.x))
        total = sum_at(p, observed, span, settings, prior, here)
        if not math.isfinite(total):
            return np.inf, False
        damping, growth = 1e-3, 2.0
        for _ in range(MOST_STEPS):
            copy_matrix(information, damped)
            for i in range(N_PARAMETERS):
                damped[i, i] += damping * information[i, i] + 1e-300
                step[i] = -gradient[i]
            if cholesky(damped, factor):
                solve(factor, step)
                decrease = 0.0  # that the quadratic model promises
                for i in range(N_PARAMETERS):
                    decrease += step[i] * (damping * information[i, i] * step[i] - gradient[i])
                    trial[i] = p[i] + step[i]
                if decrease < converged and damping < 1.0:
                    copy_vector(trial, p)
                    return total - decrease, True
                new = sum_at(trial, observed, span, settings, prior, there)
                if new <= total:
                    gain = (total - new) / max(decrease, 1e-300)
                    done = total - new < converged and damping < 1.0
                    copy_vector(trial, p)
                    copy_vector(there.gradient, gradient)
                    copy_matrix(there.information, information)
                    total = new
                    if done:
                        return total, True
                    damping = max(damping * max(0.1, 1.0 - (2.0 * gain - 1.0) ** 3), 1e-9)
                    growth = 2.0
                    continue
            damping *= growth
            growth *= 2.0
            if damping > 1e12:
                return total, False
        return total, False

    return minimise


#: That of the sum of the joint fit.
minimise = minimiser_of(evaluate)

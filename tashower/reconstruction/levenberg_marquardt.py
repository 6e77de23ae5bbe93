"""Levenberg-Marquardt for the seven parameters of the joint fit. Compiled.

Marquardt 1963, doi:10.1137/0111030, with Nielsen's (1999) rule for the damping. The curvature matrix is the Fisher information,
so that Poisson terms are treated like squares.
"""

import math

import numpy as np

from tashower.physics.compiled import compiled
from tashower.reconstruction.expectation import N_PARAMETERS, evaluate

#: A step that changes the sum by less than this ends the fit; the last one, of a quadratic that is known, is taken on trust.
CONVERGED = 1e-3
#: The same for a pass whose weights are provisional.
NEARLY_CONVERGED = 0.05
MOST_STEPS = 60


@compiled
def cholesky(matrix, factor):
    """Lower triangle of the Cholesky factor of a (7, 7) matrix into `factor`; returns False if it is not positive definite."""
    for j in range(N_PARAMETERS):
        total = matrix[j, j]
        for k in range(j):
            total -= factor[j, k] * factor[j, k]
        if not total > 1e-14 * matrix[j, j]:
            return False
        factor[j, j] = math.sqrt(total)
        for i in range(j + 1, N_PARAMETERS):
            total = matrix[i, j]
            for k in range(j):
                total -= factor[i, k] * factor[j, k]
            factor[i, j] = total / factor[j, j]
    return True


@compiled
def solve(factor, right):
    """Solve factor factor^T x = right in place."""
    for i in range(N_PARAMETERS):
        for k in range(i):
            right[i] -= factor[i, k] * right[k]
        right[i] /= factor[i, i]
    for i in range(N_PARAMETERS - 1, -1, -1):
        for k in range(i + 1, N_PARAMETERS):
            right[i] -= factor[k, i] * right[k]
        right[i] /= factor[i, i]


@compiled
def invert(factor, inverse):
    """Inverse of factor factor^T into `inverse`, (7, 7)."""
    column = np.empty(N_PARAMETERS)
    for j in range(N_PARAMETERS):
        column[:] = 0.0
        column[j] = 1.0
        solve(factor, column)
        inverse[:, j] = column


@compiled
def minimise(p, observed, area, dispersion, prior_mean, prior_weight, on_ground, converged, matrix):
    """Minimise `expectation.evaluate` from p, which is overwritten; `matrix` (7, 7) ends as the curvature at the last point looked at.

    converged : CONVERGED or NEARLY_CONVERGED

    Returns (sum at the minimum, converged).
    """
    gradient, trial_gradient = np.empty(N_PARAMETERS), np.empty(N_PARAMETERS)
    trial_matrix = np.empty((N_PARAMETERS, N_PARAMETERS))
    damped = np.empty((N_PARAMETERS, N_PARAMETERS))
    factor = np.zeros((N_PARAMETERS, N_PARAMETERS))
    step, trial = np.empty(N_PARAMETERS), np.empty(N_PARAMETERS)
    n, work = len(observed.x), np.empty((10, 4))
    total = evaluate(p, observed, 0, n, area, dispersion, prior_mean, prior_weight, on_ground, gradient, matrix, work)
    if not math.isfinite(total):
        return np.inf, False
    damping, growth = 1e-3, 2.0
    for _ in range(MOST_STEPS):
        damped[:] = matrix
        for i in range(N_PARAMETERS):
            damped[i, i] += damping * matrix[i, i] + 1e-300
            step[i] = -gradient[i]
        if cholesky(damped, factor):
            solve(factor, step)
            decrease = 0.0  # that the quadratic model promises
            for i in range(N_PARAMETERS):
                decrease += step[i] * (damping * matrix[i, i] * step[i] - gradient[i])
                trial[i] = p[i] + step[i]
            if decrease < converged and damping < 1.0:
                p[:] = trial
                return total - decrease, True
            new = evaluate(
                trial, observed, 0, n, area, dispersion, prior_mean, prior_weight, on_ground, trial_gradient, trial_matrix, work
            )
            if new <= total:
                gain = (total - new) / max(decrease, 1e-300)
                done = total - new < converged and damping < 1.0
                p[:], gradient[:], matrix[:] = trial, trial_gradient, trial_matrix
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

"""The prior on the curvature of the front: its mean against zenith and size, from fits of simulated
showers.
"""

import numpy as np

from tashower.calibration.least_squares import least_squares
from tashower.physics.compiled import inner

_ROUNDS = 4  # mean and width need each other
_FARTHEST = 5.0  # deviations [sigma] beyond which a fitted curvature counts as one at this distance
_LARGEST_WIDTH = 0.5  # of ln a


@inner
def prior_log_curvature(n_z, log_s_ref, coefficients):
    """<ln a> of showers of this zenith and S800."""
    s = 1.0 / n_z - 1.0
    c = coefficients
    return c[0] + s * (c[1] + s * c[2]) + log_s_ref * (c[3] + s * c[4])


def mean_curvature(zenith: np.ndarray, s_ref: np.ndarray, coefficients: tuple) -> np.ndarray:
    """(n,) exp<ln a> [ns] of showers of zenith [rad] and S800 [VEM/m^2]; NaN stays NaN."""
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        return np.exp(prior_log_curvature.py_func(np.cos(zenith), np.log(s_ref), coefficients))


def fit_curvature_prior(
    curvature: np.ndarray, error: np.ndarray, zenith: np.ndarray, s_ref: np.ndarray
) -> tuple[tuple, float]:
    """Coefficients of <ln a> in zenith and S800, and the rms of ln a around it, from the curvatures
    that a fit without a prior finds.

    The curvature that describes a shower best is what such a fit finds, not what the simulation
    calls its curvature: where the front differs from the formula, the two differ. Least squares in
    a/<a> with the errors of the fit and the width added in quadrature; the width has the largest
    likelihood.

    Parameters
    ----------
    curvature, error : a and its error [ns], (n,)
    zenith, s_ref : true ones [rad], [VEM/m^2]
    """
    from scipy.optimize import minimize_scalar

    s, log_s_ref = 1.0 / np.cos(zenith) - 1.0, np.log(s_ref)
    columns = np.stack([np.ones_like(s), s, s**2, log_s_ref, s * log_s_ref], axis=1)
    mean, width = np.full(len(s), max(float(np.median(curvature)), 1e-6)), 0.1
    for _ in range(_ROUNDS):
        # ln a to first order around the mean: a fitted a may be negative, its mean is not.
        own = error / mean
        off = curvature / mean - 1.0
        total = np.hypot(own, width)
        target = np.log(mean) + np.clip(off, -_FARTHEST * total, _FARTHEST * total)
        found = least_squares(columns / total[:, None], target / total)
        left = target - (columns * found).sum(axis=1)

        def unlikely(log_width, left=left, own=own):
            variance = own**2 + np.exp(2.0 * log_width)
            return np.mean(np.minimum(left**2 / variance, _FARTHEST**2) + np.log(variance))

        bounds = (-5.0, np.log(_LARGEST_WIDTH))
        width = float(np.exp(minimize_scalar(unlikely, bounds=bounds, method="bounded").x))
        mean = np.exp((columns * found).sum(axis=1))
    return tuple(float(c) for c in found), width

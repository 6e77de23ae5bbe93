"""Regions that errors state: an interval of one parameter, an ellipse of two.

A covariance C says that the true value of k parameters lies with probability p where
d^T C^-1 d < chi2_k^-1(p), d = true - reconstructed. A method whose errors are not those of a normal
distribution states how far out its ellipse of each of LEVELS lies, in multiples of that radius.
"""

import numpy as np
from scipy.special import gammainc, gammaincinv

#: Probabilities of the regions that are stated and shown (choice).
LEVELS = (0.5, 0.68, 0.9, 0.95)


def squared_distance(offset: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """d^T C^-1 d of offsets (..., k) and covariances (..., k, k), k = 1 or 2; NaN where the
    covariance is not known, or is none (not positive definite).
    """
    a, x = covariance[..., 0, 0], offset[..., 0]
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        if offset.shape[-1] == 1:
            return np.where(a > 0, x * x / a, np.nan)
        b, c, y = covariance[..., 0, 1], covariance[..., 1, 1], offset[..., 1]
        determinant = a * c - b * b
        square = (c * x * x - 2.0 * b * x * y + a * y * y) / determinant
        return np.where((a > 0) & (determinant > 0), square, np.nan)


def radius(level: float | np.ndarray, k: int) -> float | np.ndarray:
    """sqrt(chi2_k^-1(level)): of the region of a normal distribution, in standard deviations."""
    return np.sqrt(2.0 * gammaincinv(0.5 * k, level))


def probability(square: np.ndarray, k: int) -> np.ndarray:
    """Part of a normal distribution of k parameters within d^T C^-1 d = square."""
    return gammainc(0.5 * k, 0.5 * square)


def normal_square(square: np.ndarray, k: int, radii: np.ndarray | None = None) -> np.ndarray:
    """(n,) squared distances that a normal distribution has where the stated region has `square`.

    radii : (n, len(LEVELS)), increasing: of the region of every level over that of a normal
        distribution; None: they are those of one. Between two levels, and from 0 to the first, the
        distance is interpolated; beyond the last the ratio stays.
    """
    if radii is None:
        return square
    distance, found, low, low_normal = np.sqrt(square), np.zeros(len(square)), 0.0, 0.0
    for j, high_normal in enumerate(radius(np.array(LEVELS), k)):
        high = radii[:, j] * high_normal
        with np.errstate(invalid="ignore", divide="ignore"):
            part = np.minimum((distance - low) / (high - low), 1.0)
        found = np.where(distance > low, low_normal + part * (high_normal - low_normal), found)
        low, low_normal = high, high_normal
    found = np.where(distance > low, distance / radii[:, -1], found)
    return np.where(np.isnan(distance + radii[:, -1]), np.nan, found) ** 2

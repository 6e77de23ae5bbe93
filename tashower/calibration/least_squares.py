"""Linear least squares whose last digit does not depend on the machine's load."""

import numpy as np


def least_squares(columns: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Coefficients (k,) that bring `columns` (n, k) closest to `target` (n,).

    By the normal equations, whose sums are numpy's own: those of numpy.linalg.lstsq and of matrix
    products are shared between threads, and their rounding differs from run to run. Good for a few
    columns of similar size that are far from parallel.
    """
    size = np.sqrt((columns**2).sum(axis=0))
    unit = (columns / size).T
    normal = np.array([[(a * b).sum() for b in unit] for a in unit])
    return np.linalg.solve(normal, np.array([(a * target).sum() for a in unit])) / size

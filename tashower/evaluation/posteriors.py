"""Calibration of posteriors that are given as weighted points: do the true parameters lie where the
points say, no more and no less?

Two tests, both exact for any number of points where these are drawn from the posterior: ranks of
one parameter (simulation-based calibration: Talts et al. 2018, arXiv:1804.06788), and the expected
coverage of regions around arbitrary references in several parameters (TARP: Lemos et al. 2023,
arXiv:2302.03026). Both give every event a number that is uniform between 0 and 1 if posteriors are
right; they hold for all events together, and for any choice of them by what was measured, not by
the truth.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri
from scipy.stats import binom, kstwo


class Flatness(NamedTuple):
    """How uniform numbers between 0 and 1 are."""

    n: int
    shift: float  #: median of normal scores (of the truth, in standard deviations of posteriors)
    width: float  #: half of the middle 68.27 % of normal scores; above 1: posteriors are too narrow
    farthest: float  #: largest difference between their distribution and the uniform one
    p_value: float  #: of Kolmogorov and Smirnov's test


def weighted_ranks(
    values: np.ndarray, weights: np.ndarray, truth: np.ndarray, uniform: np.ndarray
) -> np.ndarray:
    """(n,) weight of the points below the truth, between 0 and 1; NaN where one is not known.

    Parameters
    ----------
    values : (n, m) of one parameter
    weights : (n, m), the sum of each row is 1
    truth : (n,)
    uniform : (n,) random numbers between 0 and 1, which make ranks continuous

    The truth counts as one more point, with the weight that a point of the posterior has on
    average, w = sum of the squared weights; it lies at a random place of its own weight and of that
    of points equal to it: (below + U (equal + w))/(1 + w). With m equal weights this is (k + U)/(m
    + 1) for k points below, which is uniform whatever m is (Talts et al. 2018, theorem 1); with
    other weights up to the scatter of the truth's own weight.
    """
    below = np.where(values < truth[:, None], weights, 0.0).sum(axis=1)
    equal = np.where(values == truth[:, None], weights, 0.0).sum(axis=1)
    own = (weights**2).sum(axis=1)
    known = np.isfinite(truth) & np.isfinite(values).all(axis=1) & (own > 0)
    return np.where(known, (below + uniform * (equal + own)) / (1.0 + own), np.nan)


def expected_coverage(
    points: np.ndarray,
    weights: np.ndarray,
    truth: np.ndarray,
    reference: np.ndarray,
    uniform: np.ndarray,
) -> np.ndarray:
    """(n,) weight of the points that are nearer to a reference than the truth is; NaN where one is
    not known. The part of the events in which it is below p is the expected coverage of p (Lemos et
    al. 2023, algorithm 2).

    Parameters
    ----------
    points : (n, m, k) of k parameters, in units in which distances are Euclidean
    weights, uniform : as of `weighted_ranks`
    truth, reference : (n, k). References and units may depend on what was measured, but neither on
        the points nor on the truth; near to where the posterior is they see the most.
    """
    distance = np.linalg.norm(points - reference[:, None], axis=2)
    own = np.linalg.norm(truth - reference, axis=1)
    return weighted_ranks(distance, weights, own, uniform)


def flatness(numbers: ArrayLike) -> Flatness:
    """`Flatness` of numbers between 0 and 1; NaN are left out."""
    found = np.sort(np.asarray(numbers, dtype=float))
    found = found[np.isfinite(found)]
    n = len(found)
    scores = ndtri(np.quantile(found, [0.15865, 0.5, 0.84135]))
    steps = np.arange(n + 1) / n
    farthest = max(np.max(steps[1:] - found), np.max(found - steps[:-1]))
    return Flatness(
        n,
        float(scores[1]),
        float(0.5 * (scores[2] - scores[0])),
        float(farthest),
        float(kstwo.sf(farthest, n)),
    )


def band_of_histogram(n: int, n_bins: int) -> tuple[float, float]:
    """Counts between which 95 % of the bins of n uniform numbers lie (binomial)."""
    low, high = binom.ppf([0.025, 0.975], n, 1.0 / n_bins)
    return float(low), float(high)


def in_units_of(
    offset: np.ndarray, covariance: np.ndarray, centre: np.ndarray | None = None
) -> np.ndarray:
    """L^-1 (offset - centre) with the Cholesky factor L of covariances: distances between
    the results are Mahalanobis' distances.

    offset : (n, k) or (n, m, k); covariance : (n, k, k); centre : (n, k), or 0
    """
    single = offset.ndim == 2
    offset = offset[:, None] if single else offset
    if centre is not None:
        offset = offset - centre[:, None]
    inverse = np.linalg.inv(np.linalg.cholesky(covariance))
    found = np.einsum("nij,nmj->nmi", inverse, offset)
    return found[:, 0] if single else found

"""p-values that know how many events they come from."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

#: With fewer events than this no statement on a distribution is made (choice: the distance of
#: Kolmogorov and Smirnov must then exceed 0.29 for p < 0.05).
FEW = 20
#: What is called a finding: such a p-value, multiplied by the number of looks (choice).
CLEAR = 0.01
#: Up to so many values the distribution of the distance is the exact one (choice, for speed).
_EXACT = 1000


class TwoSamples(NamedTuple):
    """Two samples compared: largest distance of their distributions, and how often chance alone
    makes one as large.
    """

    distance: float  #: NaN without values
    p_value: float  #: NaN without values
    n: int  #: values of the first
    m: int  #: values of the second


def two_samples(
    a: ArrayLike, b: ArrayLike, independent: tuple[int, int] | None = None
) -> TwoSamples:
    """Kolmogorov and Smirnov's comparison of two samples, NaN left out.

    independent : how many of the values of each are independent, where these are fewer (stations of
        one event share its core and its front); then the large-sample distribution is used. With
        values of few kinds (saturated: 0 or 1) the p-value is too large, never too small.
    """
    a, b = (np.asarray(x, float)[np.isfinite(x)] for x in (a, b))
    n, m = len(a), len(b)
    if not n or not m:
        return TwoSamples(np.nan, np.nan, n, m)
    found = stats.ks_2samp(a, b, method="exact" if max(n, m) <= _EXACT else "asymp")
    p = float(found.pvalue)
    if independent is not None:
        k, j = (max(min(x, y), 1) for x, y in zip((n, m), independent, strict=True))
        p = float(stats.kstwobign.sf(found.statistic * np.sqrt(k * j / (k + j))))
    return TwoSamples(float(found.statistic), p, n, m)


def chi2_p(chi2: ArrayLike, ndof: ArrayLike) -> np.ndarray:
    """Part of the events that have a larger chi2 by chance, with that many degrees of freedom; NaN
    where there are none.
    """
    chi2, ndof = np.asarray(chi2, float), np.asarray(ndof, float)
    with np.errstate(invalid="ignore"):
        return np.where(ndof >= 1, stats.chi2.sf(chi2, np.maximum(ndof, 1)), np.nan)


def sign_p(values: ArrayLike, middle: float = 0.0) -> float:
    """How often chance alone puts as many of n values on one side of `middle` (sign test, exact);
    NaN without values.
    """
    values = np.asarray(values, float)
    values = values[np.isfinite(values) & (values != middle)]
    if not len(values):
        return np.nan
    return float(stats.binomtest(int((values > middle).sum()), len(values)).pvalue)


def above_p(k: float, n: float, part: float) -> float:
    """How often chance alone gives k or more of n where `part` of them is expected."""
    return float(stats.binom.sf(np.ceil(k) - 1, max(round(n), 1), part)) if n else np.nan


def p_text(p: float, n: int | None = None) -> str:
    """ "p = 0.12", "p < 0.0001"; with a word where n is too small for a statement."""
    if not np.isfinite(p):
        return "no p-value"
    text = "p < 0.0001" if p < 1e-4 else f"p = {p:.2g}" if p < 0.995 else "p = 1"
    return f"{text} ({n} events: too few to tell)" if n is not None and n < FEW else text

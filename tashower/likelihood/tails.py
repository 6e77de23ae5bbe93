"""From scores to p-values: how often simulation is as odd, and ranks."""

from typing import NamedTuple

import numpy as np

#: Beyond this part of a sample its tail is taken as exponential in the score (choice).
_TAIL = 0.02


class Tail(NamedTuple):
    """How often simulation is as odd: a sample of scores -ln p, and its exponential tail."""

    scores: np.ndarray  #: (n,) sorted
    begin: float  #: of the tail
    mean: float  #: excess over it


def tail_of(scores: np.ndarray) -> Tail:
    """The tail of a sample of scores; NaN is left out."""
    scores = np.sort(scores[np.isfinite(scores)])
    if not len(scores):
        return Tail(scores, np.inf, 1.0)
    begin = float(np.quantile(scores, 1.0 - _TAIL))
    over = scores[scores > begin] - begin
    return Tail(scores, begin, max(float(over.mean()) if len(over) else 1.0, 0.05))


def log_p_of(tail: Tail, scores: np.ndarray) -> np.ndarray:
    """ln of the part of simulation that is as odd, NaN where the score is; nothing known: 0."""
    n = len(tail.scores)
    if not n:
        return np.where(np.isnan(scores), np.nan, 0.0)
    more = n - np.searchsorted(tail.scores, scores, side="left")
    inside = np.log((more + 1.0) / (n + 1.0))
    at_begin = np.log(((tail.scores > tail.begin).sum() + 1.0) / (n + 1.0))
    beyond = at_begin - (scores - tail.begin) / tail.mean
    found = np.where(scores > tail.begin, beyond, np.maximum(inside, at_begin))
    return np.where(np.isnan(scores), np.nan, np.minimum(found, 0.0))


def sidak(log_p: np.ndarray, number: np.ndarray) -> np.ndarray:
    """ln of the probability that the smallest of `number` independent p is as small."""
    with np.errstate(divide="ignore"):
        p = np.exp(np.minimum(log_p, -1e-12))
        exact = np.log(-np.expm1(number * np.log1p(-p)))
    return np.where(log_p < -25.0, np.log(np.maximum(number, 1)) + log_p, exact)


def rank_p(ranks: np.ndarray, log_p: np.ndarray) -> np.ndarray:
    """Part of the calibration's events, and the one itself, that are as odd."""
    as_odd = np.searchsorted(ranks, log_p, side="right")
    return np.where(np.isnan(log_p), np.nan, (as_odd + 1.0) / (len(ranks) + 1.0))

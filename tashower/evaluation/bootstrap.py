"""Bootstrap of showers: one set of draws for everything that is scored, so that all errors of
ratios and differences are paired.

A shower that was thrown several times is drawn with all its throws: they share energy, direction
and development, and are not independent (cluster bootstrap: Davison and Hinkley 1997, section
3.8, doi:10.1017/CBO9780511802843).
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

#: Elements of a block of weights: larger ones would not be faster (choice).
_BLOCK = 2_000_000


class Draws(NamedTuple):
    """How often each shower is in each bootstrap sample."""

    counts: np.ndarray  #: (n_samples, n_showers) uint8
    shower: np.ndarray  #: (n_events,) column of `counts` to which each event belongs

    def weights(self, rows: np.ndarray, factor: ArrayLike = 1.0) -> Iterator[np.ndarray]:
        """Weights of the events `rows` (index array) in blocks of (b, len(rows)); the first row of
        the first block is `factor`, which belongs to the value itself, all others times the counts
        of one sample each.

        factor : (len(rows),) weight of each event apart from the bootstrap

        Fewer than two showers cannot be drawn anew: all further rows are 0.
        """
        columns = self.shower[rows]
        alone = len(np.unique(columns)) < 2
        size = max(1, _BLOCK // max(len(rows), 1))
        factor = np.broadcast_to(np.asarray(factor, dtype=float), len(rows))
        for begin in range(0, 1 + len(self.counts), size):
            block = np.empty((min(size, 1 + len(self.counts) - begin), len(rows)))
            first = begin == 0
            block[:first] = factor
            counts = self.counts[begin - (not first) : begin + len(block) - 1]
            block[first:] = 0.0 if alone else counts[:, columns] * factor
            yield block


def draw_showers(shower_id: ArrayLike, n_samples: int, seed: int | Sequence[int]) -> Draws:
    """Draw as many showers as there are, with replacement, n_samples times.

    shower_id : (n_events,) events with the same number are throws of one shower
    """
    showers, column = np.unique(np.asarray(shower_id), return_inverse=True)
    n = len(showers)
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    counts = np.zeros((n_samples, n), np.uint8)
    for row in counts if n else ():
        row[:] = np.bincount(rng.integers(0, n, n), minlength=n)
    return Draws(counts, column)


def replicates(
    statistics: Callable[[np.ndarray], dict[str, np.ndarray]],
    draws: Draws,
    rows: np.ndarray,
    factor: ArrayLike = 1.0,
) -> dict[str, np.ndarray]:
    """{name: (1 + n_samples,)}: the statistics of the events `rows`, and of every bootstrap sample.

    statistics : function of weights (b, len(rows)) that gives {name: (b,)}
    """
    blocks = [statistics(weights) for weights in draws.weights(rows, factor)]
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def entry(found: np.ndarray) -> dict[str, float]:
    """{"value", "error"} of replicates (1 + n_samples,): the error is their standard deviation over
    the samples in which there is a value; NaN for fewer than two.
    """
    some = found[1:][np.isfinite(found[1:])]
    return {"value": float(found[0]), "error": float(np.std(some)) if len(some) > 1 else np.nan}


def over_trainings(found: Sequence[np.ndarray]) -> dict:
    """`entry` of several trainings of one network (replicates of the same draws): mean and error.

    Returns {"value", "error", "statistical", "scatter", "each"}: the mean over the trainings; its
    bootstrap error and, added in quadrature, the scatter; the bootstrap error alone; the standard
    deviation of a single training (n - 1 in the denominator); the value of each. The scatter is
    that of one training, not of the mean: the error says where a further training may lie. One
    training alone has no scatter: only "value" and "error".
    """
    mean = entry(np.mean(found, axis=0))
    if len(found) == 1:
        return mean
    each = [float(one[0]) for one in found]
    scatter = float(np.std(each, ddof=1))
    return {
        "value": mean["value"],
        "error": float(np.hypot(mean["error"], scatter)),
        "statistical": mean["error"],
        "scatter": scatter,
        "each": each,
    }

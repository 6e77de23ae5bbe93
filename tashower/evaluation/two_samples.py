"""Two samples of events compared so that whole showers are what chance exchanges: stations of one
event, and several throws of one shower, are not independent.

Everything is counted per shower: sums of a sample are `(n_showers, k)`, and an exchange of the
labels of showers, or a bootstrap sample of them, is a product with a matrix. Permutation tests:
Fisher 1935 (The Design of Experiments, chapter 3); p-values (1 + exceedances)/(1 + permutations),
which are never 0 (Davison and Hinkley 1997, section 4.3, doi:10.1017/CBO9780511802843).
"""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
from scipy import stats

from tashower.evaluation.bootstrap import draw_showers

#: Permutations: a p-value of 1e-4 can be seen, which times a hundred looks is still
#: `p_values.CLEAR`; and bootstrap samples (choices).
PERMUTATIONS, SAMPLES = 9999, 200
#: Classes of equal content that a distribution is counted in: its distance is exact to 1/128
#: (choice).
CLASSES = 128
#: Values of each sample that a bin of a profile needs (choice).
LEAST = 10
#: Networks of five folds learned from common rows, so that their results vary together: the error
#: of their mean is larger by sqrt((1/5 + 1/4)/(1/5)) (Nadeau and Bengio 2003,
#: doi:10.1023/A:1024068626366, section 3).
CORRELATED = 1.5
#: Permutations that are in memory at once (choice).
_BLOCK = 500
_SEED_TAG = 4719  # keeps these streams apart from others


class Units(NamedTuple):
    """What chance exchanges: showers of the reference (first) and of the other file (second)."""

    first: np.ndarray  #: (n_events,) shower of every event of the reference
    second: np.ndarray  #: (m_events,) the same of the other file
    n: int  #: number of showers
    paired: bool  #: the files have the same showers: chance exchanges the two of one shower


def paired_units(first: np.ndarray, second: np.ndarray) -> Units:
    """Units of two files of the same showers: equal numbers are one shower."""
    found, column = np.unique(np.concatenate([first, second]), return_inverse=True)
    return Units(column[: len(first)], column[len(first) :], len(found), True)


def separate_units(first: np.ndarray, second: np.ndarray) -> Units:
    """Units of two files that have no shower in common, whatever their numbers."""
    n, one = len(np.unique(first)), np.unique(first, return_inverse=True)[1]
    m, other = len(np.unique(second)), np.unique(second, return_inverse=True)[1]
    return Units(one, other + n, n + m, False)


class Chance(NamedTuple):
    """What chance makes of the showers: one set for all that is compared of two files."""

    units: Units
    seed: int
    permutations: int = PERMUTATIONS
    samples: int = SAMPLES

    def flips(self) -> Iterator[np.ndarray]:
        """Blocks (b, n_units) of 0 and 1: which showers change sides in a permutation.

        Paired: each with probability 1/2. Else as many showers stay on either side as there are.
        """
        units = self.units
        rng = np.random.default_rng(np.random.SeedSequence([self.seed, _SEED_TAG]))
        label = np.zeros(units.n, bool)
        label[units.second] = True
        for begin in range(0, self.permutations, _BLOCK):
            size = min(_BLOCK, self.permutations - begin)
            if units.paired:
                block = rng.random((size, units.n), np.float32) < 0.5
            else:
                block = rng.permuted(np.broadcast_to(label, (size, units.n)), axis=1) != label
            yield block.astype(np.float32)

    def weights(self) -> np.ndarray:
        """(samples, n_units) how often each shower is in each bootstrap sample. Of files without
        common showers each is drawn from its own.
        """
        units, seed = self.units, [self.seed, _SEED_TAG + 1]
        if units.paired:
            return draw_showers(np.arange(units.n), self.samples, seed).counts.astype(np.float32)
        n = len(np.unique(units.first))
        parts = (draw_showers(np.arange(k), self.samples, [*seed, k]) for k in (n, units.n - n))
        return np.hstack([part.counts for part in parts]).astype(np.float32)


class Sums(NamedTuple):
    """Sums over the events or stations of every shower: (n_units, k) of either sample."""

    first: np.ndarray
    second: np.ndarray

    @property
    def totals(self) -> tuple[np.ndarray, np.ndarray]:
        """(k,) of either sample."""
        return self.first.sum(axis=0), self.second.sum(axis=0)

    def permuted(self, flips: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(b, k) of either sample after the showers in `flips` changed sides."""
        moved = flips @ (self.second - self.first).astype(np.float32)
        one, other = self.totals
        return one + moved, other - moved

    def drawn(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(b, k) of either sample in bootstrap samples."""
        return weights @ self.first, weights @ self.second


def summed(
    unit: np.ndarray, column: np.ndarray, shape: tuple[int, int], values: np.ndarray | None = None
) -> np.ndarray:
    """(n_units, k) sums of values, or counts, by shower and column."""
    place = unit * shape[1] + column
    return np.bincount(place, values, shape[0] * shape[1]).reshape(shape)


class Rows(NamedTuple):
    """Values of one sample, one row per event, station or shower; NaN is left out."""

    values: np.ndarray  #: (n,)
    unit: np.ndarray  #: (n,) shower of each row, as in `Units`
    at: np.ndarray | None = None  #: (n,) for profiles: in bins of which


Pair = tuple[Rows, Rows]
#: Function of the sums (b, k) of either sample that gives (b, ...).
_Statistic = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _by_chance(
    tests: Mapping[str, tuple[Sums, _Statistic]], chance: Chance
) -> dict[str, np.ndarray]:
    """{name: (permutations, ...)}: every statistic of every permutation; the same for all."""
    found: dict[str, list[np.ndarray]] = {name: [] for name in tests}
    for flips in chance.flips() if tests else ():
        for name, (sums, statistic) in tests.items():
            found[name].append(statistic(*sums.permuted(flips)))
    return {name: np.concatenate(blocks) for name, blocks in found.items()}


def _exceeded(found: float, chance: np.ndarray) -> float:
    """p-value of a value among those of permutations; NaN counts as larger, which is honest."""
    return float((1 + np.sum(~(chance < found * (1.0 - 1e-5)))) / (1 + len(chance)))


def _in_classes(pair: Pair, n_units: int) -> Sums | None:
    """Counts in classes of about equal content of the two samples together; None where one has no
    values.
    """
    kept = [(r.values[np.isfinite(r.values)], r.unit[np.isfinite(r.values)]) for r in pair]
    if not all(len(values) for values, _ in kept):
        return None
    both = np.concatenate([values for values, _ in kept])
    edges = np.unique(np.quantile(both, np.arange(1, CLASSES) / CLASSES))
    # A class holds its upper edge: values that are equal stay together.
    shape = (n_units, len(edges) + 1)
    return Sums(*(summed(u, np.searchsorted(edges, v), shape) for v, u in kept))


class Distribution(NamedTuple):
    """Two distributions compared."""

    distance: float  #: largest of the two distribution functions (Kolmogorov, Smirnov); or NaN
    p_value: float  #: how often exchanging showers makes one as large; NaN without values
    n: int  #: values of the first
    m: int  #: values of the second


def _distance(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(...,) of counts (..., k) in classes."""
    with np.errstate(invalid="ignore", divide="ignore"):
        one, other = (
            np.cumsum(counts, axis=-1) / counts.sum(axis=-1, keepdims=True)
            for counts in (first, second)
        )
    return np.abs(one - other).max(axis=-1)


def compare_distributions(pairs: Mapping[str, Pair], chance: Chance) -> dict[str, Distribution]:
    """Every quantity of two samples. The showers are exchanged, so that rows of one shower need not
    be independent.
    """
    sums = {name: _in_classes(pair, chance.units.n) for name, pair in pairs.items()}
    tests = {name: (one, _distance) for name, one in sums.items() if one is not None}
    by_chance, found = _by_chance(tests, chance), {}
    for name, pair in pairs.items():
        n, m = (int(np.isfinite(rows.values).sum()) for rows in pair)
        found[name] = Distribution(np.nan, np.nan, n, m)
        if name in tests:
            distance = float(_distance(*tests[name][0].totals))
            found[name] = Distribution(distance, _exceeded(distance, by_chance[name]), n, m)
    return found


class Profile(NamedTuple):
    """Mean and spread of a quantity in bins of another, of two samples, with errors."""

    edges: np.ndarray  #: (k + 1,)
    counts: tuple[np.ndarray, np.ndarray]  #: (k,) values of either sample
    mean: tuple[np.ndarray, np.ndarray]  #: (k,); NaN where one has fewer than LEAST values
    mean_error: tuple[np.ndarray, np.ndarray]  #: bootstrap of showers
    spread: tuple[np.ndarray, np.ndarray]  #: standard deviation
    spread_error: tuple[np.ndarray, np.ndarray]
    p_mean: float  #: of the differences of the means of all bins together; NaN without a bin
    p_spread: float


def _moments(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation (..., k) of counts, sums and sums of squares (..., 3 k); NaN
    without values.
    """
    counts, sums, squares = np.split(sums, 3, axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = sums / counts
        return mean, np.sqrt(np.maximum(squares / counts - mean**2, 0.0))


def _differences(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(..., 2, k) differences of means, and of ln of spreads."""
    (mean, spread), (other_mean, other_spread) = _moments(first), _moments(second)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.stack([other_mean - mean, np.log(other_spread / spread)], axis=-2)


def _p_of_bins(found: np.ndarray, chance: np.ndarray) -> float:
    """p-value of the sum over bins of (difference/its rms among permutations)^2; NaN without a
    bin. A permutation that leaves a bin without values has no difference there.
    """
    usable = np.isfinite(found)
    if not usable.any():
        return np.nan
    chance = np.where(np.isfinite(chance), chance, 0.0)[:, usable]
    scale = np.sqrt(np.mean(chance**2, axis=0))
    scale = np.where(scale > 0.0, scale, np.inf)
    of_chance = ((chance / scale) ** 2).sum(axis=1)
    return _exceeded(float(((found[usable] / scale) ** 2).sum()), of_chance)


def _in_bins(pair: Pair, edges: np.ndarray, n_units: int) -> tuple[Sums, float]:
    """(counts, sums and sums of squares of values less a middle, in bins; that middle)."""
    shape, parts = (n_units, len(edges) - 1), []
    known = np.concatenate([rows.values[np.isfinite(rows.values)] for rows in pair])
    middle = float(known.mean()) if len(known) else 0.0  # small numbers lose no digits in squares
    for rows in pair:
        keep = np.isfinite(rows.values) & (rows.at >= edges[0]) & (rows.at < edges[-1])
        column = np.digitize(rows.at[keep], edges) - 1
        y, unit = rows.values[keep] - middle, rows.unit[keep]
        parts.append(np.hstack([summed(unit, column, shape, y**p) for p in (0, 1, 2)]))
    return Sums(*parts), middle


def _profile(sums: Sums, middle: float, edges: np.ndarray, weights, chance) -> Profile:
    k = len(edges) - 1
    totals = sums.totals
    counts = tuple(total[:k].astype(int) for total in totals)
    few = (counts[0] < LEAST) | (counts[1] < LEAST)
    columns = []
    for total, drawn in zip(totals, sums.drawn(weights), strict=True):
        mean, spread = _moments(total)
        with np.errstate(invalid="ignore"):
            errors = [np.nanstd(np.where(few, 0.0, one), axis=0) for one in _moments(drawn)]
        columns.append([np.where(few, np.nan, c) for c in (mean + middle, errors[0], spread)])
        columns[-1].append(np.where(few, np.nan, errors[1]))
    found = np.where(few, np.nan, _differences(*totals))
    p_values = (_p_of_bins(found[j], chance[:, j]) for j in (0, 1))
    return Profile(np.asarray(edges, float), counts, *zip(*columns, strict=True), *p_values)


def compare_profiles(
    pairs: Mapping[str, tuple[Pair, np.ndarray]], chance: Chance
) -> dict[str, Profile]:
    """Mean and spread of values in bins of another quantity: {name: (pair, (k + 1,) edges)}; a bin
    holds its lower edge.
    """
    n_units, weights = chance.units.n, chance.weights()
    sums = {name: _in_bins(pair, edges, n_units) for name, (pair, edges) in pairs.items()}
    by_chance = _by_chance({name: (one, _differences) for name, (one, _) in sums.items()}, chance)
    return {
        name: _profile(one, middle, pairs[name][1], weights, by_chance[name])
        for name, (one, middle) in sums.items()
    }


class Area(NamedTuple):
    """How well scores tell two samples apart: 0.5 not at all, 1 always."""

    value: float  #: probability that a row of the second has the larger score (ties: half)
    error: float  #: bootstrap of showers, times that of the folds (`CORRELATED`)
    p_value: float  #: one-sided, that it is no larger than 0.5


def _area(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(...,) area under the curve of counts (..., k) in classes of increasing score."""
    below = np.cumsum(first, axis=-1) - 0.5 * first
    with np.errstate(invalid="ignore", divide="ignore"):
        return (below * second).sum(axis=-1) / (first.sum(axis=-1) * second.sum(axis=-1))


def compare_scores(pairs: Mapping[str, Pair], chance: Chance) -> dict[str, Area]:
    """Area under the receiver operating characteristic of cross-validated scores (Hanley and McNeil
    1982, doi:10.1148/radiology.143.1.7063747).

    The error is that of exchanging, or drawing, showers whose scores stay as they are, times
    `CORRELATED`. The p-value is that of a normal distribution: scores depend on the labels of other
    folds, which an exchange does not change.
    """
    sums = {name: _in_classes(pair, chance.units.n) for name, pair in pairs.items()}
    by_chance = _by_chance({name: (one, _area) for name, one in sums.items()}, chance)
    weights, found = chance.weights(), {}
    for name, one in sums.items():
        value, drawn = float(_area(*one.totals)), _area(*one.drawn(weights))
        width = CORRELATED * float(np.std(by_chance[name]))
        p = float(stats.norm.sf((value - 0.5) / width)) if width > 0.0 else float(value <= 0.5)
        found[name] = Area(value, CORRELATED * float(np.nanstd(drawn)), p)
    return found

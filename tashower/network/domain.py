"""Is an event like those that a network was trained on? A distance of its inputs, and a threshold
from the validation sample.

Of every event there are the event features and summaries of its stations. Each is put on the scale
on which the training sample is normally distributed (its quantiles; van der Waerden 1952), beyond
the training sample in a straight line. The distance is that of Mahalanobis (1936) from the middle
of the training sample, with its covariance: what is rare in one number, or common in each of two
and rare in both together, is far. An event is outside of the domain where it lies farther than all
but a stated part of the validation sample.

Not included: waveforms, but for what the event features say of them; and what looks like the
training sample and is not (another composition, or all energies wrong by a factor that the fit
takes for larger showers).
"""

import numpy as np
import torch
from scipy.special import ndtr, ndtri

from tashower.network.sample import Sample
from tashower.network.tiles import STATION_FEATURES

#: Part of the events like those of the training that are flagged nevertheless (choice).
FALSE_ALARMS = 0.01
#: Normal quantiles whose place in the training sample is kept (choice: every quarter sigma).
_GRID = np.linspace(-3.5, 3.5, 29)
#: Beyond them one unit for this part of the width of the middle 99 % (choice: a tenth of the width
#: outside counts as two sigma).
_BEYOND = 0.05
#: The smallest variance in a direction of the space that counts, of 1 (choice: what is the same but
#: for rounding must not decide).
_LEAST_VARIANCE = 1e-3
_MIDDLE = (0.005, 0.995)
#: Stations where the fit expects more than 3 VEM: accidental hits are elsewhere (choice).
_INNER = np.log(1.0 + 3.0)
#: Training events, or somewhat more, that quantiles and covariance are from (choice).
_MOST = 200_000
_BLOCK = 10_000  # events at a time


def _of_stations(cells: np.ndarray) -> dict[str, np.ndarray]:
    """{name: (n,)} of cells (n, ..., F); all stay the same when the tile is turned."""
    flat = cells.reshape(len(cells), -1, cells.shape[-1]).astype(float)
    of = {name: flat[..., i] for i, name in enumerate(STATION_FEATURES)}
    exists, working, hit, timed = (of[name] > 0 for name in ("exists", "working", "hit", "timed"))

    def over(which, values, how=np.mean):
        """NaN where there is no such station."""
        some = np.where(which, values, np.nan)
        empty = ~which.any(axis=1)
        some[empty] = 0.0
        return np.where(empty, np.nan, getattr(np, f"nan{how.__name__}")(some, axis=1))

    def lever(which):
        """How far from the core, one-sided, stations lie: length of the sum of their places."""
        return np.hypot(*((which * of[axis]).sum(axis=1) for axis in ("x", "y")))

    dead, silent = exists & ~working, working & ~hit
    damped = of["log_expected"]
    found = {
        "n_exists": exists.sum(axis=1),
        "n_dead": dead.sum(axis=1),
        "lever_dead": lever(dead),
        "expected_dead": (dead * damped).sum(axis=1),
        "expected_silent": (silent * damped).sum(axis=1),
        "expected": (working * damped).sum(axis=1),
        "n_hit": hit.sum(axis=1),
        "lever_hit": lever(hit),
        "n_untimed": (hit & ~timed).sum(axis=1),
        "n_saturated": (of["saturated"] > 0).sum(axis=1),
        "layers": over(hit, of["log_upper"] - of["log_lower"]),
    }
    for name, which in (
        ("signal_residual", hit),
        ("front_residual", timed),
        ("relative_residual", timed),
        ("window_start", hit),
    ):
        values = of[name]
        found[f"{name}_mean"] = over(which, values)
        found[f"{name}_rms"] = np.sqrt(over(which, values**2))
        inner = which & (damped > _INNER)
        found[f"{name}_inner"] = np.sqrt(over(inner, values**2))
        found[f"{name}_largest"] = over(inner, np.abs(values), np.max)
    return {name: np.asarray(column, float) for name, column in found.items()}


def _numbers(sample: Sample, most: int | None = None) -> np.ndarray:
    """(n, m) numbers of every event, NaN where one has no meaning; of `most` events or somewhat
    more, spread over the sample.
    """
    parts, n = [], len(sample.rows)
    every = 1 if most is None else max(1, n // most)
    for first in range(0, n, _BLOCK * every):
        rows = slice(first, first + _BLOCK * every, every)
        stations = _of_stations(np.asarray(sample.tiles.cells[rows]))
        parts.append(
            np.column_stack([np.asarray(sample.event_features[rows], float), *stations.values()])
        )
    return np.concatenate(parts) if parts else np.zeros((0, 0))


def _normal(numbers: np.ndarray, knots: np.ndarray, width: np.ndarray) -> np.ndarray:
    """(n, m) numbers on the scale on which the training sample is normal; what is not known is 0.

    knots : (m, len(_GRID)) of the training sample; width : (m,) of its middle 99 %
    """
    found, order = np.zeros_like(numbers), np.arange(len(_GRID))
    for j, (column, knot) in enumerate(zip(numbers.T, knots, strict=True)):
        # A value that many events share is the middle of their ranks.
        step = 1e-9 * width[j]
        first, last = (
            np.interp(column, knot + step * (order - end), _GRID) for end in (0, order[-1])
        )
        inside = ndtri(0.5 * (ndtr(first) + ndtr(last)))
        beyond = np.maximum(column - knot[-1], 0.0) - np.maximum(knot[0] - column, 0.0)
        found[:, j] = inside + beyond / (_BEYOND * width[j])
    return np.nan_to_num(found, nan=0.0)


def _places(domain: dict, sample: Sample) -> np.ndarray:
    knots, width = (domain[key].numpy() for key in ("knots", "width"))
    return _normal(_numbers(sample), knots, width)


def distance(domain: dict, sample: Sample) -> np.ndarray:
    """(n,) distance of every event from the middle of the training sample, in units of its root
    mean square there (about 1).

    domain : of `measure_domain`
    """
    if not len(sample.rows):
        return np.zeros(0)
    white = (_places(domain, sample) - domain["mean"].numpy()) @ domain["whitening"].numpy()
    return np.sqrt((white**2).mean(axis=1))


def measure_domain(sample: Sample, validation: Sample) -> dict:
    """What a checkpoint keeps: the training sample's quantiles, mean and whitening matrix; `limit`,
    the distance beyond which an event is outside, with `false_alarms` and the number
    `n_validation` of events that it is from.

    The limit is the k-th smallest distance of n events of the validation sample, with k = (n + 1)
    (1 - FALSE_ALARMS) rounded up: a further event of the same kind lies beyond with a probability
    of FALSE_ALARMS or up to 1/(n + 1) less. With too few of them it is infinite.
    """
    numbers = _numbers(sample, _MOST)
    with np.errstate(invalid="ignore"):
        some = np.where(np.isfinite(numbers).any(axis=0), numbers, 0.0)
        knots = np.nanquantile(some, ndtr(_GRID), axis=0).T
        low, high = np.nanquantile(some, _MIDDLE, axis=0)
    width = np.where(high > low, high - low, np.maximum(knots[:, -1] - knots[:, 0], 1.0))
    places = _normal(numbers, knots, width)
    variance, axes = np.linalg.eigh(np.cov(places.T))
    whitening = axes / np.sqrt(np.maximum(variance, _LEAST_VARIANCE))
    domain = {
        "knots": torch.from_numpy(knots.copy()),
        "width": torch.from_numpy(width),
        "mean": torch.from_numpy(places.mean(axis=0)),
        "whitening": torch.from_numpy(whitening),
    }
    found, n = np.sort(distance(domain, validation)), len(validation.rows)
    k = int(np.ceil((n + 1) * (1.0 - FALSE_ALARMS)))
    limit = float(found[k - 1]) if k <= n else np.inf
    return domain | {"limit": limit, "false_alarms": FALSE_ALARMS, "n_validation": n}

"""Re-weighting: simulated events that look like data count more often.

The ratio of two densities from a classifier between their samples: p/(1 - p) times the ratio of
their numbers (Sugiyama, Suzuki and Kanamori 2012, Density Ratio Estimation in Machine Learning;
Cranmer, Pavez and Louppe 2015, arXiv:1506.02169).
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from tashower.events.model import Events, Pulses
from tashower.generation.measured import (
    LARGEST_WEIGHT,
    Measured,
    held_out,
    told_apart,
    train_classifier,
)

#: What the classifier sees of an event; `event_summary` says what they are.
SUMMARY = (
    *("log_hits", "log_total_signal", "secant", "largest_share", "area_over_peak"),
    *("area_over_peak_spread", "late_share", "asymmetry", "peaks", "noise"),
)
#: Bins at the beginning of a waveform that hold noise alone, and bin after which light is late
#: (choices: a station's trigger is in bin 30).
_BEFORE, _LATE = 20, 55
_HIDDEN = 32
_FOLDS = 2


class Standard(NamedTuple):
    """How columns are made of order 1: (k,) mean and rms."""

    mean: np.ndarray
    width: np.ndarray

    def of(self, columns: np.ndarray) -> torch.Tensor:
        """(n, k) tensor; beyond five rms cut."""
        return torch.from_numpy(
            np.clip((columns - self.mean) / self.width, -5.0, 5.0).astype(np.float32)
        )


def standard_of(*samples: np.ndarray) -> Standard:
    """That of samples (n, k) together."""
    whole = np.concatenate(samples).astype(float)
    return Standard(whole.mean(axis=0), np.maximum(whole.std(axis=0), 1e-6))


def event_summary(events: Events, pulses: Pulses, found: Measured) -> tuple[np.ndarray, np.ndarray]:
    """((n_events,) bool: it has measured hits; (n, 10) columns SUMMARY of those).

    Means over the measured hits of an event: area over peak [100 ns] and its rms, part of the
    light after bin 55, size of the layers' asymmetry, peaks, and the rms of the first 20 bins
    [counts].
    """
    n, event, rows = events.n_events, found.event, found.rows
    count = np.bincount(event, minlength=n)
    has = count > 0

    def mean(values):
        return (np.bincount(event, values, n) / np.maximum(count, 1))[has]

    signal = pulses.signal[rows]
    mean_signal = signal.mean(axis=1)
    total = np.bincount(event, mean_signal, n)
    largest = np.zeros(n)
    np.maximum.at(largest, event, mean_signal)
    ratio = np.nan_to_num(pulses.area_over_peak[rows]) / 100.0
    light = np.maximum(found.waveform, 0.0).sum(axis=1)
    late = light[:, _LATE:].sum(axis=1) / np.maximum(light.sum(axis=1), 1e-9)
    asymmetry = np.abs(signal[:, 0] - signal[:, -1]) / np.maximum(signal.sum(axis=1), 1e-9)
    noise = found.waveform[:, :, :_BEFORE].std(axis=(1, 2))
    secant = found.condition[:, 1]
    spread = np.sqrt(np.maximum(mean(ratio**2) - mean(ratio) ** 2, 0.0))
    columns = (
        np.log(count[has]),
        np.log(total[has]),
        mean(secant),
        (largest / np.maximum(total, 1e-12))[has],
        *(mean(ratio), spread, mean(late), mean(asymmetry)),
        *(mean(pulses.n_peaks[rows].mean(axis=1)), mean(noise)),
    )
    return has, np.stack(columns, axis=1)


def _dense(n_columns: int, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        *(nn.Linear(n_columns, _HIDDEN), nn.SiLU(), nn.Linear(_HIDDEN, _HIDDEN), nn.SiLU()),
        *(nn.Linear(_HIDDEN, 1), nn.Flatten(0)),
    )


def _log_odds(simulated, data, seed: int, steps: int):
    """A classifier trained on (n, k) columns; gives ln of the odds of data for others."""
    standard = standard_of(simulated, data)
    tensors = standard.of(data), standard.of(simulated)

    def batches(generator, n):
        return [t[torch.randint(len(t), (n,), generator=generator)] for t in tensors]

    network = train_classifier(_dense(simulated.shape[1], seed), batches, seed, steps)

    def scores(columns):
        with torch.no_grad():
            return network(standard.of(columns)).double().numpy()

    return scores


def as_weights(log_ratio: np.ndarray) -> np.ndarray:
    """Weights of mean 1, none above `LARGEST_WEIGHT`."""
    weights = np.exp(np.clip(log_ratio, -20.0, 20.0))
    for _ in range(20):  # what is cut off goes to the others
        weights = weights / max(weights.mean(), 1e-300)
        if weights.max(initial=0.0) <= LARGEST_WEIGHT * (1.0 + 1e-9):
            break
        weights = np.minimum(weights, LARGEST_WEIGHT)
    return weights


def density_ratio(
    simulated: np.ndarray, data: np.ndarray, fold_of: np.ndarray, seed: int, steps: int = 600
) -> np.ndarray:
    """(n,) weights of simulated rows (n, k) with which they are distributed as data (m, k): mean 1,
    none above `LARGEST_WEIGHT`.

    fold_of : (n,) whole numbers; a row is weighted by a classifier that rows of its own parity did
        not train, so that no weight is learned by heart
    """
    log_ratio = np.zeros(len(simulated))
    for fold in range(_FOLDS):
        mine = fold_of % _FOLDS == fold
        if mine.any() and not mine.all():
            scores = _log_odds(simulated[~mine], data, seed + fold, steps)
            log_ratio[mine] = scores(simulated[mine])
    return as_weights(log_ratio)


class Weighted(NamedTuple):
    """What re-weighting gives."""

    weights: np.ndarray  #: (n_events,) mean 1; 0 for events that could not be measured
    auc: float  #: held-out, of simulation as it is against data
    error: float  #: of it
    auc_after: float  #: the same classifier kind, of weighted simulation


def weigh_events(simulated: tuple, data: tuple, seed: int, steps: int = 600) -> Weighted:
    """Weights of simulated events, and how far the two are told apart before and after.

    simulated, data : (has, columns) of `event_summary`
    """
    (has, ours), (_, theirs) = simulated, data
    number = np.arange(len(ours)), np.arange(len(theirs))
    kept = [held_out(number[0], seed), held_out(number[1], seed + 1)]
    weights = np.zeros(len(has))
    weights[has] = density_ratio(ours, theirs[~kept[1]], number[0], seed, steps)
    found = []
    for w in (np.ones(len(ours)), weights[has]):
        rng = np.random.default_rng([seed, 13])
        p = w[~kept[0]] / w[~kept[0]].sum()
        drawn = rng.choice(np.flatnonzero(~kept[0]), len(p), p=p)
        scores = _log_odds(ours[drawn], theirs[~kept[1]], seed + 5, steps)
        some = theirs[kept[1]], ours[kept[0]]
        of_events = [np.arange(len(x)) for x in some]
        found.append(told_apart([scores(x) for x in some], of_events, w[kept[0]], seed))
    return Weighted(weights, *found[0], found[1][0])


def drawn_by_weight(weights: np.ndarray, seed: int) -> np.ndarray:
    """(n,) increasing rows of as many events as there are weights, drawn with replacement by
    systematic sampling: an event of weight w comes floor(w) or floor(w) + 1 times (Kitagawa 1996,
    doi:10.2307/1390750).
    """
    n = len(weights)
    at = np.cumsum(weights) / weights.sum() * n
    first = np.random.default_rng([seed, 14]).random()
    return np.minimum(np.searchsorted(at, first + np.arange(n), side="right"), n - 1)

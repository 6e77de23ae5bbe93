"""What answers are worth: explained variance and opening angles, with paired errors."""

from typing import NamedTuple

import numpy as np

from trials.samples import Judged

N_BOOTSTRAP = 200


class Worth(NamedTuple):
    """The value itself first, then those of bootstrap samples of the events."""

    ev: np.ndarray  #: explained variance of the direction over the fit that is corrected
    ev_free: np.ndarray  #: over the free fit
    ratio: np.ndarray  #: of the 68 % angle to that of the free fit
    ratio_complete: np.ndarray  #: to that of the complete fit


def draws(n: int, seed: int) -> np.ndarray:
    """(1 + N_BOOTSTRAP, n) events: all of them, then bootstrap samples (each shower is one)."""
    rng = np.random.default_rng(seed)
    return np.vstack([np.arange(n), rng.integers(0, n, (N_BOOTSTRAP, n))])


def opening_angle(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(n,) angle [deg] between directions of cosines (n, 2); beyond the horizon: on it."""

    def unit(xy):
        up = np.sqrt(np.maximum(1.0 - (xy**2).sum(axis=1), 0.0))
        axis = np.column_stack([xy, up])
        return axis / np.linalg.norm(axis, axis=1, keepdims=True)

    chord = np.linalg.norm(unit(one) - unit(other), axis=1)
    return np.degrees(2.0 * np.arcsin(np.minimum(0.5 * chord, 1.0)))


def worth(judged: Judged, correction: np.ndarray, drawn: np.ndarray) -> Worth:
    """What corrections (n, 5) of the fit are worth.

    drawn : of `draws`
    """
    corrected = judged.fitted + correction[:, :2]
    missed = {
        name: judged.true - at
        for name, at in (("own", judged.fitted), ("free", judged.free), ("network", corrected))
    }
    angle = {
        name: opening_angle(judged.true, at)
        for name, at in (("free", judged.free), ("complete", judged.complete), ("n", corrected))
    }
    found = np.empty((4, len(drawn)))
    for k, rows in enumerate(drawn):
        own, free, network = (one[rows].var(axis=0).sum() for one in missed.values())
        wide = [np.quantile(one[rows], 0.68) for one in angle.values()]
        found[:, k] = 1 - network / own, 1 - network / free, wide[2] / wide[0], wide[2] / wide[1]
    return Worth(*found)


def mean_and_error(values: list[np.ndarray], less: list[np.ndarray] | None = None) -> tuple:
    """(mean over trainings, its error by the bootstrap of events, scatter of a single training;
    NaN of one alone).

    values : one of `Worth` for each training; less : what is taken away, paired
    """
    each = np.array(values) if less is None else np.array(values) - np.array(less)
    mean = each.mean(axis=0)
    scatter = each[:, 0].std(ddof=1) if len(each) > 1 else np.nan
    return mean[0], mean[1:].std(ddof=1), scatter

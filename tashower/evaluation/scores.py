"""Scores of a reconstruction: bias, resolution and explained variance of weighted events.

Explained variance (Ivanov et al. 2020, arXiv:2005.07117): EV = 1 - Var(y - y_hat)/Var(y), with y
the correction that a baseline needs. It ignores a constant offset and is ruled by the tails: the
68 % quantiles and the variance without the worst events belong beside it (docs/scores.md).

Weights are (b, n): b sets of weights of the same n events, one of the events themselves and one of
every bootstrap sample (`bootstrap.Draws`). Every statistic is (b,). An event of weight 2 counts as
two events.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from tashower.events.model import Reconstruction, Truth
from tashower.physics.geometry import direction, opening_angle

#: Gaussian quantile: 68.27 % of the events lie within one sigma.
ONE_SIGMA = 0.6827
#: Part of the events that the variance without the worst holds (choice; the worst 1 % of the
#: default run hold a quarter of the variance).
KEPT = 0.99


@dataclass(frozen=True)
class Residuals:
    """Reconstructed minus true, per event; NaN where there is no result.

    Attributes
    ----------
    axis : (n, 3) unit vectors, reconstructed - true
    angle : (n,) opening angle [rad]
    zenith : (n,) [rad]
    core : (n, 2) [m]
    log_energy : (n,) ln(E_reco/E_true)
    """

    axis: np.ndarray
    angle: np.ndarray
    zenith: np.ndarray
    core: np.ndarray
    log_energy: np.ndarray


def residuals(table: Reconstruction, truth: Truth) -> Residuals:
    """`Residuals` of a reconstruction."""
    found, true = direction(table.zenith, table.azimuth), direction(truth.zenith, truth.azimuth)
    core = np.stack([table.core_x - truth.core_x, table.core_y - truth.core_y], axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        log_energy = np.log(table.energy / truth.energy)
    return Residuals(
        found - true, opening_angle(found, true), table.zenith - truth.zenith, core, log_energy
    )


class _Ranked(NamedTuple):
    """Events in the order of a quantity, with their weights."""

    order: np.ndarray  #: (n,)
    values: np.ndarray  #: (n,), increasing
    weights: np.ndarray  #: (b, n)
    cumulated: np.ndarray  #: (b, n)


def _ranked(values: np.ndarray, weights: np.ndarray) -> _Ranked:
    order = np.argsort(values, kind="stable")
    weights = weights[:, order]
    return _Ranked(order, values[order], weights, np.cumsum(weights, axis=1))


def _quantile(ranked: _Ranked, part: float) -> np.ndarray:
    """(b,) smallest value up to which at least this part of the weight lies; NaN without weight, or
    where a value is NaN.
    """
    n = len(ranked.values)
    if not n or np.isnan(ranked.values[-1]):  # NaN are sorted to the end
        return np.full(len(ranked.cumulated), np.nan)
    total = ranked.cumulated[:, -1]
    below = (ranked.cumulated < (part * total)[:, None]).sum(axis=1)
    return np.where(total > 0, ranked.values[np.minimum(below, n - 1)], np.nan)


def _kept_variance(ranked: _Ranked, values: np.ndarray) -> np.ndarray:
    """(b,) `variance` of values (n,) or (n, k) of the first KEPT of the weight; the event at the
    border counts with the part of its weight that is on this side.
    """
    if not len(ranked.values):
        return np.full(len(ranked.cumulated), np.nan)
    room = KEPT * ranked.cumulated[:, -1:] - (ranked.cumulated - ranked.weights)
    return variance(values[ranked.order], np.clip(room, 0.0, ranked.weights))


def _columns(values: ArrayLike) -> np.ndarray:
    values = np.asarray(values, dtype=float)
    return values[:, None] if values.ndim == 1 else values


def _as_weights(values: np.ndarray, weights: ArrayLike | None) -> np.ndarray:
    return np.ones((1, len(values))) if weights is None else np.atleast_2d(weights).astype(float)


def quantile(values: ArrayLike, part: float, weights: ArrayLike | None = None) -> np.ndarray:
    """(b,) smallest value up to which at least this part of the weight lies (the inverse of the
    distribution function); NaN without events.

    values : (n,); weights : (b, n) or (n,); None: all events alike
    """
    values = np.asarray(values, dtype=float)
    return _quantile(_ranked(values, _as_weights(values, weights)), part)


def resolution_68(values: ArrayLike, weights: ArrayLike | None = None) -> np.ndarray:
    """68.27 % `quantile` of distances or angles that cannot be negative."""
    return quantile(values, ONE_SIGMA, weights)


def _half_width(ranked: _Ranked) -> np.ndarray:
    if len(ranked.values) < 2:
        return np.full(len(ranked.cumulated), np.nan)
    low, high = 0.5 - ONE_SIGMA / 2, 0.5 + ONE_SIGMA / 2
    return 0.5 * (_quantile(ranked, high) - _quantile(ranked, low))


def half_width_68(values: ArrayLike, weights: ArrayLike | None = None) -> np.ndarray:
    """Half of the width that holds the middle 68.27 % of signed residuals; NaN for fewer than two
    events.
    """
    values = np.asarray(values, dtype=float)
    return _half_width(_ranked(values, _as_weights(values, weights)))


def weighted_sums(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(b, k) sums of columns (n, k) with weights (b, n). Not a matrix product, whose last digits
    depend on the number of threads.
    """
    columns = np.ascontiguousarray(values.T, dtype=float)
    return np.stack([np.einsum("bn,n->b", weights, column) for column in columns], axis=1)


def mean(values: ArrayLike, weights: ArrayLike | None = None) -> np.ndarray:
    """(b,) weighted mean of values (n,); NaN without weight."""
    values = np.asarray(values, dtype=float)
    weights = _as_weights(values, weights)
    with np.errstate(invalid="ignore", divide="ignore"):
        return weighted_sums(weights, values[:, None])[:, 0] / weights.sum(axis=1)


def variance(values: ArrayLike, weights: ArrayLike | None = None) -> np.ndarray:
    """(b,) sum over the columns of values (n,) or (n, k) of sum w (x - x_mean)^2 / sum w; NaN for
    fewer than two events.
    """
    values = _columns(values)
    weights = _as_weights(values, weights)
    if len(values) < 2:
        return np.full(len(weights), np.nan)
    values = values - values.mean(axis=0)  # small numbers lose no digits in squares
    squares = (values**2).sum(axis=1)
    moments = weighted_sums(weights, np.column_stack([np.ones(len(values)), values, squares]))
    with np.errstate(invalid="ignore", divide="ignore"):
        means = moments[:, 1:] / moments[:, :1]
    return np.maximum(means[:, -1] - (means[:, :-1] ** 2).sum(axis=1), 0.0)


def kept_variance(values: ArrayLike, weights: ArrayLike | None = None) -> np.ndarray:
    """(b,) `variance` without the worst 1 % of the weight: the events whose residuals (n,) or
    (n, k) are longest. Gaussian residuals in one dimension: 0.925 of the variance, in two 0.953.
    """
    values = _columns(values)
    weights = _as_weights(values, weights)
    return _kept_variance(_ranked(np.linalg.norm(values, axis=1), weights), values)


def explained(method: ArrayLike, baseline: ArrayLike) -> np.ndarray:
    """1 - method/baseline of variances; NaN where the baseline has none."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return 1.0 - np.where(np.asarray(baseline) > 0, method / np.asarray(baseline), np.nan)


def explained_variance(
    method: ArrayLike, baseline: ArrayLike, weights: ArrayLike | None = None
) -> np.ndarray:
    """(b,) 1 - sum_k Var(method_k)/sum_k Var(baseline_k) of residuals (n, k) or (n,); NaN for fewer
    than two events.

    With the residuals of a baseline and of what corrects it this is the explained variance of the
    correction; with the deviations of the truth from its mean as the baseline that of the quantity
    itself.

    Examples
    --------
    Residuals half as large: 0.75. A constant offset changes nothing.
    """
    return explained(variance(method, weights), variance(baseline, weights))


def effective_number(weights: ArrayLike) -> float:
    """(sum w)^2 / sum w^2: as many events of equal weight have the same error of a mean (Kish 1965,
    Survey Sampling); 0 without events.
    """
    weights = np.asarray(weights, dtype=float)
    squares = (weights**2).sum()
    return float(weights.sum() ** 2 / squares) if squares > 0 else 0.0


def statistics(found: Residuals, azimuth: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Everything that is scored of one method, (b,) each.

    azimuth : (n,) true, [rad]; weights : (b, n)

    Returns bias and resolution, {"angle_68_deg", "angle_99_deg", "zenith_bias_deg", "core_68_m",
    "core_bias_m", "log_energy_bias", "log_energy_68"}, and for the ladder "variance_Q" and "kept_Q"
    (`kept_variance`) of Q "axis", "core" and "log_energy". The bias of the core is its mean shift
    towards the true azimuth.
    """
    core = found.core
    towards = core[:, 0] * np.cos(azimuth) + core[:, 1] * np.sin(azimuth)
    angle = _ranked(np.degrees(found.angle), weights)
    distance = _ranked(np.linalg.norm(core, axis=1), weights)
    log_energy = found.log_energy
    return {
        "angle_68_deg": _quantile(angle, ONE_SIGMA),
        "angle_99_deg": _quantile(angle, 0.99),
        "zenith_bias_deg": mean(np.degrees(found.zenith), weights),
        "core_68_m": _quantile(distance, ONE_SIGMA),
        "core_bias_m": mean(towards, weights),
        "log_energy_bias": mean(log_energy, weights),
        "log_energy_68": half_width_68(log_energy, weights),
        "variance_axis": variance(found.axis, weights),
        "variance_core": variance(core, weights),
        "variance_log_energy": variance(log_energy, weights),
        "kept_axis": _kept_variance(angle, found.axis),
        "kept_core": _kept_variance(distance, core),
        "kept_log_energy": kept_variance(log_energy, weights),
    }

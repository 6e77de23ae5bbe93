"""Scores of a reconstruction: explained variance, bias, resolution, with bootstrap errors.

Explained variance (Ivanov et al. 2020, arXiv:2005.07117): EV = 1 - Var(y - y_hat)/Var(y), with y
the correction that a baseline needs. It ignores a constant offset and is ruled by the tails: bias
and 68 % resolution belong beside it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tashower.events.model import Reconstruction, Truth
from tashower.physics.geometry import direction, opening_angle

#: Gaussian quantile: 68.27 % of the events lie within one sigma.
ONE_SIGMA = 0.6827


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


def explained_variance(method: ArrayLike, baseline: ArrayLike) -> float:
    """1 - sum_k Var(method_k)/sum_k Var(baseline_k) of residuals (n, k) or (n,); NaN for fewer than
    two events.

    With the residuals of a baseline and of what corrects it this is the explained variance of the
    correction; with the deviations of the truth from its mean as the baseline that of the quantity
    itself.

    Examples
    --------
    Residuals half as large: 0.75. A constant offset changes nothing.
    """
    method, baseline = np.asarray(method, dtype=float), np.asarray(baseline, dtype=float)
    if len(method) < 2:
        return np.nan
    variance = np.var(baseline, axis=0).sum()
    return float(1.0 - np.var(method, axis=0).sum() / variance) if variance > 0 else np.nan


def resolution_68(values: ArrayLike) -> float:
    """68 % quantile of distances or angles that cannot be negative; NaN without events."""
    values = np.asarray(values, dtype=float)
    return float(np.quantile(values, ONE_SIGMA)) if len(values) else np.nan


def half_width_68(values: ArrayLike) -> float:
    """Half of the width that holds the middle 68 % of signed residuals; NaN for fewer than two
    events.
    """
    values = np.asarray(values, dtype=float)
    if len(values) < 2:
        return np.nan
    low, high = np.quantile(values, [0.5 - ONE_SIGMA / 2, 0.5 + ONE_SIGMA / 2])
    return float(0.5 * (high - low))


def bootstrap_rows(n_events: int, n_samples: int, seed: int | Sequence[int]) -> np.ndarray:
    """(n_samples, n_events) rows drawn with replacement; the same for every method, so that
    differences keep their meaning.
    """
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    return rng.integers(0, max(n_events, 1), (n_samples, n_events), dtype=np.int32)


def with_error(
    statistic: Callable, columns: Sequence[np.ndarray], rows: np.ndarray
) -> dict[str, float]:
    """{"value", "error"}: statistic(*columns), and its standard deviation over the bootstrap
    rows.
    """
    value = statistic(*columns)
    if not len(columns[0]):
        return {"value": value, "error": np.nan}
    return {
        "value": value,
        "error": float(np.std([statistic(*(c[r] for c in columns)) for r in rows])),
    }


def summarise(
    found: Residuals, truth: Truth, chosen: np.ndarray, rows_of: Callable[[int], np.ndarray]
) -> dict:
    """Bias and resolution of the chosen events (index array), with errors.

    rows_of : function of a number of events that gives the bootstrap rows
    Returns {"n", "angle_68_deg", "angle_99_deg", "zenith_bias_deg", "core_68_m", "core_bias_m",
    "log_energy_bias", "log_energy_68"}; the bias of the core is its mean shift towards the true
    azimuth.
    """
    rows = rows_of(len(chosen))
    angle, core = np.degrees(found.angle[chosen]), found.core[chosen]
    azimuth = truth.azimuth[chosen]
    towards = core[:, 0] * np.cos(azimuth) + core[:, 1] * np.sin(azimuth)
    log_energy = found.log_energy[chosen]

    def mean(x):
        return float(np.mean(x)) if len(x) else np.nan

    def tail(x):
        return float(np.quantile(x, 0.99)) if len(x) else np.nan

    return {
        "n": len(chosen),
        "angle_68_deg": with_error(resolution_68, (angle,), rows),
        "angle_99_deg": with_error(tail, (angle,), rows),
        "zenith_bias_deg": with_error(mean, (np.degrees(found.zenith[chosen]),), rows),
        "core_68_m": with_error(resolution_68, (np.linalg.norm(core, axis=1),), rows),
        "core_bias_m": with_error(mean, (towards,), rows),
        "log_energy_bias": with_error(mean, (log_energy,), rows),
        "log_energy_68": with_error(half_width_68, (log_energy,), rows),
    }

"""What is left to correct in the result of a fit, measured on simulated events."""

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtri

from tashower.events.model import PARAMETERS, Reconstruction, Truth, pulls, select_rows
from tashower.physics.constants import SPEED_OF_LIGHT

#: Part of the pulls at either end that their width does not look at (choice: wild events), and the
#: width that normal pulls have without them.
_OUTERMOST = 0.005
_CUT = float(ndtri(1.0 - _OUTERMOST))
_DENSITY = math.exp(-0.5 * _CUT**2) / math.sqrt(2.0 * math.pi)
_WITHOUT_OUTERMOST = math.sqrt(1.0 - 2.0 * _CUT * _DENSITY / (1.0 - 2.0 * _OUTERMOST))


@dataclass(frozen=True)
class FitPulls:
    """What is left to correct in the result of one kind of fit, measured on simulated events.

    Early stations see more signal and larger delays than the symmetric formulas expect: zenith and
    core are shifted along the shower's azimuth in proportion to tan(zenith), and t0 with the core.
    (The Telescope Array adds 0.5 degrees to its zeniths.)

    Attributes
    ----------
    zenith : median of (fitted - true zenith) / tan(zenith) [rad]
    core : median of the core's shift towards the source / tan(zenith) [m]
    log_s_ref, t0 [ns], log_curvature : medians of ln(fitted/true S800), t0 - true t0 with the core
        corrected, ln(fitted/true a)
    width : (7,) width of the pulls of PARAMETERS; the covariance is scaled with it. Different from
        1 where errors are common to the stations (asymmetry, slope of the lateral distribution),
        which no weight of a single station can say.
    energy_width : 68 % width of the pulls of ln E, by which `energy_error` is scaled. Different
        from 1 where errors of the fitted size go with how showers differ, so that some of it is
        counted twice; 1 in older files
    """

    zenith: float
    core: float
    log_s_ref: float
    t0: float
    log_curvature: float
    width: tuple
    energy_width: float = 1.0


def correct_bias(p: np.ndarray, pulls: FitPulls) -> np.ndarray:
    """Parameters (n, 7) in the order of PARAMETERS with the biases of a `calibration.FitPulls`
    taken away; a new array.
    """
    p = p.copy()
    with np.errstate(invalid="ignore"):
        tangent = np.tan(np.minimum(p[:, 2], 1.2))
        shift = pulls.core * tangent
        p[:, 0] -= shift * np.cos(p[:, 3])
        p[:, 1] -= shift * np.sin(p[:, 3])
        # The front passes a core farther from the source later.
        p[:, 5] += shift * np.sin(p[:, 2]) / SPEED_OF_LIGHT - pulls.t0
        p[:, 2] = np.abs(p[:, 2] - pulls.zenith * tangent)
        p[:, 4] *= np.exp(-pulls.log_s_ref)
        p[:, 6] *= np.exp(-pulls.log_curvature)
    return p


def _weighted_median(values, weights) -> float:
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][total.searchsorted(0.5 * total[-1])])


def parameters_of(table: Reconstruction) -> np.ndarray:
    """(n, 7) columns of PARAMETERS."""
    return np.stack([getattr(table, name) for name in PARAMETERS], axis=1)


def measure_pulls(fitted: Reconstruction, truth: Truth) -> FitPulls:
    """`FitPulls` from a fit that was corrected by none; events that pass the cuts, for the widths
    without the outermost 1 %, over the width that normal pulls have without it (0.96).
    """
    good = fitted.passes_cuts
    fitted, truth = select_rows(fitted, good), select_rows(truth, good)
    tangent, azimuth = np.tan(fitted.zenith), fitted.azimuth
    shift = (fitted.core_x - truth.core_x) * np.cos(azimuth) + (
        fitted.core_y - truth.core_y
    ) * np.sin(azimuth)
    unit = FitPulls(
        zenith=_weighted_median((fitted.zenith - truth.zenith) / tangent, tangent**2),
        core=_weighted_median(shift / tangent, tangent**2),
        log_s_ref=float(np.median(np.log(fitted.s_ref / truth.s_ref))),
        t0=0.0,
        log_curvature=float(np.log(np.median(fitted.curvature / truth.curvature))),
        width=(1.0,) * len(PARAMETERS),
    )
    t0 = float(np.median(correct_bias(parameters_of(fitted), unit)[:, 5] - truth.t0))
    unit = replace(unit, t0=t0)
    corrected = replace(
        fitted, **dict(zip(PARAMETERS, correct_bias(parameters_of(fitted), unit).T, strict=True))
    )
    found = pulls(corrected, truth)
    low, high = np.quantile(found, [_OUTERMOST, 1.0 - _OUTERMOST], axis=0)
    width = tuple(
        float(np.std(x[(x > a) & (x < b)])) / _WITHOUT_OUTERMOST
        for x, a, b in zip(found.T, low, high, strict=True)
    )
    return replace(unit, width=width)

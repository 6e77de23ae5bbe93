"""Lateral distribution of the signal, and the reference signal that goes with an energy.

The Telescope Array's (Ivanov et al. 2020, arXiv:2005.07117, section 2; AGASA form of Teshima et al.
1986):

    f(r)   = (r/R_m)^-1.2 (1 + r/R_m)^-(eta - 1.2) (1 + r^2/R_1^2)^-0.6
    LDF(r) = f(r) / f(800 m),      S(r) = S800 LDF(r)
    eta    = 3.97 - 1.79 (sec z - 1)

with r the perpendicular distance to the shower axis [m]. The formula is kept in its logarithm: LDF
varies over six orders of magnitude, and the fit needs the logarithmic derivatives. It diverges at r
= 0; callers keep away from it.

Any other form is a function of r and zenith, tabulated once (`tabulated`); the loops interpolate.
Then S800 stands for the signal at its reference distance, and the slope eta is the coordinate of
the table: the zenith that has this eta in the formula above.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from tashower.physics.compiled import formula
from tashower.physics.constants import LATERAL_SCALE, OUTER_SCALE, REFERENCE_DISTANCE

_INNER_SLOPE = 1.2
_OUTER_SLOPE = 0.6


#: Change of the slope per unit of sec z.
SLOPE_BY_SECANT = -1.79


@formula
def slope_of_secant(secant):
    """Slope eta = 3.97 - 1.79 (sec z - 1) of the lateral distribution, from sec z."""
    return 3.97 + SLOPE_BY_SECANT * (secant - 1.0)


@formula
def slope(zenith):
    """Slope eta of the lateral distribution at a zenith angle [rad]: 3.97 when vertical, 3.23 at 45
    degrees.
    """
    return slope_of_secant(1.0 / np.cos(zenith))


class Lateral(NamedTuple):
    """A lateral distribution, as formulas and compiled loops need it."""

    reference: float  #: distance at which LDF = 1 [m]
    scale: float  #: R_m of the Telescope Array's formula [m]
    steepness_at_reference: float  #: ln(1 + reference/R_m)
    inner_at_reference: float  #: ln f(reference) + eta ln(1 + reference/R_m)
    log_r: (
        np.ndarray
    )  #: (n,) nodes in ln(r/m), equally spaced; of length 0 for the Telescope Array's formula
    eta: np.ndarray  #: (m,) nodes in eta, equally spaced
    table: np.ndarray  #: (n, m) ln LDF


@formula
def _log_lateral_parts(r, scale):
    """(ln(1 + r/R_m), ln f(r) + eta ln(1 + r/R_m)): the second does not depend on eta."""
    x = r / scale
    y = r / OUTER_SCALE
    # -1.2 ln x + 1.2 ln(1 + x) - 0.6 ln(1 + y^2) in one logarithm.
    inner = r / (scale + r)
    return np.log(1.0 + x), -_OUTER_SLOPE * np.log(inner * inner * (1.0 + y * y))


def telescope_array_lateral(
    reference: float = REFERENCE_DISTANCE, scale: float = LATERAL_SCALE
) -> Lateral:
    """The Telescope Array's formula with R_m = scale [m], 1 at a distance `reference` [m]."""
    steepness, inner = _log_lateral_parts(float(reference), float(scale))
    return Lateral(
        float(reference),
        float(scale),
        float(steepness),
        float(inner),
        np.zeros(0),
        np.zeros(0),
        np.zeros((0, 0)),
    )


#: The Telescope Array's lateral distribution, 1 at 800 m.
TELESCOPE_ARRAY = telescope_array_lateral()
_LOG_R_NODES = np.linspace(np.log(1.0), np.log(30_000.0), 240)
_ETA_NODES = np.linspace(0.5, 4.9, 89)


def secant_of_slope(eta: ArrayLike) -> np.ndarray:
    """sec z that goes with eta: the inverse of `slope_of_secant`."""
    return 1.0 + (eta - 3.97) / SLOPE_BY_SECANT


def tabulated(log_lateral: Callable, reference: float) -> Lateral:
    """`Lateral` of any function ln S(r)/S(anything) of (r [m], zenith [rad]), both arrays of one
    shape.

    Below sec z = 1, where fluctuations of eta lead, and above sec z = 2.9 the table goes on
    linearly in eta.

    Raises
    ------
    ValueError : the function is not finite somewhere between 1 m and 30 km, or does not fall beyond
        300 m.
    """
    secant = secant_of_slope(_ETA_NODES)
    inside = (secant >= 1.0) & (secant < 2.9)
    r, sec = np.meshgrid(np.exp(_LOG_R_NODES), secant[inside], indexing="ij")
    zenith = np.arccos(1.0 / sec)
    values = np.asarray(log_lateral(r, zenith), dtype=float) - np.asarray(
        log_lateral(np.full_like(r, reference), zenith), dtype=float
    )
    if values.shape != r.shape or not np.isfinite(values).all():
        raise ValueError(
            "the lateral distribution is not finite between 1 m and 30 km at all zeniths to 69 "
            "degrees"
        )
    if (np.diff(values, axis=0)[_LOG_R_NODES[1:] > np.log(300.0)] >= 0).any():
        raise ValueError("the lateral distribution does not fall with the distance")
    table = np.empty((len(_LOG_R_NODES), len(_ETA_NODES)))
    table[:, inside] = values
    first, last = np.flatnonzero(inside)[[0, -1]]
    for j in range(first - 1, -1, -1):
        table[:, j] = 2.0 * table[:, j + 1] - table[:, j + 2]
    for j in range(last + 1, len(_ETA_NODES)):
        table[:, j] = 2.0 * table[:, j - 1] - table[:, j - 2]
    return Lateral(float(reference), LATERAL_SCALE, 0.0, 0.0, _LOG_R_NODES, _ETA_NODES, table)


@formula
def log_lateral_shape(r, eta, scale):
    """ln f(r) of the Telescope Array; r > 0 [m], eta dimensionless, scale = R_m [m]."""
    steepness, inner = _log_lateral_parts(r, scale)
    return inner - eta * steepness


@formula
def _cell(x, nodes):
    """(index of the second of four nodes around x, x relative to it in steps); x beyond the nodes
    is drawn to their ends.
    """
    step = nodes[1] - nodes[0]
    u = np.minimum(np.maximum((x - nodes[0]) / step, 1.0), len(nodes) - 2.0 - 1e-9)
    i = np.int64(u)
    return i, u - i


@formula
def _cubic(t):
    """Weights of four equally spaced nodes at t in [0, 1] after the second (Catmull and Rom 1974):
    continuous derivative.
    """
    return (
        0.5 * t * (t * (2.0 - t) - 1.0),
        0.5 * (t * t * (3.0 * t - 5.0) + 2.0),
        0.5 * t * (t * (4.0 - 3.0 * t) + 1.0),
        0.5 * t * t * (t - 1.0),
    )


@formula
def _cubic_derivative(t):
    """Derivatives of the weights of `_cubic` by t."""
    return (
        0.5 * (t * (4.0 - 3.0 * t) - 1.0),
        0.5 * t * (9.0 * t - 10.0),
        0.5 * (t * (8.0 - 9.0 * t) + 1.0),
        0.5 * t * (3.0 * t - 2.0),
    )


@formula
def _sum_of_nodes(table, i, j, row, column):
    """Sum over 4 x 4 nodes of the table around (i, j) with these weights."""
    total = 0.0
    for k in range(4):
        total = total + row[k] * (
            column[0] * table[i - 1 + k, j - 1]
            + column[1] * table[i - 1 + k, j]
            + column[2] * table[i - 1 + k, j + 1]
            + column[3] * table[i - 1 + k, j + 2]
        )
    return total


@formula
def log_lateral_distribution(r, eta, lateral):
    """ln LDF(r); r > 0 [m], eta dimensionless; lateral : `Lateral`."""
    if len(lateral.log_r) == 0:
        steepness, inner = _log_lateral_parts(r, lateral.scale)
        return (
            inner - lateral.inner_at_reference - eta * (steepness - lateral.steepness_at_reference)
        )
    i, t = _cell(np.log(r), lateral.log_r)
    j, s = _cell(eta, lateral.eta)
    return _sum_of_nodes(lateral.table, i, j, _cubic(t), _cubic(s))


@formula
def lateral_distribution(r, eta, lateral):
    """LDF(r), 1 at the reference distance; r > 0 [m].

    Examples
    --------
    Vertical, the Telescope Array's: lateral_distribution(400.0, 3.97, TELESCOPE_ARRAY) = 14.8.
    """
    return np.exp(log_lateral_distribution(r, eta, lateral))


@formula
def log_lateral_derivatives(r, eta, lateral):
    """Derivatives (d ln LDF/dr [1/m], d ln LDF/d eta) at r > 0 [m]."""
    if len(lateral.log_r) == 0:
        outer = 2.0 * _OUTER_SLOPE * r / (OUTER_SCALE**2 + r * r)
        by_r = -_INNER_SLOPE / r - (eta - _INNER_SLOPE) / (lateral.scale + r) - outer
        by_eta = lateral.steepness_at_reference - _log_lateral_parts(r, lateral.scale)[0]
        return by_r, by_eta
    i, t = _cell(np.log(r), lateral.log_r)
    j, s = _cell(eta, lateral.eta)
    by_log_r = _sum_of_nodes(lateral.table, i, j, _cubic_derivative(t), _cubic(s)) / (
        lateral.log_r[1] - lateral.log_r[0]
    )
    by_eta = _sum_of_nodes(lateral.table, i, j, _cubic(t), _cubic_derivative(s)) / (
        lateral.eta[1] - lateral.eta[0]
    )
    return by_log_r / r, by_eta


# log10(E/eV) = c0 + c1 x + c2 x^2 + c3 x^3 + k (log10 S800 - 1.5), x = sec z - 1: a re-fit of the
# relation between S800, zenith and energy that the Telescope Array takes from CORSIKA with
# QGSJET-II-03 (Ivanov 2012, PhD thesis, Rutgers; Abu-Zayyad et al. 2013,
# doi:10.1088/2041-8205/768/1/L1). Proton to 60 degrees; proton and iron to 46 degrees.
_PROTON_TO_60 = (19.0372, -0.0547, 2.0522, -1.0441, 1.080)
_PROTON_TO_46 = (19.0339, 0.0839, 1.0379, 0.7352, 1.090)
_IRON_TO_46 = (18.9360, 0.4484, 1.0767, -0.0727, 1.077)
_LOG_MASS_IRON = float(np.log(56.0))
_LARGEST_X_TO_46 = 1.0 / np.cos(np.radians(45.0)) - 1.0


_LN10 = float(np.log(10.0))


@formula
def s800_growth(secant):
    """d ln S800/d sec z of protons at a fixed energy, of `mean_s800`; negative but near the
    vertical.
    """
    x = secant - 1.0
    _, c1, c2, c3, k = _PROTON_TO_60
    return -_LN10 * (c1 + x * (2.0 * c2 + x * 3.0 * c3)) / k


def _log10_s800(log10_energy_ev, x, coefficients):
    c0, c1, c2, c3, k = coefficients
    return 1.5 + (log10_energy_ev - (c0 + x * (c1 + x * (c2 + x * c3)))) / k


def mean_s800(energy: ArrayLike, zenith: ArrayLike, mass_number: ArrayLike = 1.0) -> np.ndarray:
    """Mean S800 [VEM/m^2] of showers of given energy [EeV], zenith [rad] and mass number (1 to 56).

    Proton: the relation fitted to 60 degrees. Heavier primaries: the iron/proton ratio of the two
    relations fitted to 46 degrees (kept at its 45-degree value above), interpolated in ln A, as
    superposition of nucleons suggests. Not included: interaction models other than QGSJET-II-03.

    Examples
    --------
    mean_s800(309.0, radians(38.6)) is 530 within a few per cent (Abbasi et al. 2023,
    doi:10.1126/science.abo5095).
    """
    log10_energy_ev = np.log10(np.asarray(energy, dtype=float)) + 18.0
    x = 1.0 / np.cos(np.asarray(zenith, dtype=float)) - 1.0
    x_ratio = np.minimum(x, _LARGEST_X_TO_46)
    log_ratio = _log10_s800(log10_energy_ev, x_ratio, _IRON_TO_46) - _log10_s800(
        log10_energy_ev, x_ratio, _PROTON_TO_46
    )
    fraction = np.log(np.asarray(mass_number, dtype=float)) / _LOG_MASS_IRON
    return 10.0 ** (_log10_s800(log10_energy_ev, x, _PROTON_TO_60) + fraction * log_ratio)

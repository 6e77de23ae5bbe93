"""Lateral distribution of the signal, and the reference signal S800 that goes with an energy.

Lateral distribution (Ivanov et al. 2020, arXiv:2005.07117, section 2; AGASA form of Teshima et al. 1986):

    f(r)   = (r/R_m)^-1.2 (1 + r/R_m)^-(eta - 1.2) (1 + r^2/R_1^2)^-0.6
    LDF(r) = f(r) / f(800 m),      S(r) = S800 LDF(r)
    eta    = 3.97 - 1.79 (sec z - 1)

with r the perpendicular distance to the shower axis [m]. The formula is kept in its logarithm: LDF varies over six
orders of magnitude, and the fit needs the logarithmic derivatives. It diverges at r = 0; callers keep away from it.
"""

import numpy as np

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
    """Slope eta of the lateral distribution at a zenith angle [rad]: 3.97 when vertical, 3.23 at 45 degrees."""
    return slope_of_secant(1.0 / np.cos(zenith))


@formula
def log_lateral_shape(r, eta, scale=LATERAL_SCALE):
    """ln f(r); r > 0 [m], eta dimensionless, scale = R_m [m]."""
    x = r / scale
    y = r / OUTER_SCALE
    # The terms that do not depend on eta share one logarithm: (1.2 ln(x/(1 + x)) + 0.6 ln(1 + y^2)) = 0.6 ln(...).
    inner = x / (1.0 + x)
    return -_OUTER_SLOPE * np.log(inner * inner * (1.0 + y * y)) - eta * np.log(1.0 + x)


@formula
def log_lateral_distribution(r, eta, scale=LATERAL_SCALE):
    """ln LDF(r) = ln f(r) - ln f(800 m); r > 0 [m]."""
    return log_lateral_shape(r, eta, scale) - log_lateral_shape(REFERENCE_DISTANCE, eta, scale)


@formula
def lateral_distribution(r, eta, scale=LATERAL_SCALE):
    """LDF(r), 1 at 800 m; r > 0 [m].

    Examples
    --------
    Vertical, R_m = 91.6 m: lateral_distribution(400.0, 3.97, 91.6) = 14.71.
    """
    return np.exp(log_lateral_distribution(r, eta, scale))


@formula
def log_lateral_derivatives(r, eta, scale=LATERAL_SCALE):
    """Derivatives (d ln LDF/dr [1/m], d ln LDF/d eta) at r > 0 [m]."""
    by_r = -_INNER_SLOPE / r - (eta - _INNER_SLOPE) / (scale + r) - 2.0 * _OUTER_SLOPE * r / (OUTER_SCALE**2 + r * r)
    by_eta = np.log(1.0 + REFERENCE_DISTANCE / scale) - np.log(1.0 + r / scale)
    return by_r, by_eta


# log10(E/eV) = c0 + c1 x + c2 x^2 + c3 x^3 + k (log10 S800 - 1.5), x = sec z - 1: a re-fit of the relation between S800,
# zenith and energy that the Telescope Array takes from CORSIKA with QGSJET-II-03 (Ivanov 2012, PhD thesis, Rutgers;
# Abu-Zayyad et al. 2013, doi:10.1088/2041-8205/768/1/L1). Proton to 60 degrees; proton and iron to 46 degrees.
_PROTON_TO_60 = (19.0372, -0.0547, 2.0522, -1.0441, 1.080)
_PROTON_TO_46 = (19.0339, 0.0839, 1.0379, 0.7352, 1.090)
_IRON_TO_46 = (18.9360, 0.4484, 1.0767, -0.0727, 1.077)
_LOG_MASS_IRON = float(np.log(56.0))
_LARGEST_X_TO_46 = 1.0 / np.cos(np.radians(45.0)) - 1.0


def _log10_s800(log10_energy_ev, x, coefficients):
    c0, c1, c2, c3, k = coefficients
    return 1.5 + (log10_energy_ev - (c0 + x * (c1 + x * (c2 + x * c3)))) / k


def mean_s800(energy, zenith, mass_number=1.0) -> np.ndarray:
    """Mean S800 [VEM/m^2] of showers of given energy [EeV], zenith [rad] and mass number (1 to 56).

    Proton: the relation fitted to 60 degrees. Heavier primaries: the iron/proton ratio of the two relations fitted to
    46 degrees (kept at its 45-degree value above), interpolated in ln A, as superposition of nucleons suggests.
    Not included: interaction models other than QGSJET-II-03.

    Examples
    --------
    mean_s800(309.0, radians(38.6)) is 530 within a few per cent (Abbasi et al. 2023, doi:10.1126/science.abo5095).
    """
    log10_energy_ev = np.log10(np.asarray(energy, dtype=float)) + 18.0
    x = 1.0 / np.cos(np.asarray(zenith, dtype=float)) - 1.0
    x_ratio = np.minimum(x, _LARGEST_X_TO_46)
    log_ratio = _log10_s800(log10_energy_ev, x_ratio, _IRON_TO_46) - _log10_s800(log10_energy_ev, x_ratio, _PROTON_TO_46)
    fraction = np.log(np.asarray(mass_number, dtype=float)) / _LOG_MASS_IRON
    return 10.0 ** (_log10_s800(log10_energy_ev, x, _PROTON_TO_60) + fraction * log_ratio)

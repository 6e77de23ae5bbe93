"""What the symmetric formulas lack: early and late stations, and times of stations that saw more or
less than expected. Found from simulated showers.
"""

from typing import NamedTuple

import numpy as np

from tashower.calibration.errors import (
    POISSON_DENSITY,
    SMALLEST_SIGNAL,
    ErrorModel,
    contained_fraction,
    density_error,
    fit_errors,
    time_spread,
)
from tashower.errors import InputError
from tashower.events.model import Truth
from tashower.physics.compiled import formula
from tashower.physics.early_late import (
    LATE_ATTENUATION_MUONS,
    LATE_LENGTH,
    electron_attenuation,
    late_time_factor,
    lighter_factor,
)
from tashower.physics.shower_front import curvature_zenith_dependence

#: ln(S_obs/S_fit) is kept within this: a choice, few stations are beyond.
_LARGEST_LOG_RATIO = 2.0
_SMALLEST_DENSITY = 0.05  # [VEM/m^2], below it a signal is noise
_ROUNDS = 2  # correlation and errors need each other
_SECANT_45 = float(np.sqrt(2.0))


class Asymmetry(NamedTuple):
    """What a station sees beyond the symmetric formulas.

    Its signal is that of the lateral distribution times `lighter_factor`, its delay that of the
    front times `late_time_factor`; and where it sees more than expected its first particle comes
    earlier,

        <t - t_fit> = correlation u ln(S_obs/S_fit),      u of `ErrorModel`.
    """

    used: bool = True
    #: ln of the odds of the mean muon share at 800 m, of vertical showers; its growth with sec z
    share: tuple = (-1.1, 0.0)
    #: of electromagnetic particles at 45 degrees, and of muons [g/cm^2]; see `attenuation_at`
    attenuation: tuple = (200.0, LATE_ATTENUATION_MUONS)
    length: float = LATE_LENGTH  #: of `late_time_factor` [m]
    correlation: float = 0.0


#: The symmetric formulas alone.
SYMMETRIC = Asymmetry(used=False)


class Completion(NamedTuple):
    """What the complete fit takes from simulation, beside the prior on the curvature."""

    errors: ErrorModel
    asymmetry: Asymmetry


@formula
def mean_share(secant, share):
    """Mean muon share at 800 m of showers of this sec z; share : as in `Asymmetry`."""
    return 1.0 / (1.0 + np.exp(-share[0] - share[1] * (secant - 1.0)))


@formula
def attenuation_at(secant, asymmetry):
    """Attenuation of (electromagnetic particles, muons) [g/cm^2] at sec z: that of 45 degrees times
    how `electron_attenuation` depends on the zenith; muons' is the same everywhere.
    """
    begin, growth = asymmetry.share
    here = electron_attenuation(secant, mean_share(secant, (begin, growth)), growth)
    there = electron_attenuation(_SECANT_45, mean_share(_SECANT_45, (begin, growth)), growth)
    return asymmetry.attenuation[0] * here / there, asymmetry.attenuation[1]


def fit_share(truth: Truth) -> tuple[float, float]:
    """`Asymmetry.share` from true showers.

    Raises
    ------
    InputError : showers whose muon share is not known.
    """
    share = truth.muon_share
    if not ((share > 0) & (share < 1)).all():
        raise InputError(
            "a calibration needs the true muon share at 800 m (muon_share) of all showers"
        )
    slope, begin = np.polyfit(1.0 / np.cos(truth.zenith) - 1.0, np.log(share / (1.0 - share)), 1)
    return float(begin), float(slope)


@formula
def signal_shift(observed, expected, asymmetry):
    """Expected time of a station after the front, in units of u, for the density that it saw and
    the one that the model expects [VEM/m^2].
    """
    ratio = np.log(np.maximum(observed, _SMALLEST_DENSITY) / np.maximum(expected, 1e-9))
    return asymmetry.correlation * np.minimum(
        np.maximum(ratio, -_LARGEST_LOG_RATIO), _LARGEST_LOG_RATIO
    )


def completed(residuals: dict[str, np.ndarray], asymmetry: Asymmetry) -> dict[str, np.ndarray]:
    """Residuals of `true_residuals` around what is expected of early and late stations."""
    zenith = residuals["zenith"]
    lighter = lighter_factor(
        residuals["along"],
        residuals["r"],
        np.tan(zenith),
        mean_share(1.0 / np.cos(zenith), asymmetry.share),
        attenuation_at(1.0 / np.cos(zenith), asymmetry),
    )
    late = late_time_factor(residuals["along"], asymmetry.length)
    density = residuals["density"] * lighter
    return residuals | {
        "density": density,
        "signal": residuals["signal"] + residuals["density"] - density,
        "time": residuals["time"] + residuals["delay"] * (1.0 - late),
    }


def _fit_attenuation(residuals, area: float, share: tuple, errors: ErrorModel) -> float:
    """Attenuation of the electromagnetic particles at 45 degrees [g/cm^2] that describes stations
    that are sure to be seen best.
    """
    from scipy.optimize import minimize_scalar

    dense = residuals["density"] >= POISSON_DENSITY
    sure = {name: column[dense] for name, column in residuals.items()}
    factor = curvature_zenith_dependence(sure["zenith"])
    contained = contained_fraction(sure["r"], factor, errors)
    sigma = density_error(sure["density"], area, errors)
    seen = sure["signal"] + sure["density"]

    def distance(per_length):
        attenuation = (1.0 / per_length, LATE_ATTENUATION_MUONS)
        density = completed(sure, Asymmetry(share=share, attenuation=attenuation))["density"]
        return np.mean(np.minimum(((seen - density * contained) / sigma) ** 2, 25.0))

    return float(1.0 / minimize_scalar(distance, bounds=(1e-5, 1.0 / 60.0), method="bounded").x)


def fit_completion(
    residuals: dict[str, np.ndarray], area: float, share: tuple, fixed: dict[str, float] | None
) -> Completion:
    """`Completion` from residuals of `true_residuals`.

    share : `fit_share` of the showers
    fixed : numbers of the error model that stay as they are

    The Poisson term of the signals is that of the symmetric formulas: it also says how sure silence
    is, where the share of a single shower and its fluctuation are not known either.

    Not fitted: how the attenuation depends on the zenith, the attenuation of muons and the length
    of the time factor, which are those of `physics.early_late`.
    """
    symmetric = fit_errors(residuals, area, fixed)
    electrons = _fit_attenuation(residuals, area, share, symmetric)
    asymmetry = Asymmetry(share=share, attenuation=(electrons, LATE_ATTENUATION_MUONS))
    around = completed(residuals, asymmetry)
    factor = curvature_zenith_dependence(around["zenith"])
    fixed = {"signal_poisson": symmetric.signal_poisson} | (fixed or {})
    errors = fit_errors(around, area, fixed)
    timed = around["density"] * area > 2.0 * SMALLEST_SIGNAL
    for _ in range(_ROUNDS):
        spread = time_spread(around["r"], np.log(around["density"]), factor, errors)
        expected = around["density"] * contained_fraction(around["r"], factor, errors)
        seen = around["signal"] + around["density"]
        unit = signal_shift(seen, expected, asymmetry._replace(correlation=1.0))
        scaled = around["time"] / spread
        use = timed & (np.abs(scaled) < 5.0)
        slope = np.cov(unit[use], scaled[use])[0, 1] / np.var(unit[use])
        asymmetry = asymmetry._replace(correlation=float(slope))
        less = around | {"time": around["time"] - slope * unit * spread}
        errors = fit_errors(less, area, fixed)
    return Completion(errors, asymmetry)

"""What the symmetric formulas lack: early and late stations, and times of stations that saw more or
less than expected. Found from simulated showers.
"""

from typing import NamedTuple

import numpy as np

from tashower.calibration.errors import (
    MOST_STATIONS,
    POISSON_DENSITY,
    SMALLEST_SIGNAL,
    ErrorModel,
    contained_fraction,
    density_error,
    fit_errors,
    time_shift_of,
    time_spread,
    time_variance_of,
)
from tashower.calibration.least_squares import least_squares
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
from tashower.physics.shower_front import (
    CURVATURE_DISTANCE,
    Front,
    curvature_beyond_onset,
    curvature_zenith_dependence,
    front_delay,
    front_delay_with_onset,
    thickness_shape,
)

#: ln(S_obs/S_fit) is kept within this: a choice, few stations are beyond.
_LARGEST_LOG_RATIO = 2.0
_SMALLEST_DENSITY = 0.05  # [VEM/m^2], below it a signal is noise
_ROUNDS = 2  # correlation and errors need each other
_NOT_FAR = 5.0  # standard deviations beyond which a time counts as one at this distance
#: Largest onset that is looked for [ns], of the Telescope Array's front; of another, what is as
#: much at 1 km (choice: half as much again as that of muons).
LARGEST_ONSET = 0.5
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
    onset: float = 0.0  #: of the front [ns], `shower_front.front_delay_with_onset`
    #: prior on the curvature beyond that onset: coefficients and rms of ln a, as of `Calibration`.
    #: A width of 0: that of the calibration; infinite: none
    curvature_coefficients: tuple = (0.0,) * 5
    curvature_width: float = 0.0
    #: what `ErrorModel.signal_poisson` is for silent stations; 0: the same
    silence_poisson: float = 0.0


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
    columns = np.stack([np.ones(len(share)), 1.0 / np.cos(truth.zenith) - 1.0], axis=1)
    begin, slope = least_squares(columns, np.log(share / (1.0 - share)))
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


def with_curvature(residuals: dict, ratio: np.ndarray, onset: float, front: Front) -> dict:
    """Residuals of `true_residuals` around the front with an onset, and with curvatures that are
    `ratio` (n_events,) times those beyond the onset of the true showers.
    """
    beyond = curvature_beyond_onset(residuals["curvature"], residuals["log_ldf_km"], onset, front)
    delay = front_delay_with_onset(
        residuals["r"], residuals["log_ldf"], beyond * ratio[residuals["event"]], onset, front
    )
    return residuals | {"delay": delay, "time": residuals["time"] + residuals["delay"] - delay}


def fit_onset(residuals: dict, ratio: np.ndarray, front: Front, errors: ErrorModel) -> float:
    """Onset of the front [ns] with which the times scatter least, in units of their errors; 0 for a
    front that does not depend on the density, whose curvature contains it.

    residuals, ratio : as of `with_curvature`; errors : of the front without onset
    """
    from scipy.optimize import minimize_scalar

    if front.density_power == 0.0:
        return 0.0
    unit = front_delay(CURVATURE_DISTANCE, 0.0, 1.0, front)
    largest = LARGEST_ONSET * thickness_shape(CURVATURE_DISTANCE) / unit

    step = -(-len(residuals["r"]) // MOST_STATIONS)
    residuals = {name: column[::step] for name, column in residuals.items()}
    factor, log_density = (
        curvature_zenith_dependence(residuals["zenith"]),
        np.log(residuals["density"]),
    )
    spread = time_spread(residuals["r"], log_density, factor, errors)
    sigma = np.sqrt(time_variance_of(spread, errors))
    # Shifts that the errors will have, so that the onset does not stand for them.
    shifts = [
        time_shift_of(spread, log_density, errors._replace(b0=k == 0, b1=k == 1, b2=k == 2)) / sigma
        for k in range(3)
    ]
    columns = np.stack(shifts, axis=1)

    def scatter(onset):
        pull = with_curvature(residuals, ratio, onset, front)["time"] / sigma
        use = np.abs(pull) < _NOT_FAR
        for _ in range(2):
            found = least_squares(columns[use], pull[use])
            left = pull - (columns * found).sum(axis=1)
            use = np.abs(left) < _NOT_FAR
        return np.mean(np.minimum(left**2, _NOT_FAR**2))

    return float(minimize_scalar(scatter, bounds=(0.0, largest), method="bounded").x)


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
    residuals: dict[str, np.ndarray],
    area: float,
    share: tuple,
    fixed: dict[str, float] | None,
    start: Completion | None = None,
) -> Completion:
    """`Completion` from residuals of `true_residuals`.

    share : `fit_share` of the showers
    fixed : numbers of the error model that stay as they are
    start : found before, around another front

    Silence is as sure as with the symmetric formulas: the share of a single shower and its
    fluctuation are not known.

    Not fitted: how the attenuation depends on the zenith, the attenuation of muons and the length
    of the time factor, which are those of `physics.early_late`.
    """
    if start is None:
        symmetric = fit_errors(residuals, area, fixed)
        electrons = _fit_attenuation(residuals, area, share, symmetric)
        asymmetry = Asymmetry(share=share, attenuation=(electrons, LATE_ATTENUATION_MUONS))
        silence = symmetric.signal_poisson
    else:  # signals know nothing of the front
        asymmetry, silence = start.asymmetry, start.silence_poisson
        signals = ("signal_poisson", "signal_fraction", "late_fraction", "contained_time")
        fixed = {name: getattr(start.errors, name) for name in signals} | (fixed or {})
    around = completed(residuals, asymmetry)
    factor = curvature_zenith_dependence(around["zenith"])
    errors = start.errors if start else fit_errors(around, area, fixed, skewed=True)
    timed = around["density"] * area > 2.0 * SMALLEST_SIGNAL
    for _ in range(1 if start else _ROUNDS):
        spread = time_spread(around["r"], np.log(around["density"]), factor, errors)
        expected = around["density"] * contained_fraction(around["r"], factor, errors)
        seen = around["signal"] + around["density"]
        unit = signal_shift(seen, expected, asymmetry._replace(correlation=1.0))
        scaled = around["time"] / spread
        use = timed & (np.abs(scaled) < _NOT_FAR)
        slope = np.mean((unit - unit[use].mean())[use] * scaled[use]) / np.var(unit[use])
        asymmetry = asymmetry._replace(correlation=float(slope))
        less = around | {"time": around["time"] - slope * unit * spread}
        errors = fit_errors(less, area, fixed, skewed=True, start=errors)
    return Completion(errors, asymmetry, silence_poisson=silence)

"""Errors of times and densities around the formulas, and how they are found from simulated
showers.
"""

from typing import NamedTuple

import numpy as np

from tashower.physics.compiled import formula
from tashower.physics.shower_front import curvature_zenith_dependence, thickness_shape

#: Below this density [VEM/m^2] the Poisson likelihood is used (Ivanov 2012, PhD thesis, Rutgers).
POISSON_DENSITY = 4.0
#: Smallest signal of a station in the fit [VEM, mean of the layers] (Ivanov 2012, PhD thesis,
#: Rutgers).
SMALLEST_SIGNAL = 1.4
#: Stations that the errors are fitted to; more would not change them (choice).
MOST_STATIONS = 30_000
#: Skewness of a time's distribution: at most this, of an exponential tail (choice); and below the
#: second value a normal distribution is meant.
LARGEST_SKEW, SMALLEST_SKEW = 1.5, 0.02
#: Where its exponential goes on as a straight line: a station so much too early is rejected anyway.
LARGEST_EXPONENT = 6.0
_LOWEST_LOG_DENSITY = float(np.log(0.1))
_LOG_DENSITIES = (float(np.log(0.3)), float(np.log(100.0)))


class ErrorModel(NamedTuple):
    """How observed times and densities scatter around the formulas, calibrated on simulated
    showers.

    sigma_t^2 = time_floor^2 + u^2,   u = time_scale c(z) (1 + r/30)^1.5 S_fit^-time_power
    sigma_S^2 = signal_poisson S/A + (signal_fraction S)^2

    the forms of the Telescope Array (Ivanov 2012: 30 ns, power 0.3, 2 S/A, 0.15); c(z): zenith
    dependence of the curvature. Two effects that shift an observation and that the formulas do not
    have: the first of few particles, seen above a threshold, comes later than the formula, which
    is exact for many,

        <t - t_fit> = u (b0 + b1 ln S_fit + b2 ln^2 S_fit),

    and some of the signal arrives after the end of the window,

        <S>/S_fit = 1 - q (1 + x) exp(-x),     x = contained_time/(c(z) (1 + r/30)^1.5).

    Times of few particles do not scatter as a normal distribution: nothing comes before the onset,
    and the first of few may come late. kappa = time_skew S_fit^-skew_power is the parameter of
    `skewed_square`; 0 stands for a normal distribution.
    """

    time_floor: float = 30.0  #: [ns]
    time_scale: float = 1.0  #: [ns]
    time_power: float = 0.3
    signal_poisson: float = 2.0
    signal_fraction: float = 0.15
    b0: float = 0.0
    b1: float = 0.0
    b2: float = 0.0
    late_fraction: float = 0.0  #: q
    contained_time: float = 1000.0
    time_skew: float = 0.0  #: kappa at 1 VEM/m^2
    skew_power: float = 0.0


@formula
def time_spread(r, log_density, zenith_factor, errors):
    """u [ns], the part of sigma_t that grows with the distance r [m] and falls with the expected
    density (ln of it in VEM/m^2).
    """
    power = np.exp(-errors.time_power * np.maximum(log_density, _LOWEST_LOG_DENSITY))
    return errors.time_scale * zenith_factor * thickness_shape(r) * power


@formula
def time_variance_of(spread, errors):
    """sigma_t^2 [ns^2] for u from `time_spread`."""
    return errors.time_floor**2 + spread * spread


@formula
def time_shift_of(spread, log_density, errors):
    """Expected arrival time minus the formula [ns] for u from `time_spread`; the density is kept
    between 0.3 and 100 VEM/m^2.
    """
    x = np.minimum(np.maximum(log_density, _LOG_DENSITIES[0]), _LOG_DENSITIES[1])
    return spread * (errors.b0 + x * (errors.b1 + x * errors.b2))


@formula
def time_error(r, density, zenith_factor, errors):
    """sigma_t [ns] at distance r [m], for the density [VEM/m^2] that the model expects (kept above
    0.1).
    """
    return np.sqrt(time_variance_of(time_spread(r, np.log(density), zenith_factor, errors), errors))


@formula
def time_shift(r, density, zenith_factor, errors):
    """Expected arrival time minus the formula [ns] at distance r [m], for the density [VEM/m^2]
    that the model expects.
    """
    log_density = np.log(density)
    return time_shift_of(time_spread(r, log_density, zenith_factor, errors), log_density, errors)


@formula
def skew_of(log_density, errors):
    """kappa of the time of a station that is expected to see this density (ln of it in VEM/m^2,
    kept above 0.1), at most LARGEST_SKEW.
    """
    power = np.exp(-errors.skew_power * np.maximum(log_density, _LOWEST_LOG_DENSITY))
    return np.minimum(errors.time_skew * power, LARGEST_SKEW)


@formula
def skewed_square(pull, skew):
    """2 (exp(-kappa y) - 1 + kappa y)/kappa^2: what y^2 is for a normal distribution, for the
    log-gamma distribution, -2 ln of its density but for a constant.

    y = pull, observed minus most probable time over sigma; kappa = skew > 0. Early times (y < 0)
    are unlikely, late ones fall exponentially; kappa = 1 is Gumbel's distribution, small kappa
    the normal one. Beyond kappa y = -LARGEST_EXPONENT it goes on straight. exp(-kappa y) follows
    a gamma distribution of shape 1/kappa^2 and mean 1 (Prentice 1974,
    doi:10.1093/biomet/61.3.539).
    """
    x = -skew * pull
    bent = np.minimum(x, LARGEST_EXPONENT)
    grown = np.expm1(bent)
    return 2.0 * (grown - bent + grown * (x - bent)) / (skew * skew)


@formula
def contained_fraction(r, zenith_factor, errors):
    """Part of the signal at distance r [m] that arrives before the window ends."""
    x = errors.contained_time / (zenith_factor * thickness_shape(r))
    return 1.0 - errors.late_fraction * (1.0 + x) * np.exp(-x)


@formula
def density_error(density, area, errors):
    """sigma_S [VEM/m^2] for the density that the model expects."""
    return np.sqrt(errors.signal_poisson * density / area + (errors.signal_fraction * density) ** 2)


#: What no clock does better than [ns] (choice): where other errors hide the floor, its fit would
#: walk off to 0, by which a plane front's residuals are divided.
_SMALLEST_TIME_FLOOR = 0.1
#: What no gain is better known than (choice): of a simulation with exact gains the fit would give
#: 0, and strong stations of real data would have errors of a part in a thousand.
_SMALLEST_FRACTION = 0.02


def _robust_likelihood(residual, sigma) -> float:
    """Mean of -2 ln of a Gaussian likelihood, whose squares are cut at 5 sigma so that no
    accidental rules it.
    """
    return float(np.mean(np.minimum((residual / sigma) ** 2, 25.0) + 2.0 * np.log(sigma)))


def _skewed_likelihood(residual, sigma, skew) -> float:
    """`_robust_likelihood` for times that follow `skewed_square`."""
    from scipy.special import gammaln

    shape = skew**-2.0
    normalised = 2.0 * (gammaln(shape) - (shape - 0.5) * np.log(shape) + shape)
    square = np.minimum(skewed_square(residual / sigma, skew), 25.0)
    return float(np.mean(square + normalised + 2.0 * np.log(sigma)))


def _minimise(function, start, **options):
    """scipy's minimiser, imported when it is needed: half a second that the fit need not wait
    for.
    """
    from scipy import optimize

    return optimize.minimize(function, start, **options)


def _but_fixed(errors: ErrorModel, found: dict, fixed: dict) -> ErrorModel:
    """`errors` with the numbers that were found, but for those that are fixed."""
    return errors._replace(
        **found | {name: value for name, value in fixed.items() if name in found}
    )


def _plain(errors: ErrorModel) -> ErrorModel:
    """The same numbers as Python's."""
    return ErrorModel(*(float(value) for value in errors))


def _fit_contained(residuals, factor, errors: ErrorModel, fixed: dict) -> ErrorModel:
    """`errors` with the contained part of the signal that fits best, from stations that are sure to
    be seen.
    """
    sure = residuals["density"] >= POISSON_DENSITY
    ratio = 1.0 + residuals["signal"][sure] / residuals["density"][sure]
    r, c = residuals["r"][sure], factor[sure]

    def with_window(q):
        # A part of the signal: where hardly any is late, q alone would grow without end.
        part = float(np.clip(q[0], 0.0, 1.0))
        found = {"late_fraction": part, "contained_time": float(np.exp(min(q[1], 50.0)))}
        return _but_fixed(errors, found, fixed)

    def distance(q):
        return np.sum(
            (ratio - contained_fraction(r, c, with_window(q))) ** 2 * residuals["density"][sure]
        )

    return with_window(_minimise(distance, (0.8, np.log(700.0)), method="Nelder-Mead").x)


def _fit_times(
    timed: dict, errors: ErrorModel, fixed: dict, skewed: bool, begin: ErrorModel
) -> ErrorModel:
    """`errors` with the numbers of the times that have the largest likelihood.

    timed : (n,) columns r, density, factor (of the zenith) and time of the stations that count
    """
    r, density, c, time = (timed[name] for name in ("r", "density", "factor", "time"))

    def with_times(q):  # what is fixed lets its coordinate walk off: 50 is far beyond any time
        found = {
            "time_floor": max(np.exp(min(q[0], 50.0)), _SMALLEST_TIME_FLOOR),
            "time_scale": np.exp(min(q[1], 50.0)),
            "time_power": q[2],
            "b0": q[3],
            "b1": q[4],
            "b2": q[5],
        }
        if skewed:
            found |= {"time_skew": np.exp(min(q[6], 50.0)), "skew_power": q[7]}
        return _but_fixed(errors, found, fixed)

    def loss(q):
        trial = with_times(q)
        residual, sigma = time - time_shift(r, density, c, trial), time_error(r, density, c, trial)
        if not skewed:
            return _robust_likelihood(residual, sigma)
        skew = np.maximum(skew_of(np.log(density), trial), SMALLEST_SKEW)
        return _skewed_likelihood(residual, sigma, skew)

    first = [np.log(begin.time_floor), np.log(begin.time_scale), begin.time_power]
    first += [begin.b0, begin.b1, begin.b2]
    if skewed:
        found_before = begin.time_skew > 0.0
        first += [np.log(begin.time_skew), begin.skew_power] if found_before else [-0.5, 0.3]
    options = {"maxiter": 3000, "maxfev": 3000, "adaptive": True}
    return with_times(_minimise(loss, first, method="Nelder-Mead", options=options).x)


def _fit_signals(expected, residual, area: float, errors: ErrorModel, fixed: dict) -> ErrorModel:
    """`errors` with the numbers of the signals that have the largest likelihood, for expected
    densities and what was seen beyond them [VEM/m^2], (n,).
    """

    def with_signals(q):
        found = {
            "signal_poisson": np.exp(q[0]),
            "signal_fraction": max(np.exp(q[1]), _SMALLEST_FRACTION),
        }
        return _but_fixed(errors, found, fixed)

    def loss(q):
        return _robust_likelihood(residual, density_error(expected, area, with_signals(q)))

    return with_signals(_minimise(loss, (0.5, np.log(0.15)), method="Nelder-Mead").x)


def fit_errors(
    residuals: dict[str, np.ndarray],
    area: float,
    fixed: dict[str, float] | None = None,
    skewed: bool = False,
    start: ErrorModel | None = None,
) -> ErrorModel:
    """`ErrorModel` of largest likelihood for residuals from `true_residuals`; of its numbers,
    `fixed` stay as they are.

    Times: stations that are expected to see twice SMALLEST_SIGNAL or more, so that the cut on the
    signal does not choose them. Densities: where 4 VEM/m^2 or more are expected. Of more than
    MOST_STATIONS, every second (third, ...) counts.

    skewed : whether the times' skewness is found; else they follow normal distributions
    start : errors to begin with; None: usual ones
    """
    fixed = fixed or {}
    step = -(-len(residuals["r"]) // MOST_STATIONS)
    residuals = {name: column[::step] for name, column in residuals.items()}
    factor = curvature_zenith_dependence(residuals["zenith"])
    errors = ErrorModel(**fixed)
    if not {"late_fraction", "contained_time"} <= set(fixed):
        errors = _fit_contained(residuals, factor, errors, fixed)
    timed = residuals["density"] * area > 2.0 * SMALLEST_SIGNAL
    columns = {**residuals, "factor": factor}
    errors = _fit_times(
        {name: columns[name][timed] for name in ("r", "density", "factor", "time")},
        errors,
        fixed,
        skewed,
        start or ErrorModel(20.0, np.exp(0.3), 0.4, b0=0.3),
    )
    if {"signal_poisson", "signal_fraction"} <= set(fixed):
        return _plain(_but_fixed(errors, fixed, fixed))
    contained = contained_fraction(residuals["r"], factor, errors)
    dense = residuals["density"] >= POISSON_DENSITY
    expected = (residuals["density"] * contained)[dense]
    residual = (residuals["signal"] + residuals["density"])[dense] - expected
    return _plain(_fit_signals(expected, residual, area, errors, fixed))

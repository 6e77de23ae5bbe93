"""The joint fit with scipy, event by event: slow, and the standard that the compiled minimiser is
held to.

The sum is the same, written once more in numpy: whoever wants to change it starts here.
"""

import numpy as np
from scipy.optimize import least_squares

from tashower.calibration.errors import SMALLEST_SKEW, skewed_square
from tashower.physics.constants import SPEED_OF_LIGHT
from tashower.physics.description import softened
from tashower.physics.lateral import log_lateral_distribution, slope_of_secant
from tashower.physics.shower_front import front_delay_with_onset
from tashower.reconstruction.clusters import BOUND, SIGNAL, SILENT, TIME, Geometry
from tashower.reconstruction.joint.fit import Fitted, fit_one
from tashower.reconstruction.joint.minimise import scratch_space
from tashower.reconstruction.joint.model import (
    LARGEST_SINE2,
    N_PARAMETERS,
    FitSettings,
    Observed,
    Prior,
    Quadratic,
)
from tashower.reconstruction.joint.observe import HitColumns, observe, work_space
from tashower.reconstruction.joint.outliers import silence_and_signal, worst_station
from tashower.reconstruction.joint.start import start_core, start_plane, start_size
from tashower.reconstruction.joint.terms import evaluate

#: Sizes of a step in each parameter: core [m], direction cosines, ln S800, t0 [ns], a [ns].
SCALE = np.array([50.0, 50.0, 0.02, 0.02, 0.1, 50.0, 0.3])


def residual_vector(
    p: np.ndarray, observed: Observed, settings: FitSettings, prior: Prior
) -> np.ndarray:
    """Signed roots of the terms of `terms.evaluate`, in numpy; their squares add up to its sum."""
    description = settings.description
    area, dispersion = description.area, settings.errors.signal_poisson
    n_x, n_y = p[2], p[3]
    sine2 = n_x**2 + n_y**2
    if sine2 >= LARGEST_SINE2 or abs(p[4]) >= 14.0:
        return np.full(2 * len(observed.x) + 1, 1e6)
    n_z = np.sqrt(1.0 - sine2)
    dx, dy, dz = observed.x - p[0], observed.y - p[1], observed.z
    q = n_x * dx + n_y * dy + n_z * dz
    ground2 = dx**2 + dy**2
    r = softened(ground2 if description.on_ground else ground2 + dz**2 - q**2)
    log_ldf = log_lateral_distribution(r, slope_of_secant(1.0 / n_z), description.lateral)
    timed, seen = (observed.use & TIME) > 0, (observed.use & (SIGNAL | SILENT)) > 0
    delay = observed.late * front_delay_with_onset(
        r, log_ldf, p[6], settings.onset, description.front
    )
    expected_time = p[5] - q / SPEED_OF_LIGHT + delay + observed.shift
    pull = np.sqrt(observed.time_weight) * (expected_time - observed.time)
    skewed = skewed_square(-pull, np.maximum(observed.skew, SMALLEST_SKEW))
    of_skewed = np.sign(pull) * np.sqrt(np.maximum(skewed, 0.0))
    times = np.where(observed.skew < SMALLEST_SKEW, pull, of_skewed)
    times = np.where(timed, np.sqrt(observed.trust) * times, 0.0)
    density = np.exp(p[4] + log_ldf) * observed.contained
    gaussian = np.sqrt(observed.signal_weight) * (density - observed.density)
    m, k = density * area / dispersion, np.maximum(observed.density, 0.0) * area / dispersion
    deviance = 2.0 * (m - k + np.where(k > 0, k * np.log(np.maximum(k, 1e-300) / m), 0.0))
    poisson = np.sign(m - k) * np.sqrt(np.maximum(deviance, 0.0))
    signals = np.where(seen, np.where(observed.signal_weight > 0, gaussian, poisson), 0.0)
    below = np.minimum(gaussian + 1.0, 0.0)
    signals = np.where((observed.use & BOUND) > 0, below, signals)
    return np.concatenate([times, signals, [np.sqrt(prior.weight) * (p[6] - prior.mean)]])


def start_of(observed: Observed, settings: FitSettings) -> np.ndarray | None:
    """(7,) where the fit of an event starts; None where no plane fits its times."""
    p = np.zeros(N_PARAMETERS)
    start_core(observed, p)
    if not start_plane(observed, p, scratch_space().normal):
        return None
    start_size(observed, p, settings)
    return p


def minimum_with_scipy(
    p: np.ndarray, observed: Observed, settings: FitSettings, prior: Prior
) -> tuple[float, np.ndarray]:
    """(sum, (7,) parameters) at scipy's minimum from p with the weights as they are."""
    arguments = (observed, settings, prior)
    tolerance = {"xtol": 1e-14, "ftol": 1e-14, "gtol": 1e-14}
    found = least_squares(residual_vector, p, x_scale=SCALE, args=arguments, **tolerance)
    return 2.0 * found.cost, found.x


def fit_all_with_scipy(
    hits: HitColumns, geometry: Geometry, settings: FitSettings, start: np.ndarray, found: Fitted
) -> None:
    """`fit.fit_all` with its last minimum found by scipy.

    Stations, rejected stations, weights and prior of the last pass are those of the compiled fit.
    scipy starts at the plane front, and where that ends in another minimum also at the compiled
    result; the lower one counts.
    """
    work, scratch = work_space(len(geometry.position)), scratch_space()
    n = N_PARAMETERS
    quadratic = Quadratic(np.zeros(n), np.zeros((n, n)), np.zeros((10, 4)))
    for i in range(len(hits.offset) - 1):
        observed, origin = observe(i, hits, geometry, settings.description.area, work)
        p = found.p[i]
        sums = fit_one(observed, settings, p, found.covariance[i], start[i], scratch)
        if sums[4]:
            prior = Prior(*(float(x) for x in scratch.prior))
            begins = [start_of(observed, settings), p.copy()]
            results = [
                minimum_with_scipy(begin, observed, settings, prior)
                for begin in begins
                if begin is not None
            ]
            _, p[:] = min(results, key=lambda result: result[0])
            evaluate(p, observed, (0, len(observed.x)), settings, prior, quadratic)
            found.covariance[i] = np.linalg.inv(quadratic.information)
            _, _, chi2 = worst_station(p, observed, settings, quadratic.information, scratch)
            sums = (chi2, *sums[1:])
            found.sums[i, 6:] = silence_and_signal(p, observed, settings)
        p[5] += origin
        found.sums[i, :6] = sums

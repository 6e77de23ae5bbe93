"""The joint fit with scipy, event by event: slow, and the standard that the compiled one is held
to.
"""

import numpy as np
from scipy.optimize import least_squares

from tashower.events.array import neighbour_table
from tashower.events.model import Events, Pulses
from tashower.physics.constants import SPEED_OF_LIGHT
from tashower.physics.lateral import (
    TELESCOPE_ARRAY,
    Lateral,
    log_lateral_distribution,
    slope_of_secant,
)
from tashower.physics.shower_front import TELESCOPE_ARRAY_FRONT, Front, front_delay
from tashower.reconstruction.calibration import Calibration
from tashower.reconstruction.clusters import SIGNAL, SILENT, TIME
from tashower.reconstruction.expectation import LARGEST_SINE2, N_PARAMETERS, SOFTENING, Observed
from tashower.reconstruction.fit import observe, one_pass, work_space
from tashower.reconstruction.levenberg_marquardt import CONVERGED, scratch_space
from tashower.reconstruction.start_values import (
    FitSettings,
    fit_plane,
    prior_log_curvature,
    start_core,
    start_size,
)


def settings_of(
    calibration: Calibration,
    area: float,
    constrained: bool,
    lateral: Lateral = TELESCOPE_ARRAY,
    front: Front = TELESCOPE_ARRAY_FRONT,
) -> FitSettings:
    """`FitSettings` for the perpendicular distance."""
    return FitSettings(
        area,
        calibration.errors,
        constrained,
        np.asarray(calibration.curvature_coefficients, dtype=float),
        float(calibration.curvature_width),
        False,
        lateral,
        front,
    )


def observed_events(events: Events, pulses: Pulses) -> list[Observed]:
    """What the fit sees of every event, times relative to their mean."""
    n_stations = events.array.n_stations
    neighbours = neighbour_table(events.array)
    area = float(events.array.detector.area)
    density = pulses.signal.mean(axis=1) / area
    found = []
    for i in range(events.n_events):
        work = work_space(n_stations)  # of its own: the records keep views of it
        dead = events.dead_station[slice(*events.dead_offset[i : i + 2])]
        observed, _ = observe(
            events.hit_offset[i],
            events.hit_offset[i + 1],
            events.hit_station,
            pulses.arrival_time,
            density,
            pulses.saturated,
            dead,
            neighbours,
            events.array.position,
            area,
            work,
        )
        found.append(observed)
    return found


def residual_vector(
    p: np.ndarray,
    observed: Observed,
    area: float,
    dispersion: np.ndarray,
    prior_mean: float,
    prior_weight: float,
    lateral: Lateral = TELESCOPE_ARRAY,
    front: Front = TELESCOPE_ARRAY_FRONT,
) -> np.ndarray:
    """Signed roots of the terms of `expectation.evaluate`, in numpy; their squares add up to its
    sum.
    """
    n_x, n_y = p[2], p[3]
    sine2 = n_x**2 + n_y**2
    if sine2 >= LARGEST_SINE2 or abs(p[4]) >= 14.0:
        return np.full(2 * len(observed.x) + 1, 1e6)
    n_z = np.sqrt(1.0 - sine2)
    dx, dy, dz = observed.x - p[0], observed.y - p[1], observed.z
    q = n_x * dx + n_y * dy + n_z * dz
    r = np.sqrt(np.maximum(dx**2 + dy**2 + dz**2 - q**2, 0.0) + SOFTENING**2)
    log_ldf = log_lateral_distribution(r, slope_of_secant(1.0 / n_z), lateral)
    timed, seen = (observed.use & TIME) > 0, (observed.use & (SIGNAL | SILENT)) > 0
    expected_time = (
        p[5] - q / SPEED_OF_LIGHT + front_delay(r, log_ldf, p[6], front) + observed.shift
    )
    times = np.where(timed, np.sqrt(observed.time_weight) * (expected_time - observed.time), 0.0)
    density = np.exp(p[4] + log_ldf) * observed.contained
    gaussian = np.sqrt(observed.signal_weight) * (density - observed.density)
    m, k = density * area / dispersion, np.maximum(observed.density, 0.0) * area / dispersion
    deviance = 2.0 * (m - k + np.where(k > 0, k * np.log(np.maximum(k, 1e-300) / m), 0.0))
    poisson = np.sign(m - k) * np.sqrt(np.maximum(deviance, 0.0))
    signals = np.where(seen, np.where(observed.signal_weight > 0, gaussian, poisson), 0.0)
    return np.concatenate([times, signals, [np.sqrt(prior_weight) * (p[6] - prior_mean)]])


def fit_with_scipy(
    observed: Observed,
    calibration: Calibration,
    area: float,
    constrained: bool,
    lateral: Lateral = TELESCOPE_ARRAY,
    front: Front = TELESCOPE_ARRAY_FRONT,
) -> tuple:
    """((sum, p) of the compiled fit, (sum, p) of scipy) from the same start, weights and sum; p as
    in `expectation`.
    """
    settings = settings_of(calibration, area, constrained, lateral, front)
    p = np.zeros(N_PARAMETERS)
    start_core(observed, p)
    scratch = scratch_space()
    fit_plane(observed, p, scratch.normal)
    start_size(observed, p, settings)
    begin = p.copy()
    n_z = np.sqrt(1.0 - p[2] ** 2 - p[3] ** 2)
    mean = float(np.exp(prior_log_curvature(n_z, p[4], settings.prior)))
    weight = (mean * settings.prior_width) ** -2.0 if constrained else 0.0
    matrix = np.empty((N_PARAMETERS, N_PARAMETERS))
    total, _ = one_pass(
        p, observed, settings, CONVERGED, matrix, scratch
    )  # also sets the weights, from the start
    args = (observed, area, settings.errors.signal_poisson, mean, weight, lateral, front)
    scale = np.array([50.0, 50.0, 0.02, 0.02, 0.1, 50.0, 0.3])
    found = least_squares(
        residual_vector, begin, x_scale=scale, args=args, xtol=1e-12, ftol=1e-12, gtol=1e-12
    )
    return (total, p), (2.0 * found.cost, found.x)

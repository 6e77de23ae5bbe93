"""The analytic reconstruction: plane front, curved front, joint fit of times and densities with seven parameters."""

import math
from typing import NamedTuple

import numpy as np

from tashower.config import ReconstructionConfig
from tashower.events.array import border_distance
from tashower.events.model import FLAGS, Events, Pulses, Reconstruction
from tashower.physics.compiled import compiled
from tashower.physics.constants import SPEED_OF_LIGHT
from tashower.physics.lateral import log_lateral_distribution, slope_of_secant
from tashower.physics.shower_front import curvature_zenith_dependence
from tashower.reconstruction.clusters import SIGNAL, TIME, choose_stations, neighbour_table
from tashower.reconstruction.energy import look_up_energy
from tashower.reconstruction.expectation import (
    LARGEST_SINE2,
    N_PARAMETERS,
    ErrorModel,
    Observed,
    evaluate,
    set_weights,
    soft_distance,
)
from tashower.reconstruction.levenberg_marquardt import CONVERGED, NEARLY_CONVERGED, cholesky, invert, minimise, solve

#: A station is rejected when that lowers chi2 by more than this, one station at a time. The Telescope Array uses 4 (Ivanov
#: 2012), which also takes away one good station in twenty and makes the pulls of the rest too narrow.
OUTLIER_CHI2 = 12.0
#: Most stations rejected in an event.
MOST_OUTLIERS = 4
#: Fewest stations with a time for which the seven parameters are tried.
FEWEST_STATIONS = 4
#: Results outside of these are not showers: invalid. S800 [VEM/m^2], error of the direction [rad], core outside the array [m].
SANE_S800 = (0.05, 2e4)
LARGEST_DIRECTION_ERROR = math.radians(30.0)
FARTHEST_OUTSIDE = 3000.0
_CAPACITY = 200  # stations of one event that the fit looks at
_NEAR = 150.0  # a core this close [m] to a station with signal is checked from other starts
_RING = 300.0  # how far away the other starts lie [m]
_ZENITH_TABLE = curvature_zenith_dependence(np.arccos(np.linspace(0.0, 1.0, 1001)).clip(0.0, 1.3))


class FitSettings(NamedTuple):
    """What the compiled fit needs to know."""

    area: float  #: station area [m^2]
    errors: ErrorModel
    constrained: bool
    prior: np.ndarray  #: coefficients of <ln a> in (1, s, s^2, ln S800, s ln S800), s = sec z - 1
    prior_width: float  #: rms of ln a
    on_ground: bool


@compiled
def zenith_factor(n_z):
    """`curvature_zenith_dependence` from a table in cos z."""
    return _ZENITH_TABLE[min(max(int(n_z * 1000.0 + 0.5), 0), 1000)]


@compiled
def prior_log_curvature(n_z, log_s800, coefficients):
    """<ln a> of showers of this zenith and S800."""
    s = 1.0 / n_z - 1.0
    c = coefficients
    return c[0] + s * (c[1] + s * c[2]) + log_s800 * (c[3] + s * c[4])


@compiled
def fit_plane(observed, p):
    """Plane front through the times: sets p[2], p[3] (n_x, n_y) and p[5] (t0 at the core in p[0], p[1]); False if degenerate.

    t = t0 - n.(x - core)/c, least squares with equal weights; the altitude enters with n_z of the previous of three rounds.
    """
    n_z = 1.0
    for _ in range(3):
        a = np.zeros((3, 4))
        for i in range(len(observed.x)):
            if not observed.use[i] & TIME:
                continue
            row = (
                -(observed.x[i] - p[0]) / SPEED_OF_LIGHT, -(observed.y[i] - p[1]) / SPEED_OF_LIGHT, 1.0,
                observed.time[i] + n_z * observed.z[i] / SPEED_OF_LIGHT,
            )  # fmt: skip
            for j in range(3):
                for k in range(4):
                    a[j, k] += row[j] * row[k]
        determinant = a[0, 0] * a[1, 1] - a[0, 1] * a[0, 1]
        scale = a[0, 0] + a[1, 1]
        spread = determinant - (a[0, 2] ** 2 * a[1, 1] + a[1, 2] ** 2 * a[0, 0] - 2.0 * a[0, 1] * a[0, 2] * a[1, 2]) / a[2, 2]
        if not spread > 1e-4 * scale * scale:
            return False
        for j in range(3):  # Gauss elimination of a positive definite matrix
            for i in range(j + 1, 3):
                ratio = a[i, j] / a[j, j]
                for k in range(j, 4):
                    a[i, k] -= ratio * a[j, k]
        p[5] = a[2, 3] / a[2, 2]
        p[3] = (a[1, 3] - a[1, 2] * p[5]) / a[1, 1]
        p[2] = (a[0, 3] - a[0, 1] * p[3] - a[0, 2] * p[5]) / a[0, 0]
        sine = math.hypot(p[2], p[3])
        if sine > 0.9:  # a horizontal front: start from a zenith of 64 degrees
            p[2] *= 0.9 / sine
            p[3] *= 0.9 / sine
        n_z = math.sqrt(1.0 - p[2] * p[2] - p[3] * p[3])
    return True


@compiled
def start_core(observed, p):
    """Core at the centre of gravity of the stations, weighted with the square root of the density."""
    total = x = y = 0.0
    for i in range(len(observed.x)):
        if observed.use[i] & TIME:
            weight = math.sqrt(max(observed.density[i], 0.1))
            total += weight
            x += weight * observed.x[i]
            y += weight * observed.y[i]
    p[0], p[1] = x / total, y / total


@compiled
def start_size(observed, p, settings):
    """S800 and curvature for the core and direction in p: mean of ln(S_i/LDF_i), and the prior's mean."""
    n_z = math.sqrt(1.0 - p[2] * p[2] - p[3] * p[3])
    eta = slope_of_secant(1.0 / n_z)
    total, count = 0.0, 0
    for i in range(len(observed.x)):
        if observed.use[i] & TIME and observed.density[i] > 0.0:
            dx, dy, dz = observed.x[i] - p[0], observed.y[i] - p[1], observed.z[i]
            r, _ = soft_distance(dx, dy, dz, p[2], p[3], n_z, settings.on_ground)
            total += math.log(observed.density[i]) - log_lateral_distribution(r, eta)
            count += 1
    p[4] = min(max(total / max(count, 1), -2.0), 9.0)
    p[6] = math.exp(prior_log_curvature(n_z, p[4], settings.prior))


@compiled
def prior_of(p, settings):
    """(mean, 1/variance) of the prior on the curvature for the model p; variance infinite when it is free."""
    n_z = math.sqrt(max(1.0 - p[2] * p[2] - p[3] * p[3], 1.0 - LARGEST_SINE2))
    mean = math.exp(min(max(prior_log_curvature(n_z, p[4], settings.prior), -8.0), 8.0))
    return mean, (mean * settings.prior_width) ** -2.0 if settings.constrained else 0.0


@compiled
def weights_of(p, observed, settings):
    """Set the weights of all stations from the model p."""
    n_z = math.sqrt(max(1.0 - p[2] * p[2] - p[3] * p[3], 1.0 - LARGEST_SINE2))
    set_weights(p, observed, settings.area, settings.errors, zenith_factor(n_z), settings.on_ground)


@compiled
def one_pass(p, observed, settings, converged, matrix):
    """Weights and prior from the model p, then the minimum; p is overwritten. Returns (sum, converged)."""
    weights_of(p, observed, settings)
    mean, weight = prior_of(p, settings)
    return minimise(
        p, observed, settings.area, settings.errors.signal_poisson, mean, weight, settings.on_ground, converged, matrix
    )


@compiled
def nearest_signal(p, observed):
    """Ground distance [m] from the core to the nearest station with a signal."""
    nearest = 1e9
    for i in range(len(observed.x)):
        if observed.use[i] & TIME:
            nearest = min(nearest, math.hypot(observed.x[i] - p[0], observed.y[i] - p[1]))
    return nearest


@compiled
def _best_start(p, observed, settings, matrix, ndof):
    """The first pass, repeated from a ring of other cores where the result is suspicious; the best minimum stays in p."""
    start = p.copy()
    best, _ = one_pass(p, observed, settings, NEARLY_CONVERGED, matrix)
    suspicious = not math.isfinite(best) or best > 4.0 * max(ndof, 1) or nearest_signal(p, observed) < _NEAR
    if not suspicious:
        return
    trial = np.empty(N_PARAMETERS)
    spare = np.empty((N_PARAMETERS, N_PARAMETERS))
    keep = p.copy()
    # The same weights for all starts, or their sums could not be compared.
    weights_from = p.copy() if math.isfinite(best) else start
    for k in range(3):
        trial[:] = start
        if k < 2:
            trial[0] += _RING * math.cos(math.pi * k + 0.4)
            trial[1] += _RING * math.sin(math.pi * k + 0.4)
        start_size(observed, trial, settings)
        one_pass(trial, observed, settings, NEARLY_CONVERGED, spare)
        if compare(trial, weights_from, observed, settings) < compare(keep, weights_from, observed, settings) - 1e-3:
            keep[:] = trial
    p[:] = keep


@compiled
def compare(p, weights_from, observed, settings):
    """The sum for p with the weights and the prior of another model."""
    gradient, matrix, rows = np.empty(N_PARAMETERS), np.empty((N_PARAMETERS, N_PARAMETERS)), np.empty((2, N_PARAMETERS))
    weights_of(weights_from, observed, settings)
    mean, weight = prior_of(weights_from, settings)
    return evaluate(
        p, observed, 0, len(observed.x), settings.area, settings.errors.signal_poisson, mean, weight, settings.on_ground, gradient,
        matrix, rows,
    )  # fmt: skip


@compiled
def worst_station(p, observed, settings, matrix):
    """(index of the station whose removal lowers the sum most, by how much, chi2 of all stations with a signal).

    matrix : curvature at the minimum p

    To second order the sum of the others falls from its value here by g (H - F)^-1 g, with H the curvature of all, F and g those
    of the station: gradients add up to zero at the minimum.
    """
    gradient, own, rows = np.empty(N_PARAMETERS), np.empty((N_PARAMETERS, N_PARAMETERS)), np.empty((2, N_PARAMETERS))
    factor, change = np.zeros((N_PARAMETERS, N_PARAMETERS)), np.empty(N_PARAMETERS)
    worst, most, total = -1, 0.0, 0.0
    for i in range(len(observed.x)):
        if not observed.use[i] & TIME:
            continue
        chi2 = evaluate(
            p, observed, i, i + 1, settings.area, settings.errors.signal_poisson, 0.0, 0.0, settings.on_ground, gradient,
            own, rows,
        )  # fmt: skip
        total += chi2
        if chi2 < 0.25 * OUTLIER_CHI2:
            continue
        own[:] = matrix - own
        change[:] = gradient
        if not cholesky(own, factor):
            continue  # without this station the fit would be undetermined
        solve(factor, change)
        lower = chi2
        for k in range(N_PARAMETERS):
            lower += gradient[k] * change[k]
        if lower > most:
            worst, most = i, lower
    return worst, most, total


@compiled
def count(observed, bit):
    """Number of stations that are used for `bit`."""
    n = 0
    for i in range(len(observed.x)):
        if observed.use[i] & bit:
            n += 1
    return n


@compiled
def fit_one(observed, settings, p, covariance, start):
    """Fit one event; p (7,) and covariance (7, 7) are overwritten. start: (7,) parameters to begin with, or NaN.

    Returns (chi2, ndof, stations used, stations rejected, good). chi2 counts the stations with a signal.
    """
    matrix = np.empty((N_PARAMETERS, N_PARAMETERS))
    factor, spare = np.zeros((N_PARAMETERS, N_PARAMETERS)), np.empty((N_PARAMETERS, N_PARAMETERS))
    trial = np.empty(N_PARAMETERS)
    n_times = count(observed, TIME)
    if n_times < FEWEST_STATIONS:
        return np.nan, 0, n_times, 0, False
    start_core(observed, p)
    if not fit_plane(observed, p):
        return np.nan, 0, n_times, 0, False
    start_size(observed, p, settings)
    if not math.isnan(start[0]):
        p[:] = start
    ndof = n_times + count(observed, SIGNAL) - N_PARAMETERS
    _best_start(p, observed, settings, matrix, ndof)
    total, good = one_pass(p, observed, settings, CONVERGED, matrix)
    worst, lower, chi2 = worst_station(p, observed, settings, matrix)
    rejected = 0
    # 0.7: a margin for what second order misses.
    while good and rejected < MOST_OUTLIERS and n_times > FEWEST_STATIONS + 1 and lower > 0.7 * OUTLIER_CHI2:
        use = observed.use[worst]
        observed.use[worst] = 0
        trial[:] = p
        mean, weight = prior_of(p, settings)
        without, fine = minimise(
            trial, observed, settings.area, settings.errors.signal_poisson, mean, weight, settings.on_ground, CONVERGED, spare
        )
        if not fine or total - without < OUTLIER_CHI2:
            observed.use[worst] = use
            break
        rejected += 1
        n_times -= 1
        p[:] = trial
        total, good = one_pass(p, observed, settings, CONVERGED, matrix)
        worst, lower, chi2 = worst_station(p, observed, settings, matrix)
    if not good or not cholesky(matrix, factor):
        return np.nan, 0, n_times, rejected, False
    invert(factor, covariance)
    return chi2, n_times + count(observed, SIGNAL) - N_PARAMETERS, n_times, rejected, True


@compiled
def observe(begin, end, station, time, density, saturated, dead, neighbours, position, area, work):
    """`Observed` of one event from its hits; times relative to their mean, which is returned too (NaN without stations)."""
    slot, label, chosen, use, columns = work
    x, y, z, t, s = columns[0], columns[1], columns[2], columns[3], columns[4]
    n, n_hits = choose_stations(
        station[begin:end], time[begin:end], density[begin:end] * area, saturated[begin:end], dead, neighbours, position,
        slot, label[: end - begin], chosen, use,
    )  # fmt: skip
    origin = 0.0
    for k in range(n_hits):
        origin += time[begin + chosen[k]] / n_hits
    for k in range(n):
        where = station[begin + chosen[k]] if k < n_hits else -1 - chosen[k]
        x[k], y[k], z[k] = position[where]
        t[k] = time[begin + chosen[k]] - origin if k < n_hits else 0.0
        s[k] = density[begin + chosen[k]] if k < n_hits else 0.0
    return Observed(
        x[:n], y[:n], z[:n], use[:n], t[:n], s[:n], columns[5, :n], columns[6, :n], columns[7, :n], columns[8, :n]
    ), origin


@compiled
def fit_all(
    offset, station, time, density, saturated, dead_offset, dead, neighbours, position, settings, start, p, covariance, sums
):
    """Fit every event; p (n, 7), covariance (n, 7, 7), sums (n, 5) as of `fit_one` are overwritten."""
    n_stations = len(position)
    work = (
        np.full(n_stations, -1, np.int32), np.empty(n_stations, np.int32), np.empty(_CAPACITY, np.int32),
        np.empty(_CAPACITY, np.int32), np.empty((9, _CAPACITY)),
    )  # fmt: skip
    for i in range(len(offset) - 1):
        observed, origin = observe(
            offset[i], offset[i + 1], station, time, density, saturated, dead[dead_offset[i] : dead_offset[i + 1]],
            neighbours, position, settings.area, work,
        )  # fmt: skip
        chi2, ndof, used, rejected, good = fit_one(observed, settings, p[i], covariance[i], start[i])
        p[i, 5] += origin
        sums[i, 0], sums[i, 1], sums[i, 2], sums[i, 3], sums[i, 4] = chi2, ndof, used, rejected, good


def _to_angles(p, covariance):
    """Parameters and covariance of (core, zenith, azimuth, S800, t0, a) from those of (core, n_x, n_y, ln S800, t0, a)."""
    n_x, n_y = p[:, 2], p[:, 3]
    sine2 = np.minimum(n_x**2 + n_y**2, 1.0)
    sine, cosine = np.sqrt(sine2), np.sqrt(1.0 - sine2)
    safe = np.maximum(sine, 1e-9)
    jacobian = np.zeros_like(covariance)
    for i in (0, 1, 5, 6):
        jacobian[:, i, i] = 1.0
    jacobian[:, 2, 2], jacobian[:, 2, 3] = n_x / (safe * cosine), n_y / (safe * cosine)
    jacobian[:, 3, 2], jacobian[:, 3, 3] = -n_y / safe**2, n_x / safe**2
    s800 = np.exp(np.clip(p[:, 4], -700, 700))
    jacobian[:, 4, 4] = s800
    angles = p.copy()
    angles[:, 2] = np.arcsin(sine)
    angles[:, 3] = np.arctan2(n_y, n_x) % (2.0 * np.pi)
    angles[:, 4] = s800
    return angles, jacobian @ covariance @ jacobian.transpose(0, 2, 1)


def correct_bias(p, pulls):
    """Parameters (n, 7) in the order of PARAMETERS with the biases of a `calibration.FitPulls` taken away; a new array."""
    p = p.copy()
    with np.errstate(invalid="ignore"):
        tangent = np.tan(np.minimum(p[:, 2], 1.2))
        shift = pulls.core * tangent
        p[:, 0] -= shift * np.cos(p[:, 3])
        p[:, 1] -= shift * np.sin(p[:, 3])
        # The front passes a core farther from the source later.
        p[:, 5] += shift * np.sin(p[:, 2]) / SPEED_OF_LIGHT - pulls.t0
        p[:, 2] = np.abs(p[:, 2] - pulls.zenith * tangent)
        p[:, 4] *= np.exp(-pulls.log_s800)
        p[:, 6] *= np.exp(-pulls.log_curvature)
    return p


def _flags(array, p, covariance, chi2, ndof, used, good, settings: ReconstructionConfig):
    """Bit mask of the quality flags, in the order of `events.model.FLAGS`."""
    with np.errstate(invalid="ignore", divide="ignore"):
        pointing = np.sqrt(covariance[:, 2, 2] + np.sin(p[:, 2]) ** 2 * covariance[:, 3, 3])
        inside = border_distance(array, p[:, 0], p[:, 1])
        sane = good & np.isfinite(p).all(axis=1) & np.isfinite(covariance).all(axis=(1, 2)) & (ndof >= 0)
        sane &= (p[:, 4] > SANE_S800[0]) & (p[:, 4] < SANE_S800[1]) & (inside > -FARTHEST_OUTSIDE)
        sane &= (pointing < LARGEST_DIRECTION_ERROR) & (covariance[:, 2, 2] > 0)
        failed = {
            "invalid": ~sane,
            "few_stations": used < settings.min_stations,
            "bad_chi2": ~(chi2 < settings.max_chi2_per_ndof * np.maximum(ndof, 1)),
            "zenith": ~(p[:, 2] < np.radians(settings.max_zenith_deg)),
            "border": ~(inside >= settings.min_border_distance_m),
            "pointing_error": ~(pointing < np.radians(settings.max_pointing_error_deg)),
            "s800_error": ~(np.sqrt(covariance[:, 4, 4]) < settings.max_s800_error * p[:, 4]),
        }
    return sum(failed[name].astype(np.uint16) << np.uint16(bit) for bit, name in enumerate(FLAGS))


def fit_events(
    events: Events, pulses: Pulses, calibration, settings: ReconstructionConfig, curvature: str = "free", start=None
) -> Reconstruction:
    """Fit every event.

    Parameters
    ----------
    events, pulses : hits and what `find_pulses` found in them
    calibration : `reconstruction.calibration.Calibration`
    settings : section `reconstruction` of the configuration
    curvature : "free" (the seven parameters of the formula) or "constrained" (a prior on `a` from simulated showers)
    start : (n_events, 7) core x, y, n_x, n_y, ln S800, t0, a to begin with; NaN rows: a plane front

    Returns
    -------
    Reconstruction : rows in the order of the events. Events without a trustworthy result are flagged invalid, all NaN.

    Raises
    ------
    ValueError : unknown `curvature`.
    """
    if curvature not in ("free", "constrained"):
        raise ValueError(f"curvature is 'free' or 'constrained', not {curvature!r}")
    array, n = events.array, events.n_events
    compiled_settings = FitSettings(
        area=float(array.detector.area),
        errors=calibration.errors,
        constrained=curvature == "constrained",
        prior=np.asarray(calibration.curvature_coefficients, dtype=float),
        prior_width=float(calibration.curvature_width),
        on_ground=settings.distance == "ground",
    )
    p, covariance, sums = np.full((n, 7), np.nan), np.full((n, 7, 7), np.nan), np.zeros((n, 5))
    density = pulses.signal.mean(axis=1) / array.detector.area
    begin = np.full((n, 7), np.nan) if start is None else np.asarray(start, dtype=float)
    fit_all(
        events.hit_offset, events.hit_station, pulses.arrival_time, density, pulses.saturated, events.dead_offset,
        events.dead_station, neighbour_table(array.lattice), array.position, compiled_settings, begin, p, covariance, sums,
    )  # fmt: skip
    p, covariance = _to_angles(p, covariance)
    if curvature in calibration.pulls:
        pulls = calibration.pulls[curvature]
        width = np.asarray(pulls.width)
        p, covariance = correct_bias(p, pulls), covariance * (width[:, None] * width)
    chi2, good = sums[:, 0], sums[:, 4] > 0
    ndof, used, rejected = (sums[:, i].astype(np.int32) for i in (1, 2, 3))
    flags = _flags(array, p, covariance, chi2, ndof, used, good, settings)
    invalid = (flags & 1) != 0
    for column in (p, covariance, chi2):
        column[invalid] = np.nan
    return Reconstruction(
        events.event_id, *p.T.copy(), energy=look_up_energy(calibration.energy, p[:, 4], p[:, 2]), covariance=covariance,
        chi2=chi2, ndof=ndof, n_stations=used, n_excluded=rejected, flags=flags,
    )  # fmt: skip

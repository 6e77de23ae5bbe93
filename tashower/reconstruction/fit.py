"""The analytic reconstruction: plane front, curved front, joint fit of times and densities with
seven parameters.
"""

import math
from typing import TYPE_CHECKING

import numpy as np

from tashower.config import ReconstructionConfig
from tashower.events.array import neighbour_table
from tashower.events.model import Events, Pulses, Reconstruction
from tashower.physics.compiled import compiled, inner
from tashower.progress import blocks
from tashower.reconstruction.clusters import SIGNAL, SILENT, TIME, choose_stations
from tashower.reconstruction.energy import look_up_energy
from tashower.reconstruction.expectation import (
    LARGEST_SINE2,
    N_PARAMETERS,
    Observed,
    evaluate,
    set_weights,
    station_terms,
    trial_of,
)
from tashower.reconstruction.levenberg_marquardt import (
    CONVERGED,
    NEARLY_CONVERGED,
    cholesky,
    copy_vector,
    invert,
    minimise,
    scratch_space,
    solve,
)
from tashower.reconstruction.quality import correct_bias, quality_flags, to_angles
from tashower.reconstruction.start_values import (
    FitSettings,
    fit_plane,
    prior_log_curvature,
    start_core,
    start_size,
    zenith_factor,
)

if TYPE_CHECKING:
    from tashower.reconstruction.calibration import Calibration

#: A station is rejected when that lowers chi2 by more than this, one station at a time. The
#: Telescope Array uses 4 (Ivanov 2012), which also takes away one good station in twenty and makes
#: the pulls of the rest too narrow.
OUTLIER_CHI2 = 12.0
#: Most stations rejected in an event.
MOST_OUTLIERS = 4
#: Fewest stations with a time for which the seven parameters are tried.
FEWEST_STATIONS = 4
_NEAR = 150.0  # a core this close [m] to a station with signal is checked from other starts
_BLOCK = 2000  # events between two reports of progress
_RING = 300.0  # how far away the other starts lie [m]


@inner
def prior_of(p, settings):
    """(mean, 1/variance) of the prior on the curvature for the model p; the second is 0 where it is
    free.
    """
    n_z = math.sqrt(max(1.0 - p[2] * p[2] - p[3] * p[3], 1.0 - LARGEST_SINE2))
    mean = math.exp(min(max(prior_log_curvature(n_z, p[4], settings.prior), -8.0), 8.0))
    return mean, (mean * settings.prior_width) ** -2.0 if settings.constrained else 0.0


@inner
def weights_of(p, observed, settings):
    """Set the weights of all stations from the model p."""
    n_z = math.sqrt(max(1.0 - p[2] * p[2] - p[3] * p[3], 1.0 - LARGEST_SINE2))
    set_weights(
        p,
        observed,
        settings.area,
        settings.errors,
        zenith_factor(n_z),
        settings.on_ground,
        settings.lateral,
    )


@inner(inline=False)
def minimum(p, observed, settings, converged, matrix, scratch):
    """Minimum from p with the weights as they are and the prior of p, which is overwritten. Returns
    (sum, converged).
    """
    mean, weight = prior_of(p, settings)
    return minimise(
        p,
        observed,
        settings.area,
        settings.errors.signal_poisson,
        mean,
        weight,
        settings.on_ground,
        settings.lateral,
        settings.front,
        converged,
        matrix,
        scratch,
    )


@inner(inline=False)
def one_pass(p, observed, settings, converged, matrix, scratch):
    """Weights and prior from the model p, then the minimum; p is overwritten. Returns (sum,
    converged).
    """
    weights_of(p, observed, settings)
    return minimum(p, observed, settings, converged, matrix, scratch)


@inner(inline=False)
def nearest_signal(p, observed):
    """Ground distance [m] from the core to the nearest station with a signal."""
    nearest2 = 1e18
    for i in range(len(observed.x)):
        if observed.use[i] & TIME:
            dx, dy = observed.x[i] - p[0], observed.y[i] - p[1]
            nearest2 = min(nearest2, dx * dx + dy * dy)
    return math.sqrt(nearest2)


@inner(inline=False)
def _best_start(p, observed, settings, matrix, ndof, scratch):
    """The first pass, repeated from a ring of other cores where the result is suspicious; the best
    minimum stays in p.
    """
    start, best, other, weights_from = (
        scratch.start,
        scratch.best,
        scratch.other,
        scratch.weights_from,
    )
    copy_vector(p, start)
    total, _ = one_pass(p, observed, settings, NEARLY_CONVERGED, matrix, scratch)
    good = math.isfinite(total)
    # Silent stations have terms in the sum, too.
    if (
        good
        and total <= 4.0 * max(ndof + count(observed, SILENT), 1)
        and nearest_signal(p, observed) >= _NEAR
    ):
        return
    copy_vector(p, best)
    # The same weights for all starts, or their sums could not be compared.
    copy_vector(p if good else start, weights_from)
    lowest = compare(best, weights_from, observed, settings, scratch)
    for k in range(2):
        copy_vector(start, other)
        other[0] += _RING * math.cos(math.pi * k + 0.4)
        other[1] += _RING * math.sin(math.pi * k + 0.4)
        start_size(observed, other, settings)
        one_pass(other, observed, settings, NEARLY_CONVERGED, scratch.spare, scratch)
        found = compare(other, weights_from, observed, settings, scratch)
        if found < lowest - 1e-3:
            copy_vector(other, best)
            lowest = found
    copy_vector(best, p)


@inner(inline=False)
def compare(p, weights_from, observed, settings, scratch):
    """The sum for p with the weights and the prior of another model."""
    weights_of(weights_from, observed, settings)
    mean, weight = prior_of(weights_from, settings)
    return evaluate(
        p,
        observed,
        0,
        len(observed.x),
        settings.area,
        settings.errors.signal_poisson,
        mean,
        weight,
        settings.on_ground,
        settings.lateral,
        settings.front,
        scratch.gradient,
        scratch.trial_matrix,
        scratch.sums,
    )


@inner(inline=False)
def worst_station(p, observed, settings, matrix, scratch):
    """(index of the station whose removal lowers the sum most, by how much, chi2 of all stations
    with a signal).

    matrix : curvature at the minimum p

    To second order the sum of the others falls from its value here by g (H - F)^-1 g, with H the
    curvature of all, F and g those
    of the station: gradients add up to zero at the minimum.
    """
    gradient, own, factor, change = (
        scratch.gradient,
        scratch.trial_matrix,
        scratch.factor,
        scratch.step,
    )
    area, dispersion, on_ground = settings.area, settings.errors.signal_poisson, settings.on_ground
    n = len(observed.x)
    here = trial_of(p, area, dispersion, on_ground)
    worst, most, total = -1, 0.0, 0.0
    for i in range(n):
        if not observed.use[i] & TIME:
            continue
        _, _, chi2 = station_terms(here, observed, i, settings.lateral, settings.front)
        total += chi2
        if chi2 < 0.25 * OUTLIER_CHI2:
            continue
        evaluate(
            p,
            observed,
            i,
            i + 1,
            area,
            dispersion,
            0.0,
            0.0,
            on_ground,
            settings.lateral,
            settings.front,
            gradient,
            own,
            scratch.sums,
        )
        for j in range(N_PARAMETERS):
            change[j] = gradient[j]
            for k in range(N_PARAMETERS):
                own[j, k] = matrix[j, k] - own[j, k]
        if not cholesky(own, factor):
            continue  # without this station the fit would be undetermined
        solve(factor, change)
        lower = chi2
        for k in range(N_PARAMETERS):
            lower += gradient[k] * change[k]
        if lower > most:
            worst, most = i, lower
    return worst, most, total


@inner(inline=False)
def count(observed, bit):
    """Number of stations that are used for `bit`."""
    n = 0
    for i in range(len(observed.x)):
        if observed.use[i] & bit:
            n += 1
    return n


@inner(inline=False)
def fit_one(observed, settings, p, covariance, start, scratch):
    """Fit one event; p (7,) and covariance (7, 7) are overwritten. start: (7,) parameters to begin
    with, or NaN.

    Returns (chi2, ndof, stations used, stations rejected, good). chi2 counts the stations with a
    signal.
    """
    matrix, trial = covariance, scratch.other  # the curvature is inverted in place
    n_times = count(observed, TIME)
    if n_times < FEWEST_STATIONS:
        return np.nan, 0, n_times, 0, False
    start_core(observed, p)
    if not fit_plane(observed, p, scratch.normal):
        return np.nan, 0, n_times, 0, False
    start_size(observed, p, settings)
    if not math.isnan(start[0]):
        copy_vector(start, p)
    ndof = n_times + count(observed, SIGNAL) - N_PARAMETERS
    _best_start(p, observed, settings, matrix, ndof, scratch)
    total, good = one_pass(p, observed, settings, CONVERGED, matrix, scratch)
    worst, lower, chi2 = worst_station(p, observed, settings, matrix, scratch)
    rejected = 0
    # 0.7: a margin for what second order misses.
    while (
        good
        and rejected < MOST_OUTLIERS
        and n_times > FEWEST_STATIONS + 1
        and lower > 0.7 * OUTLIER_CHI2
    ):
        use = observed.use[worst]
        observed.use[worst] = 0
        copy_vector(p, trial)
        without, fine = minimum(trial, observed, settings, CONVERGED, scratch.spare, scratch)
        if not fine or total - without < OUTLIER_CHI2:
            observed.use[worst] = use
            break
        rejected += 1
        n_times -= 1
        copy_vector(trial, p)
        total, good = one_pass(p, observed, settings, CONVERGED, matrix, scratch)
        worst, lower, chi2 = worst_station(p, observed, settings, matrix, scratch)
    if not good or not cholesky(matrix, scratch.factor):
        return np.nan, 0, n_times, rejected, False
    invert(scratch.factor, covariance, scratch.step)
    return chi2, n_times + count(observed, SIGNAL) - N_PARAMETERS, n_times, rejected, True


@compiled
def work_space(n_stations):
    """Arrays that `observe` uses again for every event."""
    return (
        np.full(n_stations, -1, np.int32),
        np.empty(n_stations, np.int32),
        np.empty(n_stations, np.int32),
        np.empty(n_stations, np.int32),
        np.empty((9, n_stations)),
    )


@compiled
def observe(begin, end, station, time, density, saturated, dead, neighbours, position, area, work):
    """`Observed` of one event from its hits; times relative to their mean, which is returned too
    (NaN without stations).
    """
    slot, label, chosen, use, columns = work
    x, y, z, t, s = columns[0], columns[1], columns[2], columns[3], columns[4]
    n, n_hits = choose_stations(
        station[begin:end],
        time[begin:end],
        density[begin:end] * area,
        saturated[begin:end],
        dead,
        neighbours,
        position,
        slot,
        label[: end - begin],
        chosen,
        use,
    )
    origin = 0.0
    for k in range(n_hits):
        origin += time[begin + chosen[k]] / n_hits
    for k in range(n):
        where = station[begin + chosen[k]] if k < n_hits else -1 - chosen[k]
        x[k], y[k], z[k] = position[where, 0], position[where, 1], position[where, 2]
        t[k] = time[begin + chosen[k]] - origin if k < n_hits else 0.0
        s[k] = density[begin + chosen[k]] if k < n_hits else 0.0
    return Observed(
        x[:n],
        y[:n],
        z[:n],
        use[:n],
        t[:n],
        s[:n],
        columns[5, :n],
        columns[6, :n],
        columns[7, :n],
        columns[8, :n],
    ), origin


@compiled
def fit_all(
    offset,
    station,
    time,
    density,
    saturated,
    dead_offset,
    dead,
    neighbours,
    position,
    settings,
    start,
    p,
    covariance,
    sums,
):
    """Fit every event; p (n, 7), covariance (n, 7, 7), sums (n, 5) as of `fit_one` are overwritten."""
    work, scratch = work_space(len(position)), scratch_space()
    for i in range(len(offset) - 1):
        observed, origin = observe(
            offset[i],
            offset[i + 1],
            station,
            time,
            density,
            saturated,
            dead[dead_offset[i] : dead_offset[i + 1]],
            neighbours,
            position,
            settings.area,
            work,
        )
        chi2, ndof, used, rejected, good = fit_one(
            observed, settings, p[i], covariance[i], start[i], scratch
        )
        p[i, 5] += origin
        sums[i, 0], sums[i, 1], sums[i, 2], sums[i, 3], sums[i, 4] = (
            chi2,
            ndof,
            used,
            rejected,
            good,
        )


def fit_events(
    events: Events,
    pulses: Pulses,
    calibration: "Calibration",
    settings: ReconstructionConfig,
    curvature: str = "free",
    start: np.ndarray | None = None,
) -> Reconstruction:
    """Fit every event.

    Parameters
    ----------
    events, pulses : hits and what `find_pulses` found in them
    calibration : `reconstruction.calibration.Calibration`
    settings : section `reconstruction` of the configuration
    curvature : "free" (the seven parameters of the formula) or "constrained" (a prior on `a` from
        simulated showers)
    start : (n_events, 7) core x, y, n_x, n_y, ln S800, t0, a to begin with; NaN rows: a plane front

    Returns
    -------
    Reconstruction : rows in the order of the events. Events without a trustworthy result are
        flagged invalid, all NaN.

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
        lateral=array.lateral,
        front=array.front,
    )
    p, covariance, sums = np.full((n, 7), np.nan), np.full((n, 7, 7), np.nan), np.zeros((n, 5))
    density = pulses.signal.mean(axis=1) / array.detector.area
    begin = np.full((n, 7), np.nan) if start is None else np.asarray(start, dtype=float)
    neighbours = neighbour_table(array)
    for rows in blocks(f"fit ({curvature} curvature)", n, _BLOCK):
        fit_all(
            events.hit_offset[rows.start : rows.stop + 1],
            events.hit_station,
            pulses.arrival_time,
            density,
            pulses.saturated,
            events.dead_offset[rows.start : rows.stop + 1],
            events.dead_station,
            neighbours,
            array.position,
            compiled_settings,
            begin[rows],
            p[rows],
            covariance[rows],
            sums[rows],
        )
    p, covariance = to_angles(p, covariance)
    if curvature in calibration.pulls:
        pulls = calibration.pulls[curvature]
        width = np.asarray(pulls.width)
        p, covariance = correct_bias(p, pulls), covariance * (width[:, None] * width)
    chi2, good = sums[:, 0], sums[:, 4] > 0
    ndof, used, rejected = (sums[:, i].astype(np.int32) for i in (1, 2, 3))
    flags = quality_flags(array, p, covariance, chi2, ndof, used, good, settings)
    invalid = (flags & 1) != 0
    for column in (p, covariance, chi2):
        column[invalid] = np.nan
    return Reconstruction(
        events.event_id,
        *p.T.copy(),
        energy=look_up_energy(calibration.energy, p[:, 4], p[:, 2]),
        covariance=covariance,
        chi2=chi2,
        ndof=ndof,
        n_stations=used,
        n_excluded=rejected,
        flags=flags,
    )

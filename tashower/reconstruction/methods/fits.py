"""The joint fit of times and densities with seven parameters, with a free and with a constrained
curvature.
"""

from dataclasses import replace

import numpy as np

from tashower.calibration.biases import correct_bias
from tashower.calibration.calibration import Calibration
from tashower.calibration.energy import (
    PRIMARIES,
    energy_of_primary,
    look_up_energy,
    scatter_of_showers,
)
from tashower.calibration.errors import SMALLEST_SIGNAL
from tashower.errors import InputError
from tashower.events.array import Array, description_of
from tashower.events.model import PARAMETERS, Events, Pulses, Reconstruction
from tashower.physics.description import LARGEST_ZENITH
from tashower.physics.lateral import log_lateral_distribution, slope
from tashower.physics.shower_front import CURVATURE_DISTANCE, curvature_beyond_onset
from tashower.progress import blocks
from tashower.reconstruction.joint.fit import Fitted, fit_all
from tashower.reconstruction.joint.model import FitSettings
from tashower.reconstruction.joint.observe import geometry_of, hit_columns
from tashower.reconstruction.methods import TABLE, Context
from tashower.reconstruction.quality import FitSums, curvature_of_showers, quality_flags, to_angles

#: Most passes after the first, until weights are those of the result. Choice: 2 in 1000 events
#: still change then.
MOST_PASSES = 6
_BLOCK = 2000  # events between two reports of progress
_STEP = 1e-4  # of ln S800 and zenith [rad], for the slope of the energy


def fit_settings(
    calibration: Calibration, array: Array, name: str, distance: str = "axis"
) -> FitSettings:
    """What the compiled fit is told.

    name : "free", "constrained" or "complete"
    distance : "axis" or "ground", where distances are measured

    Raises
    ------
    InputError : a calibration without what the complete fit needs.
    """
    prior = (
        np.asarray(calibration.curvature_coefficients, dtype=float),
        float(calibration.curvature_width),
    )
    description = description_of(array, distance)
    if name != "complete":
        constrained = name == "constrained"
        return FitSettings(description, calibration.errors, constrained, *prior, passes=MOST_PASSES)
    if calibration.completion is None:
        raise InputError(
            "the calibration is older than the complete fit: make it again (tashower calibrate)"
        )
    errors, asymmetry, onset, coefficients, width, silence = calibration.completion
    own = (np.asarray(coefficients, dtype=float), float(width)) if width > 0.0 else prior
    return FitSettings(description, errors, True, *own, asymmetry, MOST_PASSES, onset, silence)


def fit_free(
    events: Events, pulses: Pulses, context: Context, start: np.ndarray | None = None
) -> Reconstruction:
    """The seven parameters of the formulas, all free; see `fit_events`."""
    return fit_events(events, pulses, context, "free", start)


def fit_constrained(
    events: Events, pulses: Pulses, context: Context, start: np.ndarray | None = None
) -> Reconstruction:
    """The same with a prior on `a` from simulated showers; see `fit_events`."""
    return fit_events(events, pulses, context, "constrained", start)


def fit_complete(
    events: Events, pulses: Pulses, context: Context, start: np.ndarray | None = None
) -> Reconstruction:
    """The constrained fit with what the symmetric formulas lack (`calibration.asymmetry`): signals
    and delays of early and late stations, earlier times where more was seen; weights that are those
    of its own result, and less weight for times far from the front; see `fit_events`.
    """
    return fit_events(events, pulses, context, "complete", start)


def fit_events(
    events: Events,
    pulses: Pulses,
    context: Context,
    name: str = "free",
    start: np.ndarray | None = None,
) -> Reconstruction:
    """Fit every event.

    Parameters
    ----------
    events, pulses : hits and what `find_pulses` found in them
    context : calibration, section `reconstruction` of the configuration, minimiser
    name : "free", "constrained" (a prior on the curvature `a`) or "complete": whose biases are
        taken away
    start : (n_events, 7) core x, y, n_x, n_y, ln S800, t0, a to begin with; NaN rows: a plane front

    Returns
    -------
    Reconstruction : rows in the order of the events. Events without a trustworthy result are
        flagged invalid, all NaN.
    """
    array, n, calibration = events.array, events.n_events, context.calibration
    settings = fit_settings(calibration, array, name, context.settings.distance)
    found = Fitted(np.full((n, 7), np.nan), np.full((n, 7, 7), np.nan), np.zeros((n, 8)))
    begin = np.full((n, 7), np.nan) if start is None else np.asarray(start, dtype=float)
    run = fit_all
    if context.minimiser == "scipy":
        from tashower.reconstruction.joint.scipy_fit import fit_all_with_scipy as run
    hits, geometry = hit_columns(events, pulses), geometry_of(events)
    for rows in blocks(f"fit ({name})", n, _BLOCK):
        ends = slice(rows.start, rows.stop + 1)
        part = hits._replace(offset=hits.offset[ends], dead_offset=hits.dead_offset[ends])
        run(part, geometry, settings, begin[rows], Fitted(*(column[rows] for column in found)))
    return _table(events, found, signal_of_events(events, pulses), context, name)


def energy_of(context: Context, s_ref: np.ndarray, zenith: np.ndarray) -> np.ndarray:
    """Energy [EeV] for S800 [VEM/m^2] and zenith [rad], from the table or the relation that the
    context names.

    Raises
    ------
    InputError : no such primary.
    """
    if context.primary == TABLE:
        return look_up_energy(context.calibration.energy, s_ref, zenith)
    if context.primary not in PRIMARIES:
        raise InputError(
            f"no primary {context.primary!r}: {', '.join(PRIMARIES)}, or {TABLE} for the energy "
            "table"
        )
    return energy_of_primary(s_ref, zenith, PRIMARIES[context.primary])


def energy_error_of(
    context: Context, s_ref: np.ndarray, zenith: np.ndarray, covariance: np.ndarray
) -> np.ndarray:
    """Error [EeV] of `energy_of`, before the width of a fit's pulls: from those of S800 and zenith
    and their correlation and, in quadrature, how showers with the same S800 and zenith differ in
    energy (`EnergyTable.scatter`).

    covariance : (n, 7, 7) in the order of PARAMETERS

    Not included: the errors of the relation itself; with one primary's relation in place of the
    table, or a table of an older file, how showers differ.
    """
    size, angle = PARAMETERS.index("s_ref"), PARAMETERS.index("zenith")
    with np.errstate(invalid="ignore"):
        by_size = np.log(
            energy_of(context, s_ref * (1 + _STEP), zenith)
            / energy_of(context, s_ref * (1 - _STEP), zenith)
        ) / (2 * _STEP * s_ref)
        by_angle = np.log(
            energy_of(context, s_ref, zenith + _STEP) / energy_of(context, s_ref, zenith - _STEP)
        ) / (2 * _STEP)
        variance = (
            by_size**2 * covariance[:, size, size]
            + by_angle**2 * covariance[:, angle, angle]
            + 2 * by_size * by_angle * covariance[:, size, angle]
        )
        if context.primary == TABLE:
            variance += scatter_of_showers(context.calibration.energy, zenith) ** 2
        return energy_of(context, s_ref, zenith) * np.sqrt(variance)


def signal_of_events(events: Events, pulses: Pulses) -> np.ndarray:
    """(n_events,) summed signal [VEM] of the hits that a fit could use: those with a time and at
    least SMALLEST_SIGNAL.
    """
    signal = pulses.signal.mean(axis=1)
    usable = (signal >= SMALLEST_SIGNAL) & np.isfinite(pulses.arrival_time)
    return np.bincount(events.hit_event[usable], signal[usable], events.n_events)


def _table(events: Events, found: Fitted, signal, context: Context, name: str) -> Reconstruction:
    """The reconstruction table: angles, biases taken away, flags, energy.

    signal : of `signal_of_events`
    """
    calibration = context.calibration
    p, covariance = to_angles(found.p, found.covariance)
    settings = fit_settings(calibration, events.array, name)
    curved = curvature_of_showers(p, covariance, (settings.prior, settings.prior_width))
    # What is called curvature is that of the formula without onset that has the same delay there.
    zenith = np.clip(np.nan_to_num(p[:, 2]), 0.0, LARGEST_ZENITH)
    log_ldf = log_lateral_distribution(CURVATURE_DISTANCE, slope(zenith), events.array.lateral)
    p[:, 6] = curvature_beyond_onset(p[:, 6], log_ldf, -settings.onset, events.array.front)
    if name in calibration.pulls:
        pulls = calibration.pulls[name]
        width = np.asarray(pulls.width)
        p, covariance = correct_bias(p, pulls), covariance * (width[:, None] * width)
    chi2, good = found.sums[:, 0], found.sums[:, 4] > 0
    ndof, used, rejected, _, silent = found.sums[:, 1:6].astype(np.int32).T
    left_out = signal - found.sums[:, 7] * float(events.array.detector.area)
    sums = FitSums(chi2, ndof, used, good, rejected, silent, found.sums[:, 6], signal, left_out)
    flags = quality_flags(events.array, p, covariance, sums, context, curved)
    table = table_of(events, p, covariance, sums, flags, context)
    if context.primary != TABLE or name not in calibration.pulls:
        return table
    return replace(table, energy_error=table.energy_error * calibration.pulls[name].energy_width)


def table_of(
    events: Events,
    p: np.ndarray,
    covariance: np.ndarray,
    sums: FitSums,
    flags: np.ndarray,
    context: Context,
) -> Reconstruction:
    """The reconstruction table of a fit's result, with its energy; of events that are flagged
    invalid every number is NaN.

    p (n, 7), covariance (n, 7, 7) : in the order of PARAMETERS; overwritten where invalid, as
        `sums.chi2` is
    flags : of `quality_flags`
    """
    invalid = (flags & 1) != 0
    for column in (p, covariance, sums.chi2):
        column[invalid] = np.nan
    return Reconstruction(
        events.event_id,
        *p.T.copy(),
        energy=energy_of(context, p[:, 4], p[:, 2]),
        energy_error=energy_error_of(context, p[:, 4], p[:, 2], covariance),
        covariance=covariance,
        chi2=sums.chi2,
        ndof=sums.ndof.copy(),
        n_stations=sums.used.copy(),
        n_excluded=sums.rejected.copy(),
        flags=flags,
    )

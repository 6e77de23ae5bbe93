"""Calibrate the fit on simulated events that are used for nothing else."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from tashower.calibration.asymmetry import (
    Completion,
    fit_completion,
    fit_onset,
    fit_share,
    with_curvature,
)
from tashower.calibration.biases import correct_bias, measure_pulls, parameters_of
from tashower.calibration.calibration import Calibration
from tashower.calibration.energy import EnergyTable, make_energy_table, with_scatter
from tashower.calibration.errors import fit_errors
from tashower.calibration.prior import fit_curvature_prior, mean_curvature
from tashower.config import ReconstructionConfig
from tashower.errors import InputError
from tashower.events.model import Events, Pulses, Reconstruction, Truth, select_rows
from tashower.physics.lateral import log_lateral_distribution, slope
from tashower.physics.shower_front import CURVATURE_DISTANCE, Front, curvature_beyond_onset
from tashower.reconstruction.methods import Context
from tashower.reconstruction.methods.fits import energy_error_of, energy_of, fit_events
from tashower.reconstruction.methods.published import fit_published
from tashower.reconstruction.pulses import find_pulses
from tashower.reconstruction.residuals import true_residuals

#: Methods whose biases are measured; the first makes the energy table.
CALIBRATED = ("free", "constrained", "complete")
#: Fewest events that a calibration can be made from.
FEWEST_EVENTS = 200
#: ... and fewest stations of theirs (choice).
FEWEST_STATIONS = 200
#: Rounds in which errors and prior are found in turn. Choice: what a fourth would change is below
#: the error of the scores.
ROUNDS = 3


def calibrate(events: Events, settings: ReconstructionConfig) -> Calibration:
    """Calibrate the fit on simulated events that are used for nothing else.

    Errors, shifts and prior are those of the front as the fit finds it: where the simulated front
    differs from the formula, the curvature that fits best is not the simulation's, and the times
    scatter around the fitted front. So both are found in turn, ROUNDS times.

    Raises
    ------
    InputError : events without truth, or too few of them that pass the cuts, or too few stations.
    """
    if events.truth is None:
        raise InputError("a calibration needs simulated events: these have no truth")
    if events.n_events < FEWEST_EVENTS:
        raise InputError(
            f"a calibration needs at least {FEWEST_EVENTS} events: these are {events.n_events}"
        )
    found_pulses = find_pulses(events)
    sample = _Sample(
        events, found_pulses, settings, true_residuals(events, found_pulses), events.array.front
    )
    if (n := len(sample.residuals["r"])) < FEWEST_STATIONS:
        raise InputError(
            f"a calibration needs at least {FEWEST_STATIONS} stations with a time and a signal "
            f"that is not saturated: there are {n}"
        )
    flat = EnergyTable(np.array([1.0, 3.0]), np.array([-1.0, 4.0]), np.zeros((2, 2)))
    raw = _calibrate_symmetric(sample, flat)
    raw = replace(raw, completion=_calibrate_completion(sample, raw))
    found, table = {}, None
    for name in CALIBRATED:
        fitted = _fit(sample, raw, name)
        pulls = measure_pulls(fitted, events.truth)
        good = select_rows(fitted, fitted.passes_cuts)
        true = select_rows(events.truth, fitted.passes_cuts)
        p = correct_bias(parameters_of(good), pulls)
        if name == CALIBRATED[0]:
            table = _energy_table(p[:, 4], p[:, 2], true)
        width = np.asarray(pulls.width)
        covariance = good.covariance * (width[:, None] * width)
        context = Context(replace(raw, energy=table), settings)
        found[name] = replace(
            pulls, energy_width=_energy_width(context, p, covariance, true.energy)
        )
    published = _published_table(sample, replace(raw, published=flat), table)
    return replace(
        raw, energy=table, pulls=found, described=events.array.described, published=published
    )


class _Sample(NamedTuple):
    """What a calibration is made from."""

    events: Events
    pulses: Pulses
    settings: ReconstructionConfig
    residuals: dict[str, np.ndarray]  #: of `true_residuals`
    front: Front  #: that is fitted


def _fit(sample: _Sample, raw: Calibration, name: str) -> Reconstruction:
    """The fit with a calibration that is not finished.

    Raises
    ------
    InputError : too few events pass the cuts.
    """
    fitted = fit_events(sample.events, sample.pulses, Context(raw, sample.settings), name)
    if (n := fitted.passes_cuts.sum()) < FEWEST_EVENTS // 2:
        raise InputError(
            f"a calibration needs {FEWEST_EVENTS // 2} events that pass the cuts: these are {n}"
        )
    return fitted


def _published_table(sample: _Sample, raw: Calibration, otherwise: EnergyTable) -> EnergyTable:
    """Energy table of the published fit's own S800; `otherwise` where it has too few results, so
    that nobody misses the other fits on arrays unlike its own.
    """
    fitted = fit_published(sample.events, sample.pulses, Context(raw, sample.settings))
    for good in (fitted.passes_cuts, fitted.valid):
        if good.sum() >= FEWEST_EVENTS // 2:
            true = select_rows(sample.events.truth, good)
            return _energy_table(fitted.s_ref[good], fitted.zenith[good], true)
    return otherwise


def _energy_table(s_ref, zenith, true: Truth) -> EnergyTable:
    """Energy table of fitted sizes and zeniths (n,), with the scatter of showers."""
    table = make_energy_table(s_ref, zenith, true.energy)
    return with_scatter(table, true.s_ref, true.zenith, true.energy)


def _energy_width(context: Context, p, covariance, energy) -> float:
    """Half of the middle 68 % of the pulls of ln E of a fit's parameters (n, 7)."""
    found = energy_of(context, p[:, 4], p[:, 2])
    error = energy_error_of(context, p[:, 4], p[:, 2], covariance)
    low, high = np.quantile(np.log(found / energy) / (error / found), [0.159, 0.841])
    return float(0.5 * (high - low))


def _prior(sample: _Sample, fitted: Reconstruction, onset: float = 0.0) -> tuple[tuple, float]:
    """Prior on the curvature beyond an onset, from a fit that had none."""
    good, truth = fitted.passes_cuts, sample.events.truth
    lateral = sample.events.array.lateral
    log_ldf = log_lateral_distribution(CURVATURE_DISTANCE, slope(fitted.zenith[good]), lateral)
    curvature = curvature_beyond_onset(fitted.curvature[good], log_ldf, onset, sample.front)
    error = np.sqrt(fitted.covariance[good, 6, 6])
    return fit_curvature_prior(curvature, error, truth.zenith[good], truth.s_ref[good])


def _true_coefficients(sample: _Sample, onset: float = 0.0) -> tuple:
    """Coefficients of the mean true curvature beyond an onset."""
    truth = sample.events.truth
    log_ldf = log_lateral_distribution(
        CURVATURE_DISTANCE, slope(truth.zenith), sample.events.array.lateral
    )
    beyond = curvature_beyond_onset(truth.curvature, log_ldf, onset, sample.front)
    none = np.zeros(len(beyond))
    return fit_curvature_prior(beyond, none, truth.zenith, truth.s_ref)[0]


def _ratio(sample: _Sample, fitted: tuple, true: tuple) -> np.ndarray:
    """(n_events,) mean of the fitted over that of the true curvatures, from coefficients."""
    truth = sample.events.truth
    means = (mean_curvature(truth.zenith, truth.s_ref, c) for c in (fitted, true))
    return np.divide(*means)


def _calibrate_symmetric(sample: _Sample, flat: EnergyTable) -> Calibration:
    """Errors and prior of the free and of the constrained fit; all else is not there yet."""
    area, errors = float(sample.events.array.detector.area), None
    true = coefficients = _true_coefficients(sample)
    for _ in range(ROUNDS):
        residuals = with_curvature(
            sample.residuals, _ratio(sample, coefficients, true), 0.0, sample.front
        )
        errors = fit_errors(residuals, area, sample.settings.errors, start=errors)
        raw = Calibration(errors, coefficients, np.inf, flat, {})
        coefficients, width = _prior(sample, _fit(sample, raw, "free"))
    return replace(raw, curvature_coefficients=coefficients, curvature_width=width)


def _calibrate_completion(sample: _Sample, raw: Calibration) -> Completion:
    """What the complete fit takes beside."""
    area, found = float(sample.events.array.detector.area), None
    share = fit_share(sample.events.truth)
    same = np.ones(sample.events.n_events)
    onset = fit_onset(sample.residuals, same, sample.front, raw.errors)
    true = coefficients = _true_coefficients(sample, onset)
    for _ in range(ROUNDS):
        residuals = with_curvature(
            sample.residuals, _ratio(sample, coefficients, true), onset, sample.front
        )
        found = fit_completion(residuals, area, share, sample.settings.errors, found)
        free = found._replace(
            onset=onset, curvature_coefficients=coefficients, curvature_width=np.inf
        )
        fitted = _fit(sample, replace(raw, completion=free), "complete")
        coefficients, width = _prior(sample, fitted, onset)
    return free._replace(curvature_coefficients=coefficients, curvature_width=width)

"""Calibrate the fit on simulated events that are used for nothing else."""

from dataclasses import replace

import numpy as np

from tashower.calibration.asymmetry import fit_completion, fit_share
from tashower.calibration.biases import correct_bias, measure_pulls, parameters_of
from tashower.calibration.calibration import Calibration
from tashower.calibration.energy import EnergyTable, make_energy_table
from tashower.calibration.errors import fit_errors
from tashower.calibration.prior import fit_curvature_prior
from tashower.config import ReconstructionConfig
from tashower.errors import InputError
from tashower.events.model import Events
from tashower.reconstruction.methods import Context
from tashower.reconstruction.methods.fits import fit_events
from tashower.reconstruction.methods.published import fit_published
from tashower.reconstruction.pulses import find_pulses
from tashower.reconstruction.residuals import true_residuals

#: Methods whose biases are measured; the first makes the energy table.
CALIBRATED = ("free", "constrained", "complete")
#: Fewest events that a calibration can be made from.
FEWEST_EVENTS = 200


def calibrate(events: Events, settings: ReconstructionConfig) -> Calibration:
    """Calibrate the fit on simulated events that are used for nothing else.

    Raises
    ------
    InputError : events without truth, or too few of them that pass the cuts.
    """
    if events.truth is None:
        raise InputError("a calibration needs simulated events: these have no truth")
    if events.n_events < FEWEST_EVENTS:
        raise InputError(
            f"a calibration needs at least {FEWEST_EVENTS} events: these are {events.n_events}"
        )
    found_pulses = find_pulses(events)
    residuals, area = true_residuals(events, found_pulses), events.array.detector.area
    errors = fit_errors(residuals, area, settings.errors)
    completion = fit_completion(residuals, area, fit_share(events.truth), settings.errors)
    coefficients, width = fit_curvature_prior(events.truth)
    flat = EnergyTable(np.array([1.0, 3.0]), np.array([-1.0, 4.0]), np.zeros((2, 2)))
    raw = Calibration(errors, coefficients, width, flat, {}, completion=completion)
    found = {}
    for name in CALIBRATED:
        fitted = fit_events(events, found_pulses, Context(raw, settings), name)
        good = fitted.passes_cuts
        if good.sum() < FEWEST_EVENTS // 2:
            raise InputError(
                f"a calibration needs {FEWEST_EVENTS // 2} events that pass the cuts: these are "
                f"{good.sum()}"
            )
        found[name] = measure_pulls(fitted, events.truth)
        if name == CALIBRATED[0]:
            p = correct_bias(parameters_of(fitted)[good], found[name])
            table = make_energy_table(p[:, 4], p[:, 2], events.truth.energy[good])
    context = Context(replace(raw, published=flat), settings)
    fitted = fit_published(events, found_pulses, context)
    # Nobody is to miss the other fits where this one has nothing to say, on arrays unlike its own.
    published = table
    for good in (fitted.passes_cuts, fitted.valid):
        if good.sum() >= FEWEST_EVENTS // 2:
            energy = events.truth.energy[good]
            published = make_energy_table(fitted.s_ref[good], fitted.zenith[good], energy)
            break
    return Calibration(
        errors, coefficients, width, table, found, events.array.described, completion, published
    )

"""Observed times and signals around a shower: the true one (for the calibration) or a fitted
one.
"""

import numpy as np

from tashower.calibration.errors import SMALLEST_SIGNAL, ErrorModel, time_error, time_shift
from tashower.events.model import Events, Pulses, Reconstruction, expected_at_hits
from tashower.physics.constants import SPEED_OF_LIGHT
from tashower.physics.lateral import log_lateral_distribution, slope
from tashower.physics.shower_front import CURVATURE_DISTANCE, curvature_zenith_dependence

#: Hits farther than this from the true front [ns] are not of the shower.
_NOT_OF_THE_SHOWER = 4000.0


def true_residuals(events: Events, pulses: Pulses) -> dict[str, np.ndarray]:
    """Observation against the true shower for every hit with a usable pulse, not saturated, not
    accidental.

    Returns (n,) arrays: r [m], zenith [rad], true density [VEM/m^2], time residual [ns], density
        residual [VEM/m^2], distance downstream [m], delay of the true front [ns]; its curvature
        [ns], ln LDF and that at 1 km; index of the event.
    """
    truth, hit = events.truth, events.hit_event
    expected = expected_at_hits(truth, events)
    r, density = expected.distance, expected.density
    residual = pulses.arrival_time - expected.time
    along = (expected.plane_time - truth.t0[hit]) * SPEED_OF_LIGHT
    signal = pulses.signal.mean(axis=1)
    with np.errstate(invalid="ignore"):
        keep = (
            (signal >= SMALLEST_SIGNAL)
            & ~pulses.saturated
            & (np.abs(residual) < _NOT_OF_THE_SHOWER)
        )
    return {
        "r": r[keep],
        "zenith": truth.zenith[hit][keep],
        "density": density[keep],
        "time": residual[keep],
        "signal": signal[keep] / events.array.detector.area - density[keep],
        "along": along[keep],
        "delay": expected.delay[keep],
        "curvature": truth.curvature[hit][keep],
        "log_ldf": expected.log_ldf[keep],
        "log_ldf_km": log_lateral_distribution(
            CURVATURE_DISTANCE, slope(truth.zenith), events.array.lateral
        )[hit][keep],
        "event": hit[keep],
    }


def time_pulls(
    events: Events, pulses: Pulses, fit: Reconstruction, errors: ErrorModel
) -> np.ndarray:
    """(n_hits,) arrival time after the fitted front, less the expected shift, over its error; NaN
    without a fit or a time.
    """
    expected = expected_at_hits(fit, events)
    r, density = expected.distance, expected.density
    factor = curvature_zenith_dependence(fit.zenith[events.hit_event])
    shift = time_shift(r, density, factor, errors)
    return (pulses.arrival_time - expected.time - shift) / time_error(r, density, factor, errors)

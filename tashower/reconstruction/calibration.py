"""What the fit learns from an independent simulated sample: errors, prior of the curvature, energy
table.

Nothing here sees the samples that networks are trained on or methods are scored with.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from tashower.config import ReconstructionConfig
from tashower.errors import InputError
from tashower.events.array import Array
from tashower.events.model import (
    PARAMETERS,
    Events,
    Pulses,
    Reconstruction,
    Truth,
    expected_at_hits,
    pulls,
    select_rows,
)
from tashower.io import provenance
from tashower.io.atomic import written_aside
from tashower.io.hdf5 import made_from
from tashower.physics.constants import REFERENCE_DISTANCE
from tashower.physics.shower_front import TELESCOPE_ARRAY_FRONT, Front, curvature_zenith_dependence
from tashower.reconstruction.clusters import SMALLEST_SIGNAL
from tashower.reconstruction.energy import EnergyTable, make_energy_table
from tashower.reconstruction.expectation import (
    POISSON_DENSITY,
    ErrorModel,
    contained_fraction,
    density_error,
    time_error,
    time_shift,
)
from tashower.reconstruction.fit import fit_events
from tashower.reconstruction.pulses import find_pulses
from tashower.reconstruction.quality import correct_bias
from tashower.types import FilePath

VERSION = 1
#: Calibration of the default configuration, made by `make sample`; for a first look at an event.
DEFAULT = Path(__file__).with_name("default_calibration.json")
#: Hits farther than this from the true front [ns] are not of the shower.
_NOT_OF_THE_SHOWER = 4000.0
#: Fewest events that a calibration can be made from.
FEWEST_EVENTS = 200


@dataclass(frozen=True)
class FitPulls:
    """What is left to correct in the result of one kind of fit, measured on simulated events.

    Early stations see more signal and earlier times than the symmetric formulas expect: zenith and
        core are shifted along the
    shower's azimuth in proportion to tan(zenith), and t0 with the core. (The Telescope Array adds
    0.5 degrees to its zeniths.)

    Attributes
    ----------
    zenith : median of (fitted - true zenith) / tan(zenith) [rad]
    core : median of the core's shift towards the source / tan(zenith) [m]
    log_s800, t0 [ns], log_curvature : medians of ln(fitted/true S800), t0 - true t0 with the core
        corrected, ln(fitted/true a)
    width : (7,) width of the pulls of PARAMETERS; the covariance is scaled with it. Different from
        1 where errors are common to the stations (asymmetry, slope of the lateral distribution),
        which no weight of a single station can say.
    """

    zenith: float
    core: float
    log_s800: float
    t0: float
    log_curvature: float
    width: tuple


@dataclass(frozen=True)
class Calibration:
    """Everything that the fit takes from simulation.

    Attributes
    ----------
    errors : errors of times and densities
    curvature_coefficients : <ln a> = c0 + s (c1 + s c2) + ln S800 (c3 + s c4), s = sec z - 1, a
        [ns]
    curvature_width : rms of ln a around that
    energy : energy table
    pulls : {"free" or "constrained": FitPulls}
    lateral, reference : name and reference distance [m] of the lateral distribution that it was
        made with
    front : that it was made with
    """

    errors: ErrorModel
    curvature_coefficients: tuple
    curvature_width: float
    energy: EnergyTable
    pulls: dict
    lateral: str = "telescope_array"
    reference: float = REFERENCE_DISTANCE
    front: Front = TELESCOPE_ARRAY_FRONT


def true_residuals(events: Events, pulses: Pulses) -> dict[str, np.ndarray]:
    """Observation against the true shower for every hit with a usable pulse, not saturated, not
    accidental.

    Returns (n,) arrays: r [m], zenith [rad], true density [VEM/m^2], time residual [ns], density
        residual [VEM/m^2].
    """
    truth, hit = events.truth, events.hit_event
    r, log_ldf, expected = expected_at_hits(truth, events)
    density = truth.s800[hit] * np.exp(log_ldf)
    residual = pulses.arrival_time - expected
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
    }


def time_pulls(
    events: Events, pulses: Pulses, fit: Reconstruction, errors: ErrorModel
) -> np.ndarray:
    """(n_hits,) arrival time after the fitted front, less the expected shift, over its error; NaN
    without a fit or a time.
    """
    hit = events.hit_event
    r, log_ldf, expected = expected_at_hits(fit, events)
    density, factor = fit.s800[hit] * np.exp(log_ldf), curvature_zenith_dependence(fit.zenith[hit])
    shift = time_shift(r, density, factor, errors)
    return (pulses.arrival_time - expected - shift) / time_error(r, density, factor, errors)


def _robust_likelihood(residual, sigma) -> float:
    """Mean of -2 ln of a Gaussian likelihood, whose squares are cut at 5 sigma so that no
    accidental rules it.
    """
    return float(np.mean(np.minimum((residual / sigma) ** 2, 25.0) + 2.0 * np.log(sigma)))


def _minimise(function, start, **options):
    """scipy's minimiser, imported when it is needed: half a second that the fit need not wait for."""
    from scipy import optimize

    return optimize.minimize(function, start, **options)


def _but_fixed(errors: ErrorModel, found: dict, fixed: dict) -> ErrorModel:
    """`errors` with the numbers that were found, but for those that are fixed."""
    return errors._replace(
        **found | {name: value for name, value in fixed.items() if name in found}
    )


def _fit_contained(residuals, factor, errors: ErrorModel, fixed: dict) -> ErrorModel:
    """`errors` with the contained part of the signal that fits best, from stations that are sure to
    be seen.
    """
    sure = residuals["density"] >= POISSON_DENSITY
    ratio = 1.0 + residuals["signal"][sure] / residuals["density"][sure]
    r, c = residuals["r"][sure], factor[sure]

    def with_window(q):
        found = {"late_fraction": float(q[0]), "contained_time": float(np.exp(q[1]))}
        return _but_fixed(errors, found, fixed)

    def distance(q):
        return np.sum(
            (ratio - contained_fraction(r, c, with_window(q))) ** 2 * residuals["density"][sure]
        )

    return with_window(_minimise(distance, (0.8, np.log(700.0)), method="Nelder-Mead").x)


def fit_errors(
    residuals: dict[str, np.ndarray], area: float, fixed: dict[str, float] | None = None
) -> ErrorModel:
    """`ErrorModel` of largest likelihood for residuals from `true_residuals`; of its numbers,
    `fixed` stay as they are.

    Times: stations that are expected to see twice SMALLEST_SIGNAL or more, so that the cut on the
        signal does not choose them.
    Densities: where 4 VEM/m^2 or more are expected.
    """
    fixed = fixed or {}
    factor = curvature_zenith_dependence(residuals["zenith"])
    errors = _fit_contained(residuals, factor, ErrorModel(), fixed)
    timed = residuals["density"] * area > 2.0 * SMALLEST_SIGNAL
    r, density, c, time = (
        x[timed] for x in (residuals["r"], residuals["density"], factor, residuals["time"])
    )

    def with_times(q):  # what is fixed lets its coordinate walk off: 50 is far beyond any time
        found = {
            "time_floor": np.exp(min(q[0], 50.0)),
            "time_scale": np.exp(min(q[1], 50.0)),
            "time_power": q[2],
            "b0": q[3],
            "b1": q[4],
            "b2": q[5],
        }
        return _but_fixed(errors, found, fixed)

    def time_loss(q):
        trial = with_times(q)
        return _robust_likelihood(
            time - time_shift(r, density, c, trial), time_error(r, density, c, trial)
        )

    options = {"maxiter": 3000, "maxfev": 3000, "adaptive": True}
    errors = with_times(
        _minimise(
            time_loss,
            (np.log(20.0), 0.3, 0.4, 0.3, 0.0, 0.0),
            method="Nelder-Mead",
            options=options,
        ).x
    )
    contained = contained_fraction(residuals["r"], factor, errors)
    dense = residuals["density"] >= POISSON_DENSITY
    expected = (residuals["density"] * contained)[dense]
    residual = (residuals["signal"] + residuals["density"])[dense] - expected

    def with_signals(q):
        found = {"signal_poisson": np.exp(q[0]), "signal_fraction": np.exp(q[1])}
        return _but_fixed(errors, found, fixed)

    def signal_loss(q):
        return _robust_likelihood(residual, density_error(expected, area, with_signals(q)))

    errors = with_signals(_minimise(signal_loss, (0.5, np.log(0.15)), method="Nelder-Mead").x)
    return ErrorModel(*(float(value) for value in errors))


def _weighted_median(values, weights) -> float:
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][total.searchsorted(0.5 * total[-1])])


def measure_pulls(fitted: Reconstruction, truth: Truth) -> FitPulls:
    """`FitPulls` from a fit that was corrected by none; events that pass the cuts, for the widths
    without the outermost 1 %.
    """
    good = fitted.passes_cuts
    fitted, truth = select_rows(fitted, good), select_rows(truth, good)
    tangent, azimuth = np.tan(fitted.zenith), fitted.azimuth
    shift = (fitted.core_x - truth.core_x) * np.cos(azimuth) + (
        fitted.core_y - truth.core_y
    ) * np.sin(azimuth)
    unit = FitPulls(
        zenith=_weighted_median((fitted.zenith - truth.zenith) / tangent, tangent**2),
        core=_weighted_median(shift / tangent, tangent**2),
        log_s800=float(np.median(np.log(fitted.s800 / truth.s800))),
        t0=0.0,
        log_curvature=float(np.log(np.median(fitted.curvature / truth.curvature))),
        width=(1.0,) * len(PARAMETERS),
    )
    t0 = float(np.median(correct_bias(_parameters(fitted), unit)[:, 5] - truth.t0))
    unit = replace(unit, t0=t0)
    corrected = replace(
        fitted, **dict(zip(PARAMETERS, correct_bias(_parameters(fitted), unit).T, strict=True))
    )
    found = pulls(corrected, truth)
    low, high = np.quantile(found, [0.005, 0.995], axis=0)
    width = tuple(
        float(np.std(x[(x > a) & (x < b)])) for x, a, b in zip(found.T, low, high, strict=True)
    )
    return replace(unit, width=width)


def _parameters(table: Reconstruction) -> np.ndarray:
    """(n, 7) columns of PARAMETERS."""
    return np.stack([getattr(table, name) for name in PARAMETERS], axis=1)


def fit_curvature_prior(truth: Truth) -> tuple[tuple, float]:
    """Coefficients of <ln a> in zenith and S800, and the rms around it, from true showers."""
    s, log_s800 = 1.0 / np.cos(truth.zenith) - 1.0, np.log(truth.s800)
    columns = np.stack([np.ones_like(s), s, s**2, log_s800, s * log_s800], axis=1)
    log_a = np.log(truth.curvature)
    coefficients, *_ = np.linalg.lstsq(columns, log_a, rcond=None)
    return tuple(float(c) for c in coefficients), float(np.std(log_a - columns @ coefficients))


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
    errors = fit_errors(
        true_residuals(events, found_pulses), events.array.detector.area, settings.errors
    )
    coefficients, width = fit_curvature_prior(events.truth)
    flat = EnergyTable(np.array([1.0, 3.0]), np.array([-1.0, 4.0]), np.zeros((2, 2)))
    raw = Calibration(errors, coefficients, width, flat, {})
    found = {}
    for curvature in ("free", "constrained"):
        fitted = fit_events(events, found_pulses, raw, settings, curvature)
        good = fitted.passes_cuts
        if good.sum() < FEWEST_EVENTS // 2:
            raise InputError(
                f"a calibration needs {FEWEST_EVENTS // 2} events that pass the cuts: these are {good.sum()}"
            )
        found[curvature] = measure_pulls(fitted, events.truth)
        if curvature == "free":
            p = correct_bias(_parameters(fitted)[good], found[curvature])
            table = make_energy_table(p[:, 4], p[:, 2], events.truth.energy[good])
    array = events.array
    return Calibration(
        errors,
        coefficients,
        width,
        table,
        found,
        array.lateral_name,
        array.lateral.reference,
        array.front,
    )


def write_calibration(
    path: FilePath, calibration: Calibration, configuration: dict, inputs: Sequence[FilePath] = ()
) -> None:
    """Write a calibration as JSON with what made it."""
    table = {
        name: getattr(calibration.energy, name).tolist()
        for name in ("secant", "log10_s800", "log10_energy")
    }
    content = {
        "format": "tashower calibration",
        "version": VERSION,
        "software": provenance.software(),
        "commit": provenance.commit(),
        "created": provenance.now(),
        "versions": provenance.versions(),
        "inputs": [Path(p).name for p in inputs],
        "made_from": made_from(inputs),
        "configuration": configuration,
        "errors": calibration.errors._asdict(),
        "curvature_coefficients": list(calibration.curvature_coefficients),
        "curvature_width": calibration.curvature_width,
        "energy": table,
        "pulls": {name: asdict(entry) for name, entry in calibration.pulls.items()},
        "lateral": calibration.lateral,
        "reference": calibration.reference,
        "front": calibration.front._asdict(),
    }
    with written_aside(path) as aside:
        aside.write_text(json.dumps(content, indent=1) + "\n")


def check_description(calibration: Calibration, array: Array, where: object) -> None:
    """Refuse events that are described with another lateral distribution or front than the
    calibration's.

    Raises
    ------
    InputError : names both.
    """
    if (calibration.lateral, calibration.reference) != (
        array.lateral_name,
        array.lateral.reference,
    ):
        raise InputError(
            f"{where}: calibrated with the lateral distribution {calibration.lateral!r} (1 at {calibration.reference:g} m), the events "
            f"have {array.lateral_name!r} (1 at {array.lateral.reference:g} m)"
        )
    if calibration.front != array.front:
        ours, theirs = (
            ", ".join(f"{k} {v:g}" for k, v in f._asdict().items())
            for f in (calibration.front, array.front)
        )
        raise InputError(
            f"{where}: calibrated with another front ({ours}) than the events have ({theirs})"
        )


def read_calibration(path: FilePath) -> Calibration:
    """Read a calibration.

    Raises
    ------
    InputError : no such file, not a calibration, another version, a missing entry.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        content = json.loads(path.read_text())
        if content.get("format") != "tashower calibration" or content.get("version") != VERSION:
            raise InputError(f"{path}: not a tashower calibration of version {VERSION}")
        return Calibration(
            errors=ErrorModel(**{name: float(value) for name, value in content["errors"].items()}),
            curvature_coefficients=tuple(float(c) for c in content["curvature_coefficients"]),
            curvature_width=float(content["curvature_width"]),
            energy=EnergyTable(
                **{name: np.array(value, dtype=float) for name, value in content["energy"].items()}
            ),
            pulls={
                name: FitPulls(
                    **{key: tuple(v) if key == "width" else float(v) for key, v in entry.items()}
                )
                for name, entry in content["pulls"].items()
            },
            lateral=str(content.get("lateral", "telescope_array")),
            reference=float(content.get("reference", REFERENCE_DISTANCE)),
            front=Front(**{name: float(value) for name, value in content.get("front", {}).items()}),
        )
    except (UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: not a calibration ({error})") from None

"""What every method makes of the stations of one event: which of them it used, where it puts the
front and how sure it is of a time.

Where it can, from the fit itself, run again (`refit`).
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from tashower.calibration.calibration import Calibration
from tashower.calibration.errors import ErrorModel, density_error, time_error, time_shift
from tashower.evaluation.names import short
from tashower.evaluation.refit import JOINT, Again, Made, observed_stations, run_again
from tashower.events.array import Array, description_of
from tashower.events.model import Events, Pulses, Reconstruction, Truth
from tashower.physics.description import (
    LARGEST_ZENITH,
    SOFTENING,
    Expected,
    ShowerParameters,
    expected,
)
from tashower.physics.geometry import azimuth_of, direction
from tashower.physics.lateral import log_lateral_distribution, slope
from tashower.physics.shower_front import (
    CURVATURE_DISTANCE,
    curvature_beyond_onset,
    curvature_zenith_dependence,
    front_delay_with_onset,
)
from tashower.reconstruction.clusters import REJECTED, SILENT, TIME
from tashower.reconstruction.published.together import SIGNAL_ERRORS

#: What became of a hit in a fit: used; used, but its time is so far from the front that its weight
#: is less than LITTLE_TRUST; rejected; not in the cluster that the fit looks at, or without a time;
#: said by the experiment to be no measurement.
USED, DISTRUSTED, OUT_OF_FIT, OUTSIDE, NO_MEASUREMENT = range(5)
#: Choice: of a time 7 standard deviations away.
LITTLE_TRUST = 0.25
_RING = np.linspace(0.0, 2.0 * np.pi, 48, endpoint=False)


class Shower(NamedTuple):
    """A front and a lateral distribution."""

    parameters: ShowerParameters
    onset: float = 0.0  #: of the front [ns]; the curvature is what is beyond it
    slope: float | None = None  #: of the lateral distribution; None: the mean of the zenith


class Stations(NamedTuple):
    """What a method makes of an event; columns have one row per hit."""

    shower: Shower
    state: np.ndarray  #: USED, DISTRUSTED, OUT_OF_FIT, OUTSIDE or NO_MEASUREMENT
    silent: np.ndarray  #: indices of the stations whose silence counts
    silent_out: np.ndarray  #: of those whose silence the fit rejected
    r: np.ndarray  #: distance to the axis [m]
    delay: np.ndarray  #: of the symmetric front at r [ns]
    residual: np.ndarray  #: observed minus expected time [ns]; NaN without a time
    sigma: np.ndarray  #: error of the time [ns]
    density: np.ndarray  #: observed, over the part that the symmetric lateral distribution lacks
    expected: np.ndarray  #: of the symmetric lateral distribution [VEM/m^2]; NaN without size
    density_sigma: np.ndarray  #: error of a density, on the scale of `density`
    known: bool  #: stations and errors are the fit's own
    note: str  #: what is drawn otherwise than the method has it


def expected_at(shower: Shower, position: np.ndarray, array: Array, distance: str) -> Expected:
    """What a shower's symmetric formulas put at stations (..., 3), the onset included."""
    front = description_of(array, distance)
    found = expected(shower.parameters, position, front, shower.slope)
    delay = front_delay_with_onset(
        found.distance, found.log_ldf, shower.parameters.curvature, shower.onset, front.front
    )
    return found._replace(delay=delay)


def _shower_of(table: Reconstruction | Truth, array: Array, onset: float) -> Shower:
    """That of a row of results; the curvature is turned into what is beyond the onset."""
    values = ShowerParameters(*(float(getattr(table, n)[0]) for n in ShowerParameters._fields))
    eta = float(table.slope[0]) if isinstance(table, Truth) else None
    steep = slope(np.clip(values.zenith, 0.0, LARGEST_ZENITH)) if eta is None else eta
    log_ldf = log_lateral_distribution(CURVATURE_DISTANCE, steep, array.lateral)
    beyond = curvature_beyond_onset(values.curvature, log_ldf, onset, array.front)
    beyond = 0.0 if np.isnan(beyond) else float(beyond)
    return Shower(values._replace(curvature=beyond), onset, eta)


def true_shower(events: Events, made: Made) -> Shower | None:
    """The true shower of a single event, with the onset of the calibration."""
    completion = made.calibration and made.calibration.completion
    onset = completion.onset if completion else 0.0
    return None if events.truth is None else _shower_of(events.truth, events.array, onset)


def ring_means(
    shower: Shower, around: Shower, r: np.ndarray, array: Array, distance: str
) -> tuple[np.ndarray, np.ndarray]:
    """(time [ns], density [VEM/m^2]) of a shower at distances r (n,) [m] from the axis of another
    one, means over the azimuth; times are relative to the other's plane.

    A shower with another axis has no single time at a distance: tilt and displacement drop out of
    the mean, curvature and t0 stay. For a shower around itself both are its formulas.
    """
    p = around.parameters
    e_1 = direction(p.zenith + np.pi / 2, p.azimuth)
    if distance == "ground":
        e_1 = direction(np.pi / 2, p.azimuth)
    e_2 = direction(np.pi / 2, p.azimuth + np.pi / 2)
    core = np.array([p.core_x, p.core_y, 0.0])
    out = np.cos(_RING)[:, None, None] * e_1 + np.sin(_RING)[:, None, None] * e_2
    # The distance that formulas take is softened.
    bare = np.sqrt(np.maximum(r**2 - SOFTENING**2, 0.0))
    position = core + out * bare[:, None]
    here = expected_at(shower, position, array, distance)
    plane = expected_at(around, position, array, distance).plane_time
    return (here.time - plane).mean(axis=0), np.exp(np.log(here.density).mean(axis=0))


class _Effects(NamedTuple):
    """What a method knows of the hits beside the symmetric formulas; (n,) each."""

    sigma: np.ndarray  #: error of the time [ns]
    shift: np.ndarray  #: expected time less the formulas' [ns]
    late: np.ndarray  #: delay over the symmetric one
    contained: np.ndarray  #: density over the symmetric one


class _Use(NamedTuple):
    """Which stations a method used, as in `Stations`."""

    state: np.ndarray
    silent: np.ndarray
    silent_out: np.ndarray


def _use_of(events: Events, pulses: Pulses, again: Again | None) -> _Use:
    """Stations of a fit; None: those that every fit begins with."""
    if again is None:
        observed, _, chosen = observed_stations(events, pulses)
    else:
        observed, chosen = again.observed, again.chosen
    state, hit, use = np.full(events.n_hits, OUTSIDE), chosen >= 0, observed.use
    state[chosen[hit]] = np.where(use[hit] & TIME, USED, OUT_OF_FIT)
    if again is not None:
        state[chosen[hit & (use & TIME > 0) & (observed.trust < LITTLE_TRUST)]] = DISTRUSTED
    if events.rejected is not None:
        state[events.rejected] = NO_MEASUREMENT
    station = -1 - chosen[~hit]
    return _Use(state, station[use[~hit] == SILENT], station[use[~hit] & REJECTED > 0])


def _effects(shower: Shower, here: Expected, errors: ErrorModel, again: Again | None) -> _Effects:
    ones = np.ones(len(here.distance))
    if np.isnan(shower.parameters.s_ref):  # a plane front knows its clocks alone
        return _Effects(errors.time_floor * ones, 0.0 * ones, ones, ones)
    factor = curvature_zenith_dependence(shower.parameters.zenith)
    of_formula = (here.distance, here.density, factor, errors)
    found = _Effects(time_error(*of_formula), time_shift(*of_formula), ones, ones.copy())
    if again is not None:
        observed, hit = again.observed, again.chosen >= 0
        late = ones.copy()
        for column, own in zip(
            (found.sigma, found.shift, late, found.contained),
            (observed.time_weight**-0.5, observed.shift, observed.late, observed.contained),
            strict=True,
        ):
            column[again.chosen[hit]] = own[hit]
        found = found._replace(late=late)
    return found


def _own_shower(name: str, table: Reconstruction, again: Again, made: Made) -> Shower:
    """The front that a fit found, before biases are taken away."""
    x, y, n_x, n_y, log_size, t0, a = (float(value) for value in again.p)
    zenith, azimuth = float(np.arcsin(np.hypot(n_x, n_y))), float(azimuth_of(n_x, n_y))
    # The size of the published fit is that of its lateral fit alone.
    size = float(table.s_ref[0]) if name == "published" else float(np.exp(log_size))
    onset = made.calibration.completion.onset if name == "complete" else 0.0
    return Shower(ShowerParameters(zenith, azimuth, x, y, size, t0, a), onset)


def _errors_of(name: str, made: Made) -> ErrorModel:
    """The error model of a fit; of what has none, the free fit's, or the published one."""
    if made.calibration is None:
        return ErrorModel()
    if name == "complete" and made.calibration.completion is not None:
        return made.calibration.completion.errors
    return made.calibration.errors


def _with_t0(shower: Shower, residual, sigma, used) -> tuple[Shower, np.ndarray]:
    """The shower with the t0 that suits the times used best, and its residuals."""
    good = used & np.isfinite(residual)
    weight = sigma[good] ** -2.0
    off = float((weight * residual[good]).sum() / weight.sum()) if good.any() else 0.0
    moved = shower.parameters._replace(t0=shower.parameters.t0 + off)
    return shower._replace(parameters=moved), residual - off


def _note(name: str, again, twin: str | None, made: Made, own_t0: bool) -> str:
    """What is drawn otherwise than the method has it."""
    if again is not None:
        return ""
    known = []
    if name in (*JOINT, "published"):
        known.append("calibration not at hand: its shifts and rejected stations are not known")
        known.append("front of the result" + (" without onset" if name == "complete" else ""))
    if twin is not None:
        known.append(f"front and errors of the {short(twin)}")
    elif made.calibration is None:
        known.append("errors as published")
    elif name != "plane":
        known.append("errors of the free fit")
    if not own_t0:
        known.append("t0 that suits the times best")
    return ", ".join(known)


def _stations_of(name: str, table, events: Events, pulses: Pulses, made: Made, twins) -> Stations:
    """`Stations` of one method; twins : {fit: (its table, `Stations`)} of those before."""
    again = run_again(name, table, events, pulses, made)
    twin = None
    if again is None:
        # A network keeps the numbers of the fit that it corrects.
        same = ("chi2", "ndof", "n_stations", "n_excluded")
        for fit, (other, stations) in twins.items():
            if stations.known and all(getattr(table, n)[0] == getattr(other, n)[0] for n in same):
                twin = fit
        shower = _shower_of(table, events.array, 0.0)
        if twin is not None:  # the front of the fit, where the network puts it
            ours, theirs = shower.parameters, twins[twin][1].shower
            place = {n: getattr(ours, n) for n in ("zenith", "azimuth", "core_x", "core_y")}
            shower = theirs._replace(parameters=theirs.parameters._replace(**place))
    else:
        shower = _own_shower(name, table, again, made)
    use = _use_of(events, pulses, again)
    if twin is not None:
        use = _Use(*(getattr(twins[twin][1], column) for column in _Use._fields))
    own_t0 = bool(np.isfinite(table.covariance[0, 5, 5]))
    note = _note(name, again, twin, made, own_t0)
    stations = _around(shower, use, again, events, pulses, _errors_of(twin or name, made), made)
    if name == "published" and again is not None:
        area = float(events.array.detector.area)
        stations = stations._replace(
            density_sigma=density_error(stations.density, area, SIGNAL_ERRORS)
        )
    if not own_t0:
        shower, residual = _with_t0(shower, stations.residual, stations.sigma, use.state == USED)
        stations = stations._replace(shower=shower, residual=residual)
    return stations._replace(note=note)


def _around(shower: Shower, use: _Use, again, events: Events, pulses: Pulses, errors, made: Made):
    """`Stations` around a shower."""
    area = float(events.array.detector.area)
    position = events.array.position[events.hit_station]
    here = expected_at(shower, position, events.array, made.distance)
    with np.errstate(invalid="ignore", divide="ignore"):
        effects = _effects(shower, here, errors, again)
        density = pulses.signal.mean(axis=1) / area
        density_sigma = density_error(here.density * effects.contained, area, errors)
    delay = effects.late * here.delay + effects.shift
    return Stations(
        shower,
        *use,
        here.distance,
        here.delay,
        pulses.arrival_time - here.plane_time - delay,
        effects.sigma,
        density / effects.contained,
        here.density,
        density_sigma / effects.contained,
        again is not None,
        "",
    )


def stations_of_truth(events: Events, pulses: Pulses, made: Made) -> Stations | None:
    """Stations of a single event around its true shower; None where that is not known."""
    shower = true_shower(events, made)
    if shower is None:
        return None
    use, errors = _use_of(events, pulses, None), _errors_of("free", made)
    note = "errors as published" if made.calibration is None else "errors of the free fit"
    return _around(shower, use, None, events, pulses, errors, made)._replace(note=note)


def no_fit(events: Events, pulses: Pulses) -> Stations:
    """Stations of a single event that nothing is known of: the states that every fit begins with;
    all numbers are NaN.
    """
    nan = np.full(events.n_hits, np.nan)
    unknown = Shower(ShowerParameters(*[np.nan] * len(ShowerParameters._fields)))
    return Stations(unknown, *_use_of(events, pulses, None), *[nan] * 7, known=False, note="")


def stations_of(
    methods: Mapping[str, Reconstruction], events: Events, pulses: Pulses, made: Made
) -> dict[str, Stations]:
    """What the methods make of the stations of a single event, {method: `Stations`} of those that
    have a direction and a core.

    Where a method is no fit of ours, or its calibration is not at hand, the formulas stand for it
    with the errors of the fit that it corrects, of the free fit, or those that were published, and
    `note` says so. A result whose t0 has no error has none of its own, as a network's: it gets the
    one that suits the times best.
    """
    found = {}
    for name, table in methods.items():
        if np.isfinite([table.zenith[0], table.core_x[0], table.t0[0]]).all():
            twins = {fit: (methods[fit], stations) for fit, stations in found.items()}
            found[name] = _stations_of(name, table, events, pulses, made, twins)
    return found


def calibration_of(
    methods: Mapping[str, Reconstruction], events: Events, pulses: Pulses, made: Made
) -> Calibration | None:
    """The calibration of `made` where it is the one that the fits of a single event were made with,
    and None where it is not, or no fit tells.
    """
    tried = {name: table for name, table in methods.items() if name in JOINT and table.valid[0]}
    found = [run_again(name, table, events, pulses, made) for name, table in tried.items()]
    return made.calibration if found and all(again is not None for again in found) else None

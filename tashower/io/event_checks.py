"""What an event file has to hold for all else to rely on it: kinds of numbers, shapes, lists and
limits. Our own files do; others may write event files, too.
"""

import json
from dataclasses import fields

import numpy as np

from tashower.errors import InputError
from tashower.events.array import Array, Detector
from tashower.events.lattice import KINDS, MOST_POINTS
from tashower.events.model import PARAMETERS, Events, Pulses, Reconstruction, Truth
from tashower.io.foreign_hdf5 import wholes_of
from tashower.types import FilePath

#: Columns of whole numbers that lead from one column to another, and how they are kept.
_WHOLE = {
    "array": {"station_id": np.int32, "lattice": np.int32},
    "events": {
        "event_id": np.int64,
        "hit_offset": np.int64,
        "dead_offset": np.int64,
        "dead_station": np.int32,
    },
    "hits": {"hit_station": np.int32},
}
#: How other columns that compiled loops read are kept.
_REAL = {
    "array": {"position": np.float64},
    "hits": {
        "hit_time": np.float64,
        "pedestal": np.float32,
        "counts_per_vem": np.float32,
        "saturated": np.bool_,
        "rejected": np.bool_,
        "pedestal_rms": np.float32,
    },
    "pulses": {
        "arrival_time": np.float64,
        "signal": np.float64,
        "saturated": np.bool_,
        "area_over_peak": np.float64,
    },
}
_POSITIVE = ("lateral_reference", "lateral_scale", "front_distance")
_TEXT = ("array", "station_name")


def checked_columns(groups: dict, path: FilePath) -> dict:
    """{group: {name: array}} of an event file: all but names are numbers, in the kinds that they
    have in our files; waveforms that are not uint16 become float32.

    Raises
    ------
    InputError : names file and column.
    """
    result = {}
    for group, columns in groups.items():
        result[group] = dict(columns)
        for name, column in columns.items():
            where, kind = f"{group}/{name}", _WHOLE.get(group, {}).get(name)
            if column.dtype.kind == "S" and (group, name) != _TEXT:
                raise InputError(f"{path}: {where} does not hold numbers")
            if kind is not None and column.dtype != kind:
                whole, limits = wholes_of(column, where, path), np.iinfo(kind)
                if ((whole < limits.min) | (whole > limits.max)).any():
                    raise InputError(f"{path}: {where} holds a number beyond {limits.max}")
                result[group][name] = whole.astype(kind)
            kind = _REAL.get(group, {}).get(name)
            if (group, name) == ("hits", "waveform") and column.dtype != np.uint16:
                kind = np.float32
            if kind is not None and column.dtype != kind:
                with np.errstate(over="ignore"):
                    result[group][name] = column.astype(kind)
    return result


def number_of(attributes: dict, name: str, path: FilePath, default: float | None = None) -> float:
    """A root attribute that is a finite number, and positive where it is a length that formulas
    divide by.

    Raises
    ------
    KeyError : it is missing, and there is no default.
    InputError : names the file and the attribute.
    """
    value = attributes[name] if default is None else attributes.get(name, default)
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = np.nan
    if not np.isfinite(number):
        raise InputError(f"{path}: attribute {name} is {str(value)[:24]!r}, which is not a number")
    if name in _POSITIVE and number <= 0:
        raise InputError(f"{path}: attribute {name} is {number:g}, which is not positive")
    return number


def json_of(attributes: dict, name: str, path: FilePath, default: str | None = None) -> dict:
    """The dictionary that a root attribute states in JSON.

    Raises
    ------
    KeyError : it is missing, and there is no default.
    InputError : names the file and the attribute.
    """
    text = attributes[name] if default is None else attributes.get(name, default)
    try:
        found = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise InputError(f"{path}: attribute {name} is not a dictionary in JSON")
    return found


def check_detector(found: dict, path: FilePath) -> Detector:
    """The detector of these numbers, by name; unknown ones are left out.

    Raises
    ------
    InputError : names file and number.
    """
    for f in fields(Detector):
        value = found.get(f.name, f.default)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        number = number and (
            value > 0 or (value == 0 and f.name in ("noise_counts", "pedestal_rms"))
        )
        if f.name in ("n_layers", "n_bins", "edge_bins"):
            number = number and isinstance(value, int) and value < 2**31
        if not number:
            raise InputError(f"{path}: its detector has {f.name} {str(value)[:24]!r}")
    return Detector(**{f.name: found[f.name] for f in fields(Detector) if f.name in found})


def check_array(array: Array, path: FilePath) -> None:
    """Refuse an array whose columns do not fit, or whose lattice cannot be.

    Raises
    ------
    InputError : names the file and what is wrong.
    """
    n = array.n_stations
    if array.station_id.shape != (n,):
        raise InputError(f"{path}: array/station_id is not one number a station")
    if array.position.shape != (n, 3) or not np.isfinite(array.position).all():
        raise InputError(f"{path}: array/position is not ({n}, 3) finite numbers")
    if array.lattice.shape != (n, 2):
        raise InputError(f"{path}: array/lattice is not ({n}, 2) whole numbers")
    if array.spacing < 0:
        raise InputError(f"{path}: attribute spacing is {array.spacing:g} m")
    if array.kind not in (*KINDS, "irregular"):
        raise InputError(f"{path}: attribute lattice_kind is {array.kind[:24]!r}")
    if not n or array.kind == "irregular":
        return
    points = np.prod(np.ptp(array.lattice.astype(float), axis=0) + 1.0)
    if points > MOST_POINTS:
        raise InputError(
            f"{path}: array/lattice spans {points:.3g} points, more than {MOST_POINTS:.3g}"
        )
    if len(np.unique(array.lattice, axis=0)) < n:
        raise InputError(f"{path}: array/lattice puts two stations at the same point")


def _check_list(path, name, offset, station, n_events, n_stations) -> None:
    if (
        offset.shape != (n_events + 1,)
        or station.ndim != 1
        or offset[0] != 0
        or offset[-1] != len(station)
        or np.any(np.diff(offset) < 0)
    ):
        raise InputError(
            f"{path}: {name} does not divide {len(station)} entries among {n_events} events"
        )
    if len(station) and (station.min() < 0 or station.max() >= n_stations):
        raise InputError(
            f"{path}: {name} names a station that the array of {n_stations} does not have"
        )


def _check_shapes(table: Truth | Pulses | Reconstruction | None, n: int, path, more: dict) -> None:
    """Refuse columns of a table of n rows that have another shape; more: further axes by name."""
    if table is None:
        return
    for f in fields(table):
        column, needed = getattr(table, f.name), (n, *more.get(f.name, ()))
        if column is not None and column.shape != needed:
            raise InputError(
                f"{path}: {type(table).__name__.lower()}/{f.name} has shape {column.shape}, "
                f"{needed} needed"
            )


def check_events(events: Events, path: FilePath) -> None:
    """Refuse events whose columns do not fit each other, or are no numbers.

    Raises
    ------
    InputError : names the file and the column.
    """
    check_array(events.array, path)
    if events.event_id.ndim != 1:
        raise InputError(f"{path}: events/event_id is not one number an event")
    for name in ("hit", "dead"):
        offset, station = getattr(events, f"{name}_offset"), getattr(events, f"{name}_station")
        where = f"events/{name}_offset"
        _check_list(path, where, offset, station, events.n_events, events.array.n_stations)
    if events.hit_time.shape != (events.n_hits,) or not np.isfinite(events.hit_time).all():
        raise InputError(f"{path}: hits/hit_time is not {events.n_hits} finite numbers")
    for name in ("saturated", "rejected"):
        column = getattr(events, name)
        if column is not None and column.shape != (events.n_hits,):
            raise InputError(f"{path}: hits/{name} is not ({events.n_hits},)")
    layers, parameters = (events.array.detector.n_layers,), len(PARAMETERS)
    _check_shapes(events.pulses, events.n_hits, path, {"signal": layers, "n_peaks": layers})
    for table in (events.truth, events.standard):
        _check_shapes(table, events.n_events, path, {"covariance": (parameters, parameters)})
    if events.waveform is None:
        return
    needed = (events.n_hits, events.array.detector.n_bins, *layers)
    if events.waveform.shape != needed:
        raise InputError(
            f"{path}: hits/waveform has shape {events.waveform.shape}, {needed} needed"
        )
    rms = events.pedestal_rms
    if rms is not None and rms.shape != (events.n_hits, *layers):
        raise InputError(f"{path}: hits/pedestal_rms is not ({events.n_hits}, {layers[0]})")
    for name in ("pedestal", "counts_per_vem"):
        column = getattr(events, name)
        if column is None or column.shape != (events.n_hits, *layers):
            raise InputError(
                f"{path}: hits/{name} is missing or not ({events.n_hits}, {layers[0]})"
            )

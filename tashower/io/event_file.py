"""Event files: which arrays they hold (docs/event_format.md), written, read and checked."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import MISSING, asdict, fields

import numpy as np

from tashower.errors import InputError
from tashower.events.array import DETECTOR_SHAPE, Array, Detector
from tashower.events.model import Events, Pulses, Reconstruction, Truth
from tashower.io.event_checks import (
    check_detector,
    check_events,
    checked_columns,
    json_of,
    number_of,
)
from tashower.io.hdf5 import read_arrays, write_arrays
from tashower.physics.constants import LATERAL_SCALE, REFERENCE_DISTANCE
from tashower.physics.lateral import Lateral, telescope_array_lateral
from tashower.physics.shower_front import Front
from tashower.types import FilePath

#: Version of the event file. The first number changes when an old reader would go wrong, the second
#: when something is added.
EVENT_VERSION = "1.7"
#: What columns of older files are called now.
FORMER_NAMES = {"s800": "s_ref", "log_s800": "log_s_ref", "log10_s800": "log10_s_ref"}
#: Columns that older files do not have: not known, NaN.
SINCE = {"energy_error"}
_NAMES_OF_PART = {
    "waveforms": ("hits/waveform", "hits/pedestal", "hits/counts_per_vem", "hits/pedestal_rms"),
    "pulses": ("pulses",),
    "truth": ("truth",),
    "standard": ("standard",),
}
# Columns of the hits that a file may leave out.
_OF_HITS = ("waveform", "pedestal", "counts_per_vem", "saturated", "rejected", "pedestal_rms")
#: Parts of an event file that need not be read (`read_events`).
PARTS = tuple(_NAMES_OF_PART)


def columns_of(table: Truth | Pulses | Reconstruction | None) -> dict:
    """{name: array} of a Truth, Pulses or Reconstruction; empty for None."""
    return {} if table is None else {f.name: getattr(table, f.name) for f in fields(table)}


def array_columns(array: Array) -> dict[str, np.ndarray]:
    """The group `array` of an event file."""
    form = array.lateral
    return {
        "station_id": array.station_id,
        "position": array.position,
        "lattice": array.lattice,
        **(
            {"station_name": np.char.encode(array.station_name, "utf-8")}
            if array.station_name is not None
            else {}
        ),
        **{
            f"lateral_{name}": getattr(form, name)
            for name in ("log_r", "eta", "table")
            if len(form.log_r)
        },
    }


def event_groups(events: Events) -> dict[str, dict]:
    """{group: {name: array}} of an event file but for the array; of tables that the events do not
    have, none.
    """
    groups = {
        "events": {
            "event_id": events.event_id,
            "hit_offset": events.hit_offset,
            "dead_offset": events.dead_offset,
            "dead_station": events.dead_station,
        },
        "hits": {
            "hit_station": events.hit_station,
            "hit_time": events.hit_time,
            "waveform": events.waveform,
            "pedestal": events.pedestal,
            "counts_per_vem": events.counts_per_vem,
            "saturated": events.saturated,
            "rejected": events.rejected,
            "pedestal_rms": events.pedestal_rms,
        },
    }
    tables = {name: getattr(events, name) for name in ("pulses", "truth", "standard")}
    return groups | {name: columns_of(table) for name, table in tables.items() if table is not None}


def event_attributes(array: Array) -> dict:
    """Root attributes of an event file that describe the array."""
    detector = asdict(array.detector)
    return {
        "spacing": array.spacing,
        "lattice_kind": array.kind,
        "detector": json.dumps({name: detector[name] for name in DETECTOR_SHAPE}),
        "electronics": json.dumps(
            {
                name: value if np.isfinite(value) else None
                for name, value in detector.items()
                if name not in DETECTOR_SHAPE
            }
        ),
        "lateral": array.lateral_name,
        "lateral_reference": array.lateral.reference,
        "lateral_scale": array.lateral.scale,
        **{f"front_{name}": value for name, value in array.front._asdict().items()},
    }


def write_events(
    path: FilePath,
    events: Events,
    configuration: dict,
    inputs: Sequence[FilePath] = (),
    stage: str = "",
    attributes: dict | None = None,
) -> None:
    """Write an event file (docs/event_format.md).

    stage : of `stages.STAGES`; "": a program of one's own
    attributes : further root attributes
    """
    groups = {"array": array_columns(events.array), **event_groups(events)}
    further = event_attributes(events.array) | (attributes or {})
    write_arrays(path, "events", EVENT_VERSION, groups, configuration, inputs, further, stage)


def with_present_names(columns: dict) -> dict:
    """Columns under today's names: until event file 1.4 the fitted size was called s800, whatever
    its reference distance.
    """
    return {FORMER_NAMES.get(name, name): column for name, column in columns.items()}


def table_of(
    kind: type, columns: dict | None, path: FilePath, n_rows: int
) -> Truth | Pulses | Reconstruction | None:
    """A Truth, Pulses or Reconstruction from the columns of a group of n_rows rows; None without
    columns. A column that has a default may be missing.

    Raises
    ------
    InputError : names the file and the column that is missing or of another length.
    """
    if columns is None:
        return None
    columns = with_present_names(columns)
    for name in SINCE & {f.name for f in fields(kind)}:
        columns.setdefault(name, np.full(n_rows, np.nan))
    wanted = [f.name for f in fields(kind) if f.name in columns or f.default is MISSING]
    for name in wanted:
        if name not in columns:
            raise InputError(f"{path}: {kind.__name__.lower()}/{name} is missing")
        if len(columns[name]) != n_rows:
            raise InputError(
                f"{path}: {kind.__name__.lower()}/{name} has {len(columns[name])} rows, "
                f"{n_rows} needed"
            )
    return kind(**{name: columns[name] for name in wanted})


def _lateral(columns, attributes, path) -> Lateral:
    """The lateral distribution of an event file; before version 1.2 the Telescope Array's."""
    if "lateral_table" not in columns:
        return telescope_array_lateral(
            number_of(attributes, "lateral_reference", path, REFERENCE_DISTANCE),
            number_of(attributes, "lateral_scale", path, LATERAL_SCALE),
        )
    log_r, eta, table = (
        np.asarray(columns[f"lateral_{name}"], dtype=float) for name in ("log_r", "eta", "table")
    )
    if (
        log_r.ndim != 1
        or eta.ndim != 1
        or min(len(log_r), len(eta)) < 4
        or table.shape != (len(log_r), len(eta))
    ):
        raise InputError(f"{path}: array/lateral_table does not fit its nodes")
    if (
        not all(np.isfinite(x).all() for x in (log_r, eta, table))
        or log_r[1] <= log_r[0]
        or eta[1] <= eta[0]
    ):
        raise InputError(
            f"{path}: array/lateral_table is not a table of finite numbers with increasing nodes"
        )
    return Lateral(
        number_of(attributes, "lateral_reference", path),
        number_of(attributes, "lateral_scale", path),
        0.0,
        0.0,
        log_r,
        eta,
        table,
    )


def _station_name(columns, path) -> np.ndarray | None:
    """Names of the stations, where they are not numbers; since version 1.4."""
    if "station_name" not in columns:
        return None
    try:
        names = np.char.decode(columns["station_name"], "utf-8")
    except (UnicodeDecodeError, TypeError, ValueError):
        raise InputError(f"{path}: array/station_name is not text") from None
    if names.shape != columns["station_id"].shape:
        raise InputError(f"{path}: array/station_name is not one name a station")
    return names


def _detector(attributes, path) -> Detector:
    """The detector of an event file; before version 1.4 with the Telescope Array's electronics,
    before 1.7 with a threshold that is counted in the noise of a bin.
    """
    electronics = json_of(attributes, "electronics", path, "{}")
    if "noise_counts" in electronics:
        electronics.setdefault("pedestal_rms", electronics["noise_counts"])
    found = json_of(attributes, "detector", path) | electronics
    found = {name: np.inf if value is None else value for name, value in found.items()}
    return check_detector(found, path)


def _array(columns: dict, attributes: dict, path) -> Array:
    """The array of an event file.

    Raises
    ------
    KeyError : names the column that is missing.
    InputError : positions that are no positions.
    """
    front = Front()._asdict() | {
        name: number_of(attributes, f"front_{name}", path)
        for name in Front._fields
        if f"front_{name}" in attributes
    }
    return Array(
        station_id=columns["station_id"],
        position=columns["position"],
        lattice=columns["lattice"],
        spacing=number_of(attributes, "spacing", path),
        detector=_detector(attributes, path),
        kind=str(attributes.get("lattice_kind", "square")),
        lateral=_lateral(columns, attributes, path),
        lateral_name=str(attributes.get("lateral", "telescope_array")),
        front=Front(**front),
        station_name=_station_name(columns, path),
    )


def read_events(path: FilePath, only: Iterable[str] = PARTS) -> Events:
    """Read and check an event file.

    Parameters
    ----------
    path : event file
    only : which of PARTS to read; array, events, stations out of service, stations and times of the
        hits always are. A part that is left out is None, as if the file did not hold it, and is
        checked as far as that needs no reading: a file that is damaged anywhere is refused all the
        same. Waveforms are nearly all of a file's bytes: without them reading takes a small part
        of the time.

    Raises
    ------
    InputError : names the file and the dataset that is missing or wrong.
    ValueError : a part that there is none of.
    """
    if unknown := set(only) - set(PARTS):
        raise ValueError(f"read_events: no part {', '.join(sorted(unknown))}; there are {PARTS}")
    leave_out = {name for part in set(PARTS) - set(only) for name in _NAMES_OF_PART[part]}
    groups, attributes = read_arrays(path, "events", EVENT_VERSION, leave_out)
    groups = checked_columns(groups, path)
    try:
        columns, hits = groups["events"], groups["hits"]
        n_events, n_hits = len(columns["event_id"]), len(hits["hit_station"])
        events = Events(
            array=_array(groups["array"], attributes, path),
            **{name: columns[name] for name in ("event_id", "hit_offset")},
            **{name: hits[name] for name in ("hit_station", "hit_time")},
            **{name: hits.get(name) for name in _OF_HITS},
            **{name: columns[name] for name in ("dead_offset", "dead_station")},
            pulses=table_of(Pulses, groups.get("pulses"), path, n_hits),
            truth=table_of(Truth, groups.get("truth"), path, n_events),
            standard=table_of(Reconstruction, groups.get("standard"), path, n_events),
        )
    except KeyError as error:
        raise InputError(f"{path}: {error.args[0]} is missing") from None
    check_events(events, path)
    if {"waveforms", "pulses"} <= set(only) and events.waveform is None and events.pulses is None:
        raise InputError(f"{path}: neither waveforms nor pulses")
    return events

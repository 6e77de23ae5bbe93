"""Any known format to an event file, told from the content."""

import itertools
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tashower.convert import ta_dnn, ta_dnn_lists, ta_dst, ta_text
from tashower.convert.assemble import assemble, with_tables, without_empty_tables
from tashower.convert.dst import BLOCK, open_packed
from tashower.convert.json_events import (
    HISPARC_DETECTOR,
    east_north_up,
    is_hisparc,
    read_json,
    read_records,
)
from tashower.convert.plausible import (
    MOST_SIGNALS,
    Hits,
    check_array,
    check_spans,
    describe,
    median_spans,
)
from tashower.convert.tables import read_tables
from tashower.errors import InputError
from tashower.events.array import Array, Detector, array_from_positions
from tashower.events.model import Events, concatenate_events
from tashower.io import foreign_hdf5
from tashower.io.append import event_file
from tashower.io.paths import check_paths, require_file
from tashower.io.station_table import read_stations
from tashower.io.table_file import kind_of
from tashower.physics.lateral import Lateral
from tashower.physics.shower_front import TELESCOPE_ARRAY_FRONT, Front
from tashower.progress import progress
from tashower.types import FilePath

_log = logging.getLogger("tashower")
#: One window a station, and the file's own calibration.
WHOLE = ta_dst.Options()
#: Formats by name, and what they are.
FORMATS = {
    "tables": "plain tables: a YAML header, or stations and hits as two CSV or Parquet files",
    "ta_dst": "Telescope Array DST (rusdraw, with rusdmc, rufptn, bsdinfo, rusdgeom, rufldf where "
    "present), packed or not",
    "ta_text": "Telescope Array text dump",
    "ta_dnn": "HDF5 files of dense tiles or of lists of hits, as the parser of the Telescope "
    "Array's networks writes them",
    "hisparc": "HiSPARC coincidences, one JSON file each",
    "auger": "open data of the Pierre Auger Observatory, one JSON file an event",
}

#: Area of a water-Cherenkov station of Auger, 1.8 m in radius [m^2].
AUGER_AREA = 10.18
_HEADERS = (".yaml", ".yml")
_TABLES = (*_HEADERS, ".csv", ".parquet", ".pq")


def tell_format(paths: Sequence[FilePath]) -> str:
    """Format of the files, from their content.

    Raises
    ------
    InputError : no such file, or none of FORMATS.
    """
    path = require_file(paths[0])
    if kind_of(path) == ".json":
        return "hisparc" if is_hisparc(read_json(path)[0]) else "auger"
    if kind_of(path) in _TABLES:
        return "tables"
    try:
        with open_packed(path) as file:
            begin = file.read(BLOCK)
    except (OSError, EOFError) as error:
        raise InputError(f"{path}: cannot be unpacked ({error})") from None
    if begin.startswith(b"\x89HDF"):
        return "ta_dnn"
    if begin[:2] == bytes((96, 97)):
        return "ta_dst"
    if any(name.encode() in begin for name in ta_text.SECTIONS):
        return "ta_text"
    raise InputError(f"{path}: none of the known formats: {', '.join(FORMATS)}")


def _listed_array(stations, detector: Detector | None = None, windows: int = 1) -> Array:
    """The array of a table of stations."""
    listed = read_stations(stations)
    if listed.name is not None:
        raise InputError(f"{stations}: stations are numbers in files of this format")
    if listed.out_of_service.any():
        raise InputError(
            f"{stations}: column working: files of this format say themselves which stations are "
            "out of service in which event"
        )
    station_id, position = listed.number, listed.position
    position = position - [0.0, 0.0, position[:, 2].mean()]
    try:
        if (
            station_id.min() > 100
            and station_id.max() <= 9999
            and (station_id % 100).all()
            and detector is None
        ):
            return ta_dst.telescope_array(station_id, position, windows)
        return array_from_positions(station_id, position, detector or ta_dst.detector_of(windows))
    except InputError as error:
        raise InputError(f"{stations}: {error}") from None


def _convert_json(paths, kind: str, stations) -> tuple[Events, float]:
    """(events of JSON files, mean altitude [m]); the array is that of the table `stations`, or
    without it of all stations seen.
    """
    records, places = [], {}
    for record, found in read_records(paths, kind):
        records.append(record)
        places |= found
    numbers = sorted(places)
    position = np.array([places[s] for s in numbers], float).reshape(-1, 3)
    altitude = float(position[:, 2].mean())
    if kind == "hisparc":
        detector = Detector(4 * HISPARC_DETECTOR, 1, 2.5, 1)
        position = east_north_up(*position.T, position.mean(axis=0))
    else:
        detector = Detector(AUGER_AREA, 1, 25.0, 1)
        position = position - [0.0, 0.0, altitude]
    if stations:
        listed = read_stations(stations)
        if listed.name is not None:
            raise InputError(f"{stations}: stations are numbers in files of this format")
        numbers, altitude = listed.number, float(listed.position[:, 2].mean())
        position = listed.position - [0.0, 0.0, altitude]
        out = listed.number[listed.out_of_service]
        records = [replace(r, dead=np.concatenate([r.dead, out])) for r in records]
    try:
        return assemble(records, array_from_positions(np.array(numbers), position, detector)), (
            altitude
        )
    except InputError as error:
        raise InputError(
            f"{paths[0]}: {error}" if str(paths[0]) not in str(error) else str(error)
        ) from None


def _convert_tables(paths) -> tuple[Events, float]:
    """(events, mean altitude [m]) of a YAML header, or of two tables: stations and hits."""
    if len(paths) == 1 and kind_of(paths[0]) in _HEADERS:
        array, records, altitude = read_tables(paths[0])
    elif len(paths) == 2 and not any(kind_of(path) in _HEADERS for path in paths):
        array, records, altitude = read_tables(None, Path(paths[0]), Path(paths[1]))
    else:
        raise InputError(
            f"{paths[0]}: plain tables are one YAML header, or two tables: stations and hits"
        )
    return assemble(records, array), altitude


def _dst_parts(paths, named: dict, options, array: Array, notes) -> Iterator[Events]:
    """Events of DST files, some hundred at a time; named, notes as of `ta_dst.read_batches`."""
    for path in paths:
        for batch in ta_dst.read_batches(path, named, options, notes):
            yield with_tables(assemble(batch, array))


def _text_array(paths, windows: int) -> Array:
    """The array of all stations that text dumps name."""
    positions: dict[int, tuple] = {}
    for path in paths:
        positions |= ta_text.read_positions(path)
    numbers = sorted(positions)
    position = np.array([positions[s] for s in numbers]).reshape(-1, 3)
    if len(position):
        position = position - [0.0, 0.0, position[:, 2].mean()]
    with _naming(paths[0]):
        return ta_dst.telescope_array(np.array(numbers, int), position, windows)


def _dst_array(paths, named: dict, windows: int) -> tuple[Array, np.ndarray]:
    """`_ranked` array of all stations that DST files name."""
    with _naming(paths[0]):
        return _ranked(ta_dst.array_of(named, windows))


@contextmanager
def _naming(path):
    """What is wrong with positions is said of the first of the files that state them."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _text_parts(paths, windows: int, array: Array, notes) -> Iterator[Events]:
    """Events of text dumps, some hundred at a time."""
    for path in paths:
        records = ta_text.read_records(path, windows, notes)
        while some := list(itertools.islice(records, ta_dst.EVENTS_AT_ONCE)):
            yield with_tables(assemble(some, array))


class _Found(NamedTuple):
    """What a reader gives: parts, and what is known of their array once all of them are read."""

    parts: Iterator[Events]
    #: gives the array, and the index in it of the parts' station indices, or None
    finish: Callable
    altitude: float = np.nan  #: mean altitude of the stations that was subtracted [m]


def _read_parsed(path) -> tuple[Array, list]:
    """Array and records of an HDF5 file of the parser, in either of its layouts."""
    lists = foreign_hdf5.has_item(path, "hit_offsets")
    return (ta_dnn_lists.read_lists if lists else ta_dnn.read_events_of)(path)


def _parts(paths, kind: str | None, stations, options: ta_dst.Options, notes: Counter) -> _Found:
    """The events of files of one format.

    All parts have the same tables, perhaps ones in which nothing is known. notes : what was left
        out, and how often; added to it
    """
    kind = kind or tell_format(paths)
    telescope_array = kind in ("ta_dst", "ta_text")
    windows = options.windows or (ta_dst.WINDOWS if telescope_array else 1)
    options = options._replace(windows=windows)
    if kind not in FORMATS:
        raise InputError(f"unknown format {kind!r}; known: {', '.join(FORMATS)}")
    if options.counts_per_vem is not None and kind != "ta_dst":
        raise InputError("--counts-per-vem: only for DST files of the Telescope Array")
    if telescope_array:
        array = _listed_array(stations, windows=windows) if stations else None
        if kind == "ta_text":
            array = array or _text_array(paths, windows)
            return _Found(_text_parts(paths, windows, array, notes), lambda: (array, None))
        named: dict[int, tuple | None] = {}
        numbered = array or ta_dst.numbered_array(windows)
        parts = _dst_parts(paths, named, options, numbered, notes)
        return _Found(parts, lambda: (array, None) if array else _dst_array(paths, named, windows))
    if windows != 1:
        raise InputError(f"--windows {windows}: only files of the Telescope Array come in windows")
    if stations and kind in ("tables", "ta_dnn"):
        raise InputError(f"--stations {stations}: files of this format hold all stations")
    altitude = np.nan
    if kind == "ta_dnn":
        several = [
            with_tables(assemble(records, array)) for array, records in map(_read_parsed, paths)
        ]
        if any(
            not np.array_equal(part.array.position, several[0].array.position) for part in several
        ):
            raise InputError(
                f"{paths[0]}: the files hold tiles of different stations; convert them one by one"
            )
    else:
        events, altitude = (
            _convert_tables(paths) if kind == "tables" else _convert_json(paths, kind, stations)
        )
        several = [events]
    return _Found(iter(several), lambda: (several[0].array, None), altitude)


def _ranked(array: Array) -> tuple[Array, np.ndarray]:
    """The array, and the index in it of every station number."""
    index_of = np.full(ta_dst.numbered_array().n_stations, -1, np.int32)
    index_of[array.station_id] = np.arange(array.n_stations)
    return array, index_of


def _signals(part: Events) -> np.ndarray:
    """(h,) signals [VEM], mean of the layers."""
    if part.waveform is None:
        return part.pulses.signal.mean(axis=1)
    total = part.waveform.sum(axis=1, dtype=float) - part.waveform.shape[1] * part.pedestal
    return (total / part.counts_per_vem).mean(axis=1)


def convert(
    paths: Sequence[FilePath],
    kind: str | None = None,
    stations: FilePath | None = None,
    windows: int | None = None,
    counts_per_vem: float | None = None,
    force: bool = False,
) -> Events:
    """Events of files of one format on one array, in memory.

    Parameters
    ----------
    paths : files; of tables a header, or two tables: stations and hits
    kind : key of FORMATS; None: told from the content
    stations : table of all stations (station, x_m, y_m, z_m) for formats that do not hold them;
        None: positions from the files, and nominal ones where they have none
    windows : consecutive windows of a station that are kept, in formats of the Telescope Array;
        None: two of them, as the simulation has
    counts_per_vem : of all stations, for DST files without bank rufptn
    force : take what physics excludes (`plausible`) as well

    Raises
    ------
    InputError : names file, event and field, or says which unit would fit.
    """
    check_paths([paths])
    found = _parts(paths, kind, stations, ta_dst.Options(windows, counts_per_vem), Counter())
    parts = list(found.parts)
    array, index_of = found.finish()
    events = concatenate_events(parts) if parts else assemble([], array)
    if index_of is not None:
        events = replace(
            events,
            array=array,
            hit_station=index_of[events.hit_station],
            dead_station=index_of[events.dead_station],
        )
    if not force:
        check_array(array, paths[0])
        check_spans([_hits_of(events)], array, paths[-1])
    return without_empty_tables(events)


def _hits_of(events: Events) -> Hits:
    return Hits(events.event_id, events.hit_offset, events.hit_station, events.hit_time)


class Converted(NamedTuple):
    """What `convert_file` wrote."""

    array: Array
    n_events: int
    n_hits: int
    lines: list[str]  #: what was understood, to be read by a person


def convert_file(
    paths: Sequence[FilePath],
    to: FilePath,
    kind: str | None = None,
    stations: FilePath | None = None,
    options: ta_dst.Options = WHOLE,
    lateral: tuple[Lateral, str] | None = None,
    front: Front = TELESCOPE_ARRAY_FRONT,
    force: bool = False,
) -> Converted:
    """`convert` into an event file, in constant memory. The log says which hits were left out.

    options : windows, and counts per VEM for DST files without bank rufptn
    lateral : (`Lateral`, its name) for the array; None: the Telescope Array's
    front : for the array
    """
    check_paths([paths, stations], [to])
    notes: Counter = Counter()
    found = _parts(paths, kind, stations, options, notes)
    signals: list[np.ndarray] = []
    with event_file(to, {}, paths, "convert") as file:
        with progress("convert") as advance:
            for part in found.parts:
                file.append(part)
                advance(part.n_events)
                if sum(map(len, signals)) < MOST_SIGNALS:
                    signals.append(_signals(part))
        array, index_of = found.finish()
        array = replace(array, front=front)
        if lateral:
            array = replace(array, lateral=lateral[0], lateral_name=lateral[1])
        if not file.n_events:
            file.append(assemble([], array))
        file.finish(array, index_of)
        for reason, number in sorted(notes.items()):
            if number:
                _log.warning(f"convert: not used: {number:,} {reason}")
        hits = (Hits(*block) for block in file.hits())
        if not force:
            check_array(array, paths[0])
            medians = check_spans(hits, array, paths[-1])
        else:
            medians = median_spans(hits, array)
        signal = np.concatenate([*signals, np.zeros(0)])
        medians["signal"] = float(np.median(signal)) if len(signal) else np.nan
        lines = describe(array, medians, found.altitude)
        return Converted(array, file.n_events, file.n_hits, lines)

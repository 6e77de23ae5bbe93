"""Any known format to an event file, told from the content."""

import itertools
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tashower.convert import ta_dnn, ta_dnn_lists, ta_dst, ta_text
from tashower.convert.assemble import assemble, with_tables, without_empty_tables
from tashower.convert.dst import BLOCK, open_packed
from tashower.convert.json_events import (
    HISPARC_DETECTOR,
    east_north_up,
    is_hisparc,
    read_auger,
    read_hisparc,
    read_json,
)
from tashower.convert.tables import read_stations, read_tables
from tashower.errors import InputError
from tashower.events.array import Array, Detector, array_from_positions
from tashower.events.model import Events, concatenate_events
from tashower.io import foreign_hdf5
from tashower.io.append import event_file
from tashower.physics.lateral import Lateral
from tashower.physics.shower_front import TELESCOPE_ARRAY_FRONT, Front
from tashower.progress import progress
from tashower.types import FilePath

_log = logging.getLogger("tashower")
#: Formats by name, and what they are.
FORMATS = {
    "tables": "plain tables: a YAML header, or stations and hits as two CSV or Parquet files",
    "ta_dst": "Telescope Array DST (rusdraw, with rusdmc, rufptn, bsdinfo, rusdgeom, rufldf where present), "
    "plain, gzip or bzip2",
    "ta_text": "Telescope Array text dump",
    "ta_dnn": "HDF5 files of dense tiles or of lists of hits, as the parser of the Telescope Array's "
    "networks writes them",
    "hisparc": "HiSPARC coincidences, one JSON file each",
    "auger": "open data of the Pierre Auger Observatory, one JSON file an event",
}

#: Area of a water-Cherenkov station of Auger, 1.8 m in radius [m^2].
AUGER_AREA = 10.18


def tell_format(paths: Sequence[FilePath]) -> str:
    """Format of the files, from their content.

    Raises
    ------
    InputError : no such file, or none of FORMATS.
    """
    path = Path(paths[0])
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if path.suffix == ".json":
        return "hisparc" if is_hisparc(read_json(path)) else "auger"
    if path.suffix in (".yaml", ".yml", ".csv", ".parquet"):
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
    station_id, position = read_stations(stations)
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


def _convert_json(paths, kind: str) -> Events:
    """One JSON file an event; the array is that of all stations seen."""
    records, places = [], {}
    for path in paths:
        record, found = (read_hisparc if kind == "hisparc" else read_auger)(path, read_json(path))
        records.append(record)
        places |= found
    numbers = sorted(places)
    position = np.array([places[s] for s in numbers], float).reshape(-1, 3)
    if kind == "hisparc":
        detector = Detector(4 * HISPARC_DETECTOR, 1, 2.5, 1)
        position = east_north_up(*position.T, position.mean(axis=0))
    else:
        detector = Detector(AUGER_AREA, 1, 25.0, 1)
        position = position - [0.0, 0.0, position[:, 2].mean()]
    try:
        return assemble(records, array_from_positions(np.array(numbers), position, detector))
    except InputError as error:
        raise InputError(
            f"{paths[0]}: {error}" if str(paths[0]) not in str(error) else str(error)
        ) from None


def _convert_tables(paths) -> Events:
    """A YAML header, or two tables: stations and hits."""
    if len(paths) == 1 and Path(paths[0]).suffix in (".yaml", ".yml"):
        array, records = read_tables(paths[0])
    elif len(paths) == 2:
        array, records = read_tables(None, Path(paths[0]), Path(paths[1]))
    else:
        raise InputError("plain tables are one YAML header, or two tables: stations and hits")
    return assemble(records, array)


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
    return ta_dst.telescope_array(np.array(numbers, int), position, windows)


def _text_parts(paths, windows: int, array: Array, notes) -> Iterator[Events]:
    """Events of text dumps, some hundred at a time."""
    for path in paths:
        records = ta_text.read_records(path, windows, notes)
        while some := list(itertools.islice(records, ta_dst.EVENTS_AT_ONCE)):
            yield with_tables(assemble(some, array))


def _read_parsed(path) -> tuple[Array, list]:
    """Array and records of an HDF5 file of the parser, in either of its layouts."""
    lists = foreign_hdf5.has_item(path, "hit_offsets")
    return (ta_dnn_lists.read_lists if lists else ta_dnn.read_events_of)(path)


def _parts(
    paths, kind: str | None, stations, options: ta_dst.Options, notes: Counter
) -> tuple[Iterator[Events], Callable]:
    """(parts, what gives their array once all are read): with it, the index in it of the parts'
    station indices, or None.

    All parts have the same tables, perhaps ones in which nothing is known. notes : what was left
        out, and how often; added to it
    """
    windows = options.windows
    kind = kind or tell_format(paths)
    if kind not in FORMATS:
        raise InputError(f"unknown format {kind!r}; known: {', '.join(FORMATS)}")
    if options.counts_per_vem is not None and kind != "ta_dst":
        raise InputError("--counts-per-vem: only for DST files of the Telescope Array")
    if kind in ("ta_dst", "ta_text"):
        array = _listed_array(stations, windows=windows) if stations else None
        if kind == "ta_text":
            array = array or _text_array(paths, windows)
            return _text_parts(paths, windows, array, notes), lambda: (array, None)
        named: dict[int, tuple | None] = {}
        numbered = array or ta_dst.numbered_array(windows)
        parts = _dst_parts(paths, named, options, numbered, notes)
        return parts, lambda: (array, None) if array else _ranked(ta_dst.array_of(named, windows))
    if windows != 1:
        raise InputError(f"--windows {windows}: only files of the Telescope Array come in windows")
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
        several = [_convert_tables(paths) if kind == "tables" else _convert_json(paths, kind)]
    return iter(several), lambda: (several[0].array, None)


def _ranked(array: Array) -> tuple[Array, np.ndarray]:
    """The array, and the index in it of every station number."""
    index_of = np.full(ta_dst.numbered_array().n_stations, -1, np.int32)
    index_of[array.station_id] = np.arange(array.n_stations)
    return array, index_of


def convert(
    paths: Sequence[FilePath],
    kind: str | None = None,
    stations: FilePath | None = None,
    windows: int = 1,
    counts_per_vem: float | None = None,
) -> Events:
    """Events of files of one format on one array, in memory.

    Parameters
    ----------
    paths : files; of tables a header, or two tables: stations and hits
    kind : key of FORMATS; None: told from the content
    stations : table of all stations (station, x_m, y_m, z_m) for formats that do not hold them;
        None: positions from the files, and nominal ones where they have none
    windows : consecutive windows of a station that are kept, in formats of the Telescope Array
    counts_per_vem : of all stations, for DST files without bank rufptn

    Raises
    ------
    InputError : names file, event and field.
    """
    found, finish = _parts(
        paths, kind, stations, ta_dst.Options(windows, counts_per_vem), Counter()
    )
    parts = list(found)
    array, index_of = finish()
    events = concatenate_events(parts) if parts else assemble([], array)
    if index_of is not None:
        events = replace(
            events,
            array=array,
            hit_station=index_of[events.hit_station],
            dead_station=index_of[events.dead_station],
        )
    return without_empty_tables(events)


def convert_file(
    paths: Sequence[FilePath],
    to: FilePath,
    kind: str | None = None,
    stations: FilePath | None = None,
    windows: int = 1,
    lateral: tuple[Lateral, str] | None = None,
    front: Front = TELESCOPE_ARRAY_FRONT,
    counts_per_vem: float | None = None,
) -> tuple[Array, int, int]:
    """`convert` into an event file, in constant memory; returns (array, events, hits).

    The log says which hits were left out.

    lateral : (`Lateral`, its name) for the array; None: the Telescope Array's
    front : for the array
    counts_per_vem : of all stations, for DST files without bank rufptn
    """
    notes: Counter = Counter()
    options = ta_dst.Options(windows, counts_per_vem)
    found, finish = _parts(paths, kind, stations, options, notes)
    with event_file(to, {}, paths) as file:
        with progress("convert") as advance:
            for part in found:
                file.append(part)
                advance(part.n_events)
        array, index_of = finish()
        array = replace(array, front=front)
        if lateral:
            array = replace(array, lateral=lateral[0], lateral_name=lateral[1])
        if not file.n_events:
            file.append(assemble([], array))
        file.finish(array, index_of)
        for reason, number in sorted(notes.items()):
            if number:
                _log.warning(f"convert: not used: {number:,} {reason}")
        return array, file.n_events, file.n_hits

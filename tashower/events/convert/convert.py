"""Any known format to an event file, told from the content."""

from pathlib import Path

import numpy as np

from tashower.errors import InputError
from tashower.events.array import Array, Detector, array_from_positions
from tashower.events.convert import ta_dnn, ta_dst, ta_text
from tashower.events.convert.assemble import Record, assemble
from tashower.events.convert.dst import BLOCK, open_packed
from tashower.events.convert.json_events import (
    HISPARC_DETECTOR,
    east_north_up,
    is_hisparc,
    read_auger,
    read_hisparc,
    read_json,
)
from tashower.events.convert.tables import read_stations, read_tables
from tashower.events.model import Events, concatenate_events

#: Formats by name, and what they are.
FORMATS = {
    "tables": "plain tables: a YAML header, or stations and hits as two CSV or Parquet files",
    "ta_dst": "Telescope Array DST (rusdraw, with rusdmc, rufptn, bsdinfo where present), plain, gzip or bzip2",
    "ta_text": "Telescope Array text dump",
    "ta_dnn": "HDF5 files of dense tiles, as the parser of the Telescope Array's networks writes them",
    "hisparc": "HiSPARC coincidences, one JSON file each",
    "auger": "open data of the Pierre Auger Observatory, one JSON file an event",
}

#: Area of a water-Cherenkov station of Auger, 1.8 m in radius [m^2].
AUGER_AREA = 10.18


def tell_format(paths) -> str:
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


def _listed_array(stations, detector: Detector | None = None) -> Array:
    """The array of a table of stations."""
    station_id, position = read_stations(stations)
    position = position - [0.0, 0.0, position[:, 2].mean()]
    try:
        if station_id.min() > 100 and station_id.max() <= 9999 and (station_id % 100).all() and detector is None:
            return ta_dst.telescope_array(station_id, position)
        return array_from_positions(station_id, position, detector)
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
        raise InputError(f"{paths[0]}: {error}" if str(paths[0]) not in str(error) else str(error)) from None


def convert(paths, kind: str | None = None, stations=None) -> Events:
    """Events of files of one format on one array.

    Parameters
    ----------
    paths : files; of tables a header, or two tables: stations and hits
    kind : key of FORMATS; None: told from the content
    stations : table of all stations (station, x_m, y_m, z_m) for formats that do not hold them; None: positions from the files, and
        nominal ones where they have none

    Raises
    ------
    InputError : names file, event and field.
    """
    kind = kind or tell_format(paths)
    if kind not in FORMATS:
        raise InputError(f"unknown format {kind!r}; known: {', '.join(FORMATS)}")
    if kind == "tables":
        if len(paths) == 1 and Path(paths[0]).suffix in (".yaml", ".yml"):
            array, records = read_tables(paths[0])
        elif len(paths) == 2:
            array, records = read_tables(None, Path(paths[0]), Path(paths[1]))
        else:
            raise InputError("plain tables are one YAML header, or two tables: stations and hits")
        return assemble(records, array)
    if kind in ("hisparc", "auger"):
        return _convert_json(paths, kind)
    if kind == "ta_dnn":
        parts = [assemble(records, array) for array, records in map(ta_dnn.read_events_of, paths)]
        if any(not np.array_equal(part.array.position, parts[0].array.position) for part in parts):
            raise InputError(f"{paths[0]}: the files hold tiles of different stations; convert them one by one")
        return concatenate_events(parts)
    records: list[Record] = []
    if kind == "ta_dst":
        named: dict[int, tuple | None] = {}
        for path in paths:
            records += ta_dst.read_records(path, named)
        return assemble(records, _listed_array(stations) if stations else ta_dst.array_of(named))
    positions: dict[int, tuple] = {}
    for path in paths:
        found, seen = ta_text.read_records(path)
        records += found
        positions |= seen
    if stations:
        return assemble(records, _listed_array(stations))
    numbers = sorted(positions)
    position = np.array([positions[s] for s in numbers]).reshape(-1, 3)
    if len(position):
        position = position - [0.0, 0.0, position[:, 2].mean()]
    return assemble(records, ta_dst.telescope_array(np.array(numbers, int), position))

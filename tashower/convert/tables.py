"""Plain tables of anyone's array: stations.csv, hits.csv, optional waveforms.npy, and a small YAML
header.

docs/new_data.md is the tutorial. CSV or Parquet, told by the ending; columns in any order, others
are left alone.
"""

import logging
from os import PathLike
from pathlib import Path

import numpy as np
import yaml

from tashower.convert.assemble import Record
from tashower.convert.times import read_times, since_first
from tashower.convert.waveforms import Waveforms, measured_noise, read_waveforms
from tashower.errors import InputError
from tashower.events.array import Array, Detector, array_from_positions
from tashower.io.station_table import Stations, read_stations, station_numbers
from tashower.io.table_file import (
    Table,
    labels,
    numbers,
    read_table,
    read_text,
    refuse,
    short,
    truths,
    wholes,
)

_LOG = logging.getLogger(__name__)
#: Header keys: default, and what they say.
HEADER = {
    "stations": ("stations.csv", "stations: station, x_m, y_m; z_m, working (0 or 1) where known"),
    "hits": (
        "hits.csv",
        "hits: event, station, time_ns, signal_vem (or signal_upper_vem, signal_lower_vem); "
        "gps_second, saturated, rejected, true_... where known",
    ),
    "waveforms": (
        None,
        "waveforms.npy: (hits, bins) or (hits, bins, layers) counts, in the order of the hits",
    ),
    "out_of_service": (None, "stations out of service: event, station"),
    "area_m2": (3.0, "sensitive area of a station"),
    "layers": (1, "layers read out separately"),
    "bin_width_ns": (20.0, "width of a waveform bin"),
    "pedestal": (None, "counts per bin without a signal, where the hits have no such column"),
    "counts_per_vem": (None, "integrated counts per VEM, where the hits have no such column"),
    "noise_counts": (None, "noise of a bin [counts rms]; left out: measured in the waveforms"),
    "saturation_counts": (None, "counts in a bin where the linear range ends"),
    "saturation_vem": (None, "the same, VEM in 20 ns"),
    "pedestal_rms": (None, "rms that edge_sigma counts in [counts]; left out: noise_counts"),
    "edge_sigma": (5.0, "leading edge: this many times pedestal_rms above the pedestal"),
    "edge_bins": (4, "in this many consecutive bins"),
}
#: No shower has this energy [EeV]: one that has was stated in another unit.
LARGEST_ENERGY = 1e5
#: Signals [VEM] at or below this are no measurement but a sign that there is none; noise makes
#: smaller negative ones. Choice.
NO_SIGNAL = -1.0
#: No file system takes longer names of files [bytes].
LONGEST_NAME = 255
_FILES = ("stations", "hits", "waveforms", "out_of_service")
_POSITIVE = (
    "area_m2",
    "bin_width_ns",
    "counts_per_vem",
    "noise_counts",
    "saturation_counts",
    "saturation_vem",
    "pedestal_rms",
    "edge_sigma",
)
#: True values that a table of hits may hold, the same in all hits of an event: field of Truth, unit
#: in our units.
TRUTH = {
    "true_energy_eev": ("energy", 1.0),
    "true_zenith_deg": ("zenith", np.pi / 180),
    "true_azimuth_deg": ("azimuth", np.pi / 180),
    "true_core_x_m": ("core_x", 1.0),
    "true_core_y_m": ("core_y", 1.0),
    "true_mass_number": ("mass_number", 1),
    "true_xmax_g_cm2": ("xmax", 1.0),
}


def read_header(path: str | PathLike) -> dict:
    """The YAML header with its defaults; file names relative to its folder.

    Raises
    ------
    InputError : no such file, not YAML, an unknown key, a value of the wrong type.
    """
    path = Path(path)
    try:
        given = yaml.safe_load(read_text(path))
        given = {} if given is None else given
    except (yaml.YAMLError, ValueError, RecursionError, OverflowError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: not YAML ({str(error).splitlines()[0]})") from None
    if not isinstance(given, dict):
        raise InputError(f"{path}: not a list of keys and values")
    for key, value in given.items():
        if key not in HEADER:
            raise InputError(f"{path}: unknown key {short(key)}; known: {', '.join(HEADER)}")
        text = key in _FILES
        if not isinstance(value, str if text else (int, float)) or isinstance(value, bool):
            raise InputError(
                f"{path}: {key}: {short(value)} is not {'a file name' if text else 'a number'}"
            )
    header = {key: given.get(key, default) for key, (default, _) in HEADER.items()}
    for key in _POSITIVE:
        if header[key] is not None and not 0 < header[key] < 1e9:
            raise InputError(f"{path}: {key}: {short(header[key])} is not a positive number")
    if header["pedestal"] is not None and not -1e9 < header["pedestal"] < 1e9:
        raise InputError(f"{path}: pedestal: {short(header['pedestal'])} is not a number of counts")
    if header["layers"] not in (1, 2):
        raise InputError(f"{path}: layers: {short(header['layers'])} (1 or 2)")
    if header["edge_bins"] not in range(1, 1001):
        raise InputError(f"{path}: edge_bins: {short(header['edge_bins'])} (1 to 1000)")
    for key in _FILES:
        if header[key] is not None:
            if len(header[key].encode()) > LONGEST_NAME:
                raise InputError(
                    f"{path}: {key}: {short(header[key])}: longer than the name of any file"
                )
            if Path(header[key]).name != header[key] or header[key] == "..":
                raise InputError(
                    f"{path}: {key}: {short(header[key])}: files lie beside the header: a name "
                    "without a folder"
                )
            header[key] = path.parent / header[key]
    return header


def _signals(table: Table, layers: int) -> np.ndarray:
    """(n, layers) signals: a column for each layer, or one for all."""
    names = ["signal_vem"]
    if layers == 2 and "signal_upper_vem" in table.columns:
        names = [f"signal_{name}_vem" for name in ("upper", "lower")]
    columns = [numbers(table, name) for name in names]
    for name, column in zip(names, columns, strict=True):
        if (column <= NO_SIGNAL).any():
            first = int((column <= NO_SIGNAL).argmax())
            refuse(
                table,
                name,
                first,
                "is no signal: leave the hit out, mark it in a column `rejected`, or list its "
                "station as out of service",
            )
    return (
        np.repeat(columns[0][:, None], layers, axis=1)
        if len(columns) == 1
        else np.stack(columns, axis=1)
    )


def _per_hit(table: Table, name: str, header) -> np.ndarray:
    """(n, layers) of a quantity from its column, or from the header."""
    layers = int(header["layers"])
    if name in table.columns:
        return np.repeat(numbers(table, name)[:, None], layers, axis=1)
    if header[name] is None:
        raise InputError(
            f"{table.path}: waveforms need {name}: a column here, or a key of the header"
        )
    return np.full((len(table), layers), float(header[name]))


def _detector(header, waveforms: Waveforms | None) -> Detector:
    """The detector that the header describes; noise that it does not state is measured."""
    shape = (float(header["area_m2"]), int(header["layers"]), float(header["bin_width_ns"]))
    if waveforms is None:
        return Detector(*shape, 1)
    noise = header["noise_counts"]
    if noise is None:
        noise = measured_noise(waveforms)
        _LOG.warning(
            "%s: noise_counts is not stated: %.3g counts rms in the quiet ends of the waveforms",
            waveforms.path,
            noise,
        )
    if header["saturation_counts"] is None and header["saturation_vem"] is None:
        _LOG.warning(
            "%s: neither saturation_counts nor saturation_vem is stated: only a column `saturated` "
            "says which hits are",
            waveforms.path,
        )
    return Detector(
        *shape,
        waveforms.counts.shape[1],
        noise_counts=float(noise),
        saturation_counts=float(header["saturation_counts"] or np.inf),
        saturation_vem=float(header["saturation_vem"] or np.inf),
        edge_sigma=float(header["edge_sigma"]),
        edge_bins=int(header["edge_bins"]),
        pedestal_rms=float(noise if header["pedestal_rms"] is None else header["pedestal_rms"]),
    )


def _hit_numbers(table: Table, stations: Stations, event: np.ndarray) -> np.ndarray:
    """(n,) numbers of the stations that a table of hits, or one of event and station, names."""
    number = station_numbers(table) if stations.name is None else None
    if number is not None:
        return number
    names = stations.number.astype(str) if stations.name is None else stations.name
    index = dict(zip(names.tolist(), stations.number.tolist(), strict=True))
    words = labels(table, "station")
    for row, word in enumerate(words.tolist()):
        if word not in index:
            raise InputError(
                f"{table.path}: event {event[row]}: station {short(word)} is not in the list of "
                "stations"
            )
    return np.array([index[word] for word in words.tolist()], np.int64)


def _truth(table: Table) -> dict[str, np.ndarray]:
    """{field of Truth: (n,)} of the columns true_... of a table of hits."""
    found = {}
    for name, (key, unit) in TRUTH.items():
        if name in table.columns:
            found[key] = numbers(table, name) * unit
    return found


def _truth_of(truth, rows, where: str) -> dict | None:
    """Fields of Truth of one event."""
    result = {}
    for key, column in truth.items():
        value = column[rows[0]]
        if not (column[rows] == value).all():
            if np.isnan(column[rows]).all():
                continue
            raise InputError(f"{where}: its hits differ in the true {key}")
        allowed = {
            "energy": 0 < value < LARGEST_ENERGY,
            "zenith": 0 <= value <= np.pi / 2,
            "mass_number": value in range(1, 300),
        }
        if not np.isfinite(value) or not allowed.get(key, True):
            raise InputError(f"{where}: true {key} {value:g} cannot be")
        result[key] = value % (2 * np.pi) if key == "azimuth" else value
    return result or None


def _out_of_service(path, stations: Stations) -> dict[int, np.ndarray]:
    """{event: numbers of its stations out of service} of a table of event and station."""
    if path is None:
        return {}
    table = read_table(path)
    event = wholes(table, "event")
    number = _hit_numbers(table, stations, event)
    unknown = ~np.isin(number, stations.number)
    if unknown.any():
        row = int(unknown.argmax())
        raise InputError(
            f"{path}: event {event[row]}: station {number[row]} is not in the list of stations"
        )
    return {int(e): number[event == e] for e in np.unique(event)}


def read_tables(
    header_path: str | PathLike | None = None,
    stations: str | PathLike | None = None,
    hits: str | PathLike | None = None,
) -> tuple[Array, list[Record], float]:
    """(array, records, mean altitude of the stations [m], which is subtracted) of plain tables, by
    their header or by the two tables with the header's defaults.
    """
    if header_path is not None:
        header = read_header(header_path)
    else:
        header = {key: default for key, (default, _) in HEADER.items()} | {
            "stations": stations,
            "hits": hits,
        }
    path = header["hits"]
    listed = read_stations(header["stations"])
    table = read_table(path)
    if not len(table):
        raise InputError(f"{path}: names its columns, but holds no hits")
    event = wholes(table, "event")
    station = _hit_numbers(table, listed, event)
    instants, layers = read_times(table, event), int(header["layers"])
    n, waveforms, columns = len(event), None, {}
    if header["waveforms"] is not None:
        waveforms = read_waveforms(header["waveforms"], n, layers)
        columns = {name: _per_hit(table, name, header) for name in ("pedestal", "counts_per_vem")}
        waveforms.check_sign(columns["pedestal"])
        columns["saturated"] = truths(table, "saturated") if "saturated" in table.columns else None
    else:
        columns["signal"] = _signals(table, layers)
        columns["saturated"] = (
            truths(table, "saturated") if "saturated" in table.columns else np.zeros(n, bool)
        )
    if "rejected" in table.columns:
        columns["rejected"] = truths(table, "rejected")
    altitude = float(np.mean(listed.position[:, 2]))
    position = listed.position - [0.0, 0.0, altitude if np.isfinite(altitude) else 0.0]
    try:
        array = array_from_positions(
            listed.number, position, _detector(header, waveforms), listed.name
        )
    except InputError as error:
        raise InputError(f"{header['stations']}: {error}") from None
    dead, truth = _out_of_service(header["out_of_service"], listed), _truth(table)
    always = listed.number[listed.out_of_service]
    order = np.argsort(event, kind="stable")
    _, begin = np.unique(event[order], return_index=True)
    records = []
    for rows in np.split(order, begin[1:]):
        number = int(event[rows[0]])
        where = f"{path}: event {number}"
        out = np.union1d(always, dead.get(number, always[:0]))
        both = np.isin(station[rows], out)
        if "rejected" in columns:
            both &= ~columns["rejected"][rows]
        if both.any():
            called = table.columns["station"][rows[both][0]]
            raise InputError(f"{where}: station {called} has a hit, but is out of service")
        records.append(
            Record(
                where,
                number,
                station[rows],
                since_first(instants, rows),
                waveform=None if waveforms is None else waveforms.of(rows),
                dead=out,
                truth=_truth_of(truth, rows, where),
                **{
                    name: None if column is None else column[rows]
                    for name, column in columns.items()
                },
            )
        )
    return array, records, altitude

"""Plain tables of anyone's array: stations.csv, hits.csv, optional waveforms.npy, and a small YAML
header.

docs/new_data.md is the tutorial. CSV or Parquet, told by the ending; columns in any order, others
are left alone.
"""

import csv
from pathlib import Path

import numpy as np
import yaml

from tashower.convert.assemble import Record
from tashower.errors import InputError
from tashower.events.array import Array, Detector, array_from_positions
from tashower.types import FilePath

#: Header keys: default, and what they say.
HEADER = {
    "stations": ("stations.csv", "table of stations: station, x_m, y_m, z_m (optional)"),
    "hits": (
        "hits.csv",
        "table of hits: event, station, time_ns, signal_vem (or signal_upper_vem, signal_lower_vem), saturated",
    ),
    "waveforms": (
        None,
        "waveforms.npy: (hits, bins) or (hits, bins, layers) counts, in the order of the table of hits",
    ),
    "area_m2": (3.0, "sensitive area of a station"),
    "layers": (1, "layers read out separately"),
    "bin_width_ns": (20.0, "width of a waveform bin"),
    "pedestal": (
        0.0,
        "counts per bin without a signal, when the table of hits has no column of that name",
    ),
    "counts_per_vem": (
        None,
        "integrated counts per VEM, when the table of hits has no column of that name",
    ),
}


def read_table(path: FilePath) -> dict[str, np.ndarray]:
    """Columns of a CSV file with a header line, or of a Parquet file, as text or numbers.

    Raises
    ------
    InputError : no such file, no header, a line with too few or too many entries.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if path.suffix == ".parquet":
        try:
            import pyarrow.parquet
        except ImportError:
            raise InputError(
                f"{path}: reading Parquet needs pyarrow (pip install pyarrow)"
            ) from None
        try:
            table = pyarrow.parquet.read_table(path)
            return {name: table[name].to_numpy() for name in table.column_names}
        except (pyarrow.ArrowException, OSError) as error:
            raise InputError(f"{path}: not a Parquet file ({str(error).splitlines()[0]})") from None
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.reader(file)
            names = [name.strip() for name in next(rows, [])]
            if not names or any(not name for name in names) or len(set(names)) < len(names):
                raise InputError(f"{path}: the first line does not name the columns")
            columns: list[list[str]] = [[] for _ in names]
            for line, row in enumerate(rows, 2):
                if not row:
                    continue
                if len(row) != len(names):
                    raise InputError(
                        f"{path}, line {line}: {len(row)} entries, where the header names {len(names)}"
                    )
                for column, value in zip(columns, row, strict=True):
                    column.append(value)
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a table ({error})") from None
    return {
        name: np.array(column, dtype=object) for name, column in zip(names, columns, strict=True)
    }


def _short(value) -> str:
    """A value of a file for a message: on one line, and not longer than a word or two."""
    text = repr(value)
    return text if len(text) <= 24 else f"{text[:20]}...{text[0]}"


def numbers(table: dict, name: str, path: FilePath, kind: type = float) -> np.ndarray:
    """A column as numbers.

    Raises
    ------
    InputError : names file, line and column: no such column, or an entry that is no number.
    """
    if name not in table:
        raise InputError(
            f"{path}: has no column {name!r}; it has {', '.join(_short(n) for n in list(table)[:12])}"
        )
    column = table[name]
    try:
        if kind is int:
            return np.array([int(x) for x in column], np.int64)
        return np.array([float(x) for x in column], float)
    except (ValueError, TypeError, OverflowError):
        for line, value in enumerate(column, 2):
            try:
                kind(value)
                if kind is int:
                    np.int64(int(value))
            except (ValueError, TypeError, OverflowError):
                raise InputError(
                    f"{path}, line {line}: {name} = {_short(value)} is not a number"
                ) from None
        raise


def read_stations(path: FilePath) -> tuple[np.ndarray, np.ndarray]:
    """(numbers, positions (n, 3) [m]) of a table of stations."""
    table = read_table(path)
    station = numbers(table, "station", path, int)
    z = numbers(table, "z_m", path) if "z_m" in table else np.zeros(len(station))
    position = np.column_stack([numbers(table, "x_m", path), numbers(table, "y_m", path), z])
    if not len(station):
        raise InputError(f"{path}: no stations")
    if np.abs(station).max() >= 2**31:
        raise InputError(f"{path}: station numbers are at most {2**31 - 1}")
    return station, position


def read_header(path: FilePath) -> dict:
    """The YAML header with its defaults; file names relative to its folder.

    Raises
    ------
    InputError : no such file, not YAML, an unknown key, a value of the wrong type.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        given = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: not YAML ({str(error).splitlines()[0]})") from None
    if not isinstance(given, dict):
        raise InputError(f"{path}: not a list of keys and values")
    for key, value in given.items():
        if key not in HEADER:
            raise InputError(f"{path}: unknown key {_short(key)}; known: {', '.join(HEADER)}")
        text = key in ("stations", "hits", "waveforms")
        if not isinstance(value, str if text else (int, float)) or isinstance(value, bool):
            raise InputError(
                f"{path}: {key}: {_short(value)} is not {'a file name' if text else 'a number'}"
            )
    header = {key: given.get(key, default) for key, (default, _) in HEADER.items()}
    for key in ("area_m2", "bin_width_ns"):
        if not 0 < header[key] < 1e9:
            raise InputError(f"{path}: {key}: {header[key]} is not a positive number")
    if header["layers"] not in (1, 2):
        raise InputError(f"{path}: layers: {header['layers']} (1 or 2)")
    for key in ("stations", "hits", "waveforms"):
        if header[key] is not None:
            if Path(header[key]).name != header[key] or header[key] == "..":
                raise InputError(
                    f"{path}: {key}: {_short(header[key])}: files lie beside the header: a name without a folder"
                )
            header[key] = path.parent / header[key]
    return header


def _signals(table, layers: int, path) -> np.ndarray:
    """(n, layers) signals: a column for each layer, or one for all."""
    if layers == 2 and "signal_upper_vem" in table:
        return np.column_stack(
            [numbers(table, f"signal_{name}_vem", path) for name in ("upper", "lower")]
        )
    return np.repeat(numbers(table, "signal_vem", path)[:, None], layers, axis=1)


def _per_hit(table, name: str, header, n: int, path) -> np.ndarray:
    """(n, layers) of a quantity from its column, or from the header."""
    layers = int(header["layers"])
    if name in table:
        return np.repeat(numbers(table, name, path)[:, None], layers, axis=1)
    if header[name] is None:
        raise InputError(f"{path}: waveforms need {name}: a column here, or a key of the header")
    return np.full((n, layers), float(header[name]))


def _read_waveforms(path, n: int, layers: int) -> np.ndarray:
    try:
        waveform = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (ValueError, OSError, EOFError) as error:
        raise InputError(f"{path}: not an array of numpy ({str(error).splitlines()[0]})") from None
    if waveform.ndim == 2 and layers == 1:
        waveform = waveform[:, :, None]
    if (
        waveform.ndim != 3
        or waveform.shape[0] != n
        or waveform.shape[2] != layers
        or waveform.dtype.kind not in "uif"
    ):
        raise InputError(
            f"{path}: shape {waveform.shape}, where ({n}, bins, {layers}) numbers are needed"
        )
    if waveform.size and not (waveform.min() >= 0 and waveform.max() <= 65535):
        raise InputError(f"{path}: counts outside of 0 to 65535, or not numbers")
    return waveform


def read_tables(
    header_path: FilePath | None = None,
    stations: FilePath | None = None,
    hits: FilePath | None = None,
) -> tuple[Array, list[Record]]:
    """(array, records) of plain tables, by their header or by the two tables with the header's
    defaults.
    """
    if header_path is not None:
        header = read_header(header_path)
    else:
        header = {key: default for key, (default, _) in HEADER.items()} | {
            "stations": stations,
            "hits": hits,
        }
    path = header["hits"]
    station_id, position = read_stations(header["stations"])
    table = read_table(path)
    event, station = numbers(table, "event", path, int), numbers(table, "station", path, int)
    time, layers = numbers(table, "time_ns", path), int(header["layers"])
    n, waveform = len(event), None
    columns = {}
    if header["waveforms"] is not None:
        waveform = _read_waveforms(header["waveforms"], n, layers)
        columns = {
            name: _per_hit(table, name, header, n, path) for name in ("pedestal", "counts_per_vem")
        }
    else:
        columns["signal"] = _signals(table, layers, path)
        columns["saturated"] = (
            numbers(table, "saturated", path) > 0 if "saturated" in table else np.zeros(n, bool)
        )
    detector = Detector(
        float(header["area_m2"]),
        layers,
        float(header["bin_width_ns"]),
        waveform.shape[1] if waveform is not None else 1,
    )
    try:
        array = array_from_positions(station_id, position, detector)
    except InputError as error:
        raise InputError(f"{header['stations']}: {error}") from None
    order = np.argsort(event, kind="stable")
    _, begin = np.unique(event[order], return_index=True)
    records = []
    for rows in np.split(order, begin[1:]) if n else []:
        number = int(event[rows[0]])
        reference = np.nanmin(time[rows]) if np.isfinite(time[rows]).any() else 0.0
        records.append(
            Record(
                f"{path}: event {number}",
                number,
                station[rows],
                time[rows] - reference,
                waveform=None if waveform is None else np.asarray(waveform[rows]),
                **{name: column[rows] for name, column in columns.items()},
            )
        )
    return array, records

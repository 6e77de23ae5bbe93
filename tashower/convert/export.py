"""Files for others: events in formats of the Telescope Array, results as tables.

The ending of the name says what is written.
"""

import csv
from collections.abc import Callable
from os import PathLike
from pathlib import Path

import numpy as np

from tashower.convert.ta_export import write_dst
from tashower.convert.ta_text_export import write_text
from tashower.errors import InputError
from tashower.events.model import FLAGS, PARAMETERS, Reconstruction
from tashower.io.atomic import written_aside
from tashower.io.event_file import read_events
from tashower.io.hdf5 import read_attributes
from tashower.io.paths import check_paths, require_file
from tashower.io.reconstruction_file import read_reconstruction

#: Format by the ending of the name; .gz and .bz2 behind the first two pack the file.
ENDINGS = {
    ".dst": "ta_dst",
    ".txt": "ta_text",
    ".csv": "table",
    ".parquet": "table",
    ".fits": "table",
}
#: Columns of a table of results: name, name of its error, field of Reconstruction, unit in ours.
_COLUMNS = (
    ("energy_eev", "energy_error_eev", "energy", 1.0),
    ("zenith_deg", "zenith_error_deg", "zenith", np.pi / 180),
    ("azimuth_deg", "azimuth_error_deg", "azimuth", np.pi / 180),
    ("core_x_m", "core_x_error_m", "core_x", 1.0),
    ("core_y_m", "core_y_error_m", "core_y", 1.0),
    ("size_vem_m2", "size_error_vem_m2", "s_ref", 1.0),
    ("t0_ns", "t0_error_ns", "t0", 1.0),
    ("curvature_ns", "curvature_error_ns", "curvature", 1.0),
)
#: Columns that are there where a method says something of them.
_OF_MASS = (("xmax_g_cm2", "xmax_error_g_cm2", "xmax"), ("ln_a", "ln_a_error", "ln_a"))


def format_of(to: str | PathLike, kind: str | None = None) -> str:
    """Format of a file to write, by its ending; kind : the one that was asked for.

    Raises
    ------
    InputError : an unknown ending, or one of another format than asked for.
    """
    endings = [ending.lower() for ending in Path(to).suffixes]
    if endings and endings[-1] in (".gz", ".bz2"):
        packed = endings.pop()
        if endings and ENDINGS.get(endings[-1]) == "table":
            raise InputError(f"{to}: tables are not packed: leave out {packed}")
    found = ENDINGS.get(endings[-1]) if endings else None
    if found is None:
        raise InputError(
            f"{to}: the ending says what is written: {', '.join(ENDINGS)} (.dst and .txt also .gz, "
            ".bz2)"
        )
    if kind not in (None, found):
        raise InputError(f"{to}: the ending is that of format {found}, not {kind}")
    return found


def export_file(
    source: str | PathLike, to: str | PathLike, kind: str | None, find_pulses: Callable
) -> str:
    """Write an event file as DST or text dump, or a reconstruction file as a table; returns what
    was written, in words.

    Raises
    ------
    InputError : an ending or an array that the format does not know, waveforms that are no counts.
    """
    kind = format_of(to, kind)
    source = require_file(source)
    check_paths([source], [to])
    found = read_attributes(source)["format"]
    wanted = "tashower reconstruction" if kind == "table" else "tashower events"
    if found != wanted:
        raise InputError(f"{source}: holds {found!r}, where {to} is made of '{wanted}'")
    if kind == "table":
        tables, _, _ = read_reconstruction(source)
        columns = result_columns(tables)
        write_table(to, columns)
        return f"{len(columns['event'])} rows of {', '.join(tables)}"
    events = read_events(source)
    if events.waveform is not None and events.waveform.dtype.kind == "f":
        raise InputError(
            f"{source}: its waveforms are no whole counts, which files of the Telescope Array hold"
        )
    write = write_text if kind == "ta_text" else write_dst
    write(to, events, find_pulses(events))
    return f"{events.n_events} events"


def result_columns(tables: dict[str, Reconstruction]) -> dict[str, np.ndarray]:
    """{column: (rows,)} with a row for every event and method, events in their order.

    Errors are one standard deviation. `opening_angle_error_deg` is that of the direction in space,
    sqrt(s_zenith^2 + sin^2(zenith) s_azimuth^2). `energy_error_eev`: of the measurement and of how
    showers with the same size and zenith differ. NaN: no result, or not known. `flags` names the
    cuts that the event fails, divided by blanks; empty: none. Columns of Xmax and ln A are there
    where a method says something of them.
    """
    parts: dict[str, list] = {}
    with_mass = _OF_MASS if any(table.says_mass for table in tables.values()) else ()

    def put(name, column):
        parts.setdefault(name, []).append(np.asarray(column))

    for method, table in tables.items():
        n = len(table.event_id)
        put("event", table.event_id.astype(np.int64))
        put("position", np.arange(n))
        put("method", np.full(n, method, dtype=object))
        error = {
            name: np.sqrt(
                np.where(table.covariance[:, i, i] >= 0, table.covariance[:, i, i], np.nan)
            )
            for i, name in enumerate(PARAMETERS)
        }
        error["energy"] = table.energy_error
        for name, error_name, key, unit in _COLUMNS:
            put(name, getattr(table, key) / unit)
            put(error_name, error[key] / unit)
        put(
            "opening_angle_error_deg",
            np.degrees(np.hypot(error["zenith"], np.sin(table.zenith) * error["azimuth"])),
        )
        for name, error_name, key in with_mass:
            put(name, table.of_mass(key))
            put(error_name, table.of_mass(f"{key}_error"))
        for name in ("chi2", "ndof", "n_stations", "n_excluded"):
            put(name, getattr(table, name))
        put("passes_cuts", table.passes_cuts)
        put(
            "flags",
            np.array(
                [
                    " ".join(name for bit, name in enumerate(FLAGS) if value >> bit & 1)
                    for value in table.flags.tolist()
                ],
                dtype=object,
            ),
        )
    columns = {name: np.concatenate(column) for name, column in parts.items()}
    order = np.argsort(columns.pop("position"), kind="stable")
    return {name: column[order] for name, column in columns.items()}


def write_table(path: str | PathLike, columns: dict[str, np.ndarray]) -> None:
    """Write columns as CSV, Parquet or FITS, as the ending says. NaN is empty in CSV.

    Raises
    ------
    InputError : the package that writes this format is not installed.
    """
    write = {".csv": _write_csv, ".parquet": _write_parquet, ".fits": _write_fits}
    write[Path(path).suffix.lower()](path, columns)


def _write_csv(path, columns) -> None:
    def text(value):
        if isinstance(value, float):
            return "" if np.isnan(value) else repr(value)
        return int(value) if isinstance(value, bool) else value

    with written_aside(path) as aside, aside.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(columns)
        lists = [column.tolist() for column in columns.values()]
        rows.writerows(map(text, row) for row in zip(*lists, strict=True))


def _write_parquet(path, columns) -> None:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise InputError(f"{path}: writing Parquet needs pyarrow (pip install pyarrow)") from None
    table = pyarrow.table({name: pyarrow.array(column) for name, column in columns.items()})
    with written_aside(path) as aside:
        pyarrow.parquet.write_table(table, aside)


def _write_fits(path, columns) -> None:
    try:
        from astropy.io import fits
    except ImportError:
        raise InputError(f"{path}: writing FITS needs astropy (pip install astropy)") from None
    letters = {"i": "K", "u": "K", "f": "D", "b": "L"}
    made = []
    for name, column in columns.items():
        if column.dtype.kind == "O":
            words = np.array([str(value).encode() for value in column.tolist()] or [b""])
            kind, column = f"{max(1, words.dtype.itemsize)}A", words[: len(column)]
        else:
            kind = letters[column.dtype.kind]
        unit = name.rpartition("_")[2]
        unit = {"deg": "deg", "m": "m", "ns": "ns", "eev": "EeV", "cm2": "g/cm2"}.get(unit)
        made.append(fits.Column(name=name, format=kind, array=column, unit=unit))
    with written_aside(path) as aside:
        fits.BinTableHDU.from_columns(made, name="RESULTS").writeto(
            str(aside), overwrite=True, output_verify="exception"
        )

"""HDF5 files of dense tiles, as the public parser of the Telescope Array's networks writes them, to
events.

Per event, n of them: mass_number, energy [EeV], shower_axis (n, 3) to the source, shower_core (n,
3), std_recon_* (core (n, 2)). Per cell of an N x N tile: detector_positions_abs (n, N, N, 3) [m],
detector_positions_id, detector_exists, detector_good, arrival_times [ns, with 1200 m over the speed
of light taken as 4000 ns], total_signals [VEM], time_traces (n, N, N, T) [VEM per bin, with the
pedestal] of the mean of the layers, or each of the three with _up and _low. shower_core and
std_recon_shower_core are relative to the tile's centre in units of half a tile (x, y) and 30 m (z).
Zero means that there is no signal. Each array may be a group: nz_data, where they stand (nz_idxs,
or ic_info, ic_idxs, ic_data: first index and the steps that are not 1) and shape.

The parser's layout without tiles is read by `ta_dnn_lists`.
"""

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from tashower.convert.assemble import Record
from tashower.convert.ta_standard import TIME_UNIT, UNIT
from tashower.convert.ta_vem import counts_of, window_begin
from tashower.errors import InputError
from tashower.events.array import Array, Detector, array_from_positions
from tashower.io.foreign_hdf5 import (
    MOST_COMPRESSION,
    check_readable,
    items_of,
    numbers_of,
    open_to_read,
    wholes_of,
)
from tashower.types import FilePath

BIN_WIDTH = 20.0
#: What the parser takes 1200 m over the speed of light for [ns].
PARSER_UNIT = 4000.0
#: Unit of z of the shower's core [m].
CORE_HEIGHT = 30.0
_NEEDED = ("detector_positions_abs",)
_CELLS = ("arrival_times", "total_signals", "time_traces")
SHOWER = (
    *("mass_number", "energy", "xmax", "shower_axis", "shower_core"),
    *("std_recon_energy", "std_recon_s800", "std_recon_shower_axis", "std_recon_shower_core"),
)
_KNOWN = (
    *SHOWER,
    *("detector_positions_abs", "detector_positions_id", "detector_exists", "detector_good"),
    *(f"{name}{layer}" for name in _CELLS for layer in ("", "_up", "_low")),
)


def read_arrays(path: FilePath, known: Sequence[str] = _KNOWN) -> dict[str, np.ndarray]:
    """The known datasets of an HDF5 file, and groups that hold one without its zeros.

    Raises
    ------
    InputError : not readable.
    """
    check_readable(path)
    with open_to_read(path) as file:
        items = items_of(file, path)
        kinds = (h5py.Dataset, h5py.Group)
        found = {name: items[name] for name in known if isinstance(items.get(name), kinds)}
        return {
            name: numbers_of(item, path)
            if isinstance(item, h5py.Dataset)
            else _dense(item, name, path)
            for name, item in found.items()
        }


def _dense(group, name: str, path) -> np.ndarray:
    """The array of a group without zeros."""
    items = items_of(group, path)
    parts = {k: numbers_of(v, path) for k, v in items.items() if isinstance(v, h5py.Dataset)}

    def refuse(text):
        raise InputError(f"{path}: {name}: {text}")

    if not {"nz_data", "shape"} <= set(parts):
        refuse("a group without nz_data and shape")
    if not {"nz_idxs"} <= set(parts) and not {"ic_info", "ic_idxs", "ic_data"} <= set(parts):
        refuse("neither nz_idxs nor ic_info, ic_idxs, ic_data")
    data = parts.pop("nz_data").ravel()
    parts = {k: wholes_of(part.ravel(), f"{name}/{k}", path) for k, part in parts.items()}
    shape = parts["shape"].astype(float)
    size = float(np.prod(shape))
    if (shape < 0).any() or not 1 <= len(shape) <= 8:
        refuse("it has no shape")
    if size * data.itemsize > MOST_COMPRESSION * Path(path).stat().st_size:
        raise InputError(f"{path}: claims to hold more than {MOST_COMPRESSION} times its own size")
    if "nz_idxs" in parts:
        index = parts["nz_idxs"]
    else:
        place, step, info = (parts[f"ic_{k}"] for k in ("idxs", "data", "info"))
        if len(info) != 2 or info[0] != len(data) or len(step) != len(place):
            refuse("its indices do not fit together")
        if len(place) and not (place.min() >= 0 and place.max() < len(data)):
            refuse("its indices do not fit together")
        steps = np.ones(len(data), np.int64)
        steps[place] = step
        steps[:1] = info[1]
        index = np.cumsum(steps)
    if len(index) != len(data) or (len(index) and not (index.min() >= 0 and index.max() < size)):
        refuse("its indices do not fit its shape")
    array = np.zeros(int(size), data.dtype)
    array[index] = data
    return array.reshape(parts["shape"])


def _layers(columns, name, path) -> np.ndarray | None:
    """(n, N, N, ..., L) upper layer first, or the mean of the layers alone; None where the file has
    neither.
    """
    both = [columns.get(f"{name}{layer}") for layer in ("_up", "_low")]
    if all(column is not None for column in both):
        if both[0].shape != both[1].shape:
            raise InputError(f"{path}: {name}_up and {name}_low differ in shape")
        return np.stack(both, axis=-1)
    return None if columns.get(name) is None else columns[name][..., None]


def _check(columns, path) -> tuple[int, int]:
    """(events, cells along a side); everything has the shape and the kind of number that it should
    have.
    """
    for name in _NEEDED:
        if name not in columns:
            raise InputError(f"{path}: {name} is missing")
    shape = columns["detector_positions_abs"].shape
    if len(shape) != 4 or shape[1] != shape[2] or shape[3] != 3 or shape[1] == 0:
        raise InputError(
            f"{path}: detector_positions_abs has shape {shape}, (events, N, N, 3) needed"
        )
    n, side = shape[:2]
    for name, column in columns.items():
        vector = name in (
            "shower_axis",
            "shower_core",
            "std_recon_shower_axis",
            "std_recon_shower_core",
        )
        cells = name.startswith(("detector_", *_CELLS))
        wanted = (n, side, side) if cells else (n, 3) if vector else (n,)
        if name == "std_recon_shower_core" and column.shape == (n, 2):
            continue
        if column.shape[: len(wanted)] != wanted or (not cells and column.shape != wanted):
            raise InputError(f"{path}: {name} has shape {column.shape}, {wanted} needed")
    return n, side


def _core(columns, name, i, side) -> np.ndarray:
    """Core (x, y) [m] from what is stored relative to the tile of event i; the tile's own positions
    say how.
    """
    middle = (side - 1) // 2
    centre = columns["detector_positions_abs"][i, middle, middle, :2]
    return centre + columns[name][i, :2] * max(middle, 1) * UNIT


def direction_of(axis: np.ndarray) -> tuple[float, float]:
    """Zenith and azimuth [rad] of a vector to the source; NaN where it has no length."""
    length = np.linalg.norm(axis)
    if not (np.isfinite(length) and length > 0):
        return np.nan, np.nan
    return float(np.arccos(np.clip(axis[2] / length, -1, 1))), float(
        np.arctan2(axis[1], axis[0]) % (2 * np.pi)
    )


def _truth(columns, i, side) -> dict | None:
    if (
        not {"energy", "mass_number", "shower_axis", "shower_core"} <= set(columns)
        or not columns["energy"][i] > 0
    ):
        return None
    zenith, azimuth = direction_of(columns["shower_axis"][i])
    core = _core(columns, "shower_core", i, side)
    xmax = float(columns["xmax"][i]) if "xmax" in columns else np.nan
    return {
        "energy": float(columns["energy"][i]),
        "mass_number": columns["mass_number"][i],
        "zenith": zenith,
        "azimuth": azimuth,
        "core_x": float(core[0]),
        "core_y": float(core[1]),
        "xmax": xmax,
    }


def _standard(columns, i, side) -> dict:
    if not {"std_recon_shower_axis", "std_recon_shower_core"} <= set(columns):
        return {}
    zenith, azimuth = direction_of(columns["std_recon_shower_axis"][i])
    core = _core(columns, "std_recon_shower_core", i, side)
    sizes = {
        field: float(columns[f"std_recon_{key}"][i]) if f"std_recon_{key}" in columns else np.nan
        for key, field in (("energy", "energy"), ("s800", "s_ref"))
    }
    return {
        "zenith": zenith,
        "azimuth": azimuth,
        "core_x": float(core[0]),
        "core_y": float(core[1]),
        **sizes,
    }


def read_events_of(path: FilePath) -> tuple[Array, list[Record]]:
    """(array of all stations of all tiles, records). Windows start where the arrival time and the
    begin of the pulse in the trace say.

    Not included: second windows (nfold); trace and arrival time of a station are taken as one
    window.

    Raises
    ------
    InputError : names file and dataset.
    """
    columns = read_arrays(path)
    n, side = _check(columns, path)
    signals, times, traces = (
        _layers(columns, name, path) for name in ("total_signals", "arrival_times", "time_traces")
    )
    if signals is None or times is None:
        raise InputError(f"{path}: total_signals or arrival_times is missing")
    position = columns["detector_positions_abs"].reshape(-1, 3).astype(float)
    exists = columns.get("detector_exists", np.ones((n, side, side))).astype(bool).ravel()
    if not np.isfinite(position[exists]).all():
        raise InputError(f"{path}: detector_positions_abs holds a position that is not finite")
    if "detector_positions_id" in columns:
        named = columns["detector_positions_id"].reshape(len(position), -1)
        if not named.shape[1]:
            raise InputError(f"{path}: detector_positions_id holds no numbers")
        number = np.full(len(position), -1)
        number[exists] = wholes_of(named[exists, 0], "detector_positions_id", path)
    else:
        number = np.full(len(position), -1)
        number[exists] = (
            np.unique(np.rint(position[exists]), axis=0, return_inverse=True)[1].ravel() + 1
        )
    stations, first = np.unique(number[exists], return_index=True)
    places = position[exists][first]
    n_layers, n_bins = signals.shape[-1], 1 if traces is None else traces.shape[3]
    height = places[:, 2].mean() if len(places) else 0.0
    try:
        array = array_from_positions(
            stations, places - [0.0, 0.0, height], Detector(3.0, n_layers, BIN_WIDTH, n_bins)
        )
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    good = columns.get("detector_good", np.ones((n, side, side))).astype(bool).reshape(n, -1)
    exists, number = exists.reshape(n, -1), number.reshape(n, -1)
    records = []
    for i in range(n):
        signal = signals[i].reshape(-1, n_layers)
        time = times[i].reshape(-1, times.shape[-1]).astype(float) * (TIME_UNIT / PARSER_UNIT)
        # The earliest hit of an event has the time 0, and so has a station out of service.
        present = exists[i] & good[i] & (signal.max(axis=1) > 0)
        if "detector_good" not in columns:
            present &= (time != 0).all(axis=1)
        hit = np.flatnonzero(present)
        where = f"{path}: event {i}"
        if not np.isfinite(time[hit]).all():
            raise InputError(f"{where}: arrival_times is not a number")
        more = {"signal": signal[hit].astype(float), "saturated": np.zeros(len(hit), bool)}
        start = time[hit].mean(axis=1)
        if traces is not None:
            vem = traces[i].reshape(-1, n_bins, n_layers)[hit]
            if not np.isfinite(vem).all():
                raise InputError(f"{where}: time_traces is not a number")
            layers = [counts_of(vem[..., k]) for k in range(n_layers)]
            counts, pedestal, per_vem = (
                np.stack([layer[k] for layer in layers], axis=-1) for k in range(3)
            )
            more = {"waveform": counts, "pedestal": pedestal, "counts_per_vem": per_vem}
            start = window_begin(np.broadcast_to(time[hit], pedestal.shape), counts, pedestal)
        records.append(
            Record(
                where,
                i,
                number[i][hit],
                start,
                dead=number[i][exists[i] & ~good[i]],
                truth=_truth(columns, i, side),
                standard=_standard(columns, i, side),
                **more,
            )
        )
    return array, records

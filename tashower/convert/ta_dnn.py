"""HDF5 files of dense tiles, as the public parser of the Telescope Array's networks writes them, to
events.

Per event, n of them: mass_number, energy [EeV], shower_axis (n, 3) to the source, shower_core (n,
    3), std_recon_*. Per cell of an N x N
tile: detector_positions_abs (n, N, N, 3) [m], detector_positions_id, detector_exists,
    detector_good, arrival_times [ns],
total_signals [VEM], time_traces (n, N, N, T) [VEM per bin] of the mean of the layers, or each of
the three with _up and _low. shower_core and std_recon_shower_core are relative to the tile's centre
in units of half a tile (x, y) and 30 m (z). Zero means that there is no signal.
"""

import h5py
import numpy as np

from tashower.convert.assemble import Record
from tashower.convert.ta_dst import UNIT
from tashower.errors import InputError
from tashower.events.array import Array, Detector, array_from_positions
from tashower.io.foreign_hdf5 import check_readable, items_of
from tashower.types import FilePath

BIN_WIDTH = 20.0
#: Counts of our waveforms per VEM, and their pedestal: the traces are VEM, here they become whole
#: numbers again.
COUNTS_PER_VEM, PEDESTAL = 256.0, 512.0
#: Unit of z of the shower's core [m].
CORE_HEIGHT = 30.0
#: A window of the parser begins so many bins before the signal that triggered the station.
BINS_BEFORE = 25
_NEEDED = ("detector_positions_abs",)
_CELLS = ("arrival_times", "total_signals", "time_traces")
_KNOWN = (
    *_NEEDED, "detector_positions_id", "detector_positions", "detector_exists", "detector_good", "mass_number", "energy", "xmax",
    "shower_axis", "shower_core", "std_recon_energy", "std_recon_s800", "std_recon_shower_axis", "std_recon_shower_core",
    *(f"{name}{layer}" for name in _CELLS for layer in ("", "_up", "_low")),
)  # fmt: skip


def read_arrays(path: FilePath) -> dict[str, np.ndarray]:
    """The known datasets of an HDF5 file.

    Raises
    ------
    InputError : not readable.
    """
    check_readable(path)
    with h5py.File(path, "r") as file:
        items = items_of(file, path)
        return {
            name: items[name][()] for name in _KNOWN if isinstance(items.get(name), h5py.Dataset)
        }


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
        if column.dtype.kind not in "fiub":
            raise InputError(f"{path}: {name} does not hold numbers")
        vector = name in (
            "shower_axis",
            "shower_core",
            "std_recon_shower_axis",
            "std_recon_shower_core",
        )
        cells = name.startswith(("detector_", *_CELLS))
        wanted = (n, side, side) if cells else (n, 3) if vector else (n,)
        if column.shape[: len(wanted)] != wanted or (not cells and column.shape != wanted):
            raise InputError(f"{path}: {name} has shape {column.shape}, {wanted} needed")
    return n, side


def _core(columns, name, i, side) -> np.ndarray:
    """Core [m] from what is stored relative to the tile of event i; the tile's own positions say
    how.
    """
    absolute = columns["detector_positions_abs"][i]
    half = np.array([0.5 * (side - 1) * UNIT] * 2 + [CORE_HEIGHT])
    return absolute[side // 2, side // 2] + columns[name][i] * half


def _direction(axis) -> tuple[float, float]:
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
    zenith, azimuth = _direction(columns["shower_axis"][i])
    core = _core(columns, "shower_core", i, side)
    xmax = float(columns["xmax"][i]) if "xmax" in columns else np.nan
    return {
        "energy": float(columns["energy"][i]),
        "mass_number": int(columns["mass_number"][i]),
        "zenith": zenith,
        "azimuth": azimuth,
        "core_x": float(core[0]),
        "core_y": float(core[1]),
        "xmax": xmax,
    }


def _standard(columns, i, side) -> dict:
    if not {"std_recon_shower_axis", "std_recon_shower_core"} <= set(columns):
        return {}
    zenith, azimuth = _direction(columns["std_recon_shower_axis"][i])
    core = _core(columns, "std_recon_shower_core", i, side)
    sizes = {
        key: float(columns[f"std_recon_{key}"][i]) if f"std_recon_{key}" in columns else np.nan
        for key in ("energy", "s800")
    }
    return {
        "zenith": zenith,
        "azimuth": azimuth,
        "core_x": float(core[0]),
        "core_y": float(core[1]),
        **sizes,
    }


def read_events_of(path: FilePath) -> tuple[Array, list[Record]]:
    """(array of all stations of all tiles, records). Windows start where the arrival time and
    `BINS_BEFORE` say.

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
        number = columns["detector_positions_id"].reshape(n * side * side, -1)[:, 0].astype(int)
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
        signal, time = (
            signals[i].reshape(-1, n_layers),
            times[i].reshape(-1, times.shape[-1]).mean(axis=-1),
        )
        hit = np.flatnonzero(exists[i] & (signal.max(axis=1) > 0) & (time != 0))
        where = f"{path}: event {i}"
        more = {"signal": signal[hit].astype(float), "saturated": np.zeros(len(hit), bool)}
        start = time[hit].astype(float)
        if traces is not None:
            vem = traces[i].reshape(-1, n_bins, n_layers)[hit]
            counts = np.rint(vem * COUNTS_PER_VEM + PEDESTAL)
            if not np.isfinite(counts).all():
                raise InputError(f"{where}: time_traces is not a number")
            start -= BINS_BEFORE * BIN_WIDTH
            shape = (len(hit), n_layers)
            more = {
                "waveform": np.clip(counts, 0, 65535).astype(np.uint16),
                "pedestal": np.full(shape, PEDESTAL),
                "counts_per_vem": np.full(shape, COUNTS_PER_VEM),
            }
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

"""HDF5 files of lists of hits, the second layout of the public parser of the Telescope Array's
networks, to events.

Of all events one after the other, lower layer first: arrival_times (h, 2) [1200 m over the speed of
light], pulse_area (h, 2) [VEM], detector_positions (h, 3) [1200 m, CLF frame], status (isgood, 3 or
more), nfold (windows), detector_ids, time_traces (w, 2, 128) [VEM per bin, with the pedestal];
hit_offsets (n + 1), hit_tt_offsets (h + 1) and tt_offsets (n + 1) say where hits and windows begin.
Per event the same as in tiles, with shower_core (n, 3) [cm] and std_recon_shower_core (n, 2)
[1200 m, CLF frame].
"""

import numpy as np

from tashower.convert.assemble import Record
from tashower.convert.ta_banks import N_BINS
from tashower.convert.ta_dnn import SHOWER, direction_of, read_arrays
from tashower.convert.ta_dst import telescope_array
from tashower.convert.ta_standard import TIME_UNIT, UNIT
from tashower.convert.ta_vem import counts_of, window_begin
from tashower.convert.ta_windows import select_hits
from tashower.errors import InputError
from tashower.events.array import Array
from tashower.io.foreign_hdf5 import wholes_of
from tashower.types import FilePath

_HITS = {"arrival_times": (2,), "pulse_area": (2,), "detector_positions": (3,)}
_HITS |= {"status": (), "nfold": (), "detector_ids": ()}
_OFFSETS = ("hit_offsets", "hit_tt_offsets", "tt_offsets")
LISTS = (*SHOWER, *_HITS, *_OFFSETS, "time_traces")


def _check(columns, path) -> None:
    """Refuse shapes, counts and numbers that cannot be."""

    def refuse(bad, text):
        if bad:
            raise InputError(f"{path}: {text}")

    for name in (*_HITS, *_OFFSETS, "time_traces"):
        refuse(name not in columns, f"{name} is missing")
    traces = columns["time_traces"]
    n, h, w = len(columns["hit_offsets"]) - 1, len(columns["detector_ids"]), len(traces)
    shapes = {name: (h, *shape) for name, shape in _HITS.items()}
    shapes |= {"hit_offsets": (n + 1,), "tt_offsets": (n + 1,), "hit_tt_offsets": (h + 1,)}
    shapes |= {"time_traces": (w, 2, N_BINS)}
    for name in SHOWER:
        more = {"shower_axis": (3,), "std_recon_shower_axis": (3,), "shower_core": (3,)}
        more |= {"std_recon_shower_core": (2,)}
        shapes[name] = (n, *more.get(name, ()))
    for name, shape in shapes.items():
        if name in columns:
            found = columns[name].shape
            refuse(n < 0 or found != shape, f"{name} has shape {found}, {shape} needed")
    for name, last in (("hit_offsets", h), ("hit_tt_offsets", w), ("tt_offsets", w)):
        column = columns[name]
        refuse(column.dtype.kind not in "iu", f"{name} does not hold whole numbers")
        grows = (column[1:] >= column[:-1]).all() and column[0] == 0 and column[-1] == last
        refuse(not grows, f"{name} does not lead from 0 to {last}")
    windows = np.diff(columns["hit_tt_offsets"].astype(np.int64))
    refuse((windows < 1).any(), "hit_tt_offsets: a hit without windows")
    for name in ("arrival_times", "pulse_area", "detector_positions", "detector_ids"):
        refuse(not np.isfinite(columns[name]).all(), f"{name} holds a number that is not finite")


def _fields(columns, i: int) -> tuple[dict | None, dict]:
    """Truth and standard reconstruction of event i, where the file has them."""
    truth, standard = None, {}
    known = {"energy", "mass_number", "shower_axis", "shower_core"} <= set(columns)
    if known and columns["energy"][i] > 0:
        zenith, azimuth = direction_of(columns["shower_axis"][i])
        x, y = (float(value) / 100.0 for value in columns["shower_core"][i, :2])
        truth = {"zenith": zenith, "azimuth": azimuth, "core_x": x, "core_y": y}
        truth |= {"energy": float(columns["energy"][i])}
        truth |= {"mass_number": columns["mass_number"][i]}
        truth |= {"xmax": float(columns["xmax"][i])} if "xmax" in columns else {}
    if {"std_recon_shower_axis", "std_recon_shower_core"} <= set(columns):
        zenith, azimuth = direction_of(columns["std_recon_shower_axis"][i])
        x, y = (float(value) * UNIT for value in columns["std_recon_shower_core"][i])
        standard = {"zenith": zenith, "azimuth": azimuth, "core_x": x, "core_y": y}
        for name, field in (("energy", "energy"), ("s800", "s_ref")):
            if f"std_recon_{name}" in columns:
                standard[field] = float(columns[f"std_recon_{name}"][i])
    return truth, standard


def read_lists(path: FilePath) -> tuple[Array, list[Record]]:
    """(array of the stations that have hits, records); of a hit the first window, of a station one
    hit. Windows start where the arrival time and the begin of the pulse in the trace say.

    Not included: stations out of service, further windows.

    Raises
    ------
    InputError : names file and dataset.
    """
    columns = read_arrays(path, LISTS)
    _check(columns, path)
    number = wholes_of(columns["detector_ids"], "detector_ids", path)
    offset = columns["hit_offsets"].astype(np.int64)
    event = np.repeat(np.arange(len(offset) - 1), np.diff(offset))
    window = columns["hit_tt_offsets"].astype(np.int64)[:-1]
    vem = columns["time_traces"][window]
    if not np.isfinite(vem).all():
        raise InputError(f"{path}: time_traces is not a number")
    signal = columns["pulse_area"].mean(axis=1)
    status = wholes_of(columns["status"], "status", path)
    used, _ = select_hits(event, number, status, signal, np.zeros(len(event), bool))
    layers = [counts_of(vem[used, layer]) for layer in (1, 0)]
    counts, pedestal, per_vem = (np.stack([part[k] for part in layers], axis=-1) for k in range(3))
    time = columns["arrival_times"][used][:, ::-1] * TIME_UNIT
    start = window_begin(time, counts, pedestal)
    stations, first = np.unique(number, return_index=True)
    position = columns["detector_positions"][first].astype(float) * UNIT
    height = position[:, 2].mean() if len(position) else 0.0
    try:
        if len(stations) and not (stations.min() >= 101 and stations.max() <= 9999):
            raise InputError("a station whose number is not of the form 100 column + row")
        array = telescope_array(stations, position - [0.0, 0.0, height])
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    records = []
    for i in range(len(offset) - 1):
        rows = slice(*np.searchsorted(event[used], [i, i + 1]))
        truth, standard = _fields(columns, i)
        records.append(
            Record(
                f"{path}: event {i}",
                i,
                number[used][rows],
                start[rows],
                counts[rows],
                pedestal[rows],
                per_vem[rows],
                truth=truth,
                standard=standard,
            )
        )
    return array, records

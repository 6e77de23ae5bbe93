"""Telescope Array DST files to events, and back.

Frame: CLF, x east, y north [m]; the file's directions of travel become directions to the source; its lower layer, which comes first,
becomes layer 1. Of consecutive windows of a station the first is kept, as in the simulation; of groups that do not follow each other,
the one with the most signal.
"""

from collections.abc import Iterator

import numpy as np

from tashower.errors import InputError
from tashower.events.array import Array, Detector, array_from_positions
from tashower.events.convert.assemble import Record
from tashower.events.convert.dst import EVENT_BEGIN, EVENT_END, read_banks, write_banks
from tashower.events.convert.ta_banks import (
    BSDINFO,
    N_BINS,
    RUFPTN,
    RUSDMC,
    RUSDRAW,
    pack_bsdinfo,
    pack_rufptn,
    pack_rusdmc,
    pack_rusdraw,
    unpack_bsdinfo,
    unpack_rufptn,
    unpack_rusdmc,
    unpack_rusdraw,
)
from tashower.events.model import Events, Pulses

#: Unit of lengths in the files [m], and origin of the station numbers in the CLF frame in that unit.
UNIT = 1200.0
ORIGIN = (-12.2435, -16.4406)
#: Nominal rate of the stations' clocks [1/s].
CLOCK = 50_000_000
#: Units of the pulses' times in rufptn [ns]: 1200 m over the speed of light.
TIME_UNIT = 1200.0 / 0.299792458
#: Mass number of CORSIKA's particle numbers.
MASS_NUMBERS = {14: 1, 402: 4, 1407: 14, 5626: 56}
PARTICLES = {mass: number for number, mass in MASS_NUMBERS.items()}
_BIN = 20.0
_SECOND = 1e9
DATE, CLOCK_TIME, USEC = 80511, 120000, 381_966  # of exported events, which have no date


def read_events_banks(path) -> Iterator[dict[int, tuple[int, bytes]]]:
    """{bank number: (version, payload)} of every event; a marker, or a bank that repeats, begins the next one."""
    event: dict[int, tuple[int, bytes]] = {}
    for number, version, payload in read_banks(path):
        if number in (EVENT_BEGIN, EVENT_END) or number in event:
            if event:
                yield event
            event = {}
        if number not in (EVENT_BEGIN, EVENT_END):
            event[number] = (version, payload)
    if event:
        yield event


def _first_windows(raw) -> np.ndarray:
    """Index of the window to keep for each station, in the order of the stations."""
    by_station = np.argsort(raw.xxyy, kind="stable")
    if (np.diff(raw.xxyy[by_station]) > 0).all():
        return by_station
    time = raw.clkcnt / np.maximum(raw.mclkcnt, 1)
    order = np.lexsort((time, raw.xxyy))
    station, ordered = raw.xxyy[order], time[order]
    length = N_BINS * _BIN / _SECOND
    begins = np.concatenate([[True], (np.diff(station) != 0) | (np.diff(ordered) > 1.5 * length)])
    group = np.cumsum(begins) - 1
    signal = raw.window["fadc"].sum(axis=(1, 2))[order] - N_BINS * raw.window["fadc"][:, :, :10].mean(axis=2).sum(axis=1)[order]
    total = np.bincount(group, signal)
    first = np.flatnonzero(begins)
    best: dict[int, int] = {}
    for g, i in enumerate(first):
        s = int(station[i])
        if s not in best or total[g] > total[group[best[s]]]:
            best[s] = i
    return order[sorted(best.values())]


def _record(banks, where: str, number: int, positions: dict) -> Record:
    truth = None
    if RUSDMC in banks:
        mc = unpack_rusdmc(banks[RUSDMC][1], where)
        x, y, _ = np.asarray(mc["corexyz"], float) / 100.0
        truth = {
            "energy": float(mc["energy"]), "zenith": float(mc["theta"]), "azimuth": float((mc["phi"] + np.pi) % (2 * np.pi)),
            "core_x": x, "core_y": y, "mass_number": MASS_NUMBERS.get(int(mc["parttype"]), 0),
        }  # fmt: skip
    dead = unpack_bsdinfo(banks[BSDINFO][1], banks[BSDINFO][0], where) if BSDINFO in banks else np.zeros(0, int)
    if RUSDRAW not in banks:
        raise InputError(f"{where}: no bank rusdraw: no waveforms")
    raw = unpack_rusdraw(banks[RUSDRAW][1], where)
    for station in (*raw.xxyy.tolist(), *dead.tolist()):
        if station not in positions:
            if not 101 <= station <= 9999 or station % 100 == 0:
                raise InputError(f"{where}: station {station}: not a number of the form 100 column + row")
            positions[station] = None
    keep = _first_windows(raw)
    if (raw.mclkcnt[keep] <= 0).any():
        raise InputError(f"{where}: station {raw.xxyy[keep][raw.mclkcnt[keep] <= 0][0]}: mclkcnt is not positive")
    window = raw.window[keep]
    if (window["fadc"] < 0).any() or (window["fadc"] > 65535).any():
        raise InputError(f"{where}: a FADC count outside of 0 to 65535")
    vem, pedestal = window["mip"].copy(), window["pchped"] / 8.0
    vem = np.where(vem > 0, vem, window["pchmip"])
    if RUFPTN in banks:
        pulses = unpack_rufptn(banks[RUFPTN][1], where)
        if not np.isfinite(pulses["xyzclf"]).all():
            bad = pulses["xxyy"][~np.isfinite(pulses["xyzclf"]).all(axis=1)][0]
            raise InputError(f"{where}: station {bad}: its position is not a number")
        positions.update(zip(pulses["xxyy"].tolist(), map(tuple, (pulses["xyzclf"] * UNIT).tolist()), strict=True))
        row = dict(zip(pulses["wfindex"].tolist(), range(len(pulses["wfindex"])), strict=True))
        found = np.array([row.get(k, -1) for k in keep.tolist()], int)
        good = found >= 0
        vem[good], pedestal[good] = pulses["vem"][found[good]], pulses["ped"][found[good]]
    second = raw.clkcnt[keep].astype(float) / raw.mclkcnt[keep]
    time = second * _SECOND - float(raw.header["usec"]) * 1e3
    waveform = window["fadc"].transpose(0, 2, 1)[:, :, ::-1]  # (h, T, layer), upper first
    event_id = int(raw.header["event_num"])
    return Record(
        where, event_id if event_id > 0 else number, raw.xxyy[keep], time, waveform, pedestal[:, ::-1], vem[:, ::-1], dead=dead,
        truth=truth,
    )  # fmt: skip


def read_records(path, positions: dict) -> Iterator[Record]:
    """The events of a DST file with bank rusdraw, one by one.

    positions : {station number: position [m] from bank rufptn, or None}; what the file names is added to it

    Raises
    ------
    InputError : names file, event and field.
    """
    for number, banks in enumerate(read_events_banks(path)):
        yield _record(banks, f"{path}: event {number}", number, positions)


def array_of(positions: dict) -> Array:
    """The array of all stations that files name (`read_records`): the positions that they state, else the nominal ones."""
    stations = sorted(positions)
    nominal = {s: ((s // 100 + ORIGIN[0]) * UNIT, (s % 100 + ORIGIN[1]) * UNIT, 0.0) for s in stations}
    height = np.mean([p[2] for p in positions.values() if p is not None] or [0.0])
    position = np.array(
        [(*positions[s][:2], positions[s][2] - height) if positions[s] is not None else nominal[s] for s in stations]
    ).reshape(-1, 3)
    return telescope_array(np.array(stations, int), position)


def telescope_array(station_id, position) -> Array:
    """An array whose lattice is said by the station numbers, 100 column + row."""
    array_from_positions(station_id, position)  # the checks
    lattice = np.stack([np.asarray(station_id) // 100, np.asarray(station_id) % 100], axis=1).astype(np.int32)
    lattice = lattice - lattice.min(axis=0) if len(lattice) else lattice
    return Array(np.asarray(station_id, np.int32), np.asarray(position, float), lattice, UNIT, Detector(3.0, 2, _BIN, N_BINS))


def clock_counts(time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(clkcnt, mclkcnt) whose ratio is nearest to the time [ns, (n,)] within the second, with clocks up to 100 counts off.

    The ratio of two whole numbers places a window to better than a nanosecond, where a count alone is 20 ns.
    """
    rate = CLOCK + np.arange(-100, 101)
    count = np.rint(time[:, None] / _SECOND * rate)
    best = np.abs(count / rate * _SECOND - time[:, None]).argmin(axis=1)
    return np.take_along_axis(count, best[:, None], axis=1)[:, 0].astype(np.int64), rate[best]


def _export_one(events: Events, pulses: Pulses, i: int) -> list[tuple[int, int, bytes]]:
    rows = slice(*events.hit_offset[i : i + 2])
    array = events.array
    station = array.station_id[events.hit_station[rows]]
    clkcnt, mclkcnt = clock_counts(events.hit_time[rows] + USEC * 1e3)
    lower_first = events.waveform[rows][:, :, ::-1].transpose(0, 2, 1).astype(np.int32)
    pedestal, vem = events.pedestal[rows][:, ::-1].astype(float), events.counts_per_vem[rows][:, ::-1].astype(float)
    number = int(events.event_id[i]) % 2**31
    header = {
        "event_num": number, "event_code": 0 if events.truth is not None else 1, "yymmdd": DATE, "hhmmss": CLOCK_TIME,
        "usec": USEC, "monyymmdd": DATE, "monhhmmss": CLOCK_TIME,
    }  # fmt: skip
    banks = [(EVENT_BEGIN, 0, b"")]
    if events.truth is not None:
        t = events.truth
        banks.append((RUSDMC, 0, pack_rusdmc(
            event_num=number, parttype=PARTICLES.get(int(t.mass_number[i]), 0), corecounter=0, tc=0, energy=t.energy[i],
            height=0.0, theta=t.zenith[i], phi=(t.azimuth[i] + np.pi) % (2 * np.pi),
            corexyz=np.array([t.core_x[i], t.core_y[i], 0.0]) * 100.0,
        )))  # fmt: skip
    banks.append((RUSDRAW, 0, pack_rusdraw(
        header, station, clkcnt, mclkcnt, lower_first, np.rint(vem), np.rint(8 * pedestal), vem
    )))  # fmt: skip
    time = np.nan_to_num(pulses.arrival_time[rows], nan=0.0)
    banks.append((RUFPTN, 0, pack_rufptn(
        len(station), len(station), 0, isgood=np.where(pulses.saturated[rows], 5, 4), wfindex=np.arange(len(station)),
        xxyy=station, nfold=np.ones(len(station)), xyzclf=array.position[events.hit_station[rows]] / UNIT,
        reltime=np.repeat(time[:, None] / TIME_UNIT, 2, axis=1), pulsa=pulses.signal[rows][:, ::-1],
        fadcpa=pulses.signal[rows][:, ::-1] * vem, ped=pedestal, vem=vem,
    )))  # fmt: skip
    dead = array.station_id[events.dead_station[slice(*events.dead_offset[i : i + 2])]]
    banks.append((BSDINFO, 0, pack_bsdinfo(DATE, CLOCK_TIME, USEC, dead)))
    banks.append((EVENT_END, 0, b""))
    return banks


def write_dst(path, events: Events, pulses: Pulses) -> None:
    """Write events with waveforms of two layers and 128 bins of 20 ns as a DST file: rusdraw, rufptn, bsdinfo, and rusdmc with truth.

    Absolute times mean nothing: every event is put at 0.382 s, where ratios of clock counts are spread evenly. Altitudes are relative
    to the array's reference.

    Raises
    ------
    InputError : other layers, bins or station numbers than the format knows.
    """
    detector = events.array.detector
    if events.waveform is None or (detector.n_layers, detector.n_bins, detector.bin_width) != (2, N_BINS, _BIN):
        raise InputError(f"{path}: DST files hold waveforms of two layers with 128 bins of 20 ns")
    station = events.array.station_id
    if len(station) and (station.min() < 101 or station.max() > 9999 or (station % 100 == 0).any()):
        raise InputError(f"{path}: DST files number stations as 100 column + row")
    write_banks(path, (bank for i in range(events.n_events) for bank in _export_one(events, pulses, i)))

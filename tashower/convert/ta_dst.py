"""Telescope Array DST files to events, and back.

Frame: CLF, x east, y north [m]; the file's directions of travel become directions to the source;
    its lower layer, which comes first,
becomes layer 1. Of consecutive windows of a station the first ones are kept, one as in the
simulation or as many as asked for; of groups that do not follow each other, the one with the most
signal.
"""

import itertools
from collections.abc import Iterator

import numpy as np

from tashower.convert.assemble import Batch, empty_truth, offsets_of
from tashower.convert.dst import EVENT_BEGIN, EVENT_END, read_banks, write_banks
from tashower.convert.ta_banks import (
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
from tashower.errors import InputError
from tashower.events.array import Array, Detector, array_from_positions
from tashower.events.model import Events, Pulses, Truth
from tashower.physics.compiled import compiled
from tashower.types import FilePath

#: Unit of lengths in the files [m], and origin of the station numbers in the CLF frame in that
#: unit.
UNIT = 1200.0
ORIGIN = (-12.2435, -16.4406)
#: Nominal rate of the stations' clocks [1/s].
CLOCK = 50_000_000
#: Units of the pulses' times in rufptn [ns]: 1200 m over the speed of light.
TIME_UNIT = 1200.0 / 0.299792458
#: Mass number of CORSIKA's particle numbers.
MASS_NUMBERS = {14: 1, 402: 4, 1407: 14, 5626: 56}
PARTICLES = {mass: number for number, mass in MASS_NUMBERS.items()}
BIN = 20.0
_SECOND = 1e9
#: Events that are converted at once.
EVENTS_AT_ONCE = 500
DATE, CLOCK_TIME, USEC = 80511, 120000, 381_966  # of exported events, which have no date


def read_events_banks(path: FilePath) -> Iterator[dict[int, tuple[int, bytes]]]:
    """{bank number: (version, payload)} of every event; a marker, or a bank that repeats, begins
    the next one.
    """
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


def _windows_of(xxyy, time, fadc, most: int) -> np.ndarray:
    """(stations, most) indices of the windows to keep for each station of one event, in the order
    of the stations; -1: no more.

    xxyy, time, fadc : (w,), (w,) [s], (w, 2, bins) of all windows
    """
    order = np.lexsort((time, xxyy))
    station, ordered = xxyy[order], time[order]
    length = N_BINS * BIN / _SECOND
    begin = np.flatnonzero(
        np.concatenate([[True], (np.diff(station) != 0) | (np.diff(ordered) > 1.5 * length)])
    )
    end = np.append(begin[1:], len(order))
    excess = fadc.sum(axis=(1, 2)) - N_BINS * fadc[:, :, :10].mean(axis=2).sum(axis=1)
    total = np.add.reduceat(excess[order], begin)
    best: dict[int, int] = {}
    for group, first in enumerate(begin):
        s = int(station[first])
        if s not in best or total[group] > total[best[s]]:
            best[s] = group
    chosen = np.array(sorted(best.values()), int)
    place = begin[chosen][:, None] + np.arange(most)
    return np.where(place < end[chosen][:, None], order[np.minimum(place, len(order) - 1)], -1)


@compiled
def put_waveforms(fadc, keep, pedestal, waveform):
    """Windows (w, 2, bins) to (h, T, 2) counts, upper layer first; the pedestal (h, 2) where there
    is no window.

    Returns the index of the first hit with a count outside of 0 to 65535, or -1.
    """
    n_bins = fadc.shape[2]
    for h in range(len(keep)):
        for k in range(keep.shape[1]):
            for layer in range(2):
                for i in range(n_bins):
                    value = (
                        fadc[keep[h, k], layer, i] if keep[h, k] >= 0 else round(pedestal[h, layer])
                    )
                    if value < 0 or value > 65535:
                        return h
                    waveform[h, k * n_bins + i, 1 - layer] = value
    return -1


def _truth_of(events: list, where: list[str], event_id) -> Truth | None:
    """Truth of the events with bank rusdmc; None where none has it."""
    if not any(RUSDMC in banks for banks in events):
        return None
    table = empty_truth(event_id)
    for i, banks in enumerate(events):
        if RUSDMC in banks:
            mc = unpack_rusdmc(banks[RUSDMC][1], where[i])
            table.energy[i], table.zenith[i], table.azimuth[i] = (
                mc["energy"],
                mc["theta"],
                (float(mc["phi"]) + np.pi) % (2 * np.pi),
            )
            table.core_x[i], table.core_y[i] = np.asarray(mc["corexyz"][:2], float) / 100.0
            table.mass_number[i] = MASS_NUMBERS.get(int(mc["parttype"]), 0)
    return table


def _name_stations(numbers, event, where, named: dict) -> None:
    """Note station numbers that were not seen before; event: of each number."""
    for number in np.unique(numbers).tolist():
        if number not in named:
            if not 101 <= number <= 9999 or number % 100 == 0:
                first = event[np.flatnonzero(numbers == number)[0]]
                raise InputError(
                    f"{where[first]}: station {number}: not a number of the form 100 column + row"
                )
            named[number] = None


def _use_pulses(events, where, first_window, vem, pedestal, named: dict) -> None:
    """Overwrite VEM and pedestals of the windows with what bank rufptn says, and note the positions
    that it states.
    """
    found, index = [], []
    for i, banks in enumerate(events):
        if RUFPTN in banks:
            pulses = unpack_rufptn(
                banks[RUFPTN][1], where[i], ("wfindex", "xxyy", "xyzclf", "ped", "vem")
            )
            window, n = pulses["wfindex"], first_window[i + 1] - first_window[i]
            index.append(np.where((window >= 0) & (window < n), window + first_window[i], -1))
            found.append((pulses, i))
    if not found:
        return
    column = {name: np.concatenate([pulses[name] for pulses, _ in found]) for name in found[0][0]}
    event = np.repeat([i for _, i in found], [len(x) for x in index])
    bad = ~np.isfinite(column["xyzclf"]).all(axis=1)
    if bad.any():
        first = np.flatnonzero(bad)[0]
        raise InputError(
            f"{where[event[first]]}: station {column['xxyy'][first]}: its position is not a number"
        )
    index = np.concatenate(index)
    vem[index[index >= 0]], pedestal[index[index >= 0]] = (
        column["vem"][index >= 0],
        column["ped"][index >= 0],
    )
    number, last = np.unique(column["xxyy"][::-1], return_index=True)  # the latest position counts
    named.update(
        zip(
            number.tolist(), map(tuple, (column["xyzclf"][::-1][last] * UNIT).tolist()), strict=True
        )
    )


def _batch(events: list, where: list[str], first_number: int, named: dict, most: int) -> Batch:
    """`Batch` from the banks of some events; `named` as of `read_batches`."""
    for i, banks in enumerate(events):
        if RUSDRAW not in banks:
            raise InputError(f"{where[i]}: no bank rusdraw: no waveforms")
    raw = unpack_rusdraw([banks[RUSDRAW][1] for banks in events], where)
    first_window, window, xxyy = raw.first, raw.window, raw.xxyy
    event = np.repeat(np.arange(len(events)), np.diff(first_window))
    dead = [
        unpack_bsdinfo(b[BSDINFO][1], b[BSDINFO][0], where[i]) if BSDINFO in b else xxyy[:0]
        for i, b in enumerate(events)
    ]
    dead_offset, dead = offsets_of([len(d) for d in dead]), np.concatenate(dead).astype(np.int64)
    _name_stations(xxyy, event, where, named)
    _name_stations(dead, np.repeat(np.arange(len(events)), np.diff(dead_offset)), where, named)
    second = raw.clkcnt / np.maximum(raw.mclkcnt, 1)
    order = np.lexsort((xxyy, event))
    if ((np.diff(xxyy[order]) != 0) | (np.diff(event[order]) != 0)).all():
        keep = np.pad(order[:, None], ((0, 0), (0, most - 1)), constant_values=-1)
    else:
        keep = []
        for begin, end in itertools.pairwise(first_window.tolist()):
            part = slice(begin, end)
            chosen = (
                _windows_of(xxyy[part], second[part], window["fadc"][part], most)
                if end > begin
                else np.zeros((0, most), int)
            )
            keep.append(np.where(chosen >= 0, chosen + begin, -1))
        keep = np.concatenate(keep)
    first = keep[:, 0]
    if (raw.mclkcnt[first] <= 0).any():
        bad = first[raw.mclkcnt[first] <= 0][0]
        raise InputError(f"{where[event[bad]]}: station {xxyy[bad]}: mclkcnt is not positive")
    vem, pedestal = (
        np.where(window["mip"] > 0, window["mip"], window["pchmip"]),
        window["pchped"] / 8.0,
    )
    _use_pulses(events, where, first_window, vem, pedestal, named)
    vem, pedestal = vem[first], pedestal[first]
    waveform = np.empty((len(keep), N_BINS * most, 2), np.uint16)
    bad = put_waveforms(window["fadc"], keep, np.nan_to_num(pedestal), waveform)
    if bad >= 0:
        raise InputError(
            f"{where[event[first[bad]]]}: station {xxyy[first[bad]]}: a FADC count outside of 0 to 65535"
        )
    event_id = np.where(
        raw.header["event_num"] > 0, raw.header["event_num"], first_number + np.arange(len(events))
    ).astype(np.int64)
    begin = raw.header["usec"] * 1e3
    return Batch(
        where,
        event_id,
        offsets_of(np.bincount(event[first], minlength=len(events))),
        xxyy[first].astype(np.int64),
        second[first] * _SECOND - begin[event[first]],
        dead_offset,
        dead,
        waveform,
        pedestal[:, ::-1],
        vem[:, ::-1],
        truth=_truth_of(events, where, event_id),
    )


def read_batches(path: FilePath, named: dict, windows: int = 1) -> Iterator[Batch]:
    """The events of a DST file with bank rusdraw, some hundred at a time.

    Parameters
    ----------
    named : {station number: position [m] from bank rufptn, or None}; what the file names is added
        to it
    windows : consecutive windows of a station that are kept; where a station has fewer, its
        pedestal follows

    Raises
    ------
    InputError : names file, event and field.
    """
    done, found = 0, read_events_banks(path)
    while events := list(itertools.islice(found, EVENTS_AT_ONCE)):
        where = [f"{path}: event {done + i}" for i in range(len(events))]
        yield _batch(events, where, done, named, windows)
        done += len(events)


def numbered_array(windows: int = 1) -> Array:
    """Stations whose index is their number, at no place: for batches that are read before all
    positions are known.
    """
    n = 10_000
    return Array(
        np.arange(n, dtype=np.int32),
        np.zeros((n, 3)),
        np.zeros((n, 2), np.int32),
        UNIT,
        detector_of(windows),
    )


def array_of(named: dict, windows: int = 1) -> Array:
    """The array of all stations that files name (`read_batches`): the positions that they state,
    else the nominal ones.
    """
    stations = sorted(named)
    nominal = {
        s: ((s // 100 + ORIGIN[0]) * UNIT, (s % 100 + ORIGIN[1]) * UNIT, 0.0) for s in stations
    }
    height = np.mean([p[2] for p in named.values() if p is not None] or [0.0])
    position = np.array(
        [
            (*named[s][:2], named[s][2] - height) if named[s] is not None else nominal[s]
            for s in stations
        ]
    ).reshape(-1, 3)
    return telescope_array(np.array(stations, int), position, windows)


def detector_of(windows: int = 1) -> Detector:
    """A station of the Telescope Array of which some consecutive windows are kept."""
    return Detector(3.0, 2, BIN, N_BINS * windows)


def telescope_array(station_id: np.ndarray, position: np.ndarray, windows: int = 1) -> Array:
    """An array whose lattice is said by the station numbers, 100 column + row."""
    array_from_positions(station_id, position)  # the checks
    lattice = np.stack(
        [np.asarray(station_id) // 100, np.asarray(station_id) % 100], axis=1
    ).astype(np.int32)
    lattice = lattice - lattice.min(axis=0) if len(lattice) else lattice
    return Array(
        np.asarray(station_id, np.int32),
        np.asarray(position, float),
        lattice,
        UNIT,
        detector_of(windows),
    )


def windows_of(events: Events, path: FilePath) -> int:
    """Number of windows of 128 bins that a waveform of the events fills.

    Raises
    ------
    InputError : no waveforms of two layers with a multiple of 128 bins of 20 ns.
    """
    detector = events.array.detector
    windows, rest = divmod(detector.n_bins, N_BINS)
    if events.waveform is None or (detector.n_layers, detector.bin_width) != (2, BIN) or rest:
        raise InputError(
            f"{path}: files of the Telescope Array hold waveforms of two layers with 128 bins of 20 ns, or multiples of 128"
        )
    return windows


def lower_layer_first(waveform: np.ndarray, windows: int) -> np.ndarray:
    """(h, T, 2) counts, upper layer first, as (h windows, 2, 128) counts, lower layer first."""
    n = len(waveform)
    return (
        waveform[:, :, ::-1]
        .reshape(n, windows, N_BINS, 2)
        .transpose(0, 1, 3, 2)
        .reshape(n * windows, 2, N_BINS)
    )


def window_clocks(time: np.ndarray, windows: int) -> tuple[np.ndarray, np.ndarray]:
    """`clock_counts` of all windows of hits that begin at a time [ns, (h,)]; (h windows,) each."""
    begin = np.asarray(time)[:, None] + USEC * 1e3 + np.arange(windows) * N_BINS * BIN
    return clock_counts(begin.ravel())


def clock_counts(time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(clkcnt, mclkcnt) whose ratio is nearest to the time [ns, (n,)] within the second, with
    clocks up to 100 counts off.

    The ratio of two whole numbers places a window to better than a nanosecond, where a count alone
    is 20 ns.
    """
    rate = CLOCK + np.arange(-100, 101)
    count = np.rint(time[:, None] / _SECOND * rate)
    best = np.abs(count / rate * _SECOND - time[:, None]).argmin(axis=1)
    return np.take_along_axis(count, best[:, None], axis=1)[:, 0].astype(np.int64), rate[best]


def _export_one(events: Events, pulses: Pulses, i: int) -> list[tuple[int, int, bytes]]:
    rows = slice(*events.hit_offset[i : i + 2])
    array = events.array
    station = array.station_id[events.hit_station[rows]]
    windows = array.detector.n_bins // N_BINS
    clkcnt, mclkcnt = window_clocks(events.hit_time[rows], windows)
    lower_first = lower_layer_first(events.waveform[rows], windows).astype(np.int32)
    pedestal, vem = (
        events.pedestal[rows][:, ::-1].astype(float),
        events.counts_per_vem[rows][:, ::-1].astype(float),
    )
    number = int(events.event_id[i]) % 2**31
    header = {
        "event_num": number,
        "event_code": 0 if events.truth is not None else 1,
        "yymmdd": DATE,
        "hhmmss": CLOCK_TIME,
        "usec": USEC,
        "monyymmdd": DATE,
        "monhhmmss": CLOCK_TIME,
    }
    banks = [(EVENT_BEGIN, 0, b"")]
    if events.truth is not None:
        t = events.truth
        banks.append(
            (
                RUSDMC,
                0,
                pack_rusdmc(
                    event_num=number,
                    parttype=PARTICLES.get(int(t.mass_number[i]), 0),
                    corecounter=0,
                    tc=0,
                    energy=t.energy[i],
                    height=0.0,
                    theta=t.zenith[i],
                    phi=(t.azimuth[i] + np.pi) % (2 * np.pi),
                    corexyz=np.array([t.core_x[i], t.core_y[i], 0.0]) * 100.0,
                ),
            )
        )
    banks.append(
        (
            RUSDRAW,
            0,
            pack_rusdraw(
                header,
                np.repeat(station, windows),
                clkcnt,
                mclkcnt,
                lower_first,
                *(
                    np.repeat(column, windows, axis=0)
                    for column in (np.rint(vem), np.rint(8 * pedestal), vem)
                ),
            ),
        )
    )
    time = np.nan_to_num(pulses.arrival_time[rows], nan=0.0)
    banks.append(
        (
            RUFPTN,
            0,
            pack_rufptn(
                len(station),
                len(station),
                0,
                isgood=np.where(pulses.saturated[rows], 5, 4),
                wfindex=windows * np.arange(len(station)),
                xxyy=station,
                nfold=np.full(len(station), windows),
                xyzclf=array.position[events.hit_station[rows]] / UNIT,
                reltime=np.repeat(time[:, None] / TIME_UNIT, 2, axis=1),
                pulsa=pulses.signal[rows][:, ::-1],
                fadcpa=pulses.signal[rows][:, ::-1] * vem,
                ped=pedestal,
                vem=vem,
            ),
        )
    )
    dead = array.station_id[events.dead_station[slice(*events.dead_offset[i : i + 2])]]
    banks.append((BSDINFO, 0, pack_bsdinfo(DATE, CLOCK_TIME, USEC, dead)))
    banks.append((EVENT_END, 0, b""))
    return banks


def write_dst(path: FilePath, events: Events, pulses: Pulses) -> None:
    """Write events with waveforms of two layers and 128 bins of 20 ns, or multiples of 128, as a
    DST file: rusdraw, rufptn, bsdinfo, and rusdmc with truth. Longer waveforms become consecutive
    windows of a station.

    Absolute times mean nothing: every event is put at 0.382 s, where ratios of clock counts are
        spread evenly. Altitudes are relative
    to the array's reference.

    Raises
    ------
    InputError : other layers, bins or station numbers than the format knows.
    """
    windows_of(events, path)
    station = events.array.station_id
    if len(station) and (station.min() < 101 or station.max() > 9999 or (station % 100 == 0).any()):
        raise InputError(f"{path}: DST files number stations as 100 column + row")
    write_banks(
        path, (bank for i in range(events.n_events) for bank in _export_one(events, pulses, i))
    )

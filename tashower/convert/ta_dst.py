"""Telescope Array DST files to events, and back.

Frame: CLF, x east, y north [m]; the file's directions of travel become directions to the source;
    its lower layer, which comes first, becomes layer 1.

Hits are those of bank rufptn, with its pedestals and counts per VEM; of two hits of a station the
one that is further into the event (isgood), of equal ones that with the most signal. Hits with
isgood 0 and those of stations that bsdinfo lists are no measurements: they are kept as rejected,
and their stations are out of service. Of the windows of a hit the first ones are kept, one as in
the simulation or as many as asked for. Without rufptn hits are groups of windows that follow each
other, of a station the group with the most signal, and the counts per VEM have to be given: the mip
of rusdraw is the peak of a histogram, not counts per VEM.
"""

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from tashower.convert.assemble import Batch, empty_standard, empty_truth, offsets_of
from tashower.convert.dst import EVENT_BEGIN, EVENT_END, read_banks
from tashower.convert.ta_banks import (
    BSDINFO,
    HALF_WIDTHS,
    N_BINS,
    PEDESTAL_BINS,
    RUFPTN,
    RUSDMC,
    RUSDRAW,
    RawEvents,
    unpack_bsdinfo,
    unpack_rufptn,
    unpack_rusdmc,
    unpack_rusdraw,
)
from tashower.convert.ta_standard import (
    ORIGIN,
    RUFLDF,
    RUSDGEOM,
    UNIT,
    standard_of,
    unpack_rufldf,
    unpack_rusdgeom,
)
from tashower.convert.ta_windows import (
    BIN,
    SECOND,
    STATION_NUMBERS,
    put_waveforms,
    select_hits,
    window_starts,
    within_half,
)
from tashower.errors import InputError
from tashower.events.array import Array, Detector, array_from_positions
from tashower.events.model import Reconstruction, Truth
from tashower.types import FilePath

#: Mass number of CORSIKA's particle numbers.
MASS_NUMBERS = {14: 1, 402: 4, 1407: 14, 5626: 56}
PARTICLES = {mass: number for number, mass in MASS_NUMBERS.items()}
#: Events that are converted at once.
EVENTS_AT_ONCE = 500
#: Windows that are kept of a station where nothing else is asked for: as many as the simulation's.
WINDOWS = 2
#: Pedestals of a larger rms [counts per bin] are a fault of the histogram (choice).
LARGEST_PEDESTAL_RMS = 10.0
#: Windows of a station follow each other when they begin at most so many windows apart (choice).
LONGEST_GAP = 1.5


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


class _Hits(NamedTuple):
    """Hits of some events, (h,) each, (h, 2) lower layer first."""

    event: np.ndarray
    xxyy: np.ndarray
    window: np.ndarray  # the first one, of all windows
    n_windows: np.ndarray
    good: np.ndarray  # isgood
    signal: np.ndarray  # [VEM]
    pedestal: np.ndarray
    vem: np.ndarray  # counts per VEM


def _hits_with_pulses(found: dict, raw: RawEvents, where, named: dict) -> _Hits:
    """Hits of the events with rufptn; found: {event: `FoundPulses`}. Notes the positions that they
    state.
    """
    pulses = list(found.values())
    event = np.repeat(list(found), [len(p.xxyy) for p in pulses]).astype(np.int64)
    good, index, xxyy, folds = (
        np.concatenate([getattr(p, name) for p in pulses])
        for name in ("isgood", "wfindex", "xxyy", "nfold")
    )
    hit = np.frombuffer(b"".join(p.hit.data for p in pulses), pulses[0].hit.dtype)

    def refuse(bad, text):
        if bad.any():
            first = np.flatnonzero(bad)[0]
            raise InputError(f"{where[event[first]]}: bank rufptn: station {xxyy[first]}: {text}")

    begin, end = raw.first[event], raw.first[event + 1]
    window = begin + index
    refuse((index < 0) | (folds < 1) | (window + folds > end), "windows that are not there")
    refuse(raw.xxyy[window] != xxyy, "windows of another station")
    position = hit["xyzclf"] * UNIT
    refuse(~np.isfinite(position).all(axis=1), "its position is not a number")
    refuse(~np.isfinite(hit["pulsa"]).all(axis=1) & (good > 0), "its signal is not a number")
    number, last = np.unique(xxyy[::-1], return_index=True)  # the latest position counts
    places = map(tuple, position[::-1][last].tolist())
    named.update(zip(number.tolist(), places, strict=True))
    return _Hits(
        event, xxyy, window, folds, good, hit["pulsa"].mean(axis=1), hit["ped"], hit["vem"]
    )


def _hits_without_pulses(xxyy, window, event, time, where, options) -> _Hits:
    """Groups of windows that follow each other; the windows (w,) are in the order of event, station
    and time [s].
    """
    if not len(event):
        return _no_hits()
    if options.counts_per_vem is None:
        raise InputError(
            f"{where[event[0]]}: no bank rufptn, and the mip of rusdraw is not counts per VEM; "
            "--counts-per-vem VALUE states them for all stations"
        )
    new = np.ones(len(event), bool)
    new[1:] = (np.diff(event) != 0) | (np.diff(xxyy) != 0)
    new[1:] |= np.diff(time) > LONGEST_GAP * N_BINS * BIN / SECOND
    first = np.flatnonzero(new)
    fadc = window["fadc"]
    excess = fadc.sum(axis=(1, 2)) - N_BINS * fadc[:, :, :10].mean(axis=2).sum(axis=1)
    return _Hits(
        event[first],
        xxyy[first],
        first,
        np.diff(np.append(first, len(event))),
        np.ones(len(first), np.int32),
        np.add.reduceat(excess, first),
        window["pchped"][first] / PEDESTAL_BINS,
        np.full((len(first), 2), float(options.counts_per_vem)),
    )


def _no_hits() -> _Hits:
    none = np.zeros(0, np.int64)
    return _Hits(none, none, none, none, none, none, np.zeros((0, 2)), np.zeros((0, 2)))


def _standard(events: list, found: dict, where, event_id) -> Reconstruction:
    """What rufldf and rusdgeom state, of every event."""
    table = empty_standard(event_id)
    for i, banks in enumerate(events):
        lateral = geometry = None
        if RUFLDF in banks:
            lateral = unpack_rufldf(banks[RUFLDF][1], banks[RUFLDF][0], where[i])
        if RUSDGEOM in banks:
            geometry = unpack_rusdgeom(banks[RUSDGEOM][1], where[i])
        stated = standard_of(lateral, geometry, found.get(i))
        if stated:
            table.flags[i] = 0
            for name, value in stated.items():
                getattr(table, name)[i] = value
    return table


def _out_of_service(events, where, hits: _Hits, named: dict):
    """(event, station) of all stations out of service, sorted, as event * 10,000 + station."""
    numbers = [
        unpack_bsdinfo(b[BSDINFO][1], b[BSDINFO][0], where[i]) if BSDINFO in b else hits.xxyy[:0]
        for i, b in enumerate(events)
    ]
    event = np.repeat(np.arange(len(events)), [len(n) for n in numbers])
    numbers = np.concatenate(numbers).astype(np.int64)
    _name_stations(numbers, event, where, named)
    broken = hits.good <= 0
    both = np.append(event, hits.event[broken]), np.append(numbers, hits.xxyy[broken])
    return np.unique(both[0] * STATION_NUMBERS + both[1])


class Options(NamedTuple):
    """windows : consecutive windows of a station that are kept; where a station has fewer, its
    pedestal follows; None: as many as is usual for a format. counts_per_vem : of all stations of
    events without rufptn; None: unknown.
    """

    windows: int | None = None
    counts_per_vem: float | None = None


def _batch(events: list, where: list[str], first_number: int, named: dict, options) -> tuple:
    """`Batch` of the banks of some events, and what was left out; named as of `read_batches`."""
    for i, banks in enumerate(events):
        if RUSDRAW not in banks:
            raise InputError(f"{where[i]}: no bank rusdraw: no waveforms")
    raw = unpack_rusdraw([banks[RUSDRAW][1] for banks in events], where)
    event = np.repeat(np.arange(len(events)), np.diff(raw.first))
    _name_stations(raw.xxyy, event, where, named)
    if (raw.mclkcnt <= 0).any():
        bad = np.flatnonzero(raw.mclkcnt <= 0)[0]
        raise InputError(f"{where[event[bad]]}: station {raw.xxyy[bad]}: mclkcnt is not positive")
    time = within_half(raw.clkcnt / raw.mclkcnt - 1e-6 * raw.header["usec"][event])
    found = {
        i: unpack_rufptn(banks[RUFPTN][1], where[i])
        for i, banks in enumerate(events)
        if RUFPTN in banks
    }
    hits = _hits_with_pulses(found, raw, where, named) if found else _no_hits()
    if len(found) < len(events):
        without = ~np.isin(event, list(found))
        order = np.lexsort((np.where(without, time, 0), np.where(without, raw.xxyy, 0), event))
        raw, time = replace(raw, xxyy=raw.xxyy[order], window=raw.window[order]), time[order]
        rest = np.flatnonzero(without)
        more = _hits_without_pulses(
            raw.xxyy[rest], raw.window[rest], event[rest], time[rest], where, options
        )
        more = more._replace(window=rest[more.window])
        hits = _Hits(*map(np.concatenate, zip(hits, more, strict=True)))
    dead = _out_of_service(events, where, hits, named)
    bad = np.isin(hits.event * STATION_NUMBERS + hits.xxyy, dead)
    used, notes = select_hits(hits.event, hits.xxyy, hits.good, hits.signal, bad)
    hits, bad = _Hits(*(column[used] for column in hits)), bad[used]
    place = np.arange(options.windows)
    keep = np.where(place < hits.n_windows[:, None], hits.window[:, None] + place, -1)
    waveform = np.empty((len(keep), N_BINS * options.windows, 2), np.uint16)
    start = window_starts(time, keep)
    wrong = put_waveforms(raw.window["fadc"], keep, start, hits.pedestal, bad, waveform)
    if wrong >= 0:
        raise InputError(
            f"{where[hits.event[wrong]]}: station {hits.xxyy[wrong]}: "
            "a FADC count outside of 0 to 65535"
        )
    number = raw.header["event_num"]
    event_id = np.where(number > 0, number, first_number + np.arange(len(events))).astype(np.int64)
    batch = Batch(
        where,
        event_id,
        offsets_of(np.bincount(hits.event, minlength=len(events))),
        hits.xxyy.astype(np.int64),
        time[hits.window] * SECOND,
        offsets_of(np.bincount(dead // STATION_NUMBERS, minlength=len(events))),
        dead % STATION_NUMBERS,
        waveform,
        hits.pedestal[:, ::-1],
        hits.vem[:, ::-1],
        rejected=bad,
        pedestal_rms=_pedestal_rms(raw.window[hits.window])[:, ::-1],
        truth=_truth_of(events, where, event_id),
        standard=_standard(events, found, where, event_id),
    )
    return batch, notes


def _pedestal_rms(window: np.ndarray) -> np.ndarray:
    """(h, 2) rms of the pedestals [counts per bin] from the half-peak channels of the histograms of
    sums of 8 bins, whose distance is 2.33 rms (the Telescope Array's own number); 0 where they are
    no such width.
    """
    width = (window["rhpchped"] - window["lhpchped"]) / PEDESTAL_BINS / HALF_WIDTHS
    return np.where((width > 0) & (width < LARGEST_PEDESTAL_RMS), width, 0.0)


ONE_WINDOW = Options(1)


def read_batches(
    path: FilePath, named: dict, options: Options = ONE_WINDOW, notes: Counter | None = None
) -> Iterator[Batch]:
    """The events of a DST file with bank rusdraw, some hundred at a time.

    Parameters
    ----------
    named : {station number: position [m] from bank rufptn, or None}; what the file names is added
        to it
    notes : how many hits were left out, by reason; added to it

    Raises
    ------
    InputError : names file, event and field.
    """
    done, found = 0, read_events_banks(path)
    while events := list(itertools.islice(found, EVENTS_AT_ONCE)):
        where = [f"{path}: event {done + i}" for i in range(len(events))]
        batch, left_out = _batch(events, where, done, named, options)
        if notes is not None:
            notes.update(left_out)
        yield batch
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

"""The Telescope Array's text dump, to events and back.

Sections begin at lines that contain their name; a section holds one line of blank-separated numbers
per event. Lower layer first; angles of travel; core in cm, positions in 1200 m, CLF frame.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tashower.convert.assemble import Record, check_size
from tashower.convert.ta_banks import N_BINS
from tashower.convert.ta_dst import (
    CLOCK_TIME,
    DATE,
    MASS_NUMBERS,
    ORIGIN,
    PARTICLES,
    UNIT,
    USEC,
    lower_layer_first,
    put_waveforms,
    window_clocks,
    windows_of,
)
from tashower.errors import InputError
from tashower.events.model import Events, Pulses
from tashower.io.atomic import written_aside
from tashower.types import FilePath

SECTIONS = ("EVENT DATA", "SD meta DATA", "SD waveform DATA", "badsdinfo")
EVENT_NUMBERS, HIT_NUMBERS, WINDOW_NUMBERS = 61, 12, 259
#: Unit of reltime in the section of hits [ns].
RELATIVE_TIME = 4000.0
#: What the published zeniths of the Telescope Array have more than those of the dump [deg].
ZENITH_SHIFT = 0.5
_SECOND = 1e9


def _find_sections(path) -> dict[str, tuple[int, int, int]]:
    """{section: (byte where its first event begins, number of the line before it, events)}; lines
    before the first section are left alone, empty ones are events without entries.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    found: dict[str, list] = {}
    at, current = 0, None
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            at += len(line)
            begin = line[:200]
            name = next((s for s in SECTIONS if s.encode() in begin), None)
            if name is not None:
                if name in found:
                    raise InputError(f"{path}, line {number}: section {name!r} begins twice")
                current = found[name] = [at, number, 0, 0]
            elif current is not None:
                current[2] += 1
                # Blank lines at the end of a section count only where the others have as many.
                current[3] = current[2] if begin.strip() else current[3]
    for name in SECTIONS:
        if name not in found:
            raise InputError(f"{path}: section {name!r} is missing")
    n = found["EVENT DATA"][3]
    for name, (_, _, lines, filled) in found.items():
        if not filled <= n <= lines:
            raise InputError(
                f"{path}: section {name!r} has {filled if filled > n else lines} events, section 'EVENT DATA' has {n}"
            )
    return {name: (begin, number, n) for name, (begin, number, _, _) in found.items()}


def _lines(path, section: tuple[int, int, int]) -> Iterator[tuple[int, str]]:
    """(line number, text) of every event of a section."""
    begin, number, n = section
    with open(path, "rb") as file:
        file.seek(begin)
        for k in range(n):
            try:
                yield number + 1 + k, file.readline().decode("ascii")
            except UnicodeDecodeError:
                raise InputError(f"{path}, line {number + 1 + k}: not text") from None


def _numbers(path, entry, size: int, exact: bool) -> np.ndarray:
    """(m, size) numbers of a line; exact: m must be 1."""
    number, text = entry
    try:
        values = np.array(text.split(), dtype=float)
    except ValueError:
        raise InputError(f"{path}, line {number}: an entry is not a number") from None
    if len(values) % size or (exact and len(values) != size):
        raise InputError(
            f"{path}, line {number}: {len(values)} numbers, where {'' if exact else 'a multiple of '}{size} are needed"
        )
    return values.reshape(-1, size)


def read_positions(path: FilePath) -> dict[int, tuple]:
    """{station: position [m]} of all stations with hits in a text dump.

    Raises
    ------
    InputError : names file and event.
    """
    positions: dict[int, tuple] = {}
    for k, line in enumerate(_lines(path, _find_sections(path)["SD meta DATA"])):
        check_size((line[1].count(" ") + 1) // HIT_NUMBERS, f"{path}: event {k}")
        hits = _numbers(path, line, HIT_NUMBERS, False)
        station = _stations(hits[:, 0], f"{path}: event {k}")
        for s, xyz in zip(station.tolist(), hits[:, 6:9] * UNIT, strict=True):
            if not np.isfinite(xyz).all():
                raise InputError(f"{path}: event {k}: station {s}: its position is not a number")
            positions[s] = tuple(xyz)
    return positions


def _stations(column, where: str) -> np.ndarray:
    """Station numbers as integers."""
    if not (np.abs(column) < 2**31).all():
        raise InputError(
            f"{where}: {column[~(np.abs(column) < 2**31)][0]} is not the number of a station"
        )
    return column.astype(int)


def read_records(path: FilePath, windows: int = 1) -> Iterator[Record]:
    """The events of a text dump, one by one.

    windows : consecutive windows of a station that are kept; where a station has fewer, its
        pedestal follows

    Raises
    ------
    InputError : names file and line.
    """
    sections = _find_sections(path)
    for k, lines in enumerate(
        zip(*(_lines(path, sections[name]) for name in SECTIONS), strict=True)
    ):
        yield _record(path, k, lines, windows)


def _record(path, k: int, lines, most: int) -> Record:
    """Event number k from its lines in the four sections."""
    where = f"{path}: event {k}"
    event = _numbers(path, lines[0], EVENT_NUMBERS, True)[0]
    hits = _numbers(path, lines[1], HIT_NUMBERS, False)
    windows = _numbers(path, lines[2], WINDOW_NUMBERS, False)
    bad = _numbers(path, lines[3], 2, False)
    folds = hits[:, 11]
    if not np.isfinite(folds).all() or (folds < 1).any() or folds.sum() != len(windows):
        raise InputError(
            f"{where}: its hits state {folds.sum():g} windows, there are {len(windows)}"
        )
    folds = folds.astype(int)
    first = np.cumsum(folds) - folds
    window = windows[first]
    if (windows[:, 0] != np.repeat(hits[:, 0], folds)).any():
        raise InputError(f"{where}: windows and hits name different stations")
    counts = windows[:, 3:].reshape(-1, 2, N_BINS)
    if not ((counts >= 0) & (counts <= 65535)).all() or (window[:, 2] <= 0).any():
        raise InputError(f"{where}: a FADC count outside of 0 to 65535, or a clock without counts")
    # The dump has no pedestal: the first bins of a window come before the crossing.
    pedestal = counts[first][:, :, :16].mean(axis=2)
    keep = np.where(np.arange(most) < folds[:, None], first[:, None] + np.arange(most), -1)
    waveform = np.empty((len(hits), most * N_BINS, 2), np.uint16)
    put_waveforms(counts, keep, pedestal, waveform)
    truth = None
    if event[1] > 0 and int(event[0]) in MASS_NUMBERS:
        truth = {
            "energy": event[1],
            "zenith": event[2],
            "azimuth": (event[3] + np.pi) % (2 * np.pi),
            "core_x": event[4] / 100.0,
            "core_y": event[5] / 100.0,
            "mass_number": MASS_NUMBERS[int(event[0])],
        }
    # Fixed-curvature geometry, with half a degree that the published zeniths have on top; core and
    # size of the lateral fit.
    standard = {}
    if event[22] > 0 and event[27] > 0:
        standard = {
            "zenith": np.radians(event[22] + ZENITH_SHIFT),
            "azimuth": (np.radians(event[23]) + np.pi) % (2 * np.pi),
            "chi2": event[26],
            "ndof": int(event[27]),
            "core_x": (event[17] + ORIGIN[0]) * UNIT,
            "core_y": (event[19] + ORIGIN[1]) * UNIT,
            "s800": event[21],
            "energy": event[12],
            "n_stations": int(event[9]),
        }
    return Record(
        where,
        k,
        _stations(hits[:, 0], where),
        window[:, 1] / window[:, 2] * _SECOND - event[11] * 1e3,
        waveform,
        pedestal[:, ::-1],
        hits[:, 9:11][:, ::-1],
        dead=_stations(bad[:, 0], where),
        truth=truth,
        standard=standard,
    )


def write_text(path: FilePath, events: Events, pulses: Pulses) -> None:
    """Write events as a text dump, with the standard reconstruction where they have one, else 0.
    Station numbers must be 100 column + row.

    Raises
    ------
    InputError : no waveforms of two layers with 128 bins of 20 ns, or multiples of 128: these
        become consecutive windows.
    """
    windows = windows_of(events, path)
    lines: dict[str, list[str]] = {name: [] for name in SECTIONS}
    truth = events.truth
    for i in range(events.n_events):
        rows = slice(*events.hit_offset[i : i + 2])
        station = events.array.station_id[events.hit_station[rows]]
        n = len(station)
        event = np.zeros(EVENT_NUMBERS)
        event[7], event[8], event[10], event[11], event[56] = DATE, CLOCK_TIME, n, USEC, n
        if truth is not None:
            event[:6] = (
                PARTICLES.get(int(truth.mass_number[i]), 0),
                truth.energy[i],
                truth.zenith[i],
                (truth.azimuth[i] + np.pi) % (2 * np.pi),
                truth.core_x[i] * 100.0,
                truth.core_y[i] * 100.0,
            )
        if events.standard is not None and events.standard.valid[i]:
            t = events.standard
            event[[12, 17, 19, 21]] = (
                t.energy[i],
                t.core_x[i] / UNIT - ORIGIN[0],
                t.core_y[i] / UNIT - ORIGIN[1],
                t.s800[i],
            )
            event[22], event[23] = (
                np.degrees(t.zenith[i]) - ZENITH_SHIFT,
                np.degrees((t.azimuth[i] + np.pi) % (2 * np.pi)),
            )
            event[[9, 26, 27]] = t.n_stations[i], t.chi2[i], t.ndof[i]
        lines["EVENT DATA"].append(" ".join(f"{x:.9g}" for x in event))
        time = np.nan_to_num(pulses.arrival_time[rows])[:, None] / RELATIVE_TIME
        position = events.array.position[events.hit_station[rows]] / UNIT
        good = np.where(pulses.saturated[rows], 5, 4)
        meta = np.column_stack(
            [
                station,
                good,
                time,
                time,
                pulses.signal[rows][:, ::-1],
                position,
                events.counts_per_vem[rows][:, ::-1],
                np.full(n, windows),
            ]
        )
        lines["SD meta DATA"].append(" ".join(f"{x:.9g}" for x in meta.ravel()))
        counts = lower_layer_first(events.waveform[rows], windows).reshape(n * windows, 2 * N_BINS)
        clocks = window_clocks(events.hit_time[rows], windows)
        window = np.column_stack([np.repeat(station, windows), *clocks, counts]).astype(int)
        lines["SD waveform DATA"].append(" ".join(map(str, window.ravel().tolist())))
        dead = events.array.station_id[events.dead_station[slice(*events.dead_offset[i : i + 2])]]
        lines["badsdinfo"].append(" ".join(f"{s} 65535" for s in dead))
    with written_aside(path) as aside:
        aside.write_text(
            "".join(f"{name}\n" + "".join(line + "\n" for line in lines[name]) for name in SECTIONS)
        )

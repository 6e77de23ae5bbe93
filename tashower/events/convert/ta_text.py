"""The Telescope Array's text dump, to events and back.

Sections begin at lines that contain their name; a section holds one line of blank-separated numbers per event. Lower layer first; angles of
travel; core in cm, positions in 1200 m, CLF frame.
"""

from pathlib import Path

import numpy as np

from tashower.errors import InputError
from tashower.events.convert.assemble import Record
from tashower.events.convert.ta_banks import N_BINS
from tashower.events.convert.ta_dst import (
    CLOCK_TIME,
    DATE,
    MASS_NUMBERS,
    ORIGIN,
    PARTICLES,
    UNIT,
    USEC,
    clock_counts,
)
from tashower.events.file import written_aside
from tashower.events.model import Events, Pulses

SECTIONS = ("EVENT DATA", "SD meta DATA", "SD waveform DATA", "badsdinfo")
EVENT_NUMBERS, HIT_NUMBERS, WINDOW_NUMBERS = 61, 12, 259
#: Unit of reltime in the section of hits [ns].
RELATIVE_TIME = 4000.0
#: What the published zeniths of the Telescope Array have more than those of the dump [deg].
ZENITH_SHIFT = 0.5
_SECOND = 1e9


def _read_sections(path) -> dict[str, list[tuple[int, str]]]:
    """{section: [(line number, text)]}; lines before the first section are left alone, empty ones are events without entries."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    sections: dict[str, list] = {}
    current = None
    try:
        with path.open(encoding="ascii") as file:
            for number, line in enumerate(file, 1):
                name = next((s for s in SECTIONS if s in line), None)
                if name is not None:
                    if name in sections:
                        raise InputError(f"{path}, line {number}: section {name!r} begins twice")
                    current = sections[name] = []
                elif current is not None:
                    current.append((number, line))
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a text file") from None
    for name in SECTIONS:
        if name not in sections:
            raise InputError(f"{path}: section {name!r} is missing")
        while sections[name] and not sections[name][-1][1].strip() and len(sections[name]) > len(sections["EVENT DATA"]):
            sections[name].pop()
    while sections["EVENT DATA"] and not sections["EVENT DATA"][-1][1].strip():
        sections["EVENT DATA"].pop()
    n = len(sections["EVENT DATA"])
    for name, lines in sections.items():
        while len(lines) > n and not lines[-1][1].strip():
            lines.pop()
        if len(lines) != n:
            raise InputError(f"{path}: section {name!r} has {len(lines)} events, section 'EVENT DATA' has {n}")
    return sections


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


def read_records(path) -> tuple[list[Record], dict[int, tuple]]:
    """(records, {station: position [m]}) of a text dump.

    Raises
    ------
    InputError : names file and line.
    """
    sections = _read_sections(path)
    records, positions = [], {}
    for k, lines in enumerate(zip(*(sections[name] for name in SECTIONS), strict=True)):
        where = f"{path}: event {k}"
        event = _numbers(path, lines[0], EVENT_NUMBERS, True)[0]
        hits = _numbers(path, lines[1], HIT_NUMBERS, False)
        windows = _numbers(path, lines[2], WINDOW_NUMBERS, False)
        bad = _numbers(path, lines[3], 2, False)
        folds = hits[:, 11]
        if not np.isfinite(folds).all() or (folds < 1).any() or folds.sum() != len(windows):
            raise InputError(f"{where}: its hits state {folds.sum():g} windows, there are {len(windows)}")
        first = np.concatenate([[0], np.cumsum(folds.astype(int))[:-1]]).astype(int) if len(hits) else np.zeros(0, int)
        window = windows[first]
        if (window[:, 0] != hits[:, 0]).any():
            raise InputError(f"{where}: windows and hits name different stations")
        counts = window[:, 3:].reshape(-1, 2, N_BINS)
        if not ((counts >= 0) & (counts <= 65535)).all() or (window[:, 2] <= 0).any():
            raise InputError(f"{where}: a FADC count outside of 0 to 65535, or a clock without counts")
        station = hits[:, 0].astype(int)
        for s, xyz in zip(station.tolist(), hits[:, 6:9] * UNIT, strict=True):
            if not np.isfinite(xyz).all():
                raise InputError(f"{where}: station {s}: its position is not a number")
            positions[s] = tuple(xyz)
        truth = None
        if event[1] > 0 and int(event[0]) in MASS_NUMBERS:
            truth = {
                "energy": event[1], "zenith": event[2], "azimuth": (event[3] + np.pi) % (2 * np.pi), "core_x": event[4] / 100.0,
                "core_y": event[5] / 100.0, "mass_number": MASS_NUMBERS[int(event[0])],
            }  # fmt: skip
        # Fixed-curvature geometry, with half a degree that the published zeniths have on top; core and size of the lateral fit.
        standard = {}
        if event[22] > 0 and event[27] > 0:
            standard = {
                "zenith": np.radians(event[22] + ZENITH_SHIFT), "azimuth": (np.radians(event[23]) + np.pi) % (2 * np.pi),
                "chi2": event[26], "ndof": int(event[27]), "core_x": (event[17] + ORIGIN[0]) * UNIT,
                "core_y": (event[19] + ORIGIN[1]) * UNIT, "s800": event[21], "energy": event[12], "n_stations": int(event[9]),
            }  # fmt: skip
        # The dump has no pedestal: the first bins of a window come before the crossing.
        pedestal = np.array([counts[:, layer, :16].mean(axis=1) for layer in (1, 0)]).T.reshape(-1, 2)
        records.append(Record(
            where, k, station, window[:, 1] / window[:, 2] * _SECOND - event[11] * 1e3, counts.transpose(0, 2, 1)[:, :, ::-1],
            pedestal, hits[:, 9:11][:, ::-1], dead=bad[:, 0].astype(int), truth=truth, standard=standard,
        ))  # fmt: skip
    return records, positions


def write_text(path, events: Events, pulses: Pulses) -> None:
    """Write events as a text dump, with the standard reconstruction where they have one, else 0. Station numbers must be 100 column + row.

    Raises
    ------
    InputError : no waveforms of two layers with 128 bins of 20 ns.
    """
    detector = events.array.detector
    if events.waveform is None or (detector.n_layers, detector.n_bins, detector.bin_width) != (2, N_BINS, 20.0):
        raise InputError(f"{path}: the text dump holds waveforms of two layers with 128 bins of 20 ns")
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
                PARTICLES.get(int(truth.mass_number[i]), 0), truth.energy[i], truth.zenith[i],
                (truth.azimuth[i] + np.pi) % (2 * np.pi), truth.core_x[i] * 100.0, truth.core_y[i] * 100.0,
            )  # fmt: skip
        if events.standard is not None and events.standard.valid[i]:
            t = events.standard
            event[[12, 17, 19, 21]] = t.energy[i], t.core_x[i] / UNIT - ORIGIN[0], t.core_y[i] / UNIT - ORIGIN[1], t.s800[i]
            event[22], event[23] = np.degrees(t.zenith[i]) - ZENITH_SHIFT, np.degrees((t.azimuth[i] + np.pi) % (2 * np.pi))
            event[[9, 26, 27]] = t.n_stations[i], t.chi2[i], t.ndof[i]
        lines["EVENT DATA"].append(" ".join(f"{x:.9g}" for x in event))
        time = np.nan_to_num(pulses.arrival_time[rows])[:, None] / RELATIVE_TIME
        position = events.array.position[events.hit_station[rows]] / UNIT
        good = np.where(pulses.saturated[rows], 5, 4)
        meta = np.column_stack([
            station, good, time, time, pulses.signal[rows][:, ::-1], position, events.counts_per_vem[rows][:, ::-1], np.ones(n),
        ])  # fmt: skip
        lines["SD meta DATA"].append(" ".join(f"{x:.9g}" for x in meta.ravel()))
        clkcnt, mclkcnt = clock_counts(events.hit_time[rows] + USEC * 1e3)
        counts = events.waveform[rows][:, :, ::-1].transpose(0, 2, 1).reshape(n, 2 * N_BINS)
        window = np.column_stack([station, clkcnt, mclkcnt, counts]).astype(int)
        lines["SD waveform DATA"].append(" ".join(map(str, window.ravel().tolist())))
        dead = events.array.station_id[events.dead_station[slice(*events.dead_offset[i : i + 2])]]
        lines["badsdinfo"].append(" ".join(f"{s} 65535" for s in dead))
    with written_aside(path) as aside:
        aside.write_text("".join(f"{name}\n" + "".join(line + "\n" for line in lines[name]) for name in SECTIONS))

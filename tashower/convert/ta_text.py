"""The Telescope Array's text dump, to events; `ta_text_export` writes it.

Sections begin at lines that contain their name; a section holds one line of blank-separated numbers
per event. The four sections come once per event, one after the other, or once per file; blank lines
at the end of a section may be missing. Lower layer first; angles of travel; core in cm, positions
in 1200 m, CLF frame.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from tashower.convert.assemble import Record, check_size
from tashower.convert.ta_banks import N_BINS
from tashower.convert.ta_dst import MASS_NUMBERS
from tashower.convert.ta_standard import DEGREE, ORIGIN, UNIT
from tashower.convert.ta_windows import (
    SECOND,
    pedestals,
    put_waveforms,
    select_hits,
    window_starts,
    within_half,
)
from tashower.errors import InputError
from tashower.events.model import PARAMETERS
from tashower.physics.compiled import compiled
from tashower.types import FilePath

SECTIONS = ("EVENT DATA", "SD meta DATA", "SD waveform DATA", "badsdinfo")
HIT_NUMBERS, WINDOW_NUMBERS = 12, 259
#: Numbers of an event: all, or those without the fit of lateral distribution and geometry together.
EVENT_NUMBERS, EVENT_NUMBERS_SHORT = 61, 42
#: What the published zeniths of the Telescope Array have more than those of the dump [deg].
ZENITH_SHIFT = 0.5


def _find_sections(path) -> list[dict[str, list[int]]]:
    """For each time that the four sections come: {section: [byte where its first event begins,
    number of the line before it, lines, lines up to the last that is not blank]}. What stands
    before the first section is left alone.

    Raises
    ------
    InputError : a section is missing, or has more events than the section of events.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    groups: list[dict[str, list[int]]] = []
    at, current = 0, None
    with path.open("rb") as file:
        if file.read(3)[:2] in (b"\x1f\x8b", b"BZ"):
            raise InputError(f"{path}: a packed text dump: unpack it first")
        file.seek(0)
        for number, line in enumerate(file, 1):
            at += len(line)
            begin = line[:200]
            name = next((s for s in SECTIONS if s.encode() in begin), None)
            if name is not None:
                if not groups or len(groups[-1]) == len(SECTIONS):
                    groups.append({})
                if name in groups[-1]:
                    raise InputError(f"{path}, line {number}: section {name!r} begins twice")
                current = groups[-1][name] = [at, number, 0, 0]
            elif current is not None:
                current[2] += 1
                current[3] = current[2] if begin.strip() else current[3]
    for group in groups or [{}]:
        for name in SECTIONS:
            if name not in group:
                raise InputError(f"{path}: section {name!r} is missing")
        n = group["EVENT DATA"][3]
        for name, (_, number, _, filled) in group.items():
            if filled > n:
                raise InputError(
                    f"{path}, line {number}: section {name!r} has {filled} events, "
                    f"section 'EVENT DATA' has {n}"
                )
    return groups


def _entries(path, names) -> Iterator[list[tuple[int, str]]]:
    """[(line number, text) in each of the named sections] of every event; no text where the line is
    missing.
    """
    groups = _find_sections(path)
    with ExitStack() as stack:
        files = [stack.enter_context(open(path, "rb")) for _ in names]
        for group in groups:
            for file, name in zip(files, names, strict=True):
                file.seek(group[name][0])
            for k in range(group["EVENT DATA"][3]):
                entry = []
                for file, name in zip(files, names, strict=True):
                    _, number, lines, _ = group[name]
                    text = file.readline() if k < lines else b""
                    if not text.isascii():
                        raise InputError(f"{path}, line {number + 1 + k}: not text")
                    entry.append((number + 1 + k, text.decode("ascii")))
                yield entry


def _numbers(path, entry, size: int) -> np.ndarray:
    """(m, size) numbers of a line."""
    number, text = entry
    try:
        values = np.array(text.split(), dtype=float)
    except ValueError:
        raise InputError(f"{path}, line {number}: an entry is not a number") from None
    if len(values) % size:
        raise InputError(
            f"{path}, line {number}: {len(values)} numbers, where a multiple of {size} are needed"
        )
    return values.reshape(-1, size)


@compiled
def _parse(data, out):
    """Whole numbers without a sign, up to nine digits, from text; how many, -1: other text."""
    n = digits = value = 0
    for byte in data:
        if 48 <= byte <= 57:
            value = 10 * value + byte - 48
            digits += 1
            if digits > 9:
                return -1
        elif byte == 32 or byte == 10 or byte == 13:
            if digits:
                out[n] = value
                n += 1
            digits = value = 0
        else:
            return -1
    if digits:
        out[n] = value
        n += 1
    return n


def _windows(path, entry) -> np.ndarray:
    """(w, 259) numbers of the windows of an event: as `_numbers`, faster where all are whole."""
    data = np.frombuffer(entry[1].encode("ascii"), np.uint8)
    out = np.empty(len(data) // 2 + 1)
    n = _parse(data, out)
    if n < 0 or n % WINDOW_NUMBERS:
        return _numbers(path, entry, WINDOW_NUMBERS)
    return out[:n].reshape(-1, WINDOW_NUMBERS)


def _event_numbers(path, entry) -> np.ndarray:
    """(61,) numbers of an event, 0 where a short line ends."""
    values = _numbers(path, entry, 1)[:, 0]
    if len(values) not in (EVENT_NUMBERS, EVENT_NUMBERS_SHORT):
        raise InputError(
            f"{path}, line {entry[0]}: {len(values)} numbers, where {EVENT_NUMBERS} or "
            f"{EVENT_NUMBERS_SHORT} are needed"
        )
    whole = np.zeros(EVENT_NUMBERS)
    whole[: len(values)] = values
    return whole


def read_positions(path: FilePath) -> dict[int, tuple]:
    """{station: position [m]} of all stations with hits in a text dump.

    Raises
    ------
    InputError : names file and event.
    """
    positions: dict[int, tuple] = {}
    for k, (line,) in enumerate(_entries(path, SECTIONS[1:2])):
        check_size((line[1].count(" ") + 1) // HIT_NUMBERS, f"{path}: event {k}")
        words = line[1].split()
        few = [words[column::HIT_NUMBERS] for column in (0, 6, 7, 8)]
        if len(words) % HIT_NUMBERS:
            _numbers(path, line, HIT_NUMBERS)  # says what is wrong
        hits = _numbers(path, (line[0], " ".join(map(" ".join, few))), 1).reshape(4, -1).T
        station = _stations(hits[:, 0], f"{path}: event {k}")
        for s, xyz in zip(station.tolist(), hits[:, 1:] * UNIT, strict=True):
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


def read_records(
    path: FilePath, windows: int = 1, notes: Counter | None = None
) -> Iterator[Record]:
    """The events of a text dump, one by one.

    windows : consecutive windows of a station that are kept; where a station has fewer, its
        pedestal follows
    notes : how many hits were left out, by reason; added to it

    Raises
    ------
    InputError : names file and line.
    """
    for k, lines in enumerate(_entries(path, SECTIONS)):
        record, left_out = _record(path, k, lines, windows)
        if notes is not None:
            notes.update(left_out)
        yield record


def _record(path, k: int, lines, most: int) -> tuple[Record, Counter]:
    """Event number k from its lines in the four sections, and how many hits were left out."""
    where = f"{path}: event {k}"
    event = _event_numbers(path, lines[0])
    hits = _numbers(path, lines[1], HIT_NUMBERS)
    windows = _windows(path, lines[2])
    dead = _stations(_numbers(path, lines[3], 2)[:, 0], where)
    folds = hits[:, 11]
    if not np.isfinite(folds).all() or (folds < 1).any() or folds.sum() != len(windows):
        raise InputError(
            f"{where}: its hits state {folds.sum():g} windows, there are {len(windows)}"
        )
    if not (np.isfinite(hits).all() and np.isfinite(event[:12]).all()):
        raise InputError(f"{where}: a number of the event or of a hit is not finite")
    folds = folds.astype(int)
    first = np.cumsum(folds) - folds
    if (windows[:, 0] != np.repeat(hits[:, 0], folds)).any():
        raise InputError(f"{where}: windows and hits name different stations")
    counts = windows[:, 3:].reshape(-1, 2, N_BINS)
    clock = windows[:, 1:3]
    if not ((clock >= 0) & (clock < 2**31)).all():
        raise InputError(f"{where}: a clock of a window is no number that a clock counts to")
    if not ((counts >= 0) & (counts <= 65535)).all() or not (windows[:, 2] > 0).all():
        raise InputError(f"{where}: a FADC count outside of 0 to 65535, or a clock without counts")
    time = within_half(windows[:, 1] / windows[:, 2] - 1e-6 * event[11])
    station = _stations(hits[:, 0], where)
    broken = hits[:, 1] <= 0
    if len(dead):
        listed = set(dead.tolist())
        broken |= np.array([s in listed for s in station.tolist()], bool)
    used, left_out = select_hits(
        np.zeros(len(hits), int), station, hits[:, 1], hits[:, 4:6].mean(axis=1), broken
    )
    place, first, folds = np.arange(most), first[used], folds[used]
    keep = np.where(place < folds[:, None], first[:, None] + place, -1)
    pedestal = pedestals(counts[first])
    waveform = np.empty((len(used), most * N_BINS, 2), np.uint16)
    rejected = broken[used]
    put_waveforms(counts, keep, window_starts(time, keep), pedestal, rejected, waveform)
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
    record = Record(
        where,
        k,
        station[used],
        time[first] * SECOND,
        waveform,
        pedestal[:, ::-1],
        hits[used, 9:11][:, ::-1],
        rejected=rejected,
        dead=np.append(dead, station[broken]),
        truth=truth,
        standard=_standard(event),
    )
    return record, left_out


def _standard(event) -> dict:
    """The geometry with the usual curvature, with half a degree that the published zeniths have on
    top; core and size of the lateral fit alone. Empty where they are not there.
    """
    fit = event[12:30]
    if not (np.isfinite(fit).all() and 0 < event[22] <= 90 and event[27] > 0):
        return {}
    with np.errstate(divide="ignore", invalid="ignore"):
        size_error = event[21] * event[14] / event[13]
    sigma = [event[18] * UNIT, event[20] * UNIT, event[24] * DEGREE, event[25] * DEGREE, size_error]
    sigma = [value if 0 < value < np.inf else np.nan for value in (*sigma, np.nan, np.nan)]
    covariance = np.full((len(PARAMETERS), len(PARAMETERS)), np.nan)
    np.fill_diagonal(covariance, np.square(sigma))
    return {
        "zenith": np.radians(event[22] + ZENITH_SHIFT),
        "azimuth": (np.radians(event[23]) + np.pi) % (2 * np.pi),
        "chi2": event[26],
        "ndof": int(min(event[27], 1e6)),
        "core_x": (event[17] + ORIGIN[0]) * UNIT,
        "core_y": (event[19] + ORIGIN[1]) * UNIT,
        "s_ref": event[21],
        "energy": event[12],
        "covariance": covariance,
        "n_stations": int(np.clip(event[9], 0, 1e6)),
    }

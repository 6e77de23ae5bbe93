"""The four Telescope Array banks with hits and truth, between bytes and arrays. In the files the
LOWER layer comes first.

rusdraw (13101) raw waveforms, rusdmc (13105) truth, rufptn (13103) pulses and positions, bsdinfo
(13112) stations out of service.
"""

from dataclasses import dataclass

import numpy as np

from tashower.errors import InputError

RUSDRAW, RUFPTN, RUSDMC, BSDINFO = 13101, 13103, 13105, 13112
N_BINS = 128
#: Bins that are summed in the histogram that pchped of rusdraw is the peak of; and rms between its
#: half-peak channels.
PEDESTAL_BINS, HALF_WIDTHS = 8.0, 2.33
#: More entries than this in a bank are an error: the array has 507 stations, a station a handful of
#: windows.
MOST_ENTRIES = 20_000

_HEADER = np.dtype(
    [
        (name, "<i4", shape)
        for name, shape in (
            ("event_num", ()),
            ("event_code", ()),
            ("site", ()),
            ("run_id", 3),
            ("trig_id", 3),
            ("errcode", ()),
            ("yymmdd", ()),
            ("hhmmss", ()),
            ("usec", ()),
            ("monyymmdd", ()),
            ("monhhmmss", ()),
            ("nofwf", ()),
        )
    ]
)
_COLUMNS = ("nretry", "wf_id", "trig_code", "xxyy", "clkcnt", "mclkcnt")
_WINDOW = np.dtype(
    [
        ("fadcti", "<i4", 2),
        ("fadcav", "<i4", 2),
        ("fadc", "<i4", (2, N_BINS)),
        ("pchmip", "<i4", 2),
        ("pchped", "<i4", 2),
        ("lhpchmip", "<i4", 2),
        ("lhpchped", "<i4", 2),
        ("rhpchmip", "<i4", 2),
        ("rhpchped", "<i4", 2),
        ("mftndof", "<i4", 2),
        ("mip", "<f8", 2),
        ("mftchi2", "<f8", 2),
        ("mftp", "<f8", (2, 4)),
        ("mftpe", "<f8", (2, 4)),
    ]
)
_TRUTH = np.dtype(
    [
        ("event_num", "<i4"),
        ("parttype", "<i4"),
        ("corecounter", "<i4"),
        ("tc", "<i4"),
        ("energy", "<f4"),
        ("height", "<f4"),
        ("theta", "<f4"),
        ("phi", "<f4"),
        ("corexyz", "<f4", 3),
    ]
)
_FOUR = ("isgood", "wfindex", "xxyy", "nfold")
_HIT = np.dtype(
    [(name, "<i4", 2) for name in ("sstart", "sstop", "lderiv", "zderiv")]
    + [("xyzclf", "<f8", 3), ("reltime", "<f8", 2), ("timeerr", "<f8", 2)]
    + [(n + e, "<f8", 2) for n in ("fadcpa", "pulsa", "ped", "vem") for e in ("", "err")]
)  # 216 bytes
_SUMS = np.dtype([("qtot", "<f8", 2), ("tearliest", "<f8", 2)])
#: The coarse geometry at the end of rufptn: of each of the lower, upper and both layers, numbers
#: beside cdist[nhits]; and of all three together.
_COARSE, _COARSE_END = 5 + 2 + 2 + 2 + 2, 12


@dataclass(frozen=True)
class RawEvents:
    """rusdraw of n events: `header` (n,), and of all windows, one event after the other, (w,)
    columns; event i has the windows first[i]:first[i + 1]. `window` is a structured array with fadc
    (w, 2, 128), lower layer first.
    """

    header: np.ndarray
    first: np.ndarray
    xxyy: np.ndarray
    clkcnt: np.ndarray
    mclkcnt: np.ndarray
    window: np.ndarray


def count(value: int, where: str, name: str) -> int:
    """The number of entries that a bank states, refused where it cannot be."""
    if not 0 <= value <= MOST_ENTRIES:
        raise InputError(f"{where}: {name} = {value}")
    return int(value)


def need(payload: bytes, size: int, where: str, bank: str) -> None:
    """Refuse a payload of less than `size` bytes."""
    if len(payload) < size:
        raise InputError(f"{where}: bank {bank} has {len(payload)} bytes, {size} needed")


def unpack_rusdraw(payloads: list, where: list[str]) -> RawEvents:
    """Raw waveforms of events.

    Raises
    ------
    InputError : too short for the number of windows that it states, or a number that cannot be.
    """
    for payload, place in zip(payloads, where, strict=True):
        need(payload, _HEADER.itemsize, place, "rusdraw")
    header = np.frombuffer(b"".join(p[: _HEADER.itemsize] for p in payloads), _HEADER)
    counts = header["nofwf"].tolist()
    for payload, place, n in zip(payloads, where, counts, strict=True):
        count(n, place, "nofwf")
        need(
            payload, _HEADER.itemsize + n * (4 * len(_COLUMNS) + _WINDOW.itemsize), place, "rusdraw"
        )
    columns, windows = [], []
    for payload, n in zip(payloads, counts, strict=True):
        begin = _HEADER.itemsize + 4 * len(_COLUMNS) * n
        columns.append(
            np.frombuffer(payload, "<i4", n * len(_COLUMNS), _HEADER.itemsize).reshape(
                len(_COLUMNS), n
            )
        )
        windows.append(payload[begin : begin + n * _WINDOW.itemsize])
    named = dict(zip(_COLUMNS, np.concatenate(columns, axis=1), strict=True))
    first = np.concatenate([[0], np.cumsum(counts)])
    return RawEvents(
        header,
        first,
        named["xxyy"],
        named["clkcnt"],
        named["mclkcnt"],
        np.frombuffer(b"".join(windows), _WINDOW),
    )


def pack_rusdraw(
    header: dict,
    xxyy: np.ndarray,
    clkcnt: np.ndarray,
    mclkcnt: np.ndarray,
    fadc: np.ndarray,
    monitored: dict[str, np.ndarray],
) -> bytes:
    """Payload of rusdraw: (w,) columns, fadc (w, 2, 128), lower layer first; header: fields by
    name; monitored: pchmip, pchped, mip... (w, 2) by name.
    """
    n = len(xxyy)
    head = np.zeros(1, _HEADER)
    for name, value in {**header, "nofwf": n}.items():
        head[name] = value
    columns = np.zeros((len(_COLUMNS), n), "<i4")
    columns[1], columns[3], columns[4], columns[5] = np.arange(n), xxyy, clkcnt, mclkcnt
    window = np.zeros(n, _WINDOW)
    for name, column in {**monitored, "fadc": fadc}.items():
        window[name] = column
    window["fadcti"], window["fadcav"] = np.sum(fadc, axis=2), np.mean(fadc, axis=2)
    return head.tobytes() + columns.tobytes() + window.tobytes()


def unpack_rusdmc(payload: bytes, where: str) -> np.void:
    """Truth: energy [EeV], theta, phi [rad] (direction of TRAVEL), corexyz [cm, CLF frame],
    parttype (CORSIKA number).
    """
    need(payload, _TRUTH.itemsize, where, "rusdmc")
    return np.frombuffer(payload, _TRUTH, 1)[0]


def pack_rusdmc(**values: float) -> bytes:
    """Payload of rusdmc from its fields."""
    truth = np.zeros(1, _TRUTH)
    for name, value in values.items():
        truth[name] = value
    return truth.tobytes()


@dataclass(frozen=True)
class FoundPulses:
    """rufptn of an event, a row per hit: `isgood`, `wfindex` (its first window), `xxyy`, `nfold`
    (windows), and `hit` with sstart, reltime, xyzclf [1200 m], pulsa [VEM], ped, vem..., lower
    layer first. `n_part`: stations that are part of the event; `tearliest` (2,) [s since midnight].
    """

    n_part: int
    isgood: np.ndarray
    wfindex: np.ndarray
    xxyy: np.ndarray
    nfold: np.ndarray
    hit: np.ndarray
    tearliest: np.ndarray


def unpack_rufptn(payload: bytes, where: str) -> FoundPulses:
    """The pulses of an event, hit by hit.

    Raises
    ------
    InputError : shorter than the number of hits that it states needs, with the coarse geometry at
        its end.
    """
    need(payload, 16, where, "rufptn")
    counts = np.frombuffer(payload, "<i4", 4)
    n = count(int(counts[0]), where, "nhits")
    need(payload, _rufptn_size(n), where, "rufptn")
    four = np.frombuffer(payload, "<i4", 4 * n, 16).reshape(4, n)
    end = 16 + n * (16 + _HIT.itemsize)
    sums = np.frombuffer(payload, _SUMS, 1, end)[0]
    hit = np.frombuffer(payload, _HIT, n, 16 + 16 * n)
    return FoundPulses(int(counts[2]), *four, hit, sums["tearliest"])


def _rufptn_size(n: int) -> int:
    """Bytes of the payload of rufptn with n hits."""
    coarse = 8 * (3 * (n + _COARSE) + _COARSE_END)
    return 16 + n * (16 + _HIT.itemsize) + _SUMS.itemsize + coarse


def pack_rufptn(n_space: int, n_part: int, n_border: int, **columns: np.ndarray) -> bytes:
    """Payload of rufptn; columns by name, missing ones 0, and no coarse geometry. The sum over the
    event is that of pulsa; `tearliest` [s since midnight] is one of the columns.
    """
    n = len(columns["xxyy"])
    hit, sums = np.zeros(n, _HIT), np.zeros(1, _SUMS)
    for name in set(columns) - set(_FOUR) - {"tearliest"}:
        hit[name] = columns[name]
    sums["tearliest"] = columns.get("tearliest", 0.0)
    sums["qtot"] = hit["pulsa"].sum(axis=0)
    head = np.array([n, n_space, n_part, n_border], "<i4")
    four = [np.asarray(columns.get(name, np.zeros(n)), "<i4") for name in _FOUR]
    written = b"".join(part.tobytes() for part in (head, *four, hit, sums))
    return written.ljust(_rufptn_size(n), b"\0")


def unpack_bsdinfo(payload: bytes, version: int, where: str) -> np.ndarray:
    """Numbers (xxyy) of the stations that are out of service; those outside of the array's own list
    as well.
    """
    need(payload, 16, where, "bsdinfo")
    numbers = np.frombuffer(payload, "<i4", len(payload) // 4)
    n = count(numbers[3], where, "nbsds")
    need(payload, 16 + 8 * n, where, "bsdinfo")
    bad = numbers[4 : 4 + n]
    if version < 1 or len(numbers) < 5 + 2 * n:
        return bad
    n_out = count(numbers[4 + 2 * n], where, "nsdsout")
    need(payload, 20 + 8 * n + 4 * n_out, where, "bsdinfo")
    return np.concatenate([bad, numbers[5 + 2 * n : 5 + 2 * n + n_out]])


def pack_bsdinfo(yymmdd: int, hhmmss: int, usec: int, xxyy: np.ndarray) -> bytes:
    """Payload of bsdinfo, version 0: stations out of service, each with all bits set."""
    xxyy = np.asarray(xxyy, "<i4")
    head = np.array([yymmdd, hhmmss, usec, len(xxyy)], "<i4")
    return head.tobytes() + xxyy.tobytes() + np.full(len(xxyy), 0xFFFF, "<i4").tobytes()

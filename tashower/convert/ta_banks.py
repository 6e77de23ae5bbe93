"""The four Telescope Array banks that matter here, between bytes and arrays. In the files the LOWER
layer comes first.

rusdraw (13101) raw waveforms, rusdmc (13105) truth, rufptn (13103) pulses and positions, bsdinfo
(13112) stations out of service.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tashower.errors import InputError

RUSDRAW, RUFPTN, RUSDMC, BSDINFO = 13101, 13103, 13105, 13112
N_BINS = 128
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
_FOUND = np.dtype(
    [("sstart", "<i4", 2), ("sstop", "<i4", 2), ("lderiv", "<i4", 2), ("zderiv", "<i4", 2)]
)
_MEASURED = np.dtype(
    [
        ("xyzclf", "<f8", 3),
        *(
            (name, "<f8", 2)
            for name in (
                "reltime",
                "timeerr",
                "fadcpa",
                "fadcpaerr",
                "pulsa",
                "pulsaerr",
                "ped",
                "pederr",
                "vem",
                "vemerr",
            )
        ),
    ]
)


def _hit_columns() -> list[tuple]:
    """(name, type, numbers per hit, bytes of the columns before it per hit) of the columns of
    rufptn.
    """
    columns, offset = [], 0
    widths = [(name, np.dtype("<i4"), 1) for name in _FOUR]
    widths += [
        (name, kind[name].subdtype[0], kind[name].subdtype[1][0])
        for kind in (_FOUND, _MEASURED)
        for name in kind.names
    ]
    for name, base, width in widths:
        columns.append((name, base, width, offset))
        offset += base.itemsize * width
    return columns


_HIT_COLUMNS = _hit_columns()


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


def _count(value: int, where: str, name: str) -> int:
    if not 0 <= value <= MOST_ENTRIES:
        raise InputError(f"{where}: {name} = {value}")
    return int(value)


def _need(payload: bytes, size: int, where: str, bank: str) -> None:
    if len(payload) < size:
        raise InputError(f"{where}: bank {bank} has {len(payload)} bytes, {size} needed")


def unpack_rusdraw(payloads: list, where: list[str]) -> RawEvents:
    """Raw waveforms of events.

    Raises
    ------
    InputError : too short for the number of windows that it states, or a number that cannot be.
    """
    for payload, place in zip(payloads, where, strict=True):
        _need(payload, _HEADER.itemsize, place, "rusdraw")
    header = np.frombuffer(b"".join(p[: _HEADER.itemsize] for p in payloads), _HEADER)
    counts = header["nofwf"].tolist()
    for payload, place, n in zip(payloads, where, counts, strict=True):
        _count(n, place, "nofwf")
        _need(
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
    pchmip: np.ndarray,
    pchped: np.ndarray,
    mip: np.ndarray,
) -> bytes:
    """Payload of rusdraw: (w,) columns, fadc (w, 2, 128), pchmip, pchped, mip (w, 2), lower layer
    first; header: fields by name.
    """
    n = len(xxyy)
    head = np.zeros(1, _HEADER)
    for name, value in {**header, "nofwf": n}.items():
        head[name] = value
    columns = np.zeros((len(_COLUMNS), n), "<i4")
    columns[1], columns[3], columns[4], columns[5] = np.arange(n), xxyy, clkcnt, mclkcnt
    window = np.zeros(n, _WINDOW)
    window["fadc"], window["pchmip"], window["pchped"], window["mip"] = fadc, pchmip, pchped, mip
    window["fadcti"], window["fadcav"] = np.sum(fadc, axis=2), np.mean(fadc, axis=2)
    return head.tobytes() + columns.tobytes() + window.tobytes()


def unpack_rusdmc(payload: bytes, where: str) -> np.void:
    """Truth: energy [EeV], theta, phi [rad] (direction of TRAVEL), corexyz [cm, CLF frame],
    parttype (CORSIKA number).
    """
    _need(payload, _TRUTH.itemsize, where, "rusdmc")
    return np.frombuffer(payload, _TRUTH, 1)[0]


def pack_rusdmc(**values: float) -> bytes:
    """Payload of rusdmc from its fields."""
    truth = np.zeros(1, _TRUTH)
    for name, value in values.items():
        truth[name] = value
    return truth.tobytes()


def unpack_rufptn(
    payload: bytes, where: str, names: Sequence[str] | None = None
) -> dict[str, np.ndarray]:
    """The named columns, or all, per hit: isgood, wfindex, xxyy, nfold, xyzclf (n, 3) [1200 m];
    pulsa [VEM], ped, vem... are (n, 2), lower layer first.
    """
    _need(payload, 16, where, "rufptn")
    n = _count(int(np.frombuffer(payload, "<i4", 1)[0]), where, "nhits")
    _need(payload, 16 + n * (16 + _FOUND.itemsize + _MEASURED.itemsize), where, "rufptn")
    # Arrays of the structure stand one after the other: first all of one name, then all of the
    # next.
    return {
        name: np.frombuffer(payload, base, n * width, 16 + n * offset).reshape(
            (n, width) if width > 1 else n
        )
        for name, base, width, offset in _HIT_COLUMNS
        if names is None or name in names
    }


def pack_rufptn(n_space: int, n_part: int, n_border: int, **columns: np.ndarray) -> bytes:
    """Payload of rufptn; columns by name, missing ones 0. The sums over the event at its end are
    those of pulsa.
    """
    n = len(columns["xxyy"])
    parts = [np.array([n, n_space, n_part, n_border], "<i4").tobytes()]
    for name in _FOUR:
        parts.append(np.asarray(columns.get(name, np.zeros(n)), "<i4").tobytes())
    for kind in (_FOUND, _MEASURED):
        for name in kind.names:
            base, shape = kind[name].subdtype
            values = np.broadcast_to(np.asarray(columns.get(name, 0), base), (n, *shape))
            parts.append(np.ascontiguousarray(values).tobytes())
    parts.append(np.asarray(columns["pulsa"], "<f8").sum(axis=0).tobytes())
    parts.append(
        np.asarray(columns["reltime"], "<f8").min(axis=0).tobytes() if n else np.zeros(2).tobytes()
    )
    return b"".join(parts)


def unpack_bsdinfo(payload: bytes, version: int, where: str) -> np.ndarray:
    """Numbers (xxyy) of the stations that are out of service; those outside of the array's own list
    as well.
    """
    _need(payload, 16, where, "bsdinfo")
    numbers = np.frombuffer(payload, "<i4", len(payload) // 4)
    n = _count(numbers[3], where, "nbsds")
    _need(payload, 16 + 8 * n, where, "bsdinfo")
    bad = numbers[4 : 4 + n]
    if version < 1 or len(numbers) < 5 + 2 * n:
        return bad
    n_out = _count(numbers[4 + 2 * n], where, "nsdsout")
    _need(payload, 20 + 8 * n + 4 * n_out, where, "bsdinfo")
    return np.concatenate([bad, numbers[5 + 2 * n : 5 + 2 * n + n_out]])


def pack_bsdinfo(yymmdd: int, hhmmss: int, usec: int, xxyy: np.ndarray) -> bytes:
    """Payload of bsdinfo, version 0: stations out of service, each with all bits set."""
    xxyy = np.asarray(xxyy, "<i4")
    head = np.array([yymmdd, hhmmss, usec, len(xxyy)], "<i4")
    return head.tobytes() + xxyy.tobytes() + np.full(len(xxyy), 0xFFFF, "<i4").tobytes()

"""Bytes of Telescope Array files as others write them: from the layouts of the public DST library
(banks in the order of its packing routines, D. Ivanov) and of the public parser for the Telescope
Array's networks (TA-DNN/dstparser). Shares nothing with the package and its writers.
"""

import binascii
import struct

import h5py
import numpy as np

BLOCK = 32_000
EVENT, STOP = 1_400_000_023, 1_400_000_101


def checksum(data: bytes) -> int:
    """CRC-16 with all bits in the other order."""
    swapped = bytes(int(f"{byte:08b}"[::-1], 2) for byte in data)
    return int(f"{binascii.crc_hqx(swapped, 0):016b}"[::-1], 2)


def dst(banks) -> bytes:
    """A file of (number, version, payload) banks; each begins in the block where one ended."""
    blocks, block = [], b""

    def begin():
        return struct.pack("<BBi", 96, 97, len(blocks))

    block = begin()
    for number, version, payload in banks:
        data = struct.pack("<ii", number, version) + payload
        command, crc = 7, checksum(data)
        while True:
            room = BLOCK - len(block) - 6 - 6 - 2
            part, data = data[: max(room, 0)], data[max(room, 0) :]
            block += struct.pack("<BBi", 96, command, len(part)) + part
            block += struct.pack("<BBi", 96, 15 if data else 14, crc)
            if not data and len(block) < BLOCK - 100:
                break
            blocks.append((block + bytes((96, 98))).ljust(BLOCK, bytes((96,))))
            block = begin()
            if not data:
                break
            command = 8
    blocks.append((block + bytes((96, 99))).ljust(BLOCK, bytes((96,))))
    return b"".join(blocks)


def rusdraw(number, usec, windows, mip=(55.0, 56.0), ped=(40, 48)) -> bytes:
    """windows: [(xxyy, clkcnt, mclkcnt, lower counts, upper counts)]."""
    n = len(windows)
    head = (number, 1, 6, 1, 2, 3, 4, 5, 6, 0, 241010, 101648, usec, 241010, 101000, n)
    data = struct.pack("<16i", *head)
    for column in (
        *([0] * n, range(n), [2] * n),
        *([w[0] for w in windows], [w[1] for w in windows], [w[2] for w in windows]),
    ):
        data += struct.pack(f"<{n}i", *column)
    for _, _, _, lower, upper in windows:
        data += struct.pack("<4i", sum(lower), sum(upper), 5, 6)
        data += struct.pack("<128i", *lower) + struct.pack("<128i", *upper)
        data += struct.pack("<14i", 50, 51, *ped, *range(10))
        data += struct.pack("<20d", *mip, *range(18))
    return data


def rufptn(hits, tail: bool = True) -> bytes:
    """hits: isgood, wfindex, xxyy, nfold, xyz [1200 m], pulsa, ped, vem (lower, upper) by name."""
    n = len(hits)
    data = struct.pack("<4i", n, n, sum(h["isgood"] >= 4 for h in hits), 0)
    for name in ("isgood", "wfindex", "xxyy", "nfold"):
        data += struct.pack(f"<{n}i", *(h[name] for h in hits))
    for h in hits:
        data += struct.pack("<8i", 28, 28, 40, 41, 1, 2, 3, 4)
        data += struct.pack("<3d", *h["xyz"])
        data += struct.pack("<4d", 6.3, 6.3, 0.004, 0.004)  # reltime, timeerr
        for name in ("fadcpa", "pulsa", "ped", "vem"):
            data += struct.pack("<4d", *h.get(name, (1.0, 2.0)), 0.1, 0.2)
    if tail:
        data += struct.pack("<4d", 10.0, 11.0, 37008.1, 37008.1)
        data += struct.pack(f"<{3 * (n + 13)}d", *range(3 * (n + 13)))
        data += struct.pack("<12d", *range(12))
    return data


def bsdinfo(bad, out) -> bytes:
    """Version 2."""
    data = struct.pack("<4i", 241010, 101648, 94569, len(bad))
    data += struct.pack(f"<{2 * len(bad)}i", *bad, *([1] * len(bad)))
    data += struct.pack("<i", len(out))
    return data + struct.pack(f"<{2 * len(out)}i", *out, *([65535] * len(out)))


def rusdgeom(nsig, fits, ndof) -> bytes:
    """nsig: signals of each station; fits: 11 triples, xcore to chi2."""
    n = len(nsig)
    data = struct.pack(f"<{n + 1}i", n, *nsig)
    for k in nsig:
        data += struct.pack(f"<{3 * k}d", *range(3 * k)) + struct.pack(f"<{2 * k}i", *range(2 * k))
        data += struct.pack("<3d", 1, 2, 3)
    data += struct.pack(f"<{3 * n}d", *range(3 * n)) + struct.pack(f"<{3 * n}i", *range(3 * n))
    data += struct.pack("<33d", *(value for triple in fits for value in triple))
    return data + struct.pack("<3i", *ndof) + struct.pack("<3d", 3.7, 1.2, 37008.1)


def rufldf(pairs, single, ndof, more=None) -> bytes:
    """pairs: 14 of them, xcore to chi2; single: 11, theta to tdist. more: a pair on top before
    atmcor, in a bank of the same length, as files of 2024 have it.
    """
    values = [value for pair in pairs for value in pair]
    if more is None:
        return struct.pack("<39d", *values, *single) + struct.pack("<2i", *ndof)
    return struct.pack("<40d", *values[:24], *more, *values[24:], *single[:10])


def sparse(file, name, array, packed: bool) -> None:
    """An array as the parser saves it: without zeros, indices as they are or as steps."""
    index = np.flatnonzero(array)
    group = file.create_group(name)
    group["nz_data"], group["shape"] = array.ravel()[index], np.array(array.shape)
    if packed:
        step = np.diff(index)
        group["ic_info"] = np.array([len(index), index[0]], np.uint64)
        group["ic_idxs"] = np.flatnonzero(step > 1) + 1
        group["ic_data"] = step[step > 1]
    else:
        group["nz_idxs"] = index


def lists(path, columns: dict) -> None:
    """The parser's layout without tiles."""
    with h5py.File(path, "w") as file:
        for name, column in columns.items():
            file.create_dataset(name, data=column, chunks=True, maxshape=(None, *column.shape[1:]))


CLOCK = 49_999_500
USEC = 94_569
PED, VEM = (6.125, 5.375), (41.25, 43.5)  # lower, upper


def pulse(height: int, at: int = 30):
    """(lower, upper) counts: pedestals 6 and 5, and a rectangle of 4 bins."""
    lower, upper = ([base] * 128 for base in (6, 5))
    for k in range(at, at + 4):
        lower[k], upper[k] = 6 + height, 5 + 2 * height
    return lower, upper


#: xxyy, windows (start after the first of the event in bins, height), isgood, pulsa
HITS = [
    (1010, [(0, 100), (190, 50)], 4, 12.0),  # a second window that begins 62 bins after the first
    (1013, [(40, 100)], 2, 30.0),  # a muon before,
    (1013, [(1000, 80)], 4, 11.0),  # and the hit that is part of the event
    (1011, [(20, 90)], 0, 0.0),  # does not work
    (1012, [(15, 70)], 4, 9.0),  # bsdinfo says so
    (1014, [(60, 60)], 5, 8.0),
]
PLACE = {1010: (-2.24, -6.43, 0.1), 1013: (-2.25, -3.44, 0.2), 1011: (-2.23, -5.45, 0.1)}
PLACE |= {1012: (-2.24, -4.44, 0.1), 1014: (-2.26, -2.42, 0.3)}


def banks(pulses=True, tail=True, first=4_728_300, usec=USEC, more=()):
    """Banks of one event."""
    windows, hits = [], []
    for xxyy, parts, isgood, signal in HITS:
        broken = isgood == 0
        hits.append(
            {
                "isgood": isgood,
                "wfindex": len(windows),
                "xxyy": xxyy,
                "nfold": len(parts),
                "xyz": PLACE[xxyy],
                "pulsa": (signal, 1.1 * signal),
                "ped": (-1.0, -1.0) if broken else PED,
                "vem": (-1.0, -1.0) if broken else VEM,
            }
        )
        for start, height in parts:
            windows.append((xxyy, (first + start) % CLOCK, CLOCK, *pulse(height)))
    found = [(EVENT, 0, b""), (13112, 2, bsdinfo([1012], [2411]))]
    found.append((13101, 1, rusdraw(335, usec, windows)))
    if pulses:
        found.append((13103, 1, rufptn(hits, tail)))
    return [*found, *more, (STOP, 0, b"")]


PAIRS = [(7.2, 7.25), (0.04, 0.03), (11.3, 11.35), (0.02, 0.025), (240.0, 250.0), (24.0, 32.0)]
PAIRS += [(148.0, 149.0), (214.0, 212.0), (50.1, 50.2), (0.0, 0.0), (43.4, 43.0), (20.0, 20.1)]
PAIRS += [(1.0, 1.0), (9.5, 13.5)]
SINGLE = [31.2, 1.2, 176.3, 2.2, 6.2, 0.02, 6.1, -6.0, -5.9, 4.9, 4.9]
FITS = [(7.0, 7.1, 7.15), (0.1, 0.1, 0.15), (11.0, 11.1, 11.2), (0.1, 0.1, 0.16), (6.3,) * 3]
FITS += [(0.1,) * 3, (31.0, 31.6, 31.9), (7.0, 1.7, 1.5), (180.0, 177.2, 177.3), (11.0, 3.3, 2.9)]
FITS += [(1.0, 0.8, 1.02)]
NAMES = ("EVENT DATA", "SD meta DATA", "SD waveform DATA", "badsdinfo")


def dump_line(short=False, fit=True):
    """The 61 numbers, in the order of the program's printing."""
    fits = [20.11, 243614.4, 24028.7, 11.0, 5, 7.226, 0.037, 11.335, 0.031, 50.147]
    fits += [31.665, 177.244, 1.695, 3.3215, 0.779, 7, 6.311, 0.079, 6.237, 4.924]
    fits += [31.865, 177.305, 1.533, 2.946, 1.02, 6, 6.311, 0.08, 3.705, 1.182]
    both = [20.123, 249299.0, 32126.1, 12.0, 14, 7.232, 0.031, 11.338, 0.026, 50.177]
    both += [31.2, 176.3, 1.2, 2.2]
    numbers = [0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 241010, 101648, 12, 4, USEC]
    numbers += fits if fit else [0.0] * 30
    numbers += [] if short else [*both, 31, 13, 0, 1704.9, 1785.3]
    return " ".join(f"{x:f}" if isinstance(x, float) else str(x) for x in numbers)


def _dump_hit(xxyy, isgood=4, folds=1, signal=5.0, vem=40.0):
    place = (xxyy // 100 - 12.2435, xxyy % 100 - 16.4406, 0.02)
    numbers = [6.3, 6.3, signal, signal, *place, vem, vem + 1]
    return f"{xxyy:04d} {isgood:02d} " + " ".join(f"{x:f}" for x in numbers) + f" {folds}"


def _dump_window(xxyy, start, height):
    lower, upper = [6] * 128, [5] * 128
    lower[30:34], upper[30:34] = [6 + height] * 4, [5 + 2 * height] * 4
    return f"{xxyy:04d} {4_728_300 + start:08d} {CLOCK} " + " ".join(map(str, lower + upper))


def dump_sections(hits=None, windows=None, bad="0310 65535 ", line=None):
    """Lines of one event: a station with a muon before its hit, one that does not work."""
    hits = hits or [
        _dump_hit(810),
        _dump_hit(711, folds=2),
        _dump_hit(810, 2, signal=9.0),
        _dump_hit(1119, 0, vem=-1.0),
    ]
    windows = windows or [
        _dump_window(810, 0, 50),
        _dump_window(711, 10, 60),
        _dump_window(711, 200, 30),
        _dump_window(810, -2000, 70),
        _dump_window(1119, 5, 80),
    ]
    return [line or dump_line(), " ".join(hits) + " ", " ".join(windows) + " ", bad]


def per_event(*events):
    """What the program prints: the sections of each event, one event after the other."""
    return "".join(
        f"#{name}\n{line}\n" for event in events for name, line in zip(NAMES, event, strict=True)
    )


def per_file(*events):
    """The same, the sections once."""
    columns = zip(NAMES, zip(*events, strict=True), strict=True)
    return "".join(f"{name}\n" + "".join(f"{line}\n" for line in lines) for name, lines in columns)


def lists_of_hits():
    """Two events of the parser's second layout (dst_adapter_vlen.py), lower layer first."""
    ids = np.array([1010, 1011, 1012, 1010, 1013, 1013])
    counts = np.full((7, 2, 128), 6)
    counts[:, :, 5] = 7
    counts[:, 0, 28:34] += np.array([50, 60, 70, 80, 90, 100, 110])[:, None]
    counts[:, 1, 28:34] += 2 * np.array([50, 60, 70, 80, 90, 100, 110])[:, None]
    vem = np.array([40.0, 44.0])
    folds = np.array([1, 2, 1, 1, 1, 1])
    place = np.column_stack([ids // 100 - 12.2435, ids % 100 - 16.4406, np.full(6, 0.02)])
    time = np.array([1.0, 1.5, 2.0, 3.0, 3.5, 5.0])
    return {
        "arrival_times": np.column_stack([time, time]),
        "pulse_area": np.array([[3.0, 3], [4, 4], [5, 5], [6, 6], [7, 7], [9, 9]]),
        "detector_positions": place,
        "status": np.array([4, 4, 5, 4, 4, 3]),
        "nfold": folds,
        "detector_ids": ids,
        "hit_offsets": np.array([0, 3, 6]),
        "hit_tt_offsets": np.concatenate([[0], np.cumsum(folds)]),
        "time_traces": (counts / vem[None, :, None]).astype(np.float32),
        "tt_offsets": np.array([0, 4, 7]),
        "mass_number": np.array([1, 56]),
        "energy": np.array([20.0, 30.0]),
        "shower_axis": np.array([[0.6, 0.0, 0.8], [0.0, 0.6, 0.8]]),
        "shower_core": np.array([[1e5, -2e5, 0], [3e5, 4e5, 0]]),
        "std_recon_energy": np.array([21.0, 29.0]),
        "std_recon_s800": np.array([40.0, 60.0]),
        "std_recon_shower_axis": np.array([[0.6, 0.0, 0.8], [0.0, 0.6, 0.8]]),
        "std_recon_shower_core": np.array([[1.0, -2.0], [3.0, 4.0]]),
    }

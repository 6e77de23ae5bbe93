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
    """A file of (number, version, payload) banks, each begun in the block where the last one ended."""
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
    """hits: dictionaries isgood, wfindex, xxyy, nfold, xyz [1200 m], pulsa, ped, vem (lower, upper)."""
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

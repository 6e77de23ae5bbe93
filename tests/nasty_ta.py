"""Damage that keeps the structure of the Telescope Array's formats: banks with right checksums and
wrong counts, numbers or order; dumps and HDF5 files with numbers that cannot be.
"""

import re
import struct

import h5py
import numpy as np
import published
from nasty import few
from published import FITS, PAIRS, SINGLE, banks

WHOLE = (0, 1, -1, 2, 127, 128, 19_999, 20_001, 2**31 - 1, -(2**31), 99, 9999, 100_000)
REAL = (np.nan, np.inf, -np.inf, 0.0, -1.0, 1e300, 1e-300, 91.0, -1e9, 1e-6, 0.1, 1e3, 8e5, 1e12)
WORDS = ("1e999", "-1e999", "nan", "1e300", "\x00", "0", "-1", "9" * 40, "2147483648", "x", "")
#: Numbers that fit into no place: of any column of any kind.
BEYOND = (2**63 - 1, -(2**63), 2**63, 2**64 - 1, 1e18, 1e30, 3.4e38, 5e-324, 0.5, 2**31, 2**53 + 1)
#: Kinds that a column should not have.
KINDS = ("i1", "u8", "f4", "S3", "f2", ">f8", ">i4", "c16", "bool", "O", "f8", "i2", "V4", "m8[s]")


def whole_banks():
    """Banks of one event, with fits."""
    more = [(13104, 1, published.rusdgeom([1, 2, 1], FITS, (7, 7, 6)))]
    return banks(more=[*more, (13107, 1, published.rufldf(PAIRS, SINGLE, (5, 14)))])


def damaged_banks(rng, whole):
    """Banks with one thing wrong, the rest as it was."""
    found = [list(bank) for bank in whole]
    k = int(rng.integers(len(found)))
    payload, kind = bytearray(found[k][2]), rng.integers(6)
    if kind == 0:  # a count, or another of the first numbers
        at = 4 * int(rng.integers(16))
        payload[at : at + 4] = struct.pack("<i", int(rng.choice(WHOLE)))
    elif kind == 1 and len(payload) >= 4:  # off by one somewhere
        at = 4 * int(rng.integers(len(payload) // 4))
        value = struct.unpack_from("<i", payload, at)[0] + int(rng.choice((-1, 1)))
        payload[at : at + 4] = struct.pack("<i", max(min(value, 2**31 - 1), -(2**31)))
    elif kind == 2 and len(payload) >= 8:
        at = 4 * int(rng.integers(len(payload) // 4 - 1))
        payload[at : at + 8] = struct.pack("<d", float(rng.choice(REAL)))
    elif kind == 3:
        payload = payload[: int(rng.integers(len(payload) + 1))]
    elif kind == 4:
        found.insert(int(rng.integers(len(found))), found[k])  # twice, or out of order
    else:
        found[k][int(rng.integers(2))] = int(rng.choice((0, 1, 7, 13101, 13103, 13107, 13112)))
    if kind < 4:
        found[k][2] = bytes(payload)
    return found


def damaged_text(rng, text):
    """A dump with a word, a line or a section wrong."""
    lines = text.split("\n")
    k, kind = int(rng.integers(len(lines))), rng.integers(4)
    words = lines[k].split(" ")
    if kind == 0:
        words[int(rng.integers(len(words)))] = str(rng.choice(WORDS))
        lines[k] = " ".join(words)
    elif kind == 1:
        lines.insert(int(rng.integers(len(lines))), lines[k])
    elif kind == 2:
        del lines[k]
    else:
        lines[k] = " ".join(words + words[: int(rng.integers(20))])
    return "\n".join(lines)


def damaged_columns(rng, columns):
    """Columns with a number, a length, a kind or a name wrong."""
    found = dict(columns)
    name = str(rng.choice(sorted(found)))
    column, kind = found[name].copy(), rng.integers(4)
    if kind == 0 and column.size:
        values = REAL if column.dtype.kind == "f" else WHOLE
        column.ravel()[int(rng.integers(column.size))] = rng.choice(values)
    elif kind == 1:
        column = column[: int(rng.integers(len(column) + 1))]
    elif kind == 2:
        column = np.concatenate([column, column[-1:]])
    else:
        column = column.astype(str(rng.choice(("i1", "u8", "f4", "S3"))))
    found[name] = column
    return found


def _as_kind(column, kind):
    """A column as another kind of number, or of something else."""
    if kind == "O":
        return column.astype(str).astype(object)
    if kind == "V4":
        return np.zeros(column.shape, np.dtype([("a", "i2"), ("b", "i2")]))
    with np.errstate(all="ignore"):
        if kind == "m8[s]":
            return np.nan_to_num(column).astype("i8").astype("S20")
        return np.nan_to_num(column).astype(kind)


def _reshaped(rng, column):
    """A column of another shape: empty, turned, flat, longer, with an axis more or less."""
    kind = rng.integers(8)
    if kind == 0:
        return column[:0]
    if kind == 1:
        return column.T
    if kind == 2:
        return column.ravel()
    if kind == 3:
        return column[..., None]
    if kind == 4:
        return column[..., :0] if column.ndim > 1 else column[:1]
    if kind == 5:
        return np.concatenate([column, column[-1:]])
    if kind == 6:
        return column[tuple(slice(0, 1) for _ in column.shape)]
    return column[:-1] if len(column) else column


def nasty_columns(rng, columns: dict) -> dict:
    """Columns with something wrong in one to three of them."""
    found = dict(columns)
    for _ in range(few(rng)):
        name = str(rng.choice(sorted(found)))
        column, kind = np.array(found[name]), rng.integers(6)
        if kind < 3 and column.size and column.dtype.kind in "fiu":
            values = (*REAL, *WHOLE, *BEYOND)
            n = int(rng.choice((1, 1, 3, column.size)))
            value = values[rng.integers(len(values))]
            with np.errstate(all="ignore"):
                if column.dtype.kind in "iu":
                    if isinstance(value, float) or not -(2**63) <= value < 2**64:
                        column = column.astype(float)
                    elif value >= 2**63:
                        column = np.abs(column).astype(np.uint64)
                    else:
                        column = column.astype(np.int64)
                column.ravel()[rng.integers(column.size, size=n)] = value
        elif kind == 3 and column.ndim:
            column = _reshaped(rng, column)
        elif kind == 4:
            column = _as_kind(column, KINDS[rng.integers(len(KINDS))])
        else:
            del found[name]
            if not found:
                return dict(columns)
            continue
        found[name] = column
    return found


def write_nasty_hdf5(rng, path, columns: dict) -> None:
    """An HDF5 file of these columns: some chunked; of half of the files one column is a group
    without zeros that is wrong, or something else than numbers.
    """
    odd = str(rng.choice(sorted(columns))) if rng.random() < 0.5 else None
    with h5py.File(path, "w") as file:
        for name, column in columns.items():
            kind, column = int(rng.integers(6 if name == odd else 99)), np.asarray(column)
            kind += 0 if name == odd else 6
            if column.dtype.kind == "O":
                file.create_dataset(name, data=column, dtype=h5py.string_dtype())
            elif kind == 0:
                file[name] = h5py.Empty("f8")
            elif kind == 1:
                file.create_group(name)
            elif kind == 2:
                file[name] = column.ravel()[0] if column.size else 0.0
            elif kind == 3 and column.dtype.kind in "fiu":
                _write_nasty_group(rng, file, name, column)
            elif kind == 4:
                file.create_dataset(name, data=np.array([(1, 2)], "i4,f8"))
            elif kind == 5:
                file[name] = h5py.SoftLink("/elsewhere")
            elif kind < 30 and column.size:
                file.create_dataset(name, data=column, chunks=True)
            else:
                file[name] = column


def _write_nasty_group(rng, file, name, column) -> None:
    """The parser's group of an array without its zeros, with a number in it wrong."""
    published.sparse(file, name, np.asarray(column, float), bool(rng.integers(2)))
    group = file[name]
    part = str(rng.choice(sorted(group)))
    values = np.array(group[part], float if part == "nz_data" else np.int64)
    del group[part]
    kind = rng.integers(5)
    if kind == 0:
        return
    if kind == 1:
        values = values[:-1]
    elif kind == 2:
        values = values.astype(float)
    if values.size:
        wrong = (*WHOLE, 2**40, 2**62, -(2**62), 2**63 - 1)
        values[int(rng.integers(values.size))] = wrong[rng.integers(len(wrong))]
    group[part] = values


def damaged_structure(rng, data: bytes) -> bytes:
    """The bytes of an HDF5 file with a number of its structure wrong: sizes of chunks and shapes,
    addresses, kinds; what stands around the places that HDF5 marks with a word.
    """
    data = bytearray(data)
    marks = [m.start() for m in re.finditer(rb"TREE|SNOD|HEAP|OHDR|OCHK|GCOL|FRHP|BTHD", data)]
    for _ in range(few(rng)):
        begin = marks[rng.integers(len(marks))] if marks else 0
        at = min(max(begin + int(rng.integers(-400, 400)), 0), len(data) - 8)
        kind, size = rng.integers(4), int(rng.choice((1, 2, 4, 8)))
        if kind == 0:
            data[at : at + size] = bytes(size)
        elif kind == 1:
            data[at : at + size] = b"\xff" * size
        elif kind == 2:
            data[at] ^= 1 << int(rng.integers(8))
        else:
            value = int.from_bytes(data[at : at + size], "little") + int(rng.choice((-1, 1)))
            data[at : at + size] = (value % 256**size).to_bytes(size, "little")
    return bytes(data)

"""Damage that knows the structure of plain formats: cells, keys, counts, packing, headers."""

import copy
import csv
import gzip
import io
import json
import struct

import numpy as np

#: What stands in a cell of a table where a number or a name should.
CELLS = (
    "",
    " ",
    "nan",
    "NaN",
    "inf",
    "-inf",
    "1e999",
    "-1e999",
    "1e308",
    "-1",
    "0",
    "-0.0",
    "0.5",
    "1e18",
    "9" * 30,
    "-" + "9" * 30,
    "True",
    "false",
    "None",
    "0x10",
    "1_0",
    "1,5",
    "é",
    "\0",
    '"',
    "'",
    "#",
    "2008-07-03T10:05:59.5",
    "2008-07-03",
    "1e-320",
    str(2**63),
    str(-(2**63)),
    str(2**31),
    "865918276499974012",
    "a" * 200_000,
    "١٢",
    "²",
    "1\n2",
    "=1+1",
    "9" * 5000,
    # What could be, and mostly is not.
    *("1e-9", "1e-3", "1", "12345.678", "1e5", "9.9e5", "-9.9e5", "1e9", "1e12"),
)
#: What stands in the place of a value of JSON.
VALUES = (
    None,
    True,
    False,
    0,
    -1,
    -999,
    1e308,
    float("inf"),
    float("nan"),
    10**30,
    -(10**30),
    10**400,
    2**63,
    2**31,
    "",
    "x",
    "1",
    "²",
    "9" * 5000,
    [],
    {},
    [[]],
    [None],
    [1, 2],
    {"a": 1},
    [1] * 1000,
    1e-320,
    0.5,
    "\0",
    "2008-07-03T10:05:59Z",
    [[1, 2], [3]],
    2**64,
    -(2**63),
    2**63 - 1,
    2**53 + 1,
    1e18,
    -1e18,
    [10**400],
    [float("nan")] * 4,
    {"id": 10**400},
    # What could be, and mostly is not.
    *(1e-9, 1e-3, 1.0, 90, 360.0, 12345.678, 1e5, 9.9e5, -9.9e5, 1e9, 1e12, 2**31 - 1),
)


def few(rng) -> int:
    """How many things are wrong at once: mostly one, so that it is not hidden by others."""
    return 1 if rng.random() < 0.7 else int(rng.integers(2, 4))


def nasty_table(rng, text: str) -> bytes:
    """A CSV table with something wrong in its structure."""
    rows = list(csv.reader(io.StringIO(text)))
    for _ in range(few(rng)):
        kind, row = rng.integers(9), int(rng.integers(len(rows)))
        column = int(rng.integers(max(1, len(rows[row]))))
        if kind < 4 and rows[row]:
            rows[row][min(column, len(rows[row]) - 1)] = CELLS[rng.integers(len(CELLS))]
        elif kind == 4:
            del rows[row]
        elif kind == 5:
            rows.insert(row, list(rows[int(rng.integers(len(rows)))]))
        elif kind == 6:
            rows = [r[:column] + r[column + 1 :] for r in rows]
        elif kind == 7:
            rows = [r + [r[column]] if len(r) > column else r for r in rows]
        else:
            rows[row] = rows[row][:column]
        rows = rows or [[]]
    separator = (",", ",", ",", ";", "\t")[rng.integers(5)]
    data = "\n".join(separator.join(row) for row in rows)
    return packed(rng, data.encode("utf-8", "surrogatepass"))


def nasty_json(rng, content) -> bytes:
    """JSON with something wrong in its structure."""
    content = copy.deepcopy(content)
    for _ in range(few(rng)):
        places = list(_places(content))
        if not places:
            break
        holder, key = places[rng.integers(len(places))]
        kind = rng.integers(6)
        if kind < 4:
            holder[key] = copy.deepcopy(VALUES[rng.integers(len(VALUES))])
        elif kind == 4:
            del holder[key]
        elif isinstance(holder, list):
            holder.insert(0, copy.deepcopy(holder[key]))
        else:
            holder["x" + str(key)] = holder.pop(key)
    if rng.random() < 0.2:
        content = [content] * int(rng.integers(0, 4))
    return packed(rng, json.dumps(content).encode())


#: Headers of .npy files that say something else than the numbers behind them.
HEADERS = (
    ("'<u2'", "'|O'"),
    ("'<u2'", "'<c16'"),
    ("'<u2'", "'<M8[ns]'"),
    ("'<u2'", "[('a', '<u2')]"),
    ("'<u2'", "'<f2'"),
    ("'<u2'", "'|V2'"),
    ("'<u2'", "'<U0'"),
    ("'<u2'", "'<u999'"),
    ("'<u2'", "None"),
    ("'<u2'", "1e999"),
    ("False", "True"),
    ("False", "2"),
    ("shape", "shame"),
    ("'descr'", "'descr', 'more'"),
    ("{", "{{"),
    ("}", ""),
    ("(", "(-1, "),
    ("(", "(0, "),
    ("(", f"({2**63}, "),
    ("(", f"({10**400}, "),
    ("(", "(1e999, "),
    ("(", "('a', "),
    ("(", "((), "),
    ("(", "(True, "),
    ("(", "[("),
    ("'", "é"),
    (" ", "\\"),
    (" ", "9" * 5000),
    ("(", "(" * 300),
    ("(", "-" * 3000 + "("),
)


def nasty_npy(rng, counts) -> bytes:
    """A .npy file with something wrong in its numbers, its shape, its kind or its header."""
    kind = rng.integers(4)
    counts = np.array(counts)
    if kind == 0:  # numbers
        counts = counts.astype(("f4", "f8", "i8", "u8", "f2")[rng.integers(5)])
        values = (np.nan, np.inf, -1.0, 1e300, 1e30, 3e38, 65536.0, 2.0**63, 0.5, 1e-320)
        n = int(rng.choice((1, 1, counts.shape[1], counts.size)))
        with np.errstate(all="ignore"):
            wrong = np.float64(values[rng.integers(len(values))]).astype(counts.dtype)
        counts.ravel()[rng.integers(counts.size, size=n)] = wrong
    elif kind == 1:  # shape
        counts = (
            counts[:-1],
            counts[:0],
            counts[:, :0],
            counts[:, :1],
            counts[:, :3],
            counts[..., :1],
            counts[..., :0],
            counts.ravel(),
            counts[None],
            counts.T,
            counts[0, 0, 0],
            np.asfortranarray(counts),
            counts[:, ::-1],
        )[rng.integers(13)]
    elif kind == 2:
        with np.errstate(all="ignore"):
            counts = counts.astype(
                ("c16", "S3", "U2", "M8[s]", "?", ">u2", "i1", "V3", "f2", "m8[ns]")[
                    rng.integers(10)
                ]
            )
    buffer = io.BytesIO()
    np.save(buffer, counts)
    data = buffer.getvalue()
    if kind < 3:
        return data
    begin = struct.unpack("<H", data[8:10])[0] + 10
    text = data[10:begin].decode()
    for _ in range(few(rng)):
        text = text.replace(*HEADERS[rng.integers(len(HEADERS))], 1)
    head, size = bytearray(data[:8]), len(text.encode())
    if rng.random() < 0.2:
        head[int(rng.integers(8))] = int(rng.integers(256))
    if rng.random() < 0.2:
        size = int(rng.choice((0, 1, 65535, max(size - 1, 0), min(size + 1, 65535))))
    return bytes(head) + struct.pack("<H", min(size, 65535)) + text.encode() + data[begin:]


#: What stands in the place of a value of a YAML header.
YAML_WORDS = (
    *("", "~", ".nan", ".inf", "-.inf", "1e999", "-1", "0", "0.5", "1e18", "1e-320", "true", "'x'"),
    *("[]", "{}", "[1]", "{a: 1}", "!!python/object:os.system x", "&a [*a]", "*b", "0x10", "1_0"),
    *(str(2**63), str(10**400), "9" * 5000, "2008-07-03", "2008-99-99", "1:20", "..", ".", "/"),
    *("a" * 5000, '"\\0"', "'\\ud800'", "é", "hits.csv", "header.yaml", "waveforms.npy"),
    *(
        "!!int 1.5",
        "!!float x",
        "!!binary x",
        "!!timestamp x",
        "? a",
        "- 1",
        "%YAML 9",
        "@",
        "`",
        "|",
        ">",
    ),
)


def nasty_yaml(rng, text: str) -> bytes:
    """A YAML header with values, keys or lines wrong."""
    lines = text.splitlines()
    for _ in range(few(rng)):
        k, kind = int(rng.integers(len(lines))), rng.integers(6)
        key, _, value = lines[k].partition(":")
        if kind < 3:
            lines[k] = f"{key}: {YAML_WORDS[rng.integers(len(YAML_WORDS))]}"
        elif kind == 3:
            lines.insert(int(rng.integers(len(lines))), lines[k])
        elif kind == 4:
            lines[k] = f"{YAML_WORDS[rng.integers(len(YAML_WORDS))]}:{value}"
        else:
            del lines[k]
            lines = lines or [""]
    return packed(rng, "\n".join(lines).encode("utf-8", "surrogatepass"))


def _places(content):
    keys = content if isinstance(content, dict) else range(len(content) if _is_list(content) else 0)
    for key in list(keys):
        yield content, key
        yield from _places(content[key])


def _is_list(content) -> bool:
    return isinstance(content, list)


def packed(rng, data: bytes) -> bytes:
    """As it is, or with a byte-order mark, or packed and perhaps cut."""
    kind = rng.integers(10)
    if kind == 0:
        return b"\xef\xbb\xbf" + data
    if kind == 1:
        return data.decode("utf-8", "replace").encode("utf-16")
    if kind == 2:
        return gzip.compress(data)
    if kind == 3:
        whole = gzip.compress(data)
        return whole[: int(rng.integers(len(whole)))]
    return data


def bomb(n: int = 200_000_000) -> bytes:
    """A gzip file of a thousandth of n bytes that unpacks to n blanks."""
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=9) as file:
        for _ in range(n // 1_000_000):
            file.write(b" " * 1_000_000)
    return buffer.getvalue()

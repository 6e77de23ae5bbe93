"""Damage that knows the structure of text formats: cells, keys, counts, packing."""

import copy
import csv
import gzip
import io
import json

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
    "1\n2",
    "=1+1",
    "9" * 5000,
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
)


def nasty_table(rng, text: str) -> bytes:
    """A CSV table with something wrong in its structure."""
    rows = list(csv.reader(io.StringIO(text)))
    for _ in range(int(rng.integers(1, 4))):
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
    for _ in range(int(rng.integers(1, 4))):
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

"""Tables of text (CSV) or Parquet, and text files in general, packed or not: read with bounds.

What other programs write into CSV is read where it has one meaning: comment lines, an index column
without a name, True and False, a byte-order mark, gzip. The rest is refused with the cure.
"""

import csv
import gzip
import io
import zlib
from os import PathLike
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np

from tashower.errors import InputError
from tashower.io.paths import require_file

#: Text packs to a tenth or a hundredth of its size; more than this is not believed.
MOST_PACKED = 1000
#: No quantity of any format is larger in any unit (choice).
BEYOND = 1e30
_TRUE, _FALSE = ("true", "1", "1.0"), ("false", "0", "0.0")


class Table(NamedTuple):
    """Columns of a table, and where they stand."""

    path: Path
    columns: dict[str, np.ndarray]  #: (n,) each: text as object, else numbers or datetime64
    line: np.ndarray  #: (n,) line of the file that each row stands in, for messages

    def __len__(self) -> int:
        """Number of rows, not of fields."""
        return len(self.line)


def short(value: object) -> str:
    """A value of a file for a message: on one line, and not longer than a word or two."""
    text = repr(str(value) if isinstance(value, np.generic) else value)
    return text if len(text) <= 24 else f"{text[:20]}...{text[0]}"


def read_text(path: str | PathLike) -> str:
    """The text of a file, plain or gzip, UTF-8 with or without a byte-order mark.

    Raises
    ------
    InputError : no such file, a folder, damaged gzip, more than MOST_PACKED times its size, not
        UTF-8, or a NUL in it.
    """
    path = require_file(path)
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if packed:
            limit = MOST_PACKED * path.stat().st_size
            try:
                data = gzip.GzipFile(fileobj=file).read(limit + 1)
            except (OSError, EOFError, zlib.error) as error:
                raise InputError(f"{path}: damaged gzip ({error})") from None
            if len(data) > limit:
                raise InputError(f"{path}: unpacks to more than {MOST_PACKED} times its size")
        else:
            data = file.read()
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"{path}: UTF-16 text: save it as UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text (byte {error.start}): save it as UTF-8") from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise InputError(f"{path}, line {line}: a NUL byte: not a text file, or damaged")
    return text


def kind_of(path: str | PathLike) -> str:
    """Ending of a file without packing, in small letters: ".csv" of hits.CSV.gz."""
    name = str(path).lower().removesuffix(".gz")
    return Path(name).suffix


def read_table(path: str | PathLike) -> Table:
    """Columns of a CSV file (.csv, .csv.gz) with a line of names, or of a Parquet file (.parquet).

    Lines that begin with # and empty lines are left out; so is a column without a name that comes
    first (the index that pandas writes).

    Raises
    ------
    InputError : no such file, no names, a line with too few or too many entries, another separator.
    """
    if kind_of(path) in (".parquet", ".pq"):
        return _read_parquet(require_file(path))
    path = Path(path)
    text = read_text(path)
    rows = csv.reader(io.StringIO(text, newline=""))
    names: list[str] = []
    lines, found = [], []
    try:
        for row in rows:
            comment = bool(row) and row[0].lstrip().startswith("#")
            if comment and not names and "station" in [cell.strip(" #") for cell in row]:
                row[0], comment = row[0].lstrip(" #"), False  # names as numpy writes them
            if comment or not any(cell.strip() for cell in row):
                continue
            if not names:
                names = [cell.strip() for cell in row]
                _check_names(names, path)
            elif len(row) != len(names):
                raise InputError(
                    f"{path}, line {rows.line_num}: {len(row)} entries, where the header names "
                    f"{len(names)}"
                )
            else:
                lines.append(rows.line_num)
                found.append(row)
    except csv.Error as error:
        raise InputError(f"{path}, line {rows.line_num}: not a table ({error})") from None
    if not names:
        raise InputError(f"{path}: the first line does not name the columns: it is empty")
    columns = {
        name: np.array([row[k] for row in found], dtype=object)
        for k, name in enumerate(names)
        if name
    }
    return Table(path, columns, np.array(lines, np.int64))


def _check_names(names: list[str], path) -> None:
    """Refuse a first line that names no columns."""
    if len(names) == 1:
        for separator, called in ((";", "semicolons"), ("\t", "tabs")):
            if separator in names[0]:
                raise InputError(
                    f"{path}: its columns are separated by {called}; save it with commas between "
                    "columns and points in numbers (1.5)"
                )
        if len(names[0].split()) > 1:
            raise InputError(f"{path}: its columns are separated by blanks; commas are needed")
    if any(not name for name in names[1:]) or len(set(names)) < len(names) or names == [""]:
        raise InputError(f"{path}: the first line does not name the columns, each by its own name")
    try:
        [float(name) for name in names if name]
    except ValueError:
        return
    raise InputError(f"{path}: the first line does not name the columns: it holds numbers")


def _read_parquet(path: Path) -> Table:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise InputError(f"{path}: reading Parquet needs pyarrow (pip install pyarrow)") from None
    try:
        file = pyarrow.parquet.ParquetFile(path)
        size = 8 * file.metadata.num_rows * max(1, len(file.schema_arrow))
        if max(size, file.metadata.num_rows) > 3 * MOST_PACKED * path.stat().st_size:
            raise InputError(f"{path}: claims to hold more than {3 * MOST_PACKED} times its size")
        table = file.read()
        columns = {}
        for name in table.column_names:
            column = table[name]
            if column.null_count and pyarrow.types.is_integer(column.type):
                columns[name] = np.array(column.to_pylist(), object)
            else:
                columns[name] = column.to_numpy()
    except (pyarrow.ArrowException, OSError, ValueError, TypeError, OverflowError) as error:
        if isinstance(error, InputError):
            raise
        text = (str(error).splitlines() or [""])[0][:150]
        raise InputError(f"{path}: not a Parquet file ({text})") from None
    return Table(path, columns, np.arange(1, len(table) + 1))


def column_of(table: Table, name: str) -> np.ndarray:
    """A column by its name.

    Raises
    ------
    InputError : names the columns that are there.
    """
    if name not in table.columns:
        there = ", ".join(short(n) for n in list(table.columns)[:12])
        raise InputError(f"{table.path}: has no column {name!r}; it has {there}")
    return table.columns[name]


def refuse(table: Table, name: str, row: int, text: str) -> NoReturn:
    """Raise what is wrong with an entry: file, line, column, value."""
    value = short(table.columns[name][row])
    raise InputError(f"{table.path}, line {table.line[row]}: {name} = {value} {text}")


def numbers(table: Table, name: str) -> np.ndarray:
    """A column as float64; empty entries are refused, NaN is not.

    Raises
    ------
    InputError : names file, line and column: no such column, or an entry that is no number.
    """
    column = column_of(table, name)
    try:
        if column.dtype.kind == "M":
            raise ValueError
        values = column.astype(float)
    except (ValueError, TypeError, OverflowError):
        pass
    else:
        large = np.isfinite(values) & (np.abs(values) > BEYOND)
        if large.any():
            refuse(table, name, int(large.argmax()), "is not a number that anything has")
        return values
    for row, value in enumerate(column):
        try:
            if not isinstance(value, (str, int, float, np.number)):
                raise ValueError
            float(value)
        except (ValueError, OverflowError):
            hint = ""
            if isinstance(value, str) and value.count(",") == 1:
                hint = " (a decimal comma? numbers are written with a point)"
            refuse(table, name, row, f"is not a number{hint}")
    refuse(table, name, 0, "is not a number")
    raise AssertionError


def wholes(table: Table, name: str) -> np.ndarray:
    """A column as int64; 3.0 is 3.

    Raises
    ------
    InputError : names file, line and column.
    """
    column = column_of(table, name)
    if column.dtype.kind in "iu" and (not len(column) or column.max() < 2**63):
        return column.astype(np.int64)
    result = np.zeros(len(column), np.int64)
    for row, value in enumerate(column):
        try:
            whole = int(value) if not isinstance(value, float) else _whole(value)
        except (ValueError, TypeError):
            try:
                whole = _whole(float(value))
            except (ValueError, TypeError, OverflowError):
                refuse(table, name, row, "is not a number: a whole number is needed")
        except OverflowError:
            refuse(table, name, row, "is not a number: a whole number is needed")
        if not -(2**63) <= whole < 2**63:
            refuse(table, name, row, "is not a number below 2^63, the largest that is kept")
        result[row] = whole
    return result


def _whole(value: float) -> int:
    if value != round(value) or abs(value) > 2**53:
        raise ValueError
    return int(value)


def truths(table: Table, name: str) -> np.ndarray:
    """A column of 0 and 1, or False and True, as bool.

    Raises
    ------
    InputError : names file, line and column.
    """
    column = column_of(table, name)
    result = np.zeros(len(column), bool)
    for row, value in enumerate(column):
        word = str(value).strip().lower()
        if word not in _TRUE + _FALSE:
            refuse(table, name, row, "is neither 0 nor 1, False nor True")
        result[row] = word in _TRUE
    return result


def labels(table: Table, name: str) -> np.ndarray:
    """(n,) text: what the entries of a column name; the number 101.0 is named 101.

    Raises
    ------
    InputError : names file, line and column: an empty entry.
    """
    column = column_of(table, name)
    result = []
    for row, value in enumerate(column):
        text = str(value).strip()
        if not text or text.lower() in ("nan", "none"):
            refuse(table, name, row, "names nothing")
        if text.endswith(".0") and text[:-2].lstrip("-").isdigit():
            text = text[:-2]
        result.append(text)
    return np.array(result, dtype=np.str_)

"""Tables of stations: station, x_m, y_m; z_m and working where they have them."""

from os import PathLike
from typing import NamedTuple

import numpy as np

from tashower.errors import InputError
from tashower.io.table_file import Table, column_of, labels, numbers, read_table, short, truths


class Stations(NamedTuple):
    """A table of stations; altitudes as they stand there."""

    number: np.ndarray  #: (n,) int64: their numbers, or 1, 2, ... where they are called otherwise
    name: np.ndarray | None  #: (n,) text, where they are called by something else than a number
    position: np.ndarray  #: (n, 3) [m]
    out_of_service: np.ndarray  #: (n,) bool


def station_numbers(table: Table) -> np.ndarray | None:
    """Column `station` as int64; None where it holds names."""
    column = column_of(table, "station")
    if column.dtype.kind in "iu":
        # Of unsigned numbers those beyond 2^63 would come out negative.
        number = np.minimum(column, 2**62).astype(np.int64)
    else:
        words = labels(table, "station")
        try:
            number = np.array([int(word) for word in words], np.int64)
        except (ValueError, OverflowError):
            return None
    return number if ((number > -(2**31)) & (number < 2**31)).all() else None


def read_stations(path: str | PathLike) -> Stations:
    """A table of stations: station, x_m, y_m; z_m and working where it has them.

    Raises
    ------
    InputError : names file, line and column.
    """
    table = read_table(path)
    if not len(table):
        raise InputError(f"{path}: names its columns, but holds no stations")
    number = station_numbers(table)
    name = labels(table, "station") if number is None else None
    if name is not None and len(set(name)) < len(name):
        values, counts = np.unique(name, return_counts=True)
        raise InputError(f"{path}: station {short(values[counts > 1][0])} is there twice")
    z = numbers(table, "z_m") if "z_m" in table.columns else np.zeros(len(table))
    working = truths(table, "working") if "working" in table.columns else np.ones(len(table), bool)
    return Stations(
        np.arange(1, len(table) + 1) if number is None else number,
        name,
        np.column_stack([numbers(table, "x_m"), numbers(table, "y_m"), z]),
        ~working,
    )

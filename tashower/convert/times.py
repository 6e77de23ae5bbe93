"""Times of hits to the nanosecond, however they are counted.

A float of 64 bits holds a GPS time in nanoseconds (1e18) in steps of 128 ns. Times are therefore
whole seconds and nanoseconds of their own until the first time of their event is subtracted.
"""

import re
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from tashower.errors import InputError
from tashower.io.table_file import Table, column_of, numbers, refuse, wholes

#: Columns that hold a time within the second, or since some other origin [ns]; the first one that
#: is there counts. Texts like 2008-07-03T10:05:59.039205298 are times, too.
TIME_COLUMNS = ("time_ns", "time", "nanoseconds", "nanosecond")
#: Columns that hold whole seconds beside it.
SECOND_COLUMNS = ("gps_second", "gps_seconds", "gps_time", "second", "seconds", "timestamp")
#: Floats up to this size have steps below 0.002 ns.
LARGEST_FLOAT = 2.0**43
_SECOND = 10**9
_ISO = re.compile(r"\s*\d{4}-\d\d-\d\d[T ]\d\d:\d\d")


class Instants(NamedTuple):
    """Times of hits: `second` (n,) int64 and `ns` (n,) float64 after it; NaN: there is none."""

    second: np.ndarray
    ns: np.ndarray


def since_first(instants: Instants, rows: ArrayLike | slice) -> np.ndarray:
    """Times [ns] of the hits `rows` of one event after its first one."""
    second, ns = instants.second[rows], instants.ns[rows]
    time = (second - second.min()) * 1e9 + np.where(np.isfinite(ns), ns, np.nan)
    return time - (np.nanmin(time) if np.isfinite(time).any() else 0.0)


def read_times(table: Table, event: np.ndarray) -> Instants:
    """Times of the hits of a table; event : (n,) number of the event of each.

    Raises
    ------
    InputError : names file, line and column: no time, one that is none, one that has lost its
        nanoseconds.
    """
    name = next((name for name in TIME_COLUMNS if name in table.columns), TIME_COLUMNS[0])
    column = column_of(table, name)
    if column.dtype.kind == "M" or (
        column.dtype == object and len(column) and _ISO.match(str(column[0]))
    ):
        return _dates(table, name)
    values = numbers(table, name)
    largest = np.abs(values[np.isfinite(values)]).max(initial=0.0)
    if largest <= LARGEST_FLOAT:
        instants = Instants(np.zeros(len(values), np.int64), values)
    else:
        instants = _exact(table, name, values)
    second_name = next((n for n in SECOND_COLUMNS if n in table.columns), None)
    if second_name is None:
        return instants
    try:
        second = wholes(table, second_name)
    except InputError:
        if second_name.startswith("gps"):
            raise
        return instants  # something else that has this name
    order = np.argsort(event, kind="stable")
    several = (np.diff(event[order]) == 0) & (np.diff(second[order]) != 0)
    if several.any() and largest >= 2 * _SECOND:
        raise InputError(
            f"{table.path}: {name} reaches {largest:.3g} ns, and {second_name} counts the seconds "
            f"as well: leave out one, or let {name} be within the second"
        )
    # Where all hits of an event have the same second it makes no difference.
    return Instants(instants.second + second, instants.ns) if several.any() else instants


def _dates(table: Table, name: str) -> Instants:
    """Times from datetime64, or from text of ISO 8601 in UTC."""
    column = table.columns[name]
    result = np.zeros(len(column), "datetime64[ns]")
    if column.dtype.kind == "M":
        result = column.astype("datetime64[ns]")
        if np.isnat(result).any():
            refuse(table, name, int(np.isnat(result).argmax()), "is no time")
    else:
        for row, text in enumerate(column):
            word = re.sub(r"(Z|[+-]00:?00)$", "", str(text).strip())
            # Three digits more than nanoseconds would be lost without a word.
            if not _ISO.match(word) or not re.fullmatch(r"[\d\-T :]+(\.\d{1,9})?", word):
                refuse(table, name, row, "is not a time like 2008-07-03T10:05:59.039205298 (UTC)")
            try:
                result[row] = np.datetime64(word.replace(" ", "T"), "ns")
            except ValueError:
                refuse(table, name, row, "is not a time like 2008-07-03T10:05:59.039205298 (UTC)")
    second, ns = np.divmod(result.astype(np.int64), _SECOND)
    return Instants(second, ns.astype(float))


def _exact(table: Table, name: str, values: np.ndarray) -> Instants:
    """Times whose floats would be too coarse."""
    column = table.columns[name]
    with np.errstate(invalid="ignore"):
        beyond = np.abs(values) >= 2.0**63
    if beyond.any():
        refuse(table, name, int(beyond.argmax()), "ns are more than 292 years: in other units?")
    second, ns = np.zeros(len(values), np.int64), np.full(len(values), np.nan)
    rounded = np.zeros(len(values), bool)
    step = int(np.spacing(np.nanmax(np.abs(values[np.isfinite(values)]))))
    for row in np.flatnonzero(np.isfinite(values)):
        value = column[row]
        try:
            exact = Decimal(int(value)) if isinstance(value, np.integer) else Decimal(str(value))
        except (InvalidOperation, ValueError):
            exact = Decimal(float(values[row]))
        if exact.as_tuple().exponent > 0 and exact:
            refuse(table, name, row, f"lacks its last digits: {_CURE}")
        second[row] = int(exact // _SECOND)
        ns[row] = float(exact - int(second[row]) * _SECOND)
        rounded[row] = step > 1 and exact % step == 0
    if step > 1 and len(values) >= 4 and rounded.all():
        raise InputError(
            f"{table.path}: {name} holds multiples of {step} ns only: it was a float; {_CURE}"
        )
    return Instants(second, ns)


_CURE = "write whole numbers, or the second and the nanosecond in two columns (gps_second, time_ns)"


def undo_wraps(time: np.ndarray, event: np.ndarray, n_events: int) -> tuple[np.ndarray, np.ndarray]:
    """(times (h,) [ns], numbers of the events that were changed): where the nanoseconds of an event
    begin again at 0 within it, its earlier hits are moved back by one second.

    event : (h,) index of the event of each hit
    """
    low, high = np.full(n_events, np.inf), np.full(n_events, -np.inf)
    np.minimum.at(low, event, time)
    np.maximum.at(high, event, time)
    changed = []
    for i in np.flatnonzero((high - low > 0.5e9) & (high - low <= 1.0e9)):
        rows = np.flatnonzero(event == i)
        moved = time[rows] - np.where(time[rows] > low[i] + 0.5e9, 1e9, 0.0)
        # Only where it brings the hits together: no shower lasts 10 ms.
        if np.ptp(moved) < 1e7:
            if not changed:
                time = time.copy()
            time[rows] = moved
            changed.append(int(i))
    return time, np.array(changed, np.int64)

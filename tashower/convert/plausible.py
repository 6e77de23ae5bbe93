"""What was understood of foreign data, and whether physics allows it.

A unit that is taken for another (seconds or microseconds for nanoseconds, kilometres or degrees for
metres) gives numbers that look like an array and events. What gives it away is the speed of light:
the hits of an event cannot be much further apart in time than light needs between their stations,
and showers do not come from within a fraction of a degree of the vertical time after time.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from tashower.errors import InputError
from tashower.events.array import Array, off_lattice
from tashower.physics.constants import SPEED_OF_LIGHT

#: Largest time between the hits of an event, in units of what light needs across them (choice). A
#: front crosses in one unit; particles that lag behind it by scattering add up to another; hits by
#: chance stand in windows of +-32 us, some units at a trigger of neighbours.
SLOWEST = 10.0
#: Smallest: from within asin(0.003) = 0.2 deg of the vertical, and without any curvature (choice).
FASTEST = 0.003
#: Longest single event, beside SLOWEST [ns] (choice): readouts last up to some 100 us.
LONGEST = 1e6
#: Hits that an event needs for its median to count.
FEWEST_HITS = 3
#: Range of altitudes of one array [m]: no ground has more (choice).
MOST_RELIEF = 9000.0
#: Signals that the median is taken of.
MOST_SIGNALS = 100_000
#: What a wrong unit multiplies (time between hits) / (distance of their stations) by: name, factor.
_UNITS = (
    ("the times fit if they are in microseconds instead of nanoseconds", 1e3),
    ("the times fit if they are in seconds instead of nanoseconds", 1e9),
    ("the times fit if they are in milliseconds instead of nanoseconds", 1e6),
    ("the positions fit if they are in kilometres instead of metres", 1e-3),
    ("the positions fit if they are degrees of longitude and latitude instead of metres", 1e-5),
    ("the positions fit if they are in centimetres instead of metres", 1e2),
)
FORCE = "(--force converts it all the same)"


class Hits(NamedTuple):
    """Hits of some events, as an event file lists them."""

    event_id: np.ndarray  #: (n,)
    offset: np.ndarray  #: (n + 1,), starts at 0
    station: np.ndarray  #: (h,) index into the array
    time: np.ndarray  #: (h,) [ns]


def spans_and_extents(hits: Hits, array: Array) -> tuple[np.ndarray, np.ndarray]:
    """((n,) time from the first to the last hit [ns], (n,) diagonal of the box around their
    stations [m]) of events; NaN for events without hits.
    """
    n = len(hits.event_id)
    event = np.repeat(np.arange(n), np.diff(hits.offset))
    columns = np.column_stack([hits.time, array.position[hits.station]])
    low, high = np.full((n, 4), np.inf), np.full((n, 4), -np.inf)
    np.minimum.at(low, event, columns)
    np.maximum.at(high, event, columns)
    with np.errstate(invalid="ignore"):
        width = np.where(np.isfinite(low), high - low, np.nan)
    return width[:, 0], np.linalg.norm(width[:, 1:], axis=1)


def check_array(array: Array, where: object) -> None:
    """Refuse stations that overlap, or a ground that no array stands on.

    Raises
    ------
    InputError : says what cannot be, and which unit would fit.
    """
    if not array.n_stations:
        return
    relief = float(np.ptp(array.position[:, 2]))
    if relief > MOST_RELIEF:
        raise InputError(
            f"{where}: altitudes from {array.position[:, 2].min():.4g} to "
            f"{array.position[:, 2].max():.4g} m about their mean: no ground has that: in another "
            f"unit? {FORCE}"
        )
    size = np.sqrt(array.detector.area)
    if array.n_stations >= FEWEST_HITS and 0 < array.spacing < size:
        extent = _extent(array)
        degrees = np.abs(array.position[:, :2]).max(axis=0) <= (180.0, 90.0)
        unit = "kilometres" + (", or degrees of longitude and latitude," if degrees.all() else "")
        raise InputError(
            f"{where}: {array.n_stations} stations of {array.detector.area:g} m2 within "
            f"{extent[0]:.3g} x {extent[1]:.3g} m, neighbours {array.spacing:.3g} m apart: "
            f"they would overlap; the positions fit if they are in {unit} instead of metres {FORCE}"
        )


def _measured(hits: Hits, array: Array) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """((n,) time from first to last hit [ns], (n,) extent [m], (n,) events that have enough of
    both to compare them).
    """
    span, extent = spans_and_extents(hits, array)
    return span, extent, (np.diff(hits.offset) >= FEWEST_HITS) & (extent > 0)


def _medians(spans: list) -> dict[str, float]:
    span = np.concatenate([*spans, np.zeros(0)])
    middle = float(np.median(span)) if len(span) else np.nan
    return {"span": middle, "longest": float(span.max(initial=0.0))}


def median_spans(blocks: Iterable[Hits], array: Array) -> dict[str, float]:
    """Median and longest time between first and last hit [ns], for `describe`."""
    measured = (_measured(hits, array) for hits in blocks)
    return _medians([span[counted] for span, _, counted in measured])


def check_spans(blocks: Iterable[Hits], array: Array, where: object) -> dict[str, float]:
    """Refuse events that no front can have at their extent; returns what `median_spans` does.

    Raises
    ------
    InputError : says what cannot be, and which unit would fit.
    """
    spans, extents = [np.zeros(0)], [np.zeros(0)]
    longest = None
    for hits in blocks:
        span, extent, counted = _measured(hits, array)
        spans.append(span[counted])
        extents.append(extent[counted])
        with np.errstate(invalid="ignore"):
            slow = span > LONGEST + SLOWEST * extent / SPEED_OF_LIGHT
        if longest is None and slow.any():
            i = int(slow.argmax())
            longest = (hits.event_id[i], span[i], extent[i])
    # Where half of the events are impossible, the unit is the matter.
    _check_median(np.concatenate(spans), np.concatenate(extents), where)
    if longest is not None:
        number, span, extent = longest
        raise InputError(
            f"{where}: event {number}: {_duration(span)} between hits {extent:.4g} m apart: no "
            f"shower lasts that long; are all its times counted from the same second? {FORCE}"
        )
    return _medians(spans)


def _check_median(span, extent, where) -> None:
    """Refuse events [ns, m] half of which are too slow or too fast."""
    if not len(span):
        return
    middle = float(np.median(span * SPEED_OF_LIGHT / extent))
    if FASTEST <= middle <= SLOWEST:
        return
    median_span, median_extent = float(np.median(span)), float(np.median(extent))
    light = median_extent / SPEED_OF_LIGHT
    fitting = [text for text, factor in _UNITS if 0.02 <= middle * factor <= 3.0]
    said = "; " + ", or ".join(fitting) if fitting else ""
    what = (
        f"light needs {_duration(light)}: no front is that slow"
        if middle > SLOWEST
        else f"light needs {_duration(light)}: every shower would be vertical and flat"
    )
    raise InputError(
        f"{where}: events last {_duration(median_span)} (median) across {median_extent:.4g} m, for "
        f"which {what}{said} {FORCE}"
    )


def _duration(ns: float) -> str:
    for unit, size in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if ns >= size:
            return f"{ns / size:.4g} {unit}"
    return f"{ns:.3g} ns"


def _extent(array: Array) -> np.ndarray:
    return np.ptp(array.position, axis=0) if array.n_stations else np.zeros(3)


def describe(array: Array, medians: dict[str, float], altitude: float) -> list[str]:
    """What was understood, a line each: the array, the events.

    altitude : mean altitude that was subtracted [m]; NaN where the stations have none
    """
    if not array.n_stations:
        return []
    east, north, _ = _extent(array)
    low, high = array.position[:, 2].min(), array.position[:, 2].max()
    about = f" about {altitude:.1f} m" if np.isfinite(altitude) and abs(altitude) >= 0.05 else ""
    lines = [
        f"{array.n_stations} stations, neighbours {array.spacing:.4g} m apart, "
        f"{east / 1e3:.3g} x {north / 1e3:.3g} km, altitudes {low:.1f} to {high:.1f} m{about}"
    ]
    if np.isfinite(medians["span"]):
        lines.append(
            f"an event of {FEWEST_HITS} or more hits lasts {_duration(medians['span'])} (median; "
            f"longest {_duration(medians['longest'])})"
        )
    if np.isfinite(medians["signal"]):
        lines.append(f"signal of a hit: {medians['signal']:.3g} VEM (median)")
    off = off_lattice(array)
    if len(off):
        names = ", ".join(array.name_of(s) for s in off[:10]) + (" ..." if len(off) > 10 else "")
        lines.append(
            f"{len(off)} stations stand more than a quarter of the spacing off the {array.kind} "
            f"lattice and keep the nearest free point: {names}"
        )
    return lines

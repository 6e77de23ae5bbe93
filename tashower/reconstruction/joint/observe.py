"""What the fit sees of an event: its cluster of stations and the silent ones around it.
Compiled.
"""

import math
from typing import NamedTuple

import numpy as np

from tashower.events.array import neighbour_table
from tashower.events.model import Events, Pulses
from tashower.physics.compiled import compiled, inner
from tashower.reconstruction.clusters import TIME, EventHits, Geometry, choose_stations
from tashower.reconstruction.joint.model import Observed


class HitColumns(NamedTuple):
    """Hits of all events, and stations out of service."""

    offset: np.ndarray  #: (n_events + 1,) int64
    station: np.ndarray  #: (n_hits,) int32
    time: np.ndarray  #: (n_hits,) [ns]; NaN without a leading edge
    density: np.ndarray  #: (n_hits,) [VEM/m^2]
    saturated: np.ndarray  #: (n_hits,) bool
    dead_offset: np.ndarray  #: (n_events + 1,) int64
    dead: np.ndarray  #: (n_dead,) int32


class Work(NamedTuple):
    """Arrays that `observe` uses again for every event."""

    slot: np.ndarray  #: (n_stations,) int32, -1
    label: np.ndarray  #: (n_stations,) int32
    chosen: np.ndarray
    use: np.ndarray
    columns: np.ndarray  #: (13, n_stations)
    tails: np.ndarray  #: (1,) bool


def hit_columns(events: Events, pulses: Pulses) -> HitColumns:
    """`HitColumns` of events; densities are means of the layers over the station's area."""
    return HitColumns(
        events.hit_offset,
        events.hit_station,
        pulses.arrival_time,
        pulses.signal.mean(axis=1) / float(events.array.detector.area),
        pulses.saturated,
        events.dead_offset,
        events.dead_station,
    )


def geometry_of(events: Events) -> Geometry:
    """`Geometry` of the array of events."""
    return Geometry(events.array.position, neighbour_table(events.array))


@compiled
def work_space(n_stations):
    """A new `Work`."""
    return Work(
        np.full(n_stations, -1, np.int32),
        np.empty(n_stations, np.int32),
        np.empty(n_stations, np.int32),
        np.empty(n_stations, np.int32),
        np.empty((13, n_stations)),
        np.zeros(1, np.bool_),
    )


@compiled
def observe(event, hits, geometry, area, work):
    """(`Observed` of one event, times relative to their mean; that mean [ns], NaN without
    stations).

    event : its index; hits : `HitColumns`; area : of a station [m^2]
    """
    begin, end = hits.offset[event], hits.offset[event + 1]
    station, time, density = hits.station, hits.time, hits.density
    of_event = EventHits(
        station[begin:end],
        time[begin:end],
        density[begin:end] * area,
        hits.saturated[begin:end],
        hits.dead[hits.dead_offset[event] : hits.dead_offset[event + 1]],
    )
    work.tails[0] = False
    chosen, use, columns = work.chosen, work.use, work.columns
    x, y, z, t, s = columns[0], columns[1], columns[2], columns[3], columns[4]
    label = work.label[: end - begin]
    n, n_hits = choose_stations(of_event, geometry, work.slot, label, chosen, use)
    origin = 0.0
    for k in range(n_hits):
        origin += time[begin + chosen[k]] / n_hits
    position = geometry.position
    for k in range(n):
        where = station[begin + chosen[k]] if k < n_hits else -1 - chosen[k]
        x[k], y[k], z[k] = position[where, 0], position[where, 1], position[where, 2]
        t[k] = time[begin + chosen[k]] - origin if k < n_hits else 0.0
        s[k] = density[begin + chosen[k]] if k < n_hits else 0.0
    return (
        Observed(
            x[:n],
            y[:n],
            z[:n],
            use[:n],
            t[:n],
            s[:n],
            columns[5, :n],
            columns[6, :n],
            columns[7, :n],
            columns[8, :n],
            columns[9, :n],
            columns[10, :n],
            columns[11, :n],
            columns[12, :n],
            work.tails,
        ),
        origin,
    )


@inner(inline=False)
def count(observed, bit):
    """Number of stations that are used for `bit`."""
    n = 0
    for i in range(len(observed.x)):
        if observed.use[i] & bit:
            n += 1
    return n


@inner(inline=False)
def nearest_signal(p, observed):
    """Ground distance [m] from the core to the nearest station with a signal."""
    nearest2 = 1e18
    for i in range(len(observed.x)):
        if observed.use[i] & TIME:
            dx, dy = observed.x[i] - p[0], observed.y[i] - p[1]
            nearest2 = min(nearest2, dx * dx + dy * dy)
    return math.sqrt(nearest2)


def observed_events(events: Events, pulses: Pulses) -> list[Observed]:
    """What the fit sees of every event, times relative to their mean, each with memory of its
    own.
    """
    hits, geometry = hit_columns(events, pulses), geometry_of(events)
    area = float(events.array.detector.area)
    n_stations = events.array.n_stations
    return [
        observe(i, hits, geometry, area, work_space(n_stations))[0] for i in range(events.n_events)
    ]

"""Which stations belong to the shower: a cluster in space and time; accidental hits fall out.
Compiled.
"""

from typing import NamedTuple

import numpy as np

from tashower.calibration.errors import SMALLEST_SIGNAL
from tashower.physics.compiled import inner
from tashower.physics.constants import SPEED_OF_LIGHT

#: How a station enters the fit: its time, its signal, its silence, a lower bound of its signal; or
#: silent and rejected.
TIME, SIGNAL, SILENT, BOUND, REJECTED = 1, 2, 4, 8, 16
#: It was rejected, and was taken back.
TAKEN_BACK = 64
#: A hit that is rejected keeps what it was, moved up by so many bits.
REJECTED_BITS = 8


class EventHits(NamedTuple):
    """Hits of one event, and stations out of service."""

    station: np.ndarray  #: (n_hits,) int32
    time: np.ndarray  #: (n_hits,) [ns]
    signal: np.ndarray  #: (n_hits,) [VEM], mean of the layers
    saturated: np.ndarray  #: (n_hits,) bool
    dead: np.ndarray  #: (n_dead,) int32


class Geometry(NamedTuple):
    """Where the stations are."""

    position: np.ndarray  #: (n_stations, 3) [m]
    neighbours: np.ndarray  #: (n_stations, k) int32, -1 where there is none


@inner(inline=False)
def largest_cluster(hits, geometry, slot, label, stack):
    """Label the hits of the cluster with the largest total signal by 1, others by 0; returns the
    number of its hits.

    Two hits are linked when their stations are neighbours (`events.array.neighbour_table`) and c
    |dt| < distance. Hits below SMALLEST_SIGNAL or without a time do not take part.

    Parameters
    ----------
    hits : `EventHits` of one event; geometry : `Geometry`
    slot : (n_stations,) int32 work space filled with -1, returned so
    label : (n_hits,) int32, overwritten; stack : (n_hits,) int32 work space
    """
    station, time, signal = hits.station, hits.time, hits.signal
    position, neighbours = geometry.position, geometry.neighbours
    n = len(station)
    for i in range(n):
        usable = signal[i] >= SMALLEST_SIGNAL and not np.isnan(time[i])
        label[i] = 0 if usable else -1
        slot[station[i]] = i
    best, best_signal, clusters = 0, 0.0, 0
    for seed in range(n):
        if label[seed] != 0:
            continue
        clusters += 1
        label[seed] = clusters
        stack[0] = seed
        size = 1
        total = 0.0
        while size:
            size -= 1
            i = stack[size]
            total += signal[i]
            for k in range(neighbours.shape[1]):
                other = neighbours[station[i], k]
                j = slot[other] if other >= 0 else -1
                if j < 0 or label[j] != 0:
                    continue
                distance2 = 0.0
                for axis in range(3):
                    distance2 += (position[other, axis] - position[station[i], axis]) ** 2
                if (SPEED_OF_LIGHT * (time[j] - time[i])) ** 2 < distance2:
                    label[j] = clusters
                    stack[size] = j
                    size += 1
        if total > best_signal:
            best, best_signal = clusters, total
    count = 0
    for i in range(n):
        label[i] = 1 if best and label[i] == best else 0
        count += label[i]
        slot[station[i]] = -1
    return count


@inner(inline=False)
def choose_stations(hits, geometry, slot, label, chosen, use):
    """Stations for the fit: those of the cluster, and silent neighbours of theirs.

    chosen : (capacity,) int32, overwritten with the index of the hit, or -1 - station for a silent
        one
    use : (capacity,) int32, overwritten with a sum of TIME, SIGNAL, SILENT, BOUND
    Returns (number chosen, number with a hit). The signal of a saturated station is a lower bound.
    """
    station, dead, neighbours = hits.station, hits.dead, geometry.neighbours
    n_hits = largest_cluster(hits, geometry, slot, label, use)
    n = 0
    for i in range(len(station)):
        if label[i] == 1:
            chosen[n] = i
            use[n] = TIME + BOUND if hits.saturated[i] else TIME + SIGNAL
            n += 1
    # Stations with any hit and stations out of service are not silent; a silent one counts once.
    for i in range(len(station)):
        slot[station[i]] = 0
    for s in dead:
        slot[s] = 0
    for k in range(n_hits):
        for m in range(neighbours.shape[1]):
            other = neighbours[station[chosen[k]], m]
            if other >= 0 and slot[other] == -1 and n < len(chosen):
                slot[other] = 0
                chosen[n] = -1 - other
                use[n] = SILENT
                n += 1
    for i in range(len(station)):
        slot[station[i]] = -1
    for s in dead:
        slot[s] = -1
    for k in range(n_hits, n):
        slot[-1 - chosen[k]] = -1
    return n, n_hits

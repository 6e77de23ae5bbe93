"""The trigger of an array for hits that are given, of whatever origin. Compiled."""

import numpy as np

from tashower.physics.compiled import compiled
from tashower.simulation.electronics import BINS_BEFORE, LEVEL_1_COUNTS, READOUT, level_2_time


def level_1(waveform: np.ndarray, pedestal: np.ndarray, window: int) -> np.ndarray:
    """(n,) bool: the first window of every hit passes level 1.

    waveform : (n, n_bins, layers) counts; pedestal : (n, layers) monitored; window : bins of it
    """
    total = waveform[:, :window].sum(axis=1, dtype=float)
    return (total > LEVEL_1_COUNTS + window * pedestal).all(axis=1)


@compiled
def _loop(offset, station, time, passes, neighbours, kept, without):
    slot = np.full(neighbours.shape[0], -1, np.int32)
    for event in range(len(offset) - 1):
        begin, end = offset[event], offset[event + 1]
        n = end - begin
        trigger = level_2_time(
            n, station[begin:end], time[begin:end], passes[begin:end], neighbours, slot
        )
        for i in range(begin, end):
            kept[i] = abs(time[i] - trigger) <= READOUT  # False where there is none: NaN
            without[i] = kept[i]
            if passes[i] and kept[i]:
                passes[i] = False
                other = level_2_time(
                    n, station[begin:end], time[begin:end], passes[begin:end], neighbours, slot
                )
                passes[i] = True
                without[i] = not np.isnan(other)


def triggered_hits(
    offset: np.ndarray,
    station: np.ndarray,
    time: np.ndarray,
    passes: np.ndarray,
    neighbours: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """What the trigger makes of hits: level 2, and the read-out around it.

    Parameters
    ----------
    offset : (n_events + 1,) as `Events.hit_offset`
    station : (n_hits,) int32
    time : (n_hits,) [ns] of the level-0 crossings (`crossing_time`)
    passes : (n_hits,) bool, of `level_1`
    neighbours : (n_stations, k) int32, index of the edge neighbours or -1

    Returns
    -------
    ((n_hits,) bool: read out; (n_hits,) bool: the event would have triggered without it, too)
    """
    kept, without = np.zeros((2, len(station)), bool)
    _loop(offset, station.astype(np.int32), time, passes.copy(), neighbours, kept, without)
    return kept, without


def crossing_time(hit_time: np.ndarray, bin_width: float) -> np.ndarray:
    """(n_hits,) [ns] when hits cross level 0, from when their waveforms begin."""
    return hit_time + BINS_BEFORE * bin_width

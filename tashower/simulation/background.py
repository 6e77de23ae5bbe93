"""Hits of background alone, in stations that are given: what comes on top of showers that were not
simulated. Compiled.
"""

import math

import numpy as np

from tashower.events.array import Detector
from tashower.physics.compiled import compiled
from tashower.simulation.light import shower_of
from tashower.simulation.random_numbers import seed_stream
from tashower.simulation.simulate import empty_hits
from tashower.simulation.stations import Hits, Setup, look_at_station
from tashower.simulation.windows import work_space


@compiled
def _loop(key, showers, mask, setup, work, hits, shower):
    number, t0 = showers
    state = np.empty(4, np.uint64)
    row = np.ones(15)  # of no shower: the light of background depends on t0 alone
    used = 0
    for i in range(len(number)):
        seed_stream(state, key, number[i])
        none = shower_of(row, t0[i])
        for s in range(mask.shape[1]):
            if not mask[i, s]:
                continue
            if used == len(hits.station):
                return -1
            time, _ = look_at_station(
                *(state, s, none, (0.0, 0.0, 0.0, 1.0), (False, True)),
                *(setup, work, hits.waveform[used]),
            )
            if not math.isnan(time):
                hits.station[used], hits.time[used], shower[used] = s, time, i
                used += 1
    return used


def background_hits(
    key: int, number: np.ndarray, t0: np.ndarray, mask: np.ndarray, setup: Setup, detector: Detector
) -> tuple[np.ndarray, Hits]:
    """Hits of background muons alone, within 32 us of t0, as the simulation has them.

    Parameters
    ----------
    key, number : of the random numbers: of all, and of every shower (n,)
    t0 : (n,) [ns]
    mask : (n, n_stations) bool, stations that look: in service, near enough, without another hit
    setup : of `simulate.setup_of`; detector : of the array

    Returns
    -------
    (index of the shower (h,), hits), stations increasing
    """
    work = work_space(mask.shape[1], detector.n_bins, setup.conditions.window)
    # With 6 standard deviations of room.
    mean = mask.sum() * setup.conditions.accidental_probability
    room = int(mean + 6.0 * np.sqrt(mean)) + 10
    hits, shower = empty_hits(room, detector), np.zeros(room, np.int64)
    showers = np.asarray(number).astype(np.uint64), np.asarray(t0, dtype=float)
    used = _loop(np.uint64(key), showers, mask, setup, work, hits, shower)
    if used < 0:
        raise RuntimeError("background_hits: more hits than the room for them")
    return shower[:used], Hits(*(column[:used] for column in hits))

"""Events that no shower made: random stations, times and signals."""

import numpy as np

from tashower.events.array import regular_array
from tashower.events.model import Events, Pulses

ARRAY = regular_array(15, 15, 1200.0)


def random_events(rng, n, sides=(5, 15)):
    """(Events without waveforms, Pulses): 4 to 25 stations of a square of so many stations aside,
    times uniform over 2 to 10 us, signals of 1.5 to 500 VEM, log-uniform; some saturated.
    """
    side = rng.choice(sides, n)
    column, row = (rng.integers(0, 16 - side) for _ in range(2))
    ranks = rng.random((n, 15, 15))
    i, j = np.arange(15)[:, None], np.arange(15)[None, :]
    column, row, wide = column[:, None, None], row[:, None, None], side[:, None, None]
    inside = (i >= column) & (i < column + wide) & (j >= row) & (j < row + wide)
    ranks = np.where(inside, ranks, 2.0).reshape(n, -1)
    wanted = np.minimum(rng.integers(4, 26, n), side**2)
    limit = np.take_along_axis(np.sort(ranks, axis=1), wanted[:, None] - 1, axis=1)
    event, station = np.nonzero(ranks <= limit)
    window = 10.0 ** rng.uniform(np.log10(2000.0), 4.0, n)
    time = rng.uniform(0.0, window[event])
    signal = 10.0 ** rng.uniform(np.log10(1.5), np.log10(500.0), len(event))
    n_hits = len(event)
    pulses = Pulses(
        arrival_time=time,
        signal=np.repeat(signal[:, None], 2, axis=1),
        saturated=rng.random(n_hits) < 0.05,
        n_peaks=np.ones((n_hits, 2), np.int16),
        area_over_peak=np.full(n_hits, 100.0),
    )
    events = Events(
        array=ARRAY,
        event_id=np.arange(n),
        hit_offset=np.concatenate([[0], np.cumsum(wanted)]).astype(np.int64),
        hit_station=station.astype(np.int32),
        hit_time=time - 600.0,
        waveform=None,
        pedestal=None,
        counts_per_vem=None,
        dead_offset=np.zeros(n + 1, np.int64),
        dead_station=np.zeros(0, np.int32),
        pulses=pulses,
    )
    return events, pulses

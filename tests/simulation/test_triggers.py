"""The trigger for hits that are given."""

import numpy as np
import pytest

from tashower.config import load_config
from tashower.events.array import neighbour_table
from tashower.simulation.simulate import simulate_events
from tashower.simulation.triggers import crossing_time, level_1, triggered_hits


@pytest.fixture(scope="module")
def events():
    return simulate_events(load_config("{array: {columns: 8, rows: 8}}"), "test", 0, 60)


def of(events):
    passes = level_1(events.waveform, events.pedestal, 128)
    time = crossing_time(events.hit_time, events.array.detector.bin_width)
    return time, passes, neighbour_table(events.array, corners=False)


def test_what_the_simulation_triggered_triggers(events):
    time, passes, neighbours = of(events)
    kept, without = triggered_hits(events.hit_offset, events.hit_station, time, passes, neighbours)
    assert kept.all()
    assert 0.5 < without.mean() < 1.0
    assert without[~passes].all()  # what passes no level 1 is not missed


def test_without_a_hit_is_what_the_trigger_says_of_the_others(events):
    time, passes, neighbours = of(events)
    _, without = triggered_hits(events.hit_offset, events.hit_station, time, passes, neighbours)
    for event in np.flatnonzero(np.diff(events.hit_offset) < 12)[:6]:
        begin, end = events.hit_offset[event : event + 2]
        for hit in range(begin, end):
            rows = np.delete(np.arange(begin, end), hit - begin)
            kept, _ = triggered_hits(
                np.array([0, len(rows)]),
                *(column[rows] for column in (events.hit_station, time, passes)),
                neighbours,
            )
            assert kept.any() == without[hit]


def test_levels_count_as_published(events):
    """Level 1: 150 counts over the pedestal in 128 bins, both layers; level 2: three neighbours
    within 8 us; read out is what crosses within 32 us.
    """
    waveform = np.full((4, 256, 2), 6, np.uint16)
    waveform[:, 40, :] += np.array([[150, 151], [151, 151], [151, 0], [0, 0]], np.uint16)
    waveform[3, 200] += 500  # outside of the first window
    assert level_1(waveform, np.full((4, 2), 6.0), 128).tolist() == [False, True, False, False]
    neighbours = neighbour_table(events.array, corners=False)
    near = neighbours[27][neighbours[27] >= 0][:2]
    station = np.array([*near[near < 27], 27, *near[near > 27], 63], np.int32)
    offset, passes = np.array([0, 4]), np.array([True, True, True, False])
    far = [0.0, 0.0, 0.0, 31_999.0]
    for late, triggers in ((7_999.0, True), (8_001.0, False)):
        time = np.array(far)
        time[0] = late
        kept, without = triggered_hits(offset, station, time, passes, neighbours)
        assert kept.tolist() == [triggers] * 4
        assert without.tolist() == [False, False, False, triggers]
    time = np.array([0.0, 0.0, 0.0, 32_001.0])
    assert triggered_hits(offset, station, time, passes, neighbours)[0].tolist() == [
        *[True] * 3,
        False,
    ]

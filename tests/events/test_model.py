"""Selecting and joining events."""

import numpy as np
import pytest
from hits import make_events, same

from tashower.events.array import border_distance, regular_array
from tashower.events.model import concatenate_events, select_events


def test_select_keeps_hits_with_their_events(rng):
    events = make_events(rng, 8)
    rows = np.array([5, 0, 3])
    chosen = select_events(events, rows)
    for new, old in enumerate(rows):
        there = slice(*events.hit_offset[old : old + 2])
        here = slice(*chosen.hit_offset[new : new + 2])
        np.testing.assert_array_equal(chosen.hit_station[here], events.hit_station[there])
        np.testing.assert_array_equal(chosen.waveform[here], events.waveform[there])
        np.testing.assert_array_equal(chosen.pulses.signal[here], events.pulses.signal[there])
        dead = slice(*events.dead_offset[old : old + 2])
        np.testing.assert_array_equal(
            chosen.dead_station[slice(*chosen.dead_offset[new : new + 2])],
            events.dead_station[dead],
        )
    np.testing.assert_array_equal(chosen.truth.energy, events.truth.energy[rows])


def test_split_and_join_is_the_same(rng):
    events = make_events(rng, 9)
    parts = [
        select_events(events, slice(0, 4)),
        select_events(events, slice(4, 4)),
        select_events(events, slice(4, 9)),
    ]
    same(concatenate_events(parts), events)


def test_hit_event(rng):
    events = make_events(rng, 5)
    assert np.all(np.diff(events.hit_event) >= 0)
    np.testing.assert_array_equal(
        np.bincount(events.hit_event, minlength=5), np.diff(events.hit_offset)
    )


def test_other_arrays_do_not_join(rng):
    one = make_events(rng, 2)
    other = make_events(rng, 2, array=regular_array(5, 5, 1500.0))
    with pytest.raises(ValueError, match="different arrays"):
        concatenate_events([one, other])
    with pytest.raises(ValueError, match="nothing"):
        concatenate_events([])


def test_regular_array(rng):
    array = regular_array(4, 6, 1200.0, jitter=40.0, altitude_spread=30.0, rng=rng)
    assert array.n_stations == 24
    assert len(set(array.station_id)) == 24
    ideal = regular_array(4, 6, 1200.0)
    offset = array.position - ideal.position
    assert offset[:, :2].std() == pytest.approx(40, rel=0.3)
    assert array.position[:, 2].std() == pytest.approx(30)
    np.testing.assert_array_equal(ideal.lattice[ideal.station_id == 302], [[2, 1]])
    assert ideal.position[ideal.station_id == 302][0] == pytest.approx([600, -1800, 0])
    with pytest.raises(ValueError, match="generator"):
        regular_array(4, 4, 1200.0, jitter=1.0)


def test_border_distance():
    array = regular_array(5, 5, 1000.0)  # from -2000 to 2000
    distance = border_distance(
        array, np.array([0.0, 1500.0, -2500.0, np.nan]), np.array([0.0, -1900.0, 0.0, 0.0])
    )
    assert distance[:3] == pytest.approx([2000, 100, -500])
    assert np.isnan(distance[3])

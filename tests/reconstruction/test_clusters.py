"""Which stations the fit takes."""

import numpy as np
import pytest

from tashower.events.array import neighbour_table, regular_array
from tashower.physics.constants import SPEED_OF_LIGHT
from tashower.reconstruction.clusters import (
    BOUND,
    SIGNAL,
    SILENT,
    TIME,
    EventHits,
    Geometry,
    choose_stations,
    largest_cluster,
)

ARRAY = regular_array(7, 7, 1200.0)
TABLE = neighbour_table(ARRAY)
GEOMETRY = Geometry(ARRAY.position, TABLE)


def at(column, row):
    return np.int32(column * 7 + row)


def hits(station, times, signals, saturated=None, dead=()):
    saturated = np.zeros(len(station), bool) if saturated is None else np.array(saturated)
    times, signals = np.array(times, float), np.array(signals, float)
    return EventHits(station, times, signals, saturated, np.array(dead, np.int32))


def cluster(stations, times, signals):
    station = np.array(stations, np.int32)
    label = np.empty(len(station), np.int32)
    slot = np.full(49, -1, np.int32)
    n = largest_cluster(hits(station, times, signals), GEOMETRY, slot, label, np.zeros_like(label))
    assert (slot == -1).all()
    assert n == label.sum()
    return label.tolist()


def choose(stations, times, signals, saturated=None, dead=()):
    station = np.array(stations, np.int32)
    slot, label = np.full(49, -1, np.int32), np.empty(len(station), np.int32)
    chosen, use = np.empty(49, np.int32), np.empty(49, np.int32)
    n, n_hits = choose_stations(
        hits(station, times, signals, saturated, dead), GEOMETRY, slot, label, chosen, use
    )
    assert (slot == -1).all()
    return chosen[:n], use[:n], n_hits


def test_neighbours_of_a_square_lattice():
    assert (np.sort(TABLE[at(3, 3)]) >= 0).all()
    assert (TABLE[at(0, 0)] >= 0).sum() == 3
    assert set(TABLE[at(0, 0)]) - {-1} == {at(0, 1), at(1, 0), at(1, 1)}


def test_neighbours_are_linked_within_the_light_time():
    light = 1200.0 / SPEED_OF_LIGHT
    assert cluster([at(3, 3), at(3, 4)], [0, 0.99 * light], [5, 5]) == [1, 1]
    assert cluster([at(3, 3), at(3, 4)], [0, 1.01 * light], [5, 6]) == [0, 1]
    assert cluster([at(3, 3), at(4, 4)], [0, 1.4 * light], [5, 6]) == [1, 1]  # across the diagonal
    assert cluster([at(3, 3), at(3, 5)], [0, 0], [5, 6]) == [0, 1]  # not neighbours


def test_chain_belongs_together():
    assert cluster([at(0, 0), at(1, 1), at(2, 2), at(3, 2)], [0, 100, 200, 300], [2, 2, 2, 2]) == [
        1,
        1,
        1,
        1,
    ]


def test_largest_signal_wins_not_most_stations():
    label = cluster(
        [at(0, 0), at(0, 1), at(0, 2), at(5, 5), at(5, 6)], [0, 0, 0, 0, 0], [2, 2, 2, 50, 2]
    )
    assert label == [0, 0, 0, 1, 1]


def test_small_signals_and_missing_times_do_not_take_part():
    assert cluster([at(3, 3), at(3, 4)], [0, 0], [5, 1.39]) == [1, 0]
    assert cluster([at(3, 3), at(3, 4)], [0, np.nan], [5, 5]) == [1, 0]
    assert cluster([at(3, 3)], [np.nan], [5]) == [0]
    assert cluster([], [], []) == []


def test_silent_neighbours_enter_once_and_dead_ones_never():
    chosen, use, n_hits = choose([at(3, 3), at(3, 4)], [0, 0], [5, 5], dead=[at(2, 3)])
    assert n_hits == 2
    assert (use[:2] == TIME + SIGNAL).all()
    assert (use[2:] == SILENT).all()
    silent = -1 - chosen[2:]
    assert len(silent) == len(set(silent)) == 12 - 2 - 1
    assert at(2, 3) not in silent


def test_station_with_an_accidental_is_not_silent():
    chosen, _, n_hits = choose([at(3, 3), at(3, 4), at(4, 4)], [0, 0, 1e6], [5, 5, 3])
    assert n_hits == 2
    assert at(4, 4) not in -1 - chosen[2:]


@pytest.mark.parametrize("saturated", [True, False])
def test_signal_of_a_saturated_station_is_a_bound(saturated):
    _, use, _ = choose([at(3, 3)], [0], [500], [saturated])
    assert use[0] == TIME + (BOUND if saturated else SIGNAL)

"""Neighbours of a station on every kind of array; numbers of the detector; pulls across the wrap of
the azimuth.
"""

from dataclasses import replace

import numpy as np
import pytest
from hits import make_events, make_reconstruction

from tashower.events.array import Detector, array_from_positions, neighbour_table, regular_array
from tashower.events.model import pulls


def neighbours(array, station, **words):
    """Relative positions of a station's neighbours, rounded, in units of the spacing."""
    found = neighbour_table(array, **words)[station]
    step = array.position[found[found >= 0], :2] - array.position[station, :2]
    return {tuple(s) for s in np.round(step / array.spacing, 2).tolist()}


def test_square():
    array = regular_array(5, 5, 1200.0)
    edges = {(1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0)}
    corners = {(1.0, 1.0), (-1.0, 1.0), (1.0, -1.0), (-1.0, -1.0)}
    assert neighbours(array, 12) == edges | corners
    assert neighbours(array, 12, corners=False) == edges
    assert neighbours(array, 0) == {(1.0, 0.0), (0.0, 1.0), (1.0, 1.0)}
    assert neighbours(array, 0, corners=False) == {(1.0, 0.0), (0.0, 1.0)}


def test_hexagonal():
    array = regular_array(5, 5, 1500.0, kind="hexagonal")
    around = np.radians(np.arange(0, 360, 60))
    expected = {
        (round(c, 2), round(s, 2)) for c, s in zip(np.cos(around), np.sin(around), strict=True)
    }
    assert {(x + 0.0, y + 0.0) for x, y in neighbours(array, 12)} == {
        (x + 0.0, y + 0.0) for x, y in expected
    }


def test_irregular():
    """The eight nearest that are nearer than three times the median distance to the nearest one."""
    position = np.array(
        [[0.0, 0, 0], [100, 0, 0], [150, 270, 0], [-299, 0, 0], [0, 301, 0], [-330, 110, 0]]
    )
    array = array_from_positions(np.arange(6), position)
    assert array.kind == "irregular"
    distance = np.linalg.norm(position[1:] - position[0], axis=1)
    near = set(np.flatnonzero(distance < 3.0 * array.spacing) + 1)
    found = neighbour_table(array)[0]
    assert set(found[found >= 0].tolist()) == near
    assert 1 < len(near) < 5


def test_nobody_has_no_neighbours():
    none = replace(array_from_positions(np.arange(3), np.eye(3) * 1000.0), kind="irregular")
    none = replace(
        none, station_id=none.station_id[:0], position=none.position[:0], lattice=none.lattice[:0]
    )
    assert neighbour_table(none).shape == (0, 8)


@pytest.mark.parametrize(("fitted", "true"), [(0.01, 2 * np.pi - 0.02), (6.27, 0.005)])
def test_pull_of_the_azimuth_across_north(rng, fitted, true):
    events = make_events(rng, 3)
    fit = make_reconstruction(rng, events)
    fit = replace(fit, azimuth=np.full(3, fitted))
    truth = replace(events.truth, azimuth=np.full(3, true))
    turn = 2 * np.pi if fitted < true else -2 * np.pi
    assert pulls(fit, truth)[1, 3] == pytest.approx((fitted + turn - true) / 0.1)


def test_numbers_of_the_telescope_array():
    """Abu-Zayyad et al. 2012, NIM A 689, 87: 3 m^2, two layers, 128 bins of 20 ns, noise of 0.75
    counts, edges of four bins above five times that, linear to 2000 counts or 48.8 VEM in a bin.
    """
    d = Detector()
    assert (d.area, d.n_layers, d.bin_width, d.n_bins) == (3.0, 2, 20.0, 128)
    assert (d.noise_counts, d.edge_bins, d.edge_sigma) == (0.75, 4, 5.0)
    assert (d.saturation_counts, d.saturation_vem) == (2000.0, 48.8)

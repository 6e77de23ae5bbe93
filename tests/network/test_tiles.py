"""From hits to tiles, and the eight orientations of the square."""

from dataclasses import replace

import numpy as np
import pytest
from reconstruction.toy import calibration, draw_truth, toy_events

from tashower.config import load_config
from tashower.events.array import square_array
from tashower.events.model import select_events, select_rows
from tashower.network.tiles import (
    STATION_FEATURES,
    cell_permutation,
    core_in_lattice,
    dense_waveforms,
    feature_matrix,
    make_tiles,
    target_matrix,
    vector_matrix,
)
from tashower.reconstruction.fit import fit_events

N, T = 6, 128


@pytest.fixture
def events(rng):
    """Events with waveforms of random content, their pulses and their fits; all valid."""
    truth = draw_truth(rng, 20, s800=40.0)
    found, pulses = toy_events(rng, truth)
    shape = (found.n_hits, T, 2)
    found = replace(
        found, waveform=rng.integers(0, 900, shape).astype(np.uint16), pedestal=np.full((found.n_hits, 2), 6.0, np.float32),
        counts_per_vem=np.full((found.n_hits, 2), 40.0, np.float32),
    )  # fmt: skip
    fits = fit_events(found, pulses, calibration(truth), load_config().reconstruction)
    good = np.flatnonzero(fits.valid)
    chosen = select_events(replace(found, pulses=pulses), good)
    return chosen, chosen.pulses, select_rows(fits, good)


def column(tiles, name):
    return tiles.cells[..., STATION_FEATURES.index(name)]


def test_shape_and_dense_form(events):
    tiles = make_tiles(*events, N, T)
    n = events[0].n_events
    assert tiles.cells.shape == (n, N, N, len(STATION_FEATURES))
    assert tiles.cells.dtype == np.float32
    assert np.isfinite(tiles.cells).all()
    dense = dense_waveforms(tiles)
    assert dense.shape == (n, N, N, T, 2)
    np.testing.assert_array_equal(np.abs(dense).sum(axis=(3, 4)) > 0, column(tiles, "hit") > 0)


def test_core_is_in_the_middle_and_every_near_hit_in_its_cell(events):
    found, _, fit = events
    tiles = make_tiles(*events, N, T)
    # Offsets from the core are within half a spacing of symmetric, in units of the spacing.
    assert np.abs(column(tiles, "x").mean(axis=(1, 2))).max() < 0.6
    position = found.array.position
    for i in range(found.n_events):
        hits = found.hit_station[slice(*found.hit_offset[i : i + 2])]
        for station in hits[:6]:
            x = (position[station, 0] - fit.core_x[i]) / 1200.0
            cell = np.isclose(column(tiles, "x")[i], x, atol=1e-4) & (column(tiles, "exists")[i] > 0)
            if cell.any():
                y = (position[station, 1] - fit.core_y[i]) / 1200.0
                cell &= np.isclose(column(tiles, "y")[i], y, atol=1e-4)
                assert cell.sum() == 1
                assert column(tiles, "hit")[i][cell] == 1


def test_masks_of_missing_dead_and_saturated_stations(events):
    found, pulses, fit = events
    tiles = make_tiles(found, pulses, fit, N, T)
    assert (column(tiles, "hit") <= column(tiles, "working")).all()
    station = found.hit_station[0]
    other = np.setdiff1d(np.arange(found.array.n_stations), found.hit_station[slice(*found.hit_offset[:2])])
    near = other[np.argsort(np.hypot(*(found.array.position[other, :2] - [fit.core_x[0], fit.core_y[0]]).T))[0]]
    dead = replace(
        found, dead_offset=np.concatenate([[0], np.ones(found.n_events, np.int64)]), dead_station=np.array([near], np.int32)
    )
    with_dead = make_tiles(dead, pulses, fit, N, T)
    assert (column(tiles, "working") - column(with_dead, "working")).sum() == 1
    np.testing.assert_array_equal(column(tiles, "exists"), column(with_dead, "exists"))
    saturated = make_tiles(found, replace(pulses, saturated=np.ones(found.n_hits, bool)), fit, N, T)
    np.testing.assert_array_equal(column(saturated, "saturated"), column(tiles, "hit"))
    untimed = make_tiles(found, replace(pulses, arrival_time=np.full(found.n_hits, np.nan)), fit, N, T)
    assert column(untimed, "timed").sum() == 0
    assert np.isfinite(untimed.cells).all()
    assert station >= 0


def test_border_of_the_array_is_marked(events):
    found, pulses, fit = events
    edge = replace(fit, core_x=np.full_like(fit.core_x, 5 * 1200.0), core_y=np.zeros_like(fit.core_y))
    tiles = make_tiles(found, pulses, edge, N, T)
    missing = column(tiles, "exists") == 0
    assert missing.any()
    assert (tiles.cells[missing] == 0).all()


def test_waveforms_are_cut_or_padded(events):
    short = make_tiles(*events, N, 64)
    full = make_tiles(*events, N, T)
    longer = make_tiles(*events, N, 160)
    np.testing.assert_array_equal(short.waveform, full.waveform[:, :64])
    np.testing.assert_array_equal(longer.waveform[:, :T], full.waveform)
    assert (longer.waveform[:, T:] == 0).all()
    none = make_tiles(*events, N, T, with_waveforms=False)
    np.testing.assert_array_equal(none.cells, full.cells)
    assert none.waveform.shape[0] == 0


def test_lattice_coordinates_of_a_displaced_array():
    array = square_array(9, 7, 1000.0, 30.0, 0.0, np.random.default_rng(1))
    found = core_in_lattice(array, np.array([0.0, 1000.0]), np.array([0.0, -2000.0]))
    np.testing.assert_allclose(found, [[4.0, 3.0], [5.0, 1.0]], atol=0.05)


@pytest.mark.parametrize("orientation", range(8))
def test_orientations_are_the_group_of_the_square(orientation):
    """Turning the tile, the vectors and the targets together is turning the event."""
    matrix = vector_matrix(orientation)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(2))
    n = 5
    middle = (n - 1) / 2
    cells = np.stack(np.meshgrid(np.arange(n) - middle, np.arange(n) - middle, indexing="ij"), axis=-1).reshape(-1, 2)
    # What stands in a cell after turning has, as a vector, the direction of that cell.
    np.testing.assert_allclose(cells[cell_permutation(n, orientation)] @ matrix.T, cells)
    np.testing.assert_allclose(target_matrix(orientation)[:2, :2], matrix)
    np.testing.assert_allclose(target_matrix(orientation)[2:4, 2:4], matrix)
    features = feature_matrix(orientation)
    np.testing.assert_allclose(features @ features.T, np.eye(len(STATION_FEATURES)), atol=1e-12)
    assert features[STATION_FEATURES.index("z"), STATION_FEATURES.index("z")] == 1


def test_eight_different_orientations():
    assert len({tuple(cell_permutation(3, o)) for o in range(8)}) == 8

"""From hits to tiles, and the eight orientations of the square."""

from dataclasses import replace

import numpy as np
import pytest
from reconstruction.toy import calibration, draw_truth, toy_events

from tashower.config import load_config
from tashower.events.array import lattice_map, neighbour_table, regular_array
from tashower.events.model import select_events, select_rows
from tashower.network.tiles import (
    ORIENTATIONS,
    STATION_FEATURES,
    cell_permutation,
    core_in_lattice,
    dense_waveforms,
    feature_matrix,
    make_tiles,
    rebinned,
    target_matrix,
    vector_matrix,
)
from tashower.reconstruction.methods import Context
from tashower.reconstruction.methods.fits import fit_events

N, T = 6, 128


@pytest.fixture
def events(rng):
    """Events with waveforms of random content, their pulses and their fits; all valid."""
    truth = draw_truth(rng, 20, s_ref=40.0)
    found, pulses = toy_events(rng, truth)
    shape = (found.n_hits, T, 2)
    found = replace(
        found,
        waveform=rng.integers(0, 900, shape).astype(np.uint16),
        pedestal=np.full((found.n_hits, 2), 6.0, np.float32),
        counts_per_vem=np.full((found.n_hits, 2), 40.0, np.float32),
    )
    fits = fit_events(found, pulses, Context(calibration(truth), load_config().reconstruction))
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
            cell = np.isclose(column(tiles, "x")[i], x, atol=1e-4) & (
                column(tiles, "exists")[i] > 0
            )
            if cell.any():
                y = (position[station, 1] - fit.core_y[i]) / 1200.0
                cell &= np.isclose(column(tiles, "y")[i], y, atol=1e-4)
                assert cell.sum() == 1
                assert column(tiles, "hit")[i][cell] == 1


def test_masks_of_missing_dead_and_saturated_stations(events):
    found, pulses, fit = events
    tiles = make_tiles(found, pulses, fit, N, T)
    assert (column(tiles, "hit") <= column(tiles, "working")).all()
    other = np.setdiff1d(
        np.arange(found.array.n_stations), found.hit_station[slice(*found.hit_offset[:2])]
    )
    near = other[
        np.argsort(np.hypot(*(found.array.position[other, :2] - [fit.core_x[0], fit.core_y[0]]).T))[
            0
        ]
    ]
    dead = replace(
        found,
        dead_offset=np.concatenate([[0], np.ones(found.n_events, np.int64)]),
        dead_station=np.array([near], np.int32),
    )
    with_dead = make_tiles(dead, pulses, fit, N, T)
    assert (column(tiles, "working") - column(with_dead, "working")).sum() == 1
    np.testing.assert_array_equal(column(tiles, "exists"), column(with_dead, "exists"))
    saturated = make_tiles(found, replace(pulses, saturated=np.ones(found.n_hits, bool)), fit, N, T)
    np.testing.assert_array_equal(column(saturated, "saturated"), column(tiles, "hit"))
    untimed = make_tiles(
        found, replace(pulses, arrival_time=np.full(found.n_hits, np.nan)), fit, N, T
    )
    assert column(untimed, "timed").sum() == 0
    assert np.isfinite(untimed.cells).all()


def test_border_of_the_array_is_marked(events):
    found, pulses, fit = events
    edge = replace(
        fit, core_x=np.full_like(fit.core_x, 5 * 1200.0), core_y=np.zeros_like(fit.core_y)
    )
    tiles = make_tiles(found, pulses, edge, N, T)
    missing = column(tiles, "exists") == 0
    assert missing.any()
    assert (tiles.cells[missing] == 0).all()


@pytest.fixture
def scattered(events):
    """The same events on stations that stand on no lattice."""
    found, pulses, fit = events
    return replace(found, array=replace(found.array, kind="irregular")), pulses, fit


def test_stations_on_no_lattice_are_a_list_of_the_nearest(events, scattered):
    found, pulses, fit = scattered
    n_tile = 7
    tiles, array = make_tiles(*scattered, n_tile, T), found.array
    listed = tiles.cells.reshape(found.n_events, n_tile**2, -1)
    exists, x, y, hit, upper = (
        listed[..., STATION_FEATURES.index(name)]
        for name in ("exists", "x", "y", "hit", "log_upper")
    )
    assert exists.all()
    away = np.hypot(x, y)
    assert (np.diff(away, axis=1) > -1e-5).all()
    first = 0
    for i in range(found.n_events):
        core = np.array([fit.core_x[i], fit.core_y[i]])
        distance = np.linalg.norm(array.position[:, :2] - core, axis=1)
        nearest = np.argsort(distance)[: n_tile**2]
        np.testing.assert_allclose(away[i], distance[nearest] / array.spacing, rtol=1e-4)
        hits = slice(*found.hit_offset[i : i + 2])
        station = found.hit_station[hits]
        np.testing.assert_array_equal(hit[i], np.isin(nearest, station))
        signal = np.full(array.n_stations, 0.0)
        signal[station] = np.maximum(pulses.signal[hits, 0], 0.0)
        np.testing.assert_allclose(upper[i], np.log1p(signal[nearest]), rtol=1e-5, atol=1e-6)
        # Waveforms are those of the stations in their cells.
        mine = np.flatnonzero(tiles.waveform_event == i)
        assert len(mine) == hit[i].sum()
        for k in mine:
            of = hits.start + np.flatnonzero(station == nearest[tiles.waveform_cell[k]])[0]
            vem = (found.waveform[of] - found.pedestal[of]) / found.counts_per_vem[of]
            np.testing.assert_array_equal(
                tiles.waveform[k], np.log1p(np.maximum(vem, -0.5)).astype(np.float16)
            )
        first += len(mine)
    assert first == len(tiles.waveform)
    # What a station says does not depend on whether there is a lattice.
    square = make_tiles(*events, N, T)
    for one, other in zip(square.cells, tiles.cells, strict=True):
        cells = one[one[..., 0] > 0]
        to = other.reshape(n_tile**2, -1)
        match = np.abs(cells[:, None, 5:7] - to[:, 5:7]).max(axis=2)
        near = match.min(axis=1) < 1e-5
        assert near.sum() > 20
        np.testing.assert_allclose(to[match.argmin(axis=1)[near]], cells[near], atol=1e-5)


def test_fewer_stations_than_cells_leave_the_last_cells_empty(scattered):
    found, pulses, fit = scattered
    few, kept = 30, found.hit_station < 30
    fewer = replace(
        found.array,
        **{
            name: getattr(found.array, name)[:few] for name in ("station_id", "position", "lattice")
        },
    )
    event = found.hit_event[kept]
    hits = {
        name: getattr(found, name)[kept]
        for name in ("hit_station", "hit_time", "waveform", "pedestal", "counts_per_vem")
    }
    offset = np.concatenate([[0], np.cumsum(np.bincount(event, minlength=found.n_events))])
    cut = replace(found, array=fewer, hit_offset=offset, pulses=None, **hits)
    tiles = make_tiles(cut, select_rows(pulses, kept), fit, N, T)
    listed = tiles.cells.reshape(found.n_events, N * N, -1)
    assert (listed[:, :few, 0] == 1).all()
    assert (listed[:, few:] == 0).all()
    assert listed[..., STATION_FEATURES.index("hit")].sum() == kept.sum()


def test_a_dead_station_of_the_list(scattered):
    found, pulses, fit = scattered
    station = int(np.argmin(np.linalg.norm(found.array.position[:, :2], axis=1)))
    dead = replace(
        found,
        dead_offset=np.arange(found.n_events + 1),
        dead_station=np.full(found.n_events, station, np.int32),
    )
    working, before = (column(make_tiles(e, pulses, fit, 7, T), "working") for e in (dead, found))
    there = np.abs(before - working).sum(axis=(1, 2))
    assert set(there) <= {0, 1}
    assert there.sum() > 0.5 * found.n_events


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
    array = regular_array(9, 7, 1000.0, 30.0, 0.0, np.random.default_rng(1))
    found = core_in_lattice(array, np.array([0.0, 1000.0]), np.array([0.0, -2000.0]))
    np.testing.assert_allclose(found, [[4.0, 3.0], [5.0, 1.0]], atol=0.05)


def basis(kind):
    """(2, 2) ground vectors of steps along the two axes of a lattice whose first axis points
    east.
    """
    return np.eye(2) if kind == "square" else np.array([[1.0, 0.0], [0.5, np.sqrt(0.75)]])


@pytest.mark.parametrize(
    ("kind", "orientation"), [(k, o) for k in ("square", "hexagonal") for o in ORIENTATIONS[k]]
)
def test_orientations_are_symmetries_of_the_lattice(kind, orientation):
    """Turning the tile, the vectors and the targets together is turning the event."""
    matrix = vector_matrix(orientation, kind)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(2), atol=1e-12)
    np.testing.assert_allclose(matrix, matrix.T if kind == "hexagonal" else matrix, atol=1e-12)
    n = 5
    middle = (n - 1) / 2
    cells = np.stack(
        np.meshgrid(np.arange(n) - middle, np.arange(n) - middle, indexing="ij"), axis=-1
    ).reshape(-1, 2)
    ground = cells @ basis(kind)
    # What stands in a cell after turning has, as a vector, the direction of that cell.
    np.testing.assert_allclose(
        ground[cell_permutation(n, orientation)] @ matrix.T, ground, atol=1e-12
    )
    np.testing.assert_allclose(target_matrix(orientation, kind)[:2, :2], matrix)
    np.testing.assert_allclose(target_matrix(orientation, kind)[2:4, 2:4], matrix)
    features = feature_matrix(orientation, kind)
    np.testing.assert_allclose(features @ features.T, np.eye(len(STATION_FEATURES)), atol=1e-12)
    assert features[STATION_FEATURES.index("z"), STATION_FEATURES.index("z")] == 1
    for names in (["x", "y"], ["axis_x", "axis_y"]):
        pair = [STATION_FEATURES.index(name) for name in names]
        np.testing.assert_allclose(features[np.ix_(pair, pair)], matrix)


def test_as_many_orientations_as_a_square_and_a_rhombus_have():
    for kind, number in (("square", 8), ("hexagonal", 4)):
        assert len({tuple(cell_permutation(3, o)) for o in ORIENTATIONS[kind]}) == number


def test_a_list_of_stations_turns_without_a_change_of_its_order():
    for orientation in ORIENTATIONS["irregular"]:
        np.testing.assert_array_equal(cell_permutation(4, orientation, "irregular"), np.arange(16))
        np.testing.assert_array_equal(
            vector_matrix(orientation, "irregular"), vector_matrix(orientation)
        )


@pytest.mark.parametrize("degrees", [0.0, 20.0, 75.0, 200.0])
def test_a_turned_array_gives_the_same_tiles(events, degrees):
    """The whole event turned with its array: nothing that the network sees changes."""
    found, pulses, fit = events
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])

    def turned(x, y):
        return (np.stack([x, y], axis=-1) @ turn.T).T

    position = found.array.position.copy()
    position[:, :2] = position[:, :2] @ turn.T
    core_x, core_y = turned(fit.core_x, fit.core_y)
    other_fit = replace(fit, core_x=core_x, core_y=core_y, azimuth=fit.azimuth + angle)
    other = replace(found, array=replace(found.array, position=position))
    one, two = make_tiles(found, pulses, fit, N, T), make_tiles(other, pulses, other_fit, N, T)
    np.testing.assert_allclose(two.cells, one.cells, atol=2e-3)
    np.testing.assert_array_equal(two.waveform_cell, one.waveform_cell)
    assert lattice_map(other.array)[1] == pytest.approx(np.angle(np.exp(1j * angle)), abs=0.01)


def test_tiles_of_a_hexagonal_array():
    array = regular_array(9, 9, 1500.0, kind="hexagonal")
    coefficients, heading = lattice_map(array)
    assert heading == 0.0
    found = np.column_stack([np.ones(81), array.position[:, :2]]) @ coefficients
    np.testing.assert_allclose(found, array.lattice, atol=1e-9)
    step = array.position[:, None, :2] - array.position[None, :, :2]
    near = np.isclose(np.linalg.norm(step, axis=2), 1500.0)
    assert near.sum(axis=1).max() == 6
    np.testing.assert_array_equal(near.sum(axis=1), (neighbour_table(array) >= 0).sum(axis=1))


@pytest.mark.parametrize(
    ("old", "new"),
    [(20.0, 40.0), (20.0, 25.0), (25.0, 20.0), (2.5, 20.0), (20.0, 5.0), (20.0, 20.0)],
)
def test_rebinning_keeps_the_sum_and_the_mean_time(rng, old, new):
    vem = rng.random((3, 96, 2)) - 0.1
    found = rebinned(vem, old, new)
    assert found.shape == (3, int(np.ceil(96 * old / new)), 2)
    np.testing.assert_allclose(found.sum(axis=1), vem.sum(axis=1), atol=1e-9)
    late, old_late = (
        ((np.arange(x.shape[1]) + 0.5)[:, None] * w * x).sum(axis=1)
        for x, w in ((found, new), (vem, old))
    )
    # What a bin holds is spread over it: the mean moves by less than a bin.
    assert np.abs(late / found.sum(axis=1) - old_late / vem.sum(axis=1)).max() < 0.6 * max(old, new)
    if new > old and new % old == 0:
        k = int(new / old)
        np.testing.assert_allclose(
            found[:, : 96 // k], vem[:, : 96 // k * k].reshape(3, -1, k, 2).sum(axis=2), atol=1e-12
        )


def test_waveforms_in_bins_of_the_networks_own(events):
    own = make_tiles(*events, N, 64, bin_width=40.0)
    full = make_tiles(*events, N, T)
    assert own.waveform.shape[1] == 64
    sums = (
        np.expm1(own.waveform.astype(float)),
        np.expm1(full.waveform.astype(float)).reshape(len(full.waveform), 64, 2, 2).sum(axis=2),
    )
    np.testing.assert_allclose(*sums, rtol=0.02, atol=0.02)

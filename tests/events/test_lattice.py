"""Lattice coordinates of any layout."""

import csv
from pathlib import Path

import numpy as np
import pytest

from tashower.events.array import array_from_positions, lattice_map, off_lattice
from tashower.events.lattice import LARGEST_DISPLACEMENT, displacements, fit_lattice, lattice_steps

SHARED = Path(__file__).resolve().parents[3] / "shared"
REAL = SHARED / "cases" / "tables" / "ta_real_stations.csv"


def points(kind, columns=9, rows=7, spacing=1200.0, heading=0.0):
    """(n, 2) positions and their coordinates."""
    column, row = (
        a.ravel() for a in np.meshgrid(np.arange(columns), np.arange(rows), indexing="ij")
    )
    angle = {"square": np.pi / 2, "hexagonal": np.pi / 3}[kind]
    a, b = (spacing * np.array([np.cos(h), np.sin(h)]) for h in (heading, heading + angle))
    return column[:, None] * a + row[:, None] * b, np.column_stack([column, row])


def same_up_to_symmetry(found, expected, kind):
    """The coordinates are an integer map of the expected ones that keeps neighbours neighbours."""
    columns = np.column_stack([expected, np.ones(len(expected))])
    affine, *_ = np.linalg.lstsq(columns, found, rcond=None)
    np.testing.assert_allclose(columns @ affine, found, atol=1e-6)
    assert abs(np.linalg.det(affine[:2])) == pytest.approx(1)
    steps = {tuple(s) for s in lattice_steps(kind)}
    assert {tuple(np.rint(np.array(s) @ affine[:2]).astype(int)) for s in steps} == steps


@pytest.mark.parametrize("kind", ["square", "hexagonal"])
@pytest.mark.parametrize("heading", [0.0, 0.3, 1.0, 2.5])
@pytest.mark.parametrize("spacing", [5.0, 1200.0, 2080.0])
def test_perfect_lattices(kind, heading, spacing):
    position, coordinates = points(kind, spacing=spacing, heading=heading)
    found = fit_lattice(position)
    assert found.kind == kind
    assert found.spacing == pytest.approx(spacing)
    assert (found.coordinates.min(axis=0) == 0).all()
    same_up_to_symmetry(found.coordinates, coordinates, kind)


@pytest.mark.parametrize("kind", ["square", "hexagonal"])
def test_displaced_stations_gaps_and_altitudes(rng, kind):
    position, coordinates = points(kind, 22, 23)
    keep = rng.random(len(position)) > 0.3
    keep[np.abs(coordinates[:, 0] - 10) < 1] = False  # a road through the array
    position = np.column_stack(
        [position + rng.normal(0, 40, position.shape), rng.normal(0, 30, len(position))]
    )[keep]
    found = fit_lattice(position)
    assert found.kind == kind
    assert found.spacing == pytest.approx(1200, rel=0.01)
    same_up_to_symmetry(found.coordinates, coordinates[keep], kind)


def test_irregular_arrays_fit_no_lattice(rng):
    for position in (
        rng.uniform(0, 5000, (40, 2)),
        np.array([[0.0, 0.0], [100.0, 3.0], [130.0, 90.0], [20.0, 150.0], [300.0, 40.0]]),
        np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [3.0, 0.0]]),  # a line
        points("square")[0] * [1.0, 1.6],  # a rectangle
        np.zeros((5, 2)),
    ):
        found = fit_lattice(position)
        assert found.kind == "irregular"
        assert len(np.unique(found.coordinates, axis=0)) == len(position)


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_few_stations_are_irregular(n):
    assert fit_lattice(np.arange(2 * n, dtype=float).reshape(n, 2)).kind == "irregular"


def test_irregular_has_no_steps():
    with pytest.raises(ValueError, match="irregular"):
        lattice_steps("irregular")


@pytest.mark.parametrize("kind", ["square", "hexagonal"])
def test_a_few_stations_off_the_lattice_get_the_nearest_free_point(rng, kind):
    """Four of 500, 0.28 to 0.5 spacings off; one of them stands in the cell of a neighbour."""
    position, coordinates = points(kind, 25, 20)
    position = position + rng.normal(0, 40, position.shape)
    off = [3, 130, 222, 480]
    step = position[1] - position[0]
    for k, share in zip(off, (0.28, -0.35, 0.45, 0.4), strict=True):
        position[k] += share * step
    # The last one beyond the middle towards a neighbour, whose point is taken.
    position[off[-1]] += 0.3 * step
    found = fit_lattice(position)
    assert found.kind == kind
    assert len(np.unique(found.coordinates, axis=0)) == len(position)
    others = np.setdiff1d(np.arange(len(position)), off)
    same_up_to_symmetry(found.coordinates[others], coordinates[others], kind)
    same_up_to_symmetry(found.coordinates, coordinates, kind)
    away = displacements(position, found.coordinates)[0]
    np.testing.assert_array_equal(np.flatnonzero(away > LARGEST_DISPLACEMENT), off)


def test_more_than_a_fiftieth_off_the_lattice_is_irregular(rng):
    position, _ = points("square", 20, 20)
    off = rng.choice(400, 12, replace=False)
    position[off] += [500.0, 300.0]
    assert fit_lattice(position).kind == "irregular"
    position[off[4:]] -= [500.0, 300.0]
    assert fit_lattice(position).kind == "square"


def test_lattices_of_a_billion_points_are_not_believed():
    position, _ = points("square", 6, 6, spacing=10.0)
    far = np.concatenate([position, position + [4e5, 3e5]])
    assert fit_lattice(far).kind == "irregular"


def test_stations_off_the_lattice_are_known_by_index():
    position, _ = points("square", 10, 10)
    position[37] += [300.0, 200.0]
    array = array_from_positions(np.arange(100), np.column_stack([position, np.zeros(100)]))
    assert array.kind == "square"
    np.testing.assert_array_equal(off_lattice(array), [37])


@pytest.mark.skipif(not REAL.is_file(), reason="positions of the real array are not shipped")
def test_the_array_of_the_telescope_array():
    """507 stations; their numbers, 100 column + row, say where they stand on the lattice."""
    with REAL.open() as file:
        rows = list(csv.DictReader(file))
    number = np.array([int(row["station"]) for row in rows])
    position = np.array([[float(row[name]) for name in ("x_m", "y_m", "z_m")] for row in rows])
    array = array_from_positions(number, position)
    assert array.kind == "square"
    assert array.spacing == pytest.approx(1200, abs=2)
    wanted = np.stack([number // 100, number % 100], axis=1)
    np.testing.assert_array_equal(array.lattice, wanted - wanted.min(axis=0))
    np.testing.assert_array_equal(number[off_lattice(array)], [904, 1619, 1812, 2410])


@pytest.mark.parametrize("kind", ["square", "hexagonal"])
@pytest.mark.parametrize("heading", [0.0, 0.004, 0.02, -0.3])
def test_heading_and_map_of_a_turned_lattice(kind, heading):
    """Turns of a degree count; less than 5 mrad is called 0."""
    ground, _ = points(kind, heading=heading)
    position = np.column_stack([ground, np.zeros(len(ground))])
    array = array_from_positions(np.arange(len(ground)), position)
    coefficients, found = lattice_map(array)
    turn = np.pi / {"square": 2, "hexagonal": 3}[kind]
    # Which of the lattice's axes is the first does not matter.
    rest = (found - (heading if abs(heading) > 5e-3 else 0.0)) / turn
    assert rest == pytest.approx(round(rest), abs=1e-9)
    columns = np.column_stack([np.ones(len(ground)), ground])
    np.testing.assert_allclose(columns @ coefficients, array.lattice, atol=1e-6)

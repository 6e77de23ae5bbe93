"""Lattice coordinates of any layout."""

import numpy as np
import pytest

from tashower.events.array import array_from_positions, lattice_map
from tashower.events.lattice import fit_lattice, lattice_steps


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

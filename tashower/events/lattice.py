"""Integer lattice coordinates of stations: what turns any layout into a tile, without
interpolation.

A square lattice has orthogonal basis vectors of equal length; a hexagonal one basis vectors at 60
degrees (axial coordinates). Both may be turned by any angle. Stations may be missing and displaced
by up to a quarter of the spacing.
"""

from dataclasses import dataclass

import numpy as np

#: Largest distance of a station from its lattice point, in units of the spacing, for the lattice to
#: be believed.
LARGEST_DISPLACEMENT = 0.25
#: The same for fewer than nine stations: a few points lie close to some lattice by chance.
LARGEST_DISPLACEMENT_OF_FEW = 0.08
#: Angle between the basis vectors [rad].
KINDS = {"square": np.pi / 2, "hexagonal": np.pi / 3}


@dataclass(frozen=True)
class Lattice:
    """Lattice of an array.

    Attributes
    ----------
    kind : "square", "hexagonal" or "irregular"
    coordinates : (n, 2) int32, smallest 0; for an irregular array the number of the station and 0
    spacing : distance between neighbours [m]; for an irregular array the median distance to the
        nearest one
    """

    kind: str
    coordinates: np.ndarray
    spacing: float


def _nearest(position) -> tuple[np.ndarray, np.ndarray]:
    """(distance, vector) to the nearest station, of every station."""
    # Imported here: half a second that most commands do not need.
    from scipy.spatial import cKDTree

    distance, index = cKDTree(position).query(position, k=2)
    return distance[:, 1], position[index[:, 1]] - position


def _basis(spacing, heading, angle) -> np.ndarray:
    """(2, 2) basis vectors as rows."""
    return spacing * np.array(
        [[np.cos(heading), np.sin(heading)], [np.cos(heading + angle), np.sin(heading + angle)]]
    )


def _walk(position, basis, spacing) -> np.ndarray:
    """Coordinates by walking from station to station: each step is rounded on its own, so that
    errors do not grow with distance.
    """
    from scipy.spatial import cKDTree

    tree = cKDTree(position)
    inverse = np.linalg.inv(basis)
    coordinates = np.zeros((len(position), 2), int)
    seen = np.zeros(len(position), bool)
    todo = [int(np.argmin(np.linalg.norm(position - position.mean(axis=0), axis=1)))]
    seen[todo[0]] = True
    reach = 1.6
    while True:
        while todo:
            i = todo.pop()
            for j in tree.query_ball_point(position[i], reach * spacing):
                if not seen[j]:
                    seen[j] = True
                    coordinates[j] = coordinates[i] + np.rint(
                        (position[j] - position[i]) @ inverse
                    ).astype(int)
                    todo.append(j)
        if seen.all():
            return coordinates
        # Beyond a gap: from the nearest station that is known.
        known = cKDTree(position[seen])
        distance, index = known.query(position[~seen])
        j, i = (
            np.flatnonzero(~seen)[distance.argmin()],
            np.flatnonzero(seen)[index[distance.argmin()]],
        )
        seen[j] = True
        coordinates[j] = coordinates[i] + np.rint((position[j] - position[i]) @ inverse).astype(int)
        todo.append(j)


def _fitted(position, kind, spacing, vectors):
    """(largest displacement in units of the spacing, coordinates, spacing) of the best lattice of
    this kind.
    """
    angle = KINDS[kind]
    turns = 2.0 * np.pi / angle
    heading = np.angle(np.exp(1j * turns * np.arctan2(vectors[:, 1], vectors[:, 0])).mean()) / turns
    basis = _basis(spacing, heading, angle)
    for _ in range(3):
        coordinates = _walk(position, basis, np.linalg.norm(basis[0]))
        columns = np.column_stack([np.ones(len(position)), coordinates])
        affine, _, rank, _ = np.linalg.lstsq(columns, position, rcond=None)
        if rank < 3:
            return np.inf, coordinates, spacing
        basis = affine[1:]
    lengths = np.linalg.norm(basis, axis=1)
    found = np.arccos(np.clip(basis[0] @ basis[1] / lengths.prod(), -1, 1))
    # The axes of a real array may be stretched a little, but a rectangle or a rhombus is neither of
    # the two kinds.
    if lengths.max() / lengths.min() > 1.1 or abs(found - angle) > 0.1:
        return np.inf, coordinates, spacing
    displacement = np.linalg.norm(position - columns @ affine, axis=1).max() / lengths.mean()
    unique = len(np.unique(coordinates, axis=0)) == len(position)
    if not unique or _emptiest_direction(coordinates, kind) < 0.25:
        displacement = np.inf
    return displacement, coordinates, float(lengths.mean())


def _emptiest_direction(coordinates, kind) -> float:
    """Number of neighbouring pairs along the basis vector (or the third hexagonal axis) with
    fewest, relative to that with most.

    A rectangle can stand on every other point of a hexagonal lattice; then nobody has a neighbour
    along some axis.
    """
    known = {tuple(c) for c in coordinates.tolist()}
    axes = ((1, 0), (0, 1)) if kind == "square" else ((1, 0), (0, 1), (1, -1))
    pairs = [sum((c + i, r + j) in known for c, r in known) for i, j in axes]
    return min(pairs) / max(max(pairs), 1)


def fit_lattice(position: np.ndarray) -> Lattice:
    """The lattice that stations at position (n, 2 or 3) [m] stand on; "irregular" where none fits.

    Examples
    --------
    Four stations at the corners of a square of 1 km: kind "square", coordinates (0, 0), (0, 1), (1,
        0), (1, 1), spacing 1000.
    """
    position = np.asarray(position, dtype=float)[:, :2]
    irregular = Lattice(
        "irregular",
        np.column_stack([np.arange(len(position)), np.zeros(len(position))]).astype(np.int32),
        0.0,
    )
    if len(position) < 2:
        return irregular
    distance, vectors = _nearest(position)
    spacing = float(np.median(distance))
    irregular = Lattice(irregular.kind, irregular.coordinates, spacing)
    if len(position) < 4 or spacing <= 0:
        return irregular
    close = distance < 1.2 * spacing
    best = min(
        (_fitted(position, kind, spacing, vectors[close]) + (kind,) for kind in KINDS),
        key=lambda found: found[0],
    )
    displacement, coordinates, fitted_spacing, kind = best
    if displacement > (LARGEST_DISPLACEMENT if len(position) >= 9 else LARGEST_DISPLACEMENT_OF_FEW):
        return irregular
    return Lattice(kind, (coordinates - coordinates.min(axis=0)).astype(np.int32), fitted_spacing)


def lattice_steps(kind: str) -> tuple[tuple[int, int], ...]:
    """Steps to the neighbours that a cluster may go: eight on a square lattice (corners too), six
    on a hexagonal one.

    Raises
    ------
    ValueError : an irregular array has no steps.
    """
    if kind == "square":
        return tuple((i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j)
    if kind == "hexagonal":
        return ((1, 0), (-1, 0), (0, 1), (0, -1), (1, -1), (-1, 1))
    raise ValueError(f"a {kind} array has no lattice steps")

"""Integer lattice coordinates of stations: what turns any layout into a tile, without
interpolation.

A square lattice has orthogonal basis vectors of equal length; a hexagonal one basis vectors at 60
degrees (axial coordinates). Both may be turned by any angle. Stations may be missing and displaced
by up to a quarter of the spacing; of a large array a few may stand anywhere.
"""

import heapq
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

#: Largest distance of a station from its lattice point, in units of the spacing, for the lattice to
#: be believed.
LARGEST_DISPLACEMENT = 0.25
#: The same for fewer than nine stations: a few points lie close to some lattice by chance.
LARGEST_DISPLACEMENT_OF_FEW = 0.08
#: Share of the stations that have to stand on the lattice; the others get the nearest free point.
#: Four of the 507 stations of the Telescope Array stand 0.28 spacings off (choice).
LEAST_SHARE = 0.98
#: A lattice of more points than this is not believed: arrays are not that sparse (choice).
MOST_POINTS = 10_000_000
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
    errors do not grow with distance. Steps that are nearest to whole numbers go first: a station
    that stands off the lattice is reached last and leads nowhere.
    """
    from scipy.spatial import cKDTree

    tree = cKDTree(position)
    inverse = np.linalg.inv(basis)
    coordinates = np.zeros((len(position), 2), int)
    seen = np.zeros(len(position), bool)
    start = int(np.argmin(np.linalg.norm(position - np.median(position, axis=0), axis=1)))
    todo: list[tuple[float, int, tuple[int, int]]] = [(0.0, start, (0, 0))]
    reach = 1.6
    while True:
        while todo:
            _, i, place = heapq.heappop(todo)
            if seen[i]:
                continue
            seen[i], coordinates[i] = True, place
            near = [j for j in tree.query_ball_point(position[i], reach * spacing) if not seen[j]]
            step = (position[near] - position[i]) @ inverse
            whole = np.rint(step)
            for j, off, to in zip(
                near,
                np.linalg.norm(step - whole, axis=-1).tolist(),
                (coordinates[i] + whole.astype(int)).tolist(),
                strict=True,
            ):
                heapq.heappush(todo, (off, j, tuple(to)))
        if seen.all():
            return coordinates
        # Beyond a gap: from the nearest station that is known.
        rest = np.flatnonzero(~seen)
        known = np.flatnonzero(seen)
        distance, index = cKDTree(position[known]).query(position[rest])
        j, i = rest[distance.argmin()], known[index[distance.argmin()]]
        step = np.rint((position[j] - position[i]) @ inverse).astype(int)
        todo.append((0.0, int(j), tuple((coordinates[i] + step).tolist())))


def displacements(position: ArrayLike, coordinates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """((n,) distances of stations from their lattice points in units of the spacing, (3, 2) map
    from (1, column, row) to ground [m]), by least squares over the stations that stand on the
    lattice.
    """
    columns = np.column_stack([np.ones(len(position)), coordinates]).astype(float)
    on = np.ones(len(position), bool)
    for _ in range(5):
        affine, _, rank, _ = np.linalg.lstsq(columns[on], position[on], rcond=None)
        if rank < 3:
            return np.full(len(position), np.inf), affine
        off = np.linalg.norm(position - columns @ affine, axis=1)
        off /= np.linalg.norm(affine[1:], axis=1).mean()
        # Those farthest off would pull the lattice towards themselves.
        now = off <= max(LARGEST_DISPLACEMENT, np.quantile(off, LEAST_SHARE))
        if (now == on).all():
            break
        on = now
    return off, affine


def _free_points(coordinates, position, affine, off) -> np.ndarray:
    """Coordinates in which the stations `off` the lattice (n,) have the nearest free point each."""
    coordinates = coordinates.copy()
    taken = {tuple(c) for c in coordinates[~off].tolist()}
    for i in np.flatnonzero(off):
        exact = (position[i] - affine[0]) @ np.linalg.inv(affine[1:])
        for reach in range(1, 50):
            steps = np.arange(-reach, reach + 1)
            around = np.rint(exact).astype(int) + np.stack(
                np.meshgrid(steps, steps, indexing="ij"), axis=-1
            ).reshape(-1, 2)
            free = [c for c in around.tolist() if tuple(c) not in taken]
            if free:
                ground = (np.array(free) - exact) @ affine[1:]
                coordinates[i] = free[int(np.linalg.norm(ground, axis=1).argmin())]
                break
        taken.add(tuple(coordinates[i].tolist()))
    return coordinates


def _second_at_point(coordinates, off) -> np.ndarray:
    """(n,) bool: another station has the same coordinates, and is nearer to their point."""
    order = np.lexsort((off, coordinates[:, 1], coordinates[:, 0]))
    second = np.zeros(len(off), bool)
    second[order[1:]] = (np.diff(coordinates[order], axis=0) == 0).all(axis=1)
    return second


def _fitted(position, kind, spacing, vectors):
    """(displacement that the best lattice of this kind needs in units of the spacing, coordinates,
    spacing): the largest one, of many stations the one that LEAST_SHARE of them stay below.
    """
    angle = KINDS[kind]
    turns = 2.0 * np.pi / angle
    heading = np.angle(np.exp(1j * turns * np.arctan2(vectors[:, 1], vectors[:, 0])).mean()) / turns
    basis = _basis(spacing, heading, angle)
    for _ in range(3):
        coordinates = _walk(position, basis, np.linalg.norm(basis[0]))
        off, affine = displacements(position, coordinates)
        if not np.isfinite(off).all():
            return np.inf, coordinates, spacing
        basis = affine[1:]
    lengths = np.linalg.norm(basis, axis=1)
    found = np.arccos(np.clip(basis[0] @ basis[1] / lengths.prod(), -1, 1))
    # The axes of a real array may be stretched a little, but a rectangle or a rhombus is neither of
    # the two kinds.
    if lengths.max() / lengths.min() > 1.1 or abs(found - angle) > 0.1:
        return np.inf, coordinates, spacing
    worst = off.max()
    moved = (off > LARGEST_DISPLACEMENT) | _second_at_point(coordinates, off)
    if moved.any() and (~moved).mean() >= LEAST_SHARE:
        coordinates = _free_points(coordinates, position, affine, moved)
        worst = off[~moved].max()
    points = (coordinates.max(axis=0) - coordinates.min(axis=0) + 1.0).prod()
    unique = len(np.unique(coordinates, axis=0)) == len(position)
    if not unique or points > MOST_POINTS or _emptiest_direction(coordinates, kind) < 0.25:
        worst = np.inf
    return worst, coordinates, float(lengths.mean())


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

    Examples -------- Four stations at the corners of a square of 1 km: kind "square", coordinates
    (0, 0), (0, 1), (1, 0), (1, 1), spacing 1000.
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

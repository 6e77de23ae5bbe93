"""From hits to what the network sees: a tile of N x N stations, built in memory.

The tile is centred on the core of the fit that the network corrects, in lattice coordinates; where
the stations stand on no lattice, its cells are a list of the N^2 stations nearest to that core. A
cell holds station features; the waveforms stay a list (only stations with a hit have one) with the
cell that each belongs to. `dense_waveforms` makes the (n, N, N, T, 2) array of the literature.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from tashower.events.array import Array, description_of, lattice_heading, lattice_map
from tashower.events.model import Events, Pulses, Reconstruction, Truth, select_rows
from tashower.network.targets import CORRECTION, Targets
from tashower.physics.description import Expected, ShowerParameters
from tashower.physics.description import expected as expected_at
from tashower.physics.geometry import axis_components
from tashower.physics.shower_front import TELESCOPE_ARRAY_FRONT, front_delay
from tashower.reconstruction.likelihood.station_scores import STATION_SCORES

#: Station features, one per channel of a cell. Pairs that are vectors turn with the tile.
STATION_FEATURES = (
    "exists",
    "working",
    "hit",
    "timed",  # a leading edge was found
    "saturated",
    "x",  # from the fitted core [spacings], along the lattice's first axis
    "y",  # and to the left of it
    "z",  # [100 m]
    "distance",  # to the fitted axis [spacings]
    "axis_x",  # direction cosines of the fit, in the same frame
    "axis_y",
    "log_expected",  # ln(1 + signal that the fit expects/VEM)
    "log_upper",  # ln(1 + signal/VEM)
    "log_lower",
    "signal_residual",  # ln of observed over expected, damped by 1 VEM
    "plane_time",  # arrival after the plane front of the fit [us]
    "front_residual",  # arrival after the curved front of the fit [100 ns], compressed
    # the same over (front's delay + 20 ns), compressed: nearly in units of its error
    "relative_residual",
    "window_start",  # start of the waveform after the curved front of the fit [us]
)
#: Those of a network that is told what the station likelihood says of every hit; behind the others.
WITH_SCORES = (*STATION_FEATURES, *STATION_SCORES)
#: Orientations in which a tile looks the same, by lattice: the symmetries of a square, and of a
#: rhombus of axial coordinates. A list of stations has no shape: any turn of the ground is another
#: array that showers could have hit.
ORIENTATIONS = {"square": range(8), "hexagonal": (0, 3, 4, 7), "irregular": range(8)}
#: Largest expected signal [VEM]: beyond it the formula is outside of its range (choice).
MOST_SIGNAL = 1e6
VECTORS = (("x", "y"), ("axis_x", "axis_y"))
#: What a network that corrects predicts.
TARGETS = CORRECTION.names


@dataclass(frozen=True)
class Tiles:
    """Tiles of a set of events.

    Attributes
    ----------
    cells : (n, N, N, F) float32, STATION_FEATURES or `WITH_SCORES`; what does not exist is 0, and
        `exists` says so
    waveform : (h, T, L) float16, ln(1 + VEM per bin), of the hits inside of their tile
    waveform_event, waveform_cell : (h,) int64, index of the event and of the cell (row-major)
    """

    cells: np.ndarray
    waveform: np.ndarray
    waveform_event: np.ndarray
    waveform_cell: np.ndarray


def core_in_lattice(array: Array, x: ArrayLike, y: ArrayLike) -> np.ndarray:
    """Lattice coordinates (n, 2), not whole numbers, of ground points [m], by the affine map that
    fits the stations best.
    """
    return np.column_stack([np.ones_like(x), x, y]) @ lattice_map(array)[0]


def in_lattice_frame(x: ArrayLike, y: ArrayLike, heading: float) -> tuple:
    """Components along and across the lattice's first axis of horizontal vectors (x, y); heading
    [rad] of that axis from east.
    """
    if heading == 0.0:
        return x, y
    c, s = np.cos(heading), np.sin(heading)
    return c * x + s * y, c * y - s * x


def rebinned(vem: np.ndarray, old_width: float, new_width: float) -> np.ndarray:
    """(n, T, L) sums per bin of old_width shared out among bins of new_width [ns]: (n, T', L), T'
    old_width/new_width T rounded up.

    The integral is interpolated: sums are kept, and what one old bin holds is spread evenly over
    it.
    """
    if old_width == new_width:
        return vem
    n, bins, layers = vem.shape
    integral = np.concatenate([np.zeros((n, 1, layers)), np.cumsum(vem, axis=1)], axis=1)
    edges = np.minimum(
        np.arange(int(np.ceil(bins * old_width / new_width - 1e-9)) + 1) * (new_width / old_width),
        bins,
    )
    low = np.minimum(edges.astype(int), bins - 1)
    part = (edges - low)[:, None]
    return np.diff((1.0 - part) * integral[:, low] + part * integral[:, low + 1], axis=1)


def _log_waveforms(events: Events, chosen, n_bins: int, bin_width: float) -> np.ndarray:
    """ln(1 + VEM per bin) of the chosen hits, in bins of bin_width [ns], cut or padded with 0 to
    n_bins.
    """
    own_width = events.array.detector.bin_width
    bin_width = bin_width or own_width
    result = np.zeros((len(chosen), n_bins, events.waveform.shape[2]), np.float16)
    needed = int(np.ceil(n_bins * bin_width / own_width))
    for first in range(0, len(chosen), 20_000):  # bounded memory
        rows = chosen[first : first + 20_000]
        vem = (
            events.waveform[rows, :needed] - events.pedestal[rows, None]
        ) / events.counts_per_vem[rows, None]
        vem = rebinned(vem, own_width, bin_width)[:, :n_bins]
        result[first : first + 20_000, : vem.shape[1]] = np.log1p(np.maximum(vem, -0.5))
    return result


class Place(NamedTuple):
    """Where the tiles lie."""

    station: np.ndarray  #: (n_events, n, n) index into the array, -1 where there is none
    origin: np.ndarray | None  #: (n_events, 2) lattice coordinates of a tile's first cell
    cell: np.ndarray | None  #: without a lattice: (n_events, n_stations) cell, row-major, or -1

    def cells_of(
        self, array: Array, station: np.ndarray, event: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(first, second index (h,) of the cell of stations, whether it is in the event's tile)."""
        n = self.station.shape[1]
        if self.cell is not None:
            cell = self.cell[event, station]
            return cell // n, cell % n, cell >= 0
        cell = array.lattice[station] - self.origin[event]
        return cell[:, 0], cell[:, 1], ((cell >= 0) & (cell < n)).all(axis=1)


def place_tiles(array: Array, fit: Reconstruction | Truth, n: int) -> Place:
    """Tiles whose middle is as near to the fitted core as whole cells allow."""
    if array.kind == "irregular":
        return _nearest(array, fit, n)
    index = np.full(array.lattice.max(axis=0) + 1, -1)
    index[tuple(array.lattice.T)] = np.arange(array.n_stations)
    origin = np.rint(core_in_lattice(array, fit.core_x, fit.core_y) - (n - 1) / 2).astype(int)
    column, row = np.meshgrid(np.arange(n), np.arange(n), indexing="ij")
    where = origin[:, None, None, :] + np.stack([column, row], axis=-1)
    inside = ((where >= 0) & (where < index.shape)).all(axis=-1)
    known = index[tuple(np.moveaxis(np.where(inside[..., None], where, 0), -1, 0))]
    return Place(np.where(inside, known, -1), origin, None)


def _nearest(array: Array, fit: Reconstruction | Truth, n: int) -> Place:
    """The n^2 stations nearest to the fitted core on the ground, nearest first."""
    n_events, n_found = len(fit.core_x), min(n * n, array.n_stations)
    station = np.full((n_events, n * n), -1)
    cell = np.full((n_events, array.n_stations), -1, np.int16)
    for begin in range(0, n_events, 1000):  # bounded memory
        rows = slice(begin, begin + 1000)
        core = np.column_stack([fit.core_x[rows], fit.core_y[rows]])
        away = np.linalg.norm(core[:, None] - array.position[:, :2], axis=2)
        nearest = np.argsort(away, axis=1, kind="stable")[:, :n_found]
        station[rows, :n_found] = nearest
        np.put_along_axis(cell[rows], nearest, np.arange(n_found, dtype=np.int16)[None], axis=1)
    return Place(station.reshape(n_events, n, n), None, cell)


def working_cells(events: Events, place: Place) -> np.ndarray:
    """(n_events, n, n) bool: there is a station, and it is in service."""
    working = place.station >= 0
    event = np.repeat(np.arange(events.n_events), np.diff(events.dead_offset))
    column, row, inside = place.cells_of(events.array, events.dead_station, event)
    working[event[inside], column[inside], row[inside]] = False
    return working


def _cell_features(array: Array, fit: Reconstruction, place: Place) -> tuple[dict, Expected]:
    """(features of every cell by name, what the fit expects there)."""

    def per_event(column):
        return column[:, None, None]

    position = array.position[np.maximum(place.station, 0)]
    # At least as curved as a = 0.1 ns in the Telescope Array's formula at 1 km.
    least = (
        0.1
        * front_delay(1e3, 0.0, 1.0, TELESCOPE_ARRAY_FRONT)
        / front_delay(1e3, 0.0, 1.0, array.front)
    )
    shower = ShowerParameters(*(per_event(getattr(fit, f)) for f in ShowerParameters._fields))
    shower = shower._replace(curvature=np.maximum(shower.curvature, least))
    expected = expected_at(shower, position, description_of(array))
    dx, dy = position[..., 0] - shower.core_x, position[..., 1] - shower.core_y
    axis = axis_components(shower.zenith, shower.azimuth)
    heading = lattice_heading(array)
    along, across = in_lattice_frame(dx, dy, heading)
    axis_along, axis_across = in_lattice_frame(axis[0], axis[1], heading)
    signal = np.minimum(expected.density * array.detector.area, MOST_SIGNAL)
    return {
        "x": along / array.spacing,
        "y": across / array.spacing,
        "z": position[..., 2] / 100.0,
        "distance": expected.distance / array.spacing,
        "axis_x": np.broadcast_to(axis_along, dx.shape),
        "axis_y": np.broadcast_to(axis_across, dx.shape),
        "log_expected": np.log1p(signal),
    }, expected


def _hit_features(hit_time, pulses: Pulses, at: tuple, expected: Expected, area: float) -> dict:
    """Features of hits by name; hit_time [ns] and pulses are theirs, `at` their cells."""
    signal = np.maximum(pulses.signal, 0.0)
    time, front = pulses.arrival_time, expected.time[at]
    fitted = np.minimum(expected.density[at] * area, MOST_SIGNAL)
    timed = np.isfinite(time)
    residual = np.where(timed, (time - front) / 100.0, 0.0)
    relative = 2.0 * residual / (0.01 * expected.delay[at] + 0.2)
    after_plane = np.clip((time - expected.plane_time[at]) / 1000.0, -5.0, 5.0)
    return {
        "hit": np.ones(len(time)),
        "timed": timed,
        "saturated": pulses.saturated,
        "log_upper": np.log1p(signal[:, 0]),
        "log_lower": np.log1p(signal[:, -1]),
        "signal_residual": np.log((1.0 + signal.mean(axis=1)) / (1.0 + fitted)),
        "plane_time": np.where(timed, after_plane, 0.0),
        "relative_residual": np.arcsinh(np.clip(relative, -50.0, 50.0)),
        "front_residual": np.arcsinh(np.clip(residual, -50.0, 50.0)),
        "window_start": np.clip((hit_time - front) / 1000.0, -5.0, 5.0),
    }


def make_tiles(
    events: Events,
    pulses: Pulses,
    fit: Reconstruction,
    n: int,
    n_bins: int,
    with_waveforms: bool = True,
    bin_width: float = 0.0,
    scores: np.ndarray | None = None,
) -> Tiles:
    """Tiles of n x n stations for every event; events and fit must be valid (finite core and
    direction). Stations that stand on no lattice fill the cells in order of their distance to the
    fitted core, row by row.

    Waveforms: n_bins bins of bin_width [ns], 0 for the detector's own. scores : (n_hits, k) of
    `station_scores`, which the cells get as further features; None: they do not.

    Everything that refers to the shower (times, distances, expected signals) refers to the given
    fit: nothing of the truth.
    """
    array = events.array
    place = place_tiles(array, fit, n)
    exists = place.station >= 0
    features, expected = _cell_features(array, fit, place)
    features |= {"exists": exists, "working": working_cells(events, place)}
    event = events.hit_event
    column, row, inside = place.cells_of(array, events.hit_station, event)
    if events.rejected is not None:
        inside &= ~events.rejected
    chosen = np.flatnonzero(inside)
    at = (event[chosen], column[chosen], row[chosen])
    of_hits = _hit_features(
        events.hit_time[chosen], select_rows(pulses, chosen), at, expected, array.detector.area
    )
    n_scores = 0 if scores is None else scores.shape[1]
    cells = np.zeros((events.n_events, n, n, len(STATION_FEATURES) + n_scores), np.float32)
    if n_scores:
        cells[(*at, slice(len(STATION_FEATURES), None))] = scores[chosen]
    for channel, name in enumerate(STATION_FEATURES):
        if name in of_hits:
            cells[(*at, channel)] = of_hits[name]
        else:
            cells[..., channel] = np.where(exists, features[name], 0.0)
    if not with_waveforms:
        chosen = chosen[:0]
        waveform = np.zeros((0, n_bins, array.detector.n_layers), np.float16)
    else:
        waveform = _log_waveforms(events, chosen, n_bins, bin_width)
    return Tiles(cells, waveform, event[chosen], column[chosen].astype(np.int64) * n + row[chosen])


def dense_waveforms(tiles: Tiles) -> np.ndarray:
    """The (n, N, N, T, L) float16 array of waveforms; 0 where there is no hit."""
    n_events, n = tiles.cells.shape[:2]
    dense = np.zeros((n_events, n * n, *tiles.waveform.shape[1:]), np.float16)
    dense[tiles.waveform_event, tiles.waveform_cell] = tiles.waveform
    return dense.reshape(n_events, n, n, *tiles.waveform.shape[1:])


def cell_permutation(n: int, orientation: int, kind: str = "square") -> np.ndarray:
    """(n * n,) where each cell of the turned tile comes from; orientation 0 to 7: bits 0, 1 mirror
    x, y, then bit 2 swaps. A list of stations ("irregular") keeps its order.
    """
    cells = np.arange(n * n).reshape(n, n)
    if kind == "irregular":
        return cells.ravel()
    if orientation & 1:
        cells = cells[::-1]
    if orientation & 2:
        cells = cells[:, ::-1]
    if orientation & 4:
        cells = cells.T
    return np.ascontiguousarray(cells).ravel()


def vector_matrix(orientation: int, kind: str = "square") -> np.ndarray:
    """(2, 2) matrix that turns a horizontal vector like `cell_permutation` turns the tile; x lies
    along the lattice's first axis.

    On a hexagonal lattice only the orientations of `ORIENTATIONS` turn the ground like the tile:
    mirrored at the origin, and at the line between the two axes (30 degrees).
    """
    matrix = np.diag([-1.0 if orientation & 1 else 1.0, -1.0 if orientation & 2 else 1.0])
    if not orientation & 4:
        return matrix
    if kind != "hexagonal":
        return matrix[::-1].copy()
    return np.array([[0.5, np.sqrt(0.75)], [np.sqrt(0.75), -0.5]]) @ matrix


def feature_matrix(
    orientation: int, kind: str = "square", n_features: int = len(STATION_FEATURES)
) -> np.ndarray:
    """(F, F) matrix that turns the station features; scores stay as they are."""
    matrix = np.eye(n_features)
    for x, y in VECTORS:
        i, j = STATION_FEATURES.index(x), STATION_FEATURES.index(y)
        matrix[np.ix_([i, j], [i, j])] = vector_matrix(orientation, kind)
    return matrix


def target_matrix(
    orientation: int, kind: str = "square", targets: Targets = CORRECTION
) -> np.ndarray:
    """(k, k) matrix that turns the k targets: their vectors, and nothing else."""
    matrix = np.eye(len(targets.names))
    for pair in targets.vectors:
        matrix[np.ix_(pair, pair)] = vector_matrix(orientation, kind)
    return matrix

"""The array of stations: positions, lattice and detector."""

import hashlib
import runpy
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from tashower.errors import InputError
from tashower.events.described import Described
from tashower.events.lattice import LARGEST_DISPLACEMENT, displacements, fit_lattice, lattice_steps
from tashower.physics.constants import BIN_WIDTH, N_BINS, STATION_AREA
from tashower.physics.description import Description
from tashower.physics.lateral import TELESCOPE_ARRAY, Lateral, tabulated, telescope_array_lateral
from tashower.physics.shower_front import TELESCOPE_ARRAY_FRONT, Front


@dataclass(frozen=True)
class Detector:
    """What all stations have in common. The electronics' numbers are used on waveforms; their
    defaults are the Telescope Array's (Abu-Zayyad et al. 2012, doi:10.1016/j.nima.2012.05.079).
    """

    area: float = STATION_AREA  #: sensitive area of a station [m^2]
    n_layers: int = 2  #: layers read out separately (0 upper, 1 lower)
    bin_width: float = BIN_WIDTH  #: width of a waveform bin [ns]
    n_bins: int = N_BINS  #: bins in a window
    noise_counts: float = 0.75  #: noise of a bin [counts rms]
    saturation_counts: float = 2000.0  #: counts in a bin where the linear range ends; inf: unknown
    saturation_vem: float = 48.8  #: the same, VEM in 20 ns; inf: unknown
    edge_sigma: float = 5.0  #: leading edge: this many times `pedestal_rms` above the pedestal ...
    edge_bins: int = 4  #: ... in this many consecutive bins
    #: rms of the pedestal [counts per bin], where the hits do not state it: a pedestal histogram of
    #: sums of 8 bins that is 6 counts wide, / 8 / 2.33 (the Telescope Array's typical one)
    pedestal_rms: float = 6.0 / 8.0 / 2.33


#: Largest distance of a station from the middle of an array [m] (choice): the Earth is not flat.
LARGEST_EXTENT = 1e6
_ROWS = 500  # stations whose distances to all others are in memory at once
#: Fields of `Detector` that say what a network or a calibration is made for; the others are the
#: electronics.
DETECTOR_SHAPE = ("area", "n_layers", "bin_width", "n_bins")


@dataclass(frozen=True)
class Array:
    """Stations on the ground.

    Attributes
    ----------
    station_id : (n_stations,) int32, unique, any numbers
    position : (n_stations, 3) float64 [m], x east, y north, z up relative to the array's reference
        altitude
    lattice : (n_stations, 2) int32, column and row (axial coordinates when hexagonal) of the
        lattice that the stations stand on
    spacing : distance between lattice neighbours [m]
    detector : what a station consists of
    kind : "square", "hexagonal", or "irregular": then `lattice` means nothing
    lateral, lateral_name : the lateral distribution that showers on this array are described with,
        and what it is called
    front : the front that they are described with
    station_name : (n_stations,) text, where stations are named by something else than a number;
        `station_id` then counts them from 1
    """

    station_id: np.ndarray
    position: np.ndarray
    lattice: np.ndarray
    spacing: float
    detector: Detector = Detector()
    kind: str = "square"
    lateral: Lateral = TELESCOPE_ARRAY
    lateral_name: str = "telescope_array"
    front: Front = TELESCOPE_ARRAY_FRONT
    station_name: np.ndarray | None = None

    def name_of(self, station: int) -> str:
        """What a station, by its index, is called."""
        names = self.station_id if self.station_name is None else self.station_name
        return str(names[station])

    @property
    def size_name(self) -> str:
        """What the fitted size is called: S800 for a lateral distribution that is 1 at 800 m."""
        return f"S{self.lateral.reference:.0f}"

    @property
    def described(self) -> Described:
        """Which lateral distribution and front showers on this array are described with."""
        return Described(self.lateral_name, self.lateral.reference, self.front)

    @property
    def n_stations(self) -> int:
        """Number of stations, working or not."""
        return len(self.station_id)


def regular_array(
    columns: int,
    rows: int,
    spacing: float,
    jitter: float = 0.0,
    altitude_spread: float = 0.0,
    rng: np.random.Generator | None = None,
    detector: Detector | None = None,
    kind: str = "square",
) -> Array:
    """A rectangular array on a square or hexagonal lattice, centred on the origin.

    Parameters
    ----------
    columns, rows : number of stations along x and y, at most 99
    spacing : [m]
    jitter : rms displacement of a station from its lattice point along x and along y [m]
    altitude_spread : rms of the altitudes [m]; they are smooth over a few stations, as terrain is,
        not white noise
    rng : generator of the displacements; needed when one of the two spreads is not 0
    kind : "square" or "hexagonal": there every other row is shifted by half a spacing, rows are
        sqrt(3)/2 spacings apart, and `lattice` holds axial coordinates, x = spacing (q + r/2), y =
        spacing r sqrt(3)/2

    Station ids are 100 (column + 1) + (row + 1), as the Telescope Array numbers its stations.
    """
    column, row = (
        a.ravel() for a in np.meshgrid(np.arange(columns), np.arange(rows), indexing="ij")
    )
    if kind == "square":
        ground, lattice = (
            np.stack([column, row], axis=1).astype(float),
            np.stack([column, row], axis=1),
        )
    else:
        ground = np.stack([column + 0.5 * (row % 2), row * np.sqrt(0.75)], axis=1)
        lattice = np.stack([column - row // 2, row], axis=1)
    ground = (ground - 0.5 * (ground.min(axis=0) + ground.max(axis=0))) * spacing
    return Array(
        station_id=(100 * (column + 1) + row + 1).astype(np.int32),
        position=_displaced(ground, jitter, altitude_spread, rng),
        lattice=(lattice - lattice.min(axis=0)).astype(np.int32),
        spacing=float(spacing),
        detector=detector or Detector(),
        kind=kind,
    )


def _displaced(ground, jitter, altitude_spread, rng) -> np.ndarray:
    """(n, 3) positions from ground points (n, 2) [m], displaced as `regular_array` says."""
    position = np.column_stack([ground, np.zeros(len(ground))])
    if not (jitter or altitude_spread):
        return position
    if rng is None:
        raise ValueError("a generator is needed to displace the stations")
    position[:, :2] += rng.normal(0.0, jitter, (len(position), 2)) if jitter else 0.0
    if altitude_spread:
        # A sum of a few plane waves with wavelengths of 5 to 20 km: rolling terrain with the wanted
        # rms.
        waves = 2 * np.pi / rng.uniform(5e3, 20e3, 12)
        heading, phase = rng.uniform(0, 2 * np.pi, (2, 12))
        along = position[:, :1] * np.cos(heading) + position[:, 1:2] * np.sin(heading)
        terrain = np.cos(along * waves + phase).sum(axis=1)
        terrain -= terrain.mean()
        deviation = terrain.std()
        position[:, 2] = terrain * (altitude_spread / deviation if deviation > 0 else 0.0)
    return position


def array_from_positions(
    station_id: np.ndarray,
    position: np.ndarray,
    detector: Detector | None = None,
    station_name: np.ndarray | None = None,
) -> Array:
    """An array of stations anywhere: the lattice is found from the positions (n, 3) [m].

    Raises
    ------
    InputError : a station number twice, a position that is not finite, two stations at the same
        place, or farther apart than LARGEST_EXTENT, a number beyond 2^31.
    """
    station_id, position = np.asarray(station_id), np.asarray(position, dtype=float)
    if len(station_id) and not -(2**31) <= min(station_id) <= max(station_id) < 2**31:
        raise InputError(f"station {max(station_id, key=abs)}: numbers of stations are below 2^31")
    if len(np.unique(station_id)) < len(station_id):
        values, counts = np.unique(station_id, return_counts=True)
        raise InputError(f"station {values[counts > 1][0]} is there twice")
    bad = ~np.isfinite(position).all(axis=1)
    if bad.any():
        raise InputError(f"station {station_id[bad][0]}: its position is not finite")
    if len(np.unique(position, axis=0)) < len(position):
        raise InputError("two stations are at the same place")
    if len(position):
        away = np.abs(position - np.median(position, axis=0)).max(axis=1)
        if away.max() > LARGEST_EXTENT:
            raise InputError(
                f"station {station_id[away.argmax()]} lies {away.max() / 1e3:.3g} km from the "
                "others: "
                "positions are metres on a flat ground"
            )
    found = fit_lattice(position)
    return Array(
        station_id.astype(np.int32),
        position,
        found.coordinates,
        found.spacing,
        detector or Detector(),
        found.kind,
        station_name=station_name,
    )


@cache
def read_lateral(form: str, reference: float) -> tuple[Lateral, str]:
    """A lateral distribution and its name: "telescope_array", or the path of a Python file.

    The file defines `log_lateral(r, zenith)`: ln of the signal density against the distance r [m]
    to the axis, for a zenith [rad],
    in numpy, up to a constant. It is code of yours and is run: name only files that you trust.

    Raises
    ------
    InputError : no such file, or its function does not do that.
    """
    if form == "telescope_array":
        return telescope_array_lateral(reference), form
    path = Path(form)
    if not path.is_file():
        raise InputError(f"array.lateral: {form} is neither telescope_array nor a file")
    try:
        lateral = tabulated(runpy.run_path(str(path))["log_lateral"], reference)
    except KeyError:
        raise InputError(f"{path}: defines no function log_lateral(r, zenith)") from None
    except Exception as error:  # whatever a user's file may do
        raise InputError(f"{path}: {type(error).__name__}: {error}") from None
    return lateral, f"{path.stem} {hashlib.sha256(path.read_bytes()).hexdigest()[:8]}"


def described_by_config(array: Array, section: Any) -> Array:
    """The array with the lateral distribution and the front of the section `array` of a
    configuration.
    """
    lateral, name = read_lateral(section.lateral, float(section.reference_m))
    return replace(array, lateral=lateral, lateral_name=name, front=front_from_config(section))


def front_from_config(section: Any) -> Front:
    """The front of the section `array` of a configuration."""
    return Front(
        float(section.front_distance_m),
        float(section.front_power),
        float(section.front_density_power),
    )


def description_of(array: Array, distance: str = "axis") -> Description:
    """What the formulas need of an array; distance: "axis" or "ground", where it is measured."""
    return Description(array.lateral, array.front, float(array.detector.area), distance == "ground")


def neighbour_table(array: Array, corners: bool = True) -> np.ndarray:
    """(n_stations, k) indices of the neighbours of every station, -1 where there is none.

    Square lattice: eight, or four without the corners. Hexagonal: six. Irregular: up to eight that
    are nearer than three times the array's spacing.
    """
    if array.kind == "irregular":
        if not array.n_stations:
            return np.zeros((0, 8), np.int32)
        rows = range(0, array.n_stations, _ROWS)
        return np.concatenate([_nearest(array, row, row + _ROWS) for row in rows])
    steps = lattice_steps(array.kind)
    if array.kind == "square" and not corners:
        steps = tuple(step for step in steps if 0 in step)
    if not array.n_stations:
        return np.zeros((0, len(steps)), np.int32)
    low = array.lattice.min(axis=0)
    place = array.lattice - low + 1  # a border of nobody around the lattice
    index = np.full(place.max(axis=0) + 2, -1, np.int32)
    index[tuple(place.T)] = np.arange(array.n_stations)
    return np.stack([index[tuple((place + step).T)] for step in steps], axis=1)


def _nearest(array: Array, begin: int, end: int) -> np.ndarray:
    """(rows, up to 8) neighbours of stations begin to end of an irregular array, nearest first."""
    position = array.position[:, :2]
    distance = np.linalg.norm(position[begin:end, None] - position[None], axis=2)
    row = np.arange(len(distance))
    distance[row, begin + row] = np.inf
    order = np.argsort(distance, axis=1, kind="stable")[:, :8]
    near = np.take_along_axis(distance, order, axis=1) < 3.0 * array.spacing
    return np.where(near, order, -1).astype(np.int32)


def off_lattice(array: Array) -> np.ndarray:
    """Indices of the stations that stand more than a quarter of the spacing away from their lattice
    point; empty for an irregular array.
    """
    if array.kind == "irregular" or array.n_stations < 4:
        return np.zeros(0, np.int64)
    return np.flatnonzero(
        displacements(array.position[:, :2], array.lattice)[0] > LARGEST_DISPLACEMENT
    )


def lattice_map(array: Array) -> tuple[np.ndarray, float]:
    """((3, 2) coefficients from (1, x, y) [m] to lattice coordinates, heading [rad] of the
    lattice's first axis from east).

    Least squares over the stations. A heading below 5 mrad is called 0: displaced stations give
    that much by chance.
    """
    columns = np.column_stack([np.ones(array.n_stations), array.position[:, :2]])
    coefficients, *_ = np.linalg.lstsq(columns, array.lattice.astype(float), rcond=None)
    first = np.linalg.inv(coefficients[1:].T)[:, 0]  # ground vector of a step along the first axis
    heading = float(np.arctan2(first[1], first[0]))
    return coefficients, heading if abs(heading) > 5e-3 else 0.0


def lattice_heading(array: Array) -> float:
    """Heading [rad] of the lattice's first axis from east; 0 where there is no lattice."""
    return 0.0 if array.kind == "irregular" else lattice_map(array)[1]


def border_distance(array: Array, x: ArrayLike, y: ArrayLike) -> np.ndarray:
    """Distance [m] of ground points (same shape x, y) inside the convex border of the array;
    negative outside.

    The distance to the nearest edge line of the convex hull of the stations. NaN stays NaN;
    fewer than three stations, or stations on one line, have no inside: -inf.
    """
    from scipy.spatial import ConvexHull, QhullError

    nothing = np.where(np.isnan(x) | np.isnan(y), np.nan, -np.inf)
    if array.n_stations < 3:
        return nothing
    try:
        hull = ConvexHull(array.position[:, :2])
    except QhullError:
        return nothing
    # equations: n.x + d <= 0 inside, |n| = 1
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    normal, offset = hull.equations[:, :2], hull.equations[:, 2]
    outside = x[..., None] * normal[:, 0] + y[..., None] * normal[:, 1] + offset
    return -outside.max(axis=-1)

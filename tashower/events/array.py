"""The array of stations: positions, lattice and detector."""

from dataclasses import dataclass

import numpy as np

from tashower.physics.constants import BIN_WIDTH, N_BINS, STATION_AREA


@dataclass(frozen=True)
class Detector:
    """What all stations have in common."""

    area: float = STATION_AREA  #: sensitive area of a station [m^2]
    n_layers: int = 2  #: layers read out separately (0 upper, 1 lower)
    bin_width: float = BIN_WIDTH  #: width of a waveform bin [ns]
    n_bins: int = N_BINS  #: bins in a window


@dataclass(frozen=True)
class Array:
    """Stations on the ground.

    Attributes
    ----------
    station_id : (n_stations,) int32, unique, any numbers
    position : (n_stations, 3) float64 [m], x east, y north, z up relative to the array's reference altitude
    lattice : (n_stations, 2) int32, column (along x) and row (along y) of the lattice that the stations stand on
    spacing : distance between lattice neighbours [m]
    detector : what a station consists of
    """

    station_id: np.ndarray
    position: np.ndarray
    lattice: np.ndarray
    spacing: float
    detector: Detector = Detector()

    @property
    def n_stations(self) -> int:
        """Number of stations, working or not."""
        return len(self.station_id)


def square_array(
    columns: int,
    rows: int,
    spacing: float,
    jitter: float = 0.0,
    altitude_spread: float = 0.0,
    rng: np.random.Generator | None = None,
    detector: Detector | None = None,
) -> Array:
    """A rectangular array on a square lattice, centred on the origin.

    Parameters
    ----------
    columns, rows : number of stations along x and y, at most 99
    spacing : [m]
    jitter : rms displacement of a station from its lattice point along x and along y [m]
    altitude_spread : rms of the altitudes [m]; they are smooth over a few stations, as terrain is, not white noise
    rng : generator of the displacements; needed when one of the two spreads is not 0

    Station ids are 100 (column + 1) + (row + 1), as the Telescope Array numbers its stations.
    """
    column, row = (a.ravel() for a in np.meshgrid(np.arange(columns), np.arange(rows), indexing="ij"))
    position = np.zeros((columns * rows, 3))
    position[:, 0] = (column - (columns - 1) / 2) * spacing
    position[:, 1] = (row - (rows - 1) / 2) * spacing
    if jitter or altitude_spread:
        if rng is None:
            raise ValueError("square_array: a generator is needed to displace the stations")
        position[:, :2] += rng.normal(0.0, jitter, (len(position), 2)) if jitter else 0.0
        if altitude_spread:
            # A sum of a few plane waves with wavelengths of 5 to 20 km: rolling terrain with the wanted rms.
            waves = 2 * np.pi / rng.uniform(5e3, 20e3, 12)
            heading, phase = rng.uniform(0, 2 * np.pi, (2, 12))
            along = position[:, :1] * np.cos(heading) + position[:, 1:2] * np.sin(heading)
            terrain = np.cos(along * waves + phase).sum(axis=1)
            terrain -= terrain.mean()
            deviation = terrain.std()
            position[:, 2] = terrain * (altitude_spread / deviation if deviation > 0 else 0.0)
    return Array(
        station_id=(100 * (column + 1) + row + 1).astype(np.int32),
        position=position,
        lattice=np.stack([column, row], axis=1).astype(np.int32),
        spacing=float(spacing),
        detector=detector or Detector(),
    )


def border_distance(array: Array, x, y) -> np.ndarray:
    """Distance [m] of ground points (same shape x, y) inside the convex border of the array; negative outside.

    The distance to the nearest edge line of the convex hull of the stations. NaN stays NaN; stations on one line have no inside:
    -inf.
    """
    from scipy.spatial import ConvexHull, QhullError

    try:
        hull = ConvexHull(array.position[:, :2])
    except QhullError:
        return np.where(np.isnan(x) | np.isnan(y), np.nan, -np.inf)
    # equations: n.x + d <= 0 inside, |n| = 1
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    normal, offset = hull.equations[:, :2], hull.equations[:, 2]
    outside = x[..., None] * normal[:, 0] + y[..., None] * normal[:, 1] + offset
    return -outside.max(axis=-1)

"""Coordinates of a shower in which its posterior is nearly normal where every particle is known."""

import math
from types import SimpleNamespace

import numpy as np

from tashower.likelihood.known import place_of
from tashower.likelihood.scores import station_quantities
from tashower.physics.compiled import compiled
from tashower.physics.shower_front import curvature_zenith_dependence
from tashower.simulation.light import front_at, numbers_at, shower_of
from tashower.simulation.simulate import rows_of
from tashower.simulation.stations import Setup

N_SHOWER = 9
#: Smallest cos^2 z: there are no showers beyond 78 degrees.
_LEAST_COSINE2 = 0.04
#: ln S_ref, ln odds of muons and ln scale to start from where they follow (choices; the result does
#: not depend on them).
_ANY = (3.0, -1.0, 0.0)
#: Largest ln(r/m) that is not taken as this: 3,000 km (choice, against overflow).
_FARTHEST = 15.0


def _cosine(points):
    """(n,) cos z."""
    return np.sqrt(np.maximum(1.0 - points[:, 2] ** 2 - points[:, 3] ** 2, _LEAST_COSINE2))


def shower_rows(points: np.ndarray, setup: Setup) -> np.ndarray:
    """(n, 14) rows of `light.shower_of` for (n, 9) points: core, n_x, n_y, ln S_ref, t0, eta, ln
    odds of muons, ln scale of the delays.
    """
    n_z = _cosine(points)
    zenith, unit = np.arccos(n_z), np.exp(points[:, 8])
    sourced = setup.delays.muon_sigma > 0.0
    shower = SimpleNamespace(
        zenith=zenith,
        azimuth=np.arctan2(points[:, 3], points[:, 2]),
        core_x=points[:, 0],
        core_y=points[:, 1],
        s_ref=np.exp(points[:, 4]),
        slope=points[:, 6],
        muon_share=1.0 / (1.0 + np.exp(-points[:, 7])),
        front_scale=unit * curvature_zenith_dependence(zenith) if sourced else unit,
    )
    return rows_of(shower, setup)


def _basis(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(3, n) unit vectors: two across the axis, and the axis of (n, 9) showers or coordinates."""
    n_x, n_y = points[:, 2], points[:, 3]
    n_z = _cosine(points)
    across = np.hypot(n_z, n_x)
    first = np.stack([n_z, 0.0 * n_x, -n_x]) / across
    second = np.stack([-n_x * n_y, across**2, -n_y * n_z]) / across
    return first, second, np.stack([n_x, n_y, n_z])


def to_near(points: np.ndarray, s: int, setup: Setup) -> np.ndarray:
    """(n, 9) showers in coordinates of station s.

    Instead of the core: ln(r/m) and the angle of s around the axis. Instead of ln S_ref, t0, odds
    of muons, scale of the delays: at s ln of the mean number of muons, the onset of the front [ns],
    ln of the ratio of muons to others, ln of the scale of the muons' delays [ns].

    Near a core particles are so many that they fix the last four to a part in a thousand, and other
    stations then fix r, but not the angle: in these coordinates the posterior is nearly normal,
    where else it is a thin curved sheet.
    """
    position = setup.stations.position[s : s + 1]
    q = station_quantities(shower_rows(points, setup), points[:, 5], position, setup)[:, 0]
    first, second, _ = _basis(points)
    x, y, z = position[0, 0] - points[:, 0], position[0, 1] - points[:, 1], position[0, 2]
    u, v = (e[0] * x + e[1] * y + e[2] * z for e in (first, second))
    near = points.copy()
    near[:, 0], near[:, 1] = 0.5 * np.log(u * u + v * v), np.arctan2(v, u)
    near[:, 4], near[:, 5], near[:, 7], near[:, 8] = q[:, 2], q[:, 0], q[:, 2] - q[:, 3], q[:, 4]
    return near


@compiled
def _settle(near, s, setup, points, rows):
    """Correct points, and their rows, until station s has what `near` says."""
    for i in range(len(points)):
        point, row, position = points[i], rows[i], setup.stations.position
        shower = shower_of(row, 0.0)
        place = place_of(position, s, shower)
        numbers = numbers_at(shower, place, setup)
        point[7] += near[i, 7] - math.log(numbers[0] / numbers[1])
        row[6] = 1.0 / (1.0 + math.exp(-point[7]))
        shower = shower_of(row, 0.0)
        numbers = numbers_at(shower, place, setup)
        scale = front_at(shower, place, numbers, setup).muons.scale
        larger, wider = near[i, 4] - math.log(numbers[0]), near[i, 8] - math.log(scale)
        point[4] += larger
        row[4] *= math.exp(larger)
        point[8] += wider
        row[7] *= math.exp(wider)
        row[8] *= math.exp(wider)
        shower = shower_of(row, 0.0)
        numbers = numbers_at(shower, place, setup)
        point[5] = near[i, 5] - front_at(shower, place, numbers, setup).time


def from_near(near: np.ndarray, s: int, setup: Setup) -> tuple[np.ndarray, np.ndarray]:
    """((n, 9) showers, (n, 14) rows of them) for coordinates of station s, from `to_near`."""
    points, position = near.copy(), setup.stations.position[s]
    first, second, axis = _basis(near)
    r = np.exp(np.minimum(near[:, 0], _FARTHEST))
    across = r * np.cos(near[:, 1]) * first + r * np.sin(near[:, 1]) * second
    along = (position[2] - across[2]) / axis[2]
    points[:, 0] = position[0] - across[0] - along * axis[0]
    points[:, 1] = position[1] - across[1] - along * axis[1]
    points[:, [4, 7, 8]] = _ANY
    rows = shower_rows(points, setup)
    _settle(near, s, setup, points, rows)
    return points, rows


def log_volume(near: np.ndarray) -> np.ndarray:
    """(n,) ln of the volume of showers [m^2] for a volume of their coordinates: r^2/cos z."""
    return 2.0 * near[:, 0] - np.log(_cosine(near))

"""Directions and distances: the one place that knows the conventions.

Right-handed ground frame: x east, y north, z up. (zenith, azimuth) give the direction that the
shower COMES FROM, azimuth counter-clockwise from east. A shower that comes from `axis` moves along
`-axis`.
"""

import numpy as np
from numpy.typing import ArrayLike

from tashower.physics.compiled import formula
from tashower.physics.constants import SPEED_OF_LIGHT


@formula
def axis_components(zenith, azimuth):
    """Unit vector to the source, as three components (n_x, n_y, n_z).

    n = (sin z cos a, sin z sin a, cos z).

    Parameters
    ----------
    zenith, azimuth : float or ndarray [rad]
        Any shape; NaN gives NaN.

    Examples
    --------
    A vertical shower: axis_components(0.0, 1.0) = (0, 0, 1).
    """
    sin_zenith = np.sin(zenith)
    return sin_zenith * np.cos(azimuth), sin_zenith * np.sin(azimuth), np.cos(zenith)


def direction(zenith: ArrayLike, azimuth: ArrayLike) -> np.ndarray:
    """Unit vector to the source, shape (..., 3); `axis_components` stacked along the last axis."""
    return np.stack(
        np.broadcast_arrays(*axis_components(np.asarray(zenith), np.asarray(azimuth))), axis=-1
    )


def azimuth_of(n_x: ArrayLike, n_y: ArrayLike) -> np.ndarray:
    """Azimuth [0, 2 pi) of horizontal components; NaN gives NaN.

    The remainder of a negative angle that is too small to change 2 pi would be 2 pi itself.
    """
    azimuth = np.arctan2(n_y, n_x) % (2 * np.pi)
    return np.where(azimuth >= 2 * np.pi, 0.0, azimuth)


def zenith_azimuth(axis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Zenith [0, pi] and azimuth [0, 2 pi) of vectors of shape (..., 3), of any length.

    NaN components or a null vector give NaN.
    """
    axis = np.asarray(axis, dtype=float)
    horizontal = np.hypot(axis[..., 0], axis[..., 1])
    null = (horizontal == 0) & (axis[..., 2] == 0)
    zenith = np.where(null, np.nan, np.arctan2(horizontal, axis[..., 2]))
    azimuth = np.where(null, np.nan, azimuth_of(axis[..., 0], axis[..., 1]))
    return zenith, azimuth


def opening_angle(axis_a: np.ndarray, axis_b: np.ndarray) -> np.ndarray:
    """Angle [rad] between vectors of shape (..., 3), accurate for small angles (Kahan's half-angle
    formula).
    """
    axis_a, axis_b = np.asarray(axis_a, dtype=float), np.asarray(axis_b, dtype=float)
    length_a = np.linalg.norm(axis_a, axis=-1, keepdims=True)
    length_b = np.linalg.norm(axis_b, axis=-1, keepdims=True)
    difference = np.linalg.norm(axis_a * length_b - axis_b * length_a, axis=-1)
    total = np.linalg.norm(axis_a * length_b + axis_b * length_a, axis=-1)
    return 2.0 * np.arctan2(difference, total)


@formula
def distance_along_axis(dx, dy, dz, n_x, n_y, n_z):
    """Distance [m] along the direction of travel: positive downstream (later) of the plane through
    the core.

    l = -n.(x - core); (dx, dy, dz) = x - core [m].
    """
    return -(n_x * dx + n_y * dy + n_z * dz)


@formula
def axis_distance(dx, dy, dz, n_x, n_y, n_z):
    """Perpendicular distance r [m] from the shower axis; (dx, dy, dz) = x - core [m].

    r = |(x - core) x n|, from the cross product so that it stays exact close to the axis.

    Examples
    --------
    A vertical shower: axis_distance(3, 4, 7, 0, 0, 1) = 5.
    """
    c_x = dy * n_z - dz * n_y
    c_y = dz * n_x - dx * n_z
    c_z = dx * n_y - dy * n_x
    return np.sqrt(c_x * c_x + c_y * c_y + c_z * c_z)


@formula
def plane_delay(dx, dy, dz, n_x, n_y, n_z):
    """Delay [ns] of a plane front at x relative to its passage through the core: -n.(x -
    core)/c.
    """
    return distance_along_axis(dx, dy, dz, n_x, n_y, n_z) / SPEED_OF_LIGHT

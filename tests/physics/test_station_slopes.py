"""Derivatives of what a station sees, against differences."""

import numpy as np
import pytest

from tashower.physics.geometry import distance_along_axis
from tashower.physics.lateral import TELESCOPE_ARRAY, tabulated
from tashower.physics.station import station_condition_slopes, station_conditions

#: Steeper towards large zenith angles, as a table must be.
_OTHER = tabulated(
    lambda r, zenith: -(2.5 + 1.2 * np.cos(zenith)) * np.log(1.0 + r / 200.0), 1000.0
)


def conditions(p, place, lateral, share):
    """(6,) conditions and plane delay of the shower (core x, y, n_x, n_y) with a muon share."""
    n_z = np.sqrt(1.0 - p[2] ** 2 - p[3] ** 2)
    shower = p[2], p[3], n_z, 3.1, 3.4, share, -0.05, attenuation(1.0 / n_z)
    at = place[0] - p[0], place[1] - p[1], place[2]
    found, plane = station_conditions(at, shower, lateral, 3.0)
    return np.array([*found, plane]), shower, at


def attenuation(secant):
    return 150.0 + 60.0 * (secant - 1.0)


@pytest.mark.parametrize("lateral", [TELESCOPE_ARRAY, _OTHER], ids=["formula", "table"])
@pytest.mark.parametrize("azimuth", [0.2, 1.9, -2.6, -0.9])
@pytest.mark.parametrize("sine", [1e-4, 0.35, 0.7])
@pytest.mark.parametrize(
    ("place", "share"),
    [
        ((350.0, -80.0, 25.0), 0.4),
        ((-900.0, 1400.0, -60.0), 0.4),
        ((30.0, 20.0, 0.0), 0.4),
        ((800.0, 700.0, 10.0), 1e-4),  # no muons to speak of
        ((800.0, 700.0, 10.0), 0.9998),  # nothing else
        ((13_000.0, -4_000.0, 80.0), 0.4),
        ((-14_000.0, 9_000.0, 0.0), 0.4),  # more than 10 km downstream of some
    ],
)
def test_slopes_are_differences(lateral, azimuth, sine, place, share):
    p = np.array([12.0, -7.0, sine * np.cos(azimuth), sine * np.sin(azimuth)])
    found, shower, at = conditions(p, place, lateral, share)
    n_z = shower[2]
    along = distance_along_axis(*at, p[2], p[3], n_z)
    r = np.exp(found[4])
    by_along, by_r, by_secant = station_condition_slopes(along, r, shower, 60.0, lateral)
    slope = np.zeros((6, 3))  # by l, r and sec z
    slope[:3, 0], slope[5, 0] = by_along, 1.0 / 0.299792458
    slope[:2, 1], slope[4, 1] = by_r, 1.0 / r
    slope[:2, 2], slope[3, 2] = by_secant, 1.0
    for j, step in enumerate((0.02, 0.02, 1e-6, 1e-6)):
        ends = []
        for sign in (1.0, -1.0):
            moved = p.copy()
            moved[j] += sign * step
            there, other, where = conditions(moved, place, lateral, share)
            ends.append((there, other, where))
        (upper, of_upper, at_upper), (lower, of_lower, at_lower) = ends
        change = np.array(
            [
                distance_along_axis(*at_upper, *of_upper[:3])
                - distance_along_axis(*at_lower, *of_lower[:3]),
                np.exp(upper[4]) - np.exp(lower[4]),
                1.0 / of_upper[2] - 1.0 / of_lower[2],
            ]
        )
        expected = slope @ change
        scale = np.abs(slope * change).sum(axis=1) + 1e-9
        assert (np.abs(upper - lower - expected) <= 2e-4 * scale + 1e-9).all()

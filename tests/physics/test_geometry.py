"""Directions and distances at several azimuths and with both signs of the core."""

import numpy as np
import pytest

from tashower.physics import geometry
from tashower.physics.constants import SPEED_OF_LIGHT

AZIMUTHS = np.radians([0, 37, 90, 123, 180, 200, 270, 333])


def test_direction_points_to_the_source():
    assert geometry.direction(0.0, 1.0) == pytest.approx([0, 0, 1])
    assert geometry.direction(np.pi / 2, 0.0) == pytest.approx([1, 0, 0])
    assert geometry.direction(np.pi / 2, np.pi / 2) == pytest.approx([0, 1, 0])
    assert geometry.direction(np.radians([10, 20]), 0.3).shape == (2, 3)


@pytest.mark.parametrize("azimuth", AZIMUTHS)
@pytest.mark.parametrize("zenith", np.radians([1e-7, 5, 45, 89]))
def test_direction_round_trip(zenith, azimuth):
    z, a = geometry.zenith_azimuth(3.5 * geometry.direction(zenith, azimuth))
    assert z == pytest.approx(zenith, rel=1e-9)
    assert a == pytest.approx(azimuth, abs=1e-8)


def test_zenith_azimuth_of_nothing_is_nan():
    z, a = geometry.zenith_azimuth([[0.0, 0, 0], [np.nan, 0, 1]])
    assert np.isnan(z).all()
    assert np.isnan(a).all()


def test_opening_angle():
    one = geometry.direction(np.radians(30), AZIMUTHS)
    assert geometry.opening_angle(one, one) == pytest.approx(0, abs=1e-15)
    assert geometry.opening_angle(one, -2 * one) == pytest.approx(np.pi)
    # A tiny angle that an arc cosine would lose: 1e-9 rad.
    other = geometry.direction(np.radians(30) + 1e-9, AZIMUTHS)
    assert geometry.opening_angle(one, other) == pytest.approx(1e-9, rel=1e-5)
    # Across the wrap of the azimuth: 0.2 degrees of azimuth at 30 degrees are 0.1 degrees of sky.
    wrap = geometry.opening_angle(
        geometry.direction(np.radians(30), np.radians(359.9)),
        geometry.direction(np.radians(30), np.radians(0.1)),
    )
    assert np.degrees(wrap) == pytest.approx(0.1, rel=1e-4)


@pytest.mark.parametrize("azimuth", AZIMUTHS)
@pytest.mark.parametrize("sign", [-1, 1])
def test_distances(azimuth, sign):
    zenith = np.radians(40)
    n = geometry.direction(zenith, azimuth)
    core = sign * np.array([1234.0, -567.0, 0.0])
    # A point 500 m beside the axis and 900 m along it.
    beside = np.cross(n, [0.0, 0.0, 1.0])
    beside /= np.linalg.norm(beside)
    point = core + 500 * beside - 900 * n
    d = point - core
    assert geometry.axis_distance(*d, *n) == pytest.approx(500)
    assert geometry.distance_along_axis(*d, *n) == pytest.approx(900)
    assert geometry.plane_delay(*d, *n) == pytest.approx(900 / SPEED_OF_LIGHT)


@pytest.mark.parametrize("azimuth", AZIMUTHS)
def test_front_reaches_the_side_of_the_source_first(azimuth):
    n = geometry.direction(np.radians(30), azimuth)
    towards = 1000 * np.array([np.cos(azimuth), np.sin(azimuth), 0])
    assert geometry.plane_delay(*towards, *n) == pytest.approx(
        -1000 * np.sin(np.radians(30)) / SPEED_OF_LIGHT
    )
    assert geometry.plane_delay(*-towards, *n) > 0


def test_altitude_counts():
    n = geometry.direction(0.0, 0.0)
    assert geometry.plane_delay(0.0, 0.0, 100.0, *n) == pytest.approx(-100 / SPEED_OF_LIGHT)
    tilted = geometry.direction(np.radians(45), 0.0)
    assert geometry.axis_distance(0.0, 0.0, 100.0, *tilted) == pytest.approx(100 / np.sqrt(2))


def test_speed_of_light_is_that_of_the_metre():
    """A station 299.792458 km downstream is passed a millisecond later, to the nanosecond."""
    assert geometry.plane_delay(299_792.458, 0.0, 0.0, -1.0, 0.0, 0.0) == pytest.approx(
        1e6, abs=1e-3
    )


def test_azimuth_is_below_a_full_turn():
    """Also a hair below east, where the remainder rounds to a full turn."""
    found = geometry.azimuth_of(
        np.array([1.0, 1.0, 0.0, np.nan]), np.array([-1e-17, -1e-3, -1.0, 1])
    )
    assert found[:3] == pytest.approx([0.0, 2 * np.pi - 1e-3, 1.5 * np.pi], abs=1e-8)
    assert np.isnan(found[3])
    assert geometry.zenith_azimuth([0.5, -1e-17, 1.0])[1] == 0.0

"""What the formulas put at a station: closed forms, and the terms of the fit."""

import numpy as np
import pytest

from tashower.calibration.errors import ErrorModel
from tashower.physics.description import SOFTENING, Description, ShowerParameters, expected
from tashower.physics.geometry import axis_components
from tashower.physics.lateral import TELESCOPE_ARRAY, lateral_distribution, slope
from tashower.physics.shower_front import TELESCOPE_ARRAY_FRONT, Front, front_delay
from tashower.reconstruction.clusters import SIGNAL, TIME
from tashower.reconstruction.joint.model import FitSettings, Observed, trial_of
from tashower.reconstruction.joint.terms import station_terms


def test_vertical_shower_at_the_reference_distance():
    shower = ShowerParameters(0.0, 1.0, 100.0, -50.0, 27.0, 500.0, 2.0)
    found = expected(shower, np.array([900.0, -50.0, 300.0]), Description())
    assert found.distance == pytest.approx(np.hypot(800.0, SOFTENING))
    assert found.density == pytest.approx(27.0, rel=1e-3)
    assert found.plane_time == pytest.approx(500.0 - 300.0 / 0.299792458)
    assert found.delay == pytest.approx(2.0 * (1 + 800 / 30) ** 1.5, rel=1e-3)
    assert found.time == found.plane_time + found.delay


@pytest.mark.parametrize("azimuth", [0.3, 2.0, 4.0, 5.5])
@pytest.mark.parametrize("on_ground", [False, True])
def test_the_fit_expects_the_same(rng, azimuth, on_ground):
    """Residuals of `station_terms` are those of `expected`, for inclined showers and altitudes."""
    description = Description(TELESCOPE_ARRAY, Front(20.0, 1.4, 0.4), 3.0, on_ground)
    zenith = 0.7
    p = np.array([120.0, -340.0, *axis_components(zenith, azimuth)[:2], np.log(40.0), 70.0, 1.7])
    position = np.column_stack([rng.uniform(-2000, 2000, (8, 2)), rng.uniform(-50, 50, 8)])
    nothing, one = np.zeros(8), np.ones(8)
    use = np.full(8, TIME + SIGNAL, np.int32)
    columns = (nothing, nothing, one, one, nothing, one, nothing, one, one, nothing, nothing)
    observed = Observed(*position.T.copy(), use, *columns)
    settings = FitSettings(description, ErrorModel(), False, np.zeros(5), 1.0)
    shower = ShowerParameters(zenith, azimuth, p[0], p[1], 40.0, 70.0, 1.7)
    found = expected(shower, position, description)
    trial = trial_of(p, settings)
    for i in range(8):
        times, densities, _ = station_terms(trial, observed, i, settings)
        assert times[6] == pytest.approx(found.time[i], rel=1e-9)
        # with weight 1 and nothing observed: weight S^2, pull S^2
        assert np.sqrt(densities[4]) == pytest.approx(found.density[i], rel=1e-9)


def test_every_argument_matters():
    base = (0.5, 1.0, 100.0, -50.0, 27.0, 500.0, 2.0)
    position = np.array([700.0, 400.0, 20.0])

    def all_of(shower, description=None, eta=None):
        found = expected(ShowerParameters(*shower), position, description or Description(), eta)
        return np.array([found.density, found.time])

    usual = all_of(base)
    for i in range(7):
        changed = list(base)
        changed[i] *= 1.1
        assert not np.allclose(all_of(changed), usual, rtol=1e-6), i
    assert not np.allclose(all_of(base, Description(on_ground=True)), usual, rtol=1e-6)
    assert not np.allclose(all_of(base, Description(front=Front(30.0, 1.4, 0.5))), usual, rtol=1e-6)
    assert not np.allclose(all_of(base, eta=3.0), usual, rtol=1e-6)
    np.testing.assert_allclose(all_of(base, eta=slope(0.5)), usual)


def test_nan_stays_nan_and_shapes_broadcast():
    shower = ShowerParameters(*(np.array([x, np.nan]) for x in (0.3, 1.0, 0.0, 0.0, 9.0, 0.0, 1.0)))
    found = expected(shower, np.array([[800.0, 0.0, 0.0], [0.0, 800.0, 0.0]]), Description())
    assert found.density.shape == (2,)
    assert np.isnan([found.density[1], found.time[1], found.distance[1]]).all()
    ldf = lateral_distribution(found.distance[0], slope(0.3), TELESCOPE_ARRAY)
    assert found.density[0] == pytest.approx(9.0 * ldf)
    delay = front_delay(found.distance[0], np.log(ldf), 1.0, TELESCOPE_ARRAY_FRONT)
    assert found.delay[0] == pytest.approx(delay)

"""Errors, shifts, prior and biases by hand: the formulas of the docstrings with numbers put in."""

import math

import numpy as np
import pytest

from tashower.calibration.biases import FitPulls, correct_bias, measure_pulls
from tashower.calibration.calibration import DEFAULT, read_calibration
from tashower.calibration.errors import (
    POISSON_DENSITY,
    SMALLEST_SIGNAL,
    ErrorModel,
    contained_fraction,
    density_error,
    time_error,
    time_shift,
)
from tashower.calibration.least_squares import least_squares
from tashower.calibration.prior import prior_log_curvature
from tashower.events.model import PARAMETERS, Reconstruction, Truth

ERRORS = ErrorModel(
    time_floor=25.0,
    time_scale=0.7,
    time_power=0.35,
    signal_poisson=1.6,
    signal_fraction=0.12,
    b0=0.9,
    b1=-0.3,
    b2=0.02,
    late_fraction=0.8,
    contained_time=900.0,
)


def test_numbers_of_the_telescope_array():
    """Ivanov 2012, PhD thesis, Rutgers: sigma_t of 30 ns at least, sigma_S^2 = 2 S/A + (0.15 S)^2,
    Poisson below 4 VEM/m^2, stations from 1.4 VEM on.
    """
    usual = ErrorModel()
    assert (usual.time_floor, usual.time_power) == (30.0, 0.3)
    assert (usual.signal_poisson, usual.signal_fraction) == (2.0, 0.15)
    assert (POISSON_DENSITY, SMALLEST_SIGNAL) == (4.0, 1.4)


@pytest.mark.parametrize(("r", "density"), [(300.0, 60.0), (1200.0, 2.5), (900.0, 250.0)])
def test_errors_and_shift_of_a_station(r, density):
    """u = scale c (1 + r/30)^1.5 S^-power; the shift is a parabola in ln S up to 100 VEM/m^2."""
    spread = 0.7 * 0.8 * (1.0 + r / 30.0) ** 1.5 * density**-0.35
    assert time_error(r, density, 0.8, ERRORS) == pytest.approx(math.hypot(25.0, spread))
    x = math.log(min(density, 100.0))
    assert time_shift(r, density, 0.8, ERRORS) == pytest.approx(
        spread * (0.9 - 0.3 * x + 0.02 * x * x)
    )
    assert density_error(density, 2.5, ERRORS) == pytest.approx(
        math.sqrt(1.6 * density / 2.5 + (0.12 * density) ** 2)
    )
    late = 900.0 / (0.8 * (1.0 + r / 30.0) ** 1.5)
    assert contained_fraction(r, 0.8, ERRORS) == pytest.approx(
        1.0 - 0.8 * (1.0 + late) * math.exp(-late)
    )


def test_limits_of_the_density():
    """Below 0.1 VEM/m^2 the time error, below 0.3 the shift's parabola no longer change."""
    assert time_error(800.0, 0.01, 1.0, ERRORS) == time_error(800.0, 0.1, 1.0, ERRORS)
    spread = 0.7 * (1.0 + 800.0 / 30.0) ** 1.5 * 0.2**-0.35
    x = math.log(0.3)
    assert time_shift(800.0, 0.2, 1.0, ERRORS) == pytest.approx(
        spread * (0.9 - 0.3 * x + 0.02 * x * x)
    )


def test_prior_by_hand():
    s = 1.0 / 0.8 - 1.0
    expected = 0.2 + s * (-0.5 + s * 0.3) + 3.0 * (-0.1 + s * 0.05)
    coefficients = np.array([0.2, -0.5, 0.3, -0.1, 0.05])
    assert prior_log_curvature(0.8, 3.0, coefficients) == pytest.approx(expected)


@pytest.mark.parametrize("azimuth", [0.0, 1.1, 2.9, 4.4, 5.9])
def test_biases_are_taken_away(azimuth):
    """The core was found too near to the source, by core tan z; the front passed it too early."""
    pulls = FitPulls(0.01, 30.0, 0.04, 12.0, -0.1, (1.0,) * 7)
    p = np.array([[200.0, -100.0, 0.5, azimuth, 20.0, 300.0, 1.3], [np.nan] * 7])
    found, rest = correct_bias(p, pulls)
    shift = 30.0 * math.tan(0.5)
    assert found == pytest.approx(
        [
            200.0 - shift * math.cos(azimuth),
            -100.0 - shift * math.sin(azimuth),
            0.5 - 0.01 * math.tan(0.5),
            azimuth,
            20.0 * math.exp(-0.04),
            300.0 - 12.0 + shift * math.sin(0.5) / 0.299792458,
            1.3 * math.exp(0.1),
        ]
    )
    assert np.isnan(rest).all()
    assert p[0, 0] == 200.0


@pytest.mark.parametrize("width", [0.8, 1.0, 1.3])
def test_widths_of_normal_pulls_are_found_whatever_a_few_wild_ones(rng, width):
    """Without the outermost 1 % a normal distribution has 0.96 of its width."""
    n = 40_000
    none = {name: np.zeros(n) for name in Reconstruction.__dataclass_fields__}
    none |= {"flags": np.zeros(n, np.uint16), "covariance": np.zeros((n, 7, 7))}
    true = {name: np.zeros(n) for name in Truth.__dataclass_fields__}
    sigma = (50.0, 60.0, 0.01, 0.02, 0.5, 20.0, 0.05)
    centre = (0.0, 0.0, 0.6, 1.0, 30.0, 0.0, 1.0)
    for i, (name, error, value) in enumerate(zip(PARAMETERS, sigma, centre, strict=True)):
        true[name] = np.full(n, value)
        none[name] = value + width * error * rng.normal(size=n)
        none[name][: n // 1000] += 30.0 * error
        none["covariance"][:, i, i] = error**2
    found = measure_pulls(Reconstruction(**none), Truth(**true))
    assert found.width == pytest.approx((width,) * 7, rel=0.02)


def test_signs_of_the_biases_that_come_with_the_package():
    """The early side is brighter: fitted cores lie towards the source."""
    for pulls in read_calibration(DEFAULT).pulls.values():
        assert pulls.core > 0


def test_least_squares(rng):
    """Against numpy's, and twice the same from memory of another alignment."""
    n = 12_345
    columns = np.stack([np.ones(n), rng.uniform(0, 0.5, n), rng.normal(3.0, 1.0, n)], axis=1)
    target = columns @ [0.3, -1.2, 0.05] + rng.normal(size=n)
    found = least_squares(columns, target)
    np.testing.assert_allclose(found, np.linalg.lstsq(columns, target, rcond=None)[0], rtol=1e-9)
    shifted = np.empty(3 * n + 1)[1:].reshape(n, 3)
    shifted[:] = columns
    np.testing.assert_array_equal(least_squares(shifted, target.copy()), found)

"""Xmax against published moments and its own sampling."""

import numpy as np
import pytest

from tashower.physics import xmax


@pytest.mark.parametrize(
    ("model", "mass_number", "mean", "deviation"),
    [
        ("QGSJET-II-04", 1, 791, 62),
        ("QGSJET-II-04", 56, 695, 23),
        ("EPOS-LHC", 1, 806, 58),
        ("EPOS-LHC", 56, 709, 17),
        ("QGSJET-II-04-2013", 1, 793.2, 61),
        ("QGSJET-II-04-2013", 56, 697.9, 22.5),
        ("EPOS-LHC-2013", 1, 808.2, 59),
        ("EPOS-LHC-2013", 56, 711.8, 17),
    ],
)
def test_moments(model, mass_number, mean, deviation, rng):
    location, scale, shape = xmax.gumbel_parameters(10.0, mass_number, model)
    drawn = location - scale * np.log(rng.gamma(shape, 1.0, 100_000) / shape)
    assert drawn.mean() == pytest.approx(mean, abs=1)
    assert drawn.std() == pytest.approx(deviation, abs=1)
    assert xmax.mean_xmax(10.0, mass_number, model) == pytest.approx(drawn.mean(), abs=1)


def test_elongation_and_mass():
    assert np.all(np.diff(xmax.mean_xmax([1.0, 10.0, 100.0], 1)) > 40)
    assert np.all(np.diff(xmax.mean_xmax(10.0, [1.0, 4.0, 14.0, 56.0])) < 0)


def test_unknown_model():
    with pytest.raises(ValueError, match="SIBYLL"):
        xmax.gumbel_parameters(1.0, 1, "SIBYLL")


def test_parameters_by_hand():
    """The re-fit and the paper's table in its formulas: L = log10(E/10 EeV), ln 56 for iron."""
    found = xmax.gumbel_parameters(100.0, 1)
    expected = (758.65 + 56.5943 - 0.534683, 35.4234 - 0.796042, 0.671545 + 0.0304335)
    assert found == pytest.approx(expected)
    found = xmax.gumbel_parameters(1.0, 1, "QGSJET-II-04-2013")
    assert found == pytest.approx((761.383 - 57.344 - 0.355, 35.221 - 0.307, 0.673 - 0.060))
    found = xmax.gumbel_parameters(100.0, 1, "EPOS-LHC-2013")
    assert found == pytest.approx((775.589 + 57.589 - 0.820, 29.403 + 0.096, 0.563 + 0.039))
    a = np.log(56.0)
    location = 775.457 - 10.3991 * a - 1.75261 * a**2
    slope = 58.5306 - 0.827668 * a + 0.231144 * a**2
    bend = -1.40781 + 0.225624 * a - 0.10008 * a**2
    scale = 32.2632 + 3.94252 * a - 0.864421 * a**2
    scale -= 1.27601 - 1.81337 * a + 0.231914 * a**2
    shape = 0.641093 + 0.219762 * a + 0.171124 * a**2
    shape -= 0.0726131 + 0.0353188 * a - 0.0131158 * a**2
    found = xmax.gumbel_parameters(1.0, 56, "EPOS-LHC")
    assert found == pytest.approx((location - slope + bend, scale, shape))

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

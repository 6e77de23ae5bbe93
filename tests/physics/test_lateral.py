"""Lateral distribution and S800 against published numbers."""

import numba
import numpy as np
import pytest

from tashower.physics import lateral
from tashower.physics.constants import REFERENCE_DISTANCE


@pytest.mark.parametrize(
    ("zenith", "r", "value"),
    [
        (0, 400, 14.71),
        (0, 1200, 0.1735),
        (0, 2000, 0.01608),
        (45, 400, 9.462),
        (45, 1200, 0.2284),
        (45, 2000, 0.03026),
    ],
)
def test_published_values(zenith, r, value):
    eta = lateral.slope(np.radians(zenith))
    assert lateral.lateral_distribution(
        float(r), eta, lateral.telescope_array_lateral(scale=91.6)
    ) == pytest.approx(value, rel=5e-4)


def test_closed_form_and_reference():
    r, eta = np.array([50.0, 300.0, 900.0, 2500.0]), 3.4
    f = (r / 90) ** -1.2 * (1 + r / 90) ** -(eta - 1.2) * (1 + r**2 / 1000**2) ** -0.6
    f800 = (800 / 90) ** -1.2 * (1 + 800 / 90) ** -(eta - 1.2) * (1 + 0.64) ** -0.6
    assert lateral.lateral_distribution(r, eta, lateral.TELESCOPE_ARRAY) == pytest.approx(f / f800)
    assert lateral.lateral_distribution(
        REFERENCE_DISTANCE, eta, lateral.TELESCOPE_ARRAY
    ) == pytest.approx(1)


@pytest.mark.parametrize("eta", [2.8, 3.97])
@pytest.mark.parametrize("scale", [90.0, 91.6])
@pytest.mark.parametrize("r", [5.0, 150.0, 800.0, 3000.0])
def test_derivatives(r, eta, scale):
    form = lateral.telescope_array_lateral(scale=scale)
    by_r, by_eta = lateral.log_lateral_derivatives(r, eta, form)
    h = 1e-4 * r
    numeric_r = (
        lateral.log_lateral_distribution(r + h, eta, form)
        - lateral.log_lateral_distribution(r - h, eta, form)
    ) / (2 * h)
    numeric_eta = (
        lateral.log_lateral_distribution(r, eta + 1e-4, form)
        - lateral.log_lateral_distribution(r, eta - 1e-4, form)
    ) / 2e-4
    assert by_r == pytest.approx(numeric_r, rel=1e-5)
    assert by_eta == pytest.approx(numeric_eta, rel=1e-5, abs=1e-9)


@pytest.mark.parametrize(
    ("zenith", "s_ref", "tolerance"),
    [(0, 29.4, 0.02), (30, 26.9, 0.02), (40, 20.7, 0.05), (45, 16.1, 0.06), (55, 6.9, 0.05)],
)
def test_proton_s800(zenith, s_ref, tolerance):
    assert lateral.mean_s800(10.0, np.radians(zenith)) == pytest.approx(s_ref, rel=tolerance)


@pytest.mark.parametrize(
    ("zenith", "ratio"), [(0, 1.22), (15, 1.19), (30, 1.10), (38, 1.01), (45, 0.98)]
)
def test_iron_to_proton(zenith, ratio):
    z = np.radians(zenith)
    assert lateral.mean_s800(10.0, z, 56.0) / lateral.mean_s800(10.0, z) == pytest.approx(
        ratio, rel=0.02
    )
    helium = lateral.mean_s800(10.0, z, 4.0) / lateral.mean_s800(10.0, z)
    assert min(1, ratio) - 0.02 < helium < max(1, ratio) + 0.02


def test_mass_ratio_beyond_45_degrees():
    """The relation with the mass was fitted to 46 degrees: beyond 45 its ratio is kept."""
    zenith = np.radians([45.0, 50.0, 60.0])
    ratio = lateral.mean_s800(10.0, zenith, 56.0) / lateral.mean_s800(10.0, zenith)
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-9)


def test_amaterasu():
    """S800 = 530 VEM/m^2 at 38.6 degrees was published as 309 EeV (Abbasi et al. 2023,
    doi:10.1126/science.abo5095).
    """
    assert lateral.mean_s800(309.0, np.radians(38.6)) == pytest.approx(530, rel=0.03)


def modified(r, zenith):
    """The Telescope Array's formula as a user would write it."""
    return lateral.log_lateral_shape(r, lateral.slope(zenith), 90.0)


def auger(r, zenith):
    return (0.9 / np.cos(zenith) - 3.3) * (np.log(r / 700.0) + np.log(1.0 + r / 700.0))


@pytest.mark.parametrize("zenith", [0.0, 25.0, 47.0, 60.0])
def test_a_tabulated_form_is_the_function(zenith):
    r, eta = np.geomspace(5.0, 8000.0, 60), np.full(60, lateral.slope(np.radians(zenith)))
    own = lateral.tabulated(modified, 800.0)
    formula = lateral.log_lateral_distribution(r, eta, lateral.TELESCOPE_ARRAY)
    np.testing.assert_allclose(lateral.log_lateral_distribution(r, eta, own), formula, atol=2e-4)
    for found, expected in zip(
        lateral.log_lateral_derivatives(r, eta, own),
        lateral.log_lateral_derivatives(r, eta, lateral.TELESCOPE_ARRAY),
        strict=True,
    ):
        np.testing.assert_allclose(found, expected, rtol=5e-3, atol=1e-6)


@pytest.mark.parametrize("eta", [4.1, 4.4, 0.56])
def test_a_tabulated_form_goes_on_linearly(eta):
    """Beyond the vertical, and beyond sec z = 2.9: the Telescope Array's formula is linear in
    eta.
    """
    r, own = np.geomspace(20.0, 5000.0, 30), lateral.tabulated(modified, 800.0)
    np.testing.assert_allclose(
        lateral.log_lateral_distribution(r, np.full(30, eta), own),
        lateral.log_lateral_distribution(r, eta, lateral.TELESCOPE_ARRAY),
        atol=1e-3,
    )


@pytest.mark.parametrize("r", [30.0, 333.0, 1000.0, 4000.0])
@pytest.mark.parametrize("eta", [2.9, 3.6, 4.2])
def test_derivatives_of_a_table(r, eta):
    form = lateral.tabulated(auger, 1000.0)
    by_r, by_eta = lateral.log_lateral_derivatives(r, eta, form)
    h = 1e-4 * r

    def value(r, eta):
        return lateral.log_lateral_distribution(r, eta, form)

    assert by_r == pytest.approx((value(r + h, eta) - value(r - h, eta)) / (2 * h), rel=1e-3)
    assert by_eta == pytest.approx(
        (value(r, eta + 1e-4) - value(r, eta - 1e-4)) / 2e-4, rel=1e-3, abs=1e-6
    )
    assert value(1000.0, eta) == pytest.approx(0.0, abs=1e-4)


def test_compiled_and_numpy_give_the_same():
    @numba.njit
    def one(r, eta, form):
        return lateral.log_lateral_distribution(r, eta, form), lateral.log_lateral_derivatives(
            r, eta, form
        )

    for form in (lateral.TELESCOPE_ARRAY, lateral.tabulated(auger, 1000.0)):
        value, slopes = one(650.0, 3.5, form)
        assert value == pytest.approx(lateral.log_lateral_distribution(650.0, 3.5, form))
        assert slopes == pytest.approx(lateral.log_lateral_derivatives(650.0, 3.5, form))


@pytest.mark.parametrize(
    "bad", [lambda r, z: np.sqrt(r - 500.0), lambda r, z: 0.001 * r, lambda r, z: 1.0]
)
def test_a_function_that_is_no_lateral_distribution(bad):
    with np.errstate(invalid="ignore"), pytest.raises(ValueError, match="lateral distribution"):
        lateral.tabulated(bad, 800.0)

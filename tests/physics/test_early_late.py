"""Early and late stations: numbers of the model, and formulas against scipy."""

import numpy as np
import pytest
from scipy.special import i0

from tashower.physics.early_late import (
    LATE_ATTENUATION_MUONS,
    electron_attenuation,
    late_signal_factor,
    late_time_factor,
    lighter_factor,
    log_late_time_factor,
    muon_share_at,
)


@pytest.mark.parametrize("along", [-900.0, -150.0, 0.0, 420.0, 1100.0])
def test_signal_falls_exponentially_with_mean_one(along):
    """exp(-l/Lambda)/I0(r tan z/Lambda), 0.105 g/cm^2 per metre, 175 and 1000 g/cm^2."""
    for attenuation, number in ((175.0, 175.0), (LATE_ATTENUATION_MUONS, 1e3)):
        wanted = np.exp(-along * 0.105 / number) / i0(1200.0 * 0.105 / number)
        assert late_signal_factor(along, 1200.0, attenuation) == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize(
    ("degrees", "share", "length"),
    # By hand, x = sec z - 1: 876/[3.81 share + ln 10/1.08 (-0.0547 + 4.1044 x - 3.1323 x^2)].
    [(0.0, 0.21, 1281.5), (30.0, 0.32, 381.5), (45.0, 0.56, 194.8), (60.0, 0.86, 167.4)],
)
def test_attenuation_follows_from_s800(degrees, share, length):
    secant = 1 / np.cos(np.radians(degrees))
    assert electron_attenuation(secant, share, 3.81) == pytest.approx(length, rel=1e-3)


def test_attenuation_where_the_relation_does_not_say_it():
    """Nothing falls near the vertical without muons: 10,000 g/cm^2 at most; as at 60 degrees
    beyond.
    """
    assert electron_attenuation(1.0, 0.0, 3.81) == pytest.approx(1e4)
    assert electron_attenuation(3.0, 0.86, 3.81) == electron_attenuation(2.0, 0.86, 3.81)


def test_time_factor_by_hand():
    """(1 - l/12 km)^1.05; nothing changes beyond 10 km."""
    assert late_time_factor(3000.0) == pytest.approx(0.75**1.05)
    assert late_time_factor(-3000.0) == pytest.approx(1.25**1.05)
    assert (
        late_time_factor(11_000.0) == late_time_factor(10_000.0) == pytest.approx((1 / 6) ** 1.05)
    )
    assert late_time_factor(3000.0, 6000.0) == pytest.approx(0.5**1.05)


def test_share_of_muons_grows_with_the_root_of_the_distance():
    """In odds: 1/3 at 800 m is 2/3 at 3200 m."""
    assert muon_share_at(800.0, 0.25) == pytest.approx(0.25)
    assert muon_share_at(3200.0, 0.25) == pytest.approx(0.4)


def test_factor_of_a_mixture():
    share = muon_share_at(1600.0, 0.3)
    wanted = share * late_signal_factor(500.0, 1600.0 * 0.7, 900.0)
    wanted += (1.0 - share) * late_signal_factor(500.0, 1600.0 * 0.7, 200.0)
    assert lighter_factor(500.0, 1600.0, 0.7, 0.3, (200.0, 900.0)) == pytest.approx(wanted)


@pytest.mark.parametrize("along", [-3000.0, 0.0, 3000.0, 11_000.0])
@pytest.mark.parametrize("length", [12_000.0, 15_000.0])
def test_the_logarithm_of_the_time_factor_is_that_of_the_factor(along, length):
    expected = np.log(late_time_factor(along, length))
    assert log_late_time_factor(along, length) == pytest.approx(expected, abs=1e-12)

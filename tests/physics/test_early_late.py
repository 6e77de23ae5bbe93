"""Early and late stations: numbers of the model, and formulas against scipy."""

import numpy as np
import pytest
from scipy.special import i0

from tashower.physics.early_late import (
    LATE_ATTENUATION_ELECTRONS,
    LATE_ATTENUATION_MUONS,
    late_signal_factor,
    late_time_factor,
    lighter_factor,
    muon_share_at,
)


@pytest.mark.parametrize("along", [-900.0, -150.0, 0.0, 420.0, 1100.0])
def test_signal_falls_exponentially_with_mean_one(along):
    """exp(-l/Lambda)/I0(r tan z/Lambda), 0.105 g/cm^2 per metre, 175 and 1000 g/cm^2."""
    for attenuation, number in ((LATE_ATTENUATION_ELECTRONS, 175.0), (LATE_ATTENUATION_MUONS, 1e3)):
        wanted = np.exp(-along * 0.105 / number) / i0(1200.0 * 0.105 / number)
        assert late_signal_factor(along, 1200.0, attenuation) == pytest.approx(wanted, rel=1e-6)


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

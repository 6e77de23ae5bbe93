"""The timing front, and its relation to the first of n particles."""

import numpy as np
import pytest
from scipy.special import gamma

from tashower.physics import lateral, shower_front
from tashower.physics.compiled import compiled

TA = shower_front.TELESCOPE_ARRAY_FRONT


def test_closed_form():
    assert shower_front.front_delay(800.0, 0.0, 1.0, TA) == pytest.approx((1 + 800 / 30) ** 1.5)
    r, eta = np.array([200.0, 1500.0]), 3.5
    ldf = lateral.lateral_distribution(r, eta, lateral.TELESCOPE_ARRAY)
    assert shower_front.front_delay(r, np.log(ldf), 2.3, TA) == pytest.approx(
        2.3 * (1 + r / 30) ** 1.5 * ldf**-0.5
    )


@pytest.mark.parametrize(
    "front", [(30.0, 1.5, 0.5), (1.0, 2.0, 0.0), (30.0, 1.5, 0.0), (100.0, 1.2, 0.4)]
)
def test_every_number_of_the_front_counts(front):
    form = shower_front.Front(*front)
    r, log_ldf = np.array([200.0, 1500.0]), np.array([1.5, -2.0])
    delay = shower_front.front_delay(r, log_ldf, 2.0, form)
    np.testing.assert_allclose(
        delay, 2.0 * (1 + r / front[0]) ** front[1] * np.exp(-front[2] * log_ldf), rtol=1e-13
    )
    step = (shower_front.front_delay(r + 0.01, log_ldf, 2.0, form) - delay) / 0.01
    np.testing.assert_allclose(shower_front.log_delay_derivative(r, form), step / delay, rtol=1e-4)

    @compiled
    def loop(r, log_ldf, form):
        return shower_front.front_delay(r, log_ldf, 2.0, form)

    assert loop(1500.0, -2.0, form) == pytest.approx(delay[1], rel=1e-13)


def test_onset_of_the_front_by_hand():
    r, log_ldf = np.array([0.0, 870.0]), np.array([1.0, -1.0])
    found = shower_front.front_delay_with_onset(r, log_ldf, 2.0, 0.5, TA)
    np.testing.assert_allclose(
        found, [2.0 * np.exp(-0.5) + 0.5, 30.0**1.5 * (2.0 * np.exp(0.5) + 0.5)]
    )
    # The same delays by the other form.
    for form in (TA, shower_front.Front(50.0, 1.2, 0.3)):
        beyond = shower_front.curvature_beyond_onset(2.0, log_ldf, 0.5, form)
        np.testing.assert_allclose(
            shower_front.front_delay_with_onset(r, log_ldf, beyond, 0.5, form),
            shower_front.front_delay(r, log_ldf, 2.0, form),
        )


def test_zenith_dependence():
    """Published shape: 3.38, 3.01, 2.74, 2.05, 1.75, 1.08 at 0, 20, 30, 40, 45, 60 degrees."""
    values = shower_front.curvature_zenith_dependence(np.radians([0, 20, 30, 40, 45, 60]))
    assert values * 3.3836 == pytest.approx([3.38, 3.01, 2.74, 2.05, 1.75, 1.08], abs=0.006)
    fine = shower_front.curvature_zenith_dependence(np.radians(np.linspace(0, 60, 601)))
    assert np.all(np.diff(fine) < 0)
    assert np.abs(np.diff(fine)).max() < 0.005  # the three pieces meet


def test_first_particle_gives_the_front_formula(rng):
    """The first of n particles with Gamma(2) delays comes s w sqrt(2) Gamma(3/2)/sqrt(n) late on
    average for large n.
    """
    n, trials = 400, 4000
    first = rng.gamma(2.0, 1.0, (trials, n)).min(axis=1)
    expected = np.sqrt(2) * gamma(1.5) / np.sqrt(n)
    # 2 % above the asymptotic value at n = 400 (next order of the expansion), known to 0.8 %.
    assert first.mean() == pytest.approx(expected, rel=0.05)
    assert first.std() / first.mean() == pytest.approx(0.52, abs=0.03)


def test_formula_is_the_same_when_compiled():
    @compiled(cache=False)
    def delay(r, eta, curvature):
        return shower_front.front_delay(
            r, lateral.log_lateral_distribution(r, eta, lateral.TELESCOPE_ARRAY), curvature, TA
        )

    for r in (30.0, 700.0, 2600.0):
        plain = shower_front.front_delay(
            r, lateral.log_lateral_distribution(r, 3.3, lateral.TELESCOPE_ARRAY), 1.7, TA
        )
        assert delay(r, 3.3, 1.7) == pytest.approx(plain, rel=1e-12)

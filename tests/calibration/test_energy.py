"""Energy table."""

import numpy as np
import pytest

from tashower.calibration.energy import look_up_energy, make_energy_table
from tashower.physics.lateral import mean_s800


def sample(rng, n=40_000, index=1.0, spread=0.1):
    low, high, power = 10**0.5, 10**2.0, 1 - index
    u = rng.random(n)
    energy = (
        low * (high / low) ** u
        if index == 1
        else (low**power + u * (high**power - low**power)) ** (1 / power)
    )
    zenith = np.arcsin(np.sqrt(rng.random(n)) * np.sin(np.radians(48)))
    s800 = mean_s800(energy, zenith) * np.exp(spread * rng.standard_normal(n))
    return s800, zenith, energy


@pytest.mark.parametrize("index", [1.0, 2.7])
def test_table_gives_back_the_energy_whatever_the_spectrum(rng, index):
    table = make_energy_table(*sample(rng, index=index))
    for zenith in np.radians([0, 15, 30, 40, 45]):
        for energy in (6.0, 10.0, 30.0):
            found = look_up_energy(
                table, np.array([mean_s800(energy, zenith)]), np.array([zenith])
            )[0]
            assert found == pytest.approx(energy, rel=0.04)


def test_energy_grows_with_s800_and_never_is_nan_for_a_number(rng):
    table = make_energy_table(*sample(rng))
    s800 = 10 ** np.linspace(-2, 4, 200)
    for zenith in (0.0, 0.5, 0.9, 1.2):
        energy = look_up_energy(table, s800, np.full(200, zenith))
        assert np.isfinite(energy).all()
        assert (np.diff(energy) > 0).all()


def test_what_is_no_shower_has_no_energy(rng):
    table = make_energy_table(*sample(rng))
    found = look_up_energy(
        table,
        np.array([np.nan, 10.0, 0.0, -1.0, 10.0]),
        np.array([0.1, np.nan, 0.1, 0.1, np.pi / 2]),
    )
    assert np.isnan(found).all()


def test_few_events_still_give_a_table(rng):
    table = make_energy_table(*sample(rng, 400))
    assert look_up_energy(table, np.array([mean_s800(20.0, 0.4)]), np.array([0.4]))[
        0
    ] == pytest.approx(20.0, rel=0.15)

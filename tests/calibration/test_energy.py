"""Energy table."""

import numpy as np
import pytest

from tashower.calibration.energy import (
    EnergyTable,
    beyond_events,
    energy_of_primary,
    look_up_energy,
    make_energy_table,
    scatter_of_showers,
    with_scatter,
)
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
    s_ref = mean_s800(energy, zenith) * np.exp(spread * rng.standard_normal(n))
    return s_ref, zenith, energy


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
    s_ref = 10 ** np.linspace(-2, 4, 200)
    for zenith in (0.0, 0.5, 0.9, 1.2):
        energy = look_up_energy(table, s_ref, np.full(200, zenith))
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


def test_showers_of_one_energy_give_a_table(rng):
    """A configuration may throw nothing else."""
    _, zenith, energy = sample(rng, 300)
    energy[:] = 10.0
    s_ref = mean_s800(energy, zenith) * np.exp(0.1 * rng.standard_normal(300))
    found = look_up_energy(make_energy_table(s_ref, zenith, energy), s_ref, zenith)
    assert np.median(found) == pytest.approx(10.0, rel=0.05)


@pytest.mark.parametrize("n", [100, 119, 150, 179, 180, 400])
def test_few_events_still_give_a_table(rng, n):
    table = make_energy_table(*sample(rng, n))
    assert look_up_energy(table, np.array([mean_s800(20.0, 0.4)]), np.array([0.4]))[
        0
    ] == pytest.approx(20.0, rel=0.15)


def test_most_energetic_event_of_the_telescope_array():
    """309 EeV for protons before the scaling of energies, S800 530 at 38.6 degrees (Abbasi et al.
    2023, doi:10.1126/science.abo5095).
    """
    assert energy_of_primary(530.0, np.radians(38.6)) == pytest.approx(309.0, rel=0.05)


@pytest.mark.parametrize("mass_number", [1, 4, 14, 56])
def test_energy_of_a_primary_is_the_inverse_of_its_mean_size(mass_number):
    energy, zenith = np.array([1.0, 10.0, 320.0]), np.radians([0.0, 30.0, 55.0])
    s_ref = mean_s800(energy, zenith, mass_number)
    np.testing.assert_allclose(energy_of_primary(s_ref, zenith, mass_number), energy, rtol=1e-10)


def test_a_primary_has_no_energy_without_a_size():
    assert np.isnan(energy_of_primary([np.nan, 0.0, -1.0, 10.0], [0.1, 0.1, 0.1, np.nan])).all()


def test_table_reaches_beyond_its_events_along_the_relation(rng):
    """Events to 100 EeV; 500 EeV come out, too, and are said to be extrapolated."""
    table = make_energy_table(*sample(rng))
    assert (table.log10_energy[:, -1] >= 2.7).all()
    assert 2.0 <= table.largest < 2.2
    for zenith in np.radians([0.0, 20.0, 38.6, 45.0]):
        for energy in (150.0, 309.0, 500.0):
            size = mean_s800(np.array([energy]), zenith)
            assert look_up_energy(table, size, np.array([zenith])) == pytest.approx(
                energy, rel=0.05
            )
    zenith = np.full(5, 0.6)
    size = mean_s800(np.array([3.0, 10.0, 90.0, 200.0, 400.0]), 0.6)
    size[0] = 0.9 * 10.0 ** table.log10_s_ref[0]
    assert beyond_events(table, size, zenith).tolist() == [True, False, False, True, True]
    assert beyond_events(table, [np.nan], [0.1]).all()


def test_an_old_table_ends_at_its_last_node():
    table = EnergyTable(np.array([1.0, 2.0]), np.array([0.0, 3.0]), np.array([[0, 3], [0, 3.0]]))
    assert beyond_events(table, [0.99, 1.01, 999.0, 1001.0], np.zeros(4)).tolist() == [
        True,
        False,
        False,
        True,
    ]


def test_scatter_of_showers_with_the_same_size(rng):
    """Showers of the same S800 whose ln E scatter by 0.1 and, inclined, by 0.05."""
    _, zenith, energy = sample(rng)
    slope = np.log(mean_s800(10.0, 0.3) / mean_s800(1.0, 0.3)) / np.log(10.0)
    off = np.where(zenith < 0.5, 0.1, 0.05) * rng.standard_normal(len(zenith))
    # A few far away are in no width.
    off[rng.random(len(zenith)) < 0.005] += 3.0
    true = mean_s800(energy, zenith) * np.exp(slope * off)
    # The table is made from other sizes, whose errors and bias are not in the scatter.
    fitted = 1.2 * true * np.exp(0.2 * rng.standard_normal(len(true)))
    table = make_energy_table(fitted, zenith, energy)
    known = with_scatter(table, true, zenith, energy)
    np.testing.assert_array_equal(known.log10_energy, table.log10_energy)
    found = scatter_of_showers(known, np.array([0.1, 0.3, 0.72, 0.8]))
    np.testing.assert_allclose(found, [0.1, 0.1, 0.05, 0.05], rtol=0.06)


def test_scatter_outside_of_the_table_and_of_older_files(rng):
    table = make_energy_table(*sample(rng))
    assert (scatter_of_showers(table, np.array([0.0, 0.5])) == 0.0).all()
    known = with_scatter(table, *sample(rng))
    assert len(known.scatter) == len(known.secant)
    ends = scatter_of_showers(known, np.array([0.0, 1.5, 2.0]))
    np.testing.assert_array_equal(ends, known.scatter[[0, -1, -1]])
    for one in (table, known):
        assert np.isnan(scatter_of_showers(one, np.array([np.nan]))).all()

"""True showers: distributions, means, and that every key of the configuration matters."""

import numpy as np
import pytest
from scipy import stats

from tashower.config import load_config
from tashower.events.model import concatenate_rows
from tashower.physics.early_late import late_signal_factor
from tashower.physics.lateral import mean_s800
from tashower.physics.xmax import mean_xmax
from tashower.simulation.showers import draw_showers, mean_attenuation, muon_share


def showers(text="", n=20_000, split="test"):
    return draw_showers(load_config(f"{{showers: {{{text}}}}}"), split, 0, n)


def test_energy_direction_and_core_distributions():
    t = showers("max_zenith_deg: 50")
    assert stats.kstest((np.log10(t.energy) - 0.5) / 1.5, "uniform").pvalue > 1e-3
    # sin z cos z: sin^2 z is uniform up to that of the largest zenith.
    assert (
        stats.kstest(np.sin(t.zenith) ** 2 / np.sin(np.radians(50)) ** 2, "uniform").pvalue > 1e-3
    )
    assert stats.kstest(t.azimuth / (2 * np.pi), "uniform").pvalue > 1e-3
    half_x, half_y = 10.5 * 1200 + 600, 11 * 1200 + 600
    assert stats.kstest((t.core_x / half_x + 1) / 2, "uniform").pvalue > 1e-3
    assert stats.kstest((t.core_y / half_y + 1) / 2, "uniform").pvalue > 1e-3


def test_falling_spectrum():
    t = showers("spectral_index: 2.7, min_log10_energy_ev: 19")
    low, high = 10.0**-1.7, 10.0 ** (-1.7 * 2)
    uniform = ((t.energy**-1.7) - low) / (high - low)
    assert stats.kstest(uniform, "uniform").pvalue > 1e-3


@pytest.mark.parametrize(("mass", "name"), [(1, "proton"), (56, "iron")])
@pytest.mark.parametrize("zenith", [0.1, 30.0, 44.0])
def test_mean_s800_is_the_published_one(mass, name, zenith):
    """The fluctuations leave the mean where the relation has it."""
    t = showers(
        f"primaries: {{{name}: 1}}, min_log10_energy_ev: 19, max_log10_energy_ev: 19, "
        "max_zenith_deg: 60",
        60_000,
    )
    near = np.abs(np.degrees(t.zenith) - max(zenith, 4)) < 4
    ratio = t.s_ref[near] / mean_s800(10.0, t.zenith[near], mass)
    assert ratio.mean() == pytest.approx(1.0, abs=0.01)
    spread = ratio.std()
    assert 0.09 < spread < 0.16 if mass == 1 else 0.03 < spread < 0.07


@pytest.mark.parametrize("model", ["QGSJET-II-04", "EPOS-LHC-2013"])
def test_mean_xmax_and_interaction_model(model):
    t = showers(
        f'primaries: {{proton: 1}}, interaction_model: "{model}", min_log10_energy_ev: 19, '
        "max_log10_energy_ev: 19"
    )
    assert t.xmax.mean() == pytest.approx(float(mean_xmax(10.0, 1, model)), abs=2.0)


def test_deep_showers_are_brighter_steeper_and_more_curved():
    t = showers(
        "primaries: {proton: 1}, min_log10_energy_ev: 19, max_log10_energy_ev: 19, "
        "max_zenith_deg: 20"
    )
    deep = t.xmax > np.quantile(t.xmax, 0.8)
    shallow = t.xmax < np.quantile(t.xmax, 0.2)
    for name in ("s_ref", "slope", "front_scale", "curvature"):
        assert getattr(t, name)[deep].mean() > getattr(t, name)[shallow].mean(), name
    assert t.muon_share[deep].mean() < t.muon_share[shallow].mean()


def test_muon_share_grows_with_zenith_and_mass():
    zenith = np.radians([0, 15, 30, 45, 55])
    proton, iron = (muon_share(zenith, mass, 10.0) for mass in (1, 56))
    assert (np.diff(proton) > 0).all()
    assert (np.diff(iron) > 0).all()
    assert (iron > proton).all()
    assert 0.15 < proton[0] < 0.20
    assert 0.30 < proton[3] < 0.40


def test_primaries_and_their_weights():
    t = showers("primaries: {proton: 3, iron: 1}")
    assert set(np.unique(t.mass_number)) == {1, 56}
    assert np.mean(t.mass_number == 1) == pytest.approx(0.75, abs=0.02)


def test_throws_share_the_shower_and_not_the_core():
    config = load_config("{showers: {throws: 3}}")
    t = draw_showers(config, "test", 10, 20)
    np.testing.assert_array_equal(t.shower_id, np.repeat(np.arange(10, 30), 3))
    for name in ("energy", "zenith", "azimuth", "xmax", "s_ref", "slope"):
        column = getattr(t, name).reshape(20, 3)
        np.testing.assert_array_equal(column, column[:, :1].repeat(3, 1), err_msg=name)
    assert len(np.unique(t.core_x)) == 60


def test_division_into_calls_changes_nothing():
    config = load_config()
    whole = draw_showers(config, "train", 0, 50)
    joined = concatenate_rows(
        [draw_showers(config, "train", 0, 17), draw_showers(config, "train", 17, 33)]
    )
    for name in whole.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(whole, name), getattr(joined, name), err_msg=name)


@pytest.mark.parametrize(
    "change",
    [
        "{seed: 3}",
        "{showers: {core_margin_m: 0}}",
        "{array: {spacing_m: 1000}}",
        "{array: {columns: 10}}",
        "{array: {rows: 10}}",
        "{showers: {max_zenith_deg: 30}}",
        "{front: {electron_delay_factor: 0.8}}",
        "{front: {muon_delay_factor: 0.8}}",
        "{front: {onset_factor: 2}}",
        "{front: {model: formula}}",
        "{front: {model: rough}}",
        "{showers: {slope_shift: 0.1}}",
        "{showers: {lateral_far_power: 0.1}}",
        "{showers: {front_power: 1.4}, front: {model: formula}}",
    ],
)
def test_every_key_matters(change):
    base, other = (draw_showers(load_config(text), "test", 0, 50) for text in (None, change))
    assert any(
        not np.array_equal(getattr(base, f), getattr(other, f)) for f in base.__dataclass_fields__
    )


def test_splits_differ():
    config = load_config()
    assert not np.array_equal(
        draw_showers(config, "test", 0, 9).energy, draw_showers(config, "train", 0, 9).energy
    )


@pytest.mark.parametrize("degrees", [15.0, 30.0, 40.0, 50.0])
@pytest.mark.parametrize("along", [-200.0, 200.0])
def test_early_late_and_s800_agree(degrees, along):
    """The electromagnetic signal of a station 200 m downstream is that of showers which reach the
    axis after 21 g/cm^2 more: once by the attenuation half way, once by S800 and the muon share at
    that zenith.
    """

    def zenith(depth):
        return np.arccos(876.0 / depth)

    def log_electrons(depth):
        z = zenith(depth)
        return np.log(mean_s800(10.0, z) * (1.0 - muon_share(z, 1, 10.0)))

    depth, more = 876.0 / np.cos(np.radians(degrees)), 0.105 * along
    attenuation = mean_attenuation(zenith(depth + 0.5 * more))
    factor = late_signal_factor(along, 0.0, attenuation)
    by_s800 = log_electrons(depth + more) - log_electrons(depth)
    assert np.log(factor) == pytest.approx(by_s800, rel=0.01)

"""The numbers of the simulation, as docs/simulation.md states them, in what it draws: written out
here, so that a constant cannot change by accident.
"""

import numpy as np
import pytest

from tashower.config import load_config
from tashower.physics.compiled import compiled
from tashower.physics.early_late import late_signal_factor, late_time_factor, muon_share_at
from tashower.physics.lateral import TELESCOPE_ARRAY, lateral_distribution, slope
from tashower.physics.shower_front import curvature_zenith_dependence
from tashower.physics.xmax import mean_xmax
from tashower.reconstruction.pulses import find_pulses
from tashower.simulation.delays import ROUGH_MUONS, SOURCED_MUONS
from tashower.simulation.particles import light_spread, mean_numbers, put_electron, put_muon
from tashower.simulation.random_numbers import seed_stream
from tashower.simulation.showers import draw_showers, mean_front_scale, muon_share
from tashower.simulation.simulate import simulate_events

N = 100_000


def test_formulas_of_a_station_by_hand():
    assert muon_share_at(800.0, 0.3) == pytest.approx(0.3)
    # Odds of 3/7 grow with the root of the distance: 6/7 at 3200 m.
    assert muon_share_at(3200.0, 0.3) == pytest.approx(6 / 13)
    # A muon loses 1 + 0.09 (0.5772 + ln 2) VEM on average, an electromagnetic particle 0.6 VEM in a
    # layer that it reaches, which are 0.8 of the two on average.
    muons, electrons = mean_numbers(100.0, 0.4, 0.75)
    assert muons == pytest.approx(100.0 * 0.4 * 0.75 / 1.11433, rel=1e-5)
    assert electrons == pytest.approx(100.0 * 0.6 / 0.48)
    assert late_time_factor(1200.0) == pytest.approx(0.9**1.05)
    assert late_time_factor(-1200.0) == pytest.approx(1.1**1.05)
    x = 500.0 * 0.105 / 175.0
    assert late_signal_factor(500.0, 800.0, 175.0) == pytest.approx(
        np.exp(-x) / np.i0(1.6 * x), rel=1e-6
    )
    # 18.5 photoelectrons per VEM, and 7 % by where the particle crosses the station.
    assert light_spread(2.0) == pytest.approx(np.sqrt(2.0 / 18.5 + (2.0 * 0.07) ** 2), rel=1e-6)


@compiled
def single_particles(secant, n):
    state, impulse = np.empty(4, np.uint64), np.zeros((2, 16), np.float32)
    seed_stream(state, np.uint64(7), np.uint64(1))
    light = np.empty((n, 2))
    for i in range(n):
        impulse[:] = 0.0
        if secant > 0.0:
            put_muon(state, impulse, 5.3, np.float32(secant))
        else:
            put_electron(state, impulse, 5.3)
        for layer in range(2):
            light[i, layer] = impulse[layer].sum()
    return light


@pytest.mark.parametrize("secant", [1.0, 1.4])
def test_light_of_a_muon(secant):
    """Moyal's distribution of width 0.09, drawn for each layer, with the statistics of light."""
    light = single_particles(secant, N)
    mean = secant * (1.0 + 0.09 * (np.euler_gamma + np.log(2.0)))
    loss = (secant * 0.09 * np.pi) ** 2 / 2.0
    variance = loss + mean / 18.5 + 0.07**2 * (mean**2 + loss)
    np.testing.assert_allclose(light.mean(axis=0), mean, rtol=0.01)
    np.testing.assert_allclose(light.var(axis=0), variance, rtol=0.03)
    assert np.corrcoef(light.T)[0, 1] == pytest.approx(0.0, abs=0.02)


def test_light_of_an_electromagnetic_particle():
    """Exponential of mean 0.6 VEM; in both layers with probability 0.6, else in either."""
    upper, lower = single_particles(0.0, N).T
    assert np.mean((upper > 0) & (lower > 0)) == pytest.approx(0.6, abs=0.05)
    assert np.mean((upper > 0) & (lower == 0)) == pytest.approx(0.2, abs=0.03)
    for one, other in ((upper, lower), (lower, upper)):
        assert one.mean() == pytest.approx(0.48, rel=0.03)
        both = (one > 0) & (other > 0)
        assert np.corrcoef(one[both], other[both])[0, 1] > 0.7
        assert np.median(one[both]) == pytest.approx(0.6 * np.log(2.0), rel=0.15)


@pytest.fixture(scope="module")
def protons():
    text = "{showers: {primaries: {proton: 1}, min_log10_energy_ev: 19, max_log10_energy_ev: 19}}"
    truth = draw_showers(load_config(text), "test", 0, 40_000)
    return truth, truth.xmax - mean_xmax(truth.energy, truth.mass_number)


def line(x, y):
    """(slope of y over x, rms of what is left)."""
    a, b = np.polyfit(x, y, 1)
    return a, np.std(y - a * x - b)


def test_what_follows_from_the_depth(protons):
    """Slope of the lateral distribution and scale of the front, and what the depth leaves open."""
    truth, deep = protons
    by_depth, rest = line(deep, truth.slope - slope(truth.zenith))
    assert by_depth == pytest.approx(0.0015, rel=0.02)
    assert rest == pytest.approx(0.05, rel=0.02)
    relative = np.log(truth.front_scale / curvature_zenith_dependence(truth.zenith))
    by_depth, rest = line(deep, relative)
    assert by_depth == pytest.approx(1.0 / 800.0, rel=0.02)
    assert rest == pytest.approx(0.04, rel=0.02)
    # Delays are given for the mean depth of these protons.
    assert relative.mean() == pytest.approx(deep.mean() / 800.0, abs=0.002)
    # The electromagnetic part of S800 grows by e in 500 g/cm^2.
    electrons = np.log(truth.s_ref * (1.0 - truth.muon_share))
    mean = np.log(truth.s_ref.mean() * (1.0 - truth.muon_share.mean()))
    narrow = np.abs(truth.zenith - 0.5) < 0.02
    by_depth, rest = line(deep[narrow], electrons[narrow] - mean)
    assert by_depth == pytest.approx(1.0 / 500.0, rel=0.1)
    assert rest < 0.08


def test_scale_of_the_front_follows_the_mean_depth():
    """Iron, 95 g/cm^2 higher, has 11 % shorter delays, and 10^19.5 eV 3 % longer ones than 10^19;
    in the front `rough` they are the same.
    """
    zenith = np.radians(30.0)
    sourced, rough = load_config(), load_config("{front: {model: rough}}")
    proton, iron = (mean_front_scale(10.0, zenith, mass, sourced) for mass in (1, 56))
    assert proton == pytest.approx(curvature_zenith_dependence(zenith), rel=0.003)
    depth = mean_xmax(10.0, 56) - mean_xmax(10.0, 1)
    assert iron / proton == pytest.approx(np.exp(depth / 800.0))
    assert iron / proton == pytest.approx(0.89, abs=0.01)
    more = mean_front_scale(10.0**1.5, zenith, 1, sourced)
    assert more / proton == pytest.approx(1.034, abs=0.006)
    assert mean_front_scale(10.0, zenith, 56, rough) == curvature_zenith_dependence(zenith)
    deeper = load_config("{showers: {interaction_model: EPOS-LHC}}")
    assert mean_front_scale(10.0, zenith, 1, deeper) > proton


@pytest.mark.parametrize(("name", "mass", "width"), [("proton", 1, 0.15), ("iron", 56, 0.0506)])
def test_muon_number(name, mass, width):
    """Log-normal with mean A^0.078."""
    text = f"{{showers: {{primaries: {{{name}: 1}}}}}}"
    muons = draw_showers(load_config(text), "test", 0, 40_000).muon_scale
    assert muons.mean() == pytest.approx(mass**0.078, rel=0.003)
    assert np.log(muons).std() == pytest.approx(width, rel=0.02)


def test_muon_share_of_the_signal():
    """1/(1 + k exp(-d/Lambda)), d the depth beyond the vertical one of 876 g/cm^2."""
    zenith = np.radians([0.0, 30.0, 45.0, 50.0])
    beyond = 876.0 * (1.0 / np.cos(zenith) - 1.0)
    for content, (k, length), shares in (
        (SOURCED_MUONS, (5.0, 385.0), [0.17, 0.22, 0.34, 0.41]),
        (ROUGH_MUONS, (3.8, 230.0), [0.21, 0.32, 0.56, 0.69]),
    ):
        expected = 1.0 / (1.0 + k * np.exp(-beyond / length))
        np.testing.assert_allclose(muon_share(zenith, 1, 10.0, content), expected, rtol=1e-9)
        np.testing.assert_allclose(expected, shares, atol=0.012)
    assert ROUGH_MUONS.mass_exponent == 0.078
    assert 56.0**SOURCED_MUONS.mass_exponent == pytest.approx(1.5, abs=0.001)
    rough = draw_showers(load_config("{front: {model: rough}}"), "test", 0, 3000)
    usual = draw_showers(load_config("{front: {model: formula}}"), "test", 0, 3000)
    assert rough.muon_share.mean() > 1.3 * usual.muon_share.mean()


def test_onset_of_the_true_curvature():
    """Particles that come at once leave the onset alone: a = onset (27/S800)^0.5 times the shower's
    scale; in the sourced front the onset is c, whatever the size.
    """
    text = "{front: {model: MODEL, electron_delay_factor: 1.0e-9, muon_delay_factor: 1.0e-9, "
    text += "onset_factor: 8}}"
    truth = draw_showers(load_config(text.replace("MODEL", "rough")), "test", 0, 200)
    np.testing.assert_allclose(
        truth.curvature, 2.0 * truth.front_scale * np.sqrt(27.0 / truth.s_ref), rtol=1e-4
    )
    truth = draw_showers(load_config(text.replace("MODEL", "sourced")), "test", 0, 200)
    scale = truth.front_scale / curvature_zenith_dependence(truth.zenith)
    ldf = lateral_distribution(1000.0, truth.slope, TELESCOPE_ARRAY)
    np.testing.assert_allclose(truth.curvature, 8 * 0.34 * scale * np.sqrt(ldf), rtol=1e-4)


@pytest.fixture(scope="module")
def quiet():
    """Events of still stations whose gain is exactly what is monitored."""
    text = (
        "{array: {columns: 11, rows: 11}, showers: {core_margin_m: -2400, "
        "min_log10_energy_ev: 19}, detector: {calibration_spread: 0, accidental_rate_khz: 0}}"
    )
    return simulate_events(load_config(text), "test", 0, 600)


def test_the_window_starts_thirty_bins_before_the_crossing(quiet):
    """The sum of the last eight bins is above 15 counts in both layers in bin 30, not before."""
    above = quiet.waveform.astype(float) - quiet.pedestal[:, None]
    total = np.cumsum(np.pad(above, ((0, 0), (8, 0), (0, 0))), axis=1)
    last_eight = total[:, 8:] - total[:, :-8]
    crossed = (last_eight > 15.0).all(axis=2)
    # A few stations cross before the 30 bins are there.
    assert np.mean(crossed.argmax(axis=1) == 30) > 0.95


def test_layers_are_two_measurements(quiet):
    """Equal on average, and never the same."""
    assert not (quiet.waveform[:, :, 0] == quiet.waveform[:, :, 1]).all(axis=1).any()
    upper, lower = find_pulses(quiet).signal.T
    assert upper.sum() / lower.sum() == pytest.approx(1.0, abs=0.01)
    some = (upper + lower > 8.0) & (upper + lower < 20.0)
    assert 0.05 < np.std(((upper - lower) / (upper + lower))[some]) < 0.3


def test_gains_and_pedestals_of_stations():
    array = "array: {columns: 40, rows: 40}, showers: {core_margin_m: 0, min_log10_energy_ev: 19.5}"
    events = simulate_events(load_config(f"{{{array}}}"), "test", 0, 900)
    _, first = np.unique(events.hit_station, return_index=True)
    assert len(first) > 1200
    gain, pedestal = events.counts_per_vem[first], events.pedestal[first]
    np.testing.assert_allclose(gain.mean(axis=0), 39.4, rtol=0.01)
    np.testing.assert_allclose(gain.std(axis=0), 3.94, rtol=0.07)
    np.testing.assert_allclose(pedestal.mean(axis=0), 6.0, rtol=0.01)
    np.testing.assert_allclose(pedestal.std(axis=0), 0.3, rtol=0.07)
    assert abs(np.corrcoef(gain.T)[0, 1]) < 0.1


def test_accidentals_come_before_and_after_the_shower():
    """Within 32 us of the trigger, evenly."""
    text = (
        "{detector: {accidental_rate_khz: 20, accidental_radius_m: 6000, "
        "out_of_service_fraction: 0}, showers: {max_zenith_deg: 20}}"
    )
    events = simulate_events(load_config(text), "test", 0, 150)
    after = events.hit_time + 30 * 20.0 - events.truth.t0[events.hit_event]
    # Light of the shower, and background among it, comes earlier than 16 us.
    far = np.abs(after) > 16_000.0
    assert far.sum() > 400
    assert np.mean(after[far] > 0) == pytest.approx(0.5, abs=0.05)
    assert 30_000.0 < np.abs(after).max() < 34_000.0
    assert np.abs(after[far]).mean() == pytest.approx(24_000.0, rel=0.03)


def test_far_stations_with_little_light_are_seen(quiet):
    """Also where a tenth of a VEM is expected: the reach of a shower is no cut on its signal."""
    truth, hit = quiet.truth, quiet.hit_event
    position = quiet.array.position[quiet.hit_station]
    far = np.hypot(position[:, 0] - truth.core_x[hit], position[:, 1] - truth.core_y[hit])
    signal = find_pulses(quiet).signal.mean(axis=1)
    assert np.mean(signal[far > 2500] < 1.5) > 0.05
    assert (far > 3000).sum() > 30

"""Physics of simulated stations: how far the front fluctuates from station to station, and how much
brighter the early side is. The formulas are written out here, with their numbers.
"""

import numpy as np
import pytest

from tashower.config import load_config
from tashower.physics.geometry import (
    axis_components,
    axis_distance,
    distance_along_axis,
    plane_delay,
)
from tashower.physics.lateral import lateral_distribution, mean_s800
from tashower.reconstruction.pulses import find_pulses
from tashower.simulation.showers import muon_share
from tashower.simulation.simulate import simulate_events

STILL = (
    "array: {columns: 11, rows: 11, jitter_m: 0, altitude_spread_m: 0}, "
    "detector: {out_of_service_fraction: 0, calibration_spread: 0, "
    "accidental_rate_khz: 0, clock_ns: 0}, "
    "showers: {core_margin_m: -3600, min_log10_energy_ev: 19.7, max_log10_energy_ev: 20, "
    "primaries: {iron: 1}}"
)


def stations_of(events):
    """Of every hit: distance to the axis r, density S [VEM/m^2] that is expected there, distance
    downstream l, shower's row, and time after the plane front.
    """
    t, hit = events.truth, events.hit_event
    position = events.array.position[events.hit_station]
    d = (position[:, 0] - t.core_x[hit], position[:, 1] - t.core_y[hit], position[:, 2])
    n = axis_components(t.zenith[hit], t.azimuth[hit])
    r = axis_distance(*d, *n)
    density = t.s_ref[hit] * lateral_distribution(r, t.slope[hit], events.array.lateral)
    after = find_pulses(events).arrival_time - t.t0[hit] - plane_delay(*d, *n)
    return r, density, distance_along_axis(*d, *n), hit, after


@pytest.fixture(scope="module")
def sharp():
    """Deviation of the arrival time [ns] in showers whose particles all come within a few ns, by
    the rms of the local fluctuation, with distance, density and zenith of the shower.
    """

    def simulated(local):
        front = (
            "front: {model: rough, electron_delay_factor: 0.001, muon_delay_factor: 0.0025, "
            f"onset_factor: 0, local_factor: {local / 0.9}}}"
        )
        events = simulate_events(load_config(f"{{{STILL}, {front}}}"), "test", 0, 700)
        r, density, along, hit, after = stations_of(events)
        chosen = (r > 500) & (density > 3.0)
        # Delays shrink by this downstream, farther from the shower's maximum.
        late = (1.0 - along / 12_000.0) ** 1.05
        unit = (1.0 + r / 30.0) ** 1.5 * density**-0.3 * late * events.truth.front_scale[hit]
        return r[chosen], density[chosen], unit[chosen], after[chosen]

    return {local: simulated(local) for local in (0.0, 0.9, 3.0)}


def test_without_local_fluctuation_every_station_is_on_the_front(sharp):
    """What is left is the clock's bin of 20 ns and the leading edge's own resolution."""
    _, _, _, after = sharp[0.0]
    assert len(after) > 2000
    assert after.std() < 12.0


@pytest.mark.parametrize("local", [0.9, 3.0])
def test_local_fluctuation_is_normal_with_the_stated_rms(sharp, local):
    """rms = local (1 + r/30 m)^1.5 S^-0.3 (and the shower's own scale): at every distance and
    density, so that neither power can be another.
    """
    r, density, unit, after = sharp[local]
    noise = sharp[0.0][3]
    pull = (after - noise.mean()) / np.sqrt((local * unit) ** 2 + noise.var())
    assert (local * unit > 3.0 * noise.std()).mean() > 0.9
    assert pull.mean() == pytest.approx(0.0, abs=0.09)
    assert pull.std() == pytest.approx(1.0, abs=0.04)
    assert np.mean(np.abs(pull) < 1.0) == pytest.approx(0.683, abs=0.03)
    middle = np.median(r), np.median(density)
    for part in (r < middle[0], r > middle[0], density < middle[1], density > middle[1]):
        assert pull[part].std() == pytest.approx(1.0, abs=0.06)


@pytest.fixture(scope="module")
def inclined():
    """Bright inclined showers: r, l, expected densities of the electromagnetic particles and of the
    muons, and the density that was measured.
    """
    events = simulate_events(load_config(f"{{{STILL}}}"), "test", 0, 6000)
    r, density, along, hit, _ = stations_of(events)
    t = events.truth
    odds = t.muon_share[hit] / (1.0 - t.muon_share[hit]) * np.sqrt(r / 800.0)
    share = odds / (1.0 + odds)
    signal = find_pulses(events).signal.mean(axis=1) / 3.0
    chosen = (r > 450) & (r < 1100) & (events.waveform.max(axis=(1, 2)) < 1900)
    chosen &= np.degrees(t.zenith[hit]) > 25
    tangent = np.tan(t.zenith[hit])
    columns = r, along, tangent, density * (1 - share), density * share, signal
    return tuple(column[chosen] for column in columns)


def test_early_late_asymmetry_has_the_stated_size(inclined):
    """exp(-l/Lambda) over its mean around the axis, in air of 0.105 g/cm^2 per m, with the
    attenuation of electromagnetic particles that goes with S800 and 1000 g/cm^2 for muons: the
    amplitude comes out as 1.
    """
    r, along, tangent, electrons, muons, signal = inclined

    def factor(attenuation):
        x = 0.105 / attenuation
        return np.exp(-along * x) / np.i0(r * tangent * x)

    def log_electrons(secant):
        zenith = np.arccos(1 / secant)
        return np.log(mean_s800(10.0, zenith) * (1 - muon_share(zenith, 1, 10.0)))

    secant = np.sqrt(1.0 + tangent**2)
    fall = log_electrons(secant - 1e-4) - log_electrons(secant + 1e-4)
    total = electrons + muons
    expected = (electrons * factor(2e-4 * 876.0 / fall) + muons * factor(1000.0)) / total - 1.0
    found = signal / total - 1.0
    amplitude = (found * expected).sum() / (expected**2).sum()
    error = np.sqrt((found - amplitude * expected).var() / (expected**2).sum())
    assert error < 0.03
    assert amplitude == pytest.approx(1.0, abs=0.07)
    assert found.mean() == pytest.approx(expected.mean(), abs=0.02)

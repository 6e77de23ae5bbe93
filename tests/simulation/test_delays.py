"""Delays of the particles: the sourced front against the table of a hadronic cascade, its samplers
against their distributions, first arrivals against formulas of others, and the three fronts.
"""

import csv
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats
from scipy.special import ndtri

from tashower.config import load_config
from tashower.errors import InputError
from tashower.physics.compiled import compiled
from tashower.physics.description import Description
from tashower.physics.lateral import TELESCOPE_ARRAY, log_lateral_distribution, mean_s800, slope
from tashower.physics.shower_front import (
    FRONT_ONSET,
    TELESCOPE_ARRAY_FRONT,
    curvature_zenith_dependence,
    front_delay,
    front_delay_with_onset,
)
from tashower.simulation.arrivals import Component, put_component
from tashower.simulation.delays import (
    Arrivals,
    first_arrival,
    leading_edge,
    mean_leading_edge_curvature,
    muons_at,
    particle_delays,
    shower_delays,
    simulated_log_lateral,
    simulated_thickness,
)
from tashower.simulation.random_numbers import log_normal, normal_quantile, seed_stream
from tashower.simulation.showers import draw_showers, mean_front_scale, muon_share
from tashower.simulation.simulate import simulate_events

CONFIG = load_config()
SOURCED = particle_delays(CONFIG)
#: Own cascade (docs/hadronic_cascade.md): means to 1 or 2 %.
TABLE = Path(__file__).parents[2] / "data" / "muon_times.csv"
#: Mean signal of a muon there over sec z [VEM].
VEM_PER_MUON = 1.07
LEVELS = (1, 5, 10, 25, 50, 75, 90)


def cascade():
    with TABLE.open() as file:
        for row in csv.DictReader(file):
            primary, side = row.pop("primary"), row.pop("side")
            if side != "all" or float(row["distance_m"]) < 600.0:
                continue
            yield primary, {key: float(value) for key, value in row.items()}


def own_muons(primary, row):
    """(c times the shower's scale, median, sigma) of the simulation for a row of the table."""
    energy, zenith = 10.0 ** (row["log10_energy_ev"] - 18.0), np.radians(row["zenith_deg"])
    scale = mean_front_scale(energy, zenith, 56 if primary == "Fe" else 1, CONFIG)
    own = shower_delays(SOURCED, zenith, scale)
    r = row["distance_m"]
    return (1.0 + r / 30.0) ** 1.5 * own.unit, *muons_at(r, own)


def test_muon_delays_are_those_of_the_cascade():
    """Quantiles at 600 to 2000 m, 0, 30 and 45 degrees, three energies, protons and iron: 5 % to
    90 % within 8 %, means within 9 %, all together to 3 % rms (the table is good to 2 %).
    """
    levels = ndtri(np.array(LEVELS) / 100.0)
    off, means = [], []
    for primary, row in cascade():
        c, median, sigma = own_muons(primary, row)
        found = c * (0.34 + median * np.exp(sigma * levels))
        table = np.array([row[f"q{level:02d}_ns"] for level in LEVELS])
        off.append(found / table - 1.0)
        means.append(c * (0.34 + median * np.exp(0.5 * sigma**2)) / row["mean_ns"] - 1.0)
    off, means = np.array(off), np.array(means)
    assert off.shape == (42, 7)
    assert np.abs(off[:, 1:]).max() < 0.08
    assert np.sqrt(np.mean(off[:, 1:] ** 2)) < 0.03
    assert np.abs(np.mean(off, axis=0)).max() < 0.03
    assert np.abs(means).max() < 0.09
    # The first per cent, which the first of very many muons comes from: at 600 m and 45 degrees the
    # onset is too late for it.
    assert np.median(np.abs(off[:, 0])) < 0.03


def test_table_is_that_of_straight_ways():
    """The way from where half of the muons were made, straight, is (r^2 + l^2)^0.5 - l longer than
    that of the front; lower speed and bent ways add 3 to 40 %, and do not shorten any (Cazon et al.
    2004, arXiv:astro-ph/0311223: the delay is the geometrical one in the first place).
    """
    for _, row in cascade():
        r, way = row["distance_m"], 1000.0 * row["production_km_q50"]
        straight = (np.hypot(r, way) - way) / 0.299792458
        assert 1.03 < row["q50_ns"] / straight < 1.4
        way = 1000.0 * row["production_km_q90"]
        assert row["q10_ns"] > (np.hypot(r, way) - way) / 0.299792458


def test_muon_share_is_that_of_the_cascade_with_the_excess_that_is_seen():
    """1.9 times the cascade's muons at 800 m over the size that goes with the energy; iron 1.5
    times protons.
    """
    for primary, row in cascade():
        if row["distance_m"] == 800.0:
            zenith, mass = np.radians(row["zenith_deg"]), 56 if primary == "Fe" else 1
            energy = 10.0 ** (row["log10_energy_ev"] - 18.0)
            signal = VEM_PER_MUON * row["muons_per_m2_ground"] / np.cos(zenith)
            expected = 1.9 * signal / mean_s800(energy, zenith, mass)
            assert muon_share(zenith, mass, energy) == pytest.approx(expected, rel=0.15)
    assert 0.20 < muon_share(np.radians(30.0), 1, 10.0) < 0.23


def test_muon_delays_are_smooth_and_monotone_to_sixty_degrees():
    zenith = np.radians(np.linspace(0, 60, 121))
    own = shower_delays(SOURCED, zenith, curvature_zenith_dependence(zenith))
    median, sigma = muons_at(1000.0, own)
    mean = 0.34 + median * np.exp(0.5 * sigma**2)
    np.testing.assert_allclose(own.unit, 1.0)
    for column, sign in ((median, -1), (sigma, 1), (mean, -1), (own.electron_scale, -1)):
        steps = sign * np.diff(column)
        assert (steps > 0).all()
        assert steps.max() < 0.03 * column.max()
    # Nearer than 300 m nothing changes; beyond, the distribution gets narrower.
    near, far = muons_at(300.0, own), muons_at(2000.0, own)
    np.testing.assert_array_equal(muons_at(2.0, own), near)
    assert (far[1] < sigma).all()
    assert (sigma < near[1]).all()


def test_electromagnetic_particles_come_late():
    """Mean 3.9 c at 30 degrees; 1 % come before 168 ns at 1 km."""
    zenith = np.radians(30.0)
    own = shower_delays(SOURCED, zenith, curvature_zenith_dependence(zenith))
    gamma = stats.gamma(3, loc=0.34, scale=own.electron_scale)
    assert SOURCED.electron_shape == 3
    assert gamma.mean() == pytest.approx(3.9)
    assert gamma.cdf(168.0 / (1.0 + 1000.0 / 30.0) ** 1.5) == pytest.approx(0.01, abs=0.002)


@compiled
def log_normals(sigma, part, upper, n):
    state = np.empty(4, np.uint64)
    seed_stream(state, np.uint64(11), np.uint64(3))
    found = np.empty(n)
    for i in range(n):
        found[i] = log_normal(state, sigma, part, upper)
    return found


def test_normal_quantile():
    p = np.concatenate([np.logspace(-16, -0.31, 400), 1.0 - np.logspace(-12, -0.31, 400)])
    found = np.array([normal_quantile(x) for x in p])
    np.testing.assert_allclose(found, ndtri(p), rtol=2e-6, atol=2e-7)


@pytest.mark.parametrize("sigma", [0.5, 1.1])
@pytest.mark.parametrize(("part", "upper"), [(1.0, False), (0.02, False), (0.3, True)])
def test_log_normal_variates_and_their_parts(sigma, part, upper):
    whole = stats.lognorm(sigma)
    low, high = (1.0 - part, 1.0) if upper else (0.0, part)
    found = log_normals(sigma, part, upper, 50_000)
    cdf = lambda x: np.clip((whole.cdf(x) - low) / (high - low), 0.0, 1.0)  # noqa: E731
    assert stats.kstest(found, cdf).pvalue > 1e-3


@pytest.mark.parametrize("sigma", [0.0, 0.7])
@pytest.mark.parametrize("mean_number", [100.0, 900.0, 20_000.0])
def test_light_comes_when_the_distribution_says(sigma, mean_number):
    """One by one or per bin: the light before a time is that of the particles that came."""
    state, impulse = np.empty(4, np.uint64), np.zeros((2, 900))
    seed_stream(state, np.uint64(5), np.uint64(mean_number))
    n, start, scale, shape = 150, 41.0, 260.0, 3
    component = Component(mean_number, scale, shape, 1.1, sigma)
    for _ in range(n):
        number = -1 if mean_number > 150 else int(mean_number)
        put_component(state, impulse, 20.0, start, number, component)
    came = np.cumsum(impulse.sum(axis=0))
    total = came[-1]
    delays = stats.lognorm(sigma, scale=scale) if sigma else stats.gamma(shape, scale=scale)
    # A deposit is shared between its bin and the next by its place, those of a dense bin evenly.
    fine = delays.cdf(20.0 * (np.arange(900 * 50) + 0.5) / 50 - start).reshape(900, 50).mean(axis=1)
    for share in (0.1, 0.5, 0.95):
        k = int(np.argmin(np.abs(fine - share)))
        error = np.sqrt(1.3 * fine[k] * (1.0 - fine[k]) / (n * mean_number))
        assert came[k] / total == pytest.approx(fine[k], abs=4.0 * error + 0.015 * fine[k])


def test_first_arrival_is_that_of_drawn_particles(rng):
    """Mean and rms: muons and electromagnetic particles, log-normal and gamma."""
    for n_muons, n_electrons, sigma in ((0.6, 2.0, 0.8), (4.0, 20.0, 0.8), (40.0, 0.0, 1.0)):
        arrivals = Arrivals(*np.array([[n_muons], [170.0], [n_electrons], [110.0]]), 3, sigma)
        mean, rms = first_arrival(arrivals)
        first = np.array(
            [
                np.concatenate(
                    [
                        170.0 * np.exp(sigma * rng.standard_normal(rng.poisson(n_muons))),
                        rng.gamma(3, 110.0, rng.poisson(n_electrons)),
                        [np.inf],
                    ]
                ).min()
                for _ in range(20_000)
            ]
        )
        first = first[np.isfinite(first)]
        assert mean[0] == pytest.approx(first.mean(), abs=4.0 * first.std() / len(first) ** 0.5)
        assert rms[0] == pytest.approx(first.std(), rel=0.04)


def first_of(n, muon_part, r, zenith, trials, seed):
    """Times [ns after the onset] of the first of n particles, as the loop places them, and the
    median delay.
    """
    own = shower_delays(SOURCED, zenith, curvature_zenith_dependence(zenith))
    c = (1.0 + r / 30.0) ** 1.5
    median, sigma = muons_at(r, own)
    muons = Component(1.0, median * c, 2, 1.0, float(sigma))
    electrons = Component(1.0, own.electron_scale * c, SOURCED.electron_shape, 0.0)
    state, impulse = np.empty(4, np.uint64), np.zeros((2, 6000))
    seed_stream(state, np.uint64(seed), np.uint64(n))
    rng = np.random.default_rng(seed)
    first, whole = [], np.zeros(6000)
    for _ in range(trials):
        impulse[:] = 0.0
        n_muons = rng.binomial(n, muon_part)
        put_component(state, impulse, 2.0, 0.0, n_muons, muons)
        put_component(state, impulse, 2.0, 0.0, n - n_muons, electrons)
        seen = impulse.sum(axis=0) > 0.0
        first.append(2.0 * int(seen.argmax()))
        whole += seen
    return np.array(first), 2.0 * np.searchsorted(np.cumsum(whole), 0.5 * whole.sum())


def test_spread_of_first_arrivals_is_that_of_the_auger_variance_model():
    """V = (2 T50/(n + 1))^2 n/(n + 2), the first of n that come evenly within 2 T50, the idea of
    Bonifazi et al. 2008 (arXiv:0705.1856), T50 the time in which half of the particles come.

    Front `sourced`, nothing local, 1 km, 30 degrees, one particle in six a muon: within 10 % for 7
    to 15 particles, within 20 % for 3 to 20. Of more the first one scatters by more than so, since
    the density of the delays rises from 0.
    """
    for n, tolerance in ((3, 0.2), (7, 0.13), (10, 0.1), (15, 0.11), (20, 0.22)):
        first, t50 = first_of(n, 1 / 6, 1000.0, np.radians(30.0), 3000, 2)
        model = 2.0 * t50 / (n + 1) * np.sqrt(n / (n + 2))
        assert first.std() == pytest.approx(model, rel=tolerance), n
    first, t50 = first_of(60, 1 / 6, 1000.0, np.radians(30.0), 2000, 2)
    assert first.std() > 1.4 * 2.0 * t50 / 61


def mean_protons(config, log_e, zenith):
    """Columns of mean protons."""
    energy = 10.0 ** (np.asarray(log_e) - 18.0)
    zenith = np.full(energy.shape, np.radians(zenith))
    return SimpleNamespace(
        s_ref=mean_s800(energy, zenith),
        slope=slope(zenith),
        muon_share=muon_share(zenith, 1, energy),
        front_scale=mean_front_scale(energy, zenith, 1, config),
        zenith=zenith,
    )


@pytest.mark.parametrize("zenith", [0, 30, 45])
def test_form_with_an_onset_describes_the_mean_first_arrival(zenith):
    """(0.34 ns + a LDF^-0.5) c, a free in every shower: 5 % rms from 500 to 2000 m and 0.5 to 50
    VEM/m^2; without the onset 10 % and more.
    """
    r = np.arange(500.0, 2001.0, 100.0)
    for log_e in (18.5, 19.0, 19.5, 20.0):
        shower = mean_protons(CONFIG, np.full(r.shape, log_e), zenith)
        log_ldf = log_lateral_distribution(r, shower.slope, TELESCOPE_ARRAY)
        mean, _ = leading_edge(SOURCED, shower, Description(), r)
        density = shower.s_ref * np.exp(log_ldf)
        chosen = (density > 0.5) & (density < 50.0)
        rms = []
        for onset in (0.0, FRONT_ONSET):
            fixed, unit = (
                front_delay_with_onset(r, log_ldf, a, o, TELESCOPE_ARRAY_FRONT)[chosen]
                / mean[chosen]
                for a, o in ((0.0, onset), (1.0, 0.0))
            )
            a = (unit * (1.0 - fixed)).sum() / (unit**2).sum()
            rms.append(np.sqrt(np.mean((fixed + a * unit - 1.0) ** 2)))
        assert rms[1] < 0.075
        assert rms[0] > 2.0 * rms[1]
        assert rms[0] > 0.1


@pytest.mark.parametrize("model", ["sourced", "formula", "rough"])
def test_true_curvature_gives_the_mean_leading_edge_at_1_km(model):
    config = load_config({"front": {"model": model}})
    shower = mean_protons(config, [18.5, 19.5], 30)
    delays = particle_delays(config)
    a = mean_leading_edge_curvature(delays, shower, Description())
    log_ldf = log_lateral_distribution(1000.0, shower.slope, TELESCOPE_ARRAY)
    mean, rms = leading_edge(delays, shower, Description(), 1000.0)
    np.testing.assert_allclose(front_delay(1000.0, log_ldf, a, TELESCOPE_ARRAY_FRONT), mean)
    assert (rms < 0.6 * mean).all()
    # Few particles of little energy come later.
    assert mean[0] > 1.3 * mean[1]


def test_what_distinguishes_the_fronts():
    sourced, formula, rough = (
        particle_delays(load_config({"front": {"model": m}}))
        for m in ("sourced", "formula", "rough")
    )
    # A quarter of the local fluctuation is kept, and else the two are the same.
    assert formula == rough._replace(local=0.225)
    assert (rough.local, rough.onset, rough.constant_onset) == (0.9, 0.25, 0.0)
    c = (1.0 + 1000.0 / 30.0) ** 1.5
    assert rough.electron_scale * 2 * c == pytest.approx(1120.0)
    assert rough.muon_scale * 2 * c == pytest.approx(420.0)
    assert (rough.electron_shape, rough.muon_sigma) == (2, 0.0)
    assert (sourced.local, sourced.onset, sourced.constant_onset) == (0.225, 0.0, 0.34)


@pytest.mark.parametrize("model", ["sourced", "rough"])
@pytest.mark.parametrize("key", ["electron_delay", "muon_delay", "onset", "local"])
def test_factors_of_a_front(model, key):
    base, other = (
        particle_delays(load_config({"front": {"model": model, f"{key}_factor": factor}}))
        for factor in (1.0, 1.5)
    )
    changed = {
        name: getattr(other, name) / value
        for name, value in base._asdict().items()
        if getattr(other, name) != value
    }
    names = {
        "electron_delay": "electron_scale",
        "muon_delay": "muon_scale",
        "local": "local",
        "onset": "constant_onset" if model == "sourced" else "onset",
    }
    assert changed == {names[key]: pytest.approx(1.5)}


@pytest.mark.parametrize(
    ("key", "place"),
    [
        ("electron_delay_ns", "front.electron_delay_factor"),
        ("muon_delay_ns", "front.muon_delay_factor"),
        ("onset_ns", "front.onset_factor"),
        ("local_ns", "front.local_factor"),
        ("electron_shape", "front.model"),
    ],
)
def test_old_keys_are_refused_with_their_new_place(key, place):
    with pytest.raises(InputError, match=f"front.{key}: unknown; it is now {place}"):
        load_config({"front": {key: 2}})
    with pytest.raises(InputError, match=r"front\.model: must be"):
        load_config({"front": {"model": "smooth"}})


MISSPECIFIED = {"slope_shift": 0.1, "lateral_far_power": 0.2, "front_power": 1.35}


@pytest.mark.parametrize("key", MISSPECIFIED)
def test_every_key_of_the_misspecified_world_matters(key):
    base = simulate_events(CONFIG, "test", 0, 12)
    other = simulate_events(load_config({"showers": {key: MISSPECIFIED[key]}}), "test", 0, 12)
    assert base.n_hits != other.n_hits or not np.array_equal(base.waveform, other.waveform)
    # The fit's formulas stay what they are.
    assert other.array.front == base.array.front
    assert other.array.lateral == base.array.lateral or key != "slope_shift"


def test_misspecified_formulas_by_hand():
    world = particle_delays(load_config({"showers": MISSPECIFIED})).world
    r, eta = np.array([400.0, 800.0, 2000.0]), 3.6
    usual = log_lateral_distribution(r, eta, TELESCOPE_ARRAY)
    found = simulated_log_lateral(r, eta, TELESCOPE_ARRAY, world)
    ratio = ((1.0 + (r / 1000.0) ** 2) / 1.64) ** -0.2
    np.testing.assert_allclose(np.exp(found - usual), ratio)
    np.testing.assert_allclose(
        simulated_thickness(r, world), (103 / 3) ** 1.5 * ((1 + r / 30) / (103 / 3)) ** 1.35
    )
    usual = particle_delays(CONFIG).world
    np.testing.assert_array_equal(simulated_thickness(r, usual), (1 + r / 30) * np.sqrt(1 + r / 30))
    shifted = draw_showers(load_config({"showers": {"slope_shift": 0.1}}), "test", 0, 30)
    np.testing.assert_allclose(shifted.slope - draw_showers(CONFIG, "test", 0, 30).slope, 0.1)


def test_clocks_of_stations_scatter():
    """Particles at once, on a still array: what is left of the times beside the bins."""
    text = "{front: {model: rough, electron_delay_factor: 0.001, muon_delay_factor: 0.001, "
    text += "onset_factor: 0, local_factor: 0}, detector: {accidental_rate_khz: 0, clock_ns: CLOCK}"
    text += ", showers: {min_log10_energy_ev: 19.7, core_margin_m: -3000}}"
    times = [
        simulate_events(load_config(text.replace("CLOCK", clock)), "test", 0, 150)
        for clock in ("0", "300")
    ]
    hits = [
        dict(zip(zip(e.hit_event, e.hit_station, strict=True), e.hit_time, strict=True))
        for e in times
    ]
    both = np.array([hits[1][k] - hits[0][k] for k in hits[0].keys() & hits[1].keys()])
    assert len(both) > 1000
    assert both.std() == pytest.approx(300.0, rel=0.08)
    assert both.mean() == pytest.approx(0.0, abs=30.0)

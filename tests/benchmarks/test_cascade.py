"""The pieces of benchmarks/hadronic_cascade.py; all but one need no package chromo."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import kstest

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

import hadronic_cascade
from cascade import atmosphere, decays, delay_model, losses, muons, summary, transport
from cascade import particles as kinds
from cascade.library import Library, interaction_length, kinetic_at

# A module, as benchmarks/network.py, goes before a folder without __init__.py, as tests/network.
sys.path.pop()

LIGHT = 299792458.0
MUON_MASS = 0.1056584

# ---- the atmosphere


def test_depths_of_the_us_standard_atmosphere():
    assert atmosphere.depth(0.0) == pytest.approx(1036.1, abs=0.05)
    assert atmosphere.depth(atmosphere.GROUND) == pytest.approx(876.0, abs=1.0)
    # Mass above a height from its pressure [hPa] in the US standard atmosphere of 1976.
    for height, pressure in ((5e3, 540.48), (11e3, 226.99), (20e3, 55.293), (30e3, 11.970)):
        assert atmosphere.depth(height) == pytest.approx(pressure / 0.980665, rel=0.015)
    assert atmosphere.depth(atmosphere.TOP + 1.0) == 0.0


def test_height_is_the_inverse_of_depth():
    for height in (0.0, 1400.0, 3999.0, 4001.0, 9e3, 11e3, 39e3, 41e3, 99e3, 105e3):
        assert atmosphere.height(atmosphere.depth(height)) == pytest.approx(height, abs=0.5)


def test_layers_of_the_atmosphere_meet():
    for height in (4e3, 10e3, 40e3, 100e3):
        below, above = atmosphere.depth(height - 1e-6), atmosphere.depth(height + 1e-6)
        assert below == pytest.approx(above, rel=1e-4)


def test_density_is_the_derivative_of_depth():
    for height in (0.0, 2e3, 7e3, 20e3, 60e3, 101e3):
        below, above = atmosphere.depth(height), atmosphere.depth(height + 1.0)
        assert atmosphere.density(height) == pytest.approx(below - above, rel=1e-3)
    # US standard atmosphere, sea level: 1.225 kg/m^3 = 0.1225 g/cm^2 per m.
    assert atmosphere.density(0.0) == pytest.approx(0.1225, rel=0.01)


# ---- particles and decays


def test_decay_lengths_are_light_times_the_published_lifetimes():
    lifetimes = {
        kinds.MUON: 2.1969811e-6, kinds.PION: 2.6033e-8, kinds.KAON: 1.2380e-8,
        kinds.K_LONG: 5.116e-8, kinds.K_SHORT: 8.954e-11, kinds.LAMBDA: 2.632e-10,
    }  # fmt: skip
    for kind, seconds in lifetimes.items():
        assert kinds.DECAY_LENGTH[kind] == pytest.approx(LIGHT * seconds, rel=2e-3)


CHARGE = dict.fromkeys(range(17), 0) | {
    kinds.MUON: 1, kinds.PION: 1, kinds.KAON: 1, kinds.PROTON: 1,
    kinds.SIGMA_PLUS: 1, kinds.SIGMA_MINUS: -1, kinds.XI_MINUS: -1,
}  # fmt: skip


def charge(kind):
    return CHARGE[abs(kind)] * (1 if kind > 0 else -1)


def test_decays_are_whole_and_possible():
    for kind in range(len(kinds.MASS)):
        for channel, cumulative in enumerate(kinds.CUMULATIVE[kind]):
            made = kinds.PRODUCTS[kind, channel][: kinds.N_PRODUCTS[kind, channel]]
            assert kinds.MASS[abs(made)].sum() < kinds.MASS[kind] or not len(made)
            if len(made) and kinds.EM not in made:  # electrons and photons are one kind
                neutrinos = (kinds.NEUTRINO in made) and len(made) == 2
                assert sum(map(charge, made)) == charge(kind) or neutrinos
            assert cumulative <= 1.0 + 1e-12
        assert kinds.CUMULATIVE[kind, -1] == pytest.approx(1.0)


def share_with(kind, product):
    """Part of a kind's decays with a product, antiparticle or not."""
    has = [product in abs(made) for made in kinds.PRODUCTS[kind]]
    return np.dot(has, np.diff(kinds.CUMULATIVE[kind], prepend=0.0))


def test_branching_ratios():
    assert share_with(kinds.PION, kinds.MUON) == 1.0
    assert share_with(kinds.KAON, kinds.MUON) == pytest.approx(0.669, abs=2e-3)
    assert share_with(kinds.K_LONG, kinds.MUON) == pytest.approx(0.270, abs=2e-3)
    assert share_with(kinds.K_SHORT, kinds.PION) == pytest.approx(0.692, abs=2e-3)
    assert share_with(kinds.LAMBDA, kinds.PROTON) == pytest.approx(0.641, abs=2e-3)
    assert share_with(kinds.SIGMA_PLUS, kinds.PROTON) == pytest.approx(0.516, abs=2e-3)
    assert share_with(kinds.ETA, kinds.PION) == pytest.approx(0.273, abs=4e-3)


def test_antiparticles_and_mirrors(rng):
    assert kinds.antiparticle(kinds.PION) == -kinds.PION
    assert kinds.antiparticle(kinds.K_SHORT) == kinds.K_SHORT
    assert kinds.isospin_mirror(-kinds.PROTON, rng) == -kinds.NEUTRON
    assert kinds.isospin_mirror(kinds.PION, rng) == -kinds.PION
    assert kinds.isospin_mirror(-kinds.KAON, rng) in (kinds.K_LONG, kinds.K_SHORT)
    assert kinds.isospin_mirror(kinds.SIGMA_PLUS, rng) == kinds.SIGMA_MINUS
    for kind in (kinds.PION, kinds.NEUTRON, -kinds.XI_ZERO, kinds.LAMBDA, kinds.ETA, -kinds.MUON):
        once = kinds.isospin_mirror(kind, rng)
        assert kinds.isospin_mirror(once, rng) == kind


def four_vector(part, mass):
    energy, direction = part
    return np.array([energy, *(np.sqrt(max(energy**2 - mass**2, 0.0)) * np.array(direction))])


@pytest.mark.parametrize("energy", [0.1396, 0.2, 1.0, 50.0])
def test_two_body_decays_conserve_energy_and_momentum(energy, rng):
    mass, products = kinds.MASS[kinds.PION], (MUON_MASS, 0.0)
    direction = (0.36, -0.48, 0.8)
    for _ in range(20):
        one, two = decays.two_body(energy, mass, direction, products, rng)
        total = four_vector(one, products[0]) + four_vector(two, products[1])
        np.testing.assert_allclose(total, four_vector((energy, direction), mass), atol=1e-6)


def test_energy_of_muons_from_fast_pions_is_flat(rng):
    mass = kinds.MASS[kinds.PION]
    made = [decays.two_body(1e4, mass, (0, 0, 1.0), (MUON_MASS, 0.0), rng) for _ in range(4000)]
    share = np.array([one[0] for one, _ in made]) / 1e4
    r2 = (MUON_MASS / mass) ** 2  # 0.573
    assert kstest(share, "uniform", (r2, 1.0 - r2)).pvalue > 1e-3
    assert (share.min() - r2, 1.0 - share.max()) == pytest.approx((0.0, 0.0), abs=2e-3)


def test_break_up_momenta():
    # Particle Data Group: 29.79 MeV for pi -> mu nu, 235.5 MeV for K -> mu nu, 206 for K0S.
    assert decays.break_up_momentum(0.1395704, MUON_MASS, 0.0) == pytest.approx(0.02979, abs=1e-5)
    assert decays.break_up_momentum(0.493677, MUON_MASS, 0.0) == pytest.approx(0.2355, abs=1e-4)
    pair = decays.break_up_momentum(0.497611, 0.1395704, 0.1395704)
    assert pair == pytest.approx(0.206, abs=5e-4)


def test_phase_space_of_three_massless_products(rng):
    # dN/ds = 2 (1 - s) for s = (pair mass / mass)^2: massless three-body phase space.
    s = np.array([decays.pair_mass(2.0, (0.0, 1e-9, 0.0), rng) for _ in range(3000)]) ** 2 / 4.0
    assert kstest(s, lambda x: 2.0 * x - x**2).pvalue > 1e-3


def test_turned_directions(rng):
    for direction in ((0.0, 0.0, 1.0), (0.0, 0.0, -1.0), (0.6, 0.0, 0.8), (0.36, 0.48, -0.8)):
        for angle in (1e-9, 0.3, 2.0):
            new = decays.turned(direction, np.sin(angle), np.cos(angle), 6.0 * rng.random())
            assert np.hypot(np.hypot(*new[:2]), new[2]) == pytest.approx(1.0)
            away = np.linalg.norm(np.subtract(new, direction))
            assert away == pytest.approx(2.0 * np.sin(angle / 2.0), rel=1e-6)


# ---- losses and scattering


def test_minimum_ionisation_of_muons_in_air():
    loss = np.array([losses.energy_loss(e, MUON_MASS) for e in np.geomspace(0.15, 10.0, 400)])
    assert 1e3 * loss.min() == pytest.approx(1.815, abs=0.003)  # Particle Data Group, dry air
    at = np.geomspace(0.15, 10.0, 400)[np.argmin(loss)]
    assert np.sqrt(at**2 - MUON_MASS**2) == pytest.approx(0.36, abs=0.05)  # its momentum [GeV]


def test_loss_of_fast_particles_saturates_with_the_density_of_electrons():
    """Without the mean excitation energy: the plasma energy of air, 0.707 eV, takes its place
    (Particle Data Group, eq. 34.6)."""
    energy, mass, electron = 1e5, 0.1395704, 0.51099895e-3
    gamma = energy / mass
    most = 2.0 * electron * gamma**2 / (1.0 + 2.0 * gamma * electron / mass)
    expected = 0.307075e-3 * 0.49919 * (0.5 * np.log(2.0 * electron * most / 0.707e-9**2) - 0.5)
    assert losses.energy_loss(energy, mass) == pytest.approx(expected, rel=2e-3)


def test_radiative_losses_are_those_of_muons_alone():
    muon, pion = losses.energy_loss(1e3, MUON_MASS), losses.energy_loss(1e3, 0.1395704)
    assert muon - pion == pytest.approx(2.7e-3, rel=0.05)


def test_scattering_grows_with_the_root_of_the_path_and_falls_with_momentum():
    one = losses.scattering_angle(10.0, MUON_MASS, 37.7)
    assert one == pytest.approx(0.0021, rel=1e-3)
    assert losses.scattering_angle(10.0, MUON_MASS, 4 * 37.7) == pytest.approx(2.0 * one)
    assert losses.scattering_angle(20.0, MUON_MASS, 37.7) == pytest.approx(0.5 * one, rel=1e-3)


def test_interaction_length_of_a_cross_section():
    # 300 mb with nitrogen, about 308 mb with air: 24100 mb g/cm^2 over it.
    assert interaction_length(300.0) == pytest.approx(24144.0 / 308.0, rel=2e-3)


# ---- thinning


def test_thinning_conserves_the_expected_weight(rng):
    drawn = np.array([transport.thinned_weight(2.0, 10.0, rng) for _ in range(20000)])
    assert set(drawn) == {0.0, 10.0}
    assert drawn.mean() == pytest.approx(2.0, abs=5 * 4.0 / np.sqrt(20000))
    assert transport.thinned_weight(12.0, 10.0, rng) == 12.0


def test_weights_aimed_at():
    assert transport.target_weight(50.0, 10.0, 0.5) == 1.0
    assert transport.target_weight(1.0, 100.0, 0.5) == pytest.approx(10.0)


# ---- transport


def setting(**changed):
    plain = muons.Setting(100.0, 1, 0.0, 1e-9, 0.5, (0.0, 0.0, 0.0))
    return plain._replace(**changed)


def propagate(kind, energy, place, direction, given, rng):
    muon = muons.Particle(kind, energy, 1.0, place, direction)
    arrives, end = muons.propagate_muon(muon, given, rng)
    return arrives, end.energy, end.place


def test_fast_straight_muon_is_late_by_geometry(rng):
    """c t = sqrt(h^2 + r^2) - h for a muon made on the axis of a vertical shower at a height h."""
    height, distance = 5000.0, 1000.0
    way = np.hypot(height, distance)
    begin = (0.0, 0.0, 0.0, atmosphere.GROUND + height)
    direction = (distance / way, 0.0, height / way)
    found = propagate(kinds.MUON, 1e6, begin, direction, setting(), rng)
    arrives, _, (delay, x, y, z) = found
    assert arrives
    assert delay == pytest.approx(way - height, abs=0.01)
    assert (x, y, z) == pytest.approx((distance, 0.0, atmosphere.GROUND), abs=0.05)


def test_slow_muon_is_late_and_loses_energy(rng):
    begin, down = (0.0, 0.0, 0.0, atmosphere.GROUND + 3000.0), (0.0, 0.0, 1.0)
    delays = []
    while len(delays) < 40:
        found = propagate(kinds.MUON, 3.0, begin, down, setting(), rng)
        if found[0]:
            delays.append(found[2][0])
            energy = found[1]
    path = atmosphere.depth(atmosphere.GROUND) - atmosphere.depth(begin[3])
    # Dry air at 3 GeV: 2.2 MeV cm^2/g; scattering makes the path a little longer.
    assert 3.0 - energy == pytest.approx(2.25e-3 * path, rel=0.05)
    kinematic = delay_model.kinematic_delay(3000.0, 3.0, energy)
    assert min(delays) > 0.9 * kinematic  # and scattering adds to it
    assert np.mean(delays) < 2.5 * kinematic


def test_muons_decay_in_flight(rng):
    """exp(- integral of m / (c tau p) along the path), with the energy that is left on it."""
    top, n = atmosphere.GROUND + 1e4, 1000
    energy, exponent = 8.0, 0.0
    for h in np.arange(top, atmosphere.GROUND, -100.0):
        exponent += 100.0 * MUON_MASS / (658.6384 * np.sqrt(energy**2 - MUON_MASS**2))
        energy -= losses.energy_loss(energy, MUON_MASS) * 100.0 * atmosphere.density(h - 50.0)
    begin, down = (0.0, 0.0, 0.0, top), (0.0, 0.0, 1.0)
    alive = sum(propagate(kinds.MUON, 8.0, begin, down, setting(), rng)[0] for _ in range(n))
    expected = np.exp(-exponent)
    assert 0.6 < expected < 0.85
    assert alive / n == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / n))


def test_direction_turns_by_the_cross_product():
    direction, field = np.array([0.36, -0.48, 0.8]), np.array([2e-5, -3e-5, 4e-5])
    new = muons.bent(tuple(direction), tuple(field), 2.0, -1.0, 100.0)
    expected = direction - 0.299792458 * 100.0 / 2.0 * np.cross(direction, field)
    np.testing.assert_allclose(new, expected / np.linalg.norm(expected), atol=1e-12)


def test_muons_bend_in_a_magnetic_field(rng):
    """Sagitta L^2 / (2 R) with R = p / 0.3 B: 5 mT, 20 km, 10 TeV: 30 m."""
    begin, down = (0.0, 0.0, 0.0, atmosphere.GROUND + 2e4), (0.0, 0.0, 1.0)
    for kind, sign in ((kinds.MUON, 1.0), (-kinds.MUON, -1.0)):
        bent = setting(field=(5e-3, 0.0, 0.0))
        _, _, state = propagate(kind, 1e4, begin, down, bent, rng)
        # u x B with u along z and B along x points along y.
        expected = sign * 2e4**2 * 0.299792458 * 5e-3 / (2.0 * 1e4)
        assert state[2] == pytest.approx(expected, rel=0.03)


def toy_library():
    """Every hadron makes three pions, +, - and 0, of a third of its energy each, at 0.3 GeV."""
    third = np.float32(kinetic_at(0) / 3.0)
    kind = np.array([kinds.PION, -kinds.PION, kinds.PI_ZERO], dtype=np.int8)
    energy = (kinds.MASS[abs(kind)] + third).astype(np.float32)
    nodes = 41
    many = np.tile(np.arange(nodes + 1), (5, 1)) + (nodes * np.arange(5))[:, None]
    scale = np.tile(np.repeat([kinetic_at(i) / kinetic_at(0) for i in range(nodes)], 3), 5)
    energies = (kinds.MASS[abs(np.tile(kind, 5 * nodes))] + third * scale).astype(np.float32)
    n = 5 * nodes
    assert len(energies) == n * len(energy)
    return Library(
        np.tile(kind, n), energies, np.full(3 * n, 0.1, np.float32), np.zeros(3 * n, np.float32),
        3 * np.arange(n + 1), many, np.full((5, nodes), 90.0), np.full((5, nodes), 80.0),
    )  # fmt: skip


def toy_shower(changed, seed):
    out = transport.Output(
        np.zeros((5000, len(transport.MUON_FIELDS))),
        np.zeros((transport.N_DEPTHS, transport.N_ENERGIES)),
        np.zeros(2),
    )
    transport.run_shower.py_func(toy_library(), changed, np.random.default_rng(seed), out)
    return out.muons[: int(out.counts[0])], out


def test_collisions_scale_with_the_energy_of_the_projectile(rng):
    stack, world = np.zeros((10, 10)), (toy_library(), setting())
    for node, factor in ((10, 1.0), (10, 1.2)):
        kinetic = factor * kinetic_at(node)
        place = (0.0, 0.0, 0.0, 1e4)
        hadron = muons.Particle(
            kinds.PROTON, kinds.MASS[kinds.PROTON] + kinetic, 1.0, place, (0.0, 0.0, 1.0)
        )
        assert transport._collide(hadron, world, rng, stack, 0) == 3
        mass = kinds.MASS[abs(stack[:3, 0].astype(int))]
        np.testing.assert_allclose(stack[:3, 1] - mass, kinetic / 3.0, rtol=1e-5)
        across = np.sqrt(stack[:3, 1] ** 2 - mass**2) * np.hypot(stack[:3, 7], stack[:3, 8])
        np.testing.assert_allclose(across, 0.1, rtol=1e-4)


def test_mirrors_of_projectiles(rng):
    assert transport.projectile(kinds.PION, rng) == (0, False)
    assert transport.projectile(-kinds.PION, rng) == (0, True)
    assert transport.projectile(kinds.NEUTRON, rng) == (1, True)
    assert transport.projectile(-kinds.PROTON, rng) == (4, False)
    assert transport.projectile(-kinds.KAON, rng) == (3, False)
    assert {transport.projectile(kinds.K_LONG, rng) for _ in range(30)} == {(2, True), (3, True)}


def test_vertical_depth_of_collisions_is_the_interaction_length(rng):
    """Half of fast nucleons collide within ln 2 interaction lengths along an inclined way."""
    world, stack = (toy_library(), setting(zenith=1.0)), np.zeros((10, 10))
    axis, depths = muons.axis_of(setting(zenith=1.0)), []
    for _ in range(600):
        begin = muons.Particle(kinds.PROTON, 1e3, 1.0, (0.0, 0.0, 0.0, atmosphere.TOP - 1.0), axis)
        _, collisions = transport._fly(begin, world, rng, stack, 0)
        assert collisions == 1
        depths.append(atmosphere.depth(stack[0, 6]) / axis[2])
    assert kstest(depths, "expon", (0.0, 90.0)).pvalue > 1e-3


def test_thinned_showers_have_the_muons_of_the_full_ones():
    full = [toy_shower(setting(energy=1000.0), i)[0] for i in range(12)]
    thin = [toy_shower(setting(energy=1000.0, threshold=100.0), i)[0] for i in range(60)]
    assert {row[3] for muons in full for row in muons} == {1.0}
    assert max(row[3] for muons in thin for row in muons) > 2.0
    a, b = (np.array([muons[:, 3].sum() for muons in run]) for run in (full, thin))
    error = np.hypot(a.std() / np.sqrt(len(a)), b.std() / np.sqrt(len(b)))
    assert error < 0.2 * a.mean()
    assert a.mean() == pytest.approx(b.mean(), abs=4.0 * error)
    assert np.concatenate(full)[:, 2].min() > 0.0  # nothing comes before the plane


def test_a_third_of_the_energy_turns_electromagnetic_at_the_first_collision():
    _, out = toy_shower(setting(energy=1e4, threshold=1e9, power=0.0), 1)
    total = out.em.sum() / 1e4
    assert 1.0 / 3.0 < total < 1.0


# ---- delays and the table


def test_geometric_delay_is_the_closed_form():
    assert delay_model.geometric_delay(1000.0, 5000.0) == pytest.approx(
        np.hypot(1000.0, 5000.0) - 5000.0
    )
    # c t -> r^2 / 2 z far above.
    assert delay_model.geometric_delay(10.0, 1e6) == pytest.approx(100.0 / 2e6, rel=1e-6)


def test_kinematic_delay_is_the_integral_of_slowness():
    def slowness(way):
        energy = 3.0 - way / 4000.0 * 1.8
        return energy / np.sqrt(energy**2 - MUON_MASS**2) - 1.0

    expected, _ = quad(slowness, 0.0, 4000.0)
    assert delay_model.kinematic_delay(4000.0, 3.0, 1.2) == pytest.approx(expected, rel=1e-6)
    # m^2 L / 2 E_born E for fast muons.
    fast = delay_model.kinematic_delay(4000.0, 30.0, 20.0)
    assert fast == pytest.approx(4000.0 * MUON_MASS**2 / (2.0 * 600.0), rel=1e-3)


def test_model_is_the_sum():
    both = delay_model.model_delay(800.0, 4000.0, 5.0, 3.0)
    path = np.hypot(800.0, 4000.0)
    assert both == pytest.approx(path - 4000.0 + delay_model.kinematic_delay(path, 5.0, 3.0))


def test_pions_of_muons_fly_their_decay_length():
    # A pion of 10 GeV flies 7.8045 m x 10 / 0.13957 on average; its muon has 7.87 GeV on average.
    assert delay_model.pion_flight(7.8653) == pytest.approx(559.2, rel=1e-3)


def test_shifted_lognormal_finds_its_own_numbers(rng):
    z = rng.standard_normal(200_000)
    delay = 201.2 * (summary.ONSET + 1.68 * np.exp(0.79 * z))
    amplitude, sigma, distance = summary.shifted_lognormal(delay, np.ones(len(z)), 201.2)
    assert (amplitude, sigma) == pytest.approx((1.68, 0.79), rel=0.01)
    assert distance < 0.005


def test_weighted_quantiles_are_those_of_repeated_values(rng):
    values, weights = rng.random(300), rng.integers(1, 5, 300)
    found = summary.weighted_quantiles(values, weights.astype(float), (0.1, 0.5, 0.9))
    repeated = np.quantile(np.repeat(values, weights), (0.1, 0.5, 0.9))
    np.testing.assert_allclose(found, repeated, atol=0.01)
    assert np.isnan(summary.weighted_quantiles(values[:0], weights[:0], (0.5,))).all()


def test_sampling_error_is_that_of_a_mean(rng):
    """rms / sqrt(n) of the mean; for two weights, n is (sum w)^2 / sum w^2."""
    delay, weight = rng.gamma(4.0, 30.0, 4000), np.repeat([1.0, 3.0], 2000)
    found = summary.sampling_error({"delay": delay, "weight": weight})
    assert found == pytest.approx(0.5 * np.sqrt(10.0 / 16.0 / 2000.0), rel=0.05)


def test_maximum_of_one_photon_is_greisens():
    """Age 1 at t = ln(E / E_c) radiation lengths, from where the photon is made."""
    em = np.zeros((transport.N_DEPTHS, transport.N_ENERGIES))
    em[10, 60] = 1.0
    energy = 10.0 ** (-1.0 + 0.1 * 60.5)
    expected = 105.0 + 36.62 * np.log(energy / 0.0879)
    assert summary.depth_of_maximum(em) == pytest.approx(expected, abs=6.0)


def test_rings_sides_and_density():
    """Muons spread as r^-4 over the ground have the density at the ring's centre."""
    rng, zenith, centre = np.random.default_rng(1), np.radians(30.0), 1000.0
    u, n = rng.random(200_000), 200_000
    inner, outer = 700.0, 1400.0
    r = (inner**-2 + u * (outer**-2 - inner**-2)) ** -0.5  # dN/dr ~ r^-3
    muons = dict.fromkeys(transport.MUON_FIELDS, rng.gamma(4.0, 30.0, n))
    muons = muons | {
        "distance": r, "azimuth": rng.uniform(-np.pi, np.pi, n), "weight": np.ones(n),
        "production": np.full(n, 5e3), "ground": np.zeros(n),
    }  # fmt: skip
    late = muons | {"delay": muons["delay"] * np.exp(0.12)}
    showers = [summary.Shower(muons, 800.0, 1, 0.0), summary.Shower(late, 900.0, 1, 0.0)]
    # N / (2 pi) = k (r1^-2 - r2^-2) / 2 and density k r^-4 in the plane, cos(zenith) of it below.
    k = n / np.pi / (inner**-2 - outer**-2)
    for side in ("all", "early", "late"):
        row = summary.row_of(showers, centre, zenith, side)
        expected = k * centre**-4 * np.cos(zenith)
        assert row["muons_per_m2_ground"] == pytest.approx(expected, rel=0.02)
        mean = 120.0 * 0.5 * (1.0 + np.exp(0.12)) / 0.299792458
        assert row["mean_ns"] == pytest.approx(mean, rel=0.01)
        assert row["slope_ln_mean_per_100_g_cm2"] == pytest.approx(0.12)
    early = summary.ring_of(showers[0], centre, "early")
    assert np.cos(early["azimuth"]).max() < -0.5
    other = summary.ring_of(showers[0], centre, "late")
    assert np.cos(other["azimuth"]).min() > 0.5


def test_magnetic_field_in_the_frame_of_the_shower():
    assert hadronic_cascade.magnetic_field(21.0, 46.0, 0.0) == pytest.approx((21e-6, 0.0, 46e-6))
    # A shower that flies east has north on its left: minus y where x is ahead and z down.
    east = hadronic_cascade.magnetic_field(21.0, 46.0, np.pi / 2.0)
    assert east == pytest.approx((0.0, -21e-6, 46e-6))


def test_a_table_compares_with_itself(tmp_path, capsys, rng):
    n = 4000
    muons = {name: rng.gamma(4.0, 30.0, n) for name in transport.MUON_FIELDS}
    muons |= {"distance": rng.uniform(400.0, 2400.0, n), "azimuth": rng.uniform(-np.pi, np.pi, n)}
    muons |= {"born_energy": np.full(n, 3.0), "energy": np.full(n, 2.0)}
    late = muons | {"delay": 1.1 * muons["delay"]}
    showers = [summary.Shower(muons, 700.0, 1, 0.0), summary.Shower(late, 800.0, 1, 0.0)]
    rows = list(hadronic_cascade.rows_of_point(showers, (19.0, 30.0, "p", 1)))
    assert len(rows) == 3 * len(summary.RINGS)
    hadronic_cascade.write_table(rows, tmp_path / "table.csv")
    hadronic_cascade.print_point(rows, showers)
    hadronic_cascade.compare(rows, tmp_path / "table.csv")
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("median of the ratios")
    assert last.count("1.000") == 9


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("chromo") is None, reason="needs chromo")
def test_a_small_library_and_a_shower(tmp_path):
    from cascade.library import load_library

    library = load_library(tmp_path / "collisions.npz", 0.005)
    assert (library.length > 30.0).all()
    assert library.length[1, 12] == pytest.approx(88.5, rel=0.05)  # protons of 100 GeV in air
    assert (library.length_inelastic < library.length).all()
    again = load_library(tmp_path / "collisions.npz")
    np.testing.assert_array_equal(again.energy, library.energy)
    changed = setting(energy=1e6, zenith=np.radians(30.0), threshold=1e3, power=0.7)
    out = transport.Output(
        np.zeros((200_000, 8)), np.zeros((transport.N_DEPTHS, transport.N_ENERGIES)), np.zeros(2)
    )
    transport.run_shower(library, changed, np.random.default_rng(1), out)
    muons = out.muons[: int(out.counts[0])]
    # A proton of 10^15 eV has about 10^4 muons.
    assert 2e3 < muons[:, 3].sum() < 5e4
    assert 300.0 < summary.depth_of_maximum(out.em) < 900.0

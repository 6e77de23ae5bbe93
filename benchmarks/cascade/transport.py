"""One shower: hadrons and muons from the top of the atmosphere to the ground, in three dimensions
(coordinates: `muons`).
"""

from typing import NamedTuple

import numba
import numpy as np

from cascade.atmosphere import GROUND, TOP, depth, height
from cascade.decays import pair_mass, turned, two_body
from cascade.library import FIRST_NODE, NODE_STEP, Library, kinetic_at
from cascade.losses import energy_loss
from cascade.muons import (
    LEAST_DOWN,
    Particle,
    Setting,
    along_axis,
    axis_of,
    lag,
    moved,
    propagate_muon,
)
from cascade.particles import (
    CUMULATIVE,
    DECAY_LENGTH,
    EM,
    K_LONG,
    K_SHORT,
    KAON,
    LAMBDA,
    MASS,
    MUON,
    N_PRODUCTS,
    NEUTRINO,
    NEUTRON,
    PI_ZERO,
    PION,
    PRODUCTS,
    PROTON,
    antiparticle,
    is_charged,
    isospin_mirror,
)
from tashower.physics.compiled import formula

#: Hadrons that would collide below this kinetic energy [GeV] are lost, and so are nucleons, which
#: make no pions then: choice.
_LEAST_COLLISION = 0.3
#: Room for particles on the stack, and for the numbers of one.
_STACK, _COLUMNS = 400_000, 10
#: Electromagnetic energy by slant depth (10 g/cm^2) and log10(E/GeV) (0.1, from -1).
DEPTH_STEP, N_DEPTHS, ENERGY_STEP, N_ENERGIES = 10.0, 320, 0.1, 120
#: Muons at the ground: distance to the axis and azimuth about it, delay, weight, places along the
#: axis of production and of the point on the ground (all m), energies [GeV] at both.
MUON_FIELDS = "distance azimuth delay weight production ground born_energy energy".split()


class Output(NamedTuple):
    """What a shower fills.

    muons : [n, 8], `MUON_FIELDS`; em : [depth, log E], GeV; counts : muons written, collisions.
    """

    muons: np.ndarray
    em: np.ndarray
    counts: np.ndarray


@formula
def target_weight(energy, threshold, power):
    """The weight that particles of an energy [GeV] shall have: 1 from `threshold` on."""
    return max((threshold / energy) ** power, 1.0)


@formula
def thinned_weight(weight, target, rng):
    """Weight after Russian roulette: `target` with the chance weight / target, else 0.

    Its expectation is `weight`; weights above the target stay as they are.
    """
    if weight >= target:
        return weight
    return target if rng.random() * target < weight else 0.0


@formula
def projectile(kind, rng):
    """(row of the library, whether its collisions are mirrored in isospin) of a hadron.

    Neutral kaons are half K+ and half K-, mirrored; Lambda is a nucleon, its antiparticle an
    antinucleon.
    """
    size = abs(kind)
    if size == PION:
        return 0, kind < 0
    if size == KAON:
        return (2 if kind > 0 else 3), False
    if size in (K_LONG, K_SHORT):
        return (2 if rng.random() < 0.5 else 3), True
    mirrored = size == NEUTRON or (size == LAMBDA and rng.random() < 0.5)
    return (1 if kind > 0 else 4), mirrored


@formula
def node_of(kinetic, n_nodes, rng):
    """Node of the library for a kinetic energy [GeV], the upper or the lower one by chance."""
    place = (np.log10(kinetic) - FIRST_NODE) / NODE_STEP
    node = int(np.floor(place))
    if rng.random() < place - node:
        node += 1
    return min(max(node, 0), n_nodes - 1)


@formula
def after_path(kind, energy, path):
    """Energy [GeV] after a `path` [g/cm^2]; the mass if the particle stops."""
    mass = MASS[abs(kind)]
    if not is_charged(kind):
        return energy
    return max(energy - energy_loss(energy, mass) * path, mass)


@formula
def _push(stack, n, particle):
    """Put a particle on the stack of `n`; returns n + 1."""
    if n >= len(stack):
        raise ValueError("the stack of particles is full")
    row = stack[n]
    row[0], row[1], row[2] = particle.kind, particle.energy, particle.weight
    row[3], row[4], row[5], row[6] = particle.place
    row[7], row[8], row[9] = particle.direction
    return n + 1


@formula
def _at(row):
    """The particle of a row of the stack."""
    place, direction = (row[3], row[4], row[5], row[6]), (row[7], row[8], row[9])
    return Particle(int(row[0]), row[1], row[2], place, direction)


@formula
def _deposit(em, energy, weight, slant):
    """An electron or photon at a slant depth [g/cm^2]: its energy goes to the histogram."""
    if energy <= 0.1:
        return
    i = min(int(slant / DEPTH_STEP), N_DEPTHS - 1)
    j = min(int((np.log10(energy) + 1.0) / ENERGY_STEP), N_ENERGIES - 1)
    em[i, j] += weight * energy


@formula
def _record_muon(muon, setting, rng, out):
    """Follow a muon from where it is made, and write it down where it reaches the ground."""
    axis = axis_of(setting)
    arrives, end = propagate_muon(muon, setting, rng)
    if not arrives:
        return
    n = int(out.counts[0])
    if n >= len(out.muons):
        raise ValueError("no room for the muons of a shower: thin more")
    delay, x, y, _ = end.place
    across = x * axis[2]
    row = out.muons[n]
    row[0], row[1], row[2], row[3] = np.hypot(across, y), np.arctan2(y, across), delay, end.weight
    row[4], row[5] = along_axis(muon.place, axis), along_axis(end.place, axis)
    row[6], row[7] = muon.energy, end.energy
    out.counts[0] = n + 1


@formula
def _decay(parent, rng, stack, n):
    """Put the products of a decay on the stack."""
    kind, energy, weight, place, direction = parent
    size, mass = abs(kind), MASS[abs(kind)]
    channel, u = 0, rng.random()
    while CUMULATIVE[size, channel] < u:
        channel += 1
    made = PRODUCTS[size, channel]
    first, second, third = MASS[abs(made[0])], MASS[abs(made[1])], MASS[abs(made[2])]
    if N_PRODUCTS[size, channel] == 2:
        one, two = two_body(energy, mass, direction, (first, second), rng)
        three = two
    else:
        pair = pair_mass(mass, (first, second, third), rng)
        one, both = two_body(energy, mass, direction, (first, pair), rng)
        two, three = two_body(both[0], pair, both[1], (second, third), rng)
    parts = (one, two, three)
    for i in range(N_PRODUCTS[size, channel]):
        product = int(antiparticle(made[i])) if kind < 0 else int(made[i])
        if product != NEUTRINO:
            n = _push(stack, n, Particle(product, parts[i][0], weight, place, parts[i][1]))
    return n


@formula
def _collide(hadron, world, rng, stack, n):
    """Put the secondaries of a collision, thinned, on the stack; `world` is (library, setting)."""
    library, setting = world
    kind, energy, weight, place, direction = hadron
    kinetic = energy - MASS[abs(kind)]
    row, mirrored = projectile(kind, rng)
    node = node_of(kinetic, library.cell.shape[1] - 1, rng)
    begin, end = library.cell[row, node], library.cell[row, node + 1]
    event = begin + int(rng.random() * (end - begin))
    ratio = kinetic / kinetic_at(node)
    turn = 2.0 * np.pi * rng.random()
    for i in range(library.first[event], library.first[event + 1]):
        made = int(library.kind[i])
        mass = MASS[abs(made)]
        own = mass + (float(library.energy[i]) - mass) * ratio
        kept = thinned_weight(weight, target_weight(own, setting.threshold, setting.power), rng)
        if kept == 0.0 or own <= mass:
            continue
        if mirrored:
            made = int(isospin_mirror(made, rng))
        px, py = float(library.px[i]), float(library.py[i])
        momentum = np.sqrt(own**2 - mass**2)
        sine = min(np.hypot(px, py) / momentum, 0.999)
        way = turned(direction, sine, np.sqrt(1.0 - sine**2), turn + np.arctan2(py, px))
        n = _push(stack, n, Particle(made, own, kept, place, way))
    return n


@formula
def _is_lost(hadron, decays):
    """Whether a hadron is not followed: too flat, or a nucleon too slow to make pions."""
    size = abs(hadron.kind)
    if size in (PROTON, NEUTRON) and hadron.kind > 0:
        return hadron.energy - MASS[size] < _LEAST_COLLISION or hadron.direction[2] < LEAST_DOWN
    return hadron.direction[2] < LEAST_DOWN and decays > 1.0


@formula
def _fly(hadron, world, rng, stack, n):
    """Fly a hadron to its collision or decay, whichever comes first.

    Returns (number of particles on the stack, number of collisions).
    """
    library, setting = world
    kind, energy, weight, place, direction = hadron
    size, mass = abs(kind), MASS[abs(kind)]
    momentum = np.sqrt(max(energy**2 - mass**2, 0.0))
    decays = rng.standard_exponential() * DECAY_LENGTH[size] * momentum / mass
    if _is_lost(hadron, decays):
        return n, 0
    here, flown = depth(place[3]), decays
    if direction[2] > LEAST_DOWN and size in (PION, KAON, K_LONG, K_SHORT, PROTON, NEUTRON, LAMBDA):
        node = node_of(max(energy - mass, 1e-3), library.length.shape[1], rng)
        free = rng.standard_exponential() * library.length[projectile(kind, rng)[0], node]
        flown = min((place[3] - height(here + free * direction[2])) / direction[2], decays)
    if flown * direction[2] > place[3] - GROUND:
        return n, 0
    place = moved(place, direction, flown, lag(energy, mass, direction, axis_of(setting)))
    if flown > 1.0:
        energy = after_path(kind, energy, (depth(place[3]) - here) / direction[2])
    arrived = Particle(kind, energy, weight, place, direction)
    if flown >= decays:
        return _decay(arrived, rng, stack, n), 0
    annihilates = kind < 0 and size in (PROTON, NEUTRON)
    if energy - mass < _LEAST_COLLISION and not (annihilates and energy > mass):
        return n, 0
    return _collide(arrived, world, rng, stack, n), 1


@numba.njit
def run_shower(library: Library, setting: Setting, rng, out: Output) -> None:
    """Fill `out` with one shower."""
    out.em[:] = 0.0
    out.counts[:] = 0
    axis = axis_of(setting)
    stack = np.empty((_STACK, _COLUMNS))
    away = (TOP - GROUND) / axis[2]
    begin = (0.0, -away * axis[0], 0.0, TOP - 1e-3)
    n = 0
    for i in range(setting.n_nucleons):
        kind = PROTON if i % 2 == 0 else NEUTRON
        n = _push(stack, n, Particle(kind, setting.energy, 1.0, begin, axis))
    world = (library, setting)
    while n > 0:
        n -= 1
        particle = _at(stack[n])
        if abs(particle.kind) == MUON:
            _record_muon(particle, setting, rng, out)
        elif particle.kind in (EM, PI_ZERO):
            share = rng.random() if particle.kind == PI_ZERO else 0.0
            slant = depth(particle.place[3]) / axis[2]
            _deposit(out.em, particle.energy * share, particle.weight, slant)
            _deposit(out.em, particle.energy * (1.0 - share), particle.weight, slant)
        else:
            n, collisions = _fly(particle, world, rng, stack, n)
            out.counts[1] += collisions

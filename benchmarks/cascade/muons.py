"""A particle's way through the air, and a muon's to the ground.

Coordinates: x, y [m] and height [m]; a direction is (x, y, down). The shower's axis points along
(sin zenith, 0, cos zenith) through the core, which is the origin on the ground. The front is the
plane through the particles that would keep to the axis at the speed of light; a particle's delay
grows along a path L by L (1/beta - direction . axis), a sum without large differences.
"""

from typing import NamedTuple

import numpy as np

from cascade.atmosphere import GROUND, density, depth
from cascade.decays import turned
from cascade.losses import energy_loss, scattering_angle
from cascade.particles import DECAY_LENGTH, MASS, MUON
from tashower.physics.compiled import formula

#: Particles flatter than this cosine to the vertical are lost: choice.
LEAST_DOWN = 0.05
#: Muons below this kinetic energy [GeV] at the ground do not cross a station: choice.
LEAST_MUON = 0.010
#: A muon's step: at most this part of its energy, this depth [g/cm^2], this length [m] (choices).
_STEP_LOSS, _STEP_DEPTH, _STEP_LENGTH = 0.05, 25.0, 1500.0


class Setting(NamedTuple):
    """What a shower is and how it is thinned.

    energy [GeV] of each of `n_nucleons` protons and neutrons, zenith [rad]; below the energy
    `threshold` [GeV] particles are kept so that their weights are about (threshold / E)^power;
    field: magnetic field (x, y, down) [T], on muons alone.
    """

    energy: float
    n_nucleons: int
    zenith: float
    threshold: float
    power: float
    field: tuple[float, float, float]


class Particle(NamedTuple):
    """Kind (`particles`), total energy [GeV], weight, place and direction of a particle.

    place : (delay, x, y, height) [m].
    """

    kind: int
    energy: float
    weight: float
    place: tuple[float, float, float, float]
    direction: tuple[float, float, float]


@formula
def axis_of(setting):
    """Direction of the shower's axis."""
    return np.sin(setting.zenith), 0.0, np.cos(setting.zenith)


@formula
def along_axis(place, axis):
    """Place along the axis [m], from the core upwards."""
    return (place[3] - GROUND) * axis[2] - place[1] * axis[0] - place[2] * axis[1]


@formula
def lag(energy, mass, direction, axis):
    """1/beta - direction . axis, for small angles and masses without loss of digits."""
    ratio2 = min((mass / energy) ** 2, 1.0 - 1e-12)
    beta = np.sqrt(1.0 - ratio2)
    away2 = (
        (direction[0] - axis[0]) ** 2
        + (direction[1] - axis[1]) ** 2
        + (direction[2] - axis[2]) ** 2
    )
    return ratio2 / (beta * (1.0 + beta)) + 0.5 * away2


@formula
def moved(place, direction, length, lag_per_length):
    """Place after a straight path [m]."""
    delay, x, y, height = place
    return (
        delay + length * lag_per_length,
        x + length * direction[0],
        y + length * direction[1],
        height - length * direction[2],
    )


@formula
def bent(direction, field, momentum, charge, length):
    """Direction after a short path in a magnetic field: 0.3 B [T] L [m] / p [GeV] radians."""
    turn = charge * 0.299792458 * length / momentum
    x, y, z = direction
    bx, by, bz = field
    new_x, new_y = x + turn * (y * bz - z * by), y + turn * (z * bx - x * bz)
    new_z = z + turn * (x * by - y * bx)
    norm = np.sqrt(new_x**2 + new_y**2 + new_z**2)
    return new_x / norm, new_y / norm, new_z / norm


@formula
def propagate_muon(muon, setting, rng):
    """A muon to the ground, with losses, scattering and decay.

    Returns (whether it arrives with more than `LEAST_MUON`, the muon there).
    """
    kind, energy, weight, place, direction = muon
    axis, field = axis_of(setting), setting.field
    mass, charge = MASS[MUON], 1.0 if kind > 0 else -1.0
    bends = field[0] != 0.0 or field[1] != 0.0 or field[2] != 0.0
    life = rng.standard_exponential() * DECAY_LENGTH[MUON]
    while direction[2] > LEAST_DOWN and energy > mass + LEAST_MUON:
        left = (place[3] - GROUND) / direction[2]
        if left <= 1e-6:
            return True, Particle(kind, energy, weight, place, direction)
        loss = energy_loss(energy, mass)
        path = min(_STEP_DEPTH, _STEP_LOSS * energy / loss)
        length = min(path / density(place[3]), _STEP_LENGTH, left)
        path = (depth(place[3] - length * direction[2]) - depth(place[3])) / direction[2]
        after = energy - path * loss
        if after <= mass:
            break
        middle = 0.5 * (energy + after)
        momentum = np.sqrt(middle**2 - mass**2)
        life -= length * mass / momentum
        if life < 0.0:
            break
        place = moved(place, direction, 0.5 * length, lag(middle, mass, direction, axis))
        if bends:
            direction = bent(direction, field, momentum, charge, length)
        # Both projected angles are normal, so the angle in space is Rayleigh distributed.
        angle = scattering_angle(middle, mass, path) * np.sqrt(rng.standard_exponential())
        angle = min(angle, 1.0)
        turn = 2.0 * np.pi * rng.random()
        direction = turned(direction, np.sin(angle), np.cos(angle), turn)
        if direction[2] < LEAST_DOWN:
            break
        rest = min(0.5 * length, (place[3] - GROUND) / direction[2])
        place = moved(place, direction, rest, lag(middle, mass, direction, axis))
        energy = after
    return False, Particle(kind, energy, weight, place, direction)

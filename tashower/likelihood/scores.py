"""The score of a station: the derivative of ln of its likelihood by what it depends on.

A station depends on the shower through seven quantities (`QUANTITIES`). With its particles and the
onset of its front known, the score is a closed form: normal onset, Poisson numbers, delays that are
log-normal or gamma-distributed. The local fluctuation, with which the onset is normal around that
of the shower, is what makes it one: the first of particles with gamma-distributed delays of shape 2
has, as a function of the onset alone, no finite Fisher information, since their density begins with
a slope. Compiled.
"""

import math

import numpy as np

from tashower.likelihood.known import N_NODES, Known, log_terms, place_of, station_of, sums_at_onset
from tashower.physics.compiled import compiled
from tashower.simulation.delays import MUON_SHAPE
from tashower.simulation.light import front_at, numbers_at, shower_of
from tashower.simulation.record import fine_edges
from tashower.simulation.recorded import Particles
from tashower.simulation.stations import Setup

#: Onset of the front [ns], ln of the rms of its local fluctuation, ln of the mean numbers of muons
#: and electromagnetic particles, ln of the scale and of the sigma of the muons' delays, ln of the
#: scale of the others'.
QUANTITIES = (
    *("front", "log_shift_rms", "log_muons", "log_electrons"),
    *("log_muon_scale", "log_muon_sigma", "log_electron_scale"),
)
N_QUANTITIES = len(QUANTITIES)


@compiled
def _quantities(rows, t0, position, setup, found):
    for i in range(len(rows)):
        shower = shower_of(rows[i], t0[i])
        for s in range(found.shape[1]):
            place = place_of(position, s, shower)
            numbers = numbers_at(shower, place, setup)
            front = front_at(shower, place, numbers, setup)
            q = found[i, s]
            q[0], q[1] = front.time, math.log(front.shift_rms)
            q[2], q[3] = math.log(numbers[0]), math.log(numbers[1])
            q[4], q[6] = math.log(front.muons.scale), math.log(front.electrons.scale)
            q[5] = math.log(front.muons.sigma) if front.muons.sigma > 0.0 else 0.0


def station_quantities(
    rows: np.ndarray, t0: np.ndarray, position: np.ndarray, setup: Setup
) -> np.ndarray:
    """(n, k, 7) `QUANTITIES` of n showers (rows of `light.shower_of`) at k positions [m]."""
    found = np.empty((len(rows), len(position), N_QUANTITIES))
    _quantities(rows, np.ascontiguousarray(t0, dtype=float), position, setup, found)
    return found


def joint_information(
    quantities: np.ndarray, electron_shape: int, gamma: bool, clock: float = 0.0
) -> np.ndarray:
    """(..., 7) Fisher information of a station whose onset and particles are known, diagonal; of a
    station without a particle nothing is known of the onset.

    gamma : muons have gamma-distributed delays; clock : rms error [ns], the onset is known as the
        clock has it
    """
    local, muons, electrons = (np.exp(quantities[..., k]) for k in (1, 2, 3))
    rms = np.hypot(local, clock)
    sigma = np.exp(quantities[..., 5])
    some = -np.expm1(-muons - electrons)
    of_scale = MUON_SHAPE * muons if gamma else muons / sigma**2
    return np.stack(
        [
            some / rms**2,
            2.0 * some * (local / rms) ** 4,
            muons,
            electrons,
            of_scale,
            0.0 * muons if gamma else 2.0 * muons,
            electron_shape * electrons,
        ],
        axis=-1,
    )


@compiled
def _score_of(shift, rms, number, sums, total, station, target):
    """The joint score of a station with particles without the mean numbers.

    sums, total : as of `known.log_of_delays`, at the true onset; station : (scale and sigma of
        muons, scale and shape of the others)
    """
    m, sigma, s, shape = station
    x = shift / rms
    target[0], target[1] = x / rms, x * x - 1.0
    target[2], target[3] = number[0], number[1]
    if sigma > 0.0:
        log_m = math.log(m)
        off = sums[0] - number[0] * log_m
        square = sums[1] - 2.0 * log_m * sums[0] + number[0] * log_m * log_m
        target[4] = off / (sigma * sigma)
        target[5] = square / (sigma * sigma) - number[0]
    else:
        target[4], target[5] = total[0] / m - MUON_SHAPE * number[0], 0.0
    target[6] = total[1] / s - shape * number[1]


@compiled
def _joint(particles, edges, settings, found):
    shape, clock = settings
    sums, number, total = np.zeros(3), np.zeros(2), np.zeros(2)
    for j in range(len(particles.width)):
        sums_at_onset(particles, edges, j, number, sums, total)
        station = particles.scale[j, 0], particles.sigma[j], particles.scale[j, 1], shape
        rms = math.hypot(particles.shift_rms[j], clock)
        _score_of(particles.shift[j], rms, number, sums, total, station, found[j])
        # Of the rms only the local part is the shower's.
        found[j, 1] *= (particles.shift_rms[j] / rms) ** 2


def joint_scores(particles: Particles, electron_shape: int, clock: float = 0.0) -> np.ndarray:
    """(n, 7) scores of stations with particles, of everything that is drawn in them: onset and
    particles.

    clock : rms [ns] of a clock's error that is in `Particles.shift`, too
    """
    found = np.zeros((len(particles.width), N_QUANTITIES))
    _joint(particles, fine_edges(), (electron_shape, float(clock)), found)
    found[:, 2:4] -= particles.expected
    return found


@compiled
def _known(particles, known, shape, found):
    value, one = np.zeros(N_NODES), np.zeros(N_QUANTITIES)
    total = np.zeros(2)
    for j in range(len(particles.width)):
        station = particles.scale[j, 0], particles.sigma[j], particles.scale[j, 1], shape
        rms = math.hypot(particles.shift_rms[j], known.clock)
        scales = particles.scale[j, 0], particles.scale[j, 1]
        of_delays = station_of(scales, particles.sigma[j], shape)
        log_terms(known, j, (particles.front[j], rms), of_delays, value)
        largest, norm = value.max(), 0.0
        for i in range(N_NODES):
            weight = math.exp(value[i] - largest)
            norm += weight
            y = known.before[j, i]
            for kind in range(2):
                total[kind] = known.late[j, kind] + known.number[j, kind] * y
            shift = known.time[j, i] - particles.front[j]
            _score_of(shift, rms, known.number[j], known.sums[j, i], total, station, one)
            for k in range(N_QUANTITIES):
                found[j, k] += weight * one[k]
        for k in range(N_QUANTITIES):
            found[j, k] /= norm
        found[j, 1] *= (particles.shift_rms[j] / rms) ** 2


def particle_scores(particles: Particles, known: Known, electron_shape: int) -> np.ndarray:
    """(n, 7) scores of stations whose particles are known, and not the onset: the mean of the joint
    score over what the onset may be, exactly (Fisher's identity).
    """
    found = np.zeros((len(particles.width), N_QUANTITIES))
    _known(particles, known, electron_shape, found)
    found[:, 2:4] -= particles.expected
    return found

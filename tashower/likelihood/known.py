"""How likely a shower is where every particle is known: time and kind of each, in every station.

Nothing is learned here: it is the likelihood of the simulation itself. In a station the onset of
the front has a time T, normal around that of the shower with the rms of the local fluctuation and
of the clock; the numbers of muons and electromagnetic particles are Poisson, and their delays after
T independent:

    L = P(n_mu) P(n_e) int dT N(T; front, rms) prod_i f_mu(t_i - T) prod_k f_e(t_k - T)

f_mu is log-normal (or gamma of shape 2), f_e gamma; the product needs of the particles only sums of
ln(t_i - T), of its square, and of t_i - T, which are kept for some T. So an integral costs as much
as a few dozen exponentials, however many particles there are. Compiled.
"""

import math
from typing import NamedTuple

import numpy as np

from tashower.physics.compiled import compiled, inner
from tashower.physics.geometry import axis_distance
from tashower.simulation.delays import MUON_SHAPE
from tashower.simulation.light import CLOSEST, front_at, numbers_at, shower_of
from tashower.simulation.record import fine_edges
from tashower.simulation.recorded import Particles

#: Onsets T at which the sums are kept; before that, places that are tried for where T may be, and
#: their first and last, before the first particle in units of the thickness (choices).
N_NODES, _N_TRIED = 36, 90
_TRIED = (0.002, 40.0)
#: T is taken as possible where ln of the integrand is less than this below its largest value, for
#: an integrand so many times as wide as it is, and a front that other showers move by so much [ns]
#: (choices); where only a few places are possible, others are tried between them, so often at most.
_POSSIBLE, _WIDER, _MOVED, _ZOOMS = 20.0, 2.0, 5.0, 8
#: Nodes that are so far below the largest count for nothing: less than 36 exp(-32) = 5e-13.
_NOTHING = 32.0


class Known(NamedTuple):
    """What a likelihood needs of the particles in n stations."""

    number: np.ndarray  #: (n, 2) of muons, electromagnetic particles
    late: np.ndarray  #: (n, 2) sum of times after the first particle of any kind [ns]
    time: np.ndarray  #: (n, N_NODES) T [ns]
    before: np.ndarray  #: (n, N_NODES) ... before the first particle [ns]
    log_weight: np.ndarray  #: (n, N_NODES) ln of the weights of the integral [ns]
    #: (n, N_NODES, 3) sums at T: of ln(delay/ns) of muons, of its square, and of ln(delay/ns) of
    #: electromagnetic particles
    sums: np.ndarray
    clock: float  #: rms error of a station's clock [ns]


@inner
def _middles(particles, edges, j, kind, delays, numbers):
    """Delays after the first particle of any kind, in bins, and their numbers; returns how many
    bins there are. The first of the kind is where it is.
    """
    width, first = particles.width[j], particles.first[j]
    earliest = min(first[0], first[1])
    n = 0
    left_out = 1
    for k in range(particles.count.shape[2]):
        number = particles.count[j, kind, k]
        if number == 0:
            continue
        end = edges[k + 1] if k + 1 < len(edges) - 1 else 1.02 * edges[k]
        if left_out:
            delays[n], numbers[n] = first[kind] - earliest, 1.0
            left_out, number = 0, number - 1
            n += 1
            if number == 0:
                continue
        middle = max(0.5 * (edges[k] + end) * width, first[kind])
        delays[n], numbers[n] = middle - earliest, number
        n += 1
    return n


@inner
def station_of(scales, sigma, shape):
    """(1/scale, ln scale, 1/sigma^2, or 0, ln sigma of muons; 1/scale, ln scale, shape of the
    others).
    """
    m, s = scales
    square, log_sigma = (1.0 / (sigma * sigma), math.log(sigma)) if sigma > 0.0 else (0.0, 0.0)
    return 1.0 / m, math.log(m), square, log_sigma, 1.0 / s, math.log(s), shape


@inner
def _of_delays(sums, total, number, station):
    """ln of the product of the densities of all delays.

    sums : (of ln delay of muons, of its square, of ln delay of the others)
    total : (sum of the delays of muons, of the others) [ns]
    number : (2,) particles; station : from `station_of`
    """
    per_m, log_m, per_square, log_sigma, per_s, log_s, shape = station
    if per_square > 0.0:
        square = sums[1] - 2.0 * log_m * sums[0] + number[0] * log_m * log_m
        value = -sums[0] - number[0] * log_sigma - 0.5 * square * per_square
    else:
        value = (MUON_SHAPE - 1) * sums[0] - MUON_SHAPE * number[0] * log_m - total[0] * per_m
    return value + (shape - 1) * sums[2] - shape * number[1] * log_s - total[1] * per_s


@inner
def _sums_at(before, delays, numbers, n, target):
    target[0] = target[1] = target[2] = 0.0
    for kind in range(2):
        for k in range(n[kind]):
            log_delay = math.log(delays[kind, k] + before)
            weighted = numbers[kind, k] * log_delay
            if kind == 0:
                target[0] += weighted
                target[1] += weighted * log_delay
            else:
                target[2] += weighted


@compiled
def sums_at_onset(particles, edges, j, number, sums, total):
    """Numbers of particles (2,), sums (3,) as of `Known.sums`, and sums of the delays [ns] (2,) of
    station j at the true onset: overwritten.
    """
    n_bins = particles.count.shape[2] + 1
    delays, numbers = np.zeros((2, n_bins)), np.zeros((2, n_bins))
    n = (
        _middles(particles, edges, j, 0, delays[0], numbers[0]),
        _middles(particles, edges, j, 1, delays[1], numbers[1]),
    )
    earliest = min(particles.first[j, 0], particles.first[j, 1])
    _sums_at(earliest, delays, numbers, n, sums)
    for kind in range(2):
        number[kind] = total[kind] = 0.0
        for k in range(n[kind]):
            number[kind] += numbers[kind, k]
            total[kind] += numbers[kind, k] * (delays[kind, k] + earliest)


@compiled
def _fill(particles, edges, shape, known):
    """All but `Known.clock`."""
    n_bins = particles.count.shape[2] + 1
    delays, numbers = np.zeros((2, n_bins)), np.zeros((2, n_bins))
    tried, value, sums = np.zeros(_N_TRIED), np.zeros(_N_TRIED), np.zeros(3)
    for j in range(len(particles.width)):
        width, sigma = particles.width[j], particles.sigma[j]
        n = (
            _middles(particles, edges, j, 0, delays[0], numbers[0]),
            _middles(particles, edges, j, 1, delays[1], numbers[1]),
        )
        for kind in range(2):
            for k in range(n[kind]):
                known.number[j, kind] += numbers[kind, k]
                known.late[j, kind] += numbers[kind, k] * delays[kind, k]
        number, late = known.number[j], known.late[j]
        station = station_of((particles.scale[j, 0], particles.scale[j, 1]), sigma, shape)
        onset = particles.front[j] + particles.shift[j]
        first = onset + min(particles.first[j, 0], particles.first[j, 1])
        rms = math.hypot(_WIDER * math.hypot(particles.shift_rms[j], known.clock), _MOVED)
        begin, end = width * _TRIED[0], width * _TRIED[1]
        for _ in range(_ZOOMS):
            step = math.log(end / begin) / (_N_TRIED - 1)
            for i in range(_N_TRIED):
                y = begin * math.exp(step * i)
                _sums_at(y, delays, numbers, n, sums)
                total = late[0] + number[0] * y, late[1] + number[1] * y
                off = (first - y - particles.front[j]) / rms
                of_delays = _of_delays(sums, total, number, station) / (_WIDER * _WIDER)
                tried[i], value[i] = y, of_delays - 0.5 * off * off + math.log(y)
            best = np.argmax(value)
            low = high = best
            while low > 0 and value[low] > value[best] - _POSSIBLE:
                low -= 1
            while high < _N_TRIED - 1 and value[high] > value[best] - _POSSIBLE:
                high += 1
            begin, end = tried[low], tried[high]
            if high - low > _N_TRIED // 3:
                break
        ratio = math.log(tried[high] / tried[low]) / (N_NODES - 1)
        for i in range(N_NODES):
            y = tried[low] * math.exp(ratio * i)
            known.before[j, i], known.time[j, i] = y, first - y
            known.log_weight[j, i] = math.log(y * ratio)
            _sums_at(y, delays, numbers, n, known.sums[j, i])


def known_particles(particles: Particles, electron_shape: int, clock: float = 0.0) -> Known:
    """`Known` of what was recorded: times of particles to a bin of the record, the first of each
    kind exactly. clock : rms [ns] of a clock's error that is in `Particles.shift`, too

    What the record knows beside the particles, when the front really came, chooses the nodes alone.
    """
    n = len(particles.station)
    known = Known(
        *np.zeros((2, n, 2)), *np.zeros((3, n, N_NODES)), np.zeros((n, N_NODES, 3)), float(clock)
    )
    _fill(particles, fine_edges(), electron_shape, known)
    return known


@inner
def _term(known, j, i, front, station):
    """ln of the integrand, times its weight, at node i of station j; front : (time, 1/rms of the
    onset) [1/ns]; station : from `station_of`.
    """
    number, late, y = known.number[j], known.late[j], known.before[j, i]
    delays = late[0] + number[0] * y, late[1] + number[1] * y
    off = (known.time[j, i] - front[0]) * front[1]
    value = known.log_weight[j, i] - 0.5 * off * off
    return value + _of_delays(known.sums[j, i], delays, number, station)


@inner
def log_terms(known, j, front, station, value):
    """ln of the integrand, times its weight, at the nodes of station j; front : (time, rms of the
    onset) [ns]; station : from `station_of`; value : (N_NODES,), overwritten.
    """
    per_rms = 1.0 / front[1]
    for i in range(N_NODES):
        value[i] = _term(known, j, i, (front[0], per_rms), station)


@inner
def log_of_station(known, j, front, value):
    """ln of the likelihood of the particles of station j without exp(-mean numbers), up to a
    constant; front : `light.Front` of the shower there; value : (N_NODES,), overwritten.
    """
    muons, electrons = front.muons, front.electrons
    number, rms = known.number[j], math.hypot(front.shift_rms, known.clock)
    station = station_of((muons.scale, electrons.scale), muons.sigma, electrons.shape)
    log_terms(known, j, (front.time, rms), station, value)
    largest, total = -np.inf, 0.0
    for i in range(N_NODES):
        largest = max(largest, value[i])
    for i in range(N_NODES):
        if value[i] > largest - _NOTHING:
            total += math.exp(value[i] - largest)
    result = largest + math.log(total / rms)
    if number[0] > 0.0:
        result += number[0] * math.log(muons.mean_number)
    if number[1] > 0.0:
        result += number[1] * math.log(electrons.mean_number)
    return result


@inner
def place_of(position, s, shower):
    """(dx, dy, dz, r) of station s, as of `light.put_shower`."""
    dx, dy, dz = position[s, 0] - shower.core_x, position[s, 1] - shower.core_y, position[s, 2]
    r = axis_distance(dx, dy, dz, shower.n_x, shower.n_y, shower.n_z)
    return dx, dy, dz, max(r, CLOSEST)


@compiled
def log_likelihoods(rows, t0, stations, known, setup, result):
    """ln of the likelihood of showers of one event, up to a constant of the event.

    rows : (m, 14) of `light.shower_of`; t0 : (m,) [ns]
    stations : ((k,) stations that are looked at, (k,) their row in `known`, -1 without a particle)
    known : `Known`; setup : `simulation.stations.Setup`; result : (m,), overwritten
    """
    position, value = setup.stations.position, np.empty(N_NODES)
    for i in range(len(rows)):
        shower = shower_of(rows[i], t0[i])
        result[i] = 0.0
        for k in range(len(stations[0])):
            place = place_of(position, stations[0][k], shower)
            numbers = numbers_at(shower, place, setup)
            result[i] -= numbers[0] + numbers[1]
            if stations[1][k] >= 0:
                front = front_at(shower, place, numbers, setup)
                result[i] += log_of_station(known, stations[1][k], front, value)

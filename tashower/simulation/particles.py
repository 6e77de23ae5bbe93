"""What reaches a station: muons and electromagnetic particles, their number, arrival and energy
loss.

All signals are in VEM per layer, all times in ns. docs/simulation.md lists what is published and
what is a choice.
"""

import math
from typing import NamedTuple

import numpy as np

from tashower.config import FrontConfig
from tashower.physics.compiled import formula, inner
from tashower.physics.description import Description
from tashower.physics.early_late import muon_share_at
from tashower.physics.lateral import log_lateral_distribution
from tashower.physics.shower_front import TELESCOPE_ARRAY_FRONT, front_delay, thickness_shape
from tashower.simulation.random_numbers import (
    EXPONENTIAL_TABLE,
    MOYAL_TABLE,
    NORMAL_TABLE,
    early_erlang,
    erlang,
    late_erlang,
    next_bits,
    poisson,
    quick,
)

#: Width of the Moyal distribution of a muon's energy loss in units of its most probable loss. Model
#: choice: a full width at half maximum of about 0.3, as thin scintillators show.
MUON_LOSS_WIDTH = 0.09
#: Mean loss of a vertical muon over its most probable loss: 1 + width x mean of the Moyal
#: distribution.
MUON_MEAN_LOSS = 1.0 + MUON_LOSS_WIDTH * (np.euler_gamma + math.log(2.0))
#: Mean loss of an electromagnetic particle in a layer that it reaches [VEM], exponentially
#: distributed. Model choice.
ELECTRON_LOSS = 0.6
#: Probability that an electromagnetic particle is seen in both layers; else in one of them, either
#: with equal probability.
ELECTRON_BOTH_LAYERS = 0.6
#: Mean electromagnetic loss per particle and layer [VEM].
ELECTRON_MEAN_LOSS = ELECTRON_LOSS * (1.0 + ELECTRON_BOTH_LAYERS) / 2.0
#: Photoelectrons per VEM and layer: 9 per MeV, 2.05 MeV per VEM (Abu-Zayyad et al. 2012,
#: doi:10.1016/j.nima.2012.05.079).
PHOTOELECTRONS_PER_VEM = 18.5
#: Relative spread of the light that a particle gives, by where it crosses the station (same
#: source).
LIGHT_SPREAD = 0.07
#: Shape of the gamma distribution of muon delays.
MUON_SHAPE = 2
#: Power of the signal density in the local fluctuation of the front (as in the Telescope Array's
#: timing error, Ivanov 2012).
LOCAL_POWER = -0.3
#: S800 [VEM/m^2] that the onset of the front refers to: a proton of 10 EeV at 30 degrees.
ONSET_S800 = 27.0
#: More particles of a kind than this are drawn per bin instead of one by one.
MOST_INDIVIDUAL = 150.0
#: ... and where a bin expects more than this their sum is drawn from its exact moments.
MOST_INDIVIDUAL_IN_BIN = 10.0
_ROWS = 10_000  # integrals whose nodes are in memory at once
_DELAY_REFERENCE = 1000.0  # distance at which the configuration gives the mean delays [m]


class ParticleDelays(NamedTuple):
    """Numbers of the simulated front that the compiled loops need, per unit of (1 + r/30 m)^1.5."""

    electron_scale: float  #: [ns]
    electron_shape: int
    muon_scale: float  #: [ns]
    onset: float  #: [ns]
    local: float  #: [ns]


def particle_delays(front: FrontConfig) -> ParticleDelays:
    """`ParticleDelays` of the configuration's section `front`: scale = mean delay at 1 km / (shape
    (1 + 1000/30)^1.5).
    """
    unit = thickness_shape(_DELAY_REFERENCE)
    return ParticleDelays(
        electron_scale=front.electron_delay_ns / (front.electron_shape * unit),
        electron_shape=int(front.electron_shape),
        muon_scale=front.muon_delay_ns / (MUON_SHAPE * unit),
        onset=float(front.onset_ns),
        local=float(front.local_ns),
    )


@formula
def mean_numbers(signal, share, zenith_cosine):
    """Mean numbers (muons, electromagnetic particles) in a station for a mean signal [VEM per
    layer] and a local muon share.

    A muon loses sec z times the vertical loss on average: the flat station is cos z smaller for it.
    """
    return signal * share * zenith_cosine / MUON_MEAN_LOSS, signal * (
        1.0 - share
    ) / ELECTRON_MEAN_LOSS


@formula
def gamma_polynomial(x, shape):
    """sum_k x^k/k! for k < shape (whole number)."""
    term = 1.0
    total = 1.0
    for k in range(1, shape):
        term = term * x / k
        total = total + term
    return total


@formula
def gamma_survival(x, shape):
    """Probability that a gamma variate of whole-number shape and scale 1 exceeds x >= 0: exp(-x)
    sum_k x^k/k!, k < shape.
    """
    return np.exp(-x) * gamma_polynomial(x, shape)


def mean_first_arrival(
    n_muons: float,
    muon_scale: float,
    n_electrons: float,
    electron_scale: float,
    electron_shape: float,
) -> np.ndarray:
    """Mean time [ns] of the first particle after the onset, when there is one at all.

    Integral of exp(-N F(t)) over t, with N F(t) the mean number that came before t (Poisson numbers
    of both kinds).
    For many particles of one kind with shape 2: s sqrt(2) Gamma(3/2)/sqrt(n).

    Parameters
    ----------
    n_muons, n_electrons : mean numbers, any equal shape
    muon_scale, electron_scale : scales of the gamma distributions [ns], the same shape
    electron_shape : whole number
    """
    columns = (n_muons, muon_scale, n_electrons, electron_scale)
    if n_muons.size > _ROWS:
        parts = (np.array_split(c.ravel(), -(-n_muons.size // _ROWS)) for c in columns)
        found = [mean_first_arrival(*part, electron_shape) for part in zip(*parts, strict=True)]
        return np.concatenate(found).reshape(n_muons.shape)
    longest = 12.0 * np.maximum(muon_scale, electron_scale)
    nodes, weights = np.polynomial.legendre.leggauss(40)
    # Nodes crowd at early times (t ~ u^3), where the first of many particles comes.
    u = 0.5 * (nodes + 1.0)
    t = longest[..., None] * u**3
    jacobian = longest[..., None] * 3.0 * u**2 * 0.5 * weights
    came = n_muons[..., None] * (1.0 - gamma_survival(t / muon_scale[..., None], MUON_SHAPE))
    came = came + n_electrons[..., None] * (
        1.0 - gamma_survival(t / electron_scale[..., None], electron_shape)
    )
    none = np.exp(-(n_muons + n_electrons))[..., None]
    return ((np.exp(-came) - none) * jacobian).sum(axis=-1) / (1.0 - none[..., 0])


def mean_leading_edge_curvature(
    delays: ParticleDelays, shower: object, description: Description, r: float = 1000.0
) -> np.ndarray:
    """The a [ns] with which `front_delay` gives the mean leading edge of a shower at distance r
    [m].

    a = (onset + <first arrival>) / (`front_delay` of the given form for a = 1), shape of the
    showers' arrays. Early-late effects average out.

    Parameters
    ----------
    shower : anything with s_ref [VEM/m^2], slope, muon_share, front_scale and zenith [rad]
    description : lateral distribution, fitted front, area of a station
    """
    width = thickness_shape(r) * np.asarray(shower.front_scale, dtype=float)
    log_ldf = log_lateral_distribution(r, shower.slope, description.lateral)
    n_muons, n_electrons = mean_numbers(
        description.area * shower.s_ref * np.exp(log_ldf),
        muon_share_at(r, shower.muon_share),
        np.cos(shower.zenith),
    )
    first = mean_first_arrival(
        n_muons,
        delays.muon_scale * width,
        n_electrons,
        delays.electron_scale * width,
        delays.electron_shape,
    )
    onset_scale = delays.onset * shower.front_scale * np.sqrt(ONSET_S800 / shower.s_ref)
    onset = front_delay(r, log_ldf, onset_scale, TELESCOPE_ARRAY_FRONT)
    return (onset + first) / front_delay(r, log_ldf, 1.0, description.front)


# The loop over particles runs in single precision; probabilities are in units of 2^-16.
_ZERO, _ONE, _LEAST_LOSS, _LOSS_WIDTH, _ELECTRON_LOSS, _PER_PHOTOELECTRON, _SPREAD_SQUARE = (
    np.array(
        [
            0.0,
            1.0,
            0.1,
            MUON_LOSS_WIDTH,
            ELECTRON_LOSS,
            1.0 / PHOTOELECTRONS_PER_VEM,
            LIGHT_SPREAD**2,
        ],
        np.float32,
    )
)
_ONLY_LOWER = np.uint64(round(2**15 * (1.0 - ELECTRON_BOTH_LAYERS)))
_NOT_ONLY_UPPER = np.uint64(2**16) - _ONLY_LOWER


@formula
def light_spread(loss):
    """Rms of the light of an energy loss [VEM]: photoelectron statistics, and where the particle
    crosses the station.
    """
    return np.sqrt(loss * (_PER_PHOTOELECTRON + _SPREAD_SQUARE * loss))


@inner(fastmath=True)
def _put(impulse, position, upper, lower):
    """Share a deposit between the two bins around its position [bins], so that the pulse shape
    moves with it.
    """
    k = int(position)
    if k < 0 or k + 1 >= impulse.shape[1]:
        return
    late = np.float32(position - k)
    upper_late, lower_late = upper * late, lower * late
    impulse[0, k] += upper - upper_late
    impulse[0, k + 1] += upper_late
    impulse[1, k] += lower - lower_late
    impulse[1, k + 1] += lower_late


@inner(fastmath=True)
def put_muon(state, impulse, position, secant):
    """A muon, which crosses both layers, each with its own Landau-like loss; position in bins,
    secant: sec z, float32.
    """
    bits = next_bits(state)
    upper = secant * max(_ONE + _LOSS_WIDTH * quick(MOYAL_TABLE, bits, 0), _LEAST_LOSS)
    lower = secant * max(_ONE + _LOSS_WIDTH * quick(MOYAL_TABLE, bits, 2), _LEAST_LOSS)
    upper += quick(NORMAL_TABLE, bits, 1) * light_spread(upper)
    lower += quick(NORMAL_TABLE, bits, 3) * light_spread(lower)
    _put(impulse, position, max(upper, _ZERO), max(lower, _ZERO))


@inner(fastmath=True)
def put_electron(state, impulse, position):
    """An electromagnetic particle, seen in both layers with the same loss, or in one of them;
    position in bins.
    """
    bits = next_bits(state)
    loss = _ELECTRON_LOSS * quick(EXPONENTIAL_TABLE, bits, 0)
    spread = light_spread(loss)
    which = bits >> np.uint64(48)
    # Both are computed and one is dropped: a branch would be guessed wrong for every third
    # particle.
    upper = max(loss + quick(NORMAL_TABLE, bits, 1) * spread, _ZERO)
    lower = max(loss + quick(NORMAL_TABLE, bits, 2) * spread, _ZERO)
    _put(
        impulse,
        position,
        upper if which >= _ONLY_LOWER else _ZERO,
        lower if which < _NOT_ONLY_UPPER else _ZERO,
    )


# Exact moments of the light of one particle: variance of a muon's vertical loss; mean square and
# mean product of the two layers for an electromagnetic particle.
_MUON_LOSS_VARIANCE = MUON_LOSS_WIDTH**2 * math.pi**2 / 2.0
_ELECTRON_SQUARE = (
    2.0 * ELECTRON_LOSS**2 * (1.0 + ELECTRON_BOTH_LAYERS) / 2.0 * (1.0 + LIGHT_SPREAD**2)
    + ELECTRON_MEAN_LOSS / PHOTOELECTRONS_PER_VEM
)
_ELECTRON_PRODUCT = 2.0 * ELECTRON_LOSS**2 * ELECTRON_BOTH_LAYERS


@formula
def light_moments(secant):
    """(mean, mean square, mean product of the layers) of the light of one muon [VEM]; secant 0:
    electromagnetic particle.
    """
    if secant > 0.0:
        mean = secant * MUON_MEAN_LOSS
        spread = secant * secant * _MUON_LOSS_VARIANCE
        light = mean / PHOTOELECTRONS_PER_VEM + LIGHT_SPREAD**2 * (mean * mean + spread)
        return mean, mean * mean + spread + light, mean * mean
    return ELECTRON_MEAN_LOSS, _ELECTRON_SQUARE, _ELECTRON_PRODUCT


@inner
def _put_many(state, impulse, k, expected, mean, common, own):
    """Light of a Poisson number of particles with mean `expected` in bin k: normal with the exact
    compound moments.

    Var = expected <x^2>, Cov of the layers = expected <x y>; common = sqrt<x y>, own = sqrt(<x^2> -
    <x y>).
    """
    root = math.sqrt(expected)
    bits = next_bits(state)
    shared = expected * mean + root * common * quick(NORMAL_TABLE, bits, 0)
    for layer in range(2):
        # Half a bin late on average: shared between the bin and the next.
        light = 0.5 * max(shared + root * own * quick(NORMAL_TABLE, bits, 1 + layer), 0.0)
        impulse[layer, k] += light
        impulse[layer, k + 1] += light


@inner
def draw_number(state, mean_number):
    """Poisson number of particles of one kind; -1 where they are so many that they are drawn per
    bin.
    """
    return poisson(state, mean_number) if mean_number < MOST_INDIVIDUAL else -1


@inner
def _put_particle(state, impulse, position, secant):
    if secant > 0.0:
        put_muon(state, impulse, position, np.float32(secant))
    else:
        put_electron(state, impulse, position)


class Component(NamedTuple):
    """Particles of one kind in a station."""

    mean_number: float
    scale: float  #: of the gamma distribution of their delay [ns]
    shape: int
    secant: float  #: sec z for muons, 0 for electromagnetic particles


@inner(inline=False)
def put_component(state, impulse, bin_width, start, number, component):
    """All particles of one kind in a station.

    Few are drawn one by one. Of many, those that come in bins that expect more than
    `MOST_INDIVIDUAL_IN_BIN` are drawn per bin, those before (the leading edge) and after one by
    one: the numbers of the three parts are independent Poisson variates.

    Parameters
    ----------
    impulse : (2, n) float, light per layer and bin [VEM], added to
    start : onset [ns] after the first bin's start
    number : of particles, from `draw_number`
    component : `Component`
    """
    mean_number, scale, shape, secant = component
    onset, step = start / bin_width, scale / bin_width
    if number < 0:
        number = _put_dense_part(state, impulse, onset, step, mean_number, shape, secant)
    for _ in range(number):
        _put_particle(state, impulse, onset + step * erlang(state, shape), secant)


@inner(inline=False)
def _put_dense_part(state, impulse, onset, step, mean_number, shape, secant):
    """Everything, when there are bins that expect many particles; returns the number that is left
    to be drawn.

    onset, step : start and scale of the delays [bins]
    """
    bins = 1.0 / step
    k = int(onset)
    x = (k + 1 - onset) * bins  # end of bin k in units of the scale
    fall, fall_per_bin = math.exp(-x), math.exp(-bins)
    above, still = 1.0, fall * gamma_polynomial(x, shape)
    while mean_number * (above - still) <= MOST_INDIVIDUAL_IN_BIN:
        if x > shape or k + 2 >= impulse.shape[1]:
            return poisson(state, mean_number)  # past the maximum
        k += 1
        x += bins
        fall *= fall_per_bin
        above, still = still, fall * gamma_polynomial(x, shape)
    end = x - bins
    for _ in range(poisson(state, mean_number * (1.0 - above))):
        _put_particle(state, impulse, onset + step * early_erlang(state, shape, end), secant)
    mean, square, product = light_moments(secant)
    common, own = math.sqrt(product), math.sqrt(square - product)
    while mean_number * (above - still) > MOST_INDIVIDUAL_IN_BIN:
        _put_many(state, impulse, k, mean_number * (above - still), mean, common, own)
        if k + 2 >= impulse.shape[1]:
            return 0
        k += 1
        x += bins
        fall *= fall_per_bin
        above, still = still, fall * gamma_polynomial(x, shape)
    for _ in range(poisson(state, mean_number * above)):
        _put_particle(state, impulse, onset + step * late_erlang(state, shape, x - bins), secant)
    return 0

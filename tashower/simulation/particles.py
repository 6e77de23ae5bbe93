"""What reaches a station: muons and electromagnetic particles, their number and energy loss; when
they come is in `delays`.

All signals are in VEM per layer, all times in ns. docs/simulation.md lists what is published and
what is a choice.
"""

import math

import numpy as np

from tashower.physics.compiled import formula, inner
from tashower.simulation.random_numbers import (
    EXPONENTIAL_TABLE,
    MOYAL_TABLE,
    NORMAL_TABLE,
    next_bits,
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


@inner
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


@inner
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


@inner
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
def put_particle(state, impulse, position, secant):
    """A muon (sec z), or an electromagnetic particle (0); position in bins."""
    if secant > 0.0:
        put_muon(state, impulse, position, np.float32(secant))
    else:
        put_electron(state, impulse, position)

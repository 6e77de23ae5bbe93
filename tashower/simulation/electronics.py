"""From light to counts: pulse shape, digitiser, noise, and the three trigger levels.

Telescope Array surface detector (Abu-Zayyad et al. 2012, NIM A 689, 87,
doi:10.1016/j.nima.2012.05.079), with the values that the experiment's own detector simulation uses.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from tashower.physics.compiled import inner
from tashower.simulation.random_numbers import NORMAL_TABLE, draw_uniforms, next_bits, quick

#: Pulse of one muon in bins of 20 ns, unit area.
PULSE = np.array(
    [0.090, 0.201, 0.236, 0.196, 0.135, 0.079, 0.038, 0.013, 0.004, 0.0015, 0.0008, 0.0004]
)
PULSE = PULSE / PULSE.sum()
PULSE_BIN_WIDTH = 20.0  #: [ns]
#: Integrated counts per VEM and layer: 19.2 per MeV, 2.05 MeV per VEM.
COUNTS_PER_VEM = 39.4
#: Relative rms of the gain from station to station (it is monitored).
GAIN_SPREAD = 0.10
#: Pedestal [counts per bin], its rms from station to station, and noise [counts rms per bin].
PEDESTAL = 6.0
PEDESTAL_SPREAD = 0.3
NOISE = 0.75
#: Counts per bin up to which the chain is linear; beyond, an excess D becomes D exp(-D/12,000), as
#: in the experiment's own detector simulation (0.05 D/600); and the largest count of 12 bits. The
#: excess counts up to where its response is largest: the amplifier does not fall again.
LINEAR_COUNTS = np.float32(2000.0)
COMPRESSION_COUNTS = np.float32(600.0 / 0.05)
LARGEST_COUNT = 4095
# In the precision in which the loop over bins runs.
_ZERO, _HALF, _LARGEST = np.float32(0.0), np.float32(0.5), np.float32(LARGEST_COUNT)
#: Level 0: sum of 8 bins above the pedestal [counts], in both layers. Level 1: the same for 128
#: bins (3 MIP).
LEVEL_0_BINS = 8
LEVEL_0_COUNTS = 15.0
LEVEL_1_COUNTS = 150.0
#: Bins of a window before the level-0 crossing.
BINS_BEFORE = 30
#: Level 2: coincidence of neighbours, and read-out around it [ns].
LEVEL_2_COINCIDENCE = 8_000.0
READOUT = 32_000.0

#: Bins of light are looked at in blocks of so many.
BLOCK = 32
_NOISE_VALUES = 1 << 18
_NOISE_SEED = 1


class Electronics(NamedTuple):
    """What the compiled loops need of the chain from light to counts."""

    pulse: np.ndarray  #: (k,) float32, pulse of one muon in bins, unit area; k is a multiple of 4
    noise: np.ndarray  #: (262144,) float32, noise [counts]


def pulse_shape(bin_width: float, longer: float = 1.0) -> np.ndarray:
    """The pulse of one muon, unit area, in bins of `bin_width` [ns]: the published one, its
    integral interpolated; longer : factor by which it is stretched in time.
    """
    edges = np.arange(len(PULSE) + 1) * PULSE_BIN_WIDTH * longer
    n = int(np.ceil(edges[-1] / bin_width))
    integral = np.interp(
        np.arange(n + 1) * bin_width, edges, np.concatenate([[0.0], np.cumsum(PULSE)])
    )
    return np.diff(integral).astype(np.float32)


@cache
def electronics(bin_width: float, longer: float = 1.0, noisier: float = 1.0) -> Electronics:
    """`Electronics` for bins of `bin_width` [ns], with pulses and noise that are `longer` and
    `noisier` times those of the detector.

    A layer's noise is a stretch of `Electronics.noise` that begins at a random place: 262,144
    quantiles of the normal distribution of rms `NOISE`, shuffled. Bins of one layer are
    independent; two layers share noise only where their stretches happen to overlap (once in about
    700 pairs), with a random lag.
    """
    pulse = pulse_shape(bin_width, longer)
    quantiles = ndtri((np.arange(_NOISE_VALUES) + 0.5) / _NOISE_VALUES)
    order = np.argsort(draw_uniforms(np.uint64(_NOISE_SEED), 0, _NOISE_VALUES, 1)[:, 0])
    return Electronics(
        np.pad(pulse, (0, -len(pulse) % 4)), (NOISE * noisier * quantiles[order]).astype(np.float32)
    )


@inner
def light_of(impulse):
    """(sum of the upper layer, of the lower, bin after the last light) of an impulse (2, n), n a
    multiple of `BLOCK`.
    """
    upper, lower = impulse[0], impulse[1]
    sum_upper = sum_lower = np.float32(0.0)
    end = 0
    for begin in range(0, len(upper), BLOCK):
        block_upper = block_lower = np.float32(0.0)
        for i in range(BLOCK):
            block_upper += upper[begin + i]
            block_lower += lower[begin + i]
        if block_upper + block_lower > 0.0:
            end = begin + BLOCK
        sum_upper += block_upper
        sum_lower += block_lower
    return sum_upper, sum_lower, end


@inner
def shape_pulses(impulse, end, pulse, trace):
    """trace = impulse convolved with the pulse, overwritten up to the length n of the impulse.

    Shapes (2, n), (k,), (2, at least n); k is a multiple of 4, the first three bins of the impulse
    are empty, and so are those from `end` on. Four taps at a time: every value is loaded from
    memory a quarter as often.
    """
    n = impulse.shape[1]
    for layer in range(2):
        trace[layer, :n] = 0.0
        light = impulse[layer]
        for j in range(0, len(pulse), 4):
            w0, w1, w2, w3 = pulse[j], pulse[j + 1], pulse[j + 2], pulse[j + 3]
            target = trace[layer, j + 3 : min(end + j + 3, n)]
            for i in range(len(target)):
                target[i] += (
                    w3 * light[i] + w2 * light[i + 1] + w1 * light[i + 2] + w0 * light[i + 3]
                )


@inner
def respond(counts):
    """What the digitiser makes of a noise-free number of counts above 0: linear, compressed,
    clipped.
    """
    excess = min(counts - LINEAR_COUNTS, COMPRESSION_COUNTS)
    if excess > _ZERO:
        counts = LINEAR_COUNTS + excess * np.exp(-excess / COMPRESSION_COUNTS)
    return np.int32(min(max(counts, _ZERO), _LARGEST) + _HALF)


@inner
def digitise(state, trace, first, gain, pedestal, noise, counts):
    """Counts of the bins from `first` on: pedestal + gain x light + noise, digitised.

    trace : (2, n) light [VEM]; counts : (2, m) int32, overwritten; bin i of counts is bin first + i
        of trace, which must reach
    that far; gain, pedestal : (2,); noise : `Electronics.noise`
    """
    n_bins = counts.shape[1]
    places = np.uint64(len(noise) - n_bins)
    bits = next_bits(state)
    for layer in range(2):
        place = np.int64(
            ((bits >> np.uint64(32 * layer)) & np.uint64(0xFFFFFFFF)) * places >> np.uint64(32)
        )
        stretch, light, target = (
            noise[place : place + n_bins],
            trace[layer, first : first + n_bins],
            counts[layer],
        )
        scale, level = np.float32(gain[layer]), np.float32(pedestal[layer])
        for i in range(n_bins):
            linear = level + stretch[i] + scale * light[i]
            target[i] = np.int32(min(max(linear, _ZERO), _LARGEST) + _HALF)
        highest = np.int32(0)
        for i in range(n_bins):
            highest = max(highest, target[i])
        if highest > LINEAR_COUNTS:  # seldom; apart, so that the loops above stay simple
            for i in range(n_bins):
                target[i] = respond(level + stretch[i] + scale * light[i])


@inner
def level_0_bin(counts, pedestal):
    """First bin at which the sum of the last 8 bins is above the pedestal by the level-0 threshold
    in both layers; -1: none.

    counts : (2, n) int32, as `digitise` leaves them
    """
    threshold_upper = LEVEL_0_COUNTS + LEVEL_0_BINS * pedestal[0]
    threshold_lower = LEVEL_0_COUNTS + LEVEL_0_BINS * pedestal[1]
    upper = lower = 0
    for i in range(counts.shape[1]):
        upper += counts[0, i]
        lower += counts[1, i]
        if i >= LEVEL_0_BINS:
            upper -= counts[0, i - LEVEL_0_BINS]
            lower -= counts[1, i - LEVEL_0_BINS]
        if upper > threshold_upper and lower > threshold_lower:
            return i
    return -1


@inner
def passes_level_1(counts, begin, n_bins, pedestal):
    """The window of n_bins from `begin` on is above the pedestal by the level-1 threshold in both
    layers; counts (2, n).
    """
    upper, lower = counts[0, begin : begin + n_bins], counts[1, begin : begin + n_bins]
    sum_upper = sum_lower = 0
    for i in range(n_bins):
        sum_upper += upper[i]
        sum_lower += lower[i]
    return (
        sum_upper > LEVEL_1_COUNTS + n_bins * pedestal[0]
        and sum_lower > LEVEL_1_COUNTS + n_bins * pedestal[1]
    )


@inner(inline=False)
def level_2_time(n_hits, station, time, level_1, neighbours, slot):
    """Time [ns] of the first station that fires level 2 with two of its edge neighbours, pairwise
    within 8 us; NaN: none.

    station, time, level_1 : of the hits (first n_hits entries count); neighbours : (n_stations, k)
        index or -1;
    slot : (n_stations,) int32 work space filled with -1, returned so
    """
    for i in range(n_hits):
        slot[station[i]] = i
    found = np.nan
    for i in range(n_hits):
        if not level_1[i] or time[i] >= found:
            continue
        for a in range(neighbours.shape[1]):
            j = slot[neighbours[station[i], a]] if neighbours[station[i], a] >= 0 else -1
            if j < 0 or not level_1[j] or abs(time[j] - time[i]) > LEVEL_2_COINCIDENCE:
                continue
            for b in range(a):
                k = slot[neighbours[station[i], b]] if neighbours[station[i], b] >= 0 else -1
                if k < 0 or not level_1[k]:
                    continue
                if (
                    abs(time[k] - time[i]) <= LEVEL_2_COINCIDENCE
                    and abs(time[k] - time[j]) <= LEVEL_2_COINCIDENCE
                ):
                    found = time[i]
    for i in range(n_hits):
        slot[station[i]] = -1
    return found


@inner
def draw_station_state(state, monitored_gain, shift, calibration_spread, gain):
    """True gain of a station's layers in one event: the monitored one times an unknown error, of
    which a part, `shift`, is that of all stations; `gain` (2,) is overwritten.
    """
    bits = next_bits(state)
    for layer in range(2):
        gain[layer] = monitored_gain[layer] * max(
            1.0 + shift + calibration_spread * quick(NORMAL_TABLE, bits, layer), 0.3
        )

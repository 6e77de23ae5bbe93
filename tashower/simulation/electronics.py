"""From light to counts: pulse shape, digitiser, noise, and the three trigger levels.

Telescope Array surface detector (Abu-Zayyad et al. 2012, NIM A 689, 87, doi:10.1016/j.nima.2012.05.079), with the values that
the experiment's own detector simulation uses.
"""

import numpy as np

from tashower.physics.compiled import compiled
from tashower.simulation.random_numbers import NORMAL_TABLE, next_bits, normal

#: Pulse of one muon in bins of 20 ns, unit area.
PULSE = np.array([0.090, 0.201, 0.236, 0.196, 0.135, 0.079, 0.038, 0.013, 0.004, 0.0015, 0.0008, 0.0004])
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
#: Counts per bin up to which the chain is linear; above, the slope; and the largest count of 12 bits.
LINEAR_COUNTS = 2000.0
COMPRESSED_SLOPE = 0.5
LARGEST_COUNT = 4095
#: Level 0: sum of 8 bins above the pedestal [counts], in both layers. Level 1: the same for 128 bins (3 MIP).
LEVEL_0_BINS = 8
LEVEL_0_COUNTS = 15.0
LEVEL_1_COUNTS = 150.0
#: Bins of a window before the level-0 crossing.
BINS_BEFORE = 30
#: Level 2: coincidence of neighbours, and read-out around it [ns].
LEVEL_2_COINCIDENCE = 8_000.0
READOUT = 32_000.0

_NOISE_TABLE = (NOISE * NORMAL_TABLE).astype(np.float32)


def pulse_shape(bin_width: float) -> np.ndarray:
    """The pulse of one muon, unit area, in bins of `bin_width` [ns]: the published one, its integral interpolated."""
    edges = np.arange(len(PULSE) + 1) * PULSE_BIN_WIDTH
    n = int(np.ceil(edges[-1] / bin_width))
    integral = np.interp(np.arange(n + 1) * bin_width, edges, np.concatenate([[0.0], np.cumsum(PULSE)]))
    return np.diff(integral).astype(np.float32)


@compiled(fastmath=True)
def shape_pulses(impulse, pulse, trace):
    """trace = impulse convolved with the pulse; shapes (2, n), (k,), (2, n); trace is overwritten."""
    n = impulse.shape[1]
    trace[:] = 0.0
    for layer in range(2):
        begin, end = 0, n
        while end > 0 and impulse[layer, end - 1] == 0.0:
            end -= 1
        while begin < end and impulse[layer, begin] == 0.0:
            begin += 1
        for j in range(len(pulse)):
            weight, last = pulse[j], min(end, n - j)
            source, target = impulse[layer, begin:last], trace[layer, begin + j :]
            for i in range(last - begin):
                target[i] += source[i] * weight


@compiled
def respond(counts):
    """What the digitiser makes of a noise-free number of counts above 0: linear, compressed, clipped."""
    if counts > LINEAR_COUNTS:
        counts = LINEAR_COUNTS + COMPRESSED_SLOPE * (counts - LINEAR_COUNTS)
    return min(max(int(counts + 0.5), 0), LARGEST_COUNT)


@compiled
def digitise(state, trace, first, gain, pedestal, counts):
    """Counts of the bins from `first` on: pedestal + gain x light + noise, digitised.

    trace : (2, n) light [VEM]; counts : (m, 2) int32, overwritten; bin i of counts is bin first + i of trace, which is empty
    outside of its range; gain, pedestal : (2,)
    """
    bits = next_bits(state)
    left = 5
    for i in range(counts.shape[0]):
        k = first + i
        inside = 0 <= k < trace.shape[1]
        for layer in range(2):
            if left == 0:
                bits = next_bits(state)
                left = 5
            noise = _NOISE_TABLE[bits & np.uint64(4095)]
            bits >>= np.uint64(12)
            left -= 1
            light = trace[layer, k] if inside else 0.0
            counts[i, layer] = respond(pedestal[layer] + noise + gain[layer] * light)


@compiled
def level_0_bin(counts, pedestal):
    """First bin at which the sum of the last 8 bins is above the pedestal by the level-0 threshold in both layers; -1: none."""
    upper = lower = 0.0
    for i in range(counts.shape[0]):
        upper += counts[i, 0] - pedestal[0]
        lower += counts[i, 1] - pedestal[1]
        if i >= LEVEL_0_BINS:
            upper -= counts[i - LEVEL_0_BINS, 0] - pedestal[0]
            lower -= counts[i - LEVEL_0_BINS, 1] - pedestal[1]
        if upper > LEVEL_0_COUNTS and lower > LEVEL_0_COUNTS:
            return i
    return -1


@compiled
def passes_level_1(counts, pedestal):
    """The whole window is above the pedestal by the level-1 threshold in both layers."""
    upper = lower = 0.0
    for i in range(counts.shape[0]):
        upper += counts[i, 0] - pedestal[0]
        lower += counts[i, 1] - pedestal[1]
    return upper > LEVEL_1_COUNTS and lower > LEVEL_1_COUNTS


@compiled
def level_2_time(n_hits, station, time, level_1, neighbours, slot):
    """Time [ns] of the first station that fires level 2 with two of its edge neighbours, pairwise within 8 us; NaN: none.

    station, time, level_1 : of the hits (first n_hits entries count); neighbours : (n_stations, k) index or -1;
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
                if abs(time[k] - time[i]) <= LEVEL_2_COINCIDENCE and abs(time[k] - time[j]) <= LEVEL_2_COINCIDENCE:
                    found = time[i]
    for i in range(n_hits):
        slot[station[i]] = -1
    return found


@compiled
def draw_station_state(state, monitored_gain, monitored_pedestal, calibration_spread, gain):
    """True gain of a station's layers in one event: the monitored one times an unknown error; `gain` (2,) is overwritten."""
    for layer in range(2):
        gain[layer] = monitored_gain[layer] * max(1.0 + calibration_spread * normal(state), 0.3)

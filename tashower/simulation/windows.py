"""The windows that a station reads out of its light: level 0, further windows, background among the
light. Compiled.
"""

import math
from typing import NamedTuple

import numpy as np

from tashower.physics.compiled import inner
from tashower.simulation.electronics import (
    BINS_BEFORE,
    BLOCK,
    LEVEL_0_BINS,
    digitise,
    level_0_bin,
    light_of,
    passes_level_1,
    shape_pulses,
)
from tashower.simulation.particles import put_muon
from tashower.simulation.random_numbers import uniform
from tashower.simulation.record import Record

#: Bins digitised beyond the window, so that the crossing can be found with noise; and those before
#: the noise-free crossing.
SPARE_BINS = 48
LEAD_BINS = 36
#: A late pulse is of three vertical muons on average (Linsley 1985, Proc. 19th ICRC 7, HE 4.7-13)
#: and comes at these times after the light begins [ns] (choice: within the first window; Linsley:
#: 1.5 r/c), where the light itself is as large (choice: no hit is of a late pulse alone).
LATE_MUONS, LATE = 3.0, (500.0, 1500.0)
_PROBABLE_COUNTS = (
    10.0  # noise-free 8-bin sum below which level 0 (15 counts) is out of the noise's reach
)


class Work(NamedTuple):
    """Arrays that are used again and again."""

    impulse: np.ndarray  #: (2, n) float32, light before the pulse shape; n of `light_bins`
    trace: np.ndarray  #: (2, n + w + 48) float32, light after it; empty from n on
    counts: np.ndarray  #: (2, w + 48) int32; w: bins of a window
    slot: np.ndarray  #: (n_stations,) int32, -1
    level_1: np.ndarray  #: (n_stations,) bool
    time: np.ndarray  #: (n_stations,) time of the level-0 crossing of each hit
    gain: np.ndarray  #: (2,) true gain of a station's layers
    record: Record | None = None  #: of what reached the stations; None: none is kept


def light_bins(n_bins: int) -> int:
    """Bins of light that waveforms of n_bins are read from: the lead before the first light, the
    waveform, and the time by which it may begin late.
    """
    return -(-(LEAD_BINS + n_bins + 128) // BLOCK) * BLOCK


def background_bins(n_bins: int, window: int) -> int:
    """Bins in which a background particle may come, see `add_background`."""
    return window - BINS_BEFORE + light_bins(n_bins) - LEAD_BINS


def work_space(n_stations: int, n_bins: int, window: int) -> Work:
    """Arrays for `simulate_block`, one set per thread.

    n_bins : of a waveform; window : bins that are read out at once
    """
    n_light = light_bins(n_bins)
    return Work(
        impulse=np.zeros((2, n_light), np.float32),
        trace=np.zeros((2, n_light + window + SPARE_BINS), np.float32),
        counts=np.zeros((2, window + SPARE_BINS), np.int32),
        slot=np.full(n_stations, -1, np.int32),
        level_1=np.zeros(n_stations, bool),
        time=np.zeros(n_stations),
        gain=np.zeros(2),
    )


@inner
def _next_probable_bin(trace, least, begin, end):
    """First bin of [begin, end) at which the light of 8 bins exceeds `least` (2,) [VEM] in both
    layers; -1: none.

    Bins before `begin` count as empty.
    """
    upper = lower = np.float32(0.0)
    for k in range(begin, min(begin + LEVEL_0_BINS, end)):
        upper += trace[0, k]
        lower += trace[1, k]
        if upper > least[0] and lower > least[1]:
            return k
    for k in range(begin + LEVEL_0_BINS, end):
        upper += trace[0, k] - trace[0, k - LEVEL_0_BINS]
        lower += trace[1, k] - trace[1, k - LEVEL_0_BINS]
        if upper > least[0] and lower > least[1]:
            return k
    return -1


@inner(inline=False)
def add_background(state, work, window):
    """A muon of the background among the light of a station; returns the number of bins by which
    the light was moved later.

    It comes at any time at which its window holds the beginning of the shower: before that it would
    make a hit of its own, which the Telescope Array's analysis tells from the shower's by its time.
    """
    impulse = work.impulse
    n_light = impulse.shape[1]
    before = window - BINS_BEFORE
    place = uniform(state) * (before + n_light - LEAD_BINS) - before
    moved = np.int64(math.ceil(max(-place, 0.0)))
    for layer in range(2):
        for i in range(n_light - 1, LEAD_BINS + moved - 1, -1):
            impulse[layer, i] = impulse[layer, i - moved]
        impulse[layer, LEAD_BINS : LEAD_BINS + moved] = 0.0
    put_muon(state, impulse, LEAD_BINS + moved + place, np.float32(1.0))
    return moved


@inner(inline=False)
def put_late_pulse(state, impulse, bin_width):
    """`LATE_MUONS` muons together among the light of a station, `LATE` after its beginning, where
    that light is of at least as many; beyond the end of the light there are none.
    """
    upper, lower, _ = light_of(impulse)
    if upper + lower < 2.0 * LATE_MUONS:
        return
    place = LEAD_BINS + (LATE[0] + (LATE[1] - LATE[0]) * uniform(state)) / bin_width
    if place < impulse.shape[1] - 1:
        put_muon(state, impulse, place, np.float32(LATE_MUONS))


@inner(inline=False)
def _next_window(state, work, setup, station, begin, end):
    """Digitise the next window with a level-0 crossing that begins at bin `begin` of the light or
    later; returns (where it begins, where it begins in work.counts); -1: there is none.

    station : (pedestal of the layers, noise-free light that is enough to look for a crossing); end
        : bin behind the last light
    """
    window = setup.conditions.window
    pedestal, least = station
    probable = _next_probable_bin(work.trace, least, max(begin, LEAD_BINS), end)
    while probable >= 0:
        first = max(probable - LEAD_BINS, begin)
        digitise(
            state, work.trace, first, work.gain, pedestal, setup.electronics.noise, work.counts
        )
        crossing = level_0_bin(work.counts, pedestal)
        at = max(crossing - BINS_BEFORE, 0)
        if crossing >= 0 and at + window <= work.counts.shape[1]:
            return first + at, at
        probable = _next_probable_bin(work.trace, least, probable + LEVEL_0_BINS, end)
    return -1, 0


@inner
def _put_window(counts, at, waveform, place):
    """Copy the window from bin `at` of the counts on to bin `place` of a waveform, as far as it
    reaches.
    """
    n = min(counts.shape[1] - SPARE_BINS, waveform.shape[0] - place)
    if waveform.shape[1] == 2:
        upper, lower = counts[0, at : at + n], counts[1, at : at + n]
        for i in range(n):
            waveform[place + i, 0] = upper[i]
            waveform[place + i, 1] = lower[i]
    else:
        for i in range(n):
            waveform[place + i, 0] = counts[0, at + i]


@inner
def read_station(state, s, setup, work, waveform):
    """Digitise the light of station s; returns (bin of the light at which the first window begins,
    it passes level 1); a bin below -999: no level 0.

    A further window begins where the light crosses level 0 again, 30 bins before that or where the
    one before it ends, as in the experiment's own detector simulation. What lies between stands in
    the waveform as the pedestal.

    work.gain : (2,) true gain of the layers
    waveform : (n_bins, layers) uint16, overwritten when there is a level 0
    """
    gain, pedestal = work.gain, setup.stations.pedestal[s]
    if (
        waveform.shape[1] == 1
    ):  # the second layer repeats the first, so that it never stands in the way of a trigger
        for i in range(work.impulse.shape[1]):
            work.impulse[1, i] = work.impulse[0, i]
        gain[1] = gain[0]
    least = (np.float32(_PROBABLE_COUNTS / gain[0]), np.float32(_PROBABLE_COUNTS / gain[1]))
    upper, lower, end = light_of(work.impulse)
    if upper <= least[0] or lower <= least[1]:
        return -1000, False
    shape_pulses(work.impulse, end, setup.electronics.pulse, work.trace)
    # Where the last light has left the sum of 8 bins.
    end = min(end + len(setup.electronics.pulse) + LEVEL_0_BINS, work.impulse.shape[1])
    station = (pedestal, least)
    begin, at = _next_window(state, work, setup, station, 0, end)
    if begin < 0:
        return -1000, False
    n_bins, window = waveform.shape[0], setup.conditions.window
    level_1 = passes_level_1(work.counts, at, window, pedestal)
    _put_window(work.counts, at, waveform, 0)
    if n_bins > window:
        filled, unread = waveform.reshape(-1), setup.stations.unread[s].reshape(-1)
        for i in range(window * waveform.shape[1], len(filled)):
            filled[i] = unread[i]
        following = begin
        while following + window < min(end, begin + n_bins):
            following, at = _next_window(state, work, setup, station, following + window, end)
            if following < 0 or following - begin >= n_bins:
                break
            _put_window(work.counts, at, waveform, following - begin)
    return begin, level_1

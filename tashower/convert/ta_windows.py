"""Windows of 128 bins of the Telescope Array's stations, to waveforms and back; which hits are
measurements. Shared by DST files and text dumps.
"""

from collections import Counter

import numpy as np

from tashower.convert.ta_banks import N_BINS
from tashower.errors import InputError
from tashower.events.model import Events, Pulses
from tashower.physics.compiled import compiled
from tashower.physics.unread import pedestal_count
from tashower.types import FilePath

#: Nominal rate of the stations' clocks [1/s].
CLOCK = 50_000_000
BIN = 20.0
SECOND = 1e9
DATE, CLOCK_TIME, USEC = 80511, 120000, 381_966  # of exported events, which have no date
STATION_NUMBERS = 10_000  # all are smaller
#: Where no pedestal is stated, it is the mean of the bins that are within NEAR counts of it, from
#: the middle of the first FIRST_BINS or of all bins on, whichever is lower, without the bins from
#: BEFORE before the first to AFTER behind the last that is ABOVE it. Choices: against the true
#: pedestals of simulated windows this is unbiased within 0.1 VEM, with 0.3 to 0.5 VEM rms.
FIRST_BINS, NEAR, ABOVE, BEFORE, AFTER = 16, 2.5, 3.75, 3, 15
#: What is not used, for messages.
OUT_OF_SERVICE = "hits of stations out of service (listed, or isgood 0): kept, and marked"
FURTHER = "further hits of a station in an event: left out"


@compiled
def put_waveforms(fadc, keep, start, pedestal, rejected, waveform):
    """Windows (w, 2, bins) to (h, T, 2) counts, upper layer first.

    keep, start : (h, k), the windows of each hit, -1: none, and the bins where they begin. Between
        and behind them stands the pedestal (h, 2), in whole numbers whose sum over any bins is less
        than a count off.
    rejected : (h,) bool, hits that are no measurement: what cannot be a count is cut off

    Returns the index of the first hit with a count outside of 0 to 65535, or -1.
    """
    n_bins, length = fadc.shape[2], waveform.shape[1]
    for h in range(len(keep)):
        for layer in range(2):
            base = pedestal[h, layer]
            if not 0.0 <= base <= 65535.0:
                if not rejected[h]:
                    return h
                base = 0.0
            if keep.shape[1] > 1:
                for i in range(length):
                    waveform[h, i, 1 - layer] = np.uint16(pedestal_count(i, base))
            for k in range(keep.shape[1]):
                if keep[h, k] < 0:
                    continue
                for i in range(min(n_bins, length - start[h, k])):
                    value = fadc[keep[h, k], layer, i]
                    if value < 0 or value > 65535:
                        if not rejected[h]:
                            return h
                        value = min(max(value, 0), 65535)
                    waveform[h, start[h, k] + i, 1 - layer] = value
    return -1


@compiled
def _lower_median(values, histogram):
    """The lower median of whole numbers, at most len(histogram) above the lowest of them."""
    low = values.min()
    histogram[:] = 0
    for value in values:
        histogram[min(int(value - low), len(histogram) - 1)] += 1
    n = 0
    for k in range(len(histogram)):
        n += histogram[k]
        if 2 * n >= len(values):
            return float(low + k)
    return float(low)


@compiled
def pedestals(counts):
    """(m, 2) pedestals of windows (m, 2, bins) of counts."""
    n_bins = counts.shape[2]
    found = np.empty(counts.shape[:2])
    histogram = np.empty(64, np.int64)
    for h in range(len(counts)):
        for layer in range(counts.shape[1]):
            window = counts[h, layer]
            base = min(
                _lower_median(window[:FIRST_BINS], histogram), _lower_median(window, histogram)
            )
            first, last = n_bins, -1
            for i in range(n_bins):
                if window[i] > base + ABOVE:
                    first, last = min(first, i), i
            for _ in range(3):
                total, n = 0.0, 0
                for i in range(n_bins):
                    outside = i < first - BEFORE or i > last + AFTER
                    if outside and abs(window[i] - base) <= NEAR:
                        total += window[i]
                        n += 1
                base = total / n if n else base
            found[h, layer] = base
    return found


def window_starts(time: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """(h, k) bins at which the windows of hits begin, from the first of each; never before the one
    before it has ended.

    time : (w,) [s] of all windows; keep : (h, k) indices, -1: none
    """
    start = np.zeros(keep.shape, np.int64)
    for k in range(1, keep.shape[1]):
        later = np.rint(within_half(time[keep[:, k]] - time[keep[:, 0]]) * SECOND / BIN)
        start[:, k] = np.maximum(later, start[:, k - 1] + N_BINS)
    return start


def within_half(seconds: np.ndarray) -> np.ndarray:
    """Times within a second, across its end: the same modulo 1, in [-0.5, 0.5)."""
    return (seconds + 0.5) % 1.0 - 0.5


def select_hits(
    event: np.ndarray, xxyy: np.ndarray, good: np.ndarray, signal: np.ndarray, bad: np.ndarray
) -> tuple[np.ndarray, Counter]:
    """(indices of the hits to keep, sorted by event and station, one of each station of an event:
    a measurement before one that is none, then the one with the highest isgood, of equal ones with
    the most signal; how many are not used, by reason).

    event, xxyy, good, signal : (h,); bad : (h,) bool, no measurement
    """
    if not bad.any() and (np.diff(event * STATION_NUMBERS + xxyy) > 0).all():
        return np.arange(len(event)), Counter()
    order = np.lexsort((-signal, -good, bad, xxyy, event))
    first = np.ones(len(order), bool)
    first[1:] = (np.diff(event[order]) != 0) | (np.diff(xxyy[order]) != 0)
    kept = order[first]
    return kept, Counter({OUT_OF_SERVICE: int(bad[kept].sum()), FURTHER: int((~first).sum())})


def isgood(pulses: Pulses, rows: slice, rejected: np.ndarray | None) -> np.ndarray:
    """isgood of the hits of an event: 4 part of it, 5 saturated, 0 no measurement."""
    good = np.where(pulses.saturated[rows], 5, 4)
    return good if rejected is None else np.where(rejected[rows], 0, good)


def windows_of(events: Events, path: FilePath) -> int:
    """Number of windows of 128 bins that a waveform of the events fills.

    Raises
    ------
    InputError : no waveforms of two layers with a multiple of 128 bins of 20 ns.
    """
    detector = events.array.detector
    windows, rest = divmod(detector.n_bins, N_BINS)
    if events.waveform is None or (detector.n_layers, detector.bin_width) != (2, BIN) or rest:
        raise InputError(
            f"{path}: files of the Telescope Array hold waveforms of two layers with 128 bins of "
            "20 ns, or multiples of 128"
        )
    return windows


def lower_layer_first(waveform: np.ndarray, windows: int) -> np.ndarray:
    """(h, T, 2) counts, upper layer first, as (h windows, 2, 128) counts, lower layer first."""
    n = len(waveform)
    return (
        waveform[:, :, ::-1]
        .reshape(n, windows, N_BINS, 2)
        .transpose(0, 1, 3, 2)
        .reshape(n * windows, 2, N_BINS)
    )


def window_clocks(time: np.ndarray, windows: int) -> tuple[np.ndarray, np.ndarray]:
    """`clock_counts` of all windows of hits that begin at a time [ns, (h,)]; (h windows,) each."""
    begin = np.asarray(time)[:, None] + USEC * 1e3 + np.arange(windows) * N_BINS * BIN
    return clock_counts(begin.ravel())


def clock_counts(time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(clkcnt, mclkcnt) whose ratio is nearest to the time [ns, (n,)] within the second, with
    clocks up to 100 counts off.

    The ratio of two whole numbers places a window to better than a nanosecond, where a count alone
    is 20 ns.
    """
    rate = CLOCK + np.arange(-100, 101)
    count = np.rint(time[:, None] / SECOND * rate)
    best = np.abs(count / rate * SECOND - time[:, None]).argmin(axis=1)
    return np.take_along_axis(count, best[:, None], axis=1)[:, 0].astype(np.int64), rate[best]

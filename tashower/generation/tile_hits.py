"""From generated tiles to hits as a station reads them out: waveforms in bins, noise, level 0."""

import numpy as np

from tashower.generation.tile_sample import LIGHT_SCALE, Around, Known
from tashower.physics.station import delay_of_reduced_time
from tashower.simulation.electronics import (
    BINS_BEFORE,
    LARGEST_COUNT,
    LEVEL_0_BINS,
    LEVEL_0_COUNTS,
    NOISE,
    pulse_shape,
)

#: Bins read beyond a waveform, before it and behind it, so that it can begin where its level 0 asks
#: for it (choice).
SPARE = 64
#: Cells of time of at least so many bins are filled with pulses, others evenly (choice: a pulse is
#: about five wide).
WIDE = 4


def times_of(
    time: np.ndarray, at: tuple, around: Around, known: Known, t0: np.ndarray, bin_width: float
) -> np.ndarray:
    """(h,) when waveforms begin [ns], of reduced times (h,) in the cells `at` (event, column, row);
    t0 (h,) [ns].
    """
    delay = delay_of_reduced_time(time, 0.0, np.log(around.expected.distance[at]))
    return t0 + around.expected.plane_time[at] + delay - known.lead * bin_width


def spread(
    light: np.ndarray, edges: np.ndarray, bin_width: float, rng: np.random.Generator
) -> np.ndarray:
    """Light of cells of time (h, C, L) [VEM] in bins (h, T + 2 SPARE, L), sums kept as far as
    pulses do not leave the waveform.

    Narrow cells are filled evenly. In wide ones light comes as particles do, at the same times in
    all layers: the parts of the bins are those of a gamma process of one VEM, and every part is a
    pulse of a particle.
    """
    h, _, layers = light.shape
    n_bins, width = int(edges[-1]), np.diff(edges)
    wide = width >= WIDE
    result = np.zeros((h, n_bins + 2 * SPARE, layers))
    narrow_bins = np.repeat(np.arange(len(width)), width)[np.repeat(~wide, width)]
    which = np.arange(edges[0], n_bins)[np.repeat(~wide, width)]
    result[:, SPARE + which] = light[:, narrow_bins] / width[narrow_bins, None]
    pulse = pulse_shape(bin_width)
    middle = int(np.rint((pulse * np.arange(len(pulse))).sum()))
    for cell in np.flatnonzero(wide):
        vem = light[:, cell]
        shape = np.maximum(vem.mean(axis=1), 1e-3)[:, None] / width[cell]
        parts = rng.standard_gamma(shape, (h, width[cell])) + 1e-300
        parts /= parts.sum(axis=1, keepdims=True)
        begin = SPARE + edges[cell] - middle
        for k, tap in enumerate(pulse):
            here = slice(begin + k, begin + k + width[cell])
            result[:, here] += tap * parts[:, :, None] * vem[:, None]
    return result


def sums_of_8(counts: np.ndarray, pedestal: np.ndarray) -> np.ndarray:
    """(h, T, L) sum of the 8 bins that end in each bin, over the pedestal (h, L) [counts]; of the
    first 7 bins -inf.
    """
    total = np.cumsum(counts - pedestal[:, None], axis=1)
    result = np.full(total.shape, -np.inf)
    result[:, LEVEL_0_BINS - 1] = total[:, LEVEL_0_BINS - 1]
    result[:, LEVEL_0_BINS:] = total[:, LEVEL_0_BINS:] - total[:, :-LEVEL_0_BINS]
    return result


def digitised(
    vem: np.ndarray, gain: np.ndarray, pedestal: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Counts (h, T, L) of light [VEM per bin], with the noise of the simulation; gain and pedestal
    (h, L). Light is that which was learned, so that saturation is in it.
    """
    counts = vem * gain[:, None] + pedestal[:, None] + NOISE * rng.standard_normal(vem.shape)
    return np.floor(np.clip(counts, 0.0, LARGEST_COUNT) + 0.5)


def read_out(
    counts: np.ndarray, pedestal: np.ndarray, unread: np.ndarray, window: int
) -> tuple[np.ndarray, np.ndarray]:
    """What stations read out of a long trace of counts, as the simulation's (`windows`).

    Parameters
    ----------
    counts : (h, T + 2 SPARE, L)
    pedestal : (h, L)
    unread : (h, T, L) what stands where no window is read
    window : bins of one

    Returns
    -------
    (bin in which the waveform begins (h,), -1 without level 0; (h, T, L) uint16 waveforms)
    """
    h, n_bins = unread.shape[:2]
    over = (sums_of_8(counts, pedestal) > LEVEL_0_COUNTS).all(axis=2)
    over[:, :BINS_BEFORE] = False
    crossing = np.argmax(over, axis=1)
    begin = np.where(over.any(axis=1), crossing - BINS_BEFORE, -1)
    begin[begin + n_bins > counts.shape[1]] = -1
    rows, first = np.arange(h)[:, None], np.maximum(begin, 0)
    place = first[:, None] + np.arange(n_bins)
    seen, over = counts[rows, place], over[rows, place]
    result = unread.copy()
    result[:, :window] = seen[:, :window]
    next_bin = np.full(h, window)
    while n_bins > window and (next_bin < n_bins).any():
        later = over & (np.arange(n_bins) >= next_bin[:, None])
        found = later.any(axis=1)
        if not found.any():
            break
        start = np.maximum(np.argmax(later, axis=1) - BINS_BEFORE, next_bin)
        inside = (np.arange(n_bins) >= start[:, None]) & found[:, None]
        inside &= np.arange(n_bins) < start[:, None] + window
        result[inside] = seen[inside]
        next_bin = np.where(found, start + window, n_bins)
    return begin, result.astype(np.uint16)


def light_of(content: np.ndarray, layers: int) -> np.ndarray:
    """(h, C, L) light [VEM] of cells of a tile (h, 2 + C L)."""
    return LIGHT_SCALE * np.sinh(content[:, 2:].astype(float).reshape(len(content), -1, layers))

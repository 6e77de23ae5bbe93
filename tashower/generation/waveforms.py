"""Waveforms written down in fewer numbers for generators of stations, and read again.

Bins are single around the leading edge and put together in groups of 2, 4 and 8 before and after
it. Of every group there is asinh(x/s), x the signal in it [VEM] and s a few times its noise: linear
where there is noise, logarithmic in large signals. Counts are dithered, so that rounding gives them
again; what stands at the end of the digitiser's range is put well beyond it, so that cutting gives
it again.
"""

from typing import NamedTuple

import numpy as np
from scipy.interpolate import PchipInterpolator

from tashower.errors import InputError
from tashower.events.model import Events
from tashower.physics.compiled import compiled
from tashower.physics.unread import pedestal_count
from tashower.reconstruction.pulses import find_pulses
from tashower.simulation.electronics import BINS_BEFORE, LARGEST_COUNT, LEVEL_0_BINS, LEVEL_0_COUNTS

#: Bins from the usual leading edge on up to which groups are as long as said (choices).
_GROUPS = ((-8, 4), (16, 1), (64, 2), (100, 4))
_LONGEST = 8
#: Bins after the leading edge at which a new part of the light begins (choices: 0.3 and 1.3 us).
_PARTS = (16, 64)
#: Noise of a group that counts as linear (choice), and how far beyond the end of the range what
#: stands there is put (choice).
_LINEAR, _BEYOND = 2.5, 1.3
#: Bins before the pulse from which the noise is measured.
_QUIET = 8
_SAMPLE = 2000  # hits that are looked at for it
#: Sums of so many times their noise are small (choice).
_SMALL = 3.0
#: Largest factor by which a pulse is made larger or smaller to have its signal (choice).
_LARGEST_FACTOR = 1.5


class Form(NamedTuple):
    """How waveforms are written down."""

    edges: tuple[int, ...]  #: (K + 1,) bins at which groups begin, and the last ends
    parts: tuple[int, ...]  #: (P + 1,) bins at which parts of the first window begin, and its end
    window: int  #: bins that are read out at once
    noise: float  #: rms of a bin [VEM]

    @property
    def sizes(self) -> np.ndarray:
        """(K,) bins of the groups."""
        return np.diff(self.edges)

    @property
    def scale(self) -> np.ndarray:
        """(K,) signal up to which numbers are linear [VEM]."""
        return _LINEAR * self.noise * np.sqrt(self.sizes)

    @property
    def scale_of_parts(self) -> np.ndarray:
        """(P,) the same of the parts."""
        return _LINEAR * self.noise * np.sqrt(np.diff(self.parts))


def parts_of(window: int, leading: int) -> tuple[int, ...]:
    """(P + 1,) edges of the parts of the first window; leading : bin of the usual leading edge."""
    inner = (leading + after for after in _PARTS)
    return (0, *(bin_ for bin_ in inner if 0 < bin_ < window), window)


def edges_of(n_bins: int, window: int, leading: int) -> tuple[int, ...]:
    """(K + 1,) edges of the groups; leading : bin of the usual leading edge."""
    edges = [0]
    while edges[-1] < n_bins:
        at = edges[-1]
        size = next((size for end, size in _GROUPS if at - leading < end), _LONGEST)
        limits = [n_bins, (at // window + 1) * window, *(leading + end for end, _ in _GROUPS)]
        limits += [leading + after for after in _PARTS]
        edges.append(min([at + size, *(limit for limit in limits if limit > at)]))
    return tuple(edges)


def form_of(events: Events, window: int) -> Form:
    """How waveforms like these are written down.

    Raises
    ------
    InputError : no hit has a leading edge.
    """
    every = max(events.n_hits // _SAMPLE, 1)
    some = events[np.unique(events.hit_event[::every])[:_SAMPLE]]
    leading = (find_pulses(some).arrival_time - some.hit_time) / some.array.detector.bin_width
    if not np.isfinite(leading).any():
        raise InputError("no waveform has a leading edge")
    quiet = (some.waveform[:, :_QUIET] - some.pedestal[:, None]) / some.counts_per_vem[:, None]
    noise = 1.4826 * float(np.median(np.abs(quiet - np.median(quiet))))
    noise = max(noise, 0.3 / float(np.median(some.counts_per_vem)))  # of rounding alone
    n_bins = events.waveform.shape[1]
    edge = round(float(np.nanmedian(leading)))
    return Form(edges_of(n_bins, window, edge), parts_of(window, edge), window, noise)


def values_of(
    waveform: np.ndarray,
    pedestal: np.ndarray,
    gain: np.ndarray,
    form: Form,
    rng: np.random.Generator,
) -> np.ndarray:
    """(n, K, layers) float32 numbers of waveforms (n, n_bins, layers).

    pedestal, gain : (n, layers), counts and counts per VEM
    """
    counts = waveform + (rng.random(waveform.shape, np.float32) - np.float32(0.5))
    excess = counts - pedestal[:, None].astype(np.float32)
    excess[waveform >= LARGEST_COUNT] *= _BEYOND
    light = np.add.reduceat(excess, form.edges[:-1], axis=1) / gain[:, None]
    return np.arcsinh(light / form.scale[:, None]).astype(np.float32)


def sums_of(waveform: np.ndarray, pedestal: np.ndarray, gain: np.ndarray, form: Form) -> np.ndarray:
    """(n, P, layers) float32: asinh of the light in the parts of the first window, over a few times
    its noise.
    """
    first = waveform[:, : form.window].astype(np.float32) - pedestal[:, None].astype(np.float32)
    light = np.add.reduceat(first, form.parts[:-1], axis=1) / gain[:, None]
    return np.arcsinh(light / form.scale_of_parts[:, None]).astype(np.float32)


def waveforms_of(
    values: np.ndarray,
    sums: np.ndarray,
    station: tuple[np.ndarray, np.ndarray],
    form: Form,
    noise: np.ndarray,
) -> np.ndarray:
    """(n, n_bins, layers) uint16 waveforms from numbers as of `values_of`.

    Parameters
    ----------
    sums : (n, P, layers) as of `sums_of`: the parts of the light are made as large
    station : (pedestal, gain), (n, layers) each
    noise : (n, n_bins, layers) of standard normal distributions, for what lies within groups

    Not included: what the pulse's shape is within a group, but for a smooth curve with its sum.
    """
    pedestal, gain = station
    light = np.sinh(np.minimum(values, 20.0)) * form.scale[:, None]
    edges, n_bins = np.asarray(form.edges), form.edges[-1]
    total = np.concatenate([np.zeros_like(light[:, :1]), np.cumsum(light, axis=1)], axis=1)
    smooth = np.diff(PchipInterpolator(edges, total, axis=1)(np.arange(n_bins + 1)), axis=1)
    of_group = np.repeat(np.arange(len(form.sizes)), form.sizes)
    own = noise - (np.add.reduceat(noise, edges[:-1], axis=1) / form.sizes[:, None])[:, of_group]
    bins = smooth + form.noise * own
    clipped = (pedestal[:, None] + gain[:, None] * bins >= LARGEST_COUNT).any(axis=1)
    bins *= np.where(clipped[:, None], 1.0, _factors(bins, sums, form))
    counts = np.rint(pedestal[:, None] + gain[:, None] * bins)
    return np.clip(counts, 0, LARGEST_COUNT).astype(np.uint16)


def _factors(bins: np.ndarray, sums: np.ndarray, form: Form) -> np.ndarray:
    """(n, n_bins, layers) by which light is multiplied to have its sums; 1 behind the first window.
    Of a small sum the noise decides, which must not grow with it.
    """
    wanted = np.sinh(np.minimum(sums, 20.0)) * form.scale_of_parts[:, None]
    have = np.add.reduceat(bins[:, : form.window], form.parts[:-1], axis=1)
    small = _SMALL * form.noise * np.sqrt(np.diff(form.parts))[:, None]
    ratio = np.maximum(wanted + small, 0.1 * small) / np.maximum(have + small, 0.1 * small)
    of_bin = np.repeat(np.arange(len(form.parts) - 1), np.diff(form.parts))
    factors = np.ones_like(bins)
    factors[:, : form.window] = np.clip(ratio, 1.0 / _LARGEST_FACTOR, _LARGEST_FACTOR)[:, of_bin]
    return factors


@compiled
def _windows(waveform, unread, threshold, further, window):
    n_hits, n_bins, layers = waveform.shape
    for h in range(n_hits):
        following, first = window, True
        while following < n_bins:
            start = n_bins
            if further[h]:
                for i in range(following + LEVEL_0_BINS, n_bins):
                    above = True
                    for layer in range(layers):
                        total = 0.0
                        for k in range(i - LEVEL_0_BINS + 1, i + 1):
                            total += waveform[h, k, layer]
                        above = above and total > threshold[h, layer]
                    if above:
                        start = max(i - BINS_BEFORE, following)
                        break
                if start == n_bins and first:
                    start = following
            first = False
            for i in range(following, start):
                for layer in range(layers):
                    waveform[h, i, layer] = unread[h, i, layer]
            following = start + window


def read_windows(
    waveform: np.ndarray, pedestal: np.ndarray, further: np.ndarray, window: int
) -> None:
    """Put the pedestal where no window was read out behind the first, in place.

    further : (n,) bool, there is one: it begins 30 bins before the light crosses level 0 again, as
        in the simulation; where it does not, behind the first
    """
    bins = np.arange(waveform.shape[1])[:, None]
    unread = pedestal_count(bins, pedestal.astype(float)[:, None]).astype(np.uint16)
    threshold = LEVEL_0_COUNTS + LEVEL_0_BINS * pedestal.astype(float)
    _windows(waveform, unread, threshold, further, window)

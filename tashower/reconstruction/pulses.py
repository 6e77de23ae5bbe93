"""From waveforms to pulses: arrival time, signal, saturation, peaks. The same for simulated and
measured data.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from tashower.events.model import Events, Pulses
from tashower.physics.compiled import compiled

#: A peak stands out of the lowest bin since the last one by the first, and of the pedestal by the
#: second, times the noise (choices).
PEAK_SIGMA, PEAK_HEIGHT = 6.0, 5.0
#: Time [bins] from the particle to the interpolated threshold crossing of its pulse, mean over the
#: clock phase for pulses of 3 to 30 VEM (tests/reconstruction/test_pulses.py measures it). A
#: constant moves t0 only.
EDGE_DELAY = -0.78


@compiled
def _layer_pulse(waveform, layer, base, above, edge_bins):
    """(crossing, first bin, bin behind the last) of the pulse in a layer: the interpolated crossing
    [bins from the start] of the first `edge_bins` bins that are `above` the pedestal `base`; NaN,
    0, 0: there are none.

    The pulse stops for good when `edge_bins` bins are at most `above` over the pedestal and their
    mean is at most above/sqrt(edge_bins), and never again as many bins are above.
    """
    n = waveform.shape[0]
    threshold, quiet = base + above, edge_bins * base + above * np.sqrt(edge_bins)
    crossing, first, stop = np.nan, 0, 0
    inside = False
    high = low = 0  # bins above the threshold, and not above it, up to this one
    last = 0.0  # sum of the last edge_bins bins
    for i in range(n):
        value = float(waveform[i, layer])
        high = high + 1 if value >= threshold else 0
        low = low + 1 if value <= threshold else 0
        last += value
        if i >= edge_bins:
            last -= float(waveform[i - edge_bins, layer])
        if not inside and high == edge_bins:
            inside = True
            if np.isnan(crossing):
                first = i - edge_bins + 1
                crossing = 0.5
                if first > 0:
                    under, over = float(waveform[first - 1, layer]), float(waveform[first, layer])
                    # Bins stand for their middles.
                    crossing = first - 0.5 + (threshold - under) / (over - under)
        elif inside and low >= edge_bins and last <= quiet:
            inside = False
            stop = i - edge_bins + 1
    return crossing, first, n if inside else stop


@compiled
def _layer_peaks(waveform, layer, threshold, depth):
    """Number of peaks: maxima above the threshold that stand out by `depth` on both sides."""
    peaks = 0
    low = high = float(waveform[0, layer])
    rising = True
    for i in range(waveform.shape[0]):
        value = float(waveform[i, layer])
        if rising:
            high = max(high, value)
            if value < high - depth:
                if high > threshold:
                    peaks += 1
                rising = False
                low = value
        else:
            low = min(low, value)
            if value > low + depth:
                rising = True
                high = value
    return peaks


class _Traces(NamedTuple):
    """What was digitised."""

    waveform: np.ndarray  #: (n_hits, n_bins, n_layers) counts
    pedestal: np.ndarray  #: (n_hits, n_layers)
    counts_per_vem: np.ndarray  #: (n_hits, n_layers)
    pedestal_rms: np.ndarray  #: (n_hits, n_layers) [counts]; NaN or 0: not stated
    hit_time: np.ndarray  #: (n_hits,) [ns]


class _Limits(NamedTuple):
    """What the detector's description says of its electronics."""

    bin_width: float  #: [ns]
    noise: float  #: rms of a bin [counts]
    pedestal_rms: float  #: that of the threshold [counts], of layers for which none is stated
    saturation_counts: float
    saturation_vem: float  #: in 20 ns
    edge_sigma: float
    edge_bins: int


class _Found(NamedTuple):
    """Columns of `Pulses`, to be filled."""

    arrival_time: np.ndarray
    signal: np.ndarray
    saturated: np.ndarray
    n_peaks: np.ndarray
    area_over_peak: np.ndarray


@compiled
def _find(traces, limits, found):
    """Fill `_Found` from `_Traces` and `_Limits`."""
    waveform, pedestal, counts_per_vem, pedestal_rms, hit_time = traces
    arrival_time, signal, saturated, n_peaks, area_over_peak = found
    n_hits, n_bins, n_layers = waveform.shape
    for h in range(n_hits):
        edges = ratio = 0.0
        n_edges = n_ratios = 0
        for layer in range(n_layers):
            base, per_vem = pedestal[h, layer], counts_per_vem[h, layer]
            rms = pedestal_rms[h, layer]
            above = limits.edge_sigma * (rms if rms > 0.0 else limits.pedestal_rms)
            edge, first, stop = _layer_pulse(waveform[h], layer, base, above, limits.edge_bins)
            total = highest = 0.0
            for i in range(n_bins):
                highest = max(highest, waveform[h, i, layer] - base)
            for i in range(first, stop):
                total += waveform[h, i, layer] - base
            signal[h, layer] = total / per_vem
            per_20_ns = highest / per_vem * 20.0 / limits.bin_width
            if per_20_ns > limits.saturation_vem or highest + base >= limits.saturation_counts:
                saturated[h] = True
            peak = base + PEAK_HEIGHT * limits.noise
            n_peaks[h, layer] = _layer_peaks(waveform[h], layer, peak, PEAK_SIGMA * limits.noise)
            if not np.isnan(edge):
                edges += edge
                n_edges += 1
                ratio += total / highest * limits.bin_width
                n_ratios += 1
        if n_edges:
            arrival_time[h] = hit_time[h] + (edges / n_edges - EDGE_DELAY) * limits.bin_width
        if n_ratios:
            area_over_peak[h] = ratio / n_ratios


def find_pulses(events: Events) -> Pulses:
    """Pulses of every hit; `events.pulses` where the events come without waveforms. Those of
    rejected hits (`events.rejected`) say nothing: NaN.

    arrival_time : mean over the layers of the leading edge, interpolated within the bin; NaN
        without one. It is the first of `edge_bins` consecutive bins that are `edge_sigma` times the
        pedestal's rms above the pedestal: the rms that came with the hits (`events.pedestal_rms`),
        else the detector's.
    signal : (sum from the leading edge to where the waveform is back at the pedestal for good, less
        the pedestal) / counts per VEM, per layer; 0 without a leading edge
    saturated : a layer left the linear range, or the data say so (`events.saturated`)
    n_peaks : per layer; area_over_peak : [ns], mean of the layers

    Start and stop are those of the Telescope Array's analysis, which leaves out quiet bins between
    two pulses as well: here they count, which loses less of the signal (docs/simulation.md). Not
    included: unfolding of the pulse shape, correction of compressed or saturated signals.
    """
    if events.waveform is None:
        return without_rejected(events.pulses, events.rejected)
    n_hits, _, n_layers = events.waveform.shape
    detector = events.array.detector
    pulses = Pulses(
        arrival_time=np.full(n_hits, np.nan),
        signal=np.zeros((n_hits, n_layers)),
        saturated=(
            np.zeros(n_hits, bool) if events.saturated is None else events.saturated.astype(bool)
        ),
        n_peaks=np.zeros((n_hits, n_layers), np.int16),
        area_over_peak=np.full(n_hits, np.nan),
    )
    rms = events.pedestal_rms
    if rms is None:
        rms = np.zeros((n_hits, n_layers), np.float32)
    traces = _Traces(events.waveform, events.pedestal, events.counts_per_vem, rms, events.hit_time)
    limits = _Limits(
        float(detector.bin_width),
        float(detector.noise_counts),
        float(detector.pedestal_rms),
        float(detector.saturation_counts),
        float(detector.saturation_vem),
        float(detector.edge_sigma),
        int(detector.edge_bins),
    )
    _find(traces, limits, _Found(*(getattr(pulses, name) for name in _Found._fields)))
    return without_rejected(pulses, events.rejected)


def without_rejected(pulses: Pulses, rejected: np.ndarray | None) -> Pulses:
    """The pulses, of which those of rejected hits say nothing: time, signal and area over peak
    NaN, no peaks, not saturated.

    rejected : (n_hits,) bool; None: none are
    """
    if rejected is None or not rejected.any():
        return pulses
    nothing = {
        "arrival_time": np.nan,
        "signal": np.nan,
        "saturated": False,
        "n_peaks": 0,
        "area_over_peak": np.nan,
    }
    columns = {name: getattr(pulses, name).copy() for name in nothing}
    for name, value in nothing.items():
        columns[name][rejected] = value
    return replace(pulses, **columns)

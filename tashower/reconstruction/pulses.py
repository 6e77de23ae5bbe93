"""From waveforms to pulses: arrival time, signal, saturation, peaks. The same for simulated and
measured data.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from tashower.events.model import Events, Pulses
from tashower.physics.compiled import compiled

#: A peak stands out of the lowest bin since the last one by this many times the noise (choice).
PEAK_SIGMA = 6.0
#: Time [bins] from the particle to the interpolated threshold crossing of its pulse, mean over the
#: clock phase for pulses of 3 to 30 VEM (tests/reconstruction/test_pulses.py measures it). A
#: constant moves t0 only.
EDGE_DELAY = -0.59


@compiled
def _layer_edge(waveform, layer, threshold, edge_bins):
    """Interpolated crossing [bins from the start] of the first `edge_bins` bins above the
    threshold; NaN: none.
    """
    run = 0
    for i in range(waveform.shape[0]):
        run = run + 1 if waveform[i, layer] > threshold else 0
        if run == edge_bins:
            k = i - edge_bins + 1
            if k == 0:
                return 0.5
            below, above = float(waveform[k - 1, layer]), float(waveform[k, layer])
            # Bins stand for their middles.
            return k - 0.5 + (threshold - below) / (above - below)
    return np.nan


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
    hit_time: np.ndarray  #: (n_hits,) [ns]


class _Limits(NamedTuple):
    """What the detector's description says of its electronics."""

    bin_width: float  #: [ns]
    noise: float  #: rms of a bin [counts]
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
    waveform, pedestal, counts_per_vem, hit_time = traces
    bin_width, noise, saturation_counts, saturation_vem, edge_sigma, edge_bins = limits
    arrival_time, signal, saturated, n_peaks, area_over_peak = found
    n_hits, n_bins, n_layers = waveform.shape
    above_noise = edge_sigma * noise
    for h in range(n_hits):
        edges = ratio = 0.0
        n_edges = n_ratios = 0
        for layer in range(n_layers):
            base = pedestal[h, layer]
            total = 0.0
            highest = 0.0
            for i in range(n_bins):
                value = waveform[h, i, layer] - base
                total += value
                highest = max(highest, value)
            signal[h, layer] = total / counts_per_vem[h, layer]
            per_20_ns = highest / counts_per_vem[h, layer] * 20.0 / bin_width
            if per_20_ns > saturation_vem or highest + base >= saturation_counts:
                saturated[h] = True
            n_peaks[h, layer] = _layer_peaks(
                waveform[h], layer, base + above_noise, PEAK_SIGMA * noise
            )
            edge = _layer_edge(waveform[h], layer, base + above_noise, edge_bins)
            if not np.isnan(edge):
                edges += edge
                n_edges += 1
            if highest > above_noise and total > 0.0:
                ratio += total / highest * bin_width
                n_ratios += 1
        if n_edges:
            arrival_time[h] = hit_time[h] + (edges / n_edges - EDGE_DELAY) * bin_width
        if n_ratios:
            area_over_peak[h] = ratio / n_ratios


def find_pulses(events: Events) -> Pulses:
    """Pulses of every hit; `events.pulses` where the events come without waveforms. Those of
    rejected hits (`events.rejected`) say nothing: NaN.

    arrival_time : mean over the layers of the leading edge, interpolated within the bin; NaN
        without one. Noise, threshold and linear range are those of `events.array.detector`.
    signal : (sum over the window - pedestal) / counts per VEM, per layer
    saturated : a layer left the linear range, or the data say so (`events.saturated`)
    n_peaks : per layer; area_over_peak : [ns], mean of the layers

    Not included: unfolding of the pulse shape, correction of saturated signals, second windows.
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
    traces = _Traces(events.waveform, events.pedestal, events.counts_per_vem, events.hit_time)
    limits = _Limits(
        float(detector.bin_width),
        float(detector.noise_counts),
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

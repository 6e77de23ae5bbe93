"""From waveforms to pulses: arrival time, signal, saturation, peaks. The same for simulated and
measured data.
"""

import numpy as np

from tashower.events.model import Events, Pulses
from tashower.physics.compiled import compiled

#: Noise of a bin [counts rms] (Abu-Zayyad et al. 2012, doi:10.1016/j.nima.2012.05.079).
NOISE = 0.75
#: Leading edge: this many consecutive bins above the pedestal by this many times the noise (same
#: source).
EDGE_BINS = 4
EDGE_SIGMA = 5.0
#: A peak stands out of the lowest bin since the last one by this many times the noise.
PEAK_SIGMA = 6.0
#: A layer is saturated above this many VEM in a 20 ns bin, or this many counts in a bin (end of the
#: linear range).
SATURATED_VEM = 48.8
SATURATED_COUNTS = 2000
#: Time [bins] from the particle to the interpolated threshold crossing of its pulse, mean over the
#: clock phase for pulses of 3 to 30 VEM (tests/reconstruction/test_pulses.py measures it). A
#: constant moves t0 only.
EDGE_DELAY = -0.59


@compiled
def _layer_edge(waveform, layer, threshold):
    """Interpolated crossing [bins from the start] of the first EDGE_BINS bins above the threshold;
    NaN: none.
    """
    run = 0
    for i in range(waveform.shape[0]):
        run = run + 1 if waveform[i, layer] > threshold else 0
        if run == EDGE_BINS:
            k = i - EDGE_BINS + 1
            if k == 0:
                return 0.5
            below, above = float(waveform[k - 1, layer]), float(waveform[k, layer])
            # Bins stand for their middles.
            return k - 0.5 + (threshold - below) / (above - below)
    return np.nan


@compiled
def _layer_peaks(waveform, layer, pedestal):
    """Number of peaks: maxima above the edge threshold that stand out by PEAK_SIGMA on both sides."""
    peaks = 0
    low = high = float(waveform[0, layer])
    rising = True
    for i in range(waveform.shape[0]):
        value = float(waveform[i, layer])
        if rising:
            high = max(high, value)
            if value < high - PEAK_SIGMA * NOISE:
                if high > pedestal + EDGE_SIGMA * NOISE:
                    peaks += 1
                rising = False
                low = value
        else:
            low = min(low, value)
            if value > low + PEAK_SIGMA * NOISE:
                rising = True
                high = value
    return peaks


@compiled
def _find(
    waveform,
    pedestal,
    counts_per_vem,
    hit_time,
    bin_width,
    arrival_time,
    signal,
    saturated,
    n_peaks,
    area_over_peak,
):
    n_hits, n_bins, n_layers = waveform.shape
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
            if per_20_ns > SATURATED_VEM or highest + base >= SATURATED_COUNTS:
                saturated[h] = True
            n_peaks[h, layer] = _layer_peaks(waveform[h], layer, base)
            edge = _layer_edge(waveform[h], layer, base + EDGE_SIGMA * NOISE)
            if not np.isnan(edge):
                edges += edge
                n_edges += 1
            if highest > EDGE_SIGMA * NOISE and total > 0.0:
                ratio += total / highest * bin_width
                n_ratios += 1
        if n_edges:
            arrival_time[h] = hit_time[h] + (edges / n_edges - EDGE_DELAY) * bin_width
        if n_ratios:
            area_over_peak[h] = ratio / n_ratios


def find_pulses(events: Events) -> Pulses:
    """Pulses of every hit; `events.pulses` where the events come without waveforms.

    arrival_time : mean over the layers of the leading edge, interpolated within the bin; NaN
        without one
    signal : (sum over the window - pedestal) / counts per VEM, per layer
    saturated : a layer left the linear range
    n_peaks : per layer; area_over_peak : [ns], mean of the layers

    Not included: unfolding of the pulse shape, correction of saturated signals, second windows.
    """
    if events.waveform is None:
        return events.pulses
    n_hits, _, n_layers = events.waveform.shape
    pulses = Pulses(
        arrival_time=np.full(n_hits, np.nan),
        signal=np.zeros((n_hits, n_layers)),
        saturated=np.zeros(n_hits, bool),
        n_peaks=np.zeros((n_hits, n_layers), np.int16),
        area_over_peak=np.full(n_hits, np.nan),
    )
    _find(
        events.waveform,
        events.pedestal,
        events.counts_per_vem,
        events.hit_time,
        events.array.detector.bin_width,
        pulses.arrival_time,
        pulses.signal,
        pulses.saturated,
        pulses.n_peaks,
        pulses.area_over_peak,
    )
    return pulses

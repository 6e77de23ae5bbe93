"""The shape of a waveform, in the few numbers that its likelihood is learned with. Compiled."""

import numpy as np

from tashower.events.model import Events, Pulses
from tashower.physics.compiled import compiled
from tashower.reconstruction.pulses import EDGE_DELAY

#: Ends of the intervals after the leading edge in which the light is summed [ns] (choice: a bin of
#: the Telescope Array first, then a quarter longer each).
INTERVALS = np.array(
    [-60.0, -20.0, 20.0, 40.0, 60.0, 80.0, 100.0, 130.0, 160.0, 200.0, 250.0, 310.0, 390.0]
    + [490.0, 620.0, 780.0, 980.0, 1240.0, 1560.0, 2000.0, 2600.0, 4000.0, 8000.0]
)
#: Signal below which numbers are linear in it [VEM] (choice: a few times the noise of a bin).
LINEAR = 0.1
#: Numbers of a hit: for every interval the mean of the layers, and their difference.
N_SHAPE = 2 * (len(INTERVALS) - 1)


@compiled
def _fill(traces, edge, ends, shape):
    """Rows of `waveform_shapes`; edge : (n_hits,) [bins], NaN: zeros; ends : [bins]."""
    waveform, pedestal, counts_per_vem = traces
    n_hits, n_bins, n_layers = waveform.shape
    n = len(ends) - 1
    for h in range(n_hits):
        if np.isnan(edge[h]):
            continue
        first, second = np.zeros(n), np.zeros(n)
        for layer in range(n_layers):
            total = first if layer == 0 else second
            base, per_vem = pedestal[h, layer], counts_per_vem[h, layer]
            for i in range(n):
                low, high = max(edge[h] + ends[i], 0.0), min(edge[h] + ends[i + 1], float(n_bins))
                k, last = int(low), min(int(high), n_bins - 1)
                while k <= last and low < high:
                    part = min(k + 1.0, high) - max(float(k), low)
                    total[i] += part * (float(waveform[h, k, layer]) - base) / per_vem
                    k += 1
        for i in range(n):
            mean, difference = first[i], 0.0
            if n_layers > 1:
                mean, difference = 0.5 * (first[i] + second[i]), abs(first[i] - second[i])
            shape[h, i] = np.log1p(max(mean, 0.0) / LINEAR)
            shape[h, n + i] = np.log1p(difference / LINEAR)


def waveform_shapes(events: Events, pulses: Pulses) -> np.ndarray:
    """(n_hits, N_SHAPE) float32: ln(1 + x/0.1 VEM) of the signals x in INTERVALS after the leading
    edge, first the means of the layers and then the absolute values of their differences; zeros
    for a hit without a leading edge.

    The two layers may change places, and nothing changes. Not included: when the leading edge was
    (`Pulses.arrival_time`).
    """
    shape = np.zeros((events.n_hits, N_SHAPE), np.float32)
    bin_width = float(events.array.detector.bin_width)
    edge = (pulses.arrival_time - events.hit_time) / bin_width + EDGE_DELAY
    traces = events.waveform, events.pedestal, events.counts_per_vem
    _fill(traces, edge, INTERVALS / bin_width, shape)
    return np.nan_to_num(shape, copy=False)  # of a pedestal or gain that is not known

"""What threshold and integration do to times and signals of stations.

    python benchmarks/pulses.py

First the delay of the leading edge at 1200 m, zenith 30 degrees (26 to 34), stations of 1.4 VEM and
more, with a threshold of 5 times the noise of a bin and of 5 times the rms of a pedestal histogram
of 8 bins. Then noise and bias of the signal of a layer [VEM], for particles of 0.6 VEM on average
that come with gamma-distributed delays of shape 2: the sum of the whole waveform; of the bins that
belong to a pulse, as the Telescope Array's analysis takes it; and from the first start to the last
stop, as `find_pulses` takes it.
"""

from dataclasses import replace

import numpy as np

from tashower.config import load_config
from tashower.events.array import Detector, regular_array
from tashower.events.model import Events
from tashower.physics.geometry import axis_components, axis_distance, plane_delay
from tashower.reconstruction.pulses import find_pulses
from tashower.simulation.electronics import COUNTS_PER_VEM, NOISE, PEDESTAL, pulse_shape
from tashower.simulation.simulate import simulate_events

THRESHOLD, BINS = 5.0 * Detector().pedestal_rms, 4
STATIONS = 3000


def delays(log_energy: float) -> tuple[float, float]:
    """Mean delay [ns] of the leading edge with the two thresholds."""
    config = load_config(
        f"{{showers: {{min_log10_energy_ev: {log_energy}, max_log10_energy_ev: {log_energy}, "
        "max_zenith_deg: 34, core_margin_m: 0, primaries: {proton: 1}}}"
    )
    events = simulate_events(config, "test", 0, 20_000)
    truth, hit = events.truth, events.hit_event
    position = events.array.position[events.hit_station]
    d = (position[:, 0] - truth.core_x[hit], position[:, 1] - truth.core_y[hit], position[:, 2])
    n = axis_components(truth.zenith[hit], truth.azimuth[hit])
    near = np.abs(axis_distance(*d, *n) - 1200) < 60
    near &= np.abs(np.degrees(truth.zenith[hit]) - 30) < 4
    found = []
    for rms in (NOISE, Detector().pedestal_rms):
        detector = replace(events.array.detector, pedestal_rms=rms)
        pulses = find_pulses(replace(events, array=replace(events.array, detector=detector)))
        after = pulses.arrival_time - truth.t0[hit] - plane_delay(*d, *n)
        used = near & (pulses.signal.mean(axis=1) >= 1.4) & (np.abs(after) < 3000)
        found.append(np.nanmean(after[used]))
    return found[0], found[1]


def traces(rng, signal: float, scale: float, n_bins: int) -> tuple[np.ndarray, np.ndarray]:
    """((n, n_bins) counts, (n,) light that came into them [VEM]) of layers with `signal` VEM on
    average and delays of mean 2 `scale` [ns].
    """
    number = np.maximum(rng.poisson(signal / 0.6, STATIONS), 1)
    layer = np.repeat(np.arange(STATIONS), number)
    k = 30 + (rng.gamma(2, scale, len(layer)) / 20).astype(int)
    light = np.zeros((STATIONS, n_bins))
    inside = k < n_bins
    np.add.at(light, (layer[inside], k[inside]), rng.exponential(0.6, len(layer))[inside])
    pulse = pulse_shape(20.0)
    seen = np.stack([np.convolve(row, pulse)[:n_bins] for row in light])
    counts = PEDESTAL + COUNTS_PER_VEM * seen + NOISE * rng.standard_normal(seen.shape)
    return np.rint(np.maximum(counts, 0)).astype(np.uint16), seen.sum(axis=1)


def signal_of_bins_in_pulses(counts: np.ndarray) -> float:
    """Sum of the bins that belong to a pulse, less the pedestal [counts]."""
    above, total, inside = counts - PEDESTAL, 0.0, False
    for i in range(len(above)):
        inside = inside or (above[i : i + BINS] >= THRESHOLD).all()
        if inside:
            total += above[i]
            rest = above[i + 1 : i + 1 + BINS]
            quiet = (rest <= THRESHOLD).all() and rest.sum() <= THRESHOLD * np.sqrt(BINS)
            inside = not (len(rest) == BINS and quiet)
    return total


def signals(rng, signal: float, scale: float, n_bins: int) -> list[str]:
    """Cells of the table: bias and rms of the three sums."""
    counts, light = traces(rng, signal, scale, n_bins)
    found = [(counts - PEDESTAL).sum(axis=1)]
    found.append(np.array([signal_of_bins_in_pulses(row.astype(float)) for row in counts]))
    array = replace(regular_array(5, 5, 1200.0), detector=Detector(3.0, 1, 20.0, n_bins))
    n = len(counts)
    events = Events(
        array,
        event_id=np.arange(n),
        hit_offset=np.arange(n + 1),
        hit_station=np.zeros(n, np.int32),
        hit_time=np.zeros(n),
        waveform=counts[:, :, None],
        pedestal=np.full((n, 1), PEDESTAL, np.float32),
        counts_per_vem=np.full((n, 1), COUNTS_PER_VEM, np.float32),
        dead_offset=np.zeros(n + 1, np.int64),
        dead_station=np.zeros(0, np.int32),
    )
    found.append(find_pulses(events).signal[:, 0] * COUNTS_PER_VEM)
    seen = found[2] > 0
    errors = [(sums / COUNTS_PER_VEM - light)[seen] for sums in found]
    return [f"{error.mean():+.3f} / {error.std():.3f}" for error in errors]


def main() -> None:
    """Print the two tables."""
    print("log10(E/eV)   delay [ns], threshold 5 x 0.75 counts   5 x 0.32 counts")
    for log_energy in (18.5, 19.0, 19.5):
        old, new = delays(log_energy)
        print(f"{log_energy:11.1f}   {old:35.0f}   {new:15.0f}")
    print(
        "\nbins  signal [VEM]  mean delay [ns]  bias / rms [VEM]: whole   bins in pulses    pulse"
    )
    rng = np.random.default_rng(1)
    for n_bins in (128, 256):
        for signal, scale in ((2, 200), (6, 500), (30, 300), (30, 800), (100, 100)):
            cells = signals(rng, signal, scale, n_bins)
            print(f"{n_bins:4d}  {signal:12d}  {2 * scale:15d}  " + "   ".join(cells))


if __name__ == "__main__":
    main()

"""Speed of the simulation against the same physics in numpy: station by station, and for a chunk of
events at once.

    python benchmarks/simulation.py

Proton showers of 10^19 eV, default array, one core, the best of a few runs. The numpy versions draw
every particle and leave out accidental hits, stations out of service and progress: what they do
less makes them faster, not slower.
"""

import time

import numpy as np

from tashower.config import load_config
from tashower.physics.early_late import (
    LATE_ATTENUATION_MUONS,
    late_signal_factor,
    late_time_factor,
    muon_share_at,
)
from tashower.physics.geometry import (
    axis_components,
    axis_distance,
    distance_along_axis,
    plane_delay,
)
from tashower.physics.lateral import TELESCOPE_ARRAY, log_lateral_distribution
from tashower.physics.shower_front import thickness_shape
from tashower.simulation import delays, electronics, particles
from tashower.simulation.showers import draw_showers, mean_attenuation
from tashower.simulation.simulate import array_from_config, simulate_events

CONFIG = (
    "{showers: {min_log10_energy_ev: 19, max_log10_energy_ev: 19, primaries: {proton: 1}}, "
    "detector: {accidental_rate_khz: 0, out_of_service_fraction: 0}}"
)
N_BINS = 284  # of light, as in ours
KEPT = 128


def light(rng, loss):
    """Light of energy losses [VEM]."""
    spread = np.sqrt(loss / particles.PHOTOELECTRONS_PER_VEM + (particles.LIGHT_SPREAD * loss) ** 2)
    return np.maximum(loss + spread * rng.standard_normal(loss.shape), 0.0)


def deposit(rng, pair, time, upper, lower, impulse):
    """Share deposits between the bins around their times; pair : index of the station of each
    particle.
    """
    k = np.floor(time / 20.0).astype(int)
    inside = (k >= 0) & (k + 1 < N_BINS)
    k, pair, late = k[inside], pair[inside], (time / 20.0)[inside] - k[inside]
    for layer, amount in enumerate((upper[inside], lower[inside])):
        for shift, part in ((0, 1.0 - late), (1, late)):
            np.add.at(impulse.reshape(-1), (pair * 2 + layer) * N_BINS + k + shift, amount * part)


def simulate_stations(rng, front, truth, shower, position):
    """Waveforms (hits, 128, 2) of station-shower pairs: shower (n,) index into truth, position (n,
    3) from the core.
    """
    n_axis = axis_components(truth.zenith[shower], truth.azimuth[shower])
    d = position.T
    r = np.maximum(axis_distance(*d, *n_axis), 2.0)
    log_ldf = log_lateral_distribution(r, truth.slope[shower], TELESCOPE_ARRAY)
    density = truth.s_ref[shower] * np.exp(log_ldf)
    along, tangent = distance_along_axis(*d, *n_axis), np.tan(truth.zenith[shower])
    muons, electrons = particles.mean_numbers(
        3.0 * density, muon_share_at(r, truth.muon_share[shower]), n_axis[2]
    )
    muons = rng.poisson(muons * late_signal_factor(along, r * tangent, LATE_ATTENUATION_MUONS))
    electrons = rng.poisson(
        electrons * late_signal_factor(along, r * tangent, mean_attenuation(truth.zenith[shower]))
    )
    reached = muons + electrons > 0
    if not reached.any():
        return np.zeros((0, KEPT, 2), np.uint16)
    shower, r, density, along, muons, electrons = (
        column[reached] for column in (shower, r, density, along, muons, electrons)
    )
    d, n_axis = d[:, reached], tuple(component[reached] for component in n_axis)
    own = delays.ShowerDelays(
        *(column[shower] for column in delays.shower_delays(front, truth.zenith, truth.front_scale))
    )
    thickness = thickness_shape(r) * late_time_factor(along)
    width = thickness * own.unit
    local = thickness * truth.front_scale[shower] * density**delays.LOCAL_POWER
    start = front.constant_onset * width + front.local * local * rng.standard_normal(len(r))
    start = (start + plane_delay(*d, *n_axis)) % 20.0 + 20.0 * 37
    scale, sigma = delays.muons_at(r, own)
    impulse = np.zeros((len(r), 2, N_BINS))
    pair = np.repeat(np.arange(len(r)), muons)
    delay = (scale * width)[pair] * np.exp(sigma[pair] * rng.standard_normal(len(pair)))
    moyal = -np.log(rng.standard_normal((2, len(pair))) ** 2)
    loss = np.maximum(1.0 + particles.MUON_LOSS_WIDTH * moyal, 0.1) / n_axis[2][pair]
    deposit(rng, pair, start[pair] + delay, light(rng, loss[0]), light(rng, loss[1]), impulse)
    pair = np.repeat(np.arange(len(r)), electrons)
    delay = rng.gamma(front.electron_shape, (own.electron_scale * width)[pair])
    loss, which = (
        particles.ELECTRON_LOSS * rng.standard_exponential(len(pair)),
        rng.random(len(pair)),
    )
    one = 0.5 * (1.0 - particles.ELECTRON_BOTH_LAYERS)
    upper, lower = (
        np.where(which < one, 0.0, light(rng, loss)),
        np.where(which > 1.0 - one, 0.0, light(rng, loss)),
    )
    deposit(rng, pair, start[pair] + delay, upper, lower, impulse)

    pulse = electronics.pulse_shape(20.0)
    trace = np.zeros_like(impulse)
    for j, weight in enumerate(pulse):
        trace[..., j:] += weight * impulse[..., : N_BINS - j]
    counts = (
        electronics.PEDESTAL
        + electronics.COUNTS_PER_VEM * trace
        + electronics.NOISE * rng.standard_normal(trace.shape)
    )
    excess = np.clip(counts - electronics.LINEAR_COUNTS, 0.0, electronics.COMPRESSION_COUNTS)
    counts -= excess * (1.0 - np.exp(-excess / electronics.COMPRESSION_COUNTS))
    counts = np.clip(np.rint(counts), 0, electronics.LARGEST_COUNT)
    sums = np.cumsum(counts - electronics.PEDESTAL, axis=2)
    sums[..., 8:] -= sums[..., :-8].copy()
    above = (sums > electronics.LEVEL_0_COUNTS).all(axis=1)
    hit = above.any(axis=1)
    begin = np.clip(above.argmax(axis=1) - electronics.BINS_BEFORE, 0, N_BINS - KEPT)
    window = begin[:, None] + np.arange(KEPT)
    return (
        np.take_along_axis(counts, window[:, None], axis=2)
        .transpose(0, 2, 1)
        .astype(np.uint16)[hit]
    )


def run_numpy(config, n_events, events_at_once, stations_at_once) -> tuple[float, float]:
    """(events per second, hits per event); stations_at_once None: all stations of the events in one
    call.
    """
    truth = draw_showers(config, "test", 0, n_events)
    array = array_from_config(config)
    front, rng = delays.particle_delays(config), np.random.default_rng(1)
    started, hits = time.perf_counter(), 0
    for first in range(0, n_events, events_at_once):
        showers = np.arange(first, min(first + events_at_once, n_events))
        core = np.stack(
            [truth.core_x[showers], truth.core_y[showers], np.zeros(len(showers))], axis=1
        )
        position = array.position[None] - core[:, None]
        near = np.hypot(position[..., 0], position[..., 1]) < 6000.0
        event, station = np.nonzero(near)
        step = stations_at_once or len(event)
        for begin in range(0, len(event), step):
            rows = slice(begin, begin + step)
            waveform = simulate_stations(
                rng, front, truth, showers[event[rows]], position[event[rows], station[rows]]
            )
            hits += len(waveform)
    return n_events / (time.perf_counter() - started), hits / n_events


def main() -> None:
    """Print events per second and ratios."""
    config = load_config(CONFIG)
    simulate_events(config, "test", 0, 20)  # compiled
    ours = 0.0
    for _ in range(5):
        events = None  # its memory is used again, as in a workflow of many chunks
        started = time.perf_counter()
        events = simulate_events(config, "test", 0, 20_000)
        ours = max(ours, 20_000 / (time.perf_counter() - started))
    by_chunk, chunk_hits = max(run_numpy(config, 600, 100, None) for _ in range(3))
    by_station, station_hits = max(run_numpy(config, 60, 1, 1) for _ in range(3))
    print("simulation, proton 10^19 eV, one core          events/s   ratio   hits/event")
    print(
        f"  tashower (compiled)                          {ours:8.0f}       1   "
        f"{events.n_hits / 20_000:10.1f}"
    )
    print(
        f"  numpy, 100 events at once                    {by_chunk:8.0f}   {ours / by_chunk:5.0f} "
        f"  {chunk_hits:10.1f}"
    )
    print(
        f"  numpy, station by station                    {by_station:8.0f}   "
        f"{ours / by_station:5.0f}   {station_hits:10.1f}"
    )


if __name__ == "__main__":
    main()

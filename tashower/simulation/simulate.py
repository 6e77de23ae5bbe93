"""Simulated events: showers thrown at the array, down to triggered two-layer waveforms."""

import numpy as np

from tashower.config import Config
from tashower.events.array import (
    Array,
    Detector,
    described_by_config,
    neighbour_table,
    regular_array,
)
from tashower.events.model import Events, select_rows
from tashower.progress import blocks
from tashower.simulation.electronics import (
    COUNTS_PER_VEM,
    GAIN_SPREAD,
    PEDESTAL,
    PEDESTAL_SPREAD,
    READOUT,
    electronics,
)
from tashower.simulation.particles import front_model
from tashower.simulation.random_numbers import stream_key
from tashower.simulation.showers import draw_showers
from tashower.simulation.stations import Conditions, Hits, Stations, simulate_block, work_space

_SPLIT_OF_ARRAY = "calibration"  # the array is the same in all splits
_BLOCK = 1000  # events between two reports of progress
_CAPACITY = 20_000  # hits for which there is room at first


def _array_generator(config: Config) -> np.random.Generator:
    return np.random.default_rng(
        np.random.SeedSequence(
            [config.seed, int(stream_key(config.seed, _SPLIT_OF_ARRAY, "array"))]
        )
    )


def array_from_config(config: Config) -> Array:
    """The array that the configuration describes; the same for every split."""
    a, d = config.array, config.detector
    detector = Detector(
        area=float(d.area_m2), n_layers=d.layers, bin_width=float(d.bin_width_ns), n_bins=d.bins
    )
    array = regular_array(
        a.columns,
        a.rows,
        a.spacing_m,
        a.jitter_m,
        a.altitude_spread_m,
        _array_generator(config),
        detector,
        a.lattice,
    )
    return described_by_config(array, a)


def stations_from_config(config: Config) -> tuple[Array, Stations]:
    """The array, and what the compiled loop needs of it: monitored gains and pedestals are a
    station's for all events.
    """
    array = array_from_config(config)
    rng = _array_generator(config).spawn(1)[0]
    shape = (array.n_stations, 2)
    gain = COUNTS_PER_VEM * np.maximum(1.0 + GAIN_SPREAD * rng.standard_normal(shape), 0.3)
    pedestal = PEDESTAL + PEDESTAL_SPREAD * rng.standard_normal(shape)
    # As stored in the file, so that simulation and reconstruction use the same numbers.
    gain, pedestal = (column.astype(np.float32).astype(float) for column in (gain, pedestal))
    return array, Stations(
        array.position, neighbour_table(array, corners=False), gain, pedestal, array.lateral
    )


def _conditions(config: Config) -> Conditions:
    d = config.detector
    return Conditions(
        bin_width=float(d.bin_width_ns),
        area=float(d.area_m2),
        layers=int(d.layers),
        calibration_spread=d.calibration_spread,
        dead_fraction=d.out_of_service_fraction,
        accidental_probability=1.0 - np.exp(-d.accidental_rate_khz * 1e-6 * 2.0 * READOUT),
        accidental_radius=d.accidental_radius_m,
    )


def simulate_events(config: Config, split: str, first: int, n: int) -> Events:
    """Simulate showers number `first` to `first + n - 1` of a split; only those that trigger are
    returned.

    `event_id` is the number of the throw (shower x throws + throw). The events do not depend on how
    the showers are divided into calls.

    Not included: what docs/simulation.md lists.
    """
    truth = draw_showers(config, split, first, n)
    array, stations = stations_from_config(config)
    detector = array.detector
    columns = (
        "zenith",
        "azimuth",
        "core_x",
        "core_y",
        "s800",
        "slope",
        "muon_share",
        "front_scale",
    )
    rows = np.stack([getattr(truth, name) for name in columns], axis=1)
    n_events = len(rows)
    numbers = (np.arange(n_events) + first * config.showers.throws).astype(np.uint64)
    work = work_space(array.n_stations, detector.n_bins)
    hits, used = _empty_hits(_CAPACITY + array.n_stations, detector.n_bins, detector.n_layers), 0
    key = stream_key(config.seed, split, "detector")
    front, conditions = front_model(config.front), _conditions(config)
    n_hits, n_dead, dead_lists = np.zeros(n_events, np.int64), np.zeros(n_events, np.int64), []
    for window in blocks(f"simulate {split}", n_events, _BLOCK, "showers"):
        block, end = window.start, window.stop
        dead = np.empty((end - block, array.n_stations), np.int32)
        done = 0
        while done < end - block:
            done, used = simulate_block(
                done,
                used,
                key,
                numbers[window],
                rows[window],
                truth.t0[window],
                front,
                stations,
                conditions,
                electronics(detector.bin_width),
                work,
                hits,
                n_hits[window],
                dead,
                n_dead[window],
            )
            if done < end - block:
                # As many hits per event are expected of what is left, and a tenth more.
                expected = int(1.1 * used * n_events / max(block + done, 1))
                hits = _with_room(hits, used, max(expected, 2 * used) + array.n_stations)
        triggered = n_hits[window] > 0
        mask = np.arange(array.n_stations) < n_dead[window][:, None]
        dead_lists.append(dead[mask & triggered[:, None]])
    return _assemble(
        array,
        stations,
        truth,
        numbers,
        n_hits,
        n_dead,
        dead_lists,
        Hits(*(column[:used] for column in hits)),
    )


def _empty_hits(n: int, n_bins: int, n_layers: int) -> Hits:
    return Hits(np.empty(n, np.int32), np.empty(n), np.empty((n, n_bins, n_layers), np.uint16))


def _with_room(hits: Hits, used: int, n: int) -> Hits:
    """The first `used` hits in arrays for n hits; memory that no hit is written to costs nothing."""
    larger = _empty_hits(n, *hits.waveform.shape[1:])
    for old, new in zip(hits, larger, strict=True):
        new[:used] = old[:used]
    return larger


def _assemble(array, stations, truth, numbers, n_hits, n_dead, dead_lists, hits) -> Events:
    """Events from what the blocks left behind: those with hits, times as the file keeps them."""
    triggered = n_hits > 0

    def offsets(length):
        return np.concatenate([[0], np.cumsum(length[triggered])]).astype(np.int64)

    return Events(
        array=array,
        event_id=numbers[triggered].astype(np.int64),
        hit_offset=offsets(n_hits),
        hit_station=hits.station,
        hit_time=hits.time,
        waveform=hits.waveform,
        pedestal=stations.pedestal.astype(np.float32)[hits.station, : array.detector.n_layers],
        counts_per_vem=stations.gain.astype(np.float32)[hits.station, : array.detector.n_layers],
        dead_offset=offsets(n_dead),
        dead_station=np.concatenate(dead_lists),
        truth=select_rows(truth, triggered),
    )

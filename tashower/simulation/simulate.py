"""Simulated events: showers thrown at the array, down to triggered two-layer waveforms."""

import sys
import time

import numpy as np

from tashower.config import Config
from tashower.events.array import Array, neighbour_table, square_array
from tashower.events.model import Events, select_rows
from tashower.simulation.electronics import COUNTS_PER_VEM, GAIN_SPREAD, PEDESTAL, PEDESTAL_SPREAD, READOUT, pulse_shape
from tashower.simulation.particles import front_model
from tashower.simulation.random_numbers import stream_key
from tashower.simulation.showers import draw_showers
from tashower.simulation.stations import Conditions, Hits, Stations, Work, simulate_block

_SPLIT_OF_ARRAY = "calibration"  # the array is the same in all splits
_BLOCK = 1000  # events between two reports of progress
_CAPACITY = 20_000  # hits in the buffer
_SECONDS_BETWEEN_REPORTS = 5.0


def _array_generator(config: Config) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence([config.seed, int(stream_key(config.seed, _SPLIT_OF_ARRAY, "array"))]))


def array_from_config(config: Config) -> Array:
    """The array that the configuration describes; the same for every split."""
    a = config.array
    return square_array(a.columns, a.rows, a.spacing_m, a.jitter_m, a.altitude_spread_m, _array_generator(config))


def stations_from_config(config: Config) -> tuple[Array, Stations]:
    """The array, and what the compiled loop needs of it: monitored gains and pedestals are a station's for all events."""
    array = array_from_config(config)
    rng = _array_generator(config).spawn(1)[0]
    shape = (array.n_stations, 2)
    gain = COUNTS_PER_VEM * np.maximum(1.0 + GAIN_SPREAD * rng.standard_normal(shape), 0.3)
    pedestal = PEDESTAL + PEDESTAL_SPREAD * rng.standard_normal(shape)
    # As stored in the file, so that simulation and reconstruction use the same numbers.
    gain, pedestal = (column.astype(np.float32).astype(float) for column in (gain, pedestal))
    return array, Stations(array.position, neighbour_table(array, corners=False), gain, pedestal)


def _conditions(config: Config, bin_width: float) -> Conditions:
    d = config.detector
    return Conditions(
        bin_width=bin_width,
        calibration_spread=d.calibration_spread,
        dead_fraction=d.out_of_service_fraction,
        accidental_probability=1.0 - np.exp(-d.accidental_rate_khz * 1e-6 * 2.0 * READOUT),
        accidental_radius=d.accidental_radius_m,
    )


def simulate_events(config: Config, split: str, first: int, n: int) -> Events:
    """Simulate showers number `first` to `first + n - 1` of a split; only those that trigger are returned.

    `event_id` is the number of the throw (shower x throws + throw). The events do not depend on how the showers are divided
    into calls. Progress goes to stderr every few seconds.

    Not included: what docs/simulation.md lists.
    """
    truth = draw_showers(config, split, first, n)
    array, stations = stations_from_config(config)
    detector = array.detector
    columns = ("zenith", "azimuth", "core_x", "core_y", "s800", "slope", "muon_share", "front_scale")
    rows = np.stack([getattr(truth, name) for name in columns], axis=1)
    n_events = len(rows)
    numbers = (np.arange(n_events) + first * config.showers.throws).astype(np.uint64)
    work = Work(
        impulse=np.zeros((2, detector.n_bins + 128), np.float32),
        trace=np.zeros((2, detector.n_bins + 128), np.float32),
        counts=np.zeros((detector.n_bins + 48, 2), np.int32),
        slot=np.full(array.n_stations, -1, np.int32),
        level_1=np.zeros(array.n_stations, bool),
        time=np.zeros(array.n_stations),
    )
    capacity = max(_CAPACITY, 2 * array.n_stations)
    hits = Hits(np.empty(capacity, np.int32), np.empty(capacity), np.empty((capacity, detector.n_bins, 2), np.uint16))
    key = stream_key(config.seed, split, "detector")
    front, conditions, pulse = (
        front_model(config.front),
        _conditions(config, detector.bin_width),
        pulse_shape(detector.bin_width),
    )
    n_hits, n_dead, dead_lists, parts = np.zeros(n_events, np.int64), np.zeros(n_events, np.int64), [], []
    started = reported = time.monotonic()
    for block in range(0, n_events, _BLOCK):
        end = min(block + _BLOCK, n_events)
        dead = np.empty((end - block, array.n_stations), np.int32)
        window = slice(block, end)
        done = 0
        while done < end - block:
            upto = simulate_block(
                done, key, numbers[window], rows[window], truth.t0[window], front, stations, conditions, pulse, work, hits,
                n_hits[window], dead, n_dead[window],
            )  # fmt: skip
            used = int(n_hits[window][done:upto].sum())
            parts.append(tuple(column[:used].copy() for column in hits))
            done = upto
        triggered = n_hits[window] > 0
        mask = np.arange(array.n_stations) < n_dead[window][:, None]
        dead_lists.append(dead[mask & triggered[:, None]])
        if time.monotonic() - reported > _SECONDS_BETWEEN_REPORTS:
            reported = time.monotonic()
            print(
                f"simulate {split}: {end:,} of {n_events:,} showers, {end / (reported - started):,.0f}/s",
                file=sys.stderr,
                flush=True,
            )
    return _assemble(array, stations, truth, numbers, n_hits, n_dead, dead_lists, parts)


def _assemble(array, stations, truth, numbers, n_hits, n_dead, dead_lists, parts) -> Events:
    """Events from what the blocks left behind: those with hits, times as the file keeps them."""
    station = np.concatenate([p[0] for p in parts])
    triggered = n_hits > 0

    def offsets(length):
        return np.concatenate([[0], np.cumsum(length[triggered])]).astype(np.int64)

    return Events(
        array=array,
        event_id=numbers[triggered].astype(np.int64),
        hit_offset=offsets(n_hits),
        hit_station=station,
        hit_time=np.concatenate([p[1] for p in parts]),
        waveform=np.concatenate([p[2] for p in parts]),
        pedestal=stations.pedestal[station].astype(np.float32),
        counts_per_vem=stations.gain[station].astype(np.float32),
        dead_offset=offsets(n_dead),
        dead_station=np.concatenate(dead_lists),
        truth=select_rows(truth, triggered),
    )

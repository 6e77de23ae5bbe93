"""Simulated events: showers thrown at the array, or given ones, down to triggered two-layer
waveforms.
"""

import numpy as np

from tashower.config import Config
from tashower.errors import InputError
from tashower.events.array import (
    Array,
    Detector,
    array_from_positions,
    described_by_config,
    neighbour_table,
    regular_array,
)
from tashower.events.model import Events, Truth, select_rows
from tashower.io.station_table import read_stations
from tashower.memory import too_large
from tashower.physics.unread import pedestal_count
from tashower.progress import blocks
from tashower.simulation.delays import muon_content, particle_delays, shower_delays
from tashower.simulation.electronics import (
    COUNTS_PER_VEM,
    GAIN_SPREAD,
    PEDESTAL,
    PEDESTAL_SPREAD,
    READOUT,
    electronics,
)
from tashower.simulation.random_numbers import stream_key
from tashower.simulation.record import Record
from tashower.simulation.showers import draw_showers, mean_attenuation
from tashower.simulation.stations import (
    Block,
    Conditions,
    Hits,
    Setup,
    Showers,
    Stations,
    simulate_block,
    simulate_single,
)
from tashower.simulation.windows import background_bins, work_space

_SPLIT_OF_ARRAY = "calibration"  # the array is the same in all splits
#: Showers simulated between two reports of progress, and stations that they may look at together:
#: a second or so (choices).
_BLOCK, _BLOCK_STATIONS = 1000, 510_000
_CAPACITY = 20_000  # hits for which there is room at first
#: Showers after which their mean number of hits is trusted, and the excess over the free memory at
#: which it need not be known well (choices).
_ENOUGH, _FAR_TOO_LARGE = 50, 10.0
#: Bytes that a shower needs beside its hits, at most: numbers drawn, truth, and copies of them.
_BYTES_PER_SHOWER = 1000.0
#: Columns of the truth that the compiled loop takes first, in the order of `light.shower_of`.
_ROW = ("zenith", "azimuth", "core_x", "core_y", "s_ref", "slope", "muon_share", "front_scale")


def _array_generator(seed: int) -> np.random.Generator:
    return np.random.default_rng(
        np.random.SeedSequence([seed, int(stream_key(seed, _SPLIT_OF_ARRAY, "array"))])
    )


def array_from_config(config: Config) -> Array:
    """The array that the configuration describes; the same for every split."""
    a, d = config.array, config.detector
    detector = Detector(
        area=float(d.area_m2),
        n_layers=d.layers,
        bin_width=float(d.bin_width_ns),
        n_bins=d.bins * d.windows,
    )
    if a.stations:
        return described_by_config(_from_table(a.stations, detector), a)
    array = regular_array(
        a.columns,
        a.rows,
        a.spacing_m,
        a.jitter_m,
        a.altitude_spread_m,
        _array_generator(config.seed),
        detector,
        a.lattice,
    )
    return described_by_config(array, a)


def _from_table(path: str, detector: Detector) -> Array:
    """The array of a table of stations, with altitudes from their mean."""
    stations = read_stations(path)
    position = stations.position - [0.0, 0.0, stations.position[:, 2].mean()]
    try:
        return array_from_positions(stations.number, position, detector, stations.name)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _stations(array: Array, seed: int) -> Stations:
    """What the compiled loop needs of the array: monitored gains and pedestals are a station's for
    all events.
    """
    rng = _array_generator(seed).spawn(1)[0]
    shape = (array.n_stations, 2)
    gain = COUNTS_PER_VEM * np.maximum(1.0 + GAIN_SPREAD * rng.standard_normal(shape), 0.3)
    pedestal = PEDESTAL + PEDESTAL_SPREAD * rng.standard_normal(shape)
    # As stored in the file, so that simulation and reconstruction use the same numbers.
    gain, pedestal = (column.astype(np.float32).astype(float) for column in (gain, pedestal))
    neighbours = neighbour_table(array, corners=False)
    bins = np.arange(array.detector.n_bins)[:, None]
    unread = pedestal_count(bins, pedestal[:, None, : array.detector.n_layers]).astype(np.uint16)
    return Stations(array.position, neighbours, gain, pedestal, unread, array.lateral)


def window_bins(config: Config, detector: Detector) -> int:
    """Bins that a station reads out at once: those of the configuration, or the whole waveform
    where that is no multiple of them.
    """
    bins = config.detector.bins
    return bins if detector.n_bins % bins == 0 else detector.n_bins


def setup_of(config: Config, array: Array, seed: int) -> Setup:
    """What is the same for all showers at an array."""
    d, detector = config.detector, array.detector
    rate = d.accidental_rate_khz * 1e-6
    window = window_bins(config, detector)
    background = background_bins(detector.n_bins, window)
    conditions = Conditions(
        bin_width=float(detector.bin_width),
        window=window,
        area=float(detector.area),
        layers=int(detector.n_layers),
        calibration_spread=d.calibration_spread,
        gain_shift=d.gain_shift,
        dead_fraction=d.out_of_service_fraction,
        accidental_probability=1.0 - np.exp(-rate * 2.0 * READOUT),
        accidental_radius=d.accidental_radius_m,
        background_probability=1.0 - np.exp(-rate * background * detector.bin_width),
        clock=float(d.clock_ns),
        late_probability=float(d.late_pulse_probability),
    )
    return Setup(
        particle_delays(config),
        _stations(array, seed),
        conditions,
        electronics(float(detector.bin_width), float(d.pulse_width_factor), float(d.noise_factor)),
        muon_content(config),
    )


def simulate_events(config: Config, split: str, first: int, n: int) -> Events:
    """Simulate showers number `first` to `first + n - 1` of a split; only those that trigger are
    returned.

    `event_id` is the number of the throw (shower x throws + throw). The events do not depend on how
    the showers are divided into calls.

    Not included: what docs/simulation.md lists.

    Raises
    ------
    InputError : names the keys to change where the showers or their hits do not fit into memory.
    """
    rows = n * config.showers.throws
    _check_memory(f"simulate {split}", f"{rows:,} showers", _BYTES_PER_SHOWER * rows)
    truth = draw_showers(config, split, first, n)
    array = array_from_config(config)
    numbers = np.arange(len(truth.zenith)) + first * config.showers.throws
    key = stream_key(config.seed, split, "detector")
    return _run(truth, numbers, key, array, setup_of(config, array, config.seed), split)


def simulate(truth: Truth, config: Config, seed: int, array: Array | None = None) -> Events:
    """Simulate showers that are given: the same compiled path as for drawn ones.

    Parameters
    ----------
    truth : any table of showers, also one shower a thousand times; see `showers.complete_truth` for
        a table in which not all columns are known
    config : its sections `detector` and `front` are used, `array` where no array is given
    seed : of everything random; rows are independent of each other and of how many there are
    array : stations anywhere; None: the configuration's

    Returns
    -------
    Events : those that trigger; `event_id` is the row of the truth.

    Not included: what docs/simulation.md lists.
    """
    array = array_from_config(config) if array is None else array
    numbers = np.arange(len(truth.zenith))
    key = stream_key(seed, "given", "detector")
    return _run(truth, numbers, key, array, setup_of(config, array, seed), "given showers")


def simulate_stations(
    truth: Truth, config: Config, seed: int, background: bool = False, record: Record | None = None
) -> Events:
    """One station of the configuration's array, at the origin, for every given shower, also where
    no array would trigger: what a station likelihood is learned from.

    Parameters
    ----------
    truth : as of `simulate`; the core says where the station is
    seed : of everything random
    background : also hits of background muons alone, within +-32 us of t0
    record : where to note what reached every station (`recorded.record_stations`)

    Returns
    -------
    Events : one per row of the truth, `event_id` the row, with one hit or none; stations differ in
        gain and pedestal alone.

    Not included: stations out of service, triggers of the array.
    """
    array = array_from_config(config)
    setup, n, detector = setup_of(config, array, seed), len(truth.zenith), array.detector
    _check_memory("simulate stations", f"{n:,} of them", n * _bytes_per_hit(detector))
    work = work_space(array.n_stations, detector.n_bins, setup.conditions.window)
    work = work._replace(record=record)
    numbers, key = np.arange(n), stream_key(seed, "given", "station")
    showers = Showers(key, numbers.astype(np.uint64), rows_of(truth, setup), truth.t0)
    hits, hit = empty_hits(n + 1, detector), np.zeros(n, bool)
    used = simulate_single(showers, setup, work, hits, hit, background)
    hits = Hits(*(column[:used] for column in hits))

    def of_hits(column):
        return column.astype(np.float32)[hits.station, : detector.n_layers]

    return Events(
        array=array,
        event_id=numbers.astype(np.int64),
        hit_offset=np.concatenate([[0], np.cumsum(hit)]).astype(np.int64),
        hit_station=hits.station,
        hit_time=hits.time,
        waveform=hits.waveform,
        pedestal=of_hits(setup.stations.pedestal),
        counts_per_vem=of_hits(setup.stations.gain),
        dead_offset=np.zeros(n + 1, np.int64),
        dead_station=np.zeros(0, np.int32),
        truth=truth,
    )


def rows_of(truth: Truth, setup: Setup) -> np.ndarray:
    """Rows of `light.shower_of`."""
    columns = [np.asarray(getattr(truth, name), dtype=float) for name in _ROW]
    own = shower_delays(setup.delays, truth.zenith, truth.front_scale)
    attenuation = mean_attenuation(truth.zenith, setup.muons)
    return np.stack([*columns, *own, attenuation], axis=1)


def _run(truth: Truth, numbers, key, array: Array, setup: Setup, what: str) -> Events:
    """The compiled loop over all rows, in blocks."""
    n_events, n_stations, detector = len(truth.zenith), array.n_stations, array.detector
    rows = rows_of(truth, setup)
    numbers = numbers.astype(np.uint64)
    work = work_space(n_stations, detector.n_bins, setup.conditions.window)
    hits, used = empty_hits(min(_CAPACITY, n_events * n_stations) + n_stations, detector), 0
    n_hits, n_dead, dead_lists = np.zeros(n_events, np.int64), np.zeros(n_events, np.int64), []
    for window in blocks(f"simulate {what}", n_events, block_size(n_stations), "showers"):
        begin, end = window.start, window.stop
        dead = np.empty((end - begin, n_stations), np.int32)
        block = Block(n_hits[window], n_dead[window], dead)
        showers = Showers(key, numbers[window], rows[window], truth.t0[window])
        done = 0
        while done < end - begin:
            done, used = simulate_block(done, used, showers, setup, work, hits, block)
            if done < end - begin:
                task = f"simulate {what}"
                room = _room_for(task, used, begin + done, n_events, (n_stations, detector))
                hits = _with_room(hits, used, room, detector)
        mask = np.arange(n_stations) < block.n_dead[:, None]
        dead_lists.append(dead[mask & (block.n_hits > 0)[:, None]])
    hits = Hits(*(column[:used] for column in hits))
    return _assemble(array, setup.stations, truth, numbers, (n_hits, n_dead, dead_lists), hits)


def block_size(n_stations: int) -> int:
    """Showers that are simulated at once; the events do not depend on it."""
    return min(max(_BLOCK_STATIONS // max(n_stations, 1), 10), _BLOCK)


def _room_for(task: str, used: int, done: int, n_events: int, array: tuple) -> int:
    """Hits to make room for, when `used` hits of `done` of n_events showers have filled theirs.

    As many hits per shower are expected of what is left, and a tenth more. What does not fit into
    memory is refused, once so many showers were seen that the mean can be trusted, or the excess
    is large.

    array : (number of stations, `Detector`)

    Raises
    ------
    InputError : names the keys to change.
    """
    n_stations, detector = array
    expected = int(1.1 * used * n_events / max(done, 1))
    expected = min(max(expected, 2 * used), n_events * n_stations) + n_stations
    needed = expected * _bytes_per_hit(detector)
    if too_large(needed) and done < _ENOUGH and not too_large(needed / _FAR_TOO_LARGE):
        expected = min(expected, 2 * used + n_stations)
        needed = expected * _bytes_per_hit(detector)
    _check_memory(task, f"about {expected:,} hits of {n_events:,} showers", needed)
    return expected


def _bytes_per_hit(detector: Detector) -> float:
    """Memory of a hit: station, time, waveform, and the pedestal and gain of every layer."""
    return 12.0 + (2.0 * detector.n_bins + 8.0) * detector.n_layers


def _check_memory(task: str, about: str, needed: float) -> None:
    """Refuse what does not fit, before it is tried."""
    missing = too_large(needed)
    if missing:
        raise InputError(
            f"{task}: {missing} for {about}; fewer showers at once (samples.chunk_size, "
            "showers.throws), fewer stations (array.columns, array.rows) or shorter waveforms "
            "(detector.bins, detector.windows) need less"
        )


def empty_hits(n: int, detector: Detector) -> Hits:
    """Room for n hits."""
    shape = (n, detector.n_bins, detector.n_layers)
    return Hits(np.empty(n, np.int32), np.empty(n), np.empty(shape, np.uint16))


def _with_room(hits: Hits, used: int, n: int, detector: Detector) -> Hits:
    """The first `used` hits in arrays for n hits; memory that no hit is written to costs
    nothing.
    """
    larger = empty_hits(n, detector)
    for old, new in zip(hits, larger, strict=True):
        new[:used] = old[:used]
    return larger


def _assemble(array: Array, stations: Stations, truth: Truth, numbers, lists, hits) -> Events:
    """Events from what the blocks left behind: those with hits, times as the file keeps them."""
    n_hits, n_dead, dead_lists = lists
    triggered = n_hits > 0

    def offsets(length):
        return np.concatenate([[0], np.cumsum(length[triggered])]).astype(np.int64)

    def of_hits(column):
        return column.astype(np.float32)[hits.station, : array.detector.n_layers]

    return Events(
        array=array,
        event_id=numbers[triggered].astype(np.int64),
        hit_offset=offsets(n_hits),
        hit_station=hits.station,
        hit_time=hits.time,
        waveform=hits.waveform,
        pedestal=of_hits(stations.pedestal),
        counts_per_vem=of_hits(stations.gain),
        dead_offset=offsets(n_dead),
        dead_station=np.concatenate(dead_lists) if dead_lists else np.zeros(0, np.int32),
        truth=select_rows(truth, triggered),
    )

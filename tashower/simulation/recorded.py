"""What really reached the stations: of single stations, and of events, also where it gave no hit.

A record is made by simulating again with the same random numbers: hits are the same, to the bit.
"""

from typing import NamedTuple

import numpy as np

from tashower.config import Config
from tashower.errors import InputError
from tashower.events.model import Events, Truth
from tashower.simulation.random_numbers import stream_key
from tashower.simulation.record import N_FINE, Record
from tashower.simulation.simulate import empty_hits, rows_of, setup_of, simulate_stations
from tashower.simulation.stations import Block, Showers, simulate_block
from tashower.simulation.windows import work_space


class Particles(NamedTuple):
    """What reached n stations, those of a shower one after the other; stations without a particle
    have no row. Columns of kinds: muons, electromagnetic particles.

    Where a kind has more than 150 particles, the light of 20 ns bins that expect more than 10 is
    drawn from its exact moments instead of particle by particle; their number is then drawn given
    that light (`record.note_many`). Not included: background, and what comes after the light that
    is simulated at all, more than 8 us after the onset, where so many come.
    """

    offset: np.ndarray  #: (n_showers + 1,) int64, first row of each shower
    station: np.ndarray  #: (n,) int32
    front: np.ndarray  #: (n,) onset of the front there without local fluctuation [ns], as t0 is
    shift: np.ndarray  #: (n,) what the local fluctuation adds to it [ns]
    shift_rms: np.ndarray  #: (n,) its rms [ns]
    width: np.ndarray  #: (n,) thickness of the front there, the unit of the histogram [ns]
    clock: np.ndarray  #: (n,) error of the clock in the time of a hit [ns]; 0 without a hit
    expected: np.ndarray  #: (n, 2) mean numbers
    scale: np.ndarray  #: (n, 2) of delays after the onset [ns]: median of a log-normal, or gamma
    sigma: np.ndarray  #: (n,) of the muons' log-normal distribution; 0: gamma
    first: np.ndarray  #: (n, 2) delay of the first particle after front + shift [ns]; inf: none
    count: np.ndarray  #: (n, 2, N_FINE) int32, bins of `record.fine_edges` x width after it

    @property
    def shower(self) -> np.ndarray:
        """(n,) row of the shower of each station."""
        return np.repeat(np.arange(len(self.offset) - 1), np.diff(self.offset))

    @property
    def number(self) -> np.ndarray:
        """(n, 2) particles."""
        return self.count.sum(axis=2)

    @property
    def first_time(self) -> np.ndarray:
        """(n,) time of the first particle of any kind [ns], as t0 is."""
        return self.front + self.shift + self.first.min(axis=1)


def empty_record(n_showers: int, n: int) -> Record:
    """Room for n stations of n_showers."""
    """Room for n stations of n_showers."""
    return Record(
        np.zeros(1, np.int64),
        np.zeros(4, np.uint64),
        np.zeros(n_showers + 1, np.int64),
        np.zeros(n, np.int32),
        *np.zeros((5, n)),
        *np.zeros((2, n, 2)),
        np.zeros(n),
        np.zeros((n, 2)),
        np.zeros((n, 2, N_FINE), np.int32),
    )


def _taken(record: Record) -> list[np.ndarray]:
    """Columns of `Particles` after the first, as far as they are written."""
    return [column[: record.used[0]].copy() for column in record[3:]]


def record_stations(truth: Truth, config: Config, seed: int) -> tuple[Events, Particles]:
    """`simulate.simulate_stations`, and what reached every station.

    Parameters
    ----------
    truth, config, seed : as there

    Returns
    -------
    (what `simulate_stations` returns, particles: one row for every shower with any)
    """
    record = empty_record(len(truth.zenith), len(truth.zenith) + 1)
    events = simulate_stations(truth, config, seed, record=record)
    return events, Particles(record.offset, *_taken(record))


def record_events(events: Events, config: Config, split: str, seed: int | None = None) -> Particles:
    """What reached all stations of simulated events, also those that gave no hit.

    Parameters
    ----------
    events : as `simulate.simulate_events` or `simulate.simulate` returned them, or some of them
    config : of these events
    split : that of `simulate_events`; "given" for those of `simulate`
    seed : that of `simulate`; None: the configuration's

    Returns
    -------
    Particles : showers are rows of the events; stations out of service have none.

    Raises
    ------
    InputError : they are not what configuration, split and seed make.
    """
    seed = config.seed if seed is None else seed
    array, n_stations = events.array, events.array.n_stations
    setup = setup_of(config, array, seed)
    record = empty_record(1, n_stations + 1)
    work = work_space(n_stations, array.detector.n_bins, setup.conditions.window)
    work = work._replace(record=record)
    hits = empty_hits(n_stations + 1, array.detector)
    block = Block(np.zeros(1, np.int64), np.zeros(1, np.int64), np.zeros((1, n_stations), np.int32))
    key = stream_key(seed, split, "detector")
    rows, number = rows_of(events.truth, setup), events.event_id.astype(np.uint64)
    parts, offset = [], np.zeros(events.n_events + 1, np.int64)
    for i in range(events.n_events):
        one = slice(i, i + 1)
        record.used[0] = 0
        showers = Showers(key, number[one], rows[one], events.truth.t0[one])
        simulate_block(0, 0, showers, setup, work, hits, block)
        begin, end = events.hit_offset[i : i + 2]
        if not np.array_equal(hits.time[: block.n_hits[0]], events.hit_time[begin:end]):
            raise InputError(
                f"event {events.event_id[i]} is not one of this configuration and seed"
            )
        parts.append(_taken(record))
        offset[i + 1] = offset[i] + record.used[0]
    if not parts:
        return Particles(offset, *_taken(record))
    return Particles(offset, *(np.concatenate(column) for column in zip(*parts, strict=True)))

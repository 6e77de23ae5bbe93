"""Single stations of events: what the shower makes one expect there, and what was seen. The sample
that generators of stations learn from, made from event files.

Only stations count without which the event would have triggered, too: so the trigger of the array
says nothing of what they saw (tag and probe), and a generator may ask the trigger by itself.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tashower.config import Config
from tashower.errors import InputError
from tashower.events.array import Array, neighbour_table
from tashower.events.model import Events, Truth, select_events, select_rows
from tashower.generation.waveforms import Form, form_of, sums_of, values_of
from tashower.io.event_file import read_events
from tashower.likelihood.stations import conditions_of
from tashower.network.checkpoint import array_description, check_array
from tashower.physics.lateral import log_lateral_distribution
from tashower.physics.station import reduced_time
from tashower.physics.unread import pedestal_count
from tashower.progress import counted
from tashower.simulation.simulate import window_bins
from tashower.simulation.triggers import crossing_time, level_1, triggered_hits
from tashower.types import FilePath

#: Least signal [VEM] that a station beyond the reach of background expects to be looked at
#: (choice).
LEAST_EXPECTED = 0.01
#: A hit belongs to the front if its reduced time lies between these: from 10 of its units before
#: the onset to 74 after it (choice; 0.6 us and 4.5 us for a thin front). Others are background.
IN_TIME = (-3.0, 5.0)
#: Nothing, a hit that belongs to the front, one that does not.
MISS, SHOWER, BACKGROUND = 0, 1, 2
_EVENTS = 500  # at a time


class Considered(NamedTuple):
    """Stations of showers that may have been hit, shower by shower, stations increasing."""

    shower: np.ndarray  #: (n,) row of the truth
    station: np.ndarray  #: (n,)
    conditions: np.ndarray  #: (n, 5), columns of `physics.station.StationConditions`
    plane: np.ndarray  #: (n,) [ns], when the plane front is there


def considered(truth: Truth, working: np.ndarray, config: Config, array: Array) -> Considered:
    """Working stations within the reach of background or of the shower.

    working : (n_showers, n_stations) bool
    """
    position = array.position
    away = np.hypot(position[:, 0] - truth.core_x[:, None], position[:, 1] - truth.core_y[:, None])
    farthest = max(config.detector.accidental_radius_m, _reach(truth, config, array))
    shower, station = np.nonzero(working & (away < farthest))
    conditions, plane = conditions_of(select_rows(truth, shower), config, array, position[station])
    near = away[shower, station] < config.detector.accidental_radius_m
    kept = near | (conditions[:, 0] > np.log(LEAST_EXPECTED))
    plane = plane + truth.t0[shower]
    return Considered(shower[kept], station[kept], conditions[kept], plane[kept])


def _reach(truth: Truth, config: Config, array: Array) -> float:
    """Distance on the ground [m] beyond which no station expects LEAST_EXPECTED."""
    r = np.geomspace(500.0, 20_000.0, 40)
    largest = 0.0
    for distance in r:
        signal = float(array.detector.area) * truth.s_ref
        signal = signal * np.exp(log_lateral_distribution(distance, truth.slope, array.lateral))
        if (signal > LEAST_EXPECTED).any():
            largest = distance
    return 1.5 * largest / float(np.cos(truth.zenith).min())


class StationSample(NamedTuple):
    """Stations of events; of those with a hit, what they show."""

    conditions: np.ndarray  #: (n, 5)
    kind: np.ndarray  #: (n,) MISS, SHOWER or BACKGROUND
    hits: "HitSample"


class HitSample(NamedTuple):
    """Hits and what they show."""

    conditions: np.ndarray  #: (m, 5) float32
    background: np.ndarray  #: (m,) bool
    time: np.ndarray  #: (m,) reduced time of the level-0 crossing; without meaning in background
    sums: np.ndarray  #: (m, P, layers) float32, of `waveforms.sums_of`
    further: np.ndarray  #: (m,) bool: a further window was read out
    values: np.ndarray  #: (m, K, layers) float32, of `waveforms.values_of`


def reduced(delay: np.ndarray, conditions: np.ndarray) -> np.ndarray:
    """Reduced time of delays behind the plane front [ns]."""
    return reduced_time(delay, conditions[:, 2], conditions[:, 4])[0]


def is_in_time(time: np.ndarray) -> np.ndarray:
    """Whether reduced times are those of hits that belong to the front."""
    return (time > IN_TIME[0]) & (time < IN_TIME[1])


def _working(events: Events) -> np.ndarray:
    working = np.ones((events.n_events, events.array.n_stations), bool)
    event = np.repeat(np.arange(events.n_events), np.diff(events.dead_offset))
    working[event, events.dead_station] = False
    return working


def further_read(events: Events, window: int) -> np.ndarray:
    """(n_hits,) bool: behind the first window stands something else than the pedestal."""
    n_bins = events.waveform.shape[1]
    bins = np.arange(window, n_bins)[:, None]
    unread = pedestal_count(bins, events.pedestal.astype(float)[:, None, :])
    return (events.waveform[:, window:] != unread).any(axis=(1, 2))


def _look(events: Events, config: Config, form: Form, rng: np.random.Generator) -> StationSample:
    """The stations of some events."""
    array = events.array
    bin_width = float(array.detector.bin_width)
    crossing = crossing_time(events.hit_time, bin_width)
    passes = level_1(events.waveform, events.pedestal, form.window)
    neighbours = neighbour_table(array, corners=False)
    _, without = triggered_hits(events.hit_offset, events.hit_station, crossing, passes, neighbours)
    at = considered(events.truth, _working(events), config, array)
    n = array.n_stations
    place = np.searchsorted(at.shower * n + at.station, events.hit_event * n + events.hit_station)
    place = np.minimum(place, len(at.shower) - 1)
    known = (at.shower[place] == events.hit_event) & (at.station[place] == events.hit_station)
    kind = np.full(len(at.shower), MISS)
    used = np.ones(len(at.shower), bool)
    used[place[known & ~without]] = False
    kept = np.flatnonzero(known & without)
    place = place[kept]
    time = reduced(crossing[kept] - at.plane[place], at.conditions[place])
    background = ~is_in_time(time)
    kind[place] = np.where(background, BACKGROUND, SHOWER)
    waveform, pedestal = events.waveform[kept], events.pedestal[kept]
    gain = events.counts_per_vem[kept]
    hits = HitSample(
        at.conditions[place].astype(np.float32),
        background,
        time.astype(np.float32),
        sums_of(waveform, pedestal, gain, form),
        further_read(events, form.window)[kept],
        values_of(waveform, pedestal, gain, form, rng),
    )
    return StationSample(at.conditions[used].astype(np.float32), kind[used], hits)


def _rows(table, rows):
    return type(table)(*(column[rows] for column in table))


def _joined(parts):
    return type(parts[0])(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def read_stations(
    paths: Sequence[FilePath],
    config: Config,
    most: int,
    rng: np.random.Generator,
    like: tuple[Form, dict] | None = None,
) -> tuple[StationSample, Form, dict]:
    """Stations of event files with truth and waveforms.

    Parameters
    ----------
    config : how its showers are described: sections `front`, `detector`, `showers`
    most : hits that are kept, as many from each file; events are taken in random order
    rng : of that, and of the dither within a count
    like : form and array of the sample that this one must be like; None: they are measured here

    Returns
    -------
    (stations, how waveforms are written down, what an array must share)

    Raises
    ------
    InputError : a file without truth or waveforms; files of different stations; no hits.
    """
    form, shared = like or (None, {})
    parts: list[StationSample] = []
    for path in counted("read stations", list(paths), len(paths), "files"):
        events = read_events(path, only=("waveforms", "truth"))
        if events.truth is None or events.waveform is None:
            what = "truth" if events.truth is None else "waveforms"
            raise InputError(f"{path}: holds no {what} to learn from")
        if shared:
            check_array({"array": shared}, events.array, path)
        else:
            shared = _shared(events.array)
        if not events.n_hits:
            continue
        form = form or form_of(events, window_bins(config, events.array.detector))
        order, found = rng.permutation(events.n_events), 0
        for first in range(0, len(order), _EVENTS):
            part = _look(
                select_events(events, np.sort(order[first : first + _EVENTS])), config, form, rng
            )
            parts.append(part)
            found += len(part.hits.time)
            if found >= most / len(paths):
                break
    if not parts or not sum(len(part.hits.time) for part in parts):
        raise InputError(f"{paths[0]}: no hits to learn from")
    hits = _joined([part.hits for part in parts])
    kept = np.sort(rng.permutation(len(hits.time))[:most])
    sample = StationSample(
        np.concatenate([part.conditions for part in parts]),
        np.concatenate([part.kind for part in parts]),
        _rows(hits, kept),
    )
    if not np.isfinite(sample.conditions).all():
        raise InputError(f"{paths[0]}: showers of which the truth is not known whole")
    return sample, form, shared


def _shared(array: Array) -> dict:
    """What an array must share with that which a generator of stations learned from: stations, and
    how showers are described; not where the stations stand.
    """
    described = array_description(array)
    return {
        key: value
        for key, value in described.items()
        if key.startswith(("detector", "lateral", "front"))
    }

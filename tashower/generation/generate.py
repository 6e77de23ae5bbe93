"""Event files of generated showers: what a generator gives, with the ordinary trigger."""

import json
import logging
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tashower.config import Config, as_dict
from tashower.errors import InputError
from tashower.events.array import Array
from tashower.events.model import Events, Truth, concatenate_events, select_rows
from tashower.generation.checkpoint import load_generator, module_of
from tashower.io.event_file import write_events
from tashower.io.hdf5 import checksum_of
from tashower.io.stages import showers_of
from tashower.network.checkpoint import check_array
from tashower.progress import progress
from tashower.simulation.given import read_truth
from tashower.simulation.random_numbers import stream_key
from tashower.simulation.showers import draw_showers
from tashower.simulation.simulate import array_from_config, setup_of
from tashower.simulation.stations import Setup
from tashower.simulation.triggers import crossing_time, level_1, triggered_hits
from tashower.types import FilePath

_log = logging.getLogger("tashower")

#: Showers that are generated at once; the events do not depend on it (choice).
BLOCK = 250
#: Showers of which none triggers before no more are drawn (choice).
_IN_VAIN = 20_000


class Task(NamedTuple):
    """Showers to generate."""

    truth: Truth
    number: np.ndarray  #: (n,) int64, of each shower: its random numbers depend on it and the key
    key: int  #: of the random numbers
    working: np.ndarray  #: (n, n_stations) bool
    array: Array
    config: Config
    setup: Setup  #: of the simulation: gains and pedestals, delays, state of the detector

    def rng(self, i: int) -> np.random.Generator:
        """Random numbers of shower i (a row of the truth)."""
        return np.random.default_rng([self.key, int(self.number[i]), 1])


class Generated(NamedTuple):
    """Hits before the trigger of the array, shower by shower, stations increasing: what
    `generate_stations(content, task)` of a kind's module gives.
    """

    shower: np.ndarray  #: (n_hits,) int, row of the truth
    station: np.ndarray  #: (n_hits,) int32
    time: np.ndarray  #: (n_hits,) [ns], when the first bin begins
    waveform: np.ndarray  #: (n_hits, n_bins, n_layers) uint16, counts


def _with_trigger(generated: Generated, task: Task) -> Events:
    """The events that trigger, with the hits that are read out."""
    array, setup, n = task.array, task.setup, len(task.number)
    layers = array.detector.n_layers

    def of_hits(column, station):
        return column.astype(np.float32)[station, :layers]

    offset = np.searchsorted(generated.shower, np.arange(n + 1))
    pedestal = of_hits(setup.stations.pedestal, generated.station)
    passes = level_1(generated.waveform, pedestal, setup.conditions.window)
    time = crossing_time(generated.time, float(array.detector.bin_width))
    neighbours = setup.stations.neighbours
    kept, _ = triggered_hits(offset, generated.station, time, passes, neighbours)
    n_hits = np.bincount(generated.shower[kept], minlength=n)
    seen = n_hits > 0
    station = generated.station[kept].astype(np.int32)
    out = ~task.working[seen]
    return Events(
        array=array,
        event_id=task.number[seen].astype(np.int64),
        hit_offset=np.concatenate([[0], np.cumsum(n_hits[seen])]).astype(np.int64),
        hit_station=station,
        hit_time=generated.time[kept],
        waveform=generated.waveform[kept],
        pedestal=of_hits(setup.stations.pedestal, station),
        counts_per_vem=of_hits(setup.stations.gain, station),
        dead_offset=np.concatenate([[0], np.cumsum(out.sum(axis=1))]).astype(np.int64),
        dead_station=np.nonzero(out)[1].astype(np.int32),
        truth=select_rows(task.truth, seen),
    )


def generate_block(
    content: dict, truth: Truth, number: np.ndarray, key: int, about: tuple[Config, Array, Setup]
) -> Events:
    """Generated events of given showers: those that trigger, `event_id` the `number`.

    content : of `load_generator`; about : configuration, array, and `simulate.setup_of` both
    """
    config, array, setup = about
    fraction = config.detector.out_of_service_fraction
    working = np.stack(
        [
            np.random.default_rng([key, int(one), 0]).random(array.n_stations) >= fraction
            for one in number
        ]
    ).reshape(len(number), array.n_stations)
    task = Task(truth, number, key, working, array, config, setup)
    return _with_trigger(module_of(content["kind"]).generate_stations(content, task), task)


def _blocks(truth: Truth, number: np.ndarray) -> Iterator[tuple[Truth, np.ndarray]]:
    for first in range(0, len(number), BLOCK):
        rows = slice(first, first + BLOCK)
        yield select_rows(truth, rows), number[rows]


def _outside(content: dict, truth: Truth) -> np.ndarray:
    """(n,) bool: showers of energies or zenith angles that the training's configuration throws
    none of.
    """
    thrown = content["configuration"]["showers"]
    energy = np.log10(truth.energy) + 18.0  # of EeV
    low, high = thrown["min_log10_energy_ev"], thrown["max_log10_energy_ev"]
    return (energy < low) | (energy > high) | (np.degrees(truth.zenith) > thrown["max_zenith_deg"])


def _generated(
    content: dict, showers: Iterable, config: Config, seed: int, total: int | None
) -> Iterator[Events]:
    """Events of blocks of showers; total : number of these, where it is known."""
    array = array_from_config(config)
    check_array(content, array, "the configuration")
    about = config, array, setup_of(config, array, config.seed)
    key = int(stream_key(seed, "given", "detector"))
    n_showers = n_outside = 0
    try:
        with progress("generate", total, "showers") as advance:
            for truth, number in showers:
                n_showers += len(number)
                n_outside += int(_outside(content, truth).sum())
                yield generate_block(content, truth, number, key, about)
                advance(len(number))
    finally:  # who wants n events stops when there are as many
        if n_outside:
            _log.warning(
                f"generate: {n_outside:,} of {n_showers:,} showers have energies or zenith angles "
                "that the generator did not learn from; what it makes of them is a guess"
            )


def generate_showers(
    content: dict, truth: Truth, config: Config, seed: int, number: np.ndarray | None = None
) -> Events:
    """Generated events of showers that are given, at the configuration's array.

    Parameters
    ----------
    content : of `checkpoint.load_generator`
    truth : as of `simulation.simulate.simulate`
    config : its array, detector and fronts
    seed : of everything random but gains and pedestals, which are the configuration's
    number : (n,) of each shower, which decides its random numbers; None: its row

    Returns
    -------
    Events : those that trigger; `event_id` is the number.

    Raises
    ------
    InputError : the generator was trained for other stations; no showers.
    """
    number = np.arange(len(truth.zenith)) if number is None else number
    if not len(number):
        raise InputError("generate: no showers")
    parts = _generated(content, _blocks(truth, number), config, seed, len(number))
    return concatenate_events(list(parts))


def generate_events(content: dict, config: Config, n: int, seed: int) -> Events:
    """n generated events of showers that are drawn as the simulation draws them, of this seed.

    Raises
    ------
    InputError : the generator was trained for other stations; no shower triggers.
    """
    own = replace(config, seed=seed)

    throws = config.showers.throws
    # Somewhat more than are wanted, most of which trigger at usual energies.
    size = max(min(BLOCK, n + n // 8 + 8) // throws, 1)

    def showers():
        for block in count():
            truth = draw_showers(own, "given", block * size, size)
            yield truth, np.arange(size * throws) + block * size * throws

    parts, found, tried = [], 0, 0
    for part in _generated(content, showers(), config, seed, None):
        parts.append(part)
        found, tried = found + part.n_events, tried + size * throws
        if found >= n:
            break
        if not found and tried >= _IN_VAIN:
            raise InputError(f"generate: none of {tried:,} showers triggers")
    return concatenate_events(parts)[:n]


class Wanted(NamedTuple):
    """Which showers a file of generated events holds: of a sample, given ones, or drawn ones."""

    split: str = "test"
    chunk: int | None = None  #: of the sample; None: all of it
    truth: FilePath | None = None  #: a table or event file of showers
    events: int | None = None  #: so many events of showers that are drawn
    seed: int | None = None  #: None: the configuration's


def _sample(config: Config, split: str, chunk: int | None) -> tuple[Truth, np.ndarray, list]:
    """(showers of a sample as `tashower simulate` draws them, their numbers, what the file says
    of it).
    """
    total = getattr(config.samples, split)
    first, last = (0, total) if chunk is None else showers_of(as_dict(config), split, chunk)
    if not 0 <= first < last:
        raise InputError(
            f"--chunk {chunk}: {split} has {total} showers in chunks of {config.samples.chunk_size}"
        )
    truth = draw_showers(config, split, first, last - first)
    number = np.arange(len(truth.zenith)) + first * config.showers.throws
    return truth, number, [split, first, last]


def generate_file(checkpoint: FilePath, config: Config, wanted: Wanted, output: FilePath) -> Events:
    """Generate events and write them as an event file that says so: attribute `generated` holds
    name and kind of the generator and the checksum of its checkpoint.

    Raises
    ------
    InputError : as of `generate_showers`; a chunk that there is none of.
    """
    content = load_generator(checkpoint)
    name = content["name"]
    seed = config.seed if wanted.seed is None else wanted.seed
    inputs, showers = [checkpoint], None
    if wanted.truth is not None:
        inputs.append(wanted.truth)
        events = generate_showers(content, read_truth(wanted.truth, config), config, seed)
    elif wanted.events is not None:
        events = generate_events(content, config, wanted.events, seed)
    else:
        truth, number, showers = _sample(config, wanted.split, wanted.chunk)
        events = generate_showers(content, truth, config, seed, number)
    by = {"name": name, "kind": content["kind"], "seed": seed}
    by["checkpoint"] = [Path(checkpoint).name, checksum_of(checkpoint)]
    attributes = {"generated": json.dumps(by)}
    if showers:
        attributes["showers"] = json.dumps(showers)
    of_generator = content["configuration"]["generators"]
    configuration = as_dict(config) | {"generators": of_generator}
    write_events(output, events, configuration, inputs, "generate", attributes)
    return events

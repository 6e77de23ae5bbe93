"""Tiles of whole showers by an adversarial training: the kind `tile_gan`."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from tashower.config.generators import TileGanOptions
from tashower.errors import InputError
from tashower.events.array import Array
from tashower.events.model import Events, select_events
from tashower.generation.adversarial import (
    Batch,
    Play,
    Players,
    critic_step,
    distance_of,
    generator_step,
    make_batch,
    make_players,
    set_rates,
)
from tashower.generation.generate import Generated, Task
from tashower.generation.tile_hits import SPARE, digitised, light_of, read_out, spread, times_of
from tashower.generation.tile_models import Generator, Random, Shower, TileShape
from tashower.generation.tile_sample import (
    Around,
    Known,
    TileSample,
    check_truth,
    know,
    look_around,
    make_sample,
    near_front,
)
from tashower.generation.training import Asked, Learning
from tashower.io.event_file import read_events
from tashower.network.checkpoint import array_description, check_array
from tashower.progress import counted
from tashower.simulation.background import background_hits
from tashower.simulation.triggers import crossing_time

#: Events of which the distance of simulated and generated tiles is measured after an epoch, and
#: whose mean the generator begins with (choice).
_JUDGED = 1000
_ARRAYS = ("size", "curvature", "edges")  # of `Known`


def _read(paths: tuple[Path, ...], most: int) -> Iterator[tuple[Path, Events]]:
    """Events of the files, one after the other, `most` of them at most."""
    left = most
    for path in paths:
        if left <= 0:
            return
        events = select_events(read_events(path), slice(0, left))
        left -= events.n_events
        yield path, events


def _joined(samples: list[TileSample]) -> TileSample:
    first = np.cumsum([0, *(len(s) for s in samples)])
    event = [s.hit_event + begin for s, begin in zip(samples, first[:-1], strict=True)]
    names = ("condition", "maps", "hit_cell", "time", "light")
    joined = {name: np.concatenate([getattr(s, name) for s in samples]) for name in names}
    return TileSample(hit_event=np.concatenate(event), **joined)


def _samples(asked: Asked, options: TileGanOptions) -> tuple[Known, Array, TileSample, TileSample]:
    known, arrays = None, []
    train, validation = [], []
    for paths, most, made in (
        (asked.train, options.events, train),
        (asked.validation, _JUDGED, validation),
    ):
        for path, events in _read(paths, most):
            if known is None:
                known = know(events, path)
            else:
                check_array({"array": array_description(arrays[0])}, events.array, path)
            arrays.append(events.array)
            made.append(make_sample(events, options.tile, known, path))
    if not train or not validation:
        raise InputError(f"train {asked.name}: no event files to train or to validate")
    return known, arrays[0], _joined(train), _joined(validation)


def begin(asked: Asked) -> Learning:
    """A training that has begun.

    Raises
    ------
    InputError : event files without truth or waveforms, with too few events.
    """
    settings, options = asked.settings, TileGanOptions(**asked.settings.options)
    known, array, sample, other = _samples(asked, options)
    if len(sample) < settings.batch_size or not len(other):
        raise InputError(
            f"train {asked.name}: {len(sample)} events to train and {len(other)} to validate:"
            f" {settings.batch_size} and 1 are needed"
        )
    layers = array.detector.n_layers
    sizes = (options.latent, options.noise, options.width)
    shape = TileShape(options.tile, len(known.edges) - 1, layers, *sizes)
    rate = settings.learning_rate
    play = Play(options.critic_steps, options.penalty, rate, rate)
    torch.manual_seed(int(asked.rng(0).integers(2**62)))
    some = make_batch(sample, np.arange(min(len(sample), _JUDGED)))
    players = make_players(shape, play, some, asked.device)
    judged = make_batch(other, np.arange(len(other))).to(asked.device)

    def epoch(number: int) -> dict[str, float]:
        rng = asked.rng(number)
        random = torch.Generator().manual_seed(int(rng.integers(2**62)))
        order = rng.permutation(len(sample))
        steps = len(order) // settings.batch_size
        parts = np.array_split(order[: steps * settings.batch_size], steps)
        begun = (number - 1 + np.arange(steps) / steps) / settings.epochs
        task = f"train {asked.name}: epoch {number}"
        found = []
        for at, rows in counted(task, enumerate(parts), steps, "steps"):
            set_rates(players, play, begun[at])
            batch = make_batch(sample, rows).to(asked.device)
            found.append(_step(players, play, batch, random, at))
        distance, penalty, loss = np.array(found).T
        return {
            "train_loss": float(distance.mean()),
            "validation_loss": distance_of(players, judged, random),
            "gradient_penalty": float(penalty.mean()),
            "generator_loss": float(np.nanmean(loss)) if np.isfinite(loss).any() else 0.0,
        }

    names = ("critic", "average", "generator_optimiser", "critic_optimiser")
    network_parts = {name: getattr(players, name) for name in names}
    content = {
        "array": array_description(array),
        "shape": shape._asdict(),
        "known": {name: np.asarray(value).tolist() for name, value in known._asdict().items()},
    }
    parts = {"network": players.average.module, "generator": players.generator, **network_parts}
    return Learning(parts, epoch, content, best=False)


def _step(
    players: Players, play: Play, batch: Batch, random: torch.Generator, at: int
) -> tuple[float, float, float]:
    """One step of the critic, and after every `critic_steps` of them one of the generator; returns
    (distance, penalty, loss of the generator or NaN).
    """
    distance, penalty = critic_step(players, play, batch, random)
    last = (at + 1) % play.critic_steps == 0
    return distance, penalty, generator_step(players, batch, random) if last else np.nan


def _without_hits(task: Task) -> Events:
    """The showers at their stations."""
    n = len(task.number)
    out = ~task.working
    return Events(
        array=task.array,
        event_id=task.number,
        hit_offset=np.zeros(n + 1, np.int64),
        hit_station=np.zeros(0, np.int32),
        hit_time=np.zeros(0),
        waveform=None,
        pedestal=None,
        counts_per_vem=None,
        dead_offset=np.concatenate([[0], np.cumsum(out.sum(axis=1))]).astype(np.int64),
        dead_station=np.nonzero(out)[1].astype(np.int32),
        truth=check_truth(task.truth, "generate"),
    )


def _drawn(shape: TileShape, rngs: list[np.random.Generator]) -> Random:
    """`Random` of tiles, each with the numbers of its own generator."""
    tile = (shape.n, shape.n)
    columns = [
        (
            rng.standard_normal(shape.latent),
            rng.standard_normal((*tile, shape.noise)),
            rng.random(tile),
        )
        for rng in rngs
    ]
    latent, noise, uniform = (
        torch.from_numpy(np.stack(column)).float() for column in zip(*columns, strict=True)
    )
    return Random(latent, noise, uniform.clamp(1e-6, 1.0 - 1e-6))


def generate_stations(content: dict, task: Task) -> Generated:
    """Hits of all stations of showers: those of the tile around the core as the network makes them,
    and background as the simulation has it. Stations outside of the tile have background alone.
    """
    shape = TileShape(**content["shape"])
    about = content["known"]
    known = Known(**about | {name: np.array(about[name]) for name in _ARRAYS})
    network = Generator(shape).eval()
    network.load_state_dict(content["weights"])
    events, rngs = _without_hits(task), [task.rng(i) for i in range(len(task.number))]
    around = look_around(events, shape.n, known)
    shower = Shower(torch.from_numpy(around.condition), torch.from_numpy(around.maps))
    with torch.no_grad():
        cells = network(shower, _drawn(shape, rngs))
    place = cells.place.numpy()
    event, cell = place // shape.n**2, place % shape.n**2
    at = event, cell // shape.n, cell % shape.n
    found = _read_tiles(cells.content.numpy(), at, task, (around, known), rngs)
    return _with_background(found, task, around)


def _read_tiles(
    content: np.ndarray, at: tuple, task: Task, about: tuple, rngs: list[np.random.Generator]
) -> Generated:
    """What the stations of tiles read out; about : (`Around`, `Known`)."""
    (around, known), detector, stations = about, task.array.detector, task.setup.stations
    layers = detector.n_layers
    station = around.place.station[at]
    t0 = task.truth.t0[at[0]]
    time = times_of(content[:, 1], at, around, known, t0, detector.bin_width)
    light = light_of(content, layers)
    offset = np.searchsorted(at[0], np.arange(len(rngs) + 1))
    parts = []
    for i, rng in enumerate(rngs):
        rows = slice(*offset[i : i + 2])
        here = station[rows]
        vem = spread(light[rows], known.edges, detector.bin_width, rng)
        gain, pedestal = (column[here, :layers] for column in (stations.gain, stations.pedestal))
        counts = digitised(vem, gain, pedestal, rng)
        unread = stations.unread[here]
        parts.append(read_out(counts, pedestal, unread, task.setup.conditions.window))
    begin, waveform = (np.concatenate(column) for column in zip(*parts, strict=True))
    time = time + (begin - SPARE) * detector.bin_width
    seen = begin >= 0
    return Generated(at[0][seen], station[seen].astype(np.int32), time[seen], waveform[seen])


def _with_background(found: Generated, task: Task, around: Around) -> Generated:
    """Shower by shower, stations increasing, with background: in the tile's stations only apart
    from the shower's front, where the network makes it itself.
    """
    array, conditions, truth = task.array, task.setup.conditions, task.truth
    dx = array.position[:, 0] - truth.core_x[:, None]
    dy = array.position[:, 1] - truth.core_y[:, None]
    mask = task.working & (dx * dx + dy * dy < conditions.accidental_radius**2)
    mask[found.shower, found.station] = False
    # Streams of its own, not those of a simulation of the same showers.
    key = np.random.SeedSequence([task.key, 2]).generate_state(1, np.uint64)[0]
    shower, hits = background_hits(key, task.number, truth.t0, mask, task.setup, array.detector)
    plane = np.full(mask.shape, np.nan)
    event, column, row = np.nonzero(around.place.station >= 0)
    inside = around.place.station[event, column, row]
    plane[event, inside] = truth.t0[event] + around.expected.plane_time[event, column, row]
    onset = crossing_time(hits.time, conditions.bin_width)
    apart = ~near_front(onset - plane[shower, hits.station])
    more = Generated(shower, hits.station, hits.time, hits.waveform)
    both = [np.concatenate([a, b[apart]]) for a, b in zip(found, more, strict=True)]
    order = np.lexsort((both[1], both[0]))
    return Generated(*(column[order] for column in both))

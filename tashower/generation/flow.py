"""Conditional flow matching for every station by itself: the kind `station_flow`.

Given what the shower makes one expect in a station (`physics.station`), four things are drawn, each
given those before it:

1. nothing, a hit that belongs to the front, or one of the background: their probabilities;
2. reduced time of the level-0 crossing, and the light in three parts of the first window;
3. whether a further window is read out: its probability;
4. the waveform (`waveforms`).

2 and 4 are flows. A network v(x, t | c) is learned with straight paths from noise to data (Lipman
et al. 2023, arXiv:2210.02747, eq. 20 to 23 with sigma_min = 0): x_t = (1 - t) x_0 + t x_1, x_0
normal, loss |v(x_t, t | c) - (x_1 - x_0)|^2; drawn is the solution of dx/dt = v at t = 1, by the
midpoint rule. Before that every number is reduced by its mean and width given c, from a regression.

Not included: what neighbouring stations have in common beyond the shower's own numbers.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from tashower.generation.flow_network import StationFlow
from tashower.generation.generate import Generated, Task
from tashower.generation.stations import (
    BACKGROUND,
    IN_TIME,
    MISS,
    HitSample,
    StationSample,
    considered,
    read_stations,
    reduced,
)
from tashower.generation.training import Asked, Learning
from tashower.generation.waveforms import Form, read_windows, waveforms_of
from tashower.progress import blocks
from tashower.simulation.electronics import BINS_BEFORE, READOUT

#: Stations with and without a hit in a step of the probabilities, for one of the batch (choice).
_STATIONS = 2
#: Stations that networks are asked about at once, always as many: sums are then rounded alike.
_AT_ONCE = 512
_CLIP = 1.0  # largest norm of a gradient
_RISE = 0.1  # part of the steps over which the learning rate rises
_FEWEST = 11  # steps of which that part is more than one, as torch's schedule needs


def _fit_scales(network: StationFlow, sample: StationSample, hits: "_Hits", seed: int) -> "_Hits":
    """Measure ranges of the conditions and both regressions; returns the hits with reduced
    numbers.
    """
    generator = torch.Generator().manual_seed(seed)
    conditions = torch.from_numpy(sample.conditions).double()
    low, high = (torch.from_numpy(np.quantile(conditions, q, axis=0)) for q in (1e-4, 0.9999))
    network.low.copy_(low)
    network.high.copy_(high)
    network.mean.copy_(conditions.mean(dim=0))
    network.width.copy_(conditions.std(dim=0).clamp(min=1e-3))
    network.seen_mean.copy_(hits.seen.mean(dim=0))
    network.seen_width.copy_(hits.seen.std(dim=0).clamp(min=1e-3))
    given, whole = _given(network, hits, slice(None))
    z = network.seen.scaler.fit(given, hits.seen, generator)
    return hits._replace(z=z, values=network.waveform.scaler.fit(whole, hits.values, generator))


class _Hits(NamedTuple):
    """Hits as tensors, float32."""

    conditions: torch.Tensor  #: (m, 5)
    background: torch.Tensor  #: (m, 1)
    seen: torch.Tensor  #: (m, 1 + P x layers), crossing and sums of the parts
    further: torch.Tensor  #: (m, 1)
    values: torch.Tensor  #: (m, K x layers), in the end reduced
    z: torch.Tensor | None = None  #: `seen` reduced


def _tensors(hits: HitSample, rng: np.random.Generator) -> _Hits:
    """A crossing without meaning becomes any number."""
    any_time = rng.standard_normal(len(hits.time)).astype(np.float32)
    time = np.where(hits.background, any_time, hits.time)
    seen = np.concatenate([time[:, None], hits.sums.reshape(len(time), -1)], axis=1)

    def column(x):
        return torch.from_numpy(x.astype(np.float32)[:, None])

    return _Hits(
        torch.from_numpy(hits.conditions),
        column(hits.background),
        torch.from_numpy(seen),
        column(hits.further),
        torch.from_numpy(hits.values.reshape(len(hits.values), -1)),
    )


def _given(network: StationFlow, hits: _Hits, rows) -> tuple[torch.Tensor, torch.Tensor]:
    """Conditions of the two flows."""
    c = torch.cat([network.reduced(hits.conditions[rows]), hits.background[rows]], dim=1)
    return c, torch.cat([network.with_seen(c, hits.seen[rows]), hits.further[rows]], dim=1)


def _losses(
    network: StationFlow,
    stations: tuple[torch.Tensor, torch.Tensor],
    hits: _Hits,
    rows: torch.Tensor,
    generator: torch.Generator,
) -> dict[str, torch.Tensor]:
    """Losses of the four parts; stations : (conditions, kinds)."""
    c, whole = _given(network, hits, rows)
    further = network.further(whole[:, :-1])
    return {
        "kinds": functional.cross_entropy(network.kinds(network.reduced(stations[0])), stations[1]),
        "seen": network.seen.loss(hits.z[rows], c, generator),
        "further": functional.binary_cross_entropy_with_logits(further, hits.further[rows]),
        "waveform": network.waveform.loss(hits.values[rows], whole, generator),
    }


def begin(asked: Asked) -> Learning:
    """Read the stations and set up the networks; see `training.Learning`.

    Raises
    ------
    InputError : as of `stations.read_stations`.
    """
    options, rng = asked.settings.options, asked.rng(0)
    most = int(options["hits"])
    sample, form, shared = read_stations(asked.train, asked.config, most, rng)
    check, _, _ = read_stations(
        asked.validation, asked.config, max(most // 8, 1000), rng, (form, shared)
    )
    seed = int(rng.integers(2**62))
    torch.manual_seed(seed)
    layers = sample.hits.values.shape[2]
    network = StationFlow((len(form.parts) - 1, len(form.sizes)), layers, options)
    hits, check_hits = _tensors(sample.hits, rng), _tensors(check.hits, rng)
    hits = _fit_scales(network, sample, hits, seed)
    given, whole = _given(network, check_hits, slice(None))
    check_hits = check_hits._replace(
        z=network.seen.scaler.reduce(check_hits.seen, given),
        values=network.waveform.scaler.reduce(check_hits.values, whole),
    )
    batch = min(asked.settings.batch_size, len(hits.seen))
    steps = max(len(hits.seen) // batch, 1)
    rate = asked.settings.learning_rate
    optimiser = torch.optim.Adam(network.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, rate, total_steps=max(steps * asked.settings.epochs, _FEWEST), pct_start=_RISE
    )
    stations = torch.from_numpy(sample.conditions), torch.from_numpy(sample.kind)
    check_stations = torch.from_numpy(check.conditions), torch.from_numpy(check.kind)
    epoch = _epoch_of(
        (network, optimiser, schedule),
        (stations, hits, batch, steps),
        (check_stations, check_hits),
        asked,
    )
    content = {
        "array": shared,
        "form": form._asdict() | {"edges": list(form.edges), "parts": list(form.parts)},
        "layers": layers,
        "n_hits": len(hits.seen),
    }
    return Learning(
        {"network": network, "optimiser": optimiser, "schedule": schedule}, epoch, content
    )


def _epoch_of(parts: tuple, train: tuple, check: tuple, asked: Asked) -> Callable:
    """The function of `Learning.epoch`."""
    network, optimiser, schedule = parts
    stations, hits, batch, steps = train

    def step(rows: torch.Tensor, generator: torch.Generator) -> dict[str, float]:
        some = torch.randint(len(stations[1]), (_STATIONS * batch,), generator=generator)
        losses = _losses(network, (stations[0][some], stations[1][some]), hits, rows, generator)
        optimiser.zero_grad()
        sum(losses.values()).backward()
        nn.utils.clip_grad_norm_(network.parameters(), _CLIP)
        optimiser.step()
        schedule.step()
        return {name: float(value.detach()) for name, value in losses.items()}

    def epoch(number: int) -> dict[str, float]:
        network.train()
        generator = torch.Generator().manual_seed(int(asked.rng(number).integers(2**62)))
        order = torch.randperm(len(hits.seen), generator=generator)
        total: dict[str, float] = {}
        for done in blocks(f"train {asked.name}", steps, 10, "steps"):
            for i in range(done.start, done.stop):
                found = step(order[i * batch : (i + 1) * batch], generator)
                total = {name: total.get(name, 0.0) + x / steps for name, x in found.items()}
        network.eval()
        own = torch.Generator().manual_seed(1)  # the same noise for all epochs
        with torch.no_grad():
            judged: dict[str, float] = {}
            n = len(check[1].seen)
            for rows in torch.arange(n).split(8192):
                found = _losses(network, check[0], check[1], rows, own)
                for name, x in found.items():
                    judged[name] = judged.get(name, 0.0) + float(x) * len(rows) / n
        return {
            "train_loss": sum(total.values()),
            "validation_loss": sum(judged.values()),
            **{f"validation_{name}": value for name, value in judged.items()},
        }

    return epoch


def _at_once(function: Callable, *columns: torch.Tensor) -> torch.Tensor:
    """What a function of rows gives for all of them, asked about `_AT_ONCE` at a time: what a row
    gets does not depend on the others.
    """
    n = len(columns[0])
    parts = []
    for first in range(0, n, _AT_ONCE):
        some = [column[first : first + _AT_ONCE] for column in columns]
        missing = _AT_ONCE - len(some[0])
        padded = [torch.cat([x, x[:1].expand(missing, *x.shape[1:])]) for x in some]
        parts.append(function(*padded)[: len(some[0])])
    return torch.cat(parts)


def build(content: dict) -> tuple[StationFlow, Form]:
    """The trained networks of a checkpoint, and how waveforms are written down."""
    about = content["form"]
    about |= {name: tuple(about[name]) for name in ("edges", "parts")}
    form = Form(**about)
    numbers = len(form.parts) - 1, len(form.sizes)
    network = StationFlow(numbers, content["layers"], content["options"])
    network.load_state_dict(content["weights"])
    return network.eval(), form


def generate_stations(content: dict, task: Task) -> Generated:
    """Hits of all stations of showers; see `generate.Generated`."""
    network, form = build(content)
    at = considered(task.truth, task.working, task.config, task.array)
    counts = np.bincount(at.shower, minlength=len(task.number))
    streams = [task.rng(i) for i in range(len(counts))]

    def drawn(how: Callable, numbers: np.ndarray) -> np.ndarray:
        parts = [how(rng, int(n)) for rng, n in zip(streams, numbers, strict=True)]
        return np.concatenate(parts)

    u = drawn(lambda rng, n: rng.random(n), counts)
    with torch.no_grad():
        conditions = torch.from_numpy(at.conditions.astype(np.float32))
        logits = _at_once(lambda x: network.kinds(network.reduced(x)), conditions)
        below = torch.softmax(logits.double(), dim=1).cumsum(dim=1).numpy()
    kind = (u[:, None] >= below[:, :2]).sum(axis=1)
    hit = np.flatnonzero(kind != MISS)
    n_hits = np.bincount(at.shower[hit], minlength=len(counts))
    background = kind[hit] == BACKGROUND
    layers, parts, groups = network.layers, network.parts, network.groups
    uniform = drawn(lambda rng, n: rng.random((n, 2)), n_hits)

    def noise(*shape):
        numbers = drawn(lambda rng, n: rng.standard_normal((n, *shape), np.float32), n_hits)
        return torch.from_numpy(numbers)

    with torch.no_grad():
        c = _at_once(network.reduced, conditions[hit])
        c = torch.cat([c, torch.from_numpy(background.astype(np.float32)[:, None])], dim=1)
        seen = _at_once(
            lambda x, given: network.seen.draw(x, given, network.steps),
            noise(1 + parts * layers),
            c,
        )
        seen[:, 0].clamp_(*IN_TIME)
        whole = network.with_seen(c, seen)
        likely = torch.sigmoid(_at_once(network.further, whole)[:, 0]).numpy()
        further = uniform[:, 0] < likely
        whole = torch.cat([whole, torch.from_numpy(further.astype(np.float32)[:, None])], dim=1)
        values = _at_once(
            lambda x, given: network.waveform.draw(x, given, network.steps),
            noise(groups * layers),
            whole,
        )
    values = values.numpy().astype(float).reshape(-1, groups, layers)
    stations, station = task.setup.stations, at.station[hit]
    pedestal, gain = stations.pedestal[station, :layers], stations.gain[station, :layers]
    sums = seen[:, 1:].numpy().astype(float).reshape(-1, parts, layers)
    rough = noise(form.edges[-1], layers).numpy().astype(float)
    waveform = waveforms_of(values, sums, (pedestal, gain), form, rough)
    read_windows(waveform, pedestal, further, form.window)
    delay = _delay_of(seen[:, 0].numpy().astype(float), at.conditions[hit])
    crossing = at.plane[hit] + delay
    any_time = _any_time(uniform[:, 1], at, hit, task)
    crossing = np.where(background, any_time, crossing)
    time = crossing - BINS_BEFORE * float(task.array.detector.bin_width)
    return Generated(at.shower[hit], station.astype(np.int32), time, waveform)


def _delay_of(time: np.ndarray, conditions: np.ndarray) -> np.ndarray:
    """The delay [ns] with this reduced time, which is linear in sinh of it."""
    zero, one = (reduced(np.full(len(time), x), conditions) for x in (0.0, 1000.0))
    slope = (np.sinh(one) - np.sinh(zero)) / 1000.0
    return (np.sinh(time) - np.sinh(zero)) / slope


def _any_time(u: np.ndarray, at, hit: np.ndarray, task: Task) -> np.ndarray:
    """Uniform in the read-out around the core's passage, but for the times of the front."""
    plane, t0 = at.plane[hit], task.truth.t0[at.shower[hit]]
    conditions = at.conditions[hit]
    low, high = (plane + _delay_of(np.full(len(plane), x), conditions) for x in IN_TIME)
    begin, end = t0 - READOUT, t0 + READOUT
    low, high = np.clip(low, begin, end), np.clip(high, begin, end)
    time = begin + u * (end - begin - (high - low))
    return np.where(time > low, time + high - low, time)

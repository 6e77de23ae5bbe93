"""What simulation and data both have of a hit, and how two samples of it are told apart: the
waveform, and quantities around it that need no distance from the core.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from tashower.errors import InputError
from tashower.events.array import DETECTOR_SHAPE
from tashower.events.model import Events, Pulses, Reconstruction
from tashower.likelihood.training import adam
from tashower.physics.geometry import axis_components, axis_distance
from tashower.reconstruction.methods.plane import fit_planes

#: Bins of a waveform that are compared: the first window of a Telescope Array station (choice).
BINS = 128
#: Waveforms are compared as arsinh(w/s), with s this many times the noise of a bin, or so many VEM
#: per bin where the noise is not known (choices): noise and large pulses are both of order 1.
SCALE_OF_NOISE, USUAL_SCALE = 2.5, 0.05
#: Columns of `Measured.condition`.
CONDITIONS = ("log_signal", "secant", "log_largest_signal", "distance", "early_late")
#: Part of the events that no training sees, and on which two samples are compared (choice).
HELD_OUT = 0.3
#: Fewest events and hits of each side (choices): with fewer, held-out ones say nothing.
FEWEST_EVENTS, FEWEST_HITS = 50, 200
#: Largest weight of a simulated hit or event, relative to the mean (choice).
LARGEST_WEIGHT = 10.0
_STEPS, _BATCH, _RATE, _DRAWS = 400, 256, 3e-3, 100


class Measured(NamedTuple):
    """Hits with a pulse that is not saturated; of m hits."""

    rows: np.ndarray  #: (m,) which hits of the events
    event: np.ndarray  #: (m,) which event
    waveform: np.ndarray  #: (m, n_layers, n_bins) float32, counts above the pedestal
    counts_per_vem: np.ndarray  #: (m, n_layers) float32
    pedestal: np.ndarray  #: (m, n_layers) float32
    condition: np.ndarray  #: (m, 5) float32, CONDITIONS


def usable_hits(events: Events, pulses: Pulses) -> np.ndarray:
    """(n_hits,) bool: there is a leading edge and a signal, and nothing is saturated."""
    signal = pulses.signal.mean(axis=1)
    with np.errstate(invalid="ignore"):
        return np.isfinite(pulses.arrival_time) & (signal > 0.0) & ~pulses.saturated


def measure_hits(events: Events, pulses: Pulses) -> Measured:
    """`Measured` hits of events whose plane front is known: signal, sec of its zenith, largest
    signal of the event, distance [spacings] from the mean of the stations weighted by the square
    root of their signals across the shower's axis, and the place along it (positive: early).
    """
    plane = fit_planes(events, pulses)
    event = events.hit_event
    good = usable_hits(events, pulses) & np.isfinite(plane.zenith)[event]
    signal = np.where(good, np.nan_to_num(pulses.signal.mean(axis=1)), 0.0)
    largest = np.zeros(events.n_events)
    np.maximum.at(largest, event, signal)
    r, along = _places(events, plane, np.sqrt(signal))
    spacing = max(float(events.array.spacing), 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        columns = (
            np.log(signal),
            1.0 / np.cos(plane.zenith[event]),
            np.log(largest[event]),
            r / spacing,
            along / spacing,
        )
        condition = np.stack(columns, axis=1)
    rows = np.flatnonzero(good & np.isfinite(condition).all(axis=1))
    above = events.waveform[rows].astype(np.float32) - events.pedestal[rows][:, None, :]
    return Measured(
        rows,
        event[rows],
        np.ascontiguousarray(above.transpose(0, 2, 1)),
        events.counts_per_vem[rows].astype(np.float32),
        events.pedestal[rows].astype(np.float32),
        condition[rows].astype(np.float32),
    )


def _places(events: Events, plane: Reconstruction, weight):
    """(distance from the middle across the axis, place along the direction of arrival) [m]."""
    event, position = events.hit_event, events.array.position[events.hit_station]
    total = np.maximum(np.bincount(event, weight, events.n_events), 1e-12)
    middle = np.stack(
        [np.bincount(event, weight * position[:, i], events.n_events) / total for i in range(2)]
    )
    dx, dy = (position[:, i] - middle[i][event] for i in range(2))
    n = axis_components(plane.zenith[event], plane.azimuth[event])
    return axis_distance(dx, dy, position[:, 2], *n), dx * n[0] + dy * n[1]


def check_alike(simulated: Events, data: Events, names: tuple) -> None:
    """Refuse data and simulation whose waveforms cannot be compared.

    Raises
    ------
    InputError : names the file and what is missing or differs.
    """
    for events, name in zip((simulated, data), names, strict=True):
        if events.waveform is None:
            raise InputError(f"{name}: has no waveforms, which are compared")
    ours, theirs = simulated.array.detector, data.array.detector
    for key in DETECTOR_SHAPE:
        if key != "n_bins" and not np.isclose(getattr(ours, key), getattr(theirs, key), rtol=0.01):
            raise InputError(
                f"{names[1]}: {key} is {getattr(theirs, key):g}, that of {names[0]} is "
                f"{getattr(ours, key):g}: their waveforms cannot be compared"
            )


def check_enough(found: Measured, name: object) -> None:
    """Refuse a sample too small to be compared.

    Raises
    ------
    InputError : names the file.
    """
    n_events = len(np.unique(found.event))
    if n_events < FEWEST_EVENTS or len(found.rows) < FEWEST_HITS:
        raise InputError(
            f"{name}: {n_events} events with {len(found.rows)} usable hits: {FEWEST_EVENTS} and "
            f"{FEWEST_HITS} are needed for anything to be told from chance"
        )


def scale_of(events: Events) -> float:
    """s [VEM per bin] in arsinh(w/s)."""
    noise = float(events.array.detector.noise_counts)
    per_vem = float(np.median(events.counts_per_vem)) if events.n_hits else 0.0
    return SCALE_OF_NOISE * noise / per_vem if noise > 0 and per_vem > 0 else USUAL_SCALE


def held_out(event: np.ndarray, seed: int) -> np.ndarray:
    """(m,) bool of hits, or of events by their number: those of `HELD_OUT` of the events."""
    n = int(event.max()) + 1 if len(event) else 0
    return (np.random.default_rng([seed, 11]).random(n) < HELD_OUT)[event]


class Scorer(nn.Module):
    """A number for every waveform: what a critic or a classifier says.

    Three convolutions with strides along the waveform, then two dense layers that see the
    conditions, too, where there are any (sizes are choices).
    """

    def __init__(self, n_layers: int, n_conditions: int):
        super().__init__()
        self.pieces = nn.Conv1d(n_layers, 24, 8, stride=4, padding=2)
        self.pairs = nn.Conv1d(24, 32, 5, stride=2, padding=2)
        self.quads = nn.Conv1d(32, 32, 5, stride=2, padding=2)
        self.dense = nn.Linear(32 * (BINS // 16) + n_conditions, 64)
        self.out = nn.Linear(64, 1)

    def forward(self, x: torch.Tensor, condition: torch.Tensor | None = None) -> torch.Tensor:
        """(m,) for (m, n_layers, BINS) and (m, n_conditions)."""
        for layer in (self.pieces, self.pairs, self.quads):
            x = functional.leaky_relu(layer(x), 0.2)
        x = x.flatten(1)
        x = x if condition is None else torch.cat([x, condition], 1)
        return self.out(functional.leaky_relu(self.dense(x), 0.2))[:, 0]


def compared(waveform: torch.Tensor, counts_per_vem: torch.Tensor, scale: float) -> torch.Tensor:
    """(m, n_layers, BINS) arsinh of counts above the pedestal; what is shorter is filled with 0."""
    n = waveform.shape[2]
    x = torch.asinh(waveform[:, :, :BINS] / counts_per_vem[:, :, None] / scale)
    return functional.pad(x, (0, BINS - n)) if n < BINS else x


def train_classifier(
    network: nn.Module,
    batches: Callable[[torch.Generator, int], Sequence[torch.Tensor]],
    seed: int,
    steps: int = _STEPS,
) -> nn.Module:
    """A network whose output is ln of the odds of data, by the logistic loss.

    batches : function (generator, n) -> (inputs of data, of simulation), n rows each
    """
    generator = torch.Generator().manual_seed(seed)
    step = adam(network, _RATE, steps)
    for _ in range(steps):
        data, simulated = batches(generator, _BATCH)
        network.train()
        wrong_data = functional.softplus(-network(data)).mean()
        step(wrong_data + functional.softplus(network(simulated)).mean())
    return network.eval()


def area_under_curve(data: np.ndarray, simulated: np.ndarray, weights: tuple) -> float:
    """Probability that a score of data exceeds one of simulation; ties count half.

    weights : (of data, of simulation)
    """
    scores = np.concatenate([data, simulated])
    of_data = np.concatenate([weights[0], np.zeros(len(simulated))])
    of_simulated = np.concatenate([np.zeros(len(data)), weights[1]])
    values, place = np.unique(scores, return_inverse=True)
    a, b = (np.bincount(place, w, len(values)) for w in (of_data, of_simulated))
    total = a.sum() * b.sum()
    return float((a * (np.cumsum(b) - 0.5 * b)).sum() / total) if total > 0 else np.nan


def told_apart(scores: tuple, events: tuple, weights: np.ndarray, seed: int) -> tuple:
    """(AUC, its error) of held-out scores of (data, simulation); 0.5: they are alike.

    The error is from bootstrap samples of events: hits of an event are not independent.

    events : event of every score, (data, simulation); weights : of the simulated ones
    """
    ones = np.ones(len(scores[0]))
    value = area_under_curve(*scores, (ones, weights))
    rng = np.random.default_rng([seed, 12])
    draws = []
    for _ in range(_DRAWS):
        n = [rng.poisson(1.0, int(e.max()) + 1)[e] for e in events]
        draws.append(area_under_curve(*scores, (n[0], n[1] * weights)))
    return value, float(np.nanstd(draws))

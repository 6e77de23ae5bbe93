"""What a network says when one of its inputs is exchanged between hits or events.

Permutation importance (Breiman 2001, doi:10.1023/A:1010933404324, section 10; of any model Fisher
et al. 2019, arXiv:1801.01489): how much worse the answer becomes. A feature that others repeat
looks unimportant alone, which is why groups are permuted as well, and permuted values may be such
that no shower has them.
"""

from typing import NamedTuple

import numpy as np
import torch

from tashower.network.insight.subject import Seen, Subject, corrections, seen
from tashower.network.tiles import VECTORS, WITH_SCORES
from tashower.progress import counted
from tashower.reconstruction.features import EVENT_FEATURES
from tashower.reconstruction.likelihood.station_scores import STATION_SCORES

_BATCH = 1024  # events in a pass (choice)
#: Station features that say the same thing in several ways; permuted together as well.
GROUPS = {
    "all arrival times": ("timed", "plane_time", "front_residual", "relative_residual"),
    "all signals": ("saturated", "log_upper", "log_lower", "signal_residual"),
    "all that the station likelihood says": STATION_SCORES,
    "all of the place": ("x", "y", "z", "distance", "log_expected"),
}


class Input(NamedTuple):
    """Something that is permuted as a whole."""

    name: str
    among: str  #: "hits" or "events"
    features: tuple[str, ...]  #: of stations or events; empty: the waveforms


class Permuted(NamedTuple):
    """Corrections as they are, and with each input permuted."""

    inputs: list[Input]
    whole: np.ndarray  #: (n, 5) TARGETS in their units
    without: np.ndarray  #: (len(inputs), n, 5)
    constant: list[str]  #: station features that all hits share: there is nothing to permute


def _vector(name: str) -> tuple[str, ...]:
    """The feature, with the others of its vector."""
    return next((pair for pair in VECTORS if name in pair), (name,))


def inputs_of(subject: Subject) -> tuple[list[Input], list[str]]:
    """(what can be permuted: station features one by one, vectors and groups as a whole,
    waveforms, event features; station features that all hits share).
    """
    cells = subject.sample.tiles.cells
    every = WITH_SCORES[: cells.shape[-1]]
    hits = cells[cells[..., every.index("hit")] > 0]
    constant = [
        name
        for k, name in enumerate(every)
        if not len(hits) or hits[:, k].min() == hits[:, k].max()
    ]
    free = [name for name in every if name not in constant]
    vectors = dict.fromkeys(tuple(f for f in _vector(n) if f in free) for n in free)
    found = [Input(", ".join(vector), "hits", vector) for vector in vectors]
    for group, names in GROUPS.items():
        some = tuple(name for name in names if name in free)
        if len(some) > 1:
            found.append(Input(group, "hits", some))
    if len(subject.sample.tiles.waveform) > 1:
        found.append(Input("waveforms", "hits", ()))
    if subject.trained.event_features:
        found += [Input(name, "events", (name,)) for name in EVENT_FEATURES]
        found.append(Input("all event features", "events", tuple(EVENT_FEATURES)))
    return found, constant


def _everything(subject: Subject) -> Seen:
    """What the network sees of all events; on its device."""
    return seen(subject, np.arange(subject.n))


def permuted(what: Seen, one: Input, rng: np.random.Generator) -> Seen:
    """What is seen, with one input exchanged at random."""
    device = what.cells.device
    if one.among == "events":
        columns = [EVENT_FEATURES.index(name) for name in one.features]
        features = what.event_features.clone()
        order = torch.as_tensor(rng.permutation(len(features)), device=device)
        features[:, columns] = what.event_features[order][:, columns]
        return what._replace(event_features=features)
    if not one.features:
        order = torch.as_tensor(rng.permutation(len(what.waveform)), device=device)
        return what._replace(waveform=what.waveform[order])
    columns = [WITH_SCORES.index(name) for name in one.features]
    cells = what.cells.clone().flatten(0, 2)
    hit = torch.nonzero(cells[:, WITH_SCORES.index("hit")] > 0)[:, 0]
    order = torch.as_tensor(rng.permutation(len(hit)), device=device)
    for column in columns:
        cells[hit, column] = cells[hit[order], column]
    return what._replace(cells=cells.reshape(what.cells.shape))


def _answers(subject: Subject, what: Seen) -> np.ndarray:
    """(n, 5) corrections in their units."""
    n_cells, found = what.cells.shape[1] ** 2, []
    event = what.place // n_cells
    for begin in range(0, len(what.cells), _BATCH):
        end = begin + _BATCH
        mine = (event >= begin) & (event < end)
        part = Seen(
            what.cells[begin:end],
            what.event_features[begin:end],
            what.waveform[mine],
            what.place[mine] - begin * n_cells,
        )
        with torch.no_grad():
            found.append(corrections(subject.trained, part).cpu().numpy())
    return np.concatenate(found).astype(float) * subject.width


def permutations(subject: Subject, seed: int = 0) -> Permuted:
    """Corrections of all events with every input permuted once: each event and hit gets another
    partner, so that the draw is as uncertain as the sample is.
    """
    inputs, constant = inputs_of(subject)
    what = _everything(subject)
    whole = _answers(subject, what)
    without = np.zeros((len(inputs), *whole.shape))
    for k, one in enumerate(counted("explain: permutations", inputs, len(inputs), "inputs")):
        rng = np.random.default_rng(np.random.SeedSequence([seed, k]))
        without[k] = _answers(subject, permuted(what, one, rng))
    return Permuted(inputs, whole, without, constant)

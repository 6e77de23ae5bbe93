"""Integrated gradients (Sundararajan et al. 2017, arXiv:1703.01365), computed by captum.

    IG_i = (x_i - x'_i) integral_0^1 dF(x' + a (x - x'))/dx_i da

Over all inputs they add up to F(x) - F(x') (completeness). The baseline x' is a tile of the same
stations, each with all its features at the mean of the training sample and no hit, no waveform,
and event features at their median: which stations exist and work is kept. F is the answer, with
the direction along which it is measured held fixed.
"""

import importlib.util
from typing import NamedTuple

import numpy as np
import torch

from tashower.errors import InputError
from tashower.network.insight.subject import Seen, Subject, answer, corrections, seen, weights_of
from tashower.network.tiles import STATION_FEATURES
from tashower.progress import blocks

#: Points of the integral (Gauss and Legendre): along its path a network of rectifiers bends often.
#: Events times points in one pass: memory (choices).
STEPS = 256
_IN_ONE_PASS = 2048
#: Cell features that the baseline keeps.
_KEPT = ("exists", "working")


class Attribution(NamedTuple):
    """Integrated gradients of some events, in the units of the answer."""

    rows: np.ndarray  #: (n,) which events of the subject
    cells: np.ndarray  #: (n, N, N, F)
    event_features: np.ndarray  #: (n, E)
    waveform: np.ndarray  #: (h, T, L) of the events' hits, in order
    hit_offset: np.ndarray  #: (n + 1,)
    answer: np.ndarray  #: (n,) F(x)
    baseline: np.ndarray  #: (n,) F(x')

    @property
    def of_waveforms(self) -> np.ndarray:
        """(n,) sums over the waveforms of an event."""
        event = np.repeat(np.arange(len(self.rows)), np.diff(self.hit_offset))
        return np.bincount(event, self.waveform.sum(axis=(1, 2)), len(self.rows))

    @property
    def missing(self) -> np.ndarray:
        """(n,) what the sum lacks of F(x) - F(x'): 0 is complete."""
        total = self.cells.sum(axis=(1, 2, 3)) + self.event_features.sum(axis=1)
        return self.answer - self.baseline - total - self.of_waveforms


def has_captum() -> bool:
    """Whether captum is installed."""
    return importlib.util.find_spec("captum") is not None


def _baseline(what: Seen) -> Seen:
    cells = torch.zeros_like(what.cells)
    for name in _KEPT:
        k = STATION_FEATURES.index(name)
        cells[..., k] = what.cells[..., k]
    zeros = (torch.zeros_like(what.event_features), torch.zeros_like(what.waveform))
    return Seen(cells, *zeros, what.place)


def _of_events(subject: Subject, question: str, rows: np.ndarray, steps: int) -> tuple:
    """(attributions by name, F(x), F(x')) of one pass."""
    from captum.attr import IntegratedGradients

    what = seen(subject, rows)
    b, n = what.cells.shape[:2]
    with torch.no_grad():
        mean = corrections(subject.trained, what)
        width = subject.trained.normalisation["target_width"].to(mean.dtype)
        weights = weights_of(question, mean, width)
    # What there is none of cannot be integrated over.
    names = [
        name for name in ("cells", "event_features", "waveform") if getattr(what, name).numel()
    ]

    def asked(*inputs):
        copies = len(inputs[0]) // b  # the events again and again, one copy for each point
        every = torch.arange(copies, device=what.place.device)[:, None]
        place = (what.place + every * (b * n * n)).flatten()
        empty = {
            "event_features": inputs[0].new_zeros(len(inputs[0]), 0),
            "waveform": what.waveform[:0],
        }
        here = Seen(**empty | dict(zip(names, inputs, strict=True)), place=place)
        found = answer(subject, question, here, weights.repeat(copies, 1))
        # A model may ignore an input; its gradient is 0 then, not missing.
        return found + sum(0.0 * part.sum() for part in inputs)

    start = _baseline(what)
    inputs, starts = ([getattr(part, name) for name in names] for part in (what, start))
    with torch.no_grad():
        ends = [asked(*part).cpu().numpy().astype(float) for part in (inputs, starts)]
    found = IntegratedGradients(asked).attribute(
        tuple(inputs), tuple(starts), n_steps=steps, method="gausslegendre"
    )
    parts = {name: part.detach().cpu().numpy() for name, part in zip(names, found, strict=True)}
    whole = {
        name: parts.get(name, np.zeros(getattr(what, name).shape)) for name in Seen._fields[:3]
    }
    return whole, *ends


def integrated_gradients(
    subject: Subject, question: str, rows: np.ndarray, steps: int = STEPS
) -> Attribution:
    """Integrated gradients of some events, `rows` (n,).

    Raises
    ------
    InputError : captum is not installed.
    """
    if not has_captum():
        raise InputError("integrated gradients need captum: pip install 'tashower[explain]'")
    rows = np.asarray(rows)
    found = [
        _of_events(subject, question, rows[part], steps)
        for part in blocks("explain: gradients", len(rows), max(1, _IN_ONE_PASS // steps))
    ]
    wholes, ends, starts = zip(*found, strict=True)
    joined = {name: np.concatenate([whole[name] for whole in wholes]) for name in wholes[0]}
    first = subject.sample.first_waveform
    offset = np.concatenate([[0], np.cumsum(first[rows + 1] - first[rows])])
    return Attribution(
        rows,
        **joined,
        hit_offset=offset,
        answer=np.concatenate(ends),
        baseline=np.concatenate(starts),
    )

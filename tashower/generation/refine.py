"""Simulated events moved towards data, with their truth: `tashower refine`."""

import logging
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch

from tashower.events.model import Events, select_events
from tashower.generation.measured import (
    BINS,
    Measured,
    Scorer,
    check_enough,
    compared,
    held_out,
    measure_hits,
    scale_of,
    told_apart,
    train_classifier,
)
from tashower.generation.refiner import STEPS, Hits, Refiner, as_hits, draw_chance, train_refiner
from tashower.generation.reweight import (
    Standard,
    density_ratio,
    drawn_by_weight,
    event_summary,
    standard_of,
    weigh_events,
)
from tashower.likelihood.training import on_one_core
from tashower.physics.unread import pedestal_count
from tashower.reconstruction.pulses import find_pulses

#: Simulation and data are told apart where the area under the curve of a classifier exceeds 1/2 by
#: this many of its errors (choice: by chance once in 44 times).
SIGMAS = 2.0
#: Bins in a row that are exactly what stands where nothing was read (choice).
_UNREAD_RUN = 16
_BLOCK = 4096
_log = logging.getLogger("tashower")


class Fitted(NamedTuple):
    """A refiner, and what its training found."""

    refiner: Refiner
    standard: Standard
    part: float  #: 0: nothing is changed
    found: dict[str, float]  #: AUC on held-out events before and after, with errors


def _classifier_auc(data: Hits, simulated: Hits, kept: tuple, sample: tuple, scale: float) -> tuple:
    """(AUC, error) of a classifier between waveforms, on held-out events.

    kept : (m,) bool of both, (data, simulated); sample : (events of both, weights of the simulated
        ones, seed, steps)
    """
    events, weights, seed, steps = sample
    seen = [compared(h.waveform, h.counts_per_vem, scale) for h in (data, simulated)]
    train = [torch.from_numpy(np.flatnonzero(~k)) for k in kept]
    chances = torch.from_numpy(weights)[train[1]]

    def batches(generator, n):
        rows = torch.randint(len(train[0]), (n,), generator=generator)
        others = torch.multinomial(chances, n, True, generator=generator)
        return seen[0][train[0][rows]], seen[1][train[1][others]]

    torch.manual_seed(seed)
    network = train_classifier(Scorer(seen[0].shape[1], 0), batches, seed, steps)
    with torch.no_grad():
        scores = [network(x[torch.from_numpy(k)]).numpy() for x, k in zip(seen, kept, strict=True)]
    of = [e[k] for e, k in zip(events, kept, strict=True)]
    return told_apart(scores, of, weights[kept[1]], seed)


def fit_refiner(
    simulated: Events, data: Events, seed: int = 1, steps: int = STEPS, names: tuple = ("", "")
) -> Fitted:
    """A refiner of stations, trained against data, or one that changes nothing: where held-out
    stations cannot be told apart before, or no better afterwards.

    Simulated stations are weighted so that signal, zenith, place and largest signal of their
    events are distributed as in data; only what waveforms differ in beyond that is learned.

    Raises
    ------
    InputError : too few events or hits of one side, named by `names`.
    """
    with on_one_core():
        return _fit(simulated, data, seed, steps, names)


def _fit(simulated, data, seed, steps, names) -> Fitted:
    ours, theirs = (measure_hits(e, find_pulses(e)) for e in (simulated, data))
    for found, name in zip((ours, theirs), names, strict=True):
        check_enough(found, name)
    kept = held_out(theirs.event, seed + 1), held_out(ours.event, seed)
    standard = standard_of(theirs.condition)
    hits = [as_hits(f, standard.of(f.condition), BINS) for f in (theirs, ours)]
    weights = density_ratio(ours.condition, theirs.condition[~kept[0]], ours.event, seed)
    scale, detector = scale_of(data), simulated.array.detector
    noise = float(detector.noise_counts) or scale * float(np.median(ours.counts_per_vem)) / 2.5
    torch.manual_seed(seed)
    whole = simulated.waveform.dtype.kind in "ui"
    refiner = Refiner(detector.n_layers, len(standard.mean), scale, noise, whole)
    sample = ((theirs.event, ours.event), weights, seed, max(min(steps, 400), 20))
    before = _classifier_auc(*hits, kept, sample, scale)
    found = {"auc_before": before[0], "auc_before_error": before[1]}
    if not before[0] - 0.5 > SIGMAS * before[1]:
        return Fitted(refiner, standard, 0.0, found)
    train = [Hits(*(c[torch.from_numpy(~k)] for c in h)) for h, k in zip(hits, kept, strict=True)]
    states = train_refiner(refiner, train[1], train[0], weights[~kept[1]], seed, steps)
    best = (before[0], 0.0, before[1], states[0])
    for state in states:
        refiner.load_state_dict(state)
        changed = hits[1]._replace(waveform=_changed(refiner, hits[1], seed, 1.0))
        auc = _classifier_auc(hits[0], changed, kept, sample, scale)
        _log.info(f"refine: AUC {before[0]:.3f} before, {auc[0]:.3f} after")
        if auc[0] < best[0]:
            best = (auc[0], 1.0, auc[1], state)
    auc, part, error, state = best
    if not before[0] - auc > SIGMAS * max(error, before[1]):
        part = 0.0
    refiner.load_state_dict(state)
    return Fitted(refiner, standard, part, found | {"auc_after": auc, "auc_after_error": error})


def _changed(refiner: Refiner, hits: Hits, seed: int, part: float) -> torch.Tensor:
    """Refined waveforms, block by block."""
    generator = torch.Generator().manual_seed(seed + 7)
    parts = []
    with torch.no_grad():
        for begin in range(0, len(hits.waveform), _BLOCK):
            some = Hits(*(column[begin : begin + _BLOCK] for column in hits))
            parts.append(refiner(some, draw_chance(some.waveform.shape, generator), part))
    return torch.cat(parts) if parts else hits.waveform


def _read_out(events: Events, found: Measured) -> np.ndarray:
    """(m, n_bins) bool: the bin was read out, and does not stand for a window that was not."""
    waveform, pedestal = events.waveform[found.rows], events.pedestal[found.rows].astype(float)
    bins = np.arange(waveform.shape[1])[:, None]
    alike = (waveform == pedestal_count(bins, pedestal[:, None, :])).all(axis=2)
    count = np.cumsum(alike, axis=1)
    unread = np.zeros_like(alike)
    n = _UNREAD_RUN
    if alike.shape[1] > n:
        run = count[:, n:] - count[:, :-n] == n  # bins i + 1 to i + n
        for k in range(1, n + 1):
            unread[:, k : k + run.shape[1]] |= run
    return ~unread


def refine_events(events: Events, fitted: Fitted, seed: int = 1) -> Events:
    """The same events with other waveforms of the hits that have a pulse and are not saturated.

    Counts stay whole and within the digitiser's range; what was not read out, saturated or
    rejected, times, pedestals and truth stay as they are. The trigger is not asked again.
    """
    if fitted.part == 0.0:
        return events
    with on_one_core():
        found = measure_hits(events, find_pulses(events))
        hits = as_hits(found, fitted.standard.of(found.condition))
        changed = _changed(fitted.refiner, hits, seed, fitted.part).numpy()
    counts = changed.transpose(0, 2, 1) + found.pedestal[:, None, :]
    waveform = events.waveform.copy()
    if waveform.dtype.kind in "ui":
        counts = np.rint(counts)
    old = waveform[found.rows]
    waveform[found.rows] = np.where(_read_out(events, found)[:, :, None], counts, old)
    return replace(events, waveform=waveform)


class Reweighted(NamedTuple):
    """Events drawn by weight, and what was found."""

    events: Events
    found: dict[str, float]


def reweight_events(
    simulated: Events, data: Events, seed: int = 1, names: tuple = ("", ""), steps: int = 600
) -> Reweighted:
    """As many simulated events, drawn with replacement by weights with which summaries of events
    are distributed as in data; events that cannot be measured are left out. Where held-out events
    cannot be told apart, the events as they are.

    Raises
    ------
    InputError : too few events or hits of one side, named by `names`.
    """
    with on_one_core():
        sides = []
        for events, name in zip((simulated, data), names, strict=True):
            pulses = find_pulses(events)
            measured = measure_hits(events, pulses)
            check_enough(measured, name)
            sides.append(event_summary(events, pulses, measured))
        result = weigh_events(*sides, seed, steps)
    w = result.weights
    found = {
        "auc_before": result.auc,
        "auc_before_error": result.error,
        "auc_after": result.auc_after,
        "effective_sample_size": float(w.sum() ** 2 / (w**2).sum()),
        "largest_weight": float(w.max()),
        "changed": float(result.auc - 0.5 > SIGMAS * result.error),
    }
    if not found["changed"]:
        return Reweighted(simulated, found)
    return Reweighted(select_events(simulated, drawn_by_weight(w, seed)), found)

"""A sample: tiles, event features and targets of many events, and the batches of an epoch."""

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from tashower.calibration.station_likelihood import StationLikelihood
from tashower.config import InputsConfig
from tashower.errors import InputError
from tashower.events.array import lattice_heading
from tashower.events.model import Events, Pulses, Reconstruction, Truth, select_events, select_rows
from tashower.io.event_file import read_events
from tashower.io.reconstruction_file import read_reconstruction
from tashower.network.targets import PREDICTED, true_mass
from tashower.network.tiles import (
    Tiles,
    cell_permutation,
    feature_matrix,
    in_lattice_frame,
    make_tiles,
    target_matrix,
)
from tashower.physics.geometry import direction
from tashower.reconstruction.features import EVENT_FEATURES
from tashower.reconstruction.likelihood.station_scores import station_scores
from tashower.types import FilePath


@dataclass(frozen=True)
class Sample:
    """Events as the network needs them.

    Attributes
    ----------
    tiles : `Tiles`
    event_features : (n, len(EVENT_FEATURES)) float32, NaN where undefined
    targets : (n, k) float32, what is predicted; None without truth
    first_waveform : (n + 1,) int64, the waveforms of event i are
        first_waveform[i]:first_waveform[i + 1]
    rows : (n,) which events of the file these are
    kind : lattice of the array: which orientations of the tile are equal
    predicts : key of `targets.PREDICTED`, what the targets are
    """

    tiles: Tiles
    event_features: np.ndarray
    targets: np.ndarray | None
    first_waveform: np.ndarray
    rows: np.ndarray
    kind: str = "square"
    predicts: str = "correction"


def correction(fit: Reconstruction, truth: Truth, heading: float = 0.0) -> np.ndarray:
    """(n, 5) true minus fitted TARGETS: direction cosines n_x, n_y, core x, y [m], log10 energy.

    heading : of the lattice [rad], to whose frame the vectors are turned
    """
    axis = direction(truth.zenith, truth.azimuth) - direction(fit.zenith, fit.azimuth)
    columns = (
        *in_lattice_frame(axis[:, 0], axis[:, 1], heading),
        *in_lattice_frame(truth.core_x - fit.core_x, truth.core_y - fit.core_y, heading),
        np.log10(truth.energy / fit.energy),
    )
    return np.stack(columns, axis=1).astype(np.float32)


class Fitted(NamedTuple):
    """Events and the fit that a network corrects."""

    events: Events
    pulses: Pulses
    fit: Reconstruction
    event_features: np.ndarray  #: (n, len(EVENT_FEATURES)) float32, NaN where undefined
    #: that the network is told of; None: it is not
    stations: StationLikelihood | None = None


def read_fitted(
    events_path: FilePath,
    fits_path: FilePath,
    corrects: str,
    inputs: InputsConfig,
    stations: StationLikelihood | None = None,
) -> Fitted:
    """All events of a file.

    corrects : method of the reconstruction file that the network corrects
    stations : that the network is told of; None: it is not

    Raises
    ------
    InputError : the two files do not belong together, or hold no waveforms where they are needed;
        no station likelihood where the network is told of one.
    """
    if inputs.station_likelihood and stations is None:
        raise InputError("the network is to be told of a station likelihood: name one")
    events = read_events(events_path)
    fits, pulses, features = read_reconstruction(fits_path)
    if corrects not in fits or pulses is None:
        raise InputError(f"{fits_path}: no reconstruction {corrects!r} with pulses")
    fit = fits[corrects]
    if not np.array_equal(fit.event_id, events.event_id):
        raise InputError(f"{fits_path}: is not the reconstruction of {events_path}")
    if inputs.waveforms and events.waveform is None:
        raise InputError(f"{events_path}: has no waveforms, which this network reads")
    columns = np.stack([features[name] for name in EVENT_FEATURES], axis=1).astype(np.float32)
    return Fitted(events, pulses, fit, columns, stations if inputs.station_likelihood else None)


def select_fitted(fitted: Fitted, rows: np.ndarray) -> Fitted:
    """Some of the events; rows : (n,) increasing."""
    chosen = np.isin(np.arange(fitted.events.n_events), rows)
    return Fitted(
        select_events(fitted.events, rows),
        select_rows(fitted.pulses, chosen[fitted.events.hit_event]),
        select_rows(fitted.fit, rows),
        fitted.event_features[rows],
        fitted.stations,
    )


def make_sample(
    fitted: Fitted, inputs: InputsConfig, rows: np.ndarray, predicts: str = "correction"
) -> Sample:
    """What the network sees of events whose fit is valid.

    inputs : tile, bins and their width, whether waveforms
    rows : (n,) which events of a file these are
    predicts : key of `targets.PREDICTED`
    """
    events, fit = fitted.events, fitted.fit
    scores = None
    if fitted.stations is not None:
        scores = station_scores(events, fitted.pulses, fit, fitted.stations)
    tiles = make_tiles(
        events,
        fitted.pulses,
        fit,
        inputs.tile,
        inputs.n_bins,
        inputs.waveforms,
        inputs.bin_width_ns,
        scores,
    )
    targets = None
    if events.truth is not None:
        targets = (
            true_mass(events.truth)
            if predicts == "mass"
            else correction(fit, events.truth, lattice_heading(events.array))
        )
    count = np.bincount(tiles.waveform_event, minlength=len(rows))
    first = np.concatenate([[0], np.cumsum(count)]).astype(np.int64)
    kind = events.array.kind
    return Sample(tiles, fitted.event_features, targets, first, rows, kind, predicts)


def read_sample(
    events_path: FilePath,
    fits_path: FilePath,
    corrects: str,
    inputs: InputsConfig,
    only_good: bool,
    predicts: str = "correction",
    stations: StationLikelihood | None = None,
) -> tuple:
    """`Sample` of one file, and its array.

    Parameters
    ----------
    corrects : method of the reconstruction file that the network corrects
    inputs : tile, bins and their width, whether waveforms
    only_good : events that pass the cuts of the fit; else all valid ones
    predicts : key of `targets.PREDICTED`
    stations : that the network is told of; None: it is not

    Raises
    ------
    InputError : the two files do not belong together, or hold no waveforms where they are needed; a
        station likelihood of another array's stations.
    """
    fitted = read_fitted(events_path, fits_path, corrects, inputs, stations)
    fit = fitted.fit
    rows = np.flatnonzero((fit.passes_cuts if only_good else fit.valid) & np.isfinite(fit.energy))
    sample = make_sample(select_fitted(fitted, rows), inputs, rows, predicts)
    return sample, fitted.events.array


# Arrays of a sample on disk, and of which part of it each is.
_ON_DISK = ("cells", "waveform", "waveform_cell", "event_features", "targets", "count")


def store_sample(folder: FilePath, parts: Iterable[Sample]) -> None:
    """Write several samples as one into a folder, from which `map_sample` maps it into memory; one
    of them is in memory at a time.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    shapes, of_all = {}, {"kind": "square", "predicts": "correction"}
    with ExitStack() as stack:
        files = {name: stack.enter_context(open(folder / f"{name}.bin", "wb")) for name in _ON_DISK}
        for part in parts:
            columns = {
                "cells": part.tiles.cells,
                "waveform": part.tiles.waveform,
                "waveform_cell": part.tiles.waveform_cell,
                "event_features": part.event_features,
                "targets": part.targets,
                "count": np.diff(part.first_waveform),
            }
            of_all = {"kind": part.kind, "predicts": part.predicts}
            for name, column in columns.items():
                if column is not None:
                    files[name].write(np.ascontiguousarray(column).data)
                    rows = shapes.get(name, (0,))[0] + len(column)
                    shapes[name] = (rows, list(column.shape[1:]), column.dtype.str)
    (folder / "sample.json").write_text(json.dumps({"arrays": shapes, **of_all}))


def map_sample(folder: FilePath) -> Sample:
    """The sample that `store_sample` wrote: its arrays stay on disk, and the system keeps in memory
    what is used and fits.
    """
    folder = Path(folder)
    about = json.loads((folder / "sample.json").read_text())

    def mapped(name):
        if name not in about["arrays"]:
            return None
        rows, shape, kind = about["arrays"][name]
        if not rows * np.prod(shape, dtype=int):
            return np.zeros((rows, *shape), kind)
        return np.memmap(folder / f"{name}.bin", np.dtype(kind), "r", shape=(rows, *shape))

    first = np.concatenate([[0], np.cumsum(mapped("count"))]).astype(np.int64)
    tiles = Tiles(mapped("cells"), mapped("waveform"), None, mapped("waveform_cell"))
    n = len(first) - 1
    of_all = {key: about[key] for key in ("kind", "predicts")}
    return Sample(tiles, mapped("event_features"), mapped("targets"), first, np.arange(n), **of_all)


def read_ahead(make: Callable, items: Iterable, depth: int = 4) -> Iterator:
    """make(item) of every item, in order, made by a thread that is up to `depth` ahead."""
    with ThreadPoolExecutor(1) as pool:
        waiting = deque()
        for item in items:
            waiting.append(pool.submit(make, item))
            if len(waiting) > depth:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def take_batch(
    sample: Sample, rows: np.ndarray, orientation: int, device: torch.device | str
) -> tuple:
    """(cells, event features, waveform, waveform place, targets) of the given events as tensors,
    turned by one orientation.
    """
    n = sample.tiles.cells.shape[1]
    source = cell_permutation(n, orientation, sample.kind)
    cells = sample.tiles.cells[rows].reshape(len(rows), n * n, -1)[:, source]
    if orientation:
        matrix = feature_matrix(orientation, sample.kind, cells.shape[-1])
        cells = cells @ matrix.T.astype(np.float32)
    begin, end = sample.first_waveform[rows], sample.first_waveform[rows + 1]
    count = end - begin
    total = np.cumsum(count)
    index = np.arange(total[-1]) + np.repeat(begin - total + count, count)
    target_of = np.argsort(source)  # where a cell goes to
    place = (
        np.repeat(np.arange(len(rows)) * n * n, count)
        + target_of[sample.tiles.waveform_cell[index]]
    )
    targets = None
    if sample.targets is not None:
        turn = target_matrix(orientation, sample.kind, PREDICTED[sample.predicts])
        targets = torch.from_numpy(sample.targets[rows] @ turn.T.astype(np.float32)).to(device)
    return (
        torch.from_numpy(cells.reshape(len(rows), n, n, -1)).to(device),
        torch.from_numpy(sample.event_features[rows]).to(device),
        torch.from_numpy(sample.tiles.waveform[index]).to(device).float(),
        torch.from_numpy(place).to(device),
        targets,
    )

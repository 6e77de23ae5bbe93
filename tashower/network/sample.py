"""A sample in memory: tiles, event features and targets of many events, and the batches of an epoch."""

from dataclasses import dataclass

import numpy as np
import torch

from tashower.errors import InputError
from tashower.events.array import lattice_map
from tashower.events.file import read_events, read_reconstruction
from tashower.events.model import Reconstruction, Truth, select_events, select_rows
from tashower.network.tiles import Tiles, cell_permutation, feature_matrix, in_lattice_frame, make_tiles, target_matrix
from tashower.physics.geometry import direction
from tashower.reconstruction.features import EVENT_FEATURES


@dataclass(frozen=True)
class Sample:
    """Events as the network needs them.

    Attributes
    ----------
    tiles : `Tiles`
    event_features : (n, len(EVENT_FEATURES)) float32, NaN where undefined
    targets : (n, 5) float32, true minus fitted TARGETS; None without truth
    first_waveform : (n + 1,) int64, the waveforms of event i are first_waveform[i]:first_waveform[i + 1]
    rows : (n,) which events of the file these are
    kind : lattice of the array: which orientations of the tile are equal
    """

    tiles: Tiles
    event_features: np.ndarray
    targets: np.ndarray | None
    first_waveform: np.ndarray
    rows: np.ndarray
    kind: str = "square"


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


def read_sample(
    events_path, fits_path, correct: str, tile: int, n_bins: int, waveforms: bool, only_good: bool, bin_width: float = 0.0
) -> tuple:
    """`Sample` of one file, and its array. only_good: events that pass the cuts of the fit; else all valid ones.

    bin_width : of the network's waveform bins [ns], 0 for the detector's

    Raises
    ------
    InputError : the two files do not belong together, or hold no waveforms where they are needed.
    """
    events = read_events(events_path)
    fits, pulses, features = read_reconstruction(fits_path)
    if correct not in fits or pulses is None:
        raise InputError(f"{fits_path}: no reconstruction {correct!r} with pulses")
    fit = fits[correct]
    if not np.array_equal(fit.event_id, events.event_id):
        raise InputError(f"{fits_path}: is not the reconstruction of {events_path}")
    if waveforms and events.waveform is None:
        raise InputError(f"{events_path}: has no waveforms, which this network reads")
    chosen = (fit.passes_cuts if only_good else fit.valid) & np.isfinite(fit.energy)
    rows = np.flatnonzero(chosen)
    kept_hits = chosen[events.hit_event]
    events, fit = select_events(events, rows), select_rows(fit, rows)
    tiles = make_tiles(events, select_rows(pulses, kept_hits), fit, tile, n_bins, waveforms, bin_width)
    columns = np.stack([features[name][rows] for name in EVENT_FEATURES], axis=1).astype(np.float32)
    targets = None if events.truth is None else correction(fit, events.truth, lattice_map(events.array)[1])
    count = np.bincount(tiles.waveform_event, minlength=len(rows))
    first = np.concatenate([[0], np.cumsum(count)]).astype(np.int64)
    return Sample(tiles, columns, targets, first, rows, events.array.kind), events.array


def join_samples(samples: list[Sample]) -> Sample:
    """One sample from several."""
    begin = np.cumsum([0] + [len(s.rows) for s in samples])
    tiles = Tiles(
        np.concatenate([s.tiles.cells for s in samples]),
        np.concatenate([s.tiles.waveform for s in samples]),
        np.concatenate([s.tiles.waveform_event + b for s, b in zip(samples, begin, strict=False)]),
        np.concatenate([s.tiles.waveform_cell for s in samples]),
    )
    count = np.concatenate([np.diff(s.first_waveform) for s in samples])
    return Sample(
        tiles,
        np.concatenate([s.event_features for s in samples]),
        None if samples[0].targets is None else np.concatenate([s.targets for s in samples]),
        np.concatenate([[0], np.cumsum(count)]).astype(np.int64),
        np.concatenate([s.rows for s in samples]),
        samples[0].kind,
    )


def take_batch(sample: Sample, rows: np.ndarray, orientation: int, device) -> tuple:
    """(cells, event features, waveform, waveform place, targets) of the given events as tensors, turned by one orientation."""
    n = sample.tiles.cells.shape[1]
    source = cell_permutation(n, orientation)
    cells = sample.tiles.cells[rows].reshape(len(rows), n * n, -1)[:, source]
    if orientation:
        cells = cells @ feature_matrix(orientation, sample.kind).T.astype(np.float32)
    begin, end = sample.first_waveform[rows], sample.first_waveform[rows + 1]
    count = end - begin
    total = np.cumsum(count)
    index = np.arange(total[-1]) + np.repeat(begin - total + count, count)
    target_of = np.argsort(source)  # where a cell goes to
    place = np.repeat(np.arange(len(rows)) * n * n, count) + target_of[sample.tiles.waveform_cell[index]]
    targets = None
    if sample.targets is not None:
        targets = torch.from_numpy(sample.targets[rows] @ target_matrix(orientation, sample.kind).T.astype(np.float32)).to(
            device
        )
    return (
        torch.from_numpy(cells.reshape(len(rows), n, n, -1)).to(device),
        torch.from_numpy(sample.event_features[rows]).to(device),
        torch.from_numpy(sample.tiles.waveform[index]).to(device).float(),
        torch.from_numpy(place).to(device),
        targets,
    )

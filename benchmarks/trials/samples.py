"""The samples of the trials: the same showers for all, simulated, fitted and stored once for every
way to look at them.
"""

import json
import pickle
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tashower.calibration.calibration import DEFAULT, read_calibration
from tashower.calibration.station_likelihood import DEFAULT as STATIONS
from tashower.calibration.station_likelihood import read_station_likelihood
from tashower.config import Config, InputsConfig, NetworkSettings
from tashower.evaluation.cuts import in_common
from tashower.events.array import lattice_heading
from tashower.events.model import Reconstruction, select_rows
from tashower.io.atomic import written_aside
from tashower.network.checkpoint import array_description
from tashower.network.sample import (
    Fitted,
    Sample,
    correction,
    make_sample,
    map_sample,
    select_fitted,
    store_sample,
)
from tashower.network.tiles import in_lattice_frame, make_tiles
from tashower.physics.geometry import direction
from tashower.reconstruction.features import EVENT_FEATURES
from tashower.reconstruction.methods import WAVEFORMS, Context, methods
from tashower.reconstruction.reconstruct import reconstruct
from tashower.simulation.simulate import simulate_events

#: Fits that a trial may correct; all have to know an event that is learned from or scored.
FITS = ("free", "constrained", "complete")
#: Showers that are simulated at once.
_CHUNK = 10_000
#: What numbers of hits are raised by on their way through the waveforms, which have no negative
#: ones (choice).
_RAISED = 8.0


class Chunk(NamedTuple):
    """Events that all fits know, one row for each."""

    fits: dict[str, Reconstruction]
    fitted: Fitted  #: of the first of FITS


def throw(config: Config, split: str, first: int, n: int) -> Chunk:
    """Simulate showers `first` to `first + n - 1` of a split, and fit them with the calibration
    that comes with the package.
    """
    events = simulate_events(config, split, first, n)
    calibration = read_calibration(DEFAULT)
    tables, pulses, features = reconstruct(events, calibration, config.reconstruction, only=FITS)
    tables = {name: tables[name] for name in FITS}
    rows = np.flatnonzero(in_common(tables))
    columns = np.stack([features[name] for name in EVENT_FEATURES], axis=1).astype(np.float32)
    chosen = select_fitted(Fitted(events, pulses, tables[FITS[0]], columns), rows)
    return Chunk({name: select_rows(table, rows) for name, table in tables.items()}, chosen)


def throw_all(root: Path, config: Config, split: str, n: int) -> Iterator[Chunk]:
    """All n showers, a part at a time; each is kept in `root` (a folder of this program's own)."""
    for first in range(0, n, _CHUNK):
        number = min(_CHUNK, n - first)
        path = root / f"chunk-{split}-{first}-{number}.pickle"
        if not path.is_file():
            root.mkdir(parents=True, exist_ok=True)
            with written_aside(path) as aside:
                aside.write_bytes(pickle.dumps(throw(config, split, first, number)))
        yield pickle.loads(path.read_bytes())


def beside_waveforms(fitted: Fitted, inputs: InputsConfig, numbers: np.ndarray) -> np.ndarray:
    """Numbers (n_hits, k) of all hits, -8 to 8, of those that have a waveform in the tiles of
    `inputs`, in their order: (h, k) to three digits.
    """
    events, n_layers = fitted.events, fitted.events.array.detector.n_layers
    n, k = numbers.shape
    bins = -(-k // n_layers)
    padded = np.zeros((n, bins * n_layers))
    padded[:, :k] = np.clip(numbers, -_RAISED, _RAISED) + _RAISED
    coded = replace(
        events,
        waveform=np.expm1(padded).reshape(n, bins, n_layers),
        pedestal=np.zeros_like(events.pedestal),
        counts_per_vem=np.ones_like(events.counts_per_vem),
    )
    tiles = make_tiles(coded, fitted.pulses, fitted.fit, inputs.tile, bins)
    found = tiles.waveform.reshape(len(tiles.waveform), -1)[:, :k]
    return found.astype(np.float32) - np.float32(_RAISED)


def usual(chunk: Chunk, settings: NetworkSettings, config: Config, split: str) -> Sample:
    """What a network of these settings sees in training."""
    told = read_station_likelihood(STATIONS) if settings.inputs.station_likelihood else None
    fitted = chunk.fitted._replace(fit=chunk.fits[settings.corrects], stations=told)
    return make_sample(fitted, settings.inputs, np.arange(len(fitted.fit)), settings.predicts)


def taught(chunk: Chunk, settings: NetworkSettings, config: Config, split: str) -> Sample:
    """Targets of the training half way between the truth and what the likelihood of waveforms says,
    which is nearer to what can be known (distillation: Hinton et al. 2015, arXiv:1503.02531).
    """
    sample = usual(chunk, settings, config, split)
    if split != "train":
        return sample
    events, pulses = chunk.fitted.events, chunk.fitted.pulses
    stations = read_station_likelihood(STATIONS)
    context = Context(read_calibration(DEFAULT), config.reconstruction, stations=stations)
    teacher = methods()[WAVEFORMS](events, pulses, context)
    said = correction(chunk.fits[settings.corrects], teacher, lattice_heading(events.array))
    known = np.isfinite(said).all(axis=1, keepdims=True)
    return replace(sample, targets=np.where(known, 0.5 * (sample.targets + said), sample.targets))


WAYS: dict[str, Callable] = {"usual": usual, "taught": taught}


class Judged(NamedTuple):
    """What answers of the validation sample are judged by: direction cosines (n, 2) in the frame of
    the lattice.
    """

    fitted: np.ndarray  #: of the fit that is corrected
    free: np.ndarray
    complete: np.ndarray
    true: np.ndarray


def _cosines(table, heading: float) -> np.ndarray:
    axis = direction(table.zenith, table.azimuth)
    return np.column_stack(in_lattice_frame(axis[:, 0], axis[:, 1], heading))


def _judged(chunk: Chunk, corrects: str) -> np.ndarray:
    """(4, n, 2) columns of `Judged`."""
    heading = lattice_heading(chunk.fitted.events.array)
    of = (chunk.fits[corrects], chunk.fits["free"], chunk.fits["complete"])
    return np.stack([_cosines(t, heading) for t in (*of, chunk.fitted.events.truth)])


class Stored(NamedTuple):
    """A sample on disk."""

    folder: Path  #: with `train` and `validation`, as training wants them
    judged: Judged
    array: dict  #: description of the array

    @property
    def validation(self) -> Sample:
        """The events that answers are judged with."""
        return map_sample(self.folder / "validation")


def stored_sample(
    root: Path, config: Config, settings: NetworkSettings, way: str, n: tuple[int, int]
) -> Stored:
    """The sample of these settings, from `root` where it is already there.

    way : of WAYS; n : showers to train with, and to validate
    """
    inputs = settings.inputs
    told = "-told" * inputs.station_likelihood
    folder = root / f"{settings.corrects}-{inputs.tile}x{inputs.n_bins}{told}-{way}-{n[0]}"
    if not (folder / "about.json").is_file():
        _store(folder, config, settings, way, n)
    about = json.loads((folder / "about.json").read_text())
    return Stored(folder, Judged(*np.load(folder / "judged.npy")), about)


def _store(folder: Path, config: Config, settings: NetworkSettings, way: str, n) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    judged, array = [], None

    def made(split, n_showers):
        nonlocal array
        for chunk in throw_all(folder.parent, config, split, n_showers):
            array = chunk.fitted.events.array
            if split == "validation":
                judged.append(_judged(chunk, settings.corrects))
            yield WAYS[way](chunk, settings, config, split)

    for split, n_showers in zip(("train", "validation"), n, strict=True):
        store_sample(folder / split, made(split, n_showers))
    np.save(folder / "judged.npy", np.concatenate(judged, axis=1))
    described = array_description(array) | {"n_layers": array.detector.n_layers}
    (folder / "about.json").write_text(json.dumps(described))

"""Networks whose answers are known, events for them, and checkpoints without a training."""

from dataclasses import asdict
from functools import cache
from pathlib import Path

import numpy as np
import torch

from tashower.calibration.calibration import DEFAULT, read_calibration
from tashower.config import InputsConfig, load_config
from tashower.events.model import Events, select_events, select_rows
from tashower.io.event_file import read_events, write_events
from tashower.io.reconstruction_file import write_reconstruction
from tashower.network.checkpoint import array_description, save_checkpoint
from tashower.network.contracts import ModelInputs, build_model, find_head, find_model
from tashower.network.insight.subject import Subject
from tashower.network.normalisation import measure
from tashower.network.predict import Trained
from tashower.network.sample import Fitted, Sample, make_sample
from tashower.network.tiles import STATION_FEATURES, TARGETS, Tiles
from tashower.reconstruction.features import EVENT_FEATURES
from tashower.reconstruction.reconstruct import reconstruct

SAMPLE = Path(__file__).resolve().parent.parent / "data" / "sample.h5"
N, T, L, F, E = 4, 32, 2, len(STATION_FEATURES), len(EVENT_FEATURES)
NORM = {
    "station_mean": torch.zeros(F),
    "station_width": torch.ones(F),
    "event_mean": torch.zeros(E),
    "event_width": torch.ones(E),
    "target_width": torch.tensor([0.01, 0.01, 30.0, 30.0, 0.05]),
    "waveform_width": torch.tensor([2.0]),
}


def random_sample(rng: np.random.Generator, n: int = 12, hits: int = 3) -> Sample:
    """Tiles of random content; every station exists, `hits` of each event have a waveform."""
    cells = rng.normal(size=(n, N, N, F)).astype(np.float32)
    for mask in ("exists", "working"):
        cells[..., STATION_FEATURES.index(mask)] = 1.0
    place = np.array([1, 5, 14])[:hits]
    for mask in ("hit", "timed", "saturated"):
        flat = cells[..., STATION_FEATURES.index(mask)].reshape(n, -1)
        flat[:] = 0.0
        flat[:, place] = 1.0
        cells[..., STATION_FEATURES.index(mask)] = flat.reshape(n, N, N)
    waveform = rng.normal(size=(hits * n, T, L)).astype(np.float16)
    tiles = Tiles(cells, waveform, np.repeat(np.arange(n), hits), np.tile(place, n))
    features = rng.normal(size=(n, E)).astype(np.float32)
    targets = rng.normal(size=(n, 5)).astype(np.float32)
    return Sample(tiles, features, targets, np.arange(n + 1) * hits, np.arange(n))


def subject_of(
    network: torch.nn.Module, sample: Sample, fitted: Fitted | None = None, head: str = "mean"
) -> Subject:
    """A toy network and its events."""
    inputs = InputsConfig(tile=sample.tiles.cells.shape[1], n_bins=T)
    trained = Trained(network.eval().requires_grad_(False), find_head(head), NORM, True)
    return Subject(trained, inputs, fitted, sample, torch.device("cpu"), {})


@cache
def reconstructed() -> tuple:
    """(events, fits, pulses, features) of the sample of the repository."""
    events = read_events(SAMPLE)
    return events, *reconstruct(events, read_calibration(DEFAULT), load_config().reconstruction)


def fitted_sample(n: int = 8) -> Fitted:
    """The first valid events of the sample of the repository, with their free fit."""
    events, tables, pulses, features = reconstructed()
    fit = tables["free"]
    rows = np.flatnonzero(fit.valid & np.isfinite(fit.energy))[:n]
    columns = np.stack([features[name][rows] for name in EVENT_FEATURES], axis=1)
    mine = np.isin(events.hit_event, rows)
    return Fitted(
        select_events(events, rows),
        select_rows(pulses, mine),
        select_rows(fit, rows),
        columns.astype(np.float32),
    )


def write_sample(folder: Path, n: int | None = None, truth: bool = True) -> tuple[Path, Path]:
    """(event file, its reconstruction file) of the first n events of the sample."""
    events, tables, pulses, features = reconstructed()
    rows = np.arange(events.n_events if n is None else n)
    mine = np.isin(events.hit_event, rows)
    chosen = select_events(events, rows)
    if not truth:
        chosen = Events(
            **{f: getattr(chosen, f) for f in chosen.__dataclass_fields__} | {"truth": None}
        )
    paths = folder / "events.h5", folder / "fits.h5"
    write_events(paths[0], chosen, {})
    write_reconstruction(
        paths[1],
        {name: select_rows(table, rows) for name, table in tables.items()},
        {},
        select_rows(pulses, mine),
        {name: column[rows] for name, column in features.items()},
    )
    return paths


def write_checkpoint(
    path: Path, model: str = "grid", head: str = "mean", options: dict | None = None, **inputs
) -> Path:
    """A checkpoint of a model with random numbers, for the sample of the repository."""
    settings = InputsConfig(**{"tile": N, "n_bins": 64} | inputs)
    fitted = fitted_sample(40)
    sample = make_sample(fitted, settings, np.arange(len(fitted.fit)))
    array, found = fitted.events.array, find_model(model)
    described = ModelInputs(
        settings.tile,
        settings.n_bins,
        array.detector.n_layers,
        STATION_FEATURES,
        tuple(EVENT_FEATURES) if settings.event_features else (),
        settings.waveforms,
        array.kind,
        find_head(head).n_outputs(len(TARGETS)),
    )
    small = {"waveform_channels": 8, "station_channels": 8, "grid_layers": 1, "dense_channels": 16}
    options = (small if model == "grid" else {}) if options is None else options
    torch.manual_seed(3)
    network = build_model(found, described, options)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    content = {
        "name": "toy",
        "model": {"form": found.form, "source": found.source, "sha256": found.sha256},
        "options": options,
        "model_inputs": asdict(described)
        | {k: list(getattr(described, k)) for k in ("station_features", "event_features")},
        "head": head,
        "inputs": asdict(settings),
        "corrects": "free",
        "station_features": list(STATION_FEATURES),
        "event_features": list(EVENT_FEATURES),
        "targets": list(TARGETS),
        "normalisation": measure(sample),
        "weights": network.state_dict(),
        "best_epoch": 1,
        "threads": 1,
        "array": array_description(array),
        "made_from": [],
        "stage": "train",
        "code": "toy",
        "configuration": {"seed": 1, "networks": {"toy": {"head": head, "model": found.form}}},
    }
    save_checkpoint(path, content)
    return path

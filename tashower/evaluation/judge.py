"""Event files judged against a reference event file, by what no training looked at: one page."""

import json
import logging
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tashower.calibration.calibration import Calibration
from tashower.config import Config, load_config
from tashower.errors import InputError
from tashower.evaluation import cuts
from tashower.evaluation.bootstrap import draw_showers, entry, replicates
from tashower.evaluation.copies import find_copies
from tashower.evaluation.generated import event_columns, fit_columns, hit_mask, station_columns
from tashower.evaluation.judged import Compared, Sample, Thrown, compare_samples, halves
from tashower.evaluation.ladder import against
from tashower.evaluation.names import REFERENCE
from tashower.evaluation.sample import check_same_events
from tashower.evaluation.scores import residuals, statistics
from tashower.evaluation.two_samples import SAMPLES
from tashower.events.array import DETECTOR_SHAPE, Array
from tashower.events.model import (
    Events,
    Pulses,
    Reconstruction,
    Truth,
    concatenate_events,
    select_rows,
)
from tashower.io.event_file import read_events, write_events
from tashower.io.hdf5 import read_attributes
from tashower.io.reconstruction_file import read_reconstruction, write_reconstruction
from tashower.network.apply import apply_network, check_features
from tashower.network.checkpoint import load_checkpoint
from tashower.progress import counted
from tashower.reconstruction.pulses import find_pulses
from tashower.reconstruction.reconstruct import reconstruct
from tashower.simulation.showers import draw_showers as draw_truth
from tashower.types import FilePath

_log = logging.getLogger("tashower")

#: Fits whose chi2 and pulls are compared; the last that is there says where the axis is, where
#: there is no truth.
METHODS = (REFERENCE, "complete")
#: Events of each file that are judged (choice: a minute), and at least.
NUMBER, FEWEST = 2000, 40
#: Relative difference of the counts of a VEM from which on files are not in the same units
#: (choice: gains are monitored, and differ by per cents).
_SAME_UNITS = 0.2
#: Quantities of the ladder that a network is judged by.
NETWORK_SCORES = ("axis", "core", "log_energy")
_SEED_TAG = 4729  # keeps the bootstrap's stream apart from others


class Fitted(NamedTuple):
    """Events of one file, with what was found in them."""

    path: Path
    events: Events
    pulses: Pulses
    tables: dict[str, Reconstruction]
    features: dict[str, np.ndarray]


class Asked(NamedTuple):
    """What is asked beside the files."""

    calibration: Calibration
    fits: Sequence[FilePath] = ()  #: of every file, in their order; none: fitted on the spot
    networks: Mapping[str, FilePath] = {}  #: {name: checkpoint}
    training: Sequence[FilePath] = ()  #: event files that the generator learned from
    number: int = NUMBER


class Judged(NamedTuple):
    """What the page shows."""

    reference: Sample
    samples: list[Sample]
    real: Compared  #: one half of the reference against the other
    compared: list[Compared]  #: each sample against the reference
    networks: dict[str, dict[str, dict]]  #: {network: {file: scores}}
    fits: list[str]
    left_out: list[str]  #: sentences


def _units_of_counts(events: Events) -> float:
    return float(np.median(events.counts_per_vem)) if events.counts_per_vem is not None else np.nan


def check_comparable(one: Events, other: Events, path: FilePath, reference: FilePath) -> None:
    """Refuse events that cannot be compared with those of the reference.

    Raises
    ------
    InputError : names both files and the first thing that differs.
    """

    def refuse(what: str, here: object, there: object) -> None:
        raise InputError(f"{path}: has {here} {what}, {reference} has {there}: not comparable")

    a, b = one.array, other.array
    if a.n_stations != b.n_stations:
        refuse("stations", b.n_stations, a.n_stations)
    if not np.allclose(a.position, b.position, rtol=0.0, atol=0.1):
        raise InputError(f"{path}: its stations stand elsewhere than those of {reference}")
    words = {"area": "m2 a station", "n_layers": "layers", "bin_width": "ns a bin"}
    words |= {"n_bins": "bins of a window"}
    for name in DETECTOR_SHAPE:
        if getattr(a.detector, name) != getattr(b.detector, name):
            refuse(words[name], getattr(b.detector, name), getattr(a.detector, name))
    if (one.waveform is None) != (other.waveform is None):
        refuse("waveforms", *("no" if e.waveform is None else "all" for e in (other, one)))
    counts = _units_of_counts(one), _units_of_counts(other)
    if abs(counts[1] - counts[0]) > _SAME_UNITS * counts[0]:
        refuse("counts a VEM", f"{counts[1]:.3g}", f"{counts[0]:.3g}")
    if a.described != b.described:
        raise InputError(
            f"{path}: its showers are described with another lateral distribution or front than "
            f"those of {reference}"
        )


def _fitted(config: Config, path: FilePath, asked: Asked, fits: FilePath | None) -> Fitted:
    """The first events of a file, with fits from a file or made here."""
    whole = read_events(path)
    events = whole[: asked.number]
    if events.n_events < FEWEST:
        raise InputError(f"{path}: {events.n_events} events: at least {FEWEST} are needed")
    if fits is None:
        made = reconstruct(events, asked.calibration, config.reconstruction, only=METHODS)
        tables, pulses, features = made
        return Fitted(Path(path), events, pulses, tables, features)
    tables, pulses, features = read_reconstruction(fits)
    for name, table in tables.items():
        check_same_events(table, whole, f"{fits} ({name})", path)
    if REFERENCE not in tables or not features:
        raise InputError(f"{fits}: holds no {REFERENCE} fit with its event features")
    if pulses is None:
        pulses = find_pulses(whole)
    n = events.n_events
    return Fitted(
        Path(path),
        events,
        select_rows(pulses, slice(events.n_hits)),
        {name: table[:n] for name, table in tables.items()},
        {name: column[:n] for name, column in features.items()},
    )


def _thrown(path: FilePath, truth: Truth | None, event_id: np.ndarray) -> Thrown | None:
    """The showers that were thrown for a file, drawn again from what it states; None where it
    states nothing, or where they are not those of its events.
    """
    attributes = read_attributes(path)
    if truth is None or "showers" not in attributes:
        return None
    split, first, last = json.loads(attributes["showers"])
    try:
        config = load_config(json.loads(attributes["configuration"]))
    except InputError:  # of another version
        return None
    thrown = draw_truth(config, split, first, last - first)
    row = event_id - first * config.showers.throws
    if not len(row) or row.min() < 0 or row.max() >= len(thrown.energy):
        return None
    same = all(
        np.allclose(getattr(thrown, name)[row], getattr(truth, name), rtol=1e-6)
        for name in ("energy", "zenith", "core_x", "core_y")
    )
    triggered = np.zeros(len(thrown.energy), bool)
    triggered[row] = True
    return Thrown(thrown, triggered) if same else None


def sample_of(fitted: Fitted, name: str, with_truth: bool, thrown: Thrown | None = None) -> Sample:
    """Everything that is compared of the events of a file.

    with_truth : whether stations are looked at from the true shower
    """
    events, pulses = fitted.events, fitted.pulses
    tables = {method: fitted.tables[method] for method in METHODS if method in fitted.tables}
    truth = events.truth if with_truth else None
    shower = truth if truth is not None else list(tables.values())[-1]
    stations = station_columns(events, pulses, shower)
    numbers = events.event_id if truth is None else truth.shower_id
    return Sample(
        name,
        np.asarray(numbers),
        event_columns(events, pulses, stations) | fit_columns(tables, truth),
        fitted.features,
        events.hit_event,
        stations,
        hit_mask(events, shower),
        truth,
        thrown,
    )


def _network_scores(fitted: Fitted, checkpoint: FilePath, corrects: str) -> dict:
    """Scores of a network against the fit that it corrects, on the events of a file."""
    with tempfile.TemporaryDirectory(prefix="tashower-") as folder:
        events_path, fits_path, output = (Path(folder) / f"{k}.h5" for k in "efn")
        write_events(events_path, fitted.events, {})
        write_reconstruction(fits_path, fitted.tables, {}, fitted.pulses, fitted.features)
        apply_network(checkpoint, events_path, fits_path, output)
        table = next(iter(read_reconstruction(output)[0].values()))
    fit, truth = fitted.tables[corrects], fitted.events.truth
    rows = np.flatnonzero(fit.passes_cuts & cuts.complete(fit) & cuts.complete(table))
    if len(rows) < FEWEST:
        return {"n": len(rows)}
    chosen = select_rows(truth, rows)
    draws = draw_showers(chosen.shower_id, SAMPLES, [_SEED_TAG])

    def scored(one: Reconstruction) -> dict:
        off = residuals(select_rows(one, rows), chosen)
        return replicates(lambda w: statistics(off, chosen.azimuth, w), draws, np.arange(len(rows)))

    found = against(scored(table), scored(fit))
    return {"n": len(rows)} | {
        quantity: {score: entry(found[quantity][score]) for score in ("ev", "ratio_68")}
        for quantity in NETWORK_SCORES
    }


def _networks(
    files: Sequence[Fitted], names: Sequence[str], asked: Asked
) -> dict[str, dict[str, dict]]:
    found = {}
    for network, checkpoint in asked.networks.items():
        corrects = load_checkpoint(checkpoint)["corrects"]
        for fitted in files:
            if corrects not in fitted.tables:
                raise InputError(f"{fitted.path}: no fit {corrects!r}, which {network} corrects")
        found[network] = {
            name: _network_scores(fitted, checkpoint, corrects)
            for fitted, name in zip(files, names, strict=True)
        }
    return found


def _training(asked: Asked, array: Array, reference: Events, path: FilePath):
    """Events of the training sample, and their pulses."""
    parts = [read_events(one) for one in asked.training]
    for part, one in zip(parts, asked.training, strict=True):
        check_comparable(reference, part, one, path)
    try:
        events = concatenate_events([replace(part, array=array) for part in parts])
    except ValueError as error:
        raise InputError(f"{asked.training[0]}: {error}") from None
    return events, find_pulses(events)


def _names(paths: Sequence[Path]) -> list[str]:
    """The shortest ends of paths that tell them apart, without the ending."""
    for depth in range(1, 1 + max(len(path.parts) for path in paths)):
        names = ["/".join(path.with_suffix("").parts[-depth:]) for path in paths]
        if len(set(names)) == len(names):
            return names
    return [f"{path.stem} ({k})" for k, path in enumerate(paths, 1)]


def _left_out(files: Sequence[Fitted], asked: Asked, efficient: bool) -> list[str]:
    found, truthless = [], [f.path.name for f in files if f.events.truth is None]
    if truthless:
        found.append(
            f"{', '.join(truthless)}: no truth, so that stations are looked at from the fitted "
            "shower, and pulls, energies, the trigger and networks are left out"
        )
    elif not efficient:
        found.append(
            "trigger efficiency: the files do not state the same kind of thrown showers, so that "
            "there is nothing to divide by"
        )
    if not asked.networks:
        found.append("networks: no --network was given")
    if not asked.training:
        found.append("copies: no --training files of the generator were given")
    if files[0].events.waveform is None:
        found.append("rise and fall of pulses, and correlation of the layers: no waveforms")
    if files[0].events.array.detector.n_layers == 1:
        found.append("upper and lower layer: the stations have one")
    return found


def judge(config: Config, paths: Sequence[FilePath], asked: Asked) -> Judged:
    """Judge event files against the first.

    Parameters
    ----------
    config : its seed and settings of the fit
    paths : event files, the reference first

    Raises
    ------
    InputError : files that are not comparable, too few events, networks that cannot be applied.
    """
    if asked.fits and len(asked.fits) != len(paths):
        raise InputError(f"{len(asked.fits)} reconstruction files for {len(paths)} event files")
    for checkpoint in asked.networks.values():  # before minutes of work
        check_features(load_checkpoint(checkpoint), checkpoint)
    fits = asked.fits or [None] * len(paths)
    files = [
        _fitted(config, path, asked, fit)
        for path, fit in counted("fit", zip(paths, fits, strict=True), len(paths), "files")
    ]
    reference = files[0].events
    for fitted in files[1:]:
        check_comparable(reference, fitted.events, fitted.path, files[0].path)
    with_truth = all(fitted.events.truth is not None for fitted in files)
    names = _names([fitted.path for fitted in files])
    samples = []
    for fitted, name in zip(files, names, strict=True):
        whole = read_events(fitted.path, ("truth",)) if with_truth else None
        thrown = whole and _thrown(fitted.path, whole.truth, whole.event_id)
        samples.append(sample_of(fitted, name, with_truth, thrown))
    learned = _training(asked, reference.array, reference, files[0].path) if asked.training else ()
    real = compare_samples(*halves(samples[0], config.seed), config.seed, "real against real")
    compared = []
    for fitted, sample in zip(files[1:], samples[1:], strict=True):
        one = compare_samples(samples[0], sample, config.seed)
        if learned:
            pairs = ((f.events, f.pulses) for f in (fitted, files[0]))
            one = one._replace(copies=find_copies(learned, *pairs))
        compared.append(one)
        _log.info(f"judge: {sample.name} compared")
    networks = _networks(files, names, asked) if with_truth else {}
    left_out = _left_out(files, asked, any(one.efficiency for one in compared))
    fitted_by = [method for method in METHODS if method in files[0].tables]
    return Judged(samples[0], samples[1:], real, compared, networks, fitted_by, left_out)

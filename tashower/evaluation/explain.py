"""What a trained network looks at, as one page: asked of the network, drawn, explained."""

import json
import logging
import shlex
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tashower.evaluation import explain_tables as words
from tashower.evaluation.figures import insight as figures
from tashower.evaluation.figures.insight_maps import Looked, channel_maps, event_maps
from tashower.evaluation.figures.style import save
from tashower.evaluation.importance import Importance, importance
from tashower.evaluation.page import pictures, render, statement
from tashower.events.array import lattice_heading
from tashower.events.model import Truth
from tashower.io import provenance
from tashower.io.atomic import written_aside
from tashower.io.hdf5 import made_from
from tashower.network.apply import corrected
from tashower.network.insight.attribution import Attribution, has_captum, integrated_gradients
from tashower.network.insight.filters import Filters, first_filters
from tashower.network.insight.maps import Maps, maps
from tashower.network.insight.permutation import Permuted, permutations
from tashower.network.insight.shift import Shifts, shifts
from tashower.network.insight.subject import UNITS, Subject, read_subject
from tashower.network.tiles import WITH_SCORES, in_lattice_frame
from tashower.physics.geometry import direction, opening_angle
from tashower.types import FilePath

_log = logging.getLogger("tashower")

#: Events whose gradients are integrated, and that are shifted (choices: time).
_INTEGRATED, _SHIFTED = 64, 200
#: Events that are drawn: at these parts of the events in order of the correction (choice).
_DRAWN = (0.5, 0.9, 0.99)


class Asked(NamedTuple):
    """What is asked of a network."""

    question: str = "direction"  #: of `network.insight.subject.QUESTIONS`
    number: int = 1000  #: of events
    events: Sequence[int] = ()  #: positions in the file of events to draw; none: a few are chosen
    device: str = "auto"
    model: FilePath | None = None  #: file of the user's model; None: where it lay


class Found(NamedTuple):
    """What was found of a network; None where it has nothing of the kind."""

    subject: Subject
    question: str
    heading: float  #: of the lattice [rad]
    permuted: Permuted
    importance: Importance
    maps: Maps
    attribution: Attribution | None  #: of the events that are drawn, and more
    filters: Filters | None
    shifts: Shifts


def _truth(subject: Subject) -> Truth | None:
    return subject.fitted.events.truth


def _chosen(subject: Subject, positions: Sequence[int], permuted: Permuted) -> np.ndarray:
    """Which events are drawn: rows of the subject."""
    if len(positions):
        return np.unique(np.searchsorted(subject.sample.rows, positions))
    size = np.linalg.norm(permuted.whole[:, :2], axis=1)
    order = np.argsort(size, kind="stable")
    return order[sorted({round(part * (len(order) - 1)) for part in _DRAWN})]


def ask(subject: Subject, asked: Asked) -> Found:
    """Everything that the page shows, of a network and its events."""
    heading = lattice_heading(subject.fitted.events.array)
    every = np.arange(subject.n)
    permuted = permutations(subject)
    drawn = _chosen(subject, asked.events, permuted)
    few = np.concatenate([drawn, np.setdiff1d(every, drawn)])[: max(_INTEGRATED, len(drawn))]
    gradients = integrated_gradients(subject, asked.question, few) if has_captum() else None
    scored = importance(permuted, subject.fitted.fit, _truth(subject), heading)
    return Found(
        subject,
        asked.question,
        heading,
        permuted,
        scored,
        maps(subject, asked.question, drawn),
        gradients,
        first_filters(subject),
        shifts(subject, every[:_SHIFTED]),
    )


def attributions_by_input(found: Found) -> tuple[list[str], np.ndarray]:
    """(names, (n, names) integrated gradients of each event): station features over its cells,
    vectors as a whole, waveforms over its hits, event features.
    """
    of = found.attribution
    cells = of.cells.sum(axis=(1, 2))
    inputs = [one for one in found.permuted.inputs if not one.name.startswith("all ")]
    vectors = [one.features for one in inputs if one.among == "hits" and one.features]
    vectors += [(name,) for name in found.permuted.constant]
    names = [", ".join(vector) for vector in vectors]
    values = [sum(cells[:, WITH_SCORES.index(f)] for f in vector) for vector in vectors]
    if of.waveform.size:
        names, values = [*names, "waveforms"], [*values, of.of_waveforms]
    events = found.subject.checkpoint["event_features"] if of.event_features.shape[1] else []
    return [*names, *events], np.column_stack([*values, of.event_features])


def _scale(question: str) -> tuple[float, str]:
    """(factor, unit) of attributions as they are drawn."""
    unit = UNITS[question]
    return (1e3, "10⁻³") if unit == "direction cosines" else (1.0, unit)


def _of_stations(found: Found, k: int) -> np.ndarray | None:
    """(N, N) integrated gradients of the stations of the k-th drawn event."""
    of = found.attribution
    if of is None:
        return None
    total = of.cells[k].sum(axis=2)
    hits = slice(*of.hit_offset[k : k + 2])
    first = found.subject.sample.first_waveform[of.rows[k]]
    cell = found.subject.sample.tiles.waveform_cell[first : first + hits.stop - hits.start]
    total = total.ravel() + np.bincount(cell, of.waveform[hits].sum(axis=(1, 2)), total.size)
    return total.reshape(of.cells.shape[1:3]) * _scale(found.question)[0]


def _station_names(found: Found, row: int, x: np.ndarray, y: np.ndarray) -> list[str]:
    """Names of stations of an event at (x, y) from its core [spacings], in the lattice's frame."""
    events, fit = found.subject.fitted.events, found.subject.fitted.fit
    station = events.hit_station[slice(*events.hit_offset[row : row + 2])]
    away = events.array.position[station, :2] - [fit.core_x[row], fit.core_y[row]]
    there = np.stack(in_lattice_frame(*away.T, found.heading), axis=1) / events.array.spacing
    nearest = np.linalg.norm(np.stack([x, y], axis=1)[:, None] - there, axis=2).argmin(axis=1)
    return [events.array.name_of(k) for k in station[nearest]]


def _title(found: Found, row: int) -> str:
    fit, truth = found.subject.fitted.fit, _truth(found.subject)
    table = corrected(fit, np.arange(len(fit)), found.permuted.whole, found.heading)
    before, after = (direction(t.zenith[row], t.azimuth[row]) for t in (fit, table))
    text = (
        f"event {fit.event_id[row]} (position {found.subject.sample.rows[row]}): fit "
        f"{fit.energy[row]:.3g} EeV, zenith {np.degrees(fit.zenith[row]):.1f}°; the network turns "
        f"it by {np.degrees(opening_angle(before, after)):.2f}°"
    )
    if truth is None:
        return text
    true = direction(truth.zenith[row], truth.azimuth[row])
    errors = (np.degrees(opening_angle(one, true)) for one in (before, after))
    return text + ", from {:.2f}° to {:.2f}° off the truth".format(*errors)


def looked(found: Found, k: int) -> Looked:
    """The k-th drawn event, ready to be drawn."""
    subject, of, row = found.subject, found.maps, found.maps.rows[k]
    of_tile = np.moveaxis(subject.sample.tiles.cells[row], -1, 0)
    cells = dict(zip(WITH_SCORES[: len(of_tile)], of_tile, strict=True))
    first, last = subject.sample.first_waveform[row : row + 2]
    cell = np.unravel_index(subject.sample.tiles.waveform_cell[first:last], cells["x"].shape)
    x, y, hit = cells["x"], cells["y"], cells["hit"] > 0
    along = of.along[slice(*of.hit_offset[k : k + 2])]
    detector = subject.fitted.events.array.detector
    known = subject.sample.targets is not None
    return Looked(
        _title(found, row),
        subject.sample.kind,
        x,
        y,
        cells["exists"] > 0,
        hit,
        np.expm1(0.5 * (cells["log_upper"] + cells["log_lower"])),
        np.where(cells["timed"] > 0, 100.0 * np.sinh(cells["front_residual"]), np.nan),
        np.sqrt((of.channels[k] ** 2).mean(axis=-1)) if of.tile_layer else None,
        of.tile[k] if of.tile_layer else None,
        _of_stations(found, k),
        _scale(found.question)[1],
        found.permuted.whole[row, :2],
        subject.sample.targets[row, :2] if known else None,
        subject.sample.tiles.waveform[first:last].astype(float),
        _station_names(found, row, x[cell], y[cell]) if len(cell[0]) else [],
        along,
        of.ends,
        subject.inputs.bin_width_ns or detector.bin_width,
    )


def figures_of(found: Found) -> dict:
    """{name: figure} of everything that there is."""
    subject = found.subject
    array = subject.fitted.events.array
    made = {"importance": figures.importance(found.importance)}
    if found.attribution is not None:
        names, values = attributions_by_input(found)
        scale, unit = _scale(found.question)
        made["attributions"] = figures.attributions(names, scale * values, unit)
    shown = [looked(found, k) for k in range(len(found.maps.rows))]
    made |= {f"event_{k}": event_maps(event) for k, event in enumerate(shown, 1)}
    if found.maps.tile_layer:
        strongest = int(np.argmax(np.abs(found.maps.answer)))
        arguments = (found.maps.channels[strongest], found.maps.weights[strongest])
        made["channels"] = channel_maps(shown[strongest], *arguments)
    if found.filters is not None:
        waveform = subject.sample.tiles.waveform.astype(float)
        width = subject.inputs.bin_width_ns or array.detector.bin_width
        made["filters"] = figures.filters(found.filters, waveform, width)
    made["shifts"] = figures.shifts(found.shifts, array.spacing)
    return made


def _pictures(made: dict) -> dict[str, str]:
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f"{name}.png") for name in made]
        for path, figure in zip(paths, made.values(), strict=True):
            save(figure, path)
        return pictures(paths)


def explain_network(
    checkpoint: FilePath, events_path: FilePath, fits_path: FilePath, output: FilePath, asked: Asked
) -> Found:
    """Write a page that shows what a network looks at.

    Parameters
    ----------
    events_path, fits_path : event file and its reconstruction, with or without a truth
    output : HTML file to write
    asked : what of the network, and of which events

    Raises
    ------
    InputError : what cannot be applied, events that are not there, no such question.
    """
    subject = read_subject(
        checkpoint, events_path, fits_path, asked.number, asked.events, asked.device, asked.model
    )
    found = ask(subject, asked)
    sentences = words.findings(found)
    for sentence in sentences:
        _log.info(f"explain: {sentence}")
    if found.attribution is None:
        _log.warning(f"explain: {words.WITHOUT_CAPTUM}")
    command = ["tashower", "explain", checkpoint, "--events", events_path, "--fits", fits_path]
    command += ["--output", output, "--target", asked.question, "--number", asked.number]
    command += ["--event", *asked.events] if len(asked.events) else []
    configuration = subject.checkpoint["configuration"]
    text = render(
        "explain.html.j2",
        found=found,
        words=words,
        findings=sentences,
        left_out=words.left_out(found),
        what=words.what_rows(found, checkpoint, events_path),
        pictures=_pictures(figures_of(found)),
        links={},
        software=provenance.software(),
        command=shlex.join(map(str, command)),
        configuration=json.dumps(configuration, indent=1),
        statement=statement(
            "explain", configuration, made_from([checkpoint, events_path, fits_path])
        ),
    )
    with written_aside(output) as aside:
        aside.write_text(text)
    return found

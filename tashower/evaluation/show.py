"""What a file holds, in a few lines, or one of its events as a picture."""

import json
from pathlib import Path

import numpy as np

from tashower.errors import InputError
from tashower.evaluation.display import draw_event
from tashower.evaluation.tables import ev_rows, markdown_table, method_rows, summary
from tashower.events.model import FLAGS, select_events
from tashower.io.event_file import read_events
from tashower.io.hdf5 import read_attributes
from tashower.io.reconstruction_file import read_reconstruction

#: Endings of pictures that can be written.
PICTURES = (".png", ".pdf", ".svg")


def _range(values, factor=1.0) -> str:
    values = np.asarray(values, dtype=float)
    values = values[np.isfinite(values)] * factor
    return (
        f"{values.min():.3g} to {values.max():.3g}, median {np.median(values):.3g}"
        if len(values)
        else "none"
    )


def _describe_events(path) -> list[str]:
    events = read_events(path)
    detector = events.array.detector
    lines = [
        f"array: {events.array.n_stations} stations, {events.array.spacing:g} m apart, {detector.area:g} m2, "
        f"{detector.n_layers} layers, {detector.n_bins} bins of {detector.bin_width:g} ns",
        f"events: {events.n_events:,}, hits: {events.n_hits:,}"
        + (f" ({events.n_hits / events.n_events:.1f} per event)" if events.n_events else ""),
        f"waveforms: {'yes' if events.waveform is not None else 'no'}, truth: {'yes' if events.truth is not None else 'no'}",
    ]
    if events.truth is not None and events.n_events:
        t = events.truth
        masses, counts = np.unique(t.mass_number, return_counts=True)
        lines += [
            f"energy [EeV]: {_range(t.energy)}",
            f"zenith [deg]: {_range(np.degrees(t.zenith))}",
            "primaries: "
            + ", ".join(f"A = {m}: {c:,}" for m, c in zip(masses, counts, strict=True)),
        ]
    return lines


def _describe_reconstruction(path) -> list[str]:
    tables, _, features = read_reconstruction(path)
    lines = []
    for name, table in tables.items():
        failed = ", ".join(
            f"{flag} {np.mean(table.flags >> bit & 1):.1%}" for bit, flag in enumerate(FLAGS)
        )
        lines += [
            f"{name}: {len(table.event_id):,} events, {table.valid.mean():.1%} valid, "
            f"{table.passes_cuts.mean():.1%} pass the cuts",
            f"  fail: {failed}",
            f"  energy [EeV]: {_range(table.energy)}; zenith [deg]: {_range(np.degrees(table.zenith))}",
        ]
    if features:
        lines.append("event features: " + ", ".join(features))
    return lines


def _describe_json(path) -> list[str]:
    try:
        content = json.loads(Path(path).read_text())
        kind = content["format"]
        missing = {"version", "software", "commit", "created"} - set(content)
        if missing:
            raise KeyError(missing)
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError):
        raise InputError(f"{path}: not a file of tashower") from None
    lines = [
        f"{kind}, version {content['version']}, {content['software']}, commit {content['commit']}, {content['created']}"
    ]
    if kind == "tashower scores":
        lines += [
            summary(content),
            "",
            markdown_table(ev_rows(content)),
            "",
            markdown_table(method_rows(content)),
        ]
    elif kind == "tashower calibration":
        lines += [f"{name}: {value:.4g}" for name, value in content["errors"].items()]
        lines.append(f"curvature: rms of ln a {content['curvature_width']:.3f}")
    return lines


def _describe_checkpoint(path) -> list[str]:
    with path.open("rb") as file:
        if file.read(4) != b"PK\x03\x04":  # torch writes ZIP files
            raise InputError(f"{path}: not a checkpoint")
    lines = [f"checkpoint of a network, {path.stat().st_size:,} bytes"]
    history = path.with_name("history.json")
    if history.is_file():
        epochs = json.loads(history.read_text())["epochs"]
        best = min(epochs, key=lambda h: h["validation_loss"])
        lines.append(
            f"{len(epochs)} epochs; best: epoch {best['epoch']}, validation EV of the direction {best['validation_ev']:.3f}"
        )
    return lines


def show_file(path) -> None:
    """Print what a file holds.

    Raises
    ------
    InputError : no such file, or none of tashower.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    print(path)
    if path.suffix == ".json":
        lines = _describe_json(path)
    elif path.suffix == ".pt":
        lines = _describe_checkpoint(path)
    else:
        attributes = read_attributes(path)
        lines = [
            f"{attributes['format']}, version {attributes['version']}, {attributes['software']}, commit {attributes['commit']}, "
            f"{attributes['created']}"
        ]
        lines += (
            _describe_events(path)
            if attributes["format"] == "tashower events"
            else _describe_reconstruction(path)
        )
    print("\n".join(lines), flush=True)


def show_event(path, index: int, fits, output, reconstruct) -> None:
    """Draw one event; print the path of the picture.

    Parameters
    ----------
    path : event file
    index : position of the event in the file, from 0
    fits : reconstruction file of these events; None: `reconstruct` is asked
    output : picture; None: FILE-event-N.png in the current folder
    reconstruct : function of one-event Events that gives ({method: Reconstruction}, pulses)

    Raises
    ------
    InputError : no such event; files that do not belong together.
    """
    if output and Path(output).suffix.lower() not in PICTURES:
        raise InputError(f"{output}: pictures end in {', '.join(PICTURES)}")
    events = read_events(path)
    if not 0 <= index < events.n_events:
        raise InputError(
            f"{path}: has no event {index}; it holds {events.n_events}, counted from 0"
        )
    if events.hit_offset[index] == events.hit_offset[index + 1]:
        raise InputError(f"{path}: event {index} has no hits: there is nothing to draw")
    if fits is None:
        one = select_events(events, [index])
        tables, pulses = reconstruct(one)
        events, at = one, 0
    else:
        tables, pulses, _ = read_reconstruction(fits)
        at = index
        first = next(iter(tables.values()))
        if not np.array_equal(first.event_id, events.event_id) or pulses is None:
            raise InputError(f"{fits}: is not the reconstruction of {path}")
    output = Path(output) if output else Path(f"{Path(path).stem}-event-{index}.png")
    draw_event(events, at, tables, pulses, output)
    print(output, flush=True)

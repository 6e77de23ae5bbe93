"""What a file holds, in a few lines."""

import json
from pathlib import Path

import numpy as np

from tashower.errors import InputError
from tashower.evaluation.ladder_tables import CUTS_MEAN, cut_rows
from tashower.evaluation.markdown import ladder_text
from tashower.evaluation.measured import errors_of
from tashower.evaluation.summary import summary
from tashower.evaluation.tables import VERSION, ev_rows, markdown_table, method_rows
from tashower.events.model import FLAGS, Reconstruction
from tashower.io.event_file import read_events
from tashower.io.hdf5 import read_attributes
from tashower.io.json_file import parsed_json
from tashower.io.reconstruction_file import read_reconstruction
from tashower.network.targets import PREDICTED
from tashower.types import FilePath


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
    rejected = 0 if events.rejected is None else events.rejected.sum()
    lines = [
        f"array: {events.array.n_stations} stations, {events.array.spacing:g} m apart, "
        f"{detector.area:g} m2, {detector.n_layers} layers, "
        f"{detector.n_bins} bins of {detector.bin_width:g} ns",
        f"events: {events.n_events:,}, hits: {events.n_hits:,}"
        + (f" ({events.n_hits / events.n_events:.1f} per event)" if events.n_events else "")
        + (f", {rejected} of them no measurement" if rejected else ""),
        f"waveforms: {'no' if events.waveform is None else 'yes'}, "
        f"truth: {'no' if events.truth is None else 'yes'}",
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


def _stated_errors(table: Reconstruction) -> list[str]:
    """The medians of the errors that a method states; nothing where it states none."""
    errors = errors_of(table)
    found = {
        "direction {:.2f} deg": errors.direction,
        "core {:.0f} m": errors.core,
        "energy {:.0f} %": 100.0 * table.energy_error / table.energy,
    }
    known = {text: of[np.isfinite(of)] for text, of in found.items()}
    words = [text.format(np.median(of)) for text, of in known.items() if len(of)]
    return [f"  errors, median: {', '.join(words)}"] if words else []


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
            f"  energy [EeV]: {_range(table.energy)}; "
            f"zenith [deg]: {_range(np.degrees(table.zenith))}",
            *_stated_errors(table),
        ]
        if table.says_mass:
            xmax, ln_a = (_range(table.of_mass(key)) for key in ("xmax", "ln_a"))
            lines.append(f"  Xmax [g/cm2]: {xmax}; ln A: {ln_a}")
    attributes = read_attributes(path)
    if factors := json.loads(attributes.get("temperature") or "{}"):
        words = ", ".join(f"{block} {value:.3f}" for block, value in factors.items())
        lines.append(f"errors were multiplied by (validation sample): {words}")
    if features:
        lines.append("event features: " + ", ".join(features))
    return lines


def _made(kind: str, content) -> str:
    return (
        f"{kind}, version {content['version']}, {content['software']}, "
        f"commit {content['commit']}, {content['created']}"
    )


def _describe_json(path) -> list[str]:
    try:
        content = parsed_json(path)
        kind = content["format"]
        missing = {"version", "software", "commit", "created"} - set(content)
        if missing:
            raise KeyError(missing)
    except (KeyError, TypeError):
        raise InputError(f"{path}: not a file of tashower") from None
    lines = [_made(kind, content)]
    if kind == "tashower scores":
        if content["version"] != VERSION:
            raise InputError(f"{path}: scores of version {content['version']}: score again")
        parts = (
            summary(content),
            ladder_text(content),
            markdown_table(ev_rows(content)),
            markdown_table(method_rows(content)),
            markdown_table(cut_rows(content)),
            CUTS_MEAN,
        )
        lines.append("\n\n".join(parts))
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
        content = parsed_json(history)
        epochs, own = content["epochs"], content.get("configuration", {}).get("networks", {})
        predicts = next((one.get("predicts", "correction") for one in own.values()), "correction")
        shown = PREDICTED[predicts].shown if predicts in PREDICTED else predicts
        best = min(epochs, key=lambda h: h["validation_loss"])
        if "validation_ev" not in best:  # of a generator
            last = {name: x for name, x in epochs[-1].items() if name not in ("epoch", "seconds")}
            text = ", ".join(f"{name.replace('_', ' ')} {x:.3f}" for name, x in last.items())
            return [f"checkpoint of a generator; {len(epochs)} epochs; last: {text}"]
        lines.append(
            f"{len(epochs)} epochs; best: epoch {best['epoch']}, "
            f"validation EV of {shown} {best['validation_ev']:.3f}"
        )
    return lines


def show_file(path: FilePath) -> list[str]:
    """What a file holds, in lines.

    Raises
    ------
    InputError : no such file, or none of tashower.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if path.suffix == ".json":
        lines = _describe_json(path)
    elif path.suffix == ".pt":
        lines = _describe_checkpoint(path)
    else:
        attributes = read_attributes(path)
        lines = [_made(attributes["format"], attributes)]
        if by := json.loads(attributes.get("generated") or "{}"):
            file, checksum = by["checkpoint"]
            lines.append(f"generated by {by['name']} ({by['kind']}), {file} {checksum}")
        lines += (
            _describe_events(path)
            if attributes["format"] == "tashower events"
            else _describe_reconstruction(path)
        )
    return [str(path), *lines]

"""Networks of one run side by side: what each costs, how fast it was trained, what it gains."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from tashower.errors import InputError
from tashower.evaluation.names import short
from tashower.evaluation.rounding import NOTHING, is_error, number, with_error
from tashower.evaluation.tables import VERSION, markdown_table
from tashower.io import provenance
from tashower.io.atomic import written_aside
from tashower.io.hdf5 import made_from
from tashower.io.json_file import as_json, read_json
from tashower.io.paths import check_paths
from tashower.network.cost import HITS, cost_of
from tashower.types import FilePath


def _over_trainings(values: Sequence[float | None]) -> dict:
    """{"value", "scatter", "each"}: mean and standard deviation (n - 1 in the denominator) of
    single trainings; None where one of them is not known, and the scatter of one alone.
    """
    if None in values:
        return {"value": None, "scatter": None, "each": list(values)}
    scatter = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"value": float(np.mean(values)), "scatter": scatter, "each": list(values)}


def events_per_second(epochs: Sequence[Mapping]) -> float | None:
    """Training speed: the median over the epochs of a curve of events in a second; None where the
    curve does not tell how many events there were.
    """
    if not epochs or any("events" not in epoch for epoch in epochs):
        return None
    return float(np.median([epoch["events"] / epoch["seconds"] for epoch in epochs]))


def _gain(entry: Mapping) -> dict:
    """An entry of the ladder of scores.json: value, scatter of a single training, and the error
    that trainings share, since they are scored on the same events.
    """
    return {
        "value": entry["value"],
        "scatter": entry.get("scatter"),
        "statistical": entry.get("statistical", entry["error"]),
        "each": entry.get("each", [entry["value"]]),
    }


def _row(folder: Path, scores: Mapping, name: str, members: Sequence[str]) -> dict:
    settings = scores["configuration"]["networks"][name]
    path = folder / "networks" / name / "checkpoint.pt"
    cost = cost_of(path, settings["model"], settings["options"])
    curves = [scores["histories"].get(member, []) for member in members]
    gain = scores["ladder"][settings["corrects"]][name]["all"]["axis"]
    return {
        **{key: settings[key] for key in ("model", "options", "head", "inputs", "corrects")},
        **cost._asdict(),
        "trainings": len(members),
        "training_events": curves[0][0].get("events") if curves[0] else None,
        "epochs": _over_trainings([len(curve) for curve in curves]),
        "events_per_second": _over_trainings([events_per_second(curve) for curve in curves]),
        "ev": _gain(gain["ev"]),
        "ratio_68": _gain(gain["ratio_68"]),
    }


def backbones(folder: FilePath) -> dict:
    """What a finished run says of its networks, those of the largest explained variance first.

    Explained variance of the direction and ratio of the 68 % angles are those of scores.json,
    against the fit that the network corrects; the speed is that of the training curves.

    Parameters
    ----------
    folder : results, with scores.json and networks/NAME/checkpoint.pt

    Raises
    ------
    InputError : a file is not there, is damaged or belongs to another network; no network of the
        configuration was scored.
    """
    folder = Path(folder)
    path = folder / "scores.json"
    scores = read_json(path, "tashower scores", (VERSION,))
    known = scores["configuration"]["networks"]
    groups = {name: of for name, of in scores["trainings"].items() if name in known}
    if not groups:
        raise InputError(f"{path}: holds no network of its configuration")
    rows = {name: _row(folder, scores, name, of) for name, of in groups.items()}
    order = sorted(rows, key=lambda name: -rows[name]["ev"]["value"])
    return {
        "format": "tashower backbones",
        "version": 1,
        "software": provenance.software(),
        "commit": provenance.commit(),
        "created": provenance.now(),
        "versions": provenance.versions(),
        "made_from": made_from([path]),
        "n_scored": scores["n_scored"],
        "scored": {key: scores[key] for key in ("commit", "created")},
        "hits": HITS,
        "networks": {name: rows[name] for name in order},
    }


def _with_scatter(entry: Mapping) -> str:
    """To four digits: the scatter of a few trainings is itself known to a half or less."""
    value, scatter = entry["value"], entry["scatter"]
    return number(value, 4) + (f" ± {number(scatter, 4)}" if is_error(value, scatter) else "")


def _speed(entry: Mapping) -> str:
    """Events in a second to two digits of their scatter, or to three."""
    if entry["value"] is None:
        return NOTHING
    return with_error(entry["value"], entry["scatter"])


def backbone_rows(found: Mapping) -> list[list[str]]:
    """The table, with header."""
    several = len({one["corrects"] for one in found["networks"].values()}) > 1
    head = ["network", "model", "parameters", "multiply-adds per event [10⁶]"]
    head += ["training [events/s]", "epochs", *(["corrects"] if several else [])]
    rows = [[*head, "EV of the direction", "68 % ratio"]]
    for name, one in found["networks"].items():
        rows.append(
            [
                name,
                one["model"],
                number(one["parameters"]),
                number(one["multiply_adds"] / 1e6, 2),
                _speed(one["events_per_second"]),
                number(one["epochs"]["value"], 1),
                *([short(one["corrects"])] if several else []),
                _with_scatter(one["ev"]),
                _with_scatter(one["ratio_68"]),
            ]
        )
    return rows


def _sentences(found: Mapping) -> list[str]:
    networks = list(found["networks"].values())
    trainings = sorted({one["trainings"] for one in networks})
    fits = list(dict.fromkeys(one["corrects"] for one in networks))
    errors = [one["ev"]["statistical"] for one in networks if one["ev"]["statistical"] is not None]
    sizes = {one["training_events"] for one in networks} - {None}
    lines = [
        f"Against the {' or the '.join(map(short, fits))} that the network corrects, on the same "
        f"{found['n_scored']:,} events; the largest explained variance first.",
        f"± is the scatter of a single training, over {' or '.join(map(str, trainings))} trainings "
        "that differ by their random numbers alone."
        if trainings[-1] > 1
        else "One training each: how far another one would be is not known.",
    ]
    if sizes:
        lines.append(f"Trained on {' or '.join(f'{n:,}' for n in sorted(sizes))} events.")
    if errors:
        lines.append(
            f"Bootstrap error of the explained variance over showers: up to {max(errors):.3f}; the "
            "networks share the events, and most of it cancels between them."
        )
    return [
        *lines,
        f"Multiply-adds: of one event with {found['hits']} hit stations in one orientation, by "
        "torch.utils.flop_counter; applied in eight orientations it is eight times as many.",
        "Training: median over the epochs, on the machine and beside the jobs that there were.",
    ]


def as_markdown(found: Mapping) -> str:
    """Table and what it means."""
    lines = "\n".join(f"* {line}" for line in _sentences(found))
    return f"{markdown_table(backbone_rows(found))}\n\n{lines}\n"


def write_backbones(found: Mapping, output: FilePath) -> list[Path]:
    """Write the table as Markdown and, beside it, all of its numbers as JSON; returns their paths.

    Raises
    ------
    InputError : a name that does not end in .md.
    """
    output = Path(output)
    if output.suffix.lower() != ".md":
        raise InputError(f"{output}: the name of the table ends in .md")
    numbers = output.with_suffix(".json")
    theirs = [output.parent / name for name in ("scores.json", "scores.md")]
    check_paths([theirs], [output, numbers])
    with ExitStack() as stack:  # both are written before the first takes its name
        stack.enter_context(written_aside(output)).write_text(as_markdown(found), encoding="utf-8")
        stack.enter_context(written_aside(numbers)).write_bytes(as_json(dict(found), finite=True))
    return [output, numbers]

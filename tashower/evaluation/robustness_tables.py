"""What `robustness` found, as one table (Markdown, CSV), sentences, and files."""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

from tashower.errors import InputError
from tashower.evaluation.names import label, short
from tashower.evaluation.page import scores_source
from tashower.evaluation.robustness import BIASES, COVERED, LEVEL, SIZES, shown
from tashower.evaluation.rounding import pm
from tashower.evaluation.tables import markdown_table
from tashower.io.atomic import written_aside
from tashower.io.json_file import as_json
from tashower.types import FilePath

#: Columns of biases: words, and digits behind the point without an error.
_BIASES = {
    "zenith_bias_deg": "zenith bias [deg]",
    "azimuth_bias_deg": "azimuth bias [deg]",
    "core_bias_m": "core bias [m]",
    "log_energy_bias": "ln E bias",
}
#: A shift of more of its errors than these is marked.
_CLEAR = 3.0
#: Kinds of numbers of a method, as robustness.json and the CSV have them.
_KINDS = {
    "bias": BIASES,
    "shift": BIASES,
    "size": SIZES,
    "over_nominal": SIZES,
    "over_best": SIZES,
    "coverage": COVERED,
}


def _is_clear(entry: Mapping, null: float = 0.0) -> bool:
    value, error = entry["value"], entry["error"]
    return value is not None and bool(error) and abs(value - null) > _CLEAR * error


def _rows(found: Mapping) -> Iterator[tuple[str, str, dict]]:
    """(world, method, its numbers), worlds one after the other."""
    for world, of_world in found["worlds"].items():
        for method, of_method in of_world["methods"].items():
            yield world, method, of_method


def table_rows(found: Mapping) -> list[list[str]]:
    """The table, with header: one row for every method of `shown` in every world."""
    best = short(found["best"])
    rows = [
        [
            *("world", "method", *_BIASES.values()),
            *("68 % angle [deg]", "over nominal", f"over {best}"),
            *(f"coverage, {quantity} [%]" for quantity in COVERED),
        ]
    ]
    seen = None
    methods = shown(found)
    for world, method, of in _rows(found):
        if method not in methods:
            continue
        biases = [pm(of["bias"][q]) + " *" * _is_clear(of["shift"][q]) for q in BIASES]
        angle = [of[kind]["angle_68_deg"] for kind in ("size", "over_nominal", "over_best")]
        here = "" if world == seen else f"{world}"
        same = world == found["nominal"]
        over = "1" if same else pm(angle[1]) + " *" * _is_clear(angle[1], 1.0)
        over_best = "1" if method == found["best"] else pm(angle[2])
        words = label(method, found["trainings"])
        covered = [pm(of["coverage"].get(quantity), 1, 100.0) for quantity in COVERED]
        rows.append([here, words, *biases, pm(angle[0]), over, over_best, *covered])
        seen = world
    return rows


def world_rows(found: Mapping) -> list[list[str]]:
    """What the worlds are, with header."""
    rows = [["world", "what differs", "triggered", "compared", "of those of the nominal world"]]
    for name, of in found["worlds"].items():
        changes = ", ".join(f"`{key}: {json.dumps(value)}`" for key, value in of["changes"].items())
        kept = f"{100.0 * of['kept']:.1f} %"
        numbers = [f"{of[key]:,}" for key in ("n_triggered", "n_compared")]
        rows.append([name, changes or "nothing", *numbers, kept])
    return rows


def price_rows(found: Mapping) -> list[list[str]]:
    """68 % sizes of networks that learned from varying nuisances, divided by those of the ones that
    did not, with header; empty where there are none.
    """
    if not found["twins"]:
        return []
    rows = [["world", "network", "68 % angle", "68 % core", "68 % of ln E"]]
    for world, of in found["worlds"].items():
        for name, ratios in of["over_plain"].items():
            words = f"{name} over {found['twins'][name]}"
            rows.append([world, words, *(pm(ratios[q]) for q in SIZES)])
    return rows


def sentences(found: Mapping) -> list[str]:
    """What the table says: of every method the world that costs it most, and what nuisances that
    vary in the training cost and gain.
    """
    others = [name for name in found["worlds"] if name != found["nominal"]]
    said = []
    for method in shown(found):

        def of(world: str, kind: str, quantity: str, method: str = method) -> dict:
            return found["worlds"][world]["methods"][method][kind][quantity]

        def size(world: str) -> float:
            return of(world, "over_nominal", "angle_68_deg")["value"] or 0.0

        def moved(world: str) -> float:
            return abs(of(world, "shift", "log_energy_bias")["value"] or 0.0)

        widest, farthest = max(others, key=size), max(others, key=moved)
        name = label(method, found["trainings"])
        said.append(
            f"{name[:1].upper()}{name[1:]}: the 68 % angle over that of the nominal world is "
            f"largest in {widest}, {pm(of(widest, 'over_nominal', 'angle_68_deg'))}; "
            f"ln E moves most in {farthest}, by {pm(of(farthest, 'shift', 'log_energy_bias'))}."
        )
    for name, plain in found["twins"].items():
        price = found["worlds"][found["nominal"]]["over_plain"][name]["angle_68_deg"]
        worlds = [found["worlds"][w]["over_plain"][name]["angle_68_deg"] for w in others]
        better = sum(w["value"] < 1.0 and _is_clear(w, 1.0) for w in worlds)
        said.append(
            f"Nuisances that vary in the training ({name} over {plain}): the 68 % angle of the "
            f"nominal world times {pm(price)}, that is their price; in {better} of {len(others)} "
            f"other worlds it is smaller by more than {_CLEAR:g} errors."
        )
    return said


def as_markdown(found: Mapping, source: str) -> str:
    """All as one Markdown text."""
    price = price_rows(found)
    parts = [
        "# Learned in one world, tested in others",
        "\n".join(f"- {sentence}" for sentence in sentences(found)),
        markdown_table(world_rows(found)),
        "All worlds hold the same showers. Numbers of a world are of the events that pass the cuts "
        f"there and in {found['nominal']}; calibration, station likelihood and networks are those "
        f"of {found['nominal']}. Biases: mean of reconstructed - true; azimuth: times the sine of "
        f"the zenith; core: along the true azimuth, towards the source. `*`: {_CLEAR:g} paired "
        f"errors or more from {found['nominal']}. Coverage: part of the truths within the stated "
        f"{100.0 * LEVEL:.0f} % region.",
        markdown_table(table_rows(found)),
    ]
    if price:
        title = "What nuisances that vary in the training sample change: sizes over those without"
        parts += [f"## {title}", markdown_table(price)]
    return "\n\n".join([*parts, f"Made from {source}.\n"])


def as_csv(found: Mapping) -> str:
    """One line for every method in every world, in full precision."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    columns = [(kind, quantity) for kind, several in _KINDS.items() for quantity in several]
    names = [
        f"{kind}_{quantity}".removeprefix("bias_").removeprefix("size_")
        for kind, quantity in columns
    ]
    header = [f"{name}{end}" for name in names for end in ("", "_error")]
    writer.writerow(["world", "method", "n_compared", *header])
    for world, method, of in _rows(found):
        entries = [of[kind].get(quantity, {}) for kind, quantity in columns]
        values = [entry.get(key) for entry in entries for key in ("value", "error")]
        shown = ["" if value is None else f"{value:.9g}" for value in values]
        writer.writerow([world, method, found["worlds"][world]["n_compared"], *shown])
    return file.getvalue()


def write_robustness(found: Mapping, output: FilePath) -> list[Path]:
    """Write what `robustness` found (JSON) and, beside it, the table as Markdown and CSV and a
    figure (.png, .pdf); returns the paths.

    Raises
    ------
    InputError : a name that does not end in .json.
    """
    from tashower.evaluation.figures.robustness import robustness_figure
    from tashower.evaluation.figures.style import save_both

    output = Path(output)
    if output.suffix != ".json":
        raise InputError(f"{output}: the name must end in .json; the tables go beside it")
    content = as_json(dict(found), finite=True)
    source, picture = scores_source(output.name, content), output.with_suffix(".png")
    save_both(robustness_figure(found), picture, source)
    texts = {
        output.with_suffix(".md"): as_markdown(found, source).encode(),
        output.with_suffix(".csv"): as_csv(found).encode(),
        output: content,
    }
    with ExitStack() as stack:  # all are written before the first takes its name
        for path, text in texts.items():
            stack.enter_context(written_aside(path)).write_bytes(text)
    return [*texts, picture, picture.with_suffix(".pdf")]

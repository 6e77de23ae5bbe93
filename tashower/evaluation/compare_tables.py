"""What a comparison of runs says: sentences, tables, a CSV, a page."""

import csv
import io
import json
import math
from contextlib import ExitStack
from pathlib import Path

from tashower.errors import InputError
from tashower.evaluation.compare import OWN, Comparison, Difference
from tashower.evaluation.names import label, short
from tashower.evaluation.page import render
from tashower.evaluation.tables import markdown_table
from tashower.io import provenance
from tashower.io.atomic import written_aside
from tashower.io.paths import check_paths
from tashower.io.stages import flat
from tashower.types import FilePath

#: (words, digits) of the scores.
_OF = {
    "angle_68_deg": ("68 % opening angle [deg]", 3),
    "angle_99_deg": ("99 % opening angle [deg]", 2),
    "zenith_bias_deg": ("bias of the zenith [deg]", 3),
    "core_68_m": ("68 % distance of the core [m]", 1),
    "core_bias_m": ("bias of the core towards the source [m]", 1),
    "log_energy_bias": ("bias of ln E", 3),
    "log_energy_68": ("68 % resolution of ln E", 3),
}
_QUANTITY = {"axis": "direction", "core": "core", "log_energy": "ln E"}
_KIND = {"ev": "explained variance", "ratio_68": "ratio of the 68 % sizes"}
#: Differences of more errors than these are counted, and what chance alone gives (two-sided, a
#: normal distribution).
_CLEAR = 3.0
_BY_CHANCE = math.erfc(_CLEAR / math.sqrt(2.0))


def _words(difference: Difference) -> tuple[str, int]:
    if difference.score in _OF:
        return _OF[difference.score]
    kind = next(kind for kind in _KIND if difference.score.startswith(kind))
    quantity = _QUANTITY[difference.score.removeprefix(f"{kind}_")]
    return f"{_KIND[kind]}, {quantity}", 3


def _number(entry: dict, digits: int, sign: str = "") -> str:
    """value ± error with at least two digits of the error; an em dash where there is none."""
    value, error = entry["value"], entry["error"]
    if not math.isfinite(value):
        return "—"
    if not math.isfinite(error):
        return f"{value:{sign}z.{digits}f}"
    if error > 0:
        digits = max(digits, min(9, 1 - math.floor(math.log10(error))))
    return f"{value:{sign}z.{digits}f} ± {error:.{digits}f}"


def _sigma(difference: Difference) -> str:
    sigma = difference.sigma
    if not math.isfinite(sigma):
        return "—"
    return "the same" if difference.same else f"{sigma:+z.1f}"


def _change(difference: Difference, digits: int) -> str:
    return "0" if difference.same else _number(difference.difference, digits, "+")


def _networks(comparison: Comparison) -> set[str]:
    return {name for run in comparison.runs for name in run.scores["networks"]}


def _row(comparison: Comparison, one: Difference) -> list[str]:
    words, digits = _words(one)
    return [
        *([one.run] if len(comparison.runs) > 2 else []),
        label(one.method, _networks(comparison)),
        words,
        _number(one.first, digits),
        _number(one.second, digits),
        _change(one, digits),
        _sigma(one),
    ]


def _table(comparison: Comparison, wanted) -> list[list[str]]:
    """Rows of the differences that are wanted, with header."""
    several = len(comparison.runs) > 2
    second = "second" if several else comparison.runs[1].name
    header = [
        *(["second run"] if several else []),
        *("method", "score", comparison.runs[0].name, second, "difference", "sigma"),
    ]
    found = [_row(comparison, one) for one in comparison.differences if wanted(one)]
    return [header, *found] if found else []


def own_rows(comparison: Comparison) -> list[list[str]]:
    """Bias and resolution of every method over all events, with header."""
    return _table(comparison, lambda one: one.score in OWN and not one.bin)


def fits_of(comparison: Comparison) -> list[str]:
    """The fits that methods are scored against."""
    return list(dict.fromkeys(one.fit for one in comparison.differences if one.fit))


def fit_rows(comparison: Comparison, fit: str) -> list[list[str]]:
    """Scores against one fit, with header."""
    return _table(comparison, lambda one: one.fit == fit)


def bins_of(comparison: Comparison) -> list[str]:
    """The bins of energy, in words."""
    return list(dict.fromkeys(one.bin for one in comparison.differences if one.bin))


def bin_rows(comparison: Comparison, words: str) -> list[list[str]]:
    """Bias and resolution in one bin of energy, with header."""
    return _table(comparison, lambda one: one.bin == words)


def _shown(value: object) -> str:
    return "—" if value is None else json.dumps(value, ensure_ascii=False)


def _differing(columns: list[dict]) -> list[list[str]]:
    """Rows of the keys of which not all columns have the same value."""
    keys = sorted({key for column in columns for key in column})
    values = {key: [column.get(key) for column in columns] for key in keys}
    return [
        [key, *map(_shown, found)]
        for key, found in values.items()
        if any(one != found[0] for one in found)
    ]


def _with_header(comparison: Comparison, first: str, rows: list) -> list[list[str]]:
    return [[first, *(run.name for run in comparison.runs)], *rows] if rows else []


def configuration_rows(comparison: Comparison) -> list[list[str]]:
    """Keys of the configuration that differ, with header; empty where none does."""
    rows = _differing([dict(flat(run.scores["configuration"])) for run in comparison.runs])
    return _with_header(comparison, "key", rows)


def calibration_rows(comparison: Comparison) -> list[list[str]]:
    """Errors of the calibration that differ, with header; empty where none does."""
    columns = [run.scores.get("calibration") or {} for run in comparison.runs]
    rows = _differing([{k: float(f"{v:.5g}") for k, v in one.items()} for one in columns])
    return _with_header(comparison, "calibration", rows)


def code_rows(comparison: Comparison) -> list[list[str]]:
    """Code and commit of every kind of file, and versions of packages, that differ; with header."""
    columns = []
    for run in comparison.runs:
        found = {}
        for kind, stated in run.made.items():
            found[f"code of {kind}"] = stated.get("code")
            found[f"commit of {kind}"] = stated.get("commit")
        found |= {f"version of {k}": v for k, v in run.scores["versions"].items()}
        columns.append(found)
    return _with_header(comparison, "", _differing(columns))


def run_rows(comparison: Comparison) -> list[list[str]]:
    """Where the runs are and what they hold, with header."""
    runs = [run.scores for run in comparison.runs]
    return [
        ["", *(run.name for run in comparison.runs)],
        ["folder", *(str(run.folder) for run in comparison.runs)],
        ["crc32 of the scores", *(run.checksum for run in comparison.runs)],
        ["scored", *(f"{s['created']}, {s['software']}" for s in runs)],
        ["commit", *(s["commit"] for s in runs)],
        ["events", *(f"{s['n_scored']:,} of {s['n_triggered']:,} scored" for s in runs)],
        [
            "68 % opening angle of all events scored in it, complete or last fit [deg]",
            *(_last_fit(s) for s in runs),
        ],
    ]


def _last_fit(scores: dict) -> str:
    name = list(scores["ladder"])[-1]
    entry = scores["methods"][name]["all"]["angle_68_deg"]
    return f"{entry['value']:.3f} ({short(name)})"


def _events(comparison: Comparison) -> str:
    if comparison.why:
        return (
            f"NOT PAIRED ({comparison.why}): scores as they stand, each of its own events, with "
            "errors of independent samples. Where the runs share events, the true errors of the "
            "differences are smaller than stated; where they do not, events may differ in energy "
            "and zenith."
        )
    text = (
        f"Paired: {comparison.n_common:,} events are in every run, and "
        f"{comparison.n_compared:,} of them pass the cuts in every run: all numbers are for those, "
        "with errors from the same bootstrap samples of showers."
    )
    if comparison.otherwise:
        text += (
            " The showers have the same energies, directions and cores; they developed or were "
            "seen otherwise."
        )
    return text


def _trainings(comparison: Comparison) -> list[str]:
    known = {
        name: [len(run.members(name)) for run in comparison.runs]
        for name in comparison.methods
        if all(name in run.scores["networks"] for run in comparison.runs)
    }
    if not known or all(min(numbers) > 1 for numbers in known.values()):
        return []
    return [
        "Networks that were trained once: the scatter between trainings is not in the errors, and "
        "a difference of a few sigma may be one of the seed (network.seeds trains several times)."
    ]


def sentences(comparison: Comparison) -> list[str]:
    """What the comparison says, the answer first."""
    found = [_events(comparison)]
    for one in comparison.differences:
        if one.score == "angle_68_deg" and not one.bin:
            name = label(one.method, _networks(comparison))
            found.append(
                f"{name[:1].upper()}{name[1:]}, 68 % opening angle: "
                f"{_number(one.first, 3)} deg in {comparison.runs[0].name}, "
                f"{_number(one.second, 3)} deg in {one.run}: "
                + (
                    "the same."
                    if one.same
                    else f"difference {_change(one, 3)} deg ({_sigma(one)} sigma)."
                )
            )
    measured = [one for one in comparison.differences if math.isfinite(one.sigma) and not one.same]
    clear = sum(abs(one.sigma) > _CLEAR for one in measured)
    if measured:
        found.append(
            f"Of {len(measured)} differences with an error {clear} are larger than "
            f"{_CLEAR:g} errors; by chance {_BY_CHANCE * len(measured):.1f} would be, if they were "
            "independent (they are not: methods share events)."
        )
    return found + _trainings(comparison)


def _parts(comparison: Comparison) -> list[tuple[str, list]]:
    """(title, rows) of all tables that are not empty."""
    parts = [
        ("All events", own_rows(comparison)),
        *((f"Against the {short(f)}", fit_rows(comparison, f)) for f in fits_of(comparison)),
        ("Configuration", configuration_rows(comparison)),
        ("Calibration", calibration_rows(comparison)),
        ("Code, commits and versions", code_rows(comparison)),
        *((f"log10(E/eV) {b}", bin_rows(comparison, b)) for b in bins_of(comparison)),
    ]
    return [(title, rows) for title, rows in parts if rows]


def as_markdown(comparison: Comparison) -> str:
    """All sentences and tables as one Markdown text."""
    lines = [f"- {sentence}" for sentence in sentences(comparison)]
    names = ", ".join(run.name for run in comparison.runs)
    parts = [f"# {names}", "\n".join(lines), markdown_table(run_rows(comparison))]
    for title, rows in _parts(comparison):
        parts += [f"## {title}", markdown_table(rows)]
    return "\n\n".join(parts) + "\n"


def as_csv(comparison: Comparison) -> str:
    """Every difference as a line, in full precision."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    numbers = ("first", "second", "difference")
    header = ["first_run", "second_run", "method", "score", "against_fit", "log10_energy_ev"]
    header += [f"{name}{end}" for name in numbers for end in ("", "_error")]
    writer.writerow([*header, "sigma", "paired"])
    paired = "no" if comparison.why else "yes"
    for one in comparison.differences:
        words = [comparison.runs[0].name, one.run, one.method, one.score, one.fit, one.bin]
        values = [getattr(one, name)[key] for name in numbers for key in ("value", "error")]
        writer.writerow([*words, *(f"{x:.9g}" for x in (*values, one.sigma)), paired])
    return file.getvalue()


def as_page(comparison: Comparison) -> str:
    """The comparison as HTML."""
    return render(
        "compare.html.j2",
        names=", ".join(run.name for run in comparison.runs),
        software=provenance.software(),
        sentences=sentences(comparison),
        own=own_rows(comparison),
        fits=[(short(fit), fit_rows(comparison, fit)) for fit in fits_of(comparison)],
        bins=[(words, bin_rows(comparison, words)) for words in bins_of(comparison)],
        configuration=configuration_rows(comparison),
        calibration=calibration_rows(comparison),
        code=code_rows(comparison),
        runs=run_rows(comparison),
    )


def write_comparison(comparison: Comparison, output: FilePath) -> list[Path]:
    """Write a page and, beside it, the tables as Markdown and as CSV; returns their paths.

    Raises
    ------
    InputError : a name that does not end in .html, or beside which the runs' own tables lie.
    """
    output = Path(output)
    if output.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{output}: the name of a page ends in .html")
    names = [output, output.with_suffix(".md"), output.with_suffix(".csv")]
    theirs = [run.folder / name for run in comparison.runs for name in ("scores.md", "report.html")]
    check_paths([theirs], names)
    texts = {
        output: as_page(comparison),
        output.with_suffix(".md"): as_markdown(comparison),
        output.with_suffix(".csv"): as_csv(comparison),
    }
    with ExitStack() as stack:  # all are written before the first takes its name
        for path, text in texts.items():
            stack.enter_context(written_aside(path)).write_text(text, encoding="utf-8")
    return list(texts)

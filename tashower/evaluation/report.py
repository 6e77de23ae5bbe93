"""The report of scores: one HTML file that needs nothing else."""

import csv
import json
import os
import platform
from pathlib import Path

from tashower.config import Config
from tashower.errors import InputError
from tashower.evaluation import tables
from tashower.evaluation.names import LOOKS, baselines, short
from tashower.evaluation.page import pictures, render
from tashower.io import provenance
from tashower.io.atomic import written_aside
from tashower.types import FilePath


def _seconds(text: str) -> float:
    return float(text) if text not in ("", "-", "NA") else 0.0


def read_times(folder: FilePath | None) -> list[list[str]]:
    """Rows (rule, jobs, wall time [s], CPU time [s], largest memory [MB]) from Snakemake's
    benchmark files, with header.
    """
    found = {}
    for path in sorted(Path(folder).rglob("*.tsv")):
        rule = path.relative_to(folder).parts[0].removesuffix(".tsv")
        with path.open() as file:
            for row in csv.DictReader(file, delimiter="\t"):
                entry = found.setdefault(rule, [0, 0.0, 0.0, 0.0])
                entry[0] += 1
                entry[1] += _seconds(row["s"])
                entry[2] += _seconds(row.get("cpu_time", ""))
                entry[3] = max(entry[3], _seconds(row.get("max_rss", "")))
    header = ["rule", "jobs", "wall time, sum [s]", "CPU time, sum [s]", "largest memory [MB]"]
    return [
        header,
        *(
            [rule, str(n), f"{wall:.0f}", f"{cpu:.0f}", f"{mem:.0f}"]
            for rule, (n, wall, cpu, mem) in found.items()
        ),
    ]


def _what_was_run(config: Config, scores) -> list[list[str]]:
    samples = config.samples
    thrown = {
        "calibration": samples.calibration,
        "training": samples.train,
        "validation": samples.validation,
        "test": samples.test,
    }
    return [
        ["", ""],
        ["commit", scores["commit"]],
        ["made", f"{scores['created']} by {scores['software']}"],
        ["seed", str(config.seed)],
        ["showers thrown", ", ".join(f"{name} {n:,}" for name, n in thrown.items())],
        [
            "scored",
            f"{scores['n_scored']:,} of {scores['n_triggered']:,} triggered events: "
            f"{scores['selection']}",
        ],
        ["versions", ", ".join(f"{k} {v}" for k, v in scores["versions"].items())],
        ["machine", f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}"],
    ]


def _in_words(names) -> str:
    """What a figure compares with: "the free fit", "both fits", "all fits"."""
    return (
        f"the {short(names[0])}"
        if len(names) == 1
        else f"{'both' if len(names) == 2 else 'all'} fits"
    )


def report_text(
    config: Config, scores: dict, figures: Path, benchmarks: FilePath | None = None
) -> str:
    """The report of scores as HTML.

    figures : folder of their figures; those that are not there are left out
    benchmarks : folder of Snakemake's benchmark files, for the times; None: no times
    """
    fits = baselines(scores)
    found = sorted(figures.glob("*.png"), key=lambda path: (len(path.stem), path.stem))
    with_times = benchmarks and Path(benchmarks).is_dir()
    return render(
        "report.html.j2",
        scores=scores,
        tables=tables,
        software=provenance.software(),
        n=f"{scores['n_scored']:,}",
        reference=short(fits[0]),
        against=_in_words(fits),
        meanings=[
            (short(name), LOOKS[name].meaning)
            for name in scores["methods"]
            if name in LOOKS and LOOKS[name].meaning
        ],
        pictures=pictures(found),
        run=_what_was_run(config, scores),
        times=read_times(benchmarks) if with_times else None,
        configuration=json.dumps(scores["configuration"], indent=1),
    )


def write_report(
    config: Config, scores_path: FilePath, benchmarks: FilePath | None, output: FilePath
) -> None:
    """Write the report of a scores.json, with the figures beside it, as one HTML file.

    Raises
    ------
    InputError : no such file, not scores.
    """
    scores_path = Path(scores_path)
    if not scores_path.is_file():
        raise InputError(f"{scores_path}: no such file")
    try:
        scores = json.loads(scores_path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError):
        scores = None
    if not isinstance(scores, dict) or scores.get("format") != "tashower scores":
        raise InputError(f"{scores_path}: not a tashower scores file")
    text = report_text(config, scores, scores_path.parent / "figures", benchmarks)
    with written_aside(output) as aside:
        aside.write_text(text)

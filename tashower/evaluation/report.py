"""The report of scores: one HTML file that needs nothing else."""

import csv
import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from tashower.config import Config, as_dict
from tashower.errors import InputError
from tashower.evaluation import (
    coverage_tables,
    fronts,
    ladder_tables,
    mass_tables,
    stated_tables,
    summary,
    tables,
)
from tashower.evaluation.anchors import array_words, limit_of, of_default_array, size_name
from tashower.evaluation.explained import ERRORS, QUANTITIES, cut_list, methods_explained
from tashower.evaluation.names import REFERENCE, baselines, short
from tashower.evaluation.page import (
    is_picture_of,
    links,
    pictures,
    render,
    scores_source,
    statement,
)
from tashower.evaluation.verdict import read_verdict
from tashower.io import provenance
from tashower.io.atomic import written_aside
from tashower.io.hdf5 import made_from
from tashower.io.json_file import read_json
from tashower.io.stages import flat, part_of
from tashower.types import FilePath

#: Samples in the order in which they are used.
_SPLITS = ("calibration", "train", "validation", "test")


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


def _what_was_run(scores, made_from) -> list[list[str]]:
    thrown = scores["configuration"].get("samples", {})
    return [
        ["", ""],
        ["commit", scores["commit"]],
        ["made", f"{scores['created']} by {scores['software']}"],
        ["made from", ", ".join(f"{name} (crc32 {checksum})" for name, checksum in made_from)],
        ["seed", str(scores["configuration"].get("seed", "-"))],
        [
            "showers thrown",
            ", ".join(f"{name} {thrown[name]:,}" for name in _SPLITS if name in thrown),
        ],
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


def _explained(folder: FilePath | None) -> dict[str, str]:
    """{network: address} of the pages of `tashower explain` in the folder of a report."""
    found = sorted(Path(folder, "explain").glob("*.html")) if folder else []
    return {path.stem: f"explain/{quote(path.name)}" for path in found}


def report_text(
    scores: dict,
    figures: Sequence[Path],
    made_from: Sequence[Sequence[str]] = (),
    benchmarks: FilePath | None = None,
    folder: FilePath | None = None,
) -> str:
    """The report of scores as HTML.

    figures : pictures of them
    made_from : [[name, checksum]] of the file of the scores, which the report states
    benchmarks : folder of Snakemake's benchmark files, for the times; None: no times
    folder : where the report will lie, from which it names the pictures; None: it names none
    """
    fits, configuration = baselines(scores), scores["configuration"]
    anchored = of_default_array(scores)
    found = sorted(figures, key=lambda path: (len(path.stem), path.stem))
    with_times = benchmarks and Path(benchmarks).is_dir()
    return render(
        "report.html.j2",
        scores=scores,
        tables=tables,
        ladder=ladder_tables,
        coverage=coverage_tables,
        mass=mass_tables,
        stated=stated_tables,
        words=summary,
        anchored=anchored,
        array=array_words(configuration),
        limit=limit_of(scores),
        band=fronts.read_band() if scores["networks"] and anchored else None,
        fronts=fronts,
        fits=[(name, short(name)) for name in fits],
        software=provenance.software(),
        n=f"{scores['n_scored']:,}",
        reference=short(REFERENCE),
        against=_in_words(fits),
        methods=methods_explained(
            scores["methods"], scores["networks"], configuration.get("networks")
        ),
        quantities=QUANTITIES,
        errors=ERRORS,
        cuts=cut_list(configuration.get("reconstruction", {}), size_name(configuration)),
        pictures=pictures(found),
        links=links(found, folder),
        looks=_explained(folder),
        generated=read_verdict(folder),
        commands=scores.get("commands", {}),
        run=_what_was_run(scores, made_from),
        statement=statement("report", configuration, made_from),
        times=read_times(benchmarks) if with_times else None,
        configuration=json.dumps(configuration, indent=1),
    )


def _check_configuration(path: Path, stated: dict, wanted: dict) -> None:
    made, wanted = (dict(flat(part_of("report", each))) for each in (stated, wanted))
    differs = [key for key in sorted({*made, *wanted}) if made.get(key) != wanted.get(key)]
    if differs:
        key = differs[0]
        more = f" (and {len(differs) - 1} more keys)" if len(differs) > 1 else ""
        raise InputError(
            f"{path}: was made with {key} {made.get(key)}, the configuration says "
            f"{wanted.get(key)}{more}: score again"
        )


def _check_figures(paths: Sequence[Path], source: str) -> None:
    for path in paths:
        if not path.is_file():
            raise InputError(f"{path}: no such file, and the scores name it: score again")
        if not is_picture_of(path, source):
            raise InputError(f"{path}: was not drawn from {source}: score again")


def write_report(
    config: Config | None, scores_path: FilePath, benchmarks: FilePath | None, output: FilePath
) -> None:
    """Write the report of a scores.json, with the figures beside it, as one HTML file.

    config : which the scores must have been made with; None: any

    Raises
    ------
    InputError : no such file, not scores, scores of another configuration, figures that are
        missing or were drawn from other scores.
    """
    scores_path = Path(scores_path)
    scores = read_json(scores_path, "tashower scores", (1, 2, tables.VERSION))
    if scores["version"] != tables.VERSION:
        raise InputError(f"{scores_path}: scores of version {scores['version']}: score again")
    if "figures" not in scores:
        raise InputError(f"{scores_path}: names no figures: score again")
    if config is not None:
        _check_configuration(scores_path, scores["configuration"], as_dict(config))
    figures = [
        scores_path.absolute().parent / "figures" / f"{name}.png" for name in scores["figures"]
    ]
    _check_figures(figures, scores_source(scores_path.name, scores_path.read_bytes()))
    text = report_text(
        scores, figures, made_from([scores_path]), benchmarks, Path(output).absolute().parent
    )
    with written_aside(output) as aside:
        aside.write_text(text)

"""The page of generated events: HTML, pictures and JSON beside it."""

import json
from collections.abc import Sequence
from pathlib import Path

from tashower.config import Config, as_dict
from tashower.errors import InputError
from tashower.evaluation import judged_tables as tables
from tashower.evaluation.figures import generated as figures
from tashower.evaluation.figures.style import save_both
from tashower.evaluation.judge import METHODS, Asked, Judged, judge
from tashower.evaluation.names import short
from tashower.evaluation.page import links, pictures, render, statement
from tashower.evaluation.two_samples import PERMUTATIONS
from tashower.evaluation.verdict import verdict_rows
from tashower.io import provenance
from tashower.io.atomic import written_aside
from tashower.io.hdf5 import made_from
from tashower.io.json_file import write_json
from tashower.types import FilePath


def figures_of(judged: Judged) -> dict:
    """{name: figure} of everything that there is."""
    reference, compared = judged.reference, judged.compared
    samples = [reference, *judged.samples]
    found = {
        "showers": figures.of_events(samples, compared),
        "stations": figures.of_stations(samples, compared),
        "profiles": figures.profiles(reference, compared),
        "fits": figures.of_fits(samples, compared, judged.fits[-1]),
    }
    if any(one.efficiency for one in compared):
        found["efficiency"] = figures.efficiency(reference, compared)
    if judged.real.scores:
        found["classifier"] = figures.classifier(judged.real, compared)
    if any(one.copies for one in compared):
        found["copies"] = figures.copies(reference, compared)
    return found


def page(judged: Judged, found: dict, paths: Sequence[Path], folder: Path, stated: str) -> str:
    """The page as HTML.

    found : of `judged_tables.numbers`; paths : of the pictures; folder : where the page will lie;
    stated : of `page.statement`
    """
    one = judged.reference
    names = ", ".join(sample.name for sample in judged.samples)
    return render(
        "judge.html.j2",
        lead=f"{names} against {one.name}, {one.n_events:,} events. {provenance.software()}.",
        judged=judged,
        sentences=found["sentences"],
        verdict=verdict_rows(found),
        tables=tables,
        with_truth=one.truth is not None,
        axis="true" if one.truth is not None else short(judged.fits[-1]),
        fit=short(judged.fits[-1]),
        permutations=f"{PERMUTATIONS:,}",
        pictures=pictures(paths),
        links=links(paths, folder),
        copied=any(each.copies for each in judged.compared),
        efficient=any(each.efficiency for each in judged.compared),
        software=provenance.software(),
        made=provenance.now(),
        commit=provenance.commit(),
        statement=stated,
    )


def write_judgement(
    config: Config, paths: Sequence[FilePath], asked: Asked, output: FilePath
) -> tuple[Judged, list[Path]]:
    """Judge event files against the first and write the page, with the numbers (NAME.json) and the
    figures (NAME-figures/) beside it; returns what was found and the paths of page and numbers.

    Raises
    ------
    InputError : as of `judge`; a name that does not end in .html.
    """
    output = Path(output)
    if output.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{output}: the name of a page ends in .html")
    judged = judge(config, paths, asked)
    drawn = {
        output.with_name(f"{output.stem}-figures") / f"{name}.png": figure
        for name, figure in figures_of(judged).items()
    }
    for path, figure in drawn.items():
        save_both(figure, path)
    inputs = [*paths, *asked.fits, *asked.networks.values(), *asked.training]
    stated = statement("judge", as_dict(config), made_from(inputs))
    found = json.loads(stated) | tables.numbers(judged) | {"methods": list(METHODS)}
    text = page(judged, found, list(drawn), output.absolute().parent, stated)
    numbers = output.with_suffix(".json")
    with written_aside(output) as aside:
        aside.write_text(text, encoding="utf-8")
        write_json(numbers, found)
    return judged, [output, numbers]

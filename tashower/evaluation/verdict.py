"""What `tashower judge` found, in short: from its numbers alone, for other pages."""

from pathlib import Path

from tashower.evaluation.rounding import pm
from tashower.io.json_file import read_json
from tashower.types import FilePath

#: Version of the numbers.
VERSION = 1


def verdict_rows(content: dict) -> list[list[str]]:
    """A line for every file, real against real first, with header.

    content : of `judged_tables.numbers`
    """
    head = ["file", "events", "reference", "same showers", "classifier: area, events"]
    rows = [[*head, "area, stations", "looks", "clearly different"]]
    files = {"real against real": content["real_against_real"], **content["files"]}
    for name, one in files.items():
        areas = [pm(one["classifier"].get(kind), 3) for kind in ("events", "stations")]
        counts = [f"{one['n_events'][k]:,}" for k in ("file", "reference")]
        paired = "yes" if one["paired"] else "no"
        rows.append([name, *counts, paired, *areas, str(one["looks"]), str(len(one["differ"]))])
    return rows


def read_verdict(folder: FilePath | None) -> dict | None:
    """What was found of generated showers in the folder of a report: address of the page,
    sentences and table; None where there is no such page.
    """
    if folder is None:
        return None
    path = Path(folder) / "generated.html"
    numbers = path.with_suffix(".json")
    if not (path.is_file() and numbers.is_file()):
        return None
    content = read_json(numbers, "tashower judgement", (VERSION,))
    rows = verdict_rows(content)
    return {"address": path.name, "sentences": content["sentences"], "rows": rows}

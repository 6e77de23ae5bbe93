"""Coverage as tables: rows of text, the first of which is the header."""

import itertools
from collections.abc import Iterator

from tashower.evaluation.coverage import QUANTITIES
from tashower.evaluation.names import label
from tashower.evaluation.rounding import pm
from tashower.evaluation.tables import markdown_table

_EDGES = {"by_energy": "energy_edges_log10_ev", "by_zenith": "zenith_edges_deg"}
_UNITS = {"by_energy": "log10(E/eV)", "by_zenith": "zenith [deg]"}

#: What the tables show.
COVERAGE_MEANS = (
    "Part of the scored events whose truth lies inside of the region that the method states with "
    "this probability: an ellipse on the sky and on the ground, an interval of ln of size and "
    "energy. Less than stated: errors are too small, or the result is off. Errors of energies hold "
    "how showers with the same size and zenith differ, as the calibration's sample has it."
)


def _bins(scores: dict, by: str) -> list[str]:
    edges = scores["configuration"]["scores"][_EDGES[by]]
    return [f"{low:g} – {high:g}" for low, high in itertools.pairwise(edges)]


def _off(one: dict, level: float) -> str:
    """Observed - stated in points, with a sign and an error."""
    off = one["value"] - level
    return f"{'+' * (off > 0)}{pm({'value': off, 'error': one['error']}, 1, 100)}"


def _farthest(scores: dict, method: dict, quantity: str) -> tuple[str, str]:
    """(how far the coverage is from what is stated where it is the farthest, region and bin)."""
    largest, said = -1.0, ("—", "")
    for by in _EDGES:
        for text, entry in zip(_bins(scores, by), method[by], strict=True):
            for level, one in zip(
                scores["coverage"]["levels"], entry[quantity]["observed"], strict=True
            ):
                if one["value"] is not None and abs(one["value"] - level) > largest:
                    largest = abs(one["value"] - level)
                    said = _off(one, level), f"{level:.0%}, {_UNITS[by]} {text}"
    return said


def _shown(scores: dict) -> dict[str, dict]:
    """{what it is called: coverage} of every method, of networks after and before the factors of
    their errors.
    """
    before = scores["coverage"].get("before", {})
    found = {}
    for name, method in scores["coverage"]["methods"].items():
        text = label(name, scores["networks"])
        found[text] = method
        if name in before:
            found[f"{text}, before"] = before[name]
    return found


def coverage_rows(scores: dict) -> list[list[str]]:
    """Coverage of every method over all scored events, and the bin where it is farthest off, with
    header.
    """
    levels = scores["coverage"]["levels"]
    regions = [f"inside {level:.0%} [%]" for level in levels]
    rows = [["method", "region of", "events", *regions, "farthest off in a bin [points]", "where"]]
    for name, method in _shown(scores).items():
        for quantity, entry in method["all"].items():
            rows.append(
                [
                    name,
                    quantity,
                    f"{entry['n']:,}",
                    *(pm(one, 1, 100) for one in entry["observed"]),
                    *_farthest(scores, method, quantity),
                ]
            )
    return rows


def coverage_bin_rows(scores: dict, quantity: str, by: str) -> list[list[str]]:
    """Coverage of one quantity of every method in bins of energy ("by_energy") or zenith
    ("by_zenith"), all levels in one cell, with header; the last column is the largest error of a
    bin's numbers.
    """
    methods = {name: of for name, of in _shown(scores).items() if quantity in of["all"]}
    rows = [[_UNITS[by], *methods, "error up to"]]
    for k, text in enumerate(_bins(scores, by)):
        found = [method[by][k][quantity]["observed"] for method in methods.values()]
        shown = [
            " / ".join("—" if one["value"] is None else f"{100 * one['value']:.1f}" for one in of)
            for of in found
        ]
        errors = [one["error"] for of in found for one in of if one["error"] is not None]
        rows.append([text, *shown, f"{100 * max(errors):.1f}" if errors else "—"])
    return rows


def binned_rows(scores: dict) -> Iterator[tuple[str, str, list[list[str]]]]:
    """(quantity, "by energy" or "by zenith", `coverage_bin_rows`) of all that some method has."""
    for quantity in QUANTITIES:
        if any(quantity in m["all"] for m in scores["coverage"]["methods"].values()):
            for by in _EDGES:
                yield quantity, by.replace("_", " "), coverage_bin_rows(scores, quantity, by)


def temperature_text(scores: dict) -> str:
    """The factors of the networks' errors; empty where there are none."""
    found = [
        f"{label(name, scores['networks'])}: "
        + ", ".join(
            f"{block} {' / '.join(f'{one:.3f}' for one in each)}" for block, each in of.items()
        )
        for name, of in scores["coverage"].get("temperature", {}).items()
    ]
    if not found:
        return ""
    return (
        "Errors of networks were multiplied by factors that the validation sample gave (the "
        f'temperature). {"; ".join(found)}. "before": without them.'
    )


def without_errors(scores: dict) -> str:
    """Which methods state no errors; empty if all do."""
    names = [label(name, scores["networks"]) for name in scores["coverage"]["without"]]
    return f"Without errors, and so without coverage: {', '.join(names)}." if names else ""


def coverage_text(scores: dict) -> list[str]:
    """Everything about coverage, as parts of a Markdown text."""
    levels = " / ".join(f"{level:.0%}" for level in scores["coverage"]["levels"])
    parts = ["## Coverage", markdown_table(coverage_rows(scores)), COVERAGE_MEANS]
    parts += [text for of in (temperature_text, without_errors) if (text := of(scores))]
    for quantity, by, rows in binned_rows(scores):
        parts.append(f"### Coverage of the {quantity}, {levels}, {by}")
        parts.append(markdown_table(rows))
    return parts

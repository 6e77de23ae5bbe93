"""The scores as tables: rows of text, the first of which is the header."""

import itertools
import math

from tashower.evaluation.anchors import published_cells
from tashower.evaluation.names import baselines, label, short
from tashower.evaluation.rounding import pm

#: Version of scores.json that is written, and that readers know.
VERSION = 3


#: What a network has to see, first of all, and need not be told.
_MOST = (("waveforms", True), ("event_features", True), ("station_likelihood", False))


def full_network(scores: dict) -> str:
    """The network that sees most of an event: with waveforms and event features, else with
    waveforms, else the first; one that is told of the station likelihood only among its like.
    """
    return max(
        scores["networks"],
        key=lambda n: tuple(
            bool((scores["networks"][n] or {}).get(key)) == wanted for key, wanted in _MOST
        ),
    )


def cells(scores: dict) -> list[dict]:
    """The published table: for each published cell the network of ours with these inputs, and its
    explained variances; nothing for another array than the published one.
    """
    result = []
    for cell in published_cells(scores):
        inputs = {"waveforms": cell["waveforms"], "event_features": cell["event_features"]}
        name = next((n for n, i in scores["networks"].items() if i == inputs), None)
        ours = {
            fit: scores["ladder"][fit][name]["all"]["axis"]["ev"] if name else None
            for fit in baselines(scores)
        }
        result.append({**cell, "name": name, "ours": ours})
    return result


def published_of(scores: dict, name: str) -> float | None:
    """The published explained variance of a network with the inputs of this one; None where none
    was published for this array.
    """
    seen = scores["networks"][name]
    return next(
        (
            cell["value"]
            for cell in published_cells(scores)
            if seen == {key: cell[key] for key in ("waveforms", "event_features")}
        ),
        None,
    )


def _yes(inputs: dict | None, key: str) -> str:
    if inputs is None:
        return "not known"
    return "yes" if inputs.get(key) else "no"


def ev_rows(scores: dict) -> list[list[str]]:
    """Explained variance of every network against every fit, with what it reads, and as published
    for this array where that is; with header.
    """
    fits, cells_of = baselines(scores), published_cells(scores)
    ours = [f"{'ours, ' * bool(cells_of)}against the {short(fit)}" for fit in fits]
    published = ["published (TA)"] if cells_of else []
    told = any((inputs or {}).get("station_likelihood") for inputs in scores["networks"].values())
    more = ["station likelihood"] if told else []
    rows = [["network", "waveforms", "event features", *more, *published, *ours]]

    def row(name, inputs, value, values):
        seen = [_yes(inputs, "waveforms"), _yes(inputs, "event_features")]
        seen += [_yes(inputs, "station_likelihood")] if told else []
        theirs = ["—" if value is None else f"{value:.2f}"] if cells_of else []
        return [name, *seen, *theirs, *values]

    for name, inputs in scores["networks"].items():
        values = [pm(scores["ladder"][fit][name]["all"]["axis"]["ev"]) for fit in fits]
        label_of = label(name, scores["networks"])
        rows.append(row(label_of, inputs, published_of(scores, name), values))
    for cell in cells(scores):
        if cell["name"] is None:
            rows.append(row("not in this run", cell, cell["value"], ["—"] * len(fits)))
    return rows


#: Columns of the answer: quantity of `scores.json`, head, digits behind the point, scale.
_ANSWER = (
    ("angle_68_deg", "68 % angle [deg]", 3, 1.0),
    ("core_68_m", "core, 68 % [m]", 1, 1.0),
    ("log_energy_68", "energy, 68 % [%]", 1, 100.0),
    ("log_energy_bias", "energy, bias [%]", 1, 100.0),
)


def _over(entry: dict, limit: dict | None) -> str:
    """A size as a multiple of its limit, errors of both in quadrature."""
    if limit is None or entry["value"] is None or not limit["value"]:
        return "—"
    ratio = entry["value"] / limit["value"]
    parts = [one["error"] / one["value"] for one in (entry, limit) if one["error"]]
    return pm({"value": ratio, "error": ratio * math.hypot(*parts) if parts else None}, 2)


def answer_rows(scores: dict, limit: dict | None = None) -> list[list[str]]:
    """The table of methods that answers what is gained, with header.

    limit : of `anchors.limit_of`; adds after every quantity that it knows a column with the
        method's size as a multiple of it (with paired errors where it holds them), and a row of
        its own where it is not one of the methods
    """
    limit = limit or {"all": {}}
    known, times, of = limit["all"], limit.get("times", {}), limit.get("method")
    first = baselines(scores)[0]
    head = ["method"]
    for quantity, text, _, _ in _ANSWER:
        head += [text, *(["times the limit"] if quantity in known else [])]
        if quantity == "angle_68_deg":
            head.append(f"ratio to the {short(first)}")
    rows = [[*head, "result for [% of triggered]"]]
    for name, method in scores["methods"].items():
        row, entry = [label(name, scores["networks"])], method["all"]
        for quantity, _, digits, scale in _ANSWER:
            row.append(pm(entry[quantity], digits, scale))
            if quantity in known and name == of:
                row.append("1")
            elif quantity in known:
                paired = times.get(name, {}).get(quantity)
                row.append(pm(paired, 2) if paired else _over(entry[quantity], known[quantity]))
            if quantity == "angle_68_deg":
                one = scores["ladder"][first].get(name)
                row.append(pm(one["all"]["axis"]["ratio_68"]) if one and name != first else "1")
        rows.append([*row, f"{100 * scores['fraction_valid'][name]:.1f}"])
    if known and of not in scores["methods"]:
        row = ["limit"]
        for quantity, _, digits, scale in _ANSWER:
            row.append(pm(known.get(quantity), digits, scale))
            row += ["1"] if quantity in known else []
            row += [""] if quantity == "angle_68_deg" else []
        rows.append([*row, ""])
    return rows


def method_rows(scores: dict, kind: str = "all") -> list[list[str]]:
    """Bias and resolution of every method over all scored events, with header.

    kind : "all", or "weighted" to the published spectrum
    """
    rows = [
        [
            "method",
            "reconstructed",
            "angle 68 % [deg]",
            "angle 99 % [deg]",
            "zenith bias [deg]",
            "core 68 % [m]",
            "ln E bias",
            "ln E 68 %",
        ]
    ]
    for name, method in scores["methods"].items():
        entry = method[kind]
        rows.append(
            [
                label(name, scores["networks"]),
                f"{100 * scores['fraction_valid'][name]:.1f} %",
                pm(entry["angle_68_deg"]),
                pm(entry["angle_99_deg"], 2),
                pm(entry["zenith_bias_deg"]),
                pm(entry["core_68_m"], 1),
                pm(entry["log_energy_bias"]),
                pm(entry["log_energy_68"]),
            ]
        )
    return rows


def fraction_rows(scores: dict) -> list[list[str]]:
    """Part of the triggered events that is scored, by energy, with header."""
    edges = scores["configuration"]["scores"]["energy_edges_log10_ev"]
    rows = [["log10(E/eV)", "scored of triggered events"]]
    for (low, high), part in zip(
        itertools.pairwise(edges), scores["fraction_scored_by_energy"], strict=True
    ):
        rows.append([f"{low:g} – {high:g}", "—" if part is None else f"{100 * part:.1f} %"])
    return rows


def _labels(scores) -> list[str]:
    return [label(name, scores["networks"]) for name in scores["methods"]]


def bin_rows(scores: dict, quantity: str, by: str, digits: int = 3) -> list[list[str]]:
    """One quantity of every method in bins of energy ("by_energy") or zenith ("by_zenith"), with
    header.
    """
    key = "energy_edges_log10_ev" if by == "by_energy" else "zenith_edges_deg"
    edges = scores["configuration"]["scores"][key]
    unit = "log10(E/eV)" if by == "by_energy" else "zenith [deg]"
    rows = [[unit, "events", *_labels(scores)]]
    for k, (low, high) in enumerate(itertools.pairwise(edges)):
        entries = [method[by][k] for method in scores["methods"].values()]
        rows.append(
            [
                f"{low:g} – {high:g}",
                str(entries[0]["n"]),
                *(pm(entry[quantity], digits) for entry in entries),
            ]
        )
    return rows


def quantity_rows(scores: dict) -> list[list[str]]:
    """Variance of each quantity itself that stays unexplained, with header: 100 (1 - EV), with the
    error of EV, which lies so close to 1 that its own digits say nothing.
    """
    rows = [["method", "direction [%]", "core [%]", "ln E [%]"]]
    for name, entry in scores["ev_of_quantity"].items():
        values = (pm(_unexplained(entry[q]), 4, 100.0) for q in ("axis", "core", "log_energy"))
        rows.append([label(name, scores["networks"]), *values])
    return rows


def _unexplained(entry: dict) -> dict:
    value = entry["value"]
    return {"value": None if value is None else 1.0 - value, "error": entry["error"]}


def pull_rows(scores: dict) -> list[list[str]]:
    """Pulls of every baseline, with header; the error of the mean is width/sqrt(n)."""
    rows = [["fit", "parameter", "mean", "width", "width of the middle 68 %"]]
    for fit, table in scores["pulls"].items():
        for name, entry in table.items():
            mean, width = entry["mean"], entry["width"]
            error = None if width is None else width / math.sqrt(scores["n_scored"])
            widths = ("—" if entry[k] is None else f"{entry[k]:.2f}" for k in ("width", "width_68"))
            rows.append([short(fit), name, pm({"value": mean, "error": error}), *widths])
    return rows


def markdown_table(rows: list) -> str:
    """Rows, the first of which is the header, as a Markdown table."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])

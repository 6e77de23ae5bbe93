"""The scores as tables: rows of text, the first of which is the header."""

import itertools

from tashower.evaluation.names import baselines, label, short

#: Version of scores.json that is written, and that readers know.
VERSION = 3


def full_network(scores: dict) -> str:
    """The network that sees most: with waveforms and event features, else with waveforms, else the
    first.
    """
    return max(
        scores["networks"],
        key=lambda n: tuple(
            bool((scores["networks"][n] or {}).get(k)) for k in ("waveforms", "event_features")
        ),
    )


def pm(entry: dict | None, digits: int = 3) -> str:
    """value ± error, or an em dash where there is none."""
    if entry is None or entry["value"] is None:
        return "—"
    error = "" if entry["error"] is None else f" ± {entry['error']:.{digits}f}"
    return f"{entry['value']:.{digits}f}{error}"


def cells(scores: dict) -> list[dict]:
    """The published table: for each published cell the network of ours with these inputs, and its
    explained variances.
    """
    result = []
    for cell in scores["published_ev"]:
        inputs = {"waveforms": cell["waveforms"], "event_features": cell["event_features"]}
        name = next((n for n, i in scores["networks"].items() if i == inputs), None)
        ours = {
            fit: scores["ladder"][fit][name]["all"]["axis"]["ev"] if name else None
            for fit in baselines(scores)
        }
        result.append({**cell, "name": name, "ours": ours})
    return result


def ev_rows(scores: dict) -> list[list[str]]:
    """Rows of the 2 x 2 table with header."""
    fits = baselines(scores)
    ours = [f"ours, against the {short(fit)}" for fit in fits]
    rows = [["waveforms", "event features", "published (TA)", *ours]]
    for cell in cells(scores):
        rows.append(
            [
                "yes" if cell["waveforms"] else "no",
                "yes" if cell["event_features"] else "no",
                f"{cell['value']:.2f}",
                *(pm(cell["ours"][fit]) for fit in fits),
            ]
        )
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
    """Explained variance of each quantity itself, with header."""
    rows = [["method", "direction", "core", "ln E"]]
    for name, entry in scores["ev_of_quantity"].items():
        values = (pm(entry[q], 5) for q in ("axis", "core", "log_energy"))
        rows.append([label(name, scores["networks"]), *values])
    return rows


def pull_rows(scores: dict) -> list[list[str]]:
    """Pulls of every baseline, with header."""
    rows = [["fit", "parameter", "mean", "width", "width of the middle 68 %"]]
    for fit, table in scores["pulls"].items():
        for name, entry in table.items():
            numbers = (entry[k] for k in ("mean", "width", "width_68"))
            rows.append([short(fit), name, *("—" if x is None else f"{x:.3f}" for x in numbers)])
    return rows


def markdown_table(rows: list) -> str:
    """Rows, the first of which is the header, as a Markdown table."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])

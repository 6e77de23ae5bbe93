"""The scores as text: Markdown tables, and a summary in words that follow from the numbers."""

import itertools

#: Names of the methods for people; a network that is not listed keeps its name.
LABELS = {
    "free": "fit, free curvature",
    "constrained": "fit, constrained curvature",
    "plane": "plane front",
    "standard": "standard reconstruction (of the file)",
    "waveforms_and_features": "network: waveforms + features",
    "waveforms_only": "network: waveforms",
    "features_only": "network: features",
    "stations_only": "network: stations only",
}


def label(name: str) -> str:
    """Name of a method for people."""
    return LABELS.get(name, f"network: {name}")


def full_network(scores) -> str:
    """The network that sees most: with waveforms and event features, else with waveforms, else the
    first.
    """
    return max(
        scores["networks"],
        key=lambda n: tuple(
            bool((scores["networks"][n] or {}).get(k)) for k in ("waveforms", "event_features")
        ),
    )


def pm(entry, digits=3) -> str:
    """value ± error, or an em dash where there is none."""
    if entry is None or entry["value"] is None:
        return "—"
    error = "" if entry["error"] is None else f" ± {entry['error']:.{digits}f}"
    return f"{entry['value']:.{digits}f}{error}"


def cells(scores) -> list[dict]:
    """The published table: for each published cell the network of ours with these inputs, and both
    explained variances.
    """
    result = []
    for cell in scores["published_ev"]:
        inputs = {"waveforms": cell["waveforms"], "event_features": cell["event_features"]}
        name = next((n for n, i in scores["networks"].items() if i == inputs), None)
        ours = {
            fit: scores["ev_of_correction"][fit][name]["axis"] if name else None
            for fit in scores["ev_of_correction"]
        }
        result.append({**cell, "name": name, "ours": ours})
    return result


def ev_rows(scores) -> list[list[str]]:
    """Rows of the 2 x 2 table with header."""
    rows = [
        [
            "waveforms",
            "event features",
            "published (TA)",
            "ours, against the free fit",
            "ours, against the constrained fit",
        ]
    ]
    for cell in cells(scores):
        rows.append(
            [
                "yes" if cell["waveforms"] else "no",
                "yes" if cell["event_features"] else "no",
                f"{cell['value']:.2f}",
                pm(cell["ours"]["free"]),
                pm(cell["ours"]["constrained"]),
            ]
        )
    return rows


def method_rows(scores) -> list[list[str]]:
    """Bias and resolution of every method over all scored events, with header."""
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
        entry = method["all"]
        rows.append(
            [
                label(name),
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


def fraction_rows(scores) -> list[list[str]]:
    """Part of the triggered events that is scored (passes the cuts of the free fit), by energy,
    with header.
    """
    edges = scores["configuration"]["scores"]["energy_edges_log10_ev"]
    rows = [["log10(E/eV)", "scored of triggered events"]]
    for (low, high), part in zip(
        itertools.pairwise(edges), scores["fraction_scored_by_energy"], strict=True
    ):
        rows.append([f"{low:g} – {high:g}", "—" if part is None else f"{100 * part:.1f} %"])
    return rows


def bin_rows(scores, quantity: str, by: str, digits=3) -> list[list[str]]:
    """One quantity of every method in bins of energy ("by_energy") or zenith ("by_zenith"), with
    header.
    """
    key = "energy_edges_log10_ev" if by == "by_energy" else "zenith_edges_deg"
    edges = scores["configuration"]["scores"][key]
    unit = "log10(E/eV)" if by == "by_energy" else "zenith [deg]"
    rows = [[unit, "events", *(label(name) for name in scores["methods"])]]
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


def quantity_rows(scores) -> list[list[str]]:
    """Explained variance of each quantity itself, with header."""
    rows = [["method", "direction", "core", "ln E"]]
    for name, entry in scores["ev_of_quantity"].items():
        rows.append([label(name), *(pm(entry[q], 5) for q in ("axis", "core", "log_energy"))])
    return rows


def pull_rows(scores) -> list[list[str]]:
    """Pulls of the free fit, with header."""
    rows = [["parameter", "mean", "width", "width of the middle 68 %"]]
    for name, entry in scores["pulls_of_free_fit"].items():
        rows.append(
            [
                name,
                *(
                    "—" if entry[k] is None else f"{entry[k]:.3f}"
                    for k in ("mean", "width", "width_68")
                ),
            ]
        )
    return rows


def markdown_table(rows) -> str:
    """Rows, the first of which is the header, as a Markdown table."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def sentences(scores) -> list[str]:
    """What the numbers say, in words computed from them."""
    said = []
    networks = list(scores["networks"])
    methods = scores["methods"]
    if not networks:
        return ["No network was scored."]
    against = scores["ev_of_correction"]
    full = full_network(scores)
    entry, strong = against["free"][full]["axis"], against["constrained"][full]["axis"]
    said.append(
        f"{label(full).capitalize()}: explained variance of the direction correction {pm(entry)} against the free-curvature fit, "
        f"which is the published comparison (0.37), and {pm(strong)} against the constrained fit, the strongest of ours."
    )
    fit_itself = against["free"]["constrained"]["axis"]
    said.append(
        f"The constrained fit alone explains {pm(fit_itself)} of that variance, without any network."
    )
    for fit in ("free", "constrained"):
        bins = [
            (m["angle_68_deg"]["value"], f["angle_68_deg"]["value"])
            for m, f in zip(methods[full]["by_energy"], methods[fit]["by_energy"], strict=True)
            if m["angle_68_deg"]["value"] is not None
        ]
        better = sum(m < f for m, f in bins)
        whole = (
            methods[full]["all"]["angle_68_deg"]["value"]
            / methods[fit]["all"]["angle_68_deg"]["value"]
        )
        said.append(
            f"Its 68 % opening angle is smaller than that of the {label(fit)} in {better} of {len(bins)} energy bins, "
            f"and {whole:.3f} times as large over all events."
        )
    ours = {
        (c["waveforms"], c["event_features"]): c["ours"]["free"] for c in cells(scores) if c["name"]
    }
    if len(ours) == 4:
        published = sorted(scores["published_ev"], key=lambda c: -c["value"])
        order = sorted(ours, key=lambda k: -ours[k]["value"])
        same = order == [(c["waveforms"], c["event_features"]) for c in published]
        said.append(
            "The four networks come in the published order."
            if same
            else "The four networks do not come in the published order: "
            + ", ".join(f"{_inputs(k)} {ours[k]['value']:.3f}" for k in order)
            + "."
        )
        gain = ours[True, True]["value"] - ours[False, True]["value"]
        said.append(
            f"Reading waveforms adds {gain:.3f} to the explained variance when event features are given (published: 0.15)."
        )
    return said


def _inputs(key) -> str:
    return {
        (True, True): "waveforms and features",
        (True, False): "waveforms only",
        (False, True): "features only",
    }.get(tuple(key), "neither")


def summary(scores) -> str:
    """A short text for the terminal."""
    return "\n".join(
        [
            f"{scores['n_scored']:,} of {scores['n_triggered']:,} triggered events scored.",
            *sentences(scores),
        ]
    )


def as_markdown(scores) -> str:
    """All tables as one Markdown text."""
    parts = [
        "# Scores",
        f"{scores['n_scored']:,} of {scores['n_triggered']:,} triggered events: {scores['selection']}. "
        f"Commit {scores['commit']}, {scores['created']}.",
        *sentences(scores),
        "## Explained variance of the correction of the direction",
        markdown_table(ev_rows(scores)),
        "Published: Ivanov et al. 2020, arXiv:2005.07117. Errors: bootstrap.",
        "## All scored events",
        markdown_table(method_rows(scores)),
        "Reconstructed: part of the triggered events with a valid result; all other columns are for the events scored.",
        markdown_table(fraction_rows(scores)),
        "## 68 % opening angle [deg] by energy",
        markdown_table(bin_rows(scores, "angle_68_deg", "by_energy")),
        "## 68 % opening angle [deg] by zenith",
        markdown_table(bin_rows(scores, "angle_68_deg", "by_zenith")),
        "## 68 % resolution of ln E by energy",
        markdown_table(bin_rows(scores, "log_energy_68", "by_energy")),
        "## Bias of ln E by energy",
        markdown_table(bin_rows(scores, "log_energy_bias", "by_energy")),
        "## 68 % distance of the core [m] by energy",
        markdown_table(bin_rows(scores, "core_68_m", "by_energy", 1)),
        "## Explained variance of each quantity itself",
        markdown_table(quantity_rows(scores)),
        "## Pulls of the free fit",
        markdown_table(pull_rows(scores)),
    ]
    return "\n\n".join(parts) + "\n"

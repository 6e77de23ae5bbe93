"""The scores as text: Markdown tables, and a summary in words that follow from the numbers."""

import itertools

from tashower.evaluation.names import BASELINES, baselines, label, short


def pulls_of_fit(scores: dict) -> dict[str, dict]:
    """{parameter: {"mean", "width", "width_68"}} of the pulls of the first baseline."""
    return scores[pulls_key(baselines(scores)[0])]


def pulls_key(fit: str) -> str:
    """Where scores hold the pulls of a fit."""
    return f"pulls_of_{fit}_fit"


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
            fit: scores["ev_of_correction"][fit][name]["axis"] if name else None
            for fit in scores["ev_of_correction"]
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


def method_rows(scores: dict) -> list[list[str]]:
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
    """Part of the triggered events that is scored (passes the cuts of the first
    baseline), by energy, with header.
    """
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
    """Pulls of the first baseline, with header."""
    rows = [["parameter", "mean", "width", "width of the middle 68 %"]]
    for name, entry in pulls_of_fit(scores).items():
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


def markdown_table(rows: list) -> str:
    """Rows, the first of which is the header, as a Markdown table."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def sentences(scores: dict) -> list[str]:
    """What the numbers say, in words computed from them."""
    if not scores["networks"]:
        return ["No network was scored."]
    fits, full = baselines(scores), full_network(scores)
    against = scores["ev_of_correction"]
    published = max(cell["value"] for cell in scores["published_ev"])
    first = pm(against[fits[0]][full]["axis"])
    text = (
        f"{label(full, scores['networks']).capitalize()}: explained variance of the direction "
        f"correction {first} against the {short(fits[0])}, which is the published comparison "
        f"({published:.2f})"
    )
    if len(fits) > 1:
        text += f", and {pm(against[fits[-1]][full]['axis'])} against the {short(fits[-1])}" + (
            ", the strongest of ours" if fits[-1] == BASELINES[-1] else ""
        )
    said = [f"{text}."]
    said += [
        f"The {short(fit)} alone explains {pm(against[fits[0]][fit]['axis'])} of that variance, "
        "without any network."
        for fit in fits[1:]
    ]
    return [*said, *(_against(scores, full, fit) for fit in fits), *_four_networks(scores)]


def _against(scores, full: str, fit: str) -> str:
    """A sentence on the opening angles of the network that sees most and those of a fit."""
    key, methods = "angle_68_deg", scores["methods"]
    bins = [
        (m[key]["value"], f[key]["value"])
        for m, f in zip(methods[full]["by_energy"], methods[fit]["by_energy"], strict=True)
        if m[key]["value"] is not None
    ]
    better = sum(m < f for m, f in bins)
    whole = methods[full]["all"][key]["value"] / methods[fit]["all"][key]["value"]
    return (
        f"The network's 68 % opening angle is smaller than that of the {label(fit)} in {better} of "
        f"{len(bins)} energy bins, and {whole:.3f} times as large over all events."
    )


def _four_networks(scores) -> list[str]:
    """Sentences on the order of the published table; none where not all of it was made again."""
    fit = baselines(scores)[0]
    found = [cell for cell in cells(scores) if cell["name"]]
    ours = {(c["waveforms"], c["event_features"]): c["ours"][fit]["value"] for c in found}
    theirs = {(c["waveforms"], c["event_features"]): c["value"] for c in found}
    if len(ours) < len(scores["published_ev"]):
        return []
    order = sorted(ours, key=lambda k: -ours[k])
    if order == sorted(theirs, key=lambda k: -theirs[k]):
        said = "The four networks come in the published order."
    else:
        words = ", ".join(f"{_inputs(k)} {ours[k]:.3f}" for k in order)
        said = f"The four networks do not come in the published order: {words}."
    gain, expected = (of[True, True] - of[False, True] for of in (ours, theirs))
    return [
        said,
        f"Reading waveforms adds {gain:.3f} to the explained variance when event features are "
        f"given (published: {expected:.2f}).",
    ]


def _inputs(key) -> str:
    return {
        (True, True): "waveforms and features",
        (True, False): "waveforms only",
        (False, True): "features only",
    }.get(tuple(key), "neither")


def summary(scores: dict) -> str:
    """A short text for the terminal."""
    return "\n".join(
        [
            f"{scores['n_scored']:,} of {scores['n_triggered']:,} triggered events scored.",
            *sentences(scores),
        ]
    )


def as_markdown(scores: dict) -> str:
    """All tables as one Markdown text."""

    def binned(title, quantity, by, digits=3):
        return [f"## {title}", markdown_table(bin_rows(scores, quantity, by, digits))]

    parts = [
        "# Scores",
        f"{scores['n_scored']:,} of {scores['n_triggered']:,} triggered events: "
        f"{scores['selection']}. Commit {scores['commit']}, {scores['created']}.",
        *sentences(scores),
        "## Explained variance of the correction of the direction",
        markdown_table(ev_rows(scores)),
        "Published: Ivanov et al. 2020, arXiv:2005.07117. Errors: bootstrap.",
        "## All scored events",
        markdown_table(method_rows(scores)),
        "Reconstructed: part of the triggered events with a valid result; all other columns are "
        "for the events scored.",
        markdown_table(fraction_rows(scores)),
        *binned("68 % opening angle [deg] by energy", "angle_68_deg", "by_energy"),
        *binned("68 % opening angle [deg] by zenith", "angle_68_deg", "by_zenith"),
        *binned("68 % resolution of ln E by energy", "log_energy_68", "by_energy"),
        *binned("Bias of ln E by energy", "log_energy_bias", "by_energy"),
        *binned("68 % distance of the core [m] by energy", "core_68_m", "by_energy", 1),
        "## Explained variance of each quantity itself",
        markdown_table(quantity_rows(scores)),
        f"## Pulls of the {short(baselines(scores)[0])}",
        markdown_table(pull_rows(scores)),
    ]
    return "\n\n".join(parts) + "\n"

"""The ladder, the cuts and the spectrum as tables: rows of text, the first of which is the
header.
"""

import itertools

from tashower.evaluation.names import label, short
from tashower.evaluation.rounding import pm

#: What the three cuts of `cut_rows` are.
CUTS_MEAN = (
    "Part of the triggered events that is kept, and their 68 % opening angle. Common: the events "
    "that all methods are scored on. Own: all that pass the method's own cuts (a network has those "
    "of the fit that it corrects). Looser: four stations or more, and no flag but those of few "
    "stations, border, pointing error and error of the fitted size. The last two are other events "
    "for each method: what is gained in events is paid for in resolution."
)


def spectrum_words(scores: dict) -> str:
    """ "E^-3 (thrown: E^-1), 12,761 events that count as 3,562"."""
    spectrum = scores["spectrum"]
    return (
        f"E^-{spectrum['index']:g} (thrown: E^-{spectrum['thrown']:g}), {scores['n_scored']:,} "
        f"events that count as {spectrum['n_effective']:,.0f}"
    )


def ladder_rows(scores: dict, fit: str) -> list[list[str]]:
    """Every method against one fit, with header."""
    index = f"E^-{scores['spectrum']['index']:g}"
    rows = [
        [
            f"against the {short(fit)}",
            "68 % angle, ratio",
            "1 - ratio^2",
            "EV",
            "EV without worst 1 %",
            "core 68 %, ratio",
            "ln E 68 %, ratio",
            f"{index}: 68 % angle, ratio",
            f"{index}: EV",
        ]
    ]
    for name, method in scores["ladder"][fit].items():
        everything, weighted = method["all"], method["weighted"]
        rows.append(
            [
                label(name, scores["networks"]),
                *(
                    pm(everything["axis"][key])
                    for key in ("ratio_68", "ev_68", "ev", "ev_without_worst")
                ),
                pm(everything["core"]["ratio_68"]),
                pm(everything["log_energy"]["ratio_68"]),
                pm(weighted["axis"]["ratio_68"]),
                pm(weighted["axis"]["ev"]),
            ]
        )
    return rows


def energy_bin_names(scores: dict) -> list[str]:
    """The bins of energy, in words."""
    edges = scores["configuration"]["scores"]["energy_edges_log10_ev"]
    return [f"{low:g} – {high:g}" for low, high in itertools.pairwise(edges)]


def ladder_bin_rows(scores: dict, fit: str, key: str) -> list[list[str]]:
    """One number of the direction of every method against one fit in bins of energy, with header.

    key : "ratio_68", "ev_68", "ev" or "ev_without_worst"
    """
    methods = scores["ladder"][fit]
    rows = [["log10(E/eV)", *(label(name, scores["networks"]) for name in methods)]]
    for k, name in enumerate(energy_bin_names(scores)):
        numbers = (pm(method["by_energy"][k]["axis"][key]) for method in methods.values())
        rows.append([name, *numbers])
    return rows


def cut_rows(scores: dict) -> list[list[str]]:
    """Part of the events that is kept and 68 % angle under three cuts, with header."""
    rows = [["method"]]
    for name in scores["cuts"]:
        rows[0] += [f"{name}: kept", f"{name}: angle 68 % [deg]"]
    rows[0].append("events gained by the looser")
    for method in scores["methods"]:
        row = [label(method, scores["networks"])]
        for entries in scores["cuts"].values():
            one = entries[method]
            row += [f"{100 * one['fraction']:.1f} %", pm(one["angle_68_deg"])]
        looser, common = (scores["cuts"][cut][method]["fraction"] for cut in ("looser", "common"))
        row.append(f"{100 * (looser / common - 1):+.0f} %")
        rows.append(row)
    return rows

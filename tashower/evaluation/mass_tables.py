"""Xmax and ln A as tables: rows of text, the first of which is the header."""

import itertools

from tashower.evaluation.names import label
from tashower.evaluation.rounding import pm
from tashower.evaluation.tables import markdown_table

#: Symbols of the primaries that are simulated.
_PRIMARIES = {1: "p", 4: "He", 14: "N", 56: "Fe"}
#: What the columns are.
MASS_MEANS = (
    "Bias: mean of reconstructed - true. Rms: standard deviation of it; 68 %: half of its middle "
    "68.27 %. Explained: 1 - its variance over that of the true value in these events, 0 for who "
    "always says the mean. Within its error: part of the events whose true value lies within one "
    "stated error, 68 % if errors are right. Merit factor: difference of the means of protons and "
    "iron over the root of the sum of their variances; of both: of the linear combination in which "
    "it is largest. Last line: of the true Xmax and ln of the true muon number, the best that a "
    "linear combination of these two does; what is not linear in them may do a little better. An "
    "answer that is trained to be near the truth is pulled towards the mean of showers that look "
    "alike: the biases of light and heavy primaries have opposite signs. Merit factors of Xmax "
    "over all energies hold its growth with energy; those in a bin hardly do."
)
#: What others state, and why that is not the same.
MASS_PUBLISHED = (
    "Published: below 25 g/cm² above 2·10¹⁹ eV for a network on water-Cherenkov stations, 3.6 m "
    "wide and 1.5 km apart, calibrated with fluorescence telescopes (Pierre Auger Collaboration "
    "2021, arXiv:2101.02946). There muons make most of the signal and each shower was simulated "
    "particle by particle; here thin scintillators see mainly electrons, and a shower is its Xmax, "
    "its muon number and a few fluctuations that hide them, whose sizes are choices."
)
_BY = {
    "by_energy": ("log10(E/eV)", "energy_edges_log10_ev"),
    "by_zenith": ("zenith [deg]", "zenith_edges_deg"),
}


def _names(scores: dict) -> dict[str, str]:
    return {name: label(name, scores["mass"]["trainings"]) for name in scores["mass"]["methods"]}


def mass_rows(scores: dict) -> list[list[str]]:
    """Every network over all scored events, and what is true, with header."""
    head = ["network", "events"]
    for what in ("Xmax [g/cm²]", "ln A"):
        head += [f"{what}: bias", "rms", "68 %", "explained [%]", "within its error [%]"]
    rows = [[*head, "merit factor p/Fe: Xmax", "ln A", "both"]]
    for name, text in _names(scores).items():
        one = scores["mass"]["methods"][name]["all"]
        row = [text, f"{one['n']:,}"]
        for quantity, digits in (("xmax", 1), ("ln_a", 2)):
            row += [pm(one[f"{quantity}_{key}"], digits) for key in ("bias", "rms", "68")]
            row.append(pm(one[f"{quantity}_ev"], 1, 100))
            row.append(pm(one.get(f"{quantity}_inside"), 1, 100))
        rows.append([*row, *(pm(one[f"{q}_merit"], 2) for q in ("xmax", "ln_a", "both"))])
    true = scores["mass"]["bound"]["all"]
    merits = (pm(true[key], 2) for key in ("xmax", "muons", "both"))
    rows.append(["true Xmax, ln of the muon number", f"{true['n']:,}", *["—"] * 10, *merits])
    return rows


def mass_bin_rows(scores: dict, by: str) -> list[list[str]]:
    """The numbers of every network in bins of energy ("by_energy") or zenith ("by_zenith"), with
    header.
    """
    unit, edges = _BY[by]
    edges = scores["configuration"]["scores"][edges]
    of_true = scores["mass"]["bound"][by]
    head = [unit, "network", "events", "Xmax [g/cm²]: bias", "rms", "ln A: bias", "rms"]
    merits = ("merit factor p/Fe: Xmax", "ln A", "both", "true Xmax and muons")
    rows = [[*head, *merits]]
    for k, (low, high) in enumerate(itertools.pairwise(edges)):
        for name, text in _names(scores).items():
            one = scores["mass"]["methods"][name][by][k]
            numbers = [pm(one[f"xmax_{key}"], 1) for key in ("bias", "rms")]
            numbers += [pm(one[f"ln_a_{key}"], 2) for key in ("bias", "rms")]
            numbers += [pm(one[f"{q}_merit"], 2) for q in ("xmax", "ln_a", "both")]
            numbers.append(pm(of_true[k]["both"], 2))
            rows.append([f"{low:g} – {high:g}", text, f"{one['n']:,}", *numbers])
    return rows


def mass_primary_rows(scores: dict) -> list[list[str]]:
    """Bias and spread of every network for each primary, with header."""
    head = ["primary", "network", "events", "Xmax [g/cm²]: bias", "rms", "ln A: bias", "rms"]
    rows = [head]
    for k, mass in enumerate(scores["mass"]["mass_numbers"]):
        for name, text in _names(scores).items():
            one = scores["mass"]["methods"][name]["by_primary"][k]
            numbers = [pm(one[f"xmax_{key}"], 1) for key in ("bias", "rms")]
            numbers += [pm(one[f"ln_a_{key}"], 2) for key in ("bias", "rms")]
            rows.append([_PRIMARIES.get(mass, f"A = {mass}"), text, f"{one['n']:,}", *numbers])
    return rows


def mass_sentences(scores: dict) -> list[str]:
    """A sentence on each network of mass; none where there is none."""
    found = []
    for name, text in _names(scores).items() if scores.get("mass") else ():
        one, true = scores["mass"]["methods"][name]["all"], scores["mass"]["bound"]["all"]
        found.append(
            f"{text[0].upper()}{text[1:]}: Xmax to {pm(one['xmax_rms'], 1)} g/cm², ln A to "
            f"{pm(one['ln_a_rms'], 2)} (standard deviations); merit factor p/Fe of ln A "
            f"{pm(one['ln_a_merit'], 2)}, of the true Xmax and muon number {pm(true['both'], 2)}."
        )
    return found


def mass_text(scores: dict) -> list[str]:
    """Everything about Xmax and ln A as parts of a Markdown text; none where none was scored."""
    if not scores.get("mass"):
        return []
    return [
        "## Xmax and mass",
        f"{scores['mass']['n_scored']:,} events: {scores['mass']['selection']}.",
        *mass_sentences(scores),
        markdown_table(mass_rows(scores)),
        MASS_MEANS,
        "### For each primary",
        markdown_table(mass_primary_rows(scores)),
        "### In bins of energy",
        markdown_table(mass_bin_rows(scores, "by_energy")),
        "### In bins of zenith",
        markdown_table(mass_bin_rows(scores, "by_zenith")),
        MASS_PUBLISHED,
    ]

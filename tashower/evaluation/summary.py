"""What scores say, in words that follow from the numbers."""

from tashower.evaluation.anchors import published_cells
from tashower.evaluation.ladder_tables import spectrum_words
from tashower.evaluation.mass_tables import mass_sentences
from tashower.evaluation.names import BASELINES, LIMITS, baselines, label, short, standard
from tashower.evaluation.rounding import number as rounded
from tashower.evaluation.rounding import pm
from tashower.evaluation.tables import cells, full_network

#: An effect is called one where it is larger than so many errors (choice).
_CLEAR = 2.0


def sentences(scores: dict) -> list[str]:
    """What the numbers say, in words computed from them."""
    if not scores["networks"]:
        return [] if scores.get("mass") else ["No network was scored."]
    full = full_network(scores)
    return [
        *_headline(scores, full),
        *_fits_alone(scores),
        _against(scores, full),
        *_limit(scores, full),
        _weighted(scores, full),
        *_four_networks(scores),
        *edge_sentences(scores),
        _of_trainings(scores, full),
    ]


def _strongest(fits) -> str:
    return ", the strongest of ours" if fits[-1] == BASELINES[-1] else ""


def _headline(scores, full: str) -> list[str]:
    fits = baselines(scores)
    published, last = standard(fits), fits[-1]
    cells_of = published_cells(scores)

    def number(fit, key):
        return pm(scores["ladder"][fit][full]["all"]["axis"][key])

    ratio = f"{number(published, 'ratio_68')} times that of the {short(published)}"
    ev = f"{number(published, 'ev')} against the {short(published)}"
    if cells_of:
        value = max(cell["value"] for cell in cells_of)
        ev += f", which is the published comparison ({value:.2f})"
    if last != published:
        more = f"the {short(last)}{_strongest(fits)}"
        ratio += f", {number(last, 'ratio_68')} times that of {more}"
        ev += f", and {number(last, 'ev')} against {more}"
    return [
        f"{label(full, scores['networks']).capitalize()}: 68 % opening angle {ratio} (paired "
        "bootstrap of showers).",
        f"Its explained variance of the direction correction: {ev}.",
    ]


def _fits_alone(scores) -> list[str]:
    fits = baselines(scores)
    published = standard(fits)
    return [
        f"The {short(fit)} alone explains "
        f"{pm(scores['ladder'][published][fit]['all']['axis']['ev'])} of that variance, without "
        "any network."
        for fit in fits
        if fit != published
    ]


def _against(scores, full: str) -> str:
    """A sentence on the opening angles of the network that sees most and those of the fits."""

    def smaller(fit):
        bins = [one["axis"]["ratio_68"] for one in scores["ladder"][fit][full]["by_energy"]]
        ratios = [entry["value"] for entry in bins if entry["value"] is not None]
        return f"{short(fit)} in {sum(ratio < 1.0 for ratio in ratios)} of {len(ratios)}"

    numbers = ", ".join(map(smaller, baselines(scores)))
    return (
        "The network's 68 % opening angle is smaller, in bins of energy, than that of the "
        f"{numbers}."
    )


def _limit(scores, full: str) -> list[str]:
    """A sentence on how far the strongest fit, the network and the likelihood of edges are from
    what the data hold; none where that is not known.
    """
    limit = scores.get("limit") or {}
    if not limit.get("times"):
        return []
    names = [baselines(scores)[-1], full, *LIMITS[::-1]]
    numbers = ", ".join(
        f"{short(name)} {pm(limit['times'][name]['angle_68_deg'])}"
        for name in names
        if name in limit["times"]
    )
    return [
        f"68 % opening angles in multiples of what the {label(limit['method'])} makes of the same "
        f"events: {numbers}."
    ]


def _weighted(scores, full: str) -> str:
    fits = baselines(scores)
    numbers = ", ".join(
        f"{pm(scores['ladder'][fit][full]['weighted']['axis']['ratio_68'])} against the "
        f"{short(fit)}"
        for fit in fits
    )
    return f"Weighted to {spectrum_words(scores)}: ratio of its 68 % opening angle {numbers}."


def _four_networks(scores) -> list[str]:
    """Sentences on the order of the published table; none where not all of it was made again."""
    fit = standard(baselines(scores))
    found = [cell for cell in cells(scores) if cell["name"]]
    ours = {(c["waveforms"], c["event_features"]): c["ours"][fit]["value"] for c in found}
    theirs = {(c["waveforms"], c["event_features"]): c["value"] for c in found}
    if not ours or len(ours) < len(published_cells(scores)):
        return []
    order = sorted(ours, key=lambda k: -ours[k])
    if order == sorted(theirs, key=lambda k: -theirs[k]):
        said = "The four networks of the published table come in its order."
    else:
        words = ", ".join(f"{_inputs(k)} {ours[k]:.3f}" for k in order)
        said = f"The four networks of the published table do not come in its order: {words}."
    gain, expected = (of[True, True] - of[False, True] for of in (ours, theirs))
    return [
        said,
        f"Reading waveforms adds {rounded(gain, 3)} to the explained variance when event features "
        f"are given (published: {expected:.2f}).",
    ]


def _inputs(key) -> str:
    return {
        (True, True): "waveforms and features",
        (True, False): "waveforms only",
        (False, True): "features only",
    }.get(tuple(key), "neither")


def _edges(scores, name: str) -> list[dict]:
    """Bias of ln E in the lowest and in the highest energy bin with a value."""
    bins = [one["log_energy_bias"] for one in scores["methods"][name]["by_energy"]]
    some = [entry for entry in bins if entry["value"] is not None]
    return [some[0], some[-1]] if len(some) > 1 else []


def _range(entries: list[dict]) -> str:
    values = [f"{value:+z.3f}" for value in sorted(entry["value"] for entry in entries)]
    return values[0] if len(values) == 1 else f"{values[0]} to {values[-1]}"


def edge_sentences(scores: dict) -> list[str]:
    """A sentence on the bias of the networks' energies at the edges of the range that they were
    trained on; none with fewer than two energy bins.
    """
    edges = [found for name in scores["networks"] if (found := _edges(scores, name))]
    if not edges:
        return []
    low, high = (list(side) for side in zip(*edges, strict=True))

    def clear(entry, sign):
        return sign * entry["value"] > _CLEAR * (entry["error"] or 0.0)

    n = len(edges)
    if all(clear(entry, 1) for entry in low) and all(clear(entry, -1) for entry in high):
        whose = f"all {n} networks pull" if n > 1 else "the network pulls"
        begin = f"At the edges of the trained range {whose} energies inwards"
    else:
        begin = "Energies at the edges of the trained range"
    text = (
        f"{begin}: mean ln(E/true E) of the network{'s' * (n > 1)} {_range(low)} in the lowest "
        f"energy bin and {_range(high)} in the highest"
    )
    fits = [(fit, found) for fit in baselines(scores) if (found := _edges(scores, fit))]
    numbers = (f"{short(fit)} {a['value']:+z.3f} and {b['value']:+z.3f}" for fit, (a, b) in fits)
    return [f"{text} ({', '.join(numbers)})." if fits else f"{text}."]


def _of_trainings(scores, full: str) -> str:
    """What the errors of networks hold of the scatter between trainings."""
    numbers = {len(members) for members in scores["trainings"].values()}
    if numbers == {1}:
        return (
            "One training of each network: the scatter between trainings with other seeds is not "
            "in the errors."
        )
    text = (
        f"Networks were trained {' or '.join(map(str, sorted(numbers)))} times with other seeds: "
        "numbers are means, errors hold the scatter of a single training"
    )
    fit = standard(baselines(scores))
    entry = scores["ladder"][fit][full]["all"]["axis"]["ev"]
    if "scatter" not in entry:
        return f"{text}, but not of those that were trained once."
    return (
        f"{text} (explained variance against the {short(fit)}: {entry['statistical']:.3f} by the "
        f"events, {entry['scatter']:.3f} by the seed)."
    )


def summary(scores: dict) -> str:
    """A short text for the terminal."""
    return "\n".join(
        [
            f"{scores['n_scored']:,} of {scores['n_triggered']:,} triggered events scored.",
            *sentences(scores),
            *mass_sentences(scores),
        ]
    )

"""The ladder: 68 % opening angles of all methods as ratios to those of a fit, and to the limit."""

import numpy as np
from matplotlib.figure import Figure

from tashower.evaluation.figures.bins import edges_of, mark_bins, places_in_bins
from tashower.evaluation.figures.style import figure_in_style
from tashower.evaluation.names import baselines, label, short, styles


def _ratios(scores: dict, of: str) -> dict[str, list[dict]]:
    """{method: [ratio of its 68 % angle to that of a method, in every bin of energy]}."""
    if of in scores["ladder"]:
        methods = scores["ladder"][of]
        return {
            name: [one["axis"]["ratio_68"] for one in method["by_energy"]]
            for name, method in methods.items()
        }
    bins = scores["limit"]["by_energy"]
    return {name: [one[name]["angle_68_deg"] for one in bins] for name in scores["limit"]["times"]}


def _column(bins: list[dict], part: str) -> np.ndarray:
    """null in the file, NaN here: bins without events."""
    return np.array([one[part] for one in bins], dtype=float)


@figure_in_style
def ladder(scores: dict) -> Figure:
    """Ratio of the 68 % opening angles to those of the first fit, of the last, and of the limit
    where there is one, against energy; bars: paired errors.
    """
    limit = (scores.get("limit") or {}).get("method")
    fits = [baselines(scores)[0], baselines(scores)[-1], *([limit] if limit else [])]
    fits = list(dict.fromkeys(fits))
    edges = edges_of(scores, "by_energy")
    figure = Figure(figsize=(min(6.5, 17.0 / len(fits)) * len(fits), 5.4))
    axes = figure.subplots(1, len(fits), sharey=True, squeeze=False)[0]
    look = styles(scores["methods"])
    names = list(scores["methods"])
    for axis, fit in zip(axes, fits, strict=True):
        for name, bins in _ratios(scores, fit).items():
            value, error = (_column(bins, part) for part in ("value", "error"))
            x = places_in_bins(edges, names.index(name), len(names))
            axis.errorbar(
                x,
                value,
                error,
                label=label(name, scores["networks"]),
                ms=5,
                lw=1.0,
                elinewidth=1.0,
                capsize=2,
                **look[name].points,
            )
        axis.axhline(1, color=look[fit].colour, lw=0.8)
        mark_bins(axis, edges, "by_energy")
        what = f"limit: {short(fit)}" if fit == limit else short(fit)
        axis.set_title(f"against the {what}")
    axes[0].set_ylabel("ratio of the 68 % opening angles")
    lines = {}
    for axis in axes:
        handles, texts = axis.get_legend_handles_labels()
        lines |= dict(zip(texts, handles, strict=True))
    if lines:
        figure.legend(lines.values(), lines, loc="outside lower center", ncols=3, fontsize=8)
    return figure

"""Explained variance of the correction of the direction: every network against every fit."""

from matplotlib.figure import Figure

from tashower.evaluation.figures.style import figure_in_style
from tashower.evaluation.names import baselines, label, short, styles
from tashower.evaluation.tables import published_of


@figure_in_style
def explained_variance(scores: dict) -> Figure:
    """A line for each network with its explained variance against every fit, with errors; stars:
    as published for a network with these inputs, where that was for this array.
    """
    fits, networks = baselines(scores), list(scores["networks"])
    look = styles(scores["methods"])
    figure = Figure(figsize=(9, 1.6 + 0.62 * len(networks)))
    axis = figure.subplots()
    for k, fit in enumerate(fits):
        entries = [scores["ladder"][fit][name]["all"]["axis"]["ev"] for name in networks]
        places = [j + 0.6 * (k - 0.5 * (len(fits) - 1)) / len(fits) for j in range(len(networks))]
        known = [(e, y) for e, y in zip(entries, places, strict=True) if e["value"] is not None]
        if known:
            axis.errorbar(
                [e["value"] for e, _ in known],
                [y for _, y in known],
                xerr=[e["error"] or 0.0 for e, _ in known],
                fmt=look[fit].marker,
                color=look[fit].colour,
                capsize=2,
                ms=6,
                label=f"against the {short(fit)}",
            )
    values = [(published_of(scores, name), j) for j, name in enumerate(networks)]
    values = [(value, j) for value, j in values if value is not None]
    if values:
        star = {"color": "#D55E00", "ms": 13, "mec": "k"}
        text = "published (TA, arXiv:2005.07117)"
        axis.plot(*zip(*values, strict=True), "*", label=text, **star)
    axis.set_yticks(range(len(networks)), [label(name, scores["networks"]) for name in networks])
    axis.set_ylim(len(networks) - 0.5, -0.5)
    axis.axvline(0, color="k", lw=0.8)
    for j in range(1, len(networks)):
        axis.axhline(j - 0.5, color="#BBBBBB", lw=0.6)
    axis.grid(False, axis="y")
    axis.set_xlabel("explained variance of the direction (0: no gain, 1: perfect)")
    figure.legend(loc="outside lower center", ncols=3, fontsize=9)
    return figure

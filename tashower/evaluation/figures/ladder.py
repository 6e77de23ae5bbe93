"""The ladder: 68 % opening angles of all methods as ratios to those of a fit."""

import numpy as np
from matplotlib.figure import Figure

from tashower.evaluation.figures.style import figure_in_style
from tashower.evaluation.names import baselines, colours, label, marker, short


def _column(bins: list[dict], part: str) -> np.ndarray:
    """null in the file, NaN here: bins without events."""
    return np.array([one["axis"]["ratio_68"][part] for one in bins], dtype=float)


@figure_in_style
def ladder(scores: dict) -> Figure:
    """Ratio of the 68 % opening angles to those of the first fit, and of the last, against energy;
    bands: paired errors.
    """
    fits = list(dict.fromkeys([baselines(scores)[0], baselines(scores)[-1]]))
    edges = np.array(scores["configuration"]["scores"]["energy_edges_log10_ev"], dtype=float)
    middle = 0.5 * (edges[1:] + edges[:-1])
    figure = Figure(figsize=(6.5 * len(fits), 5))
    axes = figure.subplots(1, len(fits), sharey=True, squeeze=False)[0]
    colour = colours(scores["methods"])
    for axis, fit in zip(axes, fits, strict=True):
        for name, method in scores["ladder"][fit].items():
            value, error = (_column(method["by_energy"], part) for part in ("value", "error"))
            low, high = value - error, value + error
            axis.fill_between(middle, low, high, color=colour[name], alpha=0.15, lw=0)
            line = {"color": colour[name], "marker": marker(name), "ms": 4}
            axis.plot(middle, value, label=label(name, scores["networks"]), **line)
        axis.axhline(1, color=colour[fit], lw=0.8)
        axis.set(xlabel="log10(true energy / eV)", title=f"against the {short(fit)}")
    axes[0].set_ylabel("ratio of the 68 % opening angles")
    lines = {line.get_label(): line for axis in axes for line in axis.lines[:-1]}  # not that at 1
    if lines:
        figure.legend(lines.values(), lines, loc="outside lower center", ncols=4, fontsize=8)
    return figure

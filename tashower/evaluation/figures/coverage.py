"""Do the regions that methods state hold the truth as often as they say?"""

import numpy as np
from matplotlib.figure import Figure

from tashower.evaluation.coverage import QUANTITIES
from tashower.evaluation.figures.style import figure_in_style
from tashower.evaluation.names import label, styles

_LEVELS = np.linspace(0.01, 0.99, 99)
#: 95 % of a normal distribution lie within so many standard deviations.
_TWO_SIGMA = 1.96
_TITLES = {
    "direction": "direction (ellipse on the sky)",
    "core": "core (ellipse on the ground)",
    "size": "size (interval of its logarithm)",
    "energy": "energy (interval of its logarithm)",
}


@figure_in_style
def coverage(scores: dict, depths: dict[str, dict[str, np.ndarray]]) -> Figure:
    """Part of the events inside of regions against what is stated, and below their difference, with
    the band in which 95 % of right differences lie.

    depths : {method: `coverage.depths` of the scored events}
    """
    shown = [q for q in QUANTITIES if any(q in of for of in depths.values())]
    figure = Figure(figsize=(4.2 * len(shown), 7.4))
    axes = figure.subplots(2, len(shown), sharex=True, squeeze=False, height_ratios=(3, 2))
    of_methods, lines = styles(scores["methods"]), {}
    for name in depths:
        look = of_methods[name].points | {"lw": 1.5, "ms": 5, "mec": "k", "mew": 0.4}
        for k, quantity in enumerate(shown):
            if quantity not in depths[name]:
                continue
            known = np.sort(depths[name][quantity][np.isfinite(depths[name][quantity])])
            inside = np.searchsorted(known, _LEVELS) / len(known)
            every = (4 + 3 * len(lines) % 15, 15)  # marks of two methods seldom fall together
            (line,) = axes[0, k].plot(_LEVELS, inside, markevery=every, **look)
            axes[1, k].plot(_LEVELS, 100 * (inside - _LEVELS), markevery=every, **look)
        lines[label(name, scores["networks"])] = line
    for k, quantity in enumerate(shown):
        n = max(np.isfinite(of[quantity]).sum() for of in depths.values() if quantity in of)
        band = 100 * _TWO_SIGMA * np.sqrt(_LEVELS * (1 - _LEVELS) / n)
        axes[0, k].plot([0, 1], [0, 1], color="k", lw=0.6)
        axes[1, k].fill_between(_LEVELS, -band, band, color="#bbbbbb", alpha=0.6, lw=0, zorder=0)
        axes[1, k].axhline(0, color="k", lw=0.6)
        axes[0, k].set_title(_TITLES[quantity], fontsize=11)
        axes[1, k].set_xlabel("stated probability")
    axes[0, 0].set_ylabel("part of the events inside")
    axes[1, 0].set_ylabel("difference [percentage points]")
    figure.legend(lines.values(), lines, loc="outside lower center", ncols=4, fontsize=8)
    return figure

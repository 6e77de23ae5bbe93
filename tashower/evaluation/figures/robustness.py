"""What other worlds do to every method."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from tashower.evaluation.figures.style import figure_in_style
from tashower.evaluation.names import label, styles
from tashower.evaluation.robustness import LEVEL, shown

#: Panels: kind and quantity of the numbers, words, where nothing changes.
_PANELS = (
    ("over_nominal", "angle_68_deg", "68 % angle over that in the nominal world", 1.0),
    ("shift", "zenith_bias_deg", "shift of the zenith [deg]", 0.0),
    ("shift", "log_energy_bias", "shift of ln E", 0.0),
    ("coverage", "direction", f"coverage of {100 * LEVEL:.0f} % regions of the direction", LEVEL),
)


@figure_in_style
def robustness_figure(found: Mapping) -> Figure:
    """A row for every world, a point for every method: 68 % angle, biases of zenith and ln E
    against the nominal world, coverage of the direction.
    """
    worlds, methods = list(found["worlds"]), shown(found)
    looks = styles(methods)
    figure = Figure(figsize=(4.0 * len(_PANELS), 1.6 + 0.5 * len(worlds)))
    axes = figure.subplots(1, len(_PANELS), sharey=True)
    place = np.arange(len(worlds))
    for axis, (kind, quantity, words, null) in zip(axes, _PANELS, strict=True):
        axis.axvline(null, color="0.6", lw=1)
        for k, method in enumerate(methods):
            entries = [found["worlds"][w]["methods"][method][kind].get(quantity) for w in worlds]
            if all(entry is None for entry in entries):
                continue
            value, error = (
                np.array(
                    [np.nan if e is None or e[key] is None else e[key] for e in entries], float
                )
                for key in ("value", "error")
            )
            off = 0.7 * ((k + 0.5) / len(methods) - 0.5)
            axis.errorbar(
                *(value, place + off),
                xerr=np.nan_to_num(error),
                fmt=looks[method].marker,
                color=looks[method].colour,
                ms=4,
                lw=1,
                label=label(method, found["trainings"]),
            )
        axis.set_xlabel(words)
        axis.locator_params(axis="x", nbins=5)
        axis.grid(axis="y", visible=False)
        for line in place[1:] - 0.5:
            axis.axhline(line, color="0.85", lw=0.6)
    axes[0].set_yticks(place, worlds)
    axes[0].set_ylim(len(worlds) - 0.5, -0.5)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=9)
    return figure

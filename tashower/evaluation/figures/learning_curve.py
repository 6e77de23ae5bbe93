"""What networks gain by more showers to learn from."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from tashower.evaluation.figures.style import figure_in_style
from tashower.evaluation.learning_curve import Curve, beyond, continue_curve, heading

_MARKS = "osD^v"


@figure_in_style
def learning_curve(scores: Mapping, found: Sequence[Curve]) -> Figure:
    """Explained variance and 68 % angle against the number of showers, a line for each curve; every
    training a small mark, what is continued dashed, in its band.
    """
    quantities = [q for q in ("ev", "times", "ratio_to_best") if q in found[0].points[0].found][:2]
    figure = Figure(figsize=(5.6 * len(quantities), 4.6))
    axes = figure.subplots(1, len(quantities), squeeze=False)[0]
    for axis, quantity in zip(axes, quantities, strict=True):
        for k, curve in enumerate(found):
            color = f"C{k}"
            showers = np.array([p.showers for p in curve.points])
            entries = [p.found[quantity] for p in curve.points]
            value, error = (np.array([e[key] for e in entries]) for key in ("value", "error"))
            label = curve.name if len(found) > 1 else "mean, error with scatter"
            style = {"color": color, "marker": _MARKS[k % len(_MARKS)], "capsize": 3}
            axis.errorbar(showers, value, error, label=label, **style)
            for n, entry in zip(showers, entries, strict=True):
                each = entry.get("each", [])
                axis.plot([n] * len(each), each, ".", color=color, alpha=0.5, ms=4)
            _draw_continued(axis, curve, quantity, color)
        axis.set_xscale("log")
        axis.set(xlabel="showers to learn from", ylabel=heading(quantity, found[0], scores))
    axes[0].legend(fontsize=9)
    return figure


def _draw_continued(axis, curve: Curve, quantity: str, color: str) -> None:
    far = beyond(curve)
    if not far:
        return
    at = np.geomspace(curve.points[0].showers, far[-1], 60)
    law = continue_curve(curve, quantity, at)
    if law is None:
        return
    axis.plot(at, law.value, "--", color=color, lw=1, label="power law through the points")
    outside = at >= curve.points[-1].showers
    band = (law.value - law.error)[outside], (law.value + law.error)[outside]
    axis.fill_between(at[outside], *band, color=color, alpha=0.15, label="continued, not measured")

"""Do the fits know their errors?"""

import numpy as np
from matplotlib.figure import Figure

from tashower.evaluation.figures.style import figure_in_style
from tashower.evaluation.names import short, styles
from tashower.events.model import PARAMETERS

#: What the parameters are called.
_TEXTS = dict(
    zip(
        PARAMETERS,
        ("core x", "core y", "zenith", "azimuth", "size S", "time t$_0$", "curvature a"),
        strict=True,
    )
)


def _words(value: float | None) -> str:
    return "—" if value is None else f"{value:.2f}"


@figure_in_style
def pulls(scores: dict, found: dict[str, np.ndarray]) -> Figure:
    """Pulls of the seven parameters of every baseline, {fit: (n_events, 7)}, against a unit
    Gaussian; in the titles those of the last, the strongest fit.
    """
    figure = Figure(figsize=(14, 6.6))
    axes = figure.subplots(2, 4, sharex=True, sharey=True)
    edges = np.linspace(-5, 5, 61)
    middle = 0.5 * (edges[1:] + edges[:-1])
    look, last = styles(found), list(found)[-1]
    for k, (axis, name) in enumerate(zip(axes.flat, PARAMETERS, strict=False)):
        for fit, of_fit in found.items():
            values = of_fit[np.isfinite(of_fit[:, k]), k]
            if len(values):
                style = look[fit].line | {"lw": 2.0 if fit == last else 1.2}
                axis.hist(values, edges, density=True, histtype="step", label=short(fit), **style)
        unit = np.exp(-0.5 * middle**2) / np.sqrt(2 * np.pi)
        axis.fill_between(middle, unit, color="#9ECAE1", alpha=0.5, lw=0, label="unit Gaussian")
        entry = scores["pulls"][last][name]
        text = f"{_TEXTS[name]}: mean {_words(entry['mean'])}, width {_words(entry['width'])}"
        axis.set_title(text, fontsize=10)
    axes.flat[-1].axis("off")
    axes.flat[-1].legend(*axes.flat[0].get_legend_handles_labels(), loc="center")
    for axis in axes[1]:
        axis.set_xlabel("(fitted $-$ true) / error")
    for axis in axes[:, 0]:
        axis.set_ylabel("events, per unit of the pull")
    return figure

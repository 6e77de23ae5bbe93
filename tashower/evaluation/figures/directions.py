"""Distributions of the residuals of the direction, event by event."""

import numpy as np
from matplotlib.figure import Figure

from tashower.evaluation.figures.style import figure_in_style
from tashower.evaluation.names import REFERENCE, baselines, colours, label
from tashower.evaluation.scores import ONE_SIGMA, Residuals
from tashower.evaluation.tables import full_network


@figure_in_style
def opening_angles(scores: dict, found: dict[str, Residuals]) -> Figure:
    """Distribution of the opening angle, and the part of events beyond it.

    found : {method: residuals of the same events}
    """
    figure = Figure(figsize=(12, 4.6))
    left, right = figure.subplots(1, 2)
    colour = colours(found)
    reference = found[REFERENCE].angle
    largest = np.degrees(np.quantile(reference, 0.995))
    for name, r in found.items():
        angle = np.sort(np.degrees(r.angle))
        line = {"color": colour[name], "lw": 1.4, "label": label(name, scores["networks"])}
        left.hist(angle, np.linspace(0, largest, 50), histtype="step", **line)
        right.plot(angle, 1.0 - np.arange(len(angle)) / len(angle), **line)
    text = "opening angle to the true direction [deg]"
    left.set(xlabel=text, ylabel="events", xlim=(0, largest))
    right.set(xlabel=text, ylabel="part of the events beyond it", yscale="log")
    right.set_ylim(1.0 / max(len(reference), 2), 1)
    right.axhline(1 - ONE_SIGMA, color="k", lw=0.8, ls=":")
    left.legend(fontsize=9)
    return figure


@figure_in_style
def residual_maps(scores: dict, found: dict[str, Residuals]) -> Figure:
    """Direction residuals of the baselines and of the network that sees most in the plane of the
    direction cosines.

    found : {method: residuals of the same events}
    """
    names = [*baselines(scores), *([full_network(scores)] if scores["networks"] else [])]
    largest = np.degrees(np.quantile(np.abs(found[names[0]].axis[:, :2]), 0.985))
    figure = Figure(figsize=(4.4 * len(names), 4.4))
    axes = figure.subplots(1, len(names), sharex=True, sharey=True, squeeze=False)[0]
    edges = np.linspace(-largest, largest, 51)
    for axis, name in zip(axes, names, strict=True):
        x, y = np.degrees(found[name].axis[:, :2].T)
        count, _, _ = np.histogram2d(x, y, [edges, edges])
        count = np.where(count > 0, count, np.nan)
        axis.pcolormesh(edges, edges, count.T, cmap="viridis", norm="log")
        axis.plot(x.mean(), y.mean(), "+", color="#D55E00", ms=12, mew=2)
        axis.set(
            title=label(name, scores["networks"]), xlabel="$n_x$ - true $n_x$ [deg]", aspect="equal"
        )
    axes[0].set_ylabel("$n_y$ - true $n_y$ [deg]")
    return figure

"""Distributions of the residuals of the direction, event by event."""

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from tashower.evaluation.figures.style import figure_in_style
from tashower.evaluation.names import REFERENCE, label, styles
from tashower.evaluation.scores import ONE_SIGMA, Residuals


@figure_in_style
def opening_angles(scores: dict, found: dict[str, Residuals]) -> Figure:
    """Distribution of the opening angle, and the part of events beyond it.

    found : {method: residuals of the same events}
    """
    figure = Figure(figsize=(12, 5.2))
    left, right = figure.subplots(1, 2)
    look = styles(found)
    reference = found[REFERENCE].angle
    largest = np.degrees(np.quantile(reference, 0.995))
    for name, r in found.items():
        angle = np.sort(np.degrees(r.angle))
        line = look[name].line | {"lw": 1.5, "label": label(name, scores["networks"])}
        left.hist(angle, np.linspace(0, largest, 50), histtype="step", **line)
        right.plot(angle, 1.0 - np.arange(len(angle)) / len(angle), **line)
    text = "opening angle to the true direction [deg]"
    left.set(xlabel=text, ylabel="events", xlim=(0, largest))
    right.set(xlabel=text, ylabel="part of the events beyond it", yscale="log")
    right.set_ylim(1.0 / max(len(reference), 2), 1)
    right.axhline(1 - ONE_SIGMA, color="k", lw=0.8, ls=":")
    right.text(
        0.99,
        1 - ONE_SIGMA,
        "68 % contained",
        ha="right",
        va="bottom",
        fontsize=8,
        transform=right.get_yaxis_transform(),
    )
    handles = right.get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=4, fontsize=8)
    return figure


@figure_in_style
def residual_maps(scores: dict, found: dict[str, Residuals]) -> Figure:
    """Direction residuals of every method in the plane of the direction cosines; the colour is the
    number of events in a bin, on one scale.

    found : {method: residuals of the same events}
    """
    names = list(found)
    largest = np.degrees(np.quantile(np.abs(found[names[0]].axis[:, :2]), 0.985))
    edges = np.linspace(-largest, largest, 51)
    columns = min(len(names), 4)
    rows = -(-len(names) // columns)
    figure = Figure(figsize=(3.6 * columns + 0.8, 3.7 * rows))
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    counts = [
        np.histogram2d(*np.degrees(found[name].axis[:, :2].T), [edges, edges])[0] for name in names
    ]
    norm = LogNorm(1, max(count.max() for count in counts) + 1)
    for axis, name, count in zip(grid.flat, names, counts, strict=False):
        x, y = np.degrees(found[name].axis[:, :2].T)
        seen = np.where(count > 0, count, np.nan)
        colours = axis.pcolormesh(edges, edges, seen.T, cmap="viridis", norm=norm, rasterized=True)
        axis.plot(x.mean(), y.mean(), "+", color="#D55E00", ms=12, mew=2)
        axis.set(aspect="equal")
        axis.set_title(label(name, scores["networks"]), fontsize=10)
    for axis in list(grid.flat)[len(names) :]:
        axis.axis("off")
    for k in range(len(names)):
        if k + columns >= len(names):
            grid.flat[k].set_xlabel("$n_x$ $-$ true $n_x$ [deg]")
            grid.flat[k].xaxis.set_tick_params(labelbottom=True)
    for axis in grid[:, 0]:
        axis.set_ylabel("$n_y$ $-$ true $n_y$ [deg]")
    width = 2 * largest / 50
    text = f"events in a bin of {width:.2g}° × {width:.2g}°"
    ticks = {"ticks": LogLocator(subs=(1, 2, 5)), "format": "%g"}
    figure.colorbar(colours, ax=grid, label=text, shrink=0.8, **ticks).minorticks_off()
    return figure

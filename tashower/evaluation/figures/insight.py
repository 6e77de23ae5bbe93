"""What a network looks at, of a whole sample: filters, importance, attributions, shifts."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from tashower.evaluation.figures.style import figure_in_style

if TYPE_CHECKING:
    from tashower.evaluation.importance import Importance
    from tashower.network.insight.filters import Filters
    from tashower.network.insight.shift import Shifts

#: Colours of layers, and of what is permuted among hits and among events.
_LAYERS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
_AMONG = {"hits": "#0072B2", "events": "#D55E00"}
#: Filters that are drawn (choice: what one can look at).
MOST_FILTERS = 24
#: Inputs that are drawn (choice); the table has all.
MOST_INPUTS = 20
#: Least height of a panel of pulses, ln(1 + VEM): a fifth of a muon is noise (choice).
_LEAST_TOP = 0.2
#: Bins around a filter that are drawn of a pulse (choice).
_AROUND = 8


def layer_names(n: int) -> list[str]:
    """Names of the layers of a station, from the top."""
    return {1: ["signal"], 2: ["upper layer", "lower layer"]}.get(
        n, [f"layer {k}" for k in range(n)]
    )


@figure_in_style
def filters(found: "Filters", waveform: np.ndarray, bin_width: float) -> Figure:
    """Pulses that excite each filter most, and below them the filter.

    found : `network.insight.filters.Filters`; waveform : (h, T, L) of the sample, ln(1 + VEM)
    """
    n, length = min(len(found.weight), MOST_FILTERS), found.weight.shape[1]
    columns = min(6, n)
    rows = -(-n // columns)
    figure = Figure(figsize=(1.0 + 1.75 * columns, 0.8 + 1.9 * rows))
    grid = figure.add_gridspec(2 * rows, columns, height_ratios=[1.25, 1.0] * rows)
    largest = np.abs(found.weight[:n]).max() or 1.0
    span = max(length, 1) + 2 * _AROUND
    for k in range(n):
        row, column = divmod(k, columns)
        above = figure.add_subplot(grid[2 * row, column])
        below = figure.add_subplot(grid[2 * row + 1, column], sharex=above)
        for hit, first in zip(found.hit[k], found.first[k], strict=True):
            bins = np.arange(first - _AROUND, first - _AROUND + span)
            inside = (bins >= 0) & (bins < waveform.shape[1])
            time = (bins[inside] - first) * bin_width
            for layer in range(waveform.shape[2]):
                value = waveform[hit, bins[inside], layer]
                above.step(time, value, where="post", color=_LAYERS[layer % 4], lw=0.8, alpha=0.8)
        edges = np.arange(length + 1) * bin_width
        for layer in range(found.weight.shape[2]):
            value = found.weight[k, :, layer]
            below.stairs(value, edges, color=_LAYERS[layer % 4], lw=1.6, baseline=None)
        above.axvspan(0, length * bin_width, color="#DDDDDD", zorder=0)
        below.axvspan(0, length * bin_width, color="#DDDDDD", zorder=0)
        below.axhline(0, color="k", lw=0.6)
        top = max((float(waveform[h].max()) for h in found.hit[k]), default=0.0)
        above.set(
            ylim=(0, max(1.05 * top, _LEAST_TOP)),
            xlim=(-_AROUND * bin_width, (length + _AROUND) * bin_width),
        )
        below.set_ylim(-1.1 * largest, 1.1 * largest)
        above.set_title(
            f"{found.channel[k]}, up to {found.output[k, 0]:.1f}", fontsize=8, pad=2, loc="left"
        )
        above.tick_params(labelbottom=False)
        for axis in (above, below):
            axis.tick_params(labelsize=7)
            axis.grid(False)
        if row < rows - 1:
            below.tick_params(labelbottom=False)
        below.tick_params(labelleft=not column)
        if not column:
            above.set_ylabel("ln(1 + VEM)", fontsize=7)
            below.set_ylabel("weight", fontsize=7)
    figure.supxlabel("time after the filter's first bin [ns]", fontsize=9)
    handles = [
        Line2D([], [], color=_LAYERS[k % 4], label=name)
        for k, name in enumerate(layer_names(found.weight.shape[2]))
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), fontsize=9)
    return figure


def _bars(axis, names, colours, values, errors, label: str) -> None:
    place = np.arange(len(names))
    axis.barh(place, values, color=colours, height=0.7, alpha=0.85)
    axis.errorbar(values, place, xerr=errors, fmt="none", ecolor="k", elinewidth=1.0, capsize=2)
    axis.set_yticks(place, names, fontsize=8.5)
    axis.set_ylim(len(names) - 0.4, -0.6)
    axis.axvline(0, color="k", lw=0.8)
    axis.grid(False, axis="y")
    axis.tick_params(axis="x", labelsize=9)
    axis.set_xlabel(label, fontsize=10)


def by_importance(found: "Importance") -> np.ndarray:
    """Inputs of an `importance.Importance`, the most important first."""
    # The explained variance of one event is not defined.
    main = found.change if found.ev_lost is None or found.n < 2 else found.ev_lost
    return np.argsort([-entry["value"] for entry in main], kind="stable")


@figure_in_style
def importance(found: "Importance") -> Figure:
    """Bars of explained variance lost and of angle gained; without a truth of the change alone.

    found : `importance.Importance`
    """
    panels = [
        (found.ev_lost, "explained variance lost"),
        (found.angle_gained, "68 % angle gained [deg]"),
        (found.change, "68 % of the directions move by [deg]"),
    ]
    panels = [(entries, label) for entries, label in panels if entries is not None]
    order = by_importance(found)[:MOST_INPUTS]
    figure = Figure(figsize=(3.2 + 3.0 * len(panels), 1.4 + 0.25 * len(order)))
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    names = [found.names[k] for k in order]
    colours = [_AMONG[found.among[k]] for k in order]
    for axis, (entries, label) in zip(axes, panels, strict=True):
        values = [entries[k]["value"] for k in order]
        errors = np.nan_to_num([entries[k]["error"] for k in order])
        _bars(axis, names, colours, values, errors, label)
    handles = [
        Line2D([], [], color=colour, lw=6, alpha=0.85, label=f"permuted among {name}")
        for name, colour in _AMONG.items()
        if name in found.among
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=9)
    return figure


@figure_in_style
def attributions(names: list[str], values: np.ndarray, unit: str) -> Figure:
    """Mean length of the integrated gradients of each input, and their mean with its sign.

    names : inputs; values : (n, len(names)) of each event, in `unit`
    """
    length, mean = np.abs(values).mean(axis=0), values.mean(axis=0)
    root = np.sqrt(max(len(values), 1))
    order = np.argsort(-length, kind="stable")[:MOST_INPUTS]
    figure = Figure(figsize=(9.2, 1.2 + 0.25 * len(order)))
    axes = figure.subplots(1, 2, sharey=True)
    shown = [names[k] for k in order]
    parts = (
        (axes[0], length, np.abs(values), "mean of the size"),
        (axes[1], mean, values, "mean, with its sign"),
    )
    for axis, value, each, label in parts:
        error = each.std(axis=0) / root
        _bars(axis, shown, "#009E73", value[order], error[order], f"{label} [{unit}]")
    return figure


@figure_in_style
def shifts(found: "Shifts", spacing: float) -> Figure:
    """What the network says of a core that was moved, against how far.

    found : `network.insight.shift.Shifts`
    """
    figure = Figure(figsize=(11, 4.0))
    axes = figure.subplots(1, 3)
    along = -found.along.reshape(len(found.applied), -1)
    near = found.applied < 0.5 * spacing - 1.0
    for axis, which, unit in (
        (axes[0], near, 1.0),
        (axes[1], np.ones(len(near), bool), 1e3 if spacing >= 500 else 1.0),
    ):
        x, name = found.applied[which] / unit, "km" if unit > 1 else "m"
        axis.set(xlabel=f"shift of the fitted core [{name}]", ylabel=f"taken back [{name}]")
        if not len(x):
            axis.set_axis_off()
            continue
        ends = [0, x.max()]
        axis.plot(ends, ends, color="k", lw=1, ls="--", label="all of it")
        look = {"fmt": "o-", "color": "#0072B2", "capsize": 3, "ms": 5}
        axis.errorbar(
            x,
            along[which].mean(axis=1) / unit,
            along[which].std(axis=1) / unit,
            label="mean, rms of events",
            **look,
        )
        axis.legend(fontsize=8)
    axes[0].set_title("as far as fits are wrong", fontsize=10)
    axes[1].set_title("as far as the tile allows", fontsize=10)
    for edge in np.arange(1, 1 + int(found.applied.max() / spacing)):
        axes[1].axvline(edge * spacing / (1e3 if spacing >= 500 else 1.0), color="#BBBBBB", lw=0.8)
    moved = np.degrees(np.sqrt((found.axis**2).sum(axis=-1).mean(axis=(1, 2))))
    axes[2].plot(found.applied, np.maximum(moved, 1e-6), "o-", color="#D55E00", ms=5)
    axes[2].set(xscale="log", yscale="log", xlabel="shift of the fitted core [m]")
    axes[2].set_ylabel("rms change of the direction [deg]")
    axes[2].set_title("direction: should not change", fontsize=10)
    return figure

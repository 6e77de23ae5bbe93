"""What a network looks at in one event: maps over the tile and along the waveforms."""

from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PatchCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, Patch, Rectangle, RegularPolygon

from tashower.evaluation.figures.insight import _LAYERS, layer_names
from tashower.evaluation.figures.style import figure_in_style

#: Waveforms of an event, and channels of a layer, that are drawn (choices).
MOST_WAVEFORMS, MOST_CHANNELS = 6, 12
#: Least end of the scale of arrival times [ns]: a few errors of one (choice).
_LEAST_LATE = 100.0


class Looked(NamedTuple):
    """One event, as a network sees it and what it makes of it; tiles are (N, N)."""

    title: str
    kind: str  #: of the lattice
    x: np.ndarray  #: from the fitted core [spacings], in the lattice's frame
    y: np.ndarray
    exists: np.ndarray
    hit: np.ndarray
    signal: np.ndarray  #: [VEM]
    late: np.ndarray  #: arrival after the front of the fit [ns]; NaN where there is none
    activation: np.ndarray | None  #: rms over the channels; None: there is no such layer
    cam: np.ndarray | None
    attribution: np.ndarray | None  #: of stations, in `unit`; None: not computed
    unit: str
    correction: np.ndarray  #: (2,) of the direction cosines, what the network says
    needed: np.ndarray | None  #: (2,) true; None: not known
    waveform: np.ndarray  #: (h, T, L), ln(1 + VEM)
    station: list[str]  #: (h,) where each is from
    along: np.ndarray  #: (h, pieces)
    ends: np.ndarray  #: (pieces + 1,) bins between which they lie
    bin_width: float  #: [ns]


def _cell(kind: str, x: float, y: float) -> Patch:
    if kind == "square":
        return Rectangle((x - 0.5, y - 0.5), 1.0, 1.0)
    if kind == "hexagonal":
        return RegularPolygon((x, y), 6, radius=1.0 / np.sqrt(3.0))
    return Circle((x, y), 0.35)


def _frame(axis: Axes, event: Looked, title: str) -> None:
    there = event.exists
    x, y = event.x[there], event.y[there]
    axis.set(xlim=(x.min() - 0.8, x.max() + 0.8), ylim=(y.min() - 0.8, y.max() + 0.8))
    axis.set_aspect("equal")
    axis.grid(False)
    axis.set_title(title, fontsize=9.5)
    axis.tick_params(labelsize=8)
    axis.set_xlabel("from the core [spacings]", fontsize=8)


def _map(axis: Axes, event: Looked, values: np.ndarray, signed: bool) -> ScalarMappable:
    """Cells in the colour of their values, stations with a hit ringed."""
    there = event.exists
    largest = float(np.nanmax(np.abs(values[there]), initial=0.0)) or 1.0
    scale = Normalize(-largest, largest) if signed else Normalize(0.0, largest)
    cells = PatchCollection(
        [_cell(event.kind, *point) for point in zip(event.x[there], event.y[there], strict=True)],
        cmap="RdBu_r" if signed else "viridis",
        norm=scale,
        edgecolor="#FFFFFF",
        linewidth=0.4,
    )
    cells.set_array(values[there])
    axis.add_collection(cells)
    axis.plot(event.x[event.hit], event.y[event.hit], "o", mfc="none", mec="k", ms=5, mew=0.9)
    axis.plot(0, 0, "+", color="k", ms=10, mew=1.8)
    return cells


def _seen(axis: Axes, event: Looked) -> ScalarMappable:
    """Stations: size by signal, colour by arrival; the correction of the direction as an arrow."""
    silent = event.exists & ~event.hit
    axis.plot(event.x[silent], event.y[silent], ls="none", marker=".", color="#999999", ms=3)
    late = event.late[event.hit]
    known = np.abs(late[np.isfinite(late)])
    # Accidental hits are anywhere: they do not decide the scale.
    largest = max(_LEAST_LATE, 1.5 * float(np.median(known)) if len(known) else 0.0)
    scale = Normalize(-largest, largest)
    size = (4.0 + 2.0 * np.log1p(event.signal[event.hit])) ** 2
    place = event.x[event.hit], event.y[event.hit]
    look = {"cmap": "PuOr_r", "norm": scale, "edgecolors": "k", "linewidths": 0.6, "zorder": 3}
    points = axis.scatter(*place, s=size, c=np.nan_to_num(late), **look)
    axis.plot(0, 0, "+", color="k", ms=10, mew=1.8, zorder=5)
    arrows = [(event.correction, "#009E73")]
    arrows += [] if event.needed is None else [(event.needed, "k")]
    longest = max(float(np.linalg.norm(vector)) for vector, _ in arrows) or 1.0
    for vector, colour in arrows:
        end = 1.6 * vector / longest
        arrow = {"arrowstyle": "-|>", "color": colour, "lw": 1.8, "shrinkA": 0, "shrinkB": 0}
        axis.annotate("", end, (0, 0), arrowprops=arrow, zorder=4)
    return points


def _waveform(axis: Axes, event: Looked, k: int, largest: float) -> None:
    time = np.arange(event.waveform.shape[1] + 1) * event.bin_width / 1e3
    scale = ScalarMappable(Normalize(-largest, largest), "RdBu_r")
    ends = event.ends * event.bin_width / 1e3
    for first, last, value in zip(ends, ends[1:], event.along[k], strict=False):
        axis.axvspan(first, last, color=scale.to_rgba(value), lw=0)
    for layer in range(event.waveform.shape[2]):
        look = {"color": _LAYERS[layer % 4], "lw": 1.3, "baseline": None}
        axis.stairs(event.waveform[k, :, layer], time, **look)
    axis.set_title(f"station {event.station[k]}", fontsize=8, pad=2, loc="left")
    axis.set(xlim=(0, time[-1]), ylim=(min(0.0, float(event.waveform[k].min())), None))
    axis.tick_params(labelsize=8)
    axis.grid(False)


def _panels(event: Looked) -> list[tuple[str, np.ndarray, bool, str]]:
    """(title, values, signed, label) of the maps that there are."""
    found = []
    if event.activation is not None:
        found.append(("activations", event.activation, False, "rms over channels"))
    if event.cam is not None:
        largest = float(np.abs(event.cam[event.exists]).max(initial=0.0)) or 1.0
        found.append(("Grad-CAM", event.cam / largest, True, "relative"))
    if event.attribution is not None:
        found.append(("integrated gradients", event.attribution, True, event.unit))
    return found


def _bar(part: SubFigure, axis: Axes, mappable: ScalarMappable, label: str, extend: str) -> None:
    look = {"location": "bottom", "shrink": 0.9, "aspect": 25, "extend": extend}
    bar = part.colorbar(mappable, ax=axis, **look)
    bar.set_label(label, size=8)
    bar.ax.tick_params(labelsize=8)


def _handles(event: Looked, waveforms: bool) -> list[Line2D]:
    handles = [Line2D([], [], color="#009E73", lw=2, label="correction of the direction: network")]
    if event.needed is not None:
        handles.append(Line2D([], [], color="k", lw=2, label="true"))
    if waveforms:
        names = enumerate(layer_names(event.waveform.shape[2]))
        handles += [Line2D([], [], color=_LAYERS[k % 4], label=name) for k, name in names]
    return handles


@figure_in_style
def event_maps(event: Looked) -> Figure:
    """The event, the maps over its tile, and waveforms in the colours of their Grad-CAM."""
    panels = _panels(event)
    size = np.abs(event.along).max(axis=1, initial=0.0)
    n = min(MOST_WAVEFORMS, len(size)) if event.along.shape[1] else 0
    shown = np.argsort(-size, kind="stable")[:n]
    rows = -(-n // 3)
    heights = [4.3, *([1.5 * rows + 0.5] if n else [])]
    figure = Figure(figsize=(11.5, sum(heights)))
    parts = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    axes = parts[0].subplots(1, 1 + len(panels), squeeze=False)[0]
    _frame(axes[0], event, "what it sees")
    _bar(parts[0], axes[0], _seen(axes[0], event), "after the fitted front [ns]", "both")
    axes[0].set_ylabel("[spacings]", fontsize=8)
    for axis, (title, values, signed, label) in zip(axes[1:], panels, strict=True):
        _frame(axis, event, title)
        _bar(parts[0], axis, _map(axis, event, values, signed), label, "neither")
    if n:
        below = parts[1].subplots(rows, min(3, n), sharex=True, squeeze=False)
        for axis, k in zip(below.ravel(), shown, strict=False):
            _waveform(axis, event, k, float(size[shown].max()) or 1.0)
        for axis in below.ravel()[n:]:
            axis.set_axis_off()
        for axis in below[-1]:
            axis.set_xlabel("time in the waveform [µs]", fontsize=8)
        for axis in below[:, 0]:
            axis.set_ylabel("ln(1 + VEM)", fontsize=8)
    parts[0].suptitle(event.title, fontsize=10.5)
    parts[-1].legend(
        handles=_handles(event, n > 0), loc="outside lower center", ncols=4, fontsize=8
    )
    return figure


@figure_in_style
def channel_maps(event: Looked, channels: np.ndarray, weights: np.ndarray) -> Figure:
    """The channels of the last layer of the tile that count most for the answer.

    channels : (N, N, C) activations; weights : (C,) of Grad-CAM
    """
    rms = np.sqrt((channels[event.exists] ** 2).mean(axis=0))
    order = np.argsort(-np.abs(weights) * rms, kind="stable")[:MOST_CHANNELS]
    columns = min(6, len(order))
    rows = -(-len(order) // columns)
    figure = Figure(figsize=(11.5, 0.4 + 2.1 * rows))
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis, k in zip(axes, order, strict=False):
        _frame(axis, event, f"channel {k}, weight {'+' if weights[k] > 0 else '−'}")
        _map(axis, event, channels[..., k], True)
        axis.set_xlabel("")
        axis.tick_params(labelbottom=False, labelleft=False, length=0)
    for axis in axes[len(order) :]:
        axis.set_axis_off()
    return figure

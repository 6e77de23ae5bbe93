"""The footprint and the waveforms of an event."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import Normalize
from matplotlib.lines import Line2D

from tashower.evaluation.event_content import Line, layer_names, times_of
from tashower.evaluation.event_scales import view_of
from tashower.evaluation.event_text import number, with_error
from tashower.evaluation.figures.event_marks import draw_within, fractions, handle, style
from tashower.evaluation.station_fits import DISTRUSTED, Shower, Stations, expected_at
from tashower.evaluation.station_marks import WITHOUT_FIT, Mark, mark_of, stations_without_hit
from tashower.events.model import Events, Pulses
from tashower.physics.geometry import axis_components

_LAYERS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
_MOST_WAVEFORMS = 8
_FLAGGED = "#E31A1C"
#: Signals of the legend of sizes [VEM].
_SIZES = (1.0, 10.0, 100.0, 1000.0)


def _size(signal: np.ndarray) -> np.ndarray:
    """Diameter of a mark [points] for signals [VEM]."""
    return 4.0 + 2.5 * np.log1p(np.maximum(signal, 0.0))


def _silent_stations(axis: Axes, events: Events, main: Stations, unit: float) -> list[Mark]:
    """Stations without a hit; returns the marks that were needed."""
    position = events.array.position / unit
    there = []
    for mark, stations in stations_without_hit(events, main):
        axis.plot(*position[stations, :2].T, zorder=2, **style(mark))
        inside = fractions(axis, *position[stations, :2].T)
        if ((inside > 0) & (inside < 1)).all(axis=1).any():
            there.append(mark)
    return there


def _core_of(axis: Axes, shower: Shower, line: Line, length: float, unit: float) -> None:
    """Core and direction: a line from where the shower comes, as long as `length` would appear from
    above, to the core.
    """
    p = shower.parameters
    n_x, n_y, _ = axis_components(p.zenith, p.azimuth)
    x, y = p.core_x / unit, p.core_y / unit
    place = fractions(axis, x, y)
    if (place < 0).any() or (place > 1).any():
        draw_within(axis, [x], [y], ls="none", marker="+", ms=12, mec=line.colour, mew=2)
        return
    axis.plot(
        [x + length * n_x, x], [y + length * n_y, y], color=line.colour, ls=line.dashes, zorder=5
    )
    axis.plot(x, y, ls="none", marker="+", color=line.colour, ms=12, mew=2, zorder=6)


def footprint(
    axis: Axes,
    events: Events,
    pulses: Pulses,
    main: Stations,
    showers: dict[str, Shower],
    lines: dict[str, Line],
) -> float:
    """Stations, times and signals of a single event seen from above, and the showers' cores and
    axes; main : whose stations are marked. Returns the unit of both axes [m].
    """
    signal, time = pulses.signal.mean(axis=1), times_of(events, pulses)
    used = main.state <= DISTRUSTED
    centre, half = view_of(events, used)
    unit, name = (1e3, "km") if half >= 1e3 else (1.0, "m")
    (x, y), half = centre / unit, half / unit
    axis.set(xlim=(x - half, x + half), ylim=(y - half, y + half), aspect="equal", anchor="N")
    axis.set(xlabel=f"east [{name}]", ylabel=f"north [{name}]")
    marks = _silent_stations(axis, events, main, unit)
    where = events.array.position[events.hit_station] / unit
    span = time[used] if used.any() else time
    first, last = span.min(), max(span.max(), span.min() + 1.0)
    of_time, time_name = (1e3, "µs") if last - first >= 1e3 else (1.0, "ns")
    colour = Normalize(0.0, (last - first) / of_time)
    points = PathCollection([], array=[], cmap="viridis", norm=colour)
    for k in np.argsort(-signal):
        mark = mark_of(main.state[k], bool(pulses.saturated[k]))
        look = style(mark)
        if mark.filled:
            shade = points.cmap(colour((time[k] - first) / of_time))
            look |= {"mfc": shade, "mec": "k", "mew": 0.6, "ms": _size(signal[k])}
        draw_within(axis, where[k : k + 1, 0], where[k : k + 1, 1], **look)
        marks += [mark] if mark not in marks else []
    beyond = "neither"
    if used.any() and (~used).any():
        beyond = ("neither", "min", "max", "both")[(time.min() < first) + 2 * (time.max() > last)]
    text = f"arrival after the first [{time_name}]"
    place = {"shrink": 0.75, "aspect": 30, "anchor": (0.0, 0.95), "panchor": "N"}
    axis.figure.colorbar(points, ax=axis, label=text, extend=beyond, **place)
    length = (0.75 * events.array.spacing / unit) + 0.25 * half
    for name, shower in showers.items():
        _core_of(axis, shower, lines[name], length, unit)
    _legend(axis, marks, signal, bool(showers), {} if np.isfinite(main.r).any() else WITHOUT_FIT)
    return unit


def ring(axis: Axes, places: np.ndarray) -> None:
    """A red ring around (n, 2) places of a footprint: flagged stations."""
    look = {"ls": "none", "marker": "o", "ms": 19, "mfc": "none", "mec": _FLAGGED, "mew": 1.8}
    draw_within(axis, places[:, 0], places[:, 1], **look)


def say_whose(axis: Axes, text: str) -> None:
    """Say in the legend of a footprint after which fit the stations are marked."""
    axis.get_legend().set_title(f"stations {text}", {"size": 8})


def _legend(axis: Axes, marks: list[Mark], signal: np.ndarray, cores: bool, other_text) -> None:
    """Marks and sizes, below the panel."""
    handles = [handle(mark, other_text.get(mark)) for mark in marks]
    if cores:
        handles.append(Line2D([], [], marker="+", ms=10, mew=2, color="k", label="core, axis"))
    largest = signal.max(initial=0.0)
    for size in (s for k, s in enumerate(_SIZES) if k < 2 or s < 3 * largest):
        look = {"ls": "none", "marker": "o", "mfc": "none", "mec": "k", "ms": _size(size)}
        handles.append(Line2D([], [], label=f"{size:,.0f} VEM", **look))
    axis.legend(
        handles=handles,
        fontsize=8,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.1),
        ncols=2,
        labelspacing=0.7,
    )


def _shown(order: np.ndarray) -> np.ndarray:
    """A few of the stations, spread over the order, the first and the last among them."""
    return order[np.linspace(0, len(order) - 1, min(_MOST_WAVEFORMS, len(order))).astype(int)]


def waveforms(
    axis: Axes, events: Events, pulses: Pulses, main: Stations, shower: Shower | None
) -> None:
    """Waveforms of a few stations of a single event: by distance from the axis of a shower and
    after its plane front; None: by time. Stations of the fit, all where there is none.
    """
    detector, array = events.array.detector, events.array
    used = main.state <= DISTRUSTED
    rows = np.flatnonzero(used) if used.any() else np.arange(events.n_hits)
    time = times_of(events, pulses)
    if shower is None:
        plane, r, order = np.full(len(time), time[rows].min()), None, np.argsort(time[rows])
    else:
        here = expected_at(shower, array.position[events.hit_station], array, "axis")
        plane, r, order = here.plane_time, main.r, np.argsort(main.r[rows])
    shown = _shown(rows[order])
    edges = np.arange(detector.n_bins) * detector.bin_width
    spans, unit = [], 1e3
    for k, h in enumerate(shown):
        vem = (events.waveform[h] - events.pedestal[h]) / events.counts_per_vem[h]
        height = max(float(np.nanmax(vem)), 1e-3)
        after = (events.hit_time[h] - plane[h] + edges) / unit
        for layer in range(detector.n_layers):
            look = {"color": _LAYERS[layer % len(_LAYERS)], "lw": 1.4 - 0.6 * (layer % 2)}
            axis.step(after, -k + 0.75 * vem[:, layer] / height, where="post", **look)
        if np.isfinite(pulses.arrival_time[h]):
            edge = (pulses.arrival_time[h] - plane[h]) / unit
            axis.plot([edge, edge], [-k - 0.12, -k + 0.2], color="k", lw=1.2)
        spans.append((after[0], after[-1]))
        words = [f"station {array.name_of(events.hit_station[h])}"]
        words += [] if r is None else [f"{number(r[h])} m"]
        words += [f"peak {with_error(height, digits=2)} VEM"]
        words += ["saturated"] if pulses.saturated[h] else []
        axis.text(
            0.99, -k + 0.74, ", ".join(words), fontsize=8, ha="right",
            transform=axis.get_yaxis_transform(),
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 1},
        )  # fmt: skip
    since = "the first station" if shower is None else "the plane front"
    axis.set(xlabel=f"time after {since} [µs]", yticks=[])
    n, all_of = len(shown), len(rows)
    some = f" ({n} of {all_of})" if n < all_of else ""
    axis.set(title=f"waveforms by {'time' if shower is None else 'distance'}{some}")
    axis.set(ylim=(-n + 0.55, 1.05), xlim=(min(s[0] for s in spans), max(s[1] for s in spans)))
    handles = [Line2D([], [], color="k", lw=1.2, label="leading edge")]
    if detector.n_layers > 1:
        for layer, name in enumerate(layer_names(detector.n_layers)):
            look = {"color": _LAYERS[layer % len(_LAYERS)], "lw": 1.4 - 0.6 * (layer % 2)}
            handles.append(Line2D([], [], label=name, **look))
    axis.legend(
        handles=handles, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.07), ncols=3
    )

"""Front and lateral distribution of an event, each over its residuals, on one axis of distances."""

from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.transforms import ScaledTranslation

from tashower.evaluation.event_content import Line
from tashower.evaluation.event_scales import (
    counted,
    density_bars,
    density_limits,
    pull_scale,
    pulls_of,
    reach,
    time_limits,
)
from tashower.evaluation.figures.event_marks import draw_within, style
from tashower.evaluation.refit import Made
from tashower.evaluation.station_fits import (
    DISTRUSTED,
    OUT_OF_FIT,
    USED,
    Shower,
    Stations,
    expected_at,
    ring_means,
)
from tashower.evaluation.station_marks import SILENT_IN_FIT, SILENT_REJECTED, mark_of
from tashower.events.array import Array


class Drawn(NamedTuple):
    """Everything that the curves need."""

    array: Array
    made: Made
    main: str  #: the method around whose axis the stations are drawn
    stations: dict[str, Stations]
    saturated: np.ndarray  #: (n,) bool
    lines: dict[str, Line]
    true: Shower | None


def legend_name(drawn: Drawn, name: str) -> str:
    """A method in the legend; with a star where it is drawn otherwise than it is."""
    text = drawn.lines[name].name
    if name == "true" and drawn.true is not None and not drawn.true.onset:
        return f"{text} (without onset) *"
    if name not in drawn.stations or not drawn.stations[name].note:
        return text
    onset = " (without onset)" if name == "complete" else ""
    return f"{text}{onset} *"


def draw_lines(front: Axes, lateral: Axes, drawn: Drawn, r: np.ndarray) -> float:
    """The methods as lines, means around the axis of the main one; returns ns per unit of time."""
    around, array = drawn.stations[drawn.main].shower, drawn.array
    showers = {name: stations.shower for name, stations in drawn.stations.items()}
    if drawn.true is not None:
        showers = {"true": drawn.true} | showers
    curves = {n: ring_means(s, around, r, array, drawn.made.distance) for n, s in showers.items()}
    unit = 1e3 if max(abs(curves[drawn.main][0]).max(), 1.0) > 3e3 else 1.0
    handles = []
    for name, (time, density) in curves.items():
        line = drawn.lines[name]
        # The true shower lies under the others.
        look = {"color": line.colour, "ls": line.dashes}
        look |= {"lw": 4.5, "alpha": 0.45} if name == "true" else {"lw": 1.7}
        front.plot(r, time / unit, zorder=2, **look)
        if np.isfinite(density).any():
            lateral.plot(r, density, zorder=2, **look)
        mark = {"marker": "none"} if name == "true" else {"marker": line.marker, "ms": 5}
        handles.append(Line2D([], [], label=legend_name(drawn, name), **look, **mark))
    columns = 1 + (len(handles) > 6)
    front.legend(handles=handles, fontsize=8, loc="upper left", ncols=columns).set_in_layout(False)
    return unit


def _points(axis: Axes, drawn: Drawn, y: np.ndarray, sigma: np.ndarray, bounds: bool) -> None:
    """Stations of the main method, once, with errors of those that it used; bounds : saturated
    ones are lower limits.
    """
    main = drawn.stations[drawn.main]
    counts = main.state <= DISTRUSTED if bounds else main.state == USED
    exact = counts & np.isfinite(y) & ~(bounds & drawn.saturated)
    axis.errorbar(
        main.r[exact], y[exact], sigma[exact], fmt="none", ecolor="k", elinewidth=0.9, zorder=3
    )
    for k in range(len(y)):
        mark = mark_of(main.state[k], drawn.saturated[k])
        draw_within(axis, main.r[k : k + 1], y[k : k + 1], **style(mark))


def front_panel(axis: Axes, drawn: Drawn, r: np.ndarray, unit: float) -> None:
    """Stations over the front, after the main method's plane; lines are there already."""
    main = drawn.stations[drawn.main]
    y, sigma = (main.delay + main.residual) / unit, main.sigma / unit
    own, _ = ring_means(main.shower, main.shower, r, drawn.array, drawn.made.distance)
    low, high = time_limits(main, own)
    axis.set_ylim(low / unit, high / unit)
    _points(axis, drawn, y, sigma, bounds=False)
    axis.set(ylabel=f"time after the plane [{'µs' if unit > 1 else 'ns'}]", title="shower front")


def _silent(axis: Axes, drawn: Drawn, far: float) -> None:
    """Silent stations that count, at the lower margin of the lateral distribution."""
    main, array = drawn.stations[drawn.main], drawn.array
    for stations, mark in ((main.silent, SILENT_IN_FIT), (main.silent_out, SILENT_REJECTED)):
        position = array.position[stations]
        r = expected_at(main.shower, position, array, drawn.made.distance).distance
        r = r[r < far]
        look = style(mark) | {"transform": axis.get_xaxis_transform(), "zorder": 4}
        axis.plot(r, np.full(len(r), 0.03), **look)


def lateral_panel(axis: Axes, drawn: Drawn, far: float) -> None:
    """Stations over the lateral distribution."""
    main = drawn.stations[drawn.main]
    used, y = main.state <= DISTRUSTED, main.density
    axis.set(yscale="log", ylim=density_limits(main), ylabel="signal density [VEM/m²]")
    sigma = density_bars(main, float(drawn.array.detector.area))
    _points(axis, drawn, np.maximum(y, 1e-9), sigma, bounds=True)
    _silent(axis, drawn, far)
    limit = used & drawn.saturated
    for r, density in zip(main.r[limit], y[limit], strict=True):
        arrow = {"arrowstyle": "->", "color": "k"}
        axis.annotate("", (r, 2.0 * density), (r, density), arrowprops=arrow).set_in_layout(False)
    with_lines = any(np.isfinite(s.expected).any() for s in drawn.stations.values())
    axis.set_title("lateral distribution" if with_lines else "signals")


def residual_panel(axis: Axes, drawn: Drawn, of_times: bool) -> None:
    """Residuals of every method in its own standard deviations; those of hits that it did not use
    are open, and of hits in no fit the main method's alone.
    """
    pulls = pulls_of(drawn.stations, drawn.saturated, of_times)
    scale = pull_scale(drawn.stations, pulls, drawn.main, of_times)
    axis.set_ylim(-scale, scale)
    axis.axhline(0, color="k", lw=0.8)
    axis.axhspan(-1, 1, color="#000000", alpha=0.06, lw=0)
    step = min(4.0, 24.0 / len(pulls))
    for k, (name, pull) in enumerate(pulls.items()):
        of_fit = counted(drawn.stations[name], of_times)
        _draw_pulls(axis, drawn, name, (pull, of_fit), step * (k - 0.5 * (len(pulls) - 1)))
    text = "(t \N{MINUS SIGN} front)/σ" if of_times else "(S \N{MINUS SIGN} LDF)/σ"
    axis.set(ylabel=text)


def _draw_pulls(axis: Axes, drawn: Drawn, name: str, pulls: tuple, beside: float) -> None:
    """Residuals of one method, `beside` points beside the distance so that all can be seen.

    pulls : (residuals in standard deviations, whether the method used them)
    """
    stations, line, (pull, of_fit) = drawn.stations[name], drawn.lines[name], pulls
    low, high = axis.get_ylim()
    used = of_fit & np.isfinite(pull)
    within = used & (pull > low) & (pull < high)
    moved = ScaledTranslation(beside / 72.0, 0.0, axis.figure.dpi_scale_trans)
    axis.errorbar(
        stations.r[within],
        pull[within],
        1.0,
        fmt=line.marker,
        color=line.colour,
        ms=4.5,
        elinewidth=0.7,
        transform=axis.transData + moved,
    )
    beyond = {"ls": "none", "marker": line.marker, "ms": 4.5, "mec": line.colour}
    draw_within(axis, stations.r[used & ~within], pull[used & ~within], mfc=line.colour, **beyond)
    rejected = ~of_fit & (stations.state <= OUT_OF_FIT)
    draw_within(axis, stations.r[rejected], pull[rejected], mfc="none", **beyond)
    if name == drawn.main:
        far = axis.get_xlim()[1]  # farther ones stand in the panel above
        for k in np.flatnonzero(~of_fit & ~rejected & (stations.r < far)):
            mark = mark_of(stations.state[k], drawn.saturated[k])
            draw_within(axis, stations.r[k : k + 1], pull[k : k + 1], **style(mark))


def curves(axes: list[Axes], drawn: Drawn) -> None:
    """All of it on four axes that share their x: front, its residuals, lateral distribution, its
    residuals; of two or three axes the last ones are left out, where no method states a size.
    """
    far, begin = reach(drawn.stations[drawn.main])
    r = np.linspace(begin, far, 200)
    axes[0].set_xlim(0.0, far)
    unit = draw_lines(axes[0], axes[2], drawn, r)
    front_panel(axes[0], drawn, r, unit)
    residual_panel(axes[1], drawn, of_times=True)
    lateral_panel(axes[2], drawn, far)
    if len(axes) > 3:
        residual_panel(axes[3], drawn, of_times=False)
    for axis in axes[:-1]:
        axis.tick_params(labelbottom=False)
    name = drawn.lines[drawn.main].name
    whose = "true axis" if drawn.main == "true" else f"axis of the {name}"
    axes[-1].set_xlabel(f"distance to the {whose} [m]")
    for axis in axes:
        axis.yaxis.label.set_fontsize(9.5)

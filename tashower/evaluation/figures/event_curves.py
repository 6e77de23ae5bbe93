"""Front and lateral distribution of an event, each over its residuals, on one axis of distances."""

from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.transforms import ScaledTranslation

from tashower.evaluation.figures.event_marks import (
    SILENT_IN_FIT,
    SILENT_REJECTED,
    draw_within,
    mark_of,
    style,
)
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
from tashower.events.array import Array

#: Residuals are shown to at least so many standard deviations. A used station that is farther off
#: than the second sets no scale, except where more than one in three are, as around a plane front
#: (choices).
_LEAST_SCALE, _FAR_OFF, _FEW = 3.5, 7.0, 1.0 / 3.0
_LINE_STYLES = ("-", "--", "-.", ":", (0, (7, 2)), (0, (3, 1, 1, 1, 1, 1)), (0, (1, 1)))


class Line(NamedTuple):
    """How a method is drawn."""

    name: str
    colour: str
    dashes: str | tuple
    marker: str


class Drawn(NamedTuple):
    """Everything that the curves need."""

    array: Array
    made: Made
    main: str  #: the method around whose axis the stations are drawn
    stations: dict[str, Stations]
    saturated: np.ndarray  #: (n,) bool
    lines: dict[str, Line]
    true: Shower | None


def line_styles(n: int) -> list:
    """Dashes of n lines; distinct for the first seven."""
    return [_LINE_STYLES[k % len(_LINE_STYLES)] for k in range(n)]


def _reach(drawn: Drawn) -> tuple[float, np.ndarray]:
    """(largest distance to show [m], distances of the curves) from the stations of the fit."""
    main = drawn.stations[drawn.main]
    used = main.r[main.state == USED]
    far = 1.08 * (used if len(used) else main.r).max()
    return far, np.linspace(max(11.0, 0.01 * far), far, 200)


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


def _counted(stations: Stations, of_times: bool) -> np.ndarray:
    """(n,) bool: hits whose times or signals a method used."""
    return stations.state == USED if of_times else stations.state <= DISTRUSTED


def _for_scale(stations: Stations, pull: np.ndarray, of_times: bool) -> np.ndarray:
    """(n,) bool: the stations that set the scale of an axis."""
    used = _counted(stations, of_times) & np.isfinite(pull)
    near = used & (np.abs(pull) < _FAR_OFF)
    return near if (used & ~near).sum() <= _FEW * used.sum() else used


def _limits(y: np.ndarray, sigma: np.ndarray, line: np.ndarray) -> tuple[float, float]:
    ends = np.concatenate([y - sigma, y + sigma, line])
    ends = ends[np.isfinite(ends)]
    low, high = min(ends.min(initial=0.0), 0.0), ends.max(initial=1.0)
    return low - 0.06 * (high - low), high + 0.08 * (high - low)


def front_panel(axis: Axes, drawn: Drawn, r: np.ndarray, unit: float) -> None:
    """Stations over the front, after the main method's plane; lines are there already."""
    main = drawn.stations[drawn.main]
    y, sigma = (main.delay + main.residual) / unit, main.sigma / unit
    used = _for_scale(main, main.residual / main.sigma, True)
    own, _ = ring_means(main.shower, main.shower, r, drawn.array, drawn.made.distance)
    axis.set_ylim(*_limits(y[used], sigma[used], own / unit))
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
    used = main.state <= DISTRUSTED  # their signals count in full
    y, sigma = main.density, main.density_sigma
    seen = y[used & (y > 0)] if (used & (y > 0)).any() else y[y > 0]
    low, high = (seen.min(), seen.max()) if len(seen) else (0.1, 10.0)
    axis.set(yscale="log", ylim=(0.3 * low, 3.0 * high), ylabel="signal density [VEM/m²]")
    if not np.isfinite(sigma).any():
        sigma = np.sqrt(2.0 * np.maximum(y, 0.0) / float(drawn.array.detector.area))
    sigma = np.minimum(sigma, 0.95 * np.maximum(y, 1e-9))  # an axis of logarithms has no 0
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
    pulls = {}
    for name, stations in drawn.stations.items():
        if of_times:
            pulls[name] = stations.residual / stations.sigma
        elif np.isfinite(stations.expected).any():
            with np.errstate(invalid="ignore"):
                pull = (stations.density - stations.expected) / stations.density_sigma
            # A lower limit says nothing where the model expects more.
            pulls[name] = np.where(drawn.saturated & (pull < 0), np.nan, pull)
    largest = {}
    for name, pull in pulls.items():
        used = pull[_for_scale(drawn.stations[name], pull, of_times)]
        largest[name] = np.abs(used).max(initial=0.0) + 1.0
    others = min(max(largest.values()), _FAR_OFF + 1.0)
    scale = 1.1 * max(_LEAST_SCALE, largest.get(drawn.main, 0.0), others)
    axis.set_ylim(-scale, scale)
    axis.axhline(0, color="k", lw=0.8)
    axis.axhspan(-1, 1, color="#000000", alpha=0.06, lw=0)
    step = min(4.0, 24.0 / len(pulls))
    for k, (name, pull) in enumerate(pulls.items()):
        counted = _counted(drawn.stations[name], of_times)
        _pulls_of(axis, drawn, name, (pull, counted), step * (k - 0.5 * (len(pulls) - 1)))
    text = "(t \N{MINUS SIGN} front)/σ" if of_times else "(S \N{MINUS SIGN} LDF)/σ"
    axis.set(ylabel=text)


def _pulls_of(axis: Axes, drawn: Drawn, name: str, pulls: tuple, beside: float) -> None:
    """Residuals of one method, `beside` points beside the distance so that all can be seen.

    pulls : (residuals in standard deviations, whether the method used them)
    """
    stations, line, (pull, counted) = drawn.stations[name], drawn.lines[name], pulls
    low, high = axis.get_ylim()
    used = counted & np.isfinite(pull)
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
    rejected = ~counted & (stations.state <= OUT_OF_FIT)
    draw_within(axis, stations.r[rejected], pull[rejected], mfc="none", **beyond)
    if name == drawn.main:
        far = axis.get_xlim()[1]  # farther ones stand in the panel above
        for k in np.flatnonzero(~counted & ~rejected & (stations.r < far)):
            mark = mark_of(stations.state[k], drawn.saturated[k])
            draw_within(axis, stations.r[k : k + 1], pull[k : k + 1], **style(mark))


def curves(axes: list[Axes], drawn: Drawn) -> None:
    """All of it on four axes that share their x: front, its residuals, lateral distribution, its
    residuals; of two or three axes the last ones are left out, where no method states a size.
    """
    far, r = _reach(drawn)
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

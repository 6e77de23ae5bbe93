"""Marks of stations in pictures of events; at the margin for what lies beyond an axis."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from tashower.evaluation.station_marks import IN_FIT, SATURATED, Mark

#: How far inside of the axes what lies beyond them is drawn (choice).
_INSIDE = 0.035


def style(mark: Mark, colour: str | None = None) -> dict:
    """What `Axes.plot` takes for a mark."""
    colour = colour or mark.colour
    return {
        "ls": "none",
        "marker": mark.marker,
        "ms": mark.size,
        "mec": colour,
        "mfc": colour if mark.filled else "none",
        "mew": mark.width,
    }


def handle(mark: Mark, text: str | None = None) -> Line2D:
    """An entry of a legend."""
    look = style(mark) | ({"mfc": "#999999"} if mark in (IN_FIT, SATURATED) else {})
    return Line2D([], [], label=text or mark.text, **look)


def fractions(axis: Axes, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(n, 2) points as parts of the axes, whose limits are set."""
    points = np.column_stack(np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float)))
    return (axis.transScale + axis.transLimits).transform(points)


def draw_within(axis: Axes, x: np.ndarray, y: np.ndarray, **look: object) -> None:
    """Draw points; those beyond the axes stand at the margin, with an arrow to where they are."""
    where = fractions(axis, x, y)
    where = where[np.isfinite(where).all(axis=1)]
    if not len(where):
        return
    inside = ((where >= 0.0) & (where <= 1.0)).all(axis=1)
    kept = np.clip(where, _INSIDE, 1.0 - _INSIDE)
    kept[inside] = where[inside]
    axis.plot(*kept.T, transform=axis.transAxes, **({"zorder": 4, "clip_on": False} | look))
    for point, place in zip(where[~inside], kept[~inside], strict=True):
        edge = np.where(point < 0.0, 0.0, np.where(point > 1.0, 1.0, place))
        arrow = {"arrowstyle": "-|>", "color": look.get("mec", "k"), "shrinkA": 3, "shrinkB": 0}
        units = {"xycoords": "axes fraction", "textcoords": "axes fraction"}
        axis.annotate("", edge, place, arrowprops=arrow, **units).set_in_layout(False)

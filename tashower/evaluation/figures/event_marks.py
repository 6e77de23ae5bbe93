"""Marks of stations in pictures of events, the same in all panels and distinct in grey; and marks
at the margin for what lies beyond an axis.
"""

from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from tashower.evaluation.station_fits import DISTRUSTED, NO_MEASUREMENT, OUT_OF_FIT, OUTSIDE, USED

#: How far inside of the axes what lies beyond them is drawn (choice).
_INSIDE = 0.035


class Mark(NamedTuple):
    """How a kind of station is drawn."""

    text: str
    marker: str
    size: float = 6.0
    filled: bool = False
    colour: str = "k"
    width: float = 1.0


IN_FIT = Mark("used by the fit", "o", 6.5, True)
SATURATED = Mark("saturated: its signal is a lower limit", "^", 7.5, True)
FAR_OFF = Mark("used, its time hardly: far off", "p", 8.0, False, "k", 1.6)
REJECTED = Mark("rejected by the fit", "D", 7.5, False, "#B2182B", 1.8)
NOT_IN_FIT = Mark("hit, not in the fit (apart, or small)", "o", 5.5, False, "#666666")
NOTHING_MEASURED = Mark("hit that is no measurement", "s", 7.0, False, "#666666")
SILENT_IN_FIT = Mark("silent, and counted so by the fit", "v", 4.5, False, "#555555", 0.8)
SILENT_REJECTED = Mark("silent, rejected by the fit", "*", 10.0, False, "#B2182B", 1.4)
SILENT = Mark("silent", ".", 3.0, True, "#AAAAAA", 0.5)
DEAD = Mark("out of service", "x", 5.5, False, "#666666", 1.2)

#: Texts where there is no fit.
WITHOUT_FIT = {
    IN_FIT: "hit, in the cluster of the most signal",
    NOT_IN_FIT: "hit, apart or small",
    SILENT_IN_FIT: "silent neighbour of a hit",
}


def mark_of(state: int, saturated: bool) -> Mark:
    """The mark of a hit."""
    if state == USED:
        return SATURATED if saturated else IN_FIT
    return {
        DISTRUSTED: FAR_OFF,
        OUT_OF_FIT: REJECTED,
        OUTSIDE: NOT_IN_FIT,
        NO_MEASUREMENT: NOTHING_MEASURED,
    }[state]


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

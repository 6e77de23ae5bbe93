"""Stations around the fit."""

import numpy as np
from matplotlib.figure import Figure

from tashower.evaluation.figures.style import figure_in_style


def _band(axis, r, values) -> None:
    """Points, and median and middle 68 % in bins of distance with ten points or more."""
    axis.plot(r, values, ".", ms=2, color="#9ecae1", rasterized=True)
    edges = np.linspace(0, np.max(r) if len(r) else 1.0, 16)
    which = np.digitize(r, edges) - 1
    rows = [
        (0.5 * (edges[k] + edges[k + 1]), *np.quantile(values[which == k], [0.159, 0.5, 0.841]))
        for k in range(15)
        if (which == k).sum() >= 10
    ]
    if rows:
        middle, low, median, high = np.array(rows).T
        axis.fill_between(middle, low, high, color="#0072B2", alpha=0.25, label="middle 68 %")
        axis.plot(middle, median, color="#0072B2", label="median")
        axis.legend(fontsize=9)
    axis.axhline(0, color="k", lw=0.8)
    axis.set_xlabel("distance to the fitted axis [m]")


@figure_in_style
def residuals(found: dict[str, np.ndarray]) -> Figure:
    """Times and signals around a fit against distance. Accidental hits lie far off.

    found : of `measured.station_residuals`
    """
    with_pull = "pull" in found
    figure = Figure(figsize=(18 if with_pull else 13, 4.8))
    left, right, *more = figure.subplots(1, 2 + with_pull)
    near = np.abs(found["time"]) < 3000.0
    if with_pull:
        _band(more[0], found["r"][near], np.clip(found["pull"][near], -6.0, 6.0))
        more[0].set_ylabel("pull of the time")
    _band(left, found["r"][near], found["time"][near])
    left.set_ylabel("time after the fitted front [ns]")
    kept = ~found["saturated"] & near
    _band(right, found["r"][kept], found["signal"][kept])
    right.set_ylabel("ln(density / fitted)")
    return figure

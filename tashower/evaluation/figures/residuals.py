"""Stations around the fit."""

import numpy as np
from matplotlib.figure import Figure

from tashower.evaluation.figures.style import figure_in_style

#: Bins of distance, and the least number of points in one that is shown (choices).
_BINS, _LEAST = 15, 10


def _band(axis, r, values) -> None:
    """Points, and median and middle 68 % in bins of distance with ten points or more, as steps
    that show the bins.
    """
    axis.plot(r, values, ".", ms=2, color="#888888", alpha=0.5, rasterized=True)
    edges = np.linspace(0, np.max(r) if len(r) else 1.0, _BINS + 1)
    which = np.digitize(r, edges) - 1
    low, median, high = np.full((3, _BINS), np.nan)
    for k in range(_BINS):
        if (which == k).sum() >= _LEAST:
            low[k], median[k], high[k] = np.quantile(values[which == k], [0.159, 0.5, 0.841])
    if np.isfinite(median).any():
        style = {"color": "#0072B2", "lw": 2}
        axis.stairs(high, edges, baseline=low, fill=True, color="#0072B2", alpha=0.25)
        for bound, text in ((low, "middle 68 %"), (high, None)):
            axis.stairs(bound, edges, baseline=None, color="#0072B2", ls="--", label=text)
        axis.stairs(median, edges, baseline=None, label="median", **style)
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
        more[0].set_ylabel("pull of the time [its error]")
    _band(left, found["r"][near], found["time"][near])
    left.set_ylabel("time after the fitted front [ns]")
    kept = ~found["saturated"] & near
    _band(right, found["r"][kept], found["signal"][kept])
    right.set_ylabel("ln(density / fitted density)")
    return figure

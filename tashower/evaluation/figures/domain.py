"""Data against simulation."""

import numpy as np
from matplotlib.figure import Figure

from tashower.evaluation.figures.style import figure_in_style
from tashower.evaluation.measured import two_sample_distance

_DATA, _SIMULATION = "#D55E00", "#555555"


def _feature(axis, name: str, data, simulation) -> None:
    distance = two_sample_distance(data, simulation)
    axis.set_title(f"{name}: distance {distance:.2f}", fontsize=10)
    data, simulation = (x[np.isfinite(x)] for x in (data, simulation))
    both = np.concatenate([data, simulation])
    if not len(both):
        return
    edges = np.linspace(*np.quantile(both, [0.005, 0.995]), 31) if np.ptp(both) > 0 else 10
    for values, colour, text in ((simulation, _SIMULATION, "simulation"), (data, _DATA, "data")):
        if len(values):
            unit = np.full(len(values), 1 / len(values))
            style = {"histtype": "step", "color": colour, "lw": 1.4, "label": text}
            axis.hist(values, edges, weights=unit, **style)


@figure_in_style
def domain(data: dict[str, np.ndarray], simulation: dict[str, np.ndarray]) -> Figure:
    """Every feature of the data against the simulation's, both with unit area."""
    rows = -(-len(data) // 4)
    figure = Figure(figsize=(16, 3 * rows))
    axes = figure.subplots(rows, 4, squeeze=False)
    for axis, name in zip(axes.flat, data, strict=False):
        _feature(axis, name, data[name], simulation[name])
    for axis in list(axes.flat)[len(data) :]:
        axis.axis("off")
    if axes.flat[0].get_legend_handles_labels()[0]:
        axes.flat[0].legend(fontsize=9)
    return figure

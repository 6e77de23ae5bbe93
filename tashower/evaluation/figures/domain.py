"""Data against simulation."""

import numpy as np
from matplotlib.figure import Figure

from tashower.evaluation.figures.style import figure_in_style
from tashower.evaluation.measured import name_with_unit
from tashower.evaluation.p_values import p_text, two_samples

_DATA, _SIMULATION = "#D55E00", "#888888"


def _feature(axis, name: str, data, simulation, independent) -> None:
    found = two_samples(data, simulation, independent)
    axis.set_title(f"distance {found.distance:.2f}, {p_text(found.p_value)}", fontsize=10)
    axis.set(xlabel=name_with_unit(name), ylabel="part in a bin")
    data, simulation = (x[np.isfinite(x)] for x in (data, simulation))
    both = np.concatenate([data, simulation])
    if not len(both):
        return
    edges = np.linspace(*np.quantile(both, [0.005, 0.995]), 31) if np.ptp(both) > 0 else 10
    fill = {"histtype": "stepfilled", "fc": "#DDDDDD", "ec": _SIMULATION, "hatch": "////"}
    step = {"histtype": "step", "color": _DATA, "lw": 1.8}
    for values, style, text in ((simulation, fill, "simulation"), (data, step, "data")):
        if len(values):
            unit = np.full(len(values), 1 / len(values))
            axis.hist(values, edges, weights=unit, label=f"{text} ({len(values):,})", **style)
    axis.legend(fontsize=8)


@figure_in_style
def domain(
    data: dict[str, np.ndarray],
    simulation: dict[str, np.ndarray],
    independent: tuple[int, int] | None = None,
) -> Figure:
    """Every feature of the data against the simulation's, both with unit area.

    independent : of `p_values.two_samples`
    """
    rows = -(-len(data) // 4)
    figure = Figure(figsize=(16, 3.3 * rows))
    axes = figure.subplots(rows, 4, squeeze=False)
    for axis, name in zip(axes.flat, data, strict=False):
        _feature(axis, name, data[name], simulation[name], independent)
    for axis in list(axes.flat)[len(data) :]:
        axis.axis("off")
    return figure

"""Bias and resolution of every method in bins of energy and zenith."""

import numpy as np
from matplotlib.figure import Figure

from tashower.evaluation.figures.style import figure_in_style
from tashower.evaluation.names import REFERENCE, colours, label, marker, short

#: 68 % angular resolution of the Telescope Array surface detector: log10(E/eV) from, to, [deg]
#: (ApJL 768 (2013) L1).
PUBLISHED_ANGLE = ((18.0, 18.5, 2.4), (18.5, 19.0, 2.1), (19.0, 20.0, 1.4))


def _points(axis, scores, by, quantity, relative_to=None) -> None:
    """A quantity of every method against the middles of the bins, with bootstrap errors, spread a
    little sideways.

    relative_to : a method; its value divides that of the others (the error stays that of the
        numerator)
    """
    key = "energy_edges_log10_ev" if by == "by_energy" else "zenith_edges_deg"
    edges = np.array(scores["configuration"]["scores"][key], dtype=float)
    middle, width = 0.5 * (edges[1:] + edges[:-1]), np.diff(edges)

    def column(name, part):
        # null in the file, NaN here: bins without events
        return np.array([e[quantity][part] for e in scores["methods"][name][by]], dtype=float)

    unit = 1.0 if relative_to is None else column(relative_to, "value")
    colour = colours(scores["methods"])
    n = len(scores["methods"])
    for k, name in enumerate(scores["methods"]):
        if name == relative_to:
            continue
        axis.errorbar(
            middle + width * 0.6 / n * (k - 0.5 * (n - 1)),
            column(name, "value") / unit,
            column(name, "error") / unit,
            fmt=marker(name),
            ms=5,
            color=colour[name],
            lw=1.2,
            capsize=2,
            label=label(name, scores["networks"]),
        )
    for edge in edges:
        axis.axvline(edge, color="#bbbbbb", lw=0.6, zorder=0)
    axis.grid(False, axis="x")


def _published(axis) -> None:
    """The published values, as far as the axis reaches."""
    low, high = axis.get_xlim()
    text = "TA published (2013)"
    for begin, end, value in PUBLISHED_ANGLE:
        if min(end, high) - max(begin, low) > 0.1:
            begin, end = max(begin, low), min(end, high)
            axis.hlines(value, begin, end, color="k", ls=":", label=text)
            text = None  # the first of them stands in the legend
    axis.set_xlim(low, high)


@figure_in_style
def angular_resolution(scores: dict) -> Figure:
    """68 % opening angle against energy, with the Telescope Array's published values, and its ratio
    to that of the reference fit.
    """
    figure = Figure(figsize=(7.5, 7))
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    _points(top, scores, "by_energy", "angle_68_deg")
    _published(top)
    top.set(ylabel="68 % opening angle [deg]")
    top.set_ylim(0, None)
    top.legend(fontsize=9)
    _points(bottom, scores, "by_energy", "angle_68_deg", relative_to=REFERENCE)
    bottom.axhline(1, color=colours([REFERENCE])[REFERENCE], lw=0.8)
    bottom.set(xlabel="log10(true energy / eV)", ylabel=f"ratio to the {short(REFERENCE)}")
    return figure


@figure_in_style
def energy_resolution(scores: dict) -> Figure:
    """68 % resolution and bias of the energy against energy."""
    figure = Figure(figsize=(7.5, 7))
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    _points(top, scores, "by_energy", "log_energy_68")
    _points(bottom, scores, "by_energy", "log_energy_bias")
    top.set(ylabel="half of the middle 68 % of ln(E / true E)")
    top.set_ylim(0, None)
    bottom.axhline(0, color="k", lw=0.8)
    bottom.set(xlabel="log10(true energy / eV)", ylabel="mean ln(E / true E)")
    top.legend(fontsize=9)
    return figure


@figure_in_style
def zenith_bias(scores: dict) -> Figure:
    """Bias of energy, zenith and core against zenith."""
    figure = Figure(figsize=(13, 4.2))
    axes = figure.subplots(1, 3)
    texts = {
        "log_energy_bias": "mean ln(E / true E)",
        "zenith_bias_deg": "mean zenith - true zenith [deg]",
        "core_bias_m": "mean shift of the core towards the source [m]",
    }
    for axis, (quantity, text) in zip(axes, texts.items(), strict=True):
        _points(axis, scores, "by_zenith", quantity)
        axis.axhline(0, color="k", lw=0.8)
        axis.set(xlabel="true zenith [deg]", ylabel=text)
    axes[0].legend(fontsize=8)
    return figure

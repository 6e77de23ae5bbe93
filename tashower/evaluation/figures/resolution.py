"""Bias and resolution of every method in bins of energy and zenith."""

import numpy as np
from matplotlib.figure import Figure

from tashower.evaluation.anchors import of_default_array
from tashower.evaluation.figures.bins import edges_of, mark_bins, places_in_bins
from tashower.evaluation.figures.style import figure_in_style
from tashower.evaluation.names import REFERENCE, label, short, styles

#: 68 % angular resolution of the Telescope Array surface detector: log10(E/eV) from, to, [deg]
#: (ApJL 768 (2013) L1).
PUBLISHED_ANGLE = ((18.0, 18.5, 2.4), (18.5, 19.0, 2.1), (19.0, 20.0, 1.4))


def _points(axis, scores, by, quantity, relative_to=None) -> None:
    """A quantity of every method in its bins, with bootstrap errors, spread a little sideways.

    relative_to : a method; its value divides that of the others (the error stays that of the
        numerator)
    """
    edges = edges_of(scores, by)

    def column(name, part):
        # null in the file, NaN here: bins without events
        return np.array([e[quantity][part] for e in scores["methods"][name][by]], dtype=float)

    unit = 1.0 if relative_to is None else column(relative_to, "value")
    look = styles(scores["methods"])
    n = len(scores["methods"])
    for k, name in enumerate(scores["methods"]):
        if name == relative_to:
            continue
        axis.errorbar(
            places_in_bins(edges, k, n),
            column(name, "value") / unit,
            column(name, "error") / unit,
            fmt=look[name].marker,
            ms=5,
            color=look[name].colour,
            lw=1.2,
            capsize=2,
            label=label(name, scores["networks"]),
        )
    mark_bins(axis, edges, by)


def _legend(figure: Figure, axis) -> None:
    """Below the figure, where it hides nothing."""
    handles = axis.get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=3, fontsize=9)


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
    """68 % opening angle against energy, of the Telescope Array with its published values, and its
    ratio to that of the reference fit.
    """
    figure = Figure(figsize=(8.5, 7.6))
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    _points(top, scores, "by_energy", "angle_68_deg")
    if of_default_array(scores):
        _published(top)
    top.set(ylabel="68 % opening angle [deg]", xlabel="")
    top.set_ylim(0, None)
    _legend(figure, top)
    _points(bottom, scores, "by_energy", "angle_68_deg", relative_to=REFERENCE)
    bottom.axhline(1, color=styles([REFERENCE])[REFERENCE].colour, lw=0.8)
    bottom.set_ylabel(f"ratio to the {short(REFERENCE)}")
    return figure


@figure_in_style
def energy_resolution(scores: dict) -> Figure:
    """68 % resolution and bias of the energy against energy."""
    figure = Figure(figsize=(8.5, 7.6))
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    _points(top, scores, "by_energy", "log_energy_68")
    _points(bottom, scores, "by_energy", "log_energy_bias")
    top.set(ylabel="half of the middle 68 % of ln(E / true E)", xlabel="")
    top.set_ylim(0, None)
    bottom.axhline(0, color="k", lw=0.8)
    bottom.set_ylabel("mean ln(E / true E)")
    _legend(figure, top)
    return figure


@figure_in_style
def zenith_bias(scores: dict) -> Figure:
    """Bias of energy, zenith and core against zenith."""
    figure = Figure(figsize=(14, 5))
    axes = figure.subplots(1, 3)
    texts = {
        "log_energy_bias": "mean ln(E / true E)",
        "zenith_bias_deg": "mean zenith $-$ true zenith [deg]",
        "core_bias_m": "mean shift of the core towards the source [m]",
    }
    for axis, (quantity, text) in zip(axes, texts.items(), strict=True):
        _points(axis, scores, "by_zenith", quantity)
        axis.axhline(0, color="k", lw=0.8)
        axis.set_ylabel(text)
    _legend(figure, axes[0])
    return figure

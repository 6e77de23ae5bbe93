"""What methods found in measured events, and where they differ."""

from collections.abc import Iterable

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from tashower.evaluation.figures.style import figure_in_style
from tashower.evaluation.names import REFERENCE, label, short, styles
from tashower.events.model import Reconstruction
from tashower.physics.geometry import direction, opening_angle


def _histogram(axis, values, edges, **style) -> None:
    """A histogram of what is finite; nothing where nothing is."""
    values = np.asarray(values, dtype=float)
    values = values[np.isfinite(values)]
    if len(values):
        axis.hist(values, edges, histtype="step", lw=1.4, **style)


def _columns(size: str):
    """(axis label, function of a table that gives the column, edges of the bins)."""
    return (
        ("zenith [deg]", lambda t: np.degrees(t.zenith), np.linspace(0, 75, 31)),
        ("azimuth [deg]", lambda t: np.degrees(t.azimuth), np.linspace(0, 360, 25)),
        (
            f"log$_{{10}}$({size} / (VEM/m$^2$))",
            lambda t: np.log10(t.s_ref),
            np.linspace(-1, 3.5, 46),
        ),
        ("log$_{10}$(E / eV)", lambda t: np.log10(t.energy) + 18, np.linspace(17, 21, 41)),
        (
            "stations in the fit",
            lambda t: np.where(t.valid, t.n_stations, np.nan),
            np.arange(2.5, 40.5),
        ),
        ("$\\chi^2$/ndof", lambda t: t.chi2 / np.maximum(t.ndof, 1), np.linspace(0, 8, 41)),
        ("curvature a [ns]", lambda t: t.curvature, np.linspace(0, 3, 31)),
    )


@figure_in_style
def distributions(methods: dict[str, Reconstruction], networks: Iterable[str], size: str) -> Figure:
    """Direction, size and quality of every method.

    networks : names of the methods that are networks; size : what the fitted size is called
    """
    figure = Figure(figsize=(16, 8))
    axes = figure.subplots(2, 4)
    look = styles(methods)
    with np.errstate(invalid="ignore", divide="ignore"):
        for axis, (text, column, edges) in zip(axes.flat, _columns(size), strict=False):
            for name, table in methods.items():
                _histogram(axis, column(table), edges, **look[name].line)
            if not axis.patches:
                style = {"ha": "center", "transform": axis.transAxes}
                axis.text(0.5, 0.5, "no method states it", **style)
            axis.set(xlabel=text, ylabel="events")
            axis.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    last = axes.flat[-1]
    for name, table in methods.items():
        style = {"ms": 4, "mfc": "none", "color": look[name].colour, "marker": look[name].marker}
        last.plot(table.core_x / 1e3, table.core_y / 1e3, ls="none", rasterized=True, **style)
    last.set(xlabel="core x, east [km]", ylabel="core y, north [km]", aspect="equal")
    handles = [
        Line2D([], [], label=label(name, networks), mfc="none", **look[name].points)
        for name in methods
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=9)
    return figure


@figure_in_style
def differences(methods: dict[str, Reconstruction], networks: Iterable[str]) -> Figure:
    """Angle and energy between the reference fit and every other method, event by event.

    networks : names of the methods that are networks
    """
    figure = Figure(figsize=(12, 5))
    left, right = figure.subplots(1, 2)
    reference, look = methods[REFERENCE], styles(methods)
    its_axis = direction(reference.zenith, reference.azimuth)
    for name, table in methods.items():
        if name == REFERENCE:
            continue
        with np.errstate(invalid="ignore", divide="ignore"):
            angle = np.degrees(opening_angle(direction(table.zenith, table.azimuth), its_axis))
            ratio = np.log(table.energy / reference.energy)
        style = look[name].line | {"label": label(name, networks)}
        _histogram(left, np.minimum(angle, 10.0), np.linspace(0, 10, 51), **style)
        _histogram(right, np.clip(ratio, -1, 1), np.linspace(-1, 1, 51), **style)
    other = short(REFERENCE)
    left.set(xlabel=f"angle to the {other} [deg] (last bin: and more)", ylabel="events")
    right.set(xlabel=f"ln(E / E of the {other})", ylabel="events")
    for axis in (left, right):
        axis.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    texts = left.get_legend_handles_labels()[1]
    handles = [
        Line2D([], [], label=label(name, networks), **look[name].line)
        for name in methods
        if label(name, networks) in texts
    ]
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=9)
    return figure

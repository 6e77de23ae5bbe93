"""What all figures share: their style, and how they are saved.

Figures are made without pyplot: no backend is chosen and no window opened, nothing stays open, and
no setting of the user's is changed. Whatever a matplotlibrc says, they look the same.
"""

import functools
from collections.abc import Callable
from pathlib import Path

import matplotlib.style
from matplotlib.figure import Figure

from tashower.errors import InputError
from tashower.io import provenance
from tashower.io.atomic import written_aside

_STYLE = {
    "font.size": 11,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "figure.constrained_layout.use": True,
    "figure.dpi": 130,
}


def _style():
    return matplotlib.style.context(["default", _STYLE])


def _with_first_ticks(figure: Figure) -> Figure:
    """The figure with one tick on every axis.

    Ticks are made when a figure is drawn, and take their text settings from those of that moment,
    or else from the ticks that are there: with one of ours a notebook draws the figure as it was
    meant, even where `text.usetex` is set.
    """
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            axis.get_major_ticks(1)
            axis.get_minor_ticks(1)
    return figure


def figure_in_style(function: Callable[..., Figure]) -> Callable[..., Figure]:
    """Decorator of a function that returns a figure: it is made in the style of this package."""

    @functools.wraps(function)
    def made(*args, **options) -> Figure:
        with _style():
            return _with_first_ticks(function(*args, **options))

    return made


def save(figure: Figure, path) -> None:
    """Write a figure as a picture that says what made it; an old one is replaced by a whole one.

    Raises
    ------
    InputError : the ending of the name is that of no picture.
    """
    path = Path(path)
    kinds = figure.canvas.get_supported_filetypes()
    kind = path.suffix.removeprefix(".").lower()
    if kind not in kinds:
        raise InputError(f"{path}: ends like no picture ({', '.join(sorted(kinds))})")
    with _style(), written_aside(path) as aside:
        figure.savefig(aside, format=kind, metadata=provenance.of_picture(path.suffix.lower()))

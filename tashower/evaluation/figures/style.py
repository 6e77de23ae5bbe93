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
from tashower.types import FilePath

_STYLE = {
    "font.size": 11,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "figure.constrained_layout.use": True,
    "figure.dpi": 130,
    "svg.hashsalt": "tashower",  # names within a file do not depend on chance
}
#: What stands beside every picture of a report: sharp at any size, and what LaTeX takes.
VECTOR = ".pdf"
#: Formats into which matplotlib writes the time of its own.
_DATED = {"pdf": "CreationDate", "svg": "Date"}


def _style():
    return matplotlib.style.context(["default", _STYLE])


def figure_in_style(function: Callable[..., Figure]) -> Callable[..., Figure]:
    """Decorator of a function that returns a figure: it is made in the style of this package.

    Texts and ticks keep it when a notebook draws the figure later (tests/evaluation/test_figures).
    """

    @functools.wraps(function)
    def made(*args, **options) -> Figure:
        with _style():
            return function(*args, **options)

    return made


def save(figure: Figure, path: FilePath, source: str = "") -> None:
    """Write a figure as a picture that says what made it; an old one is replaced by a whole one.

    source : what it was drawn from, which the picture states

    Raises
    ------
    InputError : the ending of the name is that of no picture.
    """
    path = Path(path)
    kinds = figure.canvas.get_supported_filetypes()
    kind = path.suffix.removeprefix(".").lower()
    if kind not in kinds:
        raise InputError(f"{path}: ends like no picture ({', '.join(sorted(kinds))})")
    metadata = provenance.of_picture(path.suffix.lower(), source)
    if kind in _DATED:  # the time stands in what made it
        metadata |= {_DATED[kind]: None}
    with _style(), written_aside(path) as aside:
        figure.savefig(aside, format=kind, metadata=metadata)


def save_both(figure: Figure, path: FilePath, source: str = "") -> None:
    """`save` a figure as a picture of points for pages and, beside it, of lines (`VECTOR`)."""
    save(figure, path, source)
    engine = figure.get_layout_engine()
    # The layout of the first is kept: to find it takes as long as to draw.
    figure.set_layout_engine("none")
    try:
        save(figure, Path(path).with_suffix(VECTOR), source)
    finally:
        figure.set_layout_engine(engine)

"""The table below a picture of an event, and the list of hits where there is nothing to draw."""

import textwrap
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes

from tashower.evaluation.event_text import Row, time_text
from tashower.evaluation.rounding import NOTHING, number
from tashower.events.model import Events, Pulses

#: Height of a line of text [inch].
LINE = 0.165
#: Widths of the names of rows, and of a letter [inch].
_NAMES, _LETTER = 1.3, 0.079
_MOST_HITS = 24


class Table(NamedTuple):
    """A table that fits a width."""

    head: list[str]
    rows: list[Row]
    begin: float  #: of the first column, as part of the width
    step: float  #: from column to column

    @property
    def heights(self) -> list[int]:
        """How many lines the head and each row need."""
        rows = [Row("", self.head), *self.rows]
        return [max(cell.count("\n") for cell in row.cells) + 1 for row in rows]

    @property
    def height(self) -> float:
        """Of all of it [inch]."""
        return LINE * (sum(self.heights) + 0.5 * len(self.heights))


def fitted(head: list[str], rows: list[Row], width: float) -> Table:
    """A table that is `width` wide [inch], with texts in as many lines as that takes."""
    begin = _NAMES / width
    step = (1.0 - begin) / len(head)
    letters = max(int((step * width - 0.1) / _LETTER), 8)

    def lines(text):
        text = text.replace("_", "_\u200b")  # names may be broken there
        parts = [textwrap.wrap(part.replace("\u200b", " "), letters) for part in text.split("\n")]
        return "\n".join(line.replace("_ ", "_") for part in parts for line in part)

    wrapped = [row._replace(cells=[lines(cell) for cell in row.cells]) for row in rows]
    return Table([lines(name) for name in head], wrapped, begin, step)


def draw_table(axis: Axes, table: Table) -> None:
    """A table over the whole of the axes: names at the left, a column for each method."""
    axis.axis("off")
    axis.set(xlim=(0.0, 1.0), ylim=(table.height / LINE, 0.0))
    places = [0.0, *(table.begin + j * table.step for j in range(len(table.head)))]
    y = 0.0
    for k, (row, height) in enumerate(
        zip([Row("", table.head), *table.rows], table.heights, strict=True)
    ):
        look = {"va": "top", "fontsize": 9, "fontweight": "bold" if k == 0 else "normal"}
        for x, text in zip(places, (row.name, *row.cells), strict=True):
            axis.text(x, y + 0.25, text, **look).set_in_layout(False)
        y += height + 0.5
        axis.axhline(y, color="k" if k == 0 else "#DDDDDD", lw=0.8, clip_on=False)


def draw_text(axis: Axes, lines: list[str]) -> None:
    """Lines of text and nothing else."""
    axis.axis("off")
    axis.text(0.0, 1.0, "\n".join(lines), va="top", fontsize=9, transform=axis.transAxes)


def draw_hits(axis: Axes, events: Events, pulses: Pulses) -> None:
    """The hits of a single event by time, the first of many."""
    axis.axis("off")
    time, signal = pulses.arrival_time, pulses.signal.mean(axis=1)
    time = np.where(np.isfinite(time), time, events.hit_time)
    order = np.argsort(time, kind="stable")
    words = [["station", "time", "signal [VEM]"]]
    for k in order[:_MOST_HITS]:
        text = number(signal[k], 1)
        if pulses.saturated[k]:
            text = f"> {text}"
        first = time_text(time[k] - time[order[0]]) if len(order) else NOTHING
        words.append([events.array.name_of(events.hit_station[k]), first, text])
    if len(order) > _MOST_HITS:
        words.append([f"and {len(order) - _MOST_HITS} more", "", ""])
    for y, row in enumerate(words):
        for x, text in zip((0.3, 0.6, 0.95), row, strict=True):
            axis.text(
                x,
                1.0 - (y + 1) / (_MOST_HITS + 4),
                text,
                ha="right",
                fontsize=9,
                fontweight="bold" if y == 0 else "normal",
                transform=axis.transAxes,
            )
    axis.set_title("hits by time")

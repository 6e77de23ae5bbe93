"""The table below a picture of an event, and the list of hits where there is nothing to draw."""

import numpy as np
from matplotlib.axes import Axes

from tashower.evaluation.event_text import NOTHING, Row, number, time_text
from tashower.events.model import Events, Pulses

#: Height of a line of text [inch].
LINE = 0.165
_MOST_HITS = 24


def height_of(rows: list[Row]) -> float:
    """Height of a table with these rows and a head [inch]."""
    return LINE * (sum(lines_of(rows)) + 1 + 0.5 * (len(rows) + 1))


def lines_of(rows: list[Row]) -> list[int]:
    """How many lines each row of a table needs."""
    return [max(cell.count("\n") for cell in [row.name, *row.cells]) + 1 for row in rows]


def draw_table(axis: Axes, head: list[str], rows: list[Row]) -> None:
    """A table over the whole of the axes: names at the left, a column for each method."""
    axis.axis("off")
    axis.set(xlim=(0.0, 1.0))
    heights = lines_of([Row("", head), *rows])
    total, y = sum(heights) + 0.5 * len(heights), 0.0
    axis.set_ylim(total, 0.0)
    width = 1.0 / (len(head) + 0.6)
    for k, (row, height) in enumerate(zip([Row("", head), *rows], heights, strict=True)):
        look = {"va": "top", "fontsize": 9, "fontweight": "bold" if k == 0 else "normal"}
        for x, text in zip(
            (0.0, *((j + 0.6) * width for j in range(len(head)))),
            (row.name, *row.cells),
            strict=True,
        ):
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

"""What is drawn of an event, whatever draws it: which methods, around which of them, how each
looks, and what is said below.
"""

from collections import Counter
from typing import NamedTuple

import numpy as np

from tashower.evaluation.names import BASELINES, PALETTE, colours, marker, short
from tashower.evaluation.refit import Made
from tashower.evaluation.station_fits import (
    Shower,
    Stations,
    no_fit,
    stations_of,
    stations_of_truth,
    true_shower,
)
from tashower.events.model import Events, Pulses, Reconstruction

_TRUE = "#009E73"
_MARKERS = ("o", "P", "X", "<", ">", "h", "p", "d")
_LINE_STYLES = ("-", "--", "-.", ":", (0, (7, 2)), (0, (3, 1, 1, 1, 1, 1)), (0, (1, 1)))

_HOW_DRAWN = (
    "Times and signals are drawn less what the fit expects of a station beside its front and its "
    "lateral distribution (few particles, early and late stations); bars and residuals: with the "
    "errors that each method gives them. Open marks among the residuals: not, or hardly, used by "
    "that method. "
    "At the margin with an arrow: beyond it."
)


class Line(NamedTuple):
    """How a method is drawn."""

    name: str
    colour: str
    dashes: str | tuple
    marker: str


class EventContent(NamedTuple):
    """What is drawn of an event."""

    stations: dict[str, Stations]  #: of all methods that are drawn
    main: str  #: whose stations are marked; "" where nothing is known
    marked: Stations  #: those
    showers: dict[str, Shower]  #: whose cores are drawn, the true one first
    lines: dict[str, Line]


def line_styles(n: int) -> list:
    """Dashes of n lines; distinct for the first seven."""
    return [_LINE_STYLES[k % len(_LINE_STYLES)] for k in range(n)]


def lines_of(names: list[str]) -> dict[str, Line]:
    """How each of the methods is drawn: colour, dashes and marker, each distinct in grey."""
    colour = colours(names, [c for c in PALETTE if c != _TRUE])
    times, others = Counter(map(short, names)), iter(_MARKERS * len(names))
    lines = {"true": Line("true", _TRUE, "-", "o")}
    for name, dashes in zip(names, line_styles(len(names)), strict=True):
        text = short(name) if times[short(name)] == 1 else name
        mark = marker(name) if marker(name) != "o" else next(others)
        lines[name] = Line(text, colour[name], dashes, mark)
    return lines


def found_of(methods: dict[str, Reconstruction]) -> dict[str, Reconstruction]:
    """The methods that found a shower: one that states no size, like a plane front, only where no
    other found any.
    """
    found = {
        name: table
        for name, table in methods.items()
        if np.isfinite([table.zenith[0], table.core_x[0], table.t0[0]]).all()
    }
    return {name: t for name, t in found.items() if np.isfinite(t.s_ref[0])} or found


def main_of(stations: dict[str, Stations]) -> str:
    """The method whose stations are marked: a fit whose own stations and errors are known, the
    strongest of them.
    """

    def rank(name):
        return (stations[name].known, BASELINES.index(name) if name in BASELINES else -1)

    return max(stations, key=rank)


def missing_of(methods: dict[str, Reconstruction], made: Made) -> str:
    """Which methods have no result, and why there is none at all."""
    lost = [short(name) for name, table in methods.items() if not np.isfinite(table.zenith[0])]
    if not methods:
        return f"No fit: {made.why}" if made.why else "No fit."
    return f"No result: {', '.join(lost)}." if lost else ""


def notes_of(methods: dict[str, Reconstruction], view: EventContent, made: Made) -> list[str]:
    """What stands below: what is missing, how it is drawn, and how otherwise."""
    notes = [made.odd, missing_of(methods, made)]
    if view.stations:
        notes.append(_HOW_DRAWN)
    different = {view.lines[n].name: s.note for n, s in view.stations.items() if s.note}
    if "true" in view.showers and not view.showers["true"].onset:
        different["true"] = "front by the formula without onset"
    by_note = {}
    for name, note in different.items():
        by_note.setdefault(note, []).append(name)
    notes += [f"* {', '.join(names)}: {note}." for note, names in by_note.items()]
    return [note for note in notes if note]


def content_of(
    events: Events,
    methods: dict[str, Reconstruction],
    pulses: Pulses,
    made: Made,
    lines: dict[str, Line] | None = None,
) -> EventContent:
    """What is drawn of a single event, of the methods {name: table}.

    lines : how they look; None: as suits those that found a shower
    """
    found = found_of(methods)
    stations, true = stations_of(found, events, pulses, made), true_shower(events, made)
    if not stations and true is not None:
        stations = {"true": stations_of_truth(events, pulses, made)}
    main = main_of(stations) if stations else ""
    marked = stations[main] if stations else no_fit(events, pulses)
    showers = {"true": true} if true is not None else {}
    showers |= {name: s.shower for name, s in stations.items()}
    return EventContent(
        stations, main, marked, showers, lines_of(list(found)) if lines is None else lines
    )


def times_of(events: Events, pulses: Pulses) -> np.ndarray:
    """(n_hits,) [ns] arrival, or where there is none, the begin of the waveform."""
    known = np.isfinite(pulses.arrival_time)
    return np.where(known, pulses.arrival_time, events.hit_time)


def layer_names(n_layers: int) -> tuple[str, ...]:
    """What the layers of a station are called."""
    if n_layers == 2:
        return ("upper layer", "lower layer")
    return tuple(f"layer {i + 1}" for i in range(n_layers))

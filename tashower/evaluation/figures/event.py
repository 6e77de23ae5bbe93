"""One event as a picture: footprint, waveforms, shower front, lateral distribution, parameters."""

import textwrap
from collections import Counter
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from tashower.evaluation.event_text import method_cells, row_names, rows_of, true_cells
from tashower.evaluation.figures.event_curves import Drawn, Line, curves, line_styles
from tashower.evaluation.figures.event_panels import footprint, say_whose, waveforms
from tashower.evaluation.figures.event_table import LINE, draw_hits, draw_table, draw_text, fitted
from tashower.evaluation.figures.style import figure_in_style
from tashower.evaluation.names import BASELINES, PALETTE, colours, marker, short
from tashower.evaluation.refit import Made
from tashower.evaluation.sample import single_event
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
# Width of a column, height of the panels, of a footprint with a list [inch].
_WIDTH, _PANEL_HEIGHT, _FOOTPRINT_HEIGHT = 5.6, 8.6, 6.4

_HOW_DRAWN = (
    "Times and signals are drawn less what the fit expects of a station beside its front and its "
    "lateral distribution (few particles, early and late stations); bars and residuals: with the "
    "errors that each method gives them. Open marks among the residuals: not, or hardly, used by "
    "that method. "
    "At the margin with an arrow: beyond it."
)


def _found(methods: dict[str, Reconstruction]) -> dict[str, Reconstruction]:
    """The methods that found a shower: one that states no size, like a plane front, only where no
    other found any.
    """
    found = {
        name: table
        for name, table in methods.items()
        if np.isfinite([table.zenith[0], table.core_x[0], table.t0[0]]).all()
    }
    return {name: t for name, t in found.items() if np.isfinite(t.s_ref[0])} or found


def _lines(names: list[str]) -> dict[str, Line]:
    """How each of the methods is drawn: colour, dashes and marker, each distinct in grey."""
    colour = colours(names, [c for c in PALETTE if c != _TRUE])
    times, others = Counter(map(short, names)), iter(_MARKERS * len(names))
    lines = {"true": Line("true", _TRUE, "-", "o")}
    for name, dashes in zip(names, line_styles(len(names)), strict=True):
        text = short(name) if times[short(name)] == 1 else name
        mark = marker(name) if marker(name) != "o" else next(others)
        lines[name] = Line(text, colour[name], dashes, mark)
    return lines


class _View(NamedTuple):
    """What is drawn of an event."""

    stations: dict[str, Stations]  #: of all methods that are drawn
    main: str  #: whose stations are marked; "" where nothing is known
    marked: Stations  #: those
    showers: dict[str, Shower]  #: whose cores are drawn, the true one first
    lines: dict[str, Line]


def _main(stations: dict[str, Stations]) -> str:
    """The method whose stations are marked: a fit whose own stations and errors are known, the
    strongest of them.
    """

    def rank(name):
        return (stations[name].known, BASELINES.index(name) if name in BASELINES else -1)

    return max(stations, key=rank)


def _title(events: Events, made: Made) -> str:
    title = f"event id {int(events.event_id[0])}"
    title += f" ({made.place})" if made.place else ""
    n = events.n_hits
    return f"{title}: {n} station{'' if n == 1 else 's'} with a hit"


def _missing(methods: dict[str, Reconstruction], made: Made) -> str:
    """Which methods have no result, and why there is none at all."""
    lost = [short(name) for name, table in methods.items() if not np.isfinite(table.zenith[0])]
    if not methods:
        return f"No fit: {made.why}" if made.why else "No fit."
    return f"No result: {', '.join(lost)}." if lost else ""


def _notes(methods: dict[str, Reconstruction], view: _View, made: Made) -> list[str]:
    """What stands below: what is missing, how it is drawn, and how otherwise."""
    notes = [_missing(methods, made)]
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


@figure_in_style
def event_figure(
    events: Events,
    index: int,
    methods: dict[str, Reconstruction],
    pulses: Pulses,
    made: Made | None = None,
) -> Figure:
    """Event number `index` with its true shower and the given reconstructions {method: table}.

    Stations are drawn once, around the strongest fit (with a fit's calibration in `made`, as that
    fit itself used them); methods are lines, with residuals in their own standard deviations.
    Without any result and without truth footprint and waveforms appear, or a list of the hits.

    made : with what the methods were made; None: nothing is known
    """
    events, methods, pulses, _ = single_event(events, index, methods, pulses)
    made = made or Made()
    found = _found(methods)
    stations, true = stations_of(found, events, pulses, made), true_shower(events, made)
    lines = _lines(list(found))
    if not stations and true is not None:
        stations = {"true": stations_of_truth(events, pulses, made)}
    main = _main(stations) if stations else ""
    marked = stations[main] if stations else no_fit(events, pulses)
    showers = {"true": true} if true is not None else {}
    showers |= {name: s.shower for name, s in stations.items()}
    return _draw(events, pulses, methods, made, _View(stations, main, marked, showers, lines))


def _table(events: Events, found: dict[str, Reconstruction], view: _View, made: Made):
    """(column heads, rows) of the table."""
    size = events.array.size_name
    columns = {"true": true_cells(events)} if events.truth is not None else {}
    columns |= {name: method_cells(name, table, size, made) for name, table in found.items()}
    rows = rows_of(row_names(size), list(columns.values())) if columns else []
    return [view.lines[name].name for name in columns], rows


def _draw(events: Events, pulses: Pulses, methods: dict, made: Made, view: _View) -> Figure:
    found = {name: table for name, table in methods.items() if name in view.stations}
    with_waveforms = events.waveform is not None and events.n_hits > 0
    columns = 1 + bool(view.stations) + (with_waveforms or not view.stations)
    notes = _notes(methods, view, made)
    missing = [line for note in notes for line in textwrap.wrap(note, 75 * columns)]
    heights = [_PANEL_HEIGHT if view.stations or with_waveforms else _FOOTPRINT_HEIGHT]
    table = fitted(*_table(events, found, view, made), _WIDTH * columns) if view.showers else None
    heights += [table.height] if table else []
    heights += [LINE * (len(missing) + 0.5)] if missing else []
    figure = Figure(figsize=(_WIDTH * columns, sum(heights)), dpi=100)
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.06)
    parts = figure.add_gridspec(len(heights), 1, height_ratios=heights)
    widths = (1.25, 1.0, 1.0)[:columns]
    grid = parts[0].subgridspec(1, columns, width_ratios=widths)
    where = (events, pulses, view.marked, view.showers, view.lines)
    ground = figure.add_subplot(grid[0])
    footprint(ground, *where)
    if view.main in found:
        name, known = view.lines[view.main].name, view.marked.known
        say_whose(ground, f"as the {name} used them" if known else "before any fit rejects some")
    if view.stations:
        _draw_curves(figure, grid[1], events, pulses, made, view)
    if with_waveforms:
        shower = view.showers[view.main] if view.main else None
        waveforms(figure.add_subplot(grid[columns - 1]), events, pulses, view.marked, shower)
    elif not view.stations:
        draw_hits(figure.add_subplot(grid[1]), events, pulses)
    if table:
        draw_table(figure.add_subplot(parts[1]), table)
    if missing:
        draw_text(figure.add_subplot(parts[len(heights) - 1]), missing)
    figure.suptitle(_title(events, made))
    return figure


def _draw_curves(figure: Figure, place, events: Events, pulses: Pulses, made: Made, view: _View):
    sized = any(np.isfinite(s.expected).any() for s in view.stations.values())
    heights = (3.0, 1.5, 3.0, 1.5)[: 4 if sized else 3]
    inner = place.subgridspec(len(heights), 1, height_ratios=heights)
    axes = [figure.add_subplot(inner[0])]
    axes += [figure.add_subplot(inner[k], sharex=axes[0]) for k in range(1, len(heights))]
    true = view.showers.get("true")
    about = (events.array, made, view.main, view.stations, pulses.saturated, view.lines, true)
    curves(axes, Drawn(*about))

"""One event as a picture: footprint, waveforms, shower front, lateral distribution, parameters."""

import textwrap

import numpy as np
from matplotlib.figure import Figure

from tashower.evaluation.event_content import EventContent, content_of, notes_of
from tashower.evaluation.event_text import method_cells, row_names, rows_of, true_cells
from tashower.evaluation.figures.event_curves import Drawn, curves
from tashower.evaluation.figures.event_panels import footprint, ring, say_whose, waveforms
from tashower.evaluation.figures.event_table import LINE, draw_hits, draw_table, draw_text, fitted
from tashower.evaluation.figures.style import figure_in_style
from tashower.evaluation.refit import Made
from tashower.evaluation.sample import single_event
from tashower.events.model import Events, Pulses, Reconstruction

# Width of a column, height of the panels, of a footprint with a list [inch].
_WIDTH, _PANEL_HEIGHT, _FOOTPRINT_HEIGHT = 5.6, 8.6, 6.4


def _title(events: Events, made: Made) -> str:
    title = f"event id {int(events.event_id[0])}"
    title += f" ({made.place})" if made.place else ""
    n = events.n_hits
    return f"{title}: {n} station{'' if n == 1 else 's'} with a hit"


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
    content = content_of(events, methods, pulses, made)
    return _draw(events, pulses, methods, made, content)


def _table(events: Events, found: dict[str, Reconstruction], view: EventContent, made: Made):
    """(column heads, rows) of the table."""
    size = events.array.size_name
    columns = {"true": true_cells(events)} if events.truth is not None else {}
    columns |= {name: method_cells(name, table, size, made) for name, table in found.items()}
    rows = rows_of(row_names(size), list(columns.values())) if columns else []
    return [view.lines[name].name for name in columns], rows


def _draw(events: Events, pulses: Pulses, methods: dict, made: Made, view: EventContent) -> Figure:
    found = {name: table for name, table in methods.items() if name in view.stations}
    with_waveforms = events.waveform is not None and events.n_hits > 0
    columns = 1 + bool(view.stations) + (with_waveforms or not view.stations)
    notes = notes_of(methods, view, made)
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
    unit = footprint(ground, *where)
    ring(ground, events.array.position[list(made.odd_stations), :2] / unit)
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


def _draw_curves(
    figure: Figure, place, events: Events, pulses: Pulses, made: Made, view: EventContent
):
    sized = any(np.isfinite(s.expected).any() for s in view.stations.values())
    heights = (3.0, 1.5, 3.0, 1.5)[: 4 if sized else 3]
    inner = place.subgridspec(len(heights), 1, height_ratios=heights)
    axes = [figure.add_subplot(inner[0])]
    axes += [figure.add_subplot(inner[k], sharex=axes[0]) for k in range(1, len(heights))]
    true = view.showers.get("true")
    about = (events.array, made, view.main, view.stations, pulses.saturated, view.lines, true)
    curves(axes, Drawn(*about))

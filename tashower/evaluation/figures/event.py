"""One event as a picture: footprint, waveforms, shower front, lateral distribution, parameters."""

from collections import Counter

import numpy as np
from matplotlib.figure import Figure

from tashower.evaluation.figures.event_panels import (
    Hits,
    Shower,
    curves,
    expected_of,
    footprint,
    parameter_table,
    waveforms,
)
from tashower.evaluation.figures.style import figure_in_style
from tashower.evaluation.names import BASELINES, PALETTE, colours, short
from tashower.events.model import Events, Pulses, Reconstruction
from tashower.physics.description import Expected

_TRUE = "#009E73"
_FARTHEST = 1000.0  # from the front [ns] that a hit may lie to be drawn with it: a choice
_VALUES = ("core_x", "core_y", "zenith", "azimuth", "s_ref", "t0", "curvature", "energy")


def _values(table, index: int, names=_VALUES) -> dict[str, float]:
    return {name: float(getattr(table, name)[index]) for name in names}


def _showers(events: Events, index: int, methods: dict[str, Reconstruction]) -> list[Shower]:
    """The true shower, and those that methods found: one that states no size, like a plane front,
    only where no other found any.
    """
    found = {name: _values(table, index) for name, table in methods.items()}
    found = {
        name: values
        for name, values in found.items()
        if np.isfinite([values["zenith"], values["core_x"]]).all()
    }
    whole = {name: values for name, values in found.items() if np.isfinite(values["s_ref"])}
    found = whole or found
    colour = colours(found, [c for c in PALETTE if c != _TRUE])
    times = Counter(map(short, found))
    showers = []
    if events.truth is not None:
        true = _values(events.truth, index, (*_VALUES, "slope"))
        showers.append(Shower("true", true, _TRUE, dashed=False))
    for name, values in found.items():
        if np.isnan(values["curvature"]):
            values["curvature"] = 0.0
        text = short(name) if times[short(name)] == 1 else name
        showers.append(Shower(text, values, colour[name], dashed=name not in BASELINES))
    return showers


def _near(expected: Expected, time) -> np.ndarray:
    """(n,) bool: hits that belong to the front of a shower; time [ns]."""
    limit = np.minimum(_FARTHEST + 2.0 * expected.delay, 6.0 * _FARTHEST)
    return np.abs(time - expected.plane_time) < limit


@figure_in_style
def event_figure(
    events: Events, index: int, methods: dict[str, Reconstruction], pulses: Pulses
) -> Figure:
    """Event number `index` with its true shower and the given reconstructions {method: table}.

    A network states no t0 of its own: its front is drawn with that of the fit it corrects. Without
    any valid reconstruction and without truth only footprint and waveforms appear.
    """
    rows = np.arange(*events.hit_offset[index : index + 2])
    hits, array = events.hit_station[rows], events.array
    signal, time = pulses.signal[rows].mean(axis=1), pulses.arrival_time[rows]
    time = np.where(np.isfinite(time), time, events.hit_time[rows])
    showers = _showers(events, index, methods)
    reference = showers[0].values if showers else None
    position = array.position[hits]
    r, plane = np.zeros((2, len(hits)))
    # Accidental hits stay in the footprint; in the other panels they would squeeze everything else.
    measured = np.ones(len(hits), bool) if events.rejected is None else ~events.rejected[rows]
    near = measured
    if reference:
        expected = expected_of(reference, position, array)
        r, plane = expected.distance, expected.plane_time - reference["t0"]
        near = measured & _near(expected, time)
    # Without waveforms their column is left out.
    columns = 2 if events.waveform is None else 3
    figure = Figure(figsize=(5.4 * columns, 9.5), dpi=100)
    grid = figure.add_gridspec(
        4, columns, height_ratios=(3, 1, 3, 1.6), width_ratios=(1.25, 1.0, 1.0)[:columns]
    )
    footprint(
        figure.add_subplot(grid[0:3, 0]),
        events,
        index,
        hits[measured],
        time[measured],
        signal[measured],
        showers,
        hits[~measured],
    )
    if events.waveform is not None and len(rows):
        order = np.flatnonzero(near)[np.argsort(r[near])]
        waveforms(figure.add_subplot(grid[0:4, 2]), events, order, rows, r, plane, reference)
    if reference and near.any():
        density, saturated = signal / array.detector.area, pulses.saturated[rows]
        near_hits = Hits(*(x[near] for x in (position, time, density, saturated)))
        axes = [figure.add_subplot(grid[k, 1]) for k in range(4)]
        curves(axes, r[near], near_hits, showers, array)
    parameter_table(figure.add_subplot(grid[3, 0]), showers, array.size_name)
    title = f"event {int(events.event_id[index])}, {len(rows)} stations with a hit"
    if not measured.all():
        title += f", {(~measured).sum()} of them no measurement"
    if (far := int((measured & ~near).sum())) > 0:
        title += f"; {far} of them far from the front, not drawn on the right"
    figure.suptitle(title)
    return figure

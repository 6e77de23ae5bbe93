"""Events as data of a page that is looked at in a browser: everything that is drawn of them, in
plain lists; what is not known is None.
"""

import base64
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tashower.evaluation.event_content import (
    EventContent,
    Line,
    content_of,
    found_of,
    layer_names,
    lines_of,
    notes_of,
    times_of,
)
from tashower.evaluation.event_scales import (
    counted,
    density_bars,
    density_limits,
    pull_scale,
    pulls_of,
    reach,
    time_limits,
    view_of,
)
from tashower.evaluation.event_text import (
    cuts_text,
    energy_texts,
    method_cells,
    row_names,
    rows_of,
    true_cells,
)
from tashower.evaluation.names import BASELINES, short
from tashower.evaluation.refit import Made
from tashower.evaluation.sample import single_event
from tashower.evaluation.show_event import place_of
from tashower.evaluation.station_fits import DISTRUSTED, Shower, expected_at, ring_means
from tashower.evaluation.station_marks import (
    MARKS,
    SILENT,
    SILENT_IN_FIT,
    SILENT_REJECTED,
    WITHOUT_FIT,
    mark_of,
    stations_without_hit,
)
from tashower.events.model import Events, Pulses, Reconstruction, Truth
from tashower.physics.geometry import axis_components
from tashower.progress import progress
from tashower.types import FilePath

#: Points of a curve (choice: one in a few pixels), digits of numbers that are drawn.
_POINTS, _DIGITS = 80, 5


class Fitted(NamedTuple):
    """Events with what was made of them, rows and hits in the same order."""

    events: Events
    tables: dict[str, Reconstruction]
    pulses: Pulses
    made: Made


def rounded(values: np.ndarray, digits: int = _DIGITS) -> list | float | None:
    """Numbers to so many significant digits, as lists; None for what is not finite."""
    values = np.asarray(values, float)
    if values.ndim:
        return [rounded(value, digits) for value in values]
    if not np.isfinite(values):
        return None
    value = float(f"{values:.{digits}g}")
    return int(value) if value == int(value) else value


def _times(values: np.ndarray) -> list:
    """Times [ns] to 0.1 ns."""
    return [round(float(v), 1) + 0.0 if np.isfinite(v) else None for v in values]


def packed(waveform: np.ndarray) -> str:
    """Waveforms (hits, bins, layers) as text, bit for bit; `unpack` of view.js is its inverse.

    Counts: differences from bin to bin modulo 2^16, small ones of either sign as small numbers
    (2d, or -2d - 1); float32 as they are. Then all first bytes, all second bytes, and so on,
    deflated (RFC 1950), in base 64. Order: hit, layer, bin.
    """
    values = np.ascontiguousarray(np.moveaxis(waveform, 2, 1))
    if values.dtype == np.uint16:
        step = np.diff(values, axis=2, prepend=np.uint16(0)).view(np.int16)
        values = ((step << 1) ^ (step >> 15)).view(np.uint16)
    values = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
    planes = values.view(np.uint8).reshape(-1, values.dtype.itemsize).T
    return base64.b64encode(zlib.compress(planes.tobytes(), 9)).decode()


def list_method(tables: Mapping[str, Reconstruction], truth: Truth | None) -> str:
    """The method whose energy, zenith and cuts the list of events holds: the strongest of the fits,
    else the first; "true" where there is none, "" where nothing is known.
    """
    fits = [name for name in BASELINES if name in tables] or list(tables)[:1]
    return fits[-1] if fits else "true" if truth is not None else ""


def _row(events: Events, tables: Mapping[str, Reconstruction], method: str, made: Made) -> dict:
    """What the list says of a single event."""
    table = tables.get(method, events.truth if method == "true" else None)
    row = {"id": int(events.event_id[0]), "n": int(events.n_hits)}
    if table is None:
        return row
    row |= {"energy": rounded(table.energy[0], 4), "zenith": rounded(np.degrees(table.zenith[0]))}
    row["energy_text"] = energy_texts(float(table.energy[0]))[0]
    if method in tables:
        row["cuts"] = cuts_text(method, table, events.array.size_name, made)
        if not table.valid[0]:  # which fails all the others, too
            row["cuts"] = "no result"
        row["passes"] = not int(table.flags[0])
    return row


def _core(shower: Shower) -> list:
    """Core [m], and the horizontal part of the unit vector to where the shower comes from."""
    p = shower.parameters
    n_x, n_y, _ = axis_components(p.zenith, p.azimuth)
    return rounded(np.array([p.core_x, p.core_y, n_x, n_y]), 6)


def _hits(events: Events, pulses: Pulses, content: EventContent, plane: np.ndarray) -> dict:
    """The hits of a single event; plane (n_hits,) [ns] : what their times are also told after."""
    time, marked = times_of(events, pulses), content.marked
    used = marked.state <= DISTRUSTED
    shown = time[used] if used.any() else time
    zero = float(shown.min()) if len(shown) else 0.0
    hits = {
        "station": events.hit_station.tolist(),
        "mark": [
            MARKS.index(mark_of(state, bool(saturated)))
            for state, saturated in zip(marked.state, pulses.saturated, strict=True)
        ],
        "time": _times(time - zero),
        "begin": _times(events.hit_time - zero),
        "edge": _times(pulses.arrival_time - zero),
        "plane": _times(plane - zero),
        "signal": rounded(pulses.signal, 4),
        "mean": rounded(pulses.signal.mean(axis=1), 4),
        "saturated": pulses.saturated.astype(int).tolist(),
        "used": used.astype(int).tolist(),
        "span": rounded(max(float(np.ptp(shown)), 1.0)) if len(shown) else 1.0,
    }
    if events.waveform is not None and events.n_hits:
        hits["waveform"] = packed(events.waveform)
        hits["pedestal"] = rounded(events.pedestal)
        hits["per_vem"] = rounded(events.counts_per_vem)
    return hits


def _method(content: EventContent, name: str, pulls: Sequence[Mapping]) -> dict:
    """What one method makes of a single event; pulls : of times, of signals."""
    found = {"core": _core(content.showers[name])}
    if name not in content.stations:
        return found
    stations = content.stations[name]
    found |= {
        "r": rounded(stations.r),
        "state": stations.state.tolist(),
        "residual": _times(stations.residual),
        "sigma": rounded(stations.sigma, 3),
        "pull_time": rounded(pulls[0][name], 4),
        "used_time": counted(stations, True).astype(int).tolist(),
        "used_signal": counted(stations, False).astype(int).tolist(),
        "note": stations.note,
    }
    if name in pulls[1]:
        found["pull_signal"] = rounded(pulls[1][name], 4)
        found["expected"] = rounded(stations.expected, 4)
    return found


def _panels(events: Events, pulses: Pulses, content: EventContent, made: Made) -> tuple[dict, dict]:
    """(axes and points of front and lateral distribution, {method: its curves})."""
    main, array = content.marked, events.array
    far, begin = reach(main)
    r = np.linspace(begin, far, _POINTS)
    around = main.shower
    curves = {
        name: ring_means(shower, around, r, array, made.distance)
        for name, shower in content.showers.items()
    }
    time = main.delay + main.residual
    signal = np.maximum(main.density, 1e-9)
    pulls = [pulls_of(content.stations, pulses.saturated, of_times) for of_times in (True, False)]
    silent = [
        [MARKS.index(mark), rounded(r)]
        for mark, stations in ((SILENT_IN_FIT, main.silent), (SILENT_REJECTED, main.silent_out))
        for r in expected_at(main.shower, array.position[stations], array, made.distance).distance[
            :, None
        ]
    ]
    panels = {
        "far": far,
        "begin": begin,
        "time": _times(time),
        "time_sigma": rounded(main.sigma, 3),
        "time_limits": rounded(time_limits(main, curves[content.main][0])),
        "density": rounded(signal, 4),
        "density_sigma": rounded(density_bars(main, float(array.detector.area)), 3),
        "density_limits": rounded(density_limits(main)),
        "silent": [[mark, r[0]] for mark, r in silent],
        "pull_time": rounded(pull_scale(content.stations, pulls[0], content.main, True)),
    }
    if pulls[1]:
        panels["pull_signal"] = rounded(pull_scale(content.stations, pulls[1], content.main, False))
    methods = {}
    for name, (front, density) in curves.items():
        methods[name] = _method(content, name, pulls) | {"front": _times(front)}
        if np.isfinite(density).any():
            methods[name]["lateral"] = rounded(density, 4)
    return panels, methods


def _table(events: Events, tables: dict, lines: Mapping[str, Line], made: Made) -> dict:
    """Parameters, errors, chi2, cuts and versions of the methods."""
    size = events.array.size_name
    columns = {"true": true_cells(events)} if events.truth is not None else {}
    columns |= {name: method_cells(name, table, size, made) for name, table in tables.items()}
    rows = rows_of(row_names(size), list(columns.values())) if columns else []
    return {
        "columns": [list(lines).index(name) for name in columns],
        "rows": [[row.name, *row.cells] for row in rows],
    }


def event_data(
    events: Events,
    tables: dict[str, Reconstruction],
    pulses: Pulses,
    made: Made,
    lines: Mapping[str, Line],
) -> dict[str, Any]:
    """All that is drawn of a single event."""
    content = content_of(events, tables, pulses, made, dict(lines))
    if content.main:
        position = events.array.position[events.hit_station]
        plane = expected_at(content.marked.shower, position, events.array, "axis").plane_time
    else:
        plane = np.full(events.n_hits, np.nan)
    drawn = {name: table for name, table in tables.items() if name in content.stations}
    data = {
        "place": made.place,
        "main": list(lines).index(content.main) if content.main and events.n_hits else None,
        "known": content.marked.known,
        "hits": _hits(events, pulses, content, plane),
        "quiet": [
            [MARKS.index(mark), stations.tolist()]
            for mark, stations in stations_without_hit(events, content.marked)
            if mark != SILENT and len(stations)
        ],
        "table": _table(events, drawn, lines, made),
        "notes": notes_of(tables, content, made),
    }
    if events.n_hits:
        centre, half = view_of(events, content.marked.state <= DISTRUSTED)
        data["view"] = rounded(np.array([*centre, half]))
    methods = {name: {"core": _core(shower)} for name, shower in content.showers.items()}
    if data["main"] is not None:
        data["panels"], methods = _panels(events, pulses, content, made)
    data["methods"] = {list(lines).index(name): found for name, found in methods.items()}
    return data


def lines_of_all(fitted: Fitted) -> dict[str, Line]:
    """How the methods look that are drawn in any of the events."""
    events, tables, pulses, _ = fitted
    drawn = set()
    for i in range(events.n_events):
        drawn |= set(found_of(single_event(events, i, tables, pulses).tables))
    return lines_of([name for name in tables if name in drawn])


def page_data(
    fitted: Fitted,
    lines: Mapping[str, Line],
    positions: np.ndarray,
    path: FilePath | None,
    taken: str,
) -> dict[str, Any]:
    """All that a page of these events holds.

    Parameters
    ----------
    lines : how methods look, `lines_of_all`
    positions : of the events in their file
    path : of that file; None: there is none
    taken : which of its events these are, in words
    """
    events, tables, pulses, made = fitted
    array, detector = events.array, events.array.detector
    listed = list_method(tables, events.truth)
    rows, found = [], []
    with progress("draw", events.n_events) as advance:
        for i, position in enumerate(positions):
            one, of_one, of_hits, _ = single_event(events, i, tables, pulses)
            here = made._replace(place=place_of(path, int(position)))
            rows.append(_row(one, of_one, listed, here) | {"position": int(position)})
            found.append(event_data(one, of_one, of_hits, here, lines))
            advance(1)
    waveforms = None
    if events.waveform is not None:
        waveforms = {"kind": events.waveform.dtype.name, "bins": events.waveform.shape[1]}
    return {
        "taken": taken,
        "listed": "" if not listed else "true" if listed == "true" else short(listed),
        "array": {
            "x": [round(x, 1) for x in array.position[:, 0].tolist()],
            "y": [round(y, 1) for y in array.position[:, 1].tolist()],
            "name": [array.name_of(k) for k in range(array.n_stations)],
            "spacing": rounded(array.spacing),
        },
        "layers": list(layer_names(detector.n_layers)),
        "bin_width": float(detector.bin_width),
        "waveforms": waveforms,
        "marks": [
            {
                "text": mark.text,
                "without_fit": WITHOUT_FIT.get(mark, mark.text),
                "marker": mark.marker,
                "size": mark.size,
                "filled": mark.filled,
                "width": mark.width,
            }
            for mark in MARKS
        ],
        "lines": [
            {"name": line.name, "marker": line.marker, "dashes": dash_array(line.dashes)}
            for line in lines.values()
        ],
        "rows": rows,
        "events": found,
    }


#: matplotlib's names of dashes, in widths of the line.
_DASHES = {"-": (), "--": (3.7, 1.6), "-.": (6.4, 1.6, 1.0, 1.6), ":": (1.0, 1.65)}


def dash_array(dashes: str | tuple) -> list[float]:
    """Lengths of dashes and gaps in widths of the line; none: drawn through."""
    return list(_DASHES[dashes] if isinstance(dashes, str) else dashes[1])

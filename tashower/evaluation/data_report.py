"""Report of measured events: what was found, method against method, data against simulation. No
truth is needed.
"""

import html
import json
from pathlib import Path

import numpy as np

from tashower.config import Config, as_dict
from tashower.errors import InputError
from tashower.evaluation import data_plots, tables
from tashower.evaluation.display import draw_event
from tashower.evaluation.evaluate import FITS, score
from tashower.evaluation.report import html_figure, html_table, page
from tashower.events.model import FLAGS
from tashower.io import provenance
from tashower.io.atomic import written_aside
from tashower.io.event_file import read_events
from tashower.io.hdf5 import read_attributes
from tashower.io.reconstruction_file import read_reconstruction

#: A feature is outside of what a network knows when this part of the data, or more, lies outside of
#: the middle 99 % of the simulation.
WARN_FRACTION = 0.05
#: ... or when the two distributions differ by more than this.
WARN_DISTANCE = 0.25
_CAPTIONS = {
    "distributions": "Direction, size and quality of every method, events with a result.",
    "differences": "Every method against the free fit, event by event.",
    "residuals": "Times and signals of stations around the free fit against distance: points, median and middle 68 %. A slope or a "
    "step near the axis means that the front or the lateral distribution of the fit is not that of the data. The pull is the time "
    "over its error, 1 wide if the errors are right. Far out only stations "
    "with an upward fluctuation, and accidental ones, are seen: both medians bend there in simulation as well.",
    "domain": "Event features of the data and of the simulation that calibration and networks come from. The distance is that of "
    "Kolmogorov and Smirnov: 0 the same, 1 apart.",
    "station_domain": "The same for single stations with a hit, of all events.",
}


def domain_rows(data: dict, simulation: dict) -> tuple[list[list[str]], list[str]]:
    """(table with header, warnings) of features of data against simulation."""
    rows, warnings = (
        [
            [
                "feature",
                "data, median",
                "simulation, median",
                "distance",
                "outside of the simulation's middle 99 %",
            ]
        ],
        [],
    )
    for name in data:
        a, b = (x[name][np.isfinite(x[name])] for x in (data, simulation))
        if not len(a) or not len(b):
            rows.append([name, "—", "—", "—", "—"])
            continue
        low, high = np.quantile(b, [0.005, 0.995])
        outside, distance = (
            float(np.mean((a < low) | (a > high))),
            data_plots.two_sample_distance(a, b),
        )
        rows.append(
            [
                name,
                f"{np.median(a):.3g}",
                f"{np.median(b):.3g}",
                f"{distance:.2f}",
                f"{100 * outside:.1f} %",
            ]
        )
        if outside > WARN_FRACTION or distance > WARN_DISTANCE:
            warnings.append(
                f"{name}: {100 * outside:.0f} % of the events outside, distance {distance:.2f}"
            )
    return rows, warnings


def _counts(methods, n_events) -> list[list[str]]:
    rows = [["method", "events with a result", "pass the quality cuts", "most frequent failures"]]
    for name, table in methods.items():
        failed = sorted(
            ((np.mean(table.flags >> bit & 1), flag) for bit, flag in enumerate(FLAGS)),
            reverse=True,
        )[:3]
        words = ", ".join(f"{flag} {100 * part:.0f} %" for part, flag in failed if part > 0)
        rows.append(
            [
                tables.label(name),
                f"{table.valid.sum():,} of {n_events:,}",
                f"{table.passes_cuts.sum():,}",
                words or "none",
            ]
        )
    return rows


def _event_rows(events, methods, most: int = 50) -> list[list[str]]:
    """A line per event, up to `most`: the free fit, or the plane front where it has no result."""
    rows = [
        [
            "event",
            "stations",
            "method",
            "zenith [deg]",
            "azimuth [deg]",
            "core x, y [m]",
            events.array.size_name,
            "energy [EeV]",
            "chi2/ndof",
        ]
    ]
    hits = np.diff(events.hit_offset)
    for i in range(min(events.n_events, most)):
        name = next(
            (n for n in ("free", "constrained", "plane") if n in methods and methods[n].valid[i]),
            None,
        )
        if name is None:
            rows.append([str(events.event_id[i]), str(hits[i]), "none", *["—"] * 6])
            continue
        t = methods[name]
        rows.append(
            [
                str(events.event_id[i]),
                str(hits[i]),
                tables.label(name),
                f"{np.degrees(t.zenith[i]):.2f}",
                f"{np.degrees(t.azimuth[i]):.2f}",
                f"{t.core_x[i]:.0f}, {t.core_y[i]:.0f}",
                *(f"{x:.3g}" if np.isfinite(x) else "—" for x in (t.s800[i], t.energy[i])),
                f"{t.chi2[i] / max(t.ndof[i], 1):.2f}" if np.isfinite(t.chi2[i]) else "—",
            ]
        )
    return rows


def _features(paths) -> dict[str, np.ndarray]:
    """Event features of events that pass the cuts of the free fit."""
    parts = []
    for path in paths:
        found, _, features = read_reconstruction(path)
        if not features or "free" not in found:
            raise InputError(f"{path}: holds no event features")
        parts.append({name: column[found["free"].passes_cuts] for name, column in features.items()})
    return (
        {name: np.concatenate([part[name] for part in parts]) for name in parts[0]} if parts else {}
    )


def _station_features(paths) -> dict[str, np.ndarray]:
    """Station features of all hits of reconstruction files."""
    parts = [data_plots.station_features(read_reconstruction(path)[1]) for path in paths]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _truth_section(config, methods, truth, networks) -> list[str]:
    try:
        scores, _ = score(config, methods, truth, networks)
    except InputError as error:
        return [f"<p>The files hold a truth, but {html.escape(str(error))}.</p>"]
    return [
        html_table(tables.method_rows(scores)),
        html_table(tables.bin_rows(scores, "angle_68_deg", "by_energy")),
    ]


def report_data(
    config: Config, events_path, fits_path, networks: dict, simulated_fits, output, pull_of=None
) -> int:
    """Write the report of measured events as one HTML file, figures beside it.

    Parameters
    ----------
    events_path, fits_path : event file and its reconstruction
    networks : {name: file of `tashower apply`}
    simulated_fits : reconstruction files of simulated events, for the comparison; may be empty
    pull_of : function of (events, pulses, fit) that gives the pull of every hit's time; None: no
        pulls are drawn

    Returns the number of events.

    Raises
    ------
    InputError : files that do not belong together.
    """
    events = read_events(events_path)
    found, pulses, features = read_reconstruction(fits_path)
    methods = {name: found[name] for name in (*FITS, "plane", "standard") if name in found}
    for name, path in networks.items():
        methods[name] = read_reconstruction(path)[0].get(name)
        if methods[name] is None:
            raise InputError(f"{path}: no reconstruction {name!r}")
    for name, table in methods.items():
        if not np.array_equal(table.event_id, events.event_id):
            raise InputError(
                f"{networks.get(name, fits_path)}: is not a reconstruction of {events_path}"
            )
    output = Path(output)
    folder = output.parent / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    data_plots.draw_distributions(methods, events.array.size_name, folder)
    data_plots.draw_differences(methods, folder)
    pull = pull_of(events, pulses, methods["free"]) if pull_of else None
    data_plots.draw_residuals(
        data_plots.station_residuals(events, pulses, methods["free"], pull), folder
    )
    shown = np.flatnonzero(methods["free"].valid | methods.get("plane", methods["free"]).valid)[
        : max(config.scores.examples, 1)
    ]
    for k, i in enumerate(shown):
        draw_event(events, int(i), methods, pulses, folder / f"event_{k + 1}.png")

    def show(name):
        return html_figure(folder / f"{name}.png", _CAPTIONS[name])

    domain: list[str] = []
    good = methods["free"].passes_cuts
    if simulated_fits and features and good.any():
        simulation, data = (
            _features(simulated_fits),
            {name: column[good] for name, column in features.items()},
        )
        data_plots.draw_domain(data, simulation, folder)
        rows, warnings = domain_rows(data, simulation)
        of_stations = data_plots.station_features(pulses), _station_features(simulated_fits)
        data_plots.draw_domain(*of_stations, folder, "station_domain")
        more, other_warnings = domain_rows(*of_stations)
        rows, warnings = [*rows, *more[1:]], [*warnings, *other_warnings]
        text = "No feature of the data is unlike the simulation."
        if warnings:
            text = "Unlike the simulation, so that calibration and networks are used outside of what they were made for: "
            text += "; ".join(warnings) + "."
        domain = [
            f"<p>{html.escape(text)}</p>",
            show("domain"),
            show("station_domain"),
            html_table(rows),
        ]
    what = [
        ["", ""],
        [
            "events",
            f"{events.n_events:,}, {events.n_hits:,} hits, {events.array.n_stations} stations ({events.array.kind})",
        ],
        [
            "made from",
            ", ".join(
                json.loads(read_attributes(events_path).get("inputs", "[]"))
                or [Path(events_path).name]
            ),
        ],
        [
            "waveforms",
            "yes"
            if events.waveform is not None
            else "no: networks that read them cannot be applied",
        ],
        ["commit", provenance.commit()],
        ["made", f"{provenance.now()} by {provenance.software()}"],
    ]
    caption = "Footprint, front and lateral distribution with residuals, waveforms."
    examples = [html_figure(path, caption) for path in sorted(folder.glob("event_*.png"))]
    sections = [
        (
            "what",
            "What was reconstructed",
            [html_table(what), html_table(_counts(methods, events.n_events))],
        ),
        (
            "found",
            "What was found",
            [show("distributions"), "<h3>Events</h3>", html_table(_event_rows(events, methods))],
        ),
        ("methods", "Method against method", [show("differences")]),
        ("residuals", "Stations around the fit", [show("residuals")]),
        ("domain", "Data against simulation", domain),
        (
            "truth",
            "Against the truth",
            [] if events.truth is None else _truth_section(config, methods, events.truth, networks),
        ),
        ("events", "Events", examples),
        (
            "run",
            "Configuration",
            [f"<pre>{html.escape(json.dumps(as_dict(config), indent=1))}</pre>"],
        ),
    ]
    text = page(
        "Reconstruction of measured events",
        f"{events.n_events:,} events of {Path(events_path).name}",
        sections,
    )
    with written_aside(output) as aside:
        aside.write_text(text)
    return events.n_events

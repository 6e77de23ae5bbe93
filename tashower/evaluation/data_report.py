"""Report of measured events: what was found, method against method, data against simulation. No
truth is needed.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tashower.calibration.calibration import read_calibration
from tashower.config import Config, as_dict
from tashower.errors import InputError
from tashower.evaluation import measured, tables
from tashower.evaluation.advice import advice
from tashower.evaluation.comparison import score
from tashower.evaluation.explained import cut_list, methods_explained
from tashower.evaluation.figures.domain import domain
from tashower.evaluation.figures.event import event_figure
from tashower.evaluation.figures.methods import differences, distributions
from tashower.evaluation.figures.residuals import residuals
from tashower.evaluation.figures.style import save_both
from tashower.evaluation.names import REFERENCE, short
from tashower.evaluation.p_values import FEW
from tashower.evaluation.page import links, pictures, render, statement
from tashower.evaluation.refit import Made
from tashower.evaluation.sample import read_methods, single_event
from tashower.evaluation.show_event import (
    command_of,
    files_of,
    made_of,
    place_of,
    with_known_calibration,
)
from tashower.events.flat import counted
from tashower.events.model import Events, Pulses, Reconstruction
from tashower.io import provenance
from tashower.io.atomic import written_aside
from tashower.io.event_file import read_events
from tashower.io.hdf5 import made_from, read_attributes
from tashower.io.reconstruction_file import read_reconstruction
from tashower.reconstruction.residuals import time_pulls
from tashower.types import FilePath

#: Events that are listed with all methods (choice: what one reads).
_LISTED = 50


def _simulated(paths: Sequence) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Event features of events that pass the cuts of the reference fit, and station features of
    all hits, of reconstruction files.
    """
    of_events, of_stations = [], []
    for path in paths:
        found, pulses, features = read_reconstruction(path)
        if not features or pulses is None or REFERENCE not in found:
            raise InputError(f"{path}: holds no event features")
        good = found[REFERENCE].passes_cuts
        of_events.append({name: column[good] for name, column in features.items()})
        of_stations.append(measured.station_features(pulses))
    joined = [
        {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        for parts in (of_events, of_stations)
    ]
    return joined[0], joined[1]


def _domain(simulated_fits, good, features, pulses) -> tuple[dict | None, dict]:
    """(tables and warnings of data against simulation, {name: figure}); nothing where there is
    nothing to compare.
    """
    if not (simulated_fits and features and good.any()):
        return None, {}
    data = {name: column[good] for name, column in features.items()}
    stations = measured.station_features(pulses)
    simulation, simulated_stations = _simulated(simulated_fits)
    rows, warnings = measured.domain_rows(data, simulation)
    n_simulated = len(next(iter(simulation.values())))
    independent = len(good), n_simulated
    more, other_warnings = measured.domain_rows(stations, simulated_stations, independent)
    figures = {
        "domain": domain(data, simulation),
        "station_domain": domain(stations, simulated_stations, independent),
    }
    return {
        "rows": [*rows, *more[1:]],
        "warnings": [*warnings, *other_warnings],
        "looks": len(data) + len(stations),
        "few": int(good.sum()) if good.sum() < FEW else 0,
    }, figures


def _truth(config: Config, methods, events: Events, networks) -> dict | None:
    """Tables of the scores, or why there are none; None without a truth."""
    if events.truth is None:
        return None
    corrections = {n: [p] for n, p in networks.items() if not methods[n].says_mass}
    methods = {n: t for n, t in methods.items() if n in corrections or n not in networks}
    try:
        scores, _ = score(config, methods, events.truth, corrections)
    except InputError as error:
        return {"problem": str(error), "tables": []}
    angles = tables.bin_rows(scores, "angle_68_deg", "by_energy")
    return {"problem": "", "tables": [tables.answer_rows(scores), angles]}


def _configured(networks: Mapping[str, str]) -> dict[str, dict]:
    """What the files of networks state of how each was made; nothing where they do not."""
    found = {}
    for name, path in networks.items():
        stated = json.loads(read_attributes(path).get("configuration") or "{}")
        found[name] = stated.get("networks", {}).get(name, {})
    return found


def _array(events: Events) -> str:
    """The array in a phrase."""
    array = events.array
    lattice = "" if array.kind == "irregular" else f", {array.spacing:,.0f} m apart"
    return f"{array.n_stations:,} stations ({array.kind}{lattice})"


def _what(events: Events, events_path) -> list[list[str]]:
    """What was reconstructed, with what."""
    inputs = json.loads(read_attributes(events_path).get("inputs", "[]"))
    without = "no: networks that read them cannot be applied"
    return [
        ["", ""],
        [
            "events",
            f"{events.n_events:,}, {events.n_hits:,} hits, "
            f"{events.array.n_stations} stations ({events.array.kind})",
        ],
        ["made from", ", ".join(inputs or [Path(events_path).name])],
        ["waveforms", without if events.waveform is None else "yes"],
        ["commit", provenance.commit()],
        ["made", f"{provenance.now()} by {provenance.software()}"],
    ]


def _event_figures(
    n: int, events: Events, methods: dict[str, Reconstruction], pulses: Pulses, made: Made
) -> tuple[dict, dict[str, int]]:
    """({name: figure}, {name: id}) of the first n events that a fit has a result of."""
    fits = [table for name, table in methods.items() if name not in made.networks]
    shown = np.flatnonzero(np.any([table.valid for table in fits], axis=0))[:n]
    figures = {}
    for k, i in enumerate(shown, 1):
        one = single_event(events, int(i), methods, pulses)
        how = with_known_calibration(made, methods, events, pulses, int(i))
        how = how._replace(place=place_of(made.place, int(i)))
        figures[f"event_{k}"] = event_figure(one.events, 0, one.tables, one.pulses, how)
    return figures, {f"event_{k}": int(events.event_id[i]) for k, i in enumerate(shown, 1)}


def report_data(
    config: Config,
    events_path: FilePath,
    fits_path: FilePath,
    networks: Mapping[str, str],
    simulated_fits: Sequence,
    output: FilePath,
    calibration: FilePath | None = None,
) -> int:
    """Write the report of measured events as one HTML file, figures beside it.

    Parameters
    ----------
    events_path, fits_path : event file and its reconstruction
    networks : {name: file of `tashower apply`}
    simulated_fits : reconstruction files of simulated events, for the comparison; may be empty
    output : HTML file to write; the figures go to figures/ beside it
    calibration : file of the fit's calibration, for the pulls of the times; None: no pulls

    Returns the number of events.

    Raises
    ------
    InputError : files that do not belong together.
    """
    events = read_events(events_path)
    methods, pulses, features = read_methods(events, events_path, fits_path, networks)
    if pulses is None:
        raise InputError(f"{fits_path}: holds no pulses")
    reference = methods[REFERENCE]
    known = read_calibration(calibration) if calibration else None
    pull = time_pulls(events, pulses, reference, known.errors) if known else None
    files = files_of(methods, fits_path, networks)
    made = made_of(files, known, str(events_path))
    n_examples = max(config.scores.examples, 1)
    examples, ids = _event_figures(n_examples, events, methods, pulses, made)
    compared, figures = _domain(simulated_fits, reference.passes_cuts, features, pulses)
    figures |= {
        "distributions": distributions(methods, networks, events.array.size_name),
        "differences": differences(methods, networks),
        "residuals": residuals(measured.station_residuals(events, pulses, reference, pull)),
        **examples,
    }
    inputs = [events_path, fits_path, *networks.values(), *simulated_fits]
    inputs += [calibration] if calibration else []
    output = Path(output)
    paths = {name: output.parent / "figures" / f"{name}.png" for name in figures}
    for name, figure in figures.items():
        save_both(figure, paths[name])
    whole = as_dict(config)
    settings, size = whole["reconstruction"], events.array.size_name
    unlike = compared["warnings"] if compared else []
    text = render(
        "data_report.html.j2",
        lead=f"{counted(events.n_events, 'event')} of {Path(events_path).name}, {_array(events)}. "
        f"{provenance.software()}.",
        reference=short(REFERENCE),
        what=_what(events, events_path),
        counts=measured.count_rows(methods, networks, size),
        findings=advice(events, pulses, reference, pull, settings, unlike),
        methods=methods_explained(methods, dict.fromkeys(networks), _configured(networks)),
        cuts=cut_list(settings, size),
        cut_counts=measured.cut_rows(methods, networks, settings, size),
        event_rows=measured.event_rows(events, methods, networks, _LISTED),
        n_listed=min(_LISTED, events.n_events),
        n_events=events.n_events,
        domain=compared,
        truth=_truth(config, methods, events, networks),
        pictures=pictures(paths.values()),
        links=links(paths.values(), output.absolute().parent),
        commands={n: command_of(events_path, i, list(files), calibration) for n, i in ids.items()},
        configuration=json.dumps(whole, indent=1),
        statement=statement("report-data", whole, made_from(inputs)),
    )
    with written_aside(output) as aside:
        aside.write_text(text)
    return events.n_events

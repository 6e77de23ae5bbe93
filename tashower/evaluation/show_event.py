"""One event of a file as a picture: which one, with which fits, and what made them."""

import json
import logging
import shlex
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from tashower.calibration.calibration import DEFAULT, Calibration, read_calibration
from tashower.config import load_config
from tashower.errors import InputError
from tashower.evaluation.refit import JOINT, Made
from tashower.evaluation.sample import check_same_events, single_event
from tashower.evaluation.station_fits import calibration_of
from tashower.events.described import check_described
from tashower.events.model import Events, Pulses, Reconstruction, select_events
from tashower.io import provenance
from tashower.io.anomaly_file import read_anomalies
from tashower.io.event_file import read_events
from tashower.io.hdf5 import read_attributes
from tashower.io.reconstruction_file import read_reconstruction
from tashower.reconstruction.pulses import find_pulses
from tashower.reconstruction.reconstruct import reconstruct
from tashower.types import FilePath

_log = logging.getLogger("tashower")

#: Endings of pictures that can be written.
PICTURES = (".png", ".pdf", ".svg")
#: Events of a file of which a calibration is tried (choice).
_MOST_TRIED = 3


def position_of(path: FilePath, events: Events, event: int | None, event_id: int | None) -> int:
    """Position of the event of a file that is chosen by position or by id.

    Raises
    ------
    InputError : there is none, or more than one has that id.
    """
    n = events.n_events
    if event_id is None:
        if not 0 <= event < n:
            raise InputError(
                f"{path}: has no event at position {event}: it holds {n}, counted from 0 "
                "(--id chooses by the event's id)"
            )
        return event
    there = np.flatnonzero(events.event_id == event_id)
    if not len(there):
        ids = f", {events.event_id.min()} to {events.event_id.max()}" if n else ""
        raise InputError(
            f"{path}: has no event with id {event_id}: it holds {n} events{ids} "
            "(--event chooses by position)"
        )
    if len(there) > 1:
        where = ", ".join(map(str, there[:5])) + (", ..." if len(there) > 5 else "")
        raise InputError(
            f"{path}: {len(there)} events have the id {event_id}: choose one by its position, "
            f"--event {where}"
        )
    return int(there[0])


def place_of(path: FilePath | None, position: int) -> str:
    """Where an event is found, for the title of its picture; path None: in no file."""
    where = f" in {Path(path).name}" if path else ""
    return f"position {position}{where}, counted from 0"


def command_of(
    events: FilePath, event_id: int, fits: Sequence[FilePath], calibration: FilePath | None = None
) -> str:
    """The command that draws an event."""
    words = ["tashower", "show", str(events), "--id", str(event_id), "--fits", *map(str, fits)]
    words += ["--calibration", str(calibration)] if calibration else []
    return shlex.join(words)


def version_text(attributes: Mapping[str, str]) -> str:
    """What made a file, from its attributes."""
    commit, mark, _ = attributes.get("commit", "").partition("+")
    commit = commit[:7] + ("+" if mark else "")
    return f"{attributes.get('software', '')}\n{commit}\n{attributes.get('created', '')[:10]}"


def _here() -> dict[str, str]:
    return {
        "software": provenance.software(),
        "commit": provenance.commit(),
        "created": provenance.now(),
    }


def _versions(names, text: str) -> dict[str, str]:
    return {name: "the data file" if name == "standard" else text for name in names}


def made_of(
    fits: Mapping[FilePath, Sequence[str]], calibration: Calibration | None, place: str = ""
) -> Made:
    """What is known of how methods were made; fits : {reconstruction file: its methods}."""
    versions, networks, distance = {}, [], "axis"
    for path, names in fits.items():
        attributes = read_attributes(path)
        versions |= _versions(names, version_text(attributes))
        if attributes.get("stage") == "apply":
            networks += names
        else:
            stated = json.loads(attributes.get("configuration") or "{}")
            distance = stated.get("reconstruction", {}).get("distance", distance)
    return Made(calibration, distance, versions, networks, place)


def files_of(
    methods: Collection[str], fits: FilePath, networks: Mapping[str, FilePath]
) -> dict[FilePath, list[str]]:
    """{reconstruction file: those of the methods that it holds}, as `made_of` takes it."""
    of_networks = {path: [name] for name, path in networks.items() if name in methods}
    return {fits: [name for name in methods if name not in networks], **of_networks}


def fit_on_the_spot(
    events: Events, calibration: Calibration
) -> tuple[dict[str, Reconstruction], Pulses, Made]:
    """Every method, with the defaults; of an array that the calibration does not hold for, which is
    said, what came with the data, and the pulses.
    """
    standard = {} if events.standard is None else {"standard": events.standard}
    try:
        check_described(
            calibration.described, events.array.described, "not fitted (--fits FILE shows a fit)"
        )
    except InputError as reason:
        _log.warning(str(reason))
        versions = _versions(standard, "")
        return standard, find_pulses(events), Made(versions=versions, why=str(reason))
    settings = load_config().reconstruction
    tables, pulses, _ = reconstruct(events, calibration, settings)
    versions = _versions(tables, version_text(_here()))
    return tables, pulses, Made(calibration, settings.distance, versions)


def read_fits(
    paths: Sequence[FilePath], events: Events, events_path: FilePath
) -> tuple[dict[str, Reconstruction], Pulses | None, dict[FilePath, list[str]]]:
    """({method: table}, pulses of the first file that holds them, {file: its methods}) of files of
    `tashower fit` and `tashower apply`.

    Raises
    ------
    InputError : of other events; a method that two of them hold.
    """
    methods, pulses, where = {}, None, {}
    for path in paths:
        tables, of_file, _ = read_reconstruction(path)
        check_same_events(next(iter(tables.values())), events, path, events_path)
        for name in tables:
            if name in methods:
                other = next(p for p, names in where.items() if name in names)
                raise InputError(f"{path}: {other} holds a method {name!r} as well")
        methods |= tables
        where[path] = list(tables)
        pulses = of_file if pulses is None else pulses
    return methods, pulses, where


def with_known_calibration(
    made: Made, tables: Mapping[str, Reconstruction], events: Events, pulses: Pulses, index: int
) -> Made:
    """The same without its calibration where that is not the one that the fits were made with, as
    event number `index` shows, or if no fit has a result of it, a few others.
    """
    if made.calibration is None:
        return made
    try:
        check_described(made.calibration.described, events.array.described, "calibration")
    except InputError:
        return made._replace(calibration=None)
    valid = [table.valid for name, table in tables.items() if name in JOINT]
    good = np.any(valid, axis=0) if valid else np.zeros(events.n_events, bool)
    for i in [index] if good[index] else np.flatnonzero(good)[:_MOST_TRIED]:
        one = single_event(events, int(i), tables, pulses)
        if calibration_of(one.tables, one.events, one.pulses, made) is not None:
            return made
    return made._replace(calibration=None)


def _odd_of(anomalies: FilePath, events: Events, path: FilePath, index: int) -> dict:
    """What is odd of event number `index`, as fields of `Made`."""
    found = read_anomalies(anomalies)
    same = np.array_equal(found.event_id, events.event_id)
    if not same or found.station.max(initial=0) >= events.array.n_stations:
        raise InputError(f"{anomalies}: is not of the events of {path}")
    stations = found.station[found.station_flagged & (found.station_event == index)]
    said = "flagged" if found.flagged[index] else "not flagged"
    p = found.p_value[index]
    text = f"{said} at a false-alarm rate of {found.rate:g}, p = {p:.2g}: {found.odd[index]}"
    return {"odd": f"Anomaly: {text}.", "odd_stations": tuple(stations.tolist())}


def show_event(
    path: FilePath,
    event: int | None = None,
    fits: Sequence[FilePath] = (),
    output: FilePath | None = None,
    event_id: int | None = None,
    calibration: FilePath | None = None,
    anomalies: FilePath | None = None,
) -> Path:
    """Draw one event; returns the path of the picture.

    Parameters
    ----------
    path : event file
    event, event_id : position of the event in the file, from 0, or its id: one of the two
    fits : reconstruction files of these events, of fits or networks; none: fitted on the spot
    output : picture; None: FILE-event-N.png or FILE-id-ID.png in the current folder
    calibration : file of the fits' calibration, with which their own errors and rejected stations
        are drawn; None: that of the package, where it is the one
    anomalies : file of `tashower anomalies` of these events: flagged stations get a red ring

    Raises
    ------
    InputError : no such event; files that do not belong together.
    """
    from tashower.evaluation.figures.event import event_figure
    from tashower.evaluation.figures.style import save

    if output and Path(output).suffix.lower() not in PICTURES:
        raise InputError(f"{output}: pictures end in {', '.join(PICTURES)}")
    events = read_events(path)
    index = position_of(path, events, event, event_id)
    name = f"event id {events.event_id[index]} (position {index}, counted from 0)"
    if events.hit_offset[index] == events.hit_offset[index + 1]:
        raise InputError(f"{path}: {name} has no hits: there is nothing to draw")
    odd = {} if anomalies is None else _odd_of(anomalies, events, path, index)
    known = read_calibration(DEFAULT if calibration is None else calibration)
    if fits:
        tables, pulses, where = read_fits(fits, events, path)
        pulses = find_pulses(events) if pulses is None else pulses
        made = with_known_calibration(made_of(where, known), tables, events, pulses, index)
        if made.calibration is None and any(n in JOINT and tables[n].valid.any() for n in tables):
            which = calibration or "the calibration of the package"
            _log.warning(
                f"{name}: the fits were not made with {which}: which stations they rejected, and "
                "their errors, are not known (--calibration FILE)"
            )
        events, tables, pulses, _ = single_event(events, index, tables, pulses)
    else:
        events = select_events(events, [index])
        tables, pulses, made = fit_on_the_spot(events, known)
    made = made._replace(place=place_of(path, index), **odd)
    chosen = f"event-{index}" if event_id is None else f"id-{event_id}"
    output = Path(output) if output else Path(f"{Path(path).stem}-{chosen}.png")
    save(event_figure(events, 0, tables, pulses, made), output)
    return output

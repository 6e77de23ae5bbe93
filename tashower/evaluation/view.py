"""Events as one page for a browser that needs nothing else: `tashower view`."""

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tashower.calibration.calibration import DEFAULT, Calibration, read_calibration
from tashower.errors import InputError
from tashower.evaluation.event_content import Line
from tashower.evaluation.page import render, statement
from tashower.evaluation.refit import JOINT, Made
from tashower.evaluation.show_event import (
    fit_on_the_spot,
    made_of,
    position_of,
    read_fits,
    with_known_calibration,
)
from tashower.evaluation.station_marks import MARKS
from tashower.evaluation.view_data import Fitted, lines_of_all, page_data
from tashower.events.model import Events, Pulses, Reconstruction, select_events, select_rows
from tashower.io import provenance
from tashower.io.atomic import written_aside
from tashower.io.hdf5 import made_from
from tashower.reconstruction.pulses import find_pulses
from tashower.types import FilePath

_log = logging.getLogger("tashower")

#: Events that are taken where nothing else is said, and the size of a page that is worth a warning
#: [bytes] (choices).
MOST_EVENTS, LARGE = 200, 20_000_000
_FOLDER = Path(__file__).with_name("templates") / "view"
_SCRIPTS = ("values.js", "drawing.js", "panels.js", "list.js", "view.js")


class Choice(NamedTuple):
    """Which events of a file: those at positions, those with ids, or the first; one of the three at
    most.
    """

    positions: Sequence[int] = ()
    ids: Sequence[int] = ()
    number: int | None = None


def chosen_of(path: FilePath, events: Events, choice: Choice) -> tuple[np.ndarray, str]:
    """(positions of the events that are chosen, which they are in words).

    Raises
    ------
    InputError : the file has no such event, one is chosen twice, or it is empty.
    """
    n = events.n_events
    if not n:
        raise InputError(f"{path}: holds no events")
    if choice.number is not None and choice.number < 1:
        raise InputError(f"--number {choice.number}: a number from 1 on is needed")
    if choice.positions or choice.ids:
        rows = [position_of(path, events, k, None) for k in choice.positions]
        rows += [position_of(path, events, None, k) for k in choice.ids]
        if len(set(rows)) < len(rows):
            twice = next(row for k, row in enumerate(rows) if row in rows[:k])
            raise InputError(f"{path}: the event at position {twice} is chosen twice")
        return np.array(rows), f"{len(rows)} of {n:,} events" if len(rows) < n else _all(n)
    number = MOST_EVENTS if choice.number is None else choice.number
    if number >= n:
        return np.arange(n), _all(n)
    text = f"the first {number:,} of {n:,} events"
    if choice.number is None:
        _log.warning(f"{path}: {text} are taken (--number, --event and --id choose others)")
    return np.arange(number), text


def _all(n: int) -> str:
    return f"all {n:,} events" if n > 1 else "its one event"


def as_json_in_html(value: Any) -> str:
    """A value as JSON that may stand in a `script` of a page: nothing in it can end that.

    Raises
    ------
    ValueError : a number that is not finite.
    """
    text = json.dumps(value, allow_nan=False, separators=(",", ":"), ensure_ascii=True)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def for_screen(colour: str, dark: bool) -> str:
    """A colour that stands out from a light or a dark page: on a dark one greys are inverted, and
    what has a contrast to the page of less than 3 (WCAG 2.2, 1.4.11) is mixed with black or white.
    """
    channels = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255.0
    if dark and np.ptp(channels) == 0.0:
        channels = 1.0 - channels
    towards, page = (1.0, 0.015) if dark else (0.0, 1.0)  # luminance of `--card` in view.css
    for share in np.linspace(0.0, 1.0, 21):
        mixed = (1.0 - share) * channels + share * towards
        linear = np.where(mixed <= 0.04045, mixed / 12.92, ((mixed + 0.055) / 1.055) ** 2.4)
        bright, other = sorted([float(linear @ [0.2126, 0.7152, 0.0722]), page], reverse=True)
        if (bright + 0.05) / (other + 0.05) >= 3.0:
            break
    return "#" + "".join(f"{round(255 * channel):02x}" for channel in mixed)


def _colours(lines: Mapping[str, Line]) -> dict[str, dict[str, str]]:
    """{"light", "dark": {name of a variable of the style: colour}}."""
    named = {f"line-{k}": line.colour for k, line in enumerate(lines.values())}
    named |= {f"mark-{k}": mark.colour for k, mark in enumerate(MARKS)}
    black = {"k": "#000000"}
    return {
        scheme: {key: for_screen(black.get(c, c), scheme == "dark") for key, c in named.items()}
        for scheme in ("light", "dark")
    }


def view_page(
    fitted: Fitted,
    positions: np.ndarray,
    taken: str,
    path: FilePath | None = None,
    inputs: Sequence[FilePath] = (),
) -> str:
    """The page of these events.

    Parameters
    ----------
    fitted : the events with what was made of them
    positions : of the events in their file
    taken : which of its events these are, in words
    path : of that file; None: there is none
    inputs : files that it was made from
    """
    lines, known = lines_of_all(fitted), made_from(inputs)
    files = ", ".join(f"{name} (crc32 {checksum})" for name, checksum in known)
    made = f"{provenance.software()}, commit {provenance.commit()[:7]}"
    return render(
        "view/view.html.j2",
        name=Path(path).name if path else "events",
        taken=taken,
        data=as_json_in_html(page_data(fitted, lines, positions, path, taken)),
        colours=_colours(lines),
        style=(_FOLDER / "view.css").read_text(encoding="utf-8"),
        script="\n".join((_FOLDER / n).read_text(encoding="utf-8") for n in _SCRIPTS),
        statement=statement("", {}, known),
        made=f"Made by {made}, {provenance.now()[:10]}" + (f", from {files}." if files else "."),
    )


def _of_fits(
    events: Events,
    rows: np.ndarray,
    known: Calibration,
    tables: dict[str, Reconstruction],
    pulses: Pulses | None,
    made: Made,
) -> Fitted:
    """The chosen events with their part of fits of all events."""
    pulses = find_pulses(events) if pulses is None else pulses
    made = with_known_calibration(
        made._replace(calibration=known), tables, events, pulses, int(rows[0])
    )
    if made.calibration is None and any(n in JOINT and t.valid.any() for n, t in tables.items()):
        _log.warning(
            "the fits were not made with this calibration: which stations they rejected, and "
            "their errors, are not known (--calibration FILE)"
        )
    hits = np.concatenate([np.arange(*events.hit_offset[k : k + 2]) for k in rows])
    return Fitted(
        select_events(events, rows),
        {name: select_rows(table, rows) for name, table in tables.items()},
        select_rows(pulses, hits),
        made,
    )


def write_view(
    events: Events,
    path: FilePath | None,
    output: FilePath,
    fits: "Mapping[str, Reconstruction] | Sequence[FilePath]" = (),
    pulses: Pulses | None = None,
    choice: Choice = Choice(),  # noqa: B008
    calibration: "Calibration | FilePath | None" = None,
) -> str:
    """Write the page of some events; returns what it holds, in words.

    Parameters
    ----------
    events, path : all events of a file; path None: of none
    output : page to write, .html
    fits : their reconstructions, {method: table}, or files of them, of fits and networks; none: the
        chosen ones are fitted on the spot
    pulses : of the events, where `fits` are no files; None: they are found
    choice : which events
    calibration : of the fits, or a file of it; None: that of the package, where it is the one

    Raises
    ------
    InputError : no such event, files that do not belong together, a page that is no .html.
    """
    output = Path(output)
    if output.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{output}: a page ends in .html")
    name = path or "events"
    rows, taken = chosen_of(name, events, choice)
    known = calibration
    if not isinstance(calibration, Calibration):
        known = read_calibration(DEFAULT if calibration is None else calibration)
    if not len(fits):
        chosen = select_events(events, rows)
        fitted = Fitted(chosen, *fit_on_the_spot(chosen, known))
    elif isinstance(fits, Mapping):
        if any(not np.array_equal(t.event_id, events.event_id) for t in fits.values()):
            raise InputError("the fits are not those of these events")
        fitted = _of_fits(events, rows, known, dict(fits), pulses, Made())
    else:
        tables, pulses, where = read_fits(fits, events, name)
        fitted = _of_fits(events, rows, known, tables, pulses, made_of(where, known))
    inputs = [path] if path else []
    inputs += [] if isinstance(fits, Mapping) else list(fits)
    text = view_page(fitted, rows, taken, path, inputs)
    with written_aside(output) as aside:
        aside.write_text(text, encoding="utf-8")
    size = output.stat().st_size
    if size > LARGE:
        _log.warning(f"{output}: {size / 1e6:.0f} MB: browsers take long (--number takes fewer)")
    return f"{taken}, {size / 1e6:.1f} MB"

"""Marks of stations, the same in all panels of an event, and distinct in grey."""

from typing import NamedTuple

import numpy as np

from tashower.evaluation.station_fits import (
    DISTRUSTED,
    NO_MEASUREMENT,
    OUT_OF_FIT,
    OUTSIDE,
    USED,
    Stations,
)
from tashower.events.model import Events


class Mark(NamedTuple):
    """How a kind of station is drawn."""

    text: str
    marker: str
    size: float = 6.0
    filled: bool = False
    colour: str = "k"
    width: float = 1.0


IN_FIT = Mark("used by the fit", "o", 6.5, True)
SATURATED = Mark("saturated: its signal is a lower limit", "^", 7.5, True)
FAR_OFF = Mark("used, its time hardly: far off", "p", 8.0, False, "k", 1.6)
REJECTED = Mark("rejected by the fit", "D", 7.5, False, "#B2182B", 1.8)
NOT_IN_FIT = Mark("hit, not in the fit (apart, or small)", "o", 5.5, False, "#666666")
NOTHING_MEASURED = Mark("hit that is no measurement", "s", 7.0, False, "#666666")
SILENT_IN_FIT = Mark("silent, and counted so by the fit", "v", 4.5, False, "#555555", 0.8)
SILENT_REJECTED = Mark("silent, rejected by the fit", "*", 10.0, False, "#B2182B", 1.4)
SILENT = Mark("silent", ".", 3.0, True, "#AAAAAA", 0.5)
DEAD = Mark("out of service", "x", 5.5, False, "#666666", 1.2)

#: All of them, those with a hit first.
MARKS = (
    *(IN_FIT, SATURATED, FAR_OFF, REJECTED, NOT_IN_FIT, NOTHING_MEASURED),
    *(SILENT_IN_FIT, SILENT_REJECTED, SILENT, DEAD),
)
#: Texts where there is no fit.
WITHOUT_FIT = {
    IN_FIT: "hit, in the cluster of the most signal",
    NOT_IN_FIT: "hit, apart or small",
    SILENT_IN_FIT: "silent neighbour of a hit",
}


def mark_of(state: int, saturated: bool) -> Mark:
    """The mark of a hit."""
    if state == USED:
        return SATURATED if saturated else IN_FIT
    return {
        DISTRUSTED: FAR_OFF,
        OUT_OF_FIT: REJECTED,
        OUTSIDE: NOT_IN_FIT,
        NO_MEASUREMENT: NOTHING_MEASURED,
    }[state]


def stations_without_hit(events: Events, main: Stations) -> list[tuple[Mark, np.ndarray]]:
    """(mark, indices of the stations that it stands for) of a single event."""
    quiet = np.ones(events.array.n_stations, bool)
    quiet[events.hit_station] = quiet[events.dead_station] = False
    quiet[main.silent] = quiet[main.silent_out] = False
    return [
        (SILENT, np.flatnonzero(quiet)),
        (SILENT_IN_FIT, main.silent),
        (SILENT_REJECTED, main.silent_out),
        (DEAD, events.dead_station),
    ]

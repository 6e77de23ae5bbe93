"""Files of anomalies: which events and stations no simulation explains."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tashower.errors import InputError
from tashower.io.atomic import written_aside
from tashower.io.hdf5 import read_arrays, write_arrays
from tashower.types import FilePath

ANOMALY_VERSION = "1.0"
_ENDINGS = (".h5", ".csv")


class Anomalies(NamedTuple):
    """p-values of events and of their stations.

    An event's p-value is how often an event like those of the simulation is at least as odd; a
    station's, how often such an event has a station, or is as a whole, at least as odd. What is odd
    is said in words, also where it is not odd enough to be flagged.
    """

    rate: float  #: false-alarm rate: what has p <= rate is flagged
    n_calibration: int  #: simulated events that p-values are ranks among
    event_id: np.ndarray  #: (n,) int64
    p_value: np.ndarray  #: (n,); NaN where no shower fits
    odd: np.ndarray  #: (n,) text
    score: np.ndarray  #: (n,) -log10 of p before it was ranked: sorts events beyond all ranks
    n_stations: np.ndarray  #: (n,) stations that were judged
    station_event: np.ndarray  #: (m,) position of the event
    station_id: np.ndarray  #: (m,) as of the array
    station: np.ndarray  #: (m,) index into the array
    station_p_value: np.ndarray  #: (m,); NaN where the other stations say no shower
    station_odd: np.ndarray  #: (m,) text
    tails: np.ndarray  #: (m, k) p-value of every way to be odd, of this station alone; NaN: unasked
    tail_names: tuple[str, ...]  #: the k ways

    @property
    def flagged(self) -> np.ndarray:
        """(n,) bool: events that are flagged."""
        return self.p_value <= self.rate

    @property
    def station_flagged(self) -> np.ndarray:
        """(m,) bool: stations that are flagged; only flagged events have such."""
        return self.station_p_value <= self.rate


def check_anomaly_path(path: FilePath) -> None:
    """Refuse a name that does not say what is to be written.

    Raises
    ------
    InputError : neither .h5 nor .csv.
    """
    if Path(path).suffix.lower() not in _ENDINGS:
        raise InputError(f"{path}: anomalies are written as {' or '.join(_ENDINGS)}")


def _rows(found: Anomalies) -> list[str]:
    def number(value: float) -> str:
        return "" if np.isnan(value) else f"{value:.6g}"

    head = ["event", "event_p", "event_flagged", "event_odd", "station", "p", "flagged", "odd"]
    lines = [",".join([*head, *(f"p_{name.replace(' ', '_')}" for name in found.tail_names)])]
    begin = np.searchsorted(found.station_event, np.arange(len(found.event_id) + 1))
    for i, name in enumerate(found.event_id.tolist()):
        event = [str(name), number(found.p_value[i]), str(int(found.flagged[i])), found.odd[i]]
        for j in range(begin[i], begin[i + 1]):
            own = [str(found.station_id[j]), number(found.station_p_value[j])]
            own += [str(int(found.station_flagged[j])), found.station_odd[j]]
            lines.append(",".join([*event, *own, *map(number, found.tails[j])]))
        if begin[i] == begin[i + 1]:  # no shower was found
            lines.append(",".join([*event, *[""] * (4 + len(found.tail_names))]))
    return lines


def write_anomalies(
    path: FilePath, found: Anomalies, configuration: dict, inputs: Sequence[FilePath] = ()
) -> None:
    """Write anomalies: .h5 with all of them and what made it, or .csv with one row per station
    (docs/event_format.md).

    Raises
    ------
    InputError : another ending.
    """
    check_anomaly_path(path)
    if Path(path).suffix.lower() == ".csv":
        with written_aside(path) as aside:
            aside.write_text("\n".join(_rows(found)) + "\n", encoding="utf-8")
        return
    events = {
        "event_id": found.event_id,
        "p_value": found.p_value,
        "score": found.score,
        "n_stations": found.n_stations,
        "odd": np.char.encode(found.odd.astype(str), "utf-8"),
    }
    stations = {
        "event": found.station_event,
        "station_id": found.station_id,
        "station": found.station,
        "p_value": found.station_p_value,
        "odd": np.char.encode(found.station_odd.astype(str), "utf-8"),
        "tails": found.tails,
    }
    attributes = {
        "rate": found.rate,
        "n_calibration": found.n_calibration,
        "tail_names": ",".join(found.tail_names),
    }
    groups = {"events": events, "stations": stations}
    write_arrays(
        path, "anomalies", ANOMALY_VERSION, groups, configuration, inputs, attributes=attributes
    )


def read_anomalies(path: FilePath) -> Anomalies:
    """Read what `write_anomalies` wrote as .h5.

    Raises
    ------
    InputError : no such file, damaged, something else.
    """
    groups, attributes = read_arrays(path, "anomalies", ANOMALY_VERSION)
    try:
        events, stations = groups["events"], groups["stations"]
        names = tuple(str(attributes["tail_names"]).split(","))
        found = Anomalies(
            float(attributes["rate"]),
            int(attributes["n_calibration"]),
            *(events["event_id"], events["p_value"], np.char.decode(events["odd"], "utf-8")),
            *(events["score"], events["n_stations"], stations["event"], stations["station_id"]),
            *(stations["station"], stations["p_value"]),
            np.char.decode(stations["odd"], "utf-8"),
            *(stations["tails"].reshape(-1, len(names)), names),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not whole: {error}") from None
    n, m = len(found.event_id), len(found.station_event)
    whole = all(len(column) == n for column in found[3:7])
    whole &= all(len(column) == m for column in found[8:13])
    if not whole or (m and not 0 <= found.station_event.min() <= found.station_event.max() < n):
        raise InputError(f"{path}: its columns do not fit together")
    return found

"""JSON files of events: HiSPARC coincidences, and the Pierre Auger Observatory's open data. A file
holds one event, or a list of events.

HiSPARC: stations with GPS positions, time stamps in s and ns, particle numbers (`mips`) of two or
    four detectors of 0.5 m^2; -1 and -999 say that a detector gave none.
Traces are left out: their absolute start is not kept, and their sign and unit differ between files.
Auger: stations with x, y, z [m], signal [VEM], time (`t` [ns]), saturation (`sat` 0, 1: the high
    gain only, 2: the low gain too), `isSelected` 0 where a station is not part of the event; the
    number of the event is `info.id`. Some fields are looked for under several names.
A station whose signal (`mips`) is null was out of service.
"""

import json
import logging
from collections.abc import Iterable, Iterator
from os import PathLike

import numpy as np
from numpy.typing import ArrayLike

from tashower.convert.assemble import LARGEST, Record, check_size
from tashower.errors import InputError
from tashower.io.table_file import BEYOND, read_text, short

_LOG = logging.getLogger(__name__)
#: Area of a HiSPARC detector [m^2].
HISPARC_DETECTOR = 0.5
#: What HiSPARC writes where a detector is missing, or gave no number.
NO_VALUE = (-1.0, -999.0)
#: Least number of particles that noise of a working detector makes (choice).
LEAST_PARTICLES = -0.5
#: WGS84: semi-major axis [m] and squared eccentricity.
_AXIS, _ECCENTRICITY2 = 6378137.0, 6.69437999014e-3
#: Names under which a value is looked for.
_NAMES = {
    "station": ("number", "id", "stationid", "station"),
    "longitude": ("longitude", "lon"),
    "latitude": ("latitude", "lat"),
    "altitude": ("altitude", "alt"),
    "seconds": ("timestamp", "gps_time", "timeS", "time_s"),
    "nanoseconds": ("nanoseconds", "t", "timeNS", "time_ns", "nanosecond"),
    "signal": ("signal", "totalSignal", "signal_vem"),
    "x": ("x", "x_m"),
    "y": ("y", "y_m"),
    "z": ("z", "z_m"),
    "theta": ("theta", "zenith"),
    "phi": ("phi", "azimuth"),
    "stations": ("stations", "sdStations", "events"),
    "event": ("pk", "id", "sdid", "eventid"),
}
_SATURATED = ("saturated", "isLowGainSaturated", "lgsat")
_Places = dict[int, tuple[float, float, float]]


def read_json(path: str | PathLike) -> list[dict]:
    """The events of a JSON file: one object, or a list of them.

    Raises
    ------
    InputError : no such file, or something else.
    """
    text = read_text(path)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not JSON ({str(error).splitlines()[0][:100]})") from None
    events = content if isinstance(content, list) else [content]
    if not events:
        raise InputError(f"{path}: an empty list: holds no event")
    for k, event in enumerate(events):
        if not isinstance(event, dict):
            at = f"{path}: entry {k} of the list" if isinstance(content, list) else str(path)
            raise InputError(f"{at}: not an event")
    return events


def _find(entry: dict, key: str, where: str, default=None):
    """Value under the first of the known names."""
    for name in _NAMES[key]:
        if name in entry:
            return entry[name]
    if default is None:
        raise InputError(f"{where}: no {key} (looked for {', '.join(_NAMES[key])})")
    return default


def _as_number(value, key: str, where: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = np.nan
    if not abs(number) <= BEYOND:
        raise InputError(f"{where}: {key} = {short(value)} is not a number")
    return number


def _number(entry: dict, key: str, where: str, default=None) -> float:
    return _as_number(_find(entry, key, where, default), key, where)


def _as_whole(value, key: str, where: str, below: int = 2**63) -> int:
    if isinstance(value, str) and value.strip().lstrip("-").isdecimal():
        value = int(value) if len(value) < 30 else np.inf
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or not -below < value < below:
        raise InputError(f"{where}: {key} = {short(value)} is not a whole number below {below}")
    return int(value)


def _entries(content: dict, where: str) -> list[dict]:
    found = _find(content, "stations", where)
    if (
        not isinstance(found, list)
        or not found
        or not all(isinstance(entry, dict) for entry in found)
    ):
        raise InputError(f"{where}: its stations are not a list of objects")
    check_size(len(found), where)
    return found


def east_north_up(
    longitude: ArrayLike, latitude: ArrayLike, altitude: ArrayLike, origin: ArrayLike
) -> np.ndarray:
    """(n, 3) positions [m] in the tangent plane at `origin` (longitude, latitude [deg], altitude
    [m]), WGS84.
    """

    def geocentric(lon, lat, alt):
        lon, lat = np.radians(lon), np.radians(lat)
        n = _AXIS / np.sqrt(1.0 - _ECCENTRICITY2 * np.sin(lat) ** 2)
        return np.stack(
            [
                (n + alt) * np.cos(lat) * np.cos(lon),
                (n + alt) * np.cos(lat) * np.sin(lon),
                (n * (1.0 - _ECCENTRICITY2) + alt) * np.sin(lat),
            ],
            axis=-1,
        )

    difference = geocentric(
        np.asarray(longitude), np.asarray(latitude), np.asarray(altitude)
    ) - geocentric(*map(np.asarray, origin))
    lon, lat = np.radians(origin[0]), np.radians(origin[1])
    axes = np.array(
        [
            [-np.sin(lon), np.cos(lon), 0.0],
            [-np.sin(lat) * np.cos(lon), -np.sin(lat) * np.sin(lon), np.cos(lat)],
            [np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)],
        ]
    )
    return difference @ axes.T


def is_hisparc(content: dict) -> bool:
    """A HiSPARC coincidence rather than an Auger event."""
    return isinstance(content.get("events"), list) and "nanoseconds" in content


def _times(entries, where: str) -> np.ndarray:
    """(n,) [ns] after the first, exact: seconds and nanoseconds are numbers of their own."""
    seconds = [_find(e, "seconds", where, 0) for e in entries]
    seconds = np.array([_as_whole(s, "seconds", where, 10**12) for s in seconds], np.int64)
    nanoseconds = np.zeros(len(entries))
    for k, entry in enumerate(entries):
        value = _find(entry, "nanoseconds", f"{where}: station {k}")
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**43:
            # Too large for a float: counted from the same origin as seconds are.
            whole, value = divmod(_as_whole(value, "nanoseconds", where), 10**9)
            seconds[k] += whole
        elif isinstance(value, float) and abs(value) >= 2**43:
            raise InputError(
                f"{where}: station {k}: its time {value:.17g} ns is written as a float, which "
                "lacks its last digits: write whole numbers, or the second in a number of its own"
            )
        nanoseconds[k] = _as_number(value, "nanoseconds", f"{where}: station {k}")
    time = (seconds - seconds.min(initial=2**62)) * 1e9 + nanoseconds
    return time - time.min(initial=np.inf)


def _particles(mips, where: str) -> float | None:
    """Particles in a station as if it had four detectors, from those that gave a number; None where
    none did.
    """
    try:
        found = np.array(mips, float)
        good = found.ndim == 1 and len(found) in (2, 4) and np.isfinite(found).all()
    except (TypeError, ValueError, OverflowError):
        good = False
    if not good:
        raise InputError(f"{where}: mips are not two or four numbers")
    found = found[~np.isin(found, NO_VALUE)]
    if (found < LEAST_PARTICLES).any():
        raise InputError(f"{where}: mips {found.min():g}: particles are no negative number")
    if (found > LARGEST).any():
        raise InputError(f"{where}: mips {found.max():g}: no shower has that many particles")
    return float(found.sum() * 4 / len(found)) if len(found) else None


def _numbered(content: dict, path, k: int, event) -> tuple[int, str]:
    """(number of an event, FILE: event NUMBER)."""
    number = _as_whole(event, "number of the event", f"{path}: event {k}, counted from 0")
    return number, f"{path}: event {number}"


def read_hisparc(path: str | PathLike, content: dict, k: int = 0) -> tuple[Record, _Places]:
    """(record, {station: (longitude, latitude [deg], altitude [m])}); signal: particles of all
    detectors together.

    k : position of the event in its file, for one without a number
    """
    event, at = _numbered(content, path, k, _find(content, "event", str(path), k))
    stations, places, signals, kept, dead = [], {}, [], [], []
    for i, entry in enumerate(_entries(content, at)):
        where = f"{at}: station {i}"
        station = _as_whole(_find(entry, "station", where), "station", where, 2**31)
        places[station] = tuple(
            _number(entry, key, where) for key in ("longitude", "latitude", "altitude")
        )
        if not (abs(places[station][0]) <= 360 and abs(places[station][1]) <= 90):
            raise InputError(f"{where}: longitude and latitude {places[station][:2]} are no place")
        if "mips" in entry and entry["mips"] is None:
            dead.append(station)
            continue
        signal = _particles(entry.get("mips"), where)
        if signal is None:
            _LOG.warning("%s: station %d: no detector gave a number: out of service", at, station)
            dead.append(station)
            continue
        stations.append(station)
        # As if all stations had four detectors, the area of which the array states.
        signals.append(signal)
        kept.append(entry)
    record = Record(
        at,
        event,
        np.array(stations, np.int64),
        _times(kept, at),
        signal=np.array(signals, float)[:, None],
        saturated=np.zeros(len(kept), bool),
        dead=np.array(dead, np.int64),
    )
    return record, places


def _is_saturated(entry: dict, where: str) -> bool:
    """Whether a station's signal is a lower limit."""
    if "sat" in entry:
        # 1: the high gain alone; the low gain still measures the signal.
        return _as_number(entry["sat"], "sat", where) >= 2
    name = next((name for name in _SATURATED if name in entry), None)
    return name is not None and _as_number(entry[name], name, where) > 0


def read_auger(path: str | PathLike, content: dict, k: int = 0) -> tuple[Record, _Places]:
    """(record, {station: position [m]}); stations that are not selected are rejected, and named."""
    info = content.get("info")
    given = info["id"] if isinstance(info, dict) and "id" in info else None
    event, at = _numbered(
        content, path, k, _find(content, "event", str(path), k) if given is None else given
    )
    places, signals, saturated, dead, kept, rejected = {}, [], [], [], [], []
    stations, without_altitude = [], 0
    for i, entry in enumerate(_entries(content, at)):
        where = f"{at}: station {i}"
        station = _as_whole(_find(entry, "station", where), "station", where, 2**31)
        place = tuple(_number(entry, key, where) for key in ("x", "y"))
        without_altitude += not any(name in entry for name in _NAMES["z"])
        places[station] = (*place, _number(entry, "z", where, 0.0))
        signal = _find(entry, "signal", where, "")
        if signal is None:
            dead.append(station)
            continue
        rejected.append(not _as_number(entry.get("isSelected", 1), "isSelected", where))
        signals.append(_number(entry, "signal", where))
        stations.append(station)
        saturated.append(_is_saturated(entry, where))
        kept.append(entry)
    if 0 < without_altitude < len(places):
        raise InputError(f"{at}: {without_altitude} stations have no altitude z, the others have")
    left = [station for station, out in zip(stations, rejected, strict=True) if out]
    if left:
        _LOG.warning(
            "%s: %d stations are not selected and not used: %s",
            at,
            len(left),
            ", ".join(map(str, left[:20])),
        )
    record = Record(
        at,
        event,
        np.array(stations, np.int64),
        _times(kept, at),
        signal=np.array(signals, float)[:, None],
        saturated=np.array(saturated, bool),
        rejected=np.array(rejected, bool),
        dead=np.array(dead, np.int64),
        standard=_auger_standard(content, at),
    )
    return record, places


def read_records(paths: Iterable[str | PathLike], kind: str) -> Iterator[tuple[Record, _Places]]:
    """Events of JSON files, "hisparc" or "auger", one after the other."""
    read = read_hisparc if kind == "hisparc" else read_auger
    for path in paths:
        for k, content in enumerate(read_json(path)):
            yield read(path, content, k)


def _auger_standard(content: dict, at: str) -> dict:
    """What the block `sdrec` states: direction of origin [deg], core [m], S1000, energy [EeV];
    empty without it.
    """
    block = content.get("sdrec")
    if not isinstance(block, dict):
        return {}

    def optional(name):
        return (
            _as_number(block[name], name, f"{at}: sdrec") if block.get(name) is not None else np.nan
        )

    zenith, azimuth = (
        np.radians(_number(block, name, f"{at}: sdrec")) for name in ("theta", "phi")
    )
    return {
        "zenith": zenith,
        "azimuth": azimuth % (2 * np.pi),
        "core_x": optional("x"),
        "core_y": optional("y"),
        "s_ref": optional("s1000"),
        "energy": optional("energy"),
    }

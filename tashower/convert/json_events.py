"""JSON files of one event: HiSPARC coincidences, and the Pierre Auger Observatory's open data.

HiSPARC: stations with GPS positions, time stamps in s and ns, particle numbers (`mips`) of two or
    four detectors of 0.5 m^2.
Traces are left out: their absolute start is not kept, and their sign and unit differ between files.
Auger: stations with x, y, z [m], signal [VEM], time, saturation; field names are looked for under
    several names.
"""

import json
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from tashower.convert.assemble import Record, check_size
from tashower.errors import InputError
from tashower.types import FilePath

#: Area of a HiSPARC detector [m^2].
HISPARC_DETECTOR = 0.5
#: WGS84: semi-major axis [m] and squared eccentricity.
_AXIS, _ECCENTRICITY2 = 6378137.0, 6.69437999014e-3
#: Names under which a value is looked for.
_NAMES = {
    "station": ("number", "id", "stationid", "station"), "longitude": ("longitude", "lon"), "latitude": ("latitude", "lat"),
    "altitude": ("altitude", "alt"), "seconds": ("timestamp", "gps_time", "timeS", "time_s"),
    "nanoseconds": ("nanoseconds", "timeNS", "time_ns", "nanosecond"), "signal": ("signal", "totalSignal", "signal_vem"),
    "x": ("x", "x_m"), "y": ("y", "y_m"), "z": ("z", "z_m"), "saturated": ("saturated", "isLowGainSaturated", "lgsat", "sat"),
    "theta": ("theta", "zenith"), "phi": ("phi", "azimuth"), "stations": ("stations", "sdStations", "events"),
    "event": ("pk", "id", "sdid", "eventid"),
}  # fmt: skip


def read_json(path: FilePath) -> dict:
    """The content of a JSON file that is an object.

    Raises
    ------
    InputError : no such file, or something else.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: not JSON ({str(error).splitlines()[0][:100]})") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: not an event")
    return content


def _find(entry: dict, key: str, where: str, default=None):
    """Value under the first of the known names."""
    for name in _NAMES[key]:
        if name in entry:
            return entry[name]
    if default is None:
        raise InputError(f"{where}: no {key} (looked for {', '.join(_NAMES[key])})")
    return default


def _number(entry: dict, key: str, where: str, default=None) -> float:
    value = _find(entry, key, where, default)
    if isinstance(value, bool):
        return float(value)
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = np.nan
    if not np.isfinite(number):
        raise InputError(f"{where}: {key} = {str(value)[:40]!r} is not a number")
    return number


def _entries(content: dict, path) -> list[dict]:
    found = _find(content, "stations", str(path))
    if (
        not isinstance(found, list)
        or not found
        or not all(isinstance(entry, dict) for entry in found)
    ):
        raise InputError(f"{path}: its stations are not a list of objects")
    check_size(len(found), str(path))
    return found


def east_north_up(
    longitude: ArrayLike, latitude: ArrayLike, altitude: ArrayLike, origin: np.ndarray
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


def _times(entries, where) -> np.ndarray:
    """(n,) [ns] after the first, exact: seconds and nanoseconds are whole numbers of their own."""
    seconds = np.array([_number(e, "seconds", where, 0.0) for e in entries])
    nanoseconds = np.array([_number(e, "nanoseconds", where) for e in entries])
    time = (seconds - seconds.min()) * 1e9 + nanoseconds
    return time - time.min()


def read_hisparc(
    path: FilePath, content: dict
) -> tuple[Record, dict[int, tuple[float, float, float]]]:
    """(record, {station: (longitude, latitude [deg], altitude [m])}); signal: particles of all
    detectors together.
    """
    entries = _entries(content, path)
    stations, places, signals = [], {}, []
    for k, entry in enumerate(entries):
        where = f"{path}: station {k}"
        stations.append(int(_number(entry, "station", where)))
        places[stations[-1]] = tuple(
            _number(entry, key, where) for key in ("longitude", "latitude", "altitude")
        )
        mips = entry.get("mips")
        try:
            mips = np.array(mips, float)
            good = mips.ndim == 1 and len(mips) in (2, 4) and np.isfinite(mips).all()
        except (TypeError, ValueError):
            good = False
        if not good:
            raise InputError(f"{where}: mips are not two or four numbers")
        # As if all stations had four detectors, the area of which the array states.
        signals.append(mips.sum() * 4 / len(mips))
    n = len(entries)
    event = int(_number(content, "event", str(path), 0))
    record = Record(
        f"{path}: event {event}",
        event,
        np.array(stations),
        _times(entries, str(path)),
        signal=np.array(signals)[:, None],
        saturated=np.zeros(n, bool),
    )
    return record, places


def read_auger(
    path: FilePath, content: dict
) -> tuple[Record, dict[int, tuple[float, float, float]]]:
    """(record, {station: position [m]})."""
    entries = _entries(content, path)
    stations, places, signals, saturated = [], {}, [], []
    for k, entry in enumerate(entries):
        where = f"{path}: station {k}"
        stations.append(int(_number(entry, "station", where)))
        places[stations[-1]] = tuple(_number(entry, key, where) for key in ("x", "y")) + (
            _number(entry, "z", where, 0.0),
        )
        signals.append(_number(entry, "signal", where))
        saturated.append(_number(entry, "saturated", where, 0.0) > 0)
    event = int(_number(content, "event", str(path), 0))
    record = Record(
        f"{path}: event {event}",
        event,
        np.array(stations),
        _times(entries, str(path)),
        signal=np.array(signals)[:, None],
        saturated=np.array(saturated),
        standard=_auger_standard(content, str(path)),
    )
    return record, places


def _auger_standard(content: dict, path: str) -> dict:
    """What the block `sdrec` states: direction of origin [deg], core [m], S1000, energy [EeV];
    empty without it.
    """
    block = content.get("sdrec")
    if not isinstance(block, dict):
        return {}

    def optional(*names):
        value = next((block[name] for name in names if name in block), np.nan)
        return (
            float(value)
            if isinstance(value, int | float) and not isinstance(value, bool)
            else np.nan
        )

    zenith, azimuth = (
        np.radians(_number(block, name, f"{path}: sdrec")) for name in ("theta", "phi")
    )
    return {
        "zenith": zenith,
        "azimuth": azimuth % (2 * np.pi),
        "core_x": optional("x"),
        "core_y": optional("y"),
        "s800": optional("s1000"),
        "energy": optional("energy"),
    }

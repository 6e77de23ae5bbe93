"""From what a reader found, event by event, to Events on an array. Every check that all formats share is here."""

from dataclasses import dataclass, field

import numpy as np

from tashower.errors import InputError
from tashower.events.array import Array
from tashower.events.model import PARAMETERS, Events, Pulses, Reconstruction, Truth, concatenate_rows

#: More hits than this in an event are an error.
MOST_HITS = 20_000


@dataclass(frozen=True)
class Record:
    """One event as a reader found it; h hits, L layers (0 upper), T bins.

    Attributes
    ----------
    where : "FILE: event N", for messages
    event_id : number of the event
    station : (h,) station numbers, each once
    time : (h,) [ns], start of the waveform, or arrival time where there are no waveforms
    waveform, pedestal, counts_per_vem : (h, T, L) counts, (h, L), (h, L); None without waveforms
    signal, saturated : (h, L) [VEM], (h,) bool; used without waveforms
    dead : numbers of the stations out of service; those that the array does not have are left out
    truth : fields of Truth that are known
    standard : fields of Reconstruction that the file's own reconstruction states; empty where it has no result
    """

    where: str
    event_id: int
    station: np.ndarray
    time: np.ndarray
    waveform: np.ndarray | None = None
    pedestal: np.ndarray | None = None
    counts_per_vem: np.ndarray | None = None
    signal: np.ndarray | None = None
    saturated: np.ndarray | None = None
    dead: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    truth: dict | None = None
    standard: dict | None = None


def _index(record: Record, known: dict[int, int]) -> np.ndarray:
    """Indices into the array, checked."""
    n = len(record.station)
    if n > MOST_HITS:
        raise InputError(f"{record.where}: {n} hits")
    unknown = [int(s) for s in record.station if int(s) not in known]
    if unknown:
        raise InputError(f"{record.where}: station {unknown[0]} is not in the list of stations")
    index = np.array([known[int(s)] for s in record.station], np.int32)
    if len(np.unique(index)) < n:
        values, counts = np.unique(record.station, return_counts=True)
        raise InputError(f"{record.where}: station {values[counts > 1][0]} has two hits")
    if not np.isfinite(record.time).all():
        raise InputError(f"{record.where}: station {record.station[~np.isfinite(record.time)][0]}: its time is not a number")
    for name in ("pedestal", "counts_per_vem", "signal"):
        column = getattr(record, name)
        if column is not None and not np.isfinite(column).all():
            raise InputError(f"{record.where}: {name} is not a number")
    if record.counts_per_vem is not None and not (record.counts_per_vem > 0).all():
        raise InputError(f"{record.where}: counts per VEM that are not positive")
    return index


def _truth(records: list[Record]) -> Truth | None:
    """Truth of all events, NaN where not known; None where no event has any."""
    if not any(r.truth for r in records):
        return None
    rows = []
    for r in records:
        values = (
            dict.fromkeys(Truth.__dataclass_fields__, np.nan) | {"shower_id": r.event_id, "mass_number": 0} | (r.truth or {})
        )
        kinds = {"shower_id": np.int64, "mass_number": np.int16}
        rows.append(Truth(**{name: np.array([value], kinds.get(name, float)) for name, value in values.items()}))
    return concatenate_rows(rows)


def _standard(records: list[Record]) -> Reconstruction | None:
    """The reconstruction that came with the data, NaN where not known; None where no event has any."""
    if not any(r.standard for r in records):
        return None
    kinds = {"event_id": np.int64, "ndof": np.int32, "n_stations": np.int32, "n_excluded": np.int32, "flags": np.uint16}
    columns = {}
    for name in Reconstruction.__dataclass_fields__:
        nothing = 0 if name in kinds else np.nan
        columns[name] = np.array([(r.standard or {}).get(name, nothing) for r in records], kinds.get(name, float))
    columns["event_id"] = np.array([r.event_id for r in records], np.int64)
    columns["covariance"] = np.full((len(records), len(PARAMETERS), len(PARAMETERS)), np.nan)
    without = ~np.isfinite(columns["zenith"] + columns["azimuth"])
    columns["flags"] = without.astype(np.uint16)
    for name, column in columns.items():
        if name not in kinds:
            column[without] = np.nan
    return Reconstruction(**columns)


def _stacked(records, name, shape, kind):
    columns = [np.asarray(getattr(r, name), kind).reshape(-1, *shape) for r in records]
    return np.concatenate([np.zeros((0, *shape), kind), *columns])


def assemble(records: list[Record], array: Array) -> Events:
    """Events of these records. All have waveforms, or none has.

    Raises
    ------
    InputError : names file and event: unknown or doubled station, numbers that are none, waveforms of another shape than the array's.
    """
    known = {int(s): i for i, s in enumerate(array.station_id)}
    n_layers, n_bins = array.detector.n_layers, array.detector.n_bins
    with_waveforms = bool(records) and records[0].waveform is not None
    parts, orders, dead = [], [], []
    for record in records:
        index = _index(record, known)
        if (record.waveform is not None) != with_waveforms:
            raise InputError(f"{record.where}: some events have waveforms and some have not")
        if with_waveforms and np.asarray(record.waveform).shape[1:] != (n_bins, n_layers):
            found = "x".join(str(k) for k in np.asarray(record.waveform).shape[1:])
            raise InputError(f"{record.where}: waveforms of {found} bins and layers, where the array has {n_bins}x{n_layers}")
        order = np.argsort(index)
        orders.append(order)
        parts.append(index[order])
        dead.append(np.unique([known[int(s)] for s in record.dead if int(s) in known]).astype(np.int32))

    def offsets(lists):
        return np.concatenate([[0], np.cumsum([len(x) for x in lists])]).astype(np.int64)

    hit_offset = offsets(parts)
    n_hits = hit_offset[-1]
    flat = np.concatenate([np.zeros(0, np.int64), *(o + b for o, b in zip(orders, hit_offset[:-1], strict=True))]).astype(int)
    time = _stacked(records, "time", (), float)[flat]
    columns = {"waveform": None, "pedestal": None, "counts_per_vem": None, "pulses": None}
    if with_waveforms:
        columns["waveform"] = _stacked(records, "waveform", (n_bins, n_layers), np.uint16)[flat]
        for name in ("pedestal", "counts_per_vem"):
            columns[name] = _stacked(records, name, (n_layers,), np.float32)[flat]
    else:
        columns["pulses"] = Pulses(
            arrival_time=time.copy(), signal=_stacked(records, "signal", (n_layers,), float)[flat],
            saturated=_stacked(records, "saturated", (), bool)[flat], n_peaks=np.zeros((n_hits, n_layers), np.int16),
            area_over_peak=np.full(n_hits, np.nan),
        )  # fmt: skip
    return Events(
        array=array, event_id=np.array([r.event_id for r in records], np.int64), hit_offset=hit_offset,
        hit_station=np.concatenate([np.zeros(0, np.int32), *parts]).astype(np.int32), hit_time=time,
        dead_offset=offsets(dead), dead_station=np.concatenate([np.zeros(0, np.int32), *dead]).astype(np.int32),
        truth=_truth(records), standard=_standard(records), **columns,
    )  # fmt: skip

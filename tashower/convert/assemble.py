"""From what a reader found to Events on an array. Every check that all formats share is here."""

import logging
from dataclasses import MISSING, dataclass, field, fields, replace

import numpy as np
from numpy.typing import ArrayLike

from tashower.convert.times import undo_wraps
from tashower.errors import InputError
from tashower.events.array import Array
from tashower.events.model import PARAMETERS, Events, Pulses, Reconstruction, Truth

_LOG = logging.getLogger(__name__)
#: More hits than this in an event are an error.
MOST_HITS = 20_000
#: No signal [VEM], pedestal or gain [counts] is larger than this (choice); the largest showers give
#: 1e5 VEM.
LARGEST = 1e12


@dataclass(frozen=True)
class Record:
    """One event as a reader found it; h hits, L layers (0 upper), T bins.

    Attributes
    ----------
    where : "FILE: event N", for messages
    event_id : number of the event
    station : (h,) station numbers, each once
    time : (h,) [ns], start of the waveform, or arrival time where there are no waveforms
    waveform, pedestal, counts_per_vem : (h, T, L) counts, uint16 or where they are not whole
        float32, (h, L), (h, L); None without waveforms
    signal : (h, L) [VEM]; used without waveforms
    saturated : (h,) bool; None where only the waveforms say it
    rejected : (h,) bool, hits that are no measurement, whose numbers may be anything; None: none
    dead : numbers of the stations out of service; those that the array does not have are left out
    truth : fields of Truth that are known
    standard : fields of Reconstruction that the file's own reconstruction states; empty where it
        has no result
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
    rejected: np.ndarray | None = None
    dead: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    truth: dict | None = None
    standard: dict | None = None


@dataclass(frozen=True)
class Batch:
    """Many events as a reader found them: the fields of `Record`, one after the other; event i has
    hits offset[i]:offset[i + 1]. pedestal_rms : (h, L) counts per bin, 0: not stated; None: of no
    hit.
    """

    where: list[str]
    event_id: np.ndarray
    offset: np.ndarray
    station: np.ndarray
    time: np.ndarray
    dead_offset: np.ndarray
    dead: np.ndarray
    waveform: np.ndarray | None = None
    pedestal: np.ndarray | None = None
    counts_per_vem: np.ndarray | None = None
    signal: np.ndarray | None = None
    saturated: np.ndarray | None = None
    rejected: np.ndarray | None = None
    pedestal_rms: np.ndarray | None = None
    truth: Truth | None = None
    standard: Reconstruction | None = None


def offsets_of(lengths: ArrayLike) -> np.ndarray:
    """(n + 1,) int64: where the lists of these lengths begin and end."""
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def empty_truth(event_id: np.ndarray) -> Truth:
    """Truth of which nothing is known: NaN, mass number 0, every event a shower of its own."""
    columns = {f.name: np.full(len(event_id), np.nan) for f in fields(Truth)}
    columns |= {
        "shower_id": np.array(event_id, np.int64),
        "mass_number": np.zeros(len(event_id), np.int16),
    }
    return Truth(**columns)


def empty_standard(event_id: np.ndarray) -> Reconstruction:
    """The reconstruction of events that came with none: all invalid."""
    n = len(event_id)
    kinds = {"ndof": np.int32, "n_stations": np.int32, "n_excluded": np.int32}
    columns = {
        f.name: np.zeros(n, kinds[f.name]) if f.name in kinds else np.full(n, np.nan)
        for f in fields(Reconstruction)
        if f.default is MISSING
    }
    columns["event_id"], columns["flags"] = np.array(event_id, np.int64), np.ones(n, np.uint16)
    columns["covariance"] = np.full((n, len(PARAMETERS), len(PARAMETERS)), np.nan)
    return Reconstruction(**columns)


def _fits(value, kind: np.dtype) -> bool:
    """Whether a number is whole and small enough for a kind of whole numbers."""
    limits = np.iinfo(kind)
    return bool(limits.min <= value <= limits.max and value == np.floor(value))


def _truth(records: list[Record], event_id) -> Truth | None:
    """Truth of all events, NaN where not known; None where no event has any."""
    if not any(r.truth for r in records):
        return None
    table = empty_truth(event_id)
    for i, record in enumerate(records):
        for name, value in (record.truth or {}).items():
            column = getattr(table, name)
            # What is no whole number, or too large, must not become one.
            if column.dtype.kind == "i" and not _fits(value, column.dtype):
                raise InputError(
                    f"{record.where}: true {name} is {str(value)[:24]}, which it cannot be"
                )
            column[i] = value
    return table


def _standard(records: list[Record], event_id) -> Reconstruction | None:
    """The reconstruction that came with the data, NaN where not known; None: no event has any."""
    if not any(r.standard for r in records):
        return None
    table = empty_standard(event_id)
    for i, record in enumerate(records):
        stated = record.standard or {}
        if np.isfinite(stated.get("zenith", np.nan) + stated.get("azimuth", np.nan)):
            table.flags[i] = 0
            for name, value in stated.items():
                getattr(table, name)[i] = value
    return table


def _joined(records, name, kind):
    columns = [getattr(r, name) for r in records]
    if columns[0] is None:
        return None
    if kind is None:
        return np.concatenate(columns)
    return np.concatenate([np.asarray(column, kind) for column in columns])


def batch_of(records: list[Record], array: Array) -> Batch:
    """`Batch` of these records. All have waveforms, or none has.

    Raises
    ------
    InputError : names file and event: some with and some without, waveforms of another shape than
        the array's.
    """
    shape = (array.detector.n_bins, array.detector.n_layers)
    if not records:
        nothing = np.zeros(0, np.int64)
        none = np.zeros((0, shape[1]))
        return Batch(
            [],
            nothing,
            offsets_of([]),
            nothing,
            none[:, 0],
            offsets_of([]),
            nothing,
            signal=none,
            saturated=none[:, 0] > 0,
        )
    with_waveforms = records[0].waveform is not None
    for record in records:
        if (record.waveform is not None) != with_waveforms:
            raise InputError(f"{record.where}: some events have waveforms and some have not")
        if with_waveforms and np.asarray(record.waveform).shape[1:] != shape:
            found = "x".join(str(k) for k in np.asarray(record.waveform).shape[1:])
            raise InputError(
                f"{record.where}: waveforms of {found} bins and layers, where the array has "
                f"{shape[0]}x{shape[1]}"
            )
        check_size(len(record.station), record.where)
    event_id = np.array([r.event_id for r in records], np.int64)
    kinds = {
        "waveform": None,  # as they are
        "pedestal": float,
        "counts_per_vem": float,
        "signal": float,
        "saturated": bool,
        "rejected": bool,
    }
    return Batch(
        [r.where for r in records],
        event_id,
        offsets_of([len(r.station) for r in records]),
        _joined(records, "station", np.int64),
        _joined(records, "time", float),
        offsets_of([len(r.dead) for r in records]),
        _joined(records, "dead", np.int64),
        truth=_truth(records, event_id),
        standard=_standard(records, event_id),
        **{name: _joined(records, name, kind) for name, kind in kinds.items()},
    )


def check_size(n_hits: int, where: str) -> None:
    """Refuse an event of more hits than an array has stations."""
    if n_hits > MOST_HITS:
        raise InputError(f"{where}: {n_hits} hits: more than {MOST_HITS}")


def _check_numbers(batch: Batch, event: np.ndarray) -> None:
    """Refuse what is not a number; event: (h,) event of each hit."""

    measured = True if batch.rejected is None else ~batch.rejected

    def refuse(bad, text):
        if bad.any():
            first = int(np.flatnonzero(bad)[0])
            raise InputError(f"{batch.where[event[first]]}: station {batch.station[first]}: {text}")

    refuse(~np.isfinite(batch.time), "its time is not a number")
    for name in ("pedestal", "counts_per_vem", "signal"):
        column = getattr(batch, name)
        if column is not None:
            refuse(measured & ~np.isfinite(column).all(axis=1), f"{name} is not a number")
            large = (np.abs(column) > LARGEST).any(axis=1)
            refuse(measured & large, f"{name} is larger than {LARGEST:g}")
    if batch.counts_per_vem is not None:
        positive = (batch.counts_per_vem > 0).all(axis=1)
        refuse(measured & ~positive, "counts per VEM that are not positive")


def _indices(numbers, array: Array) -> np.ndarray:
    """Index of each station number in the array, -1 where it has none."""
    if not array.n_stations:
        return np.full(len(numbers), -1, np.int32)
    order = np.argsort(array.station_id)
    place = np.minimum(np.searchsorted(array.station_id[order], numbers), array.n_stations - 1)
    return np.where(array.station_id[order][place] == numbers, order[place], -1).astype(np.int32)


def assemble(batch: Batch | list[Record], array: Array) -> Events:
    """Events of what a reader found, hits in the order of the array's stations.

    Raises
    ------
    InputError : names file and event: unknown or doubled station, numbers that are none.
    """
    if isinstance(batch, list):
        batch = batch_of(batch, array)
    n_events, length = len(batch.event_id), np.diff(batch.offset)
    if n_events:
        check_size(int(length.max()), batch.where[int(length.argmax())])
    event = np.repeat(np.arange(n_events), length)
    index = _indices(batch.station, array)
    if (index < 0).any():
        first = int(np.flatnonzero(index < 0)[0])
        raise InputError(
            f"{batch.where[event[first]]}: station {batch.station[first]} is not in the list of "
            "stations"
        )
    order = np.lexsort((index, event))
    index = index[order]
    twice = (np.diff(index) == 0) & (np.diff(event) == 0)
    if twice.any():
        first = int(np.flatnonzero(twice)[0])
        raise InputError(
            f"{batch.where[event[first]]}: station {array.station_id[index[first]]} has two hits"
        )
    _check_numbers(batch, event)
    time, wrapped = undo_wraps(batch.time, event, n_events)
    if len(wrapped):
        _LOG.warning(
            "%s: %d events cross the border of a second, in which the nanoseconds begin again; "
            "their earlier hits are moved back by one second",
            batch.where[wrapped[0]],
            len(wrapped),
        )
    dead_event = np.repeat(np.arange(n_events), np.diff(batch.dead_offset))
    dead = np.unique(
        np.stack([dead_event, _indices(batch.dead, array)], axis=1), axis=0
    )  # sorted, each once
    dead = dead[dead[:, 1] >= 0]
    if (np.diff(order) == 1).all():
        order = slice(None)  # nothing to sort
    columns = {"waveform": None, "pedestal": None, "counts_per_vem": None, "pulses": None}
    columns["rejected"] = None if batch.rejected is None else batch.rejected[order]
    if batch.pedestal_rms is not None:
        columns["pedestal_rms"] = batch.pedestal_rms[order].astype(np.float32)
    if batch.waveform is not None:
        columns["waveform"] = batch.waveform[order]
        for name in ("pedestal", "counts_per_vem"):
            columns[name] = getattr(batch, name)[order].astype(np.float32)
        columns["saturated"] = None if batch.saturated is None else batch.saturated[order]
    else:
        columns["pulses"] = Pulses(
            arrival_time=time[order].copy(),
            signal=batch.signal[order],
            saturated=batch.saturated[order],
            n_peaks=np.zeros(batch.signal.shape, np.int16),
            area_over_peak=np.full(len(index), np.nan),
        )
    return Events(
        array=array,
        event_id=batch.event_id,
        hit_offset=batch.offset,
        hit_station=index,
        hit_time=time[order],
        dead_offset=offsets_of(np.bincount(dead[:, 0], minlength=n_events)),
        dead_station=dead[:, 1].astype(np.int32),
        truth=batch.truth,
        standard=batch.standard,
        **columns,
    )


def with_tables(events: Events) -> Events:
    """The events with a truth and a standard reconstruction, of which nothing is known where they
    had none.
    """
    return replace(
        events,
        truth=events.truth or empty_truth(events.event_id),
        standard=events.standard or empty_standard(events.event_id),
    )


def without_empty_tables(events: Events) -> Events:
    """The events without a truth or a standard reconstruction in which no event has anything."""

    def used(table):
        return (
            table if table is not None and np.isfinite([table.energy, table.zenith]).any() else None
        )

    return replace(events, truth=used(events.truth), standard=used(events.standard))

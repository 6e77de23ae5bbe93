"""What an event, its pulses and its reconstruction are: plain arrays in frozen dataclasses.

Hits are a list: those of event i stand at `hit_offset[i]:hit_offset[i + 1]`, in the order of the
stations. Missing values are NaN, never 0. Times are in ns relative to a reference time of each
event that has no physical meaning.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from tashower.events import flat
from tashower.events.array import Array, description_of
from tashower.physics.description import Expected, expected, parameters_at

if TYPE_CHECKING:
    import pandas

#: The seven parameters of the joint fit, in the order of every covariance matrix.
PARAMETERS = ("core_x", "core_y", "zenith", "azimuth", "s_ref", "t0", "curvature")
#: Units of PARAMETERS.
PARAMETER_UNITS = ("m", "m", "rad", "rad", "VEM/m^2", "ns", "ns")

#: Quality flags of a reconstruction: bit number -> name. A set bit says that the event FAILS the
#: cut.
FLAGS = (
    "invalid",  # no plausible result: fit degenerate or not converged; every parameter is NaN
    "few_stations",
    "bad_chi2",
    "zenith",
    "border",
    "pointing_error",
    "s800_error",
    "silent_rejected",  # a silent station that no model believes: perhaps out of service, unlisted
    "curvature",  # not positive, or far from that of any simulated shower
    "extrapolated",  # the energy lies beyond the events that made the energy table
    "silence",  # the result expects more where nothing was seen than the cut on chi2 allows
    "left_out",  # too much signal lies outside of the cluster that was fitted
    "few_points",  # too few of the points of a posterior carry its weight
    "outside_domain",  # unlike the events that the network was trained on
)


@dataclass(frozen=True)
class Truth:
    """True shower parameters, one row per event; shapes (n_events,)."""

    shower_id: np.ndarray  #: int64; the same shower may be thrown at several cores: split by this
    mass_number: np.ndarray  #: int16
    energy: np.ndarray  #: [EeV]
    zenith: np.ndarray  #: [rad]
    azimuth: np.ndarray  #: [rad], counter-clockwise from east, where the shower comes from
    core_x: np.ndarray  #: [m]
    core_y: np.ndarray  #: [m]
    t0: np.ndarray  #: [ns], passage of the front through the core
    xmax: np.ndarray  #: [g/cm^2]
    muon_scale: (
        np.ndarray
    )  #: muon content relative to the mean proton shower of that energy and zenith
    s_ref: np.ndarray  #: [VEM/m^2] of this shower
    slope: np.ndarray  #: eta of the lateral distribution of this shower
    curvature: (
        np.ndarray
    )  #: a [ns] with which `shower_front.front_delay` gives this shower's mean leading edge at 1 km
    muon_share: np.ndarray  #: muon share of S800
    front_scale: np.ndarray  #: delays of the particles relative to a mean vertical shower


@dataclass(frozen=True)
class Pulses:
    """What `reconstruction.pulses` finds in the waveforms, one row per hit."""

    arrival_time: (
        np.ndarray
    )  #: (n_hits,) [ns] leading edge, mean of the layers; NaN where there is none
    signal: np.ndarray  #: (n_hits, n_layers) [VEM], integral of the pulse; 0 where there is none
    saturated: np.ndarray  #: (n_hits,) bool
    n_peaks: np.ndarray  #: (n_hits, n_layers) int16
    area_over_peak: (
        np.ndarray
    )  #: (n_hits,) [ns], integral over maximum, mean of the layers; NaN without a pulse


@dataclass(frozen=True)
class Events:
    """A set of events on one array."""

    array: Array
    event_id: np.ndarray  #: (n_events,) int64
    hit_offset: np.ndarray  #: (n_events + 1,) int64, starts at 0
    hit_station: np.ndarray  #: (n_hits,) int32, index into the array, increasing within an event
    hit_time: np.ndarray  #: (n_hits,) float64 [ns], start of the waveform's first bin
    #: (n_hits, n_bins, n_layers) uint16, counts as digitised, or float32 where they are not whole
    waveform: np.ndarray | None
    pedestal: np.ndarray | None  #: (n_hits, n_layers) float32, counts per bin
    counts_per_vem: (
        np.ndarray | None
    )  #: (n_hits, n_layers) float32, integrated counts per VEM, as monitored
    dead_offset: np.ndarray  #: (n_events + 1,) int64: stations out of service, a list like the hits
    dead_station: np.ndarray  #: (n_dead,) int32, index into the array
    pulses: Pulses | None = None  #: for data that come without waveforms
    truth: Truth | None = None  #: for simulated events
    standard: "Reconstruction | None" = None  #: that came with the data, made by other software
    #: (n_hits,) bool, hits that came as saturated beside their waveforms
    saturated: np.ndarray | None = None
    #: (n_hits,) bool, hits that the experiment says are no measurement: kept, and used by nothing
    rejected: np.ndarray | None = None
    #: (n_hits, n_layers) float32, monitored rms of the pedestal [counts per bin], where the data
    #: state it; 0 or NaN: that of the detector
    pedestal_rms: np.ndarray | None = None

    @property
    def n_events(self) -> int:
        """Number of events."""
        return len(self.event_id)

    @property
    def n_hits(self) -> int:
        """Number of hits of all events."""
        return len(self.hit_station)

    @property
    def hit_event(self) -> np.ndarray:
        """(n_hits,) index of the event that each hit belongs to."""
        return np.repeat(np.arange(self.n_events), np.diff(self.hit_offset))

    def __len__(self) -> int:
        return self.n_events

    def __getitem__(self, which: "int | slice | np.ndarray | list") -> "Events":
        """One event (an integer), or those of a slice, a mask or an index array: always Events."""
        return select_events(self, _chosen(which, self.n_events))

    def __iter__(self) -> "Iterator[Events]":
        """The events, one by one, each as Events of length 1."""
        return (self[i] for i in range(self.n_events))

    def __repr__(self) -> str:
        array = self.array
        lattice = "irregular" if array.kind == "irregular" else f"{array.kind}, {array.spacing:g} m"
        parts = [
            flat.counted(self.n_events, "event"),
            flat.counted(self.n_hits, "hit"),
            f"{array.n_stations} stations ({lattice})",
            "no waveforms"
            if self.waveform is None
            else f"waveforms of {self.waveform.shape[1]} bins x {self.waveform.shape[2]} layers",
            *(["pulses"] if self.pulses is not None else []),
            "no truth" if self.truth is None else "truth",
            *(["standard reconstruction"] if self.standard is not None else []),
        ]
        return f"<Events: {', '.join(parts)}>"

    def hits_to_structured(self, pulses: Pulses | None = None) -> np.ndarray:
        """The hits as a numpy structured array; its columns: `tashower.events.flat`.

        pulses : of the hits, as `find_pulses` gives them; None: those that the events came with
        """
        return flat.structured(flat.hit_columns(self, pulses))

    def hits_to_pandas(self, pulses: Pulses | None = None) -> "pandas.DataFrame":
        """The hits as a pandas table, else as `hits_to_structured`.

        Raises
        ------
        ImportError : pandas is not installed.
        """
        return flat.data_frame(flat.hit_columns(self, pulses))


@dataclass(frozen=True)
class Reconstruction:
    """A reconstruction of every event, whoever made it (fit or network); shapes (n_events,) unless
    said.
    """

    event_id: np.ndarray  #: int64
    core_x: np.ndarray  #: [m]; NaN where invalid, as all parameters
    core_y: np.ndarray  #: [m]
    zenith: np.ndarray  #: [rad]
    azimuth: np.ndarray  #: [rad]
    s_ref: np.ndarray  #: [VEM/m^2]
    t0: np.ndarray  #: [ns]
    curvature: np.ndarray  #: [ns]
    energy: np.ndarray  #: [EeV]
    energy_error: np.ndarray  #: [EeV], of measurement and showers; NaN where not known
    covariance: np.ndarray  #: (n_events, 7, 7) in the order of PARAMETERS; NaN where not known
    chi2: np.ndarray
    ndof: np.ndarray  #: int32
    n_stations: np.ndarray  #: int32, stations with a signal that the fit used
    n_excluded: np.ndarray  #: int32, stations that the fit rejected
    flags: np.ndarray  #: uint16, bits as in FLAGS
    #: Depth of the maximum [g/cm^2] and ln of the primary's mass number, with errors; NaN where not
    #: known, None of methods that say nothing of them
    xmax: np.ndarray | None = None
    xmax_error: np.ndarray | None = None
    ln_a: np.ndarray | None = None
    ln_a_error: np.ndarray | None = None

    @property
    def valid(self) -> np.ndarray:
        """(n_events,) bool: there is a result."""
        return (self.flags & 1) == 0

    @property
    def passes_cuts(self) -> np.ndarray:
        """(n_events,) bool: no quality flag is set."""
        return self.flags == 0

    def of_mass(self, name: str) -> np.ndarray:
        """(n_events,) column xmax, xmax_error, ln_a or ln_a_error; NaN of a method without it."""
        column = getattr(self, name)
        return np.full(len(self), np.nan) if column is None else column

    @property
    def says_mass(self) -> bool:
        """Whether the method says anything of Xmax or of the mass."""
        return self.xmax is not None or self.ln_a is not None

    def __len__(self) -> int:
        return len(self.event_id)

    def __getitem__(self, which: "int | slice | np.ndarray | list") -> "Reconstruction":
        """That of one event (an integer), or of a slice, a mask or an index array of them."""
        return select_rows(self, _chosen(which, len(self)))

    def __iter__(self) -> "Iterator[Reconstruction]":
        """The reconstructions of the events, one by one, each of length 1."""
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        parts = [
            flat.counted(len(self), "event"),
            f"{self.valid.sum():,} valid",
            f"{self.passes_cuts.sum():,} pass the cuts",
        ]
        columns = {
            "energy {:.3g} EeV": self.energy,
            "zenith {:.1f} deg": np.degrees(self.zenith),
            "size {:.3g} VEM/m^2": self.s_ref,
        }
        known = {text: c[np.isfinite(c)] for text, c in columns.items()}
        medians = [text.format(np.median(c)) for text, c in known.items() if len(c)]
        text = f"; medians: {', '.join(medians)}" if medians else ""
        return f"<Reconstruction: {', '.join(parts)}{text}>"

    def to_structured(self) -> np.ndarray:
        """One row per event as a numpy structured array; its columns: `tashower.events.flat`."""
        return flat.structured(flat.reconstruction_columns(self))

    def to_pandas(self) -> "pandas.DataFrame":
        """One row per event as a pandas table, with errors in place of the covariance.

        Raises
        ------
        ImportError : pandas is not installed.
        """
        return flat.data_frame(flat.with_errors(flat.reconstruction_columns(self), PARAMETERS))


#: A table with one row per event or hit.
Table = TypeVar("Table", Truth, Pulses, Reconstruction)


def _chosen(which, n: int) -> np.ndarray:
    """Indices among n rows of what stands between brackets."""
    if isinstance(which, int | np.integer) and not isinstance(which, bool | np.bool_):
        if not -n <= which < n:
            raise IndexError(f"no row {which}: there are {n}, counted from 0")
        which = [which]
    rows = np.arange(n)[which]
    if rows.ndim != 1:
        raise IndexError("rows are chosen by an integer, a slice, a mask or a list of indices")
    return rows


def _select_list(offset, *columns, rows):
    length = np.diff(offset)[rows]
    new_offset = np.concatenate([[0], np.cumsum(length)]).astype(np.int64)
    index = np.repeat(offset[:-1][rows] - new_offset[:-1], length) + np.arange(new_offset[-1])
    return new_offset, *(None if c is None else c[index] for c in columns)


def select_rows(table: Table, rows: np.ndarray | slice) -> Table:
    """The given rows (index array or mask) of a Truth, Pulses or Reconstruction."""
    columns = {f.name: getattr(table, f.name) for f in fields(table)}
    return replace(
        table, **{n: column[rows] for n, column in columns.items() if column is not None}
    )


def select_events(events: Events, rows: np.ndarray | slice) -> Events:
    """The given events (index array or mask), in that order, with their hits."""
    rows = np.arange(events.n_events)[rows]
    hit_offset, index = _select_list(events.hit_offset, np.arange(events.n_hits), rows=rows)
    dead_offset, dead_station = _select_list(events.dead_offset, events.dead_station, rows=rows)

    def take(column):
        return None if column is None else column[index]

    return replace(
        events,
        event_id=events.event_id[rows],
        hit_offset=hit_offset,
        hit_station=events.hit_station[index],
        hit_time=events.hit_time[index],
        waveform=take(events.waveform),
        pedestal=take(events.pedestal),
        counts_per_vem=take(events.counts_per_vem),
        saturated=take(events.saturated),
        rejected=take(events.rejected),
        pedestal_rms=take(events.pedestal_rms),
        dead_offset=dead_offset,
        dead_station=dead_station,
        pulses=None if events.pulses is None else select_rows(events.pulses, index),
        truth=None if events.truth is None else select_rows(events.truth, rows),
        standard=None if events.standard is None else select_rows(events.standard, rows),
    )


def _concatenate(parts):
    return None if parts[0] is None else np.concatenate(parts)


def concatenate_rows(tables: Sequence[Table | None]) -> Table | None:
    """One table from several of the same kind (Truth, Pulses or Reconstruction); None if they are
    None.
    """
    if tables[0] is None:
        return None
    return replace(
        tables[0],
        **{f.name: _concatenate([getattr(t, f.name) for t in tables]) for f in fields(tables[0])},
    )


def concatenate_events(parts: list[Events]) -> Events:
    """One set of events from several on the same array.

    Raises
    ------
    ValueError : no parts, or arrays that differ.
    """
    if not parts:
        raise ValueError("concatenate_events: nothing to concatenate")
    first = parts[0]
    for part in parts[1:]:
        same = part.array.detector == first.array.detector and np.array_equal(
            part.array.position, first.array.position
        )
        if not same:
            raise ValueError("concatenate_events: the parts were measured with different arrays")

    def offsets(name):
        lengths = np.concatenate([np.diff(getattr(p, name)) for p in parts])
        return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)

    columns = (
        "event_id",
        "hit_station",
        "hit_time",
        "waveform",
        "pedestal",
        "counts_per_vem",
        "saturated",
        "rejected",
        "pedestal_rms",
        "dead_station",
    )
    return replace(
        first,
        hit_offset=offsets("hit_offset"),
        dead_offset=offsets("dead_offset"),
        pulses=concatenate_rows([p.pulses for p in parts]),
        truth=concatenate_rows([p.truth for p in parts]),
        standard=concatenate_rows([p.standard for p in parts]),
        **{name: _concatenate([getattr(p, name) for p in parts]) for name in columns},
    )


def pulls(reconstruction: Reconstruction, truth: Truth) -> np.ndarray:
    """(n_events, 7) of (fitted - true) / error for PARAMETERS; NaN where invalid."""
    result = np.empty((len(reconstruction.event_id), len(PARAMETERS)))
    for i, name in enumerate(PARAMETERS):
        difference = getattr(reconstruction, name) - getattr(truth, name)
        if name == "azimuth":
            difference = (difference + np.pi) % (2.0 * np.pi) - np.pi
        result[:, i] = difference / np.sqrt(reconstruction.covariance[:, i, i])
    return result


def expected_at_hits(shower: Truth | Reconstruction, events: Events) -> Expected:
    """What the formulas put at every hit for the shower of its event: (n_hits,) columns.

    shower : one row per event. The lateral distribution has the mean slope of its zenith; distances
    are from the axis. NaN where the shower has no result.
    """
    position = events.array.position[events.hit_station]
    return expected(parameters_at(shower, events.hit_event), position, description_of(events.array))

"""Events as tiles for a generator: what is known of a shower, and what the stations around its core
saw of it.

A tile is that of the networks (`network.tiles`), around the true core. A cell holds whether the
station has a hit, when, and the light of its waveform in cells of time that grow wider: 20 ns where
pulses rise, more where only late particles come.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tashower.errors import InputError
from tashower.events.array import Array, description_of, lattice_heading
from tashower.events.model import Events, Truth
from tashower.network.tiles import (
    Place,
    core_in_lattice,
    in_lattice_frame,
    place_tiles,
    working_cells,
)
from tashower.physics.description import SOFTENING, Expected, ShowerParameters, expected
from tashower.physics.geometry import axis_components, distance_along_axis
from tashower.physics.station import reduced_time
from tashower.types import FilePath

#: What a tile is generated for: columns of the truth that must be known.
CONDITION = ("energy", "zenith", "azimuth", "core_x", "core_y", "xmax", "muon_scale")
#: The same as numbers of order 1; core: from the middle of the tile [spacings].
EVENT_CONDITION = (
    *("log_energy", "secant", "axis_x", "axis_y"),
    *("core_x", "core_y", "xmax", "log_muon_scale"),
)
#: What is known of a cell: a station works there; ln of the signal [VEM] that a mean shower has
#: there, and the reduced time of its front; ln of the distance to the axis [km]; place along the
#: axis, early to late [km]; place on the ground from the core [spacings].
STATION_CONDITION = ("working", "log_expected", "time", "log_distance", "along", "x", "y")
#: Least ln of an expected signal that is told apart (choice: three particles in a thousand such
#: stations).
LEAST_LOG_SIGNAL = -5.0
#: Latest reduced time of a mean shower's front that is told apart (choice: a part in a thousand of
#: hits come later).
LATEST_TIME = 5.0
#: Bins that are light: within so many of one that is above the pedestal by so many times the noise
#: (choices).
LIT_SIGMA, LIT_AROUND = 4.0, 3
#: Cells of time: first before the usual onset [bins], then (cells, bins in each); what is left, in
#: at most so many (choices).
BEFORE, CELLS, LAST_CELLS = 5, ((14, 1), (7, 2), (5, 4)), 6
#: Scale of the light [VEM in a cell] below which it counts linearly, beyond in its logarithm
#: (choice: a seventh of a particle's).
LIGHT_SCALE = 0.1
#: Hits of the shower: their onset lies so long after the plane front [ns]; others are background
#: (choices).
EARLIEST, LATEST = -500.0, 6000.0
_ROWS = 20_000


@dataclass(frozen=True)
class TileSample:
    """Tiles of a set of events; C cells of time, L layers.

    Attributes
    ----------
    condition : (n, 8) float32, EVENT_CONDITION
    maps : (n, N, N, 7) float32, STATION_CONDITION; 0 where there is no station
    hit_event, hit_cell : (h,) int64, index of the event and of the cell (row-major)
    time : (h,) float32, reduced time (`physics.station`) of the hit's onset for a delay scale of 1
    light : (h, C, L) float16, asinh(VEM/LIGHT_SCALE) of the light in every cell of time
    """

    condition: np.ndarray
    maps: np.ndarray
    hit_event: np.ndarray
    hit_cell: np.ndarray
    time: np.ndarray
    light: np.ndarray

    def __len__(self) -> int:
        return len(self.condition)


class Known(NamedTuple):
    """What is learned of a sample before any network is, and kept with it."""

    size: np.ndarray  #: (8,) coefficients of ln S_ref (`size_terms`)
    curvature: np.ndarray  #: (8,) ... and of ln of the curvature
    lead: int  #: bins of a waveform before the usual onset
    edges: np.ndarray  #: (C + 1,) int, edges of the cells of time [bins]


def check_truth(truth: Truth | None, where: FilePath | str) -> Truth:
    """The truth, if it says what a tile is generated for.

    Raises
    ------
    InputError : there is none, or it does not know a column of CONDITION.
    """
    if truth is None:
        raise InputError(f"{where}: no truth: a generator needs {', '.join(CONDITION)}")
    unknown = [name for name in CONDITION if not np.isfinite(getattr(truth, name)).all()]
    if unknown:
        raise InputError(f"{where}: the truth does not know {', '.join(unknown)} of every event")
    return truth


def size_terms(truth: Truth) -> np.ndarray:
    """(n, 8) terms that ln of size and curvature are linear in."""
    e, s = np.log(truth.energy / 10.0), 1.0 / np.cos(truth.zenith) - 1.0
    m, x = np.log(np.maximum(truth.muon_scale, 0.05)), truth.xmax / 100.0 - 7.5
    return np.stack([np.ones_like(e), e, s, s * s, e * s, x, m, m * s], axis=1)


def time_cells(n_bins: int, lead: int) -> np.ndarray:
    """Edges [bins] of the cells of time of a waveform, from BEFORE bins before the onset at `lead`
    to its end.
    """
    edges = [max(lead - BEFORE, 0)]
    for cells, width in CELLS:
        edges += [edges[-1] + width * (i + 1) for i in range(cells)]
    edges = [edge for edge in edges if edge <= n_bins]
    left = n_bins - edges[-1]
    parts = min(LAST_CELLS, max(left // CELLS[-1][1], int(left > 0)))
    more = edges[-1] + np.rint(left * (np.arange(parts) + 1) / max(parts, 1)).astype(int)
    return np.array([*edges, *more], dtype=np.int64)


def lit(vem: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Waveforms (h, T, L) [VEM per bin] where there is light, 0 elsewhere; noise (h, L) [VEM], its
    rms in a bin.
    """
    above = vem > LIT_SIGMA * noise[:, None]
    wide = above.copy()
    for step in range(1, LIT_AROUND + 1):
        wide[:, step:] |= above[:, :-step]
        wide[:, :-step] |= above[:, step:]
    return np.where(wide, vem, 0.0)


def _vem(events: Events, rows: np.ndarray) -> np.ndarray:
    """Lit waveforms of hits [VEM per bin]."""
    per_vem = events.counts_per_vem[rows]
    vem = (events.waveform[rows] - events.pedestal[rows, None]) / per_vem[:, None]
    return lit(vem, events.array.detector.noise_counts / per_vem)


def _with_waveforms(events: Events, where: FilePath | str) -> Events:
    if events.waveform is None:
        raise InputError(f"{where}: no waveforms to learn from")
    return events


def know(events: Events, where: FilePath | str = "events") -> Known:
    """`Known` of events with a truth.

    Raises
    ------
    InputError : no truth or one with gaps, no waveforms, no hits.
    """
    truth = check_truth(_with_waveforms(events, where).truth, where)
    logs = np.log(np.stack([truth.s_ref, truth.curvature], axis=1))
    if not np.isfinite(logs).all() or not events.n_hits:
        raise InputError(f"{where}: no hits, or events without a true s_ref and curvature")
    mean = np.linalg.lstsq(size_terms(truth), logs, rcond=None)[0]
    light = _vem(events, np.arange(min(events.n_hits, _ROWS))).max(axis=2)
    lead = int(np.median(np.argmax(light > 0.0, axis=1))) + LIT_AROUND
    return Known(*mean.T, lead, time_cells(events.array.detector.n_bins, lead))


class Around(NamedTuple):
    """Tiles without hits: what is known of every event and cell."""

    place: Place
    condition: np.ndarray  #: as of `TileSample`
    maps: np.ndarray
    expected: Expected  #: (n, N, N) of the mean shower, of t0 = 0; NaN nowhere


def mean_shower(truth: Truth, known: Known) -> ShowerParameters:
    """The shower of mean size and curvature with this energy, direction, Xmax and muon scale; t0 is
    0.
    """
    terms, t0 = size_terms(truth), np.zeros(len(truth.zenith))
    place = truth.zenith, truth.azimuth, truth.core_x, truth.core_y
    return ShowerParameters(*place, np.exp(terms @ known.size), t0, np.exp(terms @ known.curvature))


def look_around(events: Events, n: int, known: Known) -> Around:
    """Tiles of n x n stations around the true cores; of the hits nothing is used.

    events : with a truth (`check_truth`); without hits is enough
    """
    array, truth = events.array, events.truth
    place = place_tiles(array, truth, n)
    position = array.position[np.maximum(place.station, 0)]
    shower = mean_shower(truth, known)
    per_cell = ShowerParameters(*(column[:, None, None] for column in shower))
    there = expected(per_cell, position, description_of(array))
    dx, dy = position[..., 0] - per_cell.core_x, position[..., 1] - per_cell.core_y
    axis = axis_components(truth.zenith, truth.azimuth)
    along = distance_along_axis(dx, dy, position[..., 2], *(part[:, None, None] for part in axis))
    heading = lattice_heading(array)
    x, y = in_lattice_frame(dx, dy, heading)
    signal = np.log(array.detector.area * there.density)
    time, _ = reduced_time(there.delay, 0.0, np.log(there.distance))
    maps = {
        "working": working_cells(events, place),
        "log_expected": np.maximum(signal, LEAST_LOG_SIGNAL),
        "time": np.minimum(time, LATEST_TIME),
        "log_distance": np.log((there.distance + SOFTENING) / 1000.0),
        "along": along / 1000.0,
        "x": x / array.spacing,
        "y": y / array.spacing,
    }
    stacked = np.stack([maps[name] for name in STATION_CONDITION], axis=-1)
    stacked[place.station < 0] = 0.0
    return Around(
        place, _event_condition(array, truth, place, heading), stacked.astype(np.float32), there
    )


def _event_condition(array: Array, truth: Truth, place: Place, heading: float) -> np.ndarray:
    """(n, 8) float32, EVENT_CONDITION."""
    n = place.station.shape[1]
    if place.origin is None:
        off = np.zeros((len(truth.zenith), 2))
    else:
        off = core_in_lattice(array, truth.core_x, truth.core_y) - place.origin - (n - 1) / 2
    n_x, n_y, n_z = axis_components(truth.zenith, truth.azimuth)
    axis_x, axis_y = in_lattice_frame(n_x, n_y, heading)
    columns = {
        "log_energy": np.log(truth.energy / 10.0),
        "secant": 4.0 * (1.0 / n_z - 1.2),
        "axis_x": axis_x,
        "axis_y": axis_y,
        "core_x": 2.0 * off[:, 0],
        "core_y": 2.0 * off[:, 1],
        "xmax": (truth.xmax - 750.0) / 70.0,
        "log_muon_scale": 4.0 * np.log(np.maximum(truth.muon_scale, 0.05)),
    }
    return np.stack([columns[name] for name in EVENT_CONDITION], axis=1).astype(np.float32)


def near_front(delay: np.ndarray) -> np.ndarray:
    """Whether onsets, so long after the plane front [ns], are taken for the shower's."""
    return (delay > EARLIEST) & (delay < LATEST)


def make_sample(events: Events, n: int, known: Known, where: FilePath | str) -> TileSample:
    """Tiles of n x n stations of simulated events.

    Hits outside of a tile, hits of background that lie apart from the shower's front, and those
    that the experiment rejects are left out.

    Raises
    ------
    InputError : as of `check_truth`; waveforms of another length.
    """
    check_truth(_with_waveforms(events, where).truth, where)
    detector = events.array.detector
    if known.edges[-1] != detector.n_bins:
        raise InputError(f"{where}: waveforms of {detector.n_bins} bins, {known.edges[-1]} needed")
    around = look_around(events, n, known)
    event = events.hit_event
    column, row, inside = around.place.cells_of(events.array, events.hit_station, event)
    if events.rejected is not None:
        inside &= ~events.rejected
    chosen = np.flatnonzero(inside)
    at = event[chosen], column[chosen], row[chosen]
    onset = events.hit_time[chosen] + known.lead * detector.bin_width
    delay = onset - events.truth.t0[at[0]] - around.expected.plane_time[at]
    near = near_front(delay)
    chosen, at, delay = chosen[near], tuple(part[near] for part in at), delay[near]
    time, _ = reduced_time(delay, 0.0, np.log(around.expected.distance[at]))
    light = np.zeros((len(chosen), len(known.edges) - 1, detector.n_layers), np.float16)
    for first in range(0, len(chosen), _ROWS):  # bounded memory
        rows = chosen[first : first + _ROWS]
        sums = np.add.reduceat(_vem(events, rows), known.edges[:-1], axis=1)
        light[first : first + _ROWS] = np.arcsinh(np.maximum(sums, 0.0) / LIGHT_SCALE)
    return TileSample(
        around.condition,
        around.maps,
        at[0],
        at[1].astype(np.int64) * n + at[2],
        time.astype(np.float32),
        light,
    )

"""A record of what really reached the stations: when the front came, how many particles of each
kind were expected, and when they came. Compiled.

A loop whose record is None keeps none: its branches are left out when it is compiled. Random
numbers of the simulation are the same with and without a record.
"""

import math
from typing import NamedTuple

import numpy as np

from tashower.physics.compiled import formula, inner
from tashower.simulation.random_numbers import seed_stream

#: Bins of the histogram of delays after the onset, in units of the thickness of the front there
#: (`Record.width`): so wide at first, so many of them, and then wider by this factor from one to
#: the next (choices: 5 ns at 1.2 km, finer than anything a station resolves).
FINE_WIDTH, N_EQUAL, FINE_GROWTH = 0.02, 40, 1.025
#: Their number; the last one has no end, and begins at 374: 2 muons of 10^5 come later.
N_FINE = 290
_GROWS_FROM = FINE_WIDTH * N_EQUAL
_LOG_GROWTH = math.log(FINE_GROWTH)
#: Muons, electromagnetic particles: the order of columns.
MUON, ELECTRON = 0, 1


def fine_edges() -> np.ndarray:
    """(N_FINE + 1,) edges of the bins, in units of the thickness; the last is infinite."""
    return np.array([fine_edge(k) for k in range(N_FINE)] + [np.inf])


@formula
def fine_bin(delay):
    """Bin of the histogram of a delay after the onset, in units of the thickness."""
    if delay < _GROWS_FROM:
        return int(delay / FINE_WIDTH)
    return min(N_EQUAL + int(math.log(delay / _GROWS_FROM) / _LOG_GROWTH), N_FINE - 1)


@formula
def fine_edge(k):
    """Beginning of bin k."""
    if k <= N_EQUAL:
        return FINE_WIDTH * k
    return _GROWS_FROM * FINE_GROWTH ** (k - N_EQUAL)


class Record(NamedTuple):
    """Where the compiled loops write; rows are stations with at least one particle, in the order in
    which they are looked at. Columns of kinds: muons, electromagnetic particles.
    """

    used: np.ndarray  #: (1,) int64, rows that are taken
    state: np.ndarray  #: (4,) uint64, random numbers of the record's own
    offset: np.ndarray  #: (n_showers + 1,) int64, first row of each shower of the loop
    station: np.ndarray  #: (n,) int32
    front: np.ndarray  #: (n,) onset of the front without local fluctuation [ns]
    shift: np.ndarray  #: (n,) what the local fluctuation adds to it [ns]
    shift_rms: np.ndarray  #: (n,) its rms [ns]
    width: np.ndarray  #: (n,) thickness of the front there, the unit of the histogram [ns]
    clock: np.ndarray  #: (n,) error of the station's clock [ns]; 0 without a hit
    expected: np.ndarray  #: (n, 2) mean numbers
    scale: np.ndarray  #: (n, 2) of delays after the onset [ns]: median of a log-normal, or gamma
    sigma: np.ndarray  #: (n,) of the muons' log-normal distribution; 0: gamma
    first: np.ndarray  #: (n, 2) delay of the first particle [ns]; inf: none
    count: np.ndarray  #: (n, 2, N_FINE) int32, particles in bins of `fine_edges` times width


@inner
def note_front(record, state, front, shift):
    """A new row, kept if `note_station` follows.

    front : `light.Front`; shift : its local one [ns]
    """
    if record is not None:
        i = record.used[0]
        # A stream of its own for every row, which leaves `state` alone.
        seed_stream(record.state, state[0], state[1])
        record.front[i], record.shift[i] = front.time, shift
        record.shift_rms[i], record.width[i] = front.shift_rms, front.width
        record.expected[i, MUON] = front.muons.mean_number
        record.expected[i, ELECTRON] = front.electrons.mean_number
        record.scale[i, MUON] = front.muons.scale
        record.scale[i, ELECTRON] = front.electrons.scale
        record.sigma[i] = front.muons.sigma
        record.first[i, MUON] = record.first[i, ELECTRON] = np.inf
        record.count[i] = 0


@inner
def note_station(record, s):
    """The row is that of station s, and kept."""
    if record is not None:
        record.station[record.used[0]] = s
        record.clock[record.used[0]] = 0.0
        record.used[0] += 1


@inner
def note_clock(record, error):
    """The clock of the last station that was kept was off by this [ns]."""
    if record is not None:
        record.clock[record.used[0] - 1] = error


@inner
def note_end(record, i):
    """Shower i of the loop has no more stations."""
    if record is not None:
        record.offset[i + 1] = record.used[0]


@inner
def note_particle(record, component, delay):
    """A particle of the component with a delay in units of its scale."""
    if record is not None:
        i = record.used[0]
        kind = MUON if component.secant > 0.0 else ELECTRON
        delay *= component.scale
        record.first[i, kind] = min(record.first[i, kind], delay)
        record.count[i, kind, fine_bin(delay / record.width[i])] += 1


@inner
def note_first(record, component, delay):
    """The first of many particles, whose numbers are noted by `note_number`."""
    if record is not None:
        i = record.used[0]
        kind = MUON if component.secant > 0.0 else ELECTRON
        record.first[i, kind] = min(record.first[i, kind], delay * component.scale)


@inner
def note_number(record, component, k, number):
    """So many particles in bin k."""
    if record is not None:
        kind = MUON if component.secant > 0.0 else ELECTRON
        record.count[record.used[0], kind, min(k, N_FINE - 1)] += number

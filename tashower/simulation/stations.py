"""One event at all stations: light, waveforms, triggers. Compiled."""

import math
from typing import NamedTuple

import numpy as np

from tashower.physics.compiled import compiled, inner
from tashower.physics.geometry import axis_distance
from tashower.physics.lateral import Lateral
from tashower.simulation.delays import MuonContent, ParticleDelays
from tashower.simulation.electronics import (
    BINS_BEFORE,
    READOUT,
    Electronics,
    draw_station_state,
    level_2_time,
)
from tashower.simulation.light import CLOSEST, put_shower, reach, shower_of
from tashower.simulation.particles import put_muon
from tashower.simulation.random_numbers import normal, seed_stream, uniform
from tashower.simulation.record import note_clock, note_end, note_station
from tashower.simulation.windows import LEAD_BINS, add_background, put_late_pulse, read_station


class Stations(NamedTuple):
    """The array as the compiled loop needs it."""

    position: np.ndarray  #: (n, 3) [m]
    neighbours: np.ndarray  #: (n, k) int32, index of the edge neighbours or -1
    gain: np.ndarray  #: (n, 2) monitored [counts per VEM]
    pedestal: np.ndarray  #: (n, 2) monitored [counts per bin]
    #: (n, n_bins, layers) uint16, what stands where no further window was read
    unread: np.ndarray
    lateral: Lateral


class Conditions(NamedTuple):
    """State of the detector."""

    bin_width: float  #: [ns]
    window: int  #: bins that are read out at once
    area: float  #: of a station [m^2]
    layers: int  #: 1: what the upper layer sees is all there is
    calibration_spread: float
    gain_shift: float  #: relative error of the monitored gains that all stations have in common
    dead_fraction: float
    accidental_probability: float  #: per station and read-out
    accidental_radius: float  #: [m]
    background_probability: float  #: of a background particle in a station with light
    clock: float  #: rms error of a station's clock [ns]
    late_probability: float  #: of a late pulse in a station with a signal


class Setup(NamedTuple):
    """Everything that is the same for all showers."""

    delays: ParticleDelays
    stations: Stations
    conditions: Conditions
    electronics: Electronics
    muons: MuonContent


class Showers(NamedTuple):
    """Showers to simulate, one row each."""

    key: np.uint64  #: of the random streams
    number: np.ndarray  #: (n,) uint64, stream of each
    row: np.ndarray  #: (n, 14), see `light.shower_of`
    t0: np.ndarray  #: (n,) [ns]


class Block(NamedTuple):
    """What a block of showers leaves behind beside its hits."""

    n_hits: np.ndarray  #: (n,) int64
    n_dead: np.ndarray  #: (n,) int64
    dead: np.ndarray  #: (n, n_stations) int32


class Hits(NamedTuple):
    """Where the hits go, one after the other."""

    station: np.ndarray  #: (capacity,) int32
    time: np.ndarray  #: (capacity,) [ns]
    waveform: np.ndarray  #: (capacity, n_bins, layers) uint16


@inner(inline=False)
def _draw_dead(state, fraction, n_stations, dead):
    """Stations out of service, in increasing order, into `dead`; returns their number (gaps are
    geometric).
    """
    n_dead = 0
    if 1.0 - fraction >= 1.0:  # also a fraction that is lost in rounding, whose gaps are infinite
        return 0
    station = -1
    while True:
        station += 1 + int(math.log(uniform(state)) / math.log(1.0 - fraction))
        if station >= n_stations:
            return n_dead
        dead[n_dead] = station
        n_dead += 1


@inner
def look_at_station(state, s, shower, place, chances, setup, work, waveform):
    """What station s reads out of a shower, with background among its light or alone.

    place : (dx, dy, dz) [m] from the core, and the distance r [m] to the axis
    chances : (the shower may reach it, background may come alone)
    waveform : (n_bins, layers) uint16, overwritten where there is a hit

    Returns (time [ns] at which the waveform begins, by the station's clock, NaN where nothing is
    read out; it passes level 1).
    """
    conditions = setup.conditions
    hit, level_1, any_light = -1000, False, False
    first = 0.0
    background = conditions.accidental_probability
    if chances[0]:
        first, any_light = put_shower(state, shower, place, setup, work)
        if any_light:
            note_station(work.record, s)
            if conditions.late_probability > 0.0 and uniform(state) < conditions.late_probability:
                put_late_pulse(state, work.impulse, conditions.bin_width)
            if (
                conditions.background_probability > 0.0
                and uniform(state) < conditions.background_probability
            ):
                first -= add_background(state, work, conditions.window) * conditions.bin_width
            hit, level_1 = _read_out(state, s, setup, work, waveform)
            background -= conditions.background_probability
    if hit < -999 and chances[1] and uniform(state) < background:
        work.impulse[:] = 0.0
        first = shower.t0 + (2.0 * uniform(state) - 1.0) * READOUT
        put_muon(state, work.impulse, LEAD_BINS + uniform(state), np.float32(1.0))
        hit, level_1 = _read_out(state, s, setup, work, waveform)
    if hit < -999:
        return np.nan, False
    time = first + hit * conditions.bin_width
    if conditions.clock > 0.0:
        error = normal(state) * conditions.clock
        time += error
        if any_light:
            note_clock(work.record, error)
    return time, level_1


@inner(inline=False)
def simulate_event(state, shower, setup, work, hits, begin, dead):
    """One event: hits go to `hits` from `begin` on, stations out of service into `dead`.

    Returns (n_hits, n_dead); n_hits is 0 when the array does not trigger.
    """
    stations, conditions = setup.stations, setup.conditions
    n_stations = stations.position.shape[0]
    n_dead = _draw_dead(state, conditions.dead_fraction, n_stations, dead)
    farthest = reach(shower, conditions.area, stations.lateral, setup.delays.world)
    farthest_ground2 = (farthest / shower.n_z) ** 2
    accidental_radius2 = conditions.accidental_radius**2
    next_dead = 0
    n_hits = 0
    for s in range(n_stations):
        if next_dead < n_dead and dead[next_dead] == s:
            next_dead += 1
            continue
        dx = stations.position[s, 0] - shower.core_x
        dy = stations.position[s, 1] - shower.core_y
        dz = stations.position[s, 2]
        ground2 = dx * dx + dy * dy
        if ground2 > farthest_ground2 and ground2 > accidental_radius2:
            continue
        r = max(axis_distance(dx, dy, dz, shower.n_x, shower.n_y, shower.n_z), CLOSEST)
        waveform = hits.waveform[begin + n_hits]
        chances = (r < farthest, ground2 < accidental_radius2)
        time, level_1 = look_at_station(
            state, s, shower, (dx, dy, dz, r), chances, setup, work, waveform
        )
        if math.isnan(time):
            continue
        i = begin + n_hits
        hits.station[i] = s
        hits.time[i] = time
        work.time[n_hits] = time + BINS_BEFORE * conditions.bin_width
        work.level_1[n_hits] = level_1
        n_hits += 1
    station = hits.station[begin : begin + n_hits]
    trigger = level_2_time(n_hits, station, work.time, work.level_1, stations.neighbours, work.slot)
    if math.isnan(trigger):
        return 0, n_dead
    return _keep_read_out(trigger, n_hits, work, hits, begin), n_dead


@inner
def _read_out(state, s, setup, work, waveform):
    """Digitise what light station s has, with its state of the moment; returns as
    `read_station`.
    """
    stations = setup.stations
    shift, spread = setup.conditions.gain_shift, setup.conditions.calibration_spread
    draw_station_state(state, stations.gain[s], shift, spread, work.gain)
    return read_station(state, s, setup, work, waveform)


@inner(inline=False)
def _keep_read_out(trigger, n_hits, work, hits, begin):
    """Close up the hits within the read-out time around the trigger; returns their number."""
    kept = 0
    for i in range(n_hits):
        if abs(work.time[i] - trigger) > READOUT:
            continue
        if kept < i:
            hits.station[begin + kept] = hits.station[begin + i]
            hits.time[begin + kept] = hits.time[begin + i]
            for k in range(hits.waveform.shape[1]):
                for layer in range(hits.waveform.shape[2]):
                    hits.waveform[begin + kept, k, layer] = hits.waveform[begin + i, k, layer]
        kept += 1
    return kept


@compiled
def simulate_block(begin, used, showers, setup, work, hits, block):
    """Events from row `begin` on, until they are done or the next one may not fit into `hits`, of
    which `used` are taken.

    showers : `Showers`; setup : `Setup`; block : `Block`, overwritten

    Returns (the row to go on with, hits used).
    """
    n_stations = setup.stations.position.shape[0]
    state = np.empty(4, np.uint64)
    for i in range(begin, len(showers.number)):
        if used + n_stations > len(hits.station):
            return i, used
        seed_stream(state, showers.key, showers.number[i])
        shower = shower_of(showers.row[i], showers.t0[i])
        block.n_hits[i], block.n_dead[i] = simulate_event(
            state, shower, setup, work, hits, used, block.dead[i]
        )
        used += block.n_hits[i]
        note_end(work.record, i)
    return len(showers.number), used


@compiled
def simulate_single(showers, setup, work, hits, hit, background):
    """One station for every shower, at the origin, whether or not an array would trigger.

    Its gain and pedestal are those of station i mod n_stations.

    background : also of background alone
    hits : `Hits`, from the first on overwritten; hit : (n,) bool, overwritten
    Returns the number of hits.
    """
    n_stations = setup.stations.position.shape[0]
    state = np.empty(4, np.uint64)
    used = 0
    for i in range(len(showers.number)):
        seed_stream(state, showers.key, showers.number[i])
        shower = shower_of(showers.row[i], showers.t0[i])
        dx, dy = -shower.core_x, -shower.core_y
        r = max(axis_distance(dx, dy, 0.0, shower.n_x, shower.n_y, shower.n_z), CLOSEST)
        s = i % n_stations
        time, _ = look_at_station(
            *(state, s, shower, (dx, dy, 0.0, r), (True, background)),
            *(setup, work, hits.waveform[used]),
        )
        note_end(work.record, i)
        hit[i] = not math.isnan(time)
        if hit[i]:
            hits.station[used], hits.time[used] = s, time
            used += 1
    return used

"""One event at all stations: light, waveforms, triggers. Compiled."""

import math
from typing import NamedTuple

import numpy as np

from tashower.physics.compiled import compiled, inner
from tashower.physics.early_late import (
    LATE_ATTENUATION_MUONS,
    late_signal_factor,
    late_time_factor,
    muon_share_at,
)
from tashower.physics.geometry import (
    axis_components,
    axis_distance,
    distance_along_axis,
    plane_delay,
)
from tashower.physics.lateral import Lateral
from tashower.physics.shower_front import TELESCOPE_ARRAY_FRONT, front_delay, thickness_shape
from tashower.simulation.delays import (
    LOCAL_POWER,
    MUON_SHAPE,
    ONSET_S800,
    MuonContent,
    ParticleDelays,
    muons_at,
    simulated_log_lateral,
    simulated_thickness,
)
from tashower.simulation.electronics import (
    BINS_BEFORE,
    READOUT,
    Electronics,
    draw_station_state,
    level_2_time,
)
from tashower.simulation.particles import (
    Component,
    draw_number,
    mean_numbers,
    put_component,
    put_muon,
)
from tashower.simulation.random_numbers import normal, seed_stream, uniform
from tashower.simulation.windows import LEAD_BINS, add_background, read_station

#: Closest distance to the axis at which formulas are evaluated [m]: a station has a size.
CLOSEST = 2.0
#: Stations with fewer expected particles than this are passed over.
FEWEST_PARTICLES = 0.01


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
    dead_fraction: float
    accidental_probability: float  #: per station and read-out
    accidental_radius: float  #: [m]
    background_probability: float  #: of a background particle in a station with light
    clock: float  #: rms error of a station's clock [ns]


class Shower(NamedTuple):
    """One thrown shower."""

    n_x: float
    n_y: float
    n_z: float
    core_x: float  #: [m]
    core_y: float  #: [m]
    t0: float  #: [ns]
    s_ref: float  #: [VEM/m^2]
    eta: float
    share: float  #: muon share of S800
    front_scale: float
    unit: float  #: this and the following: see `delays.ShowerDelays`
    electron_scale: float
    muon_scale: float
    muon_sigma: float
    muon_power: float
    attenuation: float  #: of its electromagnetic particles [g/cm^2]


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
    row: np.ndarray  #: (n, 14), see `shower_of`
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


@inner
def reach(shower, area, lateral, world):
    """Axis distance [m] beyond which a station expects fewer than `FEWEST_PARTICLES` muons."""
    r = 1000.0
    while r < 20_000.0:
        density = shower.s_ref * math.exp(simulated_log_lateral(r, shower.eta, lateral, world))
        if mean_numbers(density * area, 1.0, 1.0)[0] < FEWEST_PARTICLES:
            break
        r *= 1.2
    return r


@inner
def put_shower(state, shower, place, setup, impulse):
    """Light of the shower in a station; returns (time of the first bin [ns], any).

    place : (dx, dy, dz) [m] from the core, and the distance r [m] to the axis
    impulse : (2, n) of which the first `LEAD_BINS` stay empty; overwritten where there is any light
    """
    dx, dy, dz, r = place
    delays, bin_width = setup.delays, setup.conditions.bin_width
    secant = 1.0 / shower.n_z
    tangent = math.sqrt(max(secant * secant - 1.0, 0.0))
    log_ldf = simulated_log_lateral(r, shower.eta, setup.stations.lateral, delays.world)
    density = shower.s_ref * math.exp(log_ldf)
    along = distance_along_axis(dx, dy, dz, shower.n_x, shower.n_y, shower.n_z)
    n_muons, n_electrons = mean_numbers(
        density * setup.conditions.area, muon_share_at(r, shower.share), shower.n_z
    )
    n_muons *= late_signal_factor(along, r * tangent, LATE_ATTENUATION_MUONS)
    n_electrons *= late_signal_factor(along, r * tangent, shower.attenuation)
    number_muons, number_electrons = draw_number(state, n_muons), draw_number(state, n_electrons)
    if number_muons == 0 and number_electrons == 0:
        return 0.0, False
    impulse[:] = 0.0
    late = late_time_factor(along)
    thickness = simulated_thickness(r, delays.world)
    width = thickness * shower.unit * late
    onset = delays.constant_onset * width
    if delays.onset > 0.0:
        curvature = delays.onset * shower.front_scale * late * math.sqrt(ONSET_S800 / shower.s_ref)
        of_density = front_delay(r, log_ldf, curvature, TELESCOPE_ARRAY_FRONT)
        onset += thickness / thickness_shape(r) * of_density
    local = (
        delays.local
        * (thickness * shower.front_scale * late)
        * math.exp(LOCAL_POWER * (math.log(shower.s_ref) + log_ldf))
        * normal(state)
    )
    front_time = (
        shower.t0 + plane_delay(dx, dy, dz, shower.n_x, shower.n_y, shower.n_z) + onset + local
    )
    # The clock of a station knows nothing of the shower.
    phase = uniform(state) * bin_width
    first = (math.floor((front_time - phase) / bin_width) - LEAD_BINS) * bin_width + phase
    start = front_time - first
    scale, sigma = muons_at(r, shower)
    muons = Component(n_muons, scale * width, MUON_SHAPE, secant, sigma)
    put_component(state, impulse, bin_width, start, number_muons, muons)
    scale = shower.electron_scale * width
    electrons = Component(n_electrons, scale, delays.electron_shape, 0.0, 0.0)
    put_component(state, impulse, bin_width, start, number_electrons, electrons)
    return first, True


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
    hit, level_1 = -1000, False
    first = 0.0
    background = conditions.accidental_probability
    if chances[0]:
        first, any_light = put_shower(state, shower, place, setup, work.impulse)
        if any_light:
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
        time += normal(state) * conditions.clock
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
    spread = setup.conditions.calibration_spread
    draw_station_state(state, stations.gain[s], stations.pedestal[s], spread, work.gain)
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


@inner
def shower_of(truth_row, t0):
    """`Shower` from (zenith, azimuth, core_x, core_y, s_ref, slope, muon_share, front_scale, what
    `delays.ShowerDelays` holds, attenuation of electromagnetic particles) and the time of the core.
    """
    n_x, n_y, n_z = axis_components(truth_row[0], truth_row[1])
    return Shower(
        n_x,
        n_y,
        n_z,
        truth_row[2],
        truth_row[3],
        t0,
        truth_row[4],
        truth_row[5],
        truth_row[6],
        truth_row[7],
        truth_row[8],
        truth_row[9],
        truth_row[10],
        truth_row[11],
        truth_row[12],
        truth_row[13],
    )


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
        hit[i] = not math.isnan(time)
        if hit[i]:
            hits.station[used], hits.time[used] = s, time
            used += 1
    return used

"""Light of a shower in a station. Compiled."""

import math
from typing import NamedTuple

from tashower.physics.compiled import inner
from tashower.physics.early_late import (
    LATE_ATTENUATION_MUONS,
    late_signal_factor,
    late_time_factor,
    muon_share_at,
)
from tashower.physics.geometry import axis_components, distance_along_axis, plane_delay
from tashower.physics.shower_front import TELESCOPE_ARRAY_FRONT, front_delay, thickness_shape
from tashower.simulation.arrivals import Component, draw_number, put_component
from tashower.simulation.delays import (
    LOCAL_POWER,
    MUON_SHAPE,
    ONSET_S800,
    muons_at,
    simulated_log_lateral,
    simulated_thickness,
)
from tashower.simulation.particles import mean_numbers
from tashower.simulation.random_numbers import normal, uniform
from tashower.simulation.record import note_front
from tashower.simulation.windows import LEAD_BINS

#: Closest distance to the axis at which formulas are evaluated [m]: a station has a size.
CLOSEST = 2.0
#: Stations with fewer expected particles than this are passed over.
FEWEST_PARTICLES = 0.01


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


class Front(NamedTuple):
    """The front of a shower in a station, and the particles behind it."""

    time: float  #: of the onset, without local fluctuation [ns]
    shift_rms: float  #: of the local fluctuation [ns]
    width: float  #: thickness of the front there, of which all delays are multiples [ns]
    muons: Component
    electrons: Component


@inner
def numbers_at(shower, place, setup):
    """Mean numbers (muons, electromagnetic particles) in a station; place as of `put_shower`."""
    dx, dy, dz, r = place
    secant = 1.0 / shower.n_z
    tangent = math.sqrt(max(secant * secant - 1.0, 0.0))
    log_ldf = simulated_log_lateral(r, shower.eta, setup.stations.lateral, setup.delays.world)
    density = shower.s_ref * math.exp(log_ldf)
    along = distance_along_axis(dx, dy, dz, shower.n_x, shower.n_y, shower.n_z)
    n_muons, n_electrons = mean_numbers(
        density * setup.conditions.area, muon_share_at(r, shower.share), shower.n_z
    )
    n_muons *= late_signal_factor(along, r * tangent, LATE_ATTENUATION_MUONS)
    n_electrons *= late_signal_factor(along, r * tangent, shower.attenuation)
    return n_muons, n_electrons


@inner
def front_at(shower, place, numbers, setup):
    """`Front` in a station; numbers : from `numbers_at`."""
    dx, dy, dz, r = place
    delays = setup.delays
    log_ldf = simulated_log_lateral(r, shower.eta, setup.stations.lateral, delays.world)
    along = distance_along_axis(dx, dy, dz, shower.n_x, shower.n_y, shower.n_z)
    late = late_time_factor(along)
    thickness = simulated_thickness(r, delays.world)
    width = thickness * shower.unit * late
    onset = delays.constant_onset * width
    if delays.onset > 0.0:
        curvature = delays.onset * shower.front_scale * late * math.sqrt(ONSET_S800 / shower.s_ref)
        of_density = front_delay(r, log_ldf, curvature, TELESCOPE_ARRAY_FRONT)
        onset += thickness / thickness_shape(r) * of_density
    shift_rms = (
        delays.local
        * (thickness * shower.front_scale * late)
        * math.exp(LOCAL_POWER * (math.log(shower.s_ref) + log_ldf))
    )
    time = shower.t0 + plane_delay(dx, dy, dz, shower.n_x, shower.n_y, shower.n_z) + onset
    scale, sigma = muons_at(r, shower)
    muons = Component(numbers[0], scale * width, MUON_SHAPE, 1.0 / shower.n_z, sigma)
    scale = shower.electron_scale * width
    electrons = Component(numbers[1], scale, delays.electron_shape, 0.0, 0.0)
    return Front(time, shift_rms, width, muons, electrons)


@inner
def put_shower(state, shower, place, setup, work):
    """Light of the shower in a station; returns (time of the first bin [ns], any).

    place : (dx, dy, dz) [m] from the core, and the distance r [m] to the axis
    work : of which `impulse` (2, n) is overwritten where there is any light, its first `LEAD_BINS`
        stay empty; what came is noted in its `record`
    """
    impulse, bin_width = work.impulse, setup.conditions.bin_width
    numbers = numbers_at(shower, place, setup)
    number_muons, number_electrons = draw_number(state, numbers[0]), draw_number(state, numbers[1])
    if number_muons == 0 and number_electrons == 0:
        return 0.0, False
    impulse[:] = 0.0
    front = front_at(shower, place, numbers, setup)
    shift = front.shift_rms * normal(state)
    time = front.time + shift
    # The clock of a station knows nothing of the shower.
    phase = uniform(state) * bin_width
    first = (math.floor((time - phase) / bin_width) - LEAD_BINS) * bin_width + phase
    start = time - first
    record, muons, electrons = work.record, front.muons, front.electrons
    note_front(record, state, front, shift)
    put_component(state, impulse, bin_width, start, number_muons, muons, record)
    put_component(state, impulse, bin_width, start, number_electrons, electrons, record)
    return first, True

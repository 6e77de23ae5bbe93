"""Independent simulated stations, and what was seen in them: the sample of a station likelihood."""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from tashower.calibration.station_likelihood import LEAST_SIGNAL
from tashower.config import Config, as_dict, load_config
from tashower.events.array import Array
from tashower.events.model import Truth
from tashower.physics.description import softened
from tashower.physics.geometry import axis_components
from tashower.physics.lateral import log_lateral_distribution
from tashower.physics.station import reduced_time, station_conditions
from tashower.progress import blocks
from tashower.reconstruction.pulses import find_pulses
from tashower.simulation.delays import muon_content, particle_delays, shower_delays
from tashower.simulation.random_numbers import stream_key
from tashower.simulation.showers import draw_showers, mean_attenuation
from tashower.simulation.simulate import array_from_config, simulate_stations

#: Stations are drawn between these expected signals [VEM], flat in the logarithm; a part of them
#: above, up to what the shower has at the smallest distance, flat in the logarithm too (choices).
SIGNALS, LARGE_PART = (0.02, 400.0), 0.22
#: ... and these distances [m].
DISTANCES = (3.0, 8000.0)
#: Showers are spread more widely than they are thrown: rms of ln S_ref, eta, ln odds of muons and
#: ln of the front's scale, and degrees of zenith (choices).
SPREAD = (0.4, 0.12, 0.4, 0.12)
MORE_ZENITH, LARGEST_ZENITH = 5.0, 60.0
_BLOCK = 50_000


class StationSample(NamedTuple):
    """Stations and what was seen in them; (n,) each."""

    conditions: np.ndarray  #: (n, 5), columns of `physics.station.StationConditions`
    hit: np.ndarray  #: bool: there is a leading edge and at least LEAST_SIGNAL
    saturated: np.ndarray  #: bool
    time: np.ndarray  #: reduced time (`physics.station.reduced_time`); 0 without a hit
    ratio: np.ndarray  #: ln(signal/expected signal); 0 without a hit


def _at_distance(truth, log_r, area, lateral):
    """(n,) signal [VEM] of a symmetric shower at the distance exp(log_r) [m]."""
    r = softened(np.exp(2.0 * log_r))
    return area * truth.s_ref * np.exp(log_lateral_distribution(r, truth.slope, lateral))


def _at_signal(truth, target, area, lateral):
    """(n,) distance [m] at which a symmetric shower has the target signal [VEM]: bisection in ln
    r.
    """
    low = np.full(len(target), np.log(DISTANCES[0]))
    high = np.full(len(target), np.log(DISTANCES[1]))
    for _ in range(30):
        middle = 0.5 * (low + high)
        signal = _at_distance(truth, middle, area, lateral)
        low, high = np.where(signal > target, middle, low), np.where(signal > target, high, middle)
    return np.exp(0.5 * (low + high))


def with_showers(config: Config, **changes: float) -> Config:
    """The configuration with one throw of every shower, and changes of its section `showers`."""
    content = as_dict(config)
    content["showers"] |= {"throws": 1} | changes
    return load_config(content)


def draw_stations(config: Config, first: int, n: int) -> Truth:
    """Showers number `first` to `first + n - 1`, cores such that a station at the origin expects
    SIGNALS, anywhere around the axis.
    """
    showers = config.showers
    zenith = min(showers.max_zenith_deg + MORE_ZENITH, LARGEST_ZENITH)
    wide = with_showers(config, max_zenith_deg=zenith)
    truth = draw_showers(wide, "given", first, n)
    entropy = [config.seed, int(stream_key(config.seed, "given", "station")), first]
    rng = np.random.default_rng(np.random.SeedSequence(entropy))
    size, slope, odds, scale = rng.standard_normal((4, n)) * np.array(SPREAD)[:, None]
    share = np.clip(truth.muon_share, 1e-3, 0.99)
    truth = replace(
        truth,
        s_ref=truth.s_ref * np.exp(size),
        slope=truth.slope + slope,
        muon_share=1.0 / (1.0 + (1.0 - share) / share * np.exp(-odds)),
        front_scale=truth.front_scale * np.exp(scale),
    )
    array = array_from_config(config)
    area = float(array.detector.area)
    low, high = np.log(SIGNALS)
    largest = np.log(_at_distance(truth, np.log(DISTANCES[0]), area, array.lateral))
    small = rng.uniform(low, high, n)
    is_large = rng.random(n) < LARGE_PART
    large = rng.uniform(high, np.maximum(largest, high))
    r = _at_signal(truth, np.exp(np.where(is_large, large, small)), area, array.lateral)
    angle = rng.uniform(0.0, 2.0 * np.pi, n)
    n_x, n_y, n_z = axis_components(truth.zenith, truth.azimuth)
    cos, sin = np.cos(truth.azimuth), np.sin(truth.azimuth)
    along = r * np.cos(angle) * np.tan(truth.zenith)
    x = r * (np.cos(angle) * n_z * cos - np.sin(angle) * sin) + along * n_x
    y = r * (np.cos(angle) * n_z * sin + np.sin(angle) * cos) + along * n_y
    return replace(truth, core_x=-x, core_y=-y)


def conditions_of(
    truth: Truth, config: Config, array: Array, position: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """((n, 5) conditions of a station in every shower, (n,) delay [ns] of the plane front there).

    position : (n, 3) [m] of the stations; None: the origin
    """
    own = shower_delays(particle_delays(config), truth.zenith, truth.front_scale)
    shower = (
        *axis_components(truth.zenith, truth.azimuth),
        np.log(truth.s_ref),
        truth.slope,
        truth.muon_share,
        np.log(own.unit),
        mean_attenuation(truth.zenith, muon_content(config)),
    )
    x, y, z = np.zeros((3, len(truth.zenith))) if position is None else position.T
    place = x - truth.core_x, y - truth.core_y, z
    found, plane = station_conditions(place, shower, array.lateral, float(array.detector.area))
    return np.stack(np.broadcast_arrays(*found), axis=1), plane


def sample_stations(config: Config, first: int, n: int) -> StationSample:
    """Simulate stations number `first` to `first + n - 1` and look at them as the fits do.

    `first` in steps of 50,000: blocks are drawn together.
    """
    array = array_from_config(config)
    parts: Iterator = []
    for rows in blocks("simulate stations", n, _BLOCK, "stations"):
        truth = draw_stations(config, first + rows.start, rows.stop - rows.start)
        block = (first + rows.start) // _BLOCK
        events = simulate_stations(truth, config, config.seed + 7919 * block)
        pulses = find_pulses(events)
        conditions, plane = conditions_of(truth, config, array)
        signal = pulses.signal.mean(axis=1)
        good = np.isfinite(pulses.arrival_time) & (signal >= LEAST_SIGNAL)
        which = events.hit_event[good]
        hit, saturated = np.zeros((2, len(conditions)), bool)
        hit[which], saturated[which] = True, pulses.saturated[good]
        time, ratio = np.zeros((2, len(conditions)))
        delay = pulses.arrival_time[good] - truth.t0[which] - plane[which]
        time[which], _ = reduced_time(delay, conditions[which, 2], conditions[which, 4])
        ratio[which] = np.log(signal[good]) - conditions[which, 0]
        parts.append(StationSample(conditions, hit, saturated, time, ratio))
    return StationSample(*(np.concatenate(column) for column in zip(*parts, strict=True)))

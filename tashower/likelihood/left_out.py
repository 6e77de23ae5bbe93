"""What every station of an event should have seen, given the shower that the others say.

A station is taken out of its event, as if it were out of service; the posterior of the shower is
found again from what is left (`likelihood_edges`), and averages what the station likelihood says of
that station: the posterior predictive distribution, cross-validated (Gelfand, Dey and Chang 1992,
Bayesian Statistics 4, 147). An odd station has no part in the shower that it is held against.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from scipy.special import expit, ndtr, softmax

from tashower.calibration.station_likelihood import LEAST_SIGNAL, StationLikelihood
from tashower.events.model import Events, Pulses, select_events, select_rows
from tashower.likelihood.training import network_outputs
from tashower.physics.station import reduced_time, station_conditions
from tashower.progress import blocks
from tashower.reconstruction.methods import LIKELIHOOD, Context
from tashower.reconstruction.methods.likelihood import Posterior, posterior_points
from tashower.simulation.electronics import READOUT

#: Points of a posterior (choice: half of those of a table, for speed).
N_POINTS = 36
#: Effective number of points below which nothing is said (choice).
FEWEST_POINTS = 2.0
#: Effective number of points below which MORE_POINTS times as many are taken (choices).
FEW_POINTS, MORE_POINTS = 5.0, 4
#: A silent station is judged where this is expected [VEM] (choice: nine of ten are hit).
SILENT_FROM = 2.0
#: Ways in which a station can be odd: its leading edge comes too soon or too late, the signal is
#: too small or too large, or it has no hit where one is expected. (Hits where none is expected are
#: background, as likely at one station as at another.)
TAILS = ("early", "late", "small signal", "large signal", "silent")
_LARGEST_RATE = 8.0  # ln of the rate beyond which a hit is certain, as in the density
#: Part of the predictive distribution that is of the shower that all stations say, this one among
#: them (choice): where the others leave out what is possible, it decides.
WITH_ITSELF = 1e-3
#: Hits of background lie within this of the plane front [ns] (choice: the readout, and how much
#: later the front is at the other end of the array).
_SPAN = 1.5 * READOUT
_BLOCK = 1000  # stations at a time
_LEAST, _LEAST_COSINE = 1e-300, 0.2


class Judged(NamedTuple):
    """Stations and how far out in its distribution lies what was seen; rows by event."""

    event: np.ndarray  #: (m,) position of the event
    station: np.ndarray  #: (m,) index into the array
    hit: np.ndarray  #: (m,) index of the hit; -1: silent
    #: (m, len(TAILS)) probability of something at least as far out on that side; NaN: not asked,
    #: or the other stations say no shower
    tails: np.ndarray
    conditions: np.ndarray  #: (m, 5) mean of `physics.station.StationConditions`
    log_signal: np.ndarray  #: (m,) ln(signal/VEM); NaN: silent
    #: (m,) mean of the reduced time of the leading edge (`physics.station.reduced_time`); NaN:
    #: silent
    time: np.ndarray


class Showers(NamedTuple):
    """What all stations of an event together say of its shower."""

    known: np.ndarray  #: (n_events,) bool: there is a posterior
    #: (n_events, 3) slope, ln odds of muons, ln scale of the delays: mean of the posterior less
    #: that of showers of this size and zenith; NaN where there is none
    unusual: np.ndarray


def usable_hits(events: Events, pulses: Pulses) -> np.ndarray:
    """(n_hits,) bool: there is a leading edge and at least LEAST_SIGNAL."""
    with np.errstate(invalid="ignore"):
        return np.isfinite(pulses.arrival_time) & (pulses.signal.mean(axis=1) >= LEAST_SIGNAL)


def _cosine(points: np.ndarray) -> np.ndarray:
    """cos z of (..., 10) points; points without weight may be no shower: horizontal."""
    return np.sqrt(np.maximum(1.0 - points[..., 2] ** 2 - points[..., 3] ** 2, _LEAST_COSINE**2))


def _shower_at(points: np.ndarray, stations: StationLikelihood) -> tuple:
    """What `station_conditions` needs of (..., 10) points."""
    n_z = _cosine(points)
    table = stations.variety.attenuation
    attenuation = np.interp(1.0 / n_z, np.linspace(1.0, 2.0, len(table)), table)
    size, slope = points[..., 4], points[..., 6]
    share = expit(points[..., 7])
    return points[..., 2], points[..., 3], n_z, size, slope, share, points[..., 8], attenuation


def _place(points: np.ndarray, position: np.ndarray) -> tuple:
    return position[..., 0] - points[..., 0], position[..., 1] - points[..., 1], position[..., 2]


def _silent_stations(events: Events, usable, points, weights, stations) -> tuple:
    """(event, station) of those without a usable hit where the posterior's mean expects
    SILENT_FROM.
    """
    array = events.array
    working = np.ones((events.n_events, array.n_stations), bool)
    working[events.hit_event[usable], events.hit_station[usable]] = False
    if events.rejected is not None:
        out = events.rejected.astype(bool)
        working[events.hit_event[out], events.hit_station[out]] = False
    dead_event = np.repeat(np.arange(events.n_events), np.diff(events.dead_offset))
    working[dead_event, events.dead_station] = False
    mean = (points * weights[..., None]).sum(axis=1)
    found = np.isfinite(mean).all(axis=1)
    mean = np.where(found[:, None], mean, 0.0)
    shower = tuple(column[:, None] for column in _shower_at(mean, stations))
    expected, _ = station_conditions(
        _place(mean[:, None], array.position), shower, array.lateral, float(array.detector.area)
    )
    return np.nonzero(working & found[:, None] & (expected[0] >= np.log(SILENT_FROM)))


def without_station(
    events: Events, pulses: Pulses, event: np.ndarray, station: np.ndarray
) -> tuple[Events, Pulses]:
    """For every pair of an event and a station, that event with the station out of service."""
    n_hits = np.diff(events.hit_offset)[event]
    copy = np.repeat(np.arange(len(event)), n_hits)
    first = np.concatenate([[0], np.cumsum(n_hits)])
    hit = np.arange(first[-1]) - first[copy] + events.hit_offset[event][copy]
    keep = events.hit_station[hit] != station[copy]
    hit, copy = hit[keep], copy[keep]
    n_dead = np.diff(events.dead_offset)[event]
    dead_first = np.concatenate([[0], np.cumsum(n_dead + 1)])
    dead = np.empty(dead_first[-1], events.dead_station.dtype)
    of = np.repeat(np.arange(len(event)), n_dead + 1)
    place = np.arange(dead_first[-1]) - dead_first[of]
    own = place == n_dead[of]
    dead[own] = station
    dead[~own] = events.dead_station[(events.dead_offset[event][of] + place)[~own]]
    counts = np.bincount(copy, minlength=len(event))

    def take(column):
        return None if column is None else column[hit]

    chosen = replace(
        events,
        event_id=events.event_id[event],
        hit_offset=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        hit_station=events.hit_station[hit],
        hit_time=events.hit_time[hit],
        waveform=None,
        pedestal=None,
        counts_per_vem=None,
        pedestal_rms=None,
        saturated=take(events.saturated),
        rejected=take(events.rejected),
        dead_offset=dead_first.astype(np.int64),
        dead_station=dead,
        pulses=None,
        truth=None,
        standard=None,
    )
    return chosen, select_rows(pulses, hit)


def _mixture_tails(part: np.ndarray, u: np.ndarray, v: np.ndarray) -> tuple:
    """(P(earlier), P(later), P(smaller), P(larger)), (...,) each, for (..., 6 K) outputs."""
    w, m, n, log_s, log_q, rho = np.split(part, 6, axis=-1)
    w = softmax(w, axis=-1)
    a = (u[..., None] - m) * np.exp(-log_s)
    b = (v[..., None] - n) * np.exp(-log_q) / np.sqrt(1.0 + rho * rho)
    return tuple((w * ndtr(x)).sum(axis=-1) for x in (a, -a, b, -b))


def _tails(rows: Judged, seen: tuple, points, weights, told) -> tuple:
    """(tails, mean conditions, mean reduced times) of stations under (m, P, 10) points; seen :
    (time, saturated) of the hits; told : (station likelihood, array).
    """
    stations, array = told
    density, background = stations.density, stations.background
    position = array.position[rows.station][:, None]
    found, plane = station_conditions(
        *(_place(points, position), _shower_at(points, stations)),
        *(array.lateral, float(array.detector.area)),
    )
    conditions = np.stack(np.broadcast_arrays(*found), axis=-1)
    reduced = (np.clip(conditions, density.low, density.high) - density.mean) / density.width
    with torch.no_grad():
        out = network_outputs(density, torch.tensor(reduced).float()).numpy().astype(float)
    p_hit = -np.expm1(-np.exp(np.minimum(conditions[..., 0] + out[..., -2], _LARGEST_RATE)))
    p_flag = expit(out[..., -1])
    half = (out.shape[-1] - 2) // 2
    is_hit = rows.hit >= 0
    time, saturated = (column[:, None] for column in seen)
    delay = np.where(is_hit[:, None], time, points[..., 5]) - points[..., 5] - plane
    u, _ = reduced_time(delay, conditions[..., 2], conditions[..., 4])
    v = np.where(is_hit[:, None], rows.log_signal[:, None], 0.0) - conditions[..., 0]
    clear = _mixture_tails(out[..., :half], u, v)
    clipped = _mixture_tails(out[..., half : 2 * half], u, v)
    # A station has one hit: without the shower's it may be one of background.
    p_stray = -np.expm1(-background.rate * 2.0 * READOUT) * (1.0 - p_hit)
    before = np.clip(0.5 + 0.5 * delay / _SPAN, 0.0, 1.0)
    off = (rows.log_signal[:, None] - background.log_signal) / background.width
    stray = before, 1.0 - before, ndtr(off), ndtr(-off)

    def mean(values):
        return (weights * values).sum(axis=1)

    tails = np.full((len(rows.station), len(TAILS)), np.nan)
    for k in range(4):
        if k < 2:  # how late a leading edge may be depends on whether the signal is saturated
            of_shower = p_hit * np.where(saturated, p_flag, 1.0 - p_flag)
            inside = of_shower * np.where(saturated, clipped[k], clear[k])
        else:
            of_shower = p_hit
            inside = p_hit * (p_flag * clipped[k] + (1.0 - p_flag) * clear[k])
        of_stray = np.where(saturated, 0.0, p_stray) if k < 2 else p_stray
        whole = mean(of_shower + of_stray)
        tails[:, k] = mean(inside + of_stray * stray[k]) / np.maximum(whole, _LEAST)
    tails[:, 4] = 1.0 - mean(p_hit + p_stray)
    tails[~is_hit, :4] = np.nan
    tails[is_hit, 4] = np.nan
    of_points = (weights[..., None] * conditions).sum(axis=1)
    return np.clip(tails, _LEAST, 1.0), of_points, np.where(is_hit, mean(u), np.nan)


def _posteriors(events: Events, pulses: Pulses, context: Context, n_points: int) -> Posterior:
    """Posteriors of events, from more points where so few are too few, of which those that carry
    most of the weight are kept.
    """
    found = posterior_points(events, pulses, context, LIKELIHOOD, n_points)
    again = np.flatnonzero(found.effective < FEW_POINTS)
    if not len(again):
        return found
    hits = np.isin(events.hit_event, again)
    chosen = select_events(events, again), select_rows(pulses, hits)
    more = posterior_points(*chosen, context, LIKELIHOOD, MORE_POINTS * n_points)
    largest = np.argsort(-more.weights, axis=1, kind="stable")[:, :n_points]
    weights = np.take_along_axis(more.weights, largest, axis=1)
    found.points[again] = np.take_along_axis(more.points, largest[..., None], axis=1)
    found.weights[again] = weights / np.maximum(weights.sum(axis=1, keepdims=True), _LEAST)
    found.effective[again] = more.effective
    return found


def judge_stations(
    events: Events, pulses: Pulses, context: Context, n_points: int = N_POINTS
) -> tuple[Judged, Showers]:
    """Every hit, and every silent station where SILENT_FROM is expected, against the shower that
    the other stations of its event say.

    Parameters
    ----------
    events, pulses, context : as of a method; the context holds the station likelihood
    n_points : of every posterior, a multiple of 18

    Not included: the shape of waveforms; correlations of stations beyond the shower's nine numbers.

    Raises
    ------
    InputError : no station likelihood, or one of other stations; distances on the ground; a number
        of points that is no multiple of 18.
    """
    bare = replace(events, waveform=None)
    stations, array = context.stations, events.array
    full = _posteriors(bare, pulses, context, n_points)
    known = full.effective >= FEWEST_POINTS
    usable = usable_hits(events, pulses)
    hit = np.flatnonzero(usable & known[events.hit_event])
    weights = np.where(known[:, None], full.weights, np.nan)
    quiet = _silent_stations(events, usable, full.points, weights, stations)
    event = np.concatenate([events.hit_event[hit], quiet[0]]).astype(np.int64)
    station = np.concatenate([events.hit_station[hit], quiet[1]]).astype(np.int64)
    of_hit = np.concatenate([hit, np.full(len(quiet[0]), -1)]).astype(np.int64)
    order = np.lexsort((station, event))
    event, station, of_hit = event[order], station[order], of_hit[order]
    with np.errstate(divide="ignore", invalid="ignore"):
        log_signal = np.log(pulses.signal.mean(axis=1))
    there = of_hit >= 0
    tails, conditions = np.full((len(event), len(TAILS)), np.nan), np.full((len(event), 5), np.nan)
    signal = np.full(len(event), np.nan)
    signal[there] = log_signal[of_hit[there]]
    time, saturated = np.zeros(len(event)), np.zeros(len(event), bool)
    time[there] = pulses.arrival_time[of_hit[there]]
    saturated[there] = pulses.saturated[of_hit[there]]
    found = Judged(event, station, of_hit, tails, conditions, signal, np.full(len(event), np.nan))
    for rows in blocks("judge stations", len(event), _BLOCK, "stations"):
        copies, of_copies = without_station(bare, pulses, event[rows], station[rows])
        left = _posteriors(copies, of_copies, context, n_points)
        good = np.flatnonzero(left.effective >= FEWEST_POINTS)
        at = good + rows.start
        own = Judged(*(column[at] for column in found))
        seen = time[at], saturated[at]
        points = np.concatenate([left.points[good], full.points[event[at]]], axis=1)
        parts = (1.0 - WITH_ITSELF) * left.weights[good], WITH_ITSELF * full.weights[event[at]]
        tails[at], conditions[at], found.time[at] = _tails(
            own, seen, points, np.concatenate(parts, axis=1), (stations, array)
        )
    return found, Showers(known, _unusual(full.points, weights, stations))


def _unusual(points: np.ndarray, weights: np.ndarray, stations: StationLikelihood) -> np.ndarray:
    """`Showers.unusual` of (n, P, 10) points."""
    n_z = _cosine(points)
    s, size = 1.0 / n_z - 1.0, points[..., 4]
    design = np.stack([np.ones_like(s), s, s * s, size, s * size], axis=-1)
    off = points[..., 6:9] - design @ stations.variety.coefficients.T
    return (weights[..., None] * off).sum(axis=1)

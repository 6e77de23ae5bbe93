"""The posterior of every event. Compiled."""

from typing import NamedTuple

import numpy as np

from tashower.calibration.station_likelihood import LEAST_SIGNAL
from tashower.physics.compiled import compiled, inner
from tashower.physics.station import station_conditions
from tashower.reconstruction.likelihood.density import HIT, SATURATED, SILENT, Seen
from tashower.reconstruction.likelihood.explore import (
    lower_factor,
    maximise,
    proposal,
    scratch_space,
)
from tashower.reconstruction.likelihood.posterior import N_SHOWER, Looked, shower_of
from tashower.reconstruction.likelihood.saturation import SOFT_EDGE, look_behind_edge
from tashower.reconstruction.likelihood.weighted import (
    Draws,
    align,
    moments,
    propose_again,
    put_curvatures,
    sample,
    temper,
    widen,
)

#: Silent stations that the start expects less of than this [VEM] are left out (choice: they say
#: nothing about each other), and hits that come so much before or after the front [ns] are
#: background (choice).
LEAST_EXPECTED = 0.15
EARLIEST, LATEST = -2800.0, 20_000.0
#: Effective part of the points below which they are drawn anew from where these lie, how often they
#: are drawn at most, and how many have to carry the weight that says where they lie (choices).
ENOUGH, MOST_ROUNDS, TRUSTED = 0.2, 6, 20.0
#: Effective part of the points below which an event gets the many (choice: an even posterior has
#: 0.78; below it few points see little of the tails).
EVEN = 0.45
#: ln of the factor by which densities are wider in a first climb, so that no station is given up
#: because the start is far off (choice).
SOFT = 1.1


class Hits(NamedTuple):
    """Hits of all events, and stations out of service."""

    offset: np.ndarray  #: (n_events + 1,) int64
    station: np.ndarray  #: (n_hits,) int32
    time: np.ndarray  #: (n_hits,) [ns]
    signal: np.ndarray  #: (n_hits,) [VEM]
    saturated: np.ndarray  #: (n_hits,) bool
    code: np.ndarray  #: (n_hits, h) of the waveforms' shapes, or (n_hits, 0)
    dead_offset: np.ndarray
    dead: np.ndarray


class Explored(NamedTuple):
    """Where the results go; NaN where there is none."""

    mean: np.ndarray  #: (n, 10), the shower and its curvature a [ns]
    covariance: np.ndarray  #: (n, 10, 10)
    effective: np.ndarray  #: (n,) effective number of points
    maximum: np.ndarray  #: (n,) ln of the density at the maximum of the last climb
    points: np.ndarray  #: (n or 0, n_points, 10) of the last round
    weights: np.ndarray  #: (n or 0, n_points)


@compiled
def _columns(n_stations):
    return (np.zeros((3, n_stations)), np.zeros((4, n_stations)), np.full(n_stations, -1, np.int64))


@inner(inline=False)
def look(event, hits, position, start, model, background, columns):
    """(number of hits, of hits and saturated ones, of stations) to look at in one event; `columns`
    are overwritten, in this order.

    start : (9,) shower that says where something may be expected; t0 absolute
    """
    place, seen, slot = columns
    begin, end = hits.offset[event], hits.offset[event + 1]
    for s in range(len(slot)):
        slot[s] = -1
    for h in range(begin, end):
        slot[hits.station[h]] = h
    for d in range(hits.dead_offset[event], hits.dead_offset[event + 1]):
        slot[hits.dead[d]] = -2
    shower = shower_of(start, model.prior.attenuation)
    n = n_hits = n_saturated = 0
    for s in range(len(slot)):
        if slot[s] == -2:
            continue
        dx, dy, dz = position[s, 0] - start[0], position[s, 1] - start[1], position[s, 2]
        found, plane = station_conditions((dx, dy, dz), shower, model.lateral, model.area)
        what, time, log_signal = SILENT, start[5], 0.0
        if slot[s] >= 0:
            h = slot[s]
            delay = hits.time[h] - start[5] - plane
            if EARLIEST < delay < LATEST and hits.signal[h] >= LEAST_SIGNAL:
                what = SATURATED if hits.saturated[h] else HIT
                time, log_signal = hits.time[h], np.log(hits.signal[h])
        if found[0] < np.log(LEAST_EXPECTED) and (what == SILENT or found[0] < -7.0):
            continue
        at = n
        if what != SILENT:  # the first silent one makes room
            _move(place, seen, n_saturated, at)
            at = n_saturated
            n_saturated += 1
        if what == HIT:
            _move(place, seen, n_hits, at)
            at = n_hits
            n_hits += 1
        place[0, at], place[1, at], place[2, at] = position[s, 0], position[s, 1], position[s, 2]
        seen[0, at], seen[1, at] = time - start[5], log_signal
        off = (log_signal - background.log_signal) / background.width
        seen[2, at] = (
            np.log(background.rate + 1e-12) - 0.5 * off * off - np.log(background.width) - 0.919
        )
        seen[3, at] = slot[s] if what != SILENT else -1.0
        n += 1
    return n_hits, n_saturated, n


@inner
def _move(place, seen, source, target):
    """Move a station to another place of the list."""
    for j in range(3):
        place[j, target] = place[j, source]
    for j in range(4):
        seen[j, target] = seen[j, source]


@inner(inline=False)
def _points(draws, looked, model, scratch, mean, covariance):
    """Effective number of the points of a proposal, or of others where these say that it was far
    off; mean (10,) and covariance (10, 10) are overwritten.
    """
    effective = 0.0
    for attempt in range(MOST_ROUNDS):
        effective = sample(draws, looked, model, scratch)
        if not effective > 0.0:
            break
        put_curvatures(scratch.points, model.prior.curvature)
        enough = effective > ENOUGH * len(draws.z)
        last = attempt == MOST_ROUNDS - 1
        # Weights that few points carry say where to look, when they are made more even.
        used = effective if enough or (last and effective > TRUSTED) else temper(scratch, TRUSTED)
        moments(scratch, mean, covariance)
        if enough or last or not propose_again(mean, covariance, scratch):
            widen(covariance, used)
            break
    return effective


@inner(inline=False)
def _explore(looked, model, draws, scratches, found):
    """(ln of the density where the last climb ended, effective number of points) of one event.

    draws : (those of all events, those of events whose weights are uneven); scratches : a `Scratch`
        for each, base and factor of the first are the start and its errors
    found : mean (10,) and covariance (10, 10), overwritten
    """
    scratch, wide = scratches
    mean, covariance = found
    for i in range(N_SHOWER):
        scratch.z[i] = 0.0
    soft = (0.0, SOFT_EDGE)
    maximise(looked, model, scratch, (SOFT, SOFT), 0.5)
    highest = maximise(looked, model, scratch, soft, 0.02)
    if not (highest > -np.inf and proposal(looked, model, scratch, soft)):
        return np.nan, 0.0
    look_behind_edge(looked, model, scratch)
    few, many = draws
    effective = _points(few, looked, model, scratch, mean, covariance)
    if not (0.0 < effective < EVEN * len(few.z) and len(many.z) > len(few.z)):
        return highest, effective
    for i in range(N_SHOWER):
        wide.base[i] = scratch.base[i]
        for j in range(N_SHOWER):
            wide.factor[i, j] = scratch.factor[i, j]
    return highest, _points(many, looked, model, wide, mean, covariance)


@compiled
def explore_all(hits, position, model, background, begin, draws, explored):
    """Posterior of every event; the arrays of `explored` are overwritten where there is one.

    begin : ((n, 9) shower to start from, NaN rows: none; (n, 9, 9) covariance of it)
    draws : `Draws` (of all events, of those whose weights are uneven; no more points: none), of
        which an event takes the set that its start names
    """
    start, spread = begin
    few, many = draws
    n_stations = len(position)
    columns = _columns(n_stations)
    place, seen = columns[0], columns[1]
    scratch = scratch_space(model.learned, few.z.shape[1], n_stations)
    wide = scratch_space(model.learned, max(many.z.shape[1], 1), n_stations)
    code = np.zeros((n_stations, hits.code.shape[1]), np.float32)
    mean, covariance = np.zeros(N_SHOWER + 1), np.zeros((N_SHOWER + 1, N_SHOWER + 1))
    for event in range(len(start)):
        if not (np.isfinite(start[event]).all() and lower_factor(spread[event], scratch.factor)):
            continue
        n_hits, n_saturated, m = look(
            event, hits, position, start[event], model, background, columns
        )
        for i in range(n_saturated):
            code[i] = hits.code[int(seen[3, i])]
        seen_there = Seen(seen[0, :m], seen[1, :m], seen[2, :m], code[:m])
        looked = Looked(place[0, :m], place[1, :m], place[2, :m], seen_there, n_hits, n_saturated)
        for i in range(N_SHOWER):
            scratch.base[i] = start[event, i]
        origin = start[event, 5]
        scratch.base[5] = 0.0
        align(scratch)
        # A number that neither place nor direction of a shower changes.
        turn = int(1000.0 * abs(start[event, 4])) % len(few.z)
        own = (
            Draws(few.z[turn], few.log_density[turn]),
            Draws(many.z[turn], many.log_density[turn]),
        )
        highest, effective = _explore(looked, model, own, (scratch, wide), (mean, covariance))
        explored.effective[event], explored.maximum[event] = effective, highest
        if effective > 1.0:
            mean[5] += origin
            explored.mean[event] = mean
            explored.covariance[event] = covariance
        if len(explored.points) and effective > 1.0:
            scratch.points[:, 5] += origin
            explored.points[event] = scratch.points
            explored.weights[event] = scratch.weights

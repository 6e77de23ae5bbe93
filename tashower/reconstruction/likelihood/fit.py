"""The posterior of every event. Compiled."""

from typing import NamedTuple

import numpy as np

from tashower.physics.compiled import compiled, inner
from tashower.reconstruction.likelihood.density import HIT, SATURATED, SILENT, Seen
from tashower.reconstruction.likelihood.explore import (
    lower_factor,
    maximise,
    moments,
    proposal,
    sample,
    scratch_space,
)
from tashower.reconstruction.likelihood.posterior import Looked, _shower_of
from tashower.physics.station import station_conditions

#: Silent stations that the start expects less of than this [VEM] are left out (choice: they say
#: nothing about each other), and hits that come so much before or after the front [ns] are
#: background (choice).
LEAST_EXPECTED = 0.15
EARLIEST, LATEST = -2800.0, 20_000.0
_LEAST_SIGNAL = 0.2
#: Effective part of the points below which the proposal is made anew from them, and how often.
ENOUGH, MOST_ROUNDS = 0.2, 3
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
    dead_offset: np.ndarray
    dead: np.ndarray


class Explored(NamedTuple):
    """Where the results go; NaN where there is none."""

    mean: np.ndarray  #: (n, 9)
    covariance: np.ndarray  #: (n, 9, 9)
    effective: np.ndarray  #: (n,) effective number of points
    maximum: np.ndarray  #: (n,) ln of the density at the maximum
    points: np.ndarray  #: (n or 0, n_points, 9) of the last round
    weights: np.ndarray  #: (n or 0, n_points)


@compiled
def _columns(n_stations):
    return (
        np.zeros((3, n_stations)),
        np.zeros((3, n_stations)),
        np.full(n_stations, -1, np.int64),
    )


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
    shower = _shower_of(start, model.prior.attenuation)
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
            if EARLIEST < delay < LATEST and hits.signal[h] >= _LEAST_SIGNAL:
                what = SATURATED if hits.saturated[h] else HIT
                time, log_signal = hits.time[h], np.log(hits.signal[h])
        if found[0] < np.log(LEAST_EXPECTED) and (what == SILENT or found[0] < -7.0):
            continue
        at = n
        if what == SATURATED or what == HIT:  # the first silent one makes room
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
        n += 1
    return n_hits, n_saturated, n


@inner
def _move(place, seen, source, target):
    """Move a station to another place of the list."""
    for j in range(3):
        place[j, target] = place[j, source]
        seen[j, target] = seen[j, source]


@compiled
def explore_all(hits, position, model, background, start, spread, draws, explored):
    """Posterior of every event; the arrays of `explored` are overwritten.

    start : (n, 9), NaN rows: nothing to start from; spread : (n, 9, 9) its covariance
    draws : (n_points, 9), see `explore.sample`
    """
    n_stations = len(position)
    columns = _columns(n_stations)
    scratch = scratch_space(model.density, len(draws), n_stations)
    place, seen, _ = columns
    for event in range(len(start)):
        explored.effective[event] = 0.0
        if not np.isfinite(start[event]).all():
            continue
        n_hits, n_saturated, m = look(
            event, hits, position, start[event], model, background, columns
        )
        seen_there = Seen(seen[0, :m], seen[1, :m], seen[2, :m])
        looked = Looked(place[0, :m], place[1, :m], place[2, :m], seen_there, n_hits, n_saturated)
        for i in range(9):
            scratch.base[i] = start[event, i]
        scratch.base[5] = 0.0
        if not lower_factor(spread[event], scratch.factor):
            continue
        for i in range(9):
            scratch.z[i] = 0.0
        maximise(looked, model, scratch, SOFT, 0.5)
        value = maximise(looked, model, scratch, 0.0, 0.02)
        if not value > -np.inf:
            continue
        if not proposal(looked, model, scratch):
            continue
        mean, covariance = explored.mean[event], explored.covariance[event]
        effective = 0.0
        for attempt in range(MOST_ROUNDS):
            effective = sample(draws, looked, model, scratch)
            if not effective > 0.0:
                break
            moments(scratch, mean, covariance)
            if effective > ENOUGH * len(draws) or attempt == MOST_ROUNDS - 1:
                break
            # From the points of this round: where they lie, wider by half.
            part = min(effective / 20.0, 1.0)
            for i in range(9):
                for j in range(9):
                    old = 0.0
                    for k in range(9):
                        old += scratch.factor[i, k] * scratch.factor[j, k]
                    scratch.hessian[i, j] = part * 1.3 * covariance[i, j] + (1.0 - part) * old * 1.3
            for i in range(9):
                scratch.base[i] = mean[i]
            if not lower_factor(scratch.hessian, scratch.factor):
                break
        explored.effective[event] = effective
        explored.maximum[event] = value
        mean[5] += start[event, 5]
        if not effective > 1.0:
            for i in range(9):
                mean[i] = np.nan
                for j in range(9):
                    covariance[i, j] = np.nan
        if len(explored.points):
            for k in range(len(draws)):
                explored.weights[event, k] = scratch.weights[k]
                for i in range(9):
                    explored.points[event, k, i] = scratch.points[k, i]
                explored.points[event, k, 5] += start[event, 5]

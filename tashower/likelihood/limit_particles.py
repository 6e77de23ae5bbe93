"""The posterior of a shower where every particle is known: how well an array could reconstruct at
all, whatever its electronics.
"""

from typing import NamedTuple

import numpy as np

from tashower.calibration.station_likelihood import Variety
from tashower.config import Config
from tashower.events.model import Events
from tashower.likelihood.coordinates import N_SHOWER, from_near, log_volume, shower_rows, to_near
from tashower.likelihood.known import Known, known_particles, log_likelihoods, place_of
from tashower.likelihood.maxima import maxima
from tashower.physics.compiled import compiled
from tashower.progress import blocks
from tashower.reconstruction.likelihood.posterior import Prior, is_possible, log_prior
from tashower.simulation.light import numbers_at, shower_of
from tashower.simulation.recorded import record_events
from tashower.simulation.simulate import setup_of
from tashower.simulation.stations import Setup

#: A posterior may have several maxima (of the core, around a station): so many times it is climbed
#: to one, from places drawn anew, and then sampled around all of them, with so many points
#: (choices).
_STARTS, _FINAL = 5, 640
#: How many points have to carry the weight where more are drawn from (choice).
_TRUSTED = 50.0
#: Fewest points that shall carry the weight in the end, and how often more are drawn (choices).
_FEWEST, _MORE = 120.0, 6
#: Degrees of freedom of the proposals, and how much wider than the points they are (choices).
_DEGREES, _WIDER = 8.0, 1.2
#: Stations without a particle that the start expects fewer of are left out (choice).
_LEAST_EXPECTED = 0.03
#: A step for derivatives of the coordinates in units of the width (choice).
_SMALL = 0.01
_BLOCK = 250


class ParticlePosterior(NamedTuple):
    """Weighted points of the posterior of every event, columns as of
    `reconstruction.methods.likelihood.Posterior` without the curvature.
    """

    mean: np.ndarray  #: (n, 9); NaN where there is none
    covariance: np.ndarray  #: (n, 9, 9)
    effective: np.ndarray  #: (n,) effective number of points


def prior_of(variety: Variety) -> Prior:
    """The prior of an event's shower, as the likelihood methods have it."""
    return Prior(
        variety.coefficients,
        np.linalg.inv(variety.covariance),
        variety.attenuation,
        variety.curvature,
    )


@compiled
def _priors(points, prior, result):
    for i in range(len(points)):
        result[i] = log_prior(points[i], prior) if is_possible(points[i]) else -np.inf


@compiled
def _worth_a_look(row, t0, slot, setup, least):
    """Mask of stations to look at: those with particles, and those that expect some."""
    shower = shower_of(row, t0)
    mask = slot >= 0
    for s in range(len(slot)):
        if slot[s] == -1:
            numbers = numbers_at(shower, place_of(setup.stations.position, s, shower), setup)
            mask[s] = numbers[0] + numbers[1] > least
    return mask


class _Looked(NamedTuple):
    """Events of a block."""

    stations: list  #: of each, as of `known.log_likelihoods`
    near: np.ndarray  #: (n,) the station with the most particles
    known: Known
    origin: np.ndarray  #: (n,) t0 that times are relative to
    setup: Setup
    prior: Prior


def _look(events: Events, start: np.ndarray, config: Config, settings: tuple) -> _Looked:
    """settings : (split, clock, prior)"""
    split, clock, prior = settings
    particles = record_events(events, config, split)
    rng = np.random.default_rng([config.seed % 2**32, 1, int(events.event_id[0])])
    late = clock * rng.standard_normal(len(particles.shift))
    particles = particles._replace(shift=particles.shift + late)
    setup = setup_of(config, events.array, config.seed)
    origin = np.where(np.isfinite(start[:, 5]), start[:, 5], 0.0)
    particles = particles._replace(front=particles.front - origin[particles.shower])
    known = known_particles(particles, setup.delays.electron_shape, clock)
    rows, stations = shower_rows(np.nan_to_num(start), setup), []
    near = np.zeros(events.n_events, int)
    for i in range(events.n_events):
        slot = np.full(events.array.n_stations, -1)
        slot[events.dead_station[slice(*events.dead_offset[i : i + 2])]] = -2
        begin, end = particles.offset[i : i + 2]
        slot[particles.station[begin:end]] = np.arange(begin, end)
        if begin < end:
            near[i] = particles.station[begin + known.number[begin:end].sum(axis=1).argmax()]
        chosen = np.flatnonzero(_worth_a_look(rows[i], 0.0, slot, setup, _LEAST_EXPECTED))
        stations.append((chosen, slot[chosen]))
    return _Looked(stations, near, known, origin, setup, prior)


def _log_posterior(near, angle, i, looked: _Looked) -> tuple[np.ndarray, np.ndarray]:
    """((m,) ln density, (m, 9) showers) for (m, 9) coordinates of the nearest station; times
    relative to the origin of event i. An angle is one of those within half a turn of the start's.
    """
    points, rows = from_near(near, looked.near[i], looked.setup)
    value, prior = np.empty(len(points)), np.empty(len(points))
    _priors(points, looked.prior, prior)
    t0 = np.ascontiguousarray(points[:, 5])
    log_likelihoods(rows, t0, looked.stations[i], looked.known, looked.setup, value)
    value += prior + log_volume(near)
    once = np.abs(near[:, 1] - angle) < np.pi
    return np.where(np.isfinite(value) & once, value, -np.inf), points


def _weights(log_weight: np.ndarray, power: float = 1.0) -> tuple[np.ndarray, float]:
    off = np.maximum(log_weight - log_weight.max(), -700.0 / max(power, 1e-9))
    weights = np.where(np.isfinite(log_weight), np.exp(power * off), 0.0)
    weights /= weights.sum()
    return weights, 1.0 / (weights**2).sum()


def _tempered(log_weight: np.ndarray) -> np.ndarray:
    """Weights to the power at which enough points carry them."""
    low, high = 1e-6, 1.0
    for _ in range(20):
        middle = 0.5 * (low + high)
        if _weights(log_weight, middle)[1] < _TRUSTED:
            high = middle
        else:
            low = middle
    return _weights(log_weight, low)[0]


def _moments(points, weights):
    mean = weights @ points
    off = points - mean
    return mean, (weights[:, None] * off).T @ off


def _draws(n: int, rng: np.random.Generator) -> np.ndarray:
    """(n, 9) of Student's t distribution, half of them mirrored."""
    half = rng.standard_normal((n // 2, N_SHOWER))
    half /= np.sqrt(rng.chisquare(_DEGREES, len(half)) / _DEGREES)[:, None]
    return np.concatenate([half, -half])


def _log_proposal(points: np.ndarray, mean: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """ln density of the proposal, without what all proposals share."""
    z = np.linalg.solve(factor, (points - mean).T)
    log_volume = np.log(np.diag(factor)).sum()
    return -0.5 * (_DEGREES + N_SHOWER) * np.log1p((z**2).sum(axis=0) / _DEGREES) - log_volume


def _proposal(points: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """(mean, Cholesky factor) of a proposal where weighted points lie; None: they have no width."""
    mean, covariance = _moments(points, weights)
    try:
        return mean, np.linalg.cholesky(_WIDER * covariance)
    except np.linalg.LinAlgError:
        return None


def _explore(i: int, begin: tuple, looked: _Looked, rng: np.random.Generator) -> tuple:
    """(mean, covariance, effective number of points), from all maxima that were found: their
    proposals in equal parts, and more of them where the weighted points lie as long as few points
    carry the weight (adaptive multiple importance sampling; Cornuet et al. 2012,
    doi:10.1111/j.1467-9469.2011.00756.x).
    """
    mean, covariance = begin
    axes = np.linalg.cholesky(covariance)
    starts = mean + rng.standard_normal((_STARTS, N_SHOWER)) @ axes.T
    starts[0] = mean
    several = np.concatenate([starts, mean + _SMALL * axes.T])
    several = to_near(several, looked.near[i], looked.setup)
    angle = several[0, 1]
    several[:, 1] = angle + np.remainder(several[:, 1] - angle + np.pi, 2.0 * np.pi) - np.pi
    starts, axes = several[:_STARTS], (several[_STARTS:] - several[0]).T / _SMALL
    peaks = maxima(lambda near: _log_posterior(near, angle, i, looked)[0], starts, axes)
    if not peaks:
        return mean, covariance, 0.0
    found = [(peak.place, np.linalg.cholesky(_WIDER * peak.axes @ peak.axes.T)) for peak in peaks]
    n = _FINAL // len(found) // 2 * 2
    near = np.concatenate([mean + _draws(n, rng) @ factor.T for mean, factor in found])
    value, points = _log_posterior(near, angle, i, looked)
    drawn = [n] * len(found)
    for attempt in range(_MORE + 1):
        proposals = [_log_proposal(near, *one) for one in found]
        each = np.log(drawn)[:, None]
        log_weight = value - np.logaddexp.reduce(proposals + each, axis=0)
        if not np.isfinite(log_weight.max()):
            return mean, covariance, 0.0
        weights, effective = _weights(log_weight)
        if effective > _FEWEST or attempt == _MORE:
            break
        one = _proposal(near, _tempered(log_weight))
        if one is None:
            break
        found.append(one)
        more = one[0] + _draws(_FINAL // 2, rng) @ one[1].T
        more_value, more_points = _log_posterior(more, angle, i, looked)
        near, points = np.concatenate([near, more]), np.concatenate([points, more_points])
        value = np.concatenate([value, more_value])
        drawn.append(len(more))
    mean, covariance = _moments(points, weights)
    # Unbiased, and with the noise of the mean.
    return mean, covariance * (effective + 1.0) / max(effective - 1.0, 1.0), effective


def particle_posterior(
    events: Events,
    config: Config,
    split: str,
    begin: tuple[np.ndarray, np.ndarray],
    prior: Prior,
    clock: float = 0.0,
) -> ParticlePosterior:
    """Posterior of every event's shower, given time and kind of every particle in every station
    that works, and where no particle came.

    Parameters
    ----------
    events, config, split : as of `simulation.recorded.record_events`
    begin : ((n, 9) shower, (n, 9, 9) its covariance) to start from, such as the posterior of
        waveforms; NaN: none
    prior : of the shower (`prior_of`)
    clock : rms error of every station's clock [ns]; 0: times are true

    It is importance sampling, around maxima that are climbed to from several places, in coordinates
    of the station with the most particles (`coordinates.to_near`).

    Not included: background; that an array has to trigger changes nothing,
    since what was seen says that it did.
    """
    n = events.n_events
    found = ParticlePosterior(
        np.full((n, N_SHOWER), np.nan), np.full((n, N_SHOWER, N_SHOWER), np.nan), np.zeros(n)
    )
    start, spread = begin
    for rows in blocks("fit (particles known)", n, _BLOCK):
        settings = split, clock, prior
        looked = _look(events[rows.start : rows.stop], start[rows], config, settings)
        for i in range(rows.start, rows.stop):
            if not (np.isfinite(start[i]).all() and np.isfinite(spread[i]).all()):
                continue
            rng = np.random.default_rng([config.seed % 2**32, int(events.event_id[i])])
            origin = np.zeros(N_SHOWER)
            origin[5] = looked.origin[i - rows.start]
            mean, covariance, effective = _explore(
                i - rows.start, (start[i] - origin, spread[i]), looked, rng
            )
            if effective > 1.0:
                found.mean[i] = mean + origin
                found.covariance[i], found.effective[i] = covariance, effective
    return found

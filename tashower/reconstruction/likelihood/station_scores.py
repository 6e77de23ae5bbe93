"""What the station likelihood says of every hit at a fit, in a few numbers: what a network needs of
it to improve the fit.

Near a fit the posterior of an event depends on what its stations saw through the derivatives of ln
p(time, signal | shower) by the shower, the scores, which add up over the stations; each goes
through the few conditions of its station (`physics.station`). A network that knows the scores of
all stations, where they stand and how well each knows its time, has what a step of Fisher's method
of scoring needs (Fisher 1925, doi:10.1017/S0305004100009580).
"""

from typing import NamedTuple

import numpy as np

from tashower.calibration.station_likelihood import (
    LEAST_SIGNAL,
    StationLikelihood,
    check_same_stations,
)
from tashower.events.described import check_described
from tashower.events.model import Events, Pulses, Reconstruction
from tashower.physics.compiled import compiled
from tashower.physics.station import reduced_time_derivatives, station_conditions
from tashower.reconstruction.likelihood.density import (
    HIT,
    SATURATED,
    SILENT,
    Block,
    Learned,
    Seen,
    compiled_density,
    log_density,
    rows_space,
)
from tashower.reconstruction.likelihood.posterior import mean_shower, shower_of
from tashower.reconstruction.likelihood.ratio import codes, compiled_ratio
from tashower.reconstruction.likelihood.shapes import waveform_shapes

#: Names of the numbers of a hit.
STATION_SCORES = (
    "time_score",  # derivative of ln p by the time of the front, times 50 ns, compressed
    "time_pull",  # onset less its mean, over its rms, both of the reduced time; compressed
    "time_width",  # ln of that rms [50 ns]
    "signal_score",  # derivative of ln p by ln of the expected signal, compressed
    "distance_score",  # by ln of the distance to the axis at that signal, compressed
)
#: Unit of time of the scores [ns] (choice: about the error of a near station).
_TIME = 50.0
_ROWS = 512  # at a time (choice: their work space fits into a processor's cache)


class Taken(NamedTuple):
    """Hits whose scores are asked for, those that are not saturated first."""

    conditions: np.ndarray  #: (m, 5)
    delay: np.ndarray  #: (m,) behind the plane front [ns]
    seen: Seen
    n_plain: int  #: how many are not saturated


@compiled
def _conditions(event, position, time, shower, setup, conditions, delay):
    """Conditions and delays of hits into the last two."""
    attenuation, lateral, area = setup
    for k in range(len(event)):
        p = shower[event[k]]
        place = position[k, 0] - p[0], position[k, 1] - p[1], position[k, 2]
        found, plane = station_conditions(place, shower_of(p, attenuation), lateral, area)
        for j in range(len(found)):
            conditions[k, j] = found[j]
        delay[k] = time[k] - p[5] - plane


@compiled
def _moments(out, first, n_parts, k):
    """(mean, rms) of the reduced time in row k, from the network's outputs."""
    highest = out[first, k]
    for m in range(1, n_parts):
        highest = max(highest, out[first + m, k])
    total = mean = square = 0.0
    for m in range(n_parts):
        at = first + m
        weight = np.exp(float(out[at, k] - highest))
        middle, width = float(out[at + n_parts, k]), np.exp(float(out[at + 3 * n_parts, k]))
        total += weight
        mean += weight * middle
        square += weight * (middle * middle + width * width)
    mean /= total
    return mean, np.sqrt(max(square / total - mean * mean, 1e-6))


@compiled
def _scores(learned, taken, rows, result):
    """The numbers of `STATION_SCORES` into result (m, 5)."""
    n_parts = (len(learned.density.bias_3) - 2) // 12
    whole = taken.seen
    for begin in range(0, len(result), _ROWS):
        end = min(begin + _ROWS, len(result))
        n, plain = end - begin, min(max(taken.n_plain - begin, 0), end - begin)
        for k in range(n):
            for j in range(rows.conditions.shape[0]):
                rows.conditions[j, k] = taken.conditions[begin + k, j]
            rows.delay[k] = taken.delay[begin + k]
        seen = Seen(
            whole.time[begin:end],
            whole.log_signal[begin:end],
            whole.log_background[begin:end],
            whole.code[begin:end],
        )
        # Three, as in `posterior.with_gradient`, so that what was compiled for it serves here, too.
        blocks = (
            Block(0, plain, HIT, -1, 0.0, 0.0),
            Block(plain, n, SATURATED, -1, 0.0, 0.0),
            Block(n, n, SILENT, -1, 0.0, 0.0),
        )
        log_density(learned, rows, seen, blocks, False)
        for k in range(n):
            first = 0 if k < plain else 6 * n_parts
            mean, rms = _moments(rows.outputs, first, n_parts, k)
            conditions = rows.conditions[2, k], rows.conditions[4, k]
            u, _, slopes, _, _ = reduced_time_derivatives(rows.delay[k], *conditions)
            result[begin + k, 1] = np.arcsinh((u - mean) / rms)
            result[begin + k, 2] = np.log(rms / (slopes[0] * _TIME))
        log_density(learned, rows, seen, blocks, True)
        for k in range(n):
            # A later front is a shorter delay.
            result[begin + k, 0] = np.arcsinh(-_TIME * rows.by[5, k])
            result[begin + k, 3] = np.arcsinh(rows.by[0, k])
            result[begin + k, 4] = np.arcsinh(rows.by[4, k])


def station_scores(
    events: Events, pulses: Pulses, fit: Reconstruction, stations: StationLikelihood
) -> np.ndarray:
    """(n_hits, 5) `STATION_SCORES` of every hit at a fit.

    All are 0 of hits without a leading edge or fit, and of those whose signal is below that of the
    density; with waveforms, and a station likelihood that was learned with them, shapes are in the
    derivatives.

    Not included: silent stations, of which the expected signal says all.

    Raises
    ------
    InputError : a station likelihood of another array's stations.
    """
    array = events.array
    check_described(stations.described, array.described, "station likelihood")
    check_same_stations(stations, float(array.detector.area), int(array.detector.n_layers))
    shower = mean_shower(fit, stations)
    signal = np.nan_to_num(pulses.signal.mean(axis=1))
    known = np.isfinite(pulses.arrival_time) & (signal >= LEAST_SIGNAL)
    known &= np.isfinite(shower).all(axis=1)[events.hit_event]
    saturated = np.asarray(pulses.saturated, bool)
    chosen = np.concatenate([np.flatnonzero(known & ~saturated), np.flatnonzero(known & saturated)])
    code = np.zeros((len(chosen), 0), np.float32)
    ratio = stations.ratio if events.waveform is not None else None
    if ratio is not None:
        code = codes(ratio, waveform_shapes(events, pulses))[chosen]
    log_signal, background = np.log(signal[chosen]), stations.background
    off = (log_signal - background.log_signal) / background.width
    density = np.log(background.rate + 1e-12) - 0.5 * off**2
    density -= np.log(background.width) + 0.5 * np.log(2.0 * np.pi)
    time = pulses.arrival_time[chosen]
    conditions, delay = np.zeros((len(chosen), 5)), np.zeros(len(chosen))
    setup = (stations.variety.attenuation, array.lateral, float(array.detector.area))
    position = array.position[events.hit_station[chosen]]
    _conditions(events.hit_event[chosen], position, time, shower, setup, conditions, delay)
    learned = Learned(compiled_density(stations.density), compiled_ratio(ratio))
    seen = Seen(time, log_signal, density, code)
    found, result = np.zeros((len(chosen), len(STATION_SCORES))), np.zeros((events.n_hits, 5))
    taken = Taken(conditions, delay, seen, int((known & ~saturated).sum()))
    _scores(learned, taken, rows_space(learned, _ROWS), found)
    result[chosen] = found
    return result

"""Events and stations that no simulation explains, with a false-alarm rate that is right by
construction.

Every way in which a station can be odd (`left_out`, and the shape of its waveform) is put on one
scale by a quarter of the simulated showers; another quarter teaches the density of shapes. A
station is as odd as its oddest way, counted for the number of ways and stations of its event
(Sidak 1967, doi:10.1080/01621459.1967.10482935); an event, as its oddest station, or as all its
stations taken together in one of three ways. The other half of the showers was asked for nothing
yet: the rank of an event among those is its p-value (conformal prediction: Vovk, Gammerman and
Shafer 2005, doi:10.1007/b106715), so that of further events of the same kind a part p or less has p
or less, whatever the densities are worth.

An event in which no shower is found has no p-value and takes no part.

Not included: what a simulation does not have because it is wrong. It is flagged as well.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import gammaincc

from tashower.calibration.station_likelihood import check_same_stations
from tashower.errors import InputError
from tashower.events.described import check_described
from tashower.events.model import Events, select_events
from tashower.io.anomaly_file import Anomalies
from tashower.likelihood.left_out import TAILS, Judged, Showers, judge_stations
from tashower.likelihood.pulse_shapes import (
    N_NUMBERS,
    ShapeDensity,
    shape_inputs,
    shape_numbers,
    shape_tails,
    train_shapes,
)
from tashower.likelihood.tails import Tail, log_p_of, rank_p, sidak, tail_of
from tashower.reconstruction.methods import Context
from tashower.reconstruction.pulses import find_pulses

#: Ways in which a station can be odd; the last is time and shape of its waveform in common.
WAYS = (*TAILS, "waveform")
#: Ways in which an event can be: one of its stations; all of them a little; the shapes of its
#: waveforms in common; slope, muons and delays of its shower; no shower fits at all.
OF_EVENTS = STATION, TOGETHER, SHAPES, SHOWER = (
    "station",
    "stations together",
    "waveforms",
    "shower",
)
NO_SHOWER, UNKNOWN = "no shower fits", "nothing to judge"
#: Simulated events that are needed, and hits of a quarter that teach the density of shapes
#: (choices).
FEWEST_EVENTS, FEWEST_HITS = 100, 300
#: A way counts in a sum over stations for at most this -ln p (choice: one station does not decide
#: there).
_LARGEST_IN_SUM = 5.0


#: Largest relative difference of spacings and bins of what counts as one array (choice: measured
#: events may lack stations at its rim).
_SAME_ARRAY = 0.05


class Scale(NamedTuple):
    """What simulated events teach and are ranked by."""

    shapes: ShapeDensity | None  #: None: without waveforms
    ways: tuple[Tail, ...]  #: of WAYS
    z_precision: np.ndarray  #: (N_NUMBERS, N_NUMBERS) of sums of shapes over root of their number
    z_mean: np.ndarray  #: (N_NUMBERS,)
    shower: np.ndarray  #: (3, 3) precision of `Showers.unusual`
    shower_mean: np.ndarray  #: (3,)
    of_events: tuple[Tail, ...]  #: of OF_EVENTS
    ranks: np.ndarray  #: (n,) sorted ln of the smallest p of events that taught nothing
    station_ranks: tuple[np.ndarray, ...]  #: of WAYS: sorted scores of their stations


class _Seen(NamedTuple):
    """Events, judged."""

    n_events: int
    judged: Judged
    showers: Showers
    shape_inputs: np.ndarray  #: (m, 7)
    numbers: np.ndarray  #: (m, N_NUMBERS)


def _look(events: Events, context: Context) -> _Seen:
    pulses = find_pulses(events)
    judged, showers = judge_stations(events, pulses, context)
    there = judged.hit >= 0
    saturated = np.zeros(len(there), bool)
    saturated[there] = pulses.saturated[judged.hit[there]]
    numbers = np.full((len(there), N_NUMBERS), np.nan)
    numbers[there, 0] = judged.time[there]
    numbers[there, 1:] = shape_numbers(events, pulses)[judged.hit[there]]
    inputs = shape_inputs(judged.conditions, judged.log_signal, saturated)
    return _Seen(events.n_events, judged, showers, inputs, numbers)


def _scores(seen: _Seen, shapes: ShapeDensity | None) -> tuple[np.ndarray, np.ndarray]:
    """((m, len(WAYS)) scores -ln p of stations, (m, N_NUMBERS) normal shapes)."""
    m = len(seen.judged.event)
    scores, z = np.full((m, len(WAYS)), np.nan), np.full((m, N_NUMBERS), np.nan)
    scores[:, :-1] = -np.log(seen.judged.tails)
    good = _with_shape(seen)
    if shapes is not None and len(good):
        tails, z[good] = shape_tails(shapes, seen.shape_inputs[good], seen.numbers[good])
        scores[good, -1] = -np.log(tails)
    return scores, z


def _with_shape(seen: _Seen) -> np.ndarray:
    good = np.isfinite(seen.numbers).all(axis=1) & np.isfinite(seen.shape_inputs).all(axis=1)
    return np.flatnonzero(good)


def _sums(seen: _Seen, values: np.ndarray) -> np.ndarray:
    """Sums over the stations of every event, NaN left out; values : (m,)."""
    return np.bincount(seen.judged.event, np.nan_to_num(values), seen.n_events)


def _square(off: np.ndarray, precision: np.ndarray) -> np.ndarray:
    return np.einsum("ni,ij,nj->n", off, precision, off)


def _common_shape(seen: _Seen, z: np.ndarray) -> np.ndarray:
    """(n_events, N_NUMBERS) sum of the normal shapes over the root of their number, NaN: none."""
    some = np.isfinite(z).all(axis=1)
    n = _sums(seen, some.astype(float))
    total = np.stack([_sums(seen, np.where(some, column, 0.0)) for column in z.T], axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(n[:, None] > 0, total / np.sqrt(n)[:, None], np.nan)


class _Combined(NamedTuple):
    """Stations and events on the scale of the ways."""

    station: np.ndarray  #: (m,) ln p of the oddest way, for all ways and stations of its event
    way: np.ndarray  #: (m,) index into WAYS
    events: np.ndarray  #: (n_events, len(OF_EVENTS)) scores


def _combine(seen: _Seen, scores: np.ndarray, z: np.ndarray, scale: Scale) -> _Combined:
    log_p = np.stack([log_p_of(t, scores[:, k]) for k, t in enumerate(scale.ways)], axis=1)
    asked = np.isfinite(log_p)
    number = _sums(seen, asked.sum(axis=1))
    least = np.where(asked, log_p, np.inf)
    way, smallest = least.argmin(axis=1), least.min(axis=1, initial=np.inf)
    smallest = np.where(asked.any(axis=1), smallest, np.nan)
    station = sidak(smallest, number[seen.judged.event])
    found = np.full((seen.n_events, len(OF_EVENTS)), np.nan)
    of_event = np.full(seen.n_events, np.inf)
    np.fmin.at(of_event, seen.judged.event, station)
    found[:, 0] = np.where(number > 0, -of_event, np.nan)
    kept = np.where(asked, np.minimum(-log_p, _LARGEST_IN_SUM), 0.0).sum(axis=1)
    together = gammaincc(np.maximum(number, 1), _sums(seen, kept))
    found[:, 1] = np.where(number > 0, -np.log(np.maximum(together, 1e-300)), np.nan)
    if scale.shapes is not None:
        found[:, 2] = _square(_common_shape(seen, z) - scale.z_mean, scale.z_precision)
    found[:, 3] = _square(seen.showers.unusual - scale.shower_mean, scale.shower)
    return _Combined(station, way, found)


def _log_p_events(combined: _Combined, scale: Scale) -> np.ndarray:
    columns = [log_p_of(t, combined.events[:, k]) for k, t in enumerate(scale.of_events)]
    return np.stack(columns, axis=1)


def _smallest(seen: _Seen, log_p: np.ndarray) -> np.ndarray:
    """ln of an event's smallest p; 0 where nothing is to be judged, NaN where no shower fits."""
    least = np.where(np.isnan(log_p), 0.0, log_p).min(axis=1)
    return np.where(seen.showers.known, least, np.nan)


def _gaussian(sample: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(precision, mean) of the finite rows of a sample."""
    sample = sample[np.isfinite(sample).all(axis=1)]
    covariance = np.atleast_2d(np.cov(sample.T))
    return np.linalg.pinv(covariance, rcond=1e-6, hermitian=True), sample.mean(axis=0)


def calibrate_anomalies(events: Events, context: Context, seed: int = 0) -> Scale:
    """What simulated events say of how odd events can be.

    Parameters
    ----------
    events : simulated, with truth, of which nothing was learned; half of the showers teach shapes
        and set the scale, the others are what p-values are ranks among
    context : with the station likelihood
    seed : of the density of shapes

    Raises
    ------
    InputError : no truth; fewer than FEWEST_EVENTS, or FEWEST_HITS in a quarter; what
        `judge_stations` refuses.
    """
    part = _part_of(events)
    taught, first, second = (_look(select_events(events, part == k), context) for k in range(3))
    shapes, good = None, _with_shape(taught)
    if events.waveform is not None:
        if len(good) < FEWEST_HITS:
            raise InputError(
                f"{len(good)} waveforms to calibrate with, in a quarter of the showers: at least "
                f"{FEWEST_HITS} are needed"
            )
        shapes = train_shapes(taught.shape_inputs[good], taught.numbers[good], seed)
    scores, z = _scores(first, shapes)
    zero = np.zeros((N_NUMBERS, N_NUMBERS)), np.zeros(N_NUMBERS)
    scale = Scale(
        shapes,
        tuple(tail_of(column) for column in scores.T),
        *(zero if shapes is None else _gaussian(_common_shape(first, z))),
        *_gaussian(first.showers.unusual),
        *((), np.zeros(0), ()),
    )
    of_events = tuple(tail_of(column) for column in _combine(first, scores, z, scale).events.T)
    scale = scale._replace(of_events=of_events)
    scores, z = _scores(second, shapes)
    smallest = _smallest(second, _log_p_events(_combine(second, scores, z, scale), scale))
    own = tuple(np.sort(column[np.isfinite(column)]) for column in scores.T)
    ranks = np.sort(smallest[np.isfinite(smallest)])
    return scale._replace(ranks=ranks, station_ranks=own)


def _part_of(events: Events) -> np.ndarray:
    """(n_events,) what the event's shower is for: 0, to teach the density of shapes (a quarter); 1,
    to set the scale (a quarter, of which that density has learned nothing); 2, to rank among.
    """
    if events.truth is None:
        raise InputError("events to calibrate with have no truth: simulated ones are needed")
    if events.n_events < FEWEST_EVENTS:
        raise InputError(
            f"{events.n_events} events to calibrate with: at least {FEWEST_EVENTS} are needed"
        )
    _, number = np.unique(events.truth.shower_id, return_inverse=True)
    part = np.array([0, 2, 1, 2])[number % 4]
    if not np.isin([0, 1, 2], part).all():
        raise InputError("events to calibrate with are of fewer than three showers")
    return part


def check_before(rate: float, simulated: Events, events: Events, context: Context) -> None:
    """Refuse what would be refused later, before anything is computed.

    simulated : to calibrate with; events : that are judged

    Raises
    ------
    InputError : as `calibrate_anomalies`, `check_rate` and `find_anomalies`.
    """
    for some in (events, simulated):
        detector, stations = some.array.detector, context.stations
        check_described(stations.described, some.array.described, "station likelihood")
        check_same_stations(stations, float(detector.area), int(detector.n_layers))
    _check_same_kind(events, simulated.waveform is not None)
    ours, theirs = simulated.array, events.array
    for what, a, b in (
        ("m between stations", ours.spacing, theirs.spacing),
        ("ns a bin", ours.detector.bin_width, theirs.detector.bin_width),
    ):
        if not np.isclose(a, b, rtol=_SAME_ARRAY):
            raise InputError(
                f"the events have {b:g} {what}, those to calibrate with {a:g}: they have to be of "
                "the same array"
            )
    check_rate(rate, int((_part_of(simulated) == 2).sum()))


def _check_same_kind(events: Events, shaped: bool) -> None:
    if (events.waveform is not None) != shaped:
        which = "have no waveforms" if events.waveform is None else "have waveforms"
        raise InputError(f"the events {which}, unlike those to calibrate with")


def check_rate(rate: float, n: int) -> None:
    """Refuse a false-alarm rate that so few events to rank among cannot say.

    Raises
    ------
    InputError : not between 0 and 1, or below 1/(n + 1) of n events.
    """
    if not 0.0 < rate < 1.0:
        raise InputError(f"a false-alarm rate of {rate:g}: between 0 and 1")
    if rate * (n + 1) < 1.0:
        raise InputError(
            f"a false-alarm rate of {rate:g} needs {int(np.ceil(1.0 / rate)) - 1:,} events to rank "
            f"among, here are {n:,}: half of those to calibrate with"
        )


def find_anomalies(events: Events, context: Context, scale: Scale, rate: float = 0.01) -> Anomalies:
    """p-values of events and stations; those of at most `rate` are flagged.

    Raises
    ------
    InputError : what `check_rate` and `judge_stations` refuse; waveforms where the calibration had
        none, or none where it had.
    """
    check_rate(rate, len(scale.ranks))
    _check_same_kind(events, scale.shapes is not None)
    seen = _look(events, context)
    scores, z = _scores(seen, scale.shapes)
    combined = _combine(seen, scores, z, scale)
    log_p = _log_p_events(combined, scale)
    smallest = _smallest(seen, log_p)
    of_station = log_p_of(scale.of_events[0], -combined.station)
    ways = np.array(WAYS)[combined.way] if len(combined.way) else np.zeros(0, "<U1")
    unjudged = np.isnan(combined.station)
    odd = _words(seen, log_p, combined, ways)
    own = np.full(scores.shape, np.nan)
    for k, sample in enumerate(scale.station_ranks):
        own[:, k] = rank_p(-sample[::-1], -scores[:, k])
    judged = seen.judged
    return Anomalies(
        rate,
        len(scale.ranks),
        events.event_id,
        rank_p(scale.ranks, smallest),
        odd,
        -smallest / np.log(10.0),
        _sums(seen, ~unjudged).astype(np.int64),
        judged.event,
        events.array.station_id[judged.station],
        judged.station,
        rank_p(scale.ranks, of_station),
        np.where(unjudged, UNKNOWN, ways),
        own,
        WAYS,
    )


def _words(seen: _Seen, log_p: np.ndarray, combined: _Combined, ways: np.ndarray) -> np.ndarray:
    """(n_events,) what is odd."""
    asked = np.isfinite(log_p)
    kind = np.where(asked, log_p, np.inf).argmin(axis=1)
    words = np.array(OF_EVENTS, dtype="<U40")[kind]
    order = np.lexsort((np.nan_to_num(combined.station, nan=np.inf), seen.judged.event))
    first = np.searchsorted(seen.judged.event[order], np.arange(seen.n_events))
    for i in np.flatnonzero(asked.any(axis=1) & (kind == 0)):
        words[i] = f"{STATION}: {ways[order[first[i]]]}"
    words[~asked.any(axis=1)] = UNKNOWN
    words[~seen.showers.known] = NO_SHOWER
    return words

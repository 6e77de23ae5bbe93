"""Does a generator copy what it learned from? Distances of events to the nearest event of the
training sample, of generated events and of real ones that were not learned from.
"""

from typing import NamedTuple

import numpy as np
from scipy import stats
from scipy.spatial import cKDTree

from tashower.evaluation.two_samples import LEAST
from tashower.events.model import Events, Pulses

#: Cells on either side of the strongest station (choice: most hits of most events).
REACH = 3
#: What a difference of one in ln(1 + signal) is in arrival time [ns] (choice: the spread of times
#: between showers of one footprint, a few hundred ns).
TIME_SCALE = 500.0
#: Hits are copies, bit by bit, only where a waveform has a signal of its own: from this signal on
#: [VEM] (choice).
DISTINCT = 3.0


def footprints(events: Events, pulses: Pulses) -> np.ndarray:
    """(n_events, k) numbers that describe events: ln(1 + signal) and, of hits, time after the mean
    of the event over TIME_SCALE, of every cell around the strongest station.

    A footprint does not depend on where in a regular array it lies. On irregular arrays the cells
    are the stations themselves.
    """
    n, array, event = events.n_events, events.array, events.hit_event
    signal = np.log1p(np.maximum(np.nan_to_num(pulses.signal.mean(axis=1)), 0.0))
    timed = np.isfinite(pulses.arrival_time) & (signal > 0.0)
    weight = np.where(timed, signal, 0.0)
    time = np.where(timed, pulses.arrival_time, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(event, weight * time, n) / np.bincount(event, weight, n)
    late = np.where(timed, np.clip((time - np.nan_to_num(mean)[event]) / TIME_SCALE, -20, 20), 0.0)
    if array.kind == "irregular":
        cell, size, near = events.hit_station, array.n_stations, np.ones(len(event), bool)
    else:
        order = np.lexsort((signal, event))  # the last hit of an event is its strongest
        strongest = np.zeros(n, np.int64)
        strongest[event[order]] = events.hit_station[order]
        step = array.lattice[events.hit_station] - array.lattice[strongest[event]] + REACH
        width = 2 * REACH + 1
        near = ((step >= 0) & (step < width)).all(axis=1)
        cell, size = step[:, 0] * width + step[:, 1], width * width
    found = np.zeros((n, 2, size))
    found[event[near], 0, cell[near]] = signal[near]
    found[event[near], 1, cell[near]] = late[near]
    return found.reshape(n, 2 * size)


class Copies(NamedTuple):
    """Nearest events of the training sample."""

    nearest: np.ndarray  #: (n,) distance of generated events to it
    real: np.ndarray  #: (m,) the same of real events that were not learned from
    ratio: np.ndarray  #: (n,) distance to the nearest over that to the second nearest
    real_ratio: np.ndarray  #: (m,)
    dimension: float  #: in which the ratios of the real events are spread
    p_nearer: float  #: one-sided: generated events are no nearer than the real ones
    p_copy: float  #: that the smallest ratio of all generated events is as small by chance
    copy: int  #: index of the generated event with that ratio
    n_equal: int  #: hits whose waveforms are, bit by bit, those of a hit of the training sample
    n_hits: int  #: hits that were looked at


def _nearest_two(tree: cKDTree, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    distance = tree.query(points, k=2)[0]
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.where(distance[:, 1] > 0.0, distance[:, 0] / distance[:, 1], 0.0)
    return distance[:, 0], ratio


def two_nearest_dimension(ratio: np.ndarray) -> float:
    """Dimension d of points whose ratios of nearest to second nearest distance are ratio: they are
    distributed as P(ratio < x) = x^d (Facco et al. 2017, doi:10.1038/s41598-017-11873-y, equation
    3), of which this is the maximum likelihood; NaN without ratios below 1.
    """
    logarithm = -np.log(np.maximum(ratio, 1e-12))
    return float(len(ratio) / logarithm.sum()) if logarithm.sum() > 0.0 else np.nan


def compare_nearest(
    training: np.ndarray, generated: np.ndarray, real: np.ndarray
) -> dict[str, object]:
    """Fields of `Copies` but for the waveforms, of points (n, k) each.

    p_nearer is that of the rank sum of the distances (Mann and Whitney 1947). p_copy takes the
    ratios of the real events for a power law: the largest of -ln(ratio) of n events.
    """
    tree = cKDTree(training)
    (one, ratio), (other, real_ratio) = (_nearest_two(tree, x) for x in (generated, real))
    dimension = two_nearest_dimension(real_ratio)
    copy = int(np.argmin(ratio))
    smallest = ratio[copy] ** dimension  # uniform of a single event
    return {
        "nearest": one,
        "real": other,
        "ratio": ratio,
        "real_ratio": real_ratio,
        "dimension": dimension,
        "p_nearer": float(stats.mannwhitneyu(one, other, alternative="less").pvalue),
        "p_copy": float(-np.expm1(len(ratio) * np.log1p(-min(smallest, 1.0 - 1e-12)))),
        "copy": copy,
    }


def _codes(events: Events, pulses: Pulses) -> list[bytes]:
    """Waveforms of strong hits, less what the readout adds: their lowest count."""
    with np.errstate(invalid="ignore"):
        strong = np.flatnonzero(pulses.signal.mean(axis=1) >= DISTINCT)
    return [
        np.ascontiguousarray(w - w.min(axis=0), dtype=np.float32).tobytes()
        for w in (events.waveform[i].astype(np.float32) for i in strong)
    ]


def find_copies(
    training: tuple[Events, Pulses], generated: tuple[Events, Pulses], real: tuple[Events, Pulses]
) -> Copies | None:
    """Generated events against the training sample, with the real ones beside them; None where one
    has fewer than LEAST events.
    """
    if min(events.n_events for events, _ in (training, generated, real)) < LEAST:
        return None
    points = [footprints(*one) for one in (training, generated, real)]
    known, codes = set(), []
    if training[0].waveform is not None and generated[0].waveform is not None:
        known, codes = set(_codes(*training)), _codes(*generated)
    return Copies(
        **compare_nearest(*points), n_equal=sum(code in known for code in codes), n_hits=len(codes)
    )

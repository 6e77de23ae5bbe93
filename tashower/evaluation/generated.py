"""What events look like, whoever made them: columns of stations and of events, by which generated
events are compared with simulated or measured ones.

Nothing here asks who made an event. What stations should show is that of the true shower where
both files have a truth, else of the fitted one.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from tashower.calibration.errors import SMALLEST_SIGNAL
from tashower.evaluation.measured import station_features
from tashower.events.array import description_of
from tashower.events.model import (
    PARAMETERS,
    Events,
    Pulses,
    Reconstruction,
    Truth,
    expected_at_hits,
    pulls,
)
from tashower.physics.description import ShowerParameters, expected

#: Signals [VEM] from which the shape of a pulse is looked at, and of both layers for their ratio
#: (choices: several particles).
SHAPED, BOTH_LAYERS = 3.0, 1.0
#: Hits whose time is farther from the front [ns] are not of the shower.
_NOT_OF_THE_SHOWER = 4000.0
#: Parts of the integral of a pulse between which it rises and falls. Rise: Pierre Auger
#: Collaboration 2017, arXiv:1710.07249; the fall is a choice.
RISE, FALL = (0.1, 0.5), (0.5, 0.9)
#: Stations whose mask is looked at: where more than this is expected, and not beyond this distance
#: (choices: [VEM], [m]).
_LEAST_EXPECTED, _FARTHEST = 0.03, 6000.0
#: Hits whose waveforms are worked on at once (choice: memory).
_BLOCK = 20_000
#: Parameters whose pulls are compared.
PULLED = ("core_x", "core_y", "zenith", "azimuth", "s_ref")


def _crossing(cumulated: np.ndarray, part: float) -> np.ndarray:
    """(n,) place, in bins, where sums (n, bins) that end at 1 first reach a part, interpolated."""
    first = np.argmax(cumulated >= part, axis=1)
    rows = np.arange(len(cumulated))
    above = cumulated[rows, first]
    below = np.where(first > 0, cumulated[rows, np.maximum(first - 1, 0)], 0.0)
    step = above - below
    return first + np.where(step > 0.0, (part - below) / np.where(step > 0.0, step, 1.0), 0.0)


def pulse_shape(
    waveform: np.ndarray, pedestal: np.ndarray, bin_width: float
) -> dict[str, np.ndarray]:
    """Shape of the pulses of hits, NaN where a layer has no positive integral.

    Parameters
    ----------
    waveform : (n, bins, layers) counts; pedestal : (n, layers); bin_width : [ns]

    Returns
    -------
    {"rise": time in which the integral over the whole window goes from 10 to 50 % [ns], mean of
    the layers; "fall": from 50 to 90 %; with two layers "layer_correlation": Pearson's of their
    counts, bin by bin}, (n,) each.

    Examples
    --------
    A pulse of constant height over ten bins of 20 ns rises in 80 ns.
    """
    above = waveform - pedestal[:, None, :].astype(float)
    whole = above.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        part = np.cumsum(above, axis=1) / whole[:, None, :]
    good, n_layers = (whole > 0.0).all(axis=1), waveform.shape[2]
    times = {}
    for name, (begin, end) in {"rise": RISE, "fall": FALL}.items():
        each = [
            _crossing(part[:, :, layer], end) - _crossing(part[:, :, layer], begin)
            for layer in range(n_layers)
        ]
        times[name] = np.where(good, bin_width * np.mean(each, axis=0), np.nan)
    if n_layers == 2:
        centred = above - above.mean(axis=1, keepdims=True)
        norm = np.sqrt((centred**2).sum(axis=1)).prod(axis=1)
        product = centred.prod(axis=2).sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            times["layer_correlation"] = np.where(norm > 0.0, product / norm, np.nan)
    return times


def _shapes(events: Events) -> dict[str, np.ndarray]:
    """`pulse_shape` of all hits, in blocks."""
    blocks = [slice(k, k + _BLOCK) for k in range(0, max(events.n_hits, 1), _BLOCK)]
    width = float(events.array.detector.bin_width)
    found = [pulse_shape(events.waveform[b], events.pedestal[b], width) for b in blocks]
    return {name: np.concatenate([one[name] for one in found]) for name in found[0]}


def station_columns(
    events: Events, pulses: Pulses, shower: Truth | Reconstruction
) -> dict[str, np.ndarray]:
    """What is compared of single hits, (n_hits,) each; NaN where there is nothing.

    distance : to the axis [m]; log_signal : ln of the signal [VEM], mean of the layers
    log_ratio : ln(signal/expected); time : after the expected front [ns], within 4 us of it
    area_over_peak, rise, fall [ns], layer_correlation : of signals of 3 VEM and more
    log_layers : ln(upper/lower) of at least 1 VEM each; peaks; saturated : 0 or 1

    Signal and time are those of hits that are not saturated, of 1.4 VEM and more.
    """
    there = expected_at_hits(shower, events)
    signal = pulses.signal.mean(axis=1)
    plain = station_features(pulses)
    with np.errstate(invalid="ignore", divide="ignore"):
        log_signal = np.where(signal > 0.0, np.log(signal), np.nan)
        late = pulses.arrival_time - there.time
        usable = (signal >= SMALLEST_SIGNAL) & (np.abs(late) < _NOT_OF_THE_SHOWER)
        ratio = log_signal - np.log(there.density * events.array.detector.area)
        shaped = signal >= SHAPED
    found = {
        "distance": np.where(usable, there.distance, np.nan),
        "log_signal": log_signal,
        "log_ratio": np.where(usable & ~pulses.saturated, ratio, np.nan),
        "time": np.where(usable, late, np.nan),
        "peaks": plain["peaks"],
        "saturated": plain["saturated"],
        "area_over_peak": np.where(shaped, pulses.area_over_peak, np.nan),
    }
    if "ln(upper/lower)" in plain:
        found["log_layers"] = plain["ln(upper/lower)"]
    if events.waveform is not None:
        found |= {name: np.where(shaped, c, np.nan) for name, c in _shapes(events).items()}
    return found


def _of_event(hit_event, n: int, values: np.ndarray, statistic: str) -> np.ndarray:
    """(n,) mean or standard deviation of the values of the hits of each event; NaN of fewer than
    one or two.
    """
    keep = np.isfinite(values)
    event, values = hit_event[keep], values[keep]
    count = np.bincount(event, minlength=n)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(event, values, n) / count
        if statistic == "mean":
            return mean
        square = np.bincount(event, (values - mean[event]) ** 2, n) / (count - 1)
        return np.where(count > 1, np.sqrt(square), np.nan)


def event_columns(
    events: Events, pulses: Pulses, stations: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """What is compared of whole events without a fit, (n_events,) each.

    n_hits; n_saturated; log_total, log_largest : ln of the sum of the signals and of the largest
    one [VEM]; duration : last minus first arrival within 4 us of the front [ns]; mean_log_ratio,
    spread_log_ratio, spread_time : of the stations of `station_columns`
    """
    n, event = events.n_events, events.hit_event
    signal = np.nan_to_num(pulses.signal.mean(axis=1))
    largest = np.zeros(n)
    np.maximum.at(largest, event, signal)
    total = np.bincount(event, signal, n)
    first, last = np.full(n, np.inf), np.full(n, -np.inf)
    timed = np.isfinite(stations["time"])
    np.minimum.at(first, event[timed], pulses.arrival_time[timed])
    np.maximum.at(last, event[timed], pulses.arrival_time[timed])
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "n_hits": np.diff(events.hit_offset).astype(float),
            "n_saturated": np.bincount(event, pulses.saturated, n),
            "log_total": np.where(total > 0.0, np.log(total), np.nan),
            "log_largest": np.where(largest > 0.0, np.log(largest), np.nan),
            "duration": np.where(last > first, last - first, np.nan),
            "mean_log_ratio": _of_event(event, n, stations["log_ratio"], "mean"),
            "spread_log_ratio": _of_event(event, n, stations["log_ratio"], "spread"),
            "spread_time": _of_event(event, n, stations["time"], "spread"),
        }


def fit_columns(tables: Mapping[str, Reconstruction], truth: Truth | None) -> dict[str, np.ndarray]:
    """What is compared of fits, (n_events,) each, NaN without a result: {"chi2_METHOD":
    chi2/ndof, "valid_METHOD": 0 or 1, and with a truth "pull_PARAMETER_METHOD" of PULLED and
    "energy_METHOD": ln(E/E_true)}.
    """
    found = {}
    for method, table in tables.items():
        with np.errstate(invalid="ignore", divide="ignore"):
            chi2 = np.where(table.ndof >= 1, table.chi2 / np.maximum(table.ndof, 1), np.nan)
            found[f"chi2_{method}"] = np.where(table.valid, chi2, np.nan)
            found[f"valid_{method}"] = table.valid.astype(float)
            if truth is None:
                continue
            of_all = pulls(table, truth)
            for name in PULLED:
                column = of_all[:, PARAMETERS.index(name)]
                found[f"pull_{name}_{method}"] = np.where(np.isfinite(column), column, np.nan)
            found[f"energy_{method}"] = np.log(table.energy / truth.energy)
    return found


class Mask(NamedTuple):
    """Stations that could have been hit, one row each."""

    event: np.ndarray  #: (n,) index of the event
    log_expected: np.ndarray  #: ln of the expected signal [VEM]
    hit: np.ndarray  #: 0 or 1


def hit_mask(events: Events, shower: Truth | Reconstruction) -> Mask:
    """Every station in service within 6 km of the axis where the formulas put 0.03 VEM or more."""
    array, parts = events.array, []
    form = description_of(array)
    for i in range(events.n_events):
        one = ShowerParameters(*(getattr(shower, n)[i] for n in ShowerParameters._fields))
        there = expected(one, array.position, form)
        signal = there.density * array.detector.area
        near = (signal >= _LEAST_EXPECTED) & (there.distance < _FARTHEST)
        near[events.dead_station[slice(*events.dead_offset[i : i + 2])]] = False
        hit = np.zeros(array.n_stations)
        hit[events.hit_station[slice(*events.hit_offset[i : i + 2])]] = 1.0
        rows = np.flatnonzero(near)
        parts.append((np.full(len(rows), i), np.log(signal[rows]), hit[rows]))
    columns = zip(*parts, strict=True) if parts else ((np.zeros(0),) * 3)
    return Mask(*(np.concatenate(column) if parts else column for column in columns))

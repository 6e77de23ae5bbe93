"""Two samples of events compared by everything that can be seen of them: what is compared, in which
bins, and what a classifier makes of it.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from tashower.evaluation.copies import Copies
from tashower.evaluation.generated import Mask
from tashower.evaluation.two_samples import (
    LEAST,
    Area,
    Chance,
    Distribution,
    Pair,
    Profile,
    Rows,
    Units,
    compare_distributions,
    compare_profiles,
    compare_scores,
    paired_units,
    separate_units,
)
from tashower.events.model import Truth
from tashower.generation.classifier import cross_validated

#: Distributions of events and of stations, in the order of the tables: {column: name with unit}.
OF_EVENTS = {
    "n_hits": "stations with a hit",
    "n_saturated": "of them saturated",
    "log_total": "ln(total signal/VEM)",
    "log_largest": "ln(largest signal/VEM)",
    "duration": "last minus first arrival [ns]",
    "mean_log_ratio": "mean of ln(signal/expected)",
    "spread_log_ratio": "spread of ln(signal/expected)",
    "spread_time": "spread of times after the front [ns]",
}
OF_STATIONS = {
    "distance": "distance to the axis [m]",
    "log_signal": "ln(signal/VEM)",
    "log_ratio": "ln(signal/expected)",
    "time": "time after the front [ns]",
    "rise": "rise time, 10 to 50 % [ns]",
    "fall": "fall time, 50 to 90 % [ns]",
    "area_over_peak": "area over peak [ns]",
    "log_layers": "ln(upper/lower)",
    "layer_correlation": "correlation of the layers",
    "peaks": "peaks of a waveform",
}
_PULLS = {
    "core_x": "core x",
    "core_y": "core y",
    "zenith": "zenith",
    "azimuth": "azimuth",
    "s_ref": "size",
}
#: Of fits: {column without the method: name}.
OF_FITS = {"chi2": "χ²/ndof", "energy": "ln(E/E true)"} | {
    f"pull_{name}": f"pull of {text}" for name, text in _PULLS.items()
}
#: Profiles: {column of stations: column that they are against}.
PROFILES = {
    "log_ratio": "distance",
    "time": "distance",
    "rise": "distance",
    "fall": "distance",
    "area_over_peak": "distance",
    "log_layers": "log_signal",
    "layer_correlation": "log_signal",
}
#: The mask, a profile of its own: part of the stations that are hit.
MASK = "hit"
#: Columns of stations that a classifier sees.
_SEEN = (*OF_STATIONS, "saturated")
#: Bins of a profile, hits that a classifier sees of each sample, pulls beyond which an event counts
#: as there (choices).
_BINS, _MOST_HITS, _FARTHEST_PULL = 9, 10_000, 10.0
_SEED_TAG = 4723  # keeps halves and classifiers apart from other streams


class Thrown(NamedTuple):
    """Showers that were thrown at an array, triggered or not; (n,) each."""

    truth: Truth
    triggered: np.ndarray  #: bool


class Sample(NamedTuple):
    """What is compared of the events of one file."""

    name: str
    shower: np.ndarray  #: (n_events,) number of the shower: throws of one shower share it
    of_events: dict[str, np.ndarray]  #: (n_events,) columns, those of fits among them
    features: dict[str, np.ndarray]  #: (n_events,) event features of the free fit
    hit_event: np.ndarray  #: (n_hits,)
    of_stations: dict[str, np.ndarray]  #: (n_hits,)
    mask: Mask
    truth: Truth | None
    thrown: Thrown | None = None

    @property
    def n_events(self) -> int:
        """Number of events."""
        return len(self.shower)


class Compared(NamedTuple):
    """A sample against the reference."""

    name: str
    paired: bool  #: of the same showers
    n_events: tuple[int, int]
    distributions: dict[str, Distribution]  #: of OF_EVENTS, OF_STATIONS and of fits
    profiles: dict[str, Profile]  #: of PROFILES and MASK
    efficiency: dict[str, Profile]  #: against "energy" and "zenith"; empty: not known
    fits: dict[str, Profile]  #: mean and spread, in one bin, of columns of fits
    areas: dict[str, Area]  #: of a classifier of "events" and "stations"
    scores: dict[str, tuple[np.ndarray, np.ndarray]]  #: its scores, of either sample
    copies: Copies | None = None


def select_sample(sample: Sample, rows: np.ndarray, name: str) -> Sample:
    """Some events (mask) of a sample, without the showers that did not trigger."""
    new = np.cumsum(rows) - 1
    hits, stations = rows[sample.hit_event], rows[sample.mask.event]
    columns = (column[stations] for column in sample.mask[1:])
    return Sample(
        name,
        sample.shower[rows],
        {key: column[rows] for key, column in sample.of_events.items()},
        {key: column[rows] for key, column in sample.features.items()},
        new[sample.hit_event[hits]],
        {key: column[hits] for key, column in sample.of_stations.items()},
        Mask(new[sample.mask.event[stations]], *columns),
        None,
    )


def halves(sample: Sample, seed: int) -> tuple[Sample, Sample]:
    """Two halves of the showers of a sample, by chance: what real against real looks like."""
    showers, column = np.unique(sample.shower, return_inverse=True)
    rng = np.random.default_rng(np.random.SeedSequence([seed, _SEED_TAG]))
    first = rng.permutation(len(showers)) < len(showers) // 2
    parts = (first[column], ~first[column])
    return tuple(select_sample(sample, part, sample.name) for part in parts)


def _numbered(truth: Truth | None, shower: np.ndarray) -> dict[int, tuple]:
    if truth is None:
        return {}
    columns = (truth.energy, truth.zenith, truth.azimuth)
    return dict(zip(shower.tolist(), zip(*columns, strict=True), strict=True))


def units_of(first: Sample, second: Sample) -> Units:
    """Which events are of one shower. The files have showers in common where numbers that are in
    both belong to the same energy and direction.
    """
    one, other = (_numbered(s.truth, s.shower) for s in (first, second))
    common = one.keys() & other.keys()
    if common and all(np.allclose(one[k], other[k], rtol=1e-6) for k in common):
        return paired_units(first.shower, second.shower)
    return separate_units(first.shower, second.shower)


def _edges(values: np.ndarray) -> np.ndarray:
    """Of equal bins that hold the middle 99 % of what is finite."""
    values = values[np.isfinite(values)]
    low, high = np.quantile(values, [0.005, 0.995]) if len(values) else (0.0, 1.0)
    return np.linspace(low, high if high > low else low + 1.0, _BINS + 1)


def _columns_of_fits(sample: Sample) -> list[str]:
    return [name for name in sample.of_events if name not in OF_EVENTS]


def _pairs(first: Sample, second: Sample, units: Units) -> dict[str, Pair]:
    """Everything whose distribution is compared."""
    samples = ((first, units.first), (second, units.second))
    names = [*OF_EVENTS, *(n for n in _columns_of_fits(first) if not n.startswith("valid_"))]
    found = {
        name: tuple(Rows(sample.of_events[name], unit) for sample, unit in samples)
        for name in names
        if name in second.of_events
    }
    return found | {
        name: tuple(Rows(s.of_stations[name], unit[s.hit_event]) for s, unit in samples)
        for name in OF_STATIONS
        if name in first.of_stations and name in second.of_stations
    }


def _profiles(first: Sample, second: Sample, units: Units) -> dict:
    samples, found = ((first, units.first), (second, units.second)), {}
    for name, against in PROFILES.items():
        if name in first.of_stations and name in second.of_stations:
            pair = tuple(
                Rows(s.of_stations[name], unit[s.hit_event], s.of_stations[against])
                for s, unit in samples
            )
            seen = first.of_stations[against][np.isfinite(first.of_stations[name])]
            found[name] = pair, _edges(seen)
    pair = tuple(Rows(s.mask.hit, unit[s.mask.event], s.mask.log_expected) for s, unit in samples)
    found[MASK] = pair, _edges(first.mask.log_expected)
    return found


def _of_fits(first: Sample, second: Sample, units: Units) -> dict:
    """Columns of fits in one bin; pulls beyond 10 count as 10."""
    found = {}
    for name in _columns_of_fits(first):
        rows = []
        for sample, unit in ((first, units.first), (second, units.second)):
            values = sample.of_events[name]
            if name.startswith("pull_"):
                values = np.clip(values, -_FARTHEST_PULL, _FARTHEST_PULL)
            rows.append(Rows(values, unit, np.zeros(len(values))))
        found[name] = tuple(rows), np.array([-1.0, 1.0])
    return found


def _efficiency(first: Thrown | None, second: Thrown | None, seed: int) -> dict[str, Profile]:
    """Part of the thrown showers that trigger, against log10(E/eV) and zenith [deg]."""
    if first is None or second is None:
        return {}
    showers = [one.truth.shower_id for one in (first, second)]
    same = len(showers[0]) == len(showers[1]) and np.allclose(
        first.truth.energy, second.truth.energy, rtol=1e-6
    )
    units = (paired_units if same else separate_units)(*showers)
    parts = ((first, units.first), (second, units.second))
    against = {
        "energy": lambda truth: np.log10(truth.energy) + 18.0,
        "zenith": lambda truth: np.degrees(truth.zenith),
    }
    pairs = {}
    for name, column in against.items():
        pair = tuple(
            Rows(one.triggered.astype(float), unit, column(one.truth)) for one, unit in parts
        )
        values = pair[0].at
        pairs[name] = pair, np.linspace(values.min(), values.max() * (1.0 + 1e-9), _BINS + 1)
    return compare_profiles(pairs, Chance(units, seed))


def _matrix(columns: Mapping[str, np.ndarray], names) -> np.ndarray:
    return np.column_stack([columns[name] for name in names])


def _scores(first: Sample, second: Sample, units: Units, seed: int) -> dict[str, Pair]:
    """Cross-validated scores of events and of stations."""
    found = {}
    samples = ((first, units.first), (second, units.second))
    names = [name for name in (*OF_EVENTS,) if name in second.of_events]
    features = sorted(first.features.keys() & second.features.keys())  # as files sort them
    inputs = {
        "events": [
            (np.hstack([_matrix(s.of_events, names), _matrix(s.features, features)]), unit)
            if features
            else (_matrix(s.of_events, names), unit)
            for s, unit in samples
        ]
    }
    seen = [name for name in _SEEN if name in first.of_stations and name in second.of_stations]
    inputs["stations"] = [
        (_matrix(s.of_stations, seen)[:_MOST_HITS], unit[s.hit_event][:_MOST_HITS])
        for s, unit in samples
    ]
    for name, ((one, unit), (other, other_unit)) in inputs.items():
        if min(len(np.unique(unit)), len(np.unique(other_unit))) < LEAST:
            continue
        label = np.arange(len(one) + len(other)) >= len(one)
        both, of_both = np.vstack([one, other]), np.concatenate([unit, other_unit])
        scores = cross_validated(both, label, of_both, seed, f"tell {name} of {second.name}")
        found[name] = Rows(scores[~label], unit), Rows(scores[label], other_unit)
    return found


def compare_samples(first: Sample, second: Sample, seed: int, name: str = "") -> Compared:
    """Everything that is compared of a sample and the reference, the first."""
    units = units_of(first, second)
    chance = Chance(units, seed)
    scores = _scores(first, second, units, seed + _SEED_TAG)
    profiles = compare_profiles(
        _profiles(first, second, units) | _of_fits(first, second, units), chance
    )
    of_fits = set(_columns_of_fits(first))
    return Compared(
        name or second.name,
        units.paired,
        (first.n_events, second.n_events),
        compare_distributions(_pairs(first, second, units), chance),
        {key: one for key, one in profiles.items() if key not in of_fits},
        _efficiency(first.thrown, second.thrown, seed),
        {key: one for key, one in profiles.items() if key in of_fits},
        compare_scores(scores, chance),
        {key: tuple(rows.values for rows in pair) for key, pair in scores.items()},
    )


class Look(NamedTuple):
    """One comparison with a p-value."""

    kind: str  #: "distribution", "mean", "spread", "efficiency", "classifier", "copies"
    name: str
    p_value: float


def looks(compared: Compared) -> list[Look]:
    """Every comparison that has a p-value, in the order of the tables."""
    found = [Look("distribution", n, d.p_value) for n, d in compared.distributions.items()]
    for name, profile in compared.profiles.items():
        found.append(Look("mean", name, profile.p_mean))
        if name != MASK:
            found.append(Look("spread", name, profile.p_spread))
    found += [Look("efficiency", n, p.p_mean) for n, p in compared.efficiency.items()]
    found += [Look("classifier", n, area.p_value) for n, area in compared.areas.items()]
    if compared.copies is not None:
        found.append(Look("copies", "nearer", compared.copies.p_nearer))
        found.append(Look("copies", "copy", compared.copies.p_copy))
    return [look for look in found if np.isfinite(look.p_value)]

"""Differences between finished runs, with errors: on the same events those of paired draws, else
those of independent samples.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tashower.errors import InputError
from tashower.evaluation import cuts
from tashower.evaluation.bootstrap import Draws, draw_showers, entry, replicates
from tashower.evaluation.ladder import SIZES, against
from tashower.evaluation.names import BASELINES, REFERENCE
from tashower.evaluation.runs import Run, common_rows, same_otherwise
from tashower.evaluation.scores import residuals, statistics
from tashower.events.model import Reconstruction, select_rows

#: Scores of a method by itself, in the order of the tables.
OWN = (
    *("angle_68_deg", "angle_99_deg", "zenith_bias_deg", "core_68_m", "core_bias_m"),
    *("log_energy_bias", "log_energy_68"),
)
#: Those that are also compared in bins of true energy.
BINNED = ("angle_68_deg", "core_68_m", "log_energy_68", "log_energy_bias")
#: Scores against a fit of the same run, for each quantity of the ladder.
RUNGS = ("ev", "ratio_68")
_SEED_TAG = 4712  # keeps the bootstrap's stream apart from others


class Difference(NamedTuple):
    """One score of one method in two runs; entries are {"value", "error"}."""

    run: str  #: name of the second run
    method: str
    score: str
    fit: str  #: against which it is; empty: a score of the method by itself
    bin: str  #: of log10(E/eV); empty: all events
    first: dict
    second: dict
    difference: dict  #: second - first

    @property
    def same(self) -> bool:
        """Whether nothing differs, in no bootstrap sample either."""
        return self.difference == {"value": 0.0, "error": 0.0}

    @property
    def sigma(self) -> float:
        """The difference over its error; NaN without an error, 0 where nothing differs."""
        value, error = self.difference["value"], self.difference["error"]
        return value / error if error else 0.0 if self.same else np.nan


class _Which(NamedTuple):
    """Which score."""

    method: str
    score: str
    quantity: str = ""  #: of the ladder
    fit: str = ""
    bin: int | None = None


class Comparison(NamedTuple):
    """What is compared of several runs: each with the first."""

    runs: list[Run]
    differences: list[Difference]
    methods: list[str]  #: that all runs have
    n_common: int  #: events that all runs have; 0: not paired
    n_compared: int  #: of them, those that pass the cuts in every run
    otherwise: bool  #: the same showers developed or were seen otherwise: another front, say
    why: str  #: why it is not paired; empty: it is


def _over_trainings(found: Sequence[np.ndarray]) -> tuple[dict, float]:
    """(value and error of the mean over trainings, scatter of a single one) of replicates."""
    each = [one[0] for one in found]
    return entry(np.mean(found, axis=0)), float(np.std(each, ddof=1)) if len(each) > 1 else 0.0


def paired(first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> tuple[dict, dict, dict]:
    """(first, second, second - first) with errors, of replicates (1 + n_samples,) of the same
    draws.

    first, second : of a network one or more trainings, of any other method one. The scatter of a
        single training is part of every error, added in quadrature.
    """
    one, scatter = _over_trainings(first)
    two, other_scatter = _over_trainings(second)
    difference = entry(np.mean(second, axis=0) - np.mean(first, axis=0))
    one["error"] = float(np.hypot(one["error"], scatter))
    two["error"] = float(np.hypot(two["error"], other_scatter))
    difference["error"] = float(np.hypot(difference["error"], np.hypot(scatter, other_scatter)))
    return one, two, difference


def unpaired(first: Mapping, second: Mapping) -> dict:
    """second - first of two entries, as if their events had nothing in common."""
    return {
        "value": float(second["value"] - first["value"]),
        "error": float(np.hypot(first["error"], second["error"])),
    }


def _methods(runs: Sequence[Run]) -> list[str]:
    """Methods that all runs have, in the order of the first."""
    found = [
        name for name in runs[0].scores["methods"] if all(name in r.scores["methods"] for r in runs)
    ]
    if not found:
        raise InputError(f"{', '.join(run.name for run in runs)}: have no method in common")
    return found


def _bins(runs: Sequence[Run]) -> list[tuple[str, float, float]]:
    """(words, low, high) of the bins of log10(E/eV), if the runs have the same."""
    edges = [run.scores["configuration"]["scores"]["energy_edges_log10_ev"] for run in runs]
    if any(one != edges[0] for one in edges):
        return []
    return [(f"{low:g} – {high:g}", low, high) for low, high in itertools.pairwise(edges[0])]


def _wanted(runs: Sequence[Run], names: Sequence[str], n_bins: int) -> Iterator[_Which]:
    """Every score that is compared, in the order of the tables."""
    for method, score in itertools.product(names, OWN):
        yield _Which(method, score)
    for fit in (f for f in BASELINES if all(f in run.scores["ladder"] for run in runs)):
        others = [name for name in names if name != fit]
        for method, quantity, kind in itertools.product(others, SIZES, RUNGS):
            yield _Which(method, kind, quantity, fit)
    for k in range(n_bins):
        for method, score in itertools.product(names, BINNED):
            yield _Which(method, score, bin=k)


def _difference(which: _Which, run: Run, bins, entries) -> Difference:
    name = "_".join(filter(None, [which.score, which.quantity]))
    words = "" if which.bin is None else bins[which.bin][0]
    return Difference(run.name, which.method, name, which.fit, words, *entries)


class _Measured(NamedTuple):
    """Replicates of `scores.statistics`, by training, of all events and of each bin."""

    run: Run
    all: dict[str, dict]
    bins: dict[str, list[dict]]

    def replicates_of(self, which: _Which) -> list[np.ndarray]:
        """Those of one score, of every training of the method."""
        members = self.run.members(which.method)
        if which.bin is not None:
            return [self.bins[name][which.bin][which.score] for name in members]
        if not which.fit:
            return [self.all[name][which.score] for name in members]
        fit = self.all[which.fit]
        return [against(self.all[name], fit)[which.quantity][which.score] for name in members]


def _measured(run: Run, rows: np.ndarray, names: Sequence[str], draws: Draws, bins) -> _Measured:
    truth = select_rows(run.truth, rows)
    log_energy = np.log10(truth.energy) + 18.0
    everything = np.arange(len(rows))
    parts = [np.flatnonzero((log_energy >= low) & (log_energy < high)) for _, low, high in bins]

    def of(table: Reconstruction, some: np.ndarray) -> dict:
        chosen = select_rows(truth, some)
        off = residuals(select_rows(table, some), chosen)
        return replicates(lambda w: statistics(off, chosen.azimuth, w), draws, some)

    members = [member for method in names for member in run.members(method)]
    tables = {name: select_rows(run.methods[name], rows) for name in members}
    return _Measured(
        run,
        {name: of(table, everything) for name, table in tables.items()},
        {name: [of(table, part) for part in parts] for name, table in tables.items()},
    )


def _paired(runs: Sequence[Run], names: Sequence[str]) -> Comparison:
    rows = common_rows(runs)
    good = np.ones(len(rows[0]), bool)
    for run, there in zip(runs, rows, strict=True):
        wanted = {REFERENCE, *(member for name in names for member in run.members(name))}
        try:
            good &= cuts.in_common({k: select_rows(run.methods[k], there) for k in wanted})
        except InputError as error:
            raise InputError(f"{run.folder}: of the common events {error}") from None
    if good.sum() < 10:
        raise InputError(f"{good.sum()} events pass the cuts in every run: at least 10 are needed")
    chosen, settings, bins = [r[good] for r in rows], runs[0].scores["configuration"], _bins(runs)
    shower = runs[0].truth.shower_id[chosen[0]]
    draws = draw_showers(shower, settings["scores"]["bootstrap"], [settings["seed"], _SEED_TAG])
    first, *others = (
        _measured(run, there, names, draws, bins) for run, there in zip(runs, chosen, strict=True)
    )
    found = [
        _difference(
            which, other.run, bins, paired(first.replicates_of(which), other.replicates_of(which))
        )
        for other in others
        for which in _wanted(runs, names, len(bins))
    ]
    otherwise = not same_otherwise(runs, chosen)
    return Comparison(list(runs), found, list(names), len(good), int(good.sum()), otherwise, "")


def _scored(run: Run, which: _Which) -> dict:
    """The entry of one score in the scores of a run."""
    if which.fit:
        entry = run.scores["ladder"][which.fit][which.method]["all"][which.quantity][which.score]
    else:
        of_method = run.scores["methods"][which.method]
        part = of_method["all"] if which.bin is None else of_method["by_energy"][which.bin]
        entry = part[which.score]
    return {key: np.nan if entry[key] is None else entry[key] for key in ("value", "error")}


def _unpaired(runs: Sequence[Run], names: Sequence[str], why: str) -> Comparison:
    """From scores alone, each of its own events."""
    bins, found = _bins(runs), []
    for run in runs[1:]:
        for which in _wanted(runs, names, len(bins)):
            one, two = _scored(runs[0], which), _scored(run, which)
            found.append(_difference(which, run, bins, (one, two, unpaired(one, two))))
    return Comparison(list(runs), found, list(names), 0, 0, False, why)


def compare(runs: Sequence[Run]) -> Comparison:
    """Each run with the first: paired, on the events that all have and that pass the cuts in each
    (`cuts.in_common`, of the methods that all have), where every run's single events are known;
    else from the scores alone.

    Raises
    ------
    InputError : fewer than two runs; no method in common; no events in common, fewer than ten that
        pass the cuts, or events that are not the same showers.
    """
    if len(runs) < 2:
        raise InputError("two or more runs are needed")
    names = _methods(runs)
    why = [f"{run.name}: {run.why}" for run in runs if run.why]
    return _unpaired(runs, names, "; ".join(why)) if why else _paired(runs, names)

"""How well Xmax and ln A are known, and how well they tell protons from iron.

The merit factor of a number x is |<x>_p - <x>_Fe| / sqrt(Var_p + Var_Fe): as it is used for what
detectors can do (Pierre Auger Collaboration 2016, arXiv:1604.03637) and, with several numbers, by
Flaggs, Coleman and Schroeder 2024, arXiv:2306.13246. Of several numbers it is that of their linear
combination in which it is largest, w ~ (C_p + C_Fe)^-1 (<x>_p - <x>_Fe) (Fisher 1936,
doi:10.1111/j.1469-1809.1936.tb02137.x), which is sqrt(d^T (C_p + C_Fe)^-1 d) with d the difference
of the means. Two normal distributions of equal width with a factor of 1.5 overlap so far that a cut
in the middle takes 14 % of either for the other.

Weights are (b, n), as in `scores`.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from tashower.config import Config
from tashower.errors import InputError
from tashower.evaluation.bins import clean, events_in_bins, one_or_list
from tashower.evaluation.bootstrap import Draws, draw_showers, over_trainings, replicates
from tashower.evaluation.cuts import own
from tashower.evaluation.scores import explained, half_width_68, mean, variance, weighted_sums
from tashower.evaluation.trainings import trainings
from tashower.events.model import Reconstruction, Truth, select_rows

#: The two that are told apart.
PROTON, IRON = 1, 56
#: What is scored: name, unit.
QUANTITIES = {"xmax": "g/cm²", "ln_a": ""}
_SEED_TAG = 4711  # the draws of the other scores
_FEWEST = 10
#: Part of the variance of all events below which that of protons and iron is rounding (choice).
_LEAST_VARIANCE = 1e-10


def linear_merit(values: np.ndarray, mass_number: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(b,) merit factor of protons and iron of the best linear combination of numbers (n, k), or
    of one (n,); NaN with fewer than two events of either, or where a combination does not vary
    among them.

    mass_number : (n,); weights : (b, n)
    """
    values = np.asarray(values, dtype=float)
    values = values[:, None] if values.ndim == 1 else values
    k, found = values.shape[1], np.full(len(weights), np.nan)
    groups = [np.flatnonzero(mass_number == mass) for mass in (PROTON, IRON)]
    if min(map(len, groups)) < 2:
        return found
    # Small numbers lose no digits in squares; each of its own size.
    values = (values - values.mean(axis=0)) / np.maximum(values.std(axis=0), 1e-300)
    means, spread = [], np.zeros((len(weights), k, k))
    for rows in groups:
        x, w = values[rows], weights[:, rows]
        with np.errstate(invalid="ignore", divide="ignore"):
            w = w / w.sum(axis=1, keepdims=True)
        middle = weighted_sums(w, x)
        products = (x[:, :, None] * x[:, None, :]).reshape(len(x), k * k)
        spread += (
            weighted_sums(w, products).reshape(-1, k, k) - middle[:, :, None] * middle[:, None, :]
        )
        means.append(middle)
    apart = means[0] - means[1]
    good = np.isfinite(spread).all(axis=(1, 2)) & np.isfinite(apart).all(axis=1)
    good[good] &= np.linalg.eigvalsh(spread[good])[:, 0] > _LEAST_VARIANCE
    solved = np.linalg.solve(spread[good], apart[good][:, :, None])[:, :, 0]
    found[good] = np.sqrt((apart[good] * solved).sum(axis=1))
    return found


class Found(NamedTuple):
    """What a method says of some events, and what is true."""

    values: np.ndarray  #: (n, 2) of QUANTITIES
    errors: np.ndarray  #: (n, 2); NaN where the method states none
    true: np.ndarray  #: (n, 2)
    mass_number: np.ndarray  #: (n,)

    def rows(self, which: np.ndarray) -> "Found":
        """That of some of the events."""
        return Found(*(column[which] for column in self))


def true_values(truth: Truth) -> np.ndarray:
    """(n, 2) of QUANTITIES; NaN where one is not known."""
    mass = np.where(truth.mass_number >= 1, truth.mass_number, np.nan).astype(float)
    return np.stack([truth.xmax, np.log(mass)], axis=1)


def statistics(found: Found, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Everything that is scored of one method, (b,) each.

    Returns of both quantities Q "Q_bias" (mean of reconstructed - true), "Q_rms" (standard
    deviation of it), "Q_68" (half of the middle 68.27 %), "Q_ev" (1 - its variance over that of the
    true value), "Q_merit" and, where errors are stated, "Q_inside" (part of the events whose true
    value lies within one error: 0.683 if they are right); "both_merit" of the best linear
    combination of both.
    """
    result = {}
    for i, name in enumerate(QUANTITIES):
        off, error = found.values[:, i] - found.true[:, i], found.errors[:, i]
        spread = variance(off, weights)
        result |= {
            f"{name}_bias": mean(off, weights),
            f"{name}_rms": np.sqrt(spread),
            f"{name}_68": half_width_68(off, weights),
            f"{name}_ev": explained(spread, variance(found.true[:, i], weights)),
            f"{name}_merit": linear_merit(found.values[:, i], found.mass_number, weights),
        }
        if len(error) and np.isfinite(error).all():
            result[f"{name}_inside"] = mean(np.abs(off) <= error, weights)
    return result | {"both_merit": linear_merit(found.values, found.mass_number, weights)}


def bound(truth: Truth, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Merit factors (b,) of what is true: of Xmax, of ln of the muon scale, and of the best linear
    combination of both. No strict bound: what is not linear in them can do a little better.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        muons = np.log(truth.muon_scale)
    columns = {"xmax": truth.xmax, "muons": muons, "both": np.stack([truth.xmax, muons], axis=1)}
    return {n: linear_merit(x, truth.mass_number, weights) for n, x in columns.items()}


def of_mass(methods: Mapping[str, Reconstruction], networks: Mapping) -> dict[str, list]:
    """{name: files} of the networks that say Xmax and ln A and correct nothing."""
    return {name: files for name, files in networks.items() if methods[name].says_mass}


def _chosen(methods: Mapping[str, Reconstruction], truth: Truth) -> np.ndarray:
    """Index array of the events that pass the cuts and have a result from every network."""
    good = np.isfinite(true_values(truth)).all(axis=1)
    for table in methods.values():
        good &= own(table)
        for name in QUANTITIES:
            good &= np.isfinite(table.of_mass(name))
    if good.sum() < _FEWEST:
        raise InputError(
            f"{good.sum()} events have a true Xmax and mass, pass the cuts and have a result from "
            f"every network of mass: at least {_FEWEST} are needed for scores"
        )
    return np.flatnonzero(good)


def _found(table: Reconstruction, truth: Truth) -> Found:
    values, errors = (
        np.stack([table.of_mass(f"{name}{end}") for name in QUANTITIES], axis=1)
        for end in ("", "_error")
    )
    return Found(values, errors, true_values(truth), truth.mass_number)


def bins_of(truth: Truth, config: Config) -> dict[str, list[np.ndarray]]:
    """{kind: [rows of each bin]}: all events, in bins of energy and of zenith, by primary."""
    settings = config.scores
    return {
        "all": [np.arange(len(truth.energy))],
        "by_energy": events_in_bins(np.log10(truth.energy) + 18.0, settings.energy_edges_log10_ev),
        "by_zenith": events_in_bins(np.degrees(truth.zenith), settings.zenith_edges_deg),
        "by_primary": [
            np.flatnonzero(truth.mass_number == mass) for mass in np.unique(truth.mass_number)
        ],
    }


def in_bins(
    of: Callable[[np.ndarray], Callable], groups: Mapping, bins: dict, draws: Draws
) -> dict[str, dict]:
    """{name: {kind of bins: entries}} with errors, over the trainings of each name.

    of : of the rows of a bin, a function of (member, weights) that gives {quantity: (b,)}
    groups : {name: members}
    """

    def entries(members, rows):
        here = of(rows)
        each = [replicates(lambda w, m=member: here(m, w), draws, rows) for member in members]
        return {"n": len(rows)} | {n: over_trainings([one[n] for one in each]) for n in each[0]}

    return {
        name: {
            kind: one_or_list(kind, [entries(members, rows) for rows in several])
            for kind, several in bins.items()
        }
        for name, members in groups.items()
    }


def mass_scores(
    config: Config,
    methods: Mapping[str, Reconstruction],
    truth: Truth,
    networks: Mapping[str, list],
) -> dict | None:
    """Scores of the networks that say Xmax and ln A, on the same events; None where there is none.

    Parameters
    ----------
    methods : {name: reconstruction of all events}
    networks : {name: files} of `of_mass`; trainings that differ by their seed alone are scored as
        one

    Raises
    ------
    InputError : fewer than ten events to score.
    """
    if not networks:
        return None
    tables = {name: methods[name] for name in networks}
    rows = _chosen(tables, truth)
    chosen = select_rows(truth, rows)
    found = {name: _found(select_rows(table, rows), chosen) for name, table in tables.items()}
    groups, bins = trainings(config, networks), bins_of(chosen, config)
    draws = draw_showers(truth.shower_id, config.scores.bootstrap, [config.seed, _SEED_TAG])
    draws = draws._replace(shower=draws.shower[rows])
    alone = {"truth": ["truth"]}
    bounds = in_bins(
        lambda rows: lambda _, w: bound(select_rows(chosen, rows), w), alone, bins, draws
    )
    by_name = in_bins(
        lambda rows: lambda name, w: statistics(found[name].rows(rows), w), groups, bins, draws
    )
    return clean(
        {
            "selection": "events that pass the quality cuts of the fit that each network of mass "
            "sees the event with, and have a result from all of them",
            "n_scored": len(rows),
            "mass_numbers": [int(mass) for mass in np.unique(chosen.mass_number)],
            "trainings": groups,
            "methods": by_name,
            "bound": bounds["truth"],
        }
    )

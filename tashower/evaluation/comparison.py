"""Scores of the fits and of the networks on the same events."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from tashower.config import Config, as_dict
from tashower.config.analysis import ScoresConfig
from tashower.evaluation import cuts
from tashower.evaluation.anchors import of_default_array
from tashower.evaluation.bins import clean, events_in_bins, one_or_list
from tashower.evaluation.bootstrap import Draws, draw_showers, entry, over_trainings, replicates
from tashower.evaluation.coverage import coverage_of_methods
from tashower.evaluation.error_cuts import error_cuts
from tashower.evaluation.ladder import SIZES, rung
from tashower.evaluation.names import BASELINES, LIMITS, REFERENCE, in_order, label, short
from tashower.evaluation.scores import (
    Residuals,
    effective_number,
    explained,
    residuals,
    resolution_68,
    statistics,
    variance,
)
from tashower.evaluation.stated import Stated, flagged, of_rows
from tashower.evaluation.tables import VERSION
from tashower.evaluation.trainings import histories, switches, trainings
from tashower.events.model import PARAMETERS, Reconstruction, Truth, pulls, select_rows
from tashower.io import provenance
from tashower.physics.geometry import direction
from tashower.progress import counted

#: Explained variance of the direction correction by (waveforms, event features): Ivanov et al.
#: 2020, arXiv:2005.07117.
PUBLISHED = {(True, True): 0.37, (True, False): 0.30, (False, True): 0.22, (False, False): 0.11}
#: dN/dE ~ E^-index to which events are weighted for published comparisons. Choice: the spectrum of
#: cosmic rays between 10^18.7 and 10^19.7 eV is about E^-2.7 (Abu-Zayyad et al. 2013,
#: doi:10.1088/2041-8205/768/1/L1), simulations of the field are thrown or weighted to E^-3.
SPECTRAL_INDEX = 3.0
_SEED_TAG = 4711  # keeps the bootstrap's stream apart from others


class Scored(NamedTuple):
    """What figures need beside the scores, of the events that were scored."""

    residuals: dict[str, Residuals]  #: of every method; of a network its first training
    pulls: dict[str, np.ndarray]  #: (n, 7) of every baseline
    depths: dict[str, dict[str, np.ndarray]]  #: `coverage.depths` of every method that has errors


class _Bin(NamedTuple):
    """Events that are scored together."""

    rows: np.ndarray  #: index array into the scored events
    factor: np.ndarray | float = 1.0  #: weight of each


def _energy_bins(truth: Truth, settings) -> list[np.ndarray]:
    return events_in_bins(np.log10(truth.energy) + 18.0, settings.energy_edges_log10_ev)


def _select(r: Residuals, rows: np.ndarray) -> Residuals:
    return Residuals(r.axis[rows], r.angle[rows], r.zenith[rows], r.core[rows], r.log_energy[rows])


def _measured(found: Residuals, truth: Truth, draws: Draws, bins: dict) -> dict[str, list[dict]]:
    """{kind of bins: [replicates of `scores.statistics` of each bin]} of one method."""

    def of_bin(one: _Bin) -> dict:
        some, azimuth = _select(found, one.rows), truth.azimuth[one.rows]
        return replicates(lambda w: statistics(some, azimuth, w), draws, one.rows, one.factor)

    return {kind: [of_bin(one) for one in several] for kind, several in bins.items()}


def _summary(of_trainings: list[dict], n: int) -> dict:
    """Bias and resolution with errors, of the replicates of every training."""
    names = [n for n in of_trainings[0] if not n.startswith(("variance_", "kept_"))]
    return {"n": n} | {name: over_trainings([one[name] for one in of_trainings]) for name in names}


def _by_kind(of: Callable[[str, int], dict], bins: dict, kinds) -> dict:
    """{kind of bins: of(kind, bin)}; a list for several bins."""
    return {
        kind: one_or_list(kind, [of(kind, k) for k in range(len(bins[kind]))]) for kind in kinds
    }


def _summaries(measured: dict, groups: dict, bins: dict) -> dict:
    """Bias and resolution of every method, in every kind of bins."""
    return {
        name: _by_kind(
            lambda kind, k, members=members: _summary(
                [measured[m][kind][k] for m in members], len(bins[kind][k].rows)
            ),
            bins,
            bins,
        )
        for name, members in groups.items()
    }


def _ladder(measured: dict, groups: dict, bins: dict) -> dict:
    """{fit: {method: {kind of bins: `ladder.rung`}}}."""

    def entries(members, fit):
        return _by_kind(
            lambda kind, k: rung([measured[m][kind][k] for m in members], measured[fit][kind][k]),
            bins,
            ("all", "by_energy", "weighted"),
        )

    return {
        fit: {name: entries(members, fit) for name, members in groups.items() if name != fit}
        for fit in BASELINES
        if fit in groups
    }


def _limit(measured: dict, groups: dict, bins: dict) -> dict | None:
    """What all methods are measured by, where one of LIMITS is there: {"method", "source", "all":
    its sizes, "times": {method: {size: ratio to it, paired}}, "by_energy": [of each bin the same as
    "times"]}.
    """
    name = next((one for one in LIMITS if one in groups), None)
    if name is None:
        return None

    def times(kind: str, k: int) -> dict:
        result = {}
        for other, members in groups.items():
            if other != name:
                of = rung([measured[m][kind][k] for m in members], measured[name][kind][k])
                result[other] = {size: of[q]["ratio_68"] for q, size in SIZES.items()}
        return result

    own = measured[name]["all"][0]
    return {
        "method": name,
        "source": f"{label(name)}, on the same events: so much can be done at least",
        "all": {size: entry(own[size]) for size in SIZES.values()},
        "times": times("all", 0),
        "by_energy": [times("by_energy", k) for k in range(len(bins["by_energy"]))],
    }


def _quantities(measured: dict, groups: dict, truth: Truth, draws: Draws) -> dict:
    """Explained variance of each reconstructed quantity itself."""
    true = {
        "axis": direction(truth.zenith, truth.azimuth),
        "core": np.stack([truth.core_x, truth.core_y], axis=1),
        "log_energy": np.log(truth.energy),
    }
    spread = replicates(
        lambda w: {q: variance(values, w) for q, values in true.items()},
        draws,
        np.arange(len(truth.energy)),
    )
    return {
        name: {
            q: over_trainings(
                [explained(measured[m]["all"][0][f"variance_{q}"], spread[q]) for m in members]
            )
            for q in SIZES
        }
        for name, members in groups.items()
    }


def _pull_table(found) -> dict:
    return {
        name: {
            "mean": float(x.mean()),
            "width": float(x.std()),
            "width_68": float(np.diff(np.quantile(x, [0.159, 0.841]))[0] / 2),
        }
        for name, x in zip(PARAMETERS, found.T, strict=True)
    }


def _cuts(methods: dict, groups: dict, truth: Truth, common: np.ndarray, draws: Draws) -> dict:
    """{cuts: {method: {"fraction", "angle_68_deg"}}}; draws : of all triggered events."""

    def entries(chosen: Callable[[Reconstruction], np.ndarray]) -> dict:
        result = {}
        for name, members in groups.items():
            parts, angles = [], []
            for member in members:
                rows = np.flatnonzero(chosen(methods[member]))
                some = residuals(select_rows(methods[member], rows), select_rows(truth, rows))
                degrees = np.degrees(some.angle)
                of_cut = replicates(lambda w, x=degrees: {"": resolution_68(x, w)}, draws, rows)
                angles.append(of_cut[""])
                parts.append(len(rows) / len(common))
            result[name] = {
                "fraction": float(np.mean(parts)),
                "angle_68_deg": over_trainings(angles),
            }
        return result

    return {
        "common": entries(lambda table: common),
        "own": entries(cuts.own),
        "looser": entries(cuts.looser),
    }


def _spectrum(config: Config, truth: Truth) -> tuple[dict, np.ndarray]:
    """(what the scores say of it, weights of the events) of the spectrum E^-SPECTRAL_INDEX."""
    thrown = config.showers.spectral_index
    weights = (truth.energy / np.median(truth.energy)) ** (thrown - SPECTRAL_INDEX)
    effective = effective_number(weights)
    return {"index": SPECTRAL_INDEX, "thrown": thrown, "n_effective": effective}, weights


def _published(config: Config) -> list[dict]:
    """The published explained variances; none for another array than that of the publication."""
    if not of_default_array({"configuration": as_dict(config)}):
        return []
    return [
        {"waveforms": w, "event_features": f, "value": v, "source": "arXiv:2005.07117"}
        for (w, f), v in PUBLISHED.items()
    ]


def settled(methods: dict, networks: Mapping) -> dict[str, Reconstruction]:
    """Methods that are scored, the baselines first: without those that are neither a baseline nor a
    network and give no event direction, core and energy together.
    """
    return {
        name: methods[name]
        for name in in_order(methods)
        if name in BASELINES or name in networks or cuts.complete(methods[name]).any()
    }


def _made_by(config: Config) -> dict:
    """What scores say of themselves."""
    return {
        "format": "tashower scores",
        "version": VERSION,
        "software": provenance.software(),
        "commit": provenance.commit(),
        "created": provenance.now(),
        "versions": provenance.versions(),
        "configuration": as_dict(config),
        "selection": f"events that pass the quality cuts of the {short(REFERENCE)} and have a "
        "result from every method",
    }


def _bins_of(chosen: Truth, settings: ScoresConfig, weights: np.ndarray) -> dict[str, list[_Bin]]:
    """The bins of the scored events, by kind; weights : (n,) of the events for E^-3."""
    everything = np.arange(len(chosen.energy))
    zenith = np.degrees(chosen.zenith)
    return {
        "all": [_Bin(everything)],
        "weighted": [_Bin(everything, weights)],
        "by_energy": [_Bin(b) for b in _energy_bins(chosen, settings)],
        "by_zenith": [_Bin(b) for b in events_in_bins(zenith, settings.zenith_edges_deg)],
    }


def _of_networks(
    config: Config,
    members: dict[str, list[str]],
    methods: dict[str, Reconstruction],
    stated: Mapping[str, Stated],
    truth: Truth,
    draws: Draws,
) -> dict:
    """What scores say of networks alone.

    members : {network: its trainings}; truth, draws : of all triggered events
    """
    corrected = {n: config.networks[n].corrects for n in members if n in config.networks}
    passing = {name: np.flatnonzero(cuts.own(methods[name])) for name in members}
    return {
        "networks": {name: switches(config, name) for name in members},
        "trainings": members,
        "error_cuts": error_cuts(
            methods,
            {name: several for name, several in members.items() if name in corrected},
            corrected,
            truth,
            draws,
        ),
        "outside_domain": {
            name: flagged([methods[m] for m in several], stated[name], passing[name], draws)
            for name, several in members.items()
            if stated[name].domain
        },
    }


def score(
    config: Config,
    methods: dict[str, Reconstruction],
    truth: Truth,
    networks: Mapping[str, list],
    stated: Mapping[str, Stated] | None = None,
) -> tuple[dict, Scored]:
    """Scores of reconstructions of the same events, and what the figures of them need.

    Parameters
    ----------
    methods : {name: reconstruction}, with the REFERENCE. One that is neither a baseline nor a
        network and gives no event direction, core and energy together is not scored.
    networks : {name: its files} of those methods that are networks; those of the configuration that
        differ by their seed alone are scored as one, with the scatter between them
    stated : {name: what its files state beside the tables} of networks

    Raises
    ------
    InputError : fewer than ten events with a result from every method pass the cuts.
    """
    methods = settled(methods, networks)
    stated = dict.fromkeys(methods, Stated()) | dict(stated or {})
    groups = trainings(config, networks)
    groups = {
        name: groups.get(name, [name]) for name in methods if name not in networks or name in groups
    }
    good = cuts.in_common(methods)
    rows = np.flatnonzero(good)
    chosen, settings = select_rows(truth, rows), config.scores
    draws_of_all = draw_showers(truth.shower_id, settings.bootstrap, [config.seed, _SEED_TAG])
    draws = draws_of_all._replace(shower=draws_of_all.shower[rows])
    found = {name: residuals(select_rows(table, rows), chosen) for name, table in methods.items()}
    spectrum, weights = _spectrum(config, chosen)
    bins = _bins_of(chosen, settings, weights)
    measured = {
        name: _measured(r, chosen, draws, bins)
        for name, r in counted("score", found.items(), len(found), "methods")
    }
    found_pulls = {
        name: pulls(select_rows(methods[name], rows), chosen)
        for name in BASELINES
        if name in methods
    }
    bins_of_coverage = {
        kind: [one.rows for one in several] for kind, several in bins.items() if kind != "weighted"
    }
    found_depths, found_coverage = coverage_of_methods(
        {name: select_rows(table, rows) for name, table in methods.items()},
        chosen,
        groups,
        {name: of_rows(stated[name], rows) for name in methods},
        (networks, bins_of_coverage, draws),
    )
    members = {name: groups[name] for name in networks if name in groups}
    scores = {
        **_made_by(config),
        "n_triggered": len(good),
        "n_scored": len(rows),
        "n_showers": len(np.unique(chosen.shower_id)),
        "spectrum": spectrum,
        "fraction_valid": {name: float(np.mean(table.valid)) for name, table in methods.items()},
        "fraction_scored_by_energy": [
            float(good[b].mean()) if len(b) else np.nan for b in _energy_bins(truth, settings)
        ],
        **_of_networks(config, members, methods, stated, truth, draws_of_all),
        "published_ev": _published(config),
        "ladder": _ladder(measured, groups, bins),
        "limit": _limit(measured, groups, bins),
        "ev_of_quantity": _quantities(measured, groups, chosen, draws),
        "methods": _summaries(measured, groups, bins),
        "cuts": _cuts(methods, groups, truth, good, draws_of_all),
        "pulls": {name: _pull_table(of_fit) for name, of_fit in found_pulls.items()},
        "coverage": found_coverage,
        "histories": histories(networks),
    }
    scored = Scored(
        {name: found[name] for name in groups},
        found_pulls,
        {name: found_depths[name] for name in groups if found_depths[name]},
    )
    return clean(scores), scored

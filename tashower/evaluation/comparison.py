"""Scores of the fits and of the networks on the same events."""

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tashower.config import Config, as_dict
from tashower.errors import InputError
from tashower.evaluation.names import BASELINES, in_order, short
from tashower.evaluation.scores import (
    Residuals,
    bootstrap_rows,
    explained_variance,
    residuals,
    summarise,
    with_error,
)
from tashower.evaluation.tables import pulls_key
from tashower.events.model import PARAMETERS, Reconstruction, Truth, pulls, select_rows
from tashower.io import provenance
from tashower.io.json_file import parsed_json
from tashower.physics.geometry import direction
from tashower.progress import counted

#: Explained variance of the direction correction by (waveforms, event features): Ivanov et al.
#: 2020, arXiv:2005.07117.
PUBLISHED = {(True, True): 0.37, (True, False): 0.30, (False, True): 0.22, (False, False): 0.11}
_SEED_TAG = 4711  # keeps the bootstrap's stream apart from others


class Scored(NamedTuple):
    """What figures need beside the scores, of the events that were scored."""

    residuals: dict[str, Residuals]  #: of every method
    pulls: np.ndarray  #: (n, 7), of the first baseline


def _bins(values, edges):
    """Index arrays of the events in each bin."""
    return [
        np.flatnonzero((values >= low) & (values < high)) for low, high in itertools.pairwise(edges)
    ]


def _ev_table(found, baseline, rows) -> dict:
    """Explained variance of the correction of direction, core and energy against one fit, by method
    and quantity.
    """
    result = {}
    for name, method in found.items():
        if name == baseline:
            continue
        result[name] = {
            quantity: with_error(
                explained_variance,
                (getattr(method, quantity), getattr(found[baseline], quantity)),
                rows,
            )
            for quantity in ("axis", "core", "log_energy")
        }
    return result


def _quantities(found, truth, rows) -> dict:
    """Explained variance of each reconstructed quantity itself."""
    true = {
        "axis": direction(truth.zenith, truth.azimuth),
        "core": np.stack([truth.core_x, truth.core_y], axis=1),
        "log_energy": np.log(truth.energy),
    }
    return {
        name: {q: with_error(explained_variance, (getattr(method, q), true[q]), rows) for q in true}
        for name, method in found.items()
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


def _switches(config: Config, name: str) -> dict | None:
    """What a network of the configuration sees; None for one that was trained elsewhere."""
    if name not in config.networks:
        return None
    inputs = config.networks[name].inputs
    return {"waveforms": inputs.waveforms, "event_features": inputs.event_features}


def history_paths(networks: Mapping[str, list]) -> dict[str, Path]:
    """{network: its history.json}, beside the checkpoint, two folders above the network's results;
    without those that have none.
    """
    found = {}
    for name, paths in networks.items():
        for folder in list(Path(paths[0]).parents)[:3] if paths else ():
            if (folder / "history.json").is_file():
                found[name] = folder / "history.json"
                break
    return found


def _histories(networks) -> dict:
    """Training curves of the networks."""
    paths = history_paths(networks)
    return {name: parsed_json(path)["epochs"] for name, path in paths.items()}


def _clean(value):
    """The value for JSON: NaN and infinities become null."""
    if isinstance(value, dict):
        return {k: _clean(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(v) for v in value]
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value


def _complete(table: Reconstruction) -> np.ndarray:
    """(n_events,) bool: direction, core and energy are known."""
    return np.isfinite(table.zenith) & np.isfinite(table.core_x) & np.isfinite(table.energy)


def _chosen(methods: dict[str, Reconstruction]) -> np.ndarray:
    """(n_events,) bool: the events that are scored."""
    good = methods[BASELINES[0]].passes_cuts.copy()
    for name in BASELINES[1:]:
        if name in methods:
            good &= methods[name].valid
    for table in methods.values():
        good &= _complete(table)
    if good.sum() < 10:
        raise InputError(f"{good.sum()} events pass the cuts: at least 10 are needed for scores")
    return good


def _summaries(found: dict[str, Residuals], truth: Truth, settings, rows_of) -> dict:
    """Bias and resolution of every method: of all events, and in bins of energy and of zenith."""
    everything = np.arange(len(truth.energy))
    energy_bins = _bins(np.log10(truth.energy) + 18.0, settings.energy_edges_log10_ev)
    zenith_bins = _bins(np.degrees(truth.zenith), settings.zenith_edges_deg)
    return {
        name: {
            "all": summarise(r, truth, everything, rows_of),
            "by_energy": [summarise(r, truth, b, rows_of) for b in energy_bins],
            "by_zenith": [summarise(r, truth, b, rows_of) for b in zenith_bins],
        }
        for name, r in counted("score", found.items(), len(found), "methods")
    }


def score(
    config: Config, methods: dict[str, Reconstruction], truth: Truth, networks: Mapping[str, list]
) -> tuple[dict, Scored]:
    """Scores of reconstructions of the same events, and what the figures of them need.

    Parameters
    ----------
    methods : {name: reconstruction}, with the first of the BASELINES. One that is neither a
        baseline nor a network and gives no event direction, core and energy together is not scored.
    networks : {name: its files} of those methods that are networks

    Raises
    ------
    InputError : fewer than ten events with a result from every method pass the cuts.
    """
    methods = {
        name: methods[name]
        for name in in_order(methods)
        if name in BASELINES or name in networks or _complete(methods[name]).any()
    }
    good = _chosen(methods)
    rows = np.flatnonzero(good)
    chosen = select_rows(truth, rows)
    found = {name: residuals(select_rows(table, rows), chosen) for name, table in methods.items()}
    settings = config.scores

    def rows_of(n):
        return bootstrap_rows(n, settings.bootstrap, [config.seed, _SEED_TAG])

    boot, first = rows_of(len(rows)), BASELINES[0]
    found_pulls = pulls(select_rows(methods[first], rows), chosen)
    triggered = _bins(np.log10(truth.energy) + 18.0, settings.energy_edges_log10_ev)
    published = [
        {"waveforms": w, "event_features": f, "value": v, "source": "arXiv:2005.07117"}
        for (w, f), v in PUBLISHED.items()
    ]
    scores = {
        "format": "tashower scores",
        "version": 2,
        "software": provenance.software(),
        "commit": provenance.commit(),
        "created": provenance.now(),
        "versions": provenance.versions(),
        "configuration": as_dict(config),
        "selection": f"events that pass the quality cuts of the {short(first)} and have a result "
        "from every method",
        "n_triggered": len(good),
        "n_scored": len(rows),
        "fraction_valid": {name: float(np.mean(table.valid)) for name, table in methods.items()},
        "fraction_scored_by_energy": [
            float(good[b].mean()) if len(b) else np.nan for b in triggered
        ],
        "networks": {name: _switches(config, name) for name in networks},
        "published_ev": published,
        "ev_of_correction": {fit: _ev_table(found, fit, boot) for fit in BASELINES if fit in found},
        "ev_of_quantity": _quantities(found, chosen, boot),
        "methods": _summaries(found, chosen, settings, rows_of),
        pulls_key(first): _pull_table(found_pulls),
        "histories": _histories(networks),
    }
    return _clean(scores), Scored(found, found_pulls)

"""Scores of the fit and of the networks on the same events."""

import itertools
import json
from pathlib import Path

import numpy as np

from tashower.config import Config, as_dict
from tashower.errors import InputError
from tashower.evaluation import plots, tables
from tashower.evaluation.display import draw_event
from tashower.evaluation.scores import (
    bootstrap_rows,
    explained_variance,
    residuals,
    summarise,
    with_error,
)
from tashower.events.model import PARAMETERS, Events, concatenate_rows, pulls, select_rows
from tashower.io import provenance
from tashower.io.atomic import written_aside
from tashower.io.event_file import read_events
from tashower.io.hdf5 import made_from, read_attributes
from tashower.io.reconstruction_file import read_reconstruction
from tashower.physics.geometry import direction

#: Explained variance of the direction correction by (waveforms, event features): Ivanov et al.
#: 2020, arXiv:2005.07117.
PUBLISHED = {(True, True): 0.37, (True, False): 0.30, (False, True): 0.22, (False, False): 0.11}
FITS = ("free", "constrained")
_SEED_TAG = 4711  # keeps the bootstrap's stream apart from others


def _read_methods(events_paths, fits_paths, networks) -> tuple[dict, object, int]:
    """({method: Reconstruction}, truth, number of triggered events); every method has the same
    rows.
    """
    if len(events_paths) != len(fits_paths):
        raise InputError(
            f"{len(events_paths)} event files, but {len(fits_paths)} reconstruction files"
        )
    truths, parts, ids = [], {name: [] for name in (*FITS, *networks)}, []
    for k, (events_path, fits_path) in enumerate(zip(events_paths, fits_paths, strict=True)):
        events = read_events(events_path)
        if events.truth is None:
            raise InputError(f"{events_path}: scores need simulated events: these have no truth")
        truths.append(events.truth)
        ids.append(events.event_id)
        tables_of = {name: read_reconstruction(fits_path)[0].get(name) for name in FITS}
        for name, paths in networks.items():
            if len(paths) != len(events_paths):
                raise InputError(
                    f"network {name}: {len(paths)} files for {len(events_paths)} event files"
                )
            tables_of[name] = read_reconstruction(paths[k])[0].get(name)
        for name, table in tables_of.items():
            where = networks[name][k] if name in networks else fits_path
            if table is None:
                raise InputError(f"{where}: no reconstruction {name!r}")
            if not np.array_equal(table.event_id, events.event_id):
                raise InputError(f"{where}: is not a reconstruction of {events_path}")
            parts[name].append(table)
    methods = {name: concatenate_rows(tables_) for name, tables_ in parts.items()}
    return methods, concatenate_rows(truths), sum(len(i) for i in ids)


def _bins(values, edges):
    """Index arrays of the events in each bin."""
    return [
        np.flatnonzero((values >= low) & (values < high)) for low, high in itertools.pairwise(edges)
    ]


def _ev_table(found, networks, baseline, rows) -> dict:
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


def _histories(networks) -> dict:
    """Training curves of the networks, from history.json beside their checkpoints, two folders
    above their results.
    """
    found = {}
    for name, paths in networks.items():
        for folder in list(Path(paths[0]).parents)[:3] if paths else ():
            if (folder / "history.json").is_file():
                found[name] = json.loads((folder / "history.json").read_text())["epochs"]
                break
    return found


def _clean(value):
    """The value for JSON: NaN and infinities become null."""
    if isinstance(value, dict):
        return {k: _clean(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(v) for v in value]
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value


def score(config: Config, methods: dict, truth, networks) -> tuple[dict, dict]:
    """(scores, what the figures need) of reconstructions {name: Reconstruction} of the same events."""
    good = methods["free"].passes_cuts & methods["constrained"].valid
    for table in methods.values():
        good &= np.isfinite(table.zenith) & np.isfinite(table.core_x) & np.isfinite(table.energy)
    rows = np.flatnonzero(good)
    if len(rows) < 10:
        raise InputError(f"{len(rows)} events pass the cuts: at least 10 are needed for scores")
    chosen = select_rows(truth, rows)
    found = {name: residuals(select_rows(table, rows), chosen) for name, table in methods.items()}
    settings = config.scores

    def rows_of(n):
        return bootstrap_rows(n, settings.bootstrap, [config.seed, _SEED_TAG])

    everything = np.arange(len(rows))
    log_energy, zenith = np.log10(chosen.energy) + 18.0, np.degrees(chosen.zenith)
    energy_bins, zenith_bins = (
        _bins(log_energy, settings.energy_edges_log10_ev),
        _bins(zenith, settings.zenith_edges_deg),
    )
    triggered = _bins(np.log10(truth.energy) + 18.0, settings.energy_edges_log10_ev)
    by = {
        name: {
            "all": summarise(r, chosen, everything, rows_of),
            "by_energy": [summarise(r, chosen, b, rows_of) for b in energy_bins],
            "by_zenith": [summarise(r, chosen, b, rows_of) for b in zenith_bins],
        }
        for name, r in found.items()
    }
    boot = rows_of(len(rows))
    free_pulls = pulls(select_rows(methods["free"], rows), chosen)
    scores = {
        "format": "tashower scores",
        "version": 1,
        "software": provenance.software(),
        "commit": provenance.commit(),
        "created": provenance.now(),
        "versions": provenance.versions(),
        "configuration": as_dict(config),
        "selection": "events that pass the quality cuts of the free fit and have a result from every method",
        "n_triggered": len(good),
        "n_scored": len(rows),
        "fraction_valid": {name: float(np.mean(table.valid)) for name, table in methods.items()},
        "fraction_scored_by_energy": [
            float(good[b].mean()) if len(b) else np.nan for b in triggered
        ],
        "networks": {name: as_dict(config)["networks"].get(name) for name in networks},
        "published_ev": [
            {"waveforms": w, "event_features": f, "value": v, "source": "arXiv:2005.07117"}
            for (w, f), v in PUBLISHED.items()
        ],
        "ev_of_correction": {fit: _ev_table(found, networks, fit, boot) for fit in FITS},
        "ev_of_quantity": _quantities(found, chosen, boot),
        "methods": by,
        "pulls_of_free_fit": _pull_table(free_pulls),
        "histories": _histories(networks),
    }
    return _clean(scores), {"found": found, "truth": chosen, "pulls": free_pulls, "rows": rows}


def _examples(config: Config, events_paths, fits_paths, networks) -> list:
    """Of the first file: a few events that pass the cuts, spread evenly in energy: (events, index,
    tables, pulses).
    """
    events: Events = read_events(events_paths[0])
    fits, pulses, _ = read_reconstruction(fits_paths[0])
    tables_of = {
        **{name: fits[name] for name in FITS},
        **{name: read_reconstruction(paths[0])[0][name] for name, paths in networks.items()},
    }
    good = np.flatnonzero(fits["free"].passes_cuts)
    order = good[np.argsort(events.truth.energy[good])]
    wanted = (
        np.linspace(0, len(order) - 1, config.scores.examples + 2)[1:-1].astype(int)
        if len(order)
        else []
    )
    return [(events, int(order[k]), tables_of, pulses) for k in wanted]


def evaluate(config: Config, events_paths, fits_paths, networks: dict, calibration, output) -> dict:
    """Score fit and networks; write scores.json (`output`), scores.md and figures/ beside it.

    Parameters
    ----------
    events_paths, fits_paths : files of the test sample, in the same order
    networks : {name: files of `apply_network`, in the same order}
    calibration : path of the fit's calibration, for the record

    Returns the scores.

    Raises
    ------
    InputError : no truth, files that do not belong together, nothing to score.
    """
    methods, truth, _ = _read_methods(events_paths, fits_paths, networks)
    scores, material = score(config, methods, truth, networks)
    scores["inputs"] = [Path(p).name for p in (*events_paths, *fits_paths)]
    networks_paths = [path for paths in networks.values() for path in paths]
    scores["made_from"] = made_from(
        [*events_paths, *fits_paths, *networks_paths, *([calibration] if calibration else [])]
    )
    scores["calibration"] = (
        None if calibration is None else json.loads(Path(calibration).read_text())["errors"]
    )
    scores["simulation_commit"] = read_attributes(events_paths[0])["commit"]
    output = Path(output)
    figures = output.parent / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    plots.draw_all(scores, material, figures)
    for number, (events, index, tables_of, pulses) in enumerate(
        _examples(config, events_paths, fits_paths, networks)
    ):
        draw_event(events, index, tables_of, pulses, figures / f"event_{number + 1}.png")
    with written_aside(output.with_name("scores.md")) as aside:
        aside.write_text(tables.as_markdown(scores))
    with written_aside(output) as aside:
        aside.write_text(json.dumps(scores, indent=1, allow_nan=False) + "\n")
    return scores

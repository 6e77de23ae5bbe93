"""How well are Xmax and ln A known? Networks beside gradient boosting on the event features, the
likelihood's front scale and muon share, and the fitted curvature.

    tashower run --config config/mass.yaml
    python benchmarks/mass.py results-mass > docs/mass.md

on a finished run. Gradient boosting is that of scikit-learn (`pip install tashower[trees]`). Some
minutes on one core, nearly all of them posteriors; `--posteriors 500` for a trial, `--posteriors 0`
without them: then all events of the test sample are scored.
"""

import argparse
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tashower.calibration.calibration import read_calibration
from tashower.calibration.station_likelihood import DEFAULT as STATIONS
from tashower.calibration.station_likelihood import read_station_likelihood
from tashower.config import load_config
from tashower.evaluation.mass import mass_scores, true_values
from tashower.evaluation.rounding import pm
from tashower.evaluation.tables import markdown_table
from tashower.events.model import (
    Reconstruction,
    Truth,
    concatenate_rows,
    select_events,
    select_rows,
)
from tashower.io import provenance
from tashower.io.event_file import read_events
from tashower.io.hdf5 import read_attributes
from tashower.io.json_file import parsed_json
from tashower.io.reconstruction_file import read_reconstruction
from tashower.reconstruction.features import EVENT_FEATURES
from tashower.reconstruction.methods import WAVEFORMS, Context
from tashower.reconstruction.methods.likelihood import posterior_points

#: Events of the validation and of the test sample whose posteriors are found (choice).
POSTERIORS = 4000
#: Columns of `Posterior.points`: ln odds of muons, ln of the scale of the delays.
MUONS, FRONT = 7, 8
#: Trees: small steps, and stopped by a tenth of the training sample (choices; nothing was tuned).
TREES = {
    "max_iter": 1000,
    "learning_rate": 0.05,
    "early_stopping": True,
    "validation_fraction": 0.1,
    "n_iter_no_change": 20,
    "random_state": 1,
}
_PRIMARIES = {1: "p", 4: "He", 14: "N", 56: "Fe"}


#: What the page says of the likelihood's numbers.
_LIKELIHOOD = """\
* **likelihood**: posterior means of the scale of the delays and of ln of the odds of muons
  (method `likelihood_waveforms`), on a straight line beside zenith and size that was drawn with
  the validation sample; no cascade connects them with Xmax and mass.
"""


class Part(NamedTuple):
    """Events of a sample that pass the cuts of the free fit, as the networks learn from."""

    truth: Truth
    free: Reconstruction
    complete: Reconstruction
    features: np.ndarray  #: (n, 16) of EVENT_FEATURES
    said: dict[str, Reconstruction]  #: by the networks of the run
    posterior: np.ndarray  #: (n, 2) mean of MUONS and FRONT; NaN beyond the first of them


def _files(folder: Path, split: str) -> list[tuple[Path, Path]]:
    found = sorted((folder / "events" / split).glob("*.h5"))
    return [(path, folder / "reconstructions" / split / path.name) for path in found]


def posterior_means(events, pulses, context: Context) -> np.ndarray:
    """(n, 2) means of ln odds of muons and ln of the front's scale, by the likelihood of waveforms;
    NaN where there is no posterior.
    """
    found = posterior_points(events, pulses, context, WAVEFORMS)
    mean = np.einsum("nm,nmk->nk", found.weights, found.points[:, :, [MUONS, FRONT]])
    return np.where(found.effective[:, None] > 1.0, mean, np.nan)


def read_part(folder: Path, split: str, networks: list[str], context: Context, n: int) -> Part:
    """A sample of a run; n : events whose posteriors are found, from the first."""
    parts, left = [], n
    for events_path, fits_path in _files(folder, split):
        tables, pulses, features = read_reconstruction(fits_path)
        rows = np.flatnonzero(tables["free"].passes_cuts & np.isfinite(tables["free"].energy))
        events = read_events(events_path) if left else read_events(events_path, ("truth",))
        some, posterior = rows[:left], np.full((len(rows), 2), np.nan)
        if len(some):
            hits = np.isin(events.hit_event, some)
            of = select_events(events, some), select_rows(pulses, hits)
            posterior[: len(some)] = posterior_means(*of, context)
            left -= len(some)
        said = {
            name: select_rows(
                read_reconstruction(folder / "networks" / name / split / fits_path.name)[0][name],
                rows,
            )
            for name in networks
        }
        columns = np.stack([features[name][rows] for name in EVENT_FEATURES], axis=1)
        fits = (select_rows(tables[name], rows) for name in ("free", "complete"))
        parts.append(Part(select_rows(events.truth, rows), *fits, columns, said, posterior))
        print(f"{events_path}: {len(rows):,} events", file=sys.stderr, flush=True)
    joined = (concatenate_rows([getattr(p, k) for p in parts]) for k in Part._fields[:3])
    said = {name: concatenate_rows([p.said[name] for p in parts]) for name in networks}
    features, posterior = (
        np.concatenate([getattr(p, k) for p in parts]) for k in ("features", "posterior")
    )
    return Part(*joined, features, said, posterior)


def boosted(train: Part, test: Part) -> np.ndarray:
    """(n, 2) Xmax and ln A of the test sample, each by gradient boosted trees on the event features
    of the training sample.
    """
    try:
        from sklearn.ensemble import HistGradientBoostingRegressor
    except ImportError:
        raise SystemExit("scikit-learn is missing: pip install tashower[trees]") from None
    targets = true_values(train.truth)
    return np.stack(
        [
            HistGradientBoostingRegressor(**TREES)
            .fit(train.features, targets[:, i])
            .predict(test.features)
            for i in range(2)
        ],
        axis=1,
    )


def design(fit: Reconstruction, *columns: np.ndarray) -> np.ndarray:
    """(n, k) what a line is drawn through: columns beside polynomials of zenith and size."""
    s, size = 1.0 / np.cos(fit.zenith) - 1.0, np.log(fit.s_ref)
    return np.stack([np.ones(len(s)), s, s * s, size, s * size, size * size, *columns], axis=1)


def line(learn: np.ndarray, targets: np.ndarray, apply: np.ndarray) -> np.ndarray:
    """(n, 2) targets of the rows of `apply` by least squares on those of `learn` that are known."""
    known = np.isfinite(learn).all(axis=1) & np.isfinite(targets).all(axis=1)
    return apply @ np.linalg.lstsq(learn[known], targets[known], rcond=None)[0]


def log_curvature(fit: Reconstruction) -> np.ndarray:
    """ln of the fitted curvature; NaN where it is not positive."""
    return np.log(np.where(fit.curvature > 0, fit.curvature, np.nan))


def by_lines(learn: Part, test: Part) -> dict[str, np.ndarray]:
    """{method: (n, 2)} of what single numbers say, on a straight line."""
    columns = {
        "zenith and size alone": lambda p: (p.free,),
        "curvature of the free fit": lambda p: (p.free, log_curvature(p.free)),
        "curvature of the complete fit": lambda p: (p.complete, log_curvature(p.complete)),
    }
    if np.isfinite(learn.posterior).any():
        columns |= {
            "likelihood: front scale": lambda p: (p.complete, p.posterior[:, 1]),
            "likelihood: muon share": lambda p: (p.complete, p.posterior[:, 0]),
            "likelihood: both": lambda p: (p.complete, *p.posterior.T),
        }
    targets = true_values(learn.truth)
    return {
        name: line(design(*of(learn)), targets, design(*of(test))) for name, of in columns.items()
    }


def as_tables(test: Part, answers: Mapping[str, np.ndarray]) -> dict[str, Reconstruction]:
    """Reconstructions that say these (n, 2), and the networks' own."""
    found = dict(test.said)
    for name, values in answers.items():
        found[name] = replace(test.free, xmax=values[:, 0], ln_a=values[:, 1])
    return found


def whole_rows(mass: dict) -> list[list[str]]:
    """Every method over all events, with header; the last line is the truth itself."""
    head = ["", "Xmax: rms [g/cm²]", "68 %", "explained [%]", "ln A: rms", "explained [%]"]
    rows = [[*head, "merit factor p/Fe: Xmax", "ln A", "both"]]
    for name, of in mass["methods"].items():
        one = of["all"]
        numbers = [pm(one["xmax_rms"], 1), pm(one["xmax_68"], 1), pm(one["xmax_ev"], 1, 100)]
        numbers += [pm(one["ln_a_rms"], 2), pm(one["ln_a_ev"], 1, 100)]
        rows.append([name, *numbers, *(pm(one[f"{q}_merit"], 2) for q in ("xmax", "ln_a", "both"))])
    true = mass["bound"]["all"]
    merits = (pm(true[key], 2) for key in ("xmax", "muons", "both"))
    return [*rows, ["true Xmax, ln of the true muon number", *["—"] * 5, *merits]]


def bin_rows(mass: dict, names: list[str], by: str, edges: list, key: str) -> list[list[str]]:
    """One number of several methods in bins, with header; for merit factors also the truth's."""
    unit = {"by_energy": "log10(E/eV)", "by_zenith": "zenith [deg]"}[by]
    of_true, digits = key.endswith("merit"), 1 if key.startswith("xmax_r") else 2
    rows = [[unit, "events", *names, *(["true Xmax and muon number"] if of_true else [])]]
    for k in range(len(edges) - 1):
        each = [mass["methods"][name][by][k] for name in names]
        numbers = [pm(one[key], digits) for one in each]
        numbers += [pm(mass["bound"][by][k]["both"], 2)] if of_true else []
        rows.append([f"{edges[k]:g} – {edges[k + 1]:g}", f"{each[0]['n']:,}", *numbers])
    return rows


def primary_rows(mass: dict, names: list[str]) -> list[list[str]]:
    """Mean of reconstructed - true for every primary, with header."""
    head = [f"{what}, {name}" for what in ("Xmax [g/cm²]", "ln A") for name in names]
    rows = [["primary", "events", *head]]
    for k, number in enumerate(mass["mass_numbers"]):
        each = [mass["methods"][name]["by_primary"][k] for name in names]
        numbers = [pm(one["xmax_bias"], 1) for one in each]
        numbers += [pm(one["ln_a_bias"], 2) for one in each]
        rows.append([_PRIMARIES.get(number, f"A = {number}"), f"{each[0]['n']:,}", *numbers])
    return rows


def inside_text(mass: dict) -> str:
    """How often the truth lies within one stated error, of the networks that state errors."""
    found = [
        f"{name} {pm(of['all']['xmax_inside'], 1, 100)} % of Xmax and "
        f"{pm(of['all']['ln_a_inside'], 1, 100)} % of ln A"
        for name, of in mass["methods"].items()
        if "xmax_inside" in of["all"]
    ]
    text = f"True values within one stated error (68.3 % if right): {'; '.join(found)}."
    return text if found else ""


def page(mass: dict, config, networks: dict[str, int], n_train: int) -> str:
    """The page; networks : {name: epochs that it was trained for}."""
    first = next(iter(networks))
    trained = ", ".join(f"{name} {epochs} epochs" for name, epochs in networks.items())
    energy, zenith = config.scores.energy_edges_log10_ev, config.scores.zenith_edges_deg
    few = [*networks, "gradient boosting", "likelihood: both", "curvature of the free fit"]
    few = [name for name in few if name in mass["methods"]]
    likelihood, without = "", " --posteriors 0"
    if "likelihood: both" in mass["methods"]:
        likelihood, without = _LIKELIHOOD, ""
    made = f"commit {provenance.commit()[:7]}, {provenance.now()[:10]}"
    tables = [
        markdown_table(rows)
        for rows in (
            whole_rows(mass),
            primary_rows(mass, [first, "gradient boosting"]),
            bin_rows(mass, few, "by_energy", energy, "both_merit"),
            bin_rows(mass, few, "by_energy", energy, "xmax_rms"),
            bin_rows(mass, few, "by_zenith", zenith, "both_merit"),
        )
    ]
    return f"""# Xmax and the mass of the primary

`tashower run --config config/mass.yaml`,
`python benchmarks/mass.py results-mass{without} > docs/mass.md`, {made}. {mass["n_scored"]:,}
events of the test sample that pass the cuts of the free fit and have a result from every method;
networks and trees learned from the {n_train:,} such events of the training sample. Errors:
bootstrap of showers. What the networks are: [network.md](network.md).

* **networks**, head `gaussian`: tiles of stations with event features, with waveforms or without
  (`mass_without_waveforms`); trained here: {trained}.
* **gradient boosting**: trees (scikit-learn, HistGradientBoostingRegressor, one for each target,
  nothing tuned) on the 16 event features: the 14 observables of arXiv:1808.03680, zenith and
  size.
{likelihood}* **curvature**: ln of the fitted curvature, on a straight line beside zenith and size
  that was drawn with the validation sample. **zenith and size alone**: the line without it, what
  nobody can be worse than.

{tables[0]}

Rms: standard deviation of reconstructed - true; 68 %: half of its middle 68.27 %; explained: 1 -
its variance over that of the true value. Merit factor: |mean of p - mean of Fe| over the root of
the sum of their variances (arXiv:1604.03637, arXiv:2306.13246), of both: of the linear
combination of Xmax and ln A in which it is largest (Fisher 1936). {inside_text(mass)}

The last line is what a linear combination of the true Xmax and the true muon number does: the two
numbers through which the mass acts on the stations in this simulation, beside the mean size of
showers of one energy. It is no strict bound: iron showers fluctuate less, so that what is not
linear in the two can do a little better.

## Bias for each primary

{tables[1]}

Answers near the truth on average over the mixture are pulled towards its middle: light primaries
look heavier than they are, heavy ones lighter. A mean over an unknown mixture inherits that.
Fractions of primaries are to be fitted with these distributions, not read off a mean.

## Merit factor of Xmax and ln A together, in bins of energy

{tables[2]}

## Rms of Xmax [g/cm²], in bins of energy

{tables[3]}

## Merit factor of both, in bins of zenith

{tables[4]}

## Beside what is published

* Pierre Auger Collaboration 2021, arXiv:2101.02946: a network on surface detectors reaches an
  Xmax resolution below 25 g/cm² above 2·10¹⁹ eV. Its stations are 1.2 m of water, in which a muon
  leaves far more light than an electron and shows as a spike of the waveform; here two layers of
  1.2 cm of scintillator count both alike, and muons are about a fifth of the signal at 800 m. Its
  showers come from CORSIKA, where time spread, lateral distribution and signal of every station
  follow Xmax in detail; here a shower knows Xmax through the scale of its delays, its slope and
  the size of its electromagnetic part, each with a fluctuation that Xmax does not explain
  (docs/simulation.md). The scale of the delays alone, known exactly, would give 0.04 · 800 = 32
  g/cm².
* Telescope Array Collaboration 2019, arXiv:1808.03680: boosted trees on 14 observables of the
  same detector, trained to tell protons from iron, not for ln A; the publication states the mean
  ln A of data, not a resolution for single events.

## What this does not contain

Other interaction models than the one that taught; other muon numbers; fronts that are not those
of the simulation. Networks and trees know the simulation's own relations of Xmax, muons and
signals, several of which are choices: their numbers are those of this simulation and no
prediction for data.
"""


def main() -> None:
    """Print the page."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path, help="results of a finished run of config/mass.yaml")
    parser.add_argument("--posteriors", type=int, default=POSTERIORS)
    given = parser.parse_args()
    folder = given.folder
    networks = {}
    for path in sorted(folder.glob("networks/*/history.json")):
        content = parsed_json(path)
        own, epochs = content["configuration"]["networks"], len(content["epochs"])
        networks |= {name: epochs for name, one in own.items() if one.get("predicts") == "mass"}
    if not networks:
        raise SystemExit(f"{folder}: no network that predicts mass")
    fits = _files(folder, "test")[0][1]
    config = load_config(read_attributes(fits)["configuration"])
    stations = folder / "station_likelihood.json"
    stations = read_station_likelihood(stations if stations.is_file() else STATIONS)
    calibration = read_calibration(folder / "calibration.json")
    context = Context(calibration, config.reconstruction, stations=stations)
    train = read_part(folder, "train", [], context, 0)
    learn = read_part(folder, "validation", [], context, given.posteriors)
    test = read_part(folder, "test", list(networks), context, given.posteriors)
    answers = {"gradient boosting": boosted(train, test), **by_lines(learn, test)}
    tables = as_tables(test, answers)
    mass = mass_scores(config, tables, test.truth, {name: [] for name in tables})
    print(page(mass, config, networks, len(train.free)), end="")


if __name__ == "__main__":
    main()

"""The likelihood of single stations against the fits, on simulated events that taught none of them:
resolutions by energy, explained variance, pulls, coverage.

Run `python benchmarks/station_likelihood.py > docs/station_likelihood.md`; two minutes of one core.
Its sample is thrown for it. Numbers and errors are those of the scores (docs/scores.md).
"""

import itertools
import time

import numpy as np
from scipy.stats import chi2

from tashower.calibration.calibration import DEFAULT, read_calibration
from tashower.calibration.station_likelihood import DEFAULT as STATIONS
from tashower.calibration.station_likelihood import read_station_likelihood
from tashower.config import load_config
from tashower.evaluation.bootstrap import draw_showers, entry, replicates
from tashower.evaluation.cuts import in_common
from tashower.evaluation.ladder import rung
from tashower.evaluation.names import BASELINES, REFERENCE
from tashower.evaluation.rounding import pm
from tashower.evaluation.scores import residuals, statistics
from tashower.evaluation.tables import markdown_table
from tashower.events.model import FLAGS, PARAMETERS, Reconstruction, Truth, pulls, select_rows
from tashower.io import provenance
from tashower.reconstruction.methods import LIKELIHOODS, Context, methods
from tashower.reconstruction.pulses import find_pulses
from tashower.simulation.simulate import simulate_events

N_EVENTS, SEED, BOOTSTRAP = 8_000, 20_261_126, 200
LEVELS = (0.5, 0.68, 0.9, 0.95)
EDGES = (18.5, 18.75, 19.0, 19.25, 19.5, 19.75, 20.0)
NAMES = (*BASELINES, *LIKELIHOODS)


def table_of_methods(measured: dict, rates: dict) -> str:
    """One row per method; measured : {name: replicates of its statistics}."""
    lines = [["method", "angle 68 % [deg]", "99 % [deg]", "core 68 % [m]", "ln E 68 %"]]
    lines[0] += [*(f"EV of {one} over it" for one in LIKELIHOODS), "events/s, one core"]
    for name in NAMES:
        own = {key: entry(value) for key, value in measured[name].items()}
        gains = [
            "" if name == one else pm(rung([measured[one]], measured[name])["axis"]["ev"])
            for one in LIKELIHOODS
        ]
        shown = [pm(own["angle_68_deg"]), pm(own["angle_99_deg"], 2), pm(own["core_68_m"], 1)]
        lines.append([name, *shown, pm(own["log_energy_68"], 4), *gains, f"{rates[name]:,.0f}"])
    return markdown_table(lines)


def table_by_energy(tables: dict, truth: Truth, draws) -> str:
    """68 % angle [deg] and core [m] of every method in bins of the true energy."""
    energy = np.log10(truth.energy) + 18.0
    lines = [["log10(E/eV)", *NAMES]]
    for low, high in itertools.pairwise(EDGES):
        rows = np.flatnonzero((energy >= low) & (energy < high))
        cells = []
        for name in NAMES:
            found = residuals(select_rows(tables[name], rows), select_rows(truth, rows))
            of = replicates(
                lambda w, r=found, t=truth.azimuth[rows]: statistics(r, t, w), draws, rows
            )
            cells.append(f"{pm(entry(of['angle_68_deg']))}; {pm(entry(of['core_68_m']), 1)}")
        lines.append([f"{low:g}-{high:g}", *cells])
    return markdown_table(lines)


def coverage(table: Reconstruction, truth: Truth) -> str:
    """Part of the events whose truth lies in regions of LEVELS, by the covariance."""
    turn = (table.azimuth - truth.azimuth + np.pi) % (2.0 * np.pi) - np.pi
    off = {name: getattr(table, name) - getattr(truth, name) for name in PARAMETERS}
    off["azimuth"] = turn
    lines = [["region", *(f"{level:.0%}" for level in LEVELS)]]
    for what, names in (
        ("direction", ("zenith", "azimuth")),
        ("core", ("core_x", "core_y")),
        ("S800", ("s_ref",)),
    ):
        places = [PARAMETERS.index(name) for name in names]
        matrix = table.covariance[:, places][:, :, places]
        d = np.stack([off[name] for name in names], axis=1)
        inside = chi2.cdf(np.einsum("ni,nij,nj->n", d, np.linalg.inv(matrix), d), len(names))
        lines.append([what, *(f"{np.mean(inside < level):.1%}" for level in LEVELS)])
    return markdown_table(lines)


def pull_table(table: Reconstruction, truth: Truth) -> str:
    """Median and half the central 68 % of the pulls."""
    lines = [["parameter", "median", "width"]]
    for name, of in zip(PARAMETERS, pulls(table, truth).T, strict=True):
        low, middle, high = np.quantile(of, [0.16, 0.5, 0.84])
        lines.append([name, f"{middle:.3f}", f"{0.5 * (high - low):.3f}"])
    return markdown_table(lines)


def main() -> None:
    """Print the page."""
    config = load_config({"seed": SEED})
    events = simulate_events(config, "test", 0, N_EVENTS)
    pulses, tables, rates = find_pulses(events), {}, {}
    stations = read_station_likelihood(STATIONS)
    context = Context(read_calibration(DEFAULT), config.reconstruction, stations=stations)
    for name in NAMES:
        methods()[name](events[:50], find_pulses(events[:50]), context)  # compiles
        begun = time.process_time()
        tables[name] = methods()[name](events, pulses, context)
        rates[name] = events.n_events / (time.process_time() - begun)
    rows = np.flatnonzero(in_common(tables))
    truth = select_rows(events.truth, rows)
    tables = {name: select_rows(table, rows) for name, table in tables.items()}
    draws = draw_showers(truth.shower_id, BOOTSTRAP, [SEED])
    measured = {}
    for name, table in tables.items():
        of_method = residuals(table, truth)
        measured[name] = replicates(
            lambda w, r=of_method: statistics(r, truth.azimuth, w), draws, np.arange(len(rows))
        )
    few = [np.mean(tables[n].flags >> FLAGS.index("few_points") & 1) for n in LIKELIHOODS]
    few = ", ".join(f"{part:.1%}" for part in few)
    errors = "\n\n".join(
        f"""Coverage of `{name}`, whose covariance nothing was calibrated with:

{coverage(tables[name], truth)}

Its pulls:

{pull_table(tables[name], truth)}"""
        for name in LIKELIHOODS
    )
    made = f"commit {provenance.commit()[:7]}, {provenance.now()[:10]}"
    print(
        f"""# The likelihood of single stations

`python benchmarks/station_likelihood.py > docs/station_likelihood.md`, {made}: default
configuration with another seed ({SEED}), {events.n_events:,} triggered throws, {len(rows):,} of
them scored (they pass the quality cuts of the {REFERENCE} fit, and every method has a result); the
calibration and the station likelihood that come with the package. Errors: paired bootstrap of
showers ([scores.md](scores.md)). Of these events {few} have the flag `few_points`
({", ".join(f"`{name}`" for name in LIKELIHOODS)}). How they work:
[reconstruction.md](reconstruction.md).

{table_of_methods(measured, rates)}

68 % angle [deg]; 68 % core [m], by true energy:

{table_by_energy(tables, truth, draws)}

{errors}"""
    )


if __name__ == "__main__":
    main()

"""Are the posteriors of the likelihood methods right? Coverage of their covariance in every bin,
ranks of the truth among their points, expected coverage of several parameters.

    python benchmarks/posterior_calibration.py docs/pictures/posterior_calibration.png \\
        > docs/posterior_calibration.md

On simulated events that taught nothing, thrown for it. A quarter of an hour on one core with both
methods; `--showers 1000 --ranked 1000` for a trial of a minute.
"""

import argparse
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from tashower.calibration.calibration import DEFAULT, read_calibration
from tashower.calibration.station_likelihood import DEFAULT as STATIONS
from tashower.calibration.station_likelihood import read_station_likelihood
from tashower.config import as_dict, load_config
from tashower.evaluation.bootstrap import draw_showers
from tashower.evaluation.coverage import coverage, depths
from tashower.evaluation.coverage_tables import coverage_bin_rows, coverage_rows
from tashower.evaluation.cuts import in_common
from tashower.evaluation.figures.style import figure_in_style, save
from tashower.evaluation.names import BASELINES, REFERENCE
from tashower.evaluation.posteriors import (
    band_of_histogram,
    expected_coverage,
    flatness,
    in_units_of,
    weighted_ranks,
)
from tashower.evaluation.tables import markdown_table
from tashower.events.model import (
    Reconstruction,
    Truth,
    concatenate_rows,
    select_events,
    select_rows,
)
from tashower.io import provenance
from tashower.physics.geometry import direction
from tashower.reconstruction.methods import LIKELIHOOD, LIKELIHOODS, WAVEFORMS, Context, methods
from tashower.reconstruction.methods.likelihood import posterior_points
from tashower.reconstruction.pulses import find_pulses
from tashower.simulation.delays import particle_delays, shower_delays
from tashower.simulation.simulate import simulate_events

SEED, BOOTSTRAP, CHUNK = 20_261_126, 200, 4_000
#: Points of an event whose ranks are taken: so many that ranks are hardly granular.
RANKED_POINTS = 504
BINS = 20
#: What the points are asked for; the first seven are the parameters of the result.
NAMES = (
    *("core x", "core y", "direction, along zenith", "direction, across", "ln S800", "t0"),
    *("curvature", "slope", "ln odds of muons", "ln scale of delays"),
)
#: Parameters whose expected coverage is taken together.
TOGETHER = {"direction, both": (2, 3), "core, both": (0, 1), "all seven together": tuple(range(7))}
#: A difference that is called one [points], and a p below which numbers are not even (choices).
CLOSE, LEAST_P = 1.5, 1e-3
_STYLES = {LIKELIHOOD: ("#E69F00", "-"), WAVEFORMS: ("k", "--")}


def frame_of(fit: Reconstruction) -> tuple[np.ndarray, np.ndarray]:
    """(n, 3) unit vectors along and across the zenith angle of a fit."""
    across = direction(np.full_like(fit.zenith, 0.5 * np.pi), fit.azimuth + 0.5 * np.pi)
    return direction(fit.zenith + 0.5 * np.pi, fit.azimuth), across


def coordinates(points: np.ndarray, fit: Reconstruction) -> np.ndarray:
    """(n, m, 10) in the order of NAMES of points as `posterior_points` gives them: directions as
    components along and across that of a fit.
    """
    along, across = frame_of(fit)
    n_x, n_y = points[..., 2], points[..., 3]
    axis = np.stack([n_x, n_y, np.sqrt(np.maximum(1 - n_x**2 - n_y**2, 0))], axis=-1)
    found = points[..., [0, 1, 2, 3, 4, 5, 9, 6, 7, 8]].copy()
    found[..., 2] = np.einsum("nmi,ni->nm", axis, along)
    found[..., 3] = np.einsum("nmi,ni->nm", axis, across)
    return found


def true_points(truth: Truth, config) -> np.ndarray:
    """(n, 1, 10) the truth as a point."""
    share = np.clip(truth.muon_share, 1e-3, 0.99)
    scale = shower_delays(particle_delays(config), truth.zenith, truth.front_scale).unit
    axis = direction(truth.zenith, truth.azimuth)
    columns = [truth.core_x, truth.core_y, axis[:, 0], axis[:, 1], np.log(truth.s_ref), truth.t0]
    columns += [truth.slope, np.log(share / (1 - share)), np.log(scale), truth.curvature]
    return np.stack(columns, axis=1)[:, None]


def numbers_of(posterior, fit: Reconstruction, truth: Truth, config, rng) -> np.ndarray:
    """(n, 13) uniform numbers if posteriors are right: ranks of NAMES, coverage of TOGETHER.

    Units and references are those of the complete fit: a function of what was measured alone.
    """
    points = coordinates(posterior.points, fit)
    true = coordinates(true_points(truth, config), fit)[:, 0]
    uniform = rng.uniform(size=(len(NAMES) + len(TOGETHER), len(true)))
    weights = np.where(posterior.effective[:, None] > 1, posterior.weights, 0.0)
    found = [
        weighted_ranks(points[:, :, k], weights, true[:, k], uniform[k]) for k in range(len(NAMES))
    ]
    scale = np.ones((len(fit), 7))
    scale[:, 3], scale[:, 4] = np.sin(fit.zenith), 1.0 / fit.s_ref
    spread = fit.covariance * scale[:, :, None] * scale[:, None, :]
    columns = [fit.core_x, fit.core_y, *np.zeros((2, len(fit))), np.log(fit.s_ref), fit.t0]
    centre = np.stack([*columns, fit.curvature], axis=1)
    for k, places in enumerate(map(list, TOGETHER.values()), len(NAMES)):
        of = spread[:, places][:, :, places], centre[:, places]
        reference = rng.normal(size=(len(fit), len(places)))
        there, own = in_units_of(points[:, :, places], *of), in_units_of(true[:, places], *of)
        found.append(expected_coverage(there, weights, own, reference, uniform[k]))
    return np.stack(found, axis=1)


class Thrown(NamedTuple):
    """What the page is made of."""

    n_showers: int
    triggered: int
    tables: dict[str, Reconstruction]  #: of the events that are scored
    truth: Truth
    numbers: dict[str, np.ndarray]  #: {method: `numbers_of`}; NaN where none were taken


def throw(config, context, names, n_showers: int, n_ranked: int) -> Thrown:
    """Simulate and reconstruct showers; of (about) the first n_ranked whole posteriors, too."""
    tables, truths = {name: [] for name in (*BASELINES, *names)}, []
    numbers = {name: [] for name in names}
    rng, made = np.random.default_rng(SEED), methods()
    triggered = 0
    for first in range(0, n_showers, CHUNK):  # few events at a time: waveforms are large
        events = simulate_events(config, "test", first, min(CHUNK, n_showers - first))
        triggered += events.n_events
        good = made[REFERENCE](events, find_pulses(events), context).passes_cuts
        events = select_events(events, np.flatnonzero(good))
        pulses = find_pulses(events)
        found = {name: made[name](events, pulses, context) for name in tables}
        rows = np.flatnonzero(in_common(found))
        events = select_events(events, rows)
        pulses, truth = find_pulses(events), events.truth
        truths.append(truth)
        for name, table in found.items():
            tables[name].append(select_rows(table, rows))
        fit = tables["complete"][-1]
        for name in names:
            if first < n_ranked:
                posterior = posterior_points(events, pulses, context, name, RANKED_POINTS)
                numbers[name].append(numbers_of(posterior, fit, truth, config, rng))
            else:
                numbers[name].append(np.full((len(rows), len(NAMES) + len(TOGETHER)), np.nan))
        print(f"{first + CHUNK:,} showers", file=sys.stderr, flush=True)
    tables = {name: concatenate_rows(parts) for name, parts in tables.items()}
    numbers = {name: np.concatenate(parts) for name, parts in numbers.items()}
    return Thrown(n_showers, triggered, tables, concatenate_rows(truths), numbers)


def covered(found: dict, truth: Truth, config) -> dict:
    """What the coverage tables take: scores that hold the coverage of {method: {what: depths}}."""
    settings, log_e = config.scores, np.log10(truth.energy) + 18.0
    edges = {
        "by_energy": (log_e, settings.energy_edges_log10_ev),
        "by_zenith": (np.degrees(truth.zenith), settings.zenith_edges_deg),
    }
    bins = {"all": [np.arange(len(log_e))]}
    for kind, (values, of) in edges.items():
        bins[kind] = [np.flatnonzero(np.digitize(values, of) == k) for k in range(1, len(of))]
    draws = draw_showers(truth.shower_id, BOOTSTRAP, [SEED])
    groups = {name: [name] for name in found}
    shown = coverage(found, groups, bins, draws)
    return {"coverage": shown, "configuration": as_dict(config), "networks": {}}


def in_bins(scores: dict, name: str, quantity: str) -> list[str]:
    """How many of the numbers of all bins are off by more than CLOSE points, how many clearly (by
    two errors more), and how far off they are beyond what their errors explain: the square root of
    the mean of difference^2 - error^2.
    """
    levels, method = scores["coverage"]["levels"], scores["coverage"]["methods"][name]
    ones = [
        (100 * abs(one["value"] - level), 100 * one["error"])
        for by in ("by_energy", "by_zenith")
        for entry in method[by]
        for level, one in zip(levels, entry[quantity]["observed"], strict=True)
    ]
    off = sum(difference > CLOSE for difference, _ in ones)
    clearly = sum(difference > CLOSE + 2 * error for difference, error in ones)
    excess = np.mean([difference**2 - error**2 for difference, error in ones])
    return [f"{off} of {len(ones)}, {clearly} clearly", f"{max(excess, 0.0) ** 0.5:.1f}"]


def coverage_part(scores: dict, names) -> str:
    """Overall table with the column of `in_bins`, and tables by bins of the likelihood methods."""
    rows = coverage_rows(scores)
    rows[0] += [f"numbers of bins off by more than {CLOSE:g} points", "off beyond errors [points]"]
    pairs = [(n, q) for n, m in scores["coverage"]["methods"].items() for q in m["all"]]
    for row, (name, quantity) in zip(rows[1:], pairs, strict=True):
        row += in_bins(scores, name, quantity)
    parts = [markdown_table(rows)]
    found = scores["coverage"]["methods"]
    few = {**scores, "coverage": {**scores["coverage"], "methods": {n: found[n] for n in names}}}
    for quantity in found[names[0]]["all"] if names else ():
        for by in ("by_energy", "by_zenith"):
            parts.append(f"Region of {quantity}, inside 50 / 68 / 90 / 95 % [%]:")
            parts.append(markdown_table(coverage_bin_rows(few, quantity, by)))
    return "\n\n".join(parts)


def flatness_rows(numbers: dict) -> str:
    """Shift, width and largest difference of every rank and every coverage."""
    rows = [["", "method", "events", "shift", "width", "largest difference [points]", "p"]]
    for k, what in enumerate((*NAMES, *TOGETHER)):
        for name, of in numbers.items():
            one = flatness(of[:, k])
            # Of coverages together, a normal score says nothing of a shift.
            ranks = [f"{one.shift:+.3f}", f"{one.width:.3f}"] if k < len(NAMES) else ["", ""]
            difference = f"{100 * one.farthest:.2f}"
            rows.append([what, name, f"{one.n:,}", *ranks, difference, f"{one.p_value:.2g}"])
    return markdown_table(rows)


@figure_in_style
def picture(numbers: dict) -> Figure:
    """Rank histograms, and the difference of expected and stated coverage, with 95 % bands."""
    figure = Figure(figsize=(16, 9))
    axes = figure.subplots(3, 5).ravel()
    lines = {}
    for k, (axis, what) in enumerate(zip(axes, (*NAMES, *TOGETHER), strict=False)):
        n = max(np.isfinite(of[:, k]).sum() for of in numbers.values())
        if k < len(NAMES):
            low, high = (count * BINS / n for count in band_of_histogram(n, BINS))
            axis.axhspan(low, high, color="#cccccc", zorder=0)
            axis.set(xlabel="rank", ylim=(0.6, 1.4), xlim=(0, 1))
        else:
            level = np.linspace(0, 1, 201)
            band = 196 * np.sqrt(level * (1 - level) / n)
            axis.fill_between(level, -band, band, color="#cccccc", zorder=0, lw=0)
            axis.set(xlabel="stated coverage", ylim=(-5, 5), xlim=(0, 1))
        for name, of in numbers.items():
            colour, style = _STYLES[name]
            found = np.sort(of[np.isfinite(of[:, k]), k])
            look = {"color": colour, "ls": style, "lw": 1.5}
            if k < len(NAMES):
                counts, edges = np.histogram(found, BINS, (0, 1))
                lines[name] = axis.stairs(counts * BINS / len(found), edges, **look)
            else:
                axis.plot(level, 100 * (np.searchsorted(found, level) / len(found) - level), **look)
        axis.set_title(what, fontsize=11)
    for first, text in ((0, "events / expected"), (5, "events / expected")):
        axes[first].set_ylabel(text)
    axes[10].set_ylabel("observed - stated [points]")
    for axis in axes[len(NAMES) + len(TOGETHER) :]:
        axis.axis("off")
    axes[13].legend(lines.values(), lines, loc="center")
    return figure


def uneven(numbers: dict) -> str:
    """The ranks and coverages that are not even, in words."""
    found = [
        f"{what} ({name})"
        for k, what in enumerate((*NAMES, *TOGETHER))
        for name, of in numbers.items()
        if flatness(of[:, k]).p_value < LEAST_P
    ]
    return f"Not even, with p below {LEAST_P:g}: {', '.join(found) if found else 'none'}."


def page(thrown: Thrown, context: Context, config, path: str) -> str:
    """The page; path : of its picture."""
    truth, tables, numbers = thrown.truth, thrown.tables, thrown.numbers
    by_covariance = {
        name: depths(tables[name], truth) for name in (*numbers, "complete", REFERENCE)
    }
    of_points = {
        name: {
            what: np.abs(2 * of[:, k] - 1) if k < len(NAMES) else of[:, k]
            for k, what in enumerate((*NAMES, *TOGETHER))
        }
        for name, of in numbers.items()
    }
    ranked = max(np.isfinite(of).all(axis=1).sum() for of in numbers.values())
    made = f"commit {provenance.commit()[:7]}, {provenance.now()[:10]}"
    words = "python benchmarks/posterior_calibration.py docs/pictures/posterior_calibration.png"
    return f"""# Are the posteriors right?

`{words} > docs/posterior_calibration.md`, {made}: default configuration with another seed
({SEED}), {thrown.triggered:,} triggered events of {thrown.n_showers:,} showers,
{len(truth.energy):,} of them scored (they pass the quality cuts of the {REFERENCE} fit, and every
method has a result); the calibration and the station likelihood that come with the package. None of
these events taught anything. Errors: bootstrap of showers ([scores.md](scores.md), which says what
is counted).
Bins are those of the true energy and zenith.

## Coverage of the covariance

Mean and covariance of the posterior in the table that a method writes;
nothing was calibrated with events. "Clearly": by two errors more than {CLOSE:g} points. "Off beyond
errors": root of the mean of difference^2 - error^2 over the numbers of all bins. The error of the
energy holds how showers with the same S800 and zenith differ, from the calibration.

{coverage_part(covered(by_covariance, truth, config), list(numbers))}

## Ranks and expected coverage

The whole posterior, of {ranked:,} of these events, as {RANKED_POINTS} weighted points an event.
Ranks: simulation-based calibration (Talts et al. 2018, arXiv:1804.06788), the weight of the points
below the truth. The truth counts as one more point with the weight that a point has on average, and
lies at a random place of it: so ranks are even for any number of points. Expected coverage (TARP,
Lemos et al. 2023, arXiv:2302.03026): the weight of the points that are nearer to a random reference
than the truth is, distances in units of the covariance of the complete fit, references drawn from
its result with that covariance. Grey: where 95 % lie if posteriors are right.

![Ranks and expected coverage](pictures/{Path(path).name})

Shift and width: median and half of the middle 68 % of the normal scores of ranks, in standard
deviations of the posterior; a width above 1 says that posteriors are too narrow. p: of Kolmogorov
and Smirnov's test. {uneven(numbers)} Slope, ln odds of muons and ln of the scale of the delays are
in no table; their prior is one Gaussian covariance for all zeniths and sizes.

{flatness_rows(numbers)}

How often the truth lies in the middle 50, 68, 90 and 95 % of a parameter's posterior, and how often
the expected coverage is below them:

{coverage_part(covered(of_points, truth, config), ())}"""


def main() -> None:
    """Print the page and draw its picture."""
    parser = argparse.ArgumentParser()
    parser.add_argument("picture")
    parser.add_argument("--showers", type=int, default=40_000)
    parser.add_argument("--ranked", type=int, default=16_000)
    parser.add_argument("--station-likelihood", default=STATIONS)
    given = parser.parse_args()
    config = load_config({"seed": SEED})
    stations = read_station_likelihood(given.station_likelihood)
    names = LIKELIHOODS if stations.ratio is not None else (LIKELIHOOD,)
    context = Context(read_calibration(DEFAULT), config.reconstruction, stations=stations)
    thrown = throw(config, context, names, given.showers, given.ranked)
    save(picture(thrown.numbers), given.picture)
    print(page(thrown, context, config, given.picture))


if __name__ == "__main__":
    main()

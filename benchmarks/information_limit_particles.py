"""How well the default array could reconstruct if every particle were known, for the three
simulated fronts, the bound that regressed scores give, and what a leading edge scatters by.

Run `python benchmarks/information_limit_particles.py FOLDER` with the folder of
`benchmarks/information_limit.py`, which finds `particles.json` there and puts its text into
docs/limits.md; `shares.png` is docs/pictures/leading_edge_shares.png. A tenth of a second of one
core for an event, and some minutes for the scores of each front. FOLDER/particles/FRONT keeps what
is finished, so that it can be continued: chunks of 500 showers, each with its configuration, code
and commit. `--front` makes one front alone, `--only` one part; with `--part 1/2` and `--part 2/2`
two processes share the events. `--only text` writes the text of the fronts that are finished.
"""

import argparse
import json
import pickle
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
from information_limit import FRONTS, configuration, prepared

from tashower.calibration.station_likelihood import read_station_likelihood
from tashower.config import Config, as_dict
from tashower.evaluation.cuts import in_common
from tashower.evaluation.figures.shares import shares as shares_figure
from tashower.evaluation.figures.style import save
from tashower.evaluation.tables import markdown_table
from tashower.io import provenance
from tashower.likelihood.information import (
    direction_variance,
    event_information,
    learn_information,
    prior_precision,
    sample_scores,
)
from tashower.likelihood.limit_particles import particle_posterior, prior_of
from tashower.likelihood.shares import leading_edge_shares, shares_rows
from tashower.limit.limit import Prepared, core_variance
from tashower.limit.limit import direction_variance as table_variance
from tashower.physics.compiled import source_fingerprint
from tashower.physics.geometry import direction, opening_angle
from tashower.reconstruction.methods import LIKELIHOOD, WAVEFORMS, Context
from tashower.reconstruction.methods.fits import fit_free
from tashower.reconstruction.methods.likelihood import (
    fit_likelihood_edges,
    fit_likelihood_waveforms,
    posterior_points,
)
from tashower.reconstruction.pulses import find_pulses
from tashower.simulation.delays import particle_delays, shower_delays
from tashower.simulation.simulate import setup_of, simulate_events

EVENTS, CHUNK = 10_000, 500
STATIONS, EPOCHS = 400_000, 10.0
EDGES = (18.5, 18.75, 19.0, 19.25, 19.5, 19.75, 20.0)
_DEGREES2 = np.degrees(1.0) ** 2
METHODS = ("free", LIKELIHOOD, WAVEFORMS, "particles by the clock", "particles")
BOUNDS = ("edges", "waveforms", "particles by the clock", "particles", "joint")


def true_showers(truth, config: Config) -> np.ndarray:
    """(n, 9) showers as of `coordinates.shower_rows`."""
    axis = direction(truth.zenith, truth.azimuth)
    own = shower_delays(particle_delays(config), truth.zenith, truth.front_scale)
    share = np.clip(truth.muon_share, 1e-3, 0.99)
    columns = [truth.core_x, truth.core_y, axis[..., 0], axis[..., 1], np.log(truth.s_ref)]
    columns += [truth.t0, truth.slope, np.log(share / (1.0 - share)), np.log(own.unit)]
    return np.stack(columns, axis=1)


def chunk(config: Config, number: int, made: Prepared) -> dict:
    """Squares of errors and variances of a chunk of showers, by method; events in common."""
    context = Context(made.calibration, config.reconstruction, stations=made.stations)
    events = simulate_events(config, "test", number * CHUNK, CHUNK)
    pulses = find_pulses(events)
    tables = {
        "free": fit_free(events, pulses, context),
        LIKELIHOOD: fit_likelihood_edges(events, pulses, context),
        WAVEFORMS: fit_likelihood_waveforms(events, pulses, context),
    }
    good = in_common(tables)
    points = posterior_points(events, pulses, context, WAVEFORMS)
    x, w = points.points[..., :9], points.weights
    mean = np.einsum("ep,epi->ei", w, x)
    off = x - mean[:, None]
    begin = mean, np.einsum("ep,epi,epj->eij", w, off, off)
    mean[~(good & (points.effective > 1.0))] = np.nan
    truth, prior = events.truth, prior_of(made.stations.variety)
    point, axis = true_showers(truth, config), direction(truth.zenith, truth.azimuth)
    found = {"energy": np.log10(truth.energy) + 18.0}
    for name, table in tables.items():
        angle = opening_angle(direction(table.zenith, table.azimuth), axis)
        core = np.hypot(table.core_x - truth.core_x, table.core_y - truth.core_y)
        found[name] = angle**2 * _DEGREES2, core**2, table_variance(table), core_variance(table)
    for name, clock in (("particles by the clock", config.detector.clock_ns), ("particles", 0.0)):
        known = particle_posterior(events, config, "test", begin, prior, clock)
        good = good & (known.effective > 1.0)
        n_z = np.sqrt(1.0 - known.mean[:, 2] ** 2 - known.mean[:, 3] ** 2)
        angle = opening_angle(np.stack([*known.mean[:, 2:4].T, n_z], axis=-1), axis)
        several = zip(known.covariance, known.mean, strict=True)
        variance = np.array([direction_variance(c, m) for c, m in several])
        core = np.hypot(*(known.mean[:, :2] - point[:, :2]).T)
        of_core = known.covariance[:, 0, 0] + known.covariance[:, 1, 1]
        found[name] = angle**2 * _DEGREES2, core**2, variance * _DEGREES2, of_core
        found[f"effective, {name}"] = known.effective
    ends = zip(events.dead_offset[:-1], events.dead_offset[1:], strict=True)
    dead = [events.dead_station[a:b] for a, b in ends]
    return {"good": good, "point": point, "dead": dead, "columns": found}


def bounds(config: Config, part: dict, learned: dict, variety) -> dict[str, np.ndarray]:
    """{level: (n, 2) variance of direction [deg^2] and core [m^2] that the information leaves}, of
    a chunk's events in common; others are NaN.
    """
    setup = setup_of(config, simulate_events(config, "test", 0, 1).array, config.seed)
    found = {level: np.full((len(part["good"]), 2), np.nan) for level in BOUNDS}
    for i in np.flatnonzero(part["good"]):
        point = part["point"][i]
        works = np.setdiff1d(np.arange(len(setup.stations.position)), part["dead"][i])
        information = event_information(point, works, learned, setup)
        prior = prior_precision(point, variety)
        for level in BOUNDS:
            left = np.linalg.inv(information[level] + prior)
            found[level][i] = direction_variance(left, point) * _DEGREES2, left[0, 0] + left[1, 1]
    return found


def with_error(value: Callable, n: int, digits: int) -> str:
    """What `value` makes of rows of n events, with its statistical error from bootstrap samples."""
    rng = np.random.default_rng(1)
    several = [value(rng.integers(0, n, n)) for _ in range(200)]
    return f"{value(slice(None)):.{digits}f} ± {np.std(several):.{digits}f}"


def rows_of_methods(columns: dict) -> list[list[str]]:
    """Table of methods, all events."""
    sizes = ["68 % angle [deg]", "core 68 % [m]", "EV of the direction", "rms [deg]"]
    rows, free = [["", *sizes, "root of the mean variance [deg]"]], columns["free"][0]
    n = len(free)
    for name in METHODS:
        angle2, core2, variance, _ = columns[name]
        values = (
            (lambda i, x=angle2: np.sqrt(np.quantile(x[i], 0.68)), 3),
            (lambda i, x=core2: np.sqrt(np.quantile(x[i], 0.68)), 2),
            (lambda i, x=angle2: 1.0 - x[i].mean() / free[i].mean(), 3),
            (lambda i, x=angle2: np.sqrt(x[i].mean()), 4),
            (lambda i, x=variance: np.sqrt(x[i].mean()), 4),
        )
        rows.append([name, *(with_error(value, n, digits) for value, digits in values)])
    return rows


def rows_by_energy(columns: dict, bound: dict, which: int) -> list[list[str]]:
    """Root of the mean variance of posteriors, in brackets of the mean square error, and of the
    bounds, by energy; which : 0 direction, 1 core.
    """
    names, digits = [n for n in METHODS if n != "free"], 1 if which else 3
    rows = [["log10(E/eV)", "events", *names, *(f"bound, {n}" for n in BOUNDS)]]
    for low, high in zip((18.0, *EDGES[:-1]), (21.0, *EDGES[1:]), strict=True):
        chosen = (columns["energy"] >= low) & (columns["energy"] < high)
        place = "all" if high - low > 1 else f"{low:g} – {high:g}"
        cells = [place, f"{chosen.sum():,}"]
        for name in names:
            made, stated = (np.sqrt(columns[name][k][chosen].mean()) for k in (which, 2 + which))
            cells.append(f"{stated:.{digits}f} ({made:.{digits}f})")
        cells += [f"{np.sqrt(bound[n][chosen, which].mean()):.{digits}f}" for n in BOUNDS]
        rows.append(cells)
    return rows


def kept(path: Path, make: Callable[[], dict], config: Config) -> dict:
    """What `make` returns, from the file where it is there; with the configuration, what the code
    was, and its commit.

    Raises
    ------
    SystemExit : it was made with another configuration.
    """
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        made = {"configuration": as_dict(config), "commit": provenance.commit()}
        made |= {"code": source_fingerprint(""), "content": make()}
        part = path.with_suffix(".part")
        part.write_bytes(pickle.dumps(made))
        part.replace(path)
    found = pickle.loads(path.read_bytes())
    if found["configuration"] != as_dict(config):
        raise SystemExit(f"{path}: made with another configuration; take another folder")
    return found


def make_events(folder: Path, front: str, wanted: int, share: tuple[int, int]) -> None:
    """Chunks of a front; share : (which, of how many) processes."""
    config, n, number = configuration(front), 0, share[0] - 1
    once = cache(lambda: prepared(folder, front))
    while n < wanted / share[1]:
        path = folder / "particles" / front / f"events_{number:04}.pkl"
        part = kept(path, lambda k=number: chunk(config, k, once()), config)
        n += int(part["content"]["good"].sum())
        number += share[1]


def information(folder: Path, front: str, stations: int) -> dict:
    """What `learn_information` returns for a front."""
    config = configuration(front)

    def learn():
        samples = (sample_scores(config, k * stations, stations) for k in (0, 1))
        return learn_information(*samples, EPOCHS, config.seed % 2**32)

    return kept(folder / "particles" / front / "information.pkl", learn, config)["content"]


def front_text(folder: Path, front: str, stations: int) -> str:
    """A section of the page, from all chunks that are there."""
    config, columns, bound, commits = configuration(front), {}, {}, set()
    learned = information(folder, front, stations)
    variety = read_station_likelihood(folder / f"{front}_stations.json").variety
    for path in sorted((folder / "particles" / front).glob("events_*.pkl")):
        part = kept(path, dict, config)
        commits.add(part["commit"][:7])
        content, of = part["content"], path.with_name(path.name.replace("events", "bounds"))
        left = kept(of, lambda c=content: bounds(config, c, learned, variety), config)
        for name, values in content["columns"].items():
            columns.setdefault(name, []).append(np.atleast_2d(values)[:, content["good"]])
        for name, values in left["content"].items():
            bound.setdefault(name, []).append(values[content["good"]])
    columns = {name: np.concatenate(c, axis=1).squeeze() for name, c in columns.items()}
    bound = {name: np.concatenate(c) for name, c in bound.items()}
    n, clocks = len(columns["energy"]), METHODS[3:]
    effective = [np.quantile(columns[f"effective, {c}"], (0.01, 0.5)) for c in clocks]
    points = " and ".join(f"{middle:.0f} ({low:.0f})" for low, middle in effective)
    return f"""### Particles of front `{front}`

{n:,} events, commit {", ".join(sorted(commits))}. Effective number of points of a posterior, by the
clock and without its error: median (1 % have fewer) {points}.

{markdown_table(rows_of_methods(columns))}

Direction [deg]:

{markdown_table(rows_by_energy(columns, bound, 0))}

Core [m]:

{markdown_table(rows_by_energy(columns, bound, 1))}
"""


def text(folder: Path, fronts: list[str], stations: int) -> str:
    """The text for docs/limits.md."""
    config = configuration("sourced")
    found = kept(folder / "particles" / "shares.pkl", lambda: leading_edge_shares(config), config)
    save(shares_figure(found["content"]), folder / "shares.png", "leading_edge_shares")
    clock = config.detector.clock_ns
    parts = "\n".join(front_text(folder, front, stations) for front in fronts)
    return f"""## Every particle known

`python benchmarks/information_limit_particles.py FOLDER`. All particles' times and kinds are given,
of all stations that any reached: at their true time, or by the clock, with the error of the
station's, {clock:g} ns. Nothing is learned in these two: their likelihood is that of the
simulation, integrated over the onset of the front in every station (`likelihood.known`). Tables:
root of the mean variance of posteriors, and in brackets of the mean square error. Bounds share no
density with the posteriors: the joint score of what happened in a station is regressed on what the
detector shows (Brehmer et al. 2018, doi:10.1103/PhysRevD.98.052004), its square is the station's
information, and what that of all stations and the prior leaves is the bound
(`likelihood.information`; "joint": onsets and particles known, below any estimator). It is that of
a normal posterior: at low energies, of few stations, it lies below what can be reached; a poor
regression puts it too high.

{parts}
## What a leading edge scatters by

Stations beside the axis of mean proton showers of the default front, zenith 30 deg, with a leading
edge: parts of the variance (of the last two, twice the covariance).

![Parts of the variance by distance and energy](pictures/leading_edge_shares.png)

{markdown_table(shares_rows(found["content"]))}
"""


def main() -> None:
    """Make what is missing, and the text."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="that of information_limit.py")
    parser.add_argument("--front", choices=FRONTS, help="make this front; no text")
    parser.add_argument("--only", choices=("scores", "events", "text"), help="make this part")
    parser.add_argument("--events", type=int, default=EVENTS, help="events to score at least")
    parser.add_argument("--stations", type=int, default=STATIONS, help="of each sample of scores")
    parser.add_argument("--part", default="1/1", help="which of how many processes: 1/2")
    args = parser.parse_args()
    fronts = [args.front] if args.front else list(FRONTS)
    which, of = (int(one) for one in args.part.split("/"))
    for front in fronts:
        if args.only in (None, "events"):
            make_events(args.folder, front, args.events, (which, of))
        if args.only in (None, "scores"):
            information(args.folder, front, args.stations)
    if args.only == "text":
        done = args.folder / "particles"
        fronts = [f for f in fronts if (done / f / "information.pkl").is_file()]
        fronts = [f for f in fronts if any((done / f).glob("events_*.pkl"))]
    if args.only == "text" or not (args.only or args.front or of > 1):
        known = text(args.folder, fronts, args.stations)
        (args.folder / "particles.json").write_text(json.dumps({"text": known}))
        print(known)


if __name__ == "__main__":
    main()

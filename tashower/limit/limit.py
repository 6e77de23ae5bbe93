"""How well an array can reconstruct at all: what times and signals say of a shower, and complete
waveforms, and how near every method comes.

The mean over showers of the variance of the posterior is the least mean square error that any
estimator can have (its Bayes risk; Lehmann and Casella 1998, Theory of Point Estimation, chapter
4). The posteriors are those of the methods `likelihood_edges` and `likelihood_waveforms`, whose
station likelihood was learned: what they reach, an estimator does reach; a better likelihood may
reach a little more. Showers, stations and electronics are those of the simulation, and known.
"""

import itertools
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from tashower.calibration.calibration import Calibration, read_calibration
from tashower.calibration.station_likelihood import StationLikelihood, read_station_likelihood
from tashower.config import Config, as_dict
from tashower.errors import InputError
from tashower.evaluation.bootstrap import Draws, draw_showers, entry, replicates
from tashower.evaluation.comparison import score
from tashower.evaluation.cuts import in_common
from tashower.evaluation.ladder_tables import energy_bin_names
from tashower.evaluation.names import LIMITS, label
from tashower.evaluation.scores import mean
from tashower.evaluation.tables import markdown_table, pm
from tashower.events.model import PARAMETERS, Reconstruction, Truth, concatenate_rows, select_rows
from tashower.io.stages import station_likelihood_of
from tashower.likelihood.station_likelihood import learn_station_likelihood
from tashower.physics.geometry import direction, opening_angle
from tashower.reconstruction.calibrate import calibrate
from tashower.reconstruction.reconstruct import reconstruct
from tashower.simulation.simulate import simulate_events
from tashower.types import FilePath

VERSION = 1
KIND = "tashower limit"
#: Methods that are measured beside the likelihoods.
METHODS = ("free", "constrained", "complete", *LIMITS[::-1])
#: Showers that are thrown at once, and thrown at most for every event that is wanted (choices).
_CHUNK, _MOST_THROWS = 5_000, 20
_SEED_TAG = 1313  # keeps the bootstrap's stream apart from others
_DEGREES2 = np.degrees(1.0) ** 2


class Prepared(NamedTuple):
    """What is made once for an array."""

    calibration: Calibration
    stations: StationLikelihood


def prepare(
    config: Config, calibration: FilePath | None = None, stations: FilePath | None = None
) -> Prepared:
    """Calibration and station likelihood of a configuration: of files, or made from simulation; the
    likelihood that comes with the package where it is the configuration's own.
    """
    found = None if calibration is None else read_calibration(calibration)
    if found is None:
        events = simulate_events(config, "calibration", 0, config.samples.calibration)
        found = calibrate(events, config.reconstruction)
    if stations is None:
        # As of a run whose networks need none.
        likelihood = {"likelihood": {"file": "auto"}, "data": {"files": ()}, "networks": {}}
        stations = station_likelihood_of(as_dict(config) | likelihood, "") or None
    if stations is None:
        return Prepared(found, learn_station_likelihood(config, config.likelihood.stations))
    return Prepared(found, read_station_likelihood(stations))


def direction_variance(table: Reconstruction) -> np.ndarray:
    """(n,) variance of the direction on the sphere [deg^2], of a table's covariance: var(zenith) +
    sin^2 z var(azimuth); NaN where there is none.
    """
    z, a = PARAMETERS.index("zenith"), PARAMETERS.index("azimuth")
    variance = table.covariance[:, z, z] + np.sin(table.zenith) ** 2 * table.covariance[:, a, a]
    return variance * _DEGREES2


def core_variance(table: Reconstruction) -> np.ndarray:
    """(n,) variance of the core, both coordinates together [m^2]."""
    x, y = PARAMETERS.index("core_x"), PARAMETERS.index("core_y")
    return table.covariance[:, x, x] + table.covariance[:, y, y]


def _squares(table: Reconstruction, truth: Truth) -> dict[str, np.ndarray]:
    """Variances that the table states, and squares of the errors that it makes."""
    angle = opening_angle(
        direction(table.zenith, table.azimuth), direction(truth.zenith, truth.azimuth)
    )
    core = (table.core_x - truth.core_x) ** 2 + (table.core_y - truth.core_y) ** 2
    return {
        "direction_variance_deg2": direction_variance(table),
        "direction_square_deg2": angle**2 * _DEGREES2,
        "core_variance_m2": core_variance(table),
        "core_square_m2": core,
    }


def variances(
    tables: Mapping[str, Reconstruction], truth: Truth, draws: Draws, bins: Mapping
) -> dict:
    """{kind of bins: [{method: {quantity: entry}}]}: means over the events of a bin.

    bins : {kind: [index arrays]}
    """
    found = {name: _squares(table, truth) for name, table in tables.items()}

    def of_bin(rows):
        def means(columns):
            return replicates(
                lambda w: {q: mean(x[rows], w) for q, x in columns.items()}, draws, rows
            )

        return {
            name: {q: entry(x) for q, x in means(columns).items()}
            for name, columns in found.items()
        }

    return {kind: [of_bin(rows) for rows in several] for kind, several in bins.items()}


def _sample(config: Config, wanted: int, prepared: Prepared) -> tuple[dict, Truth]:
    """Tables and truth of at least so many events that all methods are scored on."""
    parts, truths, good, first = [], [], 0, 0
    chunk = min(_CHUNK, 2 * wanted)
    while good < wanted:
        if first >= _MOST_THROWS * wanted + _CHUNK:
            raise InputError(
                f"of {first:,} showers thrown only {good:,} events pass the cuts: fewer --number, "
                "or showers and cuts that more of them pass"
            )
        events = simulate_events(config, "test", first, chunk)
        first, chunk = first + chunk, min(_CHUNK, 2 * chunk)
        if not events.n_events:
            continue
        tables, _, _ = reconstruct(
            *(events, prepared.calibration, config.reconstruction),
            only=METHODS,
            stations=prepared.stations,
        )
        parts.append({name: tables[name] for name in METHODS})
        truths.append(events.truth)
        try:
            good += int(in_common(parts[-1]).sum())
        except InputError:  # fewer than ten
            continue
    return (
        {name: concatenate_rows([part[name] for part in parts]) for name in METHODS},
        concatenate_rows(truths),
    )


def measure(config: Config, wanted: int, prepared: Prepared) -> dict:
    """The limit of a configuration, as JSON holds it: scores of the methods on independent events,
    of the same kind as `scores.json`, and in "variances" the mean variances of their posteriors.

    wanted : events that are scored at least

    Raises
    ------
    InputError : too few showers pass the cuts.
    """
    tables, truth = _sample(config, wanted, prepared)
    scores, _ = score(config, tables, truth, {})
    rows = np.flatnonzero(in_common(tables))
    chosen = select_rows(truth, rows)
    energy = np.log10(chosen.energy) + 18.0
    edges = {
        "by_energy": (energy, config.scores.energy_edges_log10_ev),
        "by_zenith": (np.degrees(chosen.zenith), config.scores.zenith_edges_deg),
    }
    bins = {"all": [np.arange(len(rows))]}
    for kind, (values, limits) in edges.items():
        place = np.digitize(values, limits) - 1
        bins[kind] = [np.flatnonzero(place == k) for k in range(len(limits) - 1)]
    draws = draw_showers(chosen.shower_id, config.scores.bootstrap, [config.seed, _SEED_TAG])
    some = {name: select_rows(table, rows) for name, table in tables.items()}
    found = variances(some, chosen, draws, bins)
    return scores | {"format": KIND, "version": VERSION, "variances": found}


def times_rows(scores: Mapping) -> list[list[str]]:
    """How many times the limit every method is, with header: all events, and bins of energy."""
    limit, edges = scores["limit"], energy_bin_names(scores)
    head = ["method", "68 % angle", "core", "ln E", *(f"68 % angle, {edge}" for edge in edges)]
    rows = [head]
    for name, of in limit["times"].items():
        row = [label(name, scores["networks"])]
        row += [pm(of[size]) for size in ("angle_68_deg", "core_68_m", "log_energy_68")]
        row += [pm(one[name]["angle_68_deg"]) for one in limit["by_energy"]]
        rows.append(row)
    return rows


#: Methods whose variances are shown, and what is: (stated, made, digits).
_SHOWN = ("complete", *LIMITS[::-1])
_SIZES = {
    "direction [deg]": ("direction_variance_deg2", "direction_square_deg2", 3),
    "core [m]": ("core_variance_m2", "core_square_m2", 1),
}


def variance_rows(found: Mapping, size: str) -> list[list[str]]:
    """Root of the mean variance that a method states and, in brackets, of the mean square error
    that it makes, of all events and by true energy and zenith, with header; size : of _SIZES.
    """
    stated, made, digits = _SIZES[size]
    zenith = found["configuration"]["scores"]["zenith_edges_deg"]
    places = {"all": [size], "by_energy": energy_bin_names(found)}
    places["by_zenith"] = [f"{a:g} – {b:g} deg" for a, b in itertools.pairwise(zenith)]
    rows = [["", *(label(name) for name in _SHOWN)]]
    for kind, names in places.items():
        for place, of in zip(names, found["variances"][kind], strict=True):
            roots = [
                [pm(_root(of[name][key]), digits) for key in (stated, made)] for name in _SHOWN
            ]
            rows.append([place, *(f"{one} ({other})" for one, other in roots)])
    return rows


def _root(of: Mapping) -> dict:
    """Root of an entry, and its error."""
    if of["value"] is None or not of["value"] > 0:
        return {"value": None, "error": None}
    value = float(np.sqrt(of["value"]))
    return {"value": value, "error": None if of["error"] is None else of["error"] / (2 * value)}


def limit_text(found: Mapping) -> str:
    """The limit as Markdown."""
    rows = [["method", "68 % angle [deg]", "99 % [deg]", "core 68 % [m]", "ln E 68 %", "EV"]]
    for name, of in found["methods"].items():
        one, ladder = of["all"], found["ladder"]["free"].get(name)
        sizes = [pm(one["angle_68_deg"]), pm(one["angle_99_deg"], 2), pm(one["core_68_m"], 1)]
        ev = pm(ladder["all"]["axis"]["ev"]) if ladder else ""
        rows.append([label(name), *sizes, pm(one["log_energy_68"], 4), ev])
    of_sizes = "\n\n".join(markdown_table(variance_rows(found, size)) for size in _SIZES)
    return f"""{markdown_table(rows)}

EV: explained variance of the direction over the free fit. As multiples of what waveforms hold
(paired errors), of all events and by true log10(E/eV):

{markdown_table(times_rows(found))}

Root of the mean variance of the posterior (of the fit: that it states) and, in brackets, of the
mean square error that is made, by true log10(E/eV) and zenith:

{of_sizes}
"""
